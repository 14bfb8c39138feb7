//! Large bodies, and what they cost in memory: those that are refused, and those that are kept.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::raw_client::content::{FRAME_BODY, Properties, content_header, frame};
use leveret_tests::raw_client::method::{basic, channel, queue};
use leveret_tests::raw_client::{Handshake, Message, RawClient};

const MIB: usize = 1 << 20;
/// What a broker may take beside what is asked for: buffers of connections, and what the allocator
/// keeps.
const SLACK: usize = 48 * MIB;

/// A client that agrees to the largest frames.
fn connect(broker: &BrokerUnderTest) -> RawClient {
    let reach = broker.broker();
    let handshake = Handshake { frame_max: Some(131_072), ..reach.handshake() };
    reach.connect_as(&handshake)
}

/// A body far above the limit was kept until all of it was there, and only then refused.
#[test]
fn a_body_that_is_too_large_is_refused_at_its_header_and_not_kept() {
    let mut broker = BrokerUnderTest::start_with("max_message_size = 1MB\n");
    let mut client = connect(&broker);
    let before = broker.memory();
    client.send(basic::publish("", "nobody"));
    client.send_bytes(&content_header(1, 400 << 20, &Properties::default()));
    let text = "PRECONDITION_FAILED - message size 419430400 is larger than configured max size \
                1000000";
    let close = client.expect(channel::CLOSE).close();
    assert_eq!((close.code, close.text.as_str(), close.cause), (406, text, basic::PUBLISH));
    let part = frame(FRAME_BODY, 1, &vec![b'x'; 131_064]);
    for _ in 0..(200 * MIB / part.len()) {
        client.send_bytes(&part);
    }
    client.send(channel::close_ok());
    client.open_channel(1);
    let grown = broker.memory().saturating_sub(before);
    assert!(grown < SLACK, "{} MiB for a message that cannot be taken", grown / MIB);
    client.round_trip(b"the connection lives");
    broker.assert_sound();
}

/// A body kept a whole read buffer in memory, of which it was a small part.
#[test]
fn bodies_that_are_kept_take_the_memory_they_need() {
    let mut broker = BrokerUnderTest::start_with("message_memory.queue = 1GiB\n");
    for (size, count) in
        [(4200, 8000), (40_000, 800), (70_000, 500), (140_000, 250), (300_000, 120)]
    {
        let mut client = connect(&broker);
        client.call(queue::declare("kept"));
        let kept = Message::to_queue("kept").body(vec![b'k'; size]).encode(131_072);
        let gone = Message::to_queue("nobody").body(vec![b'g'; 30_000]).encode(131_072);
        let before = broker.memory();
        for _ in 0..count {
            client.send_bytes(&[&kept[..], &gone.repeat(4)].concat());
        }
        client.expect_count("kept", count);
        let grown = broker.memory().saturating_sub(before);
        let needed = size * count as usize;
        println!("{count} bodies of {size}: {} MiB for {} MiB", grown / MIB, needed / MIB);
        assert!(grown < 2 * needed + SLACK, "{} MiB for {} MiB", grown / MIB, needed / MIB);
        client.call(queue::delete("kept"));
    }
    broker.assert_sound();
}
