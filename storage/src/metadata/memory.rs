//! Definitions that end with the process: for tests, and for a broker that is
//! told to keep nothing.

use std::sync::Arc;

use super::published::{Image, Published};
use super::{AppliedIndex, Change, MetadataStore, Proposal, Snapshot, Watch};
use crate::StorageError;

/// A [`MetadataStore`] without a disk: every proposal is resolved when it is made.
#[derive(Debug)]
pub struct MemoryMetadata {
    published: Arc<Published>,
}

impl MemoryMetadata {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { published: Published::new(Image::default()) }
    }
}

impl Default for MemoryMetadata {
    fn default() -> Self {
        Self::new()
    }
}

impl MetadataStore for MemoryMetadata {
    fn propose(&self, changes: Vec<Change>) -> Proposal {
        let applied = self.published.publish(vec![changes]).pop();
        Proposal::resolved(applied.ok_or(StorageError::Closed))
    }

    fn read(&self) -> Result<Snapshot, StorageError> {
        Ok(self.published.snapshot())
    }

    fn watch(&self, from: AppliedIndex) -> Watch {
        self.published.watch(from)
    }

    fn has_room(&self) -> bool {
        true
    }
}

impl Drop for MemoryMetadata {
    fn drop(&mut self) {
        self.published.end();
    }
}
