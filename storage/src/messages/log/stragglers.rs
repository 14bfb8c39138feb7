//! Chunks of a queue that something is left in while all around them is settled, and the runs of
//! chunks that nobody has touched.
//!
//! Owned by `queue_index`. Stays true: runs do not overlap each other or a chunk; what is neither is
//! settled.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use super::chunk::Chunk;
use super::queue_index::{ChunkRun, Gaps};

/// See the module documentation. By the number of the first chunk.
#[derive(Debug, Default)]
pub(super) struct Stragglers(BTreeMap<u64, Straggler>);

#[derive(Debug)]
enum Straggler {
    Chunk(Box<Chunk>),
    Untouched { chunks: u64 },
}

impl Stragglers {
    /// The chunk with this number.
    pub(super) fn get(&self, number: u64) -> Option<&Chunk> {
        match self.0.get(&number) {
            Some(Straggler::Chunk(chunk)) => Some(chunk),
            Some(Straggler::Untouched { .. }) | None => None,
        }
    }

    /// The chunk with this number, to be changed.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Chunk> {
        match self.0.get_mut(&number) {
            Some(Straggler::Chunk(chunk)) => Some(chunk),
            Some(Straggler::Untouched { .. }) | None => None,
        }
    }

    /// The chunk in which something may arrive; none if all of it is settled.
    pub(super) fn open(&mut self, number: u64, gaps: Gaps) -> Option<&mut Chunk> {
        if gaps == Gaps::Settled {
            let new = || Straggler::Chunk(Box::default());
            self.0.entry(number).or_insert_with(new);
        } else if let Some((start, chunks)) = self.untouched_around(number) {
            self.0.remove(&start);
            self.add_untouched(start, number - start);
            self.0.insert(number, Straggler::Chunk(Box::default()));
            self.add_untouched(number + 1, start + chunks - number - 1);
        }
        self.get_mut(number)
    }

    /// Adds a chunk above all others, or a run if nobody has touched it.
    pub(super) fn push(&mut self, number: u64, chunk: Box<Chunk>) {
        if !chunk.is_untouched() {
            self.0.insert(number, Straggler::Chunk(chunk));
            return;
        }
        match self.0.range_mut(..number).next_back() {
            Some((start, Straggler::Untouched { chunks })) if start + *chunks == number => {
                *chunks += 1;
            }
            Some((_, Straggler::Untouched { .. } | Straggler::Chunk(_))) | None => {
                self.add_untouched(number, 1);
            }
        }
    }

    /// Adds a run.
    pub(super) fn add_untouched(&mut self, start: u64, chunks: u64) {
        if chunks > 0 {
            self.0.insert(start, Straggler::Untouched { chunks });
        }
    }

    /// Takes out a chunk that is settled.
    pub(super) fn remove(&mut self, number: u64) -> Option<Box<Chunk>> {
        match self.0.remove(&number) {
            Some(Straggler::Chunk(chunk)) => Some(chunk),
            Some(Straggler::Untouched { .. }) | None => None,
        }
    }

    /// Forgets that nobody has touched these chunks: they are settled.
    pub(super) fn settle_untouched(&mut self, numbers: &Range<u64>) {
        for edge in [numbers.start, numbers.end] {
            if let Some((start, chunks)) = self.untouched_around(edge) {
                self.0.remove(&start);
                self.add_untouched(start, edge - start);
                self.add_untouched(edge, start + chunks - edge);
            }
        }
        let inside = self.0.range(numbers.clone());
        let untouched = inside.filter(|(_, one)| matches!(one, Straggler::Untouched { .. }));
        for number in untouched.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.0.remove(&number);
        }
    }

    /// Whether nobody has touched this chunk.
    pub(super) fn is_untouched(&self, number: u64) -> bool {
        self.untouched_around(number).is_some()
    }

    /// The chunks in a range, ascending.
    pub(super) fn chunks(
        &self,
        numbers: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (u64, &Chunk)> {
        self.0.range(numbers).filter_map(|(number, straggler)| match straggler {
            Straggler::Chunk(chunk) => Some((*number, &**chunk)),
            Straggler::Untouched { .. } => None,
        })
    }

    /// The first chunk in a range.
    pub(super) fn first_of(&self, numbers: RangeInclusive<u64>) -> Option<u64> {
        self.chunks(numbers).next().map(|(number, _)| number)
    }

    /// Everything as runs, ascending; what is between is settled.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, ChunkRun)> {
        self.0.iter().map(|(number, straggler)| match straggler {
            Straggler::Chunk(chunk) => (*number, ChunkRun::of(chunk)),
            Straggler::Untouched { chunks } => (*number, ChunkRun::Unsettled(*chunks)),
        })
    }

    /// The run that this chunk is in: where it begins, and its length.
    fn untouched_around(&self, number: u64) -> Option<(u64, u64)> {
        match self.0.range(..=number).next_back()? {
            (start, Straggler::Untouched { chunks }) if number - start < *chunks => {
                Some((*start, *chunks))
            }
            (_, Straggler::Untouched { .. } | Straggler::Chunk(_)) => None,
        }
    }
}
