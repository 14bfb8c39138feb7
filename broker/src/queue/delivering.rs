//! The way out of a queue: consumers, `basic.get`, and the reading of bodies that either waits for.
//!
//! Called by `channel::consume` and by connections that have room again. Stays true: a consumer's
//! first delivery comes after its consume-ok; while the next message has no body nothing overtakes
//! it.

use std::sync::Arc;

use tracing::error;

use super::command::{Command, Reply};
use super::consumers::ConsumerSettings;
use super::hand_over::hand_over;
use super::lapsing::Holder;
use super::paged::ReadingPlan;
use super::read_ahead::{self, Found};
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
        let Reply::Consumer(key) = inner.state.apply(Command::Consume(settings), self.facts())
        else {
            return Err(ConsumeRefused::Deleted);
        };
        inner.set_sink(key, Some(accept()));
        self.pump(&mut inner, 0, effects);
        Ok(key)
    }

    /// Removes a consumer. True when that was the last one of an auto-delete queue, which the
    /// caller then deletes.
    pub(crate) fn cancel(self: &Arc<Self>, key: ConsumerKey, effects: &mut Effects) -> bool {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return false;
        }
        let reply = inner.state.apply(Command::Cancel(key), self.facts());
        if !matches!(reply, Reply::Is(true)) {
            return false;
        }
        inner.consumer_left(key);
        self.pump(&mut inner, 0, effects);
        self.settings.auto_delete && inner.state.consumers().is_empty()
    }

    /// Takes one message for `basic.get`. `record` runs under the queue's lock, and says who holds it.
    /// After `NotResident` the caller waits for `read` and asks again.
    pub(crate) fn get(
        self: &Arc<Self>,
        no_ack: bool,
        record: impl FnOnce(&Got) -> Option<Holder>,
        effects: &mut Effects,
    ) -> Fetched {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return Fetched::Empty;
        }
        let Reply::Fetched(fetched) = inner.state.apply(Command::Get(no_ack), self.facts()) else {
            return Fetched::Empty;
        };
        if let Fetched::Got(got) = &fetched {
            let holder = record(got);
            if let Some(holder) = holder.filter(|_| got.holder != ConsumerKey::NONE) {
                let Inner { state, holders, .. } = &mut *inner;
                holders.add(got.holder, holder, state);
            }
        }
        self.conclude(&mut inner, 1, effects);
        if matches!(fetched, Fetched::NotResident) && !inner.reading {
            self.start_reading(&mut inner, effects);
        }
        fetched
    }

    /// Waits until the next message is in memory, or there is none. Whoever waits keeps the reading
    /// going: others may take what was read for it.
    pub(crate) async fn read(self: &Arc<Self>) {
        loop {
            let read = self.read.notified();
            let mut effects = Effects::default();
            if self.is_readable(&mut effects) {
                return;
            }
            effects.carry_out(&self.around.messages);
            read.await;
        }
    }

    fn is_readable(self: &Arc<Self>, effects: &mut Effects) -> bool {
        let mut inner = self.inner.lock();
        if inner.state.is_read_ahead(1, read_ahead::BYTES) {
            return true;
        }
        if !inner.reading {
            self.start_reading(&mut inner, effects);
        }
        false
    }

    /// Takes in what was read, in order. Returns what to read next, after a moment: when there was
    /// trouble, or nothing of what was wanted was there.
    pub(super) fn take_in(
        self: &Arc<Self>,
        found: Vec<Found>,
        trouble: bool,
        effects: &mut Effects,
    ) -> Option<ReadingPlan> {
        let mut inner = self.inner.lock();
        let facts = self.facts();
        let mut wanted = false;
        for Found { shelf, sequence, body } in found {
            let command = match body {
                Ok(message) => Command::TakeIn(shelf, sequence, message),
                Err(reason) => {
                    // The queue goes on without it; the bytes stay where they are.
                    let (vhost, queue) = (&*self.vhost, &*self.name);
                    error!(
                        vhost,
                        queue, sequence, "message set aside, it cannot be read: {reason}"
                    );
                    Command::SetAside(shelf, sequence)
                }
            };
            wanted |= matches!(inner.state.apply(command, facts), Reply::Is(true));
        }
        inner.reading = trouble;
        self.pump(&mut inner, 0, effects);
        let missing = !wanted && !inner.reading && !inner.state.is_read_ahead(1, read_ahead::BYTES);
        let mut again = None;
        if trouble || missing {
            let plan = inner.state.plan_reading(read_ahead::MESSAGES, read_ahead::BYTES);
            inner.reading = !plan.is_empty();
            again = Some(plan).filter(|plan| !plan.is_empty());
        }
        drop(inner);
        self.read.notify_waiters();
        again
    }

    /// Serves a consumer that was held back by its connection or channel: it gets so many messages
    /// at most. True when it got as many and there may be more for it; then it stays held back.
    pub(crate) fn serve(
        self: &Arc<Self>,
        key: ConsumerKey,
        messages: usize,
        effects: &mut Effects,
    ) -> bool {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return false;
        }
        let reply = inner.state.apply(Command::Serve(key, messages), self.facts());
        let accepted = hand_over(&mut inner, effects);
        if inner.state.is_grouped() {
            // What it had, or did not take, may make room for others.
            self.pump(&mut inner, accepted, effects);
        } else {
            self.conclude(&mut inner, accepted, effects);
        }
        // One that was refused some of it waits for its connection or channel again.
        matches!(reply, Reply::Is(true)) && accepted == messages
    }

    pub(super) fn start_reading(self: &Arc<Self>, inner: &mut Inner, effects: &mut Effects) {
        let plan = inner.state.plan_reading(read_ahead::MESSAGES, read_ahead::BYTES);
        inner.reading = !plan.is_empty();
        if inner.reading {
            effects.readings.push((Arc::clone(self), plan));
        }
    }
}
