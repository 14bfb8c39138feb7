//! Groups of records: bytes in both directions.
//!
//! A group is what is written at once; it counts whole or not at all. Its records stand one after
//! the other and can each be read by itself. Integers are little-endian.
//! ```text
//! group   length u32 | records u32 | number u64 | synced u64 | body u32 | crc u32 | record ...
//!         length: bytes of all records        synced: every group up to this one was on disk
//!         body: crc32c of the records' crcs   crc: of salt, offset and the 28 bytes before
//! record  length u32 | crc u32 | kind u8 | 0 | payload
//!         crc: of salt, offset, length, kind and payload
//! ```
//! 32 zeros follow the last group: whatever else stands there is a group that was not finished, or
//! was damaged. A group without records says how far the log is synced.
//!
//! Stays true: decoding never panics and trusts no length; what was moved, or is left over from
//! another segment, does not match its checksum.

use std::fmt;

use super::bytes::Reader;
use super::segment::Segment;

/// Bytes of a group before its records.
pub const GROUP_HEADER: u32 = 32;

/// Bytes of a record before its payload.
pub const RECORD_HEADER: u32 = 10;

/// The most bytes that the records of a group may have. A caller has to see to it that what it
/// appends is not more.
pub const GROUP_BYTES_MAX: u32 = 1 << 30;

/// A record of this kind is a segment's footer. Callers have the others.
pub(crate) const FOOTER: u8 = u8::MAX;

const HEADER: usize = GROUP_HEADER as usize;
const RECORD: usize = RECORD_HEADER as usize;

/// Where something is in its segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordPlace {
    /// Bytes from the beginning of the segment.
    pub offset: u32,
    /// Bytes of all of it.
    pub length: u32,
}

impl RecordPlace {
    /// Where it ends.
    #[must_use]
    pub const fn end(self) -> u32 {
        self.offset.saturating_add(self.length)
    }
}

/// More than [`GROUP_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The bytes end before it does.
    CutShort {
        /// Bytes it would have.
        needed: u64,
        /// Bytes there are.
        left: u64,
    },
    /// Content and checksum differ.
    Checksum,
    /// The checksum matches, but the content makes no sense.
    Malformed(&'static str),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort { needed, left } => write!(f, "{needed} bytes are cut short to {left}"),
            Self::Checksum => f.write_str("the content does not match its checksum"),
            Self::Malformed(what) => write!(f, "the checksum is good but {what}"),
        }
    }
}

/// What stands before the records of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) length: u32,
    pub(crate) records: u32,
    pub(crate) number: u64,
    pub(crate) synced: u64,
    body: u32,
}

impl GroupHeader {
    /// Bytes of the whole group.
    pub(crate) const fn total(&self) -> u64 {
        GROUP_HEADER as u64 + self.length as u64
    }

    fn encode(&self, salt: u64, offset: u32) -> [u8; HEADER] {
        let fields: [&[u8]; 5] = [
            &self.length.to_le_bytes(),
            &self.records.to_le_bytes(),
            &self.number.to_le_bytes(),
            &self.synced.to_le_bytes(),
            &self.body.to_le_bytes(),
        ];
        let mut header = [0; HEADER];
        for (byte, value) in header.iter_mut().zip(fields.into_iter().flatten()) {
            *byte = *value;
        }
        if let Some((checked, crc)) = header.split_last_chunk_mut::<4>() {
            *crc = header_crc(salt, offset, checked).to_le_bytes();
        }
        header
    }

    /// `None` if it is none.
    pub(crate) fn decode(salt: u64, offset: u32, bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let mut fields = Reader(header);
        let decoded = Self {
            length: fields.u32()?,
            records: fields.u32()?,
            number: fields.u64()?,
            synced: fields.u64()?,
            body: fields.u32()?,
        };
        // Cheap to tell apart from nearly everything before a checksum is computed.
        if decoded.synced > decoded.number || decoded.length > GROUP_BYTES_MAX {
            return None;
        }
        let (checked, crc) = header.split_last_chunk::<4>()?;
        (header_crc(salt, offset, checked).to_le_bytes() == *crc).then_some(decoded)
    }
}

fn header_crc(salt: u64, offset: u32, checked: &[u8]) -> u32 {
    let seed = crc32c::crc32c(&salt.to_le_bytes());
    let seed = crc32c::crc32c_append(seed, &offset.to_le_bytes());
    crc32c::crc32c_append(seed, checked)
}

fn record_crc(salt: u64, offset: u32, length: u32, kind: u8, payload: &[u8]) -> u32 {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = salt.to_le_bytes();
    let [o0, o1, o2, o3] = offset.to_le_bytes();
    let [l0, l1, l2, l3] = length.to_le_bytes();
    let seed = [s0, s1, s2, s3, s4, s5, s6, s7, o0, o1, o2, o3, l0, l1, l2, l3, kind];
    crc32c::crc32c_append(crc32c::crc32c(&seed), payload)
}

/// A record whose checksum is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it is.
    pub place: RecordPlace,
    /// What it is, as its writer has said.
    pub kind: u8,
    /// What it says.
    pub payload: &'a [u8],
    crc: u32,
}

impl<'a> Record<'a> {
    /// Reads the record of a segment that begins at an offset, where `bytes` begin.
    ///
    /// # Errors
    /// There is no whole record.
    pub fn read(segment: &Segment, offset: u32, bytes: &'a [u8]) -> Result<Self, Flaw> {
        Self::check(segment.salt, offset, bytes)
    }

    pub(crate) fn check(salt: u64, offset: u32, bytes: &'a [u8]) -> Result<Self, Flaw> {
        let mut fields = Reader(bytes);
        let left = bytes.len() as u64;
        let header = (fields.u32(), fields.u32(), fields.u8(), fields.u8());
        let (Some(length), Some(crc), Some(kind), Some(_)) = header else {
            return Err(Flaw::CutShort { needed: RECORD as u64, left });
        };
        let total = u64::from(length) + RECORD as u64;
        let cut = Flaw::CutShort { needed: total, left };
        let payload = usize::try_from(length).ok().and_then(|length| fields.take(length));
        let payload = payload.ok_or(cut)?;
        if record_crc(salt, offset, length, kind, payload) != crc {
            return Err(Flaw::Checksum);
        }
        let place = RecordPlace { offset, length: u32::try_from(total).map_err(|_| cut)? };
        Ok(Self { place, kind, payload, crc })
    }

    /// Bytes of the record that begins here, if its header is believed.
    pub(crate) fn stated_length(bytes: &[u8]) -> Option<u64> {
        Some(u64::from(Reader(bytes).u32()?) + RECORD as u64)
    }
}

/// The records of a group, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records<'a> {
    salt: u64,
    offset: u32,
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Of a group at an offset whose bytes, all of them, these are.
    ///
    /// # Errors
    /// One of the records is bad, and where; or the group is not made of these.
    pub(crate) fn check(
        salt: u64,
        offset: u32,
        header: &GroupHeader,
        group: &'a [u8],
    ) -> Result<Self, (u32, Flaw)> {
        let rest = group.get(HEADER..).unwrap_or_default();
        let records = Self { salt, offset: offset.saturating_add(GROUP_HEADER), rest };
        let (mut walk, mut body, mut count) = (records, 0, 0_u32);
        while !walk.rest.is_empty() {
            let at = walk.offset;
            let record = walk.step().map_err(|flaw| (at, flaw))?;
            body = crc32c::crc32c_append(body, &record.crc.to_le_bytes());
            count = count.saturating_add(1);
        }
        if (body, count) != (header.body, header.records) {
            return Err((offset, Flaw::Malformed("a record is missing or was added")));
        }
        Ok(records)
    }

    /// Whether the group is a segment's footer, which is none of the log's groups.
    pub(crate) fn is_footer(&self) -> bool {
        let mut records = *self;
        records.next().is_some_and(|record| record.kind == FOOTER)
    }

    fn step(&mut self) -> Result<Record<'a>, Flaw> {
        let record = Record::check(self.salt, self.offset, self.rest)?;
        self.rest = self.rest.get(record.place.length as usize..).unwrap_or_default();
        self.offset = record.place.end();
        Ok(record)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.rest.is_empty() { None } else { self.step().ok() }
    }
}

/// Where a group is to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// The segment's id.
    pub segment: u32,
    /// Bytes from its beginning.
    pub offset: u32,
    pub(crate) salt: u64,
}

/// A group on its way to a segment. Reused: it keeps its memory.
///
/// The hot path of a log: one buffer, one copy of what is appended, and its checksum over bytes that
/// are still in the processor's cache.
#[derive(Debug, Default)]
pub struct GroupBuffer {
    bytes: Vec<u8>,
    spot: Spot,
    body: u32,
    records: u32,
}

impl GroupBuffer {
    /// Empties it; the group is for this spot.
    pub fn begin(&mut self, spot: Spot) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0; HEADER]);
        self.spot = spot;
        self.body = 0;
        self.records = 0;
    }

    /// Whether it has no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Where it is to go.
    #[must_use]
    pub const fn spot(&self) -> Spot {
        self.spot
    }

    /// Bytes of its records.
    #[must_use]
    pub fn length(&self) -> usize {
        self.bytes.len().saturating_sub(HEADER)
    }

    /// Gives memory above this many bytes back.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(bytes);
    }

    /// Adds a record.
    ///
    /// # Errors
    /// The group is too long; the record was not added.
    pub fn record(
        &mut self,
        kind: u8,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<RecordPlace, TooLong> {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&[0; RECORD]);
        fill(&mut self.bytes);
        let finished = self.finish_record(before, kind);
        if finished.is_none() {
            self.bytes.truncate(before);
        }
        finished.ok_or(TooLong)
    }

    /// Writes the header over the room left for it.
    fn finish_record(&mut self, before: usize, kind: u8) -> Option<RecordPlace> {
        if self.length() > GROUP_BYTES_MAX as usize {
            return None;
        }
        let offset = self.spot.offset.checked_add(u32::try_from(before).ok()?)?;
        let record = self.bytes.get_mut(before..)?;
        let total = u32::try_from(record.len()).ok()?;
        let (header, payload) = record.split_first_chunk_mut::<RECORD>()?;
        let length = u32::try_from(payload.len()).ok()?;
        let crc = record_crc(self.spot.salt, offset, length, kind, payload).to_le_bytes();
        let [l0, l1, l2, l3] = length.to_le_bytes();
        let [c0, c1, c2, c3] = crc;
        *header = [l0, l1, l2, l3, c0, c1, c2, c3, kind, 0];
        self.body = crc32c::crc32c_append(self.body, &crc);
        self.records += 1;
        Some(RecordPlace { offset, length: total })
    }

    /// What its records say.
    #[cfg(test)]
    pub(crate) fn payloads(&self) -> Vec<Vec<u8>> {
        let rest = self.bytes.get(HEADER..).unwrap_or_default();
        let offset = self.spot.offset + GROUP_HEADER;
        let records = Records { salt: self.spot.salt, offset, rest };
        records.map(|record| record.payload.to_vec()).collect()
    }

    /// Gives it its number; what is to be written at its spot, with the zeros that end the log.
    pub(crate) fn finish(&mut self, number: u64, synced: u64) -> &[u8] {
        let header = GroupHeader {
            // `record` has checked that it fits.
            length: u32::try_from(self.length()).unwrap_or(u32::MAX),
            records: self.records,
            number,
            synced,
            body: self.body,
        };
        let total = HEADER + self.length();
        if let Some(room) = self.bytes.first_chunk_mut::<HEADER>() {
            *room = header.encode(self.spot.salt, self.spot.offset);
        }
        self.bytes.truncate(total);
        self.bytes.extend_from_slice(&[0; HEADER]);
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOT: Spot = Spot { segment: 3, offset: 64, salt: 0x1234_5678 };

    fn sample() -> GroupBuffer {
        let mut group = GroupBuffer::default();
        group.begin(SPOT);
        for (kind, text) in [(1, "one"), (2, ""), (9, "three")] {
            group.record(kind, |out| out.extend_from_slice(text.as_bytes())).unwrap();
        }
        group
    }

    type Told = (GroupHeader, Vec<(u8, Vec<u8>)>);

    fn read(spot: Spot, bytes: &[u8]) -> Option<Told> {
        let header = GroupHeader::decode(spot.salt, spot.offset, bytes)?;
        let group = bytes.get(..usize::try_from(header.total()).ok()?)?;
        let records = Records::check(spot.salt, spot.offset, &header, group).ok()?;
        Some((header, records.map(|one| (one.kind, one.payload.to_vec())).collect()))
    }

    #[test]
    fn a_group_reads_back_and_each_record_by_itself() {
        let mut group = sample();
        let bytes = group.finish(7, 6).to_vec();
        let (header, records) = read(SPOT, &bytes).unwrap();
        assert_eq!((header.number, header.synced, header.records), (7, 6, 3));
        assert_eq!(records[2], (9, b"three".to_vec()));
        let third = bytes.windows(5).position(|five| five == b"three").unwrap() - RECORD;
        let offset = SPOT.offset + u32::try_from(third).unwrap();
        let record = Record::check(SPOT.salt, offset, &bytes[third..]).unwrap();
        assert_eq!((record.payload, record.place.length), (&b"three"[..], 15));
        assert!(bytes.ends_with(&[0; HEADER]));
    }

    #[test]
    fn a_group_without_records_says_how_far_the_log_is_synced() {
        let mut group = GroupBuffer::default();
        group.begin(SPOT);
        let (header, records) = read(SPOT, group.finish(9, 8)).unwrap();
        assert_eq!((header.synced, records.len()), (8, 0));
    }

    #[test]
    fn changed_moved_or_of_another_segment_it_is_none() {
        let bytes = sample().finish(7, 6).to_vec();
        for at in 0..bytes.len() - HEADER {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            // The byte behind a record's kind is not looked at.
            assert!(read(SPOT, &changed).is_none() || changed[at] == 4, "byte {at}");
            assert!(read(SPOT, &bytes[..at]).is_none());
        }
        assert!(read(Spot { offset: 65, ..SPOT }, &bytes).is_none());
        assert!(read(Spot { salt: 1, ..SPOT }, &bytes).is_none());
        assert!(read(SPOT, &[0; 100]).is_none());
    }

    #[test]
    fn what_is_too_long_is_not_added() {
        let mut group = sample();
        let length = group.length();
        let too_long = |out: &mut Vec<u8>| out.resize(out.len() + (1 << 30), 0);
        assert_eq!(group.record(1, too_long), Err(TooLong));
        assert_eq!(group.length(), length);
        assert!(read(SPOT, group.finish(1, 0)).is_some());
    }
}
