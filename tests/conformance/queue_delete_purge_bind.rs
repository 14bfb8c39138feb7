//! queue.delete, queue.purge, queue.bind and queue.unbind.

use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Message};

use crate::queue_declare::LOCKED;
use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("33", "deleting a missing queue is no error", |scene| {
        let name = scene.q();
        assert_eq!(scene.client.call(queue::delete(&name)).message_count(), 0);
        let conditional = queue::delete(&name).with(Flag::IfUnused).with(Flag::IfEmpty);
        assert_eq!(scene.client.call(conditional).message_count(), 0);
    }),
    Row::new("34", "delete tells how many ready messages went", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3"]);
        scene.client.get(&name);
        assert_eq!(scene.client.call(queue::delete(&name)).message_count(), 2);
        scene.client.send(queue::declare(&name).with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", queue::DECLARE),
    Row::new("34", "a queue with a consumer is not deleted if-unused", |scene| {
        let name = scene.queue();
        scene.client.consume(&name);
        scene.client.send(queue::delete(&name).with(Flag::IfUnused));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - queue '{q}' in vhost '/' in use",
        queue::DELETE,
    ),
    Row::new("34", "a queue with a ready message is not deleted if-empty", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1"]);
        scene.client.send(queue::delete(&name).with(Flag::IfEmpty));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - queue '{q}' in vhost '/' not empty",
        queue::DELETE,
    ),
    Row::new("34", "unsettled messages do not count for if-empty", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1"]);
        scene.client.get(&name);
        let conditional = queue::delete(&name).with(Flag::IfUnused).with(Flag::IfEmpty);
        scene.client.call(conditional);
    }),
    Row::new("35 70", "a deleted queue cancels its consumers", |scene| {
        let name = scene.queue();
        let mut consumers = scene.connect();
        consumers.call(basic::consume(&name, "one"));
        consumers.call(basic::consume(&name, "two"));
        scene.client.call(queue::delete(&name));
        let mut cancelled: Vec<String> =
            (0..2).map(|_| consumers.expect(basic::CANCEL).consumer_tag()).collect();
        cancelled.sort();
        assert_eq!(cancelled, ["one", "two"]);
        consumers.expect_nothing_on(1);
    }),
    Row::new("70", "a client may answer the broker's cancel", |scene| {
        let name = scene.queue();
        scene.client.call(basic::consume(&name, "one"));
        scene.client.call(queue::delete(&name));
        scene.client.expect(basic::CANCEL);
        scene.client.send(basic::cancel_ok("one"));
        scene.client.expect_nothing_on(1);
    })
    .on_3_10_instead(
        |_| {},
        "3.10 closes the connection over a basic.cancel-ok, 4.x takes it for what it is",
    ),
    Row::new("35", "a client that cannot hear a cancel is not sent one", |scene| {
        let name = scene.queue();
        let mut handshake = scene.broker.handshake();
        handshake.capabilities.0.retain(|(name, _)| name != "consumer_cancel_notify");
        let mut deaf = scene.broker.connect_as(&handshake);
        deaf.consume(&name);
        scene.client.call(queue::delete(&name));
        deaf.expect_nothing_on(1);
    }),
    Row::new("36", "purge takes ready messages and leaves the unsettled", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3"]);
        let first = scene.client.get(&name);
        assert_eq!(scene.client.call(queue::purge(&name)).message_count(), 2);
        assert_eq!(scene.client.call(queue::purge(&name)).message_count(), 0);
        scene.client.send(basic::nack(first.delivery_tag).with(Flag::Requeue));
        assert_eq!(scene.client.drain(&name), ["1"]);
    }),
    Row::new("19 36", "purging a missing queue", |scene| {
        let name = scene.q();
        scene.client.send(queue::purge(&name));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", queue::PURGE),
    Row::new("37 42", "the same bind twice is one binding", |scene| {
        let name = scene.queue();
        for _ in 0..2 {
            scene.client.call(queue::bind(&name, "amq.direct", &name));
        }
        scene.client.publish(&Message::to("amq.direct", &name).body("once"));
        assert_eq!(scene.client.drain(&name), ["once"]);
        scene.client.call(queue::unbind(&name, "amq.direct", &name));
        scene.client.publish(&Message::to("amq.direct", &name).body("unbound"));
        assert!(scene.client.drain(&name).is_empty());
    }),
    Row::new("37 42", "other arguments make another binding, but not another copy", |scene| {
        let name = scene.queue();
        let unbind = || queue::unbind(&name, "amq.direct", &name);
        scene.client.call(queue::bind(&name, "amq.direct", &name));
        scene.client.call(queue::bind(&name, "amq.direct", &name).arg("x", 1));
        scene.client.publish(&Message::to("amq.direct", &name).body("once"));
        assert_eq!(scene.client.drain(&name), ["once"]);
        scene.client.call(unbind());
        scene.client.publish(&Message::to("amq.direct", &name).body("still"));
        assert_eq!(scene.client.drain(&name), ["still"]);
        scene.client.call(unbind().arg("x", 1));
        scene.client.publish(&Message::to("amq.direct", &name).body("no more"));
        assert!(scene.client.drain(&name).is_empty());
    }),
    Row::new("42", "a message that matches by several keys is queued once", |scene| {
        let (name, exchange) = (scene.queue(), scene.exchange("topic"));
        for key in ["#", "a.*", "*.b", "a.b"] {
            scene.client.call(queue::bind(&name, &exchange, key));
        }
        scene.client.publish(&Message::to(&exchange, "a.b").body("once"));
        assert_eq!(scene.client.drain(&name), ["once"]);
    }),
    Row::new("38", "binding to a missing exchange", |scene| {
        let name = scene.queue();
        let exchange = scene.x();
        scene.client.send(queue::bind(&name, &exchange, "k"));
    })
    .closes_channel(404, "NOT_FOUND - no exchange '{x}' in vhost '/'", queue::BIND),
    Row::new("38", "binding a missing queue", |scene| {
        let name = scene.q();
        scene.client.send(queue::bind(&name, "amq.direct", "k"));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", queue::BIND),
    Row::new("38", "with both ends missing the exchange is named", |scene| {
        let (name, exchange) = (scene.q(), scene.x());
        scene.client.send(queue::bind(&name, &exchange, "k"));
    })
    .closes_channel(404, "NOT_FOUND - no exchange '{x}' in vhost '/'", queue::BIND),
    Row::new("23", "binding to the default exchange", |scene| {
        let name = scene.queue();
        scene.client.send(queue::bind(&name, "", "k"));
    })
    .closes_channel(403, NOT_ON_DEFAULT, queue::BIND),
    Row::new("23", "unbinding from the default exchange", |scene| {
        let name = scene.queue();
        scene.client.send(queue::unbind(&name, "", &name));
    })
    .closes_channel(403, NOT_ON_DEFAULT, queue::UNBIND),
    Row::new("33", "unbinding what is not bound, or not there, is no error", |scene| {
        let (name, exchange) = (scene.q(), scene.x());
        scene.client.call(queue::unbind(&name, &exchange, "k"));
        scene.client.call(queue::unbind(&name, "amq.direct", "k"));
        scene.client.declare_queue(&name);
        scene.client.call(queue::unbind(&name, &exchange, "k"));
        scene.client.call(queue::unbind(&name, "amq.direct", "k"));
    }),
    Row::new("31", "another connection may not declare an exclusive queue", |scene| {
        let name = owned_elsewhere(scene);
        scene.client.send(queue::declare(&name).with(Flag::Exclusive));
    })
    .closes_channel(405, LOCKED, queue::DECLARE),
    Row::new("31", "another connection may not declare an exclusive queue passively", |scene| {
        let name = owned_elsewhere(scene);
        scene.client.send(queue::declare(&name).with(Flag::Passive));
    })
    .closes_channel(405, LOCKED, queue::DECLARE),
    Row::new("31", "another connection may not bind an exclusive queue", |scene| {
        let name = owned_elsewhere(scene);
        scene.client.send(queue::bind(&name, "amq.direct", "k"));
    })
    .closes_channel(405, LOCKED, queue::BIND),
    Row::new("31", "another connection may not unbind an exclusive queue", |scene| {
        let name = owned_elsewhere(scene);
        scene.client.send(queue::unbind(&name, "amq.direct", &name));
    })
    .closes_channel(405, LOCKED, queue::UNBIND),
    Row::new("31", "another connection may not purge an exclusive queue", |scene| {
        let name = owned_elsewhere(scene);
        scene.client.send(queue::purge(&name));
    })
    .closes_channel(405, LOCKED, queue::PURGE),
    Row::new("31", "another connection may not delete an exclusive queue", |scene| {
        let name = owned_elsewhere(scene);
        scene.client.send(queue::delete(&name));
    })
    .closes_channel(405, LOCKED, queue::DELETE),
    Row::new("31", "another connection may not consume an exclusive queue", |scene| {
        let name = owned_elsewhere(scene);
        scene.client.send(basic::consume(&name, ""));
    })
    .closes_channel(405, LOCKED, basic::CONSUME),
    Row::new("31", "another connection may not get from an exclusive queue", |scene| {
        let name = owned_elsewhere(scene);
        scene.client.send(basic::get(&name));
    })
    .closes_channel(405, LOCKED, basic::GET),
    Row::new("40", "an auto-delete queue goes with its last consumer", |scene| {
        let name = scene.q();
        let declare = queue::declare(&name).with(Flag::Durable).with(Flag::AutoDelete);
        scene.client.call(declare);
        let first = scene.client.consume(&name);
        let last = scene.client.consume(&name);
        scene.client.call(basic::cancel(&first));
        scene.client.queue_state(&name);
        scene.client.call(basic::cancel(&last));
        scene.client.send(queue::declare(&name).with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", queue::DECLARE),
    Row::new("40", "an auto-delete queue goes with its consumer's channel", |scene| {
        let name = scene.q();
        let declare = queue::declare(&name).with(Flag::Durable).with(Flag::AutoDelete);
        scene.client.call(declare);
        let mut consumer = scene.connect();
        consumer.consume(&name);
        consumer.call(leveret_tests::raw_client::method::channel::close());
        scene.client.send(queue::declare(&name).with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", queue::DECLARE),
    Row::new("40", "an auto-delete queue that never had a consumer stays", |scene| {
        let name = scene.q();
        let declare = queue::declare(&name).with(Flag::Durable).with(Flag::AutoDelete);
        let mut other = scene.connect();
        other.call(declare);
        other.fill(&name, &["1"]);
        other.get(&name);
        other.close();
        scene.client.expect_count(&name, 1);
    }),
    Row::new("39", "a deleted queue takes its bindings along", |scene| {
        let name = scene.queue();
        scene.client.call(queue::bind(&name, "amq.direct", &name));
        scene.client.call(queue::delete(&name));
        scene.client.declare_queue(&name);
        scene.client.publish(&Message::to("amq.direct", &name).body("unbound"));
        assert!(scene.client.drain(&name).is_empty());
    }),
];

const NOT_ON_DEFAULT: &str = "ACCESS_REFUSED - operation not permitted on the default exchange";

/// Declares the scene's queue as the exclusive one of another connection, which stays open until
/// the row ends.
fn owned_elsewhere(scene: &mut Scene) -> String {
    let name = scene.q();
    let mut owner = scene.connect();
    owner.call(queue::declare(&name).with(Flag::Exclusive));
    owner.call(queue::bind(&name, "amq.direct", &name));
    scene.keep(owner);
    name
}
