//! A cold segment while it is written.
//!
//! Owned by the compactor; `survivors` fills it.
//!
//! Stays true: the index is told of it only when it is on disk under its own name.

use std::sync::Arc;

use super::super::buffer::RecordBuffer;
use super::super::index::{Count, Slot};
use super::super::record::{Kind, Stamp};
use super::super::segments::Account;
use super::super::shared::Shared;
use super::Stop;
use crate::StorageError;
use crate::messages::Place;
use crate::wal::SideSegment;

/// Places that are repointed at once.
const PLACES_AT_ONCE: usize = 4096;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct ColdSegment<'a> {
    shared: &'a Shared,
    side: SideSegment,
    /// What is written next.
    records: RecordBuffer,
    moved: Vec<Moved>,
    counts: Vec<(Place, u32)>,
}

/// A message that was copied for a place.
#[derive(Clone, Copy, Debug)]
struct Moved {
    place: Place,
    from: Slot,
    to: Slot,
}

impl<'a> ColdSegment<'a> {
    /// Begins one; with the file that is kept for a full disk if `is_short`.
    pub(super) fn begin(shared: &'a Shared, is_short: bool) -> Result<Self, Stop> {
        let side = shared.wal.begin_side(is_short)?;
        let mut records = RecordBuffer::default();
        records.begin(side.spot());
        Ok(Self { shared, side, records, moved: Vec::new(), counts: Vec::new() })
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.counts.is_empty()
    }

    /// Bytes until it is as long as it should be.
    pub(super) fn room(&self) -> u64 {
        self.side.room().saturating_sub(self.records.group.length() as u64)
    }

    /// Adds a message for the places that need it, with where they have it from.
    pub(super) fn publish(
        &mut self,
        stamp: Stamp,
        head: &[u8],
        tail: &[u8],
        needed: &[(Place, Slot)],
    ) -> Result<(), Stop> {
        let places: Vec<Place> = needed.iter().map(|(place, _)| *place).collect();
        let written = self.records.publish(stamp, head, tail, &places);
        let record = written.map_err(|_| self.too_long())?;
        let to = Slot::new(self.side.segment().name.id, record, places.len());
        let moved = |(place, from): &(Place, Slot)| Moved { place: *place, from: *from, to };
        self.moved.extend(needed.iter().map(moved));
        Ok(())
    }

    /// Adds delivery counts.
    pub(super) fn counts(&mut self, counts: &[(Place, u32)]) -> Result<(), Stop> {
        self.records.list(Kind::Count, counts).map_err(|_| self.too_long())?;
        self.counts.extend(counts);
        self.flush()
    }

    /// Writes what was added to the file.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        if !self.records.group.is_empty() {
            self.side.write(&mut self.records.group)?;
        }
        self.records.begin(self.side.spot());
        Ok(())
    }

    /// Makes it a segment of the log and says in the index that the messages are here. One without
    /// anything vanishes.
    pub(super) fn finish(mut self) -> Result<(), Stop> {
        if self.is_empty() {
            return Ok(());
        }
        self.flush()?;
        let outline = self.records.take_outline();
        let Self { shared, side, moved, counts, .. } = self;
        let segment = Arc::clone(side.segment());
        let id = segment.name.id;
        let bytes = u64::from(side.finish(&outline)?);
        shared.counters.lock().compacted_bytes += bytes;
        let mut holdings = shared.holdings.lock();
        let segments = holdings.segments_mut();
        segments.insert(Account::open(segment, bytes));
        // A queue that was deleted meanwhile is remembered as long as something of it is here.
        if let Some(mut entry) = segments.entry(id) {
            moved.iter().for_each(|moved| entry.see(moved.place));
            counts.iter().for_each(|(place, _)| entry.see(*place));
        }
        drop(holdings);
        for moved in moved.chunks(PLACES_AT_ONCE) {
            let mut holdings = shared.holdings.lock();
            for Moved { place, from, to } in moved {
                // One that was settled meanwhile stays settled.
                holdings.repoint(*place, *from, *to);
            }
        }
        let mut holdings = shared.holdings.lock();
        for (place, times) in counts {
            holdings.raise_count(place, Count { times, segment: id });
        }
        holdings.segments_mut().set_sealed(id, bytes);
        Ok(())
    }

    fn too_long(&self) -> StorageError {
        let reason = std::io::ErrorKind::FileTooLarge.into();
        StorageError::io("write", &self.side.segment().path, reason)
    }
}
