//! How fast the client may publish: what its user, its vhost and the queues it publishes to allow.
//!
//! Owned by `session::Session`. Publishes are counted as they come and taken from the buckets at the end
//! of a read; who took more than there was publishes nothing until it is paid for, and its connection
//! waits with the next publish as under an alarm. Stays true: without a limit that is two additions a
//! message and four loads a read; what waits loses nothing, and what came before it takes effect.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::outgoing::pressure::Cause;
use crate::publish_rate::PublishRates;
use crate::queue::Queue;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Pacing {
    of_user: Arc<PublishRates>,
    of_vhost: Arc<PublishRates>,
    /// Of the read that is under way.
    messages: u64,
    /// Of their bodies.
    bytes: u64,
    pause: Option<Pause>,
}

/// Until when nothing is published, and whose limit it is.
#[derive(Clone, Debug)]
pub(crate) struct Pause {
    /// When the next publish is handled.
    pub until: Instant,
    /// Of the user, the vhost or a queue.
    pub cause: Cause,
    /// That queue.
    pub queue: Option<Arc<Queue>>,
}

impl Pause {
    fn of(wait: Duration, cause: Cause, queue: Option<Arc<Queue>>) -> Option<Self> {
        // Of a limit that was far too low for what came nobody sees the end anyway.
        let longest = Duration::from_secs(365 * 24 * 3600);
        let until = || Instant::now() + wait.min(longest);
        (!wait.is_zero()).then(|| Self { until: until(), cause, queue })
    }
}

impl Pacing {
    /// For a connection of a user to a vhost with these buckets.
    pub(super) fn new(of_user: Arc<PublishRates>, of_vhost: Arc<PublishRates>) -> Self {
        Self { of_user, of_vhost, messages: 0, bytes: 0, pause: None }
    }

    /// A message with a body of this many bytes was published.
    #[inline]
    pub(super) fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }

    /// Takes what was counted from the buckets of the user and the vhost.
    pub(super) fn take_counted(&mut self) {
        let (messages, bytes) = (self.messages, self.bytes);
        (self.messages, self.bytes) = (0, 0);
        for (rates, cause) in
            [(&self.of_user, Cause::RateOfUser), (&self.of_vhost, Cause::RateOfVhost)]
        {
            if messages > 0 && rates.is_limited() {
                let wait = rates.take(messages, bytes, clock::steady_nanos());
                self.pause = longer(self.pause.take(), Pause::of(wait, cause, None));
            }
        }
    }

    /// A queue was given more than it may be: the client stays away for so long.
    pub(super) fn stay_away(&mut self, wait: Duration, queue: Arc<Queue>) {
        let pause = Pause::of(wait, Cause::RateOfQueue, Some(queue));
        self.pause = longer(self.pause.take(), pause);
    }

    /// Whether nothing may be published yet.
    #[inline]
    pub(crate) fn is_paused(&mut self) -> bool {
        if self.pause.as_ref().is_some_and(|pause| pause.until <= Instant::now()) {
            self.pause = None;
        }
        self.pause.is_some()
    }

    /// Why, and until when.
    pub(crate) fn pause(&self) -> Option<&Pause> {
        self.pause.as_ref()
    }
}

fn longer(one: Option<Pause>, other: Option<Pause>) -> Option<Pause> {
    [one, other].into_iter().flatten().max_by_key(|pause| pause.until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish_rate::PublishLimits;

    fn limited(messages: u64) -> Arc<PublishRates> {
        let rates = PublishRates::default();
        rates.set(PublishLimits { messages: Some(messages), bytes: None });
        Arc::new(rates)
    }

    #[tokio::test(start_paused = true)]
    async fn the_stricter_limit_counts_and_a_pause_ends_by_itself() {
        let mut pacing = Pacing::new(limited(1000), limited(10));
        for _ in 0..30 {
            pacing.count(5);
        }
        assert!(!pacing.is_paused(), "what came with the read takes effect");
        pacing.take_counted();
        assert!(pacing.is_paused());
        let pause = pacing.pause().cloned().unwrap();
        assert_eq!(pause.cause, Cause::RateOfVhost);
        let left = pause.until.duration_since(Instant::now());
        assert!((Duration::from_millis(1900)..=Duration::from_secs(2)).contains(&left), "{left:?}");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!pacing.is_paused() && pacing.pause().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_and_without_publishes_nobody_waits() {
        let mut pacing = Pacing::new(Arc::default(), limited(1));
        pacing.take_counted();
        assert!(!pacing.is_paused());
        let mut pacing = Pacing::new(Arc::default(), Arc::default());
        (0..100_000).for_each(|_| pacing.count(1 << 20));
        pacing.take_counted();
        assert!(!pacing.is_paused());
    }
}
