//! How many bytes of messages a queue or a vhost may hold before its publishers are held back.
//!
//! Owned by `queue::Queue` and, for all its queues together, by `vhost::Vhost`. Told of every change
//! under a queue's lock, asked by publishers without any: a load where there is no budget. Nothing is
//! dropped or refused for it; what is over it was on its way when its publisher was told. Stays true:
//! whoever waits is woken when an eighth of the budget is free, or the budget is another, or gone.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use tokio::sync::Notify;

use super::Queue;
use crate::publish_rate::PublishRates;

/// No budget.
const NONE: u64 = u64::MAX;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: AtomicU64,
    held: AtomicU64,
    waiting: AtomicUsize,
    relieved: Notify,
}

impl Default for Budget {
    fn default() -> Self {
        let (limit, held) = (AtomicU64::new(NONE), AtomicU64::new(0));
        Self { limit, held, waiting: AtomicUsize::new(0), relieved: Notify::new() }
    }
}

impl Budget {
    /// So many bytes may be held; any number if it is `None`.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(NONE), Ordering::Relaxed);
        self.relieved.notify_waiters();
    }

    /// Whether there is one at all.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.limit.load(Ordering::Relaxed) != NONE
    }

    /// So many bytes are held.
    #[inline]
    pub(super) fn hold(&self, bytes: usize) {
        if self.is_set() {
            self.held.store(bytes as u64, Ordering::Relaxed);
            self.relieve();
        }
    }

    /// One of many holds so many bytes, and not as many as before.
    pub(super) fn change(&self, before: usize, now: usize) {
        // Wraps around and back: only the sum counts.
        self.held.fetch_add((now as u64).wrapping_sub(before as u64), Ordering::Relaxed);
        self.relieve();
    }

    fn relieve(&self) {
        // Either whoever begins to wait sees what is held now, or this sees that it waits.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 && !self.keeps_waiting() {
            self.relieved.notify_waiters();
        }
    }

    /// Whether more is held than may be.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.limit.load(Ordering::Relaxed)
    }

    /// Whether a publisher that waits has to go on waiting.
    pub(crate) fn keeps_waiting(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        limit != NONE && self.held.load(Ordering::Relaxed) > limit - limit / 8
    }

    /// Waits until publishers may go on.
    pub(crate) async fn relieved(&self) {
        let _waits = Waits::new(&self.waiting);
        loop {
            let relieved = self.relieved.notified();
            if !self.keeps_waiting() {
                return;
            }
            relieved.await;
        }
    }
}

impl Queue {
    /// It holds so many bytes: the budgets are told. `told` is what the vhost's was told last.
    pub(super) fn hold(&self, told: &mut usize, bytes: usize) {
        self.budget.hold(bytes);
        let of_vhost = &self.around.budget;
        if bytes != *told && (of_vhost.is_set() || *told != 0) {
            of_vhost.change(std::mem::replace(told, bytes), bytes);
        }
    }

    /// The vhost has a budget from now on, or another one: it is told what is held here.
    pub(crate) fn tell_held(&self) {
        let mut inner = self.inner.lock();
        let bytes = inner.state.bytes();
        self.hold(&mut inner.held, bytes);
    }

    /// How fast it may be published to.
    pub(crate) fn publish_rates(&self) -> &PublishRates {
        &self.rates
    }

    /// Whether it or its vhost holds more than it may.
    #[inline]
    pub(crate) fn is_over_budget(&self) -> bool {
        self.budget.is_over() || self.around.budget.is_over()
    }

    /// Whether publishers that wait for it have to go on waiting.
    pub(crate) fn keeps_publishers_waiting(&self) -> bool {
        self.budget.keeps_waiting() || self.around.budget.keeps_waiting()
    }

    /// Waits until publishers may go on.
    pub(crate) async fn relieved(&self) {
        while self.keeps_publishers_waiting() {
            self.budget.relieved().await;
            self.around.budget.relieved().await;
        }
    }

    /// What its publishers are told that wait.
    pub(crate) fn says_it_holds_too_much(&self) -> String {
        let vhost = &self.vhost;
        match self.budget.keeps_waiting() {
            true => format!("queue '{}' in vhost '{vhost}' is over its max-held-bytes", self.name),
            false => format!("vhost '{vhost}' is over its max-held-bytes"),
        }
    }
}

/// Somebody waits, until it is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn without_a_budget_nothing_is_too_much() {
        let budget = Budget::default();
        budget.hold(usize::MAX);
        assert!(!budget.is_set() && !budget.is_over() && !budget.keeps_waiting());
    }

    #[test]
    fn an_eighth_has_to_be_free_again() {
        let budget = Budget::default();
        budget.set_limit(Some(800));
        budget.hold(800);
        assert!(!budget.is_over() && budget.keeps_waiting());
        budget.hold(801);
        assert!(budget.is_over());
        budget.hold(700);
        assert!(!budget.keeps_waiting());
        budget.set_limit(Some(0));
        assert!(budget.is_over(), "nothing may be held");
        budget.hold(0);
        assert!(!budget.is_over() && !budget.keeps_waiting());
    }

    #[test]
    fn a_sum_goes_up_and_down() {
        let budget = Budget::default();
        budget.set_limit(Some(10));
        budget.change(0, 8);
        budget.change(0, 3);
        assert!(budget.is_over());
        budget.change(8, 2);
        assert!(!budget.is_over());
        budget.change(3, 0);
        budget.change(2, 0);
        budget.set_limit(Some(0));
        assert!(!budget.is_over());
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_when_there_is_room_or_no_budget() {
        for free in [|budget: &Budget| budget.hold(1), |budget: &Budget| budget.set_limit(None)] {
            let budget = Budget::default();
            budget.set_limit(Some(8));
            budget.hold(9);
            let waits = timeout(Duration::from_secs(10), budget.relieved());
            let (woken, ()) = tokio::join!(waits, async { free(&budget) });
            assert!(woken.is_ok());
        }
    }
}
