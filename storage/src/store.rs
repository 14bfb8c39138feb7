//! The one way in: a locked data directory and what is kept in it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StorageError;
use crate::directory::{DataDirectory, StoreId};
use crate::messages::{Engine, LOG_DIRECTORY, Log, MessageStore, Options, Recovered, SledMessages};
use crate::metadata::{MetadataStore, SledMetadata};
use crate::spill::{Spill, SpillMessages};

/// Where the bodies of long queues are that need not survive.
const SCRATCH: &str = "paged";

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
        let mut directory = DataDirectory::open(directory)?;
        // Before anything is changed, the mark of an orderly end included.
        Log::check(&directory.path.join(LOG_DIRECTORY), &directory.store)?;
        directory.take_closed_mark()?;
        let metadata = SledMetadata::open(&directory.path, directory.store.clone())?;
        Ok(Self { metadata: Arc::new(metadata), directory })
    }

    /// The definitions.
    #[must_use]
    pub fn metadata(&self) -> Arc<dyn MetadataStore> {
        Arc::clone(&self.metadata) as Arc<dyn MetadataStore>
    }

    /// Opens the messages of the known queues; others are kept and not given.
    ///
    /// # Errors
    /// They were written by a newer version, are damaged, or the system refuses.
    pub fn open_messages(
        &self,
        engine: Engine,
        options: &Options,
        known_queues: &HashSet<u64>,
    ) -> Result<(Arc<dyn MessageStore>, Recovered), StorageError> {
        match engine {
            Engine::Log => {
                self.refuse_other_engine(Engine::Sled)?;
                let path = self.path_of(Engine::Log);
                let (store, recovered) = Log::open(&path, self.id(), options, known_queues)?;
                Ok((store, recovered))
            }
            Engine::Sled => {
                self.refuse_other_engine(Engine::Log)?;
                let (store, recovered) =
                    SledMessages::open(&self.directory.path, options, known_queues)?;
                Ok((store, recovered))
            }
        }
    }

    /// Opens an empty store for bodies that are only out of the way: nothing in it survives.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open_scratch(&self, options: &Options) -> Result<Arc<dyn MessageStore>, StorageError> {
        let spill = Spill::open(&self.directory.path.join(SCRATCH), options)?;
        Ok(Arc::new(SpillMessages::new(spill)))
    }

    fn path_of(&self, engine: Engine) -> PathBuf {
        self.directory.path.join(match engine {
            Engine::Log => LOG_DIRECTORY,
            Engine::Sled => SledMessages::DATABASE,
        })
    }

    /// Messages that another engine keeps would not be seen: nobody should think they are gone.
    fn refuse_other_engine(&self, other: Engine) -> Result<(), StorageError> {
        let path = self.path_of(other);
        if !path.exists() {
            return Ok(());
        }
        let name = match other {
            Engine::Log => "log",
            Engine::Sled => "sled",
        };
        Err(StorageError::OtherEngine { path, name })
    }

    /// Whether the last process that had the directory came to its end in order: true of a new
    /// directory, false after a crash.
    #[must_use]
    pub const fn was_closed(&self) -> bool {
        self.directory.was_closed
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
        self.metadata.close()?;
        self.directory.mark_closed()
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
