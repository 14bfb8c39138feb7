//! What went over the socket of one connection.
//!
//! Owned by `outgoing::ConnectionHandle`; counted by the connection's task for what it reads and by
//! whoever writes, of whom there is one at a time. Octets are those of AMQP: with TLS more went over the
//! wire.

use super::Count;

/// See the module documentation. Apart from what other tasks read of a connection.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Octets {
    received: Count,
    reads: Count,
    sent: Count,
    writes: Count,
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
}
