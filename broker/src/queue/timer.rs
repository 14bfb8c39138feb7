//! The one clock of all queues: which of them have something to do at what time.
//!
//! A queue asks to be woken when its commands end (`Queue::conclude`); one task, started with the
//! broker, wakes those whose time has come. Stays true: a queue that waits for nothing is not here,
//! and costs no wake-up; one that no longer exists is dropped when its time comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Effects, Queue};
use crate::clock;
use crate::keys::QueueId;

/// Queues woken between two looks at what else there is to do.
const QUEUES_A_STEP: usize = 32;
/// The longest rest after a look, in milliseconds.
const REST_MAX_MS: u64 = 20;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    /// By time in milliseconds since the epoch.
    due: Mutex<BTreeMap<(u64, QueueId), Weak<Queue>>>,
    /// Rung when the first of them has changed.
    sooner: Notify,
    /// `consumer_timeout`, in milliseconds.
    consumer_timeout_ms: Option<u64>,
}

impl Timer {
    /// With so much time for a delivery, in queues that do not say.
    pub(crate) fn new(consumer_timeout: Option<Duration>) -> Arc<Self> {
        let in_ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Arc::new(Self { consumer_timeout_ms: consumer_timeout.map(in_ms), ..Self::default() })
    }

    /// How long a consumer may take for a delivery, where nobody says, in milliseconds.
    pub(super) fn consumer_timeout_ms(&self) -> Option<u64> {
        self.consumer_timeout_ms
    }

    /// Wakes a queue at this time, in milliseconds since the epoch.
    pub(super) fn wake_at(&self, at_ms: u64, queue: &Arc<Queue>) {
        let mut due = self.due.lock();
        let is_first = due.first_key_value().is_none_or(|((first_ms, _), _)| at_ms < *first_ms);
        due.insert((at_ms, queue.id()), Arc::downgrade(queue));
        drop(due);
        if is_first {
            self.sooner.notify_one();
        }
    }

    /// Wakes queues for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let due = self.take_due(clock::unix_millis());
            if due.is_empty() {
                self.wait().await;
                continue;
            }
            let began = clock::unix_millis();
            for queue in due.iter().filter_map(Weak::upgrade) {
                let mut effects = Effects::default();
                queue.wake(&mut effects);
                effects.carry_out(queue.messages());
                queue.messages().some_room().await;
            }
            rest(began).await;
        }
    }

    fn take_due(&self, now_ms: u64) -> Vec<Weak<Queue>> {
        let mut due = self.due.lock();
        let mut taken = Vec::new();
        while taken.len() < QUEUES_A_STEP
            && let Some(first) = due.first_entry()
            && first.key().0 <= now_ms
        {
            taken.push(first.remove());
        }
        taken
    }

    /// Until the first is due, or another one is sooner.
    async fn wait(&self) {
        let first = self.due.lock().first_key_value().map(|((at_ms, _), _)| *at_ms);
        let sooner = self.sooner.notified();
        match first {
            None => sooner.await,
            Some(at_ms) => {
                let left = Duration::from_millis(at_ms.saturating_sub(clock::unix_millis()));
                // When the time is up it is looked at again: nothing else follows from it.
                let _ = tokio::time::timeout(left, sooner).await;
            }
        }
    }
}

/// After a look that began at this time, in milliseconds since the epoch: what took some is followed
/// by as much, so that very much that is due at once leaves others half of the time.
async fn rest(began_ms: u64) {
    match clock::unix_millis().saturating_sub(began_ms) {
        0 => tokio::task::yield_now().await,
        took => tokio::time::sleep(Duration::from_millis(took.min(REST_MAX_MS))).await,
    }
}
