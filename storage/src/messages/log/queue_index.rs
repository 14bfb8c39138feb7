//! One queue's places: where each message is, and what is settled.
//!
//! Owned by `index`. Memory is for what is live and for what is unsettled among it: a message that
//! stays for days costs its own chunk, not an entry for everything that came after it.
//!
//! ```text
//!        stragglers                         recent
//!   ┌──────┐     ┌──────────┐   ┌───────┬─────────┬───────┐
//!   │ chunk│     │ untouched│   │ chunk │ settled │ chunk │   nothing yet
//!   └──────┘     └──────────┘   └───────┴─────────┴───────┘
//! ──────────settled───────────►floor──────────────────────────────────────► places
//! ```
//! Stays true: a chunk below the floor that is not a straggler is settled; `next` is above every
//! place that was ever named.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Range, RangeInclusive};

use super::chunk::{CHUNK_PLACES, Chunk, Mask, Slot};
use super::stragglers::Stragglers;

/// The most chunks that nobody touched that are kept one by one.
const GAP_CHUNKS: u64 = 64;

/// Memory for so many recent chunks stays when there are none.
const KEPT_CHUNKS: usize = 64;

/// Settled chunks that `recent` may hold before it is looked at.
const HOLES: usize = 32;

/// Chunks of memory that are kept for reuse.
const POOL_CHUNKS: usize = 64;

/// What a place is that nobody has named yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// A message may still arrive in it.
    Open,
    /// As good as settled: nothing is remembered of it.
    Settled,
}

/// Chunks that wait to be used again.
#[derive(Debug, Default)]
pub(super) struct Pool(
    #[expect(clippy::vec_box, reason = "it is the boxes that are used again")] Vec<Box<Chunk>>,
);

impl Pool {
    /// A chunk with room for every place.
    fn full(&mut self) -> Box<Chunk> {
        self.0.pop().unwrap_or_else(|| {
            let mut chunk = Box::<Chunk>::default();
            chunk.reserve_all();
            chunk
        })
    }

    fn recycle(&mut self, mut chunk: Box<Chunk>) {
        if chunk.is_full_size() && self.0.len() < POOL_CHUNKS {
            chunk.clear();
            self.0.push(chunk);
        }
    }
}

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
    /// One chunk.
    pub(super) fn of(chunk: &Chunk) -> Self {
        if chunk.settled().is_empty() { Self::Unsettled(1) } else { Self::Mixed(chunk.settled()) }
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct QueueIndex {
    gaps: Gaps,
    /// Number of the first chunk in `recent`.
    floor: u64,
    /// `None` is settled.
    recent: VecDeque<Option<Box<Chunk>>>,
    /// How many of `recent` are `None`.
    holes: usize,
    stragglers: Stragglers,
    next: u64,
    /// How often messages were given back, where it is not never.
    counts: BTreeMap<u64, u32>,
}

impl QueueIndex {
    pub(super) fn new(gaps: Gaps) -> Self {
        Self {
            gaps,
            floor: 0,
            recent: VecDeque::new(),
            holes: 0,
            stragglers: Stragglers::default(),
            next: 0,
            counts: BTreeMap::new(),
        }
    }

    /// Above every place that was ever named.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn raise_next(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    pub(super) fn count(&self, sequence: u64) -> u32 {
        self.counts.get(&sequence).copied().unwrap_or(0)
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (u64, u32)> {
        self.counts.iter().map(|(sequence, count)| (*sequence, *count))
    }

    /// Remembers the highest count of a place that is not settled; says whether it is a news.
    pub(super) fn raise_count(&mut self, sequence: u64, count: u32) -> bool {
        if self.is_settled(sequence) || count <= self.count(sequence) {
            return false;
        }
        self.counts.insert(sequence, count);
        true
    }

    pub(super) fn get(&self, sequence: u64) -> Option<Slot> {
        self.chunk(sequence / CHUNK_PLACES)?.get(position(sequence))
    }

    pub(super) fn get_mut(&mut self, sequence: u64) -> Option<&mut Slot> {
        let number = sequence / CHUNK_PLACES;
        let chunk = match number.checked_sub(self.floor) {
            Some(at) => self.recent.get_mut(usize::try_from(at).ok()?)?.as_deref_mut(),
            None => self.stragglers.get_mut(number),
        };
        chunk?.get_mut(position(sequence))
    }

    /// Whether nothing may arrive there any more. A gap that counts as settled is not: something
    /// may arrive in it.
    pub(super) fn is_settled(&self, sequence: u64) -> bool {
        let number = sequence / CHUNK_PLACES;
        if let Some(chunk) = self.chunk(number) {
            return chunk.settled().contains(position(sequence));
        }
        match (self.gaps, number.checked_sub(self.floor)) {
            (Gaps::Settled, _) => false,
            (Gaps::Open, Some(at)) => at < self.recent.len() as u64,
            (Gaps::Open, None) => !self.stragglers.is_untouched(number),
        }
    }

    /// Puts a message in its place, unless that is settled or taken.
    pub(super) fn arrive(&mut self, sequence: u64, slot: Slot, pool: &mut Pool) -> bool {
        self.raise_next(sequence.saturating_add(1));
        self.open_chunk(sequence / CHUNK_PLACES, pool)
            .is_some_and(|chunk| chunk.arrive(position(sequence), slot))
    }

    /// Settles places and tells which of them held which message.
    pub(super) fn settle(
        &mut self,
        places: Range<u64>,
        pool: &mut Pool,
        released: &mut impl FnMut(u64, Slot),
    ) {
        if places.is_empty() {
            return;
        }
        self.raise_next(places.end);
        if !self.counts.is_empty() {
            // One at a time: there are few, and a range cannot be taken out otherwise.
            while let Some((sequence, _)) = self.counts.range(places.clone()).next() {
                let sequence = *sequence;
                self.counts.remove(&sequence);
            }
        }
        let last = places.end - 1;
        let (head, tail) = (places.start / CHUNK_PLACES, last / CHUNK_PLACES);
        let (from, to) = (position(places.start), position(last));
        if head == tail {
            self.settle_part(head, Mask::between(from, to), pool, released);
        } else {
            self.settle_part(head, Mask::between(from, u8::MAX), pool, released);
            self.settle_chunks(head + 1..tail, pool, released);
            self.settle_part(tail, Mask::between(0, to), pool, released);
        }
        self.trim();
    }

    /// Settles places of the chunk that begins with `base`.
    pub(super) fn settle_chunk(
        &mut self,
        base: u64,
        places: Mask,
        pool: &mut Pool,
        released: &mut impl FnMut(u64, Slot),
    ) {
        let Some(last) = places.iter().last() else { return };
        self.raise_next((base + u64::from(last)).saturating_add(1));
        if !self.counts.is_empty() {
            for position in places.iter() {
                self.counts.remove(&(base + u64::from(position)));
            }
        }
        self.settle_part(base / CHUNK_PLACES, places, pool, released);
        self.trim();
    }

    /// Tells the messages in a range, ascending.
    pub(super) fn live(&self, places: &Range<u64>, mut found: impl FnMut(u64, Slot)) {
        if places.is_empty() {
            return;
        }
        let last = places.end - 1;
        let numbers = places.start / CHUNK_PLACES..=last / CHUNK_PLACES;
        self.chunks(numbers, |number, chunk| {
            let from =
                if number == places.start / CHUNK_PLACES { position(places.start) } else { 0 };
            let to = if number == last / CHUNK_PLACES { position(last) } else { u8::MAX };
            for position in chunk.live().intersection(Mask::between(from, to)).iter() {
                if let Some(slot) = chunk.get(position) {
                    found(number * CHUNK_PLACES + u64::from(position), slot);
                }
            }
        });
    }

    /// The first place from this one on in whose chunk there may be messages.
    pub(super) fn next_held(&self, from: u64) -> Option<u64> {
        let number = from / CHUNK_PLACES;
        let straggler = match self.floor.checked_sub(1) {
            Some(last) if number <= last => self.stragglers.first_of(number..=last),
            Some(_) | None => None,
        };
        let held = straggler.or_else(|| {
            let skipped = usize::try_from(number.saturating_sub(self.floor)).ok()?;
            let mut recent = self.recent.iter().zip(self.floor..).skip(skipped);
            recent.find_map(|(chunk, number)| chunk.is_some().then_some(number))
        });
        held.map(|number| from.max(number * CHUNK_PLACES))
    }

    /// What is settled, from the first chunk that is not, as runs. Returns the first place.
    pub(super) fn snapshot(&self, mut told: impl FnMut(ChunkRun)) -> u64 {
        let end = self.floor + self.recent.len() as u64;
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
        for (number, run) in self.stragglers.runs() {
            tell(number, run);
        }
        for (chunk, number) in self.recent.iter().zip(self.floor..) {
            if let Some(chunk) = chunk {
                tell(number, ChunkRun::of(chunk));
            }
        }
        if first.is_some() && end > reached {
            told(ChunkRun::Settled(end - reached));
        }
        first.unwrap_or(end) * CHUNK_PLACES
    }

    fn chunk(&self, number: u64) -> Option<&Chunk> {
        match number.checked_sub(self.floor) {
            Some(at) => self.recent.get(usize::try_from(at).ok()?)?.as_deref(),
            None => self.stragglers.get(number),
        }
    }

    fn chunks(&self, numbers: RangeInclusive<u64>, mut found: impl FnMut(u64, &Chunk)) {
        let (from, to) = numbers.into_inner();
        for (number, chunk) in self.stragglers.chunks(from..=to) {
            found(number, chunk);
        }
        let Some(above) = to.checked_sub(self.floor) else { return };
        let skipped = usize::try_from(from.saturating_sub(self.floor)).unwrap_or(usize::MAX);
        let until = usize::try_from(above).unwrap_or(usize::MAX).saturating_add(1);
        let recent = self.recent.iter().zip(self.floor..).take(until).skip(skipped);
        for (chunk, number) in recent {
            if let Some(chunk) = chunk {
                found(number, chunk);
            }
        }
    }

    /// The chunk in which something may arrive; none if all of it is settled.
    fn open_chunk(&mut self, number: u64, pool: &mut Pool) -> Option<&mut Chunk> {
        let Some(at) = number.checked_sub(self.floor) else {
            return self.stragglers.open(number, self.gaps);
        };
        if at >= self.recent.len() as u64 {
            self.extend_to(number, pool);
        }
        let at = usize::try_from(number - self.floor).ok()?;
        let chunk = self.recent.get_mut(at)?;
        if chunk.is_none() && self.gaps == Gaps::Settled {
            *chunk = Some(Box::default());
            self.holes -= 1;
        }
        chunk.as_deref_mut()
    }

    /// Makes `number` the last of the recent chunks.
    fn extend_to(&mut self, number: u64, pool: &mut Pool) {
        let end = self.floor + self.recent.len() as u64;
        if number - end > GAP_CHUNKS {
            self.retire_recent();
            if self.gaps == Gaps::Open {
                self.stragglers.add_untouched(end, number - end);
            }
            self.floor = number;
        }
        for _ in self.floor + self.recent.len() as u64..number {
            self.holes += usize::from(self.gaps == Gaps::Settled);
            self.recent.push_back((self.gaps == Gaps::Open).then(Box::default));
        }
        // A queue that has filled a chunk will probably fill this one; others start small.
        let is_busy = self
            .recent
            .back()
            .is_some_and(|chunk| chunk.as_ref().is_none_or(|chunk| chunk.is_half_size()));
        self.recent.push_back(Some(if is_busy { pool.full() } else { Box::default() }));
    }

    fn settle_part(
        &mut self,
        number: u64,
        places: Mask,
        pool: &mut Pool,
        released: &mut impl FnMut(u64, Slot),
    ) {
        if self.gaps == Gaps::Settled && self.chunk(number).is_none() {
            return;
        }
        let gaps = self.gaps;
        let Some(chunk) = self.open_chunk(number, pool) else { return };
        let base = number * CHUNK_PLACES;
        chunk.settle(places, |position, slot| released(base + u64::from(position), slot));
        let is_done = match gaps {
            Gaps::Open => chunk.settled().is_full(),
            Gaps::Settled => chunk.live().is_empty(),
        };
        if is_done {
            self.free(number, pool);
        }
    }

    fn free(&mut self, number: u64, pool: &mut Pool) {
        let Some(at) = number.checked_sub(self.floor) else {
            if let Some(chunk) = self.stragglers.remove(number) {
                pool.recycle(chunk);
            }
            return;
        };
        let recent = usize::try_from(at).ok().and_then(|at| self.recent.get_mut(at));
        if let Some(chunk) = recent.and_then(Option::take) {
            self.holes += 1;
            pool.recycle(chunk);
        }
    }

    /// Settles whole chunks, however many.
    fn settle_chunks(
        &mut self,
        numbers: Range<u64>,
        pool: &mut Pool,
        released: &mut impl FnMut(u64, Slot),
    ) {
        if numbers.is_empty() {
            return;
        }
        self.stragglers.settle_untouched(&numbers);
        while let Some(number) = self.stragglers.first_of(numbers.start..=numbers.end - 1) {
            self.settle_part(number, Mask::FULL, pool, released);
        }
        let end = self.floor + self.recent.len() as u64;
        for number in numbers.start.max(self.floor)..numbers.end.min(end) {
            if self.chunk(number).is_some() {
                self.settle_part(number, Mask::FULL, pool, released);
            }
        }
        if self.gaps == Gaps::Open && numbers.end > end {
            if numbers.start > end {
                self.extend_to(numbers.start - 1, pool);
            }
            self.extend_settled_to(numbers.end);
        }
    }

    fn extend_settled_to(&mut self, end: u64) {
        let reached = self.floor + self.recent.len() as u64;
        if end - reached > GAP_CHUNKS {
            self.retire_recent();
            self.floor = end;
        }
        for _ in self.floor + self.recent.len() as u64..end {
            self.recent.push_back(None);
            self.holes += 1;
        }
    }

    /// Moves every recent chunk to the stragglers; the floor is above them then.
    fn retire_recent(&mut self) {
        while let Some(chunk) = self.recent.pop_front() {
            self.retire(chunk);
        }
    }

    fn retire(&mut self, chunk: Option<Box<Chunk>>) {
        let number = self.floor;
        self.floor += 1;
        match chunk {
            None => self.holes -= 1,
            Some(chunk) => self.stragglers.push(number, chunk),
        }
    }

    /// Keeps `recent` from holding more that is settled than that is not.
    fn trim(&mut self) {
        loop {
            let has_many_holes = self.holes > HOLES && self.holes * 2 > self.recent.len();
            match self.recent.front() {
                Some(None) => {}
                Some(Some(_)) if has_many_holes => {}
                Some(Some(_)) | None => break,
            }
            if let Some(chunk) = self.recent.pop_front() {
                self.retire(chunk);
            }
        }
        if self.recent.is_empty() && self.recent.capacity() > 4 * KEPT_CHUNKS {
            self.recent.shrink_to(KEPT_CHUNKS);
        }
    }
}

/// Of a place in its chunk.
#[expect(clippy::cast_possible_truncation, reason = "below 256")]
fn position(sequence: u64) -> u8 {
    (sequence % CHUNK_PLACES) as u8
}
