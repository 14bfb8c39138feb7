//! What a disk does for a log that syncs before it confirms: groups are appended, and each is
//! synced.
//!
//! Called by [`disk`](crate::disk). Files are written from front to back as a broker's log is, each
//! group with one write and one fdatasync, a new file with an fsync of its directory. With two
//! groups in flight one is written while the one before it is synced, which is how a group commit
//! keeps a disk busy. Stays true: never more than [`BYTES_MAX`] on the disk, and nothing is left.

use crate::clock::Start;
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::statistics::{Latencies, LatencySummary, rate};
use rand::RngCore;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Length at which the next file is begun, unless one group alone is longer.
const FILE_SIZE: u64 = 64 << 20;
/// Bytes written for one shape at most, whatever the time.
pub(crate) const BYTES_MAX: u64 = 1 << 30;

/// How groups follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shape {
    /// Bytes of one group.
    pub(crate) group_bytes: usize,
    /// Groups that are being written or synced at a time.
    pub(crate) in_flight: u16,
}

/// What the disk did.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    pub(crate) shape: Shape,
    pub(crate) groups_per_second: f64,
    pub(crate) bytes_per_second: f64,
    /// One fdatasync, and one of the directory where a file was begun.
    pub(crate) sync: Option<LatencySummary>,
    /// From before the write of a group to the end of its sync.
    pub(crate) commit: Option<LatencySummary>,
}

/// Appends and syncs groups below `directory` for `limit`, and removes them again.
pub(crate) fn measure(
    directory: &Path,
    shape: Shape,
    limit: Duration,
    interrupt: &Interrupt,
) -> io::Result<Measured> {
    let start = Start::now();
    let mut log = Files::create(directory)?;
    let directory = File::open(log.directory.path())?;
    let (written, to_sync) = channel();
    let (synced, free) = channel();
    let counts = thread::scope(|scope| {
        let syncer = thread::Builder::new()
            .spawn_scoped(scope, move || sync(&to_sync, &synced, &directory, start))?;
        let wrote = Writer { log: &mut log, shape, start, limit, interrupt }.write(&written, &free);
        drop(written);
        let counts = syncer.join().map_err(|_| io::Error::other("the syncing thread failed"))?;
        // An error of the syncing thread ends the writing one with no error of its own.
        let counts = counts?;
        wrote.map(|()| counts)
    })?;
    let time = Duration::from_nanos(counts.last_at);
    let bytes = counts.groups * shape.group_bytes as u64;
    Ok(Measured {
        shape,
        groups_per_second: rate(counts.groups, time),
        bytes_per_second: rate(bytes, time),
        sync: counts.syncs.summary(),
        commit: counts.commits.summary(),
    })
}

/// A group that is written.
struct Group {
    file: Arc<File>,
    /// Whether it is the first of its file.
    first: bool,
    /// When its write began.
    began: u64,
}

struct Writer<'a> {
    log: &'a mut Files,
    shape: Shape,
    start: Start,
    limit: Duration,
    interrupt: &'a Interrupt,
}

impl Writer<'_> {
    fn write(self, written: &Sender<Group>, free: &Receiver<()>) -> io::Result<()> {
        // A disk that compresses must not win by it.
        let mut content = vec![0; self.shape.group_bytes];
        rand::rng().fill_bytes(&mut content);
        let mut in_flight = 0;
        let mut bytes = 0;
        while !self.interrupt.is_set() && bytes < BYTES_MAX {
            if in_flight == self.shape.in_flight {
                if free.recv().is_err() {
                    break;
                }
                in_flight -= 1;
            }
            let began = self.start.nanoseconds();
            if u128::from(began) >= self.limit.as_nanos() {
                break;
            }
            let (file, first) = self.log.append(&content)?;
            if written.send(Group { file, first, began }).is_err() {
                break;
            }
            in_flight += 1;
            bytes += content.len() as u64;
        }
        Ok(())
    }
}

struct Counts {
    groups: u64,
    /// Nanoseconds after the start.
    last_at: u64,
    syncs: Latencies,
    commits: Latencies,
}

/// Syncs group after group until no more come.
fn sync(
    to_sync: &Receiver<Group>,
    synced: &Sender<()>,
    directory: &File,
    start: Start,
) -> io::Result<Counts> {
    let (syncs, commits) = (Latencies::new(), Latencies::new());
    let mut counts = Counts { groups: 0, last_at: 0, syncs, commits };
    for group in to_sync {
        let began = start.nanoseconds();
        group.file.sync_data()?;
        if group.first {
            directory.sync_all()?;
        }
        counts.last_at = start.nanoseconds();
        counts.groups += 1;
        counts.syncs.record(counts.last_at - began);
        counts.commits.record(counts.last_at - group.began);
        // The writer has ended when nobody hears it.
        synced.send(()).unwrap_or_default();
    }
    Ok(counts)
}

/// A directory of its own with numbered files.
struct Files {
    directory: Scratch,
    current: Option<(Arc<File>, u64)>,
    count: u32,
}

impl Files {
    fn create(below: &Path) -> io::Result<Self> {
        Ok(Self { directory: Scratch::create(below)?, current: None, count: 0 })
    }

    /// Appends `content` and says to which file, and whether that is a new one.
    fn append(&mut self, content: &[u8]) -> io::Result<(Arc<File>, bool)> {
        let length = content.len() as u64;
        let room = self.current.take().filter(|(_, end)| end + length <= FILE_SIZE);
        let first = room.is_none();
        let (file, end) = match room {
            Some(room) => room,
            None => (Arc::new(self.begin()?), 0),
        };
        file.write_all_at(content, end)?;
        self.current = Some((Arc::clone(&file), end + length));
        Ok((file, first))
    }

    fn begin(&mut self) -> io::Result<File> {
        self.count += 1;
        File::create_new(self.directory.path().join(self.count.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        for in_flight in [1, 2] {
            let shape = Shape { group_bytes: 4096, in_flight };
            let limit = Duration::from_millis(30);
            let measured = measure(directory.path(), shape, limit, &Interrupt::default()).unwrap();
            assert!(measured.groups_per_second > 0.0, "{measured:?}");
            assert!(
                (measured.bytes_per_second / measured.groups_per_second - 4096.0).abs() < 0.1,
                "{measured:?}"
            );
            let (sync, commit) = (measured.sync.unwrap(), measured.commit.unwrap());
            assert!(commit.max_us >= sync.p50_us, "{measured:?}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_is_begun_where_a_group_does_not_fit() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Files::create(directory.path()).unwrap();
        let two_fit = vec![7; usize::try_from(FILE_SIZE / 2).unwrap()];
        let first: Vec<_> = (0..3).map(|_| log.append(&two_fit).unwrap().1).collect();
        assert_eq!(first, [true, false, true]);
        let huge = vec![7; usize::try_from(FILE_SIZE).unwrap() + 1];
        let (file, first) = log.append(&huge).unwrap();
        assert!(first, "a group longer than a file has one of its own");
        assert_eq!(file.metadata().unwrap().len(), FILE_SIZE + 1);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let shape = Shape { group_bytes: 1, in_flight: 1 };
        let nowhere = Path::new("/nonexistent/of/leveret");
        assert!(measure(nowhere, shape, Duration::from_millis(1), &Interrupt::default()).is_err());
    }
}
