//! Settled places of messages on disk, gathered over a group and written as few frames.
//!
//! Owned by `group`. Stays true: the frames tell exactly what was added.

use rustc_hash::FxHashMap;

use super::chunk::{CHUNK_PLACES, Mask};
use super::frame::{AckChunk, FrameBuffer, TooLong};
use crate::messages::Settled;

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

    /// Writes everything and forgets it.
    ///
    /// # Errors
    /// It does not fit.
    pub(super) fn write(&mut self, out: &mut FrameBuffer) -> Result<(), TooLong> {
        self.flush();
        for ((queue, number), mask) in self.chunks.drain() {
            let base = number * CHUNK_PLACES;
            if mask.is_full() {
                self.ranges.push(Settled { queue, first: base, count: CHUNK_PLACES });
            } else {
                self.sorted.push(AckChunk { queue, base, bitmap: mask.to_bytes() });
            }
        }
        self.sorted.sort_unstable_by_key(|chunk| (chunk.queue, chunk.base));
        out.acks(&self.sorted)?;
        self.sorted.clear();
        self.ranges.sort_unstable_by_key(|range| (range.queue, range.first));
        self.ranges.dedup_by(|next, range| {
            let meets = range.queue == next.queue && range.first + range.count == next.first;
            if meets {
                range.count += next.count;
            }
            meets
        });
        out.ranges(&self.ranges)?;
        self.ranges.clear();
        Ok(())
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

    use super::super::frame::{Frame, LogPosition, Record, decode, stated_len};
    use super::*;

    #[test]
    fn what_was_added_is_told_in_two_frames() {
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
        let mut position = LogPosition { segment: 1, offset: 64 };
        let mut out = FrameBuffer::default();
        out.begin(position);
        settlements.write(&mut out).unwrap();
        let mut told = BTreeSet::new();
        let (mut rest, mut frames) = (out.bytes(), Vec::new());
        while !rest.is_empty() {
            match decode(position, rest).unwrap() {
                Frame::Record(Record::Acks(chunks)) => {
                    frames.push("ACK");
                    for chunk in chunks.iter() {
                        told.extend(chunk.sequences().map(|sequence| (chunk.queue, sequence)));
                    }
                }
                Frame::Record(Record::Ranges(ranges)) => {
                    frames.push("RANGE");
                    assert_eq!(ranges.len(), 1, "one run");
                    for Settled { queue, first, count } in ranges.iter() {
                        told.extend((first..first + count).map(|sequence| (queue, sequence)));
                    }
                }
                other @ (Frame::Record(_)
                | Frame::Batch(_)
                | Frame::Synced(_)
                | Frame::Snapshot { .. }) => panic!("{other:?}"),
            }
            let len = stated_len(rest).unwrap();
            rest = &rest[usize::try_from(len).unwrap()..];
            position.offset += u32::try_from(len).unwrap();
        }
        assert_eq!(told, expected);
        assert_eq!(frames, ["ACK", "RANGE"]);
        out.begin(position);
        settlements.write(&mut out).unwrap();
        assert!(out.is_empty(), "it was forgotten");
    }
}
