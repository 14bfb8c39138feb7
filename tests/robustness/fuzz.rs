//! Garbage over real sockets, from seeds: `conversation` makes it, here it is sent.
//!
//! `LEVERET_FUZZ_SECONDS` fuzzes longer than the normal run does, `LEVERET_FUZZ_SEED` from another
//! seed than 0. Every conversation ends with the client's end of the socket, and the broker must
//! end it too; what it answered must be whole frames.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{Deadline, TO_RUN, join_scoped};
use leveret_tests::now;
use leveret_tests::raw_client::Flag;
use leveret_tests::raw_client::content::Frame;
use leveret_tests::raw_client::handshake::PROTOCOL_HEADER;
use leveret_tests::raw_client::method::queue;

use crate::conversation::{QUEUES, conversation};

const THREADS: usize = 4;
/// Conversations between two looks at the broker.
const BATCH: u64 = 250;
/// Batches of the normal run.
const BATCHES: u64 = 12;
/// Batches that one broker bears. Conversations leave queues of garbled names, which a binding may
/// fill for ever, so in the long run each broker's memory would grow with reason.
const BATCHES_EACH: u64 = 100;
/// Memory that a broker must not exceed until then, in bytes.
const MEMORY_MAX: usize = 1 << 30;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: want a number")))
}

#[test]
fn garbage_harms_nobody_but_its_sender() {
    let mut broker = BrokerUnderTest::start();
    let mut seed = number("LEVERET_FUZZ_SEED").unwrap_or(0);
    let first = seed;
    let end = number("LEVERET_FUZZ_SECONDS").map(|seconds| now() + Duration::from_secs(seconds));
    while end.map_or(seed < first + BATCHES * BATCH, |end| now() < end) {
        println!("seeds {seed} to {}", seed + BATCH - 1);
        let reach = broker.broker();
        renew_queues(&reach);
        batch(&reach, seed);
        seed += BATCH;
        broker.assert_sound();
        if (seed - first).is_multiple_of(BATCHES_EACH * BATCH) {
            end_broker(std::mem::replace(&mut broker, BrokerUnderTest::start()));
        }
    }
    end_broker(broker);
    println!("{} conversations", seed - first);
}

fn end_broker(mut broker: BrokerUnderTest) {
    let memory = broker.memory();
    assert!(memory < MEMORY_MAX, "{memory} bytes");
    assert!(broker.terminate(TO_RUN).success());
    broker.assert_no_panic();
}

fn batch(broker: &Broker, first: u64) {
    let next = AtomicU64::new(first);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + BATCH {
                        return;
                    }
                    converse(broker.socket().into_socket(), seed);
                }
            });
        }
    });
}

/// Says it all, then listens until the broker has closed.
fn converse(mut socket: TcpStream, seed: u64) {
    let said = conversation(seed);
    let mut reader = socket.try_clone().expect("a second handle");
    thread::scope(|scope| {
        let listen = scope.spawn(|| listen(&mut reader, seed));
        for piece in &said {
            if socket.write_all(piece).is_err() {
                break;
            }
        }
        let _ = socket.shutdown(Shutdown::Write);
        join_scoped(&format!("the end of the conversation of seed {seed}"), listen);
    });
}

/// Reads whole frames to the end.
fn listen(socket: &mut TcpStream, seed: u64) {
    let mut input = Vec::new();
    let mut piece = [0; 16 * 1024];
    let deadline = Deadline::of(&format!("the end of the connection of seed {seed}"));
    loop {
        deadline.check();
        match socket.read(&mut piece) {
            Ok(0) => return,
            Ok(count) => input.extend(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("seed {seed}: the broker did not end the connection: {error}"),
        }
        if input == PROTOCOL_HEADER {
            // The answer to a wrong protocol header.
            input.clear();
        }
        while !input.is_empty() && !PROTOCOL_HEADER.starts_with(&input) {
            if Frame::cut(&mut input).is_none() {
                break;
            }
        }
    }
}

/// Makes the queues that conversations share anew, with nothing in them. The consumers of ended
/// conversations are gone, so none is in use.
fn renew_queues(broker: &Broker) {
    let mut client = broker.connect_bare();
    for name in QUEUES {
        client.call(queue::delete(name).with(Flag::IfUnused));
        client.call(queue::declare(name));
    }
    client.close();
}
