//! The way out of a queue: consumers, `basic.get`, and the reading of bodies that either waits for.
//!
//! Called by `channel::consume` and by connections that have room again. Stays true: a consumer's
//! first delivery comes after its consume-ok; while the next message has no body nothing overtakes
//! it.

use std::sync::Arc;

use super::consumers::{ConsumerKey, ConsumerSettings};
use super::hand_over::step;
use super::read_ahead::{self, Found};
use super::ready::ReadingPlan;
use super::state::{Fetched, Got};
use super::{ConsumeRefused, Effects, Inner, Queue, Sink};

impl Queue {
    /// Adds a consumer. `accept` runs before anything can be delivered to it, with the connection's
    /// outgoing buffer: it registers the source and encodes the reply.
    pub fn consume(
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
        let sink = accept();
        if let Some(channel) = sink.connection.outbox().channel(sink.channel) {
            channel.set_consumer(sink.source, key);
        }
        inner.set_sink(key, Some(sink));
        self.pump(&mut inner, 0, effects);
        Ok(key)
    }

    /// Removes a consumer. True when that was the last one of an auto-delete queue, which the
    /// caller then deletes.
    pub fn cancel(self: &Arc<Self>, key: ConsumerKey, effects: &mut Effects) -> bool {
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
    pub fn get(
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
    pub async fn read(&self) {
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

    /// Lets a consumer go on that was held back by its connection or channel.
    pub fn resume(self: &Arc<Self>, key: ConsumerKey, effects: &mut Effects) {
        let mut inner = self.inner.lock();
        inner.state.resume(key);
        self.pump(&mut inner, 0, effects);
    }

    /// As `resume`, but hands out one message at most; false when there was none to hand out.
    pub fn resume_for_one(self: &Arc<Self>, key: ConsumerKey, effects: &mut Effects) -> bool {
        let mut inner = self.inner.lock();
        inner.state.resume(key);
        let accepted = step(&mut inner, 1, effects).unwrap_or(0);
        self.conclude(&mut inner, accepted, effects);
        accepted > 0
    }

    pub(super) fn start_reading(self: &Arc<Self>, inner: &mut Inner, effects: &mut Effects) {
        let plan = inner.state.plan_reading(read_ahead::MESSAGES, read_ahead::BYTES);
        inner.reading = !plan.is_empty();
        if inner.reading {
            effects.readings.push((Arc::clone(self), plan));
        }
    }
}
