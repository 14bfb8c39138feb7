//! How many messages died of what: in a queue, and in all queues of a vhost since the broker started.
//!
//! Counted by `queue::state::dying` where messages leave, told to the vhost's counters by
//! `queue::Queue` once a command, read by whoever watches (`metrics`). Stays true: a death is counted
//! once in each, whether or not the message is published elsewhere; what becomes due is none.

use std::sync::atomic::{AtomicU64, Ordering};

use super::deaths::Reason;

/// Of what messages die, in the order of the counts.
pub(crate) const CAUSES: [Reason; 4] =
    [Reason::Expired, Reason::Rejected, Reason::MaxLength, Reason::DeliveryLimit];

/// Deaths of messages, by their causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeathCounts([u64; CAUSES.len()]);

impl DeathCounts {
    /// One more died.
    pub(super) fn add(&mut self, cause: Reason) {
        if let Some(at) = CAUSES.iter().position(|known| *known == cause)
            && let Some(count) = self.0.get_mut(at)
        {
            *count += 1;
        }
    }

    /// All of another.
    pub(crate) fn add_all(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
    }

    /// Each cause and how many died of it.
    pub(crate) fn each(self) -> impl Iterator<Item = (Reason, u64)> {
        CAUSES.into_iter().zip(self.0)
    }

    /// Whether none died.
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Deaths, apart for queues with and without dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeathsByStrategy {
    /// In queues that publish them elsewhere, at most once.
    pub at_most_once: DeathCounts,
    /// In queues that do so at least once.
    pub at_least_once: DeathCounts,
    /// In queues that do not.
    pub dropped: DeathCounts,
}

impl DeathsByStrategy {
    /// All of another.
    pub(crate) fn add_all(&mut self, other: Self) {
        self.at_most_once.add_all(other.at_most_once);
        self.at_least_once.add_all(other.at_least_once);
        self.dropped.add_all(other.dropped);
    }
}

/// Deaths, apart for the two types of queues as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeathsByType {
    /// In classic queues.
    pub classic: DeathsByStrategy,
    /// In quorum queues.
    pub quorum: DeathsByStrategy,
}

impl DeathsByType {
    /// All of another.
    pub(crate) fn add_all(&mut self, other: Self) {
        self.classic.add_all(other.classic);
        self.quorum.add_all(other.quorum);
    }

    /// Those of both types together.
    pub(crate) fn all(&self) -> DeathsByStrategy {
        let mut all = self.classic;
        all.add_all(self.quorum);
        all
    }
}

/// What a queue counted since it told of it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Untold {
    published: DeathCounts,
    dropped: DeathCounts,
}

/// What a queue's state machine counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Since the broker started.
    pub all: DeathCounts,
    /// Since they were taken last.
    untold: Untold,
}

impl Tally {
    /// One more died.
    pub(super) fn add(&mut self, cause: Reason, is_published: bool) {
        self.all.add(cause);
        match is_published {
            true => self.untold.published.add(cause),
            false => self.untold.dropped.add(cause),
        }
    }

    /// Those not told of yet, if there are any.
    pub(super) fn take(&mut self) -> Option<Untold> {
        let Untold { published, dropped } = self.untold;
        let is_empty = published.is_empty() && dropped.is_empty();
        (!is_empty).then(|| std::mem::take(&mut self.untold))
    }
}

type Counters = [AtomicU64; CAUSES.len()];

/// The counters of a vhost. Queues that are gone are in them.
#[derive(Debug, Default)]
pub(crate) struct DeathCounters {
    /// At most once, at least once, dropped.
    classic: [Counters; 3],
    quorum: [Counters; 3],
}

impl DeathCounters {
    /// More died in a queue, which may publish dead letters at least once.
    pub(super) fn add(&self, is_quorum: bool, at_least_once: bool, deaths: Untold) {
        let counters = if is_quorum { &self.quorum } else { &self.classic };
        let [most, least, dropped] = counters;
        let published = if at_least_once { least } else { most };
        for (counters, counts) in [(published, deaths.published), (dropped, deaths.dropped)] {
            for (counter, count) in counters.iter().zip(counts.0) {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// What they are now.
    pub(crate) fn read(&self) -> DeathsByType {
        let counts = |counters: &Counters| {
            DeathCounts(counters.each_ref().map(|counter| counter.load(Ordering::Relaxed)))
        };
        let strategies = |[most, least, dropped]: &[Counters; 3]| DeathsByStrategy {
            at_most_once: counts(most),
            at_least_once: counts(least),
            dropped: counts(dropped),
        };
        DeathsByType { classic: strategies(&self.classic), quorum: strategies(&self.quorum) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_are_counted_by_cause_and_told_once() {
        let (mut tally, counters) = (Tally::default(), DeathCounters::default());
        assert_eq!(tally.take(), None);
        for cause in [Reason::Expired, Reason::Due, Reason::DeliveryLimit, Reason::Expired] {
            tally.add(cause, true);
        }
        tally.add(Reason::MaxLength, false);
        let untold = tally.take().unwrap();
        counters.add(true, false, untold);
        counters.add(false, true, untold);
        assert_eq!(tally.take(), None);
        let counts: Vec<_> = tally.all.each().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 0, 1, 1]);
        let read = counters.read();
        assert_eq!(read.quorum.at_most_once, DeathCounts([2, 0, 0, 1]));
        assert_eq!(read.quorum.at_least_once, DeathCounts::default());
        assert_eq!(read.classic.at_most_once, DeathCounts::default());
        assert_eq!(read.classic.at_least_once, DeathCounts([2, 0, 0, 1]));
        assert_eq!(read.quorum.dropped, DeathCounts([0, 0, 1, 0]));
    }
}
