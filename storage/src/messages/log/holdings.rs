//! The index and the accounts of the segments, changed together.
//!
//! One lock of the log is around it, taken by the log thread once or twice a group, by readers, and
//! by the compactor for a few thousand places at a time; never held over I/O.
//!
//! Stays true: a segment's live places are those that the index has in it.

use super::index::{Count, Index, Released, Slot};
use super::record::AckChunk;
use super::segments::Segments;
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

    /// See [`Index::arrive`].
    pub(crate) fn arrive(&mut self, place: Place, slot: Slot) -> bool {
        let arrived = self.index.arrive(place, slot);
        match arrived {
            true => self.segments.hold(place, slot),
            // It is in the segment all the same.
            false => self.segments.see(slot.segment, place),
        }
        arrived
    }

    /// See [`Index::settle`]; tells the places that held a message.
    pub(crate) fn settle(&mut self, settled: Settled, mut released: impl FnMut(u64)) {
        let Self { index, segments } = self;
        index.settle(settled, |one| {
            release(segments, settled.queue, one);
            if let Released::Message(sequence, _) = one {
                released(sequence);
            }
        });
    }

    /// See [`Index::settle_chunk`].
    pub(crate) fn settle_chunk(&mut self, settled: &AckChunk) {
        let Self { index, segments } = self;
        index.settle_chunk(settled, |one| release(segments, settled.queue, one));
    }

    /// See [`Index::delete_queue`].
    pub(crate) fn delete_queue(&mut self, queue: u64) {
        let Self { index, segments } = self;
        index.delete_queue(queue, |one| release(segments, queue, one));
    }

    /// See [`Index::raise_count`].
    pub(crate) fn raise_count(&mut self, place: Place, count: Count) {
        if let Some(before) = self.index.raise_count(place, count) {
            if let Some(before) = before {
                self.segments.release_count(place.queue, before);
            }
            self.segments.hold_count(place, count);
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
            self.segments.release(place.queue, from);
            self.segments.hold(place, to);
        }
        moved
    }

    /// Forgets the deleted queues of which no segment has anything.
    pub(crate) fn forget_deleted(&mut self) {
        let Self { index, segments } = self;
        index.forget_deleted(|queue| segments.has(queue));
    }
}

fn release(segments: &mut Segments, queue: u64, released: Released) {
    match released {
        Released::Message(_, slot) => segments.release(queue, slot),
        Released::Count(count) => segments.release_count(queue, count),
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
            assert!(holdings.arrive(at(sequence), slot(1, u32::try_from(sequence).unwrap() * 100)));
            assert!(!holdings.arrive(at(sequence), slot(2, 0)), "it is there already");
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
