//! A data directory from a backup: `leveret restore`.
//!
//! Called by `main`. Stays true: nothing is written into a directory that has something in it; what is
//! made of an archive that is not whole, or not sound, is not left behind under the directory's name.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use leveret_storage::messages::{Report, verify};
use leveret_storage::{StorageError, Store};
use sha2::{Digest, Sha256};
use tar::{Archive, Entry};

use super::archive::{ABOUT, About, FORMAT, Summed, hex};

/// Why nothing was restored. One line.
#[derive(Debug, thiserror::Error)]
pub enum NotRestored {
    /// The system refuses.
    #[error("cannot {0} {1}: {2}")]
    System(&'static str, PathBuf, io::Error),
    /// It is not what `leveret backup` writes.
    #[error("{0} is no backup of Leveret: {1}")]
    Foreign(PathBuf, String),
    /// Its end is missing.
    #[error("{0} is cut short: a backup ends with {ABOUT}, which is not there")]
    CutShort(PathBuf),
    /// There is something where it should go.
    #[error(
        "{0} is not empty: a backup is restored into a directory that is not there or is empty"
    )]
    Occupied(PathBuf),
    /// It was written by a later version.
    #[error("{0} has format {1}, this version reads up to {FORMAT}: use the version that made it")]
    Newer(PathBuf, u32),
    /// Its files are not what they were.
    #[error("{0} is damaged: its content does not match its checksum")]
    Changed(PathBuf),
    /// Messages in it are damaged.
    #[error("{0} is damaged:\n{1}")]
    Damaged(PathBuf, Box<Report>),
    /// What was in it cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// One line about the backup.
    pub about: String,
    /// Its messages.
    pub report: Report,
}

/// Makes a data directory of a backup; `told` hears how many bytes of the archive have been read. Blocks.
///
/// # Errors
/// See [`NotRestored`]; there is no directory then that was not there before.
pub fn restore(
    archive: &Path,
    directory: &Path,
    told: &mut dyn FnMut(u64),
) -> Result<Restored, NotRestored> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |error| NotRestored::System(action, path, error)
    };
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    assert_empty(directory)?;
    fs::create_dir_all(parent).map_err(failed("create", parent))?;
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let beside = parent.join(format!("{name}.restoring"));
    if beside.exists() {
        // Of one that was interrupted.
        fs::remove_dir_all(&beside).map_err(failed("remove", &beside))?;
    }
    fs::create_dir(&beside).map_err(failed("create", &beside))?;
    let restored = fill(archive, &beside, told).and_then(|about| {
        let report = settle(archive, &beside)?;
        // An empty directory gives way.
        fs::rename(&beside, directory).map_err(failed("create", directory))?;
        sync(parent).map_err(failed("sync", parent))?;
        let About { version, node, taken_at, .. } = about;
        let about = format!("backup of {node}, made by Leveret {version} at {taken_at}");
        Ok(Restored { about, report })
    });
    if restored.is_err() {
        // What matters is why. The next one removes what cannot be removed now.
        let _ = fs::remove_dir_all(&beside);
    }
    restored
}

fn assert_empty(directory: &Path) -> Result<(), NotRestored> {
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(NotRestored::Occupied(directory.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(NotRestored::System("read", directory.to_owned(), error)),
    }
}

/// Unpacks an archive into a directory.
fn fill(path: &Path, directory: &Path, told: &mut dyn FnMut(u64)) -> Result<About, NotRestored> {
    let unreadable = |error: io::Error| {
        let is_foreign =
            [io::ErrorKind::Other, io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput];
        if error.kind() == io::ErrorKind::UnexpectedEof {
            NotRestored::CutShort(path.to_owned())
        } else if is_foreign.contains(&error.kind()) {
            NotRestored::Foreign(path.to_owned(), error.to_string())
        } else {
            NotRestored::System("read", path.to_owned(), error)
        }
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut archive = Archive::new(Told { file, read: 0, told });
    let (mut about, mut sum) = (None, Sha256::new());
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let name = entry.path().map_err(unreadable)?.into_owned();
        if name == Path::new(ABOUT) {
            about = Some(read_about(path, &mut entry)?);
        } else {
            let to = within(directory, &name);
            let to = to
                .ok_or_else(|| NotRestored::Foreign(path.to_owned(), name.display().to_string()))?;
            unpack(&mut entry, &to, &mut sum).map_err(unreadable)?;
        }
    }
    let about: About = about.ok_or_else(|| NotRestored::CutShort(path.to_owned()))?;
    match about.sha256 == hex(&sum) {
        true => Ok(about),
        false => Err(NotRestored::Changed(path.to_owned())),
    }
}

fn read_about(path: &Path, entry: &mut impl Read) -> Result<About, NotRestored> {
    let about: About = serde_json::from_reader(entry.take(1 << 16))
        .map_err(|error| NotRestored::Foreign(path.to_owned(), error.to_string()))?;
    match about.format > FORMAT {
        true => Err(NotRestored::Newer(path.to_owned(), about.format)),
        false => Ok(about),
    }
}

/// Where a file of a data directory goes; `None` for what would be elsewhere.
fn within(directory: &Path, name: &Path) -> Option<PathBuf> {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    (name.components().all(is_plain) && name.components().count() <= 2)
        .then(|| directory.join(name))
}

fn unpack(entry: &mut Entry<'_, impl Read>, to: &Path, sum: &mut Sha256) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let expected = entry.size();
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(to)?;
    if io::copy(&mut Summed { file: entry, sum }, &mut file)? < expected {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.flush()?;
    file.sync_all()
}

/// Holds what was unpacked to what it should be, and makes the database of the definitions.
fn settle(archive: &Path, directory: &Path) -> Result<Report, NotRestored> {
    let report = verify(directory, &mut |_, _| {})?;
    if !report.is_sound() {
        return Err(NotRestored::Damaged(archive.to_owned(), Box::new(report)));
    }
    // Without the mark of an orderly end: what was handed out then may have been seen.
    drop(Store::open(directory)?);
    let synced = sync(directory);
    synced.map_err(|error| NotRestored::System("sync", directory.to_owned(), error))?;
    Ok(report)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A file that says how far it was read.
struct Told<'a> {
    file: File,
    read: u64,
    told: &'a mut dyn FnMut(u64),
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        (self.told)(self.read);
        Ok(count)
    }
}
