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
use super::group::{FOOTER, Flaw, Record, RecordPlace};
use super::manifest::{self, Contents, Found, Sealed};
use super::segment::{HEADER_SIZE, HeaderFlaw, Segment, SegmentHeader, SegmentName, VERSION};
use super::side::TEMPORARY;
use super::stock::{SPARE, USED};
use super::walk::{Step, Walk};
use crate::StorageError;

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

/// Lists the directory and refuses what does not belong there.
fn list(
    request: &Request<'_>,
    contents: &Contents,
    has_manifest: bool,
) -> Result<Survey, StorageError> {
    let Request { directory, store, files, .. } = *request;
    let entries =
        files.list(directory).map_err(|error| StorageError::io("list", directory, error))?;
    let mut survey = Survey { highest_id: contents.highest_id, ..Survey::default() };
    let mut unknown = Vec::new();
    for entry in &entries {
        let path = directory.join(&entry.name);
        if entry.name.ends_with(TEMPORARY) || entry.name == USED {
            survey.leftovers.push(path);
        } else if entry.name == SPARE {
            survey.has_spare = true;
        } else if let Some(name) = SegmentName::parse(&entry.name) {
            check_header(&path, name, store, files)?;
            if contents.removed.contains(&name) {
                survey.leftovers.push(path);
            } else if !contents.segments.contains_key(&name) {
                unknown.push((name, path));
            }
        }
    }
    if !has_manifest && let Some((_, path)) = unknown.first() {
        let detail = format!(
            "there is no {} beside it, which says what must be here; put that back from a backup",
            manifest::NAME
        );
        return Err(StorageError::Damaged { path: path.clone(), detail });
    }
    for (name, path) in unknown {
        if name.is_hot() && has_groups(&path, files)? {
            let detail = format!(
                "{} does not know it; it was put here by mistake, take it out of the directory",
                manifest::NAME
            );
            return Err(StorageError::Damaged { path, detail });
        }
        // Made just before the process ended: nothing depends on it, and of what was copied into a
        // cold one the sources are there.
        survey.highest_id = survey.highest_id.max(name.id);
        survey.leftovers.push(path);
    }
    Ok(survey)
}

/// Refuses a segment of another version, another store, or another name.
fn check_header(
    path: &Path,
    name: SegmentName,
    store: &[u8; 16],
    files: &dyn Files,
) -> Result<(), StorageError> {
    let file = open(path, files)?;
    let header =
        SegmentHeader::read(&*file).map_err(|error| StorageError::io("read", path, error))?;
    let detail = match header {
        Err(HeaderFlaw::Version(found)) if found > VERSION => {
            let (path, known) = (path.to_owned(), u32::from(VERSION));
            return Err(StorageError::NewerFormat { path, found: u32::from(found), known });
        }
        Err(HeaderFlaw::Version(found)) => {
            return Err(StorageError::OlderFormat { path: path.to_owned(), found: found.into() });
        }
        Ok(header) if header.store != *store => {
            "it belongs to another data directory; take it out of this one"
        }
        // A file on its way from one segment to another has the header of the next.
        Ok(header) if header.name.id < name.id => {
            "its header has another name; give the file its own name back"
        }
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(StorageError::Damaged { path: path.to_owned(), detail: detail.to_owned() })
}

fn open(path: &Path, files: &dyn Files) -> Result<Arc<dyn LogFile>, StorageError> {
    patiently(|| files.open_to_read(path)).map_err(|error| StorageError::io("open", path, error))
}

fn has_groups(path: &Path, files: &dyn Files) -> Result<bool, StorageError> {
    let unreadable = |error| StorageError::io("read", path, error);
    let file = open(path, files)?;
    let Ok(header) = SegmentHeader::read(&*file).map_err(unreadable)? else { return Ok(false) };
    let length = file.size().map_err(unreadable)?;
    let mut walk = Walk::new(&*file, header.salt, length);
    Ok(matches!(walk.step().map_err(unreadable)?, Step::Group { .. }))
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

/// What the groups of a segment that is not sealed say.
#[derive(Debug, Default)]
struct Scan {
    /// The first and the last of the good groups before anything bad.
    first: Option<u64>,
    last: u64,
    /// What is behind them, unless it is the end.
    bad: Option<Bad>,
    /// The highest group that any good group says is synced.
    synced: u64,
}

impl Surveyed {
    fn scan(&mut self, files: &dyn Files) -> Result<Scan, StorageError> {
        if self.is_damaged() {
            return Ok(Scan::default());
        }
        let file = open(&self.segment.path, files)?;
        let scanned = self.scan_file(&*file);
        scanned.map_err(|error| StorageError::io("read", &self.segment.path, error))
    }

    fn scan_file(&mut self, file: &dyn LogFile) -> io::Result<Scan> {
        let mut scan = Scan::default();
        let mut walk = Walk::new(file, self.segment.salt, self.size);
        loop {
            match walk.step()? {
                Step::Group { offset, header, records } => {
                    scan.synced = scan.synced.max(header.synced);
                    if scan.bad.is_some() {
                        continue;
                    }
                    if records.is_footer() {
                        // The segment was about to be sealed.
                        break;
                    }
                    if scan.first.is_some() && header.number != scan.last + 1 {
                        let why = format!("group {} is missing", scan.last + 1);
                        scan.bad = Some(Bad { offset, why });
                        continue;
                    }
                    scan.first.get_or_insert(header.number);
                    scan.last = header.number;
                    self.end = walk.offset();
                }
                Step::End => break,
                Step::Bad { offset, flaw, header } => {
                    let why = || Bad { offset, why: flaw.to_string() };
                    scan.bad.get_or_insert_with(why);
                    if let Some(header) = header {
                        scan.synced = scan.synced.max(header.synced);
                    }
                    if !walk.skip_bad(header)? {
                        break;
                    }
                }
            }
        }
        self.last = scan.last;
        Ok(scan)
    }

    /// Tells the records of one that is not sealed, up to where it is good.
    fn tell(&mut self, files: &dyn Files, visitor: &mut dyn Visitor) -> Result<(), StorageError> {
        let counts = matches!(self.verdict, Verdict::Whole | Verdict::Torn(_));
        // Of a damaged one, too, for whoever wants to know what there is.
        let is_readable = self.is_damaged() && self.end > HEADER_SIZE;
        if !counts && !is_readable {
            return Ok(());
        }
        let (flaw, _) = self.walk_through(files, u64::from(self.end), visitor)?;
        if let Some(bad) = flaw
            && counts
        {
            self.verdict = Verdict::Damaged(bad);
        }
        self.footer = visitor.footer();
        Ok(())
    }

    /// Reads the footer of a sealed segment, or all of it.
    fn check_sealed(
        &mut self,
        files: &dyn Files,
        depth: Depth,
        visitor: &mut dyn Visitor,
    ) -> Result<(), StorageError> {
        let Some(sealed) = self.sealed else { return Ok(()) };
        let is_readable = !self.is_damaged() || self.end > HEADER_SIZE || self.size > 0;
        if !is_readable {
            return Ok(());
        }
        if let (Some(footer), Depth::Footers, false) = (sealed.footer, depth, self.is_damaged()) {
            if let Err(bad) = self.read_footer(footer, files, visitor)? {
                self.verdict = Verdict::Damaged(bad);
            }
            return Ok(());
        }
        let length = u64::from(sealed.length).min(self.size);
        let (bad, end) = self.walk_through(files, length, visitor)?;
        drop(visitor.footer());
        if self.is_damaged() {
            return Ok(());
        }
        self.end = end;
        let is_short = u64::from(end) < u64::from(sealed.length);
        let missing =
            || Bad { offset: end, why: "its groups end before the segment does".to_owned() };
        if let Some(bad) = bad.or_else(|| is_short.then(missing)) {
            self.verdict = Verdict::Damaged(bad);
        }
        Ok(())
    }

    fn read_footer(
        &self,
        place: RecordPlace,
        files: &dyn Files,
        visitor: &mut dyn Visitor,
    ) -> Result<Result<(), Bad>, StorageError> {
        let path = &self.segment.path;
        let file = open(path, files)?;
        let mut bytes = vec![0; place.length as usize];
        let read = file.read_full_at(&mut bytes, u64::from(place.offset));
        let count = read.map_err(|error| StorageError::io("read", path, error))?;
        bytes.truncate(count);
        file.forget_cached();
        let told =
            Record::read(&self.segment, place.offset, &bytes).and_then(|record| {
                match record.kind {
                    FOOTER => visitor.sealed(&self.segment, record.payload),
                    _ => Err(Flaw::Malformed("it is not a footer")),
                }
            });
        let bad = |flaw: Flaw| Bad { offset: place.offset, why: format!("its footer: {flaw}") };
        Ok(told.map_err(bad))
    }

    /// Tells every record up to the first bad group, or every good one of a damaged segment.
    fn walk_through(
        &self,
        files: &dyn Files,
        length: u64,
        visitor: &mut dyn Visitor,
    ) -> Result<(Option<Bad>, u32), StorageError> {
        let path = &self.segment.path;
        let file = open(path, files)?;
        let unreadable = |error| StorageError::io("read", path, error);
        let mut walk = Walk::new(&*file, self.segment.salt, length);
        let mut bad = None;
        loop {
            match walk.step().map_err(unreadable)? {
                Step::Group { records, .. } if records.is_footer() => {}
                Step::Group { offset, records, .. } => {
                    for record in records {
                        if let Err(flaw) = visitor.record(&self.segment, &record) {
                            let why = flaw.to_string();
                            bad.get_or_insert(Bad { offset, why });
                        }
                    }
                }
                Step::End => break,
                Step::Bad { offset, flaw, header } => {
                    bad.get_or_insert_with(|| Bad { offset, why: flaw.to_string() });
                    if !walk.skip_bad(header).map_err(unreadable)? {
                        break;
                    }
                }
            }
        }
        Ok((bad, walk.offset()))
    }

    /// The last good group of a hot segment that is not sealed.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    fn is_damaged(&self) -> bool {
        matches!(self.verdict, Verdict::Damaged(_))
    }
}

/// Finds where the log ends, and whether that is where it ended; returns the last group that counts.
/// Groups up to `base` are not looked for.
fn judge(segments: &mut [Surveyed], scans: &[Scan], base: u64, synced: u64) -> u64 {
    let mut end = End { last: base, synced, torn: None, is_damaged: false };
    let mut last_one = None;
    let open = segments.iter_mut().filter(|one| one.sealed.is_none());
    for (one, scan) in open.zip(scans) {
        if one.is_damaged() {
            end.is_damaged = true;
            continue;
        }
        one.verdict = end.judge(one.segment.name, scan);
        end.is_damaged |= one.is_damaged();
        if one.verdict == Verdict::Whole || last_one.is_none() {
            last_one = Some(one);
        }
    }
    if end.last < synced
        && !end.is_damaged
        && let Some(one) = last_one
    {
        let why = format!("its groups end with {}, but those up to {synced} were synced", end.last);
        one.verdict = Verdict::Damaged(Bad { offset: one.end, why });
    }
    end.last
}

/// How far the log goes, while its segments are judged in their order.
struct End {
    last: u64,
    synced: u64,
    torn: Option<SegmentName>,
    is_damaged: bool,
}

impl End {
    fn judge(&mut self, name: SegmentName, scan: &Scan) -> Verdict {
        if scan.first.is_none() && scan.bad.is_none() {
            return Verdict::Empty;
        }
        if let Some(torn) = self.torn {
            return Verdict::Unsynced(format!("{torn} before it was never synced to its end"));
        }
        // Behind damage groups are missing, and that is known.
        let is_gap = !self.is_damaged && scan.first.is_some_and(|first| first > self.last + 1);
        let why = format!("group {} before it is missing", self.last + 1);
        let gap = is_gap.then_some(Bad { offset: HEADER_SIZE, why });
        if !is_gap {
            self.last = self.last.max(scan.last);
        }
        let Some(bad) = gap.or_else(|| scan.bad.clone()) else { return Verdict::Whole };
        if self.last < self.synced {
            self.last = self.last.max(scan.last);
            return Verdict::Damaged(bad);
        }
        self.torn = Some(name);
        match is_gap || scan.first.is_none() {
            true => Verdict::Unsynced(bad.why),
            false => Verdict::Torn(bad),
        }
    }
}
