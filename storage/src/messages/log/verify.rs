//! The offline check of a message log, and the explicit act of going on without what is damaged.
//!
//! Called by `leveret verify`. Checking writes nothing, not even a lock file; both refuse a data
//! directory that a running process holds.

use std::fmt;
use std::path::{Path, PathBuf};

use super::DIRECTORY;
use super::following::{Following, Told};
use super::record::{self, Record};
use crate::directory::{DataDirectory, Inspection};
use crate::messages::{Place, Recovered, RecoveredQueue};
use crate::wal::{Piece, Segment, Survey, Verdict, Wal};
use crate::{FORMAT_VERSION, StorageError, StoreId};

/// A part of a segment that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub path: PathBuf,
    /// Where the part begins, in bytes from the beginning of the file.
    pub offset: u64,
    /// How many bytes it has; 0 if the file ends where it should go on, or is missing.
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

/// Queues that a printed report names one by one.
const QUEUES_TOLD: usize = 20;

/// Files and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentTotals {
    /// How many files.
    pub segments: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// The messages of one queue that are not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTotals {
    /// The queue's number.
    pub queue: u64,
    /// How many.
    pub messages: u64,
    /// Bytes of their content.
    pub bytes: u64,
}

/// What is in a message log. Prints as a text for operators.
#[derive(Clone, Debug)]
pub struct Report {
    /// The data directory.
    pub directory: PathBuf,
    /// Which store it is.
    pub store: StoreId,
    /// Segments that were appended to.
    pub hot: SegmentTotals,
    /// Segments that the compactor wrote.
    pub cold: SegmentTotals,
    /// Messages on disk, settled or not.
    pub messages: u64,
    /// Bytes of segments that messages need which are not settled.
    pub live_bytes: u64,
    /// Queues with messages that are not settled, ascending by number. If there is damage, as far
    /// as can be read.
    pub queues: Vec<QueueTotals>,
    /// Every group of records up to the one with this number was synced.
    pub synced: u64,
    /// Where writing was interrupted. It costs nothing that was confirmed; the next start cuts it
    /// off.
    pub interrupted: Vec<String>,
    /// What was synced and cannot be read.
    pub damage: Vec<Cut>,
    /// Whether the damage was cut out, and the log opens again.
    pub is_salvaged: bool,
}

impl Report {
    /// Whether everything that was confirmed is there.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    /// Of a directory without a log.
    fn empty(directory: &Path, store: StoreId) -> Self {
        Self {
            directory: directory.to_owned(),
            store,
            hot: SegmentTotals::default(),
            cold: SegmentTotals::default(),
            messages: 0,
            live_bytes: 0,
            queues: Vec::new(),
            synced: 0,
            interrupted: Vec::new(),
            damage: Vec::new(),
            is_salvaged: false,
        }
    }

    fn new(directory: &Path, store: StoreId, scan: &Scan) -> Self {
        let mut report = Self::empty(directory, store);
        for one in &scan.survey.segments {
            let name = one.segment.name;
            let totals = if name.is_hot() { &mut report.hot } else { &mut report.cold };
            totals.segments += 1;
            totals.bytes += one.size;
            match &one.verdict {
                Verdict::Torn(bad) => report
                    .interrupted
                    .push(format!("{name}: at byte {} of {}: {}", bad.offset, one.size, bad.why)),
                Verdict::Unsynced(why) => report.interrupted.push(format!("{name}: {why}")),
                Verdict::Whole | Verdict::Empty | Verdict::Damaged(_) => {}
            }
        }
        report.messages = scan.messages;
        report.live_bytes = scan.live_bytes;
        let queues = scan.recovered.queues.iter().filter(|(_, queue)| !queue.messages.is_empty());
        report.queues = queues.map(|(number, queue)| QueueTotals::of(*number, queue)).collect();
        report.synced = scan.survey.synced;
        report
    }
}

impl QueueTotals {
    fn of(queue: u64, recovered: &RecoveredQueue) -> Self {
        let messages = &recovered.messages;
        let bytes = messages.iter().map(|message| u64::from(message.size)).sum();
        Self { queue, messages: messages.len() as u64, bytes }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.is_sound(), self.is_salvaged) {
            (true, _) => "sound: everything that was confirmed is there",
            (false, false) => "DAMAGED: confirmed messages may be missing",
            (false, true) => "salvaged: confirmed messages may have been lost",
        };
        writeln!(f, "{}: {state}", self.directory.display())?;
        writeln!(f, "store {}, format {FORMAT_VERSION}", self.store)?;
        let Self { hot, cold, .. } = self;
        writeln!(
            f,
            "log: {} hot segments with {} bytes, {} cold segments with {} bytes",
            hot.segments, hot.bytes, cold.segments, cold.bytes
        )?;
        writeln!(f, "synced up to group {}", self.synced)?;
        self.write_queues(f)?;
        for place in &self.interrupted {
            writeln!(
                f,
                "writing was interrupted in {place}; nothing confirmed is behind it, the next \
                 start cuts it off"
            )?;
        }
        for cut in &self.damage {
            writeln!(f, "{} {cut}", if self.is_salvaged { "cut out:" } else { "damaged:" })?;
        }
        match (self.is_sound(), self.is_salvaged) {
            (true, _) => Ok(()),
            (false, false) => writeln!(
                f,
                "Put the files back from a backup, or run 'leveret verify --salvage {}' to go on \
                 without what is damaged.",
                self.directory.display()
            ),
            (false, true) => {
                writeln!(f, "The segments as they were are kept beside the log as '*.damaged'.")
            }
        }
    }
}

impl Report {
    fn write_queues(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting: u64 = self.queues.iter().map(|queue| queue.messages).sum();
        writeln!(
            f,
            "messages: {} on disk; {waiting} not settled in {} queues, in {} bytes of frames",
            self.messages,
            self.queues.len(),
            self.live_bytes
        )?;
        let mut longest: Vec<_> = self.queues.iter().collect();
        longest.sort_by_key(|queue| std::cmp::Reverse(queue.messages));
        for QueueTotals { queue, messages, bytes } in longest.iter().take(QUEUES_TOLD) {
            writeln!(f, "  queue {queue}: {messages} messages, {bytes} bytes")?;
        }
        match longest.len().saturating_sub(QUEUES_TOLD) {
            0 => Ok(()),
            others => writeln!(f, "  and {others} shorter queues"),
        }
    }
}

/// Reads a whole message log and says what is in it. Changes nothing. `told` is told how far it is: bytes
/// that are read, and all there are.
///
/// # Errors
/// A running process holds the data directory, it was written by a later version, a file in it
/// belongs to another store, or the system refuses to read it. Damage is no error: the report tells.
pub fn verify(directory: &Path, told: Told<'_>) -> Result<Report, StorageError> {
    let inspection = Inspection::begin(directory)?;
    report(directory, &inspection.store, told)
}

/// Cuts what is damaged out of a message log, so that it opens again. The report tells what was cut
/// out and what the log holds now. A damaged segment stays as `<name>.damaged`. It is read twice.
///
/// # Errors
/// As for [`verify`], or the system refuses to write; what is good is not lost by that.
pub fn salvage(directory: &Path, told: Told<'_>) -> Result<Report, StorageError> {
    // A directory that is no store is not made one.
    drop(Inspection::begin(directory)?);
    let held = DataDirectory::open(directory)?;
    let log = directory.join(DIRECTORY);
    let cuts = if log.is_dir() { cut_out(&log, &held.store, told)? } else { Vec::new() };
    let mut report = report(directory, &held.store, told)?;
    report.is_salvaged = !cuts.is_empty();
    report.damage.splice(0..0, cuts);
    Ok(report)
}

/// Replaces every damaged segment of a log by what is good of it, and says what is not.
///
/// # Errors
/// The system refuses; nothing good is lost by that.
pub(super) fn cut_out(
    log: &Path,
    store: &StoreId,
    told: Told<'_>,
) -> Result<Vec<Cut>, StorageError> {
    let survey = Wal::survey(log, &store.bytes(), &mut Following::new(log, told))?;
    if survey.damaged().next().is_none() {
        return Ok(Vec::new());
    }
    let mut cuts = Cuts::default();
    Wal::salvage(log, &store.bytes(), survey, &mut |segment, piece| cuts.see(segment, piece))?;
    Ok(cuts.all)
}

fn report(directory: &Path, store: &StoreId, told: Told<'_>) -> Result<Report, StorageError> {
    let log = directory.join(DIRECTORY);
    // There is none in a directory that was never used for messages.
    if !log.is_dir() {
        return Ok(Report::empty(directory, store.clone()));
    }
    let mut following = Following::new(&log, told);
    let survey = Wal::survey(&log, &store.bytes(), &mut following)?;
    let rebuild = following.into_rebuilt();
    let messages = rebuild.messages;
    let (holdings, recovered) = rebuild.finish(&[]);
    let live_bytes = holdings.segments().iter().map(|account| account.live_bytes).sum();
    let scan = Scan { survey, recovered, messages, live_bytes };
    let mut report = Report::new(directory, store.clone(), &scan);
    let mut cuts = Cuts::default();
    for (one, bad) in scan.survey.damaged() {
        Wal::pieces(one, bad, &mut |piece| {
            cuts.see(&one.segment, piece);
        })?;
    }
    report.damage = cuts.all;
    Ok(report)
}

/// What a reading of everything came to.
struct Scan {
    survey: Survey,
    recovered: Recovered,
    messages: u64,
    live_bytes: u64,
}

/// Unreadable parts, with what stands around them in the same file.
#[derive(Default)]
struct Cuts {
    all: Vec<Cut>,
    last: Option<(PathBuf, Place)>,
}

impl Cuts {
    /// Says whether it is a good record.
    fn see(&mut self, segment: &Segment, piece: &Piece<'_>) -> bool {
        let path = &segment.path;
        let (offset, bytes, why) = match piece {
            Piece::Good(record) => match record::decode(record.kind, record.payload) {
                Ok(Record::Publish(publish)) => {
                    publish.places.iter().for_each(|place| self.pass(path, place));
                    return true;
                }
                Ok(_) => return true,
                Err(flaw) => {
                    let place = record.place;
                    (u64::from(place.offset), u64::from(place.length), flaw.to_string())
                }
            },
            Piece::Bad { offset, bytes, why } => (*offset, *bytes, why.clone()),
        };
        let after = self.last.as_ref().filter(|(last, _)| last == path).map(|(_, place)| *place);
        self.all.push(Cut { path: path.clone(), offset, bytes, why, after, before: None });
        false
    }

    /// A message was passed: it stands before the parts that come and behind the last ones.
    fn pass(&mut self, path: &Path, place: Place) {
        self.last = Some((path.to_owned(), place));
        let open = |cut: &&mut Cut| cut.path == path && cut.before.is_none();
        for cut in self.all.iter_mut().rev().take_while(open) {
            cut.before = Some(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::fs;

    use super::super::Log;
    use super::*;
    use crate::messages::{Batch, Content, MessageStore, Options, Publish};

    /// A data directory whose log has three messages, each in a group of its own.
    fn data_directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let store = DataDirectory::open(directory.path()).unwrap().store;
        let log = directory.path().join(DIRECTORY);
        let (store, _) = Log::open(&log, &store, &Options::default(), &HashSet::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (sequence, byte) in [(1, 1_u8), (2, 2), (3, 3)] {
            let content = Content { head: [byte; 100].into(), ..Content::default() };
            let places = [Place { queue: 5, sequence }].into_iter().collect();
            let publishes = vec![Publish { content, places }];
            let ticket = store.append(&mut Batch { awaited: true, publishes, ..Batch::default() });
            runtime.block_on(store.progress().reached(ticket)).unwrap();
        }
        store.close().unwrap();
        (directory, log.join("hot-0000000001"))
    }

    fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all.append(&mut content(&path));
            } else {
                all.insert(path.clone(), fs::read(path).unwrap());
            }
        }
        all
    }

    /// Changes a bit in the body of a message.
    fn damage(segment: &Path, message: u8) {
        let mut bytes = fs::read(segment).unwrap();
        let at = bytes.windows(50).position(|window| window == [message; 50]).unwrap();
        bytes[at + 50] ^= 1;
        fs::write(segment, bytes).unwrap();
    }

    #[test]
    fn a_sound_log_is_counted_and_left_alone() {
        let (directory, segment) = data_directory();
        let before = content(directory.path());
        let report = verify(directory.path(), &mut |_, _| {}).unwrap();
        assert!(report.is_sound());
        assert_eq!(report.queues, [QueueTotals { queue: 5, messages: 3, bytes: 300 }]);
        assert!(report.synced >= 4, "a snapshot and three messages");
        let text = report.to_string();
        assert!(text.contains("messages: 3 on disk; 3 not settled in 1 queues"), "{text}");
        assert_eq!(content(directory.path()), before);
        fs::remove_file(segment).unwrap();
        let text = verify(directory.path(), &mut |_, _| {}).unwrap().to_string();
        assert!(text.contains("DAMAGED") && text.contains("hot-0000000001"), "{text}");
    }

    #[test]
    fn damage_is_told_and_cut_out_on_request() {
        let (directory, segment) = data_directory();
        damage(&segment, 2);
        let before = content(directory.path());
        let report = verify(directory.path(), &mut |_, _| {}).unwrap();
        assert!(!report.is_sound());
        let text = report.to_string();
        for told in [
            "DAMAGED",
            "hot-0000000001: at byte ",
            "the content does not match its checksum",
            "bytes are unreadable; after message 1 of queue 5; before message 3 of queue 5",
            "leveret verify --salvage",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
        assert_eq!(content(directory.path()), before);
        let report = salvage(directory.path(), &mut |_, _| {}).unwrap();
        assert!(report.is_salvaged && !report.is_sound());
        assert_eq!(report.queues, [QueueTotals { queue: 5, messages: 2, bytes: 200 }]);
        let kept = segment.with_extension("damaged");
        assert_eq!(fs::read(kept).unwrap(), before[&segment]);
        assert!(verify(directory.path(), &mut |_, _| {}).unwrap().is_sound());
        assert!(
            !salvage(directory.path(), &mut |_, _| {}).unwrap().is_salvaged,
            "nothing is left to do"
        );
    }

    #[test]
    fn a_directory_in_use_and_one_that_is_none_are_refused_and_untouched() {
        let (directory, _) = data_directory();
        let held = DataDirectory::open(directory.path()).unwrap();
        for refused in
            [verify(directory.path(), &mut |_, _| {}), salvage(directory.path(), &mut |_, _| {})]
        {
            assert!(matches!(refused, Err(StorageError::Locked { .. })));
        }
        drop(held);
        verify(directory.path(), &mut |_, _| {}).unwrap();
        let empty = tempfile::tempdir().unwrap();
        for refused in [verify(empty.path(), &mut |_, _| {}), salvage(empty.path(), &mut |_, _| {})]
        {
            assert!(refused.unwrap_err().to_string().contains("FORMAT"));
        }
        assert!(content(empty.path()).is_empty());
    }
}
