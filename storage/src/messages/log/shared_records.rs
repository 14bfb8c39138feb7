//! The records of a segment that several places need, and how many of these still do.
//!
//! Owned by `segments`. They are added in the order of the segment and let go nearly in it, by each
//! queue at its own pace: so they stand in that order, and one is looked for behind the one before,
//! as far as that one was behind its own.
//!
//! Stays true: what nobody needs takes no more memory than what somebody does.

/// Records that are looked at before the place is searched for.
const NEAR: usize = 16;

/// Records that nobody needs and that are left alone.
const GONE_MIN: usize = 64;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct SharedRecords {
    /// Ascending by offset.
    records: Vec<SharedRecord>,
    /// How many of them nobody needs.
    gone: usize,
    /// Where the last one was that was let go by a place.
    recent: usize,
    /// How far that was behind the one before it.
    stride: usize,
}

#[derive(Clone, Copy, Debug)]
struct SharedRecord {
    offset: u32,
    /// Places that need it.
    places: u32,
}

impl SharedRecords {
    /// So many more places need the record at this offset. Says whether none did before.
    pub(super) fn hold(&mut self, offset: u32, places: u32) -> bool {
        let record = SharedRecord { offset, places };
        if self.records.last().is_none_or(|last| last.offset < offset) {
            self.records.push(record);
            return true;
        }
        match self.records.binary_search_by_key(&offset, |record| record.offset) {
            Ok(at) => {
                let Some(known) = self.records.get_mut(at) else { return true };
                let is_first = known.places == 0;
                self.gone -= usize::from(is_first);
                known.places += places;
                is_first
            }
            Err(at) => {
                self.records.insert(at, record);
                true
            }
        }
    }

    /// One place less needs the record. Says whether it was the last.
    pub(super) fn release(&mut self, offset: u32) -> bool {
        let Some(record) = self.find(offset) else { return true };
        let was_needed = record.places > 0;
        record.places = record.places.saturating_sub(1);
        let is_last = record.places == 0;
        if was_needed && is_last {
            self.gone += 1;
            self.drop_gone();
        }
        is_last
    }

    fn find(&mut self, offset: u32) -> Option<&mut SharedRecord> {
        let expected = self.recent + self.stride;
        if self.records.get(expected).is_some_and(|record| record.offset == offset) {
            self.recent = expected;
            return self.records.get_mut(expected);
        }
        let near = self.records.get(self.recent..).unwrap_or_default();
        let found = near.iter().take(NEAR).position(|record| record.offset == offset);
        match found {
            Some(ahead) => {
                self.recent += ahead;
                self.stride = ahead;
            }
            None => {
                let found = self.records.binary_search_by_key(&offset, |record| record.offset);
                self.recent = found.ok()?;
            }
        }
        self.records.get_mut(self.recent)
    }

    fn drop_gone(&mut self) {
        if self.gone < GONE_MIN || self.gone * 2 < self.records.len() {
            return;
        }
        self.records.retain(|record| record.places > 0);
        self.records.shrink_to(self.records.len() * 2);
        self.gone = 0;
        self.recent = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_counts_as_a_map_does(
            steps in prop::collection::vec((any::<bool>(), 0..200_u32, 1..4_u32), 0..600),
        ) {
            let (mut records, mut naive) = (SharedRecords::default(), BTreeMap::new());
            for (holds, offset, places) in steps {
                if holds {
                    let known = naive.entry(offset).or_insert(0);
                    prop_assert_eq!(records.hold(offset, places), *known == 0);
                    *known += places;
                } else if let Some(known) = naive.get_mut(&offset) {
                    *known -= 1;
                    prop_assert_eq!(records.release(offset), *known == 0);
                    naive.retain(|_, places| *places > 0);
                }
                let needed = records.records.iter().filter(|record| record.places > 0);
                prop_assert_eq!(needed.count(), naive.len());
            }
        }
    }

    #[test]
    fn what_is_let_go_gives_its_memory_back() {
        let mut records = SharedRecords::default();
        (0..100_000).for_each(|offset| assert!(records.hold(offset * 100, 2)));
        for offset in 0..99_000 {
            assert!(!records.release(offset * 100));
            assert!(records.release(offset * 100));
        }
        assert!(records.records.capacity() < 5000, "{}", records.records.capacity());
        assert!(!records.release(99_500 * 100) && records.release(99_500 * 100));
    }
}
