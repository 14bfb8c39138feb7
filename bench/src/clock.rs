//! The time of a run, in nanoseconds since it began.
//!
//! All threads share one beginning, so that a message's time of sending can travel in its body and
//! be compared by the thread that receives it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment from which nanoseconds are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start(Instant);

impl Start {
    /// Begins now.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is measured here is the real time of a real broker"
    )]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since then.
    pub(crate) fn nanoseconds(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Nanoseconds since the epoch, as a broker on this machine counts them.
pub(crate) fn unix_nanoseconds() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
}

/// Spends a number of messages a second evenly.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    per_second: u64,
    /// Nanoseconds at which the count below began.
    since: u64,
    spent: u64,
}

/// How much of a missed past is made up for at once.
const CATCH_UP_NS: u64 = 100_000_000;
const SECOND_NS: u64 = 1_000_000_000;

impl Pace {
    pub(crate) const fn new(per_second: u32, now: u64) -> Self {
        Self { per_second: per_second as u64, since: now, spent: 0 }
    }

    /// How many may be spent at `now`.
    pub(crate) fn allowed(&mut self, now: u64) -> u64 {
        let due = self.due(now);
        let burst = (self.per_second * CATCH_UP_NS / SECOND_NS).max(1);
        if due.saturating_sub(self.spent) > burst {
            self.since = now.saturating_sub(CATCH_UP_NS.max(SECOND_NS / self.per_second));
            self.spent = 0;
            return burst;
        }
        due.saturating_sub(self.spent)
    }

    pub(crate) const fn spend(&mut self, count: u64) {
        self.spent += count;
    }

    /// When the next one is allowed.
    pub(crate) fn next_at(&self) -> u64 {
        let after = u128::from(self.spent + 1) * u128::from(SECOND_NS);
        let after = after.div_ceil(u128::from(self.per_second));
        self.since.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
    }

    fn due(&self, now: u64) -> u64 {
        let passed = u128::from(now.saturating_sub(self.since));
        let due = passed * u128::from(self.per_second) / u128::from(SECOND_NS);
        u64::try_from(due).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_even() {
        let mut pace = Pace::new(1000, 5);
        assert_eq!(pace.allowed(5), 0);
        assert_eq!(pace.next_at(), 1_000_005);
        assert_eq!(pace.allowed(1_000_005), 1);
        pace.spend(1);
        assert_eq!((pace.allowed(1_999_999), pace.next_at()), (0, 2_000_005));
        assert_eq!(pace.allowed(4_000_005), 3);
    }

    #[test]
    fn the_missed_past_is_not_made_up_for() {
        let mut pace = Pace::new(1000, 0);
        assert_eq!(pace.allowed(10 * SECOND_NS), 100);
        pace.spend(100);
        assert_eq!(pace.allowed(10 * SECOND_NS), 0);
        assert_eq!(pace.allowed(11 * SECOND_NS), 100);
    }

    #[test]
    fn slow_paces_pass_too() {
        let mut pace = Pace::new(1, 0);
        let mut spent = 0;
        for tenth in 0..100 {
            let allowed = pace.allowed(tenth * SECOND_NS / 10);
            pace.spend(allowed);
            spent += allowed;
        }
        assert_eq!(spent, 9);
        assert!(pace.next_at() <= 10 * SECOND_NS);
        let mut thirds = Pace::new(3, 0);
        assert_eq!(thirds.allowed(thirds.next_at()), 1);
    }
}
