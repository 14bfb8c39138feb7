//! Threads of a log: how they begin, and what becomes of a panic in one.
//!
//! Called by `wal` and by the message log, whose `guard` tells everybody of an end that came early.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::StorageError;

/// A thread that was started, and how it will have ended.
pub(crate) type Worker = JoinHandle<Result<(), StorageError>>;

/// Starts a thread that works for a log in this directory, with what its threads share.
///
/// # Errors
/// The system has no thread to give.
pub(crate) fn start<S: Send + Sync + 'static>(
    shared: &Arc<S>,
    directory: &Path,
    name: &str,
    work: impl FnOnce(&Arc<S>) -> Result<(), StorageError> + Send + 'static,
) -> Result<Worker, StorageError> {
    let shared = Arc::clone(shared);
    let thread = Builder::new().name(name.to_owned()).spawn(move || work(&shared));
    thread.map_err(|error| StorageError::io("start a thread for", directory, error))
}

/// Runs a thread's work.
///
/// # Errors
/// The work's; a panic in it counts as one.
pub(crate) fn guarded(
    directory: &Path,
    name: &str,
    work: impl FnOnce() -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let reason = Arc::from(format!("the {name} thread panicked"));
        Err(StorageError::Failed { path: directory.to_owned(), reason })
    })
}
