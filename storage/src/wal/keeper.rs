//! The keeper: the thread that makes the segments and files of the `stock`, and seals what was
//! written to the end.
//!
//! Started by `wal`; compaction asks it to take emptied files. Stays true: nothing is made or sealed
//! with a lock held but the manifest's.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::files::{self, LogFile, patiently};
use super::group::GROUP_HEADER;
use super::manifest::Entry;
use super::open_file::{OpenFile, Sealing};
use super::segment::{HEADER_SIZE, Segment, SegmentHeader, SegmentName};
use super::shared::Shared;
use super::stock::{MAKING, RETRY_DELAY, SPARE, Spare, State, Stock, USED, Work};
use super::trouble::Trouble;
use crate::{StorageError, clock};

/// The most room that a new segment has from the beginning, and the least; of a segment of the usual
/// size it is a sixteenth.
const ROOM_MAX: u32 = 4 << 20;
const ROOM_MIN: u32 = 16 << 10;

impl Stock {
    /// Gives a file that is not needed any more to the stock, or removes it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn recycle(&self, path: &Path, shared: &Shared) -> io::Result<()> {
        // What a backup still reads is left to it.
        let is_kept = shared.files.is_kept(path)?;
        let mut state = self.state.lock();
        let is_short = state.is_tight || state.is_full;
        let is_of_use = !is_kept && !state.is_ended;
        let becomes_spare = state.spare == Spare::Missing && is_of_use;
        let becomes_used = state.used == Spare::Missing && !is_short && is_of_use;
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

    /// Makes the next segments and the spare file no longer than new ones.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn shrink(&self, shared: &Shared) -> Result<(), StorageError> {
        // Out of everyone's hands meanwhile; who wants it waits.
        let mut state = self.state.lock();
        if state.is_shrinking {
            return Ok(());
        }
        state.is_shrinking = true;
        let mut next = std::mem::take(&mut state.next);
        drop(state);
        let outcome = next.iter().try_for_each(|next| {
            let outcome = cut(shared, &*next.file);
            outcome.map_err(|error| StorageError::io("truncate", &next.segment.path, error))
        });
        let mut state = self.state.lock();
        // Before what was made meanwhile.
        next.append(&mut state.next);
        state.next = next;
        state.is_shrinking = false;
        drop(state);
        self.wake.notify_one();
        self.stocked.notify_all();
        outcome?;
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
                        state.next.extend(made);
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

    fn stocked_up(&self, shared: &Shared, is_made: bool, put: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let was_full = state.is_full;
        put(&mut state);
        state.is_full = !is_made || (was_full && !state.is_stocked());
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
pub(super) fn room(shared: &Shared) -> u64 {
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
