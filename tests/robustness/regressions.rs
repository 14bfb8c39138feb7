//! What once went wrong, row by row.

use crate::broker::Broker;
use crate::wire;

/// An acknowledgement is carried out together with those behind it; when it fails, the method that
/// comes next on another channel, or for the connection, still counts.
#[test]
fn a_failed_settlement_takes_no_other_method_with_it() {
    let mut broker = Broker::start();
    let mut client = broker.client();
    client.ask(&wire::channel_open(2), 2, wire::CHANNEL_OPEN_OK);
    let failing = wire::ack(1, 999, false);
    client.send(&[failing, wire::declare(2, "kept", wire::EXCLUSIVE)].concat());
    client.expect(1, wire::CHANNEL_CLOSE);
    client.expect(2, wire::DECLARE_OK);
    client.send(&[wire::ack(2, 999, false), wire::channel_open(3)].concat());
    client.expect(2, wire::CHANNEL_CLOSE);
    client.expect(3, wire::CHANNEL_OPEN_OK);
    client.send(&[wire::ack(3, 999, false), wire::close()].concat());
    client.expect(3, wire::CHANNEL_CLOSE);
    client.expect(0, wire::CLOSE_OK);
    broker.assert_sound();
}

/// An error that another channel makes behind the failed settlement is not forgotten over it.
#[test]
fn a_failed_settlement_hides_no_error_of_another_channel() {
    let mut broker = Broker::start();
    let mut client = broker.client();
    client.ask(&wire::channel_open(2), 2, wire::CHANNEL_OPEN_OK);
    let body_without_header = wire::frame(wire::BODY, 2, b"?");
    client.send(&[wire::ack(1, 999, false), body_without_header].concat());
    client.expect(1, wire::CHANNEL_CLOSE);
    let close = client.expect(0, wire::CLOSE);
    assert_eq!(close.payload[4..6], 505_u16.to_be_bytes());
    broker.assert_sound();
}

/// The end of a queue is told to its consumers' connections by the tag of the consumer. When the tag
/// was given to another consumer meanwhile, that one has to stay: forgotten by its channel, it kept
/// its queue, and its connection, for ever.
#[test]
fn a_queue_that_ends_takes_no_later_consumer_with_it() {
    let mut broker = Broker::start();
    let mut client = broker.client();
    client.ask(&wire::declare(1, "ends", 0), 1, wire::DECLARE_OK);
    client.ask(&wire::declare(1, "stays", 0), 1, wire::DECLARE_OK);
    let cancel = wire::method(1, wire::CANCEL, &[&wire::short("tag"), &[0]]);
    // In one write, so that all of it is done before the news of the first queue's end is read.
    let said = [
        wire::consume(1, "ends", "tag"),
        wire::delete(1, "ends"),
        cancel.clone(),
        wire::consume(1, "stays", "tag"),
    ];
    client.send(&said.concat());
    for answer in [wire::CONSUME_OK, wire::DELETE_OK, wire::CANCEL_OK, wire::CONSUME_OK] {
        client.expect(1, answer);
    }
    client.round_trip(b"the news was read");
    client.ask(&cancel, 1, wire::CANCEL_OK);
    let if_unused = wire::method(1, wire::DELETE, &[&[0; 2], &wire::short("stays"), &[1]]);
    client.ask(&if_unused, 1, wire::DELETE_OK);
    broker.assert_sound();
}

/// A client that asks for much and reads nothing is not read from any more; the end of the broker
/// reaches its connection all the same.
#[test]
fn a_client_that_reads_nothing_hears_of_the_end() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.ask(&wire::declare(1, "much", 0), 1, wire::DECLARE_OK);
    let (count, body) = (300, vec![b'm'; 131_000]);
    (0..count).for_each(|_| client.send(&wire::publish(1, "much", &body)));
    client.ask(&wire::qos(1, 0), 1, wire::QOS_OK);
    (0..count).for_each(|_| client.send(&wire::get(1, "much", true)));
    // The messages are on their way to the client, who leaves them there.
    let mut other = broker.client();
    while !other.is_empty("much") {}
    broker.terminate();
}
