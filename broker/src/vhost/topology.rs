//! Changes to a vhost's exchanges, queues and bindings.
//!
//! Called by `session::channel` and when connections end. One change at a
//! time per vhost, under the topology lock; what is durable is handed to the metadata store inside
//! it, so that the store sees the changes in the order they were made, and the caller waits for the
//! returned `Durable` before it answers the client. Rules: RabbitMQ's exchange, queue and binding
//! semantics, with its texts.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;
use leveret_protocol::types::FieldTable;

use super::Vhost;
use super::destination::{
    ALTERNATE_EXCHANGE, Destination, DestinationId, Exchange, ExchangeSettings,
};
use super::records::TopologyChanges;
use crate::definitions::store::Durable;
use crate::error::{ChannelError, ResourceName};
use crate::exchange::{Binding, Router};
use crate::keys::{ConnectionId, QueueId};
use crate::queue::arguments::{self, assert_argument_equivalent};
use crate::queue::{DeleteRefused, Queue, QueueSettings};

/// For every destination the exchanges that have a binding to it: where to look when it goes.
pub(super) type Incoming = HashMap<DestinationId, Vec<Arc<Exchange>>, RandomState>;

/// A deleted queue: how many ready messages it had.
#[derive(Debug)]
pub(crate) struct DeletedQueue {
    /// Ready messages it had.
    pub ready: usize,
    /// When the deletion is on disk.
    pub durable: Durable,
}

/// A declared queue.
#[derive(Debug)]
pub(crate) struct DeclaredQueue {
    /// The queue, new or not.
    pub queue: Arc<Queue>,
    /// When the declaration is on disk.
    pub durable: Durable,
}

impl Vhost {
    /// Declares an exchange, or checks that the one there is equivalent.
    pub(crate) fn declare_exchange(
        &self,
        name: &str,
        settings: ExchangeSettings,
    ) -> Result<Durable, ChannelError> {
        let _topology = self.topology.lock();
        if let Some(existing) = self.exchange(name) {
            return self.assert_exchange_equivalent(&existing, &settings).map(|()| Durable::now());
        }
        if name.starts_with("amq.") {
            return Err(ChannelError::Refused(format!(
                "exchange name '{name}' contains reserved prefix 'amq.*'"
            )));
        }
        self.assert_exchange_allowed(name)?;
        let exchange = Exchange::new(name, settings);
        let mut changes = TopologyChanges::default();
        changes.exchange_declared(&self.name, &exchange);
        self.add_exchange(name, exchange);
        self.topology_changed();
        Ok(self.definitions.propose(changes.into_changes()))
    }

    fn assert_exchange_allowed(&self, name: &str) -> Result<(), ChannelError> {
        let count = self.limits.exchanges.load(Ordering::Relaxed);
        match self.limits.exchanges_max {
            Some(limit) if count >= limit => Err(ChannelError::Precondition(format!(
                "cannot declare {}: exchange limit of {limit} is reached",
                self.exchange_name(name)
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn assert_queue_allowed(&self, name: &str) -> Result<(), ChannelError> {
        let count = self.limits.queues.load(Ordering::Relaxed);
        match self.limits.queues_max {
            Some(limit) if count >= limit => Err(ChannelError::Precondition(format!(
                "cannot declare queue '{name}': queue limit in cluster ({limit}) is reached"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn add_exchange(&self, name: &str, exchange: Arc<Exchange>) {
        if self.exchanges.insert(name.into(), exchange).is_none() {
            self.limits.exchanges.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn add_queue(&self, name: &str, queue: Arc<Queue>) {
        if self.queues.insert(name.into(), queue).is_none() {
            self.limits.queues.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn assert_exchange_equivalent(
        &self,
        existing: &Exchange,
        received: &ExchangeSettings,
    ) -> Result<(), ChannelError> {
        let resource = self.exchange_name(existing.name());
        let current = existing.settings();
        let kinds = (received.kind.name(), current.kind.name());
        assert_attribute("type", kinds.0, kinds.1, &resource)?;
        assert_flag("durable", received.durable, current.durable, &resource)?;
        assert_flag("auto_delete", received.auto_delete, current.auto_delete, &resource)?;
        assert_flag("internal", received.internal, current.internal, &resource)?;
        let argument = |table: &FieldTable| table.get(ALTERNATE_EXCHANGE).cloned();
        assert_argument_equivalent(
            ALTERNATE_EXCHANGE,
            argument(&received.arguments).as_ref(),
            argument(&current.arguments).as_ref(),
            &resource,
        )
    }

    /// Deletes an exchange with all its bindings. One that does not exist is no error.
    pub(crate) fn delete_exchange(
        &self,
        name: &str,
        if_unused: bool,
    ) -> Result<Durable, ChannelError> {
        let mut incoming = self.topology.lock();
        let Some(exchange) = self.exchange(name) else { return Ok(Durable::now()) };
        if if_unused && !exchange.router().read().is_empty() {
            let resource = self.exchange_name(name);
            return Err(ChannelError::Precondition(format!("{resource} in use")));
        }
        let mut changes = TopologyChanges::default();
        self.remove_exchange(&exchange, &mut incoming, &mut changes);
        self.topology_changed();
        Ok(self.definitions.propose(changes.into_changes()))
    }

    /// Declares a queue, or checks that the one there is equivalent. `name` is not empty.
    pub(crate) fn declare_queue(
        &self,
        name: &str,
        settings: QueueSettings,
        connection: ConnectionId,
    ) -> Result<DeclaredQueue, ChannelError> {
        let _topology = self.topology.lock();
        if let Some(queue) = self.queue(name) {
            self.assert_queue_equivalent(&queue, &settings, connection)?;
            return Ok(DeclaredQueue { queue, durable: Durable::now() });
        }
        self.assert_queue_allowed(name)?;
        let queue = self.new_queue(self.definitions.next_queue_id(), name, settings);
        let mut changes = TopologyChanges::default();
        changes.queue_declared(&queue);
        self.add_queue(name, Arc::clone(&queue));
        self.topology_changed();
        Ok(DeclaredQueue { queue, durable: self.definitions.propose(changes.into_changes()) })
    }

    pub(super) fn new_queue(&self, id: QueueId, name: &str, settings: QueueSettings) -> Arc<Queue> {
        Queue::new(id, Arc::clone(&self.name), name, settings, Arc::clone(&self.messages))
    }

    fn assert_queue_equivalent(
        &self,
        queue: &Queue,
        received: &QueueSettings,
        connection: ConnectionId,
    ) -> Result<(), ChannelError> {
        let resource = self.queue_name(queue.name());
        let current = queue.settings();
        if !queue.is_open_to(connection) || received.owner != current.owner {
            return Err(ChannelError::Locked(resource));
        }
        assert_flag("durable", received.durable, current.durable, &resource)?;
        assert_flag("auto_delete", received.auto_delete, current.auto_delete, &resource)?;
        arguments::assert_equivalent(&received.arguments, &current.arguments, &resource)
    }

    /// Deletes a queue with its bindings; `None` when it is gone already.
    pub(crate) fn delete_queue(
        &self,
        queue: &Arc<Queue>,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<Option<DeletedQueue>, ChannelError> {
        let mut incoming = self.topology.lock();
        let deleted = queue.delete(if_unused, if_empty).map_err(|refused| {
            let resource = self.queue_name(queue.name());
            ChannelError::Precondition(match refused {
                DeleteRefused::InUse => format!("{resource} in use"),
                DeleteRefused::NotEmpty => format!("{resource} not empty"),
            })
        })?;
        let Some(ready) = deleted else { return Ok(None) };
        let durable = self.remove_queue(queue, &mut incoming);
        Ok(Some(DeletedQueue { ready, durable }))
    }

    /// Deletes an auto-delete queue whose last consumer went, unless a new one came meanwhile.
    pub(crate) fn delete_if_abandoned(&self, queue: &Arc<Queue>) -> Durable {
        let mut incoming = self.topology.lock();
        if !queue.delete_if_abandoned() {
            return Durable::now();
        }
        self.remove_queue(queue, &mut incoming)
    }

    fn remove_queue(&self, queue: &Arc<Queue>, incoming: &mut Incoming) -> Durable {
        let mut changes = TopologyChanges::default();
        changes.queue_deleted(queue);
        if self.queues.remove(queue.name()).is_some() {
            self.limits.queues.fetch_sub(1, Ordering::Relaxed);
        }
        self.remove_bindings_to(&Destination::Queue(Arc::clone(queue)), incoming, &mut changes);
        self.topology_changed();
        let forgotten = queue.forget_messages();
        self.definitions.propose(changes.into_changes()).and_stored(&self.messages, forgotten)
    }

    /// Binds; a binding that exists is no error.
    pub(crate) fn bind(
        &self,
        source: &Arc<Exchange>,
        binding: Binding<Destination>,
    ) -> Result<Durable, ChannelError> {
        let mut incoming = self.topology.lock();
        self.assert_present(source, &binding.destination)?;
        let destination = binding.destination.clone();
        let mut changes = TopologyChanges::default();
        changes.bound(&self.name, source, &binding);
        let added = source.router().write().bind(binding);
        if !added.map_err(|error| ChannelError::Precondition(error.to_string()))? {
            return Ok(Durable::now());
        }
        let sources = incoming.entry(destination.id()).or_default();
        if !sources.iter().any(|known| Arc::ptr_eq(known, source)) {
            sources.push(Arc::clone(source));
        }
        self.topology_changed();
        Ok(self.definitions.propose(changes.into_changes()))
    }

    /// The ends of a binding may have been deleted since they were looked up.
    fn assert_present(
        &self,
        source: &Arc<Exchange>,
        destination: &Destination,
    ) -> Result<(), ChannelError> {
        self.expect_exchange(source.name())?;
        match destination {
            Destination::Queue(queue) => self.expect_queue(queue.name()).map(|_| ()),
            Destination::Exchange(exchange) => self.expect_exchange(exchange.name()).map(|_| ()),
        }
    }

    /// Unbinds; a binding that does not exist is no error.
    pub(crate) fn unbind(
        &self,
        source: &Arc<Exchange>,
        destination: &Destination,
        routing_key: &str,
        arguments: &FieldTable,
    ) -> Durable {
        let mut incoming = self.topology.lock();
        let removed = source.router().write().unbind(destination, routing_key, arguments);
        let Some(binding) = removed else { return Durable::now() };
        let mut changes = TopologyChanges::default();
        changes.unbound(&self.name, source, &binding);
        if source.router().read().bindings_of(destination).next().is_none() {
            forget_source(&mut incoming, destination, source);
        }
        self.drop_if_unused(source, &mut incoming, &mut changes);
        self.topology_changed();
        self.definitions.propose(changes.into_changes())
    }

    fn remove_exchange(
        &self,
        exchange: &Arc<Exchange>,
        incoming: &mut Incoming,
        changes: &mut TopologyChanges,
    ) {
        if self.exchanges.remove(exchange.name()).is_some() {
            self.limits.exchanges.fetch_sub(1, Ordering::Relaxed);
        }
        changes.exchange_deleted(&self.name, exchange);
        let empty = Router::new(exchange.settings().kind);
        let router = std::mem::replace(&mut *exchange.router().write(), empty);
        for binding in router.bindings() {
            forget_source(incoming, &binding.destination, exchange);
            changes.unbound(&self.name, exchange, binding);
        }
        let destination = Destination::Exchange(Arc::clone(exchange));
        self.remove_bindings_to(&destination, incoming, changes);
    }

    /// Removes all bindings to a destination that is gone; auto-delete exchanges go with their last
    /// binding, and so on along the graph.
    fn remove_bindings_to(
        &self,
        destination: &Destination,
        incoming: &mut Incoming,
        changes: &mut TopologyChanges,
    ) {
        for source in incoming.remove(&destination.id()).unwrap_or_default() {
            let removed = source.router().write().remove_destination(destination);
            for binding in &removed {
                changes.unbound(&self.name, &source, binding);
            }
            if !removed.is_empty() {
                self.drop_if_unused(&source, incoming, changes);
            }
        }
    }

    fn drop_if_unused(
        &self,
        exchange: &Arc<Exchange>,
        incoming: &mut Incoming,
        changes: &mut TopologyChanges,
    ) {
        if exchange.settings().auto_delete && exchange.router().read().is_empty() {
            self.remove_exchange(exchange, incoming, changes);
        }
    }

    /// Brings back a durable exchange at start.
    pub(crate) fn restore_exchange(&self, name: &str, settings: ExchangeSettings) {
        self.add_exchange(name, Exchange::new(name, settings));
    }

    /// Brings back a durable queue at start.
    pub(crate) fn restore_queue(
        &self,
        id: QueueId,
        name: &str,
        settings: QueueSettings,
    ) -> Arc<Queue> {
        let queue = self.new_queue(id, name, settings);
        self.add_queue(name, Arc::clone(&queue));
        queue
    }

    /// Brings back a durable binding at start; false when one of its ends is missing.
    pub(crate) fn restore_binding(&self, source: &str, binding: Binding<Destination>) -> bool {
        let Some(source) = self.exchange(source) else { return false };
        let destination = binding.destination.id();
        if source.router().write().bind(binding).is_err() {
            return false;
        }
        let mut incoming = self.topology.lock();
        let sources = incoming.entry(destination).or_default();
        if !sources.iter().any(|known| Arc::ptr_eq(known, &source)) {
            sources.push(source);
        }
        true
    }
}

fn forget_source(incoming: &mut Incoming, destination: &Destination, source: &Arc<Exchange>) {
    if let Some(sources) = incoming.get_mut(&destination.id()) {
        sources.retain(|known| !Arc::ptr_eq(known, source));
    }
}

fn assert_flag(
    attribute: &str,
    received: bool,
    current: bool,
    resource: &ResourceName,
) -> Result<(), ChannelError> {
    assert_attribute(attribute, &received.to_string(), &current.to_string(), resource)
}

fn assert_attribute(
    attribute: &str,
    received: &str,
    current: &str,
    resource: &ResourceName,
) -> Result<(), ChannelError> {
    if received == current {
        return Ok(());
    }
    Err(ChannelError::Inequivalent {
        argument: attribute.to_owned(),
        resource: resource.clone(),
        difference: format!("received '{received}' but current is '{current}'"),
    })
}
