//! Puts a surveyed log's directory in order, so that it can be gone on with.
//!
//! Called when a log is opened, once nothing is damaged. Cuts off what an interruption left behind,
//! syncs what later groups will vouch for, and seals what was open.
//!
//! Stays true: doing it twice is doing it once, wherever it was interrupted; bytes that are cut off
//! are kept in a file beside the segment, as far as there is room.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{self, Files, LogFile, patiently};
use super::group::{FOOTER, GroupBuffer, RecordPlace, Spot};
use super::manifest::{Entry, Manifest, Sealed};
use super::open_file::OpenFile;
use super::segment::Segment;
use super::stock::NEXT;
use super::survey::{Bad, Survey, Surveyed, Verdict};
use crate::StorageError;

/// Ends the name of a file with bytes that were cut off, after that of their segment.
const TORN: &str = ".torn";

/// A log that can be gone on with.
#[derive(Debug)]
pub(crate) struct Repaired {
    pub(crate) manifest: Manifest,
    /// Sealed segments with their lengths, ascending.
    pub(crate) segments: Vec<(Arc<Segment>, u32)>,
    pub(crate) next: Vec<OpenFile>,
    pub(crate) has_spare: bool,
    pub(crate) highest_id: u32,
    /// The last group.
    pub(crate) last: u64,
    pub(crate) notes: Vec<String>,
}

/// See the module documentation.
///
/// # Errors
/// The system refuses.
pub(crate) fn repair(
    directory: &Path,
    store: [u8; 16],
    files: &Arc<dyn Files>,
    mut survey: Survey,
) -> Result<Repaired, StorageError> {
    for path in &survey.leftovers {
        files.remove(path).map_err(|error| StorageError::io("remove", path, error))?;
    }
    let manifest = match survey.manifest.take() {
        Some(found) => Manifest::open(directory, store, files, found)?,
        None => Manifest::create(directory, store, files)?,
    };
    let mut repair = Repair { manifest, files: &**files, notes: survey.notes, next: Vec::new() };
    let mut segments = Vec::new();
    for one in survey.segments {
        let segment = Arc::clone(&one.segment);
        if let Some(length) = repair.segment(one)? {
            segments.push((segment, length));
        }
    }
    let Repair { mut manifest, notes, next, .. } = repair;
    let base = manifest.contents().base;
    if base < survey.last {
        manifest.add_now(&[Entry::Cut(survey.last)])?;
    }
    let Survey { has_spare, highest_id, last, .. } = survey;
    Ok(Repaired { manifest, segments, next, has_spare, highest_id, last, notes })
}

struct Repair<'a> {
    manifest: Manifest,
    files: &'a dyn Files,
    notes: Vec<String>,
    next: Vec<OpenFile>,
}

impl Repair<'_> {
    /// The length of the segment, if it is one with something in it.
    fn segment(&mut self, one: Surveyed) -> Result<Option<u32>, StorageError> {
        if let Some(sealed) = one.sealed {
            return Ok(Some(sealed.length));
        }
        match &one.verdict {
            Verdict::Damaged(_) => Ok(None),
            Verdict::Empty if self.next.len() < NEXT => {
                let file = self.open(&one.segment.path)?;
                self.next.push(OpenFile { segment: one.segment, file });
                Ok(None)
            }
            Verdict::Empty => {
                self.manifest.add_now(&[Entry::Removed(one.segment.name)])?;
                let removed = self.files.remove(&one.segment.path);
                removed.map_err(|error| StorageError::io("remove", &one.segment.path, error))?;
                Ok(None)
            }
            Verdict::Unsynced(why) => {
                let (name, path) = (one.segment.name, &one.segment.path);
                self.manifest.add_now(&[Entry::Removed(name)])?;
                let kept = with_suffix(path, TORN);
                let renamed = self.files.rename(path, &kept);
                renamed.map_err(|error| StorageError::io("rename", path, error))?;
                self.notes.push(format!(
                    "{name}: taken out with {} bytes that were being written when the broker ended \
                     ({why}); they are kept in {}",
                    one.size,
                    kept.display()
                ));
                Ok(None)
            }
            Verdict::Torn(bad) => {
                let file = self.open(&one.segment.path)?;
                self.cut(&one, bad, &*file)?;
                self.seal(&one, &*file).map(Some)
            }
            Verdict::Whole => {
                let file = self.open(&one.segment.path)?;
                self.seal(&one, &*file).map(Some)
            }
        }
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn LogFile>, StorageError> {
        let opened = patiently(|| self.files.open(path));
        opened.map_err(|error| StorageError::io("open", path, error))
    }

    fn cut(&mut self, one: &Surveyed, bad: &Bad, file: &dyn LogFile) -> Result<(), StorageError> {
        let (name, path) = (one.segment.name, &one.segment.path);
        let (kept, bytes) = match self.keep_aside(path, one.end, file) {
            Ok((kept, bytes)) => (format!("they are kept in {}", kept.display()), bytes),
            Err(error) if files::is_full(&error) => {
                ("there was no room to keep them".to_owned(), one.size - u64::from(one.end))
            }
            Err(error) => return Err(StorageError::io("keep the end of", path, error)),
        };
        let cut = file.truncate(u64::from(one.end)).and_then(|()| file.sync());
        cut.map_err(|error| StorageError::io("truncate", path, error))?;
        self.notes.push(format!(
            "{name}: cut off {bytes} bytes at byte {} that were being written when the broker ended \
             ({}); nothing after it is known to have been synced, {kept}",
            bad.offset, bad.why
        ));
        Ok(())
    }

    /// Copies what is behind the end of a segment, but for zeros.
    fn keep_aside(&self, path: &Path, end: u32, file: &dyn LogFile) -> io::Result<(PathBuf, u64)> {
        let length = file.size()?.saturating_sub(u64::from(end));
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let count = file.read_full_at(&mut bytes, u64::from(end))?;
        bytes.truncate(count);
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        bytes.truncate(bytes.len() - zeros);
        let kept = with_suffix(path, TORN);
        match self.files.remove(&kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let copy = patiently(|| self.files.create_new(&kept))?;
        if let Err(error) = copy.write_all_at(&bytes, 0) {
            self.files.remove(&kept)?;
            return Err(error);
        }
        Ok((kept, bytes.len() as u64))
    }

    /// Writes the footer if there is room, syncs, and says in the manifest that it is complete.
    fn seal(&mut self, one: &Surveyed, file: &dyn LogFile) -> Result<u32, StorageError> {
        let path = &one.segment.path;
        let failed = |error| StorageError::io("seal", path, error);
        let (mut length, mut place) = (one.end, None);
        if !one.footer.is_empty() {
            match write_footer(&one.segment, one.end, &one.footer, file) {
                Ok(Some(footer)) => (length, place) = (footer.end(), Some(footer)),
                Ok(None) => {}
                Err(error) if files::is_full(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let settled = file.truncate(u64::from(length)).and_then(|()| file.sync());
        settled.map_err(failed)?;
        let sealed = Sealed { length, footer: place, last: one.last() };
        self.manifest.add_now(&[Entry::Sealed(one.segment.name, sealed)])?;
        Ok(length)
    }
}

fn write_footer(
    segment: &Segment,
    end: u32,
    footer: &[u8],
    file: &dyn LogFile,
) -> io::Result<Option<RecordPlace>> {
    let mut group = GroupBuffer::default();
    group.begin(Spot { segment: segment.name.id, offset: end, salt: segment.salt });
    let Ok(place) = group.record(FOOTER, |out| out.extend_from_slice(footer)) else {
        return Ok(None);
    };
    // It is none of the log's groups.
    file.write_all_at(group.finish(1, 0), u64::from(end))?;
    Ok(Some(place))
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
