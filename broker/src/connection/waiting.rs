//! What a connection waits for before it looks at its next frame.
//!
//! Made by the connection's task, polled by its loop alone, beside heartbeats, mail, alarms and the
//! end of the broker: so whatever a client waits for, its connection lives. Stays true: at most one
//! thing is waited for, and nothing is read or handled meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use leveret_storage::StorageError;
use tokio::time::timeout;

use crate::definitions::store::Durable;
use crate::queue::{Gate, Queue};
use crate::stores::Messages;

/// The longest a client that publishes and consumes waits, per read, for the message stores to
/// write: its acks have to be read even when the disk is full.
const CROWDED_WAIT: Duration = Duration::from_millis(20);

/// What a wait ended with.
pub(super) enum Waited {
    /// Nothing to be done but going on.
    Over,
    /// A change is on disk, or could not be stored: these frames answer it.
    Stored(Result<(), StorageError>, Vec<u8>),
}

/// See the module documentation.
#[derive(Default)]
pub(super) struct Waiting(Option<Pin<Box<dyn Future<Output = Waited> + Send>>>);

impl Waiting {
    /// Whether there is something to wait for.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Waits; for ever when there is nothing to wait for.
    pub(super) async fn over(&mut self) -> Waited {
        let Some(future) = &mut self.0 else { return std::future::pending().await };
        let waited = future.as_mut().await;
        self.0 = None;
        waited
    }

    /// Until a change is on disk; then `frames` go out.
    pub(super) fn stored(&mut self, durable: Durable, frames: Vec<u8>) {
        self.begin(async move { Waited::Stored(durable.wait().await, frames) });
    }

    /// Until the next message of a queue is in memory.
    pub(super) fn read(&mut self, queue: Arc<Queue>) {
        self.begin(async move {
            queue.read().await;
            Waited::Over
        });
    }

    /// Until the consumers of these queues caught up, a bounded time.
    pub(super) fn gated(&mut self, queues: impl IntoIterator<Item = Arc<Queue>>) {
        let queues: Vec<_> = queues.into_iter().collect();
        self.begin(async move {
            Gate::wait(queues.iter().map(|queue| queue.gate())).await;
            Waited::Over
        });
    }

    /// Until the message stores have room, a bounded time.
    pub(super) fn room(&mut self, messages: Arc<Messages>) {
        self.begin(async move {
            let _ = timeout(CROWDED_WAIT, messages.room()).await;
            Waited::Over
        });
    }

    fn begin(&mut self, future: impl Future<Output = Waited> + Send + 'static) {
        self.0 = Some(Box::pin(future));
    }
}
