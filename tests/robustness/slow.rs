//! Clients whose bytes come one at a time.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::raw_client::content::{FRAME_BODY, Properties, content_header, frame};
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Message};

#[test]
fn a_conversation_may_come_byte_by_byte() {
    let mut broker = BrokerUnderTest::start();
    let reach = broker.broker();
    let mut client = reach.socket();
    // Around the length at which bodies are no longer copied.
    let bodies = [vec![b'a'; 10], vec![b'b'; 4095], vec![b'c'; 4096]];
    let mut said = reach.handshake().greeting(1);
    said.extend(queue::declare("slow").with(Flag::Exclusive).frame());
    for body in &bodies {
        said.extend(Message::to_queue("slow").body(body).encode(131_072));
        said.extend(basic::get("slow").frame());
    }
    said.extend(basic::ack(3).with(Flag::Multiple).frame());
    for byte in said {
        client.send_bytes(&[byte]);
    }
    client.expect_greeting(1);
    client.expect_from(1, queue::DECLARE_OK);
    for body in &bodies {
        assert!(client.expect(basic::GET_OK).fetched().content.body == *body);
    }
    assert_eq!(client.call(basic::get("slow")).id, basic::GET_EMPTY);
    client.close();
    broker.assert_sound();
}

#[test]
fn a_body_may_come_in_the_smallest_frames() {
    let mut broker = BrokerUnderTest::start();
    let mut client = broker.broker().connect();
    client.call(queue::declare("crumbs").with(Flag::Exclusive));
    let body: Vec<u8> = (0..=255).cycle().take(9000).collect();
    client.send(basic::publish("", "crumbs"));
    client.send_bytes(&content_header(1, body.len() as u64, &Properties::default()));
    for piece in body.chunks(3) {
        // An empty frame is no piece, and no error either.
        client.send_bytes(&frame(FRAME_BODY, 1, b""));
        client.send_bytes(&frame(FRAME_BODY, 1, piece));
    }
    assert!(client.get("crumbs").content.body == body);
    broker.assert_sound();
}
