//! A queue: the pure state machine of `state` behind a lock, and what is needed to hand its
//! deliveries to the consumers' connections.
//!
//! Called by channels (declare, consume, get, settle, purge, delete) and by publishers' connections
//! with whole runs of messages: one lock a run. Stays true:
//! - deliveries reach the outgoing buffers under the queue's lock, so their order is the queue's;
//! - nothing is written to a socket or a store here: callers carry out the `Effects` after
//!   unlocking;
//! - a deleted queue takes nothing and delivers nothing.
//!
//! Lock order: queue, then connection outgoing buffer. Never two queues at once.

mod consumers;
mod delivering;
mod effects;
mod ending;
mod gate;
mod hand_over;
mod paged;
mod read_ahead;
mod ready;
mod state;
mod store_changes;

#[cfg(test)]
mod model;

pub(crate) mod arguments;

pub(crate) use consumers::ConsumerSettings;
pub(crate) use effects::Effects;
pub(crate) use gate::Gate;
pub(crate) use state::{Fetched, Got};

use std::fmt;
use std::sync::Arc;

use leveret_protocol::types::FieldTable;
use leveret_storage::messages::RecoveredQueue;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::arguments::QueueArguments;
use self::hand_over::step;
use self::state::{Delivery, QueueKind, QueueState};
use crate::keys::{
    ChannelSlot, ConnectionId, ConsumerKey, DeliveryKey, Outcome, QueueId, SourceKey,
};
use crate::message::Message;
use crate::outgoing::ConnectionHandle;
use crate::stores::Messages;

/// What `queue.declare` fixed.
#[derive(Clone, Debug)]
pub(crate) struct QueueSettings {
    /// Comes back after a restart.
    pub durable: bool,
    /// Goes when its last consumer does.
    pub auto_delete: bool,
    /// The one connection that may use it; it goes with that connection.
    pub owner: Option<ConnectionId>,
    /// All arguments as declared.
    pub arguments: FieldTable,
    /// The arguments that mean something, parsed.
    pub parsed: QueueArguments,
}

/// Where a consumer's deliveries go.
#[derive(Debug)]
pub(crate) struct Sink {
    /// The consumer's connection.
    pub connection: Arc<ConnectionHandle>,
    /// Its channel's place in the connection's outbox.
    pub channel: ChannelSlot,
    /// Its channel's number.
    pub channel_number: u16,
    /// The queue's place among the channel's sources.
    pub source: SourceKey,
    /// The consumer tag.
    pub consumer_tag: String,
}

/// Why a consumer was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumeRefused {
    /// The queue was deleted meanwhile.
    Deleted,
    /// It has an exclusive consumer, or an exclusive one was asked for and there are others.
    ExclusiveUse,
}

/// Why a queue was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeleteRefused {
    /// `if-unused`, and it has consumers.
    InUse,
    /// `if-empty`, and it has ready messages.
    NotEmpty,
}

/// A queue did not take a message, because it has as many as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A queue's counts at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueCounts {
    /// Messages waiting for a consumer.
    pub ready: usize,
    /// Messages handed out and not settled.
    pub unacked: usize,
    /// Consumers.
    pub consumers: usize,
    /// Content of all its messages, in bytes.
    pub bytes: usize,
}

/// Messages handed over to the outgoing buffers between two looks at whether they are full.
const DISPATCH_STEP: usize = 256;

/// See the module documentation.
pub(crate) struct Queue {
    id: QueueId,
    name: Box<str>,
    vhost: Arc<str>,
    settings: QueueSettings,
    /// Guards the state machine and the places deliveries go to: one critical section per run.
    inner: Mutex<Inner>,
    gate: Gate,
    messages: Arc<Messages>,
    /// Rung when bodies were read for a queue whose next message had none.
    read: Notify,
}

struct Inner {
    state: QueueState,
    /// By `ConsumerKey`.
    sinks: Vec<Option<Sink>>,
    /// Deliveries on their way, kept for its memory.
    deliveries: Vec<Delivery>,
    deleted: bool,
    /// A reading of bodies is under way.
    reading: bool,
    /// The memory of its messages as it was told last.
    reported: usize,
    /// The durable store may know the queue.
    in_durable: bool,
    /// The scratch store may know the queue.
    in_scratch: bool,
}

impl Queue {
    /// An empty queue.
    pub(crate) fn new(
        id: QueueId,
        vhost: Arc<str>,
        name: &str,
        settings: QueueSettings,
        messages: Arc<Messages>,
    ) -> Arc<Self> {
        let state = QueueState::new(QueueKind {
            max_priority: settings.parsed.max_priority,
            single_active: settings.parsed.single_active,
            is_stored: settings.durable,
        });
        let inner = Inner {
            state,
            sinks: Vec::new(),
            deliveries: Vec::new(),
            deleted: false,
            reading: false,
            reported: 0,
            in_durable: false,
            in_scratch: false,
        };
        Arc::new(Self {
            id,
            name: name.into(),
            vhost,
            settings,
            inner: Mutex::new(inner),
            gate: Gate::default(),
            messages,
            read: Notify::new(),
        })
    }

    /// Takes back what was stored, before anyone uses the queue.
    pub(crate) fn restore(&self, recovered: &RecoveredQueue, all_redelivered: bool) {
        let mut inner = self.inner.lock();
        inner.in_durable = true;
        inner.state.restore(recovered, all_redelivered);
        self.gate.update(inner.state.ready_count(), false, 0);
    }

    /// Its number.
    pub(crate) fn id(&self) -> QueueId {
        self.id
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its vhost's name.
    pub(crate) fn vhost(&self) -> &str {
        &self.vhost
    }

    /// What it was declared with.
    pub(crate) fn settings(&self) -> &QueueSettings {
        &self.settings
    }

    /// Whether this connection may use it.
    pub(crate) fn is_open_to(&self, connection: ConnectionId) -> bool {
        self.settings.owner.is_none_or(|owner| owner == connection)
    }

    /// Whether its persistent messages are in the durable store.
    pub(crate) fn is_stored(&self) -> bool {
        self.settings.durable
    }

    /// The stores its messages are in.
    pub(crate) fn messages(&self) -> &Arc<Messages> {
        &self.messages
    }

    /// Its publishers' gate.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Its counts now.
    pub(crate) fn counts(&self) -> QueueCounts {
        let inner = self.inner.lock();
        QueueCounts {
            ready: inner.state.ready_count(),
            unacked: inner.state.unacked_count(),
            consumers: inner.state.consumers().len(),
            bytes: inner.state.bytes(),
        }
    }

    /// Whether it was deleted: then it does nothing any more.
    pub(crate) fn is_deleted(&self) -> bool {
        self.inner.lock().deleted
    }

    /// Takes a run of messages, in order, and hands out what consumers can take. Returns the first
    /// one's sequence number; the others follow without gaps.
    /// A deleted queue drops them, `None`: for the publisher they are settled.
    pub(crate) fn publish(
        self: &Arc<Self>,
        messages: impl Iterator<Item = Message>,
        effects: &mut Effects,
    ) -> Option<u64> {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return None;
        }
        inner.state.set_room(self.messages.queue_room());
        inner.in_durable = self.is_stored();
        let first = inner.state.publish(messages);
        let moved = hand_out(&mut inner, effects);
        if self.settings.parsed.length_limit.is_some() {
            inner.state.drop_overflow(self.settings.parsed.length_limit);
        }
        self.conclude(&mut inner, moved, effects);
        Some(first)
    }

    /// Whether it refuses messages when it is full, so that each has to be offered by `offer`.
    pub(crate) fn rejects_publishes(&self) -> bool {
        self.settings.parsed.rejects_publishes
    }

    /// Takes a message unless the queue is full, and returns as `publish`.
    ///
    /// # Errors
    /// It is full.
    pub(crate) fn offer(
        self: &Arc<Self>,
        message: Message,
        effects: &mut Effects,
    ) -> Result<Option<u64>, Full> {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return Ok(None);
        }
        if inner.state.is_full(self.settings.parsed.length_limit) {
            return Err(Full);
        }
        inner.state.set_room(self.messages.queue_room());
        inner.in_durable = self.is_stored();
        let first = inner.state.publish(std::iter::once(message));
        self.pump(&mut inner, 0, effects);
        Ok(Some(first))
    }

    /// Settles unacknowledged messages and hands out what that makes room for.
    pub(crate) fn settle(
        self: &Arc<Self>,
        deliveries: impl Iterator<Item = (DeliveryKey, Outcome)>,
        effects: &mut Effects,
    ) {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return;
        }
        let mut settled = 0;
        for (key, outcome) in deliveries {
            inner.state.settle(key, outcome);
            settled += 1;
        }
        self.pump(&mut inner, settled, effects);
    }

    /// Hands out everything that can be handed out. `moved` messages were settled just before.
    fn pump(self: &Arc<Self>, inner: &mut Inner, moved: usize, effects: &mut Effects) {
        let accepted = hand_out(inner, effects);
        self.conclude(inner, moved + accepted, effects);
    }

    /// The end of every command: what it changed is told to the stores, the publishers' gate and the
    /// memory budget, and what will be delivered soon is read.
    fn conclude(self: &Arc<Self>, inner: &mut Inner, moved: usize, effects: &mut Effects) {
        let Inner { state, reading, reported, in_scratch, .. } = inner;
        self.gate.update(state.ready_count(), !state.consumers().is_empty(), moved);
        self.messages.report(reported, state.resident_bytes());
        *in_scratch |= state.changes().pages_out();
        state.changes().drain_into(self.id, &mut effects.durable, &mut effects.scratch);
        if !*reading && !state.consumers().is_empty() && !state.is_read_ahead(read_ahead::LOW_WATER)
        {
            self.start_reading(inner, effects);
        }
    }
}

fn hand_out(inner: &mut Inner, effects: &mut Effects) -> usize {
    let mut accepted = 0;
    while let Some(count) = step(inner, DISPATCH_STEP, effects) {
        accepted += count;
    }
    accepted
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({} '{}')", self.id.0, self.name)
    }
}

impl PartialEq for Queue {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Queue {}

impl std::hash::Hash for Queue {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl Inner {
    fn set_sink(&mut self, key: ConsumerKey, sink: Option<Sink>) {
        let slot = key.0 as usize;
        if self.sinks.len() <= slot {
            self.sinks.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.sinks.get_mut(slot) {
            *place = sink;
        }
    }
}
