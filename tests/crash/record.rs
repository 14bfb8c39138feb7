//! What the clients of one life of the broker did and saw, written down by each for itself and put
//! together when the life has ended. The ledger judges it.

use std::time::Instant;

use crate::layout::{QueueIndex, Route};
use crate::stamp::Stamp;

/// A message that was published outside of a transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) stamp: Stamp,
    pub(crate) route: Route,
    /// Before its first byte was written.
    pub(crate) sent_at: Instant,
    /// When its basic.ack was read.
    pub(crate) confirmed_at: Option<Instant>,
}

/// A transaction whose tx.commit was written.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) messages: Vec<(Stamp, Route)>,
    /// When tx.commit-ok was read.
    pub(crate) committed_at: Option<Instant>,
}

/// What a consumer did with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was still unsettled when the life ended.
    Held,
    /// It was acked, or rejected for good.
    Settled {
        /// Before the method was written.
        at: Instant,
        /// When the broker answered something that was asked after it on the same channel.
        answered_at: Option<Instant>,
    },
    /// It was given back to the queue.
    Requeued,
}

/// A delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) stamp: Stamp,
    pub(crate) redelivered: bool,
    pub(crate) at: Instant,
    pub(crate) fate: Fate,
}

/// What one consumer took, in order.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) queue: QueueIndex,
    pub(crate) taken: Vec<Taken>,
}

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// SIGTERM: everything the broker has answered for is kept.
    Terminate,
    /// SIGKILL.
    Kill,
    /// The file system stops, and with it everything that was not synced.
    PowerLoss,
}

/// One life of the broker.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) sent: Vec<Sent>,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) ending: Ending,
    /// Just before the signal or the power loss.
    pub(crate) end_began: Instant,
}

impl Life {
    /// Whether what was promised at this moment was promised by a broker with a disk.
    pub(crate) fn counts(&self, promised_at: Option<Instant>) -> bool {
        match self.ending {
            Ending::Terminate | Ending::Kill => promised_at.is_some(),
            Ending::PowerLoss => promised_at.is_some_and(|at| at < self.end_began),
        }
    }
}
