//! Makes a broker have what a document defines.
//!
//! A room of `import`; `check` has let the document pass. Everything goes the way that clients and
//! management take, so all that is durable is proposed, with ids and names decided here. What is
//! stored as it stands in the document is not proposed again: a start on a full disk writes nothing.

use std::collections::BTreeMap;

use leveret_storage::metadata::{Change, Snapshot};

use crate::broker::Broker;
use crate::definitions::command::{Access, Command, Parameter, PolicyChange};
use crate::definitions::document::{Document, DocumentError, QueueDefinition};
use crate::definitions::records::{BindingRecord, ExchangeRecord, Record, VhostRecord};
use crate::error::ResourceName;
use crate::events::definitions;
use crate::keys::ConnectionId;
use crate::policy::Policy;
use crate::queue::{QueueSettings, arguments};
use crate::vhost::bindings::Ends;
use crate::vhost::destination::ExchangeSettings;
use crate::vhost::topology::{Changed, Refusal};

/// See the module documentation.
///
/// # Errors
/// What could not be made, and why: a limit, or a full disk. What came before it in the document is
/// there.
pub(super) fn apply(
    document: Document,
    broker: &Broker,
    stored: &Snapshot,
) -> Result<(), DocumentError> {
    apply_access(&document, broker, stored)?;
    for exchange in document.exchanges {
        declare_exchange(exchange, broker)?;
    }
    let mut parameters: Vec<Command> = Vec::new();
    let mut keep = |parameter: Parameter| parameters.push(parameter.into());
    let global = document.global_parameters.into_iter().filter(|given| is_new(given, stored));
    global.map(Parameter::PutGlobal).for_each(&mut keep);
    let given = document.parameters.into_iter().filter(|given| is_new(given, stored));
    given.map(Parameter::Put).for_each(&mut keep);
    if !parameters.is_empty() && !broker.definitions().has_room() {
        return Err(DocumentError::new("parameters", "the disk is full"));
    }
    broker.definitions().propose(&parameters);
    parameters.iter().for_each(|command| take_effect(command, broker));
    apply_policies(document.policies, broker)?;
    for queue in document.queues {
        declare_queue(queue, broker)?;
    }
    for binding in document.bindings {
        bind(binding, broker)?;
    }
    Ok(())
}

/// A parameter is there now.
fn take_effect(command: &Command, broker: &Broker) {
    let Command::Parameter(parameter) = command else { return };
    if let Parameter::Put(given) = parameter
        && let (Some(limits), Some(vhost)) = (given.vhost_limits(), broker.vhost(&given.vhost))
    {
        vhost.set_own_limits(limits);
    }
    definitions::tell_of_parameter(broker.events(), parameter);
}

/// Whether it is not stored, or otherwise than this.
fn is_new(record: &impl Record, stored: &Snapshot) -> bool {
    match record.put() {
        Change::Put { key, value } => stored.get(&key) != Some(&value),
        Change::Delete { .. } => false,
    }
}

fn apply_access(
    document: &Document,
    broker: &Broker,
    stored: &Snapshot,
) -> Result<(), DocumentError> {
    let users = document.users.iter().filter(|user| is_new(*user, stored));
    let kept = document.vhosts.iter().map(|vhost| as_traced(vhost, broker));
    let vhosts = kept.filter(|vhost| is_new(vhost, stored));
    let permissions = document.permissions.iter().filter(|given| is_new(*given, stored));
    let users = users.cloned().map(Access::PutUser);
    let vhosts = vhosts.map(Access::PutVhost);
    let permissions = permissions.cloned().map(Access::SetPermissions);
    change_access(users.chain(vhosts).chain(permissions).collect(), broker)?;
    for vhost in &document.vhosts {
        match broker.vhost(&vhost.name) {
            Some(there) => there.describe(vhost),
            None => {
                broker.add_vhost(vhost);
                drop(broker.give_defaults(&vhost.name));
            }
        }
    }
    for (name, is_traced) in &document.tracing {
        if let Some(vhost) = broker.vhost(name) {
            drop(vhost.set_tracing(*is_traced));
        }
    }
    let topics = document.topic_permissions.iter().filter(|given| is_new(*given, stored));
    change_access(topics.cloned().map(Access::SetTopicPermission).collect(), broker)
}

fn change_access(changes: Vec<Access>, broker: &Broker) -> Result<(), DocumentError> {
    let changed = broker.users().change(changes).map(drop);
    changed.map_err(|error| DocumentError::new("users and permissions", error.to_string()))
}

/// Whether a vhost is traced is changed by itself.
fn as_traced(vhost: &VhostRecord, broker: &Broker) -> VhostRecord {
    let tracing = broker.vhost(&vhost.name).is_some_and(|there| there.is_traced());
    VhostRecord { tracing, ..vhost.clone() }
}

/// All of a vhost at once, and then the look at its queues and exchanges.
fn apply_policies(policies: Vec<Policy>, broker: &Broker) -> Result<(), DocumentError> {
    let mut of_vhosts = BTreeMap::<String, Vec<Policy>>::new();
    for policy in policies {
        of_vhosts.entry(policy.vhost.clone()).or_default().push(policy);
    }
    for (name, policies) in of_vhosts {
        let Some(vhost) = broker.vhost(&name) else { continue };
        let there = vhost.policies();
        let is_new = |policy: &Policy| {
            there.get(policy.kind, &policy.name).is_none_or(|there| **there != *policy)
        };
        let changes: Vec<_> = policies.into_iter().filter(is_new).map(PolicyChange::Put).collect();
        if changes.is_empty() {
            continue;
        }
        let changed = vhost.change_policies(changes);
        drop(changed.map_err(|error| {
            DocumentError::new(format!("policies in vhost '{name}'"), error.to_string())
        })?);
        vhost.policies_changed_now();
    }
    Ok(())
}

fn declare_exchange(exchange: ExchangeRecord, broker: &Broker) -> Result<(), DocumentError> {
    let Some(vhost) = broker.vhost(&exchange.vhost) else { return Ok(()) };
    if vhost.exchange(&exchange.name).is_some() {
        return Ok(());
    }
    let settings = ExchangeSettings {
        kind: exchange.kind,
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: exchange.arguments,
        window: None,
    };
    let declared = vhost.declare_exchange(&exchange.name, settings);
    done(declared, || ResourceName::exchange(&exchange.vhost, &exchange.name).to_string())
}

fn declare_queue(queue: QueueDefinition, broker: &Broker) -> Result<(), DocumentError> {
    let Some(vhost) = broker.vhost(&queue.vhost) else { return Ok(()) };
    if vhost.queue(&queue.name).is_some() {
        return Ok(());
    }
    let resource = ResourceName::queue(&queue.vhost, &queue.name);
    let parsed = arguments::parse(&queue.arguments, &resource)
        .map_err(|error| DocumentError::new(resource.to_string(), error.to_string()))?;
    let settings = QueueSettings {
        durable: queue.durable,
        auto_delete: queue.auto_delete,
        owner: None,
        arguments: queue.arguments,
        parsed,
        window: None,
    };
    let declared = vhost.declare_queue(&queue.name, settings, NOBODY);
    done(declared, || resource.to_string())
}

fn bind(binding: BindingRecord, broker: &Broker) -> Result<(), DocumentError> {
    let BindingRecord { vhost: name, source, destination, routing_key, arguments, .. } = binding;
    let Some(vhost) = broker.vhost(&name) else { return Ok(()) };
    let kind = binding.destination_kind;
    let ends = Ends { source: &source, kind, destination: &destination };
    let bound = vhost.bind(ends, &routing_key, arguments, NOBODY);
    done(bound, || format!("binding from '{source}' to '{destination}' in vhost '{name}'"))
}

/// No client's connection has this number.
const NOBODY: ConnectionId = ConnectionId(0);

/// Whoever loads waits for everything at once.
fn done<T>(changed: Changed<T>, object: impl Fn() -> String) -> Result<(), DocumentError> {
    match changed {
        Ok((_, durable)) => {
            drop(durable);
            Ok(())
        }
        Err(Refusal::Later) => Err(DocumentError::new(object(), "something is being removed")),
        Err(Refusal::Error(refused)) => {
            Err(DocumentError::new(object(), refused.error.to_string()))
        }
    }
}
