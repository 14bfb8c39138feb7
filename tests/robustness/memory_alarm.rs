//! The memory alarm, from its beginning to its end.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{Deadline, wait_within};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, connection, queue};
use leveret_tests::raw_client::{Flag, Message};

const MIB: usize = 1 << 20;
const QUEUES: usize = 6;
/// From the moment everything was consumed. The memory is looked at every second.
const UNBLOCKED_WITHIN: Duration = Duration::from_secs(10);
/// When the allocator has given back what it keeps for a while.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(30);
const KEPT_MAX: usize = 50 * MIB;

/// Resident memory stayed above the mark after everything was consumed, because nobody asked the
/// allocator for the free pages, and publishers stayed blocked for ever.
#[test]
fn the_memory_alarm_ends_soon_after_the_memory_is_free() {
    let config = "vm_memory_high_watermark.absolute = 150MiB\n";
    let mut broker = BrokerUnderTest::start_with(config);
    let mut client = broker.broker().connect();
    let mut other = broker.broker().connect();
    other.round_trip(b"before");
    let before = broker.memory();
    let names: Vec<String> = (0..QUEUES).map(|number| format!("full-{number}")).collect();
    names.iter().for_each(|name| drop(client.call(queue::declare(name))));
    let deadline = Deadline::within("the memory alarm", 2 * GIVEN_BACK_WITHIN);
    let mut published = 1;
    while !broker.printed().contains("resource alarm: low on memory") {
        for name in &names {
            let message = Message::to_queue(name).body(vec![b'x'; 20_000]).encode(131_072);
            client.send_bytes(&message.repeat(20));
            published += 20;
        }
        deadline.check();
    }
    // One more: a client is told at its next publish at the latest.
    client.publish(&Message::to_queue("full-0").body("x"));
    client.skip_to(connection::BLOCKED);
    let mut consumer = broker.broker().connect();
    for name in &names {
        consumer.call(basic::consume(name, name).with(Flag::NoAck));
    }
    for _ in 0..published {
        consumer.expect_delivery();
    }
    let emptied = now();
    client.skip_to(connection::UNBLOCKED);
    assert!(emptied.elapsed() < UNBLOCKED_WITHIN, "unblocked after {:?}", emptied.elapsed());
    println!("unblocked after {:?}, {} MiB", emptied.elapsed(), broker.memory() / MIB);
    client.round_trip(b"publishing goes on");
    wait_within("the memory is given back", GIVEN_BACK_WITHIN, || {
        // What threads keep for themselves goes when they have something to do.
        other.round_trip(b"after");
        (broker.memory() < before + KEPT_MAX).then_some(())
    });
    println!("given back after {:?}", emptied.elapsed());
    broker.assert_sound();
}
