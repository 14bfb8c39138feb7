//! Alarms that come, meet, and go while the broker runs: who is told what, and what goes on.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::Deadline;
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, connection, queue};
use leveret_tests::raw_client::{Handshake, Message, RawClient};

const LOW_MEMORY: &str = "vm_memory_high_watermark.absolute = 1\n";
const LOW_DISK: &str = "disk_free_limit.absolute = 1000000TB\n";
const QUEUE: &str = "pressed";
const MESSAGES: usize = 20;
const PREFETCH: u16 = 5;

fn configure(broker: &BrokerUnderTest, lines: &str, told: &str) {
    let before = broker.printed().matches(told).count();
    broker.reconfigure(lines);
    broker.hang_up();
    leveret_tests::deadline::wait_until(told, || broker.printed().matches(told).count() > before);
}

fn why(client: &mut RawClient) -> String {
    let reply = client.skip_to(connection::BLOCKED);
    String::from_utf8(reply.arguments.get(1..).unwrap_or_default().to_vec()).expect("text")
}

/// Takes and settles messages, one by one.
fn consume(client: &mut RawClient, count: usize) {
    for _ in 0..count {
        let delivery = client.expect_delivery();
        client.send(basic::ack(delivery.delivery_tag));
    }
}

#[test]
fn alarms_block_who_publishes_and_nobody_else_until_all_are_over() {
    let mut broker = BrokerUnderTest::start();
    let handshake = Handshake { heartbeat: 1, ..broker.broker().handshake() };
    let mut client = broker.broker().connect_as(&handshake);
    client.call(queue::declare(QUEUE));
    for _ in 0..2 * MESSAGES {
        client.publish(&Message::to_queue(QUEUE).body("x"));
    }
    client.expect_count(QUEUE, 2 * u32::try_from(MESSAGES).expect("few"));
    let mut consumer = broker.broker().connect();
    configure(&broker, LOW_MEMORY, "resource alarm: low on memory");
    assert_eq!(why(&mut client), "low on memory");
    // It consumes and settles, on the very connection that is blocked, and so do others.
    client.call(basic::qos(PREFETCH));
    client.call(basic::consume(QUEUE, "own"));
    consume(&mut client, MESSAGES);
    client.call(basic::cancel("own"));
    consumer.call(basic::qos(PREFETCH));
    consumer.call(basic::consume(QUEUE, "other"));
    consume(&mut consumer, MESSAGES - usize::from(PREFETCH));
    let beats = client.heartbeats();
    let deadline = Deadline::of("heartbeats of a blocked client");
    while client.heartbeats() < beats + 2 {
        let _ = client.read_reply(now() + Duration::from_millis(100));
        deadline.check();
    }
    // A second alarm is no news for who is blocked, but for who publishes now.
    configure(&broker, &format!("{LOW_MEMORY}{LOW_DISK}"), "resource alarm: low on disk");
    let mut third = broker.broker().connect();
    third.publish(&Message::to_queue(QUEUE).body("y"));
    assert_eq!(why(&mut third), "low on disk & memory");
    configure(&broker, LOW_DISK, "resource alarm: no longer low on memory");
    assert_eq!(client.queue_state(QUEUE).consumer_count, 1);
    configure(&broker, "", "resource alarm: no longer low on disk; publishers go on");
    let deadline = Deadline::of("the end of the alarms");
    loop {
        deadline.check();
        let reply = client.expect_any();
        assert_ne!(reply.id, connection::BLOCKED, "it was told once");
        if reply.id == connection::UNBLOCKED {
            break;
        }
    }
    third.skip_to(connection::UNBLOCKED);
    third.round_trip(b"goes on");
    consumer.call(basic::cancel("other"));
    broker.assert_sound();
}
