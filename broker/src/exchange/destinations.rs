//! The destinations that share one place in a matcher, and the set one routing call fills.
//!
//! Every exchange type keeps its destinations here. A destination appears once, with the number of
//! bindings that put it there, so that the same queue bound twice survives the loss of one binding.

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use smallvec::SmallVec;
use std::collections::HashSet;
use std::hash::Hash;

/// Up to here a linear search costs less than hashing.
const LINEAR_MAX: usize = 16;

/// The destinations of one routing key, trie node or fanout.
///
/// Most hold one destination; a shared one may hold thousands, and each of those may leave by
/// itself when its exclusive queue goes, so beyond [`LINEAR_MAX`] they are hashed.
#[derive(Clone, Debug)]
pub(super) enum Destinations<D> {
    /// A short list.
    Few(SmallVec<[(D, u32); 1]>),
    /// A long one.
    Many(Box<IndexMap<D, u32, RandomState>>),
}

impl<D> Default for Destinations<D> {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

impl<D: Clone + Eq + Hash> Destinations<D> {
    /// Counts one more binding to `destination`.
    pub(super) fn add(&mut self, destination: &D) {
        match self {
            Self::Few(few) => {
                if let Some((_, uses)) = few.iter_mut().find(|(held, _)| held == destination) {
                    *uses += 1;
                    return;
                }
                few.push((destination.clone(), 1));
                if few.len() > LINEAR_MAX {
                    *self = Self::Many(Box::new(few.drain(..).collect()));
                }
            }
            Self::Many(many) => *many.entry(destination.clone()).or_insert(0) += 1,
        }
    }

    /// Counts one binding to `destination` less; the last one takes the destination away.
    pub(super) fn remove(&mut self, destination: &D) {
        match self {
            Self::Few(few) => {
                let Some(at) = few.iter().position(|(held, _)| held == destination) else {
                    return;
                };
                match few.get_mut(at) {
                    Some((_, uses)) if *uses > 1 => *uses -= 1,
                    Some(_) | None => drop(few.remove(at)),
                }
            }
            Self::Many(many) => match many.get_mut(destination) {
                Some(uses) if *uses > 1 => *uses -= 1,
                Some(_) | None => drop(many.swap_remove(destination)),
            },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    /// Appends every destination to `out`, each once.
    pub(super) fn append_to(&self, out: &mut Vec<D>) {
        match self {
            Self::Few(few) => out.extend(few.iter().map(|(destination, _)| destination.clone())),
            Self::Many(many) => out.extend(many.keys().cloned()),
        }
    }
}

/// What one routing call found so far: appends to the caller's list, each destination once.
pub(super) struct Found<'out, D> {
    out: &'out mut Vec<D>,
    /// Where this call's part of `out` begins; what stands before it belongs to earlier calls.
    start: usize,
    /// Made once the linear search would become expensive.
    seen: Option<HashSet<D, RandomState>>,
}

impl<'out, D: Clone + Eq + Hash> Found<'out, D> {
    pub(super) fn new(out: &'out mut Vec<D>) -> Self {
        let start = out.len();
        Self { out, start, seen: None }
    }

    /// Appends `destination` unless this call already did.
    pub(super) fn push(&mut self, destination: &D) {
        let found = self.out.get(self.start..).unwrap_or_default();
        if found.len() < LINEAR_MAX {
            if !found.contains(destination) {
                self.out.push(destination.clone());
            }
            return;
        }
        let seen = self.seen.get_or_insert_with(|| found.iter().cloned().collect());
        if seen.insert(destination.clone()) {
            self.out.push(destination.clone());
        }
    }

    /// Appends what `destinations` holds and this call has not yet.
    pub(super) fn extend(&mut self, destinations: &Destinations<D>) {
        if self.out.len() == self.start {
            return destinations.append_to(self.out);
        }
        match destinations {
            Destinations::Few(few) => few.iter().for_each(|(found, _)| self.push(found)),
            Destinations::Many(many) => many.keys().for_each(|found| self.push(found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(destinations: &Destinations<u32>) -> Vec<u32> {
        let mut out = Vec::new();
        destinations.append_to(&mut out);
        out.sort_unstable();
        out
    }

    #[test]
    fn a_destination_stays_until_its_last_binding_goes() {
        let mut destinations = Destinations::default();
        for wanted in [1, 5, 40] {
            for destination in 0..wanted {
                destinations.add(&destination);
                destinations.add(&destination);
            }
            assert_eq!(listed(&destinations), (0..wanted).collect::<Vec<_>>());
            for destination in 0..wanted {
                destinations.remove(&destination);
            }
            assert_eq!(listed(&destinations), (0..wanted).collect::<Vec<_>>());
            for destination in 0..wanted {
                destinations.remove(&destination);
            }
            assert!(destinations.is_empty());
        }
        destinations.remove(&7);
        assert!(destinations.is_empty());
    }

    #[test]
    fn found_is_distinct_within_one_call_only() {
        let mut out = vec![3, 4];
        let mut found = Found::new(&mut out);
        for round in 0..3 {
            for destination in 0..(20 * round) {
                found.push(&destination);
            }
        }
        let mut expected = vec![3, 4];
        expected.extend(0..40);
        assert_eq!(out, expected);
    }

    #[test]
    fn extend_skips_what_is_there() {
        let mut few = Destinations::default();
        let mut many = Destinations::default();
        for destination in 0..3 {
            few.add(&destination);
        }
        for destination in 0..30 {
            many.add(&destination);
        }
        let mut out = Vec::new();
        let mut found = Found::new(&mut out);
        found.extend(&few);
        found.extend(&many);
        found.extend(&few);
        assert_eq!(out, (0..30).collect::<Vec<_>>());
    }
}
