//! A batch of changes on its way to the disk, seen from the caller's side.
//!
//! [`Proposal`] is handed out by every `MetadataStore`; the store keeps the
//! [`Resolver`]. Exactly one outcome is given, or [`StorageError::Closed`] if
//! the store ends without one.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::sync::oneshot;

use super::AppliedIndex;
use crate::StorageError;

/// What became of a proposal.
pub type Outcome = Result<AppliedIndex, StorageError>;

/// Resolves once the batch is durable, with the index it was applied at.
///
/// Dropping it gives up the answer, not the change.
#[derive(Debug)]
#[must_use = "a proposal may fail, and only its outcome says so"]
pub struct Proposal {
    outcome: oneshot::Receiver<Outcome>,
}

/// The store's end of a [`Proposal`].
#[derive(Debug)]
pub(crate) struct Resolver {
    outcome: oneshot::Sender<Outcome>,
}

impl Proposal {
    /// A proposal that waits for its resolver.
    pub(crate) fn pending() -> (Resolver, Self) {
        let (sender, receiver) = oneshot::channel();
        (Resolver { outcome: sender }, Self { outcome: receiver })
    }

    /// A proposal that is decided already.
    pub fn resolved(outcome: Outcome) -> Self {
        let (resolver, proposal) = Self::pending();
        resolver.resolve(outcome);
        proposal
    }

    /// Blocks the calling thread until the batch is durable. For start-up,
    /// shutdown and tests; a task awaits the proposal instead.
    ///
    /// # Errors
    /// The same as awaiting it: the batch was not applied.
    pub fn wait(self) -> Outcome {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut proposal = pin!(self);
        loop {
            match proposal.as_mut().poll(&mut context) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl Future for Proposal {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.outcome)
            .poll(context)
            .map(|answer| answer.unwrap_or(Err(StorageError::Closed)))
    }
}

impl Resolver {
    /// Gives the outcome; nobody may be waiting for it any more.
    pub(crate) fn resolve(self, outcome: Outcome) {
        drop(self.outcome.send(outcome));
    }
}

/// Wakes a blocked thread. `thread::park` may also return by itself, which the
/// loop around it allows for.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_blocks_until_another_thread_resolves() {
        let (resolver, proposal) = Proposal::pending();
        let waiter = thread::spawn(move || proposal.wait());
        resolver.resolve(Ok(AppliedIndex(7)));
        assert_eq!(waiter.join().unwrap().unwrap(), AppliedIndex(7));
    }

    #[test]
    fn a_dropped_resolver_reads_as_closed() {
        let (resolver, proposal) = Proposal::pending();
        drop(resolver);
        assert!(matches!(proposal.wait(), Err(StorageError::Closed)));
    }

    #[test]
    fn waiting_inside_a_runtime_does_not_panic() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcome = runtime.block_on(async { Proposal::resolved(Ok(AppliedIndex(1))).wait() });
        assert_eq!(outcome.unwrap(), AppliedIndex(1));
    }
}
