//! Messages that came back and wait before they are handed out again.
//!
//! A room of `queue::state`, and as pure; `queue::retry` says how long. Stays true: whoever waits here is
//! neither ready nor handed out, counts for the limits of the queue, and comes back to its old place;
//! nobody gets the next of its group before. After a restart those that had failed wait anew: when
//! they failed is not written down.
//!
//! See RabbitMQ's page on quorum queues ("Delayed Retry").

use std::collections::BTreeMap;

use super::super::cursor::{Glimpse, Place};
use super::super::held::{Held, QueuedMessage, footprint};
use super::super::paged::{NEVER, Shelf};
use super::looking::{behind, glimpse};
use super::{QueueState, without_body};
use crate::keys::Outcome;

/// Messages that come back in one step: under a millisecond of work.
const DUE_A_STEP: usize = 512;

/// See the module documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Retrying {
    /// By the time when it is due, in milliseconds since the epoch, and sequence number.
    waiting: BTreeMap<(u64, u64), QueuedMessage>,
    bytes: usize,
    body_bytes: usize,
    resident_bytes: usize,
}

impl Retrying {
    fn insert(&mut self, due_ms: u64, message: QueuedMessage) {
        self.bytes += message.held.size();
        self.body_bytes += message.held.body_size();
        self.resident_bytes += footprint(&message.held);
        self.waiting.insert((due_ms, message.sequence), message);
    }

    fn pop_due(&mut self, now_ms: u64) -> Option<QueuedMessage> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 <= now_ms)?;
        let message = first.remove();
        self.bytes -= message.held.size();
        self.body_bytes -= message.held.body_size();
        self.resident_bytes -= footprint(&message.held);
        Some(message)
    }

    /// Takes a message that waits.
    pub(super) fn take(&mut self, Place(due_ms, sequence): Place) -> Option<QueuedMessage> {
        let message = self.waiting.remove(&(due_ms, sequence))?;
        self.bytes -= message.held.size();
        self.body_bytes -= message.held.body_size();
        self.resident_bytes -= footprint(&message.held);
        Some(message)
    }

    /// Those behind a place.
    pub(super) fn walk(&self, after: Option<Place>) -> impl Iterator<Item = Glimpse> + '_ {
        self.waiting.range(behind(after)).map(|(&(due_ms, sequence), message)| {
            let seen = glimpse(Place(due_ms, sequence), message.clone());
            Glimpse { due_ms: Some(due_ms), ..seen }
        })
    }

    /// When the first is due; `NEVER`.
    pub(super) fn next_ms(&self) -> u64 {
        self.waiting.first_key_value().map_or(NEVER, |((due_ms, _), _)| *due_ms)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Content of all of them, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Their bodies, in bytes.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Memory that they take, in bytes.
    pub(super) fn resident_bytes(&self) -> usize {
        self.resident_bytes
    }

    /// The messages themselves.
    pub(super) fn into_messages(self) -> impl Iterator<Item = QueuedMessage> {
        self.waiting.into_values()
    }
}

impl QueueState {
    /// A message that came back is ready, or waits.
    pub(super) fn retry(&mut self, message: QueuedMessage, outcome: Outcome) {
        let QueuedMessage { sequence, returns, expires_ms, .. } = message;
        let retry = self.kind.retry.as_ref();
        match retry.and_then(|retry| retry.wait_ms(outcome, returns, sequence)) {
            None => self.ready.give_back(message),
            Some(wait_ms) => {
                // It is not kept longer than it lives.
                let due_ms = self.facts.now_ms.saturating_add(wait_ms).min(expires_ms);
                if let Some(groups) = self.ready.groups() {
                    groups.keep_out(sequence);
                }
                let message = self.left_to_a_store(message);
                self.retrying.insert(due_ms, message);
            }
        }
    }

    /// After a restart: whether a message waits, since it had failed.
    pub(super) fn retry_restored(&mut self, message: QueuedMessage) -> Option<QueuedMessage> {
        // Of which group one is that is in a store nobody knows: those stay in order instead.
        if message.returns.failures() == 0 || self.ready.is_grouped() {
            return Some(message);
        }
        let QueuedMessage { sequence, returns, expires_ms, .. } = message;
        let retry = self.kind.retry.as_ref();
        let Some(wait_ms) =
            retry.and_then(|retry| retry.wait_ms(Outcome::Failed, returns, sequence))
        else {
            return Some(message);
        };
        let due_ms = self.facts.now_ms.saturating_add(wait_ms).min(expires_ms);
        self.retrying.insert(due_ms, message);
        None
    }

    /// Without its body, where a store has that and there is little room.
    fn left_to_a_store(&self, mut message: QueuedMessage) -> QueuedMessage {
        if let Held::Resident(body) = &message.held
            && self.resident_bytes() >= self.facts.room
            && message.held.is_durable(self.kind.is_stored)
        {
            message.held = without_body(body, Shelf::Durable);
        }
        message
    }

    /// What has waited long enough is ready, a step of it.
    pub(super) fn end_waiting(&mut self) {
        for _ in 0..DUE_A_STEP {
            let Some(message) = self.retrying.pop_due(self.facts.now_ms) else { return };
            self.ready.give_back(message);
        }
    }

    /// Nobody waits any more.
    pub(super) fn end_all_waiting(&mut self) {
        while let Some(message) = self.retrying.pop_due(NEVER) {
            self.ready.give_back(message);
        }
    }
}
