//! A message in its place in one queue, with its body or without.
//!
//! What `queue::ready`, its parts, and the state machine hand to each other. Stays true: what is known
//! of a message while its body is in a store is enough to count, order, expire and settle it.

use super::paged::{Shelf, Stub};
use crate::keys::Outcome;
use crate::message::Message;

/// A message, or what is known of it while its body is in a store.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// In memory.
    Resident(Message),
    /// In a store.
    Paged(Stub),
}

impl Held {
    /// Bytes of its content.
    #[inline]
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Resident(message) => message.size(),
            Self::Paged(stub) => stub.size as usize,
        }
    }

    /// Bytes of its body.
    #[inline]
    pub(super) fn body_size(&self) -> usize {
        match self {
            Self::Resident(message) => message.body().len(),
            Self::Paged(stub) => stub.body_size as usize,
        }
    }

    /// Whether the durable store has it, of a queue of which `is_stored` says whether its persistent
    /// messages are stored.
    #[inline]
    pub(super) fn is_durable(&self, is_stored: bool) -> bool {
        match self {
            Self::Resident(message) => is_stored && message.is_persistent(),
            Self::Paged(stub) => stub.shelf == Shelf::Durable,
        }
    }

    /// When it came, in milliseconds since the epoch.
    pub(super) fn arrived_ms(&self) -> u64 {
        match self {
            Self::Resident(message) => message.arrived_ms(),
            Self::Paged(stub) => stub.arrived_ms,
        }
    }

    /// Whether its body is in memory.
    pub(super) fn is_resident(&self) -> bool {
        matches!(self, Self::Resident(_))
    }
}

/// A message in its place in one queue.
#[derive(Clone, Debug)]
pub(super) struct QueuedMessage {
    /// Its place: ascending in the order of arrival, never used twice in a queue.
    pub sequence: u64,
    /// Its priority, cut to the queue's highest.
    pub level: u8,
    /// Whether it was handed out before: the `redelivered` flag of its next delivery.
    pub redelivered: bool,
    /// How it came back.
    pub returns: Returns,
    /// When its time is up, in milliseconds since the epoch; `NEVER`.
    pub expires_ms: u64,
    /// The message, shared with the other queues it was routed to.
    pub held: Held,
}

/// How often a message came back, and how often because an attempt to handle it had failed. In the
/// durable store it is one number that only grows: failures in its upper half, returns in its lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Returns {
    failures: u16,
    returns: u16,
}

/// The highest number stands for a message that died, see `state::keeping`.
const FAILURES_MAX: u16 = u16::MAX - 1;

impl Returns {
    /// From what the durable store has of it.
    #[expect(clippy::cast_possible_truncation, reason = "each half is cut out")]
    pub(super) fn from_stored(stored: u32) -> Self {
        Self { failures: (stored >> 16) as u16, returns: stored as u16 }
    }

    /// What the durable store is told.
    pub(super) fn stored(self) -> u32 {
        u32::from(self.failures) << 16 | u32::from(self.returns)
    }

    /// Attempts that failed.
    pub(super) fn failures(self) -> u32 {
        self.failures.into()
    }

    /// How often it came back; at most once where nobody counts.
    pub(super) fn count(self) -> u32 {
        self.returns.into()
    }

    /// After it came back once more. Where nobody `counts` one return is as good as many: then the
    /// store need not be told of each.
    #[must_use]
    pub(super) fn given_back(self, outcome: Outcome, counts: bool) -> Self {
        let failed = u16::from(outcome == Outcome::Failed);
        Self {
            failures: self.failures.saturating_add(failed).min(FAILURES_MAX),
            returns: if counts { self.returns.saturating_add(1) } else { 1 },
        }
    }
}

/// What a message in memory takes beside its content.
const RESIDENT_OVERHEAD: usize = 128;

/// Memory a message takes while it is in a queue, in bytes.
#[inline]
pub(super) fn footprint(held: &Held) -> usize {
    match held {
        Held::Resident(message) => message.size() + RESIDENT_OVERHEAD,
        Held::Paged(_) => 0,
    }
}

/// What messages that are kept together come to, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// Content.
    pub bytes: usize,
    /// Bodies.
    pub body_bytes: usize,
    /// Memory.
    pub resident_bytes: usize,
}

impl Weight {
    /// One more is kept.
    #[inline]
    pub(super) fn add(&mut self, held: &Held) {
        self.bytes += held.size();
        self.body_bytes += held.body_size();
        self.resident_bytes += footprint(held);
    }

    /// One goes.
    #[inline]
    pub(super) fn remove(&mut self, held: &Held) {
        self.bytes -= held.size();
        self.body_bytes -= held.body_size();
        self.resident_bytes -= footprint(held);
    }
}
