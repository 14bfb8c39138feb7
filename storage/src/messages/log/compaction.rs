//! The compactor thread: gives the room back that settled messages leave.
//!
//! Started by `Log`, rung when a segment is worth a look. A segment that holds nothing is removed;
//! of one that is less than half full what is left is copied into a cold segment, so that a message
//! nobody consumes does not keep thousands that were consumed on disk. Survivors never go back to
//! the end of the log, where they would be in the way again and again.
//!
//! ```text
//! hot  [SNAP|..x.x....x] sealed ─┐ copy, sync, rename   ┌─► cold [.....] ─► repoint ─► sources hold
//! cold [x....x..]        ────────┴──────────────────────┘                  nothing ─► sync ─► remove
//! ```
//! Stays true: a message is on disk in the place that the index says, at every moment; no lock is
//! held over I/O. A segment is removed only when a snapshot in a newer segment is on disk, which
//! says all that its own records said, and when the reason why nothing in it is needed is on disk:
//! otherwise a power failure could take a settlement back whose message is gone.

use std::sync::Arc;
use std::time::Duration;

use super::segments::Segments;
use super::shared::Shared;
use super::signal::Heard;
use crate::StorageError;
use crate::messages::Options;
use crate::wal::Trouble;

mod candidates;
mod cold_segment;
mod survivors;

/// How long nothing must have happened before the open segment is sealed to be removed.
const IDLE: Duration = Duration::from_secs(5);

/// How soon a full disk is tried again: what is left in a segment may fit by then.
const SHORT_OF_ROOM: Duration = Duration::from_secs(1);

/// Bytes in an open segment that are worth it; less in a log of small segments.
const IDLE_BYTES: u64 = 1 << 20;

/// The thread's state.
#[derive(Debug)]
pub(super) struct Compactor {
    shared: Arc<Shared>,
    /// The id and the bytes of the open segment when it was last looked at.
    open_segment: Option<(u32, u64)>,
}

/// Why something was not done.
#[derive(Debug)]
enum Stop {
    /// The log is being closed.
    Closing,
    /// There is no room for it.
    Full,
    /// A segment cannot be read, or a record in it that is needed is bad.
    Damaged(u32, StorageError),
    /// The store must end.
    Failed(StorageError),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Full => Self::Full,
            Trouble::Failed(error) => Self::Failed(error),
        }
    }
}

/// Runs until the log is closed or has failed.
pub(super) fn run(shared: &Arc<Shared>) -> Result<(), StorageError> {
    let mut compactor = Compactor::new(Arc::clone(shared));
    loop {
        compactor.work()?;
        let is_full = shared.progress.health().is_full();
        match shared.compactor.wait(if is_full { SHORT_OF_ROOM } else { IDLE }) {
            Heard::Ring => {}
            Heard::Nothing if is_full => {}
            Heard::Nothing => compactor.roll_if_idle(),
            Heard::End => return Ok(()),
        }
    }
}

/// Whether the compactor can make room on a full disk with a file that has so many bytes: then nobody
/// else should take the file that is kept for it.
pub(super) fn has_use_of_a_file(segments: &Segments, options: &Options, bytes: u64) -> bool {
    let hot = segments.iter().filter(|account| account.segment.name.is_hot());
    let is_being_sealed = hot.filter(|account| !account.is_sealed).count() > 1;
    if is_being_sealed || !candidates::removable(segments).is_empty() {
        return true;
    }
    let segment_size = u64::from(options.segment_size);
    let limits = candidates::Limits { segment_size, is_short_of_room: true };
    let sources = candidates::to_compact(segments, limits);
    let accounts = sources.iter().filter_map(|source| segments.get(source.name.id));
    let live: u64 = accounts.map(|account| account.live_bytes).sum();
    // With what is written beside the messages.
    !sources.is_empty() && live.saturating_add(live / 4) <= bytes
}

impl Compactor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open_segment: None }
    }

    /// Does all there is to do.
    pub(super) fn work(&self) -> Result<(), StorageError> {
        while !self.shared.compactor.is_ended() {
            let done = match self.round() {
                Ok(done) => done,
                Err(Stop::Closing | Stop::Full) => false,
                Err(Stop::Damaged(id, error)) => {
                    tracing::error!("nothing more is moved out of a segment: {error}");
                    self.shared.holdings.lock().segments_mut().set_damaged(id)
                }
                // The threads that are still at work end the log in their own time.
                Err(Stop::Failed(StorageError::Closed)) => false,
                Err(Stop::Failed(error)) => return Err(error),
            };
            if !done {
                break;
            }
        }
        Ok(())
    }

    /// Does something, and says whether there was anything to do.
    fn round(&self) -> Result<bool, Stop> {
        Ok(self.remove_empty()? || self.compact()?)
    }

    /// Removes the segments that hold nothing.
    fn remove_empty(&self) -> Result<bool, Stop> {
        let empty = candidates::removable(self.shared.holdings.lock().segments());
        if empty.is_empty() {
            return Ok(false);
        }
        self.shared.sync()?;
        // Whoever finds a message there meanwhile fails to read it, and looks again.
        self.shared.wal.remove(&empty)?;
        let mut holdings = self.shared.holdings.lock();
        for segment in &empty {
            holdings.segments_mut().remove(segment.name.id);
        }
        drop(holdings);
        self.shared.input.notice_room();
        Ok(true)
    }

    /// Copies what is left in segments that are not worth their room. With little room the least of
    /// it must do.
    fn compact(&self) -> Result<bool, Stop> {
        if self.shared.progress.health().is_full() {
            return self.compact_some(true);
        }
        match self.compact_some(false) {
            Err(Stop::Full) => self.compact_some(true),
            done => done,
        }
    }

    fn compact_some(&self, is_short_of_room: bool) -> Result<bool, Stop> {
        let segment_size = u64::from(self.shared.options.segment_size);
        let limits = candidates::Limits { segment_size, is_short_of_room };
        let holdings = self.shared.holdings.lock();
        let sources = candidates::to_compact(holdings.segments(), limits);
        drop(holdings);
        if sources.is_empty() {
            return Ok(false);
        }
        let survivors = survivors::gather(&self.shared, &sources)?;
        survivors::copy(&self.shared, &sources, &survivors, is_short_of_room)?;
        // If everything was settled meanwhile, whoever did it rings.
        Ok(!survivors.is_empty())
    }

    /// Has the open segment sealed if it holds nothing, so that it can be removed: a broker whose
    /// queues are empty needs no room.
    pub(super) fn roll_if_idle(&mut self) {
        let holdings = self.shared.holdings.lock();
        let open = holdings.segments().iter().filter(|one| one.segment.name.is_hot());
        let open = open.max_by_key(|account| account.id()).filter(|account| !account.is_sealed);
        let Some(open) = open else { return };
        let (id, bytes, is_empty) = (open.id(), open.bytes, open.is_empty());
        let appended = bytes - open.begun;
        drop(holdings);
        let was_idle = self.open_segment.replace((id, bytes)) == Some((id, bytes));
        let worth = IDLE_BYTES.min(u64::from(self.shared.options.segment_size) / 4);
        if was_idle && is_empty && appended >= worth {
            self.shared.request_roll();
        }
        if was_idle && let Err(error) = self.shared.wal.shrink() {
            tracing::warn!("{error}; files that are kept for later stay as long as they are");
        }
    }
}
