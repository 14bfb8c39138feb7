//! Messages that come to a queue twice.
//!
//! A room of `queue::state`, and as pure. Stays true: what is dropped here counts as taken, in a place
//! of its own that is settled at once; a key is remembered of what was admitted and of nothing else,
//! and stored where its message is.

use leveret_storage::messages::RecoveredQueue;

use super::QueueState;
use crate::deduplication::{Deduplication, Key, Window, record};
use crate::message::Message;

/// What a queue that deduplicates remembers.
#[derive(Clone, Debug)]
pub(super) struct Deduplicating {
    asked: Deduplication,
    window: Window,
    /// Keys are stored as well.
    is_stored: bool,
}

impl QueueState {
    /// From now on messages that come twice are dropped. `is_stored`: keys are stored with their
    /// messages.
    pub(in crate::queue) fn deduplicate(&mut self, asked: Deduplication, is_stored: bool) {
        let window = Window::new(asked.size());
        self.deduplicating = Some(Box::new(Deduplicating { asked, window, is_stored }));
    }

    /// Takes back the keys that were stored.
    pub(in crate::queue) fn restore_keys(&mut self, recovered: RecoveredQueue) {
        if let Some(deduplicating) = &mut self.deduplicating {
            deduplicating.window.restore(recovered);
            let outdated = deduplicating.window.take_outdated();
            self.changes.forget_keys(outdated);
        }
    }

    /// Passes over a message that came before, and returns its place; `None` for one that did not.
    pub(super) fn pass_over(&mut self, message: &Message) -> Option<u64> {
        let key = self.key_of(message)?;
        let now_ms = self.facts.now_ms;
        let is_twice = self.deduplicating.as_mut()?.window.remembers(key, now_ms);
        if !is_twice {
            return None;
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        if self.kind.is_stored && message.is_persistent() {
            self.changes.settle(sequence);
        }
        Some(sequence)
    }

    /// Remembers a message that is admitted.
    pub(super) fn remember(&mut self, message: &Message) {
        let Some(key) = self.key_of(message) else { return };
        let Some(Deduplicating { asked, window, is_stored }) = self.deduplicating.as_deref_mut()
        else {
            return;
        };
        let now_ms = self.facts.now_ms;
        window.remember(key, now_ms, asked.until_ms(message.headers(), now_ms));
        if *is_stored
            && message.is_persistent()
            && let Some((place, until_ms)) = window.store(key)
        {
            self.changes.store_key(place, record(key, now_ms, until_ms));
        }
        self.changes.forget_keys(window.take_outdated());
    }

    fn key_of(&self, message: &Message) -> Option<Key> {
        self.deduplicating.as_ref()?.asked.key(message.headers())
    }
}

#[cfg(test)]
mod tests {
    use leveret_protocol::properties::BasicProperties;
    use leveret_protocol::types::{FieldTable, FieldValue, RawTable};

    use super::super::super::arguments::LengthLimit;
    use super::super::super::command::{Command, Reply};
    use super::super::{Facts, Full, QueueKind};
    use super::*;
    use crate::message::tests::{persistent, with_properties};

    fn message(key: &str) -> Message {
        let key = FieldValue::LongString(key.into());
        let headers: FieldTable = [("x-deduplication-header", key)].into_iter().collect();
        let entries = headers.to_bytes();
        let headers = Some(RawTable::new(&entries));
        persistent(with_properties(&BasicProperties { headers, ..Default::default() }, b"body"))
    }

    fn queue(kind: QueueKind, more: &[(&str, i32)]) -> QueueState {
        let mut arguments: FieldTable =
            [("x-message-deduplication", FieldValue::Bool(true))].into_iter().collect();
        more.iter().for_each(|(name, value)| drop(arguments.insert(*name, *value)));
        let mut queue = QueueState::new(kind);
        queue.deduplicate(Deduplication::of(&arguments).unwrap(), kind.is_stored);
        queue
    }

    fn admit(queue: &mut QueueState, key: &str, now_ms: u64) -> Result<u64, Full> {
        let reply = queue.apply(Command::Admit(message(key)), Facts { now_ms, room: usize::MAX });
        let Reply::Admitted(admitted) = reply else { panic!("{reply:?}") };
        admitted
    }

    #[test]
    fn what_comes_twice_takes_a_place_and_is_settled_there() {
        let mut queue = queue(QueueKind { is_stored: true, ..QueueKind::default() }, &[]);
        for (key, sequence) in [("a", 0), ("b", 1), ("a", 2)] {
            assert_eq!(admit(&mut queue, key, 1000), Ok(sequence));
        }
        queue.publish(message("b"));
        assert_eq!((queue.ready_count(), queue.next_sequence()), (2, 4));
        assert_eq!(queue.changes().take_settled(), [2, 3]);
        let (stored, outdated) = queue.changes().take_keys();
        assert_eq!((stored.len(), outdated), (2, vec![]));
        assert_eq!(stored[0].1.arrived_ms, 1000);
    }

    #[test]
    fn a_key_goes_with_its_time_or_for_a_newer_one_and_its_record_with_it() {
        let kind = QueueKind { is_stored: true, ..QueueKind::default() };
        let mut queue = queue(kind, &[("x-cache-size", 2), ("x-cache-ttl", 100)]);
        for (key, now_ms) in [("a", 0), ("b", 50), ("c", 60), ("b", 60), ("a", 61), ("c", 160)] {
            assert!(admit(&mut queue, key, now_ms).is_ok());
        }
        assert_eq!(queue.ready_count(), 5, "only the second b came in time");
        assert_eq!(queue.changes().take_keys().1, [0, 1, 2]);
    }

    #[test]
    fn what_a_full_queue_refused_is_not_remembered() {
        let limit = LengthLimit { messages: Some(1), bytes: None };
        let mut queue = queue(QueueKind { rejects: true, limit, ..QueueKind::default() }, &[]);
        assert_eq!(admit(&mut queue, "a", 0), Ok(0));
        assert_eq!(admit(&mut queue, "b", 0), Err(Full));
        assert_eq!(admit(&mut queue, "a", 0), Ok(1), "it is there already");
        queue.apply(Command::Purge, Facts { now_ms: 0, room: usize::MAX });
        assert_eq!(admit(&mut queue, "b", 0), Ok(2));
        assert_eq!(queue.ready_count(), 1);
        assert!(queue.changes().take_keys().0.is_empty(), "nothing is stored here");
    }
}
