//! Going on without what is damaged: the explicit act of an operator.
//!
//! Called by recovery when the options ask for it, and by
//! [`salvage`](crate::messages::salvage()). What is good of a damaged segment is copied into a new cold
//! segment; the damaged one stays beside it as `<name>.damaged`, for whoever knows more.
//!
//! Stays true: at no moment is a good frame in no segment; stopped at any point, the next attempt
//! does the rest.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::files::{Files, LogFile};
use super::frame::{Flaw, Frame, FrameBuffer, LogPosition, RawFrame, TooLong};
use super::recovery::Scan;
use super::segment::{HEADER_SIZE, SegmentHeader, SegmentName, Step, Walk};
use super::snapshot;
use super::survey::{self, Bad, Listed};
use crate::StorageError;
use crate::directory::StoreId;
use crate::messages::Place;

/// Bytes gathered before they are written.
const GROUP: usize = 1 << 20;

/// A part of a segment that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub path: PathBuf,
    /// Where the part begins, in bytes from the beginning of the file.
    pub offset: u64,
    /// How many bytes it has; 0 if the file ends where it should go on.
    pub bytes: u64,
    /// What is wrong there.
    pub why: String,
    /// The place of the message before it in the file.
    pub after: Option<Place>,
    /// The place of the message behind it in the file.
    pub before: Option<Place>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: at byte {}: {}", self.path.display(), self.offset, self.why)?;
        match self.bytes {
            0 => f.write_str("; how many bytes are missing is not known")?,
            bytes => write!(f, "; {bytes} bytes are unreadable")?,
        }
        for (side, place) in [("after", self.after), ("before", self.before)] {
            if let Some(Place { queue, sequence }) = place {
                write!(f, "; {side} message {sequence} of queue {queue}")?;
            }
        }
        Ok(())
    }
}

/// Replaces every damaged segment by what is good of it, and says what is not.
///
/// # Errors
/// The system refuses; no good frame is lost by that.
pub(super) fn cut_out(
    directory: &Path,
    store: &StoreId,
    scan: &Scan,
    files: &dyn Files,
) -> Result<Vec<Cut>, StorageError> {
    let mut id = scan.listing.highest_id;
    let mut all = Vec::new();
    for (segment, bad) in scan.damaged() {
        id = id.saturating_add(1);
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = SegmentHeader {
            name: SegmentName::cold(id),
            store: store.bytes(),
            created_unix_ms: u64::try_from(created.as_millis()).unwrap_or(u64::MAX),
        };
        let cuts = replace(directory, segment, bad, &header, files)
            .map_err(|error| StorageError::io("salvage", &segment.path, error))?;
        all.extend(cuts);
    }
    Ok(all)
}

/// The unreadable parts of a damaged segment, with what stands around them.
///
/// # Errors
/// The system refuses to read it.
pub(super) fn cuts_of(
    segment: &Listed,
    bad: &Bad,
    files: &dyn Files,
) -> Result<Vec<Cut>, StorageError> {
    let file = segment.open(files)?;
    each_good(segment, bad, &*file, &mut |_| Ok(())).map_err(|error| segment.unreadable(error))
}

/// Writes the good frames of a segment to another, and gives that its place.
fn replace(
    directory: &Path,
    segment: &Listed,
    bad: &Bad,
    header: &SegmentHeader,
    files: &dyn Files,
) -> io::Result<Vec<Cut>> {
    let source = files.open_to_read(&segment.path)?;
    let finished = header.name.path(directory);
    let temporary = with_suffix(&finished, survey::TEMPORARY);
    let target = files.create_new(&temporary)?;
    target.write_all_at(&header.encode(), 0)?;
    let mut frames = FrameBuffer::default();
    frames.begin(LogPosition { segment: header.name.id, offset: HEADER_SIZE });
    let cuts = each_good(segment, bad, &*source, &mut |raw| {
        frames.copy(raw).map_err(|TooLong| io::Error::from(io::ErrorKind::FileTooLarge))?;
        if frames.bytes().len() < GROUP { Ok(()) } else { write_out(&mut frames, &*target) }
    })?;
    write_out(&mut frames, &*target)?;
    target.sync()?;
    // Both are there for a moment: what is found twice counts once.
    files.rename(&temporary, &finished)?;
    files.sync_directory(directory)?;
    files.rename(&segment.path, &with_suffix(&segment.path, ".damaged"))?;
    files.sync_directory(directory)?;
    Ok(cuts)
}

/// Shows every good frame of a damaged segment and tells what is between them.
fn each_good(
    segment: &Listed,
    bad: &Bad,
    file: &dyn LogFile,
    shown: &mut dyn FnMut(&RawFrame<'_>) -> io::Result<()>,
) -> io::Result<Vec<Cut>> {
    let size = file.size()?;
    let mut cuts = Cuts { path: &segment.path, all: Vec::new(), last: None };
    if let Err(flaw) = segment.header {
        cuts.add(0, u64::from(HEADER_SIZE).min(size), flaw.to_string());
    }
    let mut start = HEADER_SIZE;
    while let Some((offset, flaw)) = each_good_until_bad(segment, file, start, shown, &mut cuts)? {
        let next = survey::next_good(file, segment.name.id, offset.saturating_add(1))?;
        let end = next.map_or(size, u64::from);
        cuts.add(offset, end.saturating_sub(u64::from(offset)), flaw.to_string());
        let Some(next) = next else { break };
        start = next;
    }
    if !cuts.all.iter().any(|cut| cut.offset == u64::from(bad.offset)) {
        cuts.add(bad.offset, 0, bad.why.clone());
    }
    Ok(cuts.all)
}

fn each_good_until_bad(
    segment: &Listed,
    file: &dyn LogFile,
    start: u32,
    shown: &mut dyn FnMut(&RawFrame<'_>) -> io::Result<()>,
    cuts: &mut Cuts<'_>,
) -> io::Result<Option<(u32, Flaw)>> {
    let mut walk = Walk::between(file, segment.name.id, start, file.size()?);
    loop {
        match walk.step()? {
            Step::Frame { place, frame, raw } => {
                if let Frame::Snapshot { payload, .. } = frame
                    && let Err(flaw) = snapshot::check(payload)
                {
                    return Ok(Some((place.offset, flaw)));
                }
                for publish in frame.publishes() {
                    cuts.passed(publish.places.iter());
                }
                shown(&raw)?;
            }
            Step::End => return Ok(None),
            Step::Bad { offset, flaw } => return Ok(Some((offset, flaw))),
        }
    }
}

/// Unreadable parts while a segment is walked through.
struct Cuts<'a> {
    path: &'a Path,
    all: Vec<Cut>,
    last: Option<Place>,
}

impl Cuts<'_> {
    fn add(&mut self, offset: u32, bytes: u64, why: String) {
        let after = self.last;
        let offset = u64::from(offset);
        self.all.push(Cut { path: self.path.to_owned(), offset, bytes, why, after, before: None });
    }

    /// A message was passed: it stands before the parts that come and behind the last one.
    fn passed(&mut self, places: impl Iterator<Item = Place>) {
        for place in places {
            self.last = Some(place);
            for cut in self.all.iter_mut().rev().take_while(|cut| cut.before.is_none()) {
                cut.before = Some(place);
            }
        }
    }
}

fn write_out(frames: &mut FrameBuffer, target: &dyn LogFile) -> io::Result<()> {
    let start = frames.start();
    target.write_all_at(frames.bytes(), u64::from(start.offset))?;
    let end = frames.end();
    frames.begin(end);
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
