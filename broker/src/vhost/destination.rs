//! The nodes of a vhost's routing graph: exchanges, and the queues and exchanges bound to them.
//!
//! Built by `vhost::topology`, read by `vhost::routing`. Stays true: an exchange's router holds
//! exactly its bindings; whoever changes it holds the vhost's topology lock, and both generations,
//! the exchange's and the vhost's, are raised afterwards. What an exchange keeps of the messages it
//! got is in memory alone: RabbitMQ has it in its metadata store, here it is gone after a restart.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use leveret_protocol::types::{FieldTable, FieldValue};
use leveret_storage::messages::RecoveredQueue;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::deduplicating::Deduplicator;
use crate::exchange::hash_on::HashOn;
use crate::exchange::history::History;
use crate::exchange::{ExchangeKind, Router, Target};
use crate::message::Message;
use crate::meters::publishing::ExchangeMeter;
use crate::policy::{DELAYED_MESSAGE, Effective, Origin};
use crate::queue::Queue;

/// The argument that names an exchange for what this one cannot route.
pub(crate) const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// What `exchange.declare` fixes.
#[derive(Clone, Debug)]
pub(crate) struct ExchangeSettings {
    /// How it matches.
    pub kind: ExchangeKind,
    /// Comes back after a restart.
    pub durable: bool,
    /// Goes with its last binding.
    pub auto_delete: bool,
    /// Takes no messages from clients.
    pub internal: bool,
    /// All arguments as declared.
    pub arguments: FieldTable,
    /// The number under which the message store keeps what it remembers of messages that may come
    /// twice, if it is to be kept.
    pub window: Option<u64>,
}

/// An exchange and its bindings.
pub(crate) struct Exchange {
    id: u64,
    name: Box<str>,
    settings: ExchangeSettings,
    /// Where messages go that it cannot route, by its argument or a policy. Written by
    /// `vhost::policies` alone.
    alternate: ArcSwapOption<String>,
    /// Whether a policy has messages wait before it routes them. Written there as well.
    told_to_delay: AtomicBool,
    /// Written with the vhost's topology lock held; read by every publish that is not cached.
    router: RwLock<Router<Destination>>,
    /// Grows when the router changes, and when the exchange is deleted.
    generation: AtomicU64,
    /// How it matches: its own kind, or the one behind it.
    kind: ExchangeKind,
    /// What of a message it chooses by, if it does.
    hash_on: HashOn,
    /// Where it says whether something is bound to it, if somebody wants to know.
    listened: Option<Arc<AtomicBool>>,
    /// The last messages it got, if it keeps any. Locked for one message, or to copy them all.
    history: Option<Mutex<History<Message>>>,
    /// What it remembers of messages that may come twice, if it does.
    deduplicator: Option<Arc<Deduplicator>>,
    meter: Arc<ExchangeMeter>,
}

impl Exchange {
    /// An exchange without bindings. Its arguments have been checked.
    pub(crate) fn new(name: &str, settings: ExchangeSettings) -> Arc<Self> {
        Arc::new(Self::build(name, settings))
    }

    /// The same; it says there whether something is bound to it.
    pub(super) fn listened_to(
        name: &str,
        settings: ExchangeSettings,
        listened: &Arc<AtomicBool>,
    ) -> Arc<Self> {
        let listened = Some(Arc::clone(listened));
        Arc::new(Self { listened, ..Self::build(name, settings) })
    }

    fn build(name: &str, settings: ExchangeSettings) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let kind = settings.kind.routing(&settings.arguments);
        let keeps = kind == ExchangeKind::RecentHistory;
        Self {
            id: LAST.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            router: RwLock::new(Router::new(kind)),
            kind,
            generation: AtomicU64::new(0),
            alternate: ArcSwapOption::new(alternate_in(&settings.arguments)),
            told_to_delay: AtomicBool::new(false),
            hash_on: HashOn::of(&settings.arguments).unwrap_or_default(),
            deduplicator: Deduplicator::of(&settings.arguments, settings.window),
            history: keeps.then(|| Mutex::new(History::of(&settings.arguments))),
            settings,
            listened: None,
            meter: Arc::default(),
        }
    }

    /// Its number: no other exchange of this process has it.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it was declared with.
    pub(crate) fn settings(&self) -> &ExchangeSettings {
        &self.settings
    }

    /// What was published to it.
    pub(crate) fn meter(&self) -> &Arc<ExchangeMeter> {
        &self.meter
    }

    /// How it matches.
    pub(super) fn kind(&self) -> ExchangeKind {
        self.kind
    }

    /// Whether there may be rules over its routing keys.
    pub(crate) fn is_topic(&self) -> bool {
        self.kind == ExchangeKind::Topic
    }

    /// Whether messages may have to wait before it routes them.
    pub(crate) fn delays(&self) -> bool {
        self.settings.kind == ExchangeKind::Delayed || self.told_to_delay.load(Ordering::Relaxed)
    }

    /// Where messages go that it cannot route.
    pub(crate) fn alternate(&self) -> Option<Arc<String>> {
        self.alternate.load_full()
    }

    /// From now on these arguments count. Returns whether that makes a difference: then routes over
    /// other exchanges to this one may not count any more, either.
    pub(super) fn set_effective(&self, effective: &Effective) -> bool {
        let alternate = alternate_in(effective.arguments());
        // Who declares an exchange says by its type whether it delays.
        let by_policy = effective.origin(DELAYED_MESSAGE).is_some_and(|by| *by != Origin::Argument);
        let delays = effective.arguments().get(DELAYED_MESSAGE).and_then(FieldValue::as_bool);
        let delays = by_policy && delays == Some(true);
        if *self.alternate.load() == alternate
            && self.told_to_delay.load(Ordering::Relaxed) == delays
        {
            return false;
        }
        self.alternate.store(alternate);
        self.told_to_delay.store(delays, Ordering::Relaxed);
        self.altered();
        true
    }

    /// What of a message it hashes, if it is a consistent hash exchange.
    pub(super) fn hash_on(&self) -> &HashOn {
        &self.hash_on
    }

    /// What it remembers of messages that may come twice, if it does.
    pub(super) fn deduplicator(&self) -> Option<&Arc<Deduplicator>> {
        self.deduplicator.as_ref()
    }

    /// Takes back what it remembered, before anyone uses it.
    pub(crate) fn restore_keys(&self, recovered: RecoveredQueue) {
        if let Some(deduplicator) = &self.deduplicator {
            deduplicator.restore(recovered);
        }
    }

    /// Keeps a message that came by for those that are bound later, if it is a recent history
    /// exchange.
    pub(crate) fn keep(&self, message: &Message) {
        if let Some(history) = &self.history {
            history.lock().keep(message.clone());
        }
    }

    /// What it has kept, for a destination whose binding is there by now. Of what is published
    /// meanwhile something may come twice, as in RabbitMQ; see `session::channel::catch_up`.
    pub(super) fn missed_by(&self, destination: Destination) -> Option<Missed> {
        let messages = self.history.as_ref()?.lock().messages();
        (!messages.is_empty()).then_some(Missed { destination, messages })
    }

    /// Its bindings, to read them.
    pub(super) fn router(&self) -> RwLockReadGuard<'_, Router<Destination>> {
        self.router.read()
    }

    /// Changes its bindings: no route that was found before counts any more.
    pub(super) fn rebind<T>(&self, change: impl FnOnce(&mut Router<Destination>) -> T) -> T {
        let mut router = self.router.write();
        let changed = change(&mut router);
        if let Some(listened) = &self.listened {
            listened.store(!router.is_empty(), Ordering::Relaxed);
        }
        drop(router);
        self.altered();
        changed
    }

    /// Routes that were found before do not count any more.
    pub(super) fn altered(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Read before the router: what was found meanwhile counts while this stays.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

fn alternate_in(arguments: &FieldTable) -> Option<Arc<String>> {
    let name = arguments.get(ALTERNATE_EXCHANGE).and_then(FieldValue::as_str)?;
    Some(Arc::new(name.to_owned()))
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange('{}', {})", self.name, self.settings.kind)
    }
}

/// Where a binding leads.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// A queue.
    Queue(Arc<Queue>),
    /// Another exchange (RabbitMQ's exchange to exchange bindings).
    Exchange(Arc<Exchange>),
}

/// What a recent history exchange has kept for a destination that is new to it.
#[derive(Debug)]
pub(crate) struct Missed {
    /// Who is to get them.
    pub destination: Destination,
    /// The oldest first.
    pub messages: Vec<Message>,
}

/// What identifies a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DestinationId {
    /// A queue's number.
    Queue(u64),
    /// An exchange's number.
    Exchange(u64),
}

impl Destination {
    /// What identifies it.
    pub(crate) fn id(&self) -> DestinationId {
        match self {
            Self::Queue(queue) => DestinationId::Queue(queue.id().0),
            Self::Exchange(exchange) => DestinationId::Exchange(exchange.id),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Queue(queue) => queue.name(),
            Self::Exchange(exchange) => exchange.name(),
        }
    }

    /// Whether it comes back after a restart.
    pub(crate) fn is_durable(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.settings().durable,
            Self::Exchange(exchange) => exchange.settings().durable,
        }
    }
}

impl Target for Destination {
    /// Exchanges before queues, and by their names: as RabbitMQ sorts them.
    fn address(&self) -> Box<[u8]> {
        let kind = match self {
            Self::Exchange(_) => 0,
            Self::Queue(_) => 1,
        };
        [&[kind], self.name().as_bytes()].concat().into()
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Destination {}

impl Hash for Destination {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}
