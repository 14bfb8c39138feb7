//! Where every message is that is not settled, by queue and sequence number.
//!
//! Behind the lock of `holdings`; filled by recovery, kept by the log thread, repointed by the
//! compactor, asked by readers. What counts is the set of what arrived and what is settled, in
//! whatever order it was told.
//!
//! Stays true: a place that was settled never holds a message again, nor does one of a deleted
//! queue.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::chunk::Mask;
pub(crate) use super::chunk::Slot;
use super::queue_index::QueueIndex;
pub(crate) use super::queue_index::{Arrival, ChunkRun, Count, Released};
use super::record::AckChunk;
use crate::messages::{Place, Settled};

/// A deleted queue is forgotten when it was found not to be needed so often: what was appended for it
/// by others at the same time has arrived by then.
const GRACE: u8 = 4;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Index {
    queues: FxHashMap<u64, QueueIndex>,
    /// Deleted queues, and how often each was found not to be needed.
    deleted: FxHashMap<u64, u8>,
    highest_queue: u64,
}

impl Index {
    /// Puts a message in its place.
    pub(crate) fn arrive(&mut self, place: Place, slot: Slot) -> Arrival {
        self.queue(place.queue).map_or(Arrival::Refused, |queue| queue.arrive(place.sequence, slot))
    }

    /// Settles places, whether something has arrived in them or not, and tells what they held.
    pub(crate) fn settle(&mut self, settled: Settled, mut released: impl FnMut(Released)) {
        let Settled { queue, first, count } = settled;
        if let Some(queue) = self.queue(queue) {
            queue.settle(first..first.saturating_add(count), &mut released);
        }
    }

    /// Settles places of one chunk; see [`Self::settle`].
    pub(crate) fn settle_chunk(&mut self, settled: &AckChunk, mut released: impl FnMut(Released)) {
        if let Some(queue) = self.queue(settled.queue) {
            queue.settle_chunk(settled.base, Mask::from_bytes(settled.bitmap), &mut released);
        }
    }

    /// Forgets a queue and tells what it had. Nothing arrives in it until that is forgotten, too.
    pub(crate) fn delete_queue(&mut self, queue: u64, mut released: impl FnMut(Released)) {
        self.see(queue);
        if let Some(queue) = self.queues.remove(&queue) {
            let message = |sequence, slot| Released::Message(sequence, slot);
            queue.live(&(0..u64::MAX), |sequence, slot| released(message(sequence, slot)));
            queue.counts().for_each(|(_, count)| released(Released::Count(count)));
        }
        self.deleted.insert(queue, 0);
    }

    /// Whether a delivery count would be remembered.
    pub(crate) fn is_count_news(&self, place: Place, count: u32) -> bool {
        let queue = self.queues.get(&place.queue);
        queue.is_some_and(|queue| queue.is_news(place.sequence, count))
    }

    /// Remembers how often a message was given back, the highest wins. `None` if it is not, else what
    /// was remembered before.
    pub(crate) fn raise_count(&mut self, place: Place, count: Count) -> Option<Option<Count>> {
        self.queues.get_mut(&place.queue)?.raise_count(place.sequence, count)
    }

    /// Remembers that sequence numbers below `next` were used.
    pub(crate) fn raise_next(&mut self, queue: u64, next: u64) {
        if let Some(queue) = self.queue(queue) {
            queue.raise_next(next);
        }
    }

    /// Where a message is.
    pub(crate) fn get(&self, place: Place) -> Option<Slot> {
        self.queues.get(&place.queue)?.get(place.sequence)
    }

    /// Whether nothing may arrive in this place any more.
    pub(crate) fn is_settled(&self, place: Place) -> bool {
        match self.queues.get(&place.queue) {
            Some(queue) => queue.is_settled(place.sequence),
            None => self.is_deleted(place.queue),
        }
    }

    /// Says that a message has moved. False, and nothing is changed, if it is not at `from` any
    /// more.
    pub(crate) fn repoint(&mut self, place: Place, from: Slot, to: Slot) -> bool {
        let queue = self.queues.get_mut(&place.queue);
        match queue.and_then(|queue| queue.get_mut(place.sequence)) {
            Some(slot) if slot.segment == from.segment && slot.offset == from.offset => {
                *slot = to;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Tells the messages of a queue in a range, ascending.
    pub(crate) fn live(&self, queue: u64, sequences: &Range<u64>, found: impl FnMut(u64, Slot)) {
        if let Some(queue) = self.queues.get(&queue) {
            queue.live(sequences, found);
        }
    }

    /// Where to look for messages of a queue from this place on; there are none before. For those who
    /// ask for all of them piece by piece.
    pub(crate) fn next_held(&self, queue: u64, from: u64) -> Option<u64> {
        self.queues.get(&queue)?.next_held(from)
    }

    /// The messages of a queue that were given back, how often, and which segment says so.
    pub(crate) fn counts(&self, queue: u64) -> impl Iterator<Item = (u64, Count)> {
        self.queues.get(&queue).into_iter().flat_map(QueueIndex::counts)
    }

    /// All queues that were ever named and are not deleted, in no order, each with a number above
    /// every place that was ever named.
    pub(crate) fn queues(&self) -> impl Iterator<Item = (u64, u64)> {
        self.queues.iter().map(|(queue, index)| (*queue, index.next()))
    }

    /// What is settled of a queue, chunk by chunk up to the last that was named. Returns the first
    /// place of the first run; everything below is settled.
    pub(crate) fn snapshot(&self, queue: u64, told: impl FnMut(ChunkRun)) -> u64 {
        self.queues.get(&queue).map_or(0, |queue| queue.snapshot(told))
    }

    /// Whether the queue was deleted and not yet forgotten.
    pub(crate) fn is_deleted(&self, queue: u64) -> bool {
        !self.deleted.is_empty() && self.deleted.contains_key(&queue)
    }

    /// The deleted queues that are not yet forgotten.
    pub(crate) fn deleted(&self) -> impl Iterator<Item = u64> {
        self.deleted.keys().copied()
    }

    /// Forgets the deleted queues that have not been needed for some time.
    pub(crate) fn forget_deleted(&mut self, is_needed: impl Fn(u64) -> bool) {
        self.deleted.retain(|queue, idle| {
            *idle = if is_needed(*queue) { 0 } else { *idle + 1 };
            *idle < GRACE
        });
    }

    /// The highest number of a queue that was ever named.
    pub(crate) fn highest_queue(&self) -> u64 {
        self.highest_queue
    }

    /// A queue's number was named.
    pub(crate) fn see(&mut self, queue: u64) {
        self.highest_queue = self.highest_queue.max(queue);
    }

    /// `None` for one that is deleted.
    fn queue(&mut self, queue: u64) -> Option<&mut QueueIndex> {
        if self.is_deleted(queue) {
            return None;
        }
        self.see(queue);
        Some(self.queues.entry(queue).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::wal::RecordPlace;

    /// The same by the book.
    #[derive(Debug, Default)]
    struct Naive {
        live: BTreeMap<u64, u32>,
        settled: BTreeSet<u64>,
        next: u64,
    }

    #[derive(Clone, Debug)]
    enum Action {
        Arrive(u64),
        Settle(u64, u64),
        Repoint(u64),
    }

    fn actions() -> impl Strategy<Value = Vec<Action>> {
        let place = prop_oneof![8 => 0..1500_u64, 2 => 20_000..60_000_u64];
        let count = prop_oneof![8 => 1..20_u64, 2 => 200..3000_u64, 1 => 20_000..50_000_u64];
        let action = prop_oneof![
            5 => place.clone().prop_map(Action::Arrive),
            4 => (place.clone(), count).prop_map(|(first, count)| Action::Settle(first, count)),
            1 => place.prop_map(Action::Repoint),
        ];
        prop::collection::vec(action, 1..120)
    }

    fn slot(offset: u32) -> Slot {
        Slot::new(7, RecordPlace { offset, length: 90 }, 3)
    }

    fn settle(index: &mut Index, first: u64, count: u64) -> Vec<(u64, u32)> {
        let mut released = Vec::new();
        index.settle(Settled { queue: 1, first, count }, |one| {
            if let Released::Message(sequence, slot) = one {
                released.push((sequence, slot.offset));
            }
        });
        released
    }

    fn at(sequence: u64) -> Place {
        Place { queue: 1, sequence }
    }

    /// Applies an action to both and checks what it answers.
    fn apply(index: &mut Index, naive: &mut Naive, action: &Action, stamp: u32) {
        match *action {
            Action::Arrive(sequence) => {
                naive.next = naive.next.max(sequence + 1);
                let is_free =
                    !naive.settled.contains(&sequence) && !naive.live.contains_key(&sequence);
                assert_eq!(index.arrive(at(sequence), slot(stamp)).is_there(), is_free);
                if is_free {
                    naive.live.insert(sequence, stamp);
                }
            }
            Action::Settle(first, count) => {
                let places = first..first + count;
                naive.next = naive.next.max(places.end);
                let mut released = settle(index, first, count);
                released.sort_unstable();
                let expected: Vec<(u64, u32)> =
                    naive.live.range(places.clone()).map(|(place, slot)| (*place, *slot)).collect();
                assert_eq!(released, expected);
                naive.live.retain(|place, _| !places.contains(place));
                naive.settled.extend(places);
            }
            Action::Repoint(sequence) => {
                let found = naive.live.get_mut(&sequence);
                let from = slot(found.as_ref().map_or(u32::MAX, |offset| **offset));
                assert_eq!(index.repoint(at(sequence), from, slot(stamp)), found.is_some());
                if let Some(offset) = found {
                    *offset = stamp;
                }
            }
        }
    }

    /// What a snapshot says is settled.
    fn settled_of(index: &Index) -> (u64, impl Fn(u64) -> bool) {
        let mut runs = Vec::new();
        let floor = index.snapshot(1, |run| runs.push(run));
        let mut chunks = Vec::new();
        for run in runs {
            match run {
                ChunkRun::Unsettled(count) => chunks.extend((0..count).map(|_| [0; 32])),
                ChunkRun::Settled(count) => chunks.extend((0..count).map(|_| [255; 32])),
                ChunkRun::Mixed(mask) => chunks.push(mask.to_bytes()),
            }
        }
        let end = floor + chunks.len() as u64 * 256;
        let is_settled = move |place: u64| {
            let Some(above) = place.checked_sub(floor) else { return true };
            let byte =
                chunks.concat().get(usize::try_from(above / 8).unwrap()).copied().unwrap_or(0);
            byte >> (above % 8) & 1 == 1
        };
        (end, is_settled)
    }

    fn check(index: &Index, naive: &Naive) {
        let mut live = BTreeMap::new();
        index.live(1, &(0..u64::MAX), |sequence, slot| {
            assert!(live.last_key_value().is_none_or(|(last, _)| *last < sequence));
            live.insert(sequence, slot.offset);
        });
        assert_eq!(live, naive.live);
        let (mut from, mut pieces) = (0, Vec::new());
        while let Some(start) = index.next_held(1, from) {
            assert!(start >= from);
            from = start + 300;
            index.live(1, &(start..from), |sequence, _| pieces.push(sequence));
        }
        assert!(pieces.iter().eq(live.keys()), "{pieces:?}");
        assert!(index.queues().all(|(queue, next)| (queue, next) == (1, naive.next)));
        let probes = (0..1600).chain((0..6000).map(|n| n * 17));
        let (end, told) = settled_of(index);
        assert!(naive.live.keys().all(|place| *place < end));
        let mut told_of = BTreeMap::new();
        for place in probes {
            assert_eq!(index.get(at(place)).map(|slot| slot.offset), live.get(&place).copied());
            let is_settled = naive.settled.contains(&place);
            assert_eq!(index.is_settled(at(place)), is_settled, "{place}");
            if place % 97 == 0 {
                told_of.insert(place, (told(place), is_settled));
            }
        }
        assert!(told_of.values().all(|(told, settled)| told == settled), "{told_of:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_knows_what_a_naive_map_knows(actions in actions()) {
            let (mut index, mut naive) = (Index::default(), Naive::default());
            for (action, stamp) in actions.iter().zip(0..) {
                apply(&mut index, &mut naive, action, stamp);
            }
            check(&index, &naive);
        }
    }

    #[test]
    fn a_message_that_stays_costs_nothing_for_what_passes_it() {
        let mut index = Index::default();
        index.arrive(at(3), slot(3));
        for sequence in 4..100_000 {
            index.arrive(at(sequence), slot(0));
            settle(&mut index, sequence, 1);
        }
        let debug = format!("{:?}", index.queues.get(&1).unwrap());
        assert!(debug.len() < 10_000, "{} bytes", debug.len());
        assert_eq!(index.get(at(3)), Some(slot(3)));
    }

    #[test]
    fn everything_can_be_settled_at_once_and_for_good() {
        let mut index = Index::default();
        index.arrive(at(1_000_000), slot(1));
        index.arrive(at(5), slot(2));
        assert_eq!(settle(&mut index, 0, u64::MAX), [(5, 2), (1_000_000, 1)]);
        assert!(!index.arrive(at(1 << 40), slot(1)).is_there());
        assert!(index.is_settled(at(77)));
    }

    #[test]
    fn a_deleted_queue_takes_nothing_more_until_it_is_forgotten() {
        let mut index = Index::default();
        index.arrive(at(1), slot(1));
        index.arrive(at(2), slot(2));
        assert_eq!(index.raise_count(at(2), count(4, 1)), Some(None));
        let mut released = Vec::new();
        index.delete_queue(1, |one| released.push(one));
        assert_eq!(released.len(), 3);
        assert_eq!(released[2], Released::Count(count(4, 1)));
        assert!(index.is_settled(at(1)));
        assert!(!index.arrive(at(3), slot(3)).is_there());
        assert_eq!((index.queues().count(), index.highest_queue()), (0, 1));
        index.forget_deleted(|queue| queue == 1);
        assert_eq!(index.deleted().collect::<Vec<_>>(), [1]);
        (0..GRACE).for_each(|_| index.forget_deleted(|_| false));
        assert_eq!((index.deleted().count(), index.highest_queue()), (0, 1));
    }

    fn count(times: u32, segment: u32) -> Count {
        Count { times, segment }
    }

    #[test]
    fn the_highest_count_of_a_message_that_is_there_stays_until_it_is_settled() {
        let mut index = Index::default();
        index.arrive(at(1), slot(1));
        assert_eq!(index.raise_count(at(1), count(3, 1)), Some(None));
        assert!(index.raise_count(at(1), count(2, 9)).is_none());
        assert!(index.raise_count(at(2), count(2, 9)).is_none(), "there is no message");
        assert_eq!(index.raise_count(at(1), count(3, 2)), Some(Some(count(3, 1))));
        assert_eq!(index.counts(1).collect::<Vec<_>>(), [(1, count(3, 2))]);
        assert!(!index.is_count_news(at(1), 3) && index.is_count_news(at(1), 4));
        settle(&mut index, 0, 9);
        assert!(index.raise_count(at(1), count(5, 3)).is_none());
        assert_eq!(index.counts(1).count(), 0);
    }
}
