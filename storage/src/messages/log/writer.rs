//! The log thread: the only one that appends.
//!
//! Started by `Log`. Takes everything that was appended meanwhile, writes it group by group, tells
//! the index where it is, and hands it to the sync thread; the next group is written during the
//! fsync of the one before.
//!
//! Stays true: what was taken is in the backlog, and so readable, until the index knows it. A group
//! is never split between segments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLockWriteGuard;

use super::frame::{FrameBuffer, LogPosition};
use super::full::Full;
use super::group::Group;
use super::input::Orders;
use super::open_segment::{OpenSegment, Trouble, too_long};
use super::shared::Shared;
use super::syncs::{What, Written};
use crate::messages::Ticket;
use crate::{StorageError, clock};

/// Bytes of frames that are written at once.
const GROUP_BYTES: u64 = 4 << 20;

/// Memory for frames that is kept between groups.
const BUFFER_BYTES: usize = 8 << 20;

/// How long the log waits for another group that could carry the news that everything is synced.
const SYNCED_DELAY: Duration = Duration::from_millis(50);

/// The log thread's state.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) open: OpenSegment,
    pub(super) frames: FrameBuffer,
    pub(super) full: Full,
    group: Group,
    /// Everything before it is on disk, which the log does not say yet; and since when.
    synced: Option<(LogPosition, Instant)>,
    /// Where the segment before the open one ends, unless the log says that all of it is on disk.
    sealed: Option<LogPosition>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, open: OpenSegment, frames: FrameBuffer) -> Self {
        let group = Group::new(shared.gaps);
        Self { shared, open, frames, full: Full::default(), group, synced: None, sealed: None }
    }

    /// Runs until the log is closed or has failed.
    pub(super) fn run(mut self) -> Result<(), StorageError> {
        loop {
            let orders = self.shared.input.take(&self.shared.backlog, self.wake_at());
            if orders.fail {
                return Ok(());
            }
            if let Some(position) = orders.synced {
                let since = self.synced.map_or_else(clock::now, |(_, since)| since);
                self.synced = Some((position, since));
            }
            match self.full.is_full() {
                true => self.work_when_full(orders)?,
                false => self.work_or_fill_up(orders)?,
            }
            if orders.close {
                return self.finish();
            }
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let synced_at = self.synced.map(|(_, since)| since + SYNCED_DELAY);
        match (self.full.retry_at(), synced_at) {
            (Some(retry_at), _) => Some(retry_at),
            (None, synced_at) => synced_at,
        }
    }

    pub(super) fn work_or_fill_up(&mut self, orders: Orders) -> Result<(), StorageError> {
        match self.work(orders) {
            Ok(()) => Ok(()),
            Err(Trouble::Full) => self.fill_up(),
            Err(Trouble::Failed(error)) => Err(error),
        }
    }

    fn work(&mut self, orders: Orders) -> Result<(), Trouble> {
        if self.full.is_full() {
            self.recover()?;
        }
        while !self.shared.backlog.read().is_empty() {
            self.write_group()?;
        }
        self.tell_of_room();
        if orders.roll && self.open.is_used() {
            self.roll()?;
        }
        if self.synced.is_some_and(|(_, since)| since + SYNCED_DELAY <= clock::now()) {
            self.write_synced()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        if shared.backlog.read().first_bytes() > self.open.room(&shared) && self.open.is_used() {
            self.roll()?;
        }
        let mut backlog = shared.backlog.write();
        self.group.form(&mut backlog, GROUP_BYTES.min(self.open.room(&shared)));
        let mut holdings = shared.holdings.lock();
        self.group.settle(&mut backlog, &mut holdings);
        drop(holdings);
        let backlog = RwLockWriteGuard::downgrade(backlog);
        self.frames.begin(self.open.position());
        self.put_synced()?;
        let encoded = self.group.encode(&backlog, &mut self.frames);
        encoded.map_err(|_| too_long(&self.open.segment))?;
        self.write_frames()?;
        let mut holdings = shared.holdings.lock();
        self.group.apply(&backlog, &mut holdings);
        let is_stirred = holdings.segments_mut().take_stirred();
        drop(holdings);
        drop(backlog);
        let what = match self.group.needs_sync {
            true => What::Messages,
            false if self.frames.is_empty() => What::Nothing,
            false => What::Settlements,
        };
        // Together, for those who ask for a sync of everything that the index knows.
        let mut backlog = shared.backlog.write();
        backlog.remove_front(self.group.entries, self.group.items);
        shared.progress.remove_pending(self.group.content);
        self.hand_over(what, self.group.ticket, self.group.is_awaited);
        drop(backlog);
        shared.counters.lock().elided_messages += self.group.elided;
        if is_stirred {
            shared.compactor.ring();
        }
        self.frames.shrink_to(BUFFER_BYTES);
        Ok(())
    }

    /// Writes what is in the buffer to the end of the log.
    fn write_frames(&mut self) -> Result<(), Trouble> {
        if self.frames.is_empty() {
            return Ok(());
        }
        self.open.write(&self.frames)?;
        if self.synced.take().is_some_and(|(position, _)| self.sealed < Some(position)) {
            self.sealed = None;
        }
        let LogPosition { segment, offset } = self.open.position();
        self.shared.counters.lock().written_bytes += self.frames.bytes().len() as u64;
        self.shared.holdings.lock().segments_mut().set_bytes(segment, u64::from(offset));
        Ok(())
    }

    /// Adds how far everything is on disk, if that is news.
    fn put_synced(&mut self) -> Result<(), Trouble> {
        let Some((position, _)) = self.synced else { return Ok(()) };
        let sealed = self.sealed.filter(|sealed| *sealed < position);
        for position in sealed.into_iter().chain([position]) {
            self.frames.synced(position).map_err(|_| too_long(&self.open.segment))?;
        }
        Ok(())
    }

    fn write_synced(&mut self) -> Result<(), Trouble> {
        if self.synced.is_none() {
            return Ok(());
        }
        self.frames.begin(self.open.position());
        self.put_synced()?;
        self.write_frames()?;
        self.hand_over(What::Remark, Ticket(0), false);
        Ok(())
    }

    /// Seals the open segment and begins another.
    pub(super) fn roll(&mut self) -> Result<(), Trouble> {
        let next = OpenSegment::begin(&self.shared, &mut self.frames)?;
        let sealed = std::mem::replace(&mut self.open, next);
        self.sealed = Some(sealed.position());
        let mut holdings = self.shared.holdings.lock();
        holdings.segments_mut().seal(sealed.segment.name.id);
        if self.shared.is_scratch() {
            holdings.segments_mut().set_synced(sealed.segment.name.id);
        }
        drop(holdings);
        if self.shared.is_scratch() {
            self.shared.ring_if_stirred();
        } else {
            // It may have been synced before it was sealed, and nobody would say that it is done.
            let (position, segment) = (sealed.position(), &sealed.segment);
            let (ticket, what, is_awaited) = (Ticket(0), What::Remark, false);
            let written = Written { ticket, position, segment, what, is_awaited };
            self.shared.syncs.hand_over(&written, &self.shared.progress);
        }
        self.hand_over(What::Segment, Ticket(0), false);
        Ok(())
    }

    fn hand_over(&self, what: What, ticket: Ticket, is_awaited: bool) {
        // What was settled without a frame while the disk was full is recorded by the snapshot that
        // was written when it no longer was: only all of it together is durable.
        let ticket = if ticket < self.full.hold() { Ticket(0) } else { ticket };
        if self.shared.is_scratch() {
            self.shared.progress.set_durable(ticket);
            return;
        }
        let (position, segment) = (self.open.position(), &self.open.segment);
        let written = Written { ticket, position, segment, what, is_awaited };
        self.shared.syncs.hand_over(&written, &self.shared.progress);
    }

    /// Everything was written that could be: makes it durable and says so in the log.
    fn finish(mut self) -> Result<(), StorageError> {
        if self.shared.is_scratch() {
            return Ok(());
        }
        let position = self.shared.syncs.close()?;
        if !self.shared.backlog.read().is_empty() {
            let path = &self.open.segment.path;
            let reason = std::io::ErrorKind::StorageFull.into();
            return Err(StorageError::io("write", path, reason));
        }
        self.synced = Some((position, clock::now()));
        match self.write_synced() {
            // It is only a remark: everything is on disk.
            Err(Trouble::Full) => return Ok(()),
            Err(Trouble::Failed(error)) => return Err(error),
            Ok(()) => {}
        }
        let synced = self.open.segment.file.sync();
        synced.map_err(|error| StorageError::io("sync", &self.open.segment.path, error))
    }
}
