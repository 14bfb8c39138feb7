//! The door to stored messages: what persistent messages in durable queues go through, and what
//! long queues of any kind leave their bodies in.
//!
//! Called by the broker's `persistence` alone. Nothing here knows AMQP: a message is opaque bytes,
//! a queue is a number that is never used twice, and a message has a sequence number in every queue
//! it is in.
//!
//! # The durability contract
//! ```text
//!   append(batch) ─► ticket        written                     durable
//!        │                            │                           │
//!        │  held in memory,           │  survives the end of      │  survives a power failure;
//!        │  readable at once          │  the process (kill -9)    │  Progress says so, and what
//!        ▼                            ▼                           ▼  waited for the ticket goes on
//!   ─────●────────────────────────────●───────────────────────────●──────────────────────► time
//! ```
//! - [`MessageStore::append`] never blocks on the disk. A ticket is durable when everything appended
//!   up to it is as safe as the [`FsyncPolicy`] promises. Tickets become durable in order.
//! - A message that is settled before it was written need not be written at all; its ticket then
//!   becomes durable without it.
//! - A settled message comes back after a crash only if it was settled after the last sync.
//! - A batch with `atomic` set comes back whole or not at all.
//! - Appends of one queue may arrive in any order of their sequence numbers, and a settlement may
//!   arrive before its message: what counts is the set. Recovery gives back the messages that were
//!   appended and not settled, ascending.
//! - A full disk loses nothing: what cannot be written stays in memory, readable and settleable,
//!   [`Health::Full`] says so, and the store goes on by itself when there is room.
//! - A failed fsync, or any failed write that is not for want of room, is final: [`Health::Failed`].
//!   Nothing is retried; the process must end and recover from what is on disk.

use std::fmt;
use std::ops::Range;
use std::path::Path;

mod batch;
mod contents;
mod log;
#[cfg(fuzzing)]
pub use log::fuzzed_record;
mod memory;
mod options;
mod progress;
mod recovered;
mod sled_store;
mod statistics;

#[cfg(test)]
mod suite;

pub(crate) use self::log::DIRECTORY as LOG_DIRECTORY;
pub use self::log::{Cut, Log, QueueTotals, Report, SegmentTotals, Told, salvage, verify};
pub use crate::wal::FsyncPolicy;
pub use batch::{
    BATCH_BYTES_MAX, Batch, Content, Place, Publish, SETTLED_BYTES, Settled, TooLarge,
    message_bytes,
};
pub use memory::MemoryMessages;
pub use options::{Engine, Options};
pub use progress::{Health, Progress, Ticket};
pub use recovered::{
    IntoMessages, Quarantined, Recovered, RecoveredMessage, RecoveredMessages, RecoveredQueue,
};
pub use sled_store::SledMessages;
pub use statistics::{FSYNC_BUCKETS_MICROS, Statistics};

use crate::StorageError;

/// What a reading gives.
#[derive(Clone, Debug, Default)]
pub struct ReadBack {
    /// The messages, ascending by sequence number.
    pub messages: Vec<StoredMessage>,
    /// Those that cannot be read because the disk has damaged them, ascending: each can be set aside
    /// by itself.
    pub damaged: Vec<DamagedMessage>,
}

/// A message that is damaged on disk.
#[derive(Clone, Debug)]
pub struct DamagedMessage {
    /// Its sequence number in the queue that was read.
    pub sequence: u64,
    /// Where it is and what is wrong: names queue, sequence number, file and offset.
    pub error: StorageError,
}

/// A message read back.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// Its sequence number in the queue that was read.
    pub sequence: u64,
    /// What was appended.
    pub content: Content,
}

/// Stored messages; the module documentation is the contract.
pub trait MessageStore: fmt::Debug + Send + Sync {
    /// Takes everything out of the batch, leaving its memory to the caller, and returns when that
    /// is durable. Never blocks on the disk: see [`Progress::room`] for back-pressure. An empty
    /// batch gives the ticket of what was appended before it, one that fails [`Batch::check`] is not
    /// stored and gets [`Ticket::NEVER`].
    fn append(&self, batch: &mut Batch) -> Ticket;

    /// Reads messages of a queue, ascending; those that are settled are left out. Blocks: call it
    /// from a thread that may. What is not yet written is read from memory.
    ///
    /// # Errors
    /// The system refuses. What is damaged on disk is told beside the messages: nothing is skipped in
    /// silence.
    fn read(&self, queue: u64, sequences: &[Range<u64>]) -> Result<ReadBack, StorageError>;

    /// How far the store has come, and how it is.
    fn progress(&self) -> &Progress;

    /// What it holds and has done.
    fn statistics(&self) -> Statistics;

    /// Copies everything that is durable now into the data directory of a backup, on the same file
    /// system, while the store goes on. Blocks.
    ///
    /// # Errors
    /// The system refuses, or the store has no way to do it ([`StorageError::NoBackup`]).
    fn copy_into(&self, directory: &Path) -> Result<(), StorageError> {
        Err(StorageError::NoBackup { path: directory.to_owned() })
    }

    /// Makes everything durable and ends the store. Blocks. Later appends are dropped and never
    /// become durable. Calling it twice is no error.
    ///
    /// # Errors
    /// Something appended could not be made durable.
    fn close(&self) -> Result<(), StorageError>;
}
