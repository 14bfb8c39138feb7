//! Clients that are gone, in the middle of whatever they did.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{Deadline, TO_RUN};
use leveret_tests::raw_client::Message;
use leveret_tests::raw_client::method::{basic, queue};

const TIMES: usize = 50;

/// Ends the other client's work, also when a test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `vanish` over and over while another client works, then looks at the broker.
fn while_another_works(mut vanish: impl FnMut(&Broker, usize)) -> BrokerUnderTest {
    let mut broker = BrokerUnderTest::start();
    let reach = broker.broker();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let deadline = Deadline::within("the end of those that vanish", TO_RUN);
            let mut client = reach.connect();
            while !done.load(Ordering::Relaxed) {
                client.round_trip(b"undisturbed");
                deadline.check();
            }
            client.close();
        });
        let _end = End(&done);
        for time in 0..TIMES {
            vanish(&reach, time);
        }
    });
    broker.assert_sound();
    broker
}

#[test]
fn a_message_that_did_not_come_whole_is_none() {
    let message = |body: &[u8]| Message::to_queue("half").body(body).encode(131_072);
    let said = [message(&[b'x'; 5000]), message(b"in one short frame")];
    let broker = while_another_works(|broker, time| {
        let mut client = broker.connect();
        client.call(queue::declare("half"));
        let said = &said[time % said.len()];
        let end = said.len() * (time + 1) / (TIMES + 1);
        client.send_bytes(&said[..end]);
        if time % 3 == 0 {
            client.reset();
        }
    });
    let mut client = broker.broker().connect();
    assert_eq!(client.drain("half"), [""; 0]);
}

#[test]
fn what_a_vanished_consumer_held_is_delivered_again() {
    let broker = while_another_works(|broker, time| {
        let mut client = broker.connect();
        client.call(queue::declare("held"));
        if time == 0 {
            client.publish(&Message::to_queue("held").body("survivor"));
        }
        client.call(basic::qos(5));
        client.call(basic::consume("held", "c"));
        let message = client.expect_delivery();
        assert_eq!(message.text(), "survivor");
        assert_eq!((message.delivery_tag, message.redelivered), (1, time > 0));
        match time % 3 {
            0 => client.reset(),
            1 => client.into_socket().shutdown(Shutdown::Both).expect("an open socket"),
            _ => drop(client),
        }
    });
    let mut client = broker.broker().connect();
    client.call(basic::consume("held", "c"));
    assert!(client.expect_delivery().redelivered);
    client.send(basic::ack(1));
    assert_eq!(client.drain("held"), [""; 0]);
}

#[test]
fn consumers_that_never_read_and_vanish_lose_nothing() {
    let body = vec![b'y'; 60_000];
    let broker = while_another_works(|broker, time| {
        let mut client = broker.connect();
        if time == 0 {
            client.call(queue::declare("unread"));
            // More than a socket and the broker's buffer take.
            for _ in 0..100 {
                client.publish(&Message::to_queue("unread").body(&body));
            }
        }
        client.call(basic::consume("unread", "c"));
        if time % 2 == 0 {
            client.reset();
        }
    });
    let mut client = broker.broker().connect();
    client.call(basic::consume("unread", "c"));
    for tag in 1..=100 {
        let message = client.expect_delivery();
        assert_eq!(message.delivery_tag, tag);
        assert!(message.content.body == body);
    }
}

#[test]
fn half_open_handshakes_stand_in_nobodys_way() {
    let mut kept = Vec::new();
    let broker = while_another_works(|broker, time| {
        let greeting = broker.handshake().greeting(1);
        let mut client = broker.socket();
        client.send_bytes(&greeting[..greeting.len() * time / TIMES]);
        match time % 3 {
            0 => client.reset(),
            1 => drop(client),
            _ => kept.push(client),
        }
    });
    assert!(!kept.is_empty(), "some stay open to the end");
    drop(broker);
}
