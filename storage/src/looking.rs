//! A data directory seen from outside: which format it has and what is kept in it how.
//!
//! `leveret upgrade check` asks. Stays true: nothing is written, not even a lock file, and a directory
//! that this version would refuse is refused with the same words.

use std::fs;
use std::path::Path;

use crate::directory::{CLOSED_FILE, Inspection};
use crate::messages::{LOG_DIRECTORY, Log, SledMessages};
use crate::{FORMAT_VERSION, StorageError, StoreId};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Which store it is.
    pub store: StoreId,
    /// The format that it says.
    pub format: u32,
    /// Whether the last process came to its end in order.
    pub was_closed: bool,
    /// Files of the message log, if there is one.
    pub log_files: Option<usize>,
    /// Whether messages are kept in sled.
    pub has_sled_messages: bool,
}

/// Looks at a directory that no process has.
///
/// # Errors
/// It is none of ours, is in use, was written by a version whose formats are not read here, or the
/// system refuses to read it.
pub fn look(directory: &Path) -> Result<Looked, StorageError> {
    let inspection = Inspection::begin(directory)?;
    let log = directory.join(LOG_DIRECTORY);
    Log::check(&log, &inspection.store)?;
    let log_files = match log.is_dir() {
        true => {
            let entries =
                fs::read_dir(&log).map_err(|error| StorageError::io("list", &log, error))?;
            Some(entries.flatten().filter(|entry| entry.path().is_file()).count())
        }
        false => None,
    };
    Ok(Looked {
        store: inspection.store,
        // A newer one was refused, and there is no older one.
        format: FORMAT_VERSION,
        was_closed: directory.join(CLOSED_FILE).exists(),
        log_files,
        has_sled_messages: directory.join(SledMessages::DATABASE).exists(),
    })
}
