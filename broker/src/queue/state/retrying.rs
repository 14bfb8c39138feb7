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
use super::super::held::{Held, QueuedMessage, Weight};
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
    weight: Weight,
}

impl Retrying {
    fn insert(&mut self, due_ms: u64, message: QueuedMessage) {
        self.weight.add(&message.held);
        self.waiting.insert((due_ms, message.sequence), message);
    }

    fn pop_due(&mut self, now_ms: u64) -> Option<QueuedMessage> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 <= now_ms)?;
        let message = first.remove();
        self.weight.remove(&message.held);
        Some(message)
    }

    /// Takes a message that waits.
    pub(super) fn take(&mut self, Place(due_ms, sequence): Place) -> Option<QueuedMessage> {
        let message = self.waiting.remove(&(due_ms, sequence))?;
        self.weight.remove(&message.held);
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

    /// What all of them come to.
    pub(super) fn weight(&self) -> Weight {
        self.weight
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

    /// A message that was stored is ready after a restart, or waits, since it had failed.
    pub(super) fn retry_restored(&mut self, message: QueuedMessage) {
        let QueuedMessage { sequence, level, returns, expires_ms, .. } = message;
        let retry = self.kind.retry.as_ref();
        // Of which group one is that is in a store nobody knows: those stay in order instead.
        let may_wait = returns.failures() > 0 && !self.ready.is_grouped();
        let wait_ms = retry.filter(|_| may_wait);
        let wait_ms = wait_ms.and_then(|retry| retry.wait_ms(Outcome::Failed, returns, sequence));
        self.ready.push(message);
        // It leaves an empty place among those that it is to come back to.
        if let Some(wait_ms) = wait_ms
            && let Some(message) = self.ready.take_out(level, sequence)
        {
            let due_ms = self.facts.now_ms.saturating_add(wait_ms).min(expires_ms);
            self.retrying.insert(due_ms, message);
        }
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
        let now_ms = self.facts.now_ms;
        let due = std::iter::from_fn(|| self.retrying.pop_due(now_ms));
        self.ready.give_back_late(due.take(DUE_A_STEP));
    }

    /// Nobody waits any more.
    pub(super) fn end_all_waiting(&mut self) {
        while let Some(message) = self.retrying.pop_due(NEVER) {
            self.ready.give_back(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_storage::messages::{RecoveredMessage, RecoveredQueue};

    use super::super::super::command::Command;
    use super::super::super::retry::{Retry, RetryAfter};
    use super::super::{Facts, Fetched, QueueKind};
    use super::*;
    use crate::message::tests::{message, persistent};

    fn at(now_ms: u64) -> Facts {
        Facts { now_ms, room: usize::MAX }
    }

    /// After a restart, in which these of so many messages had failed and wait 100 ms.
    fn restored(count: u64, failed: &[u64]) -> QueueState {
        let retry =
            Retry { after: RetryAfter::Failed, min_ms: 100, max_ms: 100, exponential: false };
        let kind = QueueKind { retry: Some(retry), is_stored: true, ..QueueKind::default() };
        let mut queue = QueueState::new(kind);
        queue.begin(at(1000));
        let content = persistent(message("k", b"")).content();
        let stored = (0..count).map(|sequence| RecoveredMessage {
            sequence,
            note: content.note,
            size: u32::try_from(content.size()).unwrap(),
            delivery_count: u32::from(failed.contains(&sequence)) << 16,
            ..RecoveredMessage::default()
        });
        let messages = stored.collect();
        queue.restore(RecoveredQueue { next_sequence: count, messages }, 0);
        queue
    }

    fn read(queue: &mut QueueState, messages: usize) {
        while !queue.is_read_ahead(messages, usize::MAX) {
            let plan = queue.plan_reading(messages, usize::MAX);
            for sequence in plan.durable.into_iter().flatten() {
                assert!(queue.take_in(Shelf::Durable, sequence, persistent(message("k", b""))));
            }
        }
    }

    /// Everything that is ready, by its place.
    fn drained(queue: &mut QueueState) -> Vec<u64> {
        let mut places = Vec::new();
        loop {
            read(queue, 1);
            let Fetched::Got(_) = queue.get(true) else { return places };
            places.extend(queue.changes().take_settled());
        }
    }

    #[test]
    fn who_waits_after_a_restart_comes_back_to_its_place() {
        let mut queue = restored(6, &[1, 4]);
        assert_eq!((queue.ready_count(), queue.delayed_count()), (4, 2));
        queue.apply(Command::Expire, at(1100));
        assert_eq!(drained(&mut queue), [0, 1, 2, 3, 4, 5], "nothing was read");

        let mut queue = restored(6, &[1, 4]);
        read(&mut queue, 3);
        queue.apply(Command::Expire, at(1100));
        assert_eq!(drained(&mut queue), [0, 1, 2, 3, 4, 5], "some were");

        let mut queue = restored(6, &[1, 4]);
        read(&mut queue, 6);
        queue.publish(message("k", b""));
        queue.apply(Command::Expire, at(1100));
        assert_eq!(drained(&mut queue), [0, 1, 2, 3, 4, 5], "all were");
        assert_eq!((queue.bytes(), queue.resident_bytes()), (0, 0));
    }

    #[test]
    fn many_that_wait_after_a_restart_come_back_in_steps() {
        let count = 4 * DUE_A_STEP as u64;
        let failed: Vec<_> = (0..count).filter(|sequence| sequence % 4 > 0).collect();
        let mut queue = restored(count, &failed);
        for _ in 0..3 {
            assert!(queue.next_due_ms() <= 1100);
            queue.apply(Command::Expire, at(1100));
        }
        assert_eq!((queue.delayed_count(), queue.next_due_ms()), (0, NEVER));
        assert!(drained(&mut queue).into_iter().eq(0..count));
    }
}
