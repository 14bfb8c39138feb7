//! What of queues is sampled: how many messages they have, and what went through them.
//!
//! Fed by `broker::sampling` once a tick, of queues in which something changed since: each notes itself
//! once, at the end of the command that changed it, while somebody samples. Read by management, without the
//! queue's lock. Stays true: an idle queue costs a tick nothing; the sums of a vhost are those of what its
//! queues were sampled with, and what went through a queue that is gone still counts.

use std::array;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::traffic::Traffic;
use super::{Inner, Queue};
use crate::meters::history::{BASIC, History, Range, Sampled, Ticks};

/// Numbers that are sampled of a queue: its traffic, then what is ready and what is not settled.
pub(crate) const NUMBERS: usize = 10;
/// The place of the first that is a level, which rises and falls.
pub(crate) const READY: usize = 8;
/// The place of the other.
pub(crate) const UNACKED: usize = 9;

/// A queue's samples. There are many queues, so numbers are kept in halves.
type QueueHistory = History<NUMBERS, u32>;

/// Of one queue; nothing for one that was always empty.
#[derive(Debug, Default)]
pub(super) struct Sampling(Mutex<Option<Box<QueueHistory>>>);

/// Of the queues of a vhost together.
#[derive(Debug, Default)]
pub(crate) struct QueueSamples {
    is_wanted: AtomicBool,
    /// By their addresses, which stay theirs while they are here.
    changed: Mutex<HashMap<usize, Arc<Queue>>>,
    sums: [AtomicU64; NUMBERS],
}

impl Traffic {
    /// In the order in which it is sampled.
    pub(crate) fn numbers(&self) -> [u64; READY] {
        [
            self.published,
            self.delivered,
            self.delivered_no_ack,
            self.got,
            self.got_no_ack,
            self.get_empty,
            self.redelivered,
            self.acknowledged,
        ]
    }
}

impl QueueSamples {
    /// From now on somebody samples. True when that is new: then no queue has noted itself.
    pub(crate) fn begin(&self) -> bool {
        !self.is_wanted.swap(true, Ordering::Relaxed)
    }

    /// Samples the queues that changed. What all together are now, and how many changed.
    pub(crate) fn take(&self, ticks: &Ticks) -> ([u64; NUMBERS], usize) {
        let changed = std::mem::take(&mut *self.changed.lock());
        changed.values().for_each(|queue| queue.sample(ticks));
        (array::from_fn(|at| self.sum(at)), changed.len())
    }

    fn sum(&self, at: usize) -> u64 {
        self.sums.get(at).map_or(0, |sum| sum.load(Ordering::Relaxed))
    }

    fn add(&self, values: &[u64; NUMBERS], before: &[u64; NUMBERS]) {
        for ((sum, value), before) in self.sums.iter().zip(values).zip(before) {
            if value != before {
                sum.fetch_add(value.wrapping_sub(*before), Ordering::Relaxed);
            }
        }
    }
}

impl Queue {
    /// Something changed: it will be sampled. A flag that is set, and a lock once a tick.
    #[inline]
    pub(super) fn note_changed(self: &Arc<Self>, inner: &mut Inner) {
        let is_to_be = !inner.is_noted && !inner.deleted;
        if is_to_be && self.around.samples.is_wanted.load(Ordering::Relaxed) {
            inner.is_noted = true;
            self.around.samples.changed.lock().insert(self.address(), Arc::clone(self));
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// It was there when sampling began.
    pub(crate) fn note_for_sampling(self: &Arc<Self>) {
        self.note_changed(&mut self.inner.lock());
    }

    fn sample(&self, ticks: &Ticks) {
        let mut inner = self.inner.lock();
        inner.is_noted = false;
        if inner.deleted {
            return;
        }
        let values = inner.numbers();
        let mut history = self.sampling.0.lock();
        if history.is_none() && values == [0; NUMBERS] {
            return;
        }
        let before = history.as_ref().map_or([0; NUMBERS], |history| *history.newest());
        let is_untouched = inner.state.traffic() == &Traffic::default();
        let history = history.get_or_insert_with(|| {
            let mut history = QueueHistory::new(BASIC, ticks);
            if is_untouched {
                // What it has comes from before the broker started.
                history.begins_with(values);
            }
            Box::new(history)
        });
        self.around.samples.add(&values, &before);
        history.note(ticks.now, values);
    }

    /// It goes: what it had is not there any more, and what went through it went through. It does not wait
    /// for the next tick to be let go of.
    pub(super) fn end_sampling(&self, inner: &Inner) {
        if inner.is_noted {
            self.around.samples.changed.lock().remove(&self.address());
        }
        let mut values = inner.numbers();
        let history = self.sampling.0.lock().take();
        let before = history.map_or([0; NUMBERS], |history| *history.newest());
        for level in values.iter_mut().skip(READY) {
            *level = 0;
        }
        if self.around.samples.is_wanted.load(Ordering::Relaxed) {
            self.around.samples.add(&values, &before);
        }
    }

    /// How fast it goes, and what it was.
    pub(crate) fn sampled(&self, range: Option<&Range>, ticks: &Ticks) -> Sampled<NUMBERS> {
        let history = self.sampling.0.lock();
        match &*history {
            Some(history) => history.sampled(range, ticks),
            None => Sampled::nothing(range),
        }
    }
}

impl Inner {
    fn numbers(&self) -> [u64; NUMBERS] {
        let traffic = self.state.traffic().numbers();
        let mut numbers = [0; NUMBERS];
        numbers.iter_mut().zip(traffic).for_each(|(number, value)| *number = value);
        let levels = [self.state.ready_count(), self.state.unacked_count()];
        let places = numbers.iter_mut().skip(READY);
        places.zip(levels).for_each(|(number, level)| *number = level as u64);
        numbers
    }
}
