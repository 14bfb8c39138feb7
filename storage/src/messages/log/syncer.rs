//! The sync thread: makes what the log thread wrote survive a power failure, and says so.
//!
//! Started by `Log`. Segments are synced oldest first, then the directory if a segment is new, and
//! only then does anything become durable.
//!
//! Stays true: after a failed fsync nothing becomes durable any more and no fsync is tried again.
//! The system may have dropped what it could not write, so a second one proves nothing.

use std::sync::Arc;

use super::shared::Shared;
use super::syncs::Task;
use crate::{StorageError, clock};

/// Runs until the log is closed or has failed.
pub(super) fn run(shared: &Arc<Shared>) -> Result<(), StorageError> {
    while let Some(task) = shared.syncs.take() {
        sync(shared, &task)?;
        shared.syncs.done(&task, &shared.progress, |complete| {
            let mut holdings = shared.holdings.lock();
            for segment in &task.dirty {
                holdings.segments_mut().set_begun(segment.name.id);
            }
            for id in complete {
                holdings.segments_mut().set_synced(id);
            }
        });
        if task.is_news {
            shared.input.set_synced(task.position);
        }
        shared.ring_if_stirred();
    }
    Ok(())
}

fn sync(shared: &Shared, task: &Task) -> Result<(), StorageError> {
    for segment in &task.dirty {
        let started = clock::now();
        segment.file.sync().map_err(|error| StorageError::io("sync", &segment.path, error))?;
        shared.counters.lock().count_fsync(micros_since(started));
    }
    if task.created {
        let directory = &shared.directory;
        let synced = shared.files.sync_directory(directory);
        synced.map_err(|error| StorageError::io("sync", directory, error))?;
    }
    Ok(())
}

fn micros_since(started: std::time::Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}
