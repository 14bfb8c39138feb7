//! What the parts of an open log have in common.
//!
//! Locks: each is taken alone and none is held over I/O, but for the manifest's, which the keeper and
//! whoever makes or removes segments hold while an entry is written; nobody who appends takes it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use super::files::{Files, LogFile};
use super::handles::Handles;
use super::manifest::Manifest;
use super::segment::Segment;
use super::stock::Stock;
use super::syncs::Syncs;
use super::{Listener, Settings};
use crate::StorageError;
use crate::threads;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) directory: PathBuf,
    pub(crate) settings: Settings,
    /// The only door to the disk.
    pub(crate) files: Arc<dyn Files>,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) manifest: Mutex<Manifest>,
    pub(crate) stock: Stock,
    pub(crate) syncs: Syncs,
    pub(crate) handles: Handles,
    /// Bytes written to segments.
    pub(crate) written: AtomicU64,
}

impl Shared {
    /// The file of a segment, to read.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::NotFound`] for one that is gone.
    pub(crate) fn handle(&self, segment: &Segment) -> io::Result<Arc<dyn LogFile>> {
        let id = segment.name.id;
        let file = self.handles.get(id, &segment.path, &*self.files)?;
        if segment.is_gone() {
            // It may have been opened again after it was closed.
            self.handles.close(id);
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(file)
    }

    /// Runs a thread's work; whatever ends it early ends the log.
    pub(crate) fn guard(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let outcome = threads::guarded(&self.directory, name, work);
        if let Err(error) = &outcome {
            self.fail(error);
        }
        outcome
    }

    /// Nothing becomes durable any more.
    pub(crate) fn fail(&self, error: &StorageError) {
        self.syncs.fail(error);
        self.stock.end();
        self.listener.failed(error);
    }
}
