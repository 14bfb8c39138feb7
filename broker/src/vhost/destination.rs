//! The nodes of a vhost's routing graph: exchanges, and the queues and exchanges bound to them.
//!
//! Built by `vhost::topology`, read by `vhost::routing`. Stays true: an exchange's router holds
//! exactly its bindings; whoever changes it holds the vhost's topology lock, and both generations,
//! the exchange's and the vhost's, are raised afterwards.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_protocol::types::{FieldTable, FieldValue};
use parking_lot::{RwLock, RwLockReadGuard};

use crate::exchange::{ExchangeKind, Router};
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
}

/// An exchange and its bindings.
pub(crate) struct Exchange {
    id: u64,
    name: Box<str>,
    settings: ExchangeSettings,
    /// Written with the vhost's topology lock held; read by every publish that is not cached.
    router: RwLock<Router<Destination>>,
    /// Grows when the router changes, and when the exchange is deleted.
    generation: AtomicU64,
}

impl Exchange {
    /// An exchange without bindings.
    pub(crate) fn new(name: &str, settings: ExchangeSettings) -> Arc<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let router = RwLock::new(Router::new(settings.kind));
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { id, name: name.into(), settings, router, generation: AtomicU64::new(0) })
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

    /// Where messages go that it cannot route.
    pub(crate) fn alternate(&self) -> Option<&str> {
        self.settings.arguments.get(ALTERNATE_EXCHANGE).and_then(FieldValue::as_str)
    }

    /// Its bindings, to read them.
    pub(super) fn router(&self) -> RwLockReadGuard<'_, Router<Destination>> {
        self.router.read()
    }

    /// Changes its bindings: no route that was found before counts any more.
    pub(super) fn rebind<T>(&self, change: impl FnOnce(&mut Router<Destination>) -> T) -> T {
        let changed = change(&mut self.router.write());
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
