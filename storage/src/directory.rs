//! The data directory: who may use it, which format it has, which store it is.
//!
//! `Store::open` comes here first. Nothing else in the directory is read or
//! written before the format is known to be ours and the lock is held.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{StorageError, clock};

/// The newest format this version reads and the one it writes.
pub const FORMAT_VERSION: u32 = 1;

const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "leveret.lock";
pub(crate) const CLOSED_FILE: &str = "closed";
/// How long to wait for a process that is about to be gone.
const LOCK_PATIENCE: Duration = Duration::from_millis(1000);
/// How long between two looks.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// Tells one store from another: files that carry another store's id were put
/// there by mistake. Random, made once when the directory is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreId([u8; 16]);

impl StoreId {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// The id as files carry it.
    #[must_use]
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }

    fn parse(hex: &str) -> Option<Self> {
        if hex.len() != 32 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(hex, 16).ok().map(|id| Self(id.to_be_bytes()))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A data directory that belongs to this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    pub(crate) path: PathBuf,
    pub(crate) store: StoreId,
    /// Nobody had it before, or whoever did closed it.
    pub(crate) was_closed: bool,
    /// The operating system releases the lock when this is closed, even by a crash.
    _lock: File,
}

impl DataDirectory {
    /// Creates the directory if need be, checks the format, takes the lock.
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        // Before the lock, which writes a file: a newer version's directory is
        // left exactly as it is.
        read_format(path)?;
        fs::create_dir_all(path).map_err(|error| StorageError::io("create", path, error))?;
        let lock = lock(path)?;
        let found = read_format(path)?;
        let is_new = found.is_none();
        let store = match found {
            Some(store) => store,
            None => initialise(path)?,
        };
        Ok(Self { path: path.to_owned(), store, was_closed: is_new, _lock: lock })
    }

    /// Takes away the mark of an orderly end, and remembers it: from now on only another one
    /// counts.
    pub(crate) fn take_closed_mark(&mut self) -> Result<(), StorageError> {
        let mark = self.path.join(CLOSED_FILE);
        match fs::remove_file(&mark) {
            Ok(()) => self.was_closed = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StorageError::io("remove", &mark, error)),
        }
        sync_directory(&self.path)
    }

    /// Tells the next process that everything came to its end in order.
    pub(crate) fn mark_closed(&self) -> Result<(), StorageError> {
        let mark = self.path.join(CLOSED_FILE);
        File::create(&mark).map_err(|error| StorageError::io("create", &mark, error))?;
        sync_directory(&self.path)
    }
}

/// A data directory that is looked at: no process may write to it meanwhile, and nothing is written.
#[derive(Debug)]
pub(crate) struct Inspection {
    pub(crate) store: StoreId,
    /// There is none in a directory that no process has served from since it was copied.
    _lock: Option<File>,
}

impl Inspection {
    /// Checks that it is a data directory of ours which no process holds.
    pub(crate) fn begin(path: &Path) -> Result<Self, StorageError> {
        let format = path.join(FORMAT_FILE);
        let store = read_format(path)?.ok_or_else(|| {
            StorageError::io("read", &format, io::Error::from(io::ErrorKind::NotFound))
        })?;
        let lock = match File::open(path.join(LOCK_FILE)) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StorageError::io("open", &path.join(LOCK_FILE), error)),
        };
        let Some(mut lock) = lock else { return Ok(Self { store, _lock: None }) };
        match lock.try_lock_shared() {
            Ok(()) => Ok(Self { store, _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => {
                Err(StorageError::Locked { path: path.to_owned(), owner: owner(&mut lock) })
            }
            Err(TryLockError::Error(error)) => {
                Err(StorageError::io("lock", &path.join(LOCK_FILE), error))
            }
        }
    }
}

/// Makes renames and new files in the directory survive a power failure.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StorageError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| StorageError::io("sync", path, error))
}

fn lock(directory: &Path) -> Result<File, StorageError> {
    let path = directory.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| StorageError::io("open", &path, error))?;
    match lock_within(&file, LOCK_PATIENCE) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StorageError::Locked {
                path: directory.to_owned(),
                owner: owner(&mut file),
            });
        }
        Err(TryLockError::Error(error)) => return Err(StorageError::io("lock", &path, error)),
    }
    // Only for the error message of whoever comes second.
    file.set_len(0)
        .and_then(|()| write!(file, "{}", std::process::id()))
        .map_err(|error| StorageError::io("write", &path, error))?;
    Ok(file)
}

/// A process that was killed holds its lock until the system has cleared it away.
fn lock_within(file: &File, patience: Duration) -> Result<(), TryLockError> {
    let deadline = clock::now() + patience;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if clock::now() < deadline => {
                std::thread::sleep(LOCK_RETRY);
            }
            outcome => return outcome,
        }
    }
}

fn owner(file: &mut File) -> String {
    let mut pid = String::new();
    match file.take(20).read_to_string(&mut pid) {
        Ok(_) if !pid.is_empty() && pid.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!(" (pid {pid})")
        }
        Ok(_) | Err(_) => String::new(),
    }
}

pub(crate) fn read_format(directory: &Path) -> Result<Option<StoreId>, StorageError> {
    let path = directory.join(FORMAT_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::io("read", &path, error)),
    };
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    let damaged = |detail: &str| StorageError::Damaged {
        path: path.clone(),
        detail: format!("{detail}; put it back from a backup of this data directory"),
    };
    let found: u32 = field("format")
        .and_then(|version| version.parse().ok())
        .ok_or_else(|| damaged("no line 'format = <number>'"))?;
    if found > FORMAT_VERSION {
        return Err(StorageError::NewerFormat { path, found, known: FORMAT_VERSION });
    }
    field("store")
        .and_then(|id| StoreId::parse(&id))
        .map(Some)
        .ok_or_else(|| damaged("no line 'store = <32 hex digits>'"))
}

/// Makes a new store of an empty directory.
fn initialise(directory: &Path) -> Result<StoreId, StorageError> {
    refuse_foreign_content(directory, &directory.join(FORMAT_FILE))?;
    let store = StoreId::random();
    write_format(directory, &store)?;
    Ok(store)
}

/// Says of a directory which format it has and which store it is.
pub(crate) fn write_format(directory: &Path, store: &StoreId) -> Result<(), StorageError> {
    let path = directory.join(FORMAT_FILE);
    let temporary = directory.join("FORMAT.tmp");
    let text = format!("# leveret data directory\nformat = {FORMAT_VERSION}\nstore = {store}\n");
    File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, &path))
        .map_err(|error| StorageError::io("write", &path, error))?;
    sync_directory(directory)
}

/// Definitions without a `FORMAT` file have lost it; starting anew over them
/// would set them aside as another store's.
fn refuse_foreign_content(directory: &Path, format: &Path) -> Result<(), StorageError> {
    let entries =
        fs::read_dir(directory).map_err(|error| StorageError::io("list", directory, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| StorageError::io("list", directory, error))?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("definitions.") {
            return Err(StorageError::Damaged {
                path: format.to_owned(),
                detail: format!(
                    "missing beside {}; put it back from a backup of this data directory",
                    name.to_string_lossy()
                ),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(directory)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_identity_stays_across_opens() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(directory.path()).unwrap().store;
        let again = DataDirectory::open(directory.path()).unwrap().store;
        assert_eq!(first, again);
        assert_eq!(StoreId::parse(&first.to_string()), Some(first));
    }

    #[test]
    fn an_orderly_end_is_remembered_once() {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            let mut opened = DataDirectory::open(directory.path()).unwrap();
            opened.take_closed_mark().unwrap();
            opened
        };
        assert!(open().was_closed, "a new directory");
        let second = open();
        assert!(!second.was_closed, "dropped without a word");
        second.mark_closed().unwrap();
        drop(second);
        assert!(open().was_closed);
        assert!(!open().was_closed);
    }

    #[test]
    fn a_second_holder_is_told_who_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let held = DataDirectory::open(directory.path()).unwrap();
        let refused = DataDirectory::open(directory.path()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "data directory {} is in use by another process (pid {})",
                directory.path().display(),
                std::process::id()
            )
        );
        drop(held);
        DataDirectory::open(directory.path()).unwrap();
    }

    #[test]
    fn a_holder_that_is_about_to_be_gone_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let held = DataDirectory::open(directory.path()).unwrap();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| DataDirectory::open(directory.path()).map(drop));
            drop(held);
            next.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_newer_format_is_refused_and_untouched() {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("format = {}\nlayout = something unknown\n", FORMAT_VERSION + 1);
        fs::write(directory.path().join(FORMAT_FILE), text).unwrap();
        let before = files(directory.path());
        let refused = DataDirectory::open(directory.path()).unwrap_err();
        assert!(matches!(refused, StorageError::NewerFormat { found: 2, known: 1, .. }));
        assert_eq!(files(directory.path()), before);
    }

    #[test]
    fn a_torn_format_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FORMAT_FILE), "format = 1\nstore = 12").unwrap();
        let refused = DataDirectory::open(directory.path()).unwrap_err().to_string();
        assert!(refused.contains("FORMAT") && refused.contains("store ="), "{refused}");
    }

    #[test]
    fn definitions_without_a_format_file_are_not_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("definitions.sled")).unwrap();
        let refused = DataDirectory::open(directory.path()).unwrap_err().to_string();
        assert!(refused.contains("missing beside definitions.sled"), "{refused}");
    }
}
