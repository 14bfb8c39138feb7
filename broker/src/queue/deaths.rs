//! The dead of a queue, and of what they died.
//!
//! Made by `queue::state::dying`, handed on by `queue::Queue` with its effects, published elsewhere by
//! `vhost::dead_letters`. Stays true: whoever is here is in no queue, and the stores know it until it
//! was published. See RabbitMQ's page on dead letter exchanges.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Queue;
use super::held::Held;
use super::paged::Shelf;
use crate::keys::QueueId;
use crate::message::Message;

/// Why a message died: `reason` in the `x-death` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reason {
    /// Its time was up.
    Expired,
    /// A consumer rejected it for good.
    Rejected,
    /// The queue was full.
    MaxLength,
    /// Too many attempts to handle it failed.
    DeliveryLimit,
    /// It has waited as long as it was to, and is no dead letter: it is routed now.
    Due,
}

impl Reason {
    /// As the `x-death` header has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
            Self::Due => "due",
        }
    }

    /// As the durable store has it. Numbers are given out once.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Expired => 0,
            Self::Rejected => 1,
            Self::MaxLength => 2,
            Self::DeliveryLimit => 3,
            Self::Due => 4,
        }
    }

    /// From what the durable store has.
    pub(super) fn from_code(code: u32) -> Self {
        let all = [Self::Expired, Self::Rejected, Self::MaxLength, Self::DeliveryLimit, Self::Due];
        all.into_iter().find(|reason| u32::from(reason.code()) == code).unwrap_or(Self::Rejected)
    }
}

/// In place of the sequence number of a message that never was in its queue.
pub(crate) const UNPLACED: u64 = u64::MAX;

/// A message that is no longer in its queue, and is to be published elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Dead {
    /// Where it was; `UNPLACED`.
    pub sequence: u64,
    /// Why.
    pub reason: Reason,
    /// The message, or where its body is.
    pub(super) held: Held,
    /// Which store has its body, of one that was not in memory.
    pub(super) shelf: Option<Shelf>,
    /// It stays with its queue, which tries it again.
    pub is_kept: bool,
    /// The queues that have it, of one that stayed.
    pub taken_by: Vec<QueueId>,
}

impl Dead {
    pub(super) fn new(sequence: u64, reason: Reason, held: Held) -> Self {
        let shelf = match &held {
            Held::Paged(stub) => Some(stub.shelf),
            Held::Resident(_) => None,
        };
        Self { sequence, reason, held, shelf, is_kept: false, taken_by: Vec::new() }
    }

    /// One that stays with its queue, and is tried again.
    pub(super) fn again(sequence: u64, reason: Reason, held: Held, taken_by: Vec<QueueId>) -> Self {
        Self { is_kept: true, taken_by, ..Self::new(sequence, reason, held) }
    }

    /// What its queue is told when these other queues have it, and more should.
    pub(crate) fn stays(&self, taken_by: Vec<QueueId>) -> Option<Fate> {
        let Self { sequence, reason, shelf, .. } = *self;
        if self.is_kept {
            return Some(Fate::Stays(sequence, taken_by));
        }
        let message = self.message().cloned()?;
        Some(Fate::New(Kept { sequence, reason, message, shelf, taken_by }))
    }

    /// One that was rejected.
    #[cfg(test)]
    pub(crate) fn for_test(message: Message) -> Self {
        Self::new(0, Reason::Rejected, Held::Resident(message))
    }

    /// The message, if its body is in memory.
    pub(crate) fn message(&self) -> Option<&Message> {
        match &self.held {
            Held::Resident(message) => Some(message),
            Held::Paged(_) => None,
        }
    }

    /// Its body was read.
    pub(super) fn read(&mut self, message: Message) {
        self.held = Held::Resident(message);
    }
}

/// A dead letter that nobody took, for its queue to keep.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Its place in its queue.
    pub sequence: u64,
    /// Why it died.
    pub reason: Reason,
    /// The message as it was.
    pub message: Message,
    /// Which store has its body, of one that was not in memory.
    pub(super) shelf: Option<Shelf>,
    /// The queues that have it.
    pub taken_by: Vec<QueueId>,
}

/// What became of a dead letter that was to be published at least once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// It stays with its queue from now on.
    New(Kept),
    /// The one with this sequence number stays. These queues have it.
    Stays(u64, Vec<QueueId>),
    /// It does not: it was published.
    Gone(u64),
}

impl Fate {
    /// Which one stays, if it does.
    pub(super) fn stays(&self) -> Option<u64> {
        match self {
            Self::New(Kept { sequence, .. }) | Self::Stays(sequence, _) => Some(*sequence),
            Self::Gone(_) => None,
        }
    }
}

/// Messages that died in a queue, in the order in which they did.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    /// The queue they were in.
    pub queue: Arc<Queue>,
    /// The messages.
    pub dead: Vec<Dead>,
    /// Of those that stayed with the queue: which cannot be read, by their sequence numbers.
    pub lost: Vec<u64>,
}

impl DeadLetters {
    /// These, of this queue.
    pub(crate) fn new(queue: Arc<Queue>, dead: Vec<Dead>) -> Self {
        Self { queue, dead, lost: Vec::new() }
    }

    /// Whether all bodies are in memory.
    pub(crate) fn are_here(&self) -> bool {
        self.missing() == 0
    }

    /// How many bodies are not in memory.
    pub(crate) fn missing(&self) -> usize {
        self.dead.iter().filter(|dead| dead.message().is_none()).count()
    }
}
