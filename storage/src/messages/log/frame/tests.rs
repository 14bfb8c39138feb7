//! Round trips of every frame type, and what bytes that are no frames do: nothing worse than a flaw.

use proptest::collection::vec;
use proptest::prelude::*;

use super::buffer::BatchBuffer;
use super::*;
use crate::messages::{Place, Settled};

/// A frame as a test thinks of it.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Publish { note: u64, places: Vec<Place>, head: Vec<u8>, tail: Vec<u8> },
    Acks(Vec<AckChunk>),
    Ranges(Vec<Settled>),
    Counts(Vec<(Place, u32)>),
    Deleted(Vec<u64>),
    Batch(Vec<Self>),
    Synced(LogPosition),
    Snapshot(bool, Vec<u8>),
}

impl Said {
    fn write(&self, out: &mut FrameBuffer) {
        match self {
            Self::Publish { note, places, head, tail } => {
                out.publish(*note, head, tail, places).unwrap();
            }
            Self::Acks(chunks) => out.acks(chunks).unwrap(),
            Self::Ranges(ranges) => out.ranges(ranges).unwrap(),
            Self::Counts(counts) => out.counts(counts).unwrap(),
            Self::Deleted(queues) => out.deleted_queues(queues).unwrap(),
            Self::Batch(all) => {
                out.batch(|batch| all.iter().for_each(|said| said.write_in(batch))).unwrap();
            }
            Self::Synced(position) => {
                out.synced(*position).unwrap();
            }
            Self::Snapshot(more, payload) => {
                out.snapshot(*more, |out| out.extend_from_slice(payload)).unwrap();
            }
        }
    }

    fn write_in(&self, out: &mut BatchBuffer<'_>) {
        match self {
            Self::Publish { note, places, head, tail } => out.publish(*note, head, tail, places),
            Self::Ranges(ranges) => out.ranges(ranges),
            Self::Counts(counts) => out.counts(counts),
            Self::Deleted(queues) => out.deleted_queues(queues),
            Self::Acks(_) | Self::Batch(_) | Self::Synced(_) | Self::Snapshot(..) => unreachable!(),
        }
    }

    fn of_record(record: Record<'_>) -> Self {
        match record {
            Record::Publish(publish) => Self::Publish {
                note: publish.note,
                places: publish.places.iter().collect(),
                head: publish.head.to_vec(),
                tail: publish.tail.to_vec(),
            },
            Record::Acks(chunks) => Self::Acks(chunks.iter().collect()),
            Record::Ranges(ranges) => Self::Ranges(ranges.iter().collect()),
            Record::Counts(counts) => Self::Counts(counts.iter().collect()),
            Record::DeletedQueues(queues) => Self::Deleted(queues.iter().collect()),
        }
    }

    fn of(frame: &Frame<'_>) -> Self {
        match frame {
            Frame::Record(record) => Self::of_record(*record),
            Frame::Batch(records) => Self::Batch(records.map(Self::of_record).collect()),
            Frame::Synced(position) => Self::Synced(*position),
            Frame::Snapshot { more_follows, payload } => {
                Self::Snapshot(*more_follows, payload.to_vec())
            }
        }
    }
}

fn places() -> impl Strategy<Value = Place> {
    any::<(u64, u64)>().prop_map(|(queue, sequence)| Place { queue, sequence })
}

fn in_batches() -> impl Strategy<Value = Said> {
    let bytes = || vec(any::<u8>(), 0..40);
    prop_oneof![
        (any::<u64>(), vec(places(), 0..4), bytes(), bytes())
            .prop_map(|(note, places, head, tail)| Said::Publish { note, places, head, tail }),
        vec((any::<u64>(), 0..u64::MAX / 2, 0..u64::MAX / 2), 1..4).prop_map(|ranges| {
            let ranges = ranges.into_iter();
            Said::Ranges(
                ranges.map(|(queue, first, count)| Settled { queue, first, count }).collect(),
            )
        }),
        vec((places(), any::<u32>()), 1..4).prop_map(Said::Counts),
        vec(any::<u64>(), 1..4).prop_map(Said::Deleted),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let chunk = (any::<u64>(), any::<u64>(), any::<[u8; 32]>())
        .prop_map(|(queue, base, bitmap)| AckChunk { queue, base: base / CHUNK * CHUNK, bitmap });
    prop_oneof![
        4 => in_batches(),
        1 => vec(chunk, 1..4).prop_map(Said::Acks),
        1 => vec(in_batches(), 0..4).prop_map(Said::Batch),
        1 => any::<(u32, u32)>()
            .prop_map(|(segment, offset)| Said::Synced(LogPosition { segment, offset })),
        1 => (any::<bool>(), vec(any::<u8>(), 0..40))
            .prop_map(|(more, payload)| Said::Snapshot(more, payload)),
    ]
}

fn start() -> impl Strategy<Value = LogPosition> {
    (any::<u32>(), 0..u32::MAX / 2).prop_map(|(segment, offset)| LogPosition { segment, offset })
}

fn written(start: LogPosition, all: &[Said]) -> FrameBuffer {
    let mut out = FrameBuffer::default();
    out.begin(start);
    all.iter().for_each(|said| said.write(&mut out));
    out
}

proptest! {
    #[test]
    fn what_is_written_reads_back(start in start(), all in vec(said(), 1..6)) {
        let out = written(start, &all);
        let mut position = start;
        let mut rest = out.bytes();
        let mut read = Vec::new();
        while !rest.is_empty() {
            read.push(Said::of(&decode(position, rest).unwrap()));
            let len = stated_len(rest).unwrap();
            rest = &rest[usize::try_from(len).unwrap()..];
            position.offset += u32::try_from(len).unwrap();
        }
        prop_assert_eq!(read, all);
        prop_assert_eq!(position, out.end());
    }

    #[test]
    fn any_changed_bit_is_noticed(start in start(), said in said(), bit in any::<prop::sample::Index>()) {
        let out = written(start, &[said]);
        let mut bytes = out.bytes().to_vec();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(decode(start, &bytes).is_err());
    }

    #[test]
    fn a_frame_of_another_place_is_no_frame(a in start(), b in start(), said in said()) {
        prop_assume!(a != b);
        prop_assert!(decode(b, written(a, &[said]).bytes()).is_err());
    }

    #[test]
    fn any_bytes_are_a_flaw_and_no_panic(start in start(), bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(start, &bytes).is_err());
    }

    #[test]
    fn any_payload_with_a_good_checksum_does_not_panic(
        start in start(),
        kind in 1_u8..=8,
        flags in any::<u8>(),
        payload in prop_oneof![vec(any::<u8>(), 0..200), vec(0_u8..9, 0..60)],
    ) {
        let mut out = FrameBuffer::default();
        out.begin(start);
        let raw = RawFrame { kind: Kind::from_byte(kind).unwrap(), flags, payload: &payload };
        out.copy(&raw).unwrap();
        match decode(start, out.bytes()) {
            Ok(frame) => drop(Said::of(&frame)),
            Err(flaw) => prop_assert!(matches!(flaw, Flaw::Malformed(_)), "{}", flaw),
        }
    }
}

#[test]
fn long_lists_are_cut_into_frames() {
    let queues: Vec<u64> = (0..70_000).collect();
    let out = written(LogPosition::default(), &[Said::Deleted(queues.clone())]);
    let first = stated_len(out.bytes()).unwrap();
    let mut read = Vec::new();
    for offset in [0, u32::try_from(first).unwrap()] {
        let rest = &out.bytes()[offset as usize..];
        let said = Said::of(&decode(LogPosition { segment: 0, offset }, rest).unwrap());
        let Said::Deleted(mut some) = said else { panic!("{said:?}") };
        read.append(&mut some);
    }
    assert_eq!(read, queues);
}

#[test]
fn what_does_not_fit_leaves_the_buffer_as_it_was() {
    let mut out = FrameBuffer::default();
    out.begin(LogPosition { segment: 1, offset: u32::MAX - 100 });
    out.deleted_queues(&[1]).unwrap();
    let before = out.bytes().to_vec();
    assert_eq!(out.publish(0, &[0; 90], &[], &[]), Err(TooLong));
    let places = vec![Place { queue: 1, sequence: 1 }; PLACES_MAX + 1];
    assert_eq!(out.publish(0, &[], &[], &places), Err(TooLong));
    assert_eq!(out.batch(|batch| batch.publish(0, &[], &[], &places)), Err(TooLong));
    assert_eq!(out.bytes(), before);
}

#[test]
fn a_bitmap_names_its_sequences() {
    let mut bitmap = [0; 32];
    bitmap[0] = 0b1000_0001;
    bitmap[31] = 0b1000_0000;
    let chunk = AckChunk { queue: 1, base: u64::MAX - 255, bitmap };
    let base = u64::MAX - 255;
    assert_eq!(chunk.sequences().collect::<Vec<_>>(), [base, base + 7, u64::MAX]);
}

#[test]
fn the_length_of_a_publish_is_known_beforehand() {
    let mut out = FrameBuffer::default();
    let place = out.publish(1, b"head", b"tail", &[Place { queue: 1, sequence: 2 }; 3]).unwrap();
    assert_eq!(publish_len(3, 8), Some(place.len));
    assert_eq!(publish_len(1, usize::MAX), None);
}
