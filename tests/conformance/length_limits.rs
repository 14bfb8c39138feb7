//! Queues with a limit: what is dropped, what is refused, and that no way in gets around either.

use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, channel, queue, tx};
use leveret_tests::raw_client::{Flag, Message};

use crate::row::{Needs, Row};
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("79", "the limit holds when messages are given back", |scene| {
        let name = limited(scene, "q", 2, "drop-head");
        scene.client.fill(&name, &["a", "b"]);
        scene.client.get(&name);
        scene.client.get(&name);
        scene.client.fill(&name, &["c", "d"]);
        scene.client.send(basic::nack(0).with(Flag::Multiple).with(Flag::Requeue));
        assert_eq!(scene.client.drain(&name), ["c", "d"]);
    }),
    Row::new("79", "the limit holds when a channel ends", |scene| {
        let name = limited(scene, "q", 2, "drop-head");
        scene.client.fill(&name, &["a", "b"]);
        let mut other = scene.connect();
        other.get(&name);
        other.get(&name);
        scene.client.fill(&name, &["c"]);
        other.call(channel::close());
        assert_eq!(scene.client.drain(&name), ["b", "c"]);
    }),
    Row::new("79", "what consumers hold does not count", |scene| {
        let name = limited(scene, "q", 1, "reject-publish");
        scene.client.select_confirms();
        scene.client.consume(&name);
        for (number, body) in (1..).zip(["a", "b"]) {
            scene.client.publish(&Message::to_queue(&name).body(body));
            scene.client.expect_deliveries(&[body]);
            scene.client.expect_confirmed_up_to(number, number);
        }
    }),
    Row::new("79 52", "a full queue that refuses nacks and keeps what it has", |scene| {
        let name = limited(scene, "q", 2, "reject-publish");
        scene.client.select_confirms();
        for (number, taken) in (1..).zip([true, true, false]) {
            scene.client.publish(&Message::to_queue(&name).body(format!("{number}")));
            let confirm = scene.client.expect_confirm();
            assert_eq!((confirm.delivery_tag, confirm.acked), (number, taken));
        }
        assert_eq!(scene.client.drain(&name), ["1", "2"]);
    }),
    Row::new(
        "79 52",
        "bytes are refused by what the queue would have, not by what it has",
        |scene| {
            let name = scene.q();
            let declare = queue::declare(&name).with(Flag::Durable).arg("x-max-length-bytes", 10);
            scene.client.call(declare.arg("x-overflow", "reject-publish"));
            scene.client.select_confirms();
            for (size, taken) in [(8, true), (5, false), (2, true), (0, true), (1, false)] {
                scene.client.publish(&Message::to_queue(&name).body(vec![b'x'; size]));
                assert_eq!(scene.client.expect_confirm().acked, taken, "{size} bytes");
            }
        },
    ),
    Row::new("79 52", "a limit of no messages refuses even what a consumer waits for", |scene| {
        let name = limited(scene, "q", 0, "reject-publish");
        scene.client.consume(&name);
        scene.client.select_confirms();
        scene.client.publish(&Message::to_queue(&name).body("a"));
        assert!(!scene.client.expect_confirm().acked);
        scene.client.expect_nothing_on(1);
    }),
    Row::new("79", "a limit of no messages hands on what a consumer waits for", |scene| {
        let name = limited(scene, "q", 0, "drop-head");
        scene.client.fill(&name, &[]);
        scene.client.publish(&Message::to_queue(&name).body("dropped"));
        scene.client.consume(&name);
        scene.client.publish(&Message::to_queue(&name).body("handed on"));
        scene.client.expect_deliveries(&["handed on"]);
    }),
    Row::new("79 80", "of a full queue with priorities the highest go first", |scene| {
        let name = scene.q();
        let declare = queue::declare(&name).with(Flag::Durable).arg("x-max-priority", 5);
        scene.client.call(declare.arg("x-max-length", 2));
        publish_by_priority(scene, &name);
        assert_eq!(scene.client.drain(&name), ["middle", "low"]);
    }),
    Row::new("81 82", "a higher priority does not overtake what a consumer holds", |scene| {
        let name = scene.q();
        let declare = queue::declare(&name).with(Flag::Durable).arg("x-max-priority", 5);
        scene.client.call(declare);
        scene.client.fill(&name, &["first"]);
        scene.client.call(basic::qos(1));
        scene.client.consume(&name);
        let tags = scene.client.expect_deliveries(&["first"]);
        let mut other = scene.connect();
        std::mem::swap(&mut scene.client, &mut other);
        publish_by_priority(scene, &name);
        std::mem::swap(&mut scene.client, &mut other);
        scene.keep(other);
        scene.client.send(basic::ack(tags[0]));
        scene.client.expect_deliveries(&["high"]);
    }),
    Row::new("79 52", "on one route each queue does as it was told", |scene| {
        let drops = limited(scene, "drops", 1, "drop-head");
        let refuses = limited(scene, "refuses", 1, "reject-publish");
        let (plain, exchange) = (scene.name("plain"), scene.name("x"));
        scene.client.declare_queue(&plain);
        scene.client.declare_exchange(&exchange, "fanout");
        for name in [&drops, &refuses, &plain] {
            scene.client.call(queue::bind(name, &exchange, ""));
        }
        scene.client.select_confirms();
        for (body, taken) in [("1", true), ("2", false), ("3", false)] {
            scene.client.publish(&Message::to(&exchange, "").body(body));
            assert_eq!(scene.client.expect_confirm().acked, taken, "{body}");
        }
        assert_eq!(scene.client.drain(&drops), ["3"]);
        assert_eq!(scene.client.drain(&refuses), ["1"]);
        assert_eq!(scene.client.drain(&plain), ["1", "2", "3"]);
    }),
    Row::new(
        "79 91",
        "a transaction into a full queue that refuses loses nothing that was there",
        |scene| {
            let name = limited(scene, "q", 2, "reject-publish");
            scene.client.fill(&name, &["a", "b"]);
            let mut other = scene.connect();
            other.call(tx::select());
            for body in ["c", "d", "e"] {
                other.publish(&Message::to_queue(&name).body(body));
            }
            other.send(tx::commit());
            let text = "PRECONDITION_FAILED - partial tx completion";
            other.expect_channel_close(1, 406, text, tx::COMMIT);
            assert_eq!(scene.client.drain(&name), ["a", "b"]);
        },
    ),
    Row::new(
        "79 91",
        "the rest of a transaction that is refused in part is carried out",
        |scene| {
            let (name, plain) = (limited(scene, "q", 2, "reject-publish"), scene.name("plain"));
            scene.client.declare_queue(&plain);
            scene.client.fill(&name, &["a"]);
            let mut other = scene.connect();
            other.call(tx::select());
            for body in ["c", "d"] {
                other.publish(&Message::to_queue(&name).body(body).persistent());
                other.publish(&Message::to_queue(&plain).body(body).persistent());
            }
            other.send(tx::commit());
            let text = "PRECONDITION_FAILED - partial tx completion";
            other.expect_channel_close(1, 406, text, tx::COMMIT);
            assert_eq!(scene.client.drain(&name), ["a", "c"]);
            assert_eq!(scene.client.drain(&plain), ["c", "d"]);
        },
    ),
    Row::new(
        "",
        "where that is said the lowest priority is dropped, the oldest of it first",
        |scene| {
            let name = scene.name("q");
            let declare = queue::declare(&name).with(Flag::Durable).arg("x-max-length", 2);
            let declare = declare.arg("x-overflow", "drop-lowest").arg("x-max-priority", 5);
            scene.client.call(declare);
            publish_by_priority(scene, &name);
            assert_eq!(scene.client.queue_state(&name).message_count, 2);
            publish_by_priority_again(scene, &name);
            assert_eq!(scene.client.drain(&name), ["high", "high"]);
        },
    )
    .needs(Needs::Leveret),
];

fn limited(scene: &mut Scene, name: &str, messages: i32, overflow: &str) -> String {
    let name = scene.name(name);
    let declare = queue::declare(&name).with(Flag::Durable).arg("x-max-length", messages);
    scene.client.call(declare.arg("x-overflow", overflow));
    name
}

fn publish_by_priority(scene: &mut Scene, queue: &str) {
    scene.client.select_confirms();
    for (priority, body) in [(3, "middle"), (1, "low"), (5, "high")] {
        let properties = Properties { priority: Some(priority), ..Properties::default() };
        scene.client.publish(&Message::to_queue(queue).body(body).properties(properties));
    }
    scene.client.expect_confirmed_up_to(1, 3);
}

fn publish_by_priority_again(scene: &mut Scene, queue: &str) {
    scene.client.call(channel::close());
    scene.client.open_channel(1);
    publish_by_priority(scene, queue);
}
