//! The spill's thread: writes what was put, and gives back the files of which everything is freed.
//!
//! Started by `Spill`. Stays true: what is being written is in memory, and so readable, until it is in
//! its file; while the disk is full nothing is lost, and it is tried again.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::content::encode;
use super::{Shared, SpillPlace};
use crate::StorageError;
use crate::messages::{Content, Health};
use crate::wal::{is_full, patiently};

/// Bytes that are written at once.
const GROUP_BYTES: usize = 4 << 20;

/// How often a full disk is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Files without content that are kept for what comes.
const SPARES: usize = 1;

/// What the thread is to do.
enum Work {
    Write(Vec<(SpillPlace, Content)>),
    Free(Vec<u32>),
    End,
}

impl Shared {
    /// Runs until the spill is closed or has failed.
    pub(super) fn run(&self) {
        if let Err(error) = self.work() {
            tracing::error!("{error}; paged messages are in danger, the process must end");
            self.state.lock().is_closed = true;
            self.progress.set_health(Health::Failed(error));
        }
    }

    fn work(&self) -> Result<(), StorageError> {
        let mut spares = Vec::new();
        loop {
            match self.wait() {
                Work::End => return Ok(()),
                Work::Free(segments) => {
                    segments.into_iter().try_for_each(|id| self.free_file(id, &mut spares))?;
                }
                Work::Write(contents) => match self.write(&contents, &mut spares) {
                    Ok(()) => {
                        let mut state = self.state.lock();
                        for (place, content) in &contents {
                            // It may have been freed meanwhile.
                            if state.pending.remove(place).is_some() {
                                self.progress.remove_pending(content.size());
                            }
                        }
                        drop(state);
                        self.progress.set_health(Health::Well);
                    }
                    Err(error) if is_full(&error) => self.be_full(),
                    Err(error) => {
                        return Err(StorageError::io("write to", &self.directory, error));
                    }
                },
            }
        }
    }

    fn be_full(&self) {
        if !self.progress.health().is_full() {
            let directory = self.directory.display();
            tracing::warn!("no room in {directory}; paged messages wait in memory until there is");
        }
        self.progress.set_health(Health::Full);
        let mut state = self.state.lock();
        if state.freed.is_empty() && !state.is_closed {
            self.wake.wait_for(&mut state, RETRY_DELAY);
        }
    }

    fn wait(&self) -> Work {
        let mut state = self.state.lock();
        loop {
            if state.is_closed {
                return Work::End;
            }
            if !state.freed.is_empty() {
                return Work::Free(std::mem::take(&mut state.freed));
            }
            if let Some((first, _)) = state.pending.first_key_value() {
                let segment = first.segment;
                let mut bytes = 0;
                // What follows each other in one file.
                let group = state.pending.iter().take_while(|(place, _)| {
                    let fits = bytes < GROUP_BYTES && place.segment == segment;
                    bytes += place.length as usize;
                    fits
                });
                return Work::Write(group.map(|(place, one)| (*place, one.clone())).collect());
            }
            self.wake.wait(&mut state);
        }
    }

    fn write(
        &self,
        contents: &[(SpillPlace, Content)],
        spares: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let Some((first, _)) = contents.first() else { return Ok(()) };
        let path = self.path(first.segment);
        let file = match patiently(|| self.files.open(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match spares.pop() {
                Some(spare) => {
                    self.files.rename(&spare, &path)?;
                    patiently(|| self.files.open(&path))?
                }
                None => patiently(|| self.files.create_new(&path))?,
            },
            opened => opened?,
        };
        let mut bytes = Vec::new();
        let mut start = first.offset;
        for (place, content) in contents {
            // Something between them was freed before it was written.
            if start as usize + bytes.len() != place.offset as usize {
                file.write_all_at(&bytes, u64::from(start))?;
                bytes.clear();
                start = place.offset;
            }
            encode(*place, content, &mut bytes);
        }
        file.write_all_at(&bytes, u64::from(start))?;
        let written: u64 = contents.iter().map(|(place, _)| u64::from(place.length)).sum();
        self.state.lock().statistics.written_bytes += written;
        Ok(())
    }

    fn free_file(&self, id: u32, spares: &mut Vec<PathBuf>) -> Result<(), StorageError> {
        self.handles.close(id);
        let path = self.path(id);
        let spare = self.directory.join(format!("spill-spare-{}", spares.len()));
        let freed = match spares.len() < SPARES {
            true => self.files.rename(&path, &spare).map(|()| spares.push(spare)),
            false => self.files.remove(&path),
        };
        match freed {
            // Nothing of it was ever written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            freed => freed.map_err(|error| StorageError::io("remove", &path, error)),
        }
    }
}
