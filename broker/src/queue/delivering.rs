//! The way out of a queue: consumers, `basic.get`, and the reading of bodies that either waits for.
//!
//! Called by `channel::consume` and by connections that have room again. Stays true: a consumer's
//! first delivery comes after its consume-ok; while the next message has no body nothing overtakes
//! it.

use std::sync::Arc;

use super::consumers::ConsumerSettings;
use super::hand_over::step;
use super::read_ahead::{self, Found};
use super::ready::ReadingPlan;
use super::state::{Fetched, Got};
use super::{ConsumeRefused, Effects, Inner, Queue, Sink};
use crate::keys::ConsumerKey;

impl Queue {
    /// Adds a consumer. `accept` runs before anything can be delivered to it, with the connection's
    /// outgoing buffer: it registers the source and encodes the reply.
    pub(crate) fn consume(
        self: &Arc<Self>,
        settings: ConsumerSettings,
        accept: impl FnOnce() -> Sink,
        effects: &mut Effects,
    ) -> Result<ConsumerKey, ConsumeRefused> {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return Err(ConsumeRefused::Deleted);
        }
        let consumers = inner.state.consumers();
        let crowded = !consumers.is_empty() || consumers.is_single_active();
        if consumers.has_exclusive() || (settings.exclusive && crowded) {
            return Err(ConsumeRefused::ExclusiveUse);
        }
        let key = inner.state.add_consumer(settings);
        inner.set_sink(key, Some(accept()));
        self.pump(&mut inner, 0, effects);
        Ok(key)
    }

    /// Removes a consumer. True when that was the last one of an auto-delete queue, which the
    /// caller then deletes.
    pub(crate) fn cancel(self: &Arc<Self>, key: ConsumerKey, effects: &mut Effects) -> bool {
        let mut inner = self.inner.lock();
        if inner.deleted || !inner.state.remove_consumer(key) {
            return false;
        }
        inner.set_sink(key, None);
        self.pump(&mut inner, 0, effects);
        self.settings.auto_delete && inner.state.consumers().is_empty()
    }

    /// Takes one message for `basic.get`. `record` runs under the queue's lock.
    /// After `NotResident` the caller waits for `read` and asks again.
    pub(crate) fn get(
        self: &Arc<Self>,
        no_ack: bool,
        record: impl FnOnce(&Got),
        effects: &mut Effects,
    ) -> Fetched {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return Fetched::Empty;
        }
        let fetched = inner.state.get(no_ack);
        if let Fetched::Got(got) = &fetched {
            record(got);
        }
        self.conclude(&mut inner, 1, effects);
        if matches!(fetched, Fetched::NotResident) && !inner.reading {
            self.start_reading(&mut inner, effects);
        }
        fetched
    }

    /// Waits until the next message is in memory, or there is none.
    pub(crate) async fn read(&self) {
        loop {
            let read = self.read.notified();
            if self.inner.lock().state.is_read_ahead(1) {
                return;
            }
            read.await;
        }
    }

    /// Takes in bodies that were read. Returns what to read again after a moment: nothing of what
    /// was wanted was there.
    pub(super) fn take_in(
        self: &Arc<Self>,
        found: Found,
        effects: &mut Effects,
    ) -> Option<ReadingPlan> {
        let mut inner = self.inner.lock();
        let mut wanted = false;
        for (shelf, sequence, message) in found {
            wanted |= inner.state.take_in(shelf, sequence, message);
        }
        inner.reading = false;
        self.pump(&mut inner, 0, effects);
        if !wanted && !inner.reading && !inner.state.is_read_ahead(1) {
            self.start_reading(&mut inner, effects);
        }
        drop(inner);
        self.read.notify_waiters();
        if wanted {
            return None;
        }
        let again = effects.readings.iter().position(|(queue, _)| Arc::ptr_eq(queue, self))?;
        Some(effects.readings.swap_remove(again).1)
    }

    /// Lets a consumer go on that was held back by its connection or channel, and hands out so many
    /// messages at most. Returns how many were accepted.
    pub(crate) fn resume_for(
        self: &Arc<Self>,
        key: ConsumerKey,
        messages: usize,
        effects: &mut Effects,
    ) -> usize {
        let mut inner = self.inner.lock();
        inner.state.resume(key);
        let accepted = step(&mut inner, messages, effects).unwrap_or(0);
        self.conclude(&mut inner, accepted, effects);
        accepted
    }

    pub(super) fn start_reading(self: &Arc<Self>, inner: &mut Inner, effects: &mut Effects) {
        let plan = inner.state.plan_reading(read_ahead::MESSAGES, read_ahead::BYTES);
        inner.reading = !plan.is_empty();
        if inner.reading {
            effects.readings.push((Arc::clone(self), plan));
        }
    }
}
