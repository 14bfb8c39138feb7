//! A virtual host: its exchanges, queues and bindings.
//!
//! Channels look things up here and publishers route here. Changes go through `topology`, which
//! makes them one at a time and hands the durable ones to the metadata store. Stays true:
//! - `generation` grows after every change that could alter any route, an exchange's own after those
//!   of its bindings: see `routing::Holds`;
//! - a registry guard is never held while anything else is locked: the `Arc` is cloned out.
//!
//! Lock order: governing, topology, registry shard, exchange router, queue, connection outgoing buffer. An
//! exchange's history is locked alone or within topology.

pub(crate) mod bindings;
mod dead_letters;
mod alike;
pub(crate) mod amending;
mod death_history;
pub(crate) mod deduplicating;
mod delayed;
mod describing;
pub(crate) mod injecting;
mod listing;
pub(crate) mod destination;
mod newest;
pub(crate) mod operations;
#[cfg(test)]
mod operations_test;
mod pausing;
mod policies;
mod records;
mod removal;
pub(crate) mod restocking;
mod dissolving;
#[cfg(test)]
mod dissolving_test;
mod reply_queues;
pub(crate) mod route_plan;
pub(crate) mod routing;
mod runs;
pub(crate) mod samples;
pub(crate) mod selection;
pub(crate) mod walking;
mod telling;
pub(crate) mod topology;
mod trace;
mod waiting;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use leveret_protocol::types::FieldTable;
use parking_lot::Mutex;

use self::dead_letters::Burial;
use self::destination::{Exchange, ExchangeSettings};
use self::newest::{Newest, Subject};
use self::removal::Topology;
use self::samples::VhostSamples;
use crate::definitions::parameters::VhostLimits;
use crate::definitions::records::VhostRecord;
use crate::definitions::store::{DefinitionStore, Durable};
use crate::error::{ChannelError, ResourceName};
use crate::events::{EVENT_EXCHANGE, Events};
use crate::exchange::{ExchangeKind, Router};
use crate::limit::Limit;
use crate::meters::publishing::Publishers;
use crate::policy::Policies;
use crate::publish_rate::PublishRates;
use crate::queue::arguments;
use crate::queue::death_counts::{DeathCounters, DeathsByType};
use crate::queue::exit::Exit;
use crate::queue::taps::TRACE_EXCHANGE;
use crate::queue::timer::Timer;
use crate::queue::traffic::TrafficByType;
use crate::queue::truth::{Consumed, Gone};
use crate::queue::{Budget, Queue, Surroundings};
use crate::stores::Messages;

type Registry<T> = DashMap<Box<str>, Arc<T>, foldhash::fast::RandomState>;

/// How many queues and exchanges there may be in all vhosts together, and how many there are.
#[derive(Debug, Default)]
pub(crate) struct TopologyLimits {
    /// Most queues; `None` is no limit.
    pub queues_max: Limit,
    /// Most exchanges that clients declared; `None` is no limit.
    pub exchanges_max: Limit,
    queues: AtomicUsize,
    exchanges: AtomicUsize,
}

impl TopologyLimits {
    /// These limits, and nothing declared.
    pub(crate) fn new(queues_max: Option<usize>, exchanges_max: Option<usize>) -> Self {
        let (queues_max, exchanges_max) = (Limit::new(queues_max), Limit::new(exchanges_max));
        Self { queues_max, exchanges_max, ..Self::default() }
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Vhost {
    name: Arc<str>,
    exchanges: Registry<Exchange>,
    queues: Registry<Queue>,
    /// Of direct reply-to: see `reply_queues`.
    reply_queues: Registry<Queue>,
    default_exchange: Arc<Exchange>,
    generation: AtomicU64,
    /// Replaced with the topology lock held.
    policies: ArcSwap<Policies>,
    /// Held while some of what exists is given what the policies of now make of it: two who do so
    /// must not overtake each other.
    governing: Mutex<()>,
    /// Serialises all changes, and knows which exchanges lead to a destination.
    topology: Mutex<Topology>,
    /// What of the changes is not on disk yet.
    newest: Newest,
    definitions: Arc<DefinitionStore>,
    messages: Arc<Messages>,
    timer: Arc<Timer>,
    limits: Arc<TopologyLimits>,
    /// Its own.
    own_limits: ArcSwap<VhostLimits>,
    /// What its queues may hold together.
    budget: Arc<Budget>,
    /// How fast its clients may publish together.
    rates: Arc<PublishRates>,
    /// What its clients publish.
    publishers: Arc<Publishers>,
    samples: VhostSamples,
    events: Arc<Events>,
    burial: Burial,
    /// What is kept of the vhost itself. Held while it is changed and proposed.
    about: Mutex<VhostRecord>,
    /// It is being deleted. Changed with the topology lock held.
    is_closed: AtomicBool,
    /// Whether the firehose is told of all messages, as `about` has it.
    is_traced: Arc<AtomicBool>,
    deaths: Arc<DeathCounters>,
    gone: Arc<Gone>,
    /// See `delayed`.
    delayed: OnceLock<Arc<Queue>>,
    /// Itself, for its tasks and queues.
    this: Weak<Self>,
}

/// The exchanges every vhost has (RabbitMQ's), besides the default one.
const PREDECLARED: [(&str, ExchangeKind, bool); 6] = [
    ("amq.direct", ExchangeKind::Direct, false),
    ("amq.fanout", ExchangeKind::Fanout, false),
    ("amq.topic", ExchangeKind::Topic, false),
    ("amq.headers", ExchangeKind::Headers, false),
    ("amq.match", ExchangeKind::Headers, false),
    (TRACE_EXCHANGE, ExchangeKind::Topic, true),
];

/// The type of an exchange that every vhost has from the start, if this is one.
pub(crate) fn predeclared(exchange: &str) -> Option<ExchangeKind> {
    PREDECLARED.iter().find(|(name, ..)| *name == exchange).map(|(_, kind, _)| *kind)
}

impl Vhost {
    /// A vhost with the predeclared exchanges only. `limits` are those of all vhosts together.
    pub(crate) fn new(
        about: VhostRecord,
        definitions: Arc<DefinitionStore>,
        messages: Arc<Messages>,
        timer: Arc<Timer>,
        limits: Arc<TopologyLimits>,
        events: Arc<Events>,
    ) -> Arc<Self> {
        let settings = |kind, internal| ExchangeSettings {
            kind,
            durable: true,
            auto_delete: false,
            internal,
            arguments: FieldTable::new(),
            window: None,
        };
        let exchanges = Registry::default();
        for (name, kind, internal) in PREDECLARED {
            exchanges.insert(name.into(), Exchange::new(name, settings(kind, internal)));
        }
        if about.name == events.vhost() {
            let settings = settings(ExchangeKind::Topic, true);
            let exchange = Exchange::listened_to(EVENT_EXCHANGE, settings, events.wanted());
            exchanges.insert(EVENT_EXCHANGE.into(), exchange);
        }
        Arc::new_cyclic(|this| Self {
            name: about.name.as_str().into(),
            is_traced: Arc::new(AtomicBool::new(about.tracing)),
            is_closed: AtomicBool::new(false),
            about: Mutex::new(about),
            exchanges,
            queues: Registry::default(),
            reply_queues: Registry::default(),
            default_exchange: Exchange::new("", settings(ExchangeKind::Direct, false)),
            generation: AtomicU64::new(1),
            policies: ArcSwap::default(),
            governing: Mutex::new(()),
            topology: Mutex::new(Topology::default()),
            newest: Newest::default(),
            definitions,
            messages,
            timer,
            limits,
            own_limits: ArcSwap::default(),
            budget: Arc::default(),
            rates: Arc::default(),
            publishers: Arc::default(),
            samples: VhostSamples::default(),
            events,
            burial: Burial::default(),
            deaths: Arc::default(),
            gone: Arc::default(),
            delayed: OnceLock::new(),
            this: Weak::clone(this),
        })
    }

    /// What its queues need of the broker around them.
    fn surroundings(&self) -> Surroundings {
        Surroundings {
            messages: Arc::clone(&self.messages),
            timer: Arc::clone(&self.timer),
            is_traced: Arc::clone(&self.is_traced),
            deaths: Arc::clone(&self.deaths),
            gone: Arc::clone(&self.gone),
            budget: Arc::clone(&self.budget),
            samples: self.samples.queues(),
            exit: Weak::clone(&self.this) as Weak<dyn Exit>,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What died in its queues since the broker started, those that are gone among them.
    pub(crate) fn deaths(&self) -> DeathsByType {
        self.deaths.read()
    }

    /// What was consumed from its queues that are gone, and what went through them, since the broker
    /// started.
    pub(crate) fn consumed_before(&self) -> (Consumed, TrafficByType) {
        self.gone.read()
    }

    /// The arguments of a queue with the type that it has here if they name none, `stays` as in
    /// `arguments::with_default_type`.
    pub(crate) fn with_queue_type(&self, arguments: FieldTable, stays: bool) -> FieldTable {
        arguments::with_default_type(arguments, self.about.lock().queue_type(), stays)
    }

    /// Grows with every change that could alter a route.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn topology_changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
        self.try_dead_letters();
    }

    /// The exchange with this name; the empty name is the default exchange.
    pub(crate) fn exchange(&self, name: &str) -> Option<Arc<Exchange>> {
        if name.is_empty() {
            return Some(Arc::clone(&self.default_exchange));
        }
        self.exchanges.get(name).map(|entry| Arc::clone(entry.value()))
    }

    /// How much there may be in it.
    pub(crate) fn own_limits(&self) -> VhostLimits {
        **self.own_limits.load()
    }

    /// From now on this counts.
    pub(crate) fn set_own_limits(&self, limits: VhostLimits) {
        self.own_limits.store(Arc::new(limits));
        self.rates.set(limits.publish());
        self.budget.set_limit(limits.max_held_bytes);
        if self.budget.is_set() {
            // Those that are made meanwhile hold nothing, and tell of it.
            self.queues.iter().for_each(|queue| queue.tell_held());
        }
    }

    /// How fast its clients may publish together.
    pub(crate) fn publish_rates(&self) -> &Arc<PublishRates> {
        &self.rates
    }

    /// What its clients publish.
    pub(crate) fn publishers(&self) -> &Arc<Publishers> {
        &self.publishers
    }

    /// The queue with this name.
    pub(crate) fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues.get(name).map(|entry| Arc::clone(entry.value()))
    }

    /// How many exchanges there are, the default one among them.
    pub(crate) fn exchange_count(&self) -> usize {
        self.exchanges.len() + 1
    }

    /// All queues, in no order.
    pub(crate) fn queues(&self) -> Vec<Arc<Queue>> {
        self.queues.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// The exchange, or 404.
    pub(crate) fn expect_exchange(&self, name: &str) -> Result<Arc<Exchange>, ChannelError> {
        self.exchange(name).ok_or_else(|| ChannelError::NotFound(self.exchange_name(name)))
    }

    /// The queue, or 404.
    pub(crate) fn expect_queue(&self, name: &str) -> Result<Arc<Queue>, ChannelError> {
        self.queue(name).ok_or_else(|| ChannelError::NotFound(self.queue_name(name)))
    }

    /// A queue's name as error texts show it.
    pub(crate) fn queue_name(&self, name: &str) -> ResourceName {
        ResourceName::queue(&self.name, name)
    }

    /// An exchange's name as error texts show it.
    pub(crate) fn exchange_name(&self, name: &str) -> ResourceName {
        ResourceName::exchange(&self.name, name)
    }

    /// When the definitions of all these queues are on disk: nothing published into them may be
    /// confirmed before.
    pub(crate) fn defined(&self, queues: &[Arc<Queue>]) -> Durable {
        self.newest.of(queues.iter().map(|queue| (Subject::Queue, queue.name())))
    }
}

impl Drop for Vhost {
    /// Exchanges hold what they are bound to, which may be a chain of any length or a ring: each
    /// lets go while the registry still holds the others, so that none goes inside another.
    fn drop(&mut self) {
        for exchange in &self.exchanges {
            let empty = Router::new(exchange.kind());
            exchange.rebind(|router| *router = empty);
        }
    }
}
