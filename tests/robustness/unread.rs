//! Clients that do not read what they are sent, and a bound for what they do not settle.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{Deadline, let_pass, wait_until};
use leveret_tests::raw_client::method::{basic, channel, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

const BODY: usize = 200_000;
/// More than the system takes on the way.
const MESSAGES: usize = 100;

fn consumer_of(broker: &BrokerUnderTest, name: &str, bodies: usize) -> RawClient {
    let mut client = broker.broker().connect();
    client.call(queue::declare(name));
    let message = Message::to_queue(name).body(vec![b'x'; BODY]).encode(131_072);
    for _ in 0..bodies {
        client.send_bytes(&message);
    }
    client.call(basic::consume(name, name).with(Flag::NoAck));
    client
}

#[test]
fn a_client_that_takes_nothing_is_dropped_and_one_that_is_slow_is_not() {
    let mut broker = BrokerUnderTest::start_with("tcp_listen_options.send_timeout = 1000\n");
    let mut bystander = broker.broker().connect();
    let unread = consumer_of(&broker, "unread", MESSAGES);
    let mut slow = consumer_of(&broker, "slow", MESSAGES);
    let deadline = Deadline::of("the end of who does not read");
    let mut read = 0;
    while bystander.queue_state("unread").consumer_count > 0 {
        deadline.check();
        slow.expect_delivery();
        read += 1;
        bystander.round_trip(b"beside");
        let_pass(Duration::from_millis(50));
    }
    broker.expect_line(&["the client did not take what it was sent within send_timeout"]);
    assert!(read < MESSAGES, "it was still being sent something");
    for _ in read..MESSAGES {
        slow.expect_delivery();
    }
    slow.round_trip(b"slow");
    drop(unread);
    broker.assert_sound();
}

#[test]
fn no_channel_has_more_unsettled_than_it_may() {
    let mut broker = BrokerUnderTest::start_with("unacked_max_per_channel = 3\n");
    let mut client = broker.broker().connect();
    client.call(queue::declare("many"));
    for _ in 0..10 {
        client.publish(&Message::to_queue("many").body("x"));
    }
    client.expect_count("many", 10);
    client.call(basic::qos(100));
    for tag in ["a", "b"] {
        client.call(basic::consume("many", tag));
    }
    let tags: Vec<u64> = (0..3).map(|_| client.expect_delivery().delivery_tag).collect();
    client.expect_count("many", 7);
    let first = tags.first().copied().expect("three of them");
    client.send(basic::ack(first));
    client.expect_delivery();
    client.expect_count("many", 6);
    // What needs no settling does not count, and another channel has its own.
    client.call(basic::get("many").with(Flag::NoAck));
    client.open_channel(2);
    client.call(basic::get("many").on(2));
    client.send(basic::get("many"));
    client.expect_channel_close(
        1,
        406,
        "PRECONDITION_FAILED - reached maximum (3) of unacknowledged messages per channel",
        (60, 70),
    );
    wait_until("what it held is back", || client.queue_state_on(2, "many").message_count == 7);
    client.call(channel::close().on(2));
    broker.assert_sound();
}
