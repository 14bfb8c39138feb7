//! A copy of an open log, as a power failure at some moment would have left it.
//!
//! Asked for by [`Wal::copy_into`](super::Wal::copy_into) while everything goes on. Segments that nothing is
//! written to any more get a second name, which costs no room; of the others what they hold is copied.
//!
//! Stays true: the copy has every group that was written when it was begun, and of later ones a beginning.
//! The segments that are still written to are looked at newest first: what a group says of older ones is
//! true of what is read of them afterwards. A file with a second name is never used again for another
//! segment (`keeper`).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::files::RealFiles;
use super::manifest::{self, Contents};
use super::segment::{HEADER_SIZE, SegmentHeader, SegmentName};
use super::shared::Shared;
use super::walk::{Step, Walk};
use crate::StorageError;

/// Copies the log into a directory that is empty, on the same file system. Blocks.
///
/// # Errors
/// The system's.
pub(super) fn copy(shared: &Shared, into: &Path) -> Result<(), StorageError> {
    let contents = link_all(shared, into)?;
    let open = contents.segments.iter().rev().filter(|(_, sealed)| sealed.is_none());
    for (name, _) in open {
        let path = name.path(into);
        cut_off(&path).map_err(|error| StorageError::io("copy", &path, error))?;
    }
    let written = manifest::write(into, &shared.settings.store, &contents, &RealFiles);
    written.map_err(|error| StorageError::io("write", &into.join(manifest::NAME), error))?;
    Ok(())
}

/// Gives every segment a second name. Nothing is made, sealed or removed meanwhile.
fn link_all(shared: &Shared, into: &Path) -> Result<Contents, StorageError> {
    let manifest = shared.manifest.lock();
    let contents = manifest.contents().clone();
    let link = |name: &SegmentName| {
        let (from, to) = (name.path(&shared.directory), name.path(into));
        fs::hard_link(&from, &to).map_err(|error| StorageError::io("link", &from, error))
    };
    contents.segments.keys().try_for_each(link)?;
    Ok(Contents { removed: Default::default(), ..contents })
}

/// Replaces a second name of a file that is written to by a copy of the groups it has now.
fn cut_off(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let salt = SegmentHeader::read(&file)?.map_or(0, |header| header.salt);
    let mut walk = Walk::new(&file, salt, file.metadata()?.len());
    // The last group may not be whole yet.
    while let Step::Group { .. } = walk.step()? {}
    let end = walk.offset().max(HEADER_SIZE);
    fs::remove_file(path)?;
    let mut copy = File::create_new(path)?;
    io::copy(&mut file.take(u64::from(end)), &mut copy)?;
    Ok(())
}
