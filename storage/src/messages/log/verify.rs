//! The offline check of a message log, and the explicit act of going on without what is damaged.
//!
//! Called by `leveret verify`. Checking writes nothing, not even a lock file; both refuse a data
//! directory that a running process holds.

use std::fmt;
use std::path::{Path, PathBuf};

use super::DIRECTORY;
use super::files::RealFiles;
use super::recovery::{self, Scan, Scope};
use super::salvage::{self, Cut};
use super::segment::{SegmentKind, SegmentName};
use super::survey::Verdict;
use crate::directory::{DataDirectory, Inspection};
use crate::messages::RecoveredQueue;
use crate::{FORMAT_VERSION, StorageError, StoreId};

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
    /// Everything in hot segments before this segment and byte was synced.
    pub synced: Option<(String, u32)>,
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
            synced: None,
            interrupted: Vec::new(),
            damage: Vec::new(),
            is_salvaged: false,
        }
    }

    fn new(directory: &Path, store: StoreId, scan: &Scan) -> Self {
        let mut report = Self::empty(directory, store);
        for (segment, verdict) in scan.segments() {
            let totals = match segment.name.kind {
                SegmentKind::Hot => &mut report.hot,
                SegmentKind::Cold => &mut report.cold,
            };
            totals.segments += 1;
            totals.bytes += segment.size;
            let name = segment.name;
            match verdict {
                Verdict::Torn(bad) => report.interrupted.push(format!(
                    "{name}: at byte {} of {}: {}",
                    bad.offset, segment.size, bad.why
                )),
                Verdict::Unsynced(why) => report.interrupted.push(format!("{name}: {why}")),
                Verdict::Whole | Verdict::Damaged(_) => {}
            }
        }
        let rebuilt = &scan.rebuilt;
        report.messages = rebuilt.messages;
        report.live_bytes =
            rebuilt.holdings.segments().iter().map(|account| account.live_bytes).sum();
        report.queues = rebuilt
            .queues
            .iter()
            .filter(|(_, queue)| !queue.messages.is_empty())
            .map(|(number, queue)| QueueTotals::of(*number, queue))
            .collect();
        let synced = scan.synced.highest();
        report.synced = (synced.offset > 0)
            .then(|| (SegmentName::hot(synced.segment).to_string(), synced.offset));
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
        match &self.synced {
            Some((segment, offset)) => writeln!(f, "synced up to byte {offset} of {segment}")?,
            None => writeln!(f, "synced: never")?,
        }
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

/// Reads a whole message log and says what is in it. Changes nothing.
///
/// # Errors
/// A running process holds the data directory, it was written by a later version, a file in it
/// belongs to another store, or the system refuses to read it. Damage is no error: the report tells.
pub fn verify(directory: &Path) -> Result<Report, StorageError> {
    let inspection = Inspection::begin(directory)?;
    report(directory, &inspection.store)
}

/// Cuts what is damaged out of a message log, so that it opens again. The report tells what was cut
/// out and what the log holds now. A damaged segment stays as `<name>.damaged`.
///
/// # Errors
/// As for [`verify`], or the system refuses to write; what is good is not lost by that.
pub fn salvage(directory: &Path) -> Result<Report, StorageError> {
    // A directory that is no store is not made one.
    drop(Inspection::begin(directory)?);
    let held = DataDirectory::open(directory)?;
    let log = directory.join(DIRECTORY);
    let cuts = match scan(&log, &held.store)? {
        Some(scan) => salvage::cut_out(&log, &held.store, &scan, &RealFiles)?,
        None => Vec::new(),
    };
    let mut report = report(directory, &held.store)?;
    report.is_salvaged = !cuts.is_empty();
    report.damage.splice(0..0, cuts);
    Ok(report)
}

fn report(directory: &Path, store: &StoreId) -> Result<Report, StorageError> {
    let Some(scan) = scan(&directory.join(DIRECTORY), store)? else {
        return Ok(Report::empty(directory, store.clone()));
    };
    let mut report = Report::new(directory, store.clone(), &scan);
    for (segment, bad) in scan.damaged() {
        report.damage.extend(salvage::cuts_of(segment, bad, &RealFiles)?);
    }
    Ok(report)
}

/// `None` if there is no log, as in a directory that was never used for messages.
fn scan(log: &Path, store: &StoreId) -> Result<Option<Scan>, StorageError> {
    let scope = Scope {
        directory: log,
        store,
        known_queues: None,
        believes_outlines: false,
        files: &RealFiles,
    };
    if log.is_dir() { recovery::scan(&scope).map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::super::frame::{FrameBuffer, LogPosition};
    use super::super::segment::{HEADER_SIZE, SegmentHeader};
    use super::*;
    use crate::messages::Place;

    /// A data directory whose log has one segment with three messages, the last not yet synced.
    fn data_directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let store = DataDirectory::open(directory.path()).unwrap().store;
        let log = directory.path().join(DIRECTORY);
        fs::create_dir(&log).unwrap();
        let name = SegmentName::hot(1);
        let header = SegmentHeader { name, store: store.bytes(), created_unix_ms: 0 };
        let mut frames = FrameBuffer::default();
        frames.begin(LogPosition { segment: 1, offset: HEADER_SIZE });
        for sequence in 1..=3 {
            frames.publish(0, &[7; 100], &[], &[Place { queue: 5, sequence }]).unwrap();
            if sequence == 2 {
                let position = frames.end();
                frames.synced(position).unwrap();
            }
        }
        let path = name.path(&log);
        fs::write(&path, [&header.encode(), frames.bytes()].concat()).unwrap();
        (directory, path)
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

    #[test]
    fn a_sound_log_is_counted_and_left_alone() {
        let (directory, segment) = data_directory();
        let before = content(directory.path());
        let report = verify(directory.path()).unwrap();
        assert!(report.is_sound());
        assert_eq!(report.queues, [QueueTotals { queue: 5, messages: 3, bytes: 300 }]);
        assert_eq!(report.synced, Some(("hot-0000000001".to_owned(), 344)));
        let text = report.to_string();
        assert!(text.contains("messages: 3 on disk; 3 not settled in 1 queues"), "{text}");
        assert_eq!(content(directory.path()), before);
        fs::remove_file(segment).unwrap();
        assert_eq!(verify(directory.path()).unwrap().messages, 0);
    }

    #[test]
    fn a_torn_tail_is_told_and_costs_nothing() {
        let (directory, segment) = data_directory();
        let mut bytes = fs::read(&segment).unwrap();
        bytes.truncate(bytes.len() - 1);
        fs::write(&segment, bytes).unwrap();
        let report = verify(directory.path()).unwrap();
        assert!(report.is_sound() && report.messages == 2);
        let text = report.to_string();
        assert!(text.contains("interrupted in hot-0000000001: at byte 362 of 501:"), "{text}");
    }

    #[test]
    fn damage_is_told_and_cut_out_on_request() {
        let (directory, segment) = data_directory();
        let mut bytes = fs::read(&segment).unwrap();
        bytes[250] ^= 1;
        fs::write(&segment, bytes).unwrap();
        let before = content(directory.path());
        let report = verify(directory.path()).unwrap();
        assert!(!report.is_sound());
        let text = report.to_string();
        for told in [
            "DAMAGED",
            "hot-0000000001: at byte 204: a frame does not match its checksum",
            "140 bytes are unreadable; after message 1 of queue 5; before message 3 of queue 5",
            "leveret verify --salvage",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
        assert_eq!(content(directory.path()), before);
        let report = salvage(directory.path()).unwrap();
        assert!(report.is_salvaged && !report.is_sound());
        assert_eq!(report.queues, [QueueTotals { queue: 5, messages: 2, bytes: 200 }]);
        let kept = segment.with_extension("damaged");
        assert_eq!(fs::read(kept).unwrap(), before[&segment]);
        assert!(verify(directory.path()).unwrap().is_sound());
        assert!(!salvage(directory.path()).unwrap().is_salvaged, "nothing is left to do");
    }

    #[test]
    fn a_directory_in_use_and_one_that_is_none_are_refused_and_untouched() {
        let (directory, _) = data_directory();
        let held = DataDirectory::open(directory.path()).unwrap();
        for refused in [verify(directory.path()), salvage(directory.path())] {
            assert!(matches!(refused, Err(StorageError::Locked { .. })));
        }
        drop(held);
        verify(directory.path()).unwrap();
        let empty = tempfile::tempdir().unwrap();
        for refused in [verify(empty.path()), salvage(empty.path())] {
            assert!(refused.unwrap_err().to_string().contains("FORMAT"));
        }
        assert!(content(empty.path()).is_empty());
    }
}
