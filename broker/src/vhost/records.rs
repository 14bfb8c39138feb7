//! What of a vhost's topology is kept as definitions, as the records that say so.
//!
//! Filled by `vhost::topology`, handed to `definitions::store`. Stays true: what is not durable is
//! passed over here, so callers name everything that happened.

use leveret_storage::metadata::Change;

use super::destination::{Destination, Exchange};
use crate::definitions::records::{
    BindingRecord, DestinationKind, ExchangeRecord, QueueRecord, Record,
};
use crate::exchange::Binding;
use crate::queue::Queue;

/// The durable part of one change to a vhost's topology.
#[derive(Debug, Default)]
pub(super) struct TopologyChanges(Vec<Change>);

impl TopologyChanges {
    /// The changes for the metadata store.
    pub(super) fn into_changes(self) -> Vec<Change> {
        self.0
    }

    /// An exchange is new.
    pub(super) fn exchange_declared(&mut self, vhost: &str, exchange: &Exchange) {
        if exchange.settings().durable {
            self.0.push(exchange_record(vhost, exchange).put());
        }
    }

    /// An exchange is gone.
    pub(super) fn exchange_deleted(&mut self, vhost: &str, exchange: &Exchange) {
        if exchange.settings().durable {
            self.0.push(exchange_record(vhost, exchange).delete());
        }
    }

    /// A queue is new.
    pub(super) fn queue_declared(&mut self, queue: &Queue) {
        if queue.settings().durable {
            self.0.push(queue_record(queue).put());
        }
    }

    /// A queue is gone.
    pub(super) fn queue_deleted(&mut self, queue: &Queue) {
        if queue.settings().durable {
            self.0.push(queue_record(queue).delete());
        }
    }

    /// A binding is new.
    pub(super) fn bound(&mut self, vhost: &str, source: &Exchange, binding: &Binding<Destination>) {
        if is_durable(source, binding) {
            self.0.push(binding_record(vhost, source, binding).put());
        }
    }

    /// A binding is gone.
    pub(super) fn unbound(
        &mut self,
        vhost: &str,
        source: &Exchange,
        binding: &Binding<Destination>,
    ) {
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
