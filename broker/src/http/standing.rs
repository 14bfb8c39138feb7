//! How a queue is doing, in one word: what a list is sorted by to see the worst first. Ours.
//!
//! Asked by `queues`; pure. Stays true: a queue has one standing, and they are ordered from what is of no concern
//! to what has to be looked at.

use crate::pause::Pause;
use crate::queue::QueueCounts;

/// What is ready for longer, while nothing is delivered, is stuck.
const STUCK_MS: u64 = 60_000;

/// See the module documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Nothing waits and nothing moves.
    Idle,
    /// Messages go to consumers.
    Running,
    /// Its consumers wait, because somebody said so.
    Paused,
    /// Its publishers wait, because somebody said so.
    Closed,
    /// Messages wait, and nobody takes them.
    NoConsumer,
    /// Messages wait for long, and nothing is delivered.
    Stuck,
}

/// What it goes by.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// Who is paused.
    pub pause: &'a Pause,
    /// How much there is.
    pub counts: &'a QueueCounts,
    /// Deliveries a second.
    pub delivered: f64,
    /// When the oldest of what is ready came, in milliseconds since the epoch.
    pub oldest_ready_ms: Option<u64>,
    /// The time.
    pub now_ms: u64,
}

impl Standing {
    /// How it is doing.
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        let Seen { pause, counts, delivered, oldest_ready_ms, now_ms } = seen;
        let waits_ms = oldest_ready_ms.map_or(0, |at_ms| now_ms.saturating_sub(at_ms));
        let (is_waiting, is_moving) = (counts.ready > 0, *delivered > 0.0);
        if pause.consumers.is_some() {
            Self::Paused
        } else if pause.publishers.is_some() {
            Self::Closed
        } else if is_waiting && counts.consumers == 0 {
            Self::NoConsumer
        } else if is_waiting && !is_moving && waits_ms > STUCK_MS {
            Self::Stuck
        } else if is_moving || counts.unacked > 0 {
            Self::Running
        } else {
            Self::Idle
        }
    }

    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Closed => "closed",
            Self::NoConsumer => "no consumer",
            Self::Stuck => "stuck",
        }
    }
}

impl From<Standing> for u8 {
    fn from(standing: Standing) -> Self {
        standing as Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        pause: &Pause,
        ready: usize,
        unacked: usize,
        consumers: usize,
        delivered: f64,
    ) -> Standing {
        let counts = QueueCounts { ready, unacked, consumers, ..QueueCounts::default() };
        let oldest_ready_ms = Some(100_000);
        Standing::of(&Seen { pause, counts: &counts, delivered, oldest_ready_ms, now_ms: 200_000 })
    }

    #[test]
    fn the_worst_is_the_highest() {
        let plain = Pause::default();
        let paused = Pause { consumers: Some(String::new()), publishers: None };
        let closed = Pause { consumers: None, publishers: Some("why".to_owned()) };
        let all = [
            of(&plain, 0, 0, 1, 0.0),
            of(&plain, 1, 0, 1, 0.5),
            of(&paused, 1, 0, 0, 0.0),
            of(&closed, 1, 0, 0, 0.0),
            of(&plain, 1, 1, 0, 0.5),
            of(&plain, 1, 1, 1, 0.0),
        ];
        let words = all.map(Standing::word);
        assert_eq!(words, ["idle", "running", "paused", "closed", "no consumer", "stuck"]);
        assert!(all.is_sorted() && all.map(u8::from) == [0, 1, 2, 3, 4, 5]);
        assert_eq!(of(&plain, 0, 1, 1, 0.0), Standing::Running);
    }
}
