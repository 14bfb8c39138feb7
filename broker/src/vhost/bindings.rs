//! Bindings of a vhost's exchanges: made, undone and brought back.
//!
//! A part of `vhost::topology`, whose lock and rules hold here, too. Called by
//! `session::channel::exchange_methods`, `queue_methods` and at start. Stays true: a binding is between
//! what the names of its ends stand for when it is made; both its ends are there.

use std::sync::Arc;

use leveret_protocol::types::FieldTable;

use super::Vhost;
use super::destination::{Destination, Exchange, Missed};
use super::newest::Subject;
use super::records::{TopologyChanges, binding_record};
use super::removal::Topology;
use super::topology::{Changed, assert_room};
use crate::definitions::records::DestinationKind;
use crate::error::{AmqpError, ChannelError};
use crate::events::definitions::{binding_created, binding_deleted};
use crate::exchange::{BindError, Binding};
use crate::keys::ConnectionId;

/// The ends of a binding, by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends<'a> {
    /// The exchange that messages come from.
    pub source: &'a str,
    /// What the destination is.
    pub kind: DestinationKind,
    /// The destination's name.
    pub destination: &'a str,
}

impl Ends<'_> {
    fn subjects(&self) -> [(Subject, &str); 3] {
        let destination = match self.kind {
            DestinationKind::Queue => Subject::Queue,
            DestinationKind::Exchange => Subject::Exchange,
        };
        [
            (Subject::Exchange, self.source),
            (Subject::Bindings, self.source),
            (destination, self.destination),
        ]
    }
}

impl Vhost {
    /// Binds; a binding that exists is no error. What the destination missed is for the caller to
    /// hand over.
    pub(crate) fn bind(
        self: &Arc<Self>,
        ends: Ends<'_>,
        routing_key: &str,
        arguments: FieldTable,
        connection: ConnectionId,
    ) -> Changed<Option<Missed>> {
        let has_room = self.definitions.has_room();
        let mut topology = self.change()?;
        let found = self.find_ends(ends, connection).map_err(AmqpError::from);
        let bound = found.and_then(|(source, destination)| {
            let routing_key = routing_key.to_owned();
            let binding = Binding { destination, routing_key, arguments };
            self.bind_there(&source, binding, has_room, &mut topology)
        });
        self.told(topology, bound, &ends.subjects())
    }

    fn bind_there(
        &self,
        source: &Arc<Exchange>,
        binding: Binding<Destination>,
        has_room: bool,
        topology: &mut Topology,
    ) -> Result<Option<Missed>, AmqpError> {
        let invalid = |error: BindError| ChannelError::Precondition(error.to_string());
        if !source.router().is_new(&binding).map_err(invalid)? {
            return Ok(None);
        }
        let mut changes = TopologyChanges::default();
        changes.bound(&self.name, source, &binding);
        assert_room(!changes.is_empty(), has_room)?;
        self.propose(changes);
        topology.lead(source, &binding.destination);
        let destination = binding.destination.clone();
        let told = self.events.may_be_wanted(source.name());
        let told = told.then(|| binding_record(&self.name, source, &binding));
        source.rebind(|router| router.bind(binding)).map_err(invalid)?;
        self.topology_changed();
        if let Some(told) = told {
            self.events.tell(|| binding_created(&told));
        }
        Ok(source.missed_by(destination))
    }

    /// What the names of a binding's ends stand for, the source first.
    fn find_ends(
        &self,
        ends: Ends<'_>,
        connection: ConnectionId,
    ) -> Result<(Arc<Exchange>, Destination), ChannelError> {
        let source = self.expect_exchange(ends.source)?;
        let name = ends.destination;
        let destination = match ends.kind {
            DestinationKind::Queue => Destination::Queue(self.open_queue(name, connection)?),
            DestinationKind::Exchange => Destination::Exchange(self.expect_exchange(name)?),
        };
        Ok((source, destination))
    }

    /// Unbinds; a binding that does not exist is no error, nor is an end that does not.
    pub(crate) fn unbind(
        self: &Arc<Self>,
        ends: Ends<'_>,
        routing_key: &str,
        arguments: &FieldTable,
        connection: ConnectionId,
    ) -> Changed<()> {
        let mut topology = self.change()?;
        let unbound = match self.find_ends(ends, connection) {
            Ok((source, destination)) => {
                let binding = Binding {
                    destination,
                    routing_key: routing_key.to_owned(),
                    arguments: arguments.clone(),
                };
                self.unbind_there(&source, &binding, &mut topology);
                Ok(())
            }
            Err(ChannelError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        };
        self.told(topology, unbound, &ends.subjects())
    }

    fn unbind_there(
        &self,
        source: &Arc<Exchange>,
        binding: &Binding<Destination>,
        topology: &mut Topology,
    ) {
        let Binding { destination, routing_key, arguments } = binding;
        if !source.router().has(destination, routing_key, arguments) {
            return;
        }
        let mut changes = TopologyChanges::default();
        changes.unbound(&self.name, source, binding);
        source.rebind(|router| router.unbind(destination, routing_key, arguments));
        self.events.tell(|| binding_deleted(&binding_record(&self.name, source, binding)));
        topology.forget(source, destination);
        self.drop_if_unused(source, topology);
        self.topology_changed();
        self.step(topology, changes);
    }

    /// Brings back a durable binding at start; false when one of its ends is missing.
    pub(crate) fn restore_binding(&self, source: &str, binding: Binding<Destination>) -> bool {
        let Some(source) = self.exchange(source) else { return false };
        let destination = binding.destination.clone();
        if source.rebind(|router| router.bind(binding)).is_err() {
            return false;
        }
        self.topology.lock().lead(&source, &destination);
        true
    }
}
