//! Identities and small values that every floor may name: which connection, queue, consumer or
//! delivery is meant, and what became of it.
//!
//! Nothing here owns anything; whoever gives a key out says what it stands for. Stays true: numbers
//! of connections and queues are never used twice, keys of slots are, once what they named is gone.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// A connection's number: never used twice while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId(pub u64);

impl ConnectionId {
    /// The next unused number.
    pub(crate) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Where a channel keeps its delivery state, from channel.open to channel.close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelSlot(pub u32);

/// Which queue and consumer a delivery came from: an index into the channel's sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceKey(pub u32);

/// A queue's number: never used twice, not even after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct QueueId(pub u64);

/// Where a message waits that is due at a time: in the order of these places messages are released.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub(crate) struct WaitingPlace {
    /// When it is due, in milliseconds since the epoch.
    pub due_ms: u64,
    /// Its place in its queue.
    pub sequence: u64,
}

/// A consumer of a queue. A slot is used again, a slot with its generation is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ConsumerKey {
    /// Its place among the queue's consumers.
    pub slot: u32,
    /// How many consumers the queue had before it.
    pub generation: u32,
}

impl ConsumerKey {
    /// Stands for no consumer: whoever holds a message that `basic.get` fetched.
    pub(crate) const NONE: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

/// An unacknowledged message of a queue, until it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryKey(pub u32);

impl DeliveryKey {
    /// Stands for a delivery that needs no settling (`no_ack`).
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// How an unacknowledged message is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Done with: gone.
    Ack,
    /// Back to its original position, marked redelivered.
    Requeue,
    /// The same, and it counts as a failed attempt: rejected, or lost with its channel.
    Failed,
    /// Refused for good: gone.
    Discard,
}

impl Outcome {
    /// Whether the message goes back to its queue.
    pub(crate) fn gives_back(self) -> bool {
        matches!(self, Self::Requeue | Self::Failed)
    }
}
