//! The two message stores of a broker, and how much memory queues may use before bodies go there.
//!
//! Owned by `broker::Broker`, shared by all queues. The durable store has the persistent messages
//! of durable queues; the scratch store has the bodies of other messages while their queue is long,
//! and is wiped at every start. Stays true: `resident` is, within `REPORT_STEP` a queue, the memory
//! that messages in queues take.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use leveret_storage::StorageError;
use leveret_storage::messages::{Batch, Health, MessageStore, Progress, Ticket};
use tracing::error;

/// How much memory the messages in queues may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryBudget {
    /// In all queues together, in bytes.
    pub total: usize,
    /// In one queue, in bytes.
    pub queue: usize,
}

/// In one queue while the whole budget is used up, in bytes: enough to keep consumers busy.
const QUEUE_ROOM_SHORT: usize = 1 << 20;
/// A queue reports changes of its memory in steps of this many bytes, so that queues do not
/// contend for one counter.
const REPORT_STEP: usize = 64 * 1024;

/// How long to wait for the disk before more is moved: whoever publishes waits for it, too.
const CROWDED_WAIT: Duration = Duration::from_millis(20);

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Messages {
    durable: Arc<dyn MessageStore>,
    scratch: Arc<dyn MessageStore>,
    /// Of all queues together, and of one.
    budget: (AtomicUsize, AtomicUsize),
    /// May be below zero for a moment: queues report what they free before what they take.
    resident: AtomicIsize,
}

impl Messages {
    /// In these stores.
    pub(crate) fn new(
        durable: Arc<dyn MessageStore>,
        scratch: Arc<dyn MessageStore>,
        budget: MemoryBudget,
    ) -> Self {
        let budget = (AtomicUsize::new(budget.total), AtomicUsize::new(budget.queue));
        Self { durable, scratch, budget, resident: AtomicIsize::new(0) }
    }

    /// Another budget from now on: queues keep to it with what they do next.
    pub(crate) fn set_budget(&self, budget: MemoryBudget) {
        self.budget.0.store(budget.total, Ordering::Relaxed);
        self.budget.1.store(budget.queue, Ordering::Relaxed);
    }

    /// The store of persistent messages.
    pub(crate) fn durable(&self) -> &Arc<dyn MessageStore> {
        &self.durable
    }

    /// The store of bodies that are only out of the way.
    pub(crate) fn scratch(&self) -> &Arc<dyn MessageStore> {
        &self.scratch
    }

    /// How far the durable store has come.
    pub(crate) fn progress(&self) -> &Progress {
        self.durable.progress()
    }

    /// Whether nothing more can be stored for now: the disk is full and so is what waits for it.
    pub(crate) fn refuses(&self) -> bool {
        let progress = self.progress();
        progress.is_crowded() && progress.health().is_full()
    }

    /// Whether whoever publishes should wait for `room`.
    pub(crate) fn is_crowded(&self) -> bool {
        self.durable.progress().is_crowded() || self.scratch.progress().is_crowded()
    }

    /// Waits until what is to be written has become less.
    pub(crate) async fn room(&self) {
        self.durable.progress().room().await;
        self.scratch.progress().room().await;
    }

    /// The same for a bounded time, for who has to go on.
    pub(crate) async fn some_room(&self) {
        if self.is_crowded() {
            // In time or not, it goes on.
            let _ = tokio::time::timeout(CROWDED_WAIT, self.room()).await;
        }
    }

    /// When everything is durable that was appended so far.
    pub(crate) fn last(&self) -> Ticket {
        self.durable.append(&mut Batch::default())
    }

    /// A queue is gone with all its durable messages. Returns when that is durable.
    pub(crate) fn delete_from_durable(&self, queue: u64) -> Ticket {
        let mut batch = Batch { awaited: true, deleted_queues: vec![queue], ..Batch::default() };
        self.durable.append(&mut batch)
    }

    /// A queue is gone, of which bodies were out of the way.
    pub(crate) fn delete_from_scratch(&self, queue: u64) {
        let mut batch = Batch { deleted_queues: vec![queue], ..Batch::default() };
        self.scratch.append(&mut batch);
    }

    /// Memory that the messages of one queue may take now, in bytes.
    pub(crate) fn queue_room(&self) -> usize {
        let resident = self.resident.load(Ordering::Relaxed);
        let of_queue = self.budget.1.load(Ordering::Relaxed);
        if usize::try_from(resident).unwrap_or(0) < self.budget.0.load(Ordering::Relaxed) {
            of_queue
        } else {
            QUEUE_ROOM_SHORT.min(of_queue)
        }
    }

    /// The memory of a queue changed: `reported` is what it told last. Keeps what was told up to
    /// date.
    pub(crate) fn report(&self, reported: &mut usize, now: usize) {
        if now.abs_diff(*reported) >= REPORT_STEP || (now == 0 && *reported > 0) {
            let change = now.cast_signed() - reported.cast_signed();
            self.resident.fetch_add(change, Ordering::Relaxed);
            *reported = now;
        }
    }

    /// Makes everything durable and ends both stores. Blocks.
    ///
    /// # Errors
    /// Something could not be made durable.
    pub(crate) fn close(&self) -> Result<(), StorageError> {
        self.scratch.close()?;
        self.durable.close()
    }

    /// Blocks until settlements and deletions up to a ticket are durable: for the start.
    ///
    /// # Errors
    /// The store failed first.
    pub(crate) fn wait_settled(&self, ticket: Ticket) -> Result<(), StorageError> {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        // Whatever runs this thread does not count its polls: nobody waits for its turn here.
        let mut settled = pin!(tokio::task::unconstrained(self.progress().reached_settled(ticket)));
        loop {
            match settled.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    /// The failure that ends the process, once there is one.
    pub(crate) async fn failed(&self) -> StorageError {
        let durable = failure(self.durable.progress());
        let scratch = failure(self.scratch.progress());
        tokio::select! {
            error = durable => error,
            error = scratch => error,
        }
    }
}

/// Ends the process because what it holds in memory can no longer be made durable: whoever starts it
/// again starts from what is on disk. Never retried: a failed sync says nothing of what came before.
pub(crate) fn end_process(cause: &StorageError) -> ! {
    error!("what is confirmed could no longer be kept, ending: {cause}");
    std::process::exit(1)
}

async fn failure(progress: &Progress) -> StorageError {
    let mut health = progress.watch_health();
    let failed = health.wait_for(|health| matches!(health, Health::Failed(_))).await;
    match failed.map(|health| health.clone()) {
        Ok(Health::Failed(error)) => error,
        // The store ended without a failure: there will be none.
        Ok(Health::Well | Health::Full) | Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use leveret_storage::messages::MemoryMessages;

    use super::*;

    /// Stores that live in memory.
    pub(crate) fn in_memory() -> Arc<Messages> {
        let budget = MemoryBudget { total: 1 << 30, queue: 64 << 20 };
        let store = || MemoryMessages::new() as Arc<dyn MessageStore>;
        Arc::new(Messages::new(store(), store(), budget))
    }

    #[test]
    fn queues_get_little_room_when_the_budget_is_used_up() {
        let budget = MemoryBudget { total: 100 << 20, queue: 8 << 20 };
        let store = || MemoryMessages::new() as Arc<dyn MessageStore>;
        let messages = Messages::new(store(), store(), budget);
        let mut reported = 0;
        messages.report(&mut reported, REPORT_STEP - 1);
        assert_eq!(reported, 0, "small changes are not worth telling");
        messages.report(&mut reported, 99 << 20);
        assert_eq!(messages.queue_room(), 8 << 20);
        messages.report(&mut reported, 101 << 20);
        assert_eq!(messages.queue_room(), QUEUE_ROOM_SHORT);
        messages.report(&mut reported, 0);
        assert_eq!(messages.queue_room(), 8 << 20);
    }
}
