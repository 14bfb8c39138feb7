//! The index and the accounts of the segments, changed together.
//!
//! One lock of the log is around it, taken by the log thread once or twice a group, by readers, and
//! by the compactor for a few thousand places at a time; never held over I/O.
//!
//! Stays true: a segment's live places are those that the index has in it.

use super::index::{Arrival, Count, Index, Released, Slot};
use super::record::AckChunk;
use super::segments::{Entry, Segments};
use crate::messages::{Place, Settled};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    index: Index,
    segments: Segments,
}

impl Holdings {
    /// Where messages are.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// What is in the segments.
    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// To add, seal and remove segments.
    pub(crate) fn segments_mut(&mut self) -> &mut Segments {
        &mut self.segments
    }

    /// Takes messages that are in this segment.
    pub(crate) fn arrivals(&mut self, segment: u32) -> Arrivals<'_> {
        Arrivals { index: &mut self.index, entry: self.segments.entry(segment) }
    }

    /// See [`Index::settle`]; tells the places that held a message.
    pub(crate) fn settle(&mut self, settled: Settled, mut released: impl FnMut(u64)) {
        let Self { index, segments } = self;
        let mut releases = segments.releases();
        index.settle(settled, |one| {
            releases.add(one);
            if let Released::Message(sequence, _) = one {
                released(sequence);
            }
        });
        releases.finish();
    }

    /// See [`Index::settle_chunk`].
    pub(crate) fn settle_chunk(&mut self, settled: &AckChunk) {
        let Self { index, segments } = self;
        let mut releases = segments.releases();
        index.settle_chunk(settled, |one| releases.add(one));
        releases.finish();
    }

    /// See [`Index::delete_queue`].
    pub(crate) fn delete_queue(&mut self, queue: u64) {
        let Self { index, segments } = self;
        let mut releases = segments.releases();
        index.delete_queue(queue, |one| releases.add(one));
        releases.finish();
    }

    /// See [`Index::raise_count`].
    pub(crate) fn raise_count(&mut self, place: Place, count: Count) {
        let Some(before) = self.index.raise_count(place, count) else { return };
        if let Some(before) = before {
            self.release(Released::Count(before));
        }
        if let Some(mut entry) = self.segments.entry(count.segment) {
            entry.hold_count(place);
        }
    }

    /// See [`Index::raise_next`].
    pub(crate) fn raise_next(&mut self, queue: u64, next: u64) {
        self.index.raise_next(queue, next);
    }

    /// See [`Index::see`].
    pub(crate) fn see_queue(&mut self, queue: u64) {
        self.index.see(queue);
    }

    /// See [`Index::repoint`].
    pub(crate) fn repoint(&mut self, place: Place, from: Slot, to: Slot) -> bool {
        let moved = self.index.repoint(place, from, to);
        if moved {
            self.release(Released::Message(place.sequence, from));
            if let Some(mut entry) = self.segments.entry(to.segment) {
                entry.see(place);
                entry.hold(to, 1);
            }
        }
        moved
    }

    fn release(&mut self, released: Released) {
        let mut releases = self.segments.releases();
        releases.add(released);
        releases.finish();
    }

    /// Forgets the deleted queues of which no segment has anything.
    pub(crate) fn forget_deleted(&mut self) {
        let Self { index, segments } = self;
        index.forget_deleted(|queue| segments.has(queue));
    }
}

/// See [`Holdings::arrivals`].
#[derive(Debug)]
pub(crate) struct Arrivals<'a> {
    index: &'a mut Index,
    entry: Option<Entry<'a>>,
}

impl Arrivals<'_> {
    /// Puts the message of a record in its places, and tells of each whether it is there now, or
    /// nothing may arrive there, or something has already.
    pub(crate) fn add(
        &mut self,
        slot: Slot,
        places: impl Iterator<Item = Place>,
        mut told: impl FnMut(Place, bool),
    ) {
        let mut arrived = 0;
        for place in places {
            let arrival = self.index.arrive(place, slot);
            arrived += u32::from(arrival.is_there());
            // What is refused is in the segment all the same.
            if arrival != Arrival::Joined
                && let Some(entry) = &mut self.entry
            {
                entry.see(place);
            }
            told(place, arrival.is_there());
        }
        if let Some(entry) = &mut self.entry {
            entry.hold(slot, arrived);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::segments::Account;
    use super::*;
    use crate::wal::{RecordPlace, Segment, SegmentName};

    fn slot(segment: u32, offset: u32) -> Slot {
        Slot::new(segment, RecordPlace { offset, length: 100 }, 1)
    }

    fn arrive(holdings: &mut Holdings, place: Place, slot: Slot) -> bool {
        let mut is_there = false;
        let mut arrivals = holdings.arrivals(slot.segment);
        arrivals.add(slot, std::iter::once(place), |_, arrived| is_there = arrived);
        is_there
    }

    #[test]
    fn the_accounts_follow_the_index() {
        let mut holdings = Holdings::default();
        for id in 1..=2 {
            let segment = Segment::for_test(SegmentName::hot(id), Path::new("log"));
            holdings.segments_mut().insert(Account::open(segment, 1000));
        }
        let live = |holdings: &Holdings| {
            [1, 2].map(|id| {
                let account = holdings.segments().get(id).unwrap();
                (account.live_refs, account.live_counts, account.live_bytes)
            })
        };
        let at = |sequence| Place { queue: 1, sequence };
        for sequence in 0..10 {
            let offset = u32::try_from(sequence).unwrap() * 100;
            assert!(arrive(&mut holdings, at(sequence), slot(1, offset)));
            assert!(!arrive(&mut holdings, at(sequence), slot(2, 0)), "it is there already");
        }
        holdings.raise_count(at(1), Count { times: 2, segment: 1 });
        holdings.raise_count(at(1), Count { times: 3, segment: 2 });
        holdings.raise_count(at(4), Count { times: 3, segment: 2 });
        assert_eq!(live(&holdings), [(10, 0, 1000), (0, 2, 40)]);
        holdings.settle(Settled { queue: 1, first: 3, count: 20 }, |_| {});
        assert!(holdings.repoint(at(0), slot(1, 0), slot(2, 64)));
        assert!(!holdings.repoint(at(0), slot(1, 0), slot(2, 164)), "it has moved");
        assert_eq!(live(&holdings), [(2, 0, 200), (1, 1, 120)]);
        holdings.delete_queue(1);
        assert_eq!(live(&holdings), [(0, 0, 0), (0, 0, 0)]);
        holdings.segments_mut().remove(1);
        (0..9).for_each(|_| holdings.forget_deleted());
        assert!(holdings.index().is_deleted(1));
        holdings.segments_mut().remove(2);
        (0..9).for_each(|_| holdings.forget_deleted());
        assert!(!holdings.index().is_deleted(1));
    }
}
