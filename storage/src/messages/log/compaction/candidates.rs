//! Which segments the compactor works on. Called under the lock of the holdings; decides, does
//! nothing.
//!
//! Stays true: only what is sealed and on disk is touched, and copying what is chosen frees room.

use std::sync::Arc;

use super::super::segments::{Account, Segments};
use crate::wal::{HEADER_SIZE, Segment};

/// Hot segments that are not copied from, newest first: most of what is in them will be settled
/// soon.
const TOO_NEW: usize = 2;

/// Small cold segments that are worth making one of.
const SMALL_COUNT: usize = 8;

/// A cold segment is small below this part of a segment.
const SMALL_PART: u64 = 8;

/// How much to choose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes that a segment should have.
    pub(super) segment_size: u64,
    /// There is so little room that one segment is enough to copy from; a new one too, rather than
    /// none.
    pub(super) is_short_of_room: bool,
}

/// The segments that hold nothing and that nothing else depends on.
pub(super) fn removable(segments: &Segments) -> Vec<Arc<Segment>> {
    let newest = segments.synced_snapshot();
    // What a hot one says of other segments is in the snapshot of a newer one.
    let is_free = |account: &&Account| !account.segment.name.is_hot() || account.id() < newest;
    let empty = segments.iter().filter(|account| account.is_sealed && account.is_empty());
    empty.filter(is_free).map(|account| Arc::clone(&account.segment)).collect()
}

/// The segments whose messages should be copied into one.
pub(super) fn to_compact(segments: &Segments, limits: Limits) -> Vec<Arc<Segment>> {
    // With little room even what is new: nothing newer comes that would make it old.
    let too_new = if limits.is_short_of_room { Vec::new() } else { too_new(segments) };
    let is_eligible = |account: &&Account| {
        account.is_sealed
            && !account.is_empty()
            && !too_new.contains(&account.id())
            && !account.is_damaged
    };
    let (mut chosen, rest): (Vec<_>, Vec<_>) =
        segments.iter().filter(is_eligible).partition(|account| is_wasteful(account));
    if !limits.is_short_of_room {
        chosen.extend(small(&rest, limits));
    }
    chosen.sort_unstable_by_key(|account| (account.live_bytes, account.id()));
    let most = if limits.is_short_of_room { 1 } else { usize::MAX };
    let mut bytes = u64::from(HEADER_SIZE);
    let fits = |account: &&Account| {
        let is_first = bytes == u64::from(HEADER_SIZE);
        bytes += account.live_bytes;
        is_first || bytes <= limits.segment_size
    };
    chosen.into_iter().take_while(fits).take(most).map(|one| Arc::clone(&one.segment)).collect()
}

/// Whether a copy of what is left would be less than half as long.
fn is_wasteful(account: &Account) -> bool {
    account.live_bytes * 2 < account.bytes.saturating_sub(u64::from(HEADER_SIZE))
}

fn too_new(segments: &Segments) -> Vec<u32> {
    let is_hot = |account: &&Account| account.segment.name.is_hot();
    let mut hot: Vec<u32> = segments.iter().filter(is_hot).map(Account::id).collect();
    hot.sort_unstable();
    hot.into_iter().rev().take(TOO_NEW).collect()
}

/// Cold segments that are full of messages, but of few.
fn small<'a>(accounts: &[&'a Account], limits: Limits) -> Vec<&'a Account> {
    let is_small = |account: &&&Account| {
        !account.segment.name.is_hot() && account.bytes < limits.segment_size / SMALL_PART
    };
    let small: Vec<&Account> = accounts.iter().filter(is_small).copied().collect();
    if small.len() < SMALL_COUNT { Vec::new() } else { small }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::index::Slot;
    use super::*;
    use crate::messages::Place;
    use crate::wal::{RecordPlace, SegmentName};

    const LIMITS: Limits = Limits { segment_size: 10_000, is_short_of_room: false };

    /// Bytes, live bytes, sealed and on disk.
    type Described = (SegmentName, u64, u64, bool);

    fn segments(described: &[Described]) -> Segments {
        let mut segments = Segments::default();
        for (name, bytes, live_bytes, is_at_rest) in described {
            let segment = Segment::for_test(*name, Path::new("log"));
            segments.insert(Account::open(segment, *bytes));
            if *live_bytes > 0 {
                let record =
                    RecordPlace { offset: 64, length: u32::try_from(*live_bytes).unwrap() };
                let mut entry = segments.entry(name.id).unwrap();
                entry.see(Place { queue: 1, sequence: u64::from(name.id) });
                entry.hold(Slot::new(name.id, record, 1), 1);
            }
            if *is_at_rest {
                segments.set_sealed(name.id, *bytes);
            }
        }
        segments
    }

    fn hot(id: u32, bytes: u64, live_bytes: u64) -> Described {
        (SegmentName::hot(id), bytes, live_bytes, true)
    }

    fn cold(id: u32, bytes: u64, live_bytes: u64) -> Described {
        (SegmentName::cold(id), bytes, live_bytes, true)
    }

    fn open(id: u32) -> Described {
        (SegmentName::hot(id), 100, 0, false)
    }

    fn ids(segments: Vec<Arc<Segment>>) -> Vec<u32> {
        segments.iter().map(|segment| segment.name.id).collect()
    }

    fn compacted(described: &[Described], limits: Limits) -> Vec<u32> {
        ids(to_compact(&segments(described), limits))
    }

    #[test]
    fn what_is_less_than_half_full_is_compacted_but_the_newest_two() {
        let described = [
            hot(1, 10_064, 5000),
            hot(2, 10_064, 4999),
            hot(3, 10_064, 0),
            cold(4, 10_064, 200),
            (SegmentName::hot(5), 10_064, 200, false),
            hot(6, 10_064, 200),
            hot(7, 10_064, 200),
            open(8),
            cold(9, 164, 100),
        ];
        assert_eq!(compacted(&described, LIMITS), [4, 6, 2]);
    }

    #[test]
    fn with_little_room_the_one_is_compacted_that_needs_least_even_a_new_one() {
        let short = Limits { is_short_of_room: true, ..LIMITS };
        let older = [hot(1, 10_064, 200), hot(2, 10_064, 100), cold(3, 10_064, 300)];
        assert_eq!(compacted(&[&older[..], &[open(4)]].concat(), short), [2]);
        assert_eq!(compacted(&[hot(1, 10_064, 4000), open(2)], short), [1]);
        assert!(compacted(&[hot(1, 10_064, 6000), open(2)], short).is_empty());
    }

    #[test]
    fn no_more_is_chosen_than_fits_in_a_segment() {
        let described = [hot(1, 9000, 4000), hot(2, 9000, 4001), hot(3, 9000, 4002)];
        let newer = [hot(10, 9000, 9000), open(11)];
        assert_eq!(compacted(&[&described[..], &newer].concat(), LIMITS), [1, 2]);
        let large = [hot(1, 90_000, 40_000), hot(2, 90_000, 40_000), hot(10, 100, 0), open(11)];
        assert_eq!(compacted(&large, LIMITS), [1], "one in any case");
    }

    #[test]
    fn eight_small_cold_segments_are_made_one() {
        let small: Vec<Described> = (1..8).map(|id| cold(id, 1064, 1000)).collect();
        assert!(compacted(&small, LIMITS).is_empty());
        let large = [cold(30, 1250, 1100), hot(31, 1064, 1000)];
        assert!(compacted(&[&small[..], &large].concat(), LIMITS).is_empty());
        let eight = [&small[..], &[cold(20, 1164, 600)]].concat();
        assert_eq!(compacted(&eight, LIMITS).len(), 8);
    }

    #[test]
    fn a_damaged_segment_is_left_alone() {
        let mut segments = segments(&[hot(1, 9000, 10), hot(2, 9000, 0), open(3)]);
        assert_eq!(ids(to_compact(&segments, LIMITS)), [1]);
        assert!(segments.set_damaged(1) && !segments.set_damaged(1));
        assert!(to_compact(&segments, LIMITS).is_empty());
    }

    #[test]
    fn a_hot_segment_is_removable_when_a_newer_snapshot_is_on_disk() {
        let mut segments = segments(&[
            hot(1, 9000, 0),
            hot(2, 9000, 10),
            hot(3, 9000, 0),
            cold(4, 9000, 0),
            open(5),
        ]);
        let mut removable_now = |synced: Option<u32>| {
            synced.into_iter().for_each(|id| segments.set_synced(id));
            let mut removable = ids(removable(&segments));
            removable.sort_unstable();
            removable
        };
        assert_eq!(removable_now(None), [4]);
        assert_eq!(removable_now(Some(3)), [1, 4]);
        assert_eq!(removable_now(Some(5)), [1, 3, 4]);
    }
}
