//! The end of a log: the only one that appends, owned by one thread of the caller's.
//!
//! Stays true: group numbers ascend by one; before the tail there are whole groups and nothing else,
//! and what a failed write left behind it is covered by the next one or cut off.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::files::{self, LogFile};
use super::group::{FOOTER, GROUP_HEADER, GroupBuffer, RecordPlace, Spot};
use super::manifest::{Entry, Sealed};
use super::open_file::{OpenFile, Sealing};
use super::segment::{HEADER_SIZE, Segment, SegmentName};
use super::shared::Shared;
use super::stored::{discard, hot_names, segment_of};
use super::syncs::Handing;
use super::trouble::Trouble;
use super::walk::{Step, Walk};
use crate::StorageError;

/// However large segments should be, offsets are 32 bits wide and a group may be long.
const SIZE_MAX: u32 = 2 << 30;

/// See the module documentation.
#[derive(Debug)]
pub struct Appender {
    shared: Arc<Shared>,
    open: Option<Arc<OpenFile>>,
    /// Where the next group goes.
    tail: u32,
    /// Where it was when the caller had begun the segment.
    begun: u32,
    /// Of the last group.
    number: u64,
    /// There was no room for a group since the open segment was begun.
    was_full: bool,
}

impl Appender {
    /// Goes on behind a group; there is no open segment yet.
    pub(crate) fn new(shared: Arc<Shared>, number: u64) -> Self {
        Self { shared, open: None, tail: 0, begun: 0, number, was_full: false }
    }

    /// The open segment; none before the first roll.
    #[must_use]
    pub fn segment(&self) -> Option<&Arc<Segment>> {
        self.open.as_ref().map(|open| &open.segment)
    }

    /// Where the next group goes.
    #[must_use]
    pub fn spot(&self) -> Spot {
        let segment = self.open.as_ref().map(|open| &open.segment);
        Spot {
            segment: segment.map_or(0, |segment| segment.name.id),
            offset: self.tail,
            salt: segment.map_or(0, |segment| segment.salt),
        }
    }

    /// The number of the last group.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Says that what was appended to the open segment so far is what it begins with.
    pub fn mark_begun(&mut self) {
        self.begun = self.tail;
    }

    /// Whether anything was appended since it was begun.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.tail > self.begun
    }

    /// Bytes of records until the open segment is as large as it should be.
    #[must_use]
    pub fn room(&self) -> u64 {
        let Some(_) = self.open else { return 0 };
        // What fills a segment when it is begun would otherwise be written again for every group.
        let size = self.shared.settings.segment_size.max(self.begun.saturating_mul(2));
        u64::from(size.min(SIZE_MAX).saturating_sub(self.tail).saturating_sub(GROUP_HEADER))
    }

    /// Appends a group that was made for its spot, and says which number it has. It is not on disk
    /// before it was handed over and synced.
    ///
    /// # Errors
    /// There is no room; nothing was appended. Or the system refuses, which is final.
    pub fn write(&mut self, group: &mut GroupBuffer) -> Result<u64, Trouble> {
        self.write_as(self.number + 1, group)?;
        self.number += 1;
        Ok(self.number)
    }

    fn write_as(&mut self, number: u64, group: &mut GroupBuffer) -> Result<(), Trouble> {
        let open = self.open.as_ref().ok_or(Trouble::Full)?;
        let length = u32::try_from(group.length()).unwrap_or(u32::MAX);
        let bytes = group.finish(number, self.shared.syncs.synced());
        match open.file.write_all_at(bytes, u64::from(self.tail)) {
            Ok(()) => {}
            Err(error) if files::is_full(&error) => {
                cut(open, self.tail)?;
                self.shared.stock.set_tight(true);
                self.was_full = true;
                return Err(Trouble::Full);
            }
            Err(error) => return Err(StorageError::io("write", &open.segment.path, error).into()),
        }
        self.shared.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.tail = self.tail.saturating_add(GROUP_HEADER).saturating_add(length);
        Ok(())
    }

    /// Hands everything written so far to the sync thread.
    pub fn hand_over(&self, handing: Handing) {
        let Shared { syncs, listener, .. } = &*self.shared;
        syncs.hand_over(handing, self.number, self.open.as_ref(), &**listener);
    }

    /// Ends the open segment with a footer, if it is not empty, and begins another; the one that is
    /// kept for a full disk only if `even_last`. Waits until one is ready.
    ///
    /// # Errors
    /// There is no room for a segment; nothing has changed, and the footer was not asked for. Or the
    /// log has failed.
    pub fn roll(
        &mut self,
        even_last: bool,
        footer: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), Trouble> {
        let next = self.shared.stock.take_next(even_last)?.ok_or(Trouble::Full)?;
        if !std::mem::take(&mut self.was_full) {
            self.shared.stock.set_tight(false);
        }
        if let Some(file) = self.open.clone() {
            let footer = self.write_footer(&footer())?;
            let sealed = Sealed { length: self.tail, footer, last: self.number };
            self.shared.syncs.hand_over_sealed(Sealing { file, sealed });
        }
        self.open = Some(Arc::new(next));
        self.tail = HEADER_SIZE;
        self.begun = HEADER_SIZE;
        Ok(())
    }

    /// Without room there is none: whoever opens the log then has to read all of the segment.
    fn write_footer(&mut self, footer: &[u8]) -> Result<Option<RecordPlace>, StorageError> {
        if footer.is_empty() {
            return Ok(None);
        }
        let mut group = GroupBuffer::default();
        group.begin(self.spot());
        let Ok(place) = group.record(FOOTER, |out| out.extend_from_slice(footer)) else {
            return Ok(None);
        };
        // It is none of the log's groups.
        match self.write_as(self.number, &mut group) {
            Ok(()) => Ok(Some(place)),
            Err(Trouble::Full) => Ok(None),
            Err(Trouble::Failed(error)) => Err(error),
        }
    }

    /// Takes back every group after this one, whether it is on disk or not, and goes on behind it in a
    /// new segment. Blocks. For a log whose end may be found wrong.
    ///
    /// # Errors
    /// The system refuses or the log has failed; some of the last groups may be gone and others not,
    /// never one before another.
    pub fn truncate(&mut self, last: u64) -> Result<(), Trouble> {
        if last >= self.number {
            return Ok(());
        }
        self.roll(true, Vec::new)?;
        self.shared.syncs.sync()?;
        self.shared.stock.wait_until_sealed()?;
        let mut hot = hot_names(&self.shared);
        // The next one is behind the open one.
        hot.retain(|name| Some(*name) < self.name());
        let mut entries = Vec::new();
        let mut removed = Vec::new();
        let mut kept = None;
        for name in hot.into_iter().rev() {
            let segment = segment_of(&self.shared, name)?;
            if let Some(length) = self.end_of(&segment, last)? {
                kept = Some(Entry::Sealed(name, Sealed { length, footer: None, last }));
                break;
            }
            entries.push(Entry::Removed(name));
            removed.push(segment);
        }
        entries.push(Entry::Cut(last));
        entries.extend(kept);
        self.shared.manifest.lock().add(&entries)?;
        discard(&self.shared, &removed)?;
        self.number = last;
        self.shared.syncs.go_back(last);
        Ok(())
    }

    fn name(&self) -> Option<SegmentName> {
        self.open.as_ref().map(|open| open.segment.name)
    }

    /// Where a group ends in a segment that has it or one before it.
    fn end_of(&self, segment: &Segment, last: u64) -> Result<Option<u32>, StorageError> {
        let unreadable = |error: io::Error| StorageError::io("read", &segment.path, error);
        let file = self.shared.handle(segment).map_err(unreadable)?;
        let length = file.size().map_err(unreadable)?;
        let mut walk = Walk::new(&*file, segment.salt, length);
        let mut end = None;
        loop {
            match walk.step().map_err(unreadable)? {
                Step::Group { header, .. } if header.number <= last => {}
                Step::Group { .. } | Step::End | Step::Bad { .. } => return Ok(end),
            }
            end = Some(walk.offset());
        }
    }
}

/// What a write that failed has left must not be taken for the end of the log.
fn cut(open: &OpenFile, tail: u32) -> Result<(), StorageError> {
    let cut = clear(&*open.file, tail);
    cut.map_err(|error| StorageError::io("truncate", &open.segment.path, error))
}

fn clear(file: &dyn LogFile, tail: u32) -> io::Result<()> {
    let zeros = [0; GROUP_HEADER as usize];
    match file.write_all_at(&zeros, u64::from(tail)) {
        // There is no room for them, so there is nothing behind the tail that could be kept.
        Err(error) if files::is_full(&error) => file.truncate(u64::from(tail)),
        outcome => outcome,
    }
}
