//! The checksummed export beside the database: three generations of a file that
//! holds all definitions, from which a broken database is rebuilt.
//!
//! The writer thread saves it after changes and at close. It is always saved
//! after the database was flushed, so a database that is older than a valid
//! export has lost something. All integers are little-endian:
//!
//! ```text
//! "LVTDEFS\n" | version u32 | crc32c u32 of everything that follows |
//! store id 16 bytes | applied index u64 | written at u64 (unix seconds) | entries u64 |
//! entries x ( collection u8 | name length u32 | name | value length u32 | value )
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::published::{Image, Snapshot};
use super::{AppliedIndex, Collection, Key};
use crate::StorageError;
use crate::directory::{StoreId, read_format, sync_directory};

const MAGIC: &[u8; 8] = b"LVTDEFS\n";
const VERSION: u32 = 1;

/// Newest first. Rotation moves each to the next name.
const GENERATIONS: [&str; 3] =
    ["definitions.export", "definitions.export.1", "definitions.export.2"];
const TEMPORARY: &str = "definitions.export.tmp";

/// The definitions as one export file held them.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) path: PathBuf,
    pub(crate) written_at: SystemTime,
    pub(crate) image: Image,
}

/// What the export files say, good and bad.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The valid export with the highest index.
    pub(crate) newest: Option<Export>,
    /// One sentence a file that is missing or invalid.
    pub(crate) rejected: Vec<String>,
    /// Whether there is any export file at all.
    pub(crate) any_file: bool,
}

/// Where the newest export is.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("definitions.export")
}

/// Writes a new generation: temporary file, fsync, rename, fsync of the directory.
/// A crash between the renames leaves at least one valid generation.
pub(crate) fn save(directory: &Path, store: &StoreId, image: &Image) -> Result<(), StorageError> {
    let temporary = directory.join(TEMPORARY);
    write_synced(&temporary, &encode(store, image)?)
        .map_err(|error| StorageError::io("write", &temporary, error))?;
    for pair in GENERATIONS.windows(2).rev() {
        if let [newer, older] = pair {
            rename_if_present(&directory.join(newer), &directory.join(older))?;
        }
    }
    let newest = path(directory);
    fs::rename(&temporary, &newest).map_err(|error| StorageError::io("create", &newest, error))?;
    sync_directory(directory)
}

/// Reads every generation.
pub(crate) fn survey(directory: &Path, store: &StoreId) -> Survey {
    let mut survey = Survey { newest: None, rejected: Vec::new(), any_file: false };
    for name in GENERATIONS {
        let path = directory.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                survey.any_file |= error.kind() != io::ErrorKind::NotFound;
                survey.rejected.push(format!("{name}: {error}"));
                continue;
            }
        };
        survey.any_file = true;
        match decode(&bytes, store) {
            Ok((written_at, image)) => {
                let newer =
                    survey.newest.as_ref().is_none_or(|best| image.index > best.image.index);
                if newer {
                    survey.newest = Some(Export { path, written_at, image });
                }
            }
            Err(detail) => survey.rejected.push(format!("{name}: {detail}")),
        }
    }
    survey
}

/// The definitions as the newest export of a data directory has them, whoever has it open: they may be
/// behind what a running broker knows.
///
/// # Errors
/// There is no data directory, or no export that can be read.
pub fn exported(directory: &Path) -> Result<Snapshot, StorageError> {
    let nothing = |detail: String| StorageError::Damaged { path: path(directory), detail };
    let store = read_format(directory)?;
    let store = store.ok_or_else(|| nothing("there is no data directory there".to_owned()))?;
    let Survey { newest, rejected, .. } = survey(directory, &store);
    let newest = newest.ok_or_else(|| nothing(rejected.join("; ")))?;
    Ok(Snapshot::new(Arc::new(newest.image)))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn rename_if_present(from: &Path, to: &Path) -> Result<(), StorageError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::io("rename", from, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn encode(store: &StoreId, image: &Image) -> Result<Vec<u8>, StorageError> {
    let mut body = Vec::with_capacity(64 + image.entries.len() * 128);
    body.extend_from_slice(&store.bytes());
    body.extend_from_slice(&image.index.0.to_le_bytes());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    body.extend_from_slice(&now.to_le_bytes());
    body.extend_from_slice(&(image.entries.len() as u64).to_le_bytes());
    for (key, value) in &image.entries {
        body.push(key.collection.tag());
        for part in [key.name.as_slice(), value] {
            let length = u32::try_from(part.len()).map_err(|_| StorageError::Damaged {
                path: GENERATIONS[0].into(),
                detail: format!("{key} is longer than 4 GiB"),
            })?;
            body.extend_from_slice(&length.to_le_bytes());
            body.extend_from_slice(part);
        }
    }
    let mut bytes = Vec::with_capacity(body.len() + 16);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    bytes.append(&mut body);
    Ok(bytes)
}

fn decode(bytes: &[u8], store: &StoreId) -> Result<(SystemTime, Image), String> {
    let mut header = Reader(bytes);
    if header.take(MAGIC.len())? != MAGIC {
        return Err("is not an export".to_owned());
    }
    let version = header.u32()?;
    if version != VERSION {
        return Err(format!("has version {version}, expected {VERSION}"));
    }
    let checksum = header.u32()?;
    let mut body = header;
    if crc32c::crc32c(body.0) != checksum {
        return Err("does not match its checksum".to_owned());
    }
    if body.take(16)? != store.bytes() {
        return Err("belongs to another data directory".to_owned());
    }
    let mut image = Image { index: AppliedIndex(body.u64()?), ..Image::default() };
    let written_at =
        UNIX_EPOCH.checked_add(std::time::Duration::from_secs(body.u64()?)).unwrap_or(UNIX_EPOCH);
    for _ in 0..body.u64()? {
        let tag = body.u8()?;
        let collection =
            Collection::from_tag(tag).ok_or_else(|| format!("has unknown collection {tag}"))?;
        let key = Key::new(collection, body.length_framed()?);
        image.entries.insert(key, body.length_framed()?.into());
    }
    if body.0.is_empty() { Ok((written_at, image)) } else { Err("has trailing bytes".to_owned()) }
}

/// Reads little-endian fields off the front; every shortage is the same error.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (front, rest) = self.0.split_at_checked(count).ok_or("is cut short")?;
        self.0 = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (front, rest) = self.0.split_first_chunk().ok_or("is cut short")?;
        self.0 = rest;
        Ok(*front)
    }

    fn u8(&mut self) -> Result<u8, String> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn length_framed(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(self.u32()?).map_err(|error| error.to_string())?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Change;

    fn image(index: u64) -> Image {
        let mut image = Image::default();
        let changes: Vec<Change> = (0..index)
            .map(|n| Change::Put {
                key: Key::compound(Collection::Queue, &[b"/", n.to_string().as_bytes()]),
                value: vec![0xab; usize::try_from(n).unwrap()],
            })
            .collect();
        image.apply(AppliedIndex(index), &changes);
        image
    }

    #[test]
    fn an_export_reads_back_and_three_generations_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = StoreId::random();
        for index in 1..=5 {
            save(directory.path(), &store, &image(index)).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, GENERATIONS);
        let newest = survey(directory.path(), &store).newest.unwrap();
        assert_eq!(newest.image.index, AppliedIndex(5));
        assert_eq!(newest.image.entries, image(5).entries);
        assert_eq!(newest.path, path(directory.path()));
    }

    #[test]
    fn a_damaged_newest_export_gives_way_to_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let store = StoreId::random();
        save(directory.path(), &store, &image(3)).unwrap();
        save(directory.path(), &store, &image(4)).unwrap();
        let newest = path(directory.path());
        let mut bytes = fs::read(&newest).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&newest, bytes).unwrap();
        let survey = survey(directory.path(), &store);
        assert_eq!(survey.newest.unwrap().image.index, AppliedIndex(3));
        assert!(survey.rejected[0].contains("checksum"), "{:?}", survey.rejected);
    }

    #[test]
    fn cut_or_changed_anywhere_it_is_refused() {
        let store = StoreId::random();
        let whole = encode(&store, &image(4)).unwrap();
        assert!(decode(&whole, &store).is_ok());
        for length in 0..whole.len() {
            assert!(decode(&whole[..length], &store).is_err(), "cut to {length}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            assert!(decode(&changed, &store).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn an_export_of_another_store_is_refused() {
        let bytes = encode(&StoreId::random(), &image(1)).unwrap();
        let error = decode(&bytes, &StoreId::random()).unwrap_err();
        assert!(error.contains("another data directory"), "{error}");
    }
}
