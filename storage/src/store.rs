//! The one way in: a locked data directory and what is kept in it.

use std::path::Path;
use std::sync::Arc;

use crate::StorageError;
use crate::directory::{DataDirectory, StoreId};
use crate::metadata::{MetadataStore, SledMetadata};

/// An open data directory. It stays locked as long as this lives.
#[derive(Debug)]
pub struct Store {
    metadata: Arc<SledMetadata>,
    directory: DataDirectory,
}

impl Store {
    /// Opens the directory, creating it if it is missing.
    ///
    /// # Errors
    /// It is in use, was written by a newer version, or holds something damaged
    /// that cannot be rebuilt; or the system refuses.
    pub fn open(directory: &Path) -> Result<Self, StorageError> {
        let directory = DataDirectory::open(directory)?;
        let metadata = SledMetadata::open(&directory.path, directory.store.clone())?;
        Ok(Self { metadata: Arc::new(metadata), directory })
    }

    /// The definitions.
    #[must_use]
    pub fn metadata(&self) -> Arc<dyn MetadataStore> {
        Arc::clone(&self.metadata) as Arc<dyn MetadataStore>
    }

    /// The data directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory.path
    }

    /// Tells this store from every other.
    #[must_use]
    pub const fn id(&self) -> &StoreId {
        &self.directory.store
    }

    /// Makes everything durable, saves the export, releases the directory. Blocks.
    /// Whoever still holds the definitions can read them; proposals are refused.
    ///
    /// # Errors
    /// An earlier write had failed, or the export could not be saved.
    pub fn close(self) -> Result<(), StorageError> {
        self.metadata.close()
    }
}

impl Drop for Store {
    /// Others may still hold the definitions; they must not be written to once
    /// the lock is gone.
    fn drop(&mut self) {
        if let Err(error) = self.metadata.close() {
            tracing::warn!("closing the definitions: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
