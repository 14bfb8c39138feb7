//! What a broker has, as a document: what is exported, and what a document is held against.
//!
//! A room of `import`. Stays true: everything in a stable order; what goes with a connection is not in
//! it, nor what has a name that the broker gave (`amq.`) and what is bound to that, since nobody could
//! import it: RabbitMQ exports such queues and bindings all the same.

use std::sync::Arc;

use leveret_protocol::types::FieldTable;
use leveret_storage::StorageError;
use leveret_storage::metadata::Snapshot;
use thiserror::Error;

use crate::broker::Broker;
use crate::definitions::document::{Document, QueueDefinition, Scope};
use crate::definitions::parameters;
use crate::definitions::records::{BindingRecord, DefinitionError, ExchangeRecord};
use crate::policy::Policy;
use crate::queue::Queue;
use crate::vhost::Vhost;
use crate::vhost::destination::Destination;

/// Why definitions cannot be read. One line.
#[derive(Debug, Error)]
pub(crate) enum Unread {
    /// The store has failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Something in it is not what this version writes.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
}

/// Everything that was answered so far. Blocks until it is on disk.
///
/// # Errors
/// The store has failed.
pub(super) fn stored(broker: &Broker) -> Result<Snapshot, Unread> {
    broker.definitions().settled().wait()?;
    Ok(broker.definitions().read()?)
}

/// See the module documentation. Of a vhost that is not there, nothing.
///
/// # Errors
/// A parameter cannot be read.
pub(super) fn gather(
    broker: &Broker,
    scope: Scope<'_>,
    stored: &Snapshot,
) -> Result<Document, Unread> {
    let mut document = Document::default();
    let mut vhosts = match scope {
        Scope::Whole => broker.all_vhosts(),
        Scope::Vhost(name) => broker.vhost(name).into_iter().collect(),
    };
    vhosts.sort_by(|one, other| one.name().cmp(other.name()));
    let is_there = |name: &str| vhosts.iter().any(|vhost| vhost.name() == name);
    if scope == Scope::Whole {
        gather_access(broker, &mut document);
        let global = parameters::global(stored)?.into_iter();
        document.global_parameters =
            global.filter(|given| !given.name.starts_with(INTERNAL)).collect();
    }
    let all = parameters::of_vhosts(stored)?.into_iter();
    document.parameters = all.filter(|given| is_there(&given.vhost)).collect();
    for vhost in &vhosts {
        gather_vhost(vhost, &mut document);
    }
    Ok(document)
}

/// What RabbitMQ's own global parameters begin with, which are not exported.
const INTERNAL: &str = "internal";

fn gather_access(broker: &Broker, document: &mut Document) {
    let users = broker.users();
    document.users = users.all();
    document.permissions = users.all_permissions();
    document.permissions.sort_by(|one, other| {
        let [one, other] = [one, other].map(|given| (&given.vhost, &given.user));
        one.cmp(&other)
    });
    document.topic_permissions = users.all_topic_permissions();
    document.topic_permissions.sort_by(|one, other| {
        let [one, other] = [one, other].map(|given| (&given.vhost, &given.user, &given.exchange));
        one.cmp(&other)
    });
}

fn gather_vhost(vhost: &Arc<Vhost>, document: &mut Document) {
    document.vhosts.push(vhost.about());
    let mut policies: Vec<_> = vhost.policies().all().map(|one| Policy::clone(one)).collect();
    policies.sort_by(|one, other| one.name.cmp(&other.name));
    document.policies.extend(policies);
    let exchanges = vhost.exchanges();
    let mut declared: Vec<ExchangeRecord> = exchanges
        .iter()
        .filter(|exchange| !is_given(exchange.name()))
        .map(|exchange| ExchangeRecord { window: None, ..vhost.described(exchange) })
        .collect();
    declared.sort_by(|one, other| one.name.cmp(&other.name));
    document.exchanges.extend(declared);
    let queues = vhost.queues().into_iter().filter(|queue| counts(queue));
    let mut queues: Vec<_> = queues.map(|queue| defined(&queue)).collect();
    queues.sort_by(|one, other| one.name.cmp(&other.name));
    document.queues.extend(queues);
    let to_what_counts = |destination: &Destination| match destination {
        Destination::Queue(queue) => counts(queue),
        Destination::Exchange(_) => true,
    };
    let bindings = exchanges.iter().flat_map(|from| vhost.bindings_from(from, to_what_counts));
    let mut bindings: Vec<_> = bindings.collect();
    bindings.sort_by_cached_key(place);
    document.bindings.extend(bindings);
}

/// Whether it is the broker that gave the name.
fn is_given(name: &str) -> bool {
    name.starts_with("amq.")
}

fn counts(queue: &Queue) -> bool {
    queue.settings().owner.is_none() && !is_given(queue.name())
}

fn defined(queue: &Queue) -> QueueDefinition {
    let settings = queue.settings();
    QueueDefinition {
        vhost: queue.vhost().to_owned(),
        name: queue.name().to_owned(),
        durable: settings.durable,
        auto_delete: settings.auto_delete,
        arguments: FieldTable::clone(&queue.arguments()),
    }
}

/// Where a binding stands among those of its vhost.
fn place(binding: &BindingRecord) -> (String, String, String, Vec<u8>) {
    let BindingRecord { source, destination, routing_key, arguments, .. } = binding;
    (source.clone(), destination.clone(), routing_key.clone(), arguments.to_bytes())
}
