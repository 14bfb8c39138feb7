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

mod arriving;
mod budget;
mod command;
mod consumers;
pub(crate) mod cursor;
pub(crate) mod death_counts;
pub(crate) mod deaths;
mod delivering;
mod discard;
mod effective;
mod effects;
mod ending;
pub(crate) mod exit;
mod gate;
mod group_by;
mod groups;
mod hand_over;
mod held;
mod level;
mod looking;
mod lapsing;
mod paged;
mod pausing;
mod read_ahead;
mod ready;
mod retry;
mod returned;
pub(crate) mod samples;
mod state;
mod store_changes;
mod suspending;
pub(crate) mod taps;
pub(crate) mod timer;
pub(crate) mod traffic;
pub(crate) mod truth;
pub(crate) mod waiting;

#[cfg(test)]
mod delays_model;
#[cfg(test)]
mod groups_model;
#[cfg(test)]
mod model;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod steps;

pub(crate) mod arguments;

pub(crate) use budget::Budget;
pub(crate) use consumers::ConsumerSettings;
pub(crate) use effects::Effects;
pub(crate) use gate::Gate;
pub(crate) use lapsing::Holder;
pub(crate) use state::{Fetched, Full, Got};

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use leveret_protocol::types::FieldTable;
use leveret_storage::messages::RecoveredQueue;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::arguments::{DeadLetterTarget, QueueArguments, is_quorum};
use self::death_counts::{DeathCounters, DeathCounts};
use self::deaths::DeadLetters;
use self::exit::Exit;
use self::hand_over::{Desk, hand_over, step};
use self::lapsing::Holders;
use self::paged::NEVER;
use self::samples::{QueueSamples, Sampling};
use self::state::{Facts, QueueKind, QueueState};
use self::taps::Delivered;
use self::timer::Timer;
use self::traffic::Traffic;
use self::truth::Gone;
use crate::clock;
use crate::keys::{
    ChannelSlot, ConnectionId, ConsumerKey, DeliveryKey, Outcome, QueueId, SourceKey,
};
use crate::outgoing::ConnectionHandle;
use crate::publish_rate::PublishRates;
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
    /// The number under which the message store keeps what it remembers of messages that may come
    /// twice, if it is to be kept.
    pub window: Option<u64>,
}

impl QueueSettings {
    /// Of a queue that anyone may use, without arguments.
    pub(crate) fn plain(durable: bool) -> Self {
        Self {
            durable,
            auto_delete: false,
            owner: None,
            arguments: FieldTable::new(),
            parsed: QueueArguments::default(),
            window: None,
        }
    }
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

/// A queue's counts at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueCounts {
    /// Messages waiting for a consumer.
    pub ready: usize,
    /// Messages handed out and not settled.
    pub unacked: usize,
    /// Consumers.
    pub consumers: usize,
    /// Messages that wait for their time.
    pub delayed: usize,
    /// Dead letters that nobody took yet.
    pub kept: usize,
    /// Content of all its messages, in bytes.
    pub bytes: usize,
    /// Content of what is handed out and not settled, in bytes.
    pub unacked_bytes: usize,
    /// What of all content is in memory, in bytes.
    pub resident_bytes: usize,
    /// What died in it since the broker started.
    pub deaths: DeathCounts,
    /// What went through it.
    pub traffic: Traffic,
}

/// Messages handed over to the outgoing buffers between two looks at whether they are full.
const DISPATCH_STEP: usize = 256;
/// Messages handed over while a queue's lock is held: some milliseconds of work. What can be handed
/// out beyond it is, in further steps, by a task of its own.
const HAND_OUT_MAX: usize = 8192;

/// What a queue needs of the broker around it.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// The stores its messages are in.
    pub messages: Arc<Messages>,
    /// Wakes it.
    pub timer: Arc<Timer>,
    /// Whether the firehose is told of what is delivered.
    pub is_traced: Arc<AtomicBool>,
    /// Count what dies in it.
    pub deaths: Arc<DeathCounters>,
    /// What was consumed from queues that are gone.
    pub gone: Arc<Gone>,
    /// What all queues of the vhost may hold together.
    pub budget: Arc<Budget>,
    /// Those that are to be sampled.
    pub samples: Arc<QueueSamples>,
    /// Takes what leaves it on its own.
    pub exit: Weak<dyn Exit>,
}

/// See the module documentation.
pub(crate) struct Queue {
    id: QueueId,
    name: Box<str>,
    vhost: Arc<str>,
    settings: QueueSettings,
    effective: effective::Effective,
    paused: pausing::Paused,
    /// Guards the state machine and the places deliveries go to: one critical section per run.
    inner: Mutex<Inner>,
    gate: Gate,
    /// What it may hold.
    budget: Budget,
    /// How fast it may be published to.
    rates: PublishRates,
    around: Surroundings,
    sampling: Sampling,
    /// Can no longer be found by its name.
    has_left: AtomicBool,
    /// Rung when bodies were read for a queue whose next message had none.
    read: Notify,
}

/// A queue of this name meets a fault in every command, for tests of what is left behind then.
#[cfg(test)]
pub(crate) const FAULTY: &str = "a queue with a fault";

struct Inner {
    state: QueueState,
    /// By `ConsumerKey`.
    sinks: Vec<Option<Sink>>,
    desk: Desk,
    /// Who else holds deliveries that may lapse.
    holders: Holders,
    deleted: bool,
    /// It is among those that are to be sampled.
    is_noted: bool,
    /// A task hands out what can be handed out.
    handing_out: bool,
    /// A reading of bodies is under way.
    reading: bool,
    /// When the timer will wake it, at the latest; `NEVER`.
    wakes_ms: u64,
    /// The memory of its messages as it was told last.
    reported: usize,
    /// The bytes it holds as the vhost's budget was told last.
    held: usize,
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
        around: Surroundings,
    ) -> Arc<Self> {
        let state = QueueState::new(kind(&settings, &settings.parsed, &around));
        let mut state = state.grouped_by(settings.parsed.group_by.clone());
        let room = around.messages.queue_room();
        state.begin(Facts { now_ms: clock::unix_millis(), room });
        state.touch();
        if let Some(asked) = &settings.parsed.deduplication {
            state.deduplicate(asked.clone(), settings.window.is_some());
        }
        let inner = Inner {
            state,
            sinks: Vec::new(),
            holders: Holders::default(),
            desk: Desk::new(Arc::clone(&around.is_traced)),
            deleted: false,
            is_noted: false,
            handing_out: false,
            reading: false,
            wakes_ms: NEVER,
            reported: 0,
            held: 0,
            in_durable: false,
            in_scratch: false,
        };
        let queue = Arc::new(Self {
            id,
            name: name.into(),
            vhost,
            effective: effective::Effective::declared(&settings.parsed),
            paused: pausing::Paused::default(),
            settings,
            inner: Mutex::new(inner),
            gate: Gate::default(),
            budget: Budget::default(),
            rates: PublishRates::default(),
            around,
            sampling: Sampling::default(),
            has_left: AtomicBool::new(false),
            read: Notify::new(),
        });
        queue.budget.set_limit(queue.settings.parsed.max_held_bytes);
        queue.rates.set(queue.settings.parsed.publish);
        queue.tell_of_strategy(&queue.settings.arguments, &queue.settings.parsed);
        queue.see_to_waking(&mut queue.inner.lock());
        queue
    }

    /// Takes back what was stored, before anyone uses the queue. What is over its limit goes.
    /// What came before `doubted_before_ms`, in milliseconds since the epoch, may have been handed out.
    pub(crate) fn restore(self: &Arc<Self>, recovered: RecoveredQueue, doubted_before_ms: u64) {
        let mut effects = Effects::default();
        let mut inner = self.inner.lock();
        inner.in_durable = true;
        inner.state.begin(self.facts());
        inner.state.restore(recovered, doubted_before_ms);
        self.note_changes(&mut inner, 0, &mut effects);
        self.note_changed(&mut inner);
        if inner.state.has_dead() {
            // They are published when there is somewhere to publish them to.
            self.wake_at(&mut inner, clock::unix_millis());
        }
        self.see_to_waking(&mut inner);
        drop(inner);
        effects.store(&self.around.messages);
    }

    /// Takes back the keys of messages that may come twice, before anyone uses the queue.
    pub(crate) fn restore_keys(&self, recovered: RecoveredQueue) {
        self.inner.lock().state.restore_keys(recovered);
    }

    /// What is true for a command that is given now.
    fn facts(&self) -> Facts {
        Facts { now_ms: clock::unix_millis(), room: self.around.messages.queue_room() }
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
        &self.around.messages
    }

    /// Who takes what leaves it on its own; `None` at the end of the broker.
    pub(super) fn exit(&self) -> Option<Arc<dyn Exit>> {
        self.around.exit.upgrade()
    }

    /// Where what dies in it is published.
    pub(crate) fn dead_letter_target(&self) -> Option<DeadLetterTarget> {
        self.in_force().dead_letters.clone()
    }

    /// Whether it is a quorum queue by its arguments.
    pub(crate) fn is_quorum(&self) -> bool {
        is_quorum(&self.settings.arguments)
    }

    /// Its publishers' gate.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Its counts now.
    pub(crate) fn counts(&self) -> QueueCounts {
        let mut inner = self.inner.lock();
        QueueCounts {
            ready: inner.state.ready_count(),
            unacked: inner.state.unacked_count(),
            consumers: inner.state.consumers().len(),
            delayed: inner.state.delayed_count(),
            kept: inner.state.kept_count(),
            bytes: inner.state.bytes(),
            unacked_bytes: inner.state.unacked_bytes(),
            resident_bytes: inner.state.resident_bytes(),
            deaths: inner.state.tally().all,
            traffic: *inner.state.traffic(),
        }
    }

    /// Whether it was deleted: then it does nothing any more.
    pub(crate) fn is_deleted(&self) -> bool {
        self.inner.lock().deleted
    }

    /// It can no longer be found by its name: whoever remembers it looks again.
    pub(crate) fn leave(&self) {
        self.has_left.store(true, Ordering::Release);
    }

    /// Whether it can no longer be found by its name. Takes no lock: asked for every message.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }

    /// Settles unacknowledged messages and hands out what that makes room for.
    pub(crate) fn settle(
        self: &Arc<Self>,
        deliveries: impl ExactSizeIterator<Item = (DeliveryKey, Outcome)>,
        effects: &mut Effects,
    ) {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return;
        }
        let settled = deliveries.len();
        inner.state.begin(self.facts());
        inner.state.settle(deliveries);
        self.pump(&mut inner, settled, effects);
    }

    /// The end of most commands: hands out what can be handed out, and concludes. `moved` messages
    /// were settled or accepted just before.
    fn pump(self: &Arc<Self>, inner: &mut Inner, moved: usize, effects: &mut Effects) {
        let mut accepted = hand_over(inner, effects);
        while let Some(count) = step(inner, DISPATCH_STEP, effects) {
            accepted += count;
            if accepted >= HAND_OUT_MAX && !inner.handing_out {
                inner.handing_out = true;
                effects.handing_out.push(Arc::clone(self));
                break;
            }
        }
        self.conclude(inner, moved + accepted, effects);
    }

    /// The end of every command: tells what it changed, and what will be delivered soon is read.
    fn conclude(self: &Arc<Self>, inner: &mut Inner, moved: usize, effects: &mut Effects) {
        self.note_changes(inner, moved, effects);
        self.note_changed(inner);
        let Inner { state, reading, .. } = inner;
        if !*reading
            && !state.consumers().is_empty()
            && !state.is_read_ahead(read_ahead::LOW_WATER, read_ahead::BYTES)
        {
            self.start_reading(inner, effects);
        }
        if inner.state.has_dead() {
            let dead = inner.state.take_dead();
            effects.dead.push(DeadLetters::new(Arc::clone(self), dead));
        }
        let taps = inner.desk.take_taps();
        if !taps.is_empty() {
            effects.tap(Delivered { queue: Arc::clone(self), taps });
        }
        self.see_to_waking(inner);
    }

    /// Has the timer wake it when something is due.
    fn see_to_waking(self: &Arc<Self>, inner: &mut Inner) {
        let due_ms = inner.state.next_due_ms();
        if due_ms < inner.wakes_ms {
            self.wake_at(inner, due_ms);
        }
    }

    fn wake_at(self: &Arc<Self>, inner: &mut Inner, at_ms: u64) {
        inner.wakes_ms = at_ms;
        self.around.timer.wake_at(at_ms, self);
    }

    /// Tells the stores, the publishers' gate and the memory budget what a command changed.
    fn note_changes(&self, inner: &mut Inner, moved: usize, effects: &mut Effects) {
        #[cfg(test)]
        assert!(&*self.name != FAULTY, "a fault while the queue is locked");
        let Inner { state, reported, held, in_scratch, .. } = inner;
        self.gate.update(state.ready_count(), !state.consumers().is_empty(), moved);
        self.around.messages.report(reported, state.resident_bytes());
        self.hold(held, state.bytes());
        *in_scratch |= state.changes().pages_out();
        state.changes().drain_into(self.id, &mut effects.durable, &mut effects.scratch);
        if let Some(died) = state.tally().take() {
            self.around.deaths.add(self.is_quorum(), self.keeps_dead_letters(), died);
        }
        if let Some(window) = self.settings.window {
            state.changes().drain_keys(window, &mut effects.keys, &mut effects.durable);
        }
    }

    /// Hands out more; false when there is no more to be handed out.
    pub(super) fn hand_out_more(self: &Arc<Self>, effects: &mut Effects) -> bool {
        let mut inner = self.inner.lock();
        inner.handing_out = false;
        inner.state.begin(self.facts());
        self.pump(&mut inner, 0, effects);
        inner.handing_out
    }
}

/// The state machine's part of a queue's arguments.
fn kind(settings: &QueueSettings, arguments: &QueueArguments, around: &Surroundings) -> QueueKind {
    QueueKind {
        max_priority: arguments.max_priority,
        default_priority: arguments.default_priority,
        activity: arguments.activity,
        is_stored: settings.durable,
        limit: arguments.length_limit,
        rejects: arguments.rejects_publishes,
        drops_lowest: arguments.drops_lowest,
        ttl_ms: arguments.ttl_ms,
        expires_anywhere: arguments.expires_anywhere,
        unused_ms: arguments.unused_ms,
        delivery_limit: arguments.delivery_limit,
        retry: arguments.retry,
        counts_deliveries: arguments.counts_deliveries,
        buries_refused: arguments.buries_refused,
        has_dead_letters: arguments.dead_letters.is_some() || arguments.delays,
        delays: arguments.delays,
        consumer_timeout_ms: arguments
            .consumer_timeout_ms
            .or_else(|| around.timer.consumer_timeout_ms()),
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
        let slot = key.slot as usize;
        if self.sinks.len() <= slot {
            self.sinks.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.sinks.get_mut(slot) {
            *place = sink;
        }
    }
}
