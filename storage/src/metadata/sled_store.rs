//! Definitions in sled, with the export beside it. `Store` opens it; the broker
//! sees only the `MetadataStore` trait.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use super::published::Published;
use super::rebuild::{self, Opened};
use super::room::Room;
use super::writer::{Command, ExportTarget, Writer};
use super::{AppliedIndex, Change, MetadataStore, Proposal, Snapshot, Watch, export};
use crate::StorageError;
use crate::directory::StoreId;

/// A [`MetadataStore`] on disk. Dropping it closes it.
#[derive(Debug)]
pub struct SledMetadata {
    /// Unbounded: a proposal comes from a client that waits for its answer, so
    /// clients bound it, one a channel.
    commands: Sender<Command>,
    published: Arc<Published>,
    room: Room,
    /// Taken by whoever closes first; guarded because closing may race with drop.
    writer: Mutex<Option<JoinHandle<Result<(), StorageError>>>>,
}

impl SledMetadata {
    /// The database's name within the data directory.
    const DATABASE: &str = "definitions.sled";

    /// Opens the definitions in a directory that the caller has locked, creating
    /// them if there are none and rebuilding a broken database from the export.
    pub(crate) fn open(directory: &Path, store: StoreId) -> Result<Self, StorageError> {
        let room = Room::new(directory);
        room.make();
        let database = directory.join(Self::DATABASE);
        let Opened { engine, image, rebuilt } = rebuild::open(directory, &database, &store)?;
        if rebuilt {
            export::save(directory, &store, &image)?;
        }
        let published = Published::new(image);
        let (commands, inbox) = mpsc::channel();
        let target = ExportTarget { directory: directory.to_owned(), store };
        room.keep();
        let writer = Writer::new(engine, database, inbox, Arc::clone(&published), target);
        Self::start(writer, commands, directory.to_owned())
    }

    fn start<E: super::writer::Engine + 'static>(
        writer: Writer<E>,
        commands: Sender<Command>,
        directory: PathBuf,
    ) -> Result<Self, StorageError> {
        let published = Arc::clone(&writer.published);
        let room = Room::new(&directory);
        let thread = thread::Builder::new()
            .name("definitions".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| StorageError::io("start the writer of", &directory, error))?;
        Ok(Self { commands, published, room, writer: Mutex::new(Some(thread)) })
    }

    /// Makes durable what waits, saves the export and ends the writer thread.
    /// Blocks. Later proposals resolve to [`StorageError::Closed`].
    ///
    /// # Errors
    /// [`StorageError::Failed`] if a write had failed before; or the export could
    /// not be saved, which loses nothing.
    pub fn close(&self) -> Result<(), StorageError> {
        let Some(writer) = self.writer.lock().take() else { return Ok(()) };
        drop(self.commands.send(Command::Close));
        writer.join().unwrap_or(Err(StorageError::Closed))
    }
}

impl MetadataStore for SledMetadata {
    fn propose(&self, changes: Vec<Change>) -> Proposal {
        let (resolver, proposal) = Proposal::pending();
        // If the writer has ended, the resolver is dropped here, which reads as closed.
        drop(self.commands.send(Command::Propose(changes, resolver)));
        proposal
    }

    fn read(&self) -> Result<Snapshot, StorageError> {
        Ok(self.published.snapshot())
    }

    fn watch(&self, from: AppliedIndex) -> Watch {
        self.published.watch(from)
    }

    fn has_room(&self) -> bool {
        self.room.is_there()
    }
}

impl Drop for SledMetadata {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!("closing the definitions: {error}");
        }
    }
}
