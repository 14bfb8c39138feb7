//! Messages in one log that all queues share: the store a broker normally has.
//!
//! One log and not one file a queue, because what costs is the fsync, and one fsync serves every
//! queue and every publisher that waits for it.
//!
//! # On disk
//! It stands on [`wal`](crate::wal), which draws the files.
//! ```text
//! hot    SNAP (what was settled when it was begun) | PUB PUB ACK | PUB RANGE | ...     groups
//! cold   PUB PUB PUB COUNT | PUB PUB | ...
//! ```
//! `record` draws every byte of a record, `snapshot` the payload of a SNAP, `outline` a segment's
//! footer. The messages of the store are those in PUB records less what ACK, RANGE and SNAP records
//! settle and less deleted queues: a set, whatever the order of the records. A message settled before
//! its turn to be written came is never written. An atomic batch is in one group.
//!
//! # In the process
//! ```text
//! append ─► input ─► log thread ─► wal ─► sync thread ─► Progress::durable
//!                        │  ▲              │
//!                        ▼  └── synced ────┘
//!                     holdings (index, segments) ◄── compactor thread
//!                        ▲
//! read ──────────────────┘
//! ```
//! `shared` has the lock order.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

mod record;
mod outline;
mod buffer;
mod chunk;
mod queue_index;
pub(super) mod index;
mod shared_records;
mod segments;
mod holdings;
mod snapshot;
mod signal;
mod load;
mod input;
mod shared;
mod settlements;
mod group;
mod writer;
mod full;
mod reader;
mod compaction;
mod rebuild;
mod following;
mod verify;

#[cfg(test)]
mod ordeal;
#[cfg(test)]
mod tests;

pub use self::following::Told;
use self::rebuild::Rebuild;
use self::shared::{Board, Shared};
pub use self::verify::{Cut, QueueTotals, Report, SegmentTotals, salvage, verify};
use self::writer::Writer;
use super::{Batch, MessageStore, Options, Progress, ReadBack, Recovered, Statistics, Ticket};
use crate::threads::{self, Worker};
use crate::wal::{Files, Found, Listener, RealFiles, Settings, Wal};
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
    Running(Vec<Worker>),
    Ended(Result<(), StorageError>),
}

impl Log {
    /// Opens the log in a directory, which is made if need be, and recovers what is in it. Messages
    /// of queues that are not among the known ones stay on disk. Blocks until everything in it is
    /// read.
    ///
    /// # Errors
    /// What was synced is damaged and `options.salvage` is not set, a segment is of another version
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
    /// It was written by another version or belongs to another store, or the system refuses.
    pub(crate) fn check(directory: &Path, store: &StoreId) -> Result<(), StorageError> {
        Wal::check(directory, &store.bytes())
    }

    /// Nothing is compacted before this.
    fn start_compactor(&self) -> Result<(), StorageError> {
        if let Threads::Running(running) = &mut *self.threads.lock() {
            running.push(threads::start(
                &self.shared,
                &self.shared.directory,
                "log-compact",
                |shared| shared.guard("compactor", || compaction::run(shared)),
            )?);
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
        let cuts = match options.salvage && directory.is_dir() {
            true => verify::cut_out(directory, store, &mut |_, _| {})?,
            false => Vec::new(),
        };
        let board = Board::new(options);
        let listener: Arc<dyn Listener> = Arc::<Board>::clone(&board);
        let settings = Settings {
            store: store.bytes(),
            segment_size: options.segment_size,
            fsync: options.fsync,
        };
        let mut rebuild = Rebuild::new(Some(known_queues));
        let (wal, appender, found) =
            Wal::open_with(directory, settings, files, &mut rebuild, listener)?;
        let Found { segments, notes } = found;
        let (holdings, mut recovered) = rebuild.finish(&segments);
        recovered.notes.extend(cuts.iter().map(ToString::to_string));
        recovered.notes.extend(notes);
        *board.holdings.lock() = holdings;
        let shared = Arc::new(Shared {
            board,
            wal,
            backlog: RwLock::default(),
            directory: directory.to_owned(),
            options: options.clone(),
        });
        let mut writer = Writer::new(Arc::clone(&shared), appender);
        writer.begin()?;
        // What fills the disk from now on shall find the room taken that is needed to empty it.
        shared.wal.wait_until_stocked();
        let threads = vec![threads::start(&shared, &shared.directory, "log-write", |shared| {
            let outcome = shared.guard("log", || writer.run());
            // Whoever waits for room need not wait any longer.
            shared.progress.remove_pending(shared.progress.pending());
            outcome
        })?];
        Ok((Arc::new(Self { shared, threads: Mutex::new(Threads::Running(threads)) }), recovered))
    }
}

impl MessageStore for Log {
    fn append(&self, batch: &mut Batch) -> Ticket {
        self.shared.input.push(batch, &self.shared.progress)
    }

    fn read(&self, queue: u64, sequences: &[Range<u64>]) -> Result<ReadBack, StorageError> {
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
        statistics.written_bytes = self.shared.wal.written_bytes();
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

    fn copy_into(&self, directory: &Path) -> Result<(), StorageError> {
        let directory = directory.join(DIRECTORY);
        std::fs::create_dir(&directory)
            .map_err(|error| StorageError::io("create", &directory, error))?;
        self.shared.sync()?;
        self.shared.wal.copy_into(&directory)
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
            // Whatever happened: what was written is made durable if it can be.
            let closed = self.shared.wal.close();
            outcome = outcome.and(closed);
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

/// For the fuzzer: a record whose checksum was good; its first octet is its kind.
#[cfg(fuzzing)]
pub fn fuzzed_record(octets: &[u8]) {
    let Some((&kind, payload)) = octets.split_first() else { return };
    match record::decode(kind, payload) {
        Ok(record::Record::Acks(chunks)) => assert!(chunks.iter().len() <= octets.len()),
        Ok(record::Record::Ranges(ranges)) => assert!(ranges.iter().len() <= octets.len()),
        Ok(_) | Err(_) => {}
    }
}
