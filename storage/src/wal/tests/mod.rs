//! The log as a whole: what was synced is there, what was not is cut or there, and nothing is passed
//! over in silence.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Condvar;
use tempfile::TempDir;

use super::faults::FaultyFiles;
use super::*;

mod striking;

const STORE: [u8; 16] = [3; 16];
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(segment_size: u32) -> Settings {
    Settings { store: STORE, segment_size, fsync: FsyncPolicy::Group }
}

/// What a log has told.
#[derive(Debug, Default)]
struct Ear {
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Heard {
    durable: u64,
    sealed: Vec<u32>,
    has_no_room: bool,
    failure: Option<StorageError>,
}

impl Ear {
    fn hear(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.heard.lock());
        self.changed.notify_all();
    }

    /// False if the log failed first.
    fn wait(&self, is_it: impl Fn(&Heard) -> bool) -> bool {
        let mut heard = self.heard.lock();
        let late = self.changed.wait_while_for(
            &mut heard,
            |heard| !is_it(heard) && heard.failure.is_none(),
            PATIENCE,
        );
        assert!(!late.timed_out(), "the log hangs: {heard:?}");
        is_it(&heard)
    }
}

impl Listener for Ear {
    fn durable(&self, mark: u64) {
        self.hear(|heard| heard.durable = heard.durable.max(mark));
    }

    fn synced(&self, _segments: &[u32], _is_news: bool) {}

    fn sealed(&self, segment: u32, _bytes: u32) {
        self.hear(|heard| heard.sealed.push(segment));
    }

    fn room(&self, is_there: bool) {
        self.hear(|heard| heard.has_no_room = !is_there);
    }

    fn fsynced(&self, _micros: u64) {}

    fn failed(&self, error: &StorageError) {
        self.hear(|heard| {
            heard.failure.get_or_insert_with(|| error.clone());
        });
    }
}

/// Takes in what is told; a footer is all of it again.
#[derive(Debug, Default)]
struct Reading {
    by_segment: BTreeMap<u32, Vec<String>>,
    current: Vec<String>,
}

impl Reading {
    fn all(&self) -> Vec<String> {
        self.by_segment.values().flatten().cloned().collect()
    }
}

impl Visitor for Reading {
    fn record(&mut self, segment: &Arc<Segment>, record: &Record<'_>) -> Result<(), Flaw> {
        let text = String::from_utf8_lossy(record.payload);
        let text = text.split(' ').next().unwrap_or_default().to_owned();
        self.current.push(text.clone());
        self.by_segment.entry(segment.name.id).or_default().push(text);
        Ok(())
    }

    fn footer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.current).join("\n").into_bytes()
    }

    fn sealed(&mut self, segment: &Arc<Segment>, footer: &[u8]) -> Result<(), Flaw> {
        let text = String::from_utf8_lossy(footer);
        let lines = text.lines().map(ToOwned::to_owned);
        self.by_segment.entry(segment.name.id).or_default().extend(lines);
        Ok(())
    }
}

struct Rig {
    wal: Wal,
    appender: Appender,
    ear: Arc<Ear>,
    group: GroupBuffer,
    /// What the footer of the open segment will be.
    outline: Vec<String>,
    next: u64,
    found: Found,
}

impl Rig {
    fn open(
        directory: &Path,
        size: u32,
        files: Arc<dyn Files>,
    ) -> Result<(Self, Vec<String>), StorageError> {
        let (ear, mut reading) = (Arc::new(Ear::default()), Reading::default());
        let listener: Arc<dyn Listener> = Arc::<Ear>::clone(&ear);
        let (wal, appender, found) =
            Wal::open_with(directory, settings(size), files, &mut reading, listener)?;
        let all = reading.all();
        let last = all.last().and_then(|text| text.parse().ok()).unwrap_or(0);
        let (group, outline) = (GroupBuffer::default(), Vec::new());
        Ok((Self { wal, appender, ear, group, outline, next: last + 1, found }, all))
    }

    /// A group with one record, a number and so many bytes; in a new segment if it does not fit.
    fn append(&mut self, size: usize) -> Result<u64, Trouble> {
        if self.appender.segment().is_none() || self.appender.room() < size as u64 + 10 {
            self.roll()?;
        }
        let text = format!("{} {}", self.next, "x".repeat(size));
        self.group.begin(self.appender.spot());
        self.group.record(1, |out| out.extend_from_slice(text.as_bytes())).unwrap();
        let number = self.appender.write(&mut self.group)?;
        self.appender.hand_over(Handing { mark: number, what: What::Needed, is_awaited: true });
        self.outline.push(self.next.to_string());
        self.next += 1;
        Ok(number)
    }

    fn roll(&mut self) -> Result<(), Trouble> {
        let footer = self.outline.join("\n");
        self.appender.roll(true, || footer.into_bytes())?;
        self.outline.clear();
        Ok(())
    }

    /// Appends and waits until it is durable. False if the log failed.
    fn commit(&mut self, size: usize) -> bool {
        match self.append(size) {
            Ok(number) => self.ear.wait(|heard| heard.durable >= number),
            Err(_) => false,
        }
    }

    fn close(self) {
        self.wal.close().unwrap();
    }
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn real() -> Arc<dyn Files> {
    Arc::new(RealFiles)
}

/// A closed log with so many groups over several segments.
fn written(groups: u64) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (mut rig, _) = Rig::open(directory.path(), 2000, real()).unwrap();
    for _ in 0..groups {
        assert!(rig.commit(300));
    }
    rig.close();
    directory
}

fn hot(directory: &Path) -> Vec<PathBuf> {
    let entries = RealFiles.list(directory).unwrap().into_iter();
    let names = entries.filter(|entry| SegmentName::parse(&entry.name).is_some());
    names.map(|entry| directory.join(entry.name)).collect()
}

fn read(directory: &Path) -> Result<(Vec<String>, Vec<String>), StorageError> {
    // The real one, but for the syncs, which take long.
    let (rig, all) = Rig::open(directory, 2000, Arc::new(FaultyFiles::new(directory)))?;
    let notes = rig.found.notes.clone();
    rig.close();
    Ok((all, notes))
}

#[test]
fn what_was_appended_is_there_in_order_and_goes_on() {
    let directory = written(20);
    for more in 0..3 {
        let (mut rig, all) = Rig::open(directory.path(), 2000, real()).unwrap();
        assert_eq!(all, numbers(1..=20 + more));
        assert!(rig.found.notes.is_empty());
        assert!(rig.commit(10));
        let mut seen = Vec::new();
        rig.wal
            .read_from(0, &mut |_, records| {
                seen.extend(
                    records
                        .map(|record| record.payload.iter().take(2).copied().collect::<Vec<_>>()),
                );
            })
            .unwrap();
        assert_eq!(seen.len() as u64, 21 + more);
        rig.close();
    }
}

#[test]
fn a_log_is_read_from_any_group_on() {
    let directory = written(20);
    let (rig, _) = Rig::open(directory.path(), 2000, real()).unwrap();
    for first in [1, 7, 20, 21] {
        let mut seen = Vec::new();
        rig.wal.read_from(first, &mut |number, _| seen.push(number)).unwrap();
        assert_eq!(seen, (first..=20).collect::<Vec<_>>());
    }
    rig.close();
}

#[test]
fn old_segments_are_trimmed_and_their_files_used_again() {
    let directory = written(60);
    let (mut rig, _) = Rig::open(directory.path(), 2000, real()).unwrap();
    let before = hot(directory.path()).len();
    rig.wal.trim(48).unwrap();
    for _ in 0..10 {
        assert!(rig.commit(300));
    }
    let mut first = u64::MAX;
    rig.wal.read_from(0, &mut |number, _| first = first.min(number)).unwrap();
    assert!(first > 40 && first <= 48, "{first}");
    rig.close();
    let (all, _) = read(directory.path()).unwrap();
    assert_eq!(all.last().unwrap(), "70");
    // Far more went than the keeper has in stock, whenever it makes that.
    let after = hot(directory.path()).len();
    assert!(after < before, "{after} of {before}");
}

#[test]
fn a_suffix_is_taken_back_for_good() {
    for last in [0, 1, 9, 19, 20] {
        let directory = written(20);
        let (mut rig, _) = Rig::open(directory.path(), 2000, real()).unwrap();
        rig.appender.truncate(last).unwrap();
        rig.next = last + 1;
        assert_eq!(rig.append(300).unwrap(), last + 1);
        assert!(rig.commit(300));
        let mut seen = Vec::new();
        rig.wal.read_from(0, &mut |number, _| seen.push(number)).unwrap();
        assert_eq!(seen, (1..=last + 2).collect::<Vec<_>>());
        rig.close();
        assert_eq!(read(directory.path()).unwrap().0, numbers(1..=last + 2), "{last}");
    }
}

/// The last segment as a process that was killed leaves it: not sealed, and the log says how far it is
/// synced.
fn killed(groups: u64) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (mut rig, _) = Rig::open(directory.path(), 2000, real()).unwrap();
    for _ in 0..groups {
        assert!(rig.commit(100));
    }
    let copy = copied(directory.path());
    rig.close();
    copy
}

/// A copy of files that nobody gives other names while they are copied: the keeper of a log that is open
/// does so with those that it makes, and begins with others.
fn copied(directory: &Path) -> TempDir {
    let names = || {
        let entries = RealFiles.list(directory).unwrap().into_iter();
        entries.map(|entry| entry.name).collect::<Vec<_>>()
    };
    for _ in 0..1000 {
        let (copy, listed) = (tempfile::tempdir().unwrap(), names());
        let copied = listed
            .iter()
            .try_for_each(|name| fs::copy(directory.join(name), copy.path().join(name)).map(drop));
        assert!(!copied.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::NotFound));
        if copied.is_ok() && listed == names() {
            return copy;
        }
    }
    panic!("files never keep their names for as long as it takes to copy them");
}

/// The file with the last group.
fn last_segment(directory: &Path) -> PathBuf {
    let has_groups =
        |path: &PathBuf| fs::read(path).unwrap().iter().skip(64).any(|byte| *byte != 0);
    hot(directory).into_iter().rfind(has_groups).unwrap()
}

#[test]
fn cut_or_changed_at_any_byte_of_its_end_a_log_ends_there_or_is_refused() {
    let original = killed(6);
    let path = last_segment(original.path());
    let bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for at in 64..end {
        for is_cut in [true, false] {
            let directory = copied(original.path());
            let path = directory.path().join(path.file_name().unwrap());
            let mut changed = bytes.clone();
            if is_cut {
                changed.truncate(at);
            } else {
                changed[at] ^= 0x10;
            }
            fs::write(&path, changed).unwrap();
            match read(directory.path()) {
                Ok((all, notes)) => {
                    assert_eq!(all, numbers(1..=all.len() as u64), "{at}");
                    if all.len() == 6 {
                        continue;
                    }
                    // Every group but the last was told to be synced by the next.
                    assert!(is_cut || all.len() == 5, "{at}: {all:?}");
                    let kept = fs::read(path.with_extension("torn"));
                    let is_between = is_cut && notes.is_empty();
                    assert!(is_between || kept.is_ok(), "{at}: {notes:?}");
                    assert!(is_between || notes[0].contains("not") || notes[0].contains("kept"));
                    assert_eq!(read(directory.path()).unwrap().1, [""; 0], "once");
                }
                Err(error) => {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    let text = error.to_string();
                    assert!(text.contains(name) && text.contains("--salvage"), "{at}: {text}");
                }
            }
        }
    }
}

#[test]
fn closed_in_order_not_a_byte_may_be_missing() {
    let original = written(20);
    for path in hot(original.path()) {
        let bytes = fs::read(&path).unwrap();
        let Some(end) = bytes.iter().rposition(|byte| *byte != 0).filter(|end| *end >= 64) else {
            continue;
        };
        for at in (0..=end).step_by(3) {
            fs::write(&path, &bytes[..at]).unwrap();
            let refused = read(original.path()).unwrap_err().to_string();
            assert!(
                refused.contains(path.file_name().unwrap().to_str().unwrap()),
                "{at}: {refused}"
            );
        }
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_missing_segment_is_refused_by_name_and_an_unknown_one_too() {
    let original = written(20);
    for path in hot(original.path()) {
        let directory = copied(original.path());
        let path = directory.path().join(path.file_name().unwrap());
        fs::remove_file(&path).unwrap();
        let refused = read(directory.path()).unwrap_err().to_string();
        assert!(refused.contains("missing"), "{refused}");
        assert!(refused.contains(path.file_name().unwrap().to_str().unwrap()), "{refused}");
    }
    let directory = copied(original.path());
    let other = written(3);
    fs::copy(&hot(other.path())[0], directory.path().join("hot-0000000077")).unwrap();
    let refused = read(directory.path()).unwrap_err().to_string();
    assert!(refused.contains("hot-0000000077"), "{refused}");
    fs::remove_file(directory.path().join("hot-0000000077")).unwrap();
    // A cold one that was not finished when the process ended is not missed.
    fs::write(SegmentName::cold(1).path(directory.path()), []).unwrap();
    assert_eq!(read(directory.path()).unwrap().0, numbers(1..=20));
    fs::remove_file(directory.path().join("MANIFEST")).unwrap();
    assert!(read(directory.path()).unwrap_err().to_string().contains("MANIFEST"));
}

#[test]
fn salvaged_a_log_has_all_that_is_good() {
    let original = written(20);
    let segments = hot(original.path());
    for (number, damage) in [(0, true), (1, false), (2, true)] {
        let directory = copied(original.path());
        let path = directory.path().join(segments[number].file_name().unwrap());
        let lost = match damage {
            true => {
                let mut bytes = fs::read(&path).unwrap();
                bytes[64 + 32 + 20] ^= 1;
                fs::write(&path, bytes).unwrap();
                1
            }
            false => {
                fs::remove_file(&path).unwrap();
                usize::MAX
            }
        };
        let mut reading = Reading::default();
        let survey = Wal::survey(directory.path(), &STORE, &mut reading).unwrap();
        assert_eq!(survey.damaged().count(), 1);
        let mut bad = 0;
        let mut told = |_: &Segment, piece: &Piece<'_>| {
            bad += usize::from(matches!(piece, Piece::Bad { .. }));
            true
        };
        Wal::salvage(directory.path(), &STORE, survey, &mut told).unwrap();
        assert_eq!(bad, 1);
        let (all, _) = read(directory.path()).unwrap();
        match lost {
            1 => assert_eq!(all.len(), 19),
            _ => assert!(all.len() < 19),
        }
        let survey = Wal::survey(directory.path(), &STORE, &mut Reading::default()).unwrap();
        assert_eq!(survey.damaged().count(), 0);
    }
}

/// A body could hold bytes that passed for frames: a torn tail became damage, and salvage took what
/// was forged. Now a checksum takes a salt that only the segment's header has.
#[test]
fn a_body_cannot_hold_a_group() {
    let other = written(3);
    let stolen = fs::read(&hot(other.path())[0]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (mut rig, _) = Rig::open(directory.path(), 1 << 20, real()).unwrap();
    assert!(rig.commit(10));
    rig.group.begin(rig.appender.spot());
    rig.group.record(1, |out| out.extend_from_slice(&stolen)).unwrap();
    let mark = rig.appender.write(&mut rig.group).unwrap();
    rig.appender.hand_over(Handing { mark, what: What::Needed, is_awaited: true });
    rig.close();
    let path = last_segment(directory.path());
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(64).position(|window| window == &stolen[..64]).unwrap();
    bytes[at - 30] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut reading = Reading::default();
    let survey = Wal::survey(directory.path(), &STORE, &mut reading).unwrap();
    let (one, bad) = survey.damaged().next().unwrap();
    let mut good = 0;
    Wal::pieces(one, bad, &mut |piece| good += usize::from(matches!(piece, Piece::Good(_))))
        .unwrap();
    assert!(good <= 1, "{good}");
}

/// What a segment's file held before is never taken for what it holds now.
#[test]
fn nothing_comes_back_from_a_file_that_is_used_again() {
    let directory = written(40);
    for round in 0..4 {
        let (mut rig, _) = Rig::open(directory.path(), 2000, real()).unwrap();
        let first = rig.appender.number();
        for _ in 0..5 {
            assert!(rig.commit(300));
        }
        rig.wal.trim(first).unwrap();
        assert!(rig.commit(round));
        let copy = copied(directory.path());
        rig.close();
        let (all, notes) = read(copy.path()).unwrap();
        let found: Vec<u64> = all.iter().map(|text| text.parse().unwrap()).collect();
        assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{found:?}");
        assert!(notes.is_empty(), "{notes:?}");
    }
}
