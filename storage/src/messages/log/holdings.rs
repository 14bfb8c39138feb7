//! The index and the accounts of the segments, changed together.
//!
//! One lock of the log is around it, taken by the log thread once or twice a group, by readers, and
//! by the compactor for a few thousand places at a time; never held over I/O.
//!
//! Stays true: a segment's live places are those that the index has in it.

use super::frame::AckChunk;
use super::index::{Gaps, Index, Slot};
use super::segments::Segments;
use crate::messages::{Place, Settled};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Holdings {
    index: Index,
    segments: Segments,
}

impl Holdings {
    /// Nothing, yet.
    pub(crate) fn new(gaps: Gaps) -> Self {
        Self { index: Index::new(gaps), segments: Segments::default() }
    }

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
        if arrived {
            self.segments.hold(slot);
        }
        arrived
    }

    /// See [`Index::settle`].
    pub(crate) fn settle(&mut self, settled: Settled, mut released: impl FnMut(u64, Slot)) {
        let Self { index, segments } = self;
        index.settle(settled, |sequence, slot| {
            segments.release(slot);
            released(sequence, slot);
        });
    }

    /// See [`Index::settle_chunk`].
    pub(crate) fn settle_chunk(&mut self, settled: &AckChunk) {
        let Self { index, segments } = self;
        index.settle_chunk(settled, |_, slot| segments.release(slot));
    }

    /// See [`Index::delete_queue`].
    pub(crate) fn delete_queue(&mut self, queue: u64) {
        let Self { index, segments } = self;
        index.delete_queue(queue, segments.highest_id(), |_, slot| segments.release(slot));
    }

    /// See [`Index::raise_count`].
    pub(crate) fn raise_count(&mut self, place: Place, count: u32) -> bool {
        self.index.raise_count(place, count)
    }

    /// See [`Index::raise_next`].
    pub(crate) fn raise_next(&mut self, queue: u64, next: u64) {
        self.index.raise_next(queue, next);
    }

    /// See [`Index::repoint`].
    pub(crate) fn repoint(&mut self, place: Place, from: Slot, to: Slot) -> bool {
        let moved = self.index.repoint(place, from, to);
        if moved {
            self.segments.release(from);
            self.segments.hold(to);
        }
        moved
    }

    /// See [`Index::forget_deleted`].
    pub(crate) fn forget_deleted(&mut self) {
        self.index.forget_deleted(self.segments.oldest());
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::{Files, RealFiles};
    use super::super::segment::SegmentName;
    use super::super::segments::{Account, Segment};
    use super::*;

    fn slot(segment: u32, offset: u32) -> Slot {
        Slot { segment, offset, length: 100, refs: 1 }
    }

    #[test]
    fn the_accounts_follow_the_index() {
        let directory = tempfile::tempdir().unwrap();
        let mut holdings = Holdings::new(Gaps::Open);
        for id in 1..=2 {
            let name = SegmentName::hot(id);
            let file = RealFiles.create_new(&name.path(directory.path())).unwrap();
            let segment = Segment::new(name, directory.path(), file);
            holdings.segments_mut().insert(Account::open(segment, 1000));
        }
        let live = |holdings: &Holdings| {
            [1, 2].map(|id| {
                let account = holdings.segments().get(id).unwrap();
                (account.live_refs, account.live_bytes)
            })
        };
        for sequence in 0..10 {
            let place = Place { queue: 1, sequence };
            assert!(holdings.arrive(place, slot(1, u32::try_from(sequence).unwrap() * 100)));
            assert!(!holdings.arrive(place, slot(2, 0)), "it is there already");
        }
        holdings.settle(Settled { queue: 1, first: 3, count: 20 }, |_, _| {});
        let first = Place { queue: 1, sequence: 0 };
        assert!(holdings.repoint(first, slot(1, 0), slot(2, 64)));
        assert!(!holdings.repoint(first, slot(1, 0), slot(2, 164)), "it has moved");
        assert_eq!(live(&holdings), [(2, 200), (1, 100)]);
        holdings.delete_queue(1);
        assert_eq!(live(&holdings), [(0, 0), (0, 0)]);
        holdings.segments_mut().remove(1);
        holdings.forget_deleted();
        assert!(holdings.index().is_deleted(1));
        holdings.segments_mut().remove(2);
        holdings.forget_deleted();
        assert!(!holdings.index().is_deleted(1));
    }
}
