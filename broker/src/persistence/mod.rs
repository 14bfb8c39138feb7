//! The only caller of the storage crate: what is made durable, and how callers wait.
//!
//! `vhost::topology` proposes changes while it holds its lock, so the store sees them in the order
//! they were made; channels wait for the returned `Durable` before they answer. Messages go to
//! `messages` in batches, one a read of a connection, and come back with a ticket that the
//! publisher's confirms wait for. Stays true: a declare, bind or delete of something durable is
//! answered only after it is on disk, and nothing that is not durable costs a write.

pub mod messages;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_storage::StorageError;
use leveret_storage::messages::Ticket;
use leveret_storage::metadata::{Change, MetadataStore, Proposal};

use self::messages::Messages;
use crate::definitions::{BindingRecord, DestinationKind, ExchangeRecord, QueueRecord, Record};
use crate::queue::{Queue, QueueId};
use crate::vhost::destination::{Destination, Exchange};
use crate::vhost::exchange::Binding;

/// A moment: when a change is on disk.
#[derive(Debug, Default)]
#[must_use = "whoever is answered before a change is durable may be told a lie"]
pub struct Durable {
    defined: Option<Proposal>,
    stored: Option<(Arc<Messages>, Ticket)>,
}

impl Durable {
    /// There is nothing to wait for.
    pub fn now() -> Self {
        Self::default()
    }

    /// When messages are stored as well, if there are any.
    pub fn and_stored(mut self, messages: &Arc<Messages>, ticket: Option<Ticket>) -> Self {
        self.stored = ticket.map(|ticket| (Arc::clone(messages), ticket));
        self
    }

    /// Whether there is nothing to wait for.
    pub fn is_now(&self) -> bool {
        self.defined.is_none() && self.stored.is_none()
    }

    /// Waits.
    ///
    /// # Errors
    /// The change could not be stored.
    pub async fn wait(self) -> Result<(), StorageError> {
        if let Some(proposal) = self.defined {
            proposal.await?;
        }
        match self.stored {
            Some((messages, ticket)) => messages.progress().reached(ticket).await,
            None => Ok(()),
        }
    }
}

/// Where definitions are kept.
#[derive(Debug)]
pub struct Definitions {
    store: Arc<dyn MetadataStore>,
    next_queue_id: AtomicU64,
}

impl Definitions {
    /// In this store; `boot_epoch` was never used by an earlier start.
    pub fn new(store: Arc<dyn MetadataStore>, boot_epoch: u32) -> Self {
        Self { store, next_queue_id: AtomicU64::new(u64::from(boot_epoch) << 32) }
    }

    /// A number that no queue ever had: the count of starts, then the count within this one.
    pub fn next_queue_id(&self) -> QueueId {
        QueueId(self.next_queue_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands changes to the store, without waiting.
    pub fn propose(&self, changes: TopologyChanges) -> Durable {
        if changes.0.is_empty() {
            return Durable::now();
        }
        Durable { defined: Some(self.store.propose(changes.0)), stored: None }
    }
}

/// The durable part of one change to a vhost's topology. What is not durable is passed over here,
/// so callers name everything that happened.
#[derive(Debug, Default)]
pub struct TopologyChanges(Vec<Change>);

impl TopologyChanges {
    /// An exchange is new.
    pub fn exchange_declared(&mut self, vhost: &str, exchange: &Exchange) {
        if exchange.settings().durable {
            self.0.push(exchange_record(vhost, exchange).put());
        }
    }

    /// An exchange is gone.
    pub fn exchange_deleted(&mut self, vhost: &str, exchange: &Exchange) {
        if exchange.settings().durable {
            self.0.push(exchange_record(vhost, exchange).delete());
        }
    }

    /// A queue is new.
    pub fn queue_declared(&mut self, queue: &Queue) {
        if queue.settings().durable {
            self.0.push(queue_record(queue).put());
        }
    }

    /// A queue is gone.
    pub fn queue_deleted(&mut self, queue: &Queue) {
        if queue.settings().durable {
            self.0.push(queue_record(queue).delete());
        }
    }

    /// A binding is new.
    pub fn bound(&mut self, vhost: &str, source: &Exchange, binding: &Binding<Destination>) {
        if is_durable(source, binding) {
            self.0.push(binding_record(vhost, source, binding).put());
        }
    }

    /// A binding is gone.
    pub fn unbound(&mut self, vhost: &str, source: &Exchange, binding: &Binding<Destination>) {
        if is_durable(source, binding) {
            self.0.push(binding_record(vhost, source, binding).delete());
        }
    }
}

/// A binding comes back after a restart when both its ends do.
fn is_durable(source: &Exchange, binding: &Binding<Destination>) -> bool {
    source.settings().durable && binding.destination.is_durable()
}

fn exchange_record(vhost: &str, exchange: &Exchange) -> ExchangeRecord {
    let settings = exchange.settings();
    ExchangeRecord {
        vhost: vhost.to_owned(),
        name: exchange.name().to_owned(),
        kind: settings.kind,
        durable: settings.durable,
        auto_delete: settings.auto_delete,
        internal: settings.internal,
        arguments: settings.arguments.clone(),
    }
}

fn queue_record(queue: &Queue) -> QueueRecord {
    let settings = queue.settings();
    QueueRecord {
        id: queue.id().0,
        vhost: queue.vhost().to_owned(),
        name: queue.name().to_owned(),
        durable: settings.durable,
        auto_delete: settings.auto_delete,
        arguments: settings.arguments.clone(),
    }
}

fn binding_record(vhost: &str, source: &Exchange, binding: &Binding<Destination>) -> BindingRecord {
    let destination_kind = match binding.destination {
        Destination::Queue(_) => DestinationKind::Queue,
        Destination::Exchange(_) => DestinationKind::Exchange,
    };
    BindingRecord {
        vhost: vhost.to_owned(),
        source: source.name().to_owned(),
        destination_kind,
        destination: binding.destination.name().to_owned(),
        routing_key: binding.routing_key.clone(),
        arguments: binding.arguments.clone(),
    }
}
