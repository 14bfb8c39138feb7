//! What the directory of a log holds, and how far each segment of it is good.
//!
//! Called by recovery, `verify` and salvage; changes nothing. What is wrong with a segment is one of
//! two things. Writing was interrupted: that happens in hot segments above the synced point, costs
//! nothing that was promised, and recovery cuts it off. Or the disk has lost what was synced: that
//! is damage, and it is never passed over in silence.
//!
//! Stays true: the synced point is the highest that any good SYNCED frame tells, also one that
//! stands behind a bad frame; so a bad frame in the middle is never taken for the end of the log.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Files, LogFile};
use super::frame::{self, Flaw, Frame, FramePlace, LogPosition};
use super::outline::{self, Outline};
use super::segment::{
    HEADER_SIZE, HeaderFlaw, SEGMENT_VERSION, SegmentHeader, SegmentKind, SegmentName, Step, Walk,
};
use crate::StorageError;

/// Ends the names of files that are not finished.
pub(crate) const TEMPORARY: &str = ".tmp";

/// One segment, before anyone looked at its frames.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its name.
    pub(crate) name: SegmentName,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Its header.
    pub(crate) header: Result<SegmentHeader, HeaderFlaw>,
}

/// The files of a log's directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Ascending by id.
    pub(crate) segments: Vec<Listed>,
    /// Files that were not finished, and outlines of segments that are gone.
    pub(crate) leftovers: Vec<PathBuf>,
    /// The highest id that any file of whatever kind carries in its name.
    pub(crate) highest_id: u32,
}

impl Listing {
    /// Lists a directory and reads the header of every segment.
    ///
    /// # Errors
    /// A segment was written by a later version or belongs to another store, two have the same id,
    /// or the system refuses.
    pub(crate) fn read(
        directory: &Path,
        store: &[u8; 16],
        files: &dyn Files,
    ) -> Result<Self, StorageError> {
        let entries =
            files.list(directory).map_err(|error| StorageError::io("list", directory, error))?;
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let mut listing = Self::default();
        for entry in &entries {
            let path = directory.join(&entry.name);
            let stem = entry.name.split('.').next().and_then(SegmentName::parse);
            listing.highest_id = listing.highest_id.max(stem.map_or(0, |name| name.id));
            if entry.name.ends_with(TEMPORARY) {
                listing.leftovers.push(path);
            } else if let Some(segment) = entry.name.strip_suffix(outline::SUFFIX) {
                if names.binary_search(&segment).is_err() {
                    listing.leftovers.push(path);
                }
            } else if let Some(name) = SegmentName::parse(&entry.name) {
                let file = open(files, &path)?;
                let header = SegmentHeader::read(&*file)
                    .map_err(|error| StorageError::io("read", &path, error))?;
                listing.segments.push(Listed { name, path, size: entry.size, header });
            }
        }
        listing.segments.sort_unstable_by_key(|segment| segment.name);
        listing.check(store)?;
        Ok(listing)
    }

    fn check(&self, store: &[u8; 16]) -> Result<(), StorageError> {
        // First, so that a later version's directory is reported as that whatever else is in it.
        for segment in &self.segments {
            if let Err(HeaderFlaw::Newer(version)) = segment.header {
                return Err(StorageError::NewerFormat {
                    path: segment.path.clone(),
                    found: u32::from(version),
                    known: u32::from(SEGMENT_VERSION),
                });
            }
        }
        for segment in &self.segments {
            segment.check(store)?;
        }
        for pair in self.segments.windows(2) {
            if let [first, second] = pair
                && first.name.id == second.name.id
            {
                let detail = format!(
                    "it has the same number as {}; one of them was put here by mistake, take it \
                     out of the directory",
                    first.name
                );
                return Err(StorageError::Damaged { path: second.path.clone(), detail });
            }
        }
        Ok(())
    }
}

impl Listed {
    /// Opens it to read.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn open(&self, files: &dyn Files) -> Result<Arc<dyn LogFile>, StorageError> {
        open(files, &self.path)
    }

    /// Whether it is hot.
    pub(crate) fn is_hot(&self) -> bool {
        self.name.kind == SegmentKind::Hot
    }

    fn check(&self, store: &[u8; 16]) -> Result<(), StorageError> {
        let detail = match self.header {
            Ok(header) if header.store != *store => {
                "it belongs to another data directory; take it out of this one"
            }
            Ok(header) if header.name != self.name => {
                "its header has another name; give the file its own name back"
            }
            Ok(_) | Err(_) => return Ok(()),
        };
        Err(StorageError::Damaged { path: self.path.clone(), detail: detail.to_owned() })
    }

    /// Goes through all good frames up to the first bad one, and looks behind that for SYNCED frames.
    /// A frame that `visit` does not understand is a bad one.
    ///
    /// # Errors
    /// The system refuses to read it.
    pub(crate) fn walk(
        &self,
        files: &dyn Files,
        mut visit: impl FnMut(FramePlace, &Frame<'_>) -> Result<(), Flaw>,
    ) -> Result<Walked, StorageError> {
        let file = self.open(files)?;
        self.walk_file(&*file, &mut visit).map_err(|error| self.unreadable(error))
    }

    /// Goes through its outline instead, if there is a good one. The segment must be whole, or what
    /// is wrong with it goes unnoticed until it is read.
    pub(crate) fn walk_outline(
        &self,
        files: &dyn Files,
        mut visit: impl FnMut(FramePlace, &Frame<'_>) -> Result<(), Flaw>,
    ) -> Option<Walked> {
        self.header.ok()?;
        let outline = Outline::read(self.name.id, &self.path, self.size, files)?;
        let mut walked = Walked { end: u32::try_from(self.size).ok()?, ..Walked::default() };
        for (place, frame) in outline.good_frames() {
            if let Frame::Synced(position) = frame {
                walked.synced.note(position);
            }
            // What was told is told again by the segment, which changes nothing.
            visit(place, &frame).ok()?;
        }
        Some(walked)
    }

    /// The system's refusal to read it.
    pub(crate) fn unreadable(&self, error: io::Error) -> StorageError {
        StorageError::io("read", &self.path, error)
    }

    fn walk_file(
        &self,
        file: &dyn LogFile,
        visit: &mut dyn FnMut(FramePlace, &Frame<'_>) -> Result<(), Flaw>,
    ) -> io::Result<Walked> {
        let mut walked = Walked::default();
        if let Err(flaw) = self.header {
            walked.bad = Some(Bad { offset: 0, why: flaw.to_string() });
        } else {
            let mut walk = Walk::new(file, self.name.id)?;
            let bad = loop {
                match walk.step()? {
                    Step::Frame { place, frame, .. } => {
                        if let Frame::Synced(position) = frame {
                            walked.synced.note(position);
                        }
                        if let Err(flaw) = visit(place, &frame) {
                            break Some((place.offset, flaw));
                        }
                    }
                    Step::End => break None,
                    Step::Bad { offset, flaw } => break Some((offset, flaw)),
                }
            };
            walked.end = bad.map_or_else(|| walk.offset(), |(offset, _)| offset);
            walked.bad = bad.map(|(offset, flaw)| Bad { offset, why: flaw.to_string() });
        }
        if let Some(bad) = &walked.bad {
            find_synced(file, self.name.id, bad.offset, &mut walked.synced)?;
        }
        Ok(walked)
    }

    /// What its state means, given how far the log was synced. `torn` is an earlier hot segment whose
    /// end was never synced.
    pub(crate) fn judge(
        &self,
        walked: &Walked,
        synced: &SyncedPoints,
        torn: Option<SegmentName>,
    ) -> Verdict {
        let synced_here = synced.of(self.name.id);
        let start = LogPosition { segment: self.name.id, offset: 0 };
        if let Some(torn) = torn
            && self.is_hot()
            && start > synced.highest()
        {
            return Verdict::Unsynced(format!("{torn} before it was never synced to its end"));
        }
        match &walked.bad {
            Some(bad) if !self.is_hot() => Verdict::Damaged(bad.clone()),
            Some(bad) if LogPosition { offset: bad.offset, ..start } < synced.highest() => {
                Verdict::Damaged(bad.clone())
            }
            Some(bad) if self.header.is_err() => Verdict::Unsynced(bad.why.clone()),
            Some(bad) => Verdict::Torn(bad.clone()),
            None if self.is_hot() && walked.end < synced_here => {
                let why = format!("the file ends, but it was synced up to byte {synced_here}");
                Verdict::Damaged(Bad { offset: walked.end, why })
            }
            None => Verdict::Whole,
        }
    }
}

/// The first place in a segment where no good frame begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    /// Bytes from the beginning of the file.
    pub(crate) offset: u32,
    /// What is wrong there.
    pub(crate) why: String,
}

/// What a walk through a segment found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walked {
    /// Where the last good frame ends.
    pub(crate) end: u32,
    /// What is there, unless it is the end of the file.
    pub(crate) bad: Option<Bad>,
    /// What SYNCED frames tell, before the bad place and behind it.
    pub(crate) synced: SyncedPoints,
}

/// What to think of a segment.
///
/// Segments are synced oldest first, so nothing counts that follows a torn one. It must go, too: its
/// snapshot may tell what a batch settled whose frame was in the torn part, and a batch comes back
/// whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it is good.
    Whole,
    /// Good up to here; what follows was never synced.
    Torn(Bad),
    /// Nothing of it was ever synced, and it is of no use.
    Unsynced(String),
    /// What was synced is not there any more.
    Damaged(Bad),
}

impl Verdict {
    /// Whether writing was interrupted here.
    pub(crate) const fn is_torn(&self) -> bool {
        matches!(self, Self::Torn(_) | Self::Unsynced(_))
    }
}

/// How far the log was synced, as its SYNCED frames tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SyncedPoints {
    highest: LogPosition,
    /// By segment: it had at least so many bytes.
    lengths: BTreeMap<u32, u32>,
}

impl SyncedPoints {
    /// Everything in hot segments before this was synced.
    pub(crate) fn highest(&self) -> LogPosition {
        self.highest
    }

    /// Bytes that a segment had when it was last told to be synced; 0 if that was never told.
    pub(crate) fn of(&self, segment: u32) -> u32 {
        self.lengths.get(&segment).copied().unwrap_or(0)
    }

    /// Adds what another has.
    pub(crate) fn join(&mut self, other: &Self) {
        for (segment, offset) in &other.lengths {
            self.note(LogPosition { segment: *segment, offset: *offset });
        }
    }

    fn note(&mut self, position: LogPosition) {
        self.highest = self.highest.max(position);
        let length = self.lengths.entry(position.segment).or_default();
        *length = position.offset.max(*length);
    }
}

/// Looks for SYNCED frames at any offset from this one on.
fn find_synced(
    file: &dyn LogFile,
    segment: u32,
    from: u32,
    synced: &mut SyncedPoints,
) -> io::Result<()> {
    const STATED_LEN: [u8; 4] = 8_u32.to_le_bytes();
    each_window(file, from.max(HEADER_SIZE), |offset, window| {
        // Cheap to tell apart from nearly everything, before a checksum is computed.
        if window.starts_with(&STATED_LEN)
            && let Ok(Frame::Synced(position)) =
                frame::decode(LogPosition { segment, offset }, window)
        {
            synced.note(position);
        }
        true
    })
}

/// The first place from an offset on where a good frame begins, if there is any.
///
/// # Errors
/// The system refuses to read it.
pub(crate) fn next_good(file: &dyn LogFile, segment: u32, from: u32) -> io::Result<Option<u32>> {
    let size = file.size()?;
    let mut found = None;
    let mut failed = None;
    each_window(file, from.max(HEADER_SIZE), |offset, window| {
        let left = size.saturating_sub(u64::from(offset));
        if frame::stated_len(window).is_ok_and(|len| len <= left) {
            match Walk::between(file, segment, offset, size).step() {
                Ok(Step::Frame { .. }) => found = Some(offset),
                Ok(Step::End | Step::Bad { .. }) => {}
                Err(error) => failed = Some(error),
            }
        }
        found.is_none() && failed.is_none()
    })?;
    failed.map_or(Ok(found), Err)
}

/// Shows the bytes from every offset on, some dozen at least where the file has them, until told to
/// stop.
fn each_window(
    file: &dyn LogFile,
    from: u32,
    mut shown: impl FnMut(u32, &[u8]) -> bool,
) -> io::Result<()> {
    const PIECE: usize = 1 << 20;
    const WINDOW: usize = 32;
    let mut buffer = vec![0; PIECE];
    let mut start = u64::from(from);
    loop {
        let count = file.read_full_at(&mut buffer, start)?;
        let piece = buffer.get(..count).unwrap_or_default();
        let is_last = count < PIECE;
        let windows = if is_last { count } else { PIECE - WINDOW };
        for at in 0..windows {
            let Ok(offset) = u32::try_from(start + at as u64) else { return Ok(()) };
            if !shown(offset, piece.get(at..).unwrap_or_default()) {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
        start += windows as u64;
    }
}

fn open(files: &dyn Files, path: &Path) -> Result<Arc<dyn LogFile>, StorageError> {
    files.open_to_read(path).map_err(|error| StorageError::io("open", path, error))
}
