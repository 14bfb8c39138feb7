//! basic.qos, basic.recover and channel.flow: how much a channel is given, and giving it back.

use leveret_tests::raw_client::method::{basic, channel};
use leveret_tests::raw_client::{Flag, Message};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("58", "a consumer holds no more than its prefetch count", |scene| {
        let name = filled(scene);
        scene.client.call(basic::qos(2));
        scene.client.consume(&name);
        let tags = scene.client.expect_deliveries(&["1", "2"]);
        scene.client.expect_nothing_pending(1, &name);
        scene.client.send(basic::ack(tags[0]));
        scene.client.expect_deliveries(&["3"]);
        scene.client.expect_nothing_pending(1, &name);
        scene.client.send(basic::ack(0).with(Flag::Multiple));
        scene.client.expect_deliveries(&["4", "5"]);
        scene.client.expect_nothing_pending(1, &name);
    }),
    Row::new("58", "rejecting makes room as acknowledging does", |scene| {
        let name = filled(scene);
        scene.client.call(basic::qos(1));
        scene.client.consume(&name);
        for body in ["1", "2", "3"] {
            let tag = scene.client.expect_deliveries(&[body])[0];
            scene.client.send(basic::reject(tag));
        }
        scene.client.expect_deliveries(&["4"]);
    }),
    Row::new("58", "zero is no limit", |scene| {
        let name = filled(scene);
        scene.client.call(basic::qos(1));
        scene.client.call(basic::qos(0));
        scene.client.consume(&name);
        scene.client.expect_deliveries(&["1", "2", "3", "4", "5", "6"]);
    }),
    Row::new("58", "a count applies to consumers that start after it", |scene| {
        let (name, other) = (filled(scene), scene.name("other"));
        scene.client.declare_queue(&other);
        scene.client.fill(&other, &["a", "b", "c"]);
        scene.client.call(basic::qos(1));
        scene.client.call(basic::consume(&name, "one"));
        scene.client.expect_deliveries(&["1"]);
        scene.client.call(basic::qos(2));
        scene.client.expect_nothing_pending(1, &name);
        scene.client.call(basic::consume(&other, "two"));
        scene.client.expect_deliveries(&["a", "b"]);
        scene.client.expect_nothing_pending(1, &other);
        scene.client.expect_nothing_pending(1, &name);
    }),
    Row::new("58", "a consumer without acknowledgements has no limit", |scene| {
        let name = filled(scene);
        scene.client.call(basic::qos(1));
        scene.client.call(basic::consume(&name, "").with(Flag::NoAck));
        scene.client.expect_deliveries(&["1", "2", "3", "4", "5", "6"]);
    }),
    Row::new("58", "what get fetched does not count against a consumer", |scene| {
        let name = filled(scene);
        scene.client.get(&name);
        scene.client.call(basic::qos(1));
        scene.client.consume(&name);
        scene.client.expect_deliveries(&["2"]);
    }),
    Row::new("58", "a limit in bytes is not implemented", |scene| {
        scene.client.send(basic::sized_qos(1024, 0));
    })
    .closes_connection(540, "NOT_IMPLEMENTED - prefetch_size!=0 (1024)", basic::QOS),
    Row::new("58", "a global count is shared by the channel's consumers", |scene| {
        let (name, other) = (filled(scene), scene.name("other"));
        scene.client.declare_queue(&other);
        scene.client.call(basic::qos(3).with(Flag::Global));
        scene.client.call(basic::consume(&name, "one"));
        scene.client.call(basic::consume(&other, "two"));
        let tags = scene.client.expect_deliveries(&["1", "2", "3"]);
        let mut publisher = scene.connect();
        publisher.fill(&other, &["a"]);
        scene.client.expect_nothing_pending(1, &other);
        scene.client.send(basic::ack(tags[2]).with(Flag::Multiple));
        let mut bodies: Vec<String> =
            (0..3).map(|_| scene.client.expect_delivery().text()).collect();
        bodies.sort();
        // Whose turn the third is, is up to the broker.
        assert_eq!(bodies[..2], ["4", "5"]);
        scene.client.expect_nothing_pending(1, &name);
    }),
    Row::new("58", "a global count and a consumer's own both hold", |scene| {
        let (name, other) = (filled(scene), scene.name("other"));
        scene.client.declare_queue(&other);
        scene.client.fill(&other, &["a", "b", "c"]);
        scene.client.call(basic::qos(2));
        scene.client.call(basic::qos(3).with(Flag::Global));
        scene.client.call(basic::consume(&name, "one"));
        scene.client.expect_deliveries(&["1", "2"]);
        scene.client.call(basic::consume(&other, "two"));
        scene.client.expect_deliveries(&["a"]);
        scene.client.expect_nothing_pending(1, &other);
    }),
    Row::new("58", "a raised global count delivers at once", |scene| {
        let name = filled(scene);
        scene.client.call(basic::qos(1).with(Flag::Global));
        scene.client.consume(&name);
        scene.client.expect_deliveries(&["1"]);
        scene.client.expect_nothing_pending(1, &name);
        // The answer goes before the deliveries.
        scene.client.send(basic::qos(3).with(Flag::Global));
        scene.client.expect(basic::QOS_OK);
        scene.client.expect_deliveries(&["2", "3"]);
        scene.client.send(basic::qos(0).with(Flag::Global));
        scene.client.expect(basic::QOS_OK);
        scene.client.expect_deliveries(&["4", "5", "6"]);
    }),
    Row::new("67", "recover gives everything back and delivers it again", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3"]);
        scene.client.consume(&name);
        scene.client.expect_deliveries(&["1", "2", "3"]);
        scene.client.send(basic::recover().with(Flag::Requeue));
        scene.client.expect(basic::RECOVER_OK);
        for body in ["1", "2", "3"] {
            let delivery = scene.client.expect_delivery();
            assert_eq!((delivery.text().as_str(), delivery.redelivered), (body, true));
        }
    }),
    Row::new("67", "recover gives back what get fetched", |scene| {
        let name = filled(scene);
        scene.client.get(&name);
        scene.client.get(&name);
        scene.client.call(basic::recover().with(Flag::Requeue));
        assert_eq!(scene.client.drain(&name), ["1", "2", "3", "4", "5", "6"]);
    }),
    Row::new("67", "after recover the old tags are unknown", |scene| {
        let name = filled(scene);
        scene.client.get(&name);
        scene.client.call(basic::recover().with(Flag::Requeue));
        scene.client.send(basic::ack(1));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 1", basic::ACK),
    Row::new("67", "recover-async is not answered", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1"]);
        scene.client.get(&name);
        scene.client.send(basic::recover_async().with(Flag::Requeue));
        let again = scene.client.get(&name);
        assert_eq!((again.text().as_str(), again.redelivered), ("1", true));
        scene.client.expect_nothing_pending(1, &name);
    }),
    Row::new("67", "recover without requeue is not implemented", |scene| {
        scene.client.send(basic::recover());
    })
    .closes_connection(540, "NOT_IMPLEMENTED - requeue=false", basic::RECOVER),
    Row::new("67", "recover-async without requeue is not implemented", |scene| {
        scene.client.send(basic::recover_async());
    })
    .closes_connection(540, "NOT_IMPLEMENTED - requeue=false", basic::RECOVER_ASYNC),
    Row::new("58 67", "flow may be asked for while it flows", |scene| {
        let reply = scene.client.call(channel::flow(true));
        assert_eq!((reply.id, reply.arguments.as_slice()), (channel::FLOW_OK, &[1][..]));
        let name = scene.queue();
        scene.client.consume(&name);
        scene.client.publish(&Message::to_queue(&name).body("flows"));
        scene.client.expect_deliveries(&["flows"]);
    }),
    Row::new("58", "stopping the flow is not implemented", |scene| {
        scene.client.send(channel::flow(false));
    })
    .closes_connection(540, "NOT_IMPLEMENTED - active=false", channel::FLOW),
];

/// Declares the scene's queue with the messages `1` to `6`.
fn filled(scene: &mut Scene) -> String {
    let name = scene.queue();
    scene.client.fill(&name, &["1", "2", "3", "4", "5", "6"]);
    name
}
