//! The end of a queue's messages, or of the queue.
//!
//! Called by `channel::queue_methods` and `vhost::topology`. Stays true: a deleted queue has no
//! messages and no consumers, and the stores that knew it are told.

use std::sync::Arc;

use leveret_storage::messages::Ticket;

use super::command::{Command, Reply};
use super::deaths::Fate;
use super::discard::discard;
use super::paged::NEVER;
use super::state::{QueueKind, QueueState};
use super::store_changes::StoreChanges;
use super::{DeleteRefused, Effects, Inner, Queue};

impl Queue {
    /// Drops all ready messages; returns how many.
    pub(crate) fn purge(self: &Arc<Self>, effects: &mut Effects) -> usize {
        let mut inner = self.inner.lock();
        let kept = inner.state.kept_count();
        let Reply::Taken(taken) = inner.state.apply(Command::Purge, self.facts()) else {
            return 0;
        };
        let count = taken.len() + kept - inner.state.kept_count();
        self.conclude(&mut inner, count, effects);
        drop(inner);
        // Nobody else sees them any more: the stores are told without the lock.
        let mut changes = StoreChanges::default();
        changes.forget_all(self.is_stored(), &taken);
        changes.drain_into(self.id, &mut effects.durable, &mut effects.scratch);
        discard(taken.into_messages());
        count
    }

    /// Ends the queue, unless a condition forbids it, and tells the connections of its consumers.
    /// Returns the number of ready messages it had; `None` if it was ended before.
    pub(crate) fn delete(
        &self,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<Option<usize>, DeleteRefused> {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return Ok(None);
        }
        if if_unused && !inner.state.consumers().is_empty() {
            return Err(DeleteRefused::InUse);
        }
        if if_empty && inner.state.ready_count() + inner.state.kept_count() > 0 {
            return Err(DeleteRefused::NotEmpty);
        }
        let ready = inner.state.ready_count();
        let gone = self.end(&mut inner);
        let sinks = std::mem::take(&mut inner.sinks);
        drop(inner);
        discard(gone.into_messages());
        for sink in sinks.into_iter().flatten() {
            sink.connection.cancel_consumer(sink.channel_number, sink.consumer_tag);
        }
        Ok(Some(ready))
    }

    /// Deletes an auto-delete queue that is still without consumers.
    pub(crate) fn delete_if_abandoned(&self) -> bool {
        let mut inner = self.inner.lock();
        let abandoned =
            !inner.deleted && inner.state.had_consumer() && inner.state.consumers().is_empty();
        if abandoned {
            let gone = self.end(&mut inner);
            drop(inner);
            discard(gone.into_messages());
        }
        abandoned
    }

    /// Returns what the queue had.
    fn end(&self, inner: &mut Inner) -> QueueState {
        inner.deleted = true;
        let (consumed, traffic) = (inner.state.consumed(), inner.state.traffic());
        self.around.gone.add(self.is_quorum(), consumed, traffic);
        self.end_sampling(inner);
        let moved = inner.state.ready_count();
        let empty = QueueState::new(QueueKind::default());
        let gone = std::mem::replace(&mut inner.state, empty);
        self.around.messages.report(&mut inner.reported, 0);
        self.gate.update(0, false, moved);
        self.hold(&mut inner.held, 0);
        self.read.notify_waiters();
        gone
    }

    /// What is due: messages whose time is up go, and so does the queue if nobody uses it.
    pub(crate) fn wake(self: &Arc<Self>, effects: &mut Effects) {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return;
        }
        inner.wakes_ms = NEVER;
        inner.state.apply(Command::Expire, self.facts());
        inner.state.apply(Command::TryKept, self.facts());
        if inner.state.may_lapse() {
            inner.state.apply(Command::Lapse, self.facts());
            self.tell_lapsed(&mut inner);
        }
        self.pump(&mut inner, 0, effects);
        let is_unused = inner.state.is_unused();
        let is_abandoned = self.is_abandoned(&inner);
        drop(inner);
        // Whoever waits behind messages whose time was up.
        self.read.notify_waiters();
        let Some(exit) = self.around.exit.upgrade().filter(|_| is_unused || is_abandoned) else {
            return;
        };
        if is_abandoned { exit.delete_abandoned(self) } else { exit.delete_unused(self) }
    }

    /// Whether it goes because its last consumer did.
    fn is_abandoned(&self, inner: &Inner) -> bool {
        self.settings.auto_delete
            && inner.state.had_consumer()
            && inner.state.consumers().is_empty()
    }

    /// Somebody asked for the queue: it is used.
    pub(crate) fn touch(self: &Arc<Self>) {
        let mut inner = self.inner.lock();
        inner.state.apply(Command::Touch, self.facts());
        self.see_to_waking(&mut inner);
    }

    /// Ends the queue if nobody has used it for longer than it may be unused. Returns whether.
    pub(crate) fn delete_if_unused(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.state.begin(self.facts());
        let is_unused = !inner.deleted && inner.state.is_unused();
        if is_unused {
            let gone = self.end(&mut inner);
            drop(inner);
            discard(gone.into_messages());
        }
        is_unused
    }

    /// The bodies of so many dead messages were read.
    pub(crate) fn buried(self: &Arc<Self>, count: usize, effects: &mut Effects) {
        let mut inner = self.inner.lock();
        if !inner.deleted {
            inner.state.apply(Command::Buried(count), self.facts());
            self.pump(&mut inner, 0, effects);
            drop(inner);
            self.read.notify_waiters();
        }
    }

    /// What became of its dead letters. Whether some of them stay with it.
    pub(crate) fn learn(self: &Arc<Self>, fates: Vec<Fate>, effects: &mut Effects) -> bool {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return false;
        }
        inner.state.apply(Command::Learn(fates), self.facts());
        self.pump(&mut inner, 0, effects);
        inner.state.kept_count() > 0
    }

    /// There may be a way now for dead letters that stayed.
    pub(crate) fn try_dead_letters_soon(self: &Arc<Self>) {
        let mut inner = self.inner.lock();
        inner.state.apply(Command::TryKeptSoon, self.facts());
        self.see_to_waking(&mut inner);
    }

    /// Tells the stores that know it that the queue was deleted. Returns when that is durable;
    /// `None` for a queue that never had a message to be stored.
    pub(crate) fn forget_messages(&self) -> Option<Ticket> {
        let (in_durable, in_scratch) = {
            let inner = self.inner.lock();
            (inner.in_durable, inner.in_scratch)
        };
        if in_scratch {
            self.around.messages.delete_from_scratch(self.id.0);
        }
        if let Some(window) = self.settings.window.filter(|_| in_durable) {
            // Before the messages: whoever waits for these waits for both.
            let _ = self.around.messages.delete_from_durable(window);
        }
        in_durable.then(|| self.around.messages.delete_from_durable(self.id.0))
    }
}
