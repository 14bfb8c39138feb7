//! The segments that are ready for what comes next, so that a log goes on without waiting for the
//! disk and, on a full one, has room for what makes room.
//!
//! `next` are hot segments that are on disk under their names, in the manifest, open, and empty;
//! whoever appends takes the first when the open segment is full, and leaves one for when the disk is.
//! `spare` is a file without content that is kept for a full disk: for a compaction, or, where no
//! compaction has a use for it, for a next segment that is asked for. `used` is the file of a segment
//! that was removed, to make a next one of. The keeper thread makes all this, and seals what was
//! written to the end. The next and the spare have room on disk from the beginning.
//!
//! Stays true: no segment is appended to before the manifest on disk has it, nor before those with a
//! lower id. While any of them is missing for want of room the log counts as full.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::open_file::{OpenFile, Sealing};
use crate::{StorageError, clock};

/// The name of the spare file.
pub(crate) const SPARE: &str = "spare";

/// The name of a file that is used again.
pub(crate) const USED: &str = "used";

/// The name of a file that is being made.
pub(crate) const MAKING: &str = "next.tmp";

/// Segments that are ready: one to go on with, and one that nothing is appended to as long as it is not
/// known whether the disk has room for more. Without it the end of a disk was found when the last room
/// for settlements was full of messages.
pub(crate) const NEXT: usize = 2;

/// How often it is tried again whether there is room.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(500);

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Stock {
    pub(super) state: Mutex<State>,
    /// For the keeper.
    pub(super) wake: Condvar,
    /// For whoever appends.
    pub(super) stocked: Condvar,
    highest_id: AtomicU32,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Ascending by id.
    pub(super) next: VecDeque<OpenFile>,
    /// A next one is needed though the disk is full; nobody else had the spare since that was said.
    pub(super) is_wanted: bool,
    pub(super) spare: Spare,
    pub(super) used: Spare,
    pub(super) sealing: Vec<Sealing>,
    /// The keeper is at it.
    pub(super) is_sealing: bool,
    /// Somebody has the next ones in hand.
    pub(super) is_shrinking: bool,
    /// There was no room for a group: what is kept for what comes must not be in the way.
    pub(super) is_tight: bool,
    pub(super) wants_shrinking: bool,
    /// There was no room for the next or the spare.
    pub(super) is_full: bool,
    pub(super) is_ended: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Spare {
    #[default]
    Missing,
    /// Somebody is at it.
    InHand,
    Ready,
}

pub(super) enum Work {
    Seal(Vec<Sealing>),
    /// Of the spare if there is no other way.
    MakeNext(bool),
    MakeSpare,
    TellOfRoom,
    Shrink,
    End,
}

impl Stock {
    /// With what was found on disk.
    pub(crate) fn new(next: Vec<OpenFile>, has_spare: bool, highest_id: u32) -> Self {
        let spare = if has_spare { Spare::Ready } else { Spare::Missing };
        Self {
            state: Mutex::new(State { next: next.into(), spare, ..State::default() }),
            wake: Condvar::new(),
            stocked: Condvar::new(),
            highest_id: AtomicU32::new(highest_id),
        }
    }

    /// A new id, above all that ever were.
    pub(crate) fn new_id(&self) -> u32 {
        self.highest_id.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// The highest id given out so far.
    pub(crate) fn highest_id(&self) -> u32 {
        self.highest_id.load(Ordering::Relaxed)
    }

    /// The segment to go on with, unless it is the last and that may not be taken; waits while one is
    /// made. `None` if there is no room for one.
    ///
    /// # Errors
    /// The log has failed or ended.
    pub(crate) fn take_next(&self, even_last: bool) -> Result<Option<OpenFile>, StorageError> {
        let least = if even_last { 1 } else { NEXT };
        let mut state = self.state.lock();
        loop {
            if !state.is_shrinking
                && state.next.len() >= least
                && let Some(next) = state.next.pop_front()
            {
                state.is_wanted = false;
                self.wake.notify_one();
                return Ok(Some(next));
            }
            if state.is_ended {
                return Err(StorageError::Closed);
            }
            if state.is_full && !state.is_shrinking {
                return Ok(None);
            }
            self.stocked.wait(&mut state);
        }
    }

    /// A next segment is needed though the disk is full: the spare may become it if it is there.
    pub(crate) fn want_next(&self) {
        let mut state = self.state.lock();
        state.is_wanted = state.next.is_empty() && state.spare == Spare::Ready;
        drop(state);
        self.wake.notify_one();
    }

    /// Whether there was no room when it was last tried.
    pub(crate) fn is_full(&self) -> bool {
        self.state.lock().is_full
    }

    /// There was no room for a group, or there was room for a whole segment.
    pub(crate) fn set_tight(&self, is_tight: bool) {
        let mut state = self.state.lock();
        state.wants_shrinking |= is_tight && !state.is_tight;
        state.is_tight = is_tight;
        drop(state);
        if is_tight {
            self.wake.notify_one();
        }
    }

    /// A segment is complete and on disk.
    pub(crate) fn seal(&self, sealing: Sealing) {
        self.state.lock().sealing.push(sealing);
        self.wake.notify_one();
    }

    /// Waits until the next segments and the spare are there, or there is no room for them.
    pub(crate) fn wait_until_stocked(&self) {
        let mut state = self.state.lock();
        while !state.is_ended && !state.is_full && !state.is_stocked() {
            self.stocked.wait(&mut state);
        }
    }

    /// Waits until every segment is sealed that was to be.
    ///
    /// # Errors
    /// The log has failed or ended.
    pub(crate) fn wait_until_sealed(&self) -> Result<(), StorageError> {
        let mut state = self.state.lock();
        while !state.is_ended && (state.is_sealing || !state.sealing.is_empty()) {
            self.stocked.wait(&mut state);
        }
        if state.is_ended { Err(StorageError::Closed) } else { Ok(()) }
    }

    /// The spare file, if it is there, for whoever needs the room more: he gives it another name and
    /// says so.
    pub(crate) fn take_spare(&self, directory: &Path) -> Option<PathBuf> {
        let mut state = self.state.lock();
        let is_ready = state.spare == Spare::Ready;
        if is_ready {
            // Its name is not free yet.
            state.spare = Spare::InHand;
            // Whoever wanted it may find that he does not when it is there again.
            state.is_wanted = false;
        }
        is_ready.then(|| directory.join(SPARE))
    }

    /// The spare file has got another name.
    pub(crate) fn spare_is_gone(&self) {
        self.put_spare(false);
    }

    /// The file that is used again, for whoever gives it another name.
    pub(super) fn take_used(&self, directory: &Path) -> Option<PathBuf> {
        let mut state = self.state.lock();
        let is_ready = state.used == Spare::Ready;
        if is_ready {
            state.used = Spare::InHand;
        }
        is_ready.then(|| directory.join(USED))
    }

    pub(super) fn used_is_gone(&self) {
        self.state.lock().used = Spare::Missing;
    }

    pub(super) fn put_spare(&self, is_ready: bool) {
        let mut state = self.state.lock();
        state.spare = if is_ready { Spare::Ready } else { Spare::Missing };
        drop(state);
        self.wake.notify_one();
        self.stocked.notify_all();
    }

    /// The keeper thread is to end once everything is sealed.
    pub(crate) fn end(&self) {
        self.state.lock().is_ended = true;
        self.wake.notify_all();
        self.stocked.notify_all();
    }

    pub(super) fn wait(&self) -> Work {
        let mut state = self.state.lock();
        let mut retry_at = state.is_full.then(|| clock::now() + RETRY_DELAY);
        loop {
            if !state.sealing.is_empty() {
                state.is_sealing = true;
                return Work::Seal(std::mem::take(&mut state.sealing));
            }
            if state.is_ended {
                return Work::End;
            }
            if std::mem::take(&mut state.wants_shrinking) {
                return Work::Shrink;
            }
            let is_due = retry_at.is_none();
            let has_one = !state.next.is_empty() || state.is_shrinking;
            let has_next = state.next.len() >= NEXT || state.is_shrinking;
            let with_spare = !has_one && state.is_wanted && state.spare == Spare::Ready;
            if has_one && state.spare == Spare::Missing && is_due {
                state.spare = Spare::InHand;
                return Work::MakeSpare;
            }
            if !has_next && (is_due || with_spare || state.used == Spare::Ready) {
                return Work::MakeNext(with_spare);
            }
            if state.is_stocked() && state.is_full {
                // It was given a file.
                state.is_full = false;
                return Work::TellOfRoom;
            }
            match retry_at {
                Some(at) => {
                    if self.wake.wait_until(&mut state, at).timed_out() {
                        retry_at = None;
                    }
                }
                None => self.wake.wait(&mut state),
            }
        }
    }
}

impl State {
    /// Whether everything is there that should be.
    pub(super) fn is_stocked(&self) -> bool {
        self.next.len() >= NEXT && self.spare == Spare::Ready
    }
}
