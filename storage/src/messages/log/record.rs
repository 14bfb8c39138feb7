//! What the records of the message log say: bytes in both directions.
//!
//! Written by the log thread and the compactor, read by recovery, readers and `verify`. Integers are
//! little-endian; `wal` frames and checks the records.
//! ```text
//! 1 PUB    n u16 | note u64 | arrived u64 | until u64 | head length u32 | n x (queue u64, sequence u64)
//!          | head | tail                                 times in ms since 1970; no until: all ones
//! 2 ACK    n u16 | n x (queue u64, base u64, 32 bytes: bit k is base + k, lowest bit first)
//! 3 RANGE  n u16 | n x (queue u64, first u64, count u64)         settled
//! 4 COUNT  n u16 | n x (queue u64, sequence u64, count u32)      given back so often
//! 5 QDEL   n u16 | n x queue u64
//! 8 SNAP   see `snapshot`
//! ```
//! Stays true: decoding never panics and trusts no length.

use std::marker::PhantomData;

use crate::messages::{Content, Place, Settled};
use crate::wal::{Flaw, GroupBuffer, RECORD_HEADER, Reader, RecordPlace, TooLong};

/// Places that one PUB can carry. A message in more queues is written again for the rest.
pub(crate) const PLACES_MAX: usize = u16::MAX as usize;

/// Sequence numbers that an [`AckChunk`] speaks of.
pub(crate) const CHUNK: u64 = 256;

/// The part of a PUB's payload before its places.
const PUBLISH_FIXED: usize = 2 + 8 + 8 + 8 + 4;

const NO_UNTIL: u64 = u64::MAX;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Publish = 1,
    Ack = 2,
    Range = 3,
    Count = 4,
    DeletedQueue = 5,
    Snapshot = 8,
}

impl Kind {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Publish,
            2 => Self::Ack,
            3 => Self::Range,
            4 => Self::Count,
            5 => Self::DeletedQueue,
            8 => Self::Snapshot,
            _ => return None,
        })
    }
}

/// What is known of a message without its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) note: u64,
    pub(crate) arrived_ms: u64,
    pub(crate) until_ms: Option<u64>,
}

impl Stamp {
    pub(crate) fn of(content: &Content) -> Self {
        let Content { note, arrived_ms, until_ms, .. } = *content;
        Self { note, arrived_ms, until_ms }
    }
}

/// What a record says.
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
    /// A part of a snapshot.
    Snapshot(&'a [u8]),
}

/// A message on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublishRecord<'a> {
    pub(crate) stamp: Stamp,
    /// Where it is.
    pub(crate) places: List<'a, Place>,
    /// The first part of the content.
    pub(crate) head: &'a [u8],
    /// The rest of it.
    pub(crate) tail: &'a [u8],
}

/// Bytes of the record of a message with so many places and bytes of content.
pub(crate) const fn publish_length(places: usize, content: usize) -> u64 {
    let fixed = RECORD_HEADER as u64 + PUBLISH_FIXED as u64;
    (fixed + 16 * places as u64).saturating_add(content as u64)
}

/// Bytes of the content of a message whose record has so many.
pub(crate) fn content_length(places: usize, record: u32) -> Option<u32> {
    let others = u32::try_from(publish_length(places, 0)).ok()?;
    record.checked_sub(others)
}

/// Adds a message: the content is `head` and then `tail`.
///
/// # Errors
/// The group is too long; nothing was added.
pub(crate) fn put_publish(
    out: &mut GroupBuffer,
    stamp: Stamp,
    head: &[u8],
    tail: &[u8],
    places: &[Place],
) -> Result<RecordPlace, TooLong> {
    let count = u16::try_from(places.len()).map_err(|_| TooLong)?;
    let head_length = u32::try_from(head.len()).map_err(|_| TooLong)?;
    out.record(Kind::Publish as u8, |out| {
        out.reserve(PUBLISH_FIXED + 16 * places.len() + head.len() + tail.len());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&stamp.note.to_le_bytes());
        out.extend_from_slice(&stamp.arrived_ms.to_le_bytes());
        out.extend_from_slice(&stamp.until_ms.unwrap_or(NO_UNTIL).to_le_bytes());
        out.extend_from_slice(&head_length.to_le_bytes());
        places.iter().for_each(|place| place.put(out));
        out.extend_from_slice(head);
        out.extend_from_slice(tail);
    })
}

/// The payload of a list; the caller has cut the items to what a count can say.
pub(crate) fn put_list<T: Item>(out: &mut Vec<u8>, items: &[T]) {
    out.reserve(2 + items.len() * T::SIZE);
    let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    items.iter().for_each(|item| item.put(out));
}

/// Looks into a record.
///
/// # Errors
/// It makes no sense.
pub(crate) fn decode(kind: u8, payload: &[u8]) -> Result<Record<'_>, Flaw> {
    let list = Flaw::Malformed("a list has another length than it says");
    Ok(match Kind::from_byte(kind).ok_or(Flaw::Malformed("it has an unknown type"))? {
        Kind::Publish => {
            let flaw = Flaw::Malformed("a PUB ends before its parts do");
            Record::Publish(publish(payload).ok_or(flaw)?)
        }
        Kind::Ack => {
            let chunks = List::<AckChunk>::whole(payload).ok_or(list)?;
            if chunks.iter().any(|chunk| chunk.base % CHUNK != 0) {
                return Err(Flaw::Malformed("an ACK begins between chunks"));
            }
            Record::Acks(chunks)
        }
        Kind::Range => {
            let ranges = List::<Settled>::whole(payload).ok_or(list)?;
            if ranges.iter().any(|range| range.first.checked_add(range.count).is_none()) {
                return Err(Flaw::Malformed("a RANGE goes beyond the last number"));
            }
            Record::Ranges(ranges)
        }
        Kind::Count => Record::Counts(List::whole(payload).ok_or(list)?),
        Kind::DeletedQueue => Record::DeletedQueues(List::whole(payload).ok_or(list)?),
        Kind::Snapshot => Record::Snapshot(payload),
    })
}

fn publish(payload: &[u8]) -> Option<PublishRecord<'_>> {
    let mut reader = Reader(payload);
    let count = reader.u16()?;
    let (note, arrived_ms, until_ms) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let head_length = usize::try_from(reader.u32()?).ok()?;
    let places = List::of(&mut reader, usize::from(count))?;
    let head = reader.take(head_length)?;
    let until_ms = (until_ms != NO_UNTIL).then_some(until_ms);
    let stamp = Stamp { note, arrived_ms, until_ms };
    Some(PublishRecord { stamp, places, head, tail: reader.0 })
}

/// Settled places among 256 consecutive ones of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckChunk {
    /// The queue's number.
    pub(crate) queue: u64,
    /// The first place; a multiple of [`CHUNK`].
    pub(crate) base: u64,
    /// Bit `k % 8` of byte `k / 8` says that `base + k` is settled.
    pub(crate) bitmap: [u8; 32],
}

/// Items of a fixed size, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a, T> {
    bytes: &'a [u8],
    items: PhantomData<T>,
}

impl<'a, T: Item> List<'a, T> {
    /// All of them.
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        self.bytes.chunks_exact(T::SIZE).map(|item| T::get(&mut Reader(item)))
    }

    fn of(reader: &mut Reader<'a>, count: usize) -> Option<Self> {
        let bytes = reader.take(count.checked_mul(T::SIZE)?)?;
        Some(Self { bytes, items: PhantomData })
    }

    /// A list that fills the payload.
    fn whole(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(payload);
        let count = reader.u16()?;
        let list = Self::of(&mut reader, usize::from(count))?;
        reader.0.is_empty().then_some(list)
    }
}

/// What a [`List`] can hold.
pub(crate) trait Item: Copy {
    /// Bytes of one.
    const SIZE: usize;

    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads it off `SIZE` bytes.
    fn get(reader: &mut Reader<'_>) -> Self;
}

impl Item for u64 {
    const SIZE: usize = 8;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        reader.u64().unwrap_or_default()
    }
}

impl Item for Place {
    const SIZE: usize = 16;

    fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        self.sequence.put(out);
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        Self { queue: u64::get(reader), sequence: u64::get(reader) }
    }
}

impl Item for Settled {
    const SIZE: usize = 24;

    fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        self.first.put(out);
        self.count.put(out);
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        Self { queue: u64::get(reader), first: u64::get(reader), count: u64::get(reader) }
    }
}

impl Item for (Place, u32) {
    const SIZE: usize = 20;

    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        out.extend_from_slice(&self.1.to_le_bytes());
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        (Place::get(reader), reader.u32().unwrap_or_default())
    }
}

impl Item for AckChunk {
    const SIZE: usize = 48;

    fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        self.base.put(out);
        out.extend_from_slice(&self.bitmap);
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        Self {
            queue: u64::get(reader),
            base: u64::get(reader),
            bitmap: reader.array().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(fill: impl FnOnce(&mut GroupBuffer)) -> Vec<u8> {
        let mut group = GroupBuffer::default();
        group.begin(crate::wal::Spot::default());
        fill(&mut group);
        group.payloads().remove(0)
    }

    #[test]
    fn a_message_reads_back() {
        let stamp = Stamp { note: 7, arrived_ms: 1_700_000_000_000, until_ms: Some(5) };
        let places = [Place { queue: 1, sequence: 2 }, Place { queue: u64::MAX, sequence: 9 }];
        let bytes = payload(|out| {
            let place = put_publish(out, stamp, b"head", b"tail!", &places).unwrap();
            assert_eq!(u64::from(place.length), publish_length(2, 9));
            assert_eq!(content_length(2, place.length), Some(9));
        });
        let Ok(Record::Publish(publish)) = decode(1, &bytes) else { panic!() };
        assert_eq!(
            (publish.stamp, publish.head, publish.tail),
            (stamp, &b"head"[..], &b"tail!"[..])
        );
        assert_eq!(publish.places.iter().collect::<Vec<_>>(), places);
        for length in 0..PUBLISH_FIXED + 36 {
            assert!(decode(1, &bytes[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn lists_read_back_and_senseless_ones_are_refused() {
        let mut bytes = Vec::new();
        put_list(&mut bytes, &[(Place { queue: 3, sequence: 4 }, 5)]);
        let Ok(Record::Counts(counts)) = decode(4, &bytes) else { panic!() };
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(Place { queue: 3, sequence: 4 }, 5)]);
        bytes.clear();
        put_list(&mut bytes, &[Settled { queue: 1, first: u64::MAX, count: 1 }]);
        assert!(decode(3, &bytes).is_err());
        bytes.clear();
        put_list(&mut bytes, &[AckChunk { queue: 1, base: 255, bitmap: [0; 32] }]);
        assert!(decode(2, &bytes).is_err());
        assert!(decode(99, &[]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_flaw_and_no_panic(kind in 0..10_u8, bytes in prop::collection::vec(0..4_u8, 0..100)) {
            let _flaw = decode(kind, &bytes);
        }
    }
}
