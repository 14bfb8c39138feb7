//! Clients that are gone, in the middle of whatever they did.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::broker::Broker;
use crate::client::Client;
use crate::wire;

const TIMES: usize = 50;

/// Closes with a reset instead of an end.
fn reset(client: Client) {
    let socket = client.into_socket();
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a socket option");
}

/// Ends the other client's work, also when a test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `vanish` over and over while another client works, then looks at the broker.
fn while_another_works(mut vanish: impl FnMut(&Broker, usize)) -> Broker {
    let mut broker = Broker::start();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = broker.client();
            while !done.load(Ordering::Relaxed) {
                client.round_trip(b"undisturbed");
            }
            client.close();
        });
        let _end = End(&done);
        for time in 0..TIMES {
            vanish(&broker, time);
        }
    });
    broker.assert_sound();
    broker
}

#[test]
fn a_message_that_did_not_come_whole_is_none() {
    let said =
        [wire::publish(1, "half", &[b'x'; 5000]), wire::publish(1, "half", b"in one short frame")];
    let broker = while_another_works(|broker, time| {
        let mut client = broker.client();
        client.ask(&wire::declare(1, "half", 0), 1, wire::DECLARE_OK);
        let said = &said[time % said.len()];
        let end = said.len() * (time + 1) / (TIMES + 1);
        client.send(&said[..end]);
        if time % 3 == 0 {
            reset(client);
        }
    });
    let mut client = broker.client();
    client.ask(&wire::get(1, "half", true), 1, wire::GET_EMPTY);
}

#[test]
fn what_a_vanished_consumer_held_is_delivered_again() {
    let broker = while_another_works(|broker, time| {
        let mut client = broker.client();
        client.ask(&wire::declare(1, "held", 0), 1, wire::DECLARE_OK);
        if time == 0 {
            client.send(&wire::publish(1, "held", b"survivor"));
        }
        client.ask(&wire::qos(1, 5), 1, wire::QOS_OK);
        client.ask(&wire::consume(1, "held", "c"), 1, wire::CONSUME_OK);
        let message = client.message(1, wire::DELIVER);
        assert_eq!(message.body, b"survivor");
        assert_eq!((message.delivery_tag, message.redelivered), (1, time > 0));
        match time % 3 {
            0 => reset(client),
            1 => client.into_socket().shutdown(Shutdown::Both).expect("an open socket"),
            _ => drop(client),
        }
    });
    let mut client = broker.client();
    client.ask(&wire::consume(1, "held", "c"), 1, wire::CONSUME_OK);
    assert!(client.message(1, wire::DELIVER).redelivered);
    client.send(&wire::ack(1, 1, false));
    client.ask(&wire::get(1, "held", true), 1, wire::GET_EMPTY);
}

#[test]
fn consumers_that_never_read_and_vanish_lose_nothing() {
    let body = vec![b'y'; 60_000];
    let broker = while_another_works(|broker, time| {
        let mut client = broker.client();
        if time == 0 {
            client.ask(&wire::declare(1, "unread", 0), 1, wire::DECLARE_OK);
            // More than a socket and the broker's buffer take.
            (0..100).for_each(|_| client.send(&wire::publish(1, "unread", &body)));
        }
        client.send(&wire::consume(1, "unread", "c"));
        client.expect(1, wire::CONSUME_OK);
        if time % 2 == 0 {
            reset(client);
        }
    });
    let mut client = broker.client();
    client.send(&wire::consume(1, "unread", "c"));
    client.expect(1, wire::CONSUME_OK);
    for tag in 1..=100 {
        let message = client.message(1, wire::DELIVER);
        assert_eq!(message.delivery_tag, tag);
        assert!(message.body == body);
    }
}

#[test]
fn half_open_handshakes_stand_in_nobodys_way() {
    let greeting = wire::greeting(1);
    let mut kept = Vec::new();
    while_another_works(|broker, time| {
        let mut client = Client::on(broker.socket());
        client.send(&greeting[..greeting.len() * time / TIMES]);
        match time % 3 {
            0 => reset(client),
            1 => drop(client),
            _ => kept.push(client),
        }
    });
}
