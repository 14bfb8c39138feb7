//! How far the reading of a whole log has come, for whoever waits for it.
//!
//! Made by `verify`, around what understands the records. Stays true: what is read is what was read without it.

use std::path::Path;
use std::sync::Arc;

use super::rebuild::Rebuild;
use crate::wal::{Flaw, Record, Segment, Visitor};

/// It is told again after so many bytes.
const STEP: u64 = 1024 * 1024;

/// Is told how many bytes are read, and of how many.
pub type Told<'a> = &'a mut dyn FnMut(u64, u64);

/// See the module documentation.
pub(super) struct Following<'a> {
    rebuild: Rebuild<'a>,
    told: Told<'a>,
    done: u64,
    /// What `done` was when it was told.
    last: u64,
    all: u64,
}

impl<'a> Following<'a> {
    /// Of the log in this folder.
    pub(super) fn new(log: &Path, told: Told<'a>) -> Self {
        Self { rebuild: Rebuild::new(None), told, done: 0, last: 0, all: size(log) }
    }

    /// What came of it.
    pub(super) fn into_rebuilt(self) -> Rebuild<'a> {
        self.rebuild
    }
}

/// The bytes of all files of a folder. What cannot be read is told by whoever reads it.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

impl Visitor for Following<'_> {
    fn record(&mut self, segment: &Arc<Segment>, record: &Record<'_>) -> Result<(), Flaw> {
        self.done += u64::from(record.place.length);
        if self.done - self.last >= STEP {
            self.last = self.done;
            (self.told)(self.done, self.all);
        }
        self.rebuild.record(segment, record)
    }

    fn footer(&mut self) -> Vec<u8> {
        self.rebuild.footer()
    }

    fn sealed(&mut self, segment: &Arc<Segment>, footer: &[u8]) -> Result<(), Flaw> {
        self.rebuild.sealed(segment, footer)
    }
}
