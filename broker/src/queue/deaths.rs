//! The dead of a queue, and of what they died.
//!
//! Made by `queue::state::dying`, handed on by `queue::Queue` with its effects, published elsewhere by
//! `vhost::dead_letters`. Stays true: whoever is here is in no queue, and the stores know it until it
//! was published. See RabbitMQ's page on dead letter exchanges.

use std::sync::Arc;

use super::Queue;
use super::held::Held;
use super::paged::Shelf;
use crate::message::Message;

/// Why a message died: `reason` in the `x-death` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Dead {
    pub(super) fn new(sequence: u64, reason: Reason, held: Held) -> Self {
        let shelf = match &held {
            Held::Paged(stub) => Some(stub.shelf),
            Held::Resident(_) => None,
        };
        Self { sequence, reason, held, shelf }
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

/// Messages that died in a queue, in the order in which they did.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    /// The queue they were in.
    pub queue: Arc<Queue>,
    /// The messages.
    pub dead: Vec<Dead>,
}

impl DeadLetters {
    /// Whether all bodies are in memory.
    pub(crate) fn are_here(&self) -> bool {
        self.missing() == 0
    }

    /// How many bodies are not in memory.
    pub(crate) fn missing(&self) -> usize {
        self.dead.iter().filter(|dead| dead.message().is_none()).count()
    }
}
