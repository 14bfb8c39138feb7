//! A connection as the rest of the broker sees it: its outgoing buffer and its mailbox.
//!
//! Shared by the connection's own task, its writer task, the queues its consumers are on, and the
//! registry of connections. Stays true: exactly one party writes to the socket at a time (whoever
//! made `Outbox::start_writing` or `claim_for_writer` succeed), and no lock is held meanwhile.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::outbox::{Outbox, Writing};

/// A connection's number: never used twice while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// The next unused number.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What other tasks tell a connection's own task.
#[derive(Debug)]
pub enum Event {
    /// The outgoing buffer has room again: consumers that were held back may go on.
    Relieved,
    /// A consumer's queue was deleted.
    ConsumerCancelled {
        /// The consumer's channel.
        channel: u16,
        /// Its tag.
        consumer_tag: String,
    },
    /// The socket cannot be written to.
    SocketFailed(io::ErrorKind),
    /// The broker ends the connection (320).
    ForceClose(String),
    /// The resource alarms changed: tell the client, or read on.
    AlarmsChanged,
}

/// Up to this many bytes are written by whoever added them: that saves waking a task. More is left
/// to the writer task, so that parsing and writing overlap.
const DIRECT_WRITE_MAX: usize = 32 * 1024;

/// What a connection writes to.
pub trait WriteHalf {
    /// Writes what is taken at once, which is at least a byte, or fails with `WouldBlock`.
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until it is worth trying again.
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl WriteHalf for OwnedWriteHalf {
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::try_write_vectored(self, slices)
    }

    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send {
        Self::writable(self)
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct ConnectionHandle<W = OwnedWriteHalf> {
    id: ConnectionId,
    outbox: Mutex<Outbox>,
    socket: W,
    writer_wanted: Notify,
    mailbox: Mutex<Vec<Event>>,
    mail: Notify,
}

impl<W: WriteHalf> ConnectionHandle<W> {
    /// For a connection that may send frames of `frame_max` bytes.
    pub fn new(socket: W, frame_max: u32) -> Arc<Self> {
        Arc::new(Self {
            id: ConnectionId::next(),
            outbox: Mutex::new(Outbox::new(frame_max)),
            socket,
            writer_wanted: Notify::new(),
            mailbox: Mutex::new(Vec::new()),
            mail: Notify::new(),
        })
    }

    /// The connection's number.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Locks the outgoing buffer. May be called with a queue's lock held; take no other lock while
    /// holding it.
    pub fn outbox(&self) -> MutexGuard<'_, Outbox> {
        #[cfg(test)]
        super::hand_over_test::let_others_run();
        self.outbox.lock()
    }

    /// The socket.
    pub fn socket(&self) -> &W {
        &self.socket
    }

    /// Leaves a message for the connection's task.
    pub fn post(&self, event: Event) {
        self.mailbox.lock().push(event);
        self.mail.notify_one();
    }

    /// Takes all messages.
    pub fn take_mail(&self) -> Vec<Event> {
        std::mem::take(&mut *self.mailbox.lock())
    }

    /// Waits for mail.
    pub async fn mail(&self) {
        self.mail.notified().await;
    }

    /// Waits until the writer task is wanted.
    pub(super) async fn writer_wanted(&self) {
        self.writer_wanted.notified().await;
    }

    /// Wakes the writer task, which then owns the writing.
    pub(super) fn wake_writer(&self) {
        #[cfg(test)]
        super::hand_over_test::let_others_run();
        self.writer_wanted.notify_one();
    }

    /// Sees to it that everything in the outgoing buffer reaches the socket, without waiting: what
    /// the socket does not take at once is left to the writer task. Call it with no lock held.
    pub fn flush(&self) {
        let mut outbox = self.outbox();
        if outbox.writing() == Writing::Busy {
            return;
        }
        if outbox.unsent() > DIRECT_WRITE_MAX {
            if outbox.claim_for_writer() {
                drop(outbox);
                self.wake_writer();
            }
            return;
        }
        let mut next = outbox.start_writing();
        drop(outbox);
        while let Some(mut batch) = next {
            let result = self.socket.try_write_vectored(&batch.slices());
            match result {
                Ok(count) => batch.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.outbox().leave_to_writer(batch);
                    self.wake_writer();
                    return;
                }
                Err(error) => {
                    self.fail(error.kind());
                    return;
                }
            }
            if batch.remaining() > 0 {
                next = Some(batch);
                continue;
            }
            next = self.finish_batch(batch);
        }
    }

    /// Takes a written batch back and gives the next one.
    pub(super) fn finish_batch(&self, batch: super::batch::Batch) -> Option<super::batch::Batch> {
        let mut outbox = self.outbox();
        let relieved = outbox.batch_written(batch);
        let next = outbox.next_batch();
        drop(outbox);
        if relieved {
            self.post(Event::Relieved);
        }
        next
    }

    /// The socket is broken: nothing more goes out, and the connection's task ends the connection.
    pub(super) fn fail(&self, kind: io::ErrorKind) {
        self.outbox().close();
        self.post(Event::SocketFailed(kind));
    }
}

/// The connections whose outgoing buffers got something, to be flushed once all locks are free.
#[derive(Debug, Default)]
pub struct Touched(SmallVec<[Arc<ConnectionHandle>; 4]>);

impl Touched {
    /// Notes a connection, once.
    pub fn add(&mut self, connection: &Arc<ConnectionHandle>) {
        if !self.0.iter().any(|known| Arc::ptr_eq(known, connection)) {
            self.0.push(Arc::clone(connection));
        }
    }

    /// Flushes them all.
    pub fn flush(&mut self) {
        for connection in self.0.drain(..) {
            connection.flush();
        }
    }
}
