//! What the threads of the log have in common.
//!
//! [`Board`] is what is known without asking the disk, and hears what `wal` tells; [`Shared`] is the
//! board and the log on disk.
//!
//! Lock order: backlog -> input, backlog -> holdings, backlog -> the sync thread's -> moments.
//! Counters and the signal are taken alone. No lock is held over I/O, but for the backlog's read lock,
//! under which records are written: readers share it.

use std::collections::VecDeque;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::holdings::Holdings;
use super::input::Input;
use super::load::Load;
use super::signal::Signal;
use crate::StorageError;
use crate::messages::{Health, Options, Progress, Statistics, Ticket};
use crate::threads;
use crate::wal::{Listener, Wal};

/// What is durable when a mark of the log is.
#[derive(Clone, Copy, Debug)]
struct Moment {
    mark: u64,
    /// Everything up to this ticket.
    ticket: Ticket,
    /// Settlements and deletions up to this one.
    settled: Ticket,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Board {
    /// What the outside sees.
    pub(crate) progress: Progress,
    /// What nobody has looked at yet.
    pub(super) input: Input,
    /// What is on disk.
    pub(crate) holdings: Mutex<Holdings>,
    /// Rung when a segment may be worth compacting or removing.
    pub(crate) compactor: Signal,
    /// What has been done. What is there now is asked of the holdings.
    pub(crate) counters: Mutex<Statistics>,
    moments: Mutex<Moments>,
}

#[derive(Debug, Default)]
struct Moments {
    last: u64,
    waiting: VecDeque<Moment>,
}

impl Board {
    /// Of a log that has not been started.
    pub(super) fn new(options: &Options) -> Arc<Self> {
        Arc::new(Self {
            progress: Progress::new(options.pending_max),
            input: Input::default(),
            holdings: Mutex::default(),
            compactor: Signal::default(),
            counters: Mutex::default(),
            moments: Mutex::default(),
        })
    }

    /// The mark of a moment: when it is durable, so are these tickets.
    pub(super) fn mark(&self, ticket: Ticket, settled: Ticket) -> u64 {
        let mut moments = self.moments.lock();
        moments.last += 1;
        let mark = moments.last;
        moments.waiting.push_back(Moment { mark, ticket, settled });
        mark
    }

    /// Wakes the compactor if there may be something to do.
    pub(crate) fn ring_if_stirred(&self) {
        let is_stirred = self.holdings.lock().segments_mut().take_stirred();
        if is_stirred {
            self.compactor.ring();
        }
    }
}

impl Listener for Board {
    fn durable(&self, mark: u64) {
        let mut moments = self.moments.lock();
        let (mut ticket, mut settled) = (Ticket(0), Ticket(0));
        while let Some(moment) = moments.waiting.pop_front_if(|moment| moment.mark <= mark) {
            // Some say nothing of tickets.
            ticket = ticket.max(moment.ticket);
            settled = settled.max(moment.settled);
        }
        drop(moments);
        self.progress.set_durable(ticket);
        self.progress.set_settled(settled);
    }

    fn synced(&self, segments: &[u32], is_news: bool) {
        let mut holdings = self.holdings.lock();
        segments.iter().for_each(|id| holdings.segments_mut().set_synced(*id));
        drop(holdings);
        if is_news {
            self.input.set_synced();
        }
        self.ring_if_stirred();
    }

    fn sealed(&self, segment: u32, bytes: u32) {
        self.holdings.lock().segments_mut().set_sealed(segment, u64::from(bytes));
        self.ring_if_stirred();
    }

    fn room(&self, _is_there: bool) {
        self.input.notice_room();
        self.compactor.ring();
    }

    fn fsynced(&self, micros: u64) {
        self.counters.lock().count_fsync(micros);
    }

    fn failed(&self, error: &StorageError) {
        tracing::error!("{error}; stored messages are in danger, the process must end");
        self.progress.set_health(Health::Failed(error.clone()));
        self.input.fail();
        self.compactor.end();
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) board: Arc<Board>,
    /// The log on disk.
    pub(crate) wal: Wal,
    /// What the log thread is working off.
    pub(super) backlog: RwLock<Load>,
    /// Where the segments are.
    pub(crate) directory: PathBuf,
    /// As the log was opened.
    pub(crate) options: Options,
}

impl Deref for Shared {
    type Target = Board;

    fn deref(&self) -> &Board {
        &self.board
    }
}

impl Shared {
    /// Ends the store: nothing becomes durable any more.
    pub(crate) fn fail(&self, error: &StorageError) {
        self.wal.fail(error);
        self.board.failed(error);
    }

    /// Returns when everything that the index says now would survive a power failure. Whoever
    /// removes what the index does not need asks for this first: the reason why it is not needed
    /// may be a batch that is not on disk yet.
    ///
    /// # Errors
    /// The store has failed or ended.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        // A group that is being written has told the index some of what is in it; it is handed over
        // to the sync thread before this is free.
        drop(self.backlog.write());
        self.wal.sync()
    }

    /// Asks the log thread to seal the open segment and to begin another, so that the one can be
    /// compacted.
    pub(crate) fn request_roll(&self) {
        self.input.request_roll();
    }

    /// Runs a thread's work; whatever ends it early ends the store.
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
}
