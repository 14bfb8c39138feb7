//! What once went wrong, row by row.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{TO_RUN, wait_until};
use leveret_tests::raw_client::content::{FRAME_BODY, frame};
use leveret_tests::raw_client::method::{basic, channel, connection, queue};
use leveret_tests::raw_client::{Flag, Message};

/// An acknowledgement is carried out together with those behind it; when it fails, the method that
/// comes next on another channel, or for the connection, still counts.
#[test]
fn a_failed_settlement_takes_no_other_method_with_it() {
    let mut broker = BrokerUnderTest::start();
    let mut client = broker.broker().connect_bare();
    client.open_channel(2);
    let failing = |number| basic::ack(999).on(number).frame();
    let declare = queue::declare("kept").with(Flag::Exclusive).on(2);
    client.send_bytes(&[failing(1), declare.frame()].concat());
    client.expect_from(1, channel::CLOSE);
    client.expect_from(2, queue::DECLARE_OK);
    client.send_bytes(&[failing(2), channel::open(3).frame()].concat());
    client.expect_from(2, channel::CLOSE);
    client.expect_from(3, channel::OPEN_OK);
    client.send_bytes(&[failing(3), connection::close(200, "bye", (0, 0)).frame()].concat());
    client.expect_from(3, channel::CLOSE);
    client.expect_from(0, connection::CLOSE_OK);
    broker.assert_sound();
}

/// An error that another channel makes behind the failed settlement is not forgotten over it.
#[test]
fn a_failed_settlement_hides_no_error_of_another_channel() {
    let mut broker = BrokerUnderTest::start();
    let mut client = broker.broker().connect_bare();
    client.open_channel(2);
    let body_without_header = frame(FRAME_BODY, 2, b"?");
    client.send_bytes(&[basic::ack(999).frame(), body_without_header].concat());
    client.expect_from(1, channel::CLOSE);
    assert_eq!(client.expect_from(0, connection::CLOSE).close().code, 505);
    broker.assert_sound();
}

/// The end of a queue is told to its consumers' connections by the tag of the consumer. When the tag
/// was given to another consumer meanwhile, that one has to stay: forgotten by its channel, it kept
/// its queue, and its connection, for ever.
#[test]
fn a_queue_that_ends_takes_no_later_consumer_with_it() {
    let mut broker = BrokerUnderTest::start();
    let mut client = broker.broker().connect_bare();
    client.call(queue::declare("ends"));
    client.call(queue::declare("stays"));
    // In one write, so that all of it is done before the news of the first queue's end is read.
    let said = [
        basic::consume("ends", "tag"),
        queue::delete("ends"),
        basic::cancel("tag"),
        basic::consume("stays", "tag"),
    ];
    client.send_bytes(&said.map(|method| method.frame()).concat());
    for answer in [basic::CONSUME_OK, queue::DELETE_OK, basic::CANCEL_OK, basic::CONSUME_OK] {
        client.expect_from(1, answer);
    }
    client.round_trip(b"the news was read");
    client.call(basic::cancel("tag"));
    client.call(queue::delete("stays").with(Flag::IfUnused));
    broker.assert_sound();
}

/// A client that asks for much and reads nothing is not read from any more; the end of the broker
/// reaches its connection all the same.
///
/// How many of the gets the broker reads before it stops depends on how they arrive, so only that the
/// answers are more than a socket takes is waited for: a queue that has become empty may never come.
#[test]
fn a_client_that_reads_nothing_hears_of_the_end() {
    let mut broker = BrokerUnderTest::start();
    let mut client = broker.broker().connect_bare();
    client.call(queue::declare("much"));
    let (count, body) = (300, vec![b'm'; 131_000]);
    for _ in 0..count {
        client.publish(&Message::to_queue("much").body(&body));
    }
    assert_eq!(client.queue_state("much").message_count, count);
    let gets = (0..count).map(|_| basic::get("much").with(Flag::NoAck).frame());
    client.send_bytes(&gets.collect::<Vec<_>>().concat());
    // The messages are on their way to the client, who leaves them there: more than the buffers of
    // both sockets hold, so that the broker cannot be rid of them.
    let mut other = broker.broker().connect_bare();
    let taken_min = 100;
    wait_until("the broker takes most of the messages off the queue", || {
        other.queue_state("much").message_count <= count - taken_min
    });
    assert!(broker.terminate(TO_RUN).success());
    broker.assert_no_panic();
}
