//! What the directory of a log holds, and how far each segment of it is good.
//!
//! Called when a log is opened and when one is checked; changes nothing. The manifest says which
//! segments there must be. What is wrong with one is one of two things. Writing was interrupted: then
//! no group is known to be synced that is bad or missing, it costs nothing that was promised, and
//! `repair` cuts it off. Or something that was synced is not there any more: that is damage, and it is
//! never passed over in silence.
//!
//! A group is known to be synced if a later one says so, wherever it stands, or if the manifest does.
//!
//! Stays true: a bad group in the middle is never taken for the end of the log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Files, LogFile, patiently};
use super::group::{Flaw, Record};
use super::manifest::{self, Contents, Found, Sealed};
use super::segment::{HEADER_SIZE, Segment, SegmentHeader, SegmentName};
use crate::StorageError;

mod judgement;
mod listing;
mod scan;

use self::judgement::judge;
use self::listing::list;

/// What is told of a log's content while it is surveyed. What counts is the set; segments come in no
/// particular order, the groups of one in theirs.
pub trait Visitor {
    /// A record of a segment, one after the other.
    ///
    /// # Errors
    /// It cannot be understood.
    fn record(&mut self, segment: &Arc<Segment>, record: &Record<'_>) -> Result<(), Flaw>;

    /// All records of a segment were told: what its footer should be. Empty for none.
    fn footer(&mut self) -> Vec<u8>;

    /// The footer of a segment, in place of its records; newer segments come before older ones.
    ///
    /// # Errors
    /// It cannot be understood.
    fn sealed(&mut self, segment: &Arc<Segment>, footer: &[u8]) -> Result<(), Flaw>;
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Of sealed segments the footers. Damage in the rest is found when it is read.
    Footers,
    /// Everything.
    All,
}

/// The first place in a segment where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Bytes from the beginning of the file.
    pub offset: u32,
    /// What is wrong there.
    pub why: String,
}

/// What to think of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is good.
    Whole,
    /// It is made and nothing was written to it.
    Empty,
    /// Good up to here; what follows was never synced.
    Torn(Bad),
    /// Nothing of it was ever synced, and it follows something torn.
    Unsynced(String),
    /// What was synced is not there any more.
    Damaged(Bad),
}

/// A segment that there must be.
#[derive(Debug)]
pub struct Surveyed {
    /// Which.
    pub segment: Arc<Segment>,
    /// Bytes of the file.
    pub size: u64,
    /// Where its last good group ends.
    pub end: u32,
    /// What to think of it.
    pub verdict: Verdict,
    /// As the manifest says; `None` if it is not sealed.
    pub(crate) sealed: Option<Sealed>,
    /// The last good group, of a hot segment that is not sealed.
    last: u64,
    /// What the footer should be of one that is not sealed.
    pub(crate) footer: Vec<u8>,
}

impl Surveyed {
    /// The last good group of a hot segment that is not sealed.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    fn is_damaged(&self) -> bool {
        matches!(self.verdict, Verdict::Damaged(_))
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Survey {
    /// Ascending by id.
    pub segments: Vec<Surveyed>,
    /// Every group up to this one was synced.
    pub synced: u64,
    /// The last group that counts.
    pub last: u64,
    /// What an operator should read.
    pub notes: Vec<String>,
    pub(crate) manifest: Option<Found>,
    /// Files that were not finished or are not needed.
    pub(crate) leftovers: Vec<PathBuf>,
    pub(crate) has_spare: bool,
    pub(crate) highest_id: u32,
}

/// What to survey.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) store: &'a [u8; 16],
    pub(crate) files: &'a dyn Files,
    pub(crate) depth: Depth,
}

impl Survey {
    /// Segments that are damaged, and where.
    pub fn damaged(&self) -> impl Iterator<Item = (&Surveyed, &Bad)> {
        self.segments.iter().filter_map(|one| match &one.verdict {
            Verdict::Damaged(bad) => Some((one, bad)),
            Verdict::Whole | Verdict::Empty | Verdict::Torn(_) | Verdict::Unsynced(_) => None,
        })
    }
}

/// Looks at everything and tells the visitor what counts.
///
/// # Errors
/// The directory is of another version or another store, the manifest is missing or damaged, a
/// segment is there that should not be, or the system refuses. Damage of segments is in the verdicts.
pub(crate) fn survey(
    request: &Request<'_>,
    visitor: &mut dyn Visitor,
) -> Result<Survey, StorageError> {
    let Request { directory, store, files, depth } = *request;
    let manifest = manifest::read(directory, store, files)?;
    let none = Contents::default();
    let contents = manifest.as_ref().map_or(&none, |found| &found.contents);
    let mut survey = list(request, contents, manifest.is_some())?;
    for (name, sealed) in &contents.segments {
        survey.segments.push(look_at(request, *name, *sealed)?);
    }
    survey.segments.sort_unstable_by_key(|one| one.segment.name);
    let mut scans = Vec::new();
    for one in survey.segments.iter_mut().filter(|one| one.sealed.is_none()) {
        scans.push(one.scan(files)?);
    }
    let known = contents.base.max(contents.ended);
    survey.synced = scans.iter().map(|scan| scan.synced).fold(known, u64::max);
    survey.last = judge(&mut survey.segments, &scans, contents.base, survey.synced);
    for one in survey.segments.iter_mut().filter(|one| one.sealed.is_none()) {
        one.tell(files, visitor)?;
    }
    for one in survey.segments.iter_mut().rev().filter(|one| one.sealed.is_some()) {
        one.check_sealed(files, depth, visitor)?;
    }
    if manifest.as_ref().is_some_and(|found| found.is_torn) {
        survey.notes.push(format!("{}: its last entry was not finished", manifest::NAME));
    }
    survey.manifest = manifest;
    Ok(survey)
}

/// Looks at the headers alone.
///
/// # Errors
/// As for [`survey`].
pub(crate) fn check_version(request: &Request<'_>) -> Result<(), StorageError> {
    let manifest = manifest::read(request.directory, request.store, request.files)?;
    let contents = manifest.as_ref().map(|found| found.contents.clone()).unwrap_or_default();
    list(request, &contents, manifest.is_some()).map(drop)
}

/// A segment that the manifest has.
fn look_at(
    request: &Request<'_>,
    name: SegmentName,
    sealed: Option<Sealed>,
) -> Result<Surveyed, StorageError> {
    let Request { directory, files, .. } = *request;
    let path = name.path(directory);
    let damaged = |salt, size, why: String| Surveyed {
        segment: Segment::new(name, directory, salt),
        size,
        end: 0,
        verdict: Verdict::Damaged(Bad { offset: 0, why }),
        sealed,
        last: 0,
        footer: Vec::new(),
    };
    let file = match patiently(|| files.open_to_read(&path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(damaged(0, 0, "the file is missing".to_owned()));
        }
        Err(error) => return Err(StorageError::io("open", &path, error)),
    };
    let unreadable = |error| StorageError::io("read", &path, error);
    let size = file.size().map_err(unreadable)?;
    let header = match SegmentHeader::read(&*file).map_err(unreadable)? {
        Ok(header) if header.name == name => header,
        Ok(_) => return Ok(damaged(0, size, "the header is another segment's".to_owned())),
        Err(flaw) => return Ok(damaged(0, size, flaw.to_string())),
    };
    if let Some(Sealed { length, .. }) = sealed
        && size < u64::from(length)
    {
        let why = format!("the file ends after {size} bytes, but it had {length}");
        let bad = Bad { offset: u32::try_from(size).unwrap_or(u32::MAX), why };
        let verdict = Verdict::Damaged(bad);
        return Ok(Surveyed { verdict, ..damaged(header.salt, size, String::new()) });
    }
    let end = sealed.map_or(HEADER_SIZE, |sealed| sealed.length);
    let whole = damaged(header.salt, size, String::new());
    Ok(Surveyed { end, verdict: Verdict::Whole, ..whole })
}

fn open(path: &Path, files: &dyn Files) -> Result<Arc<dyn LogFile>, StorageError> {
    patiently(|| files.open_to_read(path)).map_err(|error| StorageError::io("open", path, error))
}
