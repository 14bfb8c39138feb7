//! The segment that is appended to: the end of the log.
//!
//! Owned by the log thread. Stays true: before `tail` there are whole frames and nothing else; what
//! a failed write left behind it is cut off.

use std::io;
use std::sync::Arc;

use super::files;
use super::frame::{FrameBuffer, LogPosition};
use super::segment::{HEADER_SIZE, SegmentName};
use super::segments::{Account, Segment};
use super::shared::Shared;
use super::snapshot;
use crate::StorageError;

/// However large segments should be, offsets are 32 bits wide and a group may be a little longer.
const SIZE_MAX: u32 = 2 << 30;

/// Why something could not be written.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no room. It may be tried again.
    Full,
    /// The store must end.
    Failed(StorageError),
}

impl From<StorageError> for Trouble {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct OpenSegment {
    /// The file.
    pub(super) segment: Arc<Segment>,
    /// Where the next frame goes.
    tail: u32,
    /// Where the header and the snapshot end.
    begun: u32,
}

impl OpenSegment {
    /// Makes a new segment with a header, a snapshot of what is settled, and the lengths of the sealed
    /// segments, so that one that loses its end is noticed; and adds it to the segments. It is not synced. `frames` is overwritten.
    pub(super) fn begin(shared: &Shared, frames: &mut FrameBuffer) -> Result<Self, Trouble> {
        let id = shared.holdings.lock().segments_mut().allocate();
        let name = SegmentName::hot(id);
        let path = name.path(&shared.directory);
        let file = match shared.files.create_new(&path) {
            Err(error) if files::is_full(&error) => return Err(Trouble::Full),
            created => created.map_err(|error| StorageError::io("create", &path, error))?,
        };
        let segment = Segment::new(name, &shared.directory, file);
        frames.begin(LogPosition { segment: id, offset: HEADER_SIZE });
        if !shared.is_scratch() {
            let mut holdings = shared.holdings.lock();
            holdings.forget_deleted();
            let written = snapshot::write(holdings.index(), frames);
            let lengths = holdings.segments().synced_lengths();
            drop(holdings);
            written
                .and_then(|()| {
                    lengths.into_iter().try_for_each(|length| frames.synced(length).map(drop))
                })
                .map_err(|_| too_long(&segment))?;
        }
        let tail = frames.end().offset;
        let header = shared.header(name).encode();
        let file = &segment.file;
        let written = file
            .write_all_at(&header, 0)
            .and_then(|()| file.write_all_at(frames.bytes(), u64::from(HEADER_SIZE)));
        if let Err(failed) = written {
            let removed = shared.files.remove(&path);
            removed.map_err(|error| StorageError::io("remove", &path, error))?;
            return Err(trouble(&segment, failed));
        }
        shared.counters.lock().written_bytes += u64::from(tail);
        let account = Account::open(Arc::clone(&segment), u64::from(tail));
        shared.holdings.lock().segments_mut().insert(account);
        Ok(Self { segment, tail, begun: tail })
    }

    /// Where the next frame goes.
    pub(super) fn position(&self) -> LogPosition {
        LogPosition { segment: self.segment.name.id, offset: self.tail }
    }

    /// Whether anything was appended since it was begun.
    pub(super) fn is_used(&self) -> bool {
        self.tail > self.begun
    }

    /// Bytes until it is as large as it should be.
    pub(super) fn room(&self, shared: &Shared) -> u64 {
        // A snapshot that fills a segment would otherwise be written again for every message.
        let size = shared.options.segment_size.max(self.begun.saturating_mul(2)).min(SIZE_MAX);
        u64::from(size.saturating_sub(self.tail))
    }

    /// Appends frames that were made for its position.
    pub(super) fn write(&mut self, frames: &FrameBuffer) -> Result<(), Trouble> {
        let file = &self.segment.file;
        match file.write_all_at(frames.bytes(), u64::from(self.tail)) {
            Ok(()) => {
                self.tail = frames.end().offset;
                Ok(())
            }
            Err(failed) if files::is_full(&failed) => {
                let path = &self.segment.path;
                let cut = file.truncate(u64::from(self.tail));
                cut.map_err(|error| StorageError::io("truncate", path, error))?;
                Err(Trouble::Full)
            }
            Err(failed) => Err(trouble(&self.segment, failed)),
        }
    }
}

fn trouble(segment: &Segment, failed: io::Error) -> Trouble {
    if files::is_full(&failed) {
        return Trouble::Full;
    }
    Trouble::Failed(StorageError::io("write", &segment.path, failed))
}

/// The error for what no frame can hold.
pub(super) fn too_long(segment: &Segment) -> StorageError {
    let reason = io::Error::other("a message, a transaction or a snapshot of 4 GiB or more");
    StorageError::io("write", &segment.path, reason)
}
