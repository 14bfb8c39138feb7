//! Settled places of messages on disk, gathered over a group and written as few frames.
//!
//! Owned by `group`. Stays true: the frames tell exactly what was added.

use rustc_hash::FxHashMap;

use super::buffer::RecordBuffer;
use super::chunk::{CHUNK_PLACES, Mask};
use super::record::{AckChunk, Kind};
use crate::messages::Settled;
use crate::wal::TooLong;

/// See the module documentation. Reused: it keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Settlements {
    chunks: FxHashMap<(u64, u64), Mask>,
    /// The chunk added to last: most additions are to the same again.
    last: Option<((u64, u64), Mask)>,
    ranges: Vec<Settled>,
    sorted: Vec<AckChunk>,
}

impl Settlements {
    /// Adds a place.
    pub(super) fn add(&mut self, queue: u64, sequence: u64) {
        let key = (queue, sequence / CHUNK_PLACES);
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let position = (sequence % CHUNK_PLACES) as u8;
        match &mut self.last {
            Some((last, mask)) if *last == key => mask.insert(position),
            Some(_) | None => {
                self.flush();
                let mut mask = Mask::default();
                mask.insert(position);
                self.last = Some((key, mask));
            }
        }
    }

    /// Adds a long run of places.
    pub(super) fn add_range(&mut self, range: Settled) {
        self.ranges.push(range);
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.last.is_none() && self.ranges.is_empty()
    }

    /// Writes everything; it is not forgotten.
    ///
    /// # Errors
    /// It does not fit.
    pub(super) fn write(&mut self, out: &mut RecordBuffer) -> Result<(), TooLong> {
        self.flush();
        self.sorted.clear();
        let known = self.ranges.len();
        for ((queue, number), mask) in &self.chunks {
            let (queue, base) = (*queue, number * CHUNK_PLACES);
            if mask.is_full() {
                self.ranges.push(Settled { queue, first: base, count: CHUNK_PLACES });
            } else {
                self.sorted.push(AckChunk { queue, base, bitmap: mask.to_bytes() });
            }
        }
        if self.ranges.len() > known {
            self.chunks.retain(|_, mask| !mask.is_full());
        }
        self.sorted.sort_unstable_by_key(|chunk| (chunk.queue, chunk.base));
        out.list(Kind::Ack, &self.sorted)?;
        self.ranges.sort_unstable_by_key(|range| (range.queue, range.first));
        self.ranges.dedup_by(|next, range| {
            let meets = range.queue == next.queue && range.first + range.count == next.first;
            if meets {
                range.count += next.count;
            }
            meets
        });
        out.list(Kind::Range, &self.ranges)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.last = None;
        self.ranges.clear();
        self.sorted.clear();
    }

    fn flush(&mut self) {
        if let Some((key, mask)) = self.last.take() {
            let known = self.chunks.entry(key).or_default();
            *known = known.union(mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::record::{self, Record};
    use super::*;
    use crate::wal::Spot;

    #[test]
    fn what_was_added_is_told_in_two_records() {
        let mut settlements = Settlements::default();
        let mut expected = BTreeSet::new();
        for (queue, sequence) in [(1, 5), (2, 700), (1, 300), (1, 6), (2, 5)] {
            settlements.add(queue, sequence);
            expected.insert((queue, sequence));
        }
        for sequence in 1024..2048 {
            settlements.add(1, sequence);
            expected.insert((1, sequence));
        }
        settlements.add_range(Settled { queue: 1, first: 2048, count: 1000 });
        expected.extend((2048..3048).map(|sequence| (1, sequence)));
        let mut out = RecordBuffer::default();
        for _ in 0..2 {
            out.begin(Spot::default());
            settlements.write(&mut out).unwrap();
            let mut told = BTreeSet::new();
            let payloads = out.group.payloads();
            let Ok(Record::Acks(chunks)) = record::decode(2, &payloads[0]) else { panic!() };
            for chunk in chunks.iter() {
                let mask = Mask::from_bytes(chunk.bitmap);
                told.extend(mask.iter().map(|at| (chunk.queue, chunk.base + u64::from(at))));
            }
            let Ok(Record::Ranges(ranges)) = record::decode(3, &payloads[1]) else { panic!() };
            assert_eq!((payloads.len(), ranges.iter().len()), (2, 1), "one run");
            for Settled { queue, first, count } in ranges.iter() {
                told.extend((first..first + count).map(|sequence| (queue, sequence)));
            }
            assert_eq!(told, expected);
        }
        settlements.clear();
        assert!(settlements.is_empty());
        out.begin(Spot::default());
        settlements.write(&mut out).unwrap();
        assert!(out.group.is_empty());
    }
}
