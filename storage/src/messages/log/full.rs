//! What the log thread does while the disk is full, until there is room again.
//!
//! Nothing is lost and nothing more is promised of messages: what cannot be written stays in the
//! backlog, where it can be read and settled. Settlements and deletions are written to the room that
//! the open segment and the one after it have from the beginning, and so make room. The last file that
//! is kept is the compactor's, who could move nothing without it: it is taken for one more segment only
//! while no compaction could make room with it. The disk counts as full while `wal` has not the
//! segments in stock that it should have, or there was no room for a group.
//!
//! Stays true: a full disk that nobody does anything with costs nothing.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLockWriteGuard;

use super::input::Orders;
use super::segments::Account;
use super::writer::Writer;
use super::{compaction, group};
use crate::messages::{Health, Ticket};
use crate::wal::{TooLong, Trouble, What};
use crate::{StorageError, clock};

/// How often it is tried to write what waits.
const RETRY_DELAY: Duration = Duration::from_millis(500);

impl Writer {
    /// There was no room for something.
    pub(super) fn fill_up(&mut self) -> Result<(), StorageError> {
        if !self.full.is_full {
            let directory = self.shared.directory.display();
            tracing::warn!("no room in {directory}; messages wait in memory until there is");
            self.full.is_full = true;
            self.full.has_rolled = false;
            self.shared.progress.set_health(Health::Full);
        }
        self.relieve()?;
        self.retry_if_something_waits();
        Ok(())
    }

    fn retry_if_something_waits(&mut self) {
        let waits = !self.shared.backlog.read().is_empty()
            || self.group.has_settlements()
            || (!self.full.has_rolled && self.appender.is_used());
        self.full.retry_at = waits.then(|| clock::now() + RETRY_DELAY);
    }

    /// Does what can be done without room, and says whether it is time to try the rest.
    pub(super) fn may_try_again(&mut self, orders: Orders) -> Result<bool, StorageError> {
        self.relieve()?;
        let is_due = self.full.retry_at.is_none_or(|retry_at| retry_at <= clock::now());
        if !is_due && !orders.room && !orders.close {
            return Ok(false);
        }
        self.retry_if_something_waits();
        Ok(!self.shared.wal.is_full() || orders.close)
    }

    /// Everything is written: the disk is not full any more if it was.
    pub(super) fn tell_of_room(&mut self) -> Result<(), Trouble> {
        if !self.full.is_full {
            return Ok(());
        }
        if self.shared.wal.is_full() {
            return Err(Trouble::Full);
        }
        tracing::info!("there is room in {} again", self.shared.directory.display());
        self.full.is_full = false;
        self.full.retry_at = None;
        self.shared.progress.set_health(Health::Well);
        Ok(())
    }

    /// Writes what needs little room, and lets go what waits and is settled.
    fn relieve(&mut self) -> Result<(), StorageError> {
        let relieved = self.make_removable().and_then(|()| self.write_settlements());
        match relieved {
            Ok(()) | Err(Trouble::Full) => Ok(()),
            Err(Trouble::Failed(error)) => Err(error),
        }
    }

    /// Seals the open segment: only what is sealed can be removed.
    fn make_removable(&mut self) -> Result<(), Trouble> {
        if self.full.has_rolled || !self.appender.is_used() {
            return Ok(());
        }
        match self.roll(true) {
            Ok(()) => self.full.has_rolled = true,
            // As much comes back of the segment as is taken for it.
            Err(Trouble::Full) if self.is_open_wasteful() => self.want_next(),
            Err(Trouble::Full) => {}
            Err(trouble) => return Err(trouble),
        }
        Ok(())
    }

    fn is_open_wasteful(&self) -> bool {
        let holdings = self.shared.holdings.lock();
        let open = holdings.segments().get(self.appender.spot().segment);
        open.is_some_and(Account::is_half_empty)
    }

    /// Asks for the last file that is kept, unless the compactor can make room with it.
    fn want_next(&self) {
        let holdings = self.shared.holdings.lock();
        let (options, bytes) = (&self.shared.options, self.shared.wal.spare_bytes());
        let is_needed = compaction::has_use_of_a_file(holdings.segments(), options, bytes);
        drop(holdings);
        if !is_needed {
            self.shared.wal.want_next();
        }
    }

    fn write_settlements(&mut self) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        let mut backlog = shared.backlog.write();
        let mut holdings = shared.holdings.lock();
        let settled = backlog.take_settlements(|taken| self.group.take(taken, &mut holdings));
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
        let backlog = RwLockWriteGuard::downgrade(backlog);
        shared.progress.remove_pending(relieved);
        shared.counters.lock().elided_messages += elided;
        if is_stirred {
            shared.compactor.ring();
        }
        // What the index knows by now is not handed over before the backlog is free.
        let written = self.write_taken(settled);
        drop(backlog);
        written
    }

    fn write_taken(&mut self, settled: Ticket) -> Result<(), Trouble> {
        if !self.group.has_settlements() {
            if settled > Ticket(0) {
                self.hand_over(What::Nothing, Ticket(0), settled, false);
            }
            return Ok(());
        }
        if self.appender.segment().is_none() {
            self.roll(true).inspect_err(|_| self.want_next())?;
        }
        self.ensure_snapshot()?;
        match self.try_write_taken() {
            Err(Trouble::Full) => {
                self.roll(true).inspect_err(|_| self.want_next())?;
                self.full.has_rolled = true;
                self.try_write_taken()?;
            }
            written => written?,
        }
        let (what, is_awaited) = match self.group.needs_sync {
            true => (What::Needed, true),
            false => (What::Trifle, false),
        };
        self.group.settlements_written();
        self.hand_over(what, Ticket(0), settled, is_awaited);
        Ok(())
    }

    fn try_write_taken(&mut self) -> Result<(), Trouble> {
        self.records.begin(self.appender.spot());
        let encoded = self.group.encode_settlements(&mut self.records);
        encoded.map_err(|TooLong| self.too_long())?;
        self.write()?;
        let spot = self.appender.spot();
        let mut holdings = self.shared.holdings.lock();
        holdings.segments_mut().set_bytes(spot.segment, u64::from(spot.offset));
        Ok(())
    }
}
