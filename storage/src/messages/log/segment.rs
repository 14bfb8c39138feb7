//! A segment file: its name, its header, and a walk through its frames.
//!
//! Written by the log thread (hot) and the compactor (cold), walked by recovery, compaction and
//! `verify`.
//! ```text
//! hot-0000000012     what was appended, in the order of writing
//! cold-0000000015    survivors that the compactor moved; whole and synced before it has this name
//!
//!  0  "LVRTSEG1" | version u16 | kind u8 (0 hot, 1 cold) | 0 | segment id u32
//! 16  store id, 16 bytes | created u64 (unix milliseconds) | zeros
//! 60  crc32c u32 of the 60 bytes before
//! 64  frames, see `frame`
//! ```
//! Stays true: ids ascend over both kinds and are never used twice; a walk holds a mebibyte, or the
//! largest frame if that is more, and says exactly where the first bad frame is and why.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::files::LogFile;
use super::frame::{self, Flaw, Frame, FramePlace, LogPosition, RawFrame};

/// Bytes before the first frame.
pub(crate) const HEADER_SIZE: u32 = 64;

/// The newest layout of segments that this version reads, and the one it writes.
pub(crate) const SEGMENT_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"LVRTSEG1";
const CHECKED: usize = 60;
const HEADER: usize = HEADER_SIZE as usize;

/// Bytes read at once in a walk.
const PIECE: usize = 1 << 20;

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SegmentKind {
    /// Holds what was appended.
    Hot,
    /// Holds what outlived its hot segment.
    Cold,
}

/// A segment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentName {
    /// Ascending over both kinds.
    pub(crate) id: u32,
    /// What it is for.
    pub(crate) kind: SegmentKind,
}

impl SegmentName {
    /// Of a hot segment.
    pub(crate) const fn hot(id: u32) -> Self {
        Self { id, kind: SegmentKind::Hot }
    }

    /// Of a cold segment.
    pub(crate) const fn cold(id: u32) -> Self {
        Self { id, kind: SegmentKind::Cold }
    }

    /// Where the file is.
    pub(crate) fn path(self, directory: &Path) -> PathBuf {
        directory.join(self.to_string())
    }

    /// The name of a file, or `None` if it is no segment.
    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let (kind, id) = file_name.split_once('-')?;
        let kind = match kind {
            "hot" => SegmentKind::Hot,
            "cold" => SegmentKind::Cold,
            _ => return None,
        };
        let name = Self { id: id.parse().ok()?, kind };
        (name.to_string() == file_name).then_some(name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SegmentKind::Hot => "hot",
            SegmentKind::Cold => "cold",
        };
        write!(f, "{kind}-{:010}", self.id)
    }
}

/// The first bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// As the file is named.
    pub(crate) name: SegmentName,
    /// Which store it belongs to.
    pub(crate) store: [u8; 16],
    /// When it was begun, for operators.
    pub(crate) created_unix_ms: u64,
}

/// Why bytes are not the header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFlaw {
    /// There are fewer bytes than a header has.
    CutShort,
    /// Nothing but zeros: the file was begun, but its content never reached the disk.
    Zeros,
    /// Content and checksum differ.
    Checksum,
    /// It was written by a later version.
    Newer(u16),
    /// The checksum matches, but it is not the header of a segment.
    Foreign,
}

impl fmt::Display for HeaderFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort => f.write_str("the header is cut short"),
            Self::Zeros => f.write_str("the header is all zeros"),
            Self::Checksum => f.write_str("the header does not match its checksum"),
            Self::Newer(version) => write!(f, "it has the later format {version}"),
            Self::Foreign => f.write_str("it is not a segment"),
        }
    }
}

impl SegmentHeader {
    /// The header as bytes.
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let kind = match self.name.kind {
            SegmentKind::Hot => 0,
            SegmentKind::Cold => 1,
        };
        let fields: [&[u8]; 6] = [
            &MAGIC,
            &SEGMENT_VERSION.to_le_bytes(),
            &[kind, 0],
            &self.name.id.to_le_bytes(),
            &self.store,
            &self.created_unix_ms.to_le_bytes(),
        ];
        let mut header = [0; HEADER];
        for (byte, value) in header.iter_mut().zip(fields.into_iter().flatten()) {
            *byte = *value;
        }
        if let Some((checked, crc)) = header.split_first_chunk_mut::<CHECKED>() {
            crc.copy_from_slice(&crc32c::crc32c(checked).to_le_bytes());
        }
        header
    }

    /// Reads a header off the front of a segment.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFlaw> {
        let header = bytes.first_chunk::<HEADER>().ok_or(HeaderFlaw::CutShort)?;
        if *header == [0; HEADER] {
            return Err(HeaderFlaw::Zeros);
        }
        let (checked, crc) = header.split_first_chunk::<CHECKED>().ok_or(HeaderFlaw::CutShort)?;
        if crc != crc32c::crc32c(checked).to_le_bytes() {
            return Err(HeaderFlaw::Checksum);
        }
        let mut fields = frame::Reader(checked);
        let magic = fields.take(MAGIC.len());
        let (Some(version), Some(kind), Some(_), Some(id), Some(store), Some(created_unix_ms)) = (
            fields.u16(),
            fields.u8(),
            fields.u8(),
            fields.u32(),
            fields.take(16).and_then(|store| store.first_chunk()),
            fields.u64(),
        ) else {
            return Err(HeaderFlaw::CutShort);
        };
        if magic != Some(MAGIC.as_slice()) {
            return Err(HeaderFlaw::Foreign);
        }
        if version > SEGMENT_VERSION {
            return Err(HeaderFlaw::Newer(version));
        }
        let kind = match kind {
            0 => SegmentKind::Hot,
            1 => SegmentKind::Cold,
            _ => return Err(HeaderFlaw::Foreign),
        };
        Ok(Self { name: SegmentName { id, kind }, store: *store, created_unix_ms })
    }

    /// Reads the header of a file.
    ///
    /// # Errors
    /// The system's; whether it is a header is in the result.
    pub(crate) fn read(file: &dyn LogFile) -> io::Result<Result<Self, HeaderFlaw>> {
        let mut bytes = [0; HEADER];
        let count = file.read_full_at(&mut bytes, 0)?;
        Ok(Self::decode(bytes.get(..count).unwrap_or_default()))
    }
}

/// What a step of a walk came to.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A good frame. The raw one is for those who copy it.
    Frame {
        /// Where it is.
        place: FramePlace,
        /// What it says.
        frame: Frame<'a>,
        /// Its bytes.
        raw: RawFrame<'a>,
    },
    /// The file ended where a frame did.
    End,
    /// No good frame begins at the offset. The next step finds the same.
    Bad {
        /// Bytes from the beginning of the segment.
        offset: u32,
        /// What is wrong with it.
        flaw: Flaw,
    },
}

/// A walk through the frames of a segment, in the order of the file.
#[derive(Debug)]
pub(crate) struct Walk<'f> {
    file: &'f dyn LogFile,
    segment: u32,
    /// Bytes of the file that are walked through.
    length: u64,
    /// Where the next frame begins.
    offset: u64,
    /// A piece of the file...
    buffer: Vec<u8>,
    /// ...that begins here.
    buffer_start: u64,
}

impl<'f> Walk<'f> {
    /// Through all frames of a file.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn new(file: &'f dyn LogFile, segment: u32) -> io::Result<Self> {
        let length = file.size()?;
        Ok(Self::between(file, segment, HEADER_SIZE, length))
    }

    /// Through the frames from an offset, where a frame begins, up to another.
    pub(crate) fn between(file: &'f dyn LogFile, segment: u32, from: u32, to: u64) -> Self {
        // Offsets are 32 bits wide: nothing of ours is beyond.
        let length = to.min(u64::from(u32::MAX));
        let offset = u64::from(from);
        Self { file, segment, length, offset, buffer: Vec::new(), buffer_start: offset }
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> u32 {
        u32::try_from(self.offset).unwrap_or(u32::MAX)
    }

    /// The next frame.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn step(&mut self) -> io::Result<Step<'_>> {
        let offset = self.offset();
        if self.offset >= self.length {
            return Ok(Step::End);
        }
        self.hold(u64::from(frame::FRAME_HEADER_SIZE))?;
        let len = match frame::stated_len(self.held()) {
            Ok(len) => len,
            Err(flaw) => return Ok(Step::Bad { offset, flaw }),
        };
        // Before any memory is taken for it.
        let left = self.length - self.offset;
        if len > left {
            return Ok(Step::Bad { offset, flaw: Flaw::CutShort { needed: len, left } });
        }
        self.hold(len)?;
        let position = LogPosition { segment: self.segment, offset };
        let start = usize::try_from(self.offset - self.buffer_start).unwrap_or(usize::MAX);
        let held = self.buffer.get(start..).unwrap_or_default();
        let decoded =
            RawFrame::read(position, held).and_then(|raw| raw.decode().map(|frame| (raw, frame)));
        match (decoded, u32::try_from(len)) {
            (Ok((raw, frame)), Ok(len)) => {
                self.offset += u64::from(len);
                Ok(Step::Frame { place: FramePlace { offset, len }, frame, raw })
            }
            (Err(flaw), _) => Ok(Step::Bad { offset, flaw }),
            (Ok(_), Err(_)) => Ok(Step::Bad { offset, flaw: Flaw::Malformed("no length") }),
        }
    }

    /// What the buffer has from the next frame on.
    fn held(&self) -> &[u8] {
        let start = usize::try_from(self.offset - self.buffer_start).unwrap_or(usize::MAX);
        self.buffer.get(start..).unwrap_or_default()
    }

    /// Reads on until the buffer has so many bytes from the next frame on, or the file ends.
    fn hold(&mut self, count: u64) -> io::Result<()> {
        let held = self.held().len();
        let left = self.length - self.offset;
        if held as u64 >= count.min(left) {
            return Ok(());
        }
        let wanted = count.max(PIECE as u64).min(left);
        let wanted = usize::try_from(wanted).map_err(io::Error::other)?;
        let start = self.buffer.len() - held;
        self.buffer.drain(..start);
        self.buffer_start = self.offset;
        self.buffer.resize(wanted, 0);
        let rest = self.buffer.get_mut(held..).unwrap_or_default();
        let read = self.file.read_full_at(rest, self.offset + held as u64)?;
        self.buffer.truncate(held + read);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::files::{Files, RealFiles};
    use super::super::frame::{FRAME_HEADER_SIZE, FrameBuffer, Record};
    use super::*;
    use crate::messages::Place;

    fn header() -> SegmentHeader {
        SegmentHeader { name: SegmentName::hot(7), store: [9; 16], created_unix_ms: 1_700_000 }
    }

    fn file(directory: &Path, bytes: &[u8]) -> Arc<dyn LogFile> {
        let file = RealFiles.create_new(&SegmentName::hot(7).path(directory)).unwrap();
        file.write_all_at(&header().encode(), 0).unwrap();
        file.write_all_at(bytes, u64::from(HEADER_SIZE)).unwrap();
        file
    }

    fn messages(sizes: &[usize]) -> FrameBuffer {
        let mut frames = FrameBuffer::default();
        frames.begin(LogPosition { segment: 7, offset: HEADER_SIZE });
        for (sequence, size) in (0..).zip(sizes) {
            let content = vec![b'x'; *size];
            frames.publish(0, &content, &[], &[Place { queue: 1, sequence }]).unwrap();
        }
        frames
    }

    fn sizes(file: &dyn LogFile) -> (Vec<usize>, Option<(u32, Flaw)>) {
        let mut walk = Walk::new(file, 7).unwrap();
        let mut found = Vec::new();
        loop {
            match walk.step().unwrap() {
                Step::Frame { frame: Frame::Record(Record::Publish(publish)), .. } => {
                    found.push(publish.head.len());
                }
                Step::Frame { .. } => panic!("only messages were written"),
                Step::End => return (found, None),
                Step::Bad { offset, flaw } => return (found, Some((offset, flaw))),
            }
        }
    }

    #[test]
    fn names_read_back_and_look_alikes_are_not_segments() {
        for name in [SegmentName::hot(1), SegmentName::cold(u32::MAX)] {
            assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        }
        assert_eq!(SegmentName::hot(12).to_string(), "hot-0000000012");
        for name in
            ["hot-12", "hot-0000000012.tmp", "hot-+000000012", "warm-0000000012", "hot-9999999999"]
        {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_header_reads_back_and_any_changed_bit_is_noticed() {
        let bytes = header().encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
        assert_eq!(SegmentHeader::decode(&bytes[..63]), Err(HeaderFlaw::CutShort));
        assert_eq!(SegmentHeader::decode(&[0; 64]), Err(HeaderFlaw::Zeros));
        for bit in 0..64 * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&changed), Err(HeaderFlaw::Checksum), "bit {bit}");
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFlaw::Newer(2)));
    }

    #[test]
    fn frames_across_and_beyond_a_piece_are_walked_through() {
        let directory = tempfile::tempdir().unwrap();
        let written = [10, PIECE - 100, 0, 300, 3 * PIECE, 1, PIECE, 5];
        let file = file(directory.path(), messages(&written).bytes());
        assert_eq!(sizes(&*file), (written.to_vec(), None));
    }

    #[test]
    fn cut_anywhere_the_whole_frames_before_are_found_and_the_place_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let frames = messages(&[5, 0, 9]);
        let file = file(directory.path(), frames.bytes());
        let ends: Vec<u64> = [5_u64, 0, 9]
            .iter()
            .scan(u64::from(HEADER_SIZE), |end, size| {
                *end += u64::from(FRAME_HEADER_SIZE) + 14 + 16 + size;
                Some(*end)
            })
            .collect();
        for length in (u64::from(HEADER_SIZE)..=ends[2]).rev() {
            file.truncate(length).unwrap();
            let whole = ends.iter().filter(|end| **end <= length).count();
            let (found, bad) = sizes(&*file);
            assert_eq!(found.len(), whole, "cut to {length}");
            let last = ends[..whole].last().copied().unwrap_or(64);
            match bad {
                None => assert_eq!(last, length),
                Some((offset, flaw)) => {
                    assert_eq!(u64::from(offset), last);
                    assert!(matches!(flaw, Flaw::CutShort { .. }), "{flaw}");
                }
            }
        }
    }

    #[test]
    fn zeros_after_the_last_frame_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let frames = messages(&[5]);
        let file = file(directory.path(), frames.bytes());
        file.truncate(10_000).unwrap();
        assert_eq!(sizes(&*file), (vec![5], Some((frames.end().offset, Flaw::Zeros))));
    }
}
