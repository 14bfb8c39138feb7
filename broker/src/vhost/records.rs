//! What of a vhost's topology is kept as definitions, as the commands that say so.
//!
//! Filled by `vhost::topology` and `vhost::removal`, proposed in one batch. Stays true: what is not
//! durable is passed over here, so callers name everything that happens.

use leveret_protocol::types::FieldTable;

use super::destination::{Destination, Exchange};
use super::newest::Subject;
use crate::definitions::command::{Command, Topology};
use crate::definitions::records::{
    BindingRecord, DestinationKind, ExchangeKey, ExchangeRecord, QueueKey, QueueRecord,
};
use crate::exchange::Binding;
use crate::pause::Pause;
use crate::queue::Queue;

/// The durable part of one change to a vhost's topology, and what it is about.
#[derive(Debug, Default)]
pub(super) struct TopologyChanges {
    commands: Vec<Command>,
    subjects: Vec<(Subject, Box<str>)>,
}

impl TopologyChanges {
    /// Whether nothing durable happened.
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The commands to propose.
    pub(super) fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// What they are about.
    pub(super) fn into_subjects(self) -> Vec<(Subject, Box<str>)> {
        self.subjects
    }

    /// An exchange is new.
    pub(super) fn exchange_declared(&mut self, vhost: &str, exchange: &Exchange) {
        if exchange.settings().durable {
            let command = Topology::DeclareExchange(exchange_record(vhost, exchange));
            self.add(command, Subject::Exchange, exchange.name());
        }
    }

    /// An exchange is gone.
    pub(super) fn exchange_deleted(&mut self, vhost: &str, exchange: &Exchange) {
        if exchange.settings().durable {
            let name = exchange.name().to_owned();
            let command = Topology::DeleteExchange(ExchangeKey { vhost: vhost.to_owned(), name });
            self.add(command, Subject::Exchange, exchange.name());
        }
    }

    /// A queue is new.
    pub(super) fn queue_declared(&mut self, queue: &Queue) {
        if queue.settings().durable {
            self.add(Topology::DeclareQueue(queue_record(queue)), Subject::Queue, queue.name());
        }
    }

    /// A queue is gone.
    pub(super) fn queue_deleted(&mut self, queue: &Queue) {
        if queue.settings().durable {
            let (vhost, name) = (queue.vhost().to_owned(), queue.name().to_owned());
            let command = Topology::DeleteQueue(QueueKey { id: queue.id().0, vhost, name });
            self.add(command, Subject::Queue, queue.name());
        }
    }

    /// A binding is new.
    pub(super) fn bound(&mut self, vhost: &str, source: &Exchange, binding: &Binding<Destination>) {
        if is_durable(source, binding) {
            let command = Topology::Bind(binding_record(vhost, source, binding));
            self.add(command, Subject::Bindings, source.name());
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
            let command = Topology::Unbind(binding_record(vhost, source, binding));
            self.add(command, Subject::Bindings, source.name());
        }
    }

    fn add(&mut self, command: Topology, subject: Subject, name: &str) {
        self.commands.push(command.into());
        let repeated = self.subjects.last().is_some_and(|(s, n)| *s == subject && **n == *name);
        if !repeated {
            self.subjects.push((subject, name.into()));
        }
    }
}

/// A binding comes back after a restart when both its ends do.
fn is_durable(source: &Exchange, binding: &Binding<Destination>) -> bool {
    source.settings().durable && binding.destination.is_durable()
}

/// As it is kept.
pub(super) fn exchange_record(vhost: &str, exchange: &Exchange) -> ExchangeRecord {
    let settings = exchange.settings();
    ExchangeRecord {
        vhost: vhost.to_owned(),
        name: exchange.name().to_owned(),
        kind: settings.kind,
        durable: settings.durable,
        auto_delete: settings.auto_delete,
        internal: settings.internal,
        arguments: settings.arguments.clone(),
        window: settings.window,
    }
}

/// As it is kept.
pub(super) fn queue_record(queue: &Queue) -> QueueRecord {
    let settings = queue.settings();
    QueueRecord {
        id: queue.id().0,
        vhost: queue.vhost().to_owned(),
        name: queue.name().to_owned(),
        durable: settings.durable,
        auto_delete: settings.auto_delete,
        arguments: FieldTable::clone(&queue.arguments()),
        window: settings.window,
        pause: Pause::clone(&queue.paused()),
    }
}

/// As it is kept.
pub(super) fn binding_record(
    vhost: &str,
    source: &Exchange,
    binding: &Binding<Destination>,
) -> BindingRecord {
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
