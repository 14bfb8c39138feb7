//! The segments there are, how much of each is still needed, and by which queues.
//!
//! Behind the lock of `holdings`, which keeps the accounts in agreement with the index. Recovery
//! fills it; the log thread adds hot segments, the compactor adds cold ones and removes either.
//!
//! Stays true: the bytes of a record that several places need count whole until the last of them is
//! settled.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::index::{Count, Slot};
use crate::messages::Place;
use crate::wal::Segment;

/// Bytes of a delivery count on disk.
const COUNT_BYTES: u64 = 20;

/// What a queue has in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// Messages and delivery counts.
    pub(crate) live: u32,
    /// All that ever were in it have sequence numbers from this...
    pub(crate) first: u64,
    /// ...to this.
    pub(crate) last: u64,
}

/// What is known of a segment.
#[derive(Debug)]
pub(crate) struct Account {
    /// Which.
    pub(crate) segment: Arc<Segment>,
    /// Bytes of it.
    pub(crate) bytes: u64,
    /// Bytes it had before anything was appended to it.
    pub(crate) begun: u64,
    /// Places whose message is in it.
    pub(crate) live_refs: u64,
    /// Delivery counts that are in it and in no newer one.
    pub(crate) live_counts: u64,
    /// Bytes of records that these need.
    pub(crate) live_bytes: u64,
    /// Nothing is appended to it any more, and all of it is on disk.
    pub(crate) is_sealed: bool,
    /// Every queue that has or had something in it.
    queues: FxHashMap<u64, Share>,
    /// Records with several places by offset, and how many of these still need them.
    shared: FxHashMap<u32, u32>,
}

impl Account {
    /// Of a segment that is appended to.
    pub(crate) fn open(segment: Arc<Segment>, bytes: u64) -> Self {
        Self {
            segment,
            bytes,
            begun: bytes,
            live_refs: 0,
            live_counts: 0,
            live_bytes: 0,
            is_sealed: false,
            queues: FxHashMap::default(),
            shared: FxHashMap::default(),
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.segment.name.id
    }

    /// Whether nothing in it is needed.
    pub(crate) fn is_empty(&self) -> bool {
        self.live_refs == 0 && self.live_counts == 0
    }

    /// Whether less than half of it is needed.
    pub(crate) fn is_half_empty(&self) -> bool {
        self.is_empty() || self.live_bytes * 2 < self.bytes
    }

    /// The queues that need something in it, and the sequence numbers to look among.
    pub(crate) fn needed_by(&self) -> impl Iterator<Item = (u64, Share)> {
        let queues = self.queues.iter().map(|(queue, share)| (*queue, *share));
        queues.filter(|(_, share)| share.live > 0)
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    accounts: FxHashMap<u32, Account>,
    /// For every queue that has or had something in a segment, how many segments these are.
    holders: FxHashMap<u64, u32>,
    synced_snapshot: u32,
    is_stirred: bool,
}

impl Segments {
    /// Adds a segment.
    pub(crate) fn insert(&mut self, account: Account) {
        self.accounts.insert(account.id(), account);
    }

    /// Takes out a segment that nothing is in any more.
    pub(crate) fn remove(&mut self, id: u32) {
        let Some(account) = self.accounts.remove(&id) else { return };
        for queue in account.queues.keys() {
            if let Some(count) = self.holders.get_mut(queue) {
                *count -= 1;
                if *count == 0 {
                    self.holders.remove(queue);
                }
            }
        }
    }

    /// A segment's account.
    pub(crate) fn get(&self, id: u32) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// All accounts, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Whether anything of a queue is or was in any segment.
    pub(crate) fn has(&self, queue: u64) -> bool {
        self.holders.contains_key(&queue)
    }

    /// A record of a segment has or had a place of this queue.
    pub(crate) fn see(&mut self, segment: u32, place: Place) {
        if let Some(account) = self.accounts.get_mut(&segment) {
            share(account, &mut self.holders, place);
        }
    }

    /// A place's message is in this slot.
    pub(crate) fn hold(&mut self, place: Place, slot: Slot) {
        let Some(account) = self.accounts.get_mut(&slot.segment) else { return };
        share(account, &mut self.holders, place).live += 1;
        account.live_refs += 1;
        let is_first = !slot.is_shared() || {
            let places = account.shared.entry(slot.offset).or_default();
            *places += 1;
            *places == 1
        };
        if is_first {
            account.live_bytes += u64::from(slot.record().length);
        }
    }

    /// A place's message is not needed in this slot any more.
    pub(crate) fn release(&mut self, queue: u64, slot: Slot) {
        self.change(slot.segment, queue, |account| {
            account.live_refs = account.live_refs.saturating_sub(1);
            let is_last = !slot.is_shared() || {
                let places = account.shared.get_mut(&slot.offset);
                let left = places.map_or(0, |places| {
                    *places = places.saturating_sub(1);
                    *places
                });
                if left == 0 {
                    account.shared.remove(&slot.offset);
                }
                left == 0
            };
            if is_last {
                let length = u64::from(slot.record().length);
                account.live_bytes = account.live_bytes.saturating_sub(length);
            }
        });
    }

    /// A delivery count is in its segment.
    pub(crate) fn hold_count(&mut self, place: Place, count: Count) {
        let Some(account) = self.accounts.get_mut(&count.segment) else { return };
        share(account, &mut self.holders, place).live += 1;
        account.live_counts += 1;
        account.live_bytes += COUNT_BYTES;
    }

    /// A delivery count is not needed in its segment any more.
    pub(crate) fn release_count(&mut self, queue: u64, count: Count) {
        self.change(count.segment, queue, |account| {
            account.live_counts = account.live_counts.saturating_sub(1);
            account.live_bytes = account.live_bytes.saturating_sub(COUNT_BYTES);
        });
    }

    fn change(&mut self, id: u32, queue: u64, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        let was_half_empty = account.is_half_empty();
        if let Some(share) = account.queues.get_mut(&queue) {
            share.live = share.live.saturating_sub(1);
        }
        change(account);
        let fell = !was_half_empty && account.is_half_empty();
        self.is_stirred |= account.is_sealed && (fell || account.is_empty());
    }

    /// The open segment has grown to so many bytes.
    pub(crate) fn set_bytes(&mut self, id: u32, bytes: u64) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.bytes = bytes;
        }
    }

    /// What is in it so far is what it begins with.
    pub(crate) fn set_begun(&mut self, id: u32, bytes: u64) {
        if let Some(account) = self.accounts.get_mut(&id) {
            (account.bytes, account.begun) = (bytes, bytes);
        }
    }

    /// Something of a hot segment is on disk, and so is the snapshot that it begins with, which holds
    /// from now on.
    pub(crate) fn set_synced(&mut self, id: u32) {
        if id > self.synced_snapshot {
            self.synced_snapshot = id;
            self.is_stirred = true;
        }
    }

    /// All of a segment is on disk, with so many bytes: it may be compacted.
    pub(crate) fn set_sealed(&mut self, id: u32, bytes: u64) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.is_sealed = true;
            account.bytes = bytes;
            self.is_stirred = true;
        }
    }

    /// The newest hot segment whose snapshot is on disk. What older hot segments say of settled
    /// places and deleted queues is in it too, so they may go when nothing in them is needed.
    pub(crate) fn synced_snapshot(&self) -> u32 {
        self.synced_snapshot
    }

    /// Whether there may be more for the compactor to do than when this was last asked.
    pub(crate) fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.is_stirred)
    }
}

fn share<'a>(
    account: &'a mut Account,
    holders: &mut FxHashMap<u64, u32>,
    place: Place,
) -> &'a mut Share {
    let share = account.queues.entry(place.queue).or_insert_with(|| {
        *holders.entry(place.queue).or_default() += 1;
        Share { live: 0, first: place.sequence, last: place.sequence }
    });
    share.first = share.first.min(place.sequence);
    share.last = share.last.max(place.sequence);
    share
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::wal::{RecordPlace, SegmentName};

    fn segments() -> Segments {
        let mut segments = Segments::default();
        for id in 1..=2 {
            let segment = Segment::for_test(SegmentName::hot(id), Path::new("log"));
            segments.insert(Account::open(segment, 1000));
        }
        segments
    }

    fn slot(offset: u32, places: usize) -> Slot {
        Slot::new(1, RecordPlace { offset, length: 500 }, places)
    }

    fn at(queue: u64) -> Place {
        Place { queue, sequence: 7 }
    }

    fn live(segments: &Segments) -> (u64, u64) {
        let account = segments.get(1).unwrap();
        (account.live_refs, account.live_bytes)
    }

    #[test]
    fn a_record_for_many_queues_stays_whole_until_the_last_has_settled_it() {
        let mut segments = segments();
        (1..=20).for_each(|queue| segments.hold(at(queue), slot(64, 20)));
        segments.hold(at(21), slot(564, 1));
        assert_eq!(live(&segments), (21, 1000));
        (1..20).for_each(|queue| segments.release(queue, slot(64, 20)));
        assert_eq!(live(&segments), (2, 1000));
        segments.release(20, slot(64, 20));
        assert_eq!(live(&segments), (1, 500));
        let needed: Vec<_> = segments.get(1).unwrap().needed_by().collect();
        assert_eq!(needed, [(21, Share { live: 1, first: 7, last: 7 })]);
    }

    #[test]
    fn the_compactor_is_told_when_a_sealed_segment_falls_below_half_or_is_sealed() {
        let mut segments = segments();
        for (queue, offset) in [(1, 64), (2, 128), (3, 192)] {
            segments.hold(at(queue), slot(offset, 1));
        }
        segments.set_sealed(1, 1000);
        assert!(segments.take_stirred());
        segments.release(1, slot(64, 1));
        assert!(!segments.take_stirred(), "1000 of 1000 bytes");
        segments.release(2, slot(128, 1));
        assert!(!segments.take_stirred(), "500 of 1000 bytes");
        segments.release(3, slot(192, 1));
        assert!(segments.take_stirred() && !segments.take_stirred(), "nothing is in it any more");
        assert_eq!(live(&segments), (0, 0));
    }

    #[test]
    fn a_queue_is_in_the_segments_that_had_something_of_it_until_they_go() {
        let mut segments = segments();
        segments.hold(at(5), slot(64, 1));
        segments.hold_count(at(5), Count { times: 3, segment: 2 });
        segments.release(5, slot(64, 1));
        segments.release_count(5, Count { times: 3, segment: 2 });
        assert!(segments.get(2).unwrap().is_empty());
        segments.remove(1);
        assert!(segments.has(5));
        segments.remove(2);
        assert!(!segments.has(5));
    }

    #[test]
    fn the_newest_synced_hot_segment_has_the_snapshot() {
        let mut segments = segments();
        segments.set_synced(2);
        segments.set_synced(1);
        assert_eq!(segments.synced_snapshot(), 2);
    }
}
