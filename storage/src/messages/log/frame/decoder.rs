//! Frames read back, or the reason why bytes are none.
//!
//! Stays true: nothing here panics, whatever the bytes; no length is believed before it is compared
//! with what there is.

use std::fmt;

use super::buffer::{put_measured, put_publish};
use super::{
    AckChunk, CHUNK, FLAG_MORE, FRAME_HEADER_SIZE, HEADER, Kind, List, LogPosition, Reader,
    checksum,
};
use crate::messages::{Place, Settled};

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The bytes end before the frame does.
    CutShort {
        /// Bytes the frame would have.
        needed: u64,
        /// Bytes there are.
        left: u64,
    },
    /// Nothing but zeros where the header should be.
    Zeros,
    /// Content and checksum differ.
    Checksum,
    /// A type that this version does not know.
    UnknownType(u8),
    /// The checksum matches, but the content makes no sense.
    Malformed(&'static str),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort { needed, left } => {
                write!(f, "a frame of {needed} bytes is cut short to {left}")
            }
            Self::Zeros => f.write_str("zeros where a frame should be"),
            Self::Checksum => f.write_str("a frame does not match its checksum"),
            Self::UnknownType(kind) => write!(f, "a frame has the unknown type {kind}"),
            Self::Malformed(what) => write!(f, "a frame has a good checksum but {what}"),
        }
    }
}

/// What a frame says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame<'a> {
    /// A message, or what became of others.
    Record(Record<'a>),
    /// Several of these that stand or fall together.
    Batch(Records<'a>),
    /// Everything before this is on disk.
    Synced(LogPosition),
    /// A part of a snapshot.
    Snapshot {
        /// Whether another part follows.
        more_follows: bool,
        /// See `snapshot`.
        payload: &'a [u8],
    },
}

impl<'a> Frame<'a> {
    /// The records in it; none in a SYNCED or SNAP.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let (one, several) = match self {
            Self::Record(record) => (Some(*record), None),
            Self::Batch(records) => (None, Some(*records)),
            Self::Synced(_) | Self::Snapshot { .. } => (None, None),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    /// The messages in it.
    pub(crate) fn publishes(&self) -> impl Iterator<Item = PublishRecord<'a>> + use<'a> {
        self.records().filter_map(|record| match record {
            Record::Publish(publish) => Some(publish),
            Record::Acks(_) | Record::Ranges(_) | Record::Counts(_) | Record::DeletedQueues(_) => {
                None
            }
        })
    }

    /// Places of all messages in it: what its bytes are shared among.
    pub(crate) fn places(&self) -> usize {
        self.publishes().map(|publish| publish.places.len()).sum()
    }
}

/// One thing that happened to queues.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    /// A message.
    Publish(PublishRecord<'a>),
    /// Settled places.
    Acks(List<'a, AckChunk>),
    /// Settled places.
    Ranges(List<'a, Settled>),
    /// How often messages were given back; the highest of several holds.
    Counts(List<'a, (Place, u32)>),
    /// Queues that are gone.
    DeletedQueues(List<'a, u64>),
}

/// A message on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublishRecord<'a> {
    /// The note it was appended with.
    pub(crate) note: u64,
    /// Where it is.
    pub(crate) places: List<'a, Place>,
    /// Bytes of the content.
    pub(crate) size: u32,
    /// The first part of the content; empty in an outline.
    pub(crate) head: &'a [u8],
    /// The rest of it; empty in an outline.
    pub(crate) tail: &'a [u8],
}

/// Whether messages have their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As in a segment.
    Whole,
    /// The content is left out, and the field for the length of the head has that of all of it.
    Outlined,
}

/// A frame whose payload has not been looked into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawFrame<'a> {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) payload: &'a [u8],
}

impl<'a> RawFrame<'a> {
    /// Reads the frame that begins where `bytes` do and checks it against its checksum.
    ///
    /// # Errors
    /// There is no whole frame.
    pub(crate) fn read(position: LogPosition, bytes: &'a [u8]) -> Result<Self, Flaw> {
        let header = FrameHeader::read(bytes)?;
        let len = header.len();
        let cut = Flaw::CutShort { needed: len, left: bytes.len() as u64 };
        let frame = usize::try_from(len).ok().and_then(|len| bytes.get(..len)).ok_or(cut)?;
        let payload = frame.get(HEADER..).ok_or(cut)?;
        let crc = checksum(position, header.payload_len, header.kind as u8, header.flags, payload);
        if crc != header.crc {
            return Err(Flaw::Checksum);
        }
        Ok(Self { kind: header.kind, flags: header.flags, payload })
    }

    /// Looks into it.
    ///
    /// # Errors
    /// [`Flaw::Malformed`].
    pub(crate) fn decode(&self) -> Result<Frame<'a>, Flaw> {
        let known_flags = if self.kind == Kind::Snapshot { FLAG_MORE } else { 0 };
        if self.flags & !known_flags != 0 {
            return Err(Flaw::Malformed("unknown flags"));
        }
        self.decode_as(Form::Whole)
    }

    fn decode_as(&self, form: Form) -> Result<Frame<'a>, Flaw> {
        Ok(match self.kind {
            Kind::Batch => {
                let records = Records { rest: self.payload, form };
                records.check()?;
                Frame::Batch(records)
            }
            Kind::Synced => Frame::Synced(synced(self.payload)?),
            Kind::Snapshot => {
                Frame::Snapshot { more_follows: self.flags & FLAG_MORE != 0, payload: self.payload }
            }
            Kind::Publish | Kind::Ack | Kind::Range | Kind::Count | Kind::DeletedQueue => {
                Frame::Record(record(self.kind, self.payload, form)?)
            }
        })
    }

    /// Appends the frame without the content of its messages: type u8 | flags u8 | len u32 | payload.
    pub(crate) fn put_outline(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.kind as u8, self.flags]);
        put_measured(out, |out| {
            if self.kind != Kind::Batch {
                return put_record_outline(out, self.kind as u8, self.payload);
            }
            let mut reader = Reader(self.payload);
            while let Some((kind, payload)) = reader.record() {
                out.push(kind);
                put_measured(out, |out| put_record_outline(out, kind, payload));
            }
        });
    }

    /// Takes off what [`RawFrame::put_outline`] has put.
    pub(crate) fn take_outline(reader: &mut Reader<'a>) -> Option<Frame<'a>> {
        let (kind, flags) = (Kind::from_byte(reader.u8()?)?, reader.u8()?);
        let payload = reader.measured()?;
        Self { kind, flags, payload }.decode_as(Form::Outlined).ok()
    }
}

fn put_record_outline(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let publish = (kind == Kind::Publish as u8).then(|| publish(payload, Form::Whole).ok());
    match publish.flatten() {
        Some(publish) => {
            put_publish(out, publish.note, publish.size, publish.places.len());
            out.extend_from_slice(publish.places.bytes());
        }
        None => out.extend_from_slice(payload),
    }
}

/// Reads, checks and looks into the frame that begins where `bytes` do.
///
/// # Errors
/// There is no whole frame, or it makes no sense.
pub(crate) fn decode(position: LogPosition, bytes: &[u8]) -> Result<Frame<'_>, Flaw> {
    RawFrame::read(position, bytes)?.decode()
}

/// The length of the whole frame that begins where `bytes` do, as its header says: it may be more
/// than there is.
///
/// # Errors
/// There is no header.
pub(crate) fn stated_len(bytes: &[u8]) -> Result<u64, Flaw> {
    FrameHeader::read(bytes).map(|header| header.len())
}

struct FrameHeader {
    payload_len: u32,
    crc: u32,
    kind: Kind,
    flags: u8,
}

impl FrameHeader {
    fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        let Some(header) = bytes.first_chunk::<HEADER>() else {
            return Err(Flaw::CutShort { needed: HEADER as u64, left: bytes.len() as u64 });
        };
        if *header == [0; HEADER] {
            return Err(Flaw::Zeros);
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3, kind, flags] = *header;
        Ok(Self {
            payload_len: u32::from_le_bytes([l0, l1, l2, l3]),
            crc: u32::from_le_bytes([c0, c1, c2, c3]),
            kind: Kind::from_byte(kind).ok_or(Flaw::UnknownType(kind))?,
            flags,
        })
    }

    fn len(&self) -> u64 {
        u64::from(self.payload_len) + u64::from(FRAME_HEADER_SIZE)
    }
}

fn synced(payload: &[u8]) -> Result<LogPosition, Flaw> {
    let mut reader = Reader(payload);
    match (reader.u32(), reader.u32(), reader.0) {
        (Some(segment), Some(offset), []) => Ok(LogPosition { segment, offset }),
        _ => Err(Flaw::Malformed("a SYNCED of a wrong length")),
    }
}

fn record(kind: Kind, payload: &[u8], form: Form) -> Result<Record<'_>, Flaw> {
    let list = Flaw::Malformed("a list of another length than it says");
    match kind {
        Kind::Publish => publish(payload, form).map(Record::Publish),
        Kind::Ack => {
            let chunks = List::<AckChunk>::whole(payload).ok_or(list)?;
            if chunks.iter().any(|chunk| chunk.base % CHUNK != 0) {
                return Err(Flaw::Malformed("an ACK that begins between chunks"));
            }
            Ok(Record::Acks(chunks))
        }
        Kind::Range => {
            let ranges = List::<Settled>::whole(payload).ok_or(list)?;
            if ranges.iter().any(|range| range.first.checked_add(range.count).is_none()) {
                return Err(Flaw::Malformed("a RANGE beyond the last number"));
            }
            Ok(Record::Ranges(ranges))
        }
        Kind::Count => List::whole(payload).map(Record::Counts).ok_or(list),
        Kind::DeletedQueue => List::whole(payload).map(Record::DeletedQueues).ok_or(list),
        Kind::Batch | Kind::Synced | Kind::Snapshot => {
            Err(Flaw::Malformed("a BATCH with what cannot be in one"))
        }
    }
}

fn publish(payload: &[u8], form: Form) -> Result<PublishRecord<'_>, Flaw> {
    let mut reader = Reader(payload);
    let parts = (|| {
        let count = reader.u16()?;
        let note = reader.u64()?;
        let head_len = reader.u32()?;
        let places = List::of(&mut reader, usize::from(count))?;
        if form == Form::Outlined {
            let none = reader.0;
            let publish = PublishRecord { note, places, size: head_len, head: none, tail: none };
            return none.is_empty().then_some(publish);
        }
        let size = u32::try_from(reader.0.len()).ok()?;
        let head = reader.take(usize::try_from(head_len).ok()?)?;
        Some(PublishRecord { note, places, size, head, tail: reader.0 })
    })();
    parts.ok_or(Flaw::Malformed("a PUB that ends before its parts do"))
}

/// The records of a BATCH.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    form: Form,
}

impl<'a> Records<'a> {
    /// Once this was no error, the iterator passes over nothing.
    fn check(mut self) -> Result<(), Flaw> {
        while !self.rest.is_empty() {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Record<'a>, Flaw> {
        let mut reader = Reader(self.rest);
        let cut = Flaw::Malformed("a BATCH that ends inside a record");
        let (kind, payload) = reader.record().ok_or(cut)?;
        self.rest = reader.0;
        let kind = Kind::from_byte(kind).ok_or(Flaw::Malformed("a BATCH with an unknown type"))?;
        record(kind, payload, self.form)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.rest.is_empty() { None } else { self.step().ok() }
    }
}
