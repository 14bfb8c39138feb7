//! Holds publishers back for a moment when that lets fast consumers catch up.
//!
//! Without it, publishers that parse frames as fast as two cores allow starve the very consumers
//! that would empty the queue: the acks wait unread while the backlog grows. With it a publisher's
//! task waits, a bounded time per batch, while the queue is long and shrinking. A consumer that is
//! slow by itself must not slow its publishers down, a queue is there to fill: so each wait is an
//! experiment. If too little was settled or delivered meanwhile, waiting does not help, and the
//! gate stays open for a while that doubles with every failed experiment.
//!
//! Owned by `queue::Queue`; asked by `connection` after it handed over a batch, never for a
//! connection that itself consumes (that could deadlock).

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::clock;

/// A queue with more ready messages than this is worth waiting for.
const READY_HIGH: usize = 1000;
/// At this many the waiting publishers go on.
const READY_LOW: usize = READY_HIGH / 2;
/// The longest wait per batch.
const WAIT_MAX: Duration = Duration::from_millis(10);
/// Messages that have to leave during a wait for it to count as useful. A consumer slower than
/// this (some 50,000 a second) is not kept from its work by the broker.
const PROGRESS_MIN: u64 = 500;
/// How long the gate stays open after the first useless wait, in milliseconds.
const OPEN_MS_MIN: u64 = 100;
/// How often that doubles at most.
const DOUBLINGS_MAX: u32 = 6;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    ready: AtomicUsize,
    has_consumers: AtomicBool,
    /// Messages delivered or settled so far.
    progress: AtomicU64,
    waiting: AtomicUsize,
    relieved: Notify,
    /// Milliseconds since the epoch until which nobody waits.
    open_until_ms: AtomicU64,
    failures: AtomicU32,
}

impl Gate {
    /// The queue's state after a change; `moved` messages were delivered or settled by it.
    pub(crate) fn update(&self, ready: usize, has_consumers: bool, moved: usize) {
        self.ready.store(ready, Ordering::Relaxed);
        self.has_consumers.store(has_consumers, Ordering::Relaxed);
        self.progress.fetch_add(moved as u64, Ordering::Relaxed);
        if self.waiting.load(Ordering::Relaxed) > 0 && (ready <= READY_LOW || !has_consumers) {
            self.relieved.notify_waiters();
        }
    }

    /// Whether a publisher should `wait` now.
    pub(crate) fn is_closed(&self) -> bool {
        self.ready.load(Ordering::Relaxed) > READY_HIGH
            && self.has_consumers.load(Ordering::Relaxed)
            && self.open_until_ms.load(Ordering::Relaxed) <= clock::unix_millis()
    }

    /// Waits until all these queues are short again, or for `WAIT_MAX`: however many queues a
    /// batch went to, it waits once.
    pub(crate) async fn wait(gates: impl Iterator<Item = &Self>) {
        let gates: SmallVec<[_; 1]> = gates.map(|gate| (gate, gate.start_waiting())).collect();
        let all_short = async {
            for (gate, _) in &gates {
                gate.short_again().await;
            }
        };
        let _ = timeout(WAIT_MAX, all_short).await;
        for (gate, before) in gates {
            gate.end_waiting(before);
        }
    }

    /// Returns the progress so far.
    fn start_waiting(&self) -> u64 {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.progress.load(Ordering::Relaxed)
    }

    fn end_waiting(&self, before: u64) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let moved = self.progress.load(Ordering::Relaxed).wrapping_sub(before);
        if moved >= PROGRESS_MIN || self.ready.load(Ordering::Relaxed) <= READY_LOW {
            self.failures.store(0, Ordering::Relaxed);
        } else {
            self.stay_open();
        }
    }

    async fn short_again(&self) {
        let relieved = self.relieved.notified();
        if self.ready.load(Ordering::Relaxed) > READY_LOW {
            relieved.await;
        }
    }

    fn stay_open(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(DOUBLINGS_MAX);
        let until = clock::unix_millis() + (OPEN_MS_MIN << failures);
        self.open_until_ms.store(until, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_useless_wait_opens_the_gate() {
        let gate = Gate::default();
        gate.update(READY_HIGH + 1, true, 0);
        assert!(gate.is_closed());
        Gate::wait([&gate].into_iter()).await;
        assert!(!gate.is_closed(), "a slow consumer must not slow its publishers down");
    }

    #[tokio::test(start_paused = true)]
    async fn a_useful_wait_keeps_it_closed() {
        let gate = Gate::default();
        gate.update(READY_HIGH + 1, true, 0);
        let wait = Gate::wait([&gate].into_iter());
        let consumer = async { gate.update(READY_HIGH + 1, true, 10_000) };
        tokio::join!(wait, consumer);
        assert!(gate.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn publishers_go_on_at_once_when_the_queue_is_short() {
        let gate = Gate::default();
        gate.update(READY_HIGH + 1, true, 0);
        let started = tokio::time::Instant::now();
        let wait = Gate::wait([&gate].into_iter());
        tokio::join!(wait, async { gate.update(READY_LOW, true, 501) });
        assert!(started.elapsed() < WAIT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn many_long_queues_cost_one_wait() {
        let gates: Vec<Gate> = (0..300).map(|_| Gate::default()).collect();
        gates.iter().for_each(|gate| gate.update(READY_HIGH + 1, true, 0));
        let started = tokio::time::Instant::now();
        Gate::wait(gates.iter()).await;
        assert!(started.elapsed() < 2 * WAIT_MAX, "{:?}", started.elapsed());
        assert!(gates.iter().all(|gate| !gate.is_closed()), "each was an experiment");
    }

    #[test]
    fn without_consumers_nobody_waits() {
        let gate = Gate::default();
        gate.update(1_000_000, false, 0);
        assert!(!gate.is_closed());
    }
}
