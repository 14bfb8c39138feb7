//! How often connections, channels and queues came and went, whether or not anybody listens.
//!
//! Owned by `events`, told beside the events of the same things; read by `metrics` and management. Stays
//! true: counts only rise, and nothing here is on the way of a message.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

/// What comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A connection was opened: its client may use its vhost.
    ConnectionOpened,
    /// A connection that had been opened ended.
    ConnectionClosed,
    /// A channel was opened.
    ChannelOpened,
    /// A channel ended.
    ChannelClosed,
    /// A queue was declared, whether or not it was there.
    QueueDeclared,
    /// A queue was declared that was not there.
    QueueCreated,
    /// A queue is gone.
    QueueDeleted,
}

impl Turn {
    /// All of them, with RabbitMQ's names: of `churn_rates`, and of Prometheus.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::ChannelClosed, "channel_closed", "channels_closed"),
        (Self::ChannelOpened, "channel_created", "channels_opened"),
        (Self::ConnectionClosed, "connection_closed", "connections_closed"),
        (Self::ConnectionOpened, "connection_created", "connections_opened"),
        (Self::QueueCreated, "queue_created", "queues_created"),
        (Self::QueueDeclared, "queue_declared", "queues_declared"),
        (Self::QueueDeleted, "queue_deleted", "queues_deleted"),
    ];
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Churn([AtomicU64; Turn::ALL.len()]);

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChurnCounts([u64; Turn::ALL.len()]);

impl Churn {
    /// It happened once more.
    pub(crate) fn note(&self, turn: Turn) {
        if let Some(count) = self.0.get(turn as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often what happened since the broker started.
    pub(crate) fn counts(&self) -> ChurnCounts {
        ChurnCounts(array::from_fn(|at| {
            self.0.get(at).map_or(0, |count| count.load(Ordering::Relaxed))
        }))
    }
}

impl ChurnCounts {
    /// How often this happened.
    pub(crate) fn of(&self, turn: Turn) -> u64 {
        self.0.get(turn as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_is_counted_by_itself() {
        let churn = Churn::default();
        for (times, (turn, ..)) in Turn::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| churn.note(turn));
        }
        let counts = churn.counts();
        let all = Turn::ALL.map(|(turn, ..)| counts.of(turn));
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
    }
}
