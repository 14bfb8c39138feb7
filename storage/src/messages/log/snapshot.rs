//! What a hot segment begins with: everything that is settled, so that no older record is needed to
//! know it.
//!
//! Written by the log thread from the index, read by recovery and `verify`. The payload of a SNAP
//! record, integers little-endian, v a variable number of 7 bits a byte with the lowest first:
//! ```text
//! highest u64 | the highest number of a queue that was ever named
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
//! A large snapshot is several records of one group; each stands for its own queues.
//!
//! Stays true: it says of nothing that it is settled that may still arrive.

use super::buffer::RecordBuffer;
use super::index::{ChunkRun, Index};
use super::record::{AckChunk, CHUNK};
use crate::messages::Settled;
use crate::wal::{Flaw, Reader, TooLong, put_variable};

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
    /// No queue that was ever named has a higher number.
    Highest(u64),
}

/// Adds the records of a snapshot.
///
/// # Errors
/// It does not fit; some of the records may have been added.
pub(crate) fn write(index: &Index, out: &mut RecordBuffer) -> Result<(), TooLong> {
    let mut queues: Vec<(u64, u64)> = index.queues().collect();
    queues.sort_unstable();
    let mut deleted: Vec<u64> = index.deleted().collect();
    deleted.sort_unstable();
    let highest = index.highest_queue();
    let (mut body, mut count) = (Vec::new(), 0);
    for (queue, next) in queues {
        put_queue(&mut body, index, queue, next);
        count += 1;
        if body.len() > PART_BYTES {
            out.snapshot(|out| put_part(out, highest, count, &body, &[]))?;
            body.clear();
            count = 0;
        }
    }
    out.snapshot(|out| put_part(out, highest, count, &body, &deleted))
}

fn put_part(out: &mut Vec<u8>, highest: u64, queues: u32, body: &[u8], deleted: &[u64]) {
    out.extend_from_slice(&highest.to_le_bytes());
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

/// Tells what is in the payload of a SNAP record, queue by queue.
///
/// # Errors
/// It is none; something may have been told.
pub(crate) fn read(payload: &[u8], mut told: impl FnMut(Told)) -> Result<(), Flaw> {
    let mut reader = Reader(payload);
    let whole = (|| {
        told(Told::Highest(reader.u64()?));
        for _ in 0..reader.u32()? {
            read_queue(&mut reader, &mut told)?;
        }
        for _ in 0..reader.u32()? {
            told(Told::Deleted(reader.u64()?));
        }
        reader.0.is_empty().then_some(())
    })();
    whole.ok_or(Flaw::Malformed("a SNAP makes no sense"))
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
        let run = reader.variable()?;
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

    use super::super::index::Slot;
    use super::*;
    use crate::messages::Place;
    use crate::wal::{RecordPlace, Spot};

    fn payloads(index: &Index) -> Vec<Vec<u8>> {
        let mut out = RecordBuffer::default();
        out.begin(Spot::default());
        write(index, &mut out).unwrap();
        out.group.payloads()
    }

    fn rebuilt(payloads: &[Vec<u8>]) -> Index {
        let mut index = Index::default();
        for payload in payloads {
            read(payload, |told| match told {
                Told::Queue { queue, next } => index.raise_next(queue, next),
                Told::Settled(settled) => index.settle(settled, |_| {}),
                Told::Chunk(chunk) => index.settle_chunk(&chunk, |_| {}),
                Told::Deleted(queue) => index.delete_queue(queue, |_| {}),
                Told::Highest(queue) => index.see(queue),
            })
            .unwrap();
        }
        index
    }

    fn slot() -> Slot {
        Slot::new(1, RecordPlace { offset: 64, length: 10 }, 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_tells_what_is_settled_and_nothing_else(
            arrived in prop::collection::vec((0..3_u64, 0..5000_u64), 0..40),
            settled in prop::collection::vec((0..3_u64, 0..5000_u64, 1..900_u64), 0..40),
            far in prop::option::of(1..1_u64 << 50),
        ) {
            let mut index = Index::default();
            for (queue, sequence) in arrived {
                index.arrive(Place { queue, sequence }, slot());
            }
            for (queue, first, count) in settled {
                index.settle(Settled { queue, first, count }, |_| {});
            }
            if let Some(sequence) = far {
                index.arrive(Place { queue: 1, sequence }, slot());
            }
            index.delete_queue(9, |_| {});
            let again = rebuilt(&payloads(&index));
            let known = |index: &Index| {
                let mut queues: Vec<_> = index.queues().collect();
                queues.sort_unstable();
                queues
            };
            prop_assert_eq!(known(&again), known(&index));
            prop_assert!(again.is_deleted(9));
            prop_assert_eq!(again.highest_queue(), index.highest_queue());
            for queue in 0..3 {
                for sequence in (0..6200).chain(far.into_iter().flat_map(|far| [far - 1, far, far + 1])) {
                    let place = Place { queue, sequence };
                    prop_assert_eq!(again.is_settled(place), index.is_settled(place));
                }
            }
        }

        #[test]
        fn any_bytes_are_a_flaw_and_no_panic(bytes in prop::collection::vec(0..6_u8, 0..120)) {
            let _flaw = read(&bytes, |_| {});
        }
    }

    #[test]
    fn a_large_one_is_cut_between_queues() {
        let mut index = Index::default();
        for queue in 0..40_000 {
            index.arrive(Place { queue, sequence: 1000 }, slot());
            index.settle(Settled { queue, first: 900, count: 100 }, |_| {});
        }
        let payloads = payloads(&index);
        assert!(payloads.len() > 1);
        let again = rebuilt(&payloads);
        assert_eq!((again.queues().count(), again.highest_queue()), (40_000, 39_999));
    }
}
