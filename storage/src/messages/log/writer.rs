//! The log thread: the only one that appends.
//!
//! Started by `Log`. Takes everything that was appended meanwhile, writes it group by group, tells
//! the index where it is, and hands it to the sync thread; the next group is written during the
//! fsync of the one before.
//!
//! Stays true: what was taken is in the backlog, and so readable, until the index knows it. A segment
//! begins with a snapshot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLockWriteGuard;

use super::buffer::RecordBuffer;
use super::group::Group;
use super::input::Orders;
use super::segments::Account;
use super::shared::Shared;
use super::snapshot;
use crate::messages::Ticket;
use crate::wal::{Appender, Handing, TooLong, Trouble, What};
use crate::{StorageError, clock};

/// Bytes of records that are written at once.
const GROUP_BYTES: u64 = 4 << 20;

/// Memory for records that is kept between groups.
const BUFFER_BYTES: usize = 8 << 20;

/// How long the log waits for another group that could carry the news that everything is synced.
const SYNCED_DELAY: Duration = Duration::from_millis(50);

/// How things are with room.
#[derive(Debug, Default)]
pub(super) struct Full {
    /// The outside was told.
    pub(super) is_full: bool,
    /// When to try again, if something waits.
    pub(super) retry_at: Option<Instant>,
    /// The segment that the last messages were written to is sealed.
    pub(super) has_rolled: bool,
    /// What waits is written now or never.
    is_closing: bool,
}

impl Full {
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }
}

/// The log thread's state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) appender: Appender,
    pub(super) records: RecordBuffer,
    pub(super) group: Group,
    pub(super) full: Full,
    /// The open segment has its snapshot.
    has_snapshot: bool,
    /// Since when more is synced than the log says.
    synced_since: Option<Instant>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, appender: Appender) -> Self {
        Self {
            shared,
            appender,
            records: RecordBuffer::default(),
            group: Group::default(),
            full: Full::default(),
            has_snapshot: false,
            synced_since: None,
        }
    }

    /// Begins the first segment. Without room for one the disk counts as full.
    pub(super) fn begin(&mut self) -> Result<(), StorageError> {
        match self.roll(true) {
            Ok(()) => Ok(()),
            Err(Trouble::Full) => self.fill_up(),
            Err(Trouble::Failed(error)) => Err(error),
        }
    }

    /// Runs until the log is closed or has failed.
    pub(super) fn run(mut self) -> Result<(), StorageError> {
        loop {
            let orders = self.shared.input.take(&self.shared.backlog, self.wake_at());
            if orders.fail {
                return Ok(());
            }
            if orders.synced {
                self.synced_since.get_or_insert_with(clock::now);
            }
            self.full.is_closing = orders.close;
            match self.work(orders) {
                Ok(()) => {}
                Err(Trouble::Full) => self.fill_up()?,
                Err(Trouble::Failed(error)) => return Err(error),
            }
            if orders.close {
                return self.finish();
            }
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let synced_at = self.synced_since.map(|since| since + SYNCED_DELAY);
        match self.full.retry_at() {
            Some(retry_at) => Some(retry_at),
            None => synced_at,
        }
    }

    fn work(&mut self, orders: Orders) -> Result<(), Trouble> {
        if self.full.is_full() && !self.may_try_again(orders)? {
            return Ok(());
        }
        while !self.shared.backlog.read().is_empty() {
            self.write_group()?;
        }
        self.tell_of_room()?;
        if orders.roll && self.appender.is_used() && !self.shared.wal.is_full() {
            self.roll(false)?;
        }
        if self.synced_since.is_some_and(|since| since + SYNCED_DELAY <= clock::now()) {
            self.write_remark()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), Trouble> {
        self.ensure_snapshot()?;
        let shared = Arc::clone(&self.shared);
        let first = shared.backlog.read().first_bytes();
        if first > self.room() && self.appender.is_used() {
            self.roll(self.full.is_closing && self.full.is_full)?;
        }
        let mut backlog = shared.backlog.write();
        self.group.form(&mut backlog, GROUP_BYTES.min(self.room()));
        let mut holdings = shared.holdings.lock();
        self.group.settle(&mut backlog, &mut holdings);
        drop(holdings);
        let backlog = RwLockWriteGuard::downgrade(backlog);
        self.records.begin(self.appender.spot());
        let encoded = self.group.encode(&backlog, &mut self.records);
        encoded.map_err(|TooLong| self.too_long())?;
        let has_records = !self.records.group.is_empty();
        if has_records {
            self.write()?;
            // What may be removed later is in another segment than when the disk became full.
            self.full.has_rolled = false;
        }
        let mut holdings = shared.holdings.lock();
        let spot = self.appender.spot();
        self.group.apply(spot.segment, &mut holdings);
        holdings.segments_mut().set_bytes(spot.segment, u64::from(spot.offset));
        let is_stirred = holdings.segments_mut().take_stirred();
        drop(holdings);
        let what = match self.group.needs_sync {
            true => What::Needed,
            false if has_records => What::Trifle,
            false => What::Nothing,
        };
        shared.progress.remove_pending(self.group.content);
        shared.counters.lock().elided_messages += self.group.elided;
        // Before the backlog is free, for those who ask for a sync of everything the index knows.
        self.hand_over(what, self.group.ticket, self.group.ticket, self.group.is_awaited);
        drop(backlog);
        shared.backlog.write().remove_front(self.group.entries, self.group.items);
        if is_stirred {
            shared.compactor.ring();
        }
        self.records.group.shrink_to(BUFFER_BYTES);
        Ok(())
    }

    /// Bytes until the open segment is as large as it should be, with its footer.
    fn room(&self) -> u64 {
        self.appender.room().saturating_sub(self.records.outline_length())
    }

    /// Writes what is in the buffer to the end of the log.
    pub(super) fn write(&mut self) -> Result<(), Trouble> {
        match self.appender.write(&mut self.records.group) {
            Ok(_) => {
                self.synced_since = None;
                Ok(())
            }
            Err(trouble) => {
                self.records.rewind();
                Err(trouble)
            }
        }
    }

    pub(super) fn hand_over(&self, what: What, ticket: Ticket, settled: Ticket, is_awaited: bool) {
        let mark = self.shared.mark(ticket, settled);
        self.appender.hand_over(Handing { mark, what, is_awaited });
    }

    /// Says that everything is synced that is.
    fn write_remark(&mut self) -> Result<(), Trouble> {
        self.records.begin(self.appender.spot());
        self.write()?;
        self.hand_over(What::Remark, Ticket(0), Ticket(0), false);
        Ok(())
    }

    /// Seals the open segment and begins another. The last segment in stock is for settlements, and
    /// for what has no other time.
    pub(super) fn roll(&mut self, even_last: bool) -> Result<(), Trouble> {
        if self.shared.wal.is_full() && !even_last {
            return Err(Trouble::Full);
        }
        self.appender.roll(even_last, || self.records.take_outline())?;
        self.has_snapshot = false;
        if let Some(segment) = self.appender.segment() {
            let account = Account::open(Arc::clone(segment), u64::from(crate::wal::HEADER_SIZE));
            self.shared.holdings.lock().segments_mut().insert(account);
        }
        self.ensure_snapshot()
    }

    /// Nothing else is written to a segment before its snapshot.
    pub(super) fn ensure_snapshot(&mut self) -> Result<(), Trouble> {
        if self.has_snapshot {
            return Ok(());
        }
        if self.appender.segment().is_none() {
            return self.roll(true);
        }
        self.records.begin(self.appender.spot());
        let mut holdings = self.shared.holdings.lock();
        holdings.forget_deleted();
        let written = snapshot::write(holdings.index(), &mut self.records);
        drop(holdings);
        written.map_err(|TooLong| self.too_long())?;
        self.write()?;
        self.has_snapshot = true;
        self.appender.mark_begun();
        let spot = self.appender.spot();
        let mut holdings = self.shared.holdings.lock();
        holdings.segments_mut().set_begun(spot.segment, u64::from(spot.offset));
        drop(holdings);
        self.hand_over(What::Needed, Ticket(0), Ticket(0), false);
        Ok(())
    }

    /// What no group can hold: `Batch::check` lets nothing through that is.
    pub(super) fn too_long(&self) -> StorageError {
        let reason = std::io::Error::other("a group of more than a gigabyte");
        StorageError::io("write", &self.shared.directory, reason)
    }

    /// Everything was written that could be.
    fn finish(self) -> Result<(), StorageError> {
        if self.shared.backlog.read().is_empty() && !self.group.has_settlements() {
            return Ok(());
        }
        let reason = std::io::ErrorKind::StorageFull.into();
        Err(StorageError::io("write", &self.shared.directory, reason))
    }
}
