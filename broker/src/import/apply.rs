//! Makes a broker have what a document defines.
//!
//! A room of `import`; `check` has let the document pass. Everything goes the way that clients and
//! management take, so all that is durable is proposed, with ids and names decided here, and counts at
//! once for what runs. What is stored as it stands in the document is not proposed again: a start on a
//! full disk writes nothing.

use std::collections::BTreeMap;

use leveret_storage::metadata::{Change, Snapshot};

use crate::broker::Broker;
use crate::broker::access::{By, Refused, VhostDraft};
use crate::definitions::command::{Access, Command, Parameter, PolicyChange};
use crate::definitions::document::{Document, DocumentError, QueueDefinition};
use crate::definitions::parameters::{GlobalParameterRecord, ParameterRecord};
use crate::definitions::records::{BindingRecord, ExchangeRecord, Record, VhostRecord};
use crate::error::ResourceName;
use crate::events::definitions;
use crate::keys::ConnectionId;
use crate::policy::Policy;
use crate::queue::{QueueSettings, arguments};
use crate::vhost::Vhost;
use crate::vhost::bindings::Ends;
use crate::vhost::destination::ExchangeSettings;
use crate::vhost::topology::{Changed, Refusal};

/// See the module documentation. `by` is who asks while the broker runs; there is nobody at its start.
///
/// # Errors
/// What could not be made, and why: a limit, or a full disk. What came before it in the document is
/// there.
pub(super) fn apply(
    document: Document,
    broker: &Broker,
    stored: &Snapshot,
    by: Option<By<'_>>,
) -> Result<(), DocumentError> {
    let _acting = by.map(|by| broker.events().acting(by.name(), ""));
    apply_access(&document, broker, stored, by)?;
    for exchange in document.exchanges {
        declare_exchange(exchange, broker)?;
    }
    let global = document.global_parameters.into_iter().filter(|given| is_new(given, stored));
    let given = document.parameters.into_iter().filter(|given| is_new(given, stored));
    match by {
        Some(by) => set_parameters(global, given, broker, by)?,
        None => {
            let global = global.map(Parameter::PutGlobal);
            keep_parameters(global.chain(given.map(Parameter::Put)), broker)?;
        }
    }
    apply_policies(document.policies, broker)?;
    for queue in document.queues {
        declare_queue(queue, broker)?;
    }
    for binding in document.bindings {
        bind(binding, broker)?;
    }
    Ok(())
}

/// At the start: all of them at once.
fn keep_parameters(
    parameters: impl Iterator<Item = Parameter>,
    broker: &Broker,
) -> Result<(), DocumentError> {
    let parameters: Vec<Command> = parameters.map(Command::from).collect();
    if !parameters.is_empty() && !broker.definitions().has_room() {
        return Err(DocumentError::new("parameters", "the disk is full"));
    }
    broker.definitions().propose(&parameters);
    parameters.iter().for_each(|command| take_effect(command, broker));
    Ok(())
}

/// While others may change them as well.
fn set_parameters(
    global: impl Iterator<Item = GlobalParameterRecord>,
    given: impl Iterator<Item = ParameterRecord>,
    broker: &Broker,
    by: By<'_>,
) -> Result<(), DocumentError> {
    let refused = |refused: Refused| DocumentError::new("parameters", refused.to_string());
    for parameter in global {
        drop(broker.set_global_parameter(by, parameter).map_err(refused)?);
    }
    for parameter in given {
        let limits = parameter.vhost_limits().zip(broker.vhost(&parameter.vhost));
        // Kept as it is given, also what is no limit: `-1` is exported as `-1`.
        drop(broker.set_parameter(by, parameter).map_err(refused)?);
        if let Some((limits, vhost)) = limits {
            vhost.set_own_limits(limits);
        }
    }
    Ok(())
}

/// A parameter is there now.
fn take_effect(command: &Command, broker: &Broker) {
    let Command::Parameter(parameter) = command else { return };
    broker.heed(parameter);
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
    by: Option<By<'_>>,
) -> Result<(), DocumentError> {
    let users = document.users.iter().filter(|user| is_new(*user, stored));
    let users = users.cloned().map(Access::PutUser);
    let permissions = document.permissions.iter().filter(|given| is_new(*given, stored));
    let permissions = permissions.cloned().map(Access::SetPermissions);
    match by {
        Some(by) => {
            change_access(users.collect(), broker)?;
            document.vhosts.iter().try_for_each(|vhost| put_vhost(vhost, broker, by))?;
            // Whoever makes a vhost may do everything in it, unless the document says otherwise.
            change_access(permissions.collect(), broker)?;
        }
        None => {
            let kept = document.vhosts.iter().map(|vhost| as_traced(vhost, broker));
            let vhosts = kept.filter(|vhost| is_new(vhost, stored)).map(Access::PutVhost);
            change_access(users.chain(vhosts).chain(permissions).collect(), broker)?;
            document.vhosts.iter().for_each(|vhost| add_vhost(vhost, broker));
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

/// At the start, where it is defined already.
fn add_vhost(vhost: &VhostRecord, broker: &Broker) {
    match broker.vhost(&vhost.name) {
        Some(there) => there.describe(vhost),
        None => {
            broker.add_vhost(vhost);
            drop(broker.give_defaults(&vhost.name));
        }
    }
}

/// While others may make or delete it as well.
fn put_vhost(vhost: &VhostRecord, broker: &Broker, by: By<'_>) -> Result<(), DocumentError> {
    let draft = VhostDraft {
        description: Some(vhost.description.clone()),
        tags: Some(vhost.tags.clone()),
        default_queue_type: Some(vhost.default_queue_type.clone().unwrap_or_default()),
        protected_from_deletion: Some(vhost.protected_from_deletion),
        tracing: None,
    };
    let put = broker.put_vhost(by, &vhost.name, &draft);
    put.map(drop).map_err(|refused| {
        DocumentError::new(format!("vhost '{}'", vhost.name), refused.to_string())
    })
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
    let declared = patiently(&vhost, || vhost.declare_exchange(&exchange.name, settings.clone()));
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
    let declared = patiently(&vhost, || vhost.declare_queue(&queue.name, settings.clone(), NOBODY));
    done(declared, || resource.to_string())
}

fn bind(binding: BindingRecord, broker: &Broker) -> Result<(), DocumentError> {
    let BindingRecord { vhost: name, source, destination, routing_key, arguments, .. } = binding;
    let Some(vhost) = broker.vhost(&name) else { return Ok(()) };
    let kind = binding.destination_kind;
    let ends = Ends { source: &source, kind, destination: &destination };
    let bound = patiently(&vhost, || vhost.bind(ends, &routing_key, arguments.clone(), NOBODY));
    done(bound, || format!("binding from '{source}' to '{destination}' in vhost '{name}'"))
}

/// No client's connection has this number.
pub(super) const NOBODY: ConnectionId = ConnectionId(0);

/// Makes a change, after what is being removed meanwhile.
pub(super) fn patiently<T>(vhost: &Vhost, mut change: impl FnMut() -> Changed<T>) -> Changed<T> {
    loop {
        match change() {
            Err(Refusal::Later) => vhost.settle(),
            changed => return changed,
        }
    }
}

/// Whoever loads waits for everything at once.
pub(super) fn done<T>(
    changed: Changed<T>,
    object: impl Fn() -> String,
) -> Result<(), DocumentError> {
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
