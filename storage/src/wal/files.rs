//! What a log asks of a file system, and the real one.
//!
//! Everything a log does to disk goes through [`Files`], so that tests can make any operation fail
//! or forget what was not synced. Called by every thread of the log.
//!
//! Stays true: nothing here retries a sync, and nothing hides an error; a write may be short, and
//! [`LogFile::write_all_at`] goes on with it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use rustix::io::Errno;

/// One file of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Its name; one that is not UTF-8 is none of ours and is left out.
    pub(crate) name: String,
    /// Its length in bytes.
    pub(crate) size: u64,
}

/// An open file. Closed when the last handle goes.
pub(crate) trait LogFile: fmt::Debug + Send + Sync {
    /// Reads some bytes at an offset; 0 at the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the bytes at an offset and says how many.
    ///
    /// # Errors
    /// The system's; nothing of it is on disk then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Returns when the file's content and length survive a power failure.
    ///
    /// # Errors
    /// The system's. What was written since the last success may be lost whatever a later sync
    /// says, so it must not be tried again.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    /// The system's.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn size(&self) -> io::Result<u64>;

    /// Takes up real room for so many bytes from the beginning, which read as zeros where nothing was
    /// written. Nothing that is there is changed.
    ///
    /// # Errors
    /// The system's; some of the room may have been taken.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// What was read is not needed again soon: it need not push other things out of memory.
    fn forget_cached(&self) {}

    /// Reads until the buffer is full or the file ends; says how much there was.
    ///
    /// # Errors
    /// The system's.
    fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Writes all of the bytes, going on after short writes.
    ///
    /// # Errors
    /// The system's; some of the bytes may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write_at(rest, offset + done as u64) {
                Ok(0) => {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Appends zeros until the file has so many bytes.
pub(crate) fn write_zeros(file: &dyn LogFile, bytes: u64) -> io::Result<()> {
    const PIECE: usize = 1 << 16;
    let zeros = vec![0; PIECE];
    let mut offset = file.size()?;
    while offset < bytes {
        let piece = usize::try_from(bytes - offset).map_or(PIECE, |left| left.min(PIECE));
        file.write_all_at(zeros.get(..piece).unwrap_or_default(), offset)?;
        offset += piece as u64;
    }
    Ok(())
}

/// Whether an operation failed for want of room: no space, a quota, or a file size limit.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// How long to wait for a file descriptor to become free.
const DESCRIPTOR_DELAY: Duration = Duration::from_millis(20);

/// Does what needs a file descriptor. While the process or the machine has none left it waits and
/// tries again: connections come and go, and no message is lost by that. For threads that may wait.
///
/// # Errors
/// The system's, but for the want of descriptors.
pub(crate) fn patiently<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut is_told = false;
    loop {
        match open() {
            Err(error) if is_out_of_descriptors(&error) => {
                if !is_told {
                    tracing::warn!("{error}: the message log waits for a file descriptor");
                    is_told = true;
                }
                thread::sleep(DESCRIPTOR_DELAY);
            }
            outcome => return outcome,
        }
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let reason = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(reason, Some(Errno::MFILE | Errno::NFILE))
}

/// A file system.
pub(crate) trait Files: fmt::Debug + Send + Sync {
    /// Makes a directory and those above it; one that is there is no error.
    ///
    /// # Errors
    /// The system's.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes a file that must not be there yet and opens it for reading and writing.
    ///
    /// # Errors
    /// The system's.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;

    /// Opens a file for reading alone.
    ///
    /// # Errors
    /// The system's.
    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;

    /// The files of a directory, ascending by name.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>>;

    /// Gives a file another name, in place of whatever had it.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Whether a file has another name beside this one: somebody keeps it as it is.
    ///
    /// # Errors
    /// The system's.
    fn is_kept(&self, path: &Path) -> io::Result<bool> {
        Ok(fs::metadata(path)?.nlink() > 1)
    }

    /// Returns when new names, renames and removals in a directory survive a power failure.
    ///
    /// # Errors
    /// The system's; as with [`LogFile::sync`], not to be tried again.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RealFiles;

impl LogFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match fallocate(self, FallocateFlags::empty(), 0, bytes) {
            // Not every file system can do it without writing.
            Err(Errno::OPNOTSUPP) => write_zeros(self, bytes),
            outcome => outcome.map_err(io::Error::from),
        }
    }

    fn forget_cached(&self) {
        // Advice: whether it is taken makes no difference to what is read.
        let _refused = fadvise(self, 0, None, Advice::DontNeed);
    }
}

impl Files for RealFiles {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(File::open(path)?))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && entry.file_type()?.is_file()
            {
                match entry.metadata() {
                    Ok(metadata) => entries.push(Entry { name, size: metadata.len() }),
                    // It went, or got another name, since the directory was read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_read_cut_renamed_listed_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("a"), directory.path().join("b"));
        let file = RealFiles.create_new(&first).unwrap();
        file.write_all_at(b"hello", 3).unwrap();
        file.sync().unwrap();
        file.truncate(6).unwrap();
        RealFiles.rename(&first, &second).unwrap();
        RealFiles.sync_directory(directory.path()).unwrap();
        let mut read = [1; 10];
        assert_eq!(file.read_full_at(&mut read, 0).unwrap(), 6);
        assert_eq!(&read[..6], b"\0\0\0hel");
        let entry = Entry { name: "b".to_owned(), size: 6 };
        assert_eq!(RealFiles.list(directory.path()).unwrap(), [entry]);
        assert!(RealFiles.create_new(&second).is_err());
        RealFiles.remove(&second).unwrap();
        assert!(RealFiles.open(&second).is_err());
    }

    #[test]
    fn room_is_taken_and_what_is_there_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("room");
        let file = RealFiles.create_new(&path).unwrap();
        file.write_all_at(b"there", 0).unwrap();
        file.allocate(100_000).unwrap();
        write_zeros(&*file, 200_000).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!((bytes.len(), &bytes[..6]), (200_000, &b"there\0"[..]));
    }

    #[test]
    fn without_a_descriptor_it_waits() {
        let mut left = 3;
        let opened = patiently(|| {
            left -= 1;
            if left > 0 { Err(io::Error::from_raw_os_error(24)) } else { Ok(left) }
        });
        assert_eq!(opened.unwrap(), 0);
        assert!(patiently(|| Err::<(), _>(io::ErrorKind::NotFound.into())).is_err());
    }
}
