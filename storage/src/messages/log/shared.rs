//! What the threads of the log have in common.
//!
//! Lock order: backlog -> input, backlog -> holdings, syncs -> holdings. Counters and the signal are
//! taken alone. No lock is held over I/O, but for the backlog's read lock, under which frames are
//! written: readers share it; and for `room`, which is taken before all others and keeps nobody but
//! the compactor waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::files::Files;
use super::holdings::Holdings;
use super::index::Gaps;
use super::input::Input;
use super::load::Load;
use super::segment::{SegmentHeader, SegmentName};
use super::signal::Signal;
use super::syncs::Syncs;
use crate::messages::{Health, Options, Progress, Statistics};
use crate::{StorageError, StoreId, clock};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Where the segments are.
    pub(crate) directory: PathBuf,
    /// In the header of every segment.
    pub(crate) store: StoreId,
    /// As the log was opened.
    pub(crate) options: Options,
    /// Whether it survives the end of the process; a scratch log does not, and syncs nothing.
    pub(crate) gaps: Gaps,
    /// The only door to the disk.
    pub(crate) files: Arc<dyn Files>,
    /// What the outside sees.
    pub(crate) progress: Progress,
    /// What nobody has looked at yet.
    pub(super) input: Input,
    /// What the log thread is working off.
    pub(super) backlog: RwLock<Load>,
    /// What is on disk.
    pub(crate) holdings: Mutex<Holdings>,
    /// What is written and not synced.
    pub(super) syncs: Syncs,
    /// Rung when a segment may be worth compacting or removing.
    pub(crate) compactor: Signal,
    /// Held by whoever takes up what little room a full disk has: the compactor while it copies, the
    /// log thread while it tries whether the disk is still full. Together they would take from each
    /// other what each of them needs, and both would give up, again and again.
    pub(crate) room: Mutex<()>,
    /// What has been done. What is there now is asked of the holdings.
    pub(crate) counters: Mutex<Statistics>,
}

impl Shared {
    /// Of a log that has not been started.
    pub(super) fn new(
        directory: &Path,
        store: &StoreId,
        options: &Options,
        holdings: Holdings,
        gaps: Gaps,
        files: Arc<dyn Files>,
    ) -> Arc<Self> {
        Arc::new(Self {
            directory: directory.to_owned(),
            store: store.clone(),
            options: options.clone(),
            gaps,
            files,
            progress: Progress::new(options.pending_max),
            input: Input::default(),
            backlog: RwLock::default(),
            holdings: Mutex::new(holdings),
            syncs: Syncs::new(options.fsync),
            compactor: Signal::default(),
            room: Mutex::default(),
            counters: Mutex::default(),
        })
    }

    /// Whether it is wiped when it is opened.
    pub(crate) fn is_scratch(&self) -> bool {
        self.gaps == Gaps::Settled
    }

    /// The header of a segment that is begun now.
    pub(crate) fn header(&self, name: SegmentName) -> SegmentHeader {
        SegmentHeader { name, store: self.store.bytes(), created_unix_ms: clock::unix_ms() }
    }

    /// Ends the store: nothing becomes durable any more.
    pub(crate) fn fail(&self, error: &StorageError) {
        tracing::error!("{error}; stored messages are in danger, the process must end");
        self.progress.set_health(Health::Failed(error.clone()));
        self.syncs.fail(error);
        self.input.fail();
        self.compactor.end();
    }

    /// Wakes the compactor if there may be something to do.
    pub(crate) fn ring_if_stirred(&self) {
        let is_stirred = self.holdings.lock().segments_mut().take_stirred();
        if is_stirred {
            self.compactor.ring();
        }
    }

    /// Returns when everything that the index says now would survive a power failure. Whoever
    /// removes what the index does not need asks for this first: the reason why it is not needed
    /// may be a batch that is not on disk yet.
    ///
    /// # Errors
    /// The store has failed or ended.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        if self.is_scratch() {
            return Ok(());
        }
        // A group that is being written has told the index some of what is in it.
        drop(self.backlog.write());
        self.syncs.sync()
    }

    /// Asks the log thread to seal the open segment and to begin another, so that the one can be
    /// compacted.
    pub(crate) fn request_roll(&self) {
        self.input.request_roll();
    }

    /// Says that a file was removed: if the disk was full, there may be room now.
    pub(crate) fn notice_room(&self) {
        self.input.notice_room();
    }

    /// Runs a thread's work; whatever ends it early ends the store.
    pub(crate) fn guard(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            let reason = Arc::from(format!("the {name} thread panicked"));
            Err(StorageError::Failed { path: self.directory.clone(), reason })
        });
        if let Err(error) = &outcome {
            self.fail(error);
        }
        outcome
    }
}
