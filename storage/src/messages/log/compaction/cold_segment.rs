//! A cold segment while it is written.
//!
//! It has a temporary name until all of it is on disk, so that a cold segment found by recovery is
//! whole, whatever happened. Owned by the compactor; `survivors` fills it.
//!
//! Stays true: the index is told of it only when it is on disk under its own name; unless it comes
//! to that, nothing of it is left behind.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::files::{self, LogFile};
use super::super::frame::{FrameBuffer, LogPosition};
use super::super::index::Slot;
use super::super::open_segment::too_long;
use super::super::segment::{HEADER_SIZE, SegmentName};
use super::super::segments::{Account, Segment};
use super::super::shared::Shared;
use super::super::survey::TEMPORARY;
use super::Stop;
use crate::StorageError;
use crate::messages::Place;

/// Places that are repointed at once.
const PLACES_AT_ONCE: usize = 4096;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct ColdSegment<'a> {
    shared: &'a Shared,
    segment: Arc<Segment>,
    /// Where it is for now; `None` when it has its own name.
    temporary: Option<PathBuf>,
    /// Bytes in the file.
    tail: u32,
    /// What goes there next.
    frames: FrameBuffer,
    moved: Vec<Moved>,
}

/// A message that was copied for a place.
#[derive(Clone, Copy, Debug)]
struct Moved {
    place: Place,
    from: Slot,
    to: Slot,
}

impl<'a> ColdSegment<'a> {
    /// Begins one. Whoever looks at the index after this and finds a queue that is there may copy
    /// its messages: should it be deleted meanwhile, it is remembered as long as this segment lives.
    pub(super) fn begin(shared: &'a Shared) -> Result<Self, Stop> {
        let name = SegmentName::cold(shared.holdings.lock().segments_mut().allocate());
        let temporary = shared.directory.join(format!("{name}{TEMPORARY}"));
        let file = match shared.files.create_new(&temporary) {
            Err(error) if files::is_full(&error) => return Err(Stop::Full),
            created => created.map_err(|error| StorageError::io("create", &temporary, error))?,
        };
        let segment = Segment::new(name, &shared.directory, file);
        let mut frames = FrameBuffer::default();
        frames.begin(LogPosition { segment: name.id, offset: HEADER_SIZE });
        let temporary = Some(temporary);
        let cold =
            Self { shared, segment, temporary, tail: HEADER_SIZE, frames, moved: Vec::new() };
        cold.write(&shared.header(name).encode(), 0)?;
        Ok(cold)
    }

    /// Whether no message was added.
    pub(super) fn is_empty(&self) -> bool {
        self.moved.is_empty()
    }

    /// Bytes until it is as long as it should be.
    pub(super) fn room(&self) -> u64 {
        u64::from(self.shared.options.segment_size.saturating_sub(self.frames.end().offset))
    }

    /// Adds a message for the places that need it, with where they have it from.
    pub(super) fn publish(
        &mut self,
        note: u64,
        head: &[u8],
        tail: &[u8],
        needed: &[(Place, Slot)],
    ) -> Result<(), Stop> {
        let places: Vec<Place> = needed.iter().map(|(place, _)| *place).collect();
        let written = self.frames.publish(note, head, tail, &places);
        let frame = written.map_err(|_| too_long(&self.segment))?;
        let to = Slot {
            segment: self.segment.name.id,
            offset: frame.offset,
            length: frame.len,
            refs: u16::try_from(places.len()).unwrap_or(u16::MAX),
        };
        self.moved.extend(needed.iter().map(|(place, from)| Moved {
            place: *place,
            from: *from,
            to,
        }));
        Ok(())
    }

    /// Writes what was added to the file.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        self.write(self.frames.bytes(), self.tail)?;
        let end = self.frames.end();
        self.tail = end.offset;
        self.frames.begin(end);
        Ok(())
    }

    /// Makes it a segment of the log and says in the index that the messages are here. One without
    /// messages vanishes.
    pub(super) fn finish(mut self) -> Result<(), Stop> {
        if self.is_empty() {
            return Ok(());
        }
        self.flush()?;
        self.settle_down()?;
        let bytes = u64::from(self.tail);
        let mut counters = self.shared.counters.lock();
        counters.written_bytes += bytes;
        counters.compacted_bytes += bytes;
        drop(counters);
        let account = Account::sealed(Arc::clone(&self.segment), bytes);
        self.shared.holdings.lock().segments_mut().insert(account);
        for moved in self.moved.chunks(PLACES_AT_ONCE) {
            let mut holdings = self.shared.holdings.lock();
            for Moved { place, from, to } in moved {
                // One that was settled meanwhile stays settled.
                holdings.repoint(*place, *from, *to);
            }
        }
        Ok(())
    }

    /// On disk, under its own name.
    fn settle_down(&mut self) -> Result<(), StorageError> {
        let Shared { files, directory, .. } = self.shared;
        let Some(temporary) = &self.temporary else { return Ok(()) };
        let is_scratch = self.shared.is_scratch();
        if !is_scratch {
            let synced = self.file().sync();
            synced.map_err(|error| StorageError::io("sync", temporary, error))?;
        }
        let renamed = files.rename(temporary, &self.segment.path);
        renamed.map_err(|error| StorageError::io("rename", temporary, error))?;
        self.temporary = None;
        if !is_scratch {
            let synced = files.sync_directory(directory);
            synced.map_err(|error| StorageError::io("sync", directory, error))?;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], offset: u32) -> Result<(), Stop> {
        let failed = |error: io::Error| match files::is_full(&error) {
            true => Stop::Full,
            false => Stop::Failed(StorageError::io("write", &self.segment.path, error)),
        };
        self.file().write_all_at(bytes, u64::from(offset)).map_err(failed)
    }

    fn file(&self) -> &dyn LogFile {
        &*self.segment.file
    }
}

impl Drop for ColdSegment<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary
            && let Err(error) = self.shared.files.remove(temporary)
        {
            // The next start removes it.
            tracing::warn!("{} is left behind: {error}", temporary.display());
        }
    }
}
