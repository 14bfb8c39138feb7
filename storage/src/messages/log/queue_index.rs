//! One queue's places: where each message is, and what is settled.
//!
//! Owned by `index`. Memory is for what is live and for what is unsettled among it: a message that
//! stays for days costs its own chunk, not an entry for everything that came after it.
//!
//! ```text
//!            chunks                                       last
//!   ┌───────┐         ┌───────────┐         ┌───────┐   ┌───────┐
//!   │ chunk │ settled │ untouched │ settled │ chunk │   │ chunk │   nothing yet
//!   └───────┘         └───────────┘         └───────┘   └───────┘
//!  ───────────────────────────────────────────────────────────── end ─────► places
//! ```
//! Stays true: below `end` a chunk that is neither in the map nor the last is settled; `next` is above
//! every place that was ever named.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use super::chunk::{CHUNK_PLACES, Chunk, Mask, Slot};

/// A run of chunks that are alike, as a snapshot tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkRun {
    /// So many chunks of which nothing is settled.
    Unsettled(u64),
    /// So many chunks of which everything is settled.
    Settled(u64),
    /// One chunk, and what of it is settled.
    Mixed(Mask),
}

impl ChunkRun {
    fn of(chunk: &Chunk) -> Self {
        if chunk.settled().is_empty() { Self::Unsettled(1) } else { Self::Mixed(chunk.settled()) }
    }
}

#[derive(Debug)]
enum Entry {
    Chunk(Box<Chunk>),
    /// So many chunks that nobody has touched.
    Untouched(u64),
}

/// How often a message was given back, and which segment says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) times: u32,
    pub(crate) segment: u32,
}

/// What a settlement has let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// The message of this place.
    Message(u64, Slot),
    /// A delivery count.
    Count(Count),
}

/// What became of a message that came to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Nothing may arrive there, or something has already.
    Refused,
    /// It is there, the first of its chunk, as far as is known, that is in its segment.
    First,
    /// It is there, and the segment is known to have something of the same chunk.
    Joined,
}

impl Arrival {
    /// Whether the message is in its place.
    pub(crate) fn is_there(self) -> bool {
        self != Self::Refused
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct QueueIndex {
    /// By the number of the first chunk; all of them below the last one.
    chunks: BTreeMap<u64, Entry>,
    /// The chunk before `end`, unless it is settled: nearly everything that arrives goes there.
    last: Option<Box<Chunk>>,
    end: u64,
    next: u64,
    /// Of the messages that were given back.
    counts: BTreeMap<u64, Count>,
    /// Between the first and the last chunk in which messages arrived that are in this segment.
    arrived: (u32, Range<u64>),
}

impl QueueIndex {
    /// Above every place that was ever named.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn raise_next(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    pub(super) fn count(&self, sequence: u64) -> u32 {
        self.counts.get(&sequence).map_or(0, |count| count.times)
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (u64, Count)> {
        self.counts.iter().map(|(sequence, count)| (*sequence, *count))
    }

    /// Whether a count of a message that is there is a news.
    pub(super) fn is_news(&self, sequence: u64, count: u32) -> bool {
        count > self.count(sequence) && self.get(sequence).is_some()
    }

    /// Remembers the highest count of a message, or the newest record of it; `None` if it is lower or
    /// there is no message, else what was remembered before.
    pub(super) fn raise_count(&mut self, sequence: u64, count: Count) -> Option<Option<Count>> {
        self.get(sequence)?;
        let known = self.counts.get(&sequence).copied();
        let order = |count: Count| (count.times, count.segment);
        if known.is_some_and(|known| order(known) >= order(count)) {
            return None;
        }
        self.counts.insert(sequence, count);
        Some(known)
    }

    pub(super) fn get(&self, sequence: u64) -> Option<Slot> {
        self.chunk(sequence / CHUNK_PLACES)?.get(position(sequence))
    }

    pub(super) fn get_mut(&mut self, sequence: u64) -> Option<&mut Slot> {
        self.chunk_mut(sequence / CHUNK_PLACES)?.get_mut(position(sequence))
    }

    /// Whether nothing may arrive there any more.
    pub(super) fn is_settled(&self, sequence: u64) -> bool {
        // What was never named cannot be: nearly everything that is asked about.
        if sequence >= self.next {
            return false;
        }
        let number = sequence / CHUNK_PLACES;
        match self.chunk(number) {
            Some(chunk) => chunk.settled().contains(position(sequence)),
            None => number < self.end && self.untouched_around(number).is_none(),
        }
    }

    /// Puts a message in its place, unless that is settled or taken.
    pub(super) fn arrive(&mut self, sequence: u64, slot: Slot) -> Arrival {
        self.raise_next(sequence.saturating_add(1));
        let number = sequence / CHUNK_PLACES;
        let chunk = self.open_chunk(number);
        if !chunk.is_some_and(|chunk| chunk.arrive(position(sequence), slot)) {
            return Arrival::Refused;
        }
        let (segment, chunks) = &mut self.arrived;
        if *segment != slot.segment {
            self.arrived = (slot.segment, number..number + 1);
            return Arrival::First;
        }
        if chunks.contains(&number) {
            return Arrival::Joined;
        }
        *chunks = chunks.start.min(number)..chunks.end.max(number + 1);
        Arrival::First
    }

    /// Settles places and tells what they held.
    pub(super) fn settle(&mut self, places: Range<u64>, released: &mut impl FnMut(Released)) {
        if places.is_empty() {
            return;
        }
        self.raise_next(places.end);
        if !self.counts.is_empty() {
            // One at a time: there are few, and a range cannot be taken out otherwise.
            while let Some((sequence, count)) = self.counts.range(places.clone()).next() {
                let sequence = *sequence;
                released(Released::Count(*count));
                self.counts.remove(&sequence);
            }
        }
        let last = places.end - 1;
        let (head, tail) = (places.start / CHUNK_PLACES, last / CHUNK_PLACES);
        let (from, to) = (position(places.start), position(last));
        if head == tail {
            self.settle_part(head, Mask::between(from, to), released);
        } else {
            self.settle_part(head, Mask::between(from, u8::MAX), released);
            self.settle_chunks(head + 1..tail, released);
            self.settle_part(tail, Mask::between(0, to), released);
        }
    }

    /// Settles places of the chunk that begins with `base`.
    pub(super) fn settle_chunk(
        &mut self,
        base: u64,
        places: Mask,
        released: &mut impl FnMut(Released),
    ) {
        let Some(last) = places.iter().last() else { return };
        self.raise_next(base.saturating_add(u64::from(last)).saturating_add(1));
        if !self.counts.is_empty() {
            for position in places.iter() {
                if let Some(count) = self.counts.remove(&(base + u64::from(position))) {
                    released(Released::Count(count));
                }
            }
        }
        self.settle_part(base / CHUNK_PLACES, places, released);
    }

    /// Tells the messages in a range, ascending.
    pub(super) fn live(&self, places: &Range<u64>, mut found: impl FnMut(u64, Slot)) {
        if places.is_empty() {
            return;
        }
        let last = places.end - 1;
        let numbers = places.start / CHUNK_PLACES..=last / CHUNK_PLACES;
        for (number, chunk) in self.chunks_in(numbers) {
            let from =
                if number == places.start / CHUNK_PLACES { position(places.start) } else { 0 };
            let to = if number == last / CHUNK_PLACES { position(last) } else { u8::MAX };
            for position in chunk.live().intersection(Mask::between(from, to)).iter() {
                if let Some(slot) = chunk.get(position) {
                    found(number * CHUNK_PLACES + u64::from(position), slot);
                }
            }
        }
    }

    /// The first place from this one on in whose chunk there may be messages.
    pub(super) fn next_held(&self, from: u64) -> Option<u64> {
        let number = from / CHUNK_PLACES;
        let (found, _) = self.chunks_in(number..=u64::MAX).next()?;
        Some(from.max(found * CHUNK_PLACES))
    }

    /// What is settled, from the first chunk that is not, as runs. Returns the first place.
    pub(super) fn snapshot(&self, mut told: impl FnMut(ChunkRun)) -> u64 {
        let mut first = None;
        let mut reached = 0;
        let mut tell = |number: u64, run: ChunkRun| {
            if first.is_none() {
                (first, reached) = (Some(number), number);
            }
            if number > reached {
                told(ChunkRun::Settled(number - reached));
            }
            reached = number + if let ChunkRun::Unsettled(chunks) = run { chunks } else { 1 };
            told(run);
        };
        for (number, entry) in &self.chunks {
            match entry {
                Entry::Chunk(chunk) => tell(*number, ChunkRun::of(chunk)),
                Entry::Untouched(chunks) => tell(*number, ChunkRun::Unsettled(*chunks)),
            }
        }
        if let Some(last) = &self.last {
            tell(self.end - 1, ChunkRun::of(last));
        }
        if first.is_some() && self.end > reached {
            told(ChunkRun::Settled(self.end - reached));
        }
        first.unwrap_or(self.end) * CHUNK_PLACES
    }

    fn is_last(&self, number: u64) -> bool {
        number.checked_add(1) == Some(self.end)
    }

    fn chunk(&self, number: u64) -> Option<&Chunk> {
        if self.is_last(number) {
            return self.last.as_deref();
        }
        match self.chunks.get(&number)? {
            Entry::Chunk(chunk) => Some(chunk),
            Entry::Untouched(_) => None,
        }
    }

    fn has_chunk(&self, number: u64) -> bool {
        self.chunk(number).is_some() || self.is_last(number)
    }

    fn chunk_mut(&mut self, number: u64) -> Option<&mut Chunk> {
        if self.is_last(number) {
            return self.last.as_deref_mut();
        }
        match self.chunks.get_mut(&number)? {
            Entry::Chunk(chunk) => Some(chunk),
            Entry::Untouched(_) => None,
        }
    }

    /// The chunks in a range, ascending.
    fn chunks_in(&self, numbers: RangeInclusive<u64>) -> impl Iterator<Item = (u64, &Chunk)> {
        let last = self.end.checked_sub(1).filter(|last| numbers.contains(last));
        let last = last.zip(self.last.as_deref());
        let others = self.chunks.range(numbers).filter_map(|(number, entry)| match entry {
            Entry::Chunk(chunk) => Some((*number, &**chunk)),
            Entry::Untouched(_) => None,
        });
        others.chain(last)
    }

    /// The run of untouched chunks that this one is in: where it begins, and its length.
    fn untouched_around(&self, number: u64) -> Option<(u64, u64)> {
        match self.chunks.range(..=number).next_back()? {
            (start, Entry::Untouched(chunks)) if number - start < *chunks => {
                Some((*start, *chunks))
            }
            (_, Entry::Untouched(_) | Entry::Chunk(_)) => None,
        }
    }

    fn add_untouched(&mut self, start: u64, chunks: u64) {
        if chunks > 0 {
            self.chunks.insert(start, Entry::Untouched(chunks));
        }
    }

    /// The chunk in which something may arrive; none if all of it is settled.
    fn open_chunk(&mut self, number: u64) -> Option<&mut Chunk> {
        if number >= self.end {
            self.extend_to(number);
        } else if !self.has_chunk(number)
            && let Some((start, chunks)) = self.untouched_around(number)
        {
            self.chunks.remove(&start);
            self.add_untouched(start, number - start);
            self.chunks.insert(number, Entry::Chunk(Box::default()));
            self.add_untouched(number + 1, start + chunks - number - 1);
        }
        self.chunk_mut(number)
    }

    /// Makes `number` the last chunk.
    fn extend_to(&mut self, number: u64) {
        // A queue that has filled a chunk will probably fill this one; others start small.
        let is_busy = self.last.as_ref().is_some_and(|last| last.is_half_size());
        self.retire_last();
        self.add_untouched(self.end, number - self.end);
        let mut chunk = Box::<Chunk>::default();
        if is_busy {
            chunk.reserve_all();
        }
        self.last = Some(chunk);
        self.end = number + 1;
    }

    fn retire_last(&mut self) {
        if let Some(last) = self.last.take() {
            self.chunks.insert(self.end - 1, Entry::Chunk(last));
        }
    }

    fn settle_part(&mut self, number: u64, places: Mask, released: &mut impl FnMut(Released)) {
        let Some(chunk) = self.open_chunk(number) else { return };
        let base = number * CHUNK_PLACES;
        chunk.settle(places, |position, slot| {
            released(Released::Message(base + u64::from(position), slot));
        });
        if chunk.settled().is_full() {
            match self.is_last(number) {
                true => self.last = None,
                false => drop(self.chunks.remove(&number)),
            }
        }
    }

    /// Settles whole chunks, however many.
    fn settle_chunks(&mut self, numbers: Range<u64>, released: &mut impl FnMut(Released)) {
        if numbers.is_empty() {
            return;
        }
        if numbers.end > self.end {
            self.retire_last();
            self.add_untouched(self.end, numbers.end - self.end);
            self.end = numbers.end;
        }
        for edge in [numbers.start, numbers.end] {
            if let Some((start, chunks)) = self.untouched_around(edge) {
                self.chunks.remove(&start);
                self.add_untouched(start, edge - start);
                self.add_untouched(edge, start + chunks - edge);
            }
        }
        while let Some((number, entry)) = self.chunks.range(numbers.clone()).next() {
            let number = *number;
            match entry {
                Entry::Chunk(_) => self.settle_part(number, Mask::FULL, released),
                Entry::Untouched(_) => drop(self.chunks.remove(&number)),
            }
        }
        if self.end > 0 && numbers.contains(&(self.end - 1)) && self.last.is_some() {
            self.settle_part(self.end - 1, Mask::FULL, released);
        }
    }
}

/// Of a place in its chunk.
#[expect(clippy::cast_possible_truncation, reason = "below 256")]
fn position(sequence: u64) -> u8 {
    (sequence % CHUNK_PLACES) as u8
}
