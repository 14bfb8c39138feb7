//! Which segments there must be and how long they are.
//!
//! Kept by `stock` and `side`, read by `survey` before anything else. Entries are appended and synced
//! before anything depends on them; now and then the file is replaced by a shorter one.
//! ```text
//! MANIFEST
//!   0  "LVRTMAN1" | store id, 16 bytes | salt u64 | highest id u32 | crc32c u32 of the 36 before | 0 u64
//!  48  entries of 48 bytes, then zeros up to the end of the file
//!
//! entry  kind u8 | hot 0, cold 1 u8 | 0 u16 | id u32 | length u32 | footer offset u32 |
//!        footer length u32 | 0 u32 | last group u64 | 0 u64 | 0 u32 | crc32c u32 of salt, offset and
//!        the 44 bytes before
//! kind   1 made    the file is there under its name with its header
//!        2 sealed  nothing is written to it any more; it is this long and has this footer
//!        3 removed it is not needed; the file may be there or not
//!        4 ended   the log came to its end in order with this group
//!        5 cut     groups after this one were taken back, and none before it need be looked for
//! ```
//! Stays true: a segment that is made and not removed is on disk. The file has room for more
//! entries, so that segments can be removed on a full disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::Reader;
use super::files::{Files, LogFile, is_full, patiently, write_zeros};
use super::group::RecordPlace;
use super::segment::{SegmentKind, SegmentName};
use super::trouble::Trouble;
use crate::StorageError;

/// The file's name.
pub(crate) const NAME: &str = "MANIFEST";
const TEMPORARY: &str = "MANIFEST.tmp";

const MAGIC: [u8; 8] = *b"LVRTMAN1";
const ENTRY: usize = 48;

/// Room for so many entries beside those that are there.
const ROOM: usize = 1 << 16;

/// With less room than this the file is replaced.
const ROOM_LOW: u64 = 1 << 14;

/// One thing that happened to segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Made(SegmentName),
    Sealed(SegmentName, Sealed),
    Removed(SegmentName),
    Ended(u64),
    Cut(u64),
}

/// A segment that nothing is written to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Bytes that its groups end at.
    pub(crate) length: u32,
    /// The record that tells what is in it.
    pub(crate) footer: Option<RecordPlace>,
    /// The number of its last group; 0 in a cold one.
    pub(crate) last: u64,
}

/// What the entries come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The segments there are; `None` if not sealed.
    pub(crate) segments: BTreeMap<SegmentName, Option<Sealed>>,
    /// Those of which the file may still be there.
    pub(crate) removed: BTreeSet<SegmentName>,
    /// The highest id ever given to a segment.
    pub(crate) highest_id: u32,
    /// Every group up to this one is in a sealed segment or gone for good.
    pub(crate) base: u64,
    /// Every group up to this one was on disk when the log came to its end.
    pub(crate) ended: u64,
}

impl Contents {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Made(name) => {
                self.highest_id = self.highest_id.max(name.id);
                self.segments.insert(name, None);
            }
            Entry::Sealed(name, sealed) => {
                self.highest_id = self.highest_id.max(name.id);
                self.base = self.base.max(sealed.last);
                self.segments.insert(name, Some(sealed));
            }
            Entry::Removed(name) => {
                self.segments.remove(&name);
                self.removed.insert(name);
            }
            Entry::Ended(last) => self.ended = last,
            Entry::Cut(last) => (self.base, self.ended) = (last, last),
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (name, sealed) in &self.segments {
            entries.push(Entry::Made(*name));
            entries.extend(sealed.map(|sealed| Entry::Sealed(*name, sealed)));
        }
        // Whatever the segments say.
        entries.extend([Entry::Cut(self.base), Entry::Ended(self.ended)]);
        entries
    }
}

/// An open manifest.
#[derive(Debug)]
pub(crate) struct Manifest {
    contents: Contents,
    directory: PathBuf,
    files: Arc<dyn Files>,
    store: [u8; 16],
    file: Arc<dyn LogFile>,
    salt: u64,
    tail: u64,
    size: u64,
    /// An entry may be on disk that is not in the contents: nothing more is added.
    failure: Option<StorageError>,
}

/// What a reading found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) contents: Contents,
    /// The last entry was not finished: nothing depended on it.
    pub(crate) is_torn: bool,
    salt: u64,
    tail: u64,
    size: u64,
}

/// Reads the manifest of a directory; `None` if there is none.
///
/// # Errors
/// It is damaged or another store's, or the system refuses.
pub(crate) fn read(
    directory: &Path,
    store: &[u8; 16],
    files: &dyn Files,
) -> Result<Option<Found>, StorageError> {
    let path = directory.join(NAME);
    let bytes = match patiently(|| files.open_to_read(&path)).and_then(|file| read_all(&*file)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::io("read", &path, error)),
    };
    let damaged = |detail: String| StorageError::Damaged { path: path.clone(), detail };
    let (highest_id, salt, found_store) = decode_header(&bytes).ok_or_else(|| {
        damaged("its header does not match its checksum; put it back from a backup".to_owned())
    })?;
    if found_store != *store {
        let detail = "it belongs to another data directory; take it out of this one";
        return Err(damaged(detail.to_owned()));
    }
    let mut contents = Contents { highest_id, ..Contents::default() };
    let mut tail = ENTRY as u64;
    let mut is_torn = false;
    while let Some(rest) = usize::try_from(tail).ok().and_then(|tail| bytes.get(tail..)) {
        let bad = match rest.split_at_checked(ENTRY) {
            Some((entry, behind)) => match decode_entry(salt, tail, entry) {
                Some(entry) => {
                    contents.apply(entry);
                    tail += ENTRY as u64;
                    continue;
                }
                None => (entry, behind),
            },
            None => (rest, &[][..]),
        };
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        if !is_zero(bad.1) {
            return Err(damaged(format!(
                "at byte {tail} the content does not match its checksum; put the file back from a \
                 backup"
            )));
        }
        is_torn = !is_zero(bad.0);
        break;
    }
    let size = bytes.len() as u64;
    Ok(Some(Found { contents, is_torn, salt, tail, size }))
}

fn read_all(file: &dyn LogFile) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.size()?).map_err(io::Error::other)?];
    let count = file.read_full_at(&mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

impl Manifest {
    /// Goes on with what was found. If there is room, the file is replaced by one that has only what
    /// counts; the caller has removed what is not needed and synced the directory.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn open(
        directory: &Path,
        store: [u8; 16],
        files: &Arc<dyn Files>,
        found: Found,
    ) -> Result<Self, StorageError> {
        let path = directory.join(NAME);
        let opened = patiently(|| files.open(&path));
        let file = opened.map_err(|error| StorageError::io("open", &path, error))?;
        let Found { contents, salt, tail, size, .. } = found;
        let (directory, files) = (directory.to_owned(), Arc::clone(files));
        let failure = None;
        let mut manifest =
            Self { contents, directory, files, store, file, salt, tail, size, failure };
        manifest.replace_if_there_is_room()?;
        Ok(manifest)
    }

    /// Makes one that says that there are no segments.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn create(
        directory: &Path,
        store: [u8; 16],
        files: &Arc<dyn Files>,
    ) -> Result<Self, StorageError> {
        let made = write(directory, &store, &Contents::default(), &**files);
        let path = directory.join(NAME);
        let (file, salt, tail, size) =
            made.map_err(|error| StorageError::io("write", &path, error))?;
        let (directory, files) = (directory.to_owned(), Arc::clone(files));
        let contents = Contents::default();
        let failure = None;
        Ok(Self { contents, directory, files, store, file, salt, tail, size, failure })
    }

    /// What it says.
    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Adds entries; they are on disk when this returns.
    ///
    /// # Errors
    /// There is no room, which a file system that writes nothing in place may say, and nothing was
    /// added. Or the system refuses, which is final.
    pub(crate) fn add(&mut self, entries: &[Entry]) -> Result<(), Trouble> {
        if let Some(failure) = &self.failure {
            return Err(Trouble::Failed(failure.clone()));
        }
        self.write_entries(entries).inspect_err(|trouble| {
            if let Trouble::Failed(failure) = trouble {
                self.failure = Some(failure.clone());
            }
        })
    }

    fn write_entries(&mut self, entries: &[Entry]) -> Result<(), Trouble> {
        let bytes: Vec<u8> = entries
            .iter()
            .zip((self.tail..).step_by(ENTRY))
            .flat_map(|(entry, offset)| encode_entry(self.salt, offset, entry))
            .collect();
        let path = self.directory.join(NAME);
        match self.file.write_all_at(&bytes, self.tail) {
            Err(error) if is_full(&error) => {
                let cleared = self.file.write_all_at(&vec![0; bytes.len()], self.tail);
                cleared.map_err(|error| StorageError::io("write", &path, error))?;
                return Err(Trouble::Full);
            }
            written => written.map_err(|error| StorageError::io("write", &path, error))?,
        }
        self.file.sync().map_err(|error| StorageError::io("sync", &path, error))?;
        self.tail += bytes.len() as u64;
        entries.iter().for_each(|entry| self.contents.apply(*entry));
        if self.tail + ROOM_LOW > self.size {
            self.replace_if_there_is_room()?;
        }
        Ok(())
    }

    /// See [`Self::add`], for those to whom a full disk is a failure like any other.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn add_now(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        self.add(entries).map_err(|trouble| match trouble {
            Trouble::Failed(error) => error,
            Trouble::Full => {
                let full = io::ErrorKind::StorageFull.into();
                StorageError::io("write", &self.directory.join(NAME), full)
            }
        })
    }

    fn replace_if_there_is_room(&mut self) -> Result<(), StorageError> {
        // Or files come back of which nothing says any more that they were removed.
        let synced = patiently(|| self.files.sync_directory(&self.directory));
        synced.map_err(|error| StorageError::io("sync", &self.directory, error))?;
        match write(&self.directory, &self.store, &self.contents, &*self.files) {
            Ok((file, salt, tail, size)) => {
                self.contents.removed.clear();
                (self.file, self.salt, self.tail, self.size) = (file, salt, tail, size);
                Ok(())
            }
            Err(error) if is_full(&error) => Ok(()),
            Err(error) => Err(StorageError::io("write", &self.directory.join(NAME), error)),
        }
    }
}

/// Writes a whole manifest in the place of the one there is.
pub(super) fn write(
    directory: &Path,
    store: &[u8; 16],
    contents: &Contents,
    files: &dyn Files,
) -> io::Result<(Arc<dyn LogFile>, u64, u64, u64)> {
    let temporary = directory.join(TEMPORARY);
    match files.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let salt = rand::random();
    let mut bytes = encode_header(contents.highest_id, salt, store).to_vec();
    for entry in contents.entries() {
        let offset = bytes.len() as u64;
        bytes.extend_from_slice(&encode_entry(salt, offset, &entry));
    }
    let tail = bytes.len() as u64;
    let size = tail + ROOM as u64;
    let file = patiently(|| files.create_new(&temporary))?;
    let written = file
        .write_all_at(&bytes, 0)
        .and_then(|()| write_zeros(&*file, size))
        .and_then(|()| file.sync());
    if let Err(error) = written {
        files.remove(&temporary)?;
        return Err(error);
    }
    files.rename(&temporary, &directory.join(NAME))?;
    patiently(|| files.sync_directory(directory))?;
    Ok((file, salt, tail, size))
}

fn encode_header(highest_id: u32, salt: u64, store: &[u8; 16]) -> [u8; ENTRY] {
    let mut header = [0; ENTRY];
    let fields: [&[u8]; 4] = [&MAGIC, store, &salt.to_le_bytes(), &highest_id.to_le_bytes()];
    for (byte, value) in header.iter_mut().zip(fields.into_iter().flatten()) {
        *byte = *value;
    }
    if let Some((checked, rest)) = header.split_first_chunk_mut::<36>()
        && let Some(crc) = rest.first_chunk_mut::<4>()
    {
        *crc = crc32c::crc32c(checked).to_le_bytes();
    }
    header
}

fn decode_header(bytes: &[u8]) -> Option<(u32, u64, [u8; 16])> {
    let mut fields = Reader(bytes);
    let checked = fields.take(36)?;
    if fields.u32()? != crc32c::crc32c(checked) {
        return None;
    }
    let mut fields = Reader(checked);
    if fields.take(8)? != MAGIC {
        return None;
    }
    let (store, salt) = (fields.array()?, fields.u64()?);
    Some((fields.u32()?, salt, store))
}

fn encode_entry(salt: u64, offset: u64, entry: &Entry) -> [u8; ENTRY] {
    let none = Sealed { length: 0, footer: None, last: 0 };
    let group = |last| (SegmentName::hot(0), Sealed { last, ..none });
    let (kind, (name, sealed)) = match entry {
        Entry::Made(name) => (1, (*name, none)),
        Entry::Sealed(name, sealed) => (2, (*name, *sealed)),
        Entry::Removed(name) => (3, (*name, none)),
        Entry::Ended(last) => (4, group(*last)),
        Entry::Cut(last) => (5, group(*last)),
    };
    let footer = sealed.footer.unwrap_or_default();
    let fields: [&[u8]; 7] = [
        &[kind, u8::from(!name.is_hot()), 0, 0],
        &name.id.to_le_bytes(),
        &sealed.length.to_le_bytes(),
        &footer.offset.to_le_bytes(),
        &footer.length.to_le_bytes(),
        &[0; 4],
        &sealed.last.to_le_bytes(),
    ];
    let mut bytes = [0; ENTRY];
    for (byte, value) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
        *byte = *value;
    }
    if let Some((checked, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = entry_crc(salt, offset, checked).to_le_bytes();
    }
    bytes
}

fn entry_crc(salt: u64, offset: u64, checked: &[u8]) -> u32 {
    let seed = crc32c::crc32c(&salt.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &offset.to_le_bytes()), checked)
}

fn decode_entry(salt: u64, offset: u64, bytes: &[u8]) -> Option<Entry> {
    let (checked, crc) = bytes.split_last_chunk::<4>()?;
    if entry_crc(salt, offset, checked).to_le_bytes() != *crc {
        return None;
    }
    let mut fields = Reader(checked);
    let (kind, is_cold, _) = (fields.u8()?, fields.u8()?, fields.u16()?);
    let segment_kind = if is_cold == 0 { SegmentKind::Hot } else { SegmentKind::Cold };
    let name = SegmentName { id: fields.u32()?, kind: segment_kind };
    let length = fields.u32()?;
    let footer = RecordPlace { offset: fields.u32()?, length: fields.u32()? };
    let footer = (footer.length > 0).then_some(footer);
    fields.u32()?;
    let last = fields.u64()?;
    Some(match kind {
        1 => Entry::Made(name),
        2 => Entry::Sealed(name, Sealed { length, footer, last }),
        3 => Entry::Removed(name),
        4 => Entry::Ended(last),
        5 => Entry::Cut(last),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::RealFiles;
    use super::*;

    const STORE: [u8; 16] = [7; 16];

    fn files() -> Arc<dyn Files> {
        Arc::new(RealFiles)
    }

    fn sealed(length: u32, last: u64) -> Sealed {
        Sealed { length, footer: Some(RecordPlace { offset: 9, length: 5 }), last }
    }

    fn history() -> Vec<Entry> {
        vec![
            Entry::Made(SegmentName::hot(1)),
            Entry::Sealed(SegmentName::hot(1), sealed(100, 5)),
            Entry::Made(SegmentName::cold(2)),
            Entry::Sealed(SegmentName::cold(2), sealed(50, 0)),
            Entry::Removed(SegmentName::hot(1)),
            Entry::Made(SegmentName::hot(3)),
        ]
    }

    fn written(directory: &Path) -> Contents {
        let mut manifest = Manifest::create(directory, STORE, &files()).unwrap();
        history().iter().for_each(|entry| manifest.add_now(&[*entry]).unwrap());
        manifest.contents().clone()
    }

    #[test]
    fn what_was_added_is_there_after_a_reading_and_after_a_replacement() {
        let directory = tempfile::tempdir().unwrap();
        let contents = written(directory.path());
        assert_eq!((contents.segments.len(), contents.highest_id, contents.base), (2, 3, 5));
        let found = read(directory.path(), &STORE, &RealFiles).unwrap().unwrap();
        assert_eq!(found.contents, contents);
        let manifest = Manifest::open(directory.path(), STORE, &files(), found).unwrap();
        assert!(manifest.contents().removed.is_empty());
        let found = read(directory.path(), &STORE, &RealFiles).unwrap().unwrap();
        assert_eq!(found.contents, *manifest.contents());
        assert_eq!(found.contents.segments, contents.segments);
    }

    #[test]
    fn it_is_replaced_before_its_room_is_used_up() {
        let directory = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::create(directory.path(), STORE, &files()).unwrap();
        for id in 1..3000 {
            let name = SegmentName::cold(id);
            manifest.add_now(&[Entry::Made(name), Entry::Removed(name)]).unwrap();
        }
        assert!(manifest.size < 100_000 && manifest.contents.removed.len() < 1400);
        let found = read(directory.path(), &STORE, &RealFiles).unwrap().unwrap();
        assert_eq!((found.contents.segments.len(), found.contents.highest_id), (0, 2999));
    }

    #[test]
    fn a_torn_entry_is_none_and_a_damaged_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path());
        let path = directory.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        // Behind the header and what an empty one says.
        let end = ENTRY * (3 + history().len());
        for at in 0..end {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let outcome = read(directory.path(), &STORE, &RealFiles);
            let is_in_last = at >= end - ENTRY;
            // The zeros behind the header are not looked at.
            if (40..48).contains(&at) {
                continue;
            }
            match outcome {
                Ok(found) => assert!(is_in_last && found.unwrap().is_torn, "byte {at}"),
                Err(error) => assert!(!is_in_last && error.to_string().contains(NAME), "{error}"),
            }
        }
        std::fs::write(&path, &whole[..end - 1]).unwrap();
        assert!(read(directory.path(), &STORE, &RealFiles).unwrap().unwrap().is_torn);
        assert!(read(directory.path(), &[8; 16], &RealFiles).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(read(directory.path(), &STORE, &RealFiles).unwrap().is_none());
    }
}
