//! Concurrency test of the hand-over of the outgoing buffer between those who add to it and the
//! writer task: whatever the schedule, nothing stays in the buffer with nobody writing.
//!
//! Shuttle runs the real `ConnectionHandle` and the real writer task on one thread and chooses who
//! goes on at every lock, wake-up and write. The socket is a fake that takes any part of what it is
//! given, or nothing. No lock is held while others run, so the real locks and `Notify` do.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use shuttle::rand::{Rng, thread_rng};
use shuttle::{Config, MaxSteps, Runner, future, thread};

use super::mailbox::Mail;
use super::outbox::{DELIVERY_BYTES_MAX, Handover, Writing};
use super::writer;
use super::{ConnectionHandle, WriteHalf};
use crate::keys::{DeliveryKey, SourceKey};
use crate::message::{HeadLayout, Message};

thread_local! {
    static SCHEDULED: Cell<bool> = const { Cell::new(false) };
}

/// A point at which the schedule may change, in these tests.
pub(super) fn let_others_run() {
    if SCHEDULED.get() {
        thread::yield_now();
    }
}

/// Schedules tried per test.
const SCHEDULES: usize = 3000;

/// Tries schedules until one fails; a test that makes no end in so many steps has lost a wake-up.
fn check(test: fn()) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(20_000);
    let scheduler = shuttle::scheduler::RandomScheduler::new(SCHEDULES);
    SCHEDULED.set(true);
    Runner::new(scheduler, config).run(test);
    SCHEDULED.set(false);
}

#[derive(Debug, Default)]
struct FakeSocket {
    /// What was to be written, and what was.
    added: Mutex<Vec<u8>>,
    taken: Mutex<Vec<u8>>,
    writes: AtomicUsize,
    busy: AtomicBool,
    /// The write that fails, counted from 1; 0 is none.
    fails_at: usize,
    keeps_bytes: bool,
}

impl WriteHalf for FakeSocket {
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(!self.busy.swap(true, Ordering::SeqCst), "two write at once");
        let_others_run();
        let result = self.write(slices);
        assert!(self.busy.swap(false, Ordering::SeqCst));
        result
    }

    async fn writable(&self) -> io::Result<()> {
        future::yield_now().await;
        Ok(())
    }
}

impl FakeSocket {
    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.writes.fetch_add(1, Ordering::SeqCst) + 1 == self.fails_at {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if thread_rng().gen_bool(0.3) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let count = if thread_rng().gen_bool(0.5) { total } else { 1 + total / 2 };
        let count = count.min(total);
        if self.keeps_bytes {
            let mut taken = self.taken.lock();
            let end = taken.len() + count;
            for slice in slices {
                let room = end - taken.len();
                taken.extend_from_slice(&slice[..slice.len().min(room)]);
            }
        }
        Ok(count)
    }
}

type Connection = Arc<ConnectionHandle<FakeSocket>>;

/// Runs two producers beside the writer task, and returns when nobody writes any more.
fn with_two_producers(socket: FakeSocket, produce: fn(&Connection, u8)) -> Connection {
    let connection = ConnectionHandle::new(socket, 0);
    let writer = future::spawn(writer::run(Arc::clone(&connection)));
    let producers = [1, 2].map(|number| {
        let connection = Arc::clone(&connection);
        thread::spawn(move || produce(&connection, number))
    });
    for producer in producers {
        producer.join().expect("a producer ends");
    }
    while connection.outbox().writing() == Writing::Busy && !connection.outbox().is_closed() {
        thread::yield_now();
    }
    writer.abort();
    connection
}

/// More than is written directly.
const LARGE: usize = 40_000;

fn add_small_and_large(connection: &Connection, number: u8) {
    for step in 0..4 {
        let length = if step == 2 { LARGE } else { 10 };
        let frame = vec![number; length];
        let mut outbox = connection.outbox();
        outbox.frames().extend_from_slice(&frame);
        connection.socket().added.lock().extend_from_slice(&frame);
        drop(outbox);
        // A reply by the connection's task is flushed later, together with the next.
        if step != 1 {
            connection.flush();
        }
    }
}

#[test]
fn nothing_stays_in_the_buffer_with_nobody_writing() {
    check(|| {
        let socket = FakeSocket { keeps_bytes: true, ..FakeSocket::default() };
        let connection = with_two_producers(socket, add_small_and_large);
        assert_eq!(connection.outbox().unsent(), 0);
        let FakeSocket { added, taken, .. } = connection.socket();
        assert!(*added.lock() == *taken.lock(), "not the bytes that were added, in their order");
        assert_eq!(connection.take_mail(), Mail::default());
    });
}

fn large_message() -> Message {
    let layout = HeadLayout { properties_at: 4, body_at: 6 };
    let body = Bytes::from(vec![0; DELIVERY_BYTES_MAX * 2 / 3]);
    Message::new(b"\x01x\x01k\0\0", layout, Some(body), false)
}

fn deliver(connection: &Connection, message: &Message) -> Handover {
    let mut outbox = connection.outbox();
    let slot = outbox.open_channel(1);
    outbox.deliver(slot, SourceKey(0), b"c", DeliveryKey::NONE, message, false)
}

fn deliver_until_refused(connection: &Connection, _: u8) {
    let message = large_message();
    for _ in 0..3 {
        let outcome = deliver(connection, &message);
        connection.flush();
        if outcome != Handover::Accepted {
            break;
        }
    }
}

#[test]
fn a_congested_connection_is_relieved_and_says_so() {
    check(|| {
        let connection = with_two_producers(FakeSocket::default(), deliver_until_refused);
        assert_eq!(connection.outbox().unsent(), 0);
        let mail = connection.take_mail();
        assert_eq!(mail, Mail { relieved: mail.relieved, ..Mail::default() });
        let outcome = deliver(&connection, &large_message());
        assert_eq!(outcome, Handover::Accepted, "nobody waits for a relief that was not told");
    });
}

fn refused_means_mail_is_due(connection: &Connection, _: u8) {
    let message = large_message();
    while deliver(connection, &message) == Handover::Accepted {
        connection.flush();
    }
    connection.flush();
}

#[test]
fn whoever_was_refused_is_told_when_there_is_room() {
    check(|| {
        let connection = with_two_producers(FakeSocket::default(), refused_means_mail_is_due);
        assert_eq!(connection.outbox().unsent(), 0);
        assert!(connection.take_mail().relieved, "both producers wait to be told");
    });
}

#[test]
fn a_broken_socket_is_told_and_closes_the_buffer() {
    check(|| {
        let fails_at = 1 + thread_rng().gen_range(0..4);
        let socket = FakeSocket { fails_at, ..FakeSocket::default() };
        let connection = with_two_producers(socket, add_small_and_large);
        let failed = connection.socket().writes.load(Ordering::SeqCst) >= fails_at;
        let told = connection.take_mail();
        assert_eq!(told.socket_failed.is_some(), failed, "{told:?}");
        assert_eq!(connection.outbox().is_closed(), failed);
    });
}
