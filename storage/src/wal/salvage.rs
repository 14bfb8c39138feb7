//! Going on without what is damaged: the explicit act of an operator.
//!
//! What is good of a damaged segment is copied into a new cold segment; the damaged one stays beside
//! it as `<name>.damaged`, for whoever knows more.
//!
//! Stays true: at no moment is a good record in no segment; stopped at any point, the next attempt
//! does the rest.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::files::{Files, LogFile, patiently};
use super::group::{FOOTER, GroupBuffer, Record, Spot};
use super::manifest::{Entry, Manifest, Sealed};
use super::repair::with_suffix;
use super::segment::{HEADER_SIZE, Segment, SegmentHeader, SegmentName};
use super::side::TEMPORARY;
use super::survey::{Survey, Surveyed};
use super::walk::{Step, Walk};
use crate::{StorageError, clock};

/// Bytes gathered before they are written.
const GROUP: usize = 1 << 20;

/// A part of a damaged segment.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A good record.
    Good(Record<'a>),
    /// Something that cannot be read.
    Bad {
        /// Bytes from the beginning of the file.
        offset: u64,
        /// How many bytes; 0 if the file ends where it should go on.
        bytes: u64,
        /// What is wrong.
        why: String,
    },
}

/// Tells every part of a damaged segment in the order of the file.
///
/// # Errors
/// The system refuses to read it.
pub(crate) fn pieces(
    one: &Surveyed,
    why: &str,
    files: &dyn Files,
    told: &mut dyn FnMut(Piece<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let Segment { path, salt, .. } = &*one.segment;
    let bad = |offset, bytes, why: String| Piece::Bad { offset, bytes, why };
    let file = match patiently(|| files.open_to_read(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return told(bad(0, 0, why.to_owned()));
        }
        opened => opened?,
    };
    let size = file.size()?;
    let length = one.sealed.map_or(size, |sealed| size.min(u64::from(sealed.length)));
    let header = SegmentHeader::read(&*file)?;
    if header.is_err() {
        // Without its salt nothing in it can be told from what only looks like it.
        return told(bad(0, size, why.to_owned()));
    }
    let mut walk = Walk::new(&*file, *salt, length);
    let mut found_bad = false;
    loop {
        let (offset, flaw, header) = match walk.step()? {
            Step::Group { records, .. } if records.is_footer() => continue,
            Step::Group { records, .. } => {
                for record in records {
                    told(Piece::Good(record))?;
                }
                continue;
            }
            Step::End => break,
            Step::Bad { offset, flaw, header } => (offset, flaw, header),
        };
        found_bad = true;
        let start = u64::from(offset);
        match header {
            Some(header) => {
                let mut outcome = Ok(());
                walk.good_records(&header, |piece| {
                    let piece = match piece {
                        Ok(record) if record.kind == FOOTER => return,
                        Ok(record) => Piece::Good(record),
                        Err((at, bytes, flaw)) => bad(at.into(), bytes, flaw.to_string()),
                    };
                    if outcome.is_ok() {
                        outcome = told(piece);
                    }
                })?;
                outcome?;
                if !walk.skip_bad(Some(header))? {
                    break;
                }
            }
            None => {
                let goes_on = walk.skip_bad(None)?;
                let end = if goes_on { u64::from(walk.offset()) } else { length };
                told(bad(start, end - start, flaw.to_string()))?;
                if !goes_on {
                    break;
                }
            }
        }
    }
    let is_short = one.sealed.is_some_and(|sealed| u64::from(sealed.length) > size);
    if !found_bad || is_short { told(bad(length, 0, why.to_owned())) } else { Ok(()) }
}

/// Replaces every damaged segment by what is good of it. `told` sees every part of them, and says of
/// a good record whether it is to be kept.
///
/// # Errors
/// The system refuses; no good record is lost by that.
pub(crate) fn salvage(
    directory: &Path,
    store: [u8; 16],
    files: &Arc<dyn Files>,
    mut survey: Survey,
    told: &mut dyn FnMut(&Segment, &Piece<'_>) -> bool,
) -> Result<(), StorageError> {
    let Some(found) = survey.manifest.take() else { return Ok(()) };
    for path in &survey.leftovers {
        files.remove(path).map_err(|error| StorageError::io("remove", path, error))?;
    }
    let mut manifest = Manifest::open(directory, store, files, found)?;
    let mut id = survey.highest_id;
    for (one, bad) in survey.damaged() {
        id = id.saturating_add(1);
        let name = SegmentName::cold(id);
        let replaced = replace(directory, store, name, one, &bad.why, &**files, told);
        let sealed =
            replaced.map_err(|error| StorageError::io("salvage", &one.segment.path, error))?;
        let entries =
            [Entry::Made(name), Entry::Sealed(name, sealed), Entry::Removed(one.segment.name)];
        manifest.add_now(&entries)?;
        let path = &one.segment.path;
        match files.rename(path, &with_suffix(path, ".damaged")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StorageError::io("rename", path, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    // What is missing is known from now on.
    manifest.add_now(&[Entry::Cut(survey.last.max(survey.synced))])
}

/// Writes the good records of a segment to another.
fn replace(
    directory: &Path,
    store: [u8; 16],
    name: SegmentName,
    one: &Surveyed,
    why: &str,
    files: &dyn Files,
    told: &mut dyn FnMut(&Segment, &Piece<'_>) -> bool,
) -> io::Result<Sealed> {
    let temporary = with_suffix(&name.path(directory), TEMPORARY);
    let file = patiently(|| files.create_new(&temporary))?;
    let (salt, created_unix_ms) = (rand::random(), clock::unix_ms());
    let header = SegmentHeader { name, store, created_unix_ms, salt };
    file.write_all_at(&header.encode(), 0)?;
    let spot = Spot { segment: name.id, offset: HEADER_SIZE, salt };
    let mut copy = Copy { file: &*file, group: GroupBuffer::default(), spot, groups: 0 };
    copy.group.begin(spot);
    pieces(one, why, files, &mut |piece| {
        let is_kept = told(&one.segment, &piece);
        match piece {
            Piece::Good(record) if is_kept => copy.add(&record),
            Piece::Good(_) | Piece::Bad { .. } => Ok(()),
        }
    })?;
    copy.flush()?;
    let length = copy.spot.offset;
    file.sync()?;
    files.rename(&temporary, &name.path(directory))?;
    patiently(|| files.sync_directory(directory))?;
    Ok(Sealed { length, footer: None, last: 0 })
}

struct Copy<'a> {
    file: &'a dyn LogFile,
    group: GroupBuffer,
    spot: Spot,
    groups: u64,
}

impl Copy<'_> {
    fn add(&mut self, record: &Record<'_>) -> io::Result<()> {
        let payload = record.payload;
        if self.group.length() + payload.len() > GROUP {
            self.flush()?;
        }
        let added = self.group.record(record.kind, |out| out.extend_from_slice(payload));
        added.map(drop).map_err(|_| io::ErrorKind::FileTooLarge.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.group.is_empty() {
            self.groups += 1;
            let length = u32::try_from(self.group.length()).map_err(io::Error::other)?;
            let bytes = self.group.finish(self.groups, 0);
            self.file.write_all_at(bytes, u64::from(self.spot.offset))?;
            self.spot.offset = self.spot.offset.saturating_add(super::GROUP_HEADER + length);
            self.group.begin(self.spot);
        }
        Ok(())
    }
}
