//! Clients whose bytes come one at a time.

use std::io::Write;

use crate::broker::Broker;
use crate::client::Client;
use crate::wire;

#[test]
fn a_conversation_may_come_byte_by_byte() {
    let mut broker = Broker::start();
    let mut socket = broker.socket();
    // Around the length at which bodies are no longer copied.
    let bodies = [vec![b'a'; 10], vec![b'b'; 4095], vec![b'c'; 4096]];
    let mut said = wire::greeting(1);
    said.extend(wire::declare(1, "slow", wire::EXCLUSIVE));
    for body in &bodies {
        said.extend(wire::publish(1, "slow", body));
        said.extend(wire::get(1, "slow", false));
    }
    said.extend(wire::ack(1, 3, true));
    for byte in said {
        socket.write_all(&[byte]).expect("the broker reads");
    }
    let mut client = Client::on(socket);
    client.expect_greeting(1);
    client.expect(1, wire::DECLARE_OK);
    for body in &bodies {
        assert!(client.message(1, wire::GET_OK).body == *body);
    }
    client.ask(&wire::get(1, "slow", true), 1, wire::GET_EMPTY);
    client.close();
    broker.assert_sound();
}

#[test]
fn a_body_may_come_in_the_smallest_frames() {
    let mut broker = Broker::start();
    let mut client = broker.client();
    client.ask(&wire::declare(1, "crumbs", wire::EXCLUSIVE), 1, wire::DECLARE_OK);
    let body: Vec<u8> = (0..=255).cycle().take(9000).collect();
    let publish = wire::method(1, wire::PUBLISH, &[&[0; 3], &wire::short("crumbs"), &[0]]);
    client.send(&publish);
    client.send(&wire::content(1, body.len() as u64, b""));
    for piece in body.chunks(3) {
        // An empty frame is no piece, and no error either.
        client.send(&wire::frame(wire::BODY, 1, b""));
        client.send(&wire::frame(wire::BODY, 1, piece));
    }
    client.send(&wire::get(1, "crumbs", true));
    assert!(client.message(1, wire::GET_OK).body == body);
    broker.assert_sound();
}
