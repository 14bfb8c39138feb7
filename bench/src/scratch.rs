//! A directory for what one measurement writes; it goes with everything in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a new one below `parent`.
    ///
    /// # Errors
    /// When `parent` is no directory that can be written to.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        let directory = parent.join(format!("leveret-bench-{:08x}", rand::random::<u32>()));
        fs::create_dir(&directory)?;
        Ok(Self(directory))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing more can be done for files that will not go.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}
