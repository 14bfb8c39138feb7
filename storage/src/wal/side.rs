//! A segment that is made whole beside the order of a log: for what is moved out of older ones.
//!
//! Owned by whoever compacts. It has a temporary name until all of it is on disk, and is in the
//! manifest only then.
//!
//! Stays true: unless it comes to that, nothing of it is left behind.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::files::{self, LogFile, patiently};
use super::group::{FOOTER, GROUP_HEADER, GroupBuffer, Spot};
use super::manifest::{Entry, Sealed};
use super::segment::{HEADER_SIZE, Segment, SegmentHeader, SegmentName};
use super::shared::Shared;
use super::trouble::Trouble;
use crate::{StorageError, clock};

/// Ends the names of files that are not finished.
pub(crate) const TEMPORARY: &str = ".tmp";

/// See the module documentation.
#[derive(Debug)]
pub struct SideSegment {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    file: Arc<dyn LogFile>,
    /// Where it is for now; `None` when it has its own name.
    temporary: Option<PathBuf>,
    tail: u32,
    /// Groups so far.
    groups: u64,
}

impl SideSegment {
    /// Begins one; `with_spare` in the file that is kept for when there is no room.
    pub(crate) fn begin(shared: &Arc<Shared>, with_spare: bool) -> Result<Self, Trouble> {
        let Shared { directory, files, stock, settings, .. } = &**shared;
        let name = SegmentName::cold(stock.new_id());
        let salt = rand::random();
        let temporary = directory.join(format!("{name}{TEMPORARY}"));
        let spare = if with_spare { stock.take_spare(directory) } else { None };
        let opened = match &spare {
            Some(spare) => files.rename(spare, &temporary).and_then(|()| {
                stock.spare_is_gone();
                patiently(|| files.open(&temporary))
            }),
            None => patiently(|| files.create_new(&temporary)),
        };
        let file = match opened {
            Err(error) if files::is_full(&error) => return Err(Trouble::Full),
            opened => opened.map_err(|error| StorageError::io("create", &temporary, error))?,
        };
        let segment = Segment::new(name, directory, salt);
        let (shared, temporary) = (Arc::clone(shared), Some(temporary));
        let side = Self { shared, segment, file, temporary, tail: HEADER_SIZE, groups: 0 };
        let (store, created_unix_ms) = (settings.store, clock::unix_ms());
        let header = SegmentHeader { name, store, created_unix_ms, salt };
        side.write_at(&header.encode(), 0)?;
        Ok(side)
    }

    /// The segment that it will be.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Where the next group goes.
    #[must_use]
    pub fn spot(&self) -> Spot {
        Spot { segment: self.segment.name.id, offset: self.tail, salt: self.segment.salt }
    }

    /// Bytes of records until it is as large as a segment should be.
    #[must_use]
    pub fn room(&self) -> u64 {
        let size = self.shared.settings.segment_size;
        u64::from(size.saturating_sub(self.tail).saturating_sub(GROUP_HEADER))
    }

    /// Adds a group that was made for its spot.
    ///
    /// # Errors
    /// There is no room, or the system refuses.
    pub fn write(&mut self, group: &mut GroupBuffer) -> Result<(), Trouble> {
        let length = u32::try_from(group.length()).unwrap_or(u32::MAX);
        let bytes = group.finish(self.groups + 1, self.groups);
        self.write_at(bytes, self.tail)?;
        self.shared.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.groups += 1;
        self.tail = self.tail.saturating_add(GROUP_HEADER).saturating_add(length);
        Ok(())
    }

    /// Makes it a segment of the log; its length is returned. Blocks.
    ///
    /// # Errors
    /// There is no room, or the system refuses.
    pub fn finish(mut self, footer: &[u8]) -> Result<u32, Trouble> {
        let mut group = GroupBuffer::default();
        group.begin(self.spot());
        let place = group.record(FOOTER, |out| out.extend_from_slice(footer)).ok();
        if place.is_some() {
            self.write(&mut group)?;
        }
        let Shared { files, directory, manifest, .. } = &*self.shared;
        let Some(temporary) = self.temporary.take() else { return Ok(self.tail) };
        let failed = |error: io::Error| StorageError::io("finish", &temporary, error);
        let settled = self
            .file
            .truncate(u64::from(self.tail))
            .and_then(|()| self.file.sync())
            .and_then(|()| files.rename(&temporary, &self.segment.path));
        if let Err(error) = settled {
            let failed = failed(error);
            self.temporary = Some(temporary);
            return Err(failed.into());
        }
        let synced = patiently(|| files.sync_directory(directory));
        synced.map_err(|error| StorageError::io("sync", directory, error))?;
        let sealed = Sealed { length: self.tail, footer: place, last: 0 };
        let name = self.segment.name;
        let added = manifest.lock().add(&[Entry::Made(name), Entry::Sealed(name, sealed)]);
        if let Err(Trouble::Full) = added {
            // Nobody will know of it.
            self.temporary = Some(self.segment.path.clone());
        }
        added.map(|()| self.tail)
    }

    fn write_at(&self, bytes: &[u8], offset: u32) -> Result<(), Trouble> {
        self.file.write_all_at(bytes, u64::from(offset)).map_err(|error| {
            match files::is_full(&error) {
                true => Trouble::Full,
                false => StorageError::io("write", &self.segment.path, error).into(),
            }
        })
    }
}

impl Drop for SideSegment {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary
            && let Err(error) = self.shared.stock.recycle(temporary, &self.shared)
        {
            // The next start removes it.
            tracing::warn!("{} is left behind: {error}", temporary.display());
        }
    }
}
