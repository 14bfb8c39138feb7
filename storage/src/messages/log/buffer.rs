//! Records on their way to a segment, and the outline of that segment.
//!
//! Used by the log thread and the compactor. Stays true: the outline tells the records that were
//! written, and what is in the buffer once it will be.

use super::outline::{Mark, Outline};
use super::record::{self, Item, Kind, Stamp};
use crate::messages::Place;
use crate::wal::{GroupBuffer, RecordPlace, Spot, TooLong};

/// See the module documentation. Reused: it keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct RecordBuffer {
    pub(crate) group: GroupBuffer,
    outline: Outline,
    mark: Mark,
    payload: Vec<u8>,
}

impl RecordBuffer {
    /// Begins a group for this spot.
    pub(crate) fn begin(&mut self, spot: Spot) {
        self.group.begin(spot);
        self.mark = self.outline.mark();
    }

    /// What was put into it since was not written.
    pub(crate) fn rewind(&mut self) {
        self.outline.rewind(self.mark);
        let spot = self.group.spot();
        self.group.begin(spot);
    }

    /// Bytes of the outline so far.
    pub(crate) fn outline_length(&self) -> u64 {
        self.outline.mark().length()
    }

    /// The outline of everything that was written to a segment that nothing more is written to.
    pub(crate) fn take_outline(&mut self) -> Vec<u8> {
        self.mark = Mark::default();
        self.outline.take()
    }

    /// Adds a message: the content is `head` and then `tail`.
    ///
    /// # Errors
    /// The group is too long; nothing was added.
    pub(crate) fn publish(
        &mut self,
        stamp: Stamp,
        head: &[u8],
        tail: &[u8],
        places: &[Place],
    ) -> Result<RecordPlace, TooLong> {
        let record = record::put_publish(&mut self.group, stamp, head, tail, places)?;
        self.outline.publish(record, stamp, places.iter().copied());
        Ok(record)
    }

    /// Adds lists of items, as many as it takes.
    ///
    /// # Errors
    /// The group is too long.
    pub(crate) fn list<T: Item>(&mut self, kind: Kind, items: &[T]) -> Result<(), TooLong> {
        for items in items.chunks(usize::from(u16::MAX)) {
            self.payload.clear();
            record::put_list(&mut self.payload, items);
            self.put(kind)?;
        }
        Ok(())
    }

    /// Adds a part of a snapshot.
    ///
    /// # Errors
    /// The group is too long.
    pub(crate) fn snapshot(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), TooLong> {
        self.payload.clear();
        fill(&mut self.payload);
        self.put(Kind::Snapshot)
    }

    fn put(&mut self, kind: Kind) -> Result<(), TooLong> {
        let Self { group, outline, payload, .. } = self;
        group.record(kind as u8, |out| out.extend_from_slice(payload))?;
        outline.other(kind as u8, payload);
        Ok(())
    }
}
