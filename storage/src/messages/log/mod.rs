//! Messages in one log that all queues share: the store a broker normally has.
//!
//! One log and not one file a queue, because what costs is the fsync, and one fsync serves every
//! queue and every publisher that waits for it.
//!
//! # On disk
//! ```text
//! messages/
//!   hot-0000000007     sealed: nothing is appended to it any more
//!   cold-0000000009    what the compactor kept of older segments
//!   hot-0000000010     open: the end of the log
//!   reserve            room for when there is none
//!
//! segment   header 64 B | frame | frame | ...
//! hot       header | SNAP (what was settled when it was begun) | PUB PUB ACK PUB SYNCED BATCH ...
//! cold      header | PUB PUB PUB ...
//! frame     len u32 | crc32c u32 | type u8 | flags u8 | payload
//! ```
//! `segment` and `frame` draw every byte of it, `snapshot` the payload of a SNAP. The messages of
//! the store are those in PUB frames less what ACK, RANGE and SNAP frames settle and less deleted
//! queues: a set, whatever the order of the frames. A message settled before its turn to be written
//! came is never written.
//!
//! # In the process
//! ```text
//! append ─► input ─► log thread ─► open segment ─► sync thread ─► Progress::durable
//!                        │  ▲                          │
//!                        ▼  └───── all is synced ──────┘
//!                     holdings (index, segments) ◄── compactor thread
//!                        ▲
//! read ──────────────────┘
//! ```
//! `shared` has the lock order.
//!
//! # A scratch log
//! The same without a memory: for the bodies of messages that need not survive. Its directory is
//! wiped when it is opened, nothing is synced, and a place must not be settled by an earlier append
//! than the one that brings its message.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

mod chunk;
mod compaction;
#[cfg(test)]
mod faults;
mod files;
mod frame;
mod full;
mod group;
mod holdings;
pub(super) mod index;
mod input;
mod load;
mod open_segment;
#[cfg(test)]
mod ordeal;
mod outline;
mod queue_index;
mod reader;
mod rebuild;
mod recovery;
mod salvage;
mod segment;
mod segments;
mod settlements;
mod shared;
mod signal;
mod snapshot;
mod stragglers;
mod survey;
mod syncer;
mod syncs;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

use self::files::{Files, RealFiles};
use self::frame::FrameBuffer;
use self::holdings::Holdings;
use self::index::Gaps;
use self::open_segment::{OpenSegment, Trouble};
pub use self::salvage::Cut;
use self::segment::SegmentName;
use self::shared::Shared;
use self::survey::TEMPORARY;
pub use self::verify::{QueueTotals, Report, SegmentTotals, salvage, verify};
use self::writer::Writer;
use super::{Batch, MessageStore, Options, Progress, Recovered, Statistics, StoredMessage, Ticket};
use crate::{StorageError, StoreId};

/// Where the log of a data directory is.
pub(crate) const DIRECTORY: &str = "messages";

/// The log; see the module documentation.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    threads: Mutex<Threads>,
}

#[derive(Debug)]
enum Threads {
    Running(Vec<JoinHandle<Result<(), StorageError>>>),
    Ended(Result<(), StorageError>),
}

impl Log {
    /// Opens the log in a directory, which is made if need be, and recovers what is in it. Messages
    /// of queues that are not among the known ones stay on disk. Blocks until everything in it is
    /// read.
    ///
    /// # Errors
    /// What was synced is damaged and `options.salvage` is not set, a segment is of a later version
    /// or belongs to another store, or the system refuses.
    pub fn open(
        directory: &Path,
        store: &StoreId,
        options: &Options,
        known_queues: &HashSet<u64>,
    ) -> Result<(Arc<Self>, Recovered), StorageError> {
        let files = Arc::new(RealFiles);
        let (log, recovered) = Self::open_with(directory, store, options, known_queues, files)?;
        log.start_compactor()?;
        Ok((log, recovered))
    }

    /// Looks at a log's directory, if there is one, and changes nothing.
    ///
    /// # Errors
    /// It was written by a later version or belongs to another store, or the system refuses.
    pub(crate) fn check(directory: &Path, store: &StoreId) -> Result<(), StorageError> {
        match directory.exists() {
            true => survey::Listing::read(directory, &store.bytes(), &RealFiles).map(drop),
            false => Ok(()),
        }
    }

    /// Opens a log that remembers nothing. Whatever is in the directory is removed.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open_scratch(directory: &Path, options: &Options) -> Result<Arc<Self>, StorageError> {
        let log = Self::open_scratch_with(directory, options, Arc::new(RealFiles))?;
        log.start_compactor()?;
        Ok(log)
    }

    /// Nothing is compacted before this.
    fn start_compactor(&self) -> Result<(), StorageError> {
        if let Threads::Running(threads) = &mut *self.threads.lock() {
            threads.push(start(&self.shared, "log-compact", |shared| {
                shared.guard("compactor", || compaction::run(shared))
            })?);
        }
        Ok(())
    }

    fn open_with(
        directory: &Path,
        store: &StoreId,
        options: &Options,
        known_queues: &HashSet<u64>,
        files: Arc<dyn Files>,
    ) -> Result<(Arc<Self>, Recovered), StorageError> {
        let request = recovery::Request {
            directory,
            store,
            known_queues,
            salvage: options.salvage,
            files: &*files,
        };
        let (holdings, recovered) = recovery::recover(&request)?;
        let shared = Shared::new(directory, store, options, holdings, Gaps::Open, files);
        let mut frames = FrameBuffer::default();
        let open = begin(&shared, &mut frames)?;
        let synced = open.segment.file.sync();
        synced.map_err(|error| StorageError::io("sync", &open.segment.path, error))?;
        let has_reserve = full::make_reserve(&shared)?;
        let synced = shared.files.sync_directory(directory);
        synced.map_err(|error| StorageError::io("sync", directory, error))?;
        shared.holdings.lock().segments_mut().set_synced(open.segment.name.id);
        let mut writer = Writer::new(Arc::clone(&shared), open, frames);
        if !has_reserve {
            writer.fill_up()?;
        }
        let mut threads = vec![start_writer(&shared, writer)?];
        threads.push(start(&shared, "log-sync", |shared| {
            let outcome = shared.guard("sync", || syncer::run(shared));
            shared.syncs.end();
            outcome
        })?);
        Ok((Arc::new(Self { shared, threads: Mutex::new(Threads::Running(threads)) }), recovered))
    }

    fn open_scratch_with(
        directory: &Path,
        options: &Options,
        files: Arc<dyn Files>,
    ) -> Result<Arc<Self>, StorageError> {
        wipe(directory, &*files)?;
        let holdings = Holdings::new(Gaps::Settled);
        let store = StoreId::random();
        let shared = Shared::new(directory, &store, options, holdings, Gaps::Settled, files);
        let mut frames = FrameBuffer::default();
        let open = begin(&shared, &mut frames)?;
        let writer = Writer::new(Arc::clone(&shared), open, frames);
        let threads = vec![start_writer(&shared, writer)?];
        Ok(Arc::new(Self { shared, threads: Mutex::new(Threads::Running(threads)) }))
    }
}

impl MessageStore for Log {
    fn append(&self, batch: &mut Batch) -> Ticket {
        self.shared.input.push(batch, &self.shared.progress)
    }

    fn read(
        &self,
        queue: u64,
        sequences: &[Range<u64>],
    ) -> Result<Vec<StoredMessage>, StorageError> {
        reader::read(&self.shared, queue, sequences)
    }

    fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    fn statistics(&self) -> Statistics {
        let mut statistics = self.shared.counters.lock().clone();
        let (_, messages, bytes) = self.shared.input.totals();
        statistics.appended_messages = messages;
        statistics.appended_bytes = bytes;
        statistics.pending_bytes = self.shared.progress.pending() as u64;
        let holdings = self.shared.holdings.lock();
        for account in holdings.segments().iter() {
            statistics.segments += 1;
            statistics.disk_bytes += account.bytes;
            statistics.live_bytes += account.live_bytes;
            statistics.live_messages += account.live_refs;
        }
        statistics
    }

    fn close(&self) -> Result<(), StorageError> {
        let mut threads = self.threads.lock();
        if let Threads::Running(running) = &mut *threads {
            self.shared.compactor.end();
            self.shared.input.close();
            let mut outcome = Ok(());
            for thread in std::mem::take(running) {
                let ended = thread.join().unwrap_or(Err(StorageError::Closed));
                outcome = outcome.and(ended);
            }
            *threads = Threads::Ended(outcome);
        }
        match &*threads {
            Threads::Running(_) => Ok(()),
            Threads::Ended(outcome) => outcome.clone(),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!("{error}; what was appended last may not be on disk");
        }
    }
}

/// Begins the segment that is appended to first. If there is no room, the reserve makes some.
fn begin(shared: &Shared, frames: &mut FrameBuffer) -> Result<OpenSegment, StorageError> {
    match OpenSegment::begin(shared, frames) {
        Err(Trouble::Full) => {}
        Err(Trouble::Failed(error)) => return Err(error),
        Ok(open) => return Ok(open),
    }
    full::remove_reserve(shared)?;
    OpenSegment::begin(shared, frames).map_err(|trouble| match trouble {
        Trouble::Failed(error) => error,
        Trouble::Full => {
            let reason = std::io::ErrorKind::StorageFull.into();
            StorageError::io("write a segment in", &shared.directory, reason)
        }
    })
}

fn start_writer(
    shared: &Arc<Shared>,
    writer: Writer,
) -> Result<JoinHandle<Result<(), StorageError>>, StorageError> {
    start(shared, "log-write", |shared| {
        let outcome = shared.guard("log", || writer.run());
        // Whoever waits for room need not wait any longer.
        shared.progress.remove_pending(shared.progress.pending());
        outcome
    })
}

fn start(
    shared: &Arc<Shared>,
    name: &str,
    work: impl FnOnce(&Arc<Shared>) -> Result<(), StorageError> + Send + 'static,
) -> Result<JoinHandle<Result<(), StorageError>>, StorageError> {
    let directory = shared.directory.clone();
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared));
    thread.map_err(|error| StorageError::io("start a thread for", &directory, error))
}

/// Removes what a scratch log left here, and nothing else.
fn wipe(directory: &Path, files: &dyn Files) -> Result<(), StorageError> {
    let created = files.create_directory(directory);
    created.map_err(|error| StorageError::io("create", directory, error))?;
    let entries = files.list(directory);
    for entry in entries.map_err(|error| StorageError::io("list", directory, error))? {
        let name = entry.name.as_str();
        let is_ours = SegmentName::parse(name).is_some() || name == full::RESERVE;
        if is_ours || name.ends_with(TEMPORARY) {
            let path = directory.join(name);
            files.remove(&path).map_err(|error| StorageError::io("remove", &path, error))?;
        }
    }
    Ok(())
}
