//! Outlines: what recovery needs of a segment, without the content of its messages.
//!
//! Written by the compactor for a segment that is sealed, synced and no longer among the newest
//! [`READ_WHOLE`]; read by recovery in place of the segment, which is some twenty times as long. Only a shortcut: without a good
//! outline the segment itself is read, and what was damaged behind its back is found when it is read.
//! ```text
//! hot-0000000012.outline
//!
//!  0  "LVRTOUT1" | segment id u32 | 0 u32 | bytes of the segment u64
//! 24  crc32c u32 of the 24 bytes before and everything behind | 0 u32
//! 32  frames: offset u32 | len u32 | type u8 | flags u8 | len u32 | payload
//! ```
//! A payload is that of the frame; in a PUB the length of the whole content stands for that of its
//! head, and the content is left out.
//!
//! Stays true: an outline is only believed whole, and only of a segment that is as long as it says.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{Files, LogFile};
use super::frame::{Frame, FramePlace, RawFrame, Reader};
use super::segment::{Step, Walk};
use super::survey::TEMPORARY;

/// Ends the name of an outline, after that of its segment.
pub(crate) const SUFFIX: &str = ".outline";

/// The newest segments that recovery reads whole in any case: an outline of them would be of no use.
pub(crate) const READ_WHOLE: usize = 16;

const MAGIC: [u8; 8] = *b"LVRTOUT1";
const CHECKED: usize = 24;
const HEADER: usize = 32;

/// An outline that is longer than this part of its segment is not worth its bytes.
const WORTH: u64 = 4;

/// Where the outline of a segment is.
pub(crate) fn path(segment: &Path) -> PathBuf {
    with_suffix(segment, SUFFIX)
}

/// Writes the outline of a sealed segment beside it. One that would be nearly as long as its segment
/// is not written. Nothing depends on it being on disk, so it is not synced.
///
/// # Errors
/// The system's, or the segment has a bad frame; then there is no outline.
pub(crate) fn write(
    file: &dyn LogFile,
    id: u32,
    segment: &Path,
    files: &dyn Files,
) -> io::Result<()> {
    let size = file.size()?;
    let Some(bytes) = encode(file, id, size)? else { return Ok(()) };
    let path = path(segment);
    let temporary = with_suffix(&path, TEMPORARY);
    let written = files
        .create_new(&temporary)
        .and_then(|file| file.write_all_at(&bytes, 0))
        .and_then(|()| files.rename(&temporary, &path));
    if written.is_err() {
        // It may not be there; what counts is why it was not finished.
        let _absent = files.remove(&temporary);
    }
    written
}

/// Removes the outline of a segment, if there is one.
///
/// # Errors
/// The system's.
pub(crate) fn remove(segment: &Path, files: &dyn Files) -> io::Result<()> {
    match files.remove(&path(segment)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// A good outline.
#[derive(Debug)]
pub(crate) struct Outline(Vec<u8>);

impl Outline {
    /// Reads the outline of a segment of so many bytes. `None` if there is none that can be believed.
    pub(crate) fn read(id: u32, segment: &Path, size: u64, files: &dyn Files) -> Option<Self> {
        let file = files.open_to_read(&path(segment)).ok()?;
        let length = usize::try_from(file.size().ok()?).ok()?;
        let mut bytes = vec![0; length];
        let is_whole = file.read_full_at(&mut bytes, 0).ok()? == length;
        let (header, frames) = bytes.split_at_checked(HEADER)?;
        let is_ours = is_whole && *header == encode_header(id, size, frames);
        file.forget_cached();
        let outline = Self(bytes);
        (is_ours && outline.frames().all(|frame| frame.is_some())).then_some(outline)
    }

    /// Its frames, in the order of the segment.
    pub(crate) fn good_frames(&self) -> impl Iterator<Item = (FramePlace, Frame<'_>)> {
        self.frames().flatten()
    }

    /// The last one is `None` if it is no frame.
    fn frames(&self) -> impl Iterator<Item = Option<(FramePlace, Frame<'_>)>> {
        let mut reader = Reader(self.0.get(HEADER..).unwrap_or_default());
        std::iter::from_fn(move || {
            if reader.0.is_empty() {
                return None;
            }
            let frame = take_frame(&mut reader);
            if frame.is_none() {
                reader = Reader(&[]);
            }
            Some(frame)
        })
    }
}

fn take_frame<'a>(reader: &mut Reader<'a>) -> Option<(FramePlace, Frame<'a>)> {
    let place = FramePlace { offset: reader.u32()?, len: reader.u32()? };
    Some((place, RawFrame::take_outline(reader)?))
}

fn encode(file: &dyn LogFile, id: u32, size: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; HEADER];
    let mut walk = Walk::new(file, id)?;
    loop {
        match walk.step()? {
            Step::Frame { place, raw, .. } => {
                bytes.extend_from_slice(&place.offset.to_le_bytes());
                bytes.extend_from_slice(&place.len.to_le_bytes());
                raw.put_outline(&mut bytes);
                if bytes.len() as u64 > size / WORTH {
                    return Ok(None);
                }
            }
            Step::End => break,
            Step::Bad { offset, flaw } => {
                return Err(io::Error::other(format!("at byte {offset}: {flaw}")));
            }
        }
    }
    if let Some((header, frames)) = bytes.split_first_chunk_mut::<HEADER>() {
        *header = encode_header(id, size, frames);
    }
    Ok(Some(bytes))
}

fn encode_header(id: u32, size: u64, frames: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let fields: [&[u8]; 4] = [&MAGIC, &id.to_le_bytes(), &[0; 4], &size.to_le_bytes()];
    for (byte, value) in header.iter_mut().zip(fields.into_iter().flatten()) {
        *byte = *value;
    }
    if let Some((checked, rest)) = header.split_first_chunk_mut::<CHECKED>()
        && let Some(field) = rest.first_chunk_mut::<4>()
    {
        *field = crc32c::crc32c_append(crc32c::crc32c(checked), frames).to_le_bytes();
    }
    header
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::files::RealFiles;
    use super::super::frame::{FrameBuffer, LogPosition, Record};
    use super::super::segment::{HEADER_SIZE, SegmentHeader, SegmentName};
    use super::*;
    use crate::messages::{Place, Settled};

    /// A segment with a message, a batch, a snapshot and some settlements.
    fn segment(directory: &Path, size: usize) -> PathBuf {
        let name = SegmentName::hot(3);
        let header = SegmentHeader { name, store: [1; 16], created_unix_ms: 0 };
        let mut frames = FrameBuffer::default();
        frames.begin(LogPosition { segment: 3, offset: HEADER_SIZE });
        frames.snapshot(false, |out| out.extend_from_slice(b"snapshot")).unwrap();
        let places = [Place { queue: 1, sequence: 2 }, Place { queue: 7, sequence: 9 }];
        frames.publish(77, &vec![1; size], &[2; 9], &places).unwrap();
        frames
            .batch(|batch| {
                batch.publish(78, &vec![3; size], &[], &places[..1]);
                batch.ranges(&[Settled { queue: 4, first: 5, count: 6 }]);
            })
            .unwrap();
        frames.counts(&[(places[0], 3)]).unwrap();
        let path = name.path(directory);
        fs::write(&path, [&header.encode(), frames.bytes()].concat()).unwrap();
        path
    }

    /// All that recovery takes from frames, as text.
    fn told<'a>(frames: impl Iterator<Item = (FramePlace, Frame<'a>)>) -> Vec<String> {
        let mut told = Vec::new();
        for (place, frame) in frames {
            told.push(format!("{place:?} {}", frame.places()));
            for record in frame.records() {
                told.push(match record {
                    Record::Publish(one) => {
                        format!(
                            "{} {} {:?}",
                            one.note,
                            one.size,
                            one.places.iter().collect::<Vec<_>>()
                        )
                    }
                    Record::Acks(_)
                    | Record::Ranges(_)
                    | Record::Counts(_)
                    | Record::DeletedQueues(_) => format!("{record:?}"),
                });
            }
            if let Frame::Synced(_) | Frame::Snapshot { .. } = frame {
                told.push(format!("{frame:?}"));
            }
        }
        told
    }

    fn told_by_segment(path: &Path) -> Vec<String> {
        let file = RealFiles.open_to_read(path).unwrap();
        let mut walk = Walk::new(&*file, 3).unwrap();
        let mut all = Vec::new();
        while let Step::Frame { place, frame, .. } = walk.step().unwrap() {
            all.append(&mut told(std::iter::once((place, frame))));
        }
        all
    }

    fn write_outline(path: &Path) {
        let file = RealFiles.open_to_read(path).unwrap();
        write(&*file, 3, path, &RealFiles).unwrap();
    }

    #[test]
    fn an_outline_tells_what_its_segment_tells() {
        let directory = tempfile::tempdir().unwrap();
        let path = segment(directory.path(), 2000);
        write_outline(&path);
        let size = fs::metadata(&path).unwrap().len();
        let outline = Outline::read(3, &path, size, &RealFiles).unwrap();
        assert_eq!(told(outline.good_frames()), told_by_segment(&path));
        assert_eq!(told_by_segment(&path).len(), 9);
        remove(&path, &RealFiles).unwrap();
        remove(&path, &RealFiles).unwrap();
        assert!(Outline::read(3, &path, size, &RealFiles).is_none());
        assert_eq!(RealFiles.list(directory.path()).unwrap().len(), 1);
    }

    #[test]
    fn an_outline_with_any_changed_byte_or_of_another_segment_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = segment(directory.path(), 2000);
        write_outline(&path);
        let size = fs::metadata(&path).unwrap().len();
        assert!(Outline::read(4, &path, size, &RealFiles).is_none());
        assert!(Outline::read(3, &path, size - 1, &RealFiles).is_none());
        let whole = fs::read(super::path(&path)).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            fs::write(super::path(&path), &changed).unwrap();
            assert!(Outline::read(3, &path, size, &RealFiles).is_none(), "changed at {at}");
            fs::write(super::path(&path), &whole[..at]).unwrap();
            assert!(Outline::read(3, &path, size, &RealFiles).is_none(), "cut to {at}");
        }
    }

    #[test]
    fn small_messages_and_damaged_segments_have_no_outline() {
        let directory = tempfile::tempdir().unwrap();
        let path = segment(directory.path(), 10);
        write_outline(&path);
        assert!(!super::path(&path).exists());
        fs::remove_file(&path).unwrap();
        let path = segment(directory.path(), 2000);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let file = RealFiles.open_to_read(&path).unwrap();
        write(&*file, 3, &path, &RealFiles).unwrap_err();
        assert_eq!(RealFiles.list(directory.path()).unwrap().len(), 1);
    }
}
