//! The segments there are, how much of each is still needed, and by which queues.
//!
//! Behind the lock of `holdings`, which keeps the accounts in agreement with the index. Recovery
//! fills it; the log thread adds hot segments, the compactor adds cold ones and removes either.
//!
//! Stays true: the bytes of a record that several places need count whole until the last of them is
//! settled. What is told for a run of places or a record costs one look-up, not one a place.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::index::{Released, Slot};
use super::record::CHUNK;
use super::shared_records::SharedRecords;
use crate::messages::Place;
use crate::wal::Segment;

/// Bytes of a delivery count on disk.
const COUNT_BYTES: u64 = 20;

/// Where in a queue that is which a segment has or had of it: whole chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
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
    /// Something in it cannot be read: it stays as it is.
    pub(crate) is_damaged: bool,
    /// Every queue that has or had something in it.
    queues: FxHashMap<u64, Extent>,
    shared: SharedRecords,
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
            is_damaged: false,
            queues: FxHashMap::default(),
            shared: SharedRecords::default(),
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

    /// The queues that may need something in it, and the sequence numbers to look among.
    pub(crate) fn queues(&self) -> impl Iterator<Item = (u64, Extent)> {
        self.queues.iter().map(|(queue, extent)| (*queue, *extent))
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// Ascending by id.
    accounts: Vec<Account>,
    /// Where the account is that was asked for last: mostly it is asked for again.
    recent: usize,
    /// For every queue that has or had something in a segment, how many segments these are.
    holders: FxHashMap<u64, u32>,
    synced_snapshot: u32,
    is_stirred: bool,
}

impl Segments {
    /// Adds a segment.
    pub(crate) fn insert(&mut self, account: Account) {
        match self.find(account.id()) {
            Ok(_) => {}
            Err(at) => self.accounts.insert(at, account),
        }
    }

    /// Takes out a segment that nothing is in any more.
    pub(crate) fn remove(&mut self, id: u32) {
        let Ok(at) = self.find(id) else { return };
        let account = self.accounts.remove(at);
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
        self.accounts.get(self.find(id).ok()?)
    }

    /// A segment's account, to be changed.
    pub(crate) fn entry(&mut self, id: u32) -> Option<Entry<'_>> {
        self.look_up(id)?;
        let account = self.accounts.get_mut(self.recent)?;
        Some(Entry { account, holders: &mut self.holders })
    }

    /// Takes what is not needed any more.
    pub(crate) fn releases(&mut self) -> Releases<'_> {
        Releases { segments: self, segment: 0, messages: 0, bytes: 0 }
    }

    fn find(&self, id: u32) -> Result<usize, usize> {
        self.accounts.binary_search_by_key(&id, Account::id)
    }

    /// Makes it the recent one.
    fn look_up(&mut self, id: u32) -> Option<&mut Account> {
        if self.accounts.get(self.recent).is_none_or(|recent| recent.id() != id) {
            self.recent = self.find(id).ok()?;
        }
        self.accounts.get_mut(self.recent)
    }

    /// All accounts, ascending by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    /// Whether anything of a queue is or was in any segment.
    pub(crate) fn has(&self, queue: u64) -> bool {
        self.holders.contains_key(&queue)
    }

    fn change(&mut self, id: u32, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.look_up(id) else { return };
        let was_half_empty = account.is_half_empty();
        change(account);
        let fell = !was_half_empty && account.is_half_empty();
        let stirs = account.is_sealed && (fell || account.is_empty());
        self.is_stirred |= stirs;
    }

    /// The open segment has grown to so many bytes.
    pub(crate) fn set_bytes(&mut self, id: u32, bytes: u64) {
        if let Some(account) = self.look_up(id) {
            account.bytes = bytes;
        }
    }

    /// What is in it so far is what it begins with.
    pub(crate) fn set_begun(&mut self, id: u32, bytes: u64) {
        if let Some(account) = self.look_up(id) {
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
        if let Some(account) = self.look_up(id) {
            account.is_sealed = true;
            account.bytes = bytes;
            self.is_stirred = true;
        }
    }

    /// Something in a segment cannot be read. False if that was known or the segment is gone.
    pub(crate) fn set_damaged(&mut self, id: u32) -> bool {
        self.look_up(id).is_some_and(|account| !std::mem::replace(&mut account.is_damaged, true))
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

/// See [`Segments::entry`].
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    account: &'a mut Account,
    holders: &'a mut FxHashMap<u64, u32>,
}

impl Entry<'_> {
    /// A record of the segment has or had a place of this queue.
    pub(crate) fn see(&mut self, place: Place) {
        let first = place.sequence - place.sequence % CHUNK;
        let last = first + (CHUNK - 1);
        let extent = self.account.queues.entry(place.queue).or_insert_with(|| {
            *self.holders.entry(place.queue).or_default() += 1;
            Extent { first, last }
        });
        extent.first = extent.first.min(first);
        extent.last = extent.last.max(last);
    }

    /// The messages of so many places that were seen are in this slot of the segment.
    pub(crate) fn hold(&mut self, slot: Slot, places: u32) {
        if places == 0 {
            return;
        }
        self.account.live_refs += u64::from(places);
        if !slot.is_shared() || self.account.shared.hold(slot.offset, places) {
            self.account.live_bytes += u64::from(slot.record().length);
        }
    }

    /// A delivery count is in the segment.
    pub(crate) fn hold_count(&mut self, place: Place) {
        self.see(place);
        self.account.live_counts += 1;
        self.account.live_bytes += COUNT_BYTES;
    }
}

/// What is not needed any more, gathered as long as it is in the same segment.
#[derive(Debug)]
pub(crate) struct Releases<'a> {
    segments: &'a mut Segments,
    segment: u32,
    messages: u64,
    /// Of records that nobody needs now.
    bytes: u64,
}

impl Releases<'_> {
    /// A place's message or a delivery count is not needed in its segment any more.
    pub(crate) fn add(&mut self, released: Released) {
        match released {
            Released::Message(_, slot) => self.message(slot),
            Released::Count(count) => {
                self.flush();
                self.segments.change(count.segment, |account| {
                    account.live_counts = account.live_counts.saturating_sub(1);
                    account.live_bytes = account.live_bytes.saturating_sub(COUNT_BYTES);
                });
            }
        }
    }

    fn message(&mut self, slot: Slot) {
        if slot.segment != self.segment {
            self.flush();
            self.segment = slot.segment;
        }
        self.messages += 1;
        let is_last = !slot.is_shared() || {
            let account = self.segments.look_up(slot.segment);
            account.is_some_and(|account| account.shared.release(slot.offset))
        };
        if is_last {
            self.bytes += u64::from(slot.record().length);
        }
    }

    /// That was all.
    pub(crate) fn finish(mut self) {
        self.flush();
    }

    fn flush(&mut self) {
        let messages = std::mem::take(&mut self.messages);
        let bytes = std::mem::take(&mut self.bytes);
        if messages > 0 {
            self.segments.change(self.segment, |account| {
                account.live_refs = account.live_refs.saturating_sub(messages);
                account.live_bytes = account.live_bytes.saturating_sub(bytes);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::index::Count;
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

    fn hold(segments: &mut Segments, queue: u64, slot: Slot) {
        let mut entry = segments.entry(slot.segment).unwrap();
        entry.see(at(queue));
        entry.hold(slot, 1);
    }

    fn release(segments: &mut Segments, released: &[Released]) {
        let mut releases = segments.releases();
        released.iter().for_each(|one| releases.add(*one));
        releases.finish();
    }

    fn message(slot: Slot) -> Released {
        Released::Message(7, slot)
    }

    #[test]
    fn a_record_for_many_queues_stays_whole_until_the_last_has_settled_it() {
        let mut segments = segments();
        segments.entry(1).unwrap().hold(slot(64, 20), 15);
        (16..=20).for_each(|queue| hold(&mut segments, queue, slot(64, 20)));
        hold(&mut segments, 21, slot(564, 1));
        assert_eq!(live(&segments), (21, 1000));
        release(&mut segments, &[message(slot(64, 20)); 19]);
        assert_eq!(live(&segments), (2, 1000));
        release(&mut segments, &[message(slot(64, 20))]);
        assert_eq!(live(&segments), (1, 500));
        let mut queues: Vec<_> = segments.get(1).unwrap().queues().collect();
        queues.sort_unstable_by_key(|(queue, _)| *queue);
        assert_eq!(queues.len(), 6);
        assert_eq!(queues[5], (21, Extent { first: 0, last: 255 }));
    }

    #[test]
    fn the_compactor_is_told_when_a_sealed_segment_falls_below_half_or_is_sealed() {
        let mut segments = segments();
        for (queue, offset) in [(1, 64), (2, 128), (3, 192)] {
            hold(&mut segments, queue, slot(offset, 1));
        }
        segments.set_sealed(1, 1000);
        assert!(segments.take_stirred());
        release(&mut segments, &[message(slot(64, 1))]);
        assert!(!segments.take_stirred(), "1000 of 1000 bytes");
        release(&mut segments, &[message(slot(128, 1))]);
        assert!(!segments.take_stirred(), "500 of 1000 bytes");
        release(&mut segments, &[message(slot(192, 1))]);
        assert!(segments.take_stirred() && !segments.take_stirred(), "nothing is in it any more");
        assert_eq!(live(&segments), (0, 0));
    }

    #[test]
    fn a_queue_is_in_the_segments_that_had_something_of_it_until_they_go() {
        let mut segments = segments();
        hold(&mut segments, 5, slot(64, 1));
        segments.entry(2).unwrap().hold_count(at(5));
        let count = Released::Count(Count { times: 3, segment: 2 });
        release(&mut segments, &[message(slot(64, 1)), count]);
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
