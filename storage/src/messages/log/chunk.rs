//! 256 consecutive places of one queue: which of them hold a message, where, and which are settled.
//!
//! Owned by `queue_index`. Stays true: a place that is settled never holds a message again; the
//! slots stand in the order of their places and take memory only for places that held a message.

use crate::wal::RecordPlace;

/// Places in a chunk.
pub(crate) const CHUNK_PLACES: u64 = 256;

const PLACES: usize = 256;

/// Where the record of a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The segment's id.
    pub(crate) segment: u32,
    /// Of the record in the segment's file, in bytes.
    pub(crate) offset: u32,
    /// Bytes of the whole record; the highest bit says that it has more than one place.
    length: u32,
}

const IS_SHARED: u32 = 1 << 31;

impl Slot {
    /// Of a record with so many places, which is shorter than 2 GiB.
    pub(crate) const fn new(segment: u32, record: RecordPlace, places: usize) -> Self {
        let length = record.length & !IS_SHARED;
        let length = if places > 1 { length | IS_SHARED } else { length };
        Self { segment, offset: record.offset, length }
    }

    /// Where the record is.
    pub(crate) const fn record(self) -> RecordPlace {
        RecordPlace { offset: self.offset, length: self.length & !IS_SHARED }
    }

    /// Whether the record has more than one place: its bytes are needed until the last is settled.
    pub(crate) const fn is_shared(self) -> bool {
        self.length & IS_SHARED != 0
    }
}

/// A set of places of one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask([u64; 4]);

impl Mask {
    /// All places.
    pub(crate) const FULL: Self = Self([u64::MAX; 4]);

    /// The places from `first` to `last`, both in it.
    pub(crate) fn between(first: u8, last: u8) -> Self {
        let mut mask = Self::default();
        for (word, number) in mask.0.iter_mut().zip(0_u32..) {
            let start = number * 64;
            let from = u32::from(first).saturating_sub(start);
            let to = (u32::from(last) + 1).saturating_sub(start).min(64);
            if from < to {
                *word = (u64::MAX << from) & (u64::MAX >> (64 - to));
            }
        }
        mask
    }

    /// As it is on disk: the lowest bit of the first byte is the first place.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut mask = Self::default();
        for (word, bytes) in mask.0.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        mask
    }

    /// See [`Self::from_bytes`].
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    pub(crate) fn contains(self, position: u8) -> bool {
        self.word(position) >> (position & 63) & 1 == 1
    }

    pub(crate) fn insert(&mut self, position: u8) {
        if let Some(word) = self.0.get_mut(usize::from(position >> 6)) {
            *word |= 1 << (position & 63);
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn is_full(self) -> bool {
        self == Self::FULL
    }

    pub(crate) fn union(self, other: Self) -> Self {
        self.zip(other, |one, other| one | other)
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        self.zip(other, |one, other| one & other)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        self.zip(other, |one, other| one & !other)
    }

    pub(crate) fn len(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// How many places in it come before this one.
    pub(crate) fn rank(self, position: u8) -> usize {
        let whole = self.0.iter().take(usize::from(position >> 6));
        let before: u32 = whole.map(|word| word.count_ones()).sum();
        let part = self.word(position) & !(u64::MAX << (position & 63));
        (before + part.count_ones()) as usize
    }

    /// Its places, ascending.
    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        self.0.into_iter().zip([0_u8, 64, 128, 192]).flat_map(|(mut word, start)| {
            std::iter::from_fn(move || {
                let lowest = u8::try_from(word.trailing_zeros()).ok().filter(|lowest| *lowest < 64);
                word &= word.wrapping_sub(1);
                lowest.map(|lowest| start + lowest)
            })
        })
    }

    fn word(self, position: u8) -> u64 {
        self.0.get(usize::from(position >> 6)).copied().unwrap_or_default()
    }

    fn zip(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let mut mask = self;
        for (word, other) in mask.0.iter_mut().zip(other.0) {
            *word = combine(*word, other);
        }
        mask
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Places with a slot; those of them that are settled are thrown out when they are many.
    held: Mask,
    settled: Mask,
    slots: Vec<Slot>,
}

impl Chunk {
    /// Makes room for a message in every place.
    pub(super) fn reserve_all(&mut self) {
        self.slots.reserve_exact(PLACES);
    }

    /// Whether it has memory for a message in every other place.
    pub(super) fn is_half_size(&self) -> bool {
        self.slots.capacity() >= PLACES / 2
    }

    pub(super) fn settled(&self) -> Mask {
        self.settled
    }

    pub(super) fn live(&self) -> Mask {
        self.held.without(self.settled)
    }

    pub(super) fn get(&self, position: u8) -> Option<Slot> {
        if !self.live().contains(position) {
            return None;
        }
        self.slots.get(self.held.rank(position)).copied()
    }

    pub(super) fn get_mut(&mut self, position: u8) -> Option<&mut Slot> {
        if !self.live().contains(position) {
            return None;
        }
        self.slots.get_mut(self.held.rank(position))
    }

    /// Puts a message in its place, unless that is settled or taken.
    pub(super) fn arrive(&mut self, position: u8, slot: Slot) -> bool {
        if self.settled.contains(position) || self.held.contains(position) {
            return false;
        }
        let rank = self.held.rank(position);
        if rank == self.slots.len() {
            self.slots.push(slot);
        } else {
            self.slots.insert(rank, slot);
        }
        self.held.insert(position);
        true
    }

    /// Settles places and tells which of them held which message.
    pub(super) fn settle(&mut self, places: Mask, mut released: impl FnMut(u8, Slot)) {
        let newly = self.live().intersection(places);
        let mut before: Option<(u8, usize)> = None;
        for position in newly.iter() {
            let rank = match before {
                // Neighbours that are both held have slots that are neighbours.
                Some((last, rank)) if last.checked_add(1) == Some(position) => rank + 1,
                Some(_) | None => self.held.rank(position),
            };
            before = Some((position, rank));
            if let Some(slot) = self.slots.get(rank) {
                released(position, *slot);
            }
        }
        self.settled = self.settled.union(places);
        self.shrink();
    }

    /// Keeps the slots of a chunk with a few survivors from costing what a full one costs.
    fn shrink(&mut self) {
        let live = self.live();
        let count = live.len() as usize;
        if self.slots.len() < 16 || count * 4 > self.slots.len() {
            return;
        }
        let mut held = self.held.iter();
        self.slots.retain(|_| held.next().is_some_and(|position| live.contains(position)));
        self.slots.shrink_to(count * 2);
        self.held = live;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(offset: u32) -> Slot {
        Slot::new(1, RecordPlace { offset, length: 100 }, 1)
    }

    #[test]
    fn a_mask_is_the_places_it_was_made_of() {
        for (first, last) in [(0, 0), (0, 255), (63, 64), (1, 62), (128, 191), (200, 255)] {
            let mask = Mask::between(first, last);
            let expected: Vec<u8> = (first..=last).collect();
            assert_eq!(mask.iter().collect::<Vec<_>>(), expected);
            assert_eq!(mask.len() as usize, expected.len());
            assert_eq!(mask.rank(last), expected.len() - 1);
            assert_eq!(Mask::from_bytes(mask.to_bytes()), mask);
        }
        assert_eq!(Mask::between(9, 10).to_bytes()[..3], [0, 0b110, 0]);
    }

    #[test]
    fn places_are_found_whatever_the_order_they_came_in() {
        let mut chunk = Chunk::default();
        for position in [5, 200, 3, 255, 0] {
            assert!(chunk.arrive(position, slot(position.into())));
        }
        assert!(!chunk.arrive(3, slot(9)), "taken");
        for position in [0, 3, 5, 200, 255] {
            assert_eq!(chunk.get(position), Some(slot(position.into())));
        }
        assert_eq!(chunk.get(4), None);
        let mut released = Vec::new();
        chunk.settle(Mask::between(4, 254), |position, _| released.push(position));
        assert_eq!(released, [5, 200]);
        assert!(!chunk.arrive(100, slot(1)), "settled before it arrived");
    }

    #[test]
    fn few_survivors_take_little_memory_and_are_still_found() {
        let mut chunk = Chunk::default();
        chunk.reserve_all();
        for position in 0..=255 {
            chunk.arrive(position, slot(position.into()));
        }
        let survivors = [7, 130, 131];
        for position in (0..=255).filter(|position| !survivors.contains(position)) {
            chunk.settle(Mask::between(position, position), |_, _| {});
        }
        assert!(chunk.slots.capacity() < 32, "{}", chunk.slots.capacity());
        for position in survivors {
            assert_eq!(chunk.get(position), Some(slot(position.into())));
        }
        assert_eq!(chunk.live().iter().collect::<Vec<_>>(), survivors);
    }
}
