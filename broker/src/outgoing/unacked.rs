//! The deliveries of one channel that wait for an ack, nack or reject, by delivery tag.
//!
//! Owned by `outgoing::ledger`: deliveries come from any task.
//! Stays true: tags ascend; `live` counts the entries that are not settled. Settled entries in the
//! middle stay as tombstones until they reach the front or are the majority, so settling one is a
//! binary search and settling all below a tag is a pass from the front.
//! Specification: AMQP 0-9-1 basic.ack; RabbitMQ's acknowledgements page.

use crate::keys::{DeliveryKey, SourceKey};
use std::collections::VecDeque;

/// One unsettled delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outstanding {
    /// Its tag on the channel, from 1.
    pub tag: u64,
    /// What settles it in its queue.
    pub key: DeliveryKey,
    /// Its queue and consumer.
    pub source: SourceKey,
}

/// Below this many entries tombstones are left alone.
const COMPACT_ABOVE: usize = 64;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct UnackedTags {
    entries: VecDeque<Outstanding>,
    live: usize,
}

impl UnackedTags {
    /// How many deliveries are unsettled.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Adds a delivery; its tag is above all earlier ones.
    pub(crate) fn push(&mut self, delivery: Outstanding) {
        debug_assert!(self.entries.back().is_none_or(|last| last.tag < delivery.tag));
        self.entries.push_back(delivery);
        self.live += 1;
    }

    /// Takes the delivery with exactly this tag.
    pub(crate) fn take(&mut self, tag: u64) -> Option<Outstanding> {
        let place = self.find(tag)?;
        let entry = self.entries.get_mut(place)?;
        let taken = *entry;
        entry.key = DeliveryKey::NONE;
        self.live -= 1;
        self.drop_tombstones();
        Some(taken)
    }

    /// Whether the tag is outstanding.
    pub(crate) fn contains(&self, tag: u64) -> bool {
        self.find(tag).is_some()
    }

    /// The delivery with exactly this tag.
    pub(crate) fn get(&self, tag: u64) -> Option<&Outstanding> {
        self.entries.get(self.find(tag)?)
    }

    /// How many unsettled deliveries came from a source: looks at all of them.
    pub(crate) fn count_from(&self, source: SourceKey) -> usize {
        let unsettled = self.entries.iter().filter(|entry| entry.key != DeliveryKey::NONE);
        unsettled.filter(|entry| entry.source == source).count()
    }

    /// Takes all deliveries up to and including this tag, in order, but at most so many. True when
    /// that was all of them.
    pub(crate) fn take_through(
        &mut self,
        tag: u64,
        limit: usize,
        mut each: impl FnMut(Outstanding),
    ) -> bool {
        let mut taken = 0;
        while let Some(first) = self.entries.front() {
            if first.tag > tag {
                break;
            }
            if first.key != DeliveryKey::NONE {
                if taken == limit {
                    return false;
                }
                taken += 1;
                self.live -= 1;
                each(*first);
            }
            self.entries.pop_front();
        }
        self.drop_tombstones();
        true
    }

    /// Puts deliveries back that were taken.
    pub(crate) fn restore(&mut self, deliveries: impl Iterator<Item = Outstanding>) {
        let mut deliveries: Vec<_> = deliveries.collect();
        deliveries.sort_unstable_by_key(|delivery| delivery.tag);
        self.live += deliveries.len();
        let mut strays = Vec::new();
        // Most return to their tombstones or to the front, and the others stay where they are.
        for delivery in deliveries.into_iter().rev() {
            let place = self.entries.binary_search_by_key(&delivery.tag, |entry| entry.tag);
            match place.map(|place| self.entries.get_mut(place)) {
                Ok(Some(tombstone)) => *tombstone = delivery,
                Err(0) => self.entries.push_front(delivery),
                Ok(None) | Err(_) => strays.push(delivery),
            }
        }
        if !strays.is_empty() {
            // Tombstones were dropped: they were many, and so are those that return.
            self.entries.extend(strays);
            self.entries.make_contiguous().sort_unstable_by_key(|entry| entry.tag);
        }
    }

    fn find(&self, tag: u64) -> Option<usize> {
        // Most settling is in order: look at the front before searching.
        let first = self.entries.front()?;
        if first.tag == tag {
            return (first.key != DeliveryKey::NONE).then_some(0);
        }
        let place = self.entries.binary_search_by_key(&tag, |entry| entry.tag).ok()?;
        self.entries.get(place).filter(|entry| entry.key != DeliveryKey::NONE).map(|_| place)
    }

    fn drop_tombstones(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.key == DeliveryKey::NONE) {
            self.entries.pop_front();
        }
        if self.entries.len() > COMPACT_ABOVE && self.live < self.entries.len() / 2 {
            self.entries.retain(|entry| entry.key != DeliveryKey::NONE);
        }
        if self.entries.is_empty() && self.entries.capacity() > 16 * COMPACT_ABOVE {
            self.entries = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_tags(tags: impl IntoIterator<Item = u64>) -> UnackedTags {
        let mut unacked = UnackedTags::default();
        for tag in tags {
            let key = DeliveryKey(u32::try_from(tag).expect("small"));
            unacked.push(Outstanding { tag, key, source: SourceKey(0) });
        }
        unacked
    }

    fn through(unacked: &mut UnackedTags, tag: u64) -> Vec<u64> {
        let mut tags = Vec::new();
        unacked.take_through(tag, usize::MAX, |entry| tags.push(entry.tag));
        tags
    }

    #[test]
    fn a_tag_is_settled_once() {
        let mut unacked = with_tags([1, 2, 4]);
        assert_eq!(unacked.take(2).map(|entry| entry.tag), Some(2));
        assert_eq!(unacked.take(2), None);
        assert_eq!(unacked.take(3), None);
        assert!(unacked.contains(4));
        assert_eq!(unacked.len(), 2);
    }

    #[test]
    fn multiple_takes_everything_below_but_what_is_settled() {
        let mut unacked = with_tags(1..=6);
        unacked.take(2);
        assert_eq!(through(&mut unacked, 4), [1, 3, 4]);
        assert_eq!(through(&mut unacked, 4), [0_u64; 0]);
        assert_eq!(through(&mut unacked, u64::MAX), [5, 6]);
        assert_eq!(unacked.len(), 0);
    }

    #[test]
    fn a_step_takes_so_many_and_says_whether_there_are_more() {
        let mut unacked = with_tags(1..=6);
        unacked.take(2);
        let mut tags = Vec::new();
        assert!(!unacked.take_through(5, 2, |entry| tags.push(entry.tag)));
        assert!(unacked.take_through(5, 2, |entry| tags.push(entry.tag)));
        assert_eq!((tags, unacked.len()), (vec![1, 3, 4, 5], 1));
    }

    #[test]
    fn restored_deliveries_can_be_settled_again() {
        let mut unacked = with_tags(1..=5);
        let taken = [unacked.take(2), unacked.take(4)].into_iter().flatten();
        unacked.restore(taken);
        assert_eq!(unacked.len(), 5);
        assert_eq!(through(&mut unacked, u64::MAX), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn one_forgotten_delivery_does_not_keep_the_rest_in_memory() {
        let mut unacked = with_tags(1..=100_000);
        for tag in 2..=100_000 {
            assert!(unacked.take(tag).is_some());
        }
        assert_eq!(unacked.len(), 1);
        assert!(unacked.entries.len() <= 2 * COMPACT_ABOVE, "{}", unacked.entries.len());
        assert!(unacked.contains(1));
    }
}
