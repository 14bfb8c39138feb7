//! How fast publishers may publish: buckets of messages and of bytes that fill with so many tokens a
//! second and hold a second's worth.
//!
//! Asked by `session` for what its user, vhost and queues were given by one read. Stays true: taking
//! never fails and never waits; who takes more than there is leaves a debt, and is told how long to
//! stay away until it is paid. So over any time as much comes as is allowed, a second's worth and the
//! last read more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a user, a vhost or a queue may be given in a second; `None` is as much as comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PublishLimits {
    /// `max-publish-rate`: messages.
    pub messages: Option<u64>,
    /// `max-publish-byte-rate`: bytes of their bodies.
    pub bytes: Option<u64>,
}

/// The buckets of one user, vhost or queue. Shared by all who publish there.
#[derive(Debug, Default)]
pub(crate) struct PublishRates {
    messages: TokenBucket,
    bytes: TokenBucket,
}

impl PublishRates {
    /// From now on this is what may come.
    pub(crate) fn set(&self, limits: PublishLimits) {
        self.messages.set_rate(limits.messages);
        self.bytes.set_rate(limits.bytes);
    }

    /// Whether there is a limit. Two loads.
    pub(crate) fn is_limited(&self) -> bool {
        self.messages.is_limited() || self.bytes.is_limited()
    }

    /// So much came, at this time in nanoseconds. How long its publisher has to stay away.
    pub(crate) fn take(&self, messages: u64, bytes: u64, now: u64) -> Duration {
        self.messages.take(messages, now).max(self.bytes.take(bytes, now))
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
struct TokenBucket {
    /// Tokens a second; 0 is no limit.
    per_second: AtomicU64,
    /// When it will be full again, in nanoseconds on the clock of whoever asks.
    full_at: AtomicU64,
}

const SECOND: u64 = 1_000_000_000;

impl TokenBucket {
    /// From now on it fills at this rate. What is owed stays owed, and takes as long as before.
    fn set_rate(&self, per_second: Option<u64>) {
        // A rate of none at all would be for ever: it is one a second.
        self.per_second.store(per_second.map_or(0, |rate| rate.max(1)), Ordering::Relaxed);
    }

    /// Whether there is a limit.
    fn is_limited(&self) -> bool {
        self.per_second.load(Ordering::Relaxed) > 0
    }

    /// Takes so many tokens at this time, in nanoseconds since some moment that is always the same.
    /// How long until as many came as were taken.
    fn take(&self, tokens: u64, now: u64) -> Duration {
        let per_second = self.per_second.load(Ordering::Relaxed);
        if per_second == 0 {
            return Duration::ZERO;
        }
        let cost = u128::from(tokens) * u128::from(SECOND) / u128::from(per_second);
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let after = |full_at: u64| full_at.max(now).saturating_add(cost);
        let before =
            self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| Some(after(at)));
        let full_at = after(before.unwrap_or_default());
        Duration::from_nanos(full_at.saturating_sub(now).saturating_sub(SECOND))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn bucket(per_second: u64) -> TokenBucket {
        let bucket = TokenBucket::default();
        bucket.set_rate(Some(per_second));
        bucket
    }

    #[test]
    fn a_second_is_there_at_once_and_then_what_comes() {
        let bucket = bucket(100);
        assert_eq!(bucket.take(100, 5 * SECOND), Duration::ZERO);
        assert_eq!(bucket.take(1, 5 * SECOND), Duration::from_millis(10));
        assert_eq!(bucket.take(1, 6 * SECOND), Duration::ZERO);
        // What was not taken in time is not kept for longer than a second.
        assert_eq!(bucket.take(100, 100 * SECOND), Duration::ZERO);
        assert_eq!(bucket.take(50, 100 * SECOND), Duration::from_millis(500));
    }

    #[test]
    fn without_a_limit_nothing_is_owed() {
        let bucket = TokenBucket::default();
        assert!(!bucket.is_limited());
        assert_eq!(bucket.take(u64::MAX, 0), Duration::ZERO);
        bucket.set_rate(Some(0));
        assert!(bucket.is_limited());
        assert_eq!(bucket.take(3, 0), Duration::from_secs(2));
        bucket.set_rate(None);
        assert_eq!(bucket.take(1, 0), Duration::ZERO);
    }

    proptest! {
        /// Takers that stay away as long as they are told get what is allowed, however they cut it.
        #[test]
        fn the_rate_holds_over_any_time(
            per_second in 1_u64..10_000,
            takes in vec((1_u64..500, 0_u64..2 * SECOND), 1..60),
        ) {
            let bucket = bucket(per_second);
            let mut now = 7 * SECOND;
            let (started, mut taken) = (now, 0);
            for (tokens, pause) in takes {
                let wait = bucket.take(tokens, now);
                taken += tokens;
                let passed = (now - started) as f64 / SECOND as f64 + 1.0;
                prop_assert!(taken as f64 <= per_second as f64 * passed + tokens as f64 + 1.0);
                let owed = u64::try_from(wait.as_nanos()).unwrap();
                now += owed.max(pause);
                // A debt is paid exactly when it was said to be.
                prop_assert_eq!(bucket.take(0, now), Duration::ZERO);
            }
        }
    }
}
