//! Where the log ends: what of the segments that are not sealed was interrupted, and what is damage.
//!
//! Pure. Stays true: what was synced is never taken for something that was not.

use super::super::segment::{HEADER_SIZE, SegmentName};
use super::scan::Scan;
use super::{Bad, Surveyed, Verdict};

/// Finds where the log ends, and whether that is where it ended; returns the last group that counts.
/// Groups up to `base` are not looked for.
pub(super) fn judge(segments: &mut [Surveyed], scans: &[Scan], base: u64, synced: u64) -> u64 {
    let mut end = End { last: base, synced, torn: None, is_damaged: false };
    let mut last_one = None;
    let open = segments.iter_mut().filter(|one| one.sealed.is_none());
    for (one, scan) in open.zip(scans) {
        if one.is_damaged() {
            end.is_damaged = true;
            continue;
        }
        one.verdict = end.judge(one.segment.name, scan);
        end.is_damaged |= one.is_damaged();
        if one.verdict == Verdict::Whole || last_one.is_none() {
            last_one = Some(one);
        }
    }
    if end.last < synced
        && !end.is_damaged
        && let Some(one) = last_one
    {
        let why = format!("its groups end with {}, but those up to {synced} were synced", end.last);
        one.verdict = Verdict::Damaged(Bad { offset: one.end, why });
    }
    end.last
}

/// How far the log goes, while its segments are judged in their order.
struct End {
    last: u64,
    synced: u64,
    torn: Option<SegmentName>,
    is_damaged: bool,
}

impl End {
    fn judge(&mut self, name: SegmentName, scan: &Scan) -> Verdict {
        if scan.first.is_none() && scan.bad.is_none() {
            return Verdict::Empty;
        }
        if let Some(torn) = self.torn {
            return Verdict::Unsynced(format!("{torn} before it was never synced to its end"));
        }
        // Behind damage groups are missing, and that is known.
        let is_gap = !self.is_damaged && scan.first.is_some_and(|first| first > self.last + 1);
        let why = format!("group {} before it is missing", self.last + 1);
        let gap = is_gap.then_some(Bad { offset: HEADER_SIZE, why });
        if !is_gap {
            self.last = self.last.max(scan.last);
        }
        let Some(bad) = gap.or_else(|| scan.bad.clone()) else { return Verdict::Whole };
        if self.last < self.synced {
            self.last = self.last.max(scan.last);
            return Verdict::Damaged(bad);
        }
        self.torn = Some(name);
        match is_gap || scan.first.is_none() {
            true => Verdict::Unsynced(bad.why),
            false => Verdict::Torn(bad),
        }
    }
}
