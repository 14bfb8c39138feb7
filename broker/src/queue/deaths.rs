//! How messages die in a queue: their time is up, they were rejected, they are too many, or too many
//! attempts to handle them failed.
//!
//! A part of `queue::state`, and as pure. What dies in a queue with dead letters is not forgotten
//! here: it leaves as a `Dead`, which `queue::Queue` hands on with its effects, and the stores know
//! it until it was published elsewhere. Stays true:
//! - nothing is handed out whose time is up;
//! - one step lets `EXPIRED_A_STEP` messages go and no more, and none while `WAITING_MAX` of those
//!   that died before wait for their bodies to be read.
//!
//! See RabbitMQ's pages on time-to-live, dead letter exchanges and queue length limits.

use super::paged::{NEVER, Shelf};
use super::ready::{Held, QueuedMessage};
use super::state::QueueState;
use crate::message::Message;

/// Messages that expire in one step: under a millisecond of work.
const EXPIRED_A_STEP: usize = 512;
/// Dead messages whose bodies are still to be read, of one queue: beyond it nothing more expires.
const WAITING_MAX: usize = 4096;

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
}

impl Reason {
    /// As the `x-death` header has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
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
    fn new(sequence: u64, reason: Reason, held: Held) -> Self {
        let shelf = match &held {
            Held::Paged(stub) => Some(stub.shelf),
            Held::Resident(_) => None,
        };
        Self { sequence, reason, held, shelf }
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

/// What a queue knows of its dead, and of when the next will be.
#[derive(Clone, Debug, Default)]
pub(super) struct Deaths {
    /// Those not yet handed on.
    left: Vec<Dead>,
    /// Dead messages whose bodies are being read.
    waiting: usize,
    /// When the queue was used last, in milliseconds since the epoch.
    pub used_ms: u64,
}

impl QueueState {
    /// When the time of a message that arrives now is up.
    pub(super) fn expires_ms(&self, message: &Message) -> u64 {
        let lives_ms = match (self.kind.ttl_ms, message.lives_ms()) {
            (Some(queue), Some(own)) => queue.min(own),
            (Some(lives), None) | (None, Some(lives)) => lives,
            (None, None) => return NEVER,
        };
        self.facts.now_ms.saturating_add(lives_ms)
    }

    /// Lets go of what stands at the front and has no time left, a step of it.
    pub(super) fn expire(&mut self) {
        if self.deaths.waiting >= WAITING_MAX {
            return;
        }
        for _ in 0..EXPIRED_A_STEP {
            let Some(expired) = self.ready.pop_expired(self.facts.now_ms) else { return };
            self.bury(expired, Reason::Expired);
        }
    }

    /// Whether something at the front has no time left.
    pub(super) fn has_expired(&self) -> bool {
        self.ready.next_expiry_ms() <= self.facts.now_ms
    }

    /// A message is done with here; where there are dead letters it is published elsewhere.
    pub(super) fn bury(&mut self, message: QueuedMessage, reason: Reason) {
        let QueuedMessage { sequence, held, .. } = message;
        if !self.kind.has_dead_letters {
            return self.drop_message(sequence, &held);
        }
        self.deaths.waiting += usize::from(matches!(held, Held::Paged(_)));
        self.deaths.left.push(Dead::new(sequence, reason, held));
    }

    /// A message was refused: where that is asked for it is published elsewhere.
    pub(super) fn bury_refused(&mut self, message: Message) {
        if self.kind.buries_refused && self.kind.has_dead_letters {
            let held = Held::Resident(message);
            self.deaths.left.push(Dead::new(UNPLACED, Reason::MaxLength, held));
        }
    }

    /// Whether any died since they were taken last.
    pub(super) fn has_dead(&self) -> bool {
        !self.deaths.left.is_empty()
    }

    /// Those that died since this was asked last.
    pub(super) fn take_dead(&mut self) -> Vec<Dead> {
        std::mem::take(&mut self.deaths.left)
    }

    /// The bodies of so many dead messages were read, or cannot be.
    pub(super) fn buried(&mut self, count: usize) {
        self.deaths.waiting = self.deaths.waiting.saturating_sub(count);
    }

    /// Somebody asked for the queue: it is used.
    pub(super) fn touch(&mut self) {
        self.deaths.used_ms = self.facts.now_ms;
    }

    /// Whether nobody has used the queue for longer than it may be unused.
    pub(super) fn is_unused(&self) -> bool {
        self.unused_at_ms() <= self.facts.now_ms
    }

    fn unused_at_ms(&self) -> u64 {
        match self.kind.unused_ms {
            Some(unused_ms) if self.consumers.is_empty() => {
                self.deaths.used_ms.saturating_add(unused_ms)
            }
            Some(_) | None => NEVER,
        }
    }

    /// When there is something to do though nobody asks: milliseconds since the epoch, or `NEVER`.
    pub(super) fn next_due_ms(&self) -> u64 {
        let is_held = self.deaths.waiting >= WAITING_MAX;
        let expiry_ms = if is_held { NEVER } else { self.ready.next_expiry_ms() };
        expiry_ms.min(self.unused_at_ms())
    }
}
