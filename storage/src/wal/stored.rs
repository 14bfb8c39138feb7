//! The segments that are on disk, as the manifest has them.
//!
//! For those who read a log from its files, or take segments out of it.
//!
//! Stays true: whoever reads a segment that is taken out finds it gone before its file is another's.

use std::sync::Arc;

use super::files::patiently;
use super::segment::{Segment, SegmentHeader, SegmentName};
use super::shared::Shared;
use crate::StorageError;

/// The hot segments, ascending.
pub(super) fn hot_names(shared: &Shared) -> Vec<SegmentName> {
    let manifest = shared.manifest.lock();
    manifest.contents().segments.keys().copied().filter(|name| name.is_hot()).collect()
}

/// A segment that is on disk.
pub(super) fn segment_of(shared: &Shared, name: SegmentName) -> Result<Arc<Segment>, StorageError> {
    let path = name.path(&shared.directory);
    let opened = patiently(|| shared.files.open_to_read(&path));
    let header = opened.and_then(|file| SegmentHeader::read(&*file));
    let header = header.map_err(|error| StorageError::io("read", &path, error))?;
    let header = header.map_err(|flaw| StorageError::Damaged { path, detail: flaw.to_string() })?;
    Ok(Segment::new(name, &shared.directory, header.salt))
}

/// Gives the files of segments that are removed to the stock.
pub(super) fn discard(shared: &Shared, segments: &[Arc<Segment>]) -> Result<(), StorageError> {
    for segment in segments {
        segment.set_gone();
        shared.handles.close(segment.name.id);
        let recycled = shared.stock.recycle(&segment.path, shared);
        recycled.map_err(|error| StorageError::io("remove", &segment.path, error))?;
    }
    Ok(())
}
