//! Room on the disk for definitions, so that a full disk refuses changes and breaks nothing.
//!
//! The database cannot go on after a write that failed, so new definitions are refused while there
//! is less room than a group of them may take; and a file keeps some room back for what must go on
//! even then: deletions, and the few writes of a start. Stays true: whoever is refused has changed
//! nothing; the reserve is taken back up whenever there is room for it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// New definitions are refused when there is less: a group of thousands, the database's own
/// housekeeping and an export fit.
const NEW_MIN: u64 = 8 << 20;
/// With less than this the reserve is given up: a few changes and a start fit.
const LEAST: u64 = 2 << 20;
/// How much is kept back.
const RESERVE: u64 = 4 << 20;
const RESERVE_FILE: &str = "definitions.reserve";

/// The room of one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    directory: PathBuf,
}

impl Room {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Whether there is room for new definitions. A disk that cannot be asked is taken to have some.
    pub(crate) fn is_there(&self) -> bool {
        self.available().is_none_or(|available| available >= NEW_MIN)
    }

    /// Gives the reserve up if there is too little for what must be written.
    pub(crate) fn make(&self) {
        if self.available().is_some_and(|available| available < LEAST) {
            match fs::remove_file(self.file()) {
                Ok(()) => tracing::warn!("the disk is full: definitions use what was kept back"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!("what was kept back cannot be used: {error}"),
            }
        }
    }

    /// Keeps room back, if there is enough and none is kept yet. Not to be had is no error.
    pub(crate) fn keep(&self) {
        let enough = self.available().is_some_and(|available| available >= NEW_MIN + RESERVE);
        if enough
            && !self.file().exists()
            && let Err(error) = self.reserve()
        {
            tracing::info!("no room is kept back for definitions: {error}");
            drop(fs::remove_file(self.file()));
        }
    }

    fn reserve(&self) -> io::Result<()> {
        let file = File::create(self.file())?;
        fallocate(&file, FallocateFlags::empty(), 0, RESERVE)?;
        Ok(())
    }

    fn available(&self) -> Option<u64> {
        let disk = statvfs(&self.directory).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn file(&self) -> PathBuf {
        self.directory.join(RESERVE_FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_back_and_only_given_up_when_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let room = Room::new(directory.path());
        // Whether there is enough here is the machine's affair.
        room.keep();
        let kept = room.file().exists();
        assert_eq!(kept, room.available().unwrap() >= NEW_MIN + RESERVE || kept);
        room.make();
        assert_eq!(room.file().exists(), kept, "there is more than the least");
    }
}
