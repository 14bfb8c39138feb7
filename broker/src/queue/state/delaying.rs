//! Messages that wait for their time, and then leave.
//!
//! A room of `queue::state`, and as pure. A queue that delays has nothing else: no consumers, nothing
//! ready. What is due leaves as a `Dead` of its own reason, and is routed above. Stays true: what is
//! due first leaves first, what is due at the same time in the order in which it came.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::super::cursor::page;
use super::super::deaths::Reason;
use super::super::held::{Held, Weight};
use super::super::paged::NEVER;
use super::QueueState;
use crate::keys::WaitingPlace;
use crate::message::Message;

/// Messages that leave in one step: under a millisecond of work.
const DUE_A_STEP: usize = 512;

/// See the module documentation. Some 100 bytes a message, beside bodies that are in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Delayed {
    waiting: BTreeMap<WaitingPlace, Held>,
    weight: Weight,
}

impl Delayed {
    /// Adds a message.
    pub(super) fn insert(&mut self, due_ms: u64, sequence: u64, held: Held) {
        self.weight.add(&held);
        self.waiting.insert(WaitingPlace { due_ms, sequence }, held);
    }

    fn pop_due(&mut self, now_ms: u64) -> Option<(u64, Held)> {
        let (place, _) =
            self.waiting.first_key_value().filter(|(place, _)| place.due_ms <= now_ms)?;
        let place = *place;
        Some((place.sequence, self.take(place)?))
    }

    fn take(&mut self, place: WaitingPlace) -> Option<Held> {
        let held = self.waiting.remove(&place)?;
        self.weight.remove(&held);
        Some(held)
    }

    /// When the first is due; `NEVER`.
    pub(super) fn next_ms(&self) -> u64 {
        self.waiting.first_key_value().map_or(NEVER, |(place, _)| place.due_ms)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What all of them come to.
    pub(super) fn weight(&self) -> Weight {
        self.weight
    }
}

impl QueueState {
    /// A message arrives that waits.
    pub(super) fn delay(&mut self, sequence: u64, message: Message) {
        let now_ms = self.facts.now_ms;
        let due_ms = message.until_ms(now_ms).unwrap_or(now_ms);
        let held = if self.delayed.weight().resident_bytes < self.facts.room {
            Held::Resident(message)
        } else {
            self.page(sequence, message)
        };
        self.delayed.insert(due_ms, sequence, held);
    }

    /// Lets go of what is due, a step of it.
    pub(super) fn release_due(&mut self) {
        for _ in 0..DUE_A_STEP {
            let Some((sequence, held)) = self.delayed.pop_due(self.facts.now_ms) else { return };
            self.leave(sequence, held, Reason::Due);
        }
    }

    /// The first messages after a place: at most so many with at most so many bytes, one at least.
    pub(in crate::queue) fn waiting_after(
        &self,
        after: Option<WaitingPlace>,
        most: (usize, usize),
    ) -> Vec<(WaitingPlace, Held)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let waiting = self.delayed.waiting.range((from, Bound::Unbounded));
        page(waiting.map(|(place, held)| (*place, held.clone())), most, |(_, held)| held.size())
    }

    /// Takes back messages that wait: they are gone. Returns how many were there.
    pub(in crate::queue) fn withdraw(&mut self, places: &[WaitingPlace]) -> usize {
        let mut count = 0;
        for place in places {
            if let Some(held) = self.delayed.take(*place) {
                self.drop_message(place.sequence, &held);
                count += 1;
            }
        }
        count
    }

    /// Messages that wait for their time.
    pub(in crate::queue) fn delayed_count(&self) -> usize {
        self.delayed.len() + self.retrying.len()
    }
}

#[cfg(test)]
mod tests {
    use leveret_protocol::properties::BasicProperties;
    use leveret_protocol::types::{FieldTable, RawTable};

    use super::super::super::command::{Command, Reply};
    use super::super::{Facts, QueueKind};
    use super::*;
    use crate::message::tests::with_properties;
    use crate::message::{DELAY, Marks};

    fn delayed(body: &str, ms: i32) -> Message {
        let headers: FieldTable = [(DELAY, ms)].into_iter().collect();
        let entries = headers.to_bytes();
        let headers = Some(RawTable::new(&entries));
        let properties = BasicProperties { headers, ..BasicProperties::default() };
        with_properties(&properties, body.as_bytes()).marked(Marks::DELAYED)
    }

    fn released(queue: &mut QueueState, now_ms: u64) -> Vec<String> {
        queue.apply(Command::Expire, Facts { now_ms, room: usize::MAX });
        let body = |message: &Message| String::from_utf8_lossy(message.body()).into_owned();
        queue.take_dead().iter().map(|dead| dead.message().map(body).unwrap_or_default()).collect()
    }

    #[test]
    fn what_is_due_first_leaves_first() {
        let kind = QueueKind { delays: true, has_dead_letters: true, ..QueueKind::default() };
        let mut queue = QueueState::new(kind);
        queue.begin(Facts { now_ms: 1000, room: usize::MAX });
        for (body, ms) in [("b", 200), ("c", 300), ("a", 100), ("b too", 200)] {
            queue.publish(delayed(body, ms));
        }
        assert_eq!((queue.delayed_count(), queue.ready_count()), (4, 0));
        assert_eq!(queue.next_due_ms(), 1100);
        assert_eq!(released(&mut queue, 1099), [""; 0]);
        assert_eq!(released(&mut queue, 1100), ["a"]);
        assert_eq!(released(&mut queue, 1299), ["b", "b too"]);
        assert_eq!(queue.next_due_ms(), 1300);
        assert_eq!(released(&mut queue, 5000), ["c"]);
        assert_eq!((queue.bytes(), queue.resident_bytes(), queue.next_due_ms()), (0, 0, NEVER));
    }

    #[test]
    fn many_leave_in_steps_and_bodies_that_are_in_a_store_are_read_first() {
        let kind = QueueKind { delays: true, has_dead_letters: true, ..QueueKind::default() };
        let mut queue = QueueState::new(kind);
        queue.begin(Facts { now_ms: 1000, room: 0 });
        (0..DUE_A_STEP + 1).for_each(|_| queue.publish(delayed("a", 1)));
        assert_eq!(queue.changes().take_paged_out().len(), DUE_A_STEP + 1);
        let released = released(&mut queue, 2000);
        assert_eq!((released.len(), released.concat()), (DUE_A_STEP, String::new()));
        assert_eq!(queue.next_due_ms(), 1001, "there is more");
    }

    #[test]
    fn what_waits_is_looked_at_in_pages_and_taken_back() {
        let kind = QueueKind { delays: true, has_dead_letters: true, ..QueueKind::default() };
        let mut queue = QueueState::new(kind);
        queue.begin(Facts { now_ms: 1000, room: usize::MAX });
        for (body, ms) in [("b", 200), ("c", 300), ("a", 100)] {
            queue.publish(delayed(body, ms));
        }
        let page = queue.waiting_after(None, (2, usize::MAX));
        let places: Vec<_> = page.iter().map(|(place, _)| *place).collect();
        assert_eq!(places.iter().map(|place| place.due_ms).collect::<Vec<_>>(), [1100, 1200]);
        assert_eq!(queue.waiting_after(None, (9, 1)).len(), 1, "one at least");
        assert_eq!(queue.waiting_after(Some(places[1]), (9, usize::MAX)).len(), 1);
        let facts = Facts { now_ms: 1000, room: usize::MAX };
        for count in [2, 0] {
            let reply = queue.apply(Command::Withdraw(places.clone()), facts);
            assert!(matches!(reply, Reply::Count(counted) if counted == count), "{reply:?}");
        }
        assert_eq!(released(&mut queue, 5000), ["c"]);
        assert_eq!((queue.bytes(), queue.resident_bytes()), (0, 0));
    }
}
