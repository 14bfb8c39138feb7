//! A connection as the rest of the broker sees it: its outgoing buffer and its mailbox.
//!
//! Files in the order of the way out: `outbox` (frames, deliveries and their records in one critical
//! section) with `ledger` and `unacked` (what was delivered and is not settled) and `batch` (bytes),
//! then `writer`, which takes over what the socket does not take at once; `mailbox` is the way in, `pressure` how the
//! connection is held back.
//!
//! Shared by the connection's own task, its writer task, the queues its consumers are on, and the
//! registry of connections. Stays true: exactly one party writes to the socket at a time (whoever
//! made `Outbox::start_writing` or `claim_for_writer` succeed), and no lock is held meanwhile.

pub(crate) mod batch;
pub(crate) mod ledger;
pub(crate) mod mailbox;
pub(crate) mod outbox;
pub(crate) mod pressure;
pub(crate) mod unacked;
pub(crate) mod writer;

#[cfg(test)]
mod hand_over_test;
#[cfg(test)]
mod outbox_model;

use std::io::{self, IoSlice};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashSet;
use smallvec::SmallVec;
use tokio::sync::Notify;

use self::batch::Batch;
use self::mailbox::{Asked, CancelledConsumer, LapsedDeliveries, Mail, Mailbox};
use self::outbox::{Outbox, Writing};
use self::pressure::Pressure;
use crate::clock;
use crate::events::clients::Connection as About;
use crate::keys::ConnectionId;
use crate::meters::history::Ticks;
use crate::meters::octets::Octets;
use crate::transport;

/// Up to this many bytes are written by whoever added them: that saves waking a task. More is left
/// to the writer task, so that parsing and writing overlap.
const DIRECT_WRITE_MAX: usize = 32 * 1024;
/// Bytes that `flush` writes before it leaves the rest to the writer task: others may add as fast as
/// it writes, and it has work of its own.
const FLUSH_MAX: usize = 2 * DIRECT_WRITE_MAX;

/// What a connection writes to.
pub(crate) trait WriteHalf {
    /// Writes what is taken at once, which is at least a byte, or fails with `WouldBlock`. Then the
    /// same bytes come again, at the front of what comes next.
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until it is worth trying again.
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl WriteHalf for transport::WriteHalf {
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::try_write_vectored(self, slices)
    }

    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send {
        Self::writable(self)
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct ConnectionHandle<W = transport::WriteHalf> {
    id: ConnectionId,
    outbox: Mutex<Outbox>,
    socket: W,
    writer_wanted: Notify,
    mailbox: Mailbox,
    pressure: Pressure,
    octets: Arc<Octets>,
    /// Known once the connection is open.
    client: OnceLock<Client>,
}

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Client {
    /// The connection's name as RabbitMQ has it: both ends.
    pub name: Box<str>,
    /// The user's name.
    pub user: Box<str>,
    /// The vhost's name.
    pub vhost: Box<str>,
    /// What there is to say of it beside that.
    pub about: Arc<About>,
    /// What was negotiated: most channels, the largest frame in bytes, the heartbeat interval in
    /// seconds.
    pub tuned: (u16, u32, u16),
    /// When it was opened, in milliseconds since the epoch.
    pub connected_at_ms: u64,
}

impl<W: WriteHalf> ConnectionHandle<W> {
    /// For a connection that may send frames of `frame_max` bytes.
    pub(crate) fn new(socket: W, frame_max: u32) -> Arc<Self> {
        Arc::new(Self {
            id: ConnectionId::next(),
            outbox: Mutex::new(Outbox::new(frame_max)),
            socket,
            writer_wanted: Notify::new(),
            mailbox: Mailbox::default(),
            pressure: Pressure::new(clock::unix_millis()),
            octets: Arc::default(),
            client: OnceLock::new(),
        })
    }

    /// Says who is at the other end, once.
    pub(crate) fn introduce(&self, client: Client) {
        // Nobody is introduced twice.
        let _ = self.client.set(client);
    }

    /// Who is at the other end.
    pub(crate) fn client(&self) -> Option<&Client> {
        self.client.get()
    }

    /// The connection's number.
    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    /// Locks the outgoing buffer. May be called with a queue's lock held; take no other lock while
    /// holding it.
    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        #[cfg(test)]
        hand_over_test::let_others_run();
        self.outbox.lock()
    }

    /// How it is held back.
    pub(crate) fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// What went over its socket.
    pub(crate) fn octets(&self) -> &Arc<Octets> {
        &self.octets
    }

    /// Samples what went over its socket and, if anything did, what its channels did.
    pub(crate) fn sample(&self, ticks: &Ticks) {
        if !self.octets.sample(ticks) {
            return;
        }
        let channels = self.outbox().channel_counts();
        channels.iter().for_each(|(meter, counts)| meter.sample(counts, ticks));
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &W {
        &self.socket
    }

    /// The queue of one of its consumers was deleted.
    pub(crate) fn cancel_consumer(&self, channel: u16, consumer_tag: String) {
        self.post_cancelled(CancelledConsumer { channel, consumer_tag, by_hand: false });
    }

    /// One of its consumers is to go.
    pub(crate) fn stop_consumer(&self, channel: u16, consumer_tag: String) {
        self.post_cancelled(CancelledConsumer { channel, consumer_tag, by_hand: true });
    }

    fn post_cancelled(&self, cancelled: CancelledConsumer) {
        self.mailbox.post(|mail| mail.cancelled.push(cancelled));
    }

    /// What it holds of a queue was not settled in time.
    pub(crate) fn post_lapsed(&self, deliveries: LapsedDeliveries) {
        self.mailbox.post(|mail| mail.lapsed.push(deliveries));
    }

    /// Somebody wants to know its channels.
    pub(crate) fn ask_for_channels(&self, asked: Asked) {
        self.mailbox.post(|mail| mail.asked.get_or_insert_default().push(asked));
    }

    /// The broker ends the connection (320).
    pub(crate) fn force_close(&self, reason: &str) {
        self.mailbox.post(|mail| {
            mail.force_close.get_or_insert_with(|| reason.to_owned());
        });
    }

    /// Takes all mail.
    pub(crate) fn take_mail(&self) -> Mail {
        self.mailbox.take()
    }

    /// Waits for mail.
    pub(crate) async fn mail(&self) {
        self.mailbox.arrived().await;
    }

    /// Waits until the writer task is wanted.
    pub(crate) async fn writer_wanted(&self) {
        self.writer_wanted.notified().await;
    }

    /// Wakes the writer task, which then owns the writing.
    pub(crate) fn wake_writer(&self) {
        #[cfg(test)]
        hand_over_test::let_others_run();
        self.writer_wanted.notify_one();
    }

    /// Sees to it that everything in the outgoing buffer reaches the socket, without waiting: what
    /// the socket does not take at once is left to the writer task. Call it with no lock held.
    pub(crate) fn flush(&self) {
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
        let mut written = 0;
        while let Some(mut batch) = next {
            let result = match written < FLUSH_MAX {
                true => self.socket.try_write_vectored(&batch.slices()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
            match result {
                Ok(0) => return self.fail(io::ErrorKind::WriteZero),
                Ok(count) => {
                    written += count;
                    self.octets.note_write(count);
                    batch.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.outbox().leave_to_writer(batch);
                    self.wake_writer();
                    return;
                }
                Err(error) => return self.fail(error.kind()),
            }
            if batch.remaining() > 0 {
                next = Some(batch);
                continue;
            }
            next = self.finish_batch(batch);
        }
    }

    /// Takes a written batch back and gives the next one.
    pub(crate) fn finish_batch(&self, batch: Batch) -> Option<Batch> {
        let mut outbox = self.outbox();
        let relieved = outbox.batch_written(batch);
        let next = outbox.next_batch();
        drop(outbox);
        if relieved {
            self.mailbox.post(|mail| mail.relieved = true);
        }
        next
    }

    /// The socket is broken: nothing more goes out, and the connection's task ends the connection.
    pub(crate) fn fail(&self, kind: io::ErrorKind) {
        self.outbox().close();
        self.mailbox.post(|mail| mail.socket_failed = Some(kind));
    }
}

/// The connections whose outgoing buffers got something, to be flushed once all locks are free.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    connections: SmallVec<[Arc<ConnectionHandle>; 4]>,
    /// Their numbers, once they are many.
    known: FxHashSet<ConnectionId>,
}

/// So many connections are searched one by one.
const SEARCHED_MAX: usize = 8;

impl Touched {
    /// Notes a connection, once.
    pub(crate) fn add(&mut self, connection: &Arc<ConnectionHandle>) {
        let Self { connections, known } = self;
        let is_known = if known.is_empty() {
            connections.iter().any(|known| Arc::ptr_eq(known, connection))
        } else {
            known.contains(&connection.id())
        };
        if is_known {
            return;
        }
        connections.push(Arc::clone(connection));
        match connections.len() {
            ..=SEARCHED_MAX => {}
            _ if known.is_empty() => known.extend(connections.iter().map(|known| known.id())),
            _ => {
                known.insert(connection.id());
            }
        }
    }

    /// Flushes them all.
    pub(crate) fn flush(&mut self) {
        self.known.clear();
        for connection in self.connections.drain(..) {
            connection.flush();
        }
    }
}
