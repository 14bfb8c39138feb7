//! What the log thread does while the disk is full, until there is room again.
//!
//! Nothing is lost and nothing more is promised: what cannot be written stays in the backlog, where
//! it can be read and settled. What is settled needs no room: it leaves the backlog, or its segment
//! once that holds nothing else. For the one thing that must be written for this, the snapshot
//! without which no segment can go, there is a reserve: a file that is removed when the disk is
//! full. It is the compactor's as well, for its copies. The disk is not full any more when the reserve
//! can be made again and what waits is written.
//!
//! Stays true: a settlement that was taken from the backlog while the disk was full is in the
//! snapshot of the segment that is begun afterwards, and until then no ticket of the backlog is
//! durable.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files;
use super::group;
use super::input::Orders;
use super::open_segment::Trouble;
use super::shared::Shared;
use super::writer::Writer;
use crate::messages::{Health, Ticket};
use crate::{StorageError, clock};

/// The most that is kept in reserve; of small segments no more than one.
const RESERVE_BYTES: u32 = 4 << 20;

/// How often a full disk is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How things are with room.
#[derive(Debug, Default)]
pub(super) struct Full {
    /// None if there is room, or if it seems that there is again.
    retry_at: Option<Instant>,
    /// The outside was told.
    is_told: bool,
    /// The segment that was open when the disk became full is sealed.
    has_rolled: bool,
    hold: Ticket,
}

impl Full {
    pub(super) fn is_full(&self) -> bool {
        self.retry_at.is_some()
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// No ticket before this one is durable unless this one is.
    pub(super) fn hold(&self) -> Ticket {
        self.hold
    }
}

impl Writer {
    /// There was no room for something.
    pub(super) fn fill_up(&mut self) -> Result<(), StorageError> {
        if !self.full.is_told {
            let directory = self.shared.directory.display();
            tracing::warn!("no room in {directory}; messages wait in memory until there is");
            self.shared.progress.set_health(Health::Full);
            self.full.is_told = true;
        }
        if !self.full.is_full() {
            self.full.has_rolled = false;
        }
        self.full.retry_at = Some(clock::now() + RETRY_DELAY);
        let has_made_room = remove_reserve(&self.shared)?;
        match self.make_removable() {
            Ok(()) | Err(Trouble::Full) => {}
            Err(Trouble::Failed(error)) => return Err(error),
        }
        if has_made_room {
            // It may have given up for want of room before.
            self.shared.compactor.ring();
        }
        Ok(())
    }

    /// Does what can be done without room, and sees now and then whether there is any.
    pub(super) fn work_when_full(&mut self, orders: Orders) -> Result<(), StorageError> {
        self.relieve();
        let is_due = self.full.retry_at.is_none_or(|retry_at| retry_at <= clock::now());
        if !is_due && !orders.room && !orders.close {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        // The compactor has been told to end then: it does not keep the room for long.
        let room = if orders.close { Some(shared.room.lock()) } else { shared.room.try_lock() };
        if room.is_none() {
            self.full.retry_at = Some(clock::now() + RETRY_DELAY);
            return Ok(());
        }
        // The room is kept until everything is written or the reserve is gone again.
        self.work_or_fill_up(orders)
    }

    /// Makes the reserve again, and a segment with what was settled meanwhile.
    pub(super) fn recover(&mut self) -> Result<(), Trouble> {
        self.make_removable()?;
        if !make_reserve(&self.shared)? {
            return Err(Trouble::Full);
        }
        self.roll()?;
        self.full.retry_at = None;
        Ok(())
    }

    /// Everything is written: the disk is not full any more if it was.
    pub(super) fn tell_of_room(&mut self) {
        if std::mem::take(&mut self.full.is_told) {
            tracing::info!("there is room in {} again", self.shared.directory.display());
            self.shared.progress.set_health(Health::Well);
        }
    }

    /// Seals the open segment: only what is sealed can be removed.
    fn make_removable(&mut self) -> Result<(), Trouble> {
        if !self.full.has_rolled && self.open.is_used() {
            self.roll()?;
        }
        self.full.has_rolled = true;
        Ok(())
    }

    /// Takes everything from the backlog that needs not be written.
    fn relieve(&mut self) {
        let mut backlog = self.shared.backlog.write();
        let Some(last) = backlog.entries.back() else { return };
        self.full.hold = self.full.hold.max(last.ticket);
        let mut holdings = self.shared.holdings.lock();
        if !backlog.take_settlements(&mut holdings) {
            return;
        }
        let (mut relieved, mut elided) = (0, 0);
        for publish in &mut backlog.publishes {
            if group::drop_settled(publish, &holdings) {
                relieved += publish.content.size();
                publish.content.head = [].into();
                publish.content.tail = None;
                elided += 1;
            }
        }
        let is_stirred = holdings.segments_mut().take_stirred();
        drop(holdings);
        drop(backlog);
        self.shared.progress.remove_pending(relieved);
        self.shared.counters.lock().elided_messages += elided;
        if is_stirred {
            self.shared.compactor.ring();
        }
    }
}

/// The name of the file.
pub(super) const RESERVE: &str = "reserve";

fn reserve(shared: &Shared) -> PathBuf {
    shared.directory.join(RESERVE)
}

/// Makes the reserve unless it is there; says whether there was room for it.
pub(super) fn make_reserve(shared: &Shared) -> Result<bool, StorageError> {
    let path = reserve(shared);
    let bytes = u64::from(RESERVE_BYTES.min(shared.options.segment_size));
    match shared.files.reserve(&path, bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(true),
        Err(error) if files::is_full(&error) => Ok(false),
        Err(error) => Err(StorageError::io("write", &path, error)),
    }
}

/// Makes room; says whether there was a reserve to make it of.
pub(super) fn remove_reserve(shared: &Shared) -> Result<bool, StorageError> {
    let path = reserve(shared);
    match shared.files.remove(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StorageError::io("remove", &path, error)),
    }
}
