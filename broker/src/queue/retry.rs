//! How long a message that came back waits before it is handed out again (`x-delayed-retry-*`).
//!
//! Made by `queue::arguments`, asked by `queue::state`. Pure: what is spread is spread by the message's
//! number. Stays true: a message waits its `min_ms` at least and its `max_ms` at most. Linear waiting is
//! RabbitMQ's, see its page on quorum queues ("Delayed Retry"); exponential waiting is ours.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::held::Returns;
use crate::keys::Outcome;

/// After which returns a message waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RetryAfter {
    /// After every one.
    All,
    /// After a failed attempt.
    Failed,
    /// After it was given back without having failed.
    Returned,
}

/// See the module documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    /// After which returns.
    pub after: RetryAfter,
    /// The first time, in milliseconds.
    pub min_ms: u64,
    /// At most, in milliseconds.
    pub max_ms: u64,
    /// Twice as long each time, and up to a quarter more or less, instead of as much longer each time.
    pub exponential: bool,
}

impl Retry {
    /// How long a message waits that came back like this, in milliseconds; `None` if it does not.
    pub(super) fn wait_ms(&self, outcome: Outcome, returns: Returns, sequence: u64) -> Option<u64> {
        let waits = match self.after {
            RetryAfter::All => true,
            RetryAfter::Failed => outcome == Outcome::Failed,
            RetryAfter::Returned => outcome == Outcome::Requeue,
        };
        waits.then(|| self.lasts_ms(returns, sequence))
    }

    fn lasts_ms(&self, returns: Returns, sequence: u64) -> u64 {
        // As RabbitMQ has it, a message that never failed waits the shortest time, however often it
        // came back.
        let times = u64::from(returns.failures().max(1));
        if !self.exponential {
            return self.min_ms.saturating_mul(times).min(self.max_ms);
        }
        let doublings = u32::try_from(times - 1).unwrap_or(u32::MAX);
        let factor = 2_u64.checked_pow(doublings).unwrap_or(u64::MAX);
        let base_ms = self.min_ms.saturating_mul(factor);
        let quarter_ms = base_ms.min(self.max_ms) / 4;
        let mut hasher = DefaultHasher::new();
        (sequence, times).hash(&mut hasher);
        let spread_ms = hasher.finish() % (quarter_ms + 1);
        match base_ms.saturating_add(quarter_ms) <= self.max_ms {
            true => base_ms + spread_ms,
            // There is no room above: many that wait the longest time are spread below it.
            false => (self.max_ms - spread_ms).max(self.min_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(times: u32) -> Returns {
        let back = |returns: Returns, _| returns.given_back(Outcome::Failed, true);
        (0..times).fold(Returns::default(), back)
    }

    fn retry(after: RetryAfter, exponential: bool) -> Retry {
        Retry { after, min_ms: 100, max_ms: 1000, exponential }
    }

    #[test]
    fn linear_waiting_grows_with_every_failure() {
        let retry = retry(RetryAfter::Failed, false);
        let waits = |times| retry.wait_ms(Outcome::Failed, failed(times), 7);
        assert_eq!([1, 2, 3, 10, 11].map(waits), [100, 200, 300, 1000, 1000].map(Some));
    }

    #[test]
    fn only_the_returns_that_are_meant_wait() {
        let waits = |after, outcome| retry(after, false).wait_ms(outcome, failed(1), 7).is_some();
        let all = [RetryAfter::All, RetryAfter::Failed, RetryAfter::Returned];
        assert_eq!(all.map(|after| waits(after, Outcome::Failed)), [true, true, false]);
        assert_eq!(all.map(|after| waits(after, Outcome::Requeue)), [true, false, true]);
    }

    proptest! {
        #[test]
        fn exponential_waiting_keeps_its_bounds_and_is_spread(
            times in 1_u32..100,
            sequence in any::<u64>(),
        ) {
            let waits = retry(RetryAfter::All, true).lasts_ms(failed(times), sequence);
            prop_assert!((100..=1000).contains(&waits), "{waits}");
            let least = if times < 4 { 100 << (times - 1) } else { 750 };
            prop_assert!(waits >= least, "{waits} after {times}");
        }
    }

    #[test]
    fn not_all_come_at_once() {
        let retry = retry(RetryAfter::All, true);
        let mut waits: Vec<u64> =
            (0..100).map(|sequence| retry.lasts_ms(failed(9), sequence)).collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 50, "{waits:?}");
    }
}
