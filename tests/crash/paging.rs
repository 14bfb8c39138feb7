//! Queues that are longer than the memory they may take: bodies leave it and come back in order,
//! however they are fetched, whatever keeps them.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

/// Together some fifty times what the queue may keep in memory.
const MESSAGES: usize = 3000;

fn bodies() -> Vec<String> {
    (0..MESSAGES).map(|number| format!("{number} {}", "x".repeat(1000 + number % 7))).collect()
}

/// Gets some, gives one back, purges nothing, and consumes the rest.
fn fetch_all(client: &mut RawClient, bodies: &[&str]) {
    let (gotten, consumed) = bodies.split_at(MESSAGES / 2);
    let first = client.get("long");
    assert_eq!(first.text(), gotten[0]);
    client.send(basic::nack(first.delivery_tag).with(Flag::Requeue));
    let again = client.get("long");
    assert!(again.redelivered && again.text() == gotten[0], "back in its old place");
    client.send(basic::ack(again.delivery_tag));
    for body in &gotten[1..] {
        let got = client.get("long");
        assert_eq!(got.text(), *body);
        client.send(basic::ack(got.delivery_tag));
    }
    // Without a prefetch limit: what is unacknowledged is out of memory, too.
    client.consume("long");
    let tags = client.expect_deliveries(consumed);
    let (half, last) = (tags[tags.len() / 2], tags[tags.len() - 1]);
    client.send(basic::nack(last).with(Flag::Multiple).with(Flag::Requeue));
    let tags = client.expect_deliveries(consumed);
    assert!(half < tags[0]);
    client.send(basic::ack(tags[tags.len() - 1]).with(Flag::Multiple));
    client.expect_count("long", 0);
}

#[test]
fn a_long_queue_is_fetched_in_order_from_any_store() {
    let bodies = bodies();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    for (store, is_persistent) in [("log", true), ("log", false), ("sled", true)] {
        println!("{store}, persistent: {is_persistent}");
        let config = format!("message_store = {store}\nmessage_memory.queue = 64KiB\n");
        let broker = BrokerUnderTest::start_with(&config);
        let mut client = broker.broker().connect();
        client.declare_queue("long");
        match is_persistent {
            true => client.fill_persistent("long", &bodies),
            false => client.fill("long", &bodies),
        }
        fetch_all(&mut client, &bodies);
        client.close();
        broker.assert_no_panic();
    }
}

#[test]
fn a_long_queue_can_be_purged_and_filled_again() {
    let bodies = bodies();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let mut broker = BrokerUnderTest::start_with("message_memory.queue = 64KiB\n");
    let mut client = broker.broker().connect();
    client.declare_queue("long");
    client.fill("long", &bodies[..MESSAGES / 2]);
    client.fill_persistent("long", &bodies[MESSAGES / 2..]);
    let purged = client.call(queue::purge("long"));
    assert_eq!(purged.message_count(), u32::try_from(MESSAGES).expect("few"));
    client.fill_persistent("long", &bodies);
    client.close();
    broker.kill();
    broker.start_again();
    let mut client = broker.broker().connect();
    assert_eq!(client.drain("long"), bodies);
    client.close();
}

/// In a quorum queue a message that names no priority has the fifth, in memory and out of it, and
/// one that names the lowest comes after it.
#[test]
fn a_long_quorum_queue_keeps_its_priorities() {
    let mut broker = BrokerUnderTest::start_with("message_memory.queue = 64KiB\n");
    let mut client = broker.broker().connect();
    client.call(queue::declare("long").with(Flag::Durable).arg("x-queue-type", "quorum"));
    client.select_confirms();
    let bodies = bodies();
    for (number, body) in bodies.iter().enumerate() {
        let priority = number.is_multiple_of(3).then_some(0);
        let properties = Properties { delivery_mode: Some(2), priority, ..Properties::default() };
        client.publish(&Message::to_queue("long").body(body).properties(properties));
    }
    client.expect_confirmed_up_to(1, bodies.len() as u64);
    let (named, unnamed): (Vec<_>, Vec<_>) =
        bodies.iter().enumerate().partition(|(number, _)| number.is_multiple_of(3));
    let expected: Vec<&str> =
        [unnamed, named].concat().iter().map(|(_, body)| body.as_str()).collect();
    let (first, rest) = expected.split_at(MESSAGES / 3);
    for body in first {
        let got = client.get("long");
        assert_eq!(got.text(), *body);
        client.send(basic::ack(got.delivery_tag));
    }
    client.close();
    broker.kill();
    broker.start_again();
    let mut client = broker.broker().connect();
    let drained = client.drain("long");
    // Those that were acknowledged last may come again.
    assert!(drained.len() >= rest.len(), "{} of {}", drained.len(), rest.len());
    assert!(expected[expected.len() - drained.len()..] == drained, "in order");
    client.close();
}
