//! The segments that are ready for what comes next, so that a log goes on without waiting for the
//! disk and, on a full one, has room for what makes room.
//!
//! `next` is a hot segment that is on disk under its name, in the manifest, open, and empty; whoever
//! appends takes it when the open segment is full. `spare` is a file without content that is kept for
//! a full disk: for a compaction, or for a next segment that is asked for. `used` is the file of a
//! segment that was removed, to make a next one of. The keeper thread makes all this, and seals what
//! was written to the end. The next and the spare have room on disk from the beginning.
//!
//! Stays true: no segment is appended to before the manifest on disk has it. While either is missing
//! for want of room the log counts as full.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::files::{self, LogFile, patiently};
use super::group::GROUP_HEADER;
use super::manifest::Entry;
use super::segment::{HEADER_SIZE, Segment, SegmentHeader, SegmentName};
use super::shared::Shared;
use super::syncs::Sealing;
use super::trouble::Trouble;
use crate::{StorageError, clock};

/// The name of the spare file.
pub(crate) const SPARE: &str = "spare";

/// The name of a file that is used again.
pub(crate) const USED: &str = "used";

/// The name of a file that is being made.
pub(crate) const MAKING: &str = "next.tmp";

/// The most room that a new segment has from the beginning, and the least; of a segment of the usual
/// size it is a sixteenth.
const ROOM_MAX: u32 = 4 << 20;
const ROOM_MIN: u32 = 16 << 10;

/// How often it is tried again whether there is room.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// A segment that can be written to.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn LogFile>,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Stock {
    state: Mutex<State>,
    /// For the keeper.
    wake: Condvar,
    /// For whoever appends.
    stocked: Condvar,
    highest_id: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    next: Option<OpenFile>,
    /// The next one is needed though the disk is full.
    is_wanted: bool,
    spare: Spare,
    used: Spare,
    sealing: Vec<Sealing>,
    /// The keeper is at it.
    is_sealing: bool,
    /// Somebody has the next one in hand.
    is_shrinking: bool,
    /// There was no room for a group: what is kept for what comes must not be in the way.
    is_tight: bool,
    wants_shrinking: bool,
    /// There was no room for the next or the spare.
    is_full: bool,
    is_ended: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Spare {
    #[default]
    Missing,
    /// Somebody is at it.
    InHand,
    Ready,
}

enum Work {
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
    pub(crate) fn new(next: Option<OpenFile>, has_spare: bool, highest_id: u32) -> Self {
        let spare = if has_spare { Spare::Ready } else { Spare::Missing };
        Self {
            state: Mutex::new(State { next, spare, ..State::default() }),
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

    /// The segment to go on with; waits while one is made. `None` if there is no room for one.
    ///
    /// # Errors
    /// The log has failed or ended.
    pub(crate) fn take_next(&self) -> Result<Option<OpenFile>, StorageError> {
        let mut state = self.state.lock();
        loop {
            if let Some(next) = state.next.take() {
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

    /// The next segment is needed though the disk is full: the spare may become it.
    pub(crate) fn want_next(&self) {
        self.state.lock().is_wanted = true;
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

    /// Waits until the next segment and the spare are there, or there is no room for them.
    pub(crate) fn wait_until_stocked(&self) {
        let mut state = self.state.lock();
        let is_stocked = |state: &State| state.next.is_some() && state.spare == Spare::Ready;
        while !state.is_ended && !state.is_full && !is_stocked(&state) {
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
        }
        is_ready.then(|| directory.join(SPARE))
    }

    /// The spare file has got another name.
    pub(crate) fn spare_is_gone(&self) {
        self.put_spare(false);
    }

    /// Gives a file that is not needed any more to the stock, or removes it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn recycle(&self, path: &Path, shared: &Shared) -> io::Result<()> {
        let mut state = self.state.lock();
        let is_short = state.is_tight || state.is_full;
        let becomes_spare = state.spare == Spare::Missing && !state.is_ended;
        let becomes_used = state.used == Spare::Missing && !is_short && !state.is_ended;
        if becomes_spare {
            state.spare = Spare::InHand;
        } else if becomes_used {
            state.used = Spare::InHand;
        }
        drop(state);
        if becomes_spare {
            return self.recycle_as_spare(path, is_short, shared);
        }
        let outcome = match becomes_used {
            true => shared.files.rename(path, &shared.directory.join(USED)),
            false => shared.files.remove(path),
        };
        let mut state = self.state.lock();
        if becomes_used {
            state.used = if outcome.is_ok() { Spare::Ready } else { Spare::Missing };
        }
        drop(state);
        // There may be room now.
        self.wake.notify_one();
        outcome
    }

    fn recycle_as_spare(&self, path: &Path, is_short: bool, shared: &Shared) -> io::Result<()> {
        let spare = shared.directory.join(SPARE);
        let outcome = shared.files.rename(path, &spare).and_then(|()| {
            let file = patiently(|| shared.files.open(&spare))?;
            if is_short {
                cut(shared, &*file)?;
            }
            // A short one must have the room that a new one has.
            file.allocate(room(shared))
        });
        match outcome {
            Err(error) if files::is_full(&error) => {
                let removed = shared.files.remove(&spare);
                self.put_spare(false);
                removed
            }
            outcome => {
                self.put_spare(outcome.is_ok());
                outcome
            }
        }
    }

    /// The file that is used again, for whoever gives it another name.
    fn take_used(&self, directory: &Path) -> Option<PathBuf> {
        let mut state = self.state.lock();
        let is_ready = state.used == Spare::Ready;
        if is_ready {
            state.used = Spare::InHand;
        }
        is_ready.then(|| directory.join(USED))
    }

    fn used_is_gone(&self) {
        self.state.lock().used = Spare::Missing;
    }

    /// Makes the next segment and the spare file no longer than new ones.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn shrink(&self, shared: &Shared) -> Result<(), StorageError> {
        // Out of everyone's hands meanwhile; who wants it waits.
        let mut state = self.state.lock();
        state.is_shrinking = state.next.is_some();
        let next = state.next.take();
        drop(state);
        if let Some(next) = next {
            let outcome = cut(shared, &*next.file);
            let path = next.segment.path.clone();
            let mut state = self.state.lock();
            state.next = Some(next);
            state.is_shrinking = false;
            drop(state);
            self.stocked.notify_all();
            outcome.map_err(|error| StorageError::io("truncate", &path, error))?;
        }
        if let Some(path) = self.take_used(&shared.directory) {
            let removed = shared.files.remove(&path);
            self.used_is_gone();
            removed.map_err(|error| StorageError::io("remove", &path, error))?;
        }
        if let Some(path) = self.take_spare(&shared.directory) {
            let outcome =
                patiently(|| shared.files.open(&path)).and_then(|file| cut(shared, &*file));
            self.put_spare(true);
            outcome.map_err(|error| StorageError::io("truncate", &path, error))?;
        }
        Ok(())
    }

    fn put_spare(&self, is_ready: bool) {
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

    /// Runs the keeper thread until it is told to end.
    pub(crate) fn run(&self, shared: &Shared) -> Result<(), StorageError> {
        let mut maker = Maker { shared, half_made: None };
        loop {
            match self.wait() {
                Work::End => return Ok(()),
                Work::Seal(all) => {
                    self.seal_all(shared, all)?;
                    self.state.lock().is_sealing = false;
                    self.stocked.notify_all();
                }
                Work::TellOfRoom => shared.listener.room(true),
                Work::Shrink => self.shrink(shared)?,
                Work::MakeNext(with_spare) => {
                    let made = maker.next(with_spare)?;
                    self.stocked_up(shared, made.is_some(), |state| {
                        state.is_wanted &= made.is_none();
                        state.next = made;
                    });
                }
                Work::MakeSpare => {
                    let is_made = maker.spare()?;
                    let spare = if is_made { Spare::Ready } else { Spare::Missing };
                    self.stocked_up(shared, is_made, |state| state.spare = spare);
                }
            }
        }
    }

    /// What there is no room for is left for later.
    fn seal_all(&self, shared: &Shared, all: Vec<Sealing>) -> Result<(), StorageError> {
        let mut rest = all.into_iter();
        while let Some(one) = rest.next() {
            match seal(shared, &one) {
                Ok(()) => {}
                Err(Trouble::Failed(error)) => return Err(error),
                Err(Trouble::Full) => {
                    let mut state = self.state.lock();
                    // Or whoever opens the log seals them.
                    if !state.is_ended {
                        state.sealing.splice(0..0, [one].into_iter().chain(rest));
                        self.wake.wait_for(&mut state, RETRY_DELAY);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn wait(&self) -> Work {
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
            let has_next = state.next.is_some() || state.is_shrinking;
            let with_spare = state.is_wanted && state.spare == Spare::Ready;
            if !has_next && (is_due || with_spare || state.used == Spare::Ready) {
                return Work::MakeNext(with_spare);
            }
            if state.next.is_some() && state.spare == Spare::Missing && is_due {
                state.spare = Spare::InHand;
                return Work::MakeSpare;
            }
            if state.next.is_some() && state.spare == Spare::Ready && state.is_full {
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

    fn stocked_up(&self, shared: &Shared, is_made: bool, put: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let was_full = state.is_full;
        put(&mut state);
        let is_stocked = state.next.is_some() && state.spare == Spare::Ready;
        state.is_full = !is_made || (was_full && !is_stocked);
        let is_full = state.is_full;
        drop(state);
        self.stocked.notify_all();
        if is_full || was_full {
            shared.listener.room(!is_full);
        }
    }
}

/// Says in the manifest that a segment is complete.
fn seal(shared: &Shared, sealing: &Sealing) -> Result<(), Trouble> {
    let Sealing { file: open, sealed } = sealing;
    let OpenFile { segment, file } = &**open;
    let cut = file.truncate(u64::from(sealed.length));
    cut.map_err(|error| StorageError::io("truncate", &segment.path, error))?;
    shared.manifest.lock().add(&[Entry::Sealed(segment.name, *sealed)])?;
    shared.listener.sealed(segment.name.id, sealed.length);
    Ok(())
}

/// Bytes that a new segment takes up from the beginning.
fn room(shared: &Shared) -> u64 {
    let size = shared.settings.segment_size;
    u64::from((size / 16).clamp(ROOM_MIN, ROOM_MAX).min(size))
}

/// Makes a file no longer than a new one.
fn cut(shared: &Shared, file: &dyn LogFile) -> io::Result<()> {
    let room = room(shared);
    if file.size()? > room { file.truncate(room) } else { Ok(()) }
}

/// Makes files.
struct Maker<'a> {
    shared: &'a Shared,
    /// A file that there was no room for: to try again costs nothing.
    half_made: Option<Arc<dyn LogFile>>,
}

impl Maker<'_> {
    /// `None` if there is no room.
    fn next(&mut self, with_spare: bool) -> Result<Option<OpenFile>, StorageError> {
        let Shared { directory, stock, .. } = self.shared;
        if let Some(path) = stock.take_used(directory) {
            let made = self.next_of(&path, None);
            stock.used_is_gone();
            return made;
        }
        if let Some(file) = self.make()? {
            return self.next_of(&directory.join(MAKING), Some(file));
        }
        let spare = if with_spare { stock.take_spare(directory) } else { None };
        let Some(path) = spare else { return Ok(None) };
        let made = self.next_of(&path, None);
        stock.spare_is_gone();
        made
    }

    fn next_of(
        &self,
        path: &Path,
        file: Option<Arc<dyn LogFile>>,
    ) -> Result<Option<OpenFile>, StorageError> {
        let Shared { directory, files, stock, .. } = self.shared;
        let file = match file {
            Some(file) => file,
            None => {
                let opened = patiently(|| files.open(path));
                opened.map_err(|error| StorageError::io("open", path, error))?
            }
        };
        let name = SegmentName::hot(stock.new_id());
        let segment = match begin(self.shared, name, &*file) {
            Err(error) if files::is_full(&error) => {
                let removed = files.remove(path);
                removed.map_err(|error| StorageError::io("remove", path, error))?;
                return Ok(None);
            }
            begun => begun.map_err(|error| StorageError::io("write", path, error))?,
        };
        let renamed = files.rename(path, &segment.path);
        renamed.map_err(|error| StorageError::io("rename", path, error))?;
        let synced = patiently(|| files.sync_directory(directory));
        synced.map_err(|error| StorageError::io("sync", directory, error))?;
        match self.shared.manifest.lock().add(&[Entry::Made(name)]) {
            Ok(()) => Ok(Some(OpenFile { segment, file })),
            Err(Trouble::Failed(error)) => Err(error),
            Err(Trouble::Full) => {
                let removed = files.remove(&segment.path);
                removed.map_err(|error| StorageError::io("remove", &segment.path, error))?;
                Ok(None)
            }
        }
    }

    /// False if there is no room.
    fn spare(&mut self) -> Result<bool, StorageError> {
        if self.make()?.is_none() {
            return Ok(false);
        }
        let Shared { directory, files, .. } = self.shared;
        let path = directory.join(MAKING);
        let renamed = files.rename(&path, &directory.join(SPARE));
        renamed.map_err(|error| StorageError::io("rename", &path, error))?;
        Ok(true)
    }

    fn make(&mut self) -> Result<Option<Arc<dyn LogFile>>, StorageError> {
        let Shared { directory, files, .. } = self.shared;
        let path = directory.join(MAKING);
        let failed = |error| StorageError::io("create", &path, error);
        let file = match self.half_made.take() {
            Some(file) => file,
            None => match patiently(|| files.create_new(&path)) {
                Err(error) if files::is_full(&error) => return Ok(None),
                created => created.map_err(failed)?,
            },
        };
        match file.allocate(room(self.shared)) {
            Ok(()) => Ok(Some(file)),
            Err(error) if files::is_full(&error) => {
                self.half_made = Some(file);
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// Writes the header of a segment over whatever is in a file, and syncs it.
fn begin(shared: &Shared, name: SegmentName, file: &dyn LogFile) -> io::Result<Arc<Segment>> {
    let salt = rand::random();
    let (store, created_unix_ms) = (shared.settings.store, clock::unix_ms());
    let header = SegmentHeader { name, store, created_unix_ms, salt };
    let mut bytes = header.encode().to_vec();
    bytes.resize((HEADER_SIZE + GROUP_HEADER) as usize, 0);
    file.write_all_at(&bytes, 0)?;
    file.sync()?;
    Ok(Segment::new(name, &shared.directory, salt))
}
