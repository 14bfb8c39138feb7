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

use parking_lot::Mutex;

use super::AppliedIndex;
use crate::StorageError;

/// What became of a proposal.
pub type Outcome = Result<AppliedIndex, StorageError>;

/// Resolves once the batch is durable, with the index it was applied at. A clone
/// resolves with it: any number may wait for one batch.
///
/// Dropping it gives up the answer, not the change.
#[derive(Debug, Clone)]
#[must_use = "a proposal may fail, and only its outcome says so"]
pub struct Proposal {
    shared: Arc<Shared>,
}

/// The store's end of a [`Proposal`]. Dropped without an outcome, it reads as
/// [`StorageError::Closed`].
#[derive(Debug)]
pub struct Resolver {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Guards outcome and waiters together: whoever finds no outcome is woken by it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Outcome>,
    waiters: Vec<Waker>,
}

impl Proposal {
    /// A proposal that waits for its resolver.
    pub fn pending() -> (Resolver, Self) {
        let shared = Arc::new(Shared::default());
        (Resolver { shared: Arc::clone(&shared) }, Self { shared })
    }

    /// A proposal that is decided already.
    pub fn resolved(outcome: Outcome) -> Self {
        let (resolver, proposal) = Self::pending();
        resolver.resolve(outcome);
        proposal
    }

    /// The outcome, if there is one yet.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.shared.state.lock().outcome.clone()
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

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.shared.state.lock();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        if !state.waiters.iter().any(|waiter| waiter.will_wake(context.waker())) {
            state.waiters.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Resolver {
    /// Gives the outcome; nobody may be waiting for it any more.
    pub fn resolve(self, outcome: Outcome) {
        self.settle(outcome);
    }

    /// The first outcome counts.
    fn settle(&self, outcome: Outcome) {
        let mut state = self.shared.state.lock();
        state.outcome.get_or_insert(outcome);
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.settle(Err(StorageError::Closed));
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
    fn everyone_who_waits_gets_the_outcome() {
        let (resolver, proposal) = Proposal::pending();
        assert!(proposal.outcome().is_none());
        let waiters: Vec<_> = (0..3)
            .map(|_| proposal.clone())
            .map(|proposal| thread::spawn(move || proposal.wait()))
            .collect();
        resolver.resolve(Ok(AppliedIndex(7)));
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap(), AppliedIndex(7));
        }
        assert_eq!(proposal.wait().unwrap(), AppliedIndex(7));
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
