//! Stored messages as a plain value: what a batch does to them, and what is left.
//!
//! `MemoryMessages` keeps one and copies it to know what a crash would leave.
//! Stays true: what counts is the set of batches, never their order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use super::{
    Batch, Content, Quarantined, Recovered, RecoveredMessage, RecoveredQueue, Settled,
    StoredMessage,
};

/// See the module documentation. A copy shares the messages' bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    queues: BTreeMap<u64, Queue>,
    deleted: BTreeSet<u64>,
    highest_queue: u64,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    messages: BTreeMap<u64, Content>,
    /// Places that are done with, also those whose message has not arrived.
    settled: Ranges,
    /// The highest count given for a place, also for those whose message has not arrived.
    counts: BTreeMap<u64, u32>,
    next: u64,
}

impl Contents {
    /// Applies what is in a batch.
    pub(super) fn apply(&mut self, batch: &Batch) {
        for queue in &batch.deleted_queues {
            self.queues.remove(queue);
            self.highest_queue = self.highest_queue.max(*queue);
            self.deleted.insert(*queue);
        }
        for publish in &batch.publishes {
            for place in &publish.places {
                if let Some(queue) = self.queue(place.queue) {
                    queue.publish(place.sequence, &publish.content);
                }
            }
        }
        for settled in batch.settled.iter().chain(&batch.absent) {
            if let Some(queue) = self.queue(settled.queue) {
                queue.settle(settled);
            }
        }
        for (place, count) in &batch.delivery_counts {
            if let Some(queue) = self.queue(place.queue) {
                queue.count(place.sequence, *count);
            }
        }
    }

    /// The messages in some ranges of a queue, ascending.
    pub(super) fn read(&self, queue: u64, sequences: &[Range<u64>]) -> Vec<StoredMessage> {
        let Some(queue) = self.queues.get(&queue) else { return Vec::new() };
        let found: BTreeMap<u64, &Content> = sequences
            .iter()
            .filter(|range| !range.is_empty())
            .flat_map(|range| queue.messages.range(range.clone()))
            .map(|(sequence, content)| (*sequence, content))
            .collect();
        let message = |(sequence, content): (u64, &Content)| StoredMessage {
            sequence,
            content: content.clone(),
        };
        found.into_iter().map(message).collect()
    }

    /// What is left, once per queue, and its bytes.
    pub(super) fn live(&self) -> (u64, u64) {
        let contents = self.queues.values().flat_map(|queue| queue.messages.values());
        contents.fold((0, 0), |(messages, bytes), one| (messages + 1, bytes + one.size() as u64))
    }

    /// What an opening would find.
    pub(super) fn recover(&self, known_queues: &HashSet<u64>) -> Recovered {
        let highest_queue = self.highest_queue;
        let mut recovered = Recovered { highest_queue, ..Recovered::default() };
        for (number, queue) in &self.queues {
            if known_queues.contains(number) {
                recovered.queues.insert(*number, queue.recover());
            } else if !queue.messages.is_empty() {
                let messages = queue.messages.len() as u64;
                recovered.quarantined.push(Quarantined { queue: *number, messages });
            }
        }
        recovered
    }

    /// `None` for a queue that is gone: what arrives late for it is dropped.
    fn queue(&mut self, number: u64) -> Option<&mut Queue> {
        if self.deleted.contains(&number) {
            return None;
        }
        self.highest_queue = self.highest_queue.max(number);
        Some(self.queues.entry(number).or_default())
    }
}

impl Queue {
    fn publish(&mut self, sequence: u64, content: &Content) {
        self.next = self.next.max(sequence.saturating_add(1));
        if !self.settled.contains(sequence) {
            self.messages.insert(sequence, content.clone());
        }
    }

    fn settle(&mut self, settled: &Settled) {
        let end = settled.first.saturating_add(settled.count);
        self.next = self.next.max(end);
        self.settled.insert(settled.first..end);
        take_range(&mut self.messages, settled.first..end);
        take_range(&mut self.counts, settled.first..end);
    }

    fn count(&mut self, sequence: u64, count: u32) {
        if !self.settled.contains(sequence) {
            let highest = self.counts.entry(sequence).or_default();
            *highest = count.max(*highest);
        }
    }

    fn recover(&self) -> RecoveredQueue {
        let message = |(sequence, content): (&u64, &Content)| RecoveredMessage {
            sequence: *sequence,
            note: content.note,
            arrived_ms: content.arrived_ms,
            until_ms: content.until_ms,
            size: u32::try_from(content.size()).unwrap_or(u32::MAX),
            delivery_count: self.counts.get(sequence).copied().unwrap_or(0),
        };
        RecoveredQueue {
            next_sequence: self.next,
            messages: self.messages.iter().map(message).collect(),
        }
    }
}

/// Removes a range of keys.
fn take_range<T>(map: &mut BTreeMap<u64, T>, range: Range<u64>) {
    let mut taken = map.split_off(&range.start);
    let mut after = taken.split_off(&range.end);
    map.append(&mut after);
}

/// A set of numbers, kept as ranges that do not touch: first to end.
#[derive(Clone, Debug, Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    fn insert(&mut self, mut range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((&first, &end)) = self.0.range(..=range.end).next_back()
            && end >= range.start
        {
            self.0.remove(&first);
            range = first.min(range.start)..end.max(range.end);
        }
        self.0.insert(range.start, range.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = Ranges::default();
        for range in [5..7, 9..10, 0..1, 20..30, 7..9, 2..2, 3..25] {
            ranges.insert(range);
        }
        assert_eq!(ranges.0.into_iter().collect::<Vec<_>>(), [(0, 1), (3, 30)]);
    }

    #[test]
    fn a_range_ends_before_its_end() {
        let mut ranges = Ranges::default();
        ranges.insert(5..7);
        let inside: Vec<u64> = (0..10).filter(|number| ranges.contains(*number)).collect();
        assert_eq!(inside, [5, 6]);
    }
}
