//! Whose turn it is: who gets what comes back, and who gets what there is room for.

use leveret_tests::raw_client::RawClient;
use leveret_tests::raw_client::method::{basic, channel, queue, tx};
use leveret_tests::raw_client::{Flag, Message};

use crate::row::Row;
use crate::scene::Scene;

const EIGHT: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "71 66",
        "the next single active consumer begins with what came back: a connection ends",
        |scene| {
            let (mut first, mut next, _) = two_consumers(scene, true);
            first.hang_up();
            next.expect_deliveries(&EIGHT);
        },
    )
    .on_3_10_instead(|_| {}, "4.x delivers what was ready first"),
    Row::new(
        "71 66",
        "the next single active consumer begins with what came back: a channel ends",
        |scene| {
            let (mut first, mut next, _) = two_consumers(scene, true);
            first.call(channel::close());
            next.expect_deliveries(&EIGHT);
        },
    )
    .on_3_10_instead(|_| {}, "4.x delivers what was ready first"),
    Row::new("71", "what a cancelled consumer holds stays with its channel", |scene| {
        let (mut first, mut next, tag) = two_consumers(scene, true);
        first.call(basic::cancel(&tag));
        next.expect_deliveries(&EIGHT[3..]);
        first.call(channel::close());
        next.expect_deliveries(&EIGHT[..3]);
    }),
    Row::new("66", "a channel's messages are back before anyone else is served", |scene| {
        let (mut first, mut next, _) = two_consumers(scene, false);
        next.expect_deliveries(&["3"]);
        first.call(channel::close());
        for body in ["0", "1", "2", "4"] {
            next.send(basic::ack(0).with(Flag::Multiple));
            next.expect_deliveries(&[body]);
        }
    }),
    Row::new("58", "two consumers of one queue take turns under a global count", |scene| {
        let name = filled(scene, "q");
        scene.client.call(basic::qos(1).with(Flag::Global));
        scene.client.call(basic::consume(&name, "one"));
        scene.client.call(basic::consume(&name, "two"));
        // The first had asked for more before the second came.
        let order = order(scene, 8).split_off(1);
        assert_eq!(order, ["one", "two", "one", "two", "one", "two", "one"]);
    }),
    Row::new("58", "consumers of three queues take turns under a global count", |scene| {
        let names = ["a", "b", "c"].map(|name| filled(scene, name));
        scene.client.call(basic::qos(1).with(Flag::Global));
        for (name, tag) in names.iter().zip(["a", "b", "c"]) {
            scene.client.call(basic::consume(name, tag));
        }
        let order = order(scene, 22).split_off(1);
        for turns in order.chunks(3) {
            let mut turns = turns.to_vec();
            turns.sort();
            assert_eq!(turns, ["a", "b", "c"], "{order:?}");
        }
    }),
    Row::new(
        "91 52",
        "a mandatory message is returned at the commit when its queue is gone",
        |scene| {
            let name = scene.queue();
            scene.client.call(tx::select());
            scene.client.publish(&Message::to_queue(&name).body("lost").with(Flag::Mandatory));
            scene.connect().call(queue::delete(&name));
            scene.client.expect_nothing_on(1);
            scene.client.send(tx::commit());
            let returned = scene.client.expect_return();
            assert_eq!((returned.code, returned.content.body.as_slice()), (312, &b"lost"[..]));
            scene.client.expect(tx::COMMIT_OK);
        },
    )
    .on_3_10_instead(|_| {}, "4.x ends the connection with 506"),
    Row::new("91 52", "a mandatory message to nowhere is returned at the commit", |scene| {
        scene.client.call(tx::select());
        scene.client.publish(&Message::to_queue("nowhere").body("lost").with(Flag::Mandatory));
        scene.client.expect_nothing_on(1);
        scene.client.send(tx::commit());
        scene.client.expect_return();
        scene.client.expect(tx::COMMIT_OK);
    }),
];

fn filled(scene: &mut Scene, name: &str) -> String {
    let name = scene.name(name);
    scene.client.declare_queue(&name);
    scene.client.fill(&name, &EIGHT);
    name
}

/// The first holds 0 to 2 of eight messages, the next, with room for one unless only one consumer is
/// active, came after it; with the tag of the first.
fn two_consumers(scene: &mut Scene, single: bool) -> (RawClient, RawClient, String) {
    let name = scene.name("q");
    let declare = queue::declare(&name).with(Flag::Durable);
    scene.client.call(declare.arg("x-single-active-consumer", single));
    scene.client.fill(&name, &EIGHT);
    let (mut first, mut next) = (scene.connect(), scene.connect());
    first.call(basic::qos(3));
    let tag = first.consume(&name);
    first.expect_deliveries(&EIGHT[..3]);
    next.call(basic::qos(if single { 0 } else { 1 }));
    next.consume(&name);
    (first, next, tag)
}

/// The tags of those who get so many messages, one at a time.
fn order(scene: &mut Scene, count: usize) -> Vec<String> {
    let mut tags = Vec::new();
    for _ in 0..count {
        let delivery = scene.client.expect_delivery();
        scene.client.send(basic::ack(delivery.delivery_tag));
        tags.push(delivery.consumer_tag);
    }
    tags
}
