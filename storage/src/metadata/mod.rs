//! The door to durable definitions: vhosts, users, permissions, exchanges, queues,
//! bindings, parameters. The broker proposes changes and rebuilds its registries
//! from a snapshot; what the values mean is the broker's affair.
//!
//! # Contract
//! - [`MetadataStore::propose`] never blocks and never does I/O on the caller's
//!   thread. A batch is applied whole or not at all, batches in the order of the
//!   calls, each at its own [`AppliedIndex`], one after the other without gaps.
//! - A [`Proposal`] resolves to `Ok` only when its batch survives a power failure.
//!   Batches that wait together share one fsync.
//! - A resolved batch is in every later [`MetadataStore::read`]. Nothing is seen
//!   by readers or watchers before it is durable.
//! - A proposal that has not resolved may or may not be there after a crash.
//! - After a failed write nothing is retried: every proposal fails with
//!   [`StorageError::Failed`], watchers end, and the process must be restarted.
//! - Nothing here assumes a single node: an index names a position in an agreed
//!   sequence, so a replicated log can stand behind the same trait.

use std::fmt;

mod epoch;
pub(crate) mod export;
mod key;
mod memory;
mod proposal;
mod published;
mod rebuild;
mod room;
mod sled_engine;
mod sled_store;
#[cfg(test)]
mod suite;
mod writer;

pub use epoch::boot_epoch;
pub use export::exported;
pub use key::{Collection, Key};
pub use memory::MemoryMetadata;
pub use proposal::{Outcome, Proposal, Resolver};
pub use published::{Snapshot, Update, Watch};
pub use sled_store::SledMetadata;

use crate::StorageError;

/// One step of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Stores `value` under `key`, replacing what was there.
    Put {
        /// Which entry.
        key: Key,
        /// Any bytes.
        value: Vec<u8>,
    },
    /// Removes the entry; no error if there is none.
    Delete {
        /// Which entry.
        key: Key,
    },
}

/// A position in the sequence of applied batches; 0 is the empty store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppliedIndex(pub u64);

impl AppliedIndex {
    /// The index of the batch after this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for AppliedIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Durable definitions; the module documentation is the contract.
pub trait MetadataStore: fmt::Debug + Send + Sync {
    /// Hands over a batch. An empty batch is allowed and takes an index: it
    /// resolves when everything proposed before it is durable.
    fn propose(&self, changes: Vec<Change>) -> Proposal;

    /// Everything that is durable now.
    ///
    /// # Errors
    /// A local store always answers; a replicated one may have to ask others.
    fn read(&self) -> Result<Snapshot, StorageError>;

    /// What is applied after `from`, in order and without gaps.
    fn watch(&self, from: AppliedIndex) -> Watch;

    /// Whether more may be stored than there is. Without room a batch that only
    /// deletes may still be proposed; one that puts may fail, and with it every
    /// later one. A system call at most.
    fn has_room(&self) -> bool;
}
