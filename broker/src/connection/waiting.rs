//! What a connection waits for before it looks at its next frame, beside the answers that wait for
//! the disk (`session::answers`).
//!
//! Made by the connection's task, polled by its loop alone, beside heartbeats, mail, alarms and the
//! end of the broker: so whatever a client waits for, its connection lives. Stays true: at most one
//! thing is waited for, and nothing is read or handled meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::auth::authority::Inquiry;
use crate::queue::{Gate, Queue};
use crate::stores::Messages;

/// How long a client that consumes waits for each read while it publishes to a queue that holds too
/// much: what is read at once is bounded, so this is how fast more comes.
const SLOWED_FOR: Duration = Duration::from_millis(50);

/// See the module documentation.
#[derive(Default)]
pub(super) struct Waiting {
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The first of the queues whose consumers are to catch up.
    gated: Option<Arc<Queue>>,
    for_room: bool,
}

impl Waiting {
    /// Whether there is something to wait for.
    pub(super) fn is_on(&self) -> bool {
        self.future.is_some()
    }

    /// Waits; for ever when there is nothing to wait for.
    pub(super) async fn over(&mut self) {
        let Some(future) = &mut self.future else { return std::future::pending().await };
        future.as_mut().await;
        *self = Self::default();
    }

    /// The queue whose consumers are to catch up, if that is what is waited for.
    pub(super) fn gated_by(&self) -> Option<&Queue> {
        self.gated.as_deref()
    }

    /// Whether the disk's backlog is what is waited for.
    pub(super) fn is_for_room(&self) -> bool {
        self.for_room
    }

    /// Until the next message of a queue is in memory.
    pub(super) fn read(&mut self, queue: Arc<Queue>) {
        self.begin(async move {
            queue.read().await;
        });
    }

    /// Until the consumers of these queues caught up, a bounded time.
    pub(super) fn gated(&mut self, queues: impl IntoIterator<Item = Arc<Queue>>) {
        let queues: Vec<_> = queues.into_iter().collect();
        self.gated = queues.first().cloned();
        self.begin(async move {
            Gate::wait(queues.iter().map(|queue| queue.gate())).await;
        });
    }

    /// Until the message stores have room, a bounded time: a client that publishes and consumes has
    /// acks that have to be read even when the disk is full.
    pub(super) fn room(&mut self, messages: Arc<Messages>) {
        self.for_room = true;
        self.begin(async move {
            messages.some_room().await;
        });
    }

    /// Until it is known what the user may do.
    pub(super) fn ask(&mut self, inquiry: Inquiry) {
        self.begin(inquiry.find_out());
    }

    /// For a moment, because a queue or its vhost holds too much: a client that consumes as well has
    /// acks that have to be read.
    pub(super) fn slowed_by(&mut self, queue: Arc<Queue>) {
        self.begin(async move {
            let _ = timeout(SLOWED_FOR, queue.relieved()).await;
        });
    }

    fn begin(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        self.future = Some(Box::pin(future));
    }
}
