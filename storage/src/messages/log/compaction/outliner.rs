//! Writes outlines while the log runs, for the segments that recovery reads through one.
//!
//! Owned by the compactor, which asks for one at a time. Stays true: a segment is tried once.

use std::sync::Arc;

use super::super::outline;
use super::super::segments::{Account, Segment};
use super::super::shared::Shared;
use crate::StorageError;

/// See the module documentation.
#[derive(Debug, Default)]
pub(in super::super) struct Outliner {
    /// Every segment up to this id has an outline, or is better off without.
    done: u32,
}

impl Outliner {
    /// Writes the outline of the oldest segment that is due for one. Says whether there was any, so
    /// that the caller can do something else in between. Takes as long as reading a segment.
    ///
    /// # Errors
    /// The system's, or the segment is damaged: there is just no outline.
    pub(in super::super) fn write_next(&mut self, shared: &Shared) -> Result<bool, StorageError> {
        let Some(segment) = self.next(shared) else { return Ok(false) };
        let Segment { name, path, file } = &*segment;
        self.done = name.id;
        let is_there = shared.files.open_to_read(&outline::path(path)).is_ok();
        if !is_there {
            outline::write(&**file, name.id, path, &*shared.files)
                .map_err(|error| StorageError::io("write an outline of", path, error))?;
        }
        Ok(true)
    }

    /// Segments that are compacted soon are left out, also for good: ids ascend.
    fn next(&self, shared: &Shared) -> Option<Arc<Segment>> {
        let holdings = shared.holdings.lock();
        let mut ids: Vec<u32> = holdings.segments().iter().map(Account::id).collect();
        ids.sort_unstable();
        let old = ids.len().saturating_sub(outline::READ_WHOLE);
        let due = ids.into_iter().take(old).filter(|id| *id > self.done);
        due.filter_map(|id| holdings.segments().get(id))
            .find(|account| account.is_synced && !account.is_half_empty())
            .map(|account| Arc::clone(&account.segment))
    }
}
