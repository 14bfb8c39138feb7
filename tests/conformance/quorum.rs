//! What a quorum queue counts, limits and refuses, on one node.

use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{Method, basic, channel, queue};
use leveret_tests::raw_client::reply::Fetched;
use leveret_tests::raw_client::{Flag, Message, RawClient, Value};

use crate::row::Row;
use crate::scene::Scene;

/// Settles the delivery with a tag.
type Settle = fn(u64) -> Method;

pub(crate) const ROWS: &[Row] = &[
    Row::new("101", "it tells how often a message came back, and how often it failed", |scene| {
        let name = quorum(scene, "q", &[]);
        scene.client.fill(&name, &["a"]);
        let nack = |tag| basic::nack(tag).with(Flag::Requeue);
        let reject = |tag| basic::reject(tag).with(Flag::Requeue);
        let settlements: [Settle; 4] = [nack, nack, reject, reject];
        let told = [[0, 0], [1, 0], [2, 0], [3, 1]];
        for (settle, expected) in settlements.into_iter().zip(told) {
            let fetched = fetch(&mut scene.client, &name);
            assert_eq!(counts(&fetched), expected);
            assert_eq!(fetched.redelivered, expected[0] > 0);
            scene.client.send(settle(fetched.delivery_tag));
        }
        assert_eq!(counts(&fetch(&mut scene.client, &name)), [4, 2]);
    }),
    Row::new("101", "a channel that ends has failed, a recover has not", |scene| {
        let name = quorum(scene, "q", &[]);
        scene.client.fill(&name, &["a"]);
        fetch(&mut scene.client, &name);
        scene.client.call(basic::recover().with(Flag::Requeue));
        assert_eq!(counts(&fetch(&mut scene.client, &name)), [1, 0]);
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        assert_eq!(counts(&fetch(&mut scene.client, &name)), [2, 1]);
    }),
    Row::new("101 83", "beyond its limit of failures a message is a dead letter", |scene| {
        let target = scene.name("target");
        scene.client.declare_queue(&target);
        let arguments = [
            ("x-delivery-limit", Value::Int(1)),
            ("x-dead-letter-exchange", "".into()),
            ("x-dead-letter-routing-key", target.as_str().into()),
        ];
        let name = quorum(scene, "q", &arguments);
        scene.client.fill(&name, &["a"]);
        for _ in 0..2 {
            let tag = fetch(&mut scene.client, &name).delivery_tag;
            scene.client.send(basic::reject(tag).with(Flag::Requeue));
        }
        let dead = fetch(&mut scene.client, &target);
        assert!(dead.redelivered);
        assert_eq!(counts(&dead), [0, 0], "told no more");
        let headers = dead.content.properties.headers.expect("headers");
        assert_eq!(headers.get("x-last-death-reason"), Some(&"delivery_limit".into()));
    }),
    Row::new("101", "without a word of its own twenty failures are allowed", |scene| {
        let name = quorum(scene, "q", &[]);
        scene.client.fill(&name, &["a"]);
        for _ in 0..21 {
            let tag = fetch(&mut scene.client, &name).delivery_tag;
            scene.client.send(basic::reject(tag).with(Flag::Requeue));
        }
        scene.client.expect_count(&name, 0);
    }),
    Row::new("101", "a limit below zero is none", |scene| {
        let name = quorum(scene, "q", &[("x-delivery-limit", Value::Int(-1))]);
        scene.client.fill(&name, &["a"]);
        for _ in 0..25 {
            let tag = fetch(&mut scene.client, &name).delivery_tag;
            scene.client.send(basic::reject(tag).with(Flag::Requeue));
        }
        assert_eq!(counts(&fetch(&mut scene.client, &name)), [25, 25]);
    }),
    Row::new("81", "it has 32 priorities, and four for who names none", |scene| {
        let name = quorum(scene, "q", &[]);
        scene.client.select_confirms();
        let all =
            [(Some(0), "0"), (None, "none"), (Some(5), "5"), (Some(40), "40"), (Some(4), "4")];
        for (priority, body) in all {
            let properties = Properties { priority, ..Properties::default() };
            scene.client.publish(&Message::to_queue(&name).body(body).properties(properties));
        }
        scene.client.expect_confirmed_up_to(1, 5);
        assert_eq!(scene.client.drain(&name), ["40", "5", "none", "4", "0"]);
    }),
    Row::new("29", "it takes no number of priorities", |scene| {
        let declare = queue::declare(&scene.q()).with(Flag::Durable).arg("x-queue-type", "quorum");
        scene.client.send(declare.arg("x-max-priority", 5));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue '{q}' in vhost '/' of queue \
         type rabbit_quorum_queue",
        queue::DECLARE,
    ),
    Row::new("34", "it is not deleted if unused", |scene| {
        let name = quorum(scene, "q", &[]);
        scene.client.send(queue::delete(&name).with(Flag::IfUnused));
    })
    .closes_connection(
        540,
        "NOT_IMPLEMENTED - cannot delete queue '{q}' in vhost '/'. queue.delete operations with \
         if-unused flag set are not supported by quorum queues",
        queue::DELETE,
    ),
    Row::new("34", "nor if empty", |scene| {
        let name = quorum(scene, "q", &[]);
        scene.client.send(queue::delete(&name).with(Flag::IfEmpty));
    })
    .closes_connection(
        540,
        "NOT_IMPLEMENTED - cannot delete queue '{q}' in vhost '/'. queue.delete operations with \
         if-empty flag set are not supported by quorum queues",
        queue::DELETE,
    ),
];

fn quorum(scene: &mut Scene, name: &str, arguments: &[(&str, Value)]) -> String {
    let name = scene.name(name);
    let mut declare = queue::declare(&name).with(Flag::Durable).arg("x-queue-type", "quorum");
    for (argument, value) in arguments {
        declare = declare.arg(argument, value.clone());
    }
    scene.client.call(declare);
    name
}

/// Gets a message that will be there: a quorum queue may take a moment.
fn fetch(client: &mut RawClient, name: &str) -> Fetched {
    client.expect_count(name, 1);
    client.get(name)
}

/// How often it came back, and how often it failed.
fn counts(fetched: &Fetched) -> [i64; 2] {
    let headers = fetched.content.properties.headers.clone().unwrap_or_default();
    ["x-acquired-count", "x-delivery-count"].map(|name| match headers.get(name) {
        None => 0,
        Some(Value::Long(count)) => *count,
        Some(other) => panic!("{name}: {other:?}"),
    })
}
