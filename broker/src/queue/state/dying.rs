//! How messages die in a queue: their time is up, they were rejected, they are too many, or too many
//! attempts to handle them failed.
//!
//! A room of `queue::state`, and as pure. What dies in a queue with dead letters is not forgotten
//! here: it leaves as a `Dead`. Stays true:
//! - nothing is handed out whose time is up;
//! - one step lets `EXPIRED_A_STEP` messages go and no more, and none while `WAITING_MAX` of those
//!   that died before wait for their bodies to be read.
//!
//! See RabbitMQ's pages on time-to-live, dead letter exchanges and queue length limits.

use super::super::death_counts::Tally;
use super::super::deaths::{Dead, Reason, UNPLACED};
use super::super::held::{Held, QueuedMessage, Returns};
use super::super::paged::NEVER;
use super::{QueueKind, QueueState};
use crate::message::{ACQUIRED_COUNT, DELIVERY_COUNT, Message, Note};

/// Messages that expire in one step: under a millisecond of work.
const EXPIRED_A_STEP: usize = 512;
/// Dead messages whose bodies are still to be read, of one queue: beyond it nothing more expires.
const WAITING_MAX: usize = 4096;

/// What a queue knows of its dead, and of when the next will be.
#[derive(Clone, Debug, Default)]
pub(super) struct Deaths {
    /// Those not yet handed on.
    left: Vec<Dead>,
    /// Dead messages whose bodies are being read.
    waiting: usize,
    /// How many died of what.
    tally: Tally,
    /// When the queue was used last, in milliseconds since the epoch.
    pub used_ms: u64,
}

/// RabbitMQ's headers of a message that a quorum queue hands out again.
fn write_returns(message: &mut QueuedMessage) {
    let Held::Resident(resident) = &message.held else { return };
    let mut headers = resident.header_table();
    headers.insert(ACQUIRED_COUNT, i64::from(message.returns.count()));
    if message.returns.failures() > 0 {
        headers.insert(DELIVERY_COUNT, i64::from(message.returns.failures()));
    }
    if let Some(told) = resident.with_headers(&headers) {
        message.held = Held::Resident(told);
    }
}

impl QueueState {
    /// A message's priority in this queue.
    #[inline]
    pub(super) fn priority_of(&self, message: &Message) -> u8 {
        match self.kind.default_priority {
            0 => message.priority(),
            default => message.named_priority().unwrap_or(default),
        }
    }

    /// The same of a message of which a note is known.
    pub(super) fn priority_noted(&self, note: Note) -> u8 {
        note.named_priority().unwrap_or(self.kind.default_priority)
    }

    /// When the time of a message that arrives now is up.
    pub(in crate::queue) fn expires_ms(&self, message: &Message) -> u64 {
        let lives_ms = match (self.kind.ttl_ms, message.lives_ms()) {
            (Some(queue), Some(own)) => queue.min(own),
            (Some(lives), None) | (None, Some(lives)) => lives,
            (None, None) => return NEVER,
        };
        self.facts.now_ms.saturating_add(lives_ms)
    }

    /// Lets go of what has no time left, a step of it, and lets those be ready that have waited for
    /// a second attempt.
    pub(in crate::queue) fn expire(&mut self) {
        if self.retrying.next_ms() <= self.facts.now_ms {
            self.end_waiting();
            self.enforce_limit();
        }
        if self.deaths.waiting >= WAITING_MAX {
            return;
        }
        if self.is_over_limit {
            self.enforce_limit();
        }
        if self.kind.delays {
            return self.release_due();
        }
        for _ in 0..EXPIRED_A_STEP {
            let Some(expired) = self.ready.pop_expired(self.facts.now_ms) else { return };
            self.bury(expired, Reason::Expired);
        }
    }

    /// Tells in a message's headers how often it came back, where consumers are told.
    #[inline]
    pub(super) fn tell_returns(&self, message: &mut QueuedMessage) {
        if self.kind.counts_deliveries && message.returns != Returns::default() {
            write_returns(message);
        }
    }

    /// Whether something at the front has no time left.
    pub(in crate::queue) fn has_expired(&self) -> bool {
        self.ready.next_expiry_ms() <= self.facts.now_ms
    }

    /// A message is done with here; where there are dead letters it is published elsewhere.
    pub(in crate::queue) fn bury(&mut self, message: QueuedMessage, reason: Reason) {
        let QueuedMessage { sequence, held, .. } = message;
        self.leave(sequence, held, reason);
    }

    /// A message leaves, for elsewhere if that is said.
    pub(super) fn leave(&mut self, sequence: u64, held: Held, reason: Reason) {
        self.deaths.tally.add(reason, self.kind.has_dead_letters);
        if !self.kind.has_dead_letters {
            return self.drop_message(sequence, &held);
        }
        self.deaths.waiting += usize::from(matches!(held, Held::Paged(_)));
        self.deaths.left.push(Dead::new(sequence, reason, held));
    }

    /// Letters that died before are tried again.
    pub(super) fn leave_again(&mut self, dead: Vec<Dead>) {
        let is_paged = |dead: &&Dead| dead.message().is_none();
        self.deaths.waiting += dead.iter().filter(is_paged).count();
        self.deaths.left.extend(dead);
    }

    /// A message was refused: where that is asked for it is published elsewhere.
    pub(in crate::queue) fn bury_refused(&mut self, message: Message) {
        if self.kind.buries_refused && self.kind.has_dead_letters {
            self.deaths.tally.add(Reason::MaxLength, true);
            let held = Held::Resident(message);
            self.deaths.left.push(Dead::new(UNPLACED, Reason::MaxLength, held));
        }
    }

    /// Other limits and times count from now on. What its declaration alone says stays.
    pub(in crate::queue) fn reconfigure(&mut self, kind: QueueKind) {
        let QueueKind { max_priority, activity, is_stored, delays, .. } = self.kind;
        self.kind = QueueKind { max_priority, activity, is_stored, delays, ..kind };
        self.ready.expire_anywhere(kind.expires_anywhere);
        self.try_kept_soon();
        self.enforce_limit();
    }

    /// How many died of what.
    pub(in crate::queue) fn tally(&mut self) -> &mut Tally {
        &mut self.deaths.tally
    }

    /// Whether any died since they were taken last.
    pub(in crate::queue) fn has_dead(&self) -> bool {
        !self.deaths.left.is_empty()
    }

    /// Those that died since this was asked last.
    pub(in crate::queue) fn take_dead(&mut self) -> Vec<Dead> {
        std::mem::take(&mut self.deaths.left)
    }

    /// The bodies of so many dead messages were read, or cannot be.
    pub(in crate::queue) fn buried(&mut self, count: usize) {
        self.deaths.waiting = self.deaths.waiting.saturating_sub(count);
    }

    /// Somebody asked for the queue: it is used.
    pub(in crate::queue) fn touch(&mut self) {
        self.deaths.used_ms = self.facts.now_ms;
    }

    /// Whether nobody has used the queue for longer than it may be unused.
    pub(in crate::queue) fn is_unused(&self) -> bool {
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
    pub(in crate::queue) fn next_due_ms(&self) -> u64 {
        if self.is_over_limit {
            return self.facts.now_ms;
        }
        let is_held = self.deaths.waiting >= WAITING_MAX;
        let next_ms = self.ready.next_expiry_ms().min(self.delayed.next_ms());
        let expiry_ms = if is_held { NEVER } else { next_ms };
        let others_ms = self.timeouts.next_ms().min(self.retrying.next_ms());
        expiry_ms.min(self.unused_at_ms()).min(others_ms).min(self.keeping.due_ms())
    }
}
