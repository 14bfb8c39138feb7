//! What other tasks tell a connection's own task.
//!
//! Owned by `outgoing::ConnectionHandle`; emptied by the connection's task. A leaf of the lock
//! order: nothing is locked under it. Stays true: it is bounded by what the connection has, because
//! equal messages are one, and a consumer is cancelled once, and what it holds lapses once.

use std::sync::Arc;
use std::{fmt, io};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::keys::{ConsumerKey, QueueId};
use crate::meters::channels::{ChannelCounts, ChannelMeter};

/// What lapsed: deliveries that were not settled in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lapsed {
    /// Those of the consumer with this tag, which its queue has taken off.
    Consumer(String),
    /// Those of a consumer that the client had cancelled.
    Cancelled,
    /// The one with this delivery tag, which `basic.get` fetched.
    Fetched(u64),
}

impl fmt::Display for Lapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consumer(tag) => write!(f, "consumer '{tag}' is cancelled"),
            Self::Cancelled => f.write_str("their consumer was cancelled before"),
            Self::Fetched(tag) => write!(f, "fetched with delivery tag {tag}"),
        }
    }
}

/// Deliveries that went back to their queue because they were not settled in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LapsedDeliveries {
    /// The channel that has them.
    pub channel: u16,
    /// Their queue.
    pub queue: QueueId,
    /// Who held them there.
    pub holder: ConsumerKey,
    /// What they are.
    pub lapsed: Lapsed,
    /// How long there was time, in milliseconds.
    pub timeout_ms: u64,
}

/// A channel at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelTruth {
    /// Its number.
    pub number: u16,
    /// Its consumers.
    pub consumers: usize,
    /// What consumers get that are started from now on.
    pub prefetch_count: u16,
    /// What all its consumers get together; 0 is no limit.
    pub prefetch_count_global: u32,
    /// Whether publishes are confirmed.
    pub confirms: bool,
    /// Whether it is in a transaction.
    pub is_transactional: bool,
    /// Deliveries that are not settled.
    pub unacked: usize,
    /// Publishes that are not confirmed.
    pub unconfirmed: u64,
    /// Publishes, and settlements, that wait for the commit.
    pub uncommitted: (usize, usize),
    /// What it did.
    pub counts: ChannelCounts,
    /// What it did before.
    pub meter: Arc<ChannelMeter>,
}

/// Who asked for the channels of a connection.
#[derive(Debug)]
pub(crate) struct Asked(pub oneshot::Sender<Vec<ChannelTruth>>);

impl PartialEq for Asked {
    /// Nobody asks twice.
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Asked {}

/// A consumer whose queue was deleted, or that is to go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CancelledConsumer {
    /// The consumer's channel.
    pub channel: u16,
    /// Its tag.
    pub consumer_tag: String,
    /// Its queue is still there: somebody wants it to go.
    pub by_hand: bool,
}

/// Everything that arrived since the mailbox was last emptied.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mail {
    /// The outgoing buffer has room again: consumers that were held back may go on.
    pub relieved: bool,
    /// Consumers whose queues were deleted, or that are to go.
    pub cancelled: Vec<CancelledConsumer>,
    /// What was not settled in time.
    pub lapsed: Vec<LapsedDeliveries>,
    /// The socket cannot be written to.
    pub socket_failed: Option<io::ErrorKind>,
    /// Who wants to know its channels: as many as management answers at a time.
    #[expect(clippy::box_collection, reason = "hardly ever there: a pointer in each connection")]
    pub asked: Option<Box<Vec<Asked>>>,
    /// The broker ends the connection (320), for this reason. The first one counts.
    pub force_close: Option<String>,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mail: Mutex<Mail>,
    arrived: Notify,
}

impl Mailbox {
    /// Leaves something, and wakes the connection's task.
    pub(crate) fn post(&self, leave: impl FnOnce(&mut Mail)) {
        leave(&mut self.mail.lock());
        self.arrived.notify_one();
    }

    /// Takes everything.
    pub(crate) fn take(&self) -> Mail {
        std::mem::take(&mut *self.mail.lock())
    }

    /// Waits until something was left.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}
