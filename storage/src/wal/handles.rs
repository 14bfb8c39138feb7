//! The files that segments are read from: a few stay open, the others are opened when they are read.
//!
//! Asked by every reader. Stays true: no more than [`OPEN_MAX`] are kept; no lock is held while a file
//! is opened or read.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::files::{Files, LogFile, patiently};

/// Enough for those who read a few long queues; a process has 1024 descriptors or more.
pub(crate) const OPEN_MAX: usize = 64;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    /// The one used last at the end.
    open: Mutex<Vec<(u32, Arc<dyn LogFile>)>>,
}

impl Handles {
    /// The file with this number. Waits while there is no file descriptor.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn get(
        &self,
        id: u32,
        path: &Path,
        files: &dyn Files,
    ) -> io::Result<Arc<dyn LogFile>> {
        let mut open = self.open.lock();
        if let Some(at) = open.iter().rposition(|(open, _)| *open == id) {
            let handle = open.remove(at);
            let file = Arc::clone(&handle.1);
            open.push(handle);
            return Ok(file);
        }
        drop(open);
        let file = patiently(|| files.open_to_read(path))?;
        let mut open = self.open.lock();
        if open.len() >= OPEN_MAX {
            open.remove(0);
        }
        open.push((id, Arc::clone(&file)));
        Ok(file)
    }

    /// The file is gone, or another one has its number.
    pub(crate) fn close(&self, id: u32) {
        self.open.lock().retain(|(open, _)| *open != id);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.open.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::{Fault, FaultyFiles, Operation};
    use super::*;

    fn paths(files: &FaultyFiles, directory: &Path) -> Vec<std::path::PathBuf> {
        let path = |id: u32| {
            let path = directory.join(id.to_string());
            let file = files.create_new(&path).unwrap();
            file.write_all_at(&id.to_le_bytes(), 0).unwrap();
            path
        };
        (0..100).map(path).collect()
    }

    #[test]
    fn those_used_last_stay_open_and_all_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let files = FaultyFiles::new(directory.path());
        let paths = paths(&files, directory.path());
        let handles = Handles::default();
        for id in (0..100).chain(50..100) {
            let mut bytes = [0; 4];
            let file = handles.get(id, &paths[id as usize], &files).unwrap();
            file.read_full_at(&mut bytes, 0).unwrap();
            assert_eq!(u32::from_le_bytes(bytes), id);
        }
        assert_eq!((handles.len(), files.count(Operation::Open)), (OPEN_MAX, 100));
        handles.close(99);
        files.remove(&paths[99]).unwrap();
        assert!(handles.get(99, &paths[99], &files).is_err());
    }

    #[test]
    fn without_a_descriptor_a_reader_waits() {
        let directory = tempfile::tempdir().unwrap();
        let files = FaultyFiles::new(directory.path());
        let paths = paths(&files, directory.path());
        files.plan(Operation::Open, 0, Fault::System(24));
        Handles::default().get(0, &paths[0], &files).unwrap();
        assert!(files.has_struck());
    }
}
