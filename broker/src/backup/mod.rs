//! Backups of a running broker: its data directory as a power failure would leave it, as one archive.
//!
//! `startup` makes the `Source`, management streams what it copies (`http::backups`), `leveret backup`
//! writes that into a file, and `leveret restore` makes a data directory of it ([`restore`]). `archive` is what
//! is in the file.
//!
//! Stays true: everything that was confirmed before a backup was begun is in it. A backup takes up the
//! room of what was written last, and keeps the files of messages that go meanwhile; both are given back
//! when it ends, however it ends. There is one at a time.

mod archive;
pub mod restore;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leveret_storage::{StorageError, Store, StoreId, back_up};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::archive::About;
use crate::definitions::store::DefinitionStore;
use crate::stores::Messages;

/// Where a copy is while it is read, within the data directory.
const STAGE: &str = "backup.tmp";

/// Why there is no backup. One line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoBackup {
    /// Another is under way.
    #[error("a backup is being made already")]
    Busy,
    /// The store cannot be copied, or the system refuses.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The system refuses to read what was copied.
    #[error("the copy of the data directory cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// What a broker's backups are made of.
#[derive(Debug)]
pub(crate) struct Source {
    stage: PathBuf,
    store: StoreId,
    definitions: Arc<DefinitionStore>,
    messages: Arc<Messages>,
    turn: Arc<Semaphore>,
}

impl Source {
    /// Of a broker that serves from this store. What the last process left of a backup is removed.
    ///
    /// # Errors
    /// The system refuses to remove it.
    pub(crate) fn new(
        store: &Store,
        definitions: Arc<DefinitionStore>,
        messages: Arc<Messages>,
    ) -> Result<Self, io::Error> {
        let stage = store.directory().join(STAGE);
        remove(&stage)?;
        let turn = Arc::new(Semaphore::new(1));
        Ok(Self { stage, store: store.id().clone(), definitions, messages, turn })
    }

    /// Copies what is there now. Blocks.
    ///
    /// # Errors
    /// See [`NoBackup`].
    pub(crate) fn copy(&self) -> Result<Copied, NoBackup> {
        let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_| NoBackup::Busy)?;
        let mut copied = Copied { stage: self.stage.clone(), files: Vec::new(), _turn: turn };
        let metadata = self.definitions.store();
        back_up(&self.stage, &self.store, metadata, &**self.messages.durable())?;
        list(&self.stage, "", &mut copied.files)?;
        // So that the same directory gives the same archive.
        copied.files.sort_unstable();
        Ok(copied)
    }
}

/// A copy that is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Copied {
    stage: PathBuf,
    /// Names within it and lengths in bytes.
    files: Vec<(String, u64)>,
    _turn: OwnedSemaphorePermit,
}

impl Copied {
    /// Bytes of the archive.
    pub(crate) fn archive_length(&self, about: &About) -> u64 {
        archive::length(&self.files, about)
    }

    /// Writes the archive. Blocks.
    ///
    /// # Errors
    /// The copy cannot be read, or nobody takes it.
    pub(crate) fn write_archive(&self, about: &About, out: impl io::Write) -> io::Result<()> {
        archive::write(&self.stage, &self.files, about, out)
    }

    /// Bytes of what was copied.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, length)| length).sum()
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.stage) {
            // The next start tries again.
            tracing::warn!("{} is left behind: {error}", self.stage.display());
        }
    }
}

fn remove(stage: &Path) -> io::Result<()> {
    match fs::remove_dir_all(stage) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// All files beneath a directory, named from there.
fn list(directory: &Path, prefix: &str, found: &mut Vec<(String, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::ErrorKind::InvalidData)?;
        let metadata = entry.metadata()?;
        match metadata.is_dir() {
            true => list(&entry.path(), &format!("{prefix}{name}/"), found)?,
            false => found.push((format!("{prefix}{name}"), metadata.len())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ServeOptions};
    use crate::startup;

    #[test]
    fn there_is_one_at_a_time_and_nothing_is_left_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data");
        fs::create_dir_all(data_dir.join(STAGE).join("of an earlier process")).unwrap();
        let options = ServeOptions { data_dir: Some(data_dir.clone()), ..ServeOptions::default() };
        let started = startup::start(&Config::load(&options, |_| None).unwrap()).unwrap();
        assert!(!data_dir.join(STAGE).exists());
        let copied = started.backups.copy().unwrap();
        assert!(matches!(started.backups.copy(), Err(NoBackup::Busy)));
        let about = About::now("rabbit@here".to_owned());
        let mut archive = Vec::new();
        copied.write_archive(&about, &mut archive).unwrap();
        assert_eq!(archive.len() as u64, copied.archive_length(&about));
        drop(copied);
        assert!(!data_dir.join(STAGE).exists());
        drop(started.backups.copy().unwrap());
        started.close().unwrap();
    }
}
