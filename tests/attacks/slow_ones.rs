//! Consumers that have been given everything and take a byte a second of it, or settle nothing.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use leveret_tests::broker_under_test::Broker;
use leveret_tests::deadline::{Deadline, TO_RUN, let_pass, wait_until};
use leveret_tests::raw_client::Message;
use leveret_tests::raw_client::method::{basic, queue};

use crate::field::{Attack, sized, while_it_lasts};

/// Messages that a hoarder takes before the next one may.
const READ_IN_A_TURN: usize = 500;

/// How long it waits for each of them.
const A_MOMENT: Duration = Duration::from_millis(1);

/// Bodies of a KiB in the queue.
fn fill(broker: &Broker, queue: &str, thousands: u32) {
    let mut client = broker.connect();
    client.call(queue::declare(queue));
    let one = Message::to_queue(queue).body([b'x'; 1024]).encode(131_072);
    for _ in 0..thousands {
        client.send_bytes(&one.repeat(1000));
    }
    wait_until("the queue is full", || client.queue_state(queue).message_count == thousands * 1000);
    client.close();
}

fn consumer(broker: &Broker, queue: &str) -> TcpStream {
    let mut client = broker.connect();
    client.send(basic::consume(queue, ""));
    client.into_socket()
}

#[test]
fn readers_of_a_byte_a_second() {
    let attack = Attack { name: "slow readers", config: "", memory_mib: sized(256, 512) };
    attack.run(|_, broker| {
        fill(broker, "slow", sized(10, 100));
        let mut readers: Vec<_> = (0..sized(10, 100)).map(|_| consumer(broker, "slow")).collect();
        let deadline = while_it_lasts("slow readers");
        while !deadline.has_passed() {
            for reader in &mut readers {
                // One that was hung up on reads nothing more.
                reader.read_exact(&mut [0]).ok();
            }
            let_pass(sized(Duration::from_millis(100), Duration::from_secs(1)));
        }
        drop(readers);
        delete(broker, "slow");
    });
}

/// Each reads as fast as it can, and acknowledges nothing.
#[test]
fn consumers_that_never_acknowledge() {
    let attack = Attack { name: "no acknowledgements", config: "", memory_mib: sized(256, 512) };
    attack.run(|_, broker| {
        let thousands = sized(10, 300);
        fill(broker, "hoarded", thousands);
        let mut hoarders: Vec<_> = (0..10).map(|_| broker.connect()).collect();
        hoarders.iter_mut().for_each(|client| client.send(basic::consume("hoarded", "")));
        let mut other = broker.connect();
        let deadline = Deadline::within("everything is handed out", TO_RUN);
        while other.queue_state("hoarded").message_count > 0 {
            for hoarder in &mut hoarders {
                // What has come, and at most so much: each has its turn.
                let next = || hoarder.read_reply(leveret_tests::now() + A_MOMENT);
                while_ok(next, READ_IN_A_TURN);
            }
            deadline.check();
        }
        // And keep it.
        let_pass(while_it_lasts("hoarding").end() - leveret_tests::now());
        hoarders.into_iter().for_each(leveret_tests::raw_client::RawClient::reset);
        wait_until("everything is back", || {
            other.queue_state("hoarded").message_count == thousands * 1000
        });
        other.close();
        delete(broker, "hoarded");
    });
}

/// Asks for the next while there is one, and at most so often.
fn while_ok<T, E>(mut next: impl FnMut() -> Result<T, E>, most: usize) {
    (0..most).take_while(|_| next().is_ok()).for_each(drop);
}

fn delete(broker: &Broker, queue: &str) {
    let mut client = broker.connect();
    client.call(queue::delete(queue));
    client.close();
}
