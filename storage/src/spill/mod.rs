//! Content that is only out of the way: it is put into files, read back by whoever kept its place, and
//! freed. Nothing of it survives.
//!
//! Used for the bodies of long queues that need not survive; the broker's stores are the only callers.
//! There is no index: a place says where something is. A thread writes what was put; until then it is
//! read from memory.
//! ```text
//! paged/spill-0000000007    | content | content | ...       wiped when it is opened
//! ```
//! `content` draws every byte of one.
//!
//! Stays true: [`Spill::put`] never waits for the disk; what is freed is never read again; a file of
//! which everything is freed is used again or removed. A full disk loses nothing: what cannot be
//! written stays in memory, and [`Progress`] says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;

use crate::StorageError;
use crate::messages::{Content, Options, Progress, Statistics};
use crate::wal::{Files, Handles, RealFiles};

mod content;
mod writer;
mod messages;

use self::content::FIXED;
pub(crate) use self::messages::SpillMessages;

#[cfg(test)]
mod tests;

/// Where something was put. Its owner keeps it, and frees it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpillPlace {
    segment: u32,
    offset: u32,
    length: u32,
}

impl SpillPlace {
    fn is_before(self, next: Self) -> bool {
        self.segment == next.segment && self.offset.checked_add(self.length) == Some(next.offset)
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct Spill {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    segment_size: u32,
    files: Arc<dyn Files>,
    progress: Progress,
    /// Guards which places there are; never held over I/O.
    state: Mutex<State>,
    wake: Condvar,
    handles: Handles,
}

#[derive(Debug, Default)]
struct State {
    /// Where the next content goes.
    segment: u32,
    offset: u32,
    /// Put and not written.
    pending: BTreeMap<SpillPlace, Content>,
    segments: FxHashMap<u32, Account>,
    /// Files of which everything is freed.
    freed: Vec<u32>,
    is_closed: bool,
    statistics: Statistics,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    live: u64,
    live_bytes: u64,
    bytes: u64,
}

impl Spill {
    /// Opens an empty one. What an earlier one left in the directory is removed.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open(directory: &Path, options: &Options) -> Result<Self, StorageError> {
        Self::open_with(directory, options, Arc::new(RealFiles))
    }

    fn open_with(
        directory: &Path,
        options: &Options,
        files: Arc<dyn Files>,
    ) -> Result<Self, StorageError> {
        wipe(directory, &*files)?;
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            segment_size: options.segment_size,
            files,
            progress: Progress::new(options.pending_max),
            state: Mutex::default(),
            wake: Condvar::new(),
            handles: Handles::default(),
        });
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new().name("spill".to_owned()).spawn(move || writer.run());
        let thread =
            thread.map_err(|error| StorageError::io("start a thread for", directory, error))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Takes something out of the way; it can be read at once. Never waits for the disk: see
    /// [`Progress::room`]. At most 4 GiB.
    #[must_use]
    pub fn put(&self, content: Content) -> SpillPlace {
        let shared = &self.shared;
        let size = content.size();
        let length = u32::try_from(size.saturating_add(FIXED)).unwrap_or(u32::MAX);
        let mut state = shared.state.lock();
        let is_new = state.offset == 0;
        if !is_new && state.offset.saturating_add(length) > shared.segment_size {
            state.begin_segment();
        }
        let place = SpillPlace { segment: state.segment, offset: state.offset, length };
        state.offset = state.offset.saturating_add(length);
        let account = state.segments.entry(place.segment).or_default();
        account.live += 1;
        account.live_bytes += u64::from(length);
        account.bytes += u64::from(length);
        let was_idle = state.pending.is_empty();
        if !state.is_closed {
            state.pending.insert(place, content);
            shared.progress.add_pending(size);
        }
        state.statistics.appended_messages += 1;
        state.statistics.appended_bytes += size as u64;
        drop(state);
        if was_idle {
            shared.wake.notify_one();
        }
        place
    }

    /// Reads what was put in these places and not freed, in their order. Blocks.
    ///
    /// # Errors
    /// The system refuses, or something is damaged.
    pub fn read(&self, places: &[SpillPlace]) -> Result<Vec<Content>, StorageError> {
        self.read_each(places).into_iter().collect()
    }

    /// As [`Spill::read`], with an outcome of its own for each place. What lies side by side is read
    /// at once.
    pub(crate) fn read_each(&self, places: &[SpillPlace]) -> Vec<Result<Content, StorageError>> {
        let waiting: Vec<_> = {
            let state = self.shared.state.lock();
            places.iter().map(|place| (*place, state.pending.get(place).cloned())).collect()
        };
        let mut read = Vec::with_capacity(places.len());
        let are_neighbours =
            |(one, waits): &(SpillPlace, Option<Content>),
             (next, next_waits): &(SpillPlace, Option<Content>)| {
                waits.is_none() && next_waits.is_none() && one.is_before(*next)
            };
        for run in waiting.chunk_by(are_neighbours) {
            match run {
                [(_, Some(content))] => read.push(Ok(content.clone())),
                run => self.shared.read_run(run.iter().map(|(place, _)| *place), &mut read),
            }
        }
        read
    }

    /// What was put in a place is not needed any more.
    pub fn free(&self, place: SpillPlace) {
        let mut state = self.shared.state.lock();
        if let Some(content) = state.pending.remove(&place) {
            state.statistics.elided_messages += 1;
            self.shared.progress.remove_pending(content.size());
        }
        let is_open = place.segment == state.segment;
        let Some(account) = state.segments.get_mut(&place.segment) else { return };
        account.live = account.live.saturating_sub(1);
        account.live_bytes = account.live_bytes.saturating_sub(u64::from(place.length));
        if account.live == 0 {
            if is_open {
                // Or the last file of an idle one would stay as long as it is.
                state.begin_segment();
            } else {
                state.segments.remove(&place.segment);
                state.freed.push(place.segment);
            }
            drop(state);
            self.shared.wake.notify_one();
        }
    }

    /// How much waits to be written, and how the disk is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// What it holds and has done.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let state = self.shared.state.lock();
        let mut statistics = state.statistics.clone();
        for account in state.segments.values() {
            statistics.segments += 1;
            statistics.disk_bytes += account.bytes;
            statistics.live_bytes += account.live_bytes;
            statistics.live_messages += account.live;
        }
        statistics.pending_bytes = self.shared.progress.pending() as u64;
        statistics
    }

    /// Ends it; what waits is not written any more. Calling it twice is no error.
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        state.is_closed = true;
        state.pending.clear();
        drop(state);
        self.shared.progress.remove_pending(self.shared.progress.pending());
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the spill thread panicked");
        }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    /// What is put from now on goes to another file.
    fn begin_segment(&mut self) {
        let segment = self.segment;
        if self.segments.get(&segment).is_none_or(|account| account.live == 0) {
            self.segments.remove(&segment);
            self.freed.push(segment);
        }
        self.segment += 1;
        self.offset = 0;
    }
}

impl Shared {
    /// Reads what lies side by side in one file.
    fn read_run(
        &self,
        places: impl Iterator<Item = SpillPlace> + Clone,
        read: &mut Vec<Result<Content, StorageError>>,
    ) {
        let Some(first) = places.clone().next() else { return };
        let length = places.clone().map(|place| place.length as usize).sum();
        let path = self.path(first.segment);
        let file = self.handles.get(first.segment, &path, &*self.files);
        let mut bytes = vec![0; length];
        let count = file.and_then(|file| file.read_full_at(&mut bytes, u64::from(first.offset)));
        let count = count.map_err(|error| StorageError::io("read", &path, error));
        if let Ok(count) = &count {
            bytes.truncate(*count);
        }
        let mut from = 0;
        for place in places {
            let to = from + place.length as usize;
            let content = content::decode(place, bytes.get(from..to).unwrap_or_default());
            from = to;
            read.push(match (&count, content) {
                (Err(error), _) => Err(error.clone()),
                (Ok(_), Some(content)) => Ok(content),
                (Ok(_), None) => Err(StorageError::Damaged {
                    path: path.clone(),
                    detail: format!(
                        "at offset {} the content does not match its checksum",
                        place.offset
                    ),
                }),
            });
        }
    }

    fn path(&self, segment: u32) -> PathBuf {
        self.directory.join(format!("spill-{segment:010}"))
    }
}

/// Removes what an earlier one left here, and nothing else; also what earlier versions had here.
fn wipe(directory: &Path, files: &dyn Files) -> Result<(), StorageError> {
    let created = files.create_directory(directory);
    created.map_err(|error| StorageError::io("create", directory, error))?;
    let entries = files.list(directory);
    for entry in entries.map_err(|error| StorageError::io("list", directory, error))? {
        let ours = ["spill-", "hot-", "cold-", "reserve"];
        if ours.iter().any(|prefix| entry.name.starts_with(prefix)) {
            let path = directory.join(&entry.name);
            files.remove(&path).map_err(|error| StorageError::io("remove", &path, error))?;
        }
    }
    Ok(())
}
