//! What other tasks tell a connection's own task.
//!
//! Owned by `outgoing::ConnectionHandle`; emptied by the connection's task. A leaf of the lock
//! order: nothing is locked under it. Stays true: it is bounded by what the connection has, because
//! equal messages are one, and a consumer is cancelled once.

use std::io;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A consumer whose queue was deleted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CancelledConsumer {
    /// The consumer's channel.
    pub channel: u16,
    /// Its tag.
    pub consumer_tag: String,
}

/// Everything that arrived since the mailbox was last emptied.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mail {
    /// The outgoing buffer has room again: consumers that were held back may go on.
    pub relieved: bool,
    /// Consumers whose queues were deleted.
    pub cancelled: Vec<CancelledConsumer>,
    /// The socket cannot be written to.
    pub socket_failed: Option<io::ErrorKind>,
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
