//! What a hot segment begins with: everything that is settled, so that no older frame is needed to
//! know it.
//!
//! Written by the log thread from the index, read by recovery and `verify`. The payload of a SNAP
//! frame, integers little-endian, v a variable number of 7 bits a byte with the lowest first:
//! ```text
//! queues u32  | queues x (queue u64 | floor u64 | next u64 | runs u32 | runs x run)
//! deleted u32 | deleted x queue u64
//!
//! run   v = chunks x 4 + kind      kind 0: nothing of these chunks is settled
//!                                       1: all of them
//!                                       2: some, 32 bytes a chunk follow as in an ACK
//! ```
//! A chunk is 256 places. Places below the floor, a multiple of 256, are settled; the first run
//! begins there. `next` is above every place of the queue that was ever named.
//!
//! A large snapshot is several frames; each stands for its own queues.
//!
//! Stays true: it says of nothing that it is settled that may still arrive.

use super::frame::{AckChunk, CHUNK, Flaw, FrameBuffer, Reader, TooLong};
use super::index::{ChunkRun, Index};
use crate::messages::Settled;

/// Bytes of payload after which another frame is begun.
const PART_BYTES: usize = 1 << 20;

const UNSETTLED: u64 = 0;
const SETTLED: u64 = 1;
const MIXED: u64 = 2;

/// One thing that a snapshot tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A queue is known, and its places below `next` were named.
    Queue {
        /// Its number.
        queue: u64,
        /// Above every place.
        next: u64,
    },
    /// Places are settled.
    Settled(Settled),
    /// Some of the places of a chunk are settled.
    Chunk(AckChunk),
    /// A queue is gone.
    Deleted(u64),
}

/// Adds the frames of a snapshot, and the delivery counts, which a snapshot does not tell.
///
/// # Errors
/// It does not fit; some of the frames may have been added.
pub(crate) fn write(index: &Index, out: &mut FrameBuffer) -> Result<(), TooLong> {
    let mut queues: Vec<(u64, u64)> = index.queues().collect();
    queues.sort_unstable();
    let mut parts = Parts::default();
    for (queue, next) in queues {
        parts.add(|part| put_queue(part, index, queue, next));
    }
    let mut deleted: Vec<u64> = index.deleted().collect();
    deleted.sort_unstable();
    parts.write(&deleted, out)?;
    let counts: Vec<_> = index.counts().collect();
    if counts.is_empty() { Ok(()) } else { out.counts(&counts) }
}

/// Queues cut into payloads.
#[derive(Debug, Default)]
struct Parts {
    finished: Vec<(u32, Vec<u8>)>,
    queues: u32,
    current: Vec<u8>,
}

impl Parts {
    fn add(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        put(&mut self.current);
        self.queues += 1;
        if self.current.len() > PART_BYTES {
            self.finished.push((self.queues, std::mem::take(&mut self.current)));
            self.queues = 0;
        }
    }

    fn write(self, deleted: &[u64], out: &mut FrameBuffer) -> Result<(), TooLong> {
        for (queues, body) in self.finished {
            out.snapshot(true, |out| put_part(out, queues, &body, &[]))?;
        }
        out.snapshot(false, |out| put_part(out, self.queues, &self.current, deleted)).map(drop)
    }
}

fn put_part(out: &mut Vec<u8>, queues: u32, body: &[u8], deleted: &[u64]) {
    out.extend_from_slice(&queues.to_le_bytes());
    out.extend_from_slice(body);
    let count = u32::try_from(deleted.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    for queue in deleted.iter().take(count as usize) {
        out.extend_from_slice(&queue.to_le_bytes());
    }
}

fn put_queue(out: &mut Vec<u8>, index: &Index, queue: u64, next: u64) {
    out.extend_from_slice(&queue.to_le_bytes());
    let fixed = out.len();
    out.extend_from_slice(&[0; 20]);
    let mut runs = Runs { out, pending: None, count: 0 };
    let floor = index.snapshot(queue, |run| runs.add(run));
    let count = runs.finish();
    let fields = [&floor.to_le_bytes()[..], &next.to_le_bytes(), &count.to_le_bytes()];
    if let Some(room) = out.get_mut(fixed..fixed + 20) {
        for (byte, value) in room.iter_mut().zip(fields.into_iter().flatten()) {
            *byte = *value;
        }
    }
}

/// Joins runs that are alike.
struct Runs<'a> {
    out: &'a mut Vec<u8>,
    pending: Option<(u64, u64)>,
    count: u32,
}

impl Runs<'_> {
    fn add(&mut self, run: ChunkRun) {
        match run {
            ChunkRun::Unsettled(chunks) => self.join(UNSETTLED, chunks),
            ChunkRun::Settled(chunks) => self.join(SETTLED, chunks),
            ChunkRun::Mixed(mask) => {
                self.flush();
                self.put(MIXED, 1);
                self.out.extend_from_slice(&mask.to_bytes());
            }
        }
    }

    fn join(&mut self, kind: u64, chunks: u64) {
        match &mut self.pending {
            Some((pending, count)) if *pending == kind => *count += chunks,
            Some(_) | None => {
                self.flush();
                self.pending = Some((kind, chunks));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((kind, chunks)) = self.pending.take() {
            self.put(kind, chunks);
        }
    }

    fn put(&mut self, kind: u64, chunks: u64) {
        put_variable(self.out, chunks * 4 + kind);
        self.count += 1;
    }

    fn finish(mut self) -> u32 {
        self.flush();
        self.count
    }
}

fn put_variable(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn variable(reader: &mut Reader<'_>) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = reader.u8()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Tells what is in the payload of a SNAP frame, queue by queue.
///
/// # Errors
/// It is none; something may have been told.
pub(crate) fn read(payload: &[u8], mut told: impl FnMut(Told)) -> Result<(), Flaw> {
    let mut reader = Reader(payload);
    let whole = (|| {
        for _ in 0..reader.u32()? {
            read_queue(&mut reader, &mut told)?;
        }
        for _ in 0..reader.u32()? {
            told(Told::Deleted(reader.u64()?));
        }
        reader.0.is_empty().then_some(())
    })();
    whole.ok_or(Flaw::Malformed("a SNAP that is not one"))
}

/// Whether [`read`] would succeed.
///
/// # Errors
/// It would not.
pub(crate) fn check(payload: &[u8]) -> Result<(), Flaw> {
    read(payload, |_| {})
}

fn read_queue(reader: &mut Reader<'_>, told: &mut impl FnMut(Told)) -> Option<()> {
    let (queue, floor, next) = (reader.u64()?, reader.u64()?, reader.u64()?);
    if !floor.is_multiple_of(CHUNK) {
        return None;
    }
    told(Told::Queue { queue, next });
    if floor > 0 {
        told(Told::Settled(Settled { queue, first: 0, count: floor }));
    }
    let mut base = floor;
    for _ in 0..reader.u32()? {
        let run = variable(reader)?;
        let (chunks, kind) = (run / 4, run % 4);
        let count = chunks.checked_mul(CHUNK)?;
        match kind {
            UNSETTLED => {}
            SETTLED => told(Told::Settled(Settled { queue, first: base, count })),
            MIXED if chunks == 1 => {
                let bitmap = *reader.take(32)?.first_chunk()?;
                told(Told::Chunk(AckChunk { queue, base, bitmap }));
            }
            _ => return None,
        }
        base = base.checked_add(count)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::{Frame, LogPosition, decode, stated_len};
    use super::super::index::{Gaps, Slot};
    use super::*;
    use crate::messages::Place;

    const START: LogPosition = LogPosition { segment: 3, offset: 64 };

    fn payloads(index: &Index) -> Vec<(bool, Vec<u8>)> {
        let mut out = FrameBuffer::default();
        out.begin(START);
        write(index, &mut out).unwrap();
        let (mut position, mut rest) = (START, out.bytes());
        let mut payloads = Vec::new();
        while !rest.is_empty() {
            if let Frame::Snapshot { more_follows, payload } = decode(position, rest).unwrap() {
                payloads.push((more_follows, payload.to_vec()));
            }
            let len = stated_len(rest).unwrap();
            rest = &rest[usize::try_from(len).unwrap()..];
            position.offset += u32::try_from(len).unwrap();
        }
        payloads
    }

    fn rebuilt(payloads: &[(bool, Vec<u8>)]) -> Index {
        let mut index = Index::new(Gaps::Open);
        for (_, payload) in payloads {
            read(payload, |told| match told {
                Told::Queue { queue, next } => index.raise_next(queue, next),
                Told::Settled(settled) => index.settle(settled, |_, _| {}),
                Told::Chunk(chunk) => index.settle_chunk(&chunk, |_, _| {}),
                Told::Deleted(queue) => index.delete_queue(queue, 1, |_, _| {}),
            })
            .unwrap();
        }
        index
    }

    fn slot() -> Slot {
        Slot { segment: 1, offset: 64, length: 10, refs: 1 }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_tells_what_is_settled_and_nothing_else(
            arrived in prop::collection::vec((0..3_u64, 0..5000_u64), 0..40),
            settled in prop::collection::vec((0..3_u64, 0..5000_u64, 1..900_u64), 0..40),
            far in prop::option::of(1..1_u64 << 50),
        ) {
            let mut index = Index::new(Gaps::Open);
            for (queue, sequence) in arrived {
                index.arrive(Place { queue, sequence }, slot());
            }
            for (queue, first, count) in settled {
                index.settle(Settled { queue, first, count }, |_, _| {});
            }
            if let Some(sequence) = far {
                index.arrive(Place { queue: 1, sequence }, slot());
            }
            index.delete_queue(9, 1, |_, _| {});
            let again = rebuilt(&payloads(&index));
            let known = |index: &Index| {
                let mut queues: Vec<_> = index.queues().collect();
                queues.sort_unstable();
                queues
            };
            prop_assert_eq!(known(&again), known(&index));
            prop_assert!(again.is_deleted(9));
            for queue in 0..3 {
                for sequence in (0..6200).chain(far.into_iter().flat_map(|far| [far - 1, far, far + 1])) {
                    let place = Place { queue, sequence };
                    prop_assert_eq!(again.is_settled(place), index.is_settled(place));
                }
            }
        }

        #[test]
        fn any_bytes_are_a_flaw_and_no_panic(bytes in prop::collection::vec(0..6_u8, 0..120)) {
            let _flaw = check(&bytes);
        }
    }

    #[test]
    fn a_large_one_is_cut_between_queues_and_counts_follow() {
        let mut index = Index::new(Gaps::Open);
        for queue in 0..40_000 {
            index.arrive(Place { queue, sequence: 1000 }, slot());
            index.settle(Settled { queue, first: 900, count: 100 }, |_, _| {});
        }
        let place = Place { queue: 5, sequence: 1000 };
        index.raise_count(place, 8);
        let payloads = payloads(&index);
        assert!(payloads.len() > 1);
        let more: Vec<bool> = payloads.iter().map(|(more, _)| *more).collect();
        assert_eq!(more.iter().filter(|more| !**more).count(), 1);
        assert_eq!(more.last(), Some(&false));
        assert_eq!(rebuilt(&payloads).queues().count(), 40_000);
        let mut out = FrameBuffer::default();
        out.begin(START);
        write(&index, &mut out).unwrap();
        let last = out.bytes().len() - (10 + 2 + 20);
        let position = LogPosition { offset: 64 + u32::try_from(last).unwrap(), ..START };
        let frame = decode(position, &out.bytes()[last..]).unwrap();
        let Frame::Record(super::super::frame::Record::Counts(counts)) = frame else {
            panic!("{frame:?}")
        };
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(place, 8)]);
    }
}
