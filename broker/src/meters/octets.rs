//! What went over the socket of one connection.
//!
//! Owned by `outgoing::ConnectionHandle`; counted by the connection's task for what it reads and by
//! whoever writes, of whom there is one at a time. Octets are those of AMQP: with TLS more went over the
//! wire.

use parking_lot::Mutex;

use super::Count;
use super::history::{BASIC, History, Range, Sampled, Ticks};

/// See the module documentation. Apart from what other tasks read of a connection.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Octets {
    received: Count,
    reads: Count,
    sent: Count,
    writes: Count,
    /// Octets that came and went, once there were any.
    history: Mutex<Option<Box<History<2>>>>,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OctetCounts {
    /// Octets that came.
    pub received: u64,
    /// In so many reads.
    pub reads: u64,
    /// Octets that the socket took.
    pub sent: u64,
    /// In so many writes.
    pub writes: u64,
}

impl Octets {
    /// So many came with one read.
    #[inline]
    pub(crate) fn note_read(&self, octets: usize) {
        self.received.add(octets as u64);
        self.reads.add(1);
    }

    /// So many went with one write.
    #[inline]
    pub(crate) fn note_write(&self, octets: usize) {
        self.sent.add(octets as u64);
        self.writes.add(1);
    }

    /// What it is now.
    pub(crate) fn counts(&self) -> OctetCounts {
        OctetCounts {
            received: self.received.get(),
            reads: self.reads.get(),
            sent: self.sent.get(),
            writes: self.writes.get(),
        }
    }

    /// So it is at this tick. Whether anything came or went since the last.
    pub(crate) fn sample(&self, ticks: &Ticks) -> bool {
        let values = [self.received.get(), self.sent.get()];
        let mut history = self.history.lock();
        let history = history.get_or_insert_with(|| Box::new(History::new(BASIC, ticks)));
        let is_new = *history.newest() != values;
        history.note(ticks.now, values);
        is_new
    }

    /// How fast octets come and go, and how many there were.
    pub(crate) fn sampled(&self, range: Option<&Range>, ticks: &Ticks) -> Sampled<2> {
        let history = self.history.lock();
        match &*history {
            Some(history) => history.sampled(range, ticks),
            None => Sampled::nothing(range),
        }
    }
}

impl OctetCounts {
    /// All of another.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.received += other.received;
        self.reads += other.reads;
        self.sent += other.sent;
        self.writes += other.writes;
    }
}
