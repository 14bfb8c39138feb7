//! Changes to a vhost's exchanges and queues; `bindings` has those of bindings.
//!
//! Called by `session::channel` and when connections end. One change at a time per vhost, under the
//! topology lock: names are looked up, the change is checked, what is durable of it is proposed to
//! the metadata store, and it takes effect, before the lock is free again. So the store has the
//! changes in the order they took effect, and a client sees its own in the order it sent them
//! without waiting for the disk; its answers wait, each until the newest change of what it speaks of
//! is durable, refusals too. Rules: RabbitMQ's exchange, queue and binding semantics, with its texts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_protocol::types::FieldTable;
use leveret_storage::messages::Ticket;
use leveret_storage::metadata::Proposal;
use parking_lot::MutexGuard;

use super::Vhost;
use super::delayed::{self, DELAYED_QUEUE};
use super::destination::{ALTERNATE_EXCHANGE, Exchange, ExchangeSettings};
use super::newest::Subject;
use super::records::{TopologyChanges, exchange_record, queue_record};
use super::removal::Topology;
use crate::deduplication::{self, Deduplication};
use crate::definitions::store::Durable;
use crate::error::{AmqpError, ChannelError, ConnectionError, ResourceName};
use crate::events::churn::Turn;
use crate::events::definitions::{exchange_created, queue_created};
use crate::exchange::DeclareError;
use crate::keys::{ConnectionId, QueueId};
use crate::queue::arguments::{self, assert_argument_equivalent};
use crate::queue::{DeleteRefused, Queue, QueueSettings};

/// What became of a change: its result, and when the client may be told.
pub(crate) type Changed<T> = Result<(T, Durable), Refusal>;

/// Why something was not changed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Something large is being removed, and went on by a step: ask again.
    Later,
    /// It may not be.
    Error(Box<Refused>),
}

/// A refusal, and when the client may be told: once what it speaks of is on disk.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What the client is told.
    pub error: AmqpError,
    /// When.
    pub durable: Durable,
}

impl<E: Into<AmqpError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(Box::new(Refused { error: error.into(), durable: Durable::now() }))
    }
}

/// A deleted queue.
#[derive(Debug, Default)]
struct DeletedQueue {
    /// Ready messages it had.
    ready: usize,
    /// When its messages are gone from the message store.
    forgotten: Option<Ticket>,
}

impl Vhost {
    /// The right to change something, unless something large is being removed, or the vhost is.
    pub(super) fn change(&self) -> Result<MutexGuard<'_, Topology>, Refusal> {
        let mut topology = self.topology.lock();
        self.assert_open()?;
        if topology.is_at_rest() {
            return Ok(topology);
        }
        self.step(&mut topology, TopologyChanges::default());
        if topology.is_at_rest() { Ok(topology) } else { Err(Refusal::Later) }
    }

    /// Ends what is being removed: a connection ends that would have done so step by step.
    pub(crate) fn settle(&self) {
        drop(self.change_now());
    }

    /// The same for whoever cannot come again.
    fn change_now(&self) -> MutexGuard<'_, Topology> {
        let mut topology = self.topology.lock();
        self.finish_removal(&mut topology);
        topology
    }

    /// Hands a batch to the store. Called with the topology lock held, before what it says can be
    /// seen where that matters to a confirm.
    pub(super) fn propose(&self, changes: TopologyChanges) -> Option<Proposal> {
        let proposal = self.definitions.propose(changes.commands())?;
        self.newest.note(&proposal, changes.into_subjects());
        Some(proposal)
    }

    /// What is told of a change, and when: once everything it speaks of is on disk.
    pub(super) fn told<T, E: Into<AmqpError>>(
        self: &Arc<Self>,
        topology: MutexGuard<'_, Topology>,
        result: Result<T, E>,
        subjects: &[(Subject, &str)],
    ) -> Changed<T> {
        let at_rest = topology.is_at_rest();
        drop(topology);
        let mut durable = self.newest.of(subjects.iter().copied());
        if !at_rest {
            let vhost = Arc::clone(self);
            let subjects: Vec<(Subject, Box<str>)> =
                subjects.iter().map(|(subject, name)| (*subject, Box::from(*name))).collect();
            durable = durable.and_rest(async move {
                vhost.finish_removal_gently().await;
                vhost.newest.of(subjects.iter().map(|(subject, name)| (*subject, &**name)))
            });
        }
        match result {
            Ok(value) => Ok((value, durable)),
            Err(error) => Err(Refusal::Error(Box::new(Refused { error: error.into(), durable }))),
        }
    }

    /// The exchange with this name, for a passive declare.
    pub(crate) fn look_up_exchange(self: &Arc<Self>, name: &str) -> Changed<Arc<Exchange>> {
        let topology = self.change()?;
        self.told(topology, self.expect_exchange(name), &[(Subject::Exchange, name)])
    }

    /// The queue with this name, for a passive declare.
    pub(crate) fn look_up_queue(
        self: &Arc<Self>,
        name: &str,
        connection: ConnectionId,
    ) -> Changed<Arc<Queue>> {
        let topology = self.change()?;
        let found = self.open_queue(name, connection).inspect(|queue| queue.touch());
        self.told(topology, found, &[(Subject::Queue, name)])
    }

    /// The queue, if this connection may use it.
    pub(crate) fn open_queue(
        &self,
        name: &str,
        connection: ConnectionId,
    ) -> Result<Arc<Queue>, ChannelError> {
        let queue = self.expect_queue(name)?;
        if queue.is_open_to(connection) {
            return Ok(queue);
        }
        Err(ChannelError::Locked(self.queue_name(name)))
    }

    /// Declares an exchange, or checks that the one there is equivalent.
    pub(crate) fn declare_exchange(
        self: &Arc<Self>,
        name: &str,
        settings: ExchangeSettings,
    ) -> Changed<()> {
        let has_room = self.definitions.has_room();
        let topology = self.change()?;
        let declared = self.declare_exchange_there(name, settings, has_room);
        self.told(topology, declared, &[(Subject::Exchange, name)])
    }

    fn declare_exchange_there(
        &self,
        name: &str,
        mut settings: ExchangeSettings,
        has_room: bool,
    ) -> Result<(), AmqpError> {
        if let Some(existing) = self.exchange(name) {
            return Ok(self.assert_exchange_equivalent(&existing, &settings)?);
        }
        if name.starts_with("amq.") {
            let text = format!("exchange name '{name}' contains reserved prefix 'amq.*'");
            return Err(ChannelError::Refused(text).into());
        }
        self.assert_exchange_allowed(name)?;
        let invalid = |error: DeclareError| ChannelError::Precondition(error.to_string());
        settings.kind.validate(&settings.arguments).map_err(invalid)?;
        self.check_deduplication(name, &settings.arguments)?;
        assert_room(settings.durable, has_room)?;
        let deduplicates = Deduplication::of(&settings.arguments).is_some();
        settings.window = self.new_window(settings.durable && deduplicates);
        let exchange = Exchange::new(name, settings);
        let mut changes = TopologyChanges::default();
        if exchange.delays() {
            self.make_delayed_queue(&mut changes);
        }
        changes.exchange_declared(&self.name, &exchange);
        self.propose(changes);
        self.add_exchange(name, Arc::clone(&exchange));
        self.topology_changed();
        self.events.tell(|| exchange_created(&exchange_record(&self.name, &exchange)));
        Ok(())
    }

    fn check_deduplication(&self, name: &str, arguments: &FieldTable) -> Result<(), ChannelError> {
        deduplication::check_all(arguments).map_err(|(key, reason)| {
            let resource = self.exchange_name(name);
            ChannelError::Precondition(format!("invalid arg '{key}' for {resource}: {reason}"))
        })
    }

    /// A number for what is remembered of messages that may come twice, if that is to be kept.
    fn new_window(&self, is_kept: bool) -> Option<u64> {
        is_kept.then(|| self.definitions.next_queue_id().0)
    }

    fn assert_exchange_allowed(&self, name: &str) -> Result<(), ChannelError> {
        let count = self.limits.exchanges.load(Ordering::Relaxed);
        match self.limits.exchanges_max.get() {
            Some(limit) if count >= limit => Err(ChannelError::Precondition(format!(
                "cannot declare {}: exchange limit of {limit} is reached",
                self.exchange_name(name)
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn assert_queue_allowed(&self, name: &str) -> Result<(), ChannelError> {
        // A queue that is refused here is not there, so those that are count.
        if let Some(limit) = self.own_limits().max_queues
            && self.queues.len() >= limit as usize
        {
            let vhost = self.name();
            return Err(ChannelError::Precondition(format!(
                "cannot declare queue '{name}': queue limit in vhost '{vhost}' ({limit}) is reached"
            )));
        }
        let count = self.limits.queues.load(Ordering::Relaxed);
        match self.limits.queues_max.get() {
            Some(limit) if count >= limit => Err(ChannelError::Precondition(format!(
                "cannot declare queue '{name}': queue limit in cluster ({limit}) is reached"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn add_exchange(&self, name: &str, exchange: Arc<Exchange>) {
        self.govern_exchange(&exchange);
        if self.exchanges.insert(name.into(), exchange).is_none() {
            self.limits.exchanges.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn add_queue(&self, name: &str, queue: Arc<Queue>) {
        self.govern_queue(&queue);
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
        assert_attribute("type", &received.kind.atom(), &current.kind.atom(), &resource)?;
        assert_flag("durable", received.durable, current.durable, &resource)?;
        assert_flag("auto_delete", received.auto_delete, current.auto_delete, &resource)?;
        assert_flag("internal", received.internal, current.internal, &resource)?;
        for key in [ALTERNATE_EXCHANGE].into_iter().chain(deduplication::ARGUMENTS) {
            let [received, current] = [received, current].map(|side| side.arguments.get(key));
            assert_argument_equivalent(key, received, current, &resource)?;
        }
        Ok(())
    }

    /// Deletes an exchange with all its bindings. One that does not exist is no error.
    pub(crate) fn delete_exchange(self: &Arc<Self>, name: &str, if_unused: bool) -> Changed<()> {
        let mut topology = self.change()?;
        let deleted = self.delete_exchange_there(name, if_unused, &mut topology);
        let subjects = [(Subject::Exchange, name), (Subject::Bindings, name)];
        let (had_window, durable) = self.told(topology, deleted, &subjects)?;
        let forgotten = had_window.then(|| self.messages.last());
        Ok(((), durable.and_forgotten(&self.messages, forgotten)))
    }

    /// Returns whether the message store has something of it to forget.
    fn delete_exchange_there(
        &self,
        name: &str,
        if_unused: bool,
        topology: &mut Topology,
    ) -> Result<bool, ChannelError> {
        let Some(exchange) = self.exchange(name) else { return Ok(false) };
        if if_unused && !exchange.router().is_empty() {
            let resource = self.exchange_name(name);
            return Err(ChannelError::Precondition(format!("{resource} in use")));
        }
        self.begin_removal(&exchange, topology);
        self.step(topology, TopologyChanges::default());
        Ok(exchange.settings().window.is_some())
    }

    /// Declares a queue, or checks that the one there is equivalent. `name` is not empty.
    pub(crate) fn declare_queue(
        self: &Arc<Self>,
        name: &str,
        settings: QueueSettings,
        connection: ConnectionId,
    ) -> Changed<Arc<Queue>> {
        let has_room = self.definitions.has_room();
        let topology = self.change()?;
        let declared = self.declare_queue_there(name, settings, connection, has_room);
        if declared.is_ok() {
            self.events.churn().note(Turn::QueueDeclared);
        }
        self.told(topology, declared, &[(Subject::Queue, name)])
    }

    fn declare_queue_there(
        &self,
        name: &str,
        mut settings: QueueSettings,
        connection: ConnectionId,
        has_room: bool,
    ) -> Result<Arc<Queue>, AmqpError> {
        if let Some(queue) = self.queue(name) {
            self.assert_queue_equivalent(&queue, &settings, connection)?;
            queue.touch();
            return Ok(queue);
        }
        self.assert_queue_allowed(name)?;
        assert_room(settings.durable, has_room)?;
        let deduplicates = settings.parsed.deduplication.is_some();
        settings.window = self.new_window(settings.durable && deduplicates);
        let queue = self.new_queue(self.definitions.next_queue_id(), name, settings);
        let mut changes = TopologyChanges::default();
        changes.queue_declared(&queue);
        self.propose(changes);
        self.add_queue(name, Arc::clone(&queue));
        self.topology_changed();
        self.events.churn().note(Turn::QueueCreated);
        self.events.tell(|| queue_created(&queue_record(&queue), queue.settings().owner));
        Ok(queue)
    }

    pub(super) fn new_queue(&self, id: QueueId, name: &str, settings: QueueSettings) -> Arc<Queue> {
        Queue::new(id, Arc::clone(&self.name), name, settings, self.surroundings())
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
        arguments::assert_equivalent(&received.arguments, &queue.arguments(), &resource)
    }

    /// Deletes a queue with its bindings; returns the ready messages it had. One that does not
    /// exist is no error.
    pub(crate) fn delete_queue(
        self: &Arc<Self>,
        name: &str,
        (if_unused, if_empty): (bool, bool),
        connection: ConnectionId,
    ) -> Changed<usize> {
        let mut topology = self.change()?;
        let ended = match self.open_queue(name, connection) {
            Ok(queue) => self.end_queue(&queue, if_unused, if_empty, &mut topology),
            Err(ChannelError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        };
        self.step(&mut topology, TopologyChanges::default());
        let mut forgotten = None;
        let ready = ended.map(|ended| {
            let DeletedQueue { ready, forgotten: ticket } = ended.unwrap_or_default();
            forgotten = ticket;
            ready
        });
        let (ready, durable) = self.told(topology, ready, &[(Subject::Queue, name)])?;
        Ok((ready, durable.and_forgotten(&self.messages, forgotten)))
    }

    /// Deletes a queue whose connection ends.
    pub(crate) fn delete_with_connection(&self, queue: &Arc<Queue>) {
        let mut topology = self.change_now();
        if let Ok(Some(_)) = self.end_queue(queue, false, false, &mut topology) {
            self.finish_removal(&mut topology);
        }
    }

    /// Deletes an auto-delete queue whose last consumer went, unless a new one came meanwhile.
    pub(crate) fn delete_if_abandoned(&self, queue: &Arc<Queue>) -> Durable {
        let mut topology = self.change_now();
        if !queue.delete_if_abandoned() {
            return Durable::now();
        }
        self.begin_queue_removal(queue, &mut topology);
        let proposal = self.finish_removal(&mut topology);
        let durable = proposal.map(Durable::from).unwrap_or_default();
        durable.and_forgotten(&self.messages, queue.forget_messages())
    }

    /// Deletes a queue that nobody has used for as long as it may be unused, unless somebody uses it
    /// now. What is in it is no dead letter.
    pub(super) fn delete_unused_queue(&self, queue: &Arc<Queue>) {
        let mut topology = self.change_now();
        if queue.delete_if_unused() {
            self.begin_queue_removal(queue, &mut topology);
            self.finish_removal(&mut topology);
            // Nobody waits for it.
            let _ = queue.forget_messages();
        }
    }

    fn end_queue(
        &self,
        queue: &Arc<Queue>,
        if_unused: bool,
        if_empty: bool,
        topology: &mut Topology,
    ) -> Result<Option<DeletedQueue>, ChannelError> {
        let ended = queue.delete(if_unused, if_empty).map_err(|refused| {
            let resource = self.queue_name(queue.name());
            ChannelError::Precondition(match refused {
                DeleteRefused::InUse => format!("{resource} in use"),
                DeleteRefused::NotEmpty => format!("{resource} not empty"),
            })
        })?;
        let Some(ready) = ended else { return Ok(None) };
        self.begin_queue_removal(queue, topology);
        Ok(Some(DeletedQueue { ready, forgotten: queue.forget_messages() }))
    }

    /// Brings back a durable exchange at start.
    pub(crate) fn restore_exchange(&self, name: &str, settings: ExchangeSettings) -> Arc<Exchange> {
        let exchange = Exchange::new(name, settings);
        self.add_exchange(name, Arc::clone(&exchange));
        exchange
    }

    /// Brings back a durable queue at start.
    pub(crate) fn restore_queue(
        &self,
        id: QueueId,
        name: &str,
        settings: QueueSettings,
    ) -> Arc<Queue> {
        if name == DELAYED_QUEUE {
            let queue = self.new_queue(id, name, delayed::settings());
            self.keep_delayed_queue(Arc::clone(&queue));
            return queue;
        }
        let queue = self.new_queue(id, name, settings);
        self.add_queue(name, Arc::clone(&queue));
        queue
    }
}

/// 541: on a full disk nothing new is promised to be there after a restart.
pub(super) fn assert_room(durable: bool, has_room: bool) -> Result<(), ConnectionError> {
    if durable && !has_room {
        let text = "the disk is full, the change was not made".to_owned();
        return Err(ConnectionError::Internal(text));
    }
    Ok(())
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
