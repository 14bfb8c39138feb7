//! A metadata store whose disk answers when a test says so.
//!
//! Used by the tests of `vhost` and `session`: what was proposed is counted, and is durable once it
//! is let go. Stays true: batches become durable in the order they were proposed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leveret_storage::StorageError;
use leveret_storage::metadata::{
    AppliedIndex, Change, MemoryMetadata, MetadataStore, Proposal, Resolver, Snapshot, Watch,
};
use parking_lot::Mutex;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct HeldMetadata {
    applied: MemoryMetadata,
    waiting: Mutex<Vec<(Vec<Change>, Resolver)>>,
    full: AtomicBool,
}

impl HeldMetadata {
    /// An empty store.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The number of changes of every batch that waits.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        self.waiting.lock().iter().map(|(changes, _)| changes.len()).collect()
    }

    /// From now on there is room, or none.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// One sync: all that waits becomes durable. Returns how many batches.
    pub(crate) fn sync(&self) -> usize {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let count = waiting.len();
        for (changes, resolver) in waiting {
            resolver.resolve(self.applied.propose(changes).wait());
        }
        count
    }
}

impl MetadataStore for HeldMetadata {
    fn propose(&self, changes: Vec<Change>) -> Proposal {
        let (resolver, proposal) = Proposal::pending();
        self.waiting.lock().push((changes, resolver));
        proposal
    }

    fn read(&self) -> Result<Snapshot, StorageError> {
        self.applied.read()
    }

    fn watch(&self, from: AppliedIndex) -> Watch {
        self.applied.watch(from)
    }

    fn has_room(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }
}
