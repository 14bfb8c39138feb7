//! The data directory: who may use it, which format it has, which store it is.
//!
//! `Store::open` comes here first. Nothing else in the directory is read or
//! written before the format is known to be ours and the lock is held.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::StorageError;

/// The newest format this version reads and the one it writes.
pub const FORMAT_VERSION: u32 = 1;

const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "leveret.lock";

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
        let store = match read_format(path)? {
            Some(store) => store,
            None => initialise(path)?,
        };
        Ok(Self { path: path.to_owned(), store, _lock: lock })
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
    match file.try_lock() {
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

fn owner(file: &mut File) -> String {
    let mut pid = String::new();
    match file.take(20).read_to_string(&mut pid) {
        Ok(_) if !pid.is_empty() && pid.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!(" (pid {pid})")
        }
        Ok(_) | Err(_) => String::new(),
    }
}

fn read_format(directory: &Path) -> Result<Option<StoreId>, StorageError> {
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
    let path = directory.join(FORMAT_FILE);
    refuse_foreign_content(directory, &path)?;
    let store = StoreId::random();
    let temporary = directory.join("FORMAT.tmp");
    let text = format!("# leveret data directory\nformat = {FORMAT_VERSION}\nstore = {store}\n");
    File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, &path))
        .map_err(|error| StorageError::io("write", &path, error))?;
    sync_directory(directory)?;
    Ok(store)
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
