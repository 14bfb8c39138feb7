//! A segment file: its name and its header.
//!
//! Made ahead by `stock`, written by `appender` (hot) and `side` (cold), found again by `survey`.
//! ```text
//! hot-0000000012     groups in the order of writing
//! cold-0000000015    made whole beside that order
//!
//!  0  "LVRTSEG1" | version u16 | kind u8 (0 hot, 1 cold) | 0 | segment id u32
//! 16  store id, 16 bytes | created u64 (unix milliseconds) | salt u64 | zeros
//! 60  crc32c u32 of the 60 bytes before
//! 64  groups, see `group`
//! ```
//! The salt is random and in the seed of every checksum of the segment: nothing that somebody sends,
//! and nothing that is left from a segment whose file this was before, passes for a group of it.
//!
//! Stays true: ids ascend over both kinds and are never used twice.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::bytes::Reader;
use super::files::LogFile;

/// Bytes before the first group.
pub const HEADER_SIZE: u32 = 64;

/// The layout of segments that this version reads and writes.
pub(crate) const VERSION: u16 = 2;

const MAGIC: [u8; 8] = *b"LVRTSEG1";
const CHECKED: usize = 60;
const HEADER: usize = HEADER_SIZE as usize;

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// Holds what was appended.
    Hot,
    /// Holds what outlived its hot segment.
    Cold,
}

/// A segment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// Ascending over both kinds.
    pub id: u32,
    /// What it is for.
    pub kind: SegmentKind,
}

impl SegmentName {
    /// Of a hot segment.
    #[must_use]
    pub const fn hot(id: u32) -> Self {
        Self { id, kind: SegmentKind::Hot }
    }

    /// Of a cold segment.
    #[must_use]
    pub const fn cold(id: u32) -> Self {
        Self { id, kind: SegmentKind::Cold }
    }

    /// Whether it is hot.
    #[must_use]
    pub const fn is_hot(self) -> bool {
        matches!(self.kind, SegmentKind::Hot)
    }

    /// Where the file is.
    #[must_use]
    pub fn path(self, directory: &Path) -> PathBuf {
        directory.join(self.to_string())
    }

    /// The name of a file, or `None` if it is no segment.
    #[must_use]
    pub fn parse(file_name: &str) -> Option<Self> {
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

/// A segment that there is, or was. Not the open file: see `handles`.
#[derive(Debug)]
pub struct Segment {
    /// What it is called.
    pub name: SegmentName,
    /// Where it is.
    pub path: PathBuf,
    /// In the seed of its checksums.
    pub(crate) salt: u64,
    /// Its file has been removed or has become another segment's.
    is_gone: AtomicBool,
}

impl Segment {
    pub(crate) fn new(name: SegmentName, directory: &Path, salt: u64) -> Arc<Self> {
        let is_gone = AtomicBool::new(false);
        Arc::new(Self { name, path: name.path(directory), salt, is_gone })
    }

    #[cfg(test)]
    pub(crate) fn for_test(name: SegmentName, directory: &Path) -> Arc<Self> {
        Self::new(name, directory, 1)
    }

    /// Whether it has been removed: whoever fails to read it looks for what it wants elsewhere.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    pub(crate) fn set_gone(&self) {
        self.is_gone.store(true, Ordering::Release);
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
    /// See the module documentation.
    pub(crate) salt: u64,
}

/// Why bytes are not the header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFlaw {
    /// There are fewer bytes than a header has.
    CutShort,
    /// Nothing but zeros.
    Zeros,
    /// Content and checksum differ.
    Checksum,
    /// It was written by another version.
    Version(u16),
    /// The checksum matches, but it is not the header of a segment.
    Foreign,
}

impl fmt::Display for HeaderFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort => f.write_str("the header is cut short"),
            Self::Zeros => f.write_str("the header is all zeros"),
            Self::Checksum => f.write_str("the header does not match its checksum"),
            Self::Version(version) => write!(f, "it has the format {version}"),
            Self::Foreign => f.write_str("it is not a segment"),
        }
    }
}

impl SegmentHeader {
    /// The header as bytes.
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let kind = u8::from(!self.name.is_hot());
        let fields: [&[u8]; 7] = [
            &MAGIC,
            &VERSION.to_le_bytes(),
            &[kind, 0],
            &self.name.id.to_le_bytes(),
            &self.store,
            &self.created_unix_ms.to_le_bytes(),
            &self.salt.to_le_bytes(),
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
        let mut fields = Reader(checked);
        if fields.take(MAGIC.len()) != Some(MAGIC.as_slice()) {
            return Err(HeaderFlaw::Foreign);
        }
        match fields.u16() {
            Some(VERSION) => {}
            version => return Err(HeaderFlaw::Version(version.unwrap_or_default())),
        }
        let decoded = (|| {
            let kind = match fields.u8()? {
                0 => SegmentKind::Hot,
                1 => SegmentKind::Cold,
                _ => return None,
            };
            fields.u8()?;
            let name = SegmentName { id: fields.u32()?, kind };
            let store = *fields.take(16)?.first_chunk()?;
            Some(Self { name, store, created_unix_ms: fields.u64()?, salt: fields.u64()? })
        })();
        decoded.ok_or(HeaderFlaw::Foreign)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        let name = SegmentName::hot(7);
        SegmentHeader { name, store: [9; 16], created_unix_ms: 1_700_000, salt: 77 }
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
    fn another_version_is_told_from_damage() {
        for version in [1_u8, 3] {
            let mut bytes = header().encode();
            bytes[8] = version;
            let crc = crc32c::crc32c(&bytes[..60]);
            bytes[60..].copy_from_slice(&crc.to_le_bytes());
            let flaw = HeaderFlaw::Version(version.into());
            assert_eq!(SegmentHeader::decode(&bytes), Err(flaw));
        }
    }
}
