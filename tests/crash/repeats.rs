//! SIGKILL while messages come that are to come once: published again by a client that saw no end of
//! it, or moved by the broker, each is there once afterwards.
//!
//! `LEVERET_CRASH_RUNS` sets how often, as for the other kills.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{join_scoped, let_pass};
use leveret_tests::now;
use leveret_tests::raw_client::method::{exchange, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};
use rand::Rng;

use crate::campaign::{lives, seeded};

const MESSAGES: usize = 2000;
const EXCHANGE: &str = "once";
const BEHIND: &str = "behind";
const QUEUE: &str = "queue-once";
const DYING: &str = "dying";
const KILLED_WITHIN: Duration = Duration::from_millis(400);
/// Time enough to publish all of what dies.
const TTL_MS: i32 = 1500;
/// Within it a good part of them has moved, and rarely all.
const MOVED_WITHIN: Duration = Duration::from_millis(60);

fn declare(client: &mut RawClient) {
    let size = i32::try_from(MESSAGES).expect("few");
    let declare = exchange::declare(EXCHANGE, "fanout").with(Flag::Durable);
    client.call(declare.arg("x-message-deduplication", true).arg("x-cache-size", size));
    client.declare_bound_queue(BEHIND, EXCHANGE, "");
    let declare = queue::declare(QUEUE).with(Flag::Durable).arg("x-message-deduplication", true);
    client.call(declare.arg("x-cache-size", size));
}

fn message(exchange: &str, routing_key: &str, number: usize) -> Message {
    let body = format!("{number} {}", "x".repeat(number % 700));
    let message = Message::to(exchange, routing_key).persistent();
    message.header("x-deduplication-header", number.to_string().as_str()).body(body)
}

/// Publishes whatever there is to both, until the broker is gone.
fn publish_until_the_end(mut client: RawClient) {
    for number in 0..MESSAGES {
        for message in [message(EXCHANGE, "", number), message("", QUEUE, number)] {
            if !client.try_send_bytes(&message.encode(client.frame_max())) {
                return;
            }
        }
        // What was confirmed is what a client would not publish again; this one does, all of it.
        while number % 50 == 49 && client.read_reply(now() + Duration::from_millis(1)).is_ok() {}
    }
}

fn kill_while_publishing(broker: &mut BrokerUnderTest, after: Duration) {
    declare(&mut broker.broker().connect());
    std::thread::scope(|scope| {
        let mut publisher = broker.broker().connect();
        publisher.select_confirms();
        let thread = scope.spawn(|| publish_until_the_end(publisher));
        let_pass(after);
        broker.kill();
        join_scoped("the publisher", thread);
    });
    broker.start_again();
    let mut client = broker.broker().connect();
    let there: Vec<u32> =
        [BEHIND, QUEUE].iter().map(|name| client.queue_state(name).message_count).collect();
    println!("killed after {after:?}: {there:?} were there");
    client.select_confirms();
    for number in 0..MESSAGES {
        client.publish(&message(EXCHANGE, "", number));
        client.publish(&message("", QUEUE, number));
    }
    client.expect_confirmed_up_to(1, 2 * MESSAGES as u64);
    for name in [BEHIND, QUEUE] {
        expect_each_once(client.drain(name), name);
        client.call(queue::delete(name));
    }
    client.call(exchange::delete(EXCHANGE));
    client.close();
}

fn kill_while_moving(broker: &mut BrokerUnderTest, after: Duration) {
    let begun = now();
    let mut client = broker.broker().connect();
    declare(&mut client);
    client.call(queue::bind(QUEUE, EXCHANGE, ""));
    let declare = queue::declare(DYING).with(Flag::Durable).arg("x-message-ttl", TTL_MS);
    client.call(declare.arg("x-dead-letter-exchange", EXCHANGE));
    client.select_confirms();
    (0..MESSAGES).for_each(|number| client.publish(&message("", DYING, number)));
    client.expect_confirmed_up_to(1, MESSAGES as u64);
    let ttl = Duration::from_millis(u64::try_from(TTL_MS).expect("positive"));
    let_pass((ttl + after).saturating_sub(now() - begun));
    broker.kill();
    broker.start_again();
    let mut client = broker.broker().connect();
    for name in [BEHIND, QUEUE] {
        client.expect_count(name, u32::try_from(MESSAGES).expect("few"));
        expect_each_once(client.drain(name), name);
        client.call(queue::delete(name));
    }
    client.call(queue::delete(DYING));
    client.call(exchange::delete(EXCHANGE));
    client.close();
}

fn expect_each_once(bodies: Vec<String>, queue: &str) {
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for body in bodies {
        let number = body.split(' ').next().and_then(|number| number.parse().ok());
        *seen.entry(number.expect("a number")).or_default() += 1;
    }
    for number in 0..MESSAGES {
        let times = seen.get(&number).copied().unwrap_or(0);
        assert_eq!(times, 1, "message {number} is in {queue} {times} times");
    }
}

fn publish_again_and_again(config: &str) {
    let mut random = seeded(config);
    let mut broker = BrokerUnderTest::start_with(config);
    for _ in 0..lives("LEVERET_CRASH_RUNS", 3) {
        let after = KILLED_WITHIN.mul_f64(random.random_range(0.0..1.0));
        kill_while_publishing(&mut broker, after);
    }
    broker.assert_no_panic();
}

#[test]
fn what_is_published_again_after_a_kill_is_there_once() {
    publish_again_and_again("message_store = log\n");
}

#[test]
fn what_is_published_again_after_a_kill_is_there_once_in_the_other_store() {
    publish_again_and_again("message_store = sled\n");
}

#[test]
fn a_dead_letter_goes_once_through_an_exchange_that_deduplicates() {
    let mut random = seeded("a dead letter goes once");
    let mut broker = BrokerUnderTest::start();
    for _ in 0..lives("LEVERET_CRASH_RUNS", 3) {
        let after = MOVED_WITHIN.mul_f64(random.random_range(0.0..1.0));
        kill_while_moving(&mut broker, after);
    }
    broker.assert_no_panic();
}
