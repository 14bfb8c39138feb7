//! Garbage over real sockets, from seeds: `conversation` makes it, here it is sent.
//!
//! `LEVERET_FUZZ_SECONDS` fuzzes longer than the normal run does, `LEVERET_FUZZ_SEED` from another
//! seed than 0. Every conversation ends with the client's end of the socket, and the broker must
//! end it too; what it answered must be whole frames.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::client::Frame;
use crate::conversation::{QUEUES, conversation};
use crate::wire;

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

#[expect(clippy::disallowed_methods, reason = "how long to fuzz is real time")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn garbage_harms_nobody_but_its_sender() {
    let mut broker = Broker::start();
    let mut seed = number("LEVERET_FUZZ_SEED").unwrap_or(0);
    let first = seed;
    let end = number("LEVERET_FUZZ_SECONDS").map(|seconds| now() + Duration::from_secs(seconds));
    while end.map_or(seed < first + BATCHES * BATCH, |end| now() < end) {
        println!("seeds {seed} to {}", seed + BATCH - 1);
        renew_queues(&broker);
        batch(&broker, seed);
        seed += BATCH;
        broker.assert_sound();
        if (seed - first).is_multiple_of(BATCHES_EACH * BATCH) {
            end_broker(std::mem::replace(&mut broker, Broker::start()));
        }
    }
    end_broker(broker);
    println!("{} conversations", seed - first);
}

fn end_broker(broker: Broker) {
    let memory = broker.memory();
    assert!(memory < MEMORY_MAX, "{memory} bytes");
    broker.terminate();
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
                    converse(broker.socket(), seed);
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
        listen.join().unwrap_or_else(|_| panic!("seed {seed}"));
    });
}

/// Reads whole frames to the end.
fn listen(socket: &mut TcpStream, seed: u64) {
    let mut input = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        match socket.read(&mut piece) {
            Ok(0) => return,
            Ok(count) => input.extend(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("seed {seed}: the broker did not end the connection: {error}"),
        }
        if input == wire::HEADER {
            // The answer to a wrong protocol header.
            input.clear();
        }
        while !input.is_empty() && !wire::HEADER.starts_with(&input) {
            if Frame::cut(&mut input).is_none() {
                break;
            }
        }
    }
}

/// Makes the queues that conversations share anew, with nothing in them. The consumers of ended
/// conversations are gone, so none is in use.
fn renew_queues(broker: &Broker) {
    let mut client = broker.client();
    for queue in QUEUES {
        let if_unused = wire::method(1, wire::DELETE, &[&[0; 2], &wire::short(queue), &[1]]);
        client.ask(&if_unused, 1, wire::DELETE_OK);
        client.ask(&wire::declare(1, queue, 0), 1, wire::DECLARE_OK);
    }
    client.close();
}
