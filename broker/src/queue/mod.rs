//! A queue: the pure state machine of `state` behind a lock, and what is needed to hand its
//! deliveries to the consumers' connections.
//!
//! Called by channels (declare, consume, get, settle, purge, delete) and by publishers' connections
//! with whole runs of messages: one lock a run. Stays true:
//! - deliveries reach the outgoing buffers under the queue's lock, so their order is the queue's;
//! - nothing is written to a socket here: callers flush the `Touched` connections after unlocking;
//! - a deleted queue takes nothing and delivers nothing.
//!
//! Lock order: queue, then connection outgoing buffer. Never two queues at once.

mod consumers;
mod gate;
mod hand_over;
mod ready;
mod state;

#[cfg(test)]
mod model;

pub mod arguments;

pub use consumers::{ConsumerKey, ConsumerSettings};
pub use gate::Gate;
pub use state::{DeliveryKey, Got, Outcome};

use std::fmt;
use std::sync::Arc;

use leveret_protocol::types::FieldTable;
use parking_lot::Mutex;

use self::arguments::QueueArguments;
use self::hand_over::step;
use self::state::{Delivery, QueueState};
use crate::channel::deliveries::SourceKey;
use crate::connection::handle::{ConnectionHandle, ConnectionId, Touched};
use crate::connection::outbox::ChannelSlot;
use crate::message::Message;

/// A queue's number: never used twice, not even after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u64);

/// What `queue.declare` fixed.
#[derive(Clone, Debug)]
pub struct QueueSettings {
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
pub struct Sink {
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
pub enum ConsumeRefused {
    /// The queue was deleted meanwhile.
    Deleted,
    /// It has an exclusive consumer, or an exclusive one was asked for and there are others.
    ExclusiveUse,
}

/// Why a queue was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteRefused {
    /// `if-unused`, and it has consumers.
    InUse,
    /// `if-empty`, and it has ready messages.
    NotEmpty,
}

/// A queue's counts at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
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
pub struct Queue {
    id: QueueId,
    name: Box<str>,
    vhost: Arc<str>,
    settings: QueueSettings,
    /// Guards the state machine and the places deliveries go to: one critical section per run.
    inner: Mutex<Inner>,
    gate: Gate,
}

struct Inner {
    state: QueueState,
    /// By `ConsumerKey`.
    sinks: Vec<Option<Sink>>,
    /// Deliveries on their way, kept for its memory.
    deliveries: Vec<Delivery>,
    deleted: bool,
}

impl Queue {
    /// An empty queue.
    pub fn new(id: QueueId, vhost: Arc<str>, name: &str, settings: QueueSettings) -> Arc<Self> {
        let state = QueueState::new(settings.parsed.max_priority, settings.parsed.single_active);
        let inner = Inner { state, sinks: Vec::new(), deliveries: Vec::new(), deleted: false };
        Arc::new(Self {
            id,
            name: name.into(),
            vhost,
            settings,
            inner: Mutex::new(inner),
            gate: Gate::default(),
        })
    }

    /// Its number.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its vhost's name.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// What it was declared with.
    pub fn settings(&self) -> &QueueSettings {
        &self.settings
    }

    /// Whether this connection may use it.
    pub fn is_open_to(&self, connection: ConnectionId) -> bool {
        self.settings.owner.is_none_or(|owner| owner == connection)
    }

    /// Its publishers' gate.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Its counts now.
    pub fn counts(&self) -> QueueCounts {
        let inner = self.inner.lock();
        QueueCounts {
            ready: inner.state.ready_count(),
            unacked: inner.state.unacked_count(),
            consumers: inner.state.consumers().len(),
            bytes: inner.state.bytes(),
        }
    }

    /// Whether it was deleted: then it does nothing any more.
    pub fn is_deleted(&self) -> bool {
        self.inner.lock().deleted
    }

    /// Takes a run of messages, in order, and hands out what consumers can take.
    /// A deleted queue drops them: for the publisher they are settled.
    pub fn publish(&self, messages: impl Iterator<Item = Message>, touched: &mut Touched) {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return;
        }
        inner.state.publish(messages);
        self.pump(&mut inner, 0, touched);
        if self.settings.parsed.length_limit.is_some() {
            inner.state.drop_overflow(self.settings.parsed.length_limit);
            self.publish_counts(&inner.state, 0);
        }
    }

    /// Whether it refuses messages when it is full, so that each has to be offered by `offer`.
    pub fn rejects_publishes(&self) -> bool {
        self.settings.parsed.rejects_publishes
    }

    /// Takes a message unless the queue is full; false when it is.
    pub fn offer(&self, message: Message, touched: &mut Touched) -> bool {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return true;
        }
        if inner.state.is_full(self.settings.parsed.length_limit) {
            return false;
        }
        inner.state.publish(std::iter::once(message));
        self.pump(&mut inner, 0, touched);
        true
    }

    /// Settles unacknowledged messages and hands out what that makes room for.
    pub fn settle(
        &self,
        deliveries: impl Iterator<Item = (DeliveryKey, Outcome)>,
        touched: &mut Touched,
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
        self.pump(&mut inner, settled, touched);
    }

    /// Adds a consumer. `accept` runs before anything can be delivered to it, with the connection's
    /// outgoing buffer: it registers the source and encodes the reply.
    pub fn consume(
        &self,
        settings: ConsumerSettings,
        accept: impl FnOnce() -> Sink,
        touched: &mut Touched,
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
        self.pump(&mut inner, 0, touched);
        Ok(key)
    }

    /// Removes a consumer. True when that was the last one of an auto-delete queue, which the
    /// caller then deletes.
    pub fn cancel(&self, key: ConsumerKey, touched: &mut Touched) -> bool {
        let mut inner = self.inner.lock();
        if inner.deleted || !inner.state.remove_consumer(key) {
            return false;
        }
        inner.set_sink(key, None);
        self.pump(&mut inner, 0, touched);
        self.settings.auto_delete && inner.state.consumers().is_empty()
    }

    /// Takes one message for `basic.get`. `record` runs under the queue's lock.
    pub fn get(&self, no_ack: bool, record: impl FnOnce(&Got)) -> Option<Got> {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return None;
        }
        let got = inner.state.get(no_ack)?;
        record(&got);
        self.publish_counts(&inner.state, 1);
        Some(got)
    }

    /// Lets a consumer go on that was held back by its connection or channel.
    pub fn resume(&self, key: ConsumerKey, touched: &mut Touched) {
        let mut inner = self.inner.lock();
        inner.state.resume(key);
        self.pump(&mut inner, 0, touched);
    }

    /// As `resume`, but hands out one message at most; false when there was none to hand out.
    pub fn resume_for_one(&self, key: ConsumerKey, touched: &mut Touched) -> bool {
        let mut inner = self.inner.lock();
        inner.state.resume(key);
        let accepted = step(&mut inner, 1, touched).unwrap_or(0);
        self.publish_counts(&inner.state, accepted);
        accepted > 0
    }

    /// Drops all ready messages; returns how many.
    pub fn purge(&self) -> usize {
        let mut inner = self.inner.lock();
        let count = inner.state.purge();
        self.publish_counts(&inner.state, count);
        count
    }

    /// Ends the queue, unless a condition forbids it. Returns the number of ready messages it had
    /// and the places its consumers' deliveries went to; `None` if it was ended before.
    pub fn delete(
        &self,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<Option<(usize, Vec<Sink>)>, DeleteRefused> {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return Ok(None);
        }
        if if_unused && !inner.state.consumers().is_empty() {
            return Err(DeleteRefused::InUse);
        }
        if if_empty && inner.state.ready_count() > 0 {
            return Err(DeleteRefused::NotEmpty);
        }
        inner.deleted = true;
        let ready = inner.state.ready_count();
        inner.state = QueueState::new(0, false);
        self.publish_counts(&inner.state, ready);
        let sinks = std::mem::take(&mut inner.sinks).into_iter().flatten().collect();
        Ok(Some((ready, sinks)))
    }

    /// Deletes an auto-delete queue that is still without consumers.
    pub fn delete_if_abandoned(&self) -> bool {
        let mut inner = self.inner.lock();
        let abandoned =
            !inner.deleted && inner.state.had_consumer() && inner.state.consumers().is_empty();
        if abandoned {
            inner.deleted = true;
            inner.state = QueueState::new(0, false);
            self.publish_counts(&inner.state, 0);
        }
        abandoned
    }

    /// Hands out everything that can be handed out. `moved` messages were settled just before.
    fn pump(&self, inner: &mut Inner, mut moved: usize, touched: &mut Touched) {
        while let Some(accepted) = step(inner, DISPATCH_STEP, touched) {
            moved += accepted;
        }
        self.publish_counts(&inner.state, moved);
    }

    fn publish_counts(&self, state: &QueueState, moved: usize) {
        self.gate.update(state.ready_count(), !state.consumers().is_empty(), moved);
    }
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
