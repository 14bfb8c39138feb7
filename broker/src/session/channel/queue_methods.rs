//! The queue class: declare, bind, unbind, purge, delete.
//!
//! Called by `Channel::handle`. Order of checks and texts are RabbitMQ's. Specification: AMQP 0-9-1
//! queue class; RabbitMQ's queues page.

use std::sync::Arc;

use leveret_protocol::methods::queue;
use leveret_protocol::types::{FieldTable, FieldValue};

use super::Channel;
use super::exchange_methods::assert_not_default;
use super::reply_to::{assert_bindable, is_reply_address, is_reply_queue};
use crate::auth::rights::Permission;
use crate::definitions::records::DestinationKind;
use crate::error::{AmqpError, ChannelError, ConnectionError};
use crate::keys::ConnectionId;
use crate::names::{self, cleaned};
use crate::queue::{Queue, QueueSettings, arguments};
use crate::session::context::Session;
use crate::session::step::Step;
use crate::vhost::bindings::Ends;
use crate::vhost::topology::{Changed, Refusal};

impl Channel {
    pub(super) fn queue_declare(
        &mut self,
        session: &mut Session,
        declare: &queue::Declare<'_>,
    ) -> Result<Step, Refusal> {
        if is_reply_queue(declare.queue) {
            return self.declare_reply_queue(session, declare).map_err(Refusal::from);
        }
        let name = &*cleaned(declare.queue);
        let (queue, durable) = if declare.passive {
            Self::existing_queue(session, name)?
        } else {
            declare_queue(session, declare, name)?
        };
        self.last_queue = Some(queue.name().to_owned());
        let counts = queue.counts();
        let reply = queue::DeclareOk {
            queue: queue.name(),
            message_count: u32::try_from(counts.ready).unwrap_or(u32::MAX),
            consumer_count: u32::try_from(counts.consumers).unwrap_or(u32::MAX),
        };
        Ok(Step::unless_nowait(declare.no_wait, durable, self.number, &reply))
    }

    /// Here alone the empty name does not stand for the queue declared last: there is none of it.
    fn existing_queue(session: &Session, name: &str) -> Changed<Arc<Queue>> {
        session.check_any(&session.vhost.queue_name(name), name)?;
        session.vhost.look_up_queue(name, session.handle.id())
    }

    pub(super) fn queue_bind(
        &self,
        session: &mut Session,
        bind: &queue::Bind<'_>,
    ) -> Result<Step, Refusal> {
        let source = &*cleaned(bind.exchange);
        let (queue, routing_key) = self.binding_ends(bind.queue, bind.routing_key)?;
        check_queue_ends(session, queue, source)?;
        session.check_bound_topic(source, routing_key)?;
        let arguments = bind.arguments.parse()?;
        let ends = Ends { source, kind: DestinationKind::Queue, destination: queue };
        let connection = session.handle.id();
        let (missed, durable) = session.vhost.bind(ends, routing_key, arguments, connection)?;
        self.catch_up(session, missed);
        Ok(Step::unless_nowait(bind.no_wait, durable, self.number, &queue::BindOk {}))
    }

    pub(super) fn queue_unbind(
        &self,
        session: &Session,
        unbind: &queue::Unbind<'_>,
    ) -> Result<Step, Refusal> {
        let source = &*cleaned(unbind.exchange);
        let (queue, routing_key) = self.binding_ends(unbind.queue, unbind.routing_key)?;
        check_queue_ends(session, queue, source)?;
        session.check_bound_topic(source, routing_key)?;
        let arguments = unbind.arguments.parse()?;
        let ends = Ends { source, kind: DestinationKind::Queue, destination: queue };
        let connection = session.handle.id();
        let ((), durable) = session.vhost.unbind(ends, routing_key, &arguments, connection)?;
        Ok(Step::method_once(durable, self.number, &queue::UnbindOk {}))
    }

    /// When both names are empty the routing key is the last queue's name, too.
    fn binding_ends<'a>(
        &'a self,
        queue: &'a str,
        routing_key: &'a str,
    ) -> Result<(&'a str, &'a str), ChannelError> {
        let name = self.queue_or_last(queue)?;
        let both_empty = queue.is_empty() && routing_key.is_empty();
        Ok((name, if both_empty { name } else { routing_key }))
    }

    pub(super) fn queue_purge(
        &self,
        session: &mut Session,
        purge: &queue::Purge<'_>,
    ) -> Result<(), AmqpError> {
        let name = self.queue_or_last(purge.queue)?;
        session.check(Permission::Read, &session.vhost.queue_name(name), name)?;
        let count = if is_reply_address(name.as_bytes()) {
            0
        } else {
            session.open_queue(name)?.purge(&mut session.effects)
        };
        if !purge.no_wait {
            let message_count = u32::try_from(count).unwrap_or(u32::MAX);
            session.reply(self.number, &queue::PurgeOk { message_count });
        }
        Ok(())
    }

    pub(super) fn queue_delete(
        &self,
        session: &Session,
        delete: &queue::Delete<'_>,
    ) -> Result<Step, Refusal> {
        let name = self.queue_or_last(delete.queue)?;
        session.check(Permission::Configure, &session.vhost.queue_name(name), name)?;
        let conditions = (delete.if_unused, delete.if_empty);
        assert_deletable(session, name, conditions)?;
        let connection = session.handle.id();
        let (ready, durable) = session.vhost.delete_queue(name, conditions, connection)?;
        let message_count = u32::try_from(ready).unwrap_or(u32::MAX);
        let reply = queue::DeleteOk { message_count };
        Ok(Step::unless_nowait(delete.no_wait, durable, self.number, &reply))
    }
}

fn declare_queue(
    session: &mut Session,
    declare: &queue::Declare<'_>,
    name: &str,
) -> Changed<Arc<Queue>> {
    if name.starts_with("amq.") {
        let text = format!("queue name '{name}' contains reserved prefix 'amq.*'");
        return Err(ChannelError::Refused(text).into());
    }
    let generated = names::generated("amq.gen-");
    let name = if name.is_empty() { &generated } else { name };
    let resource = session.vhost.queue_name(name);
    session.check(Permission::Configure, &resource, name)?;
    let settings = queue_settings(session, declare, name)?;
    let exclusive = settings.owner.is_some();
    let declared = session.vhost.declare_queue(name, settings, session.handle.id())?;
    if exclusive {
        session.owns(&declared.0);
    }
    Ok(declared)
}

fn queue_settings(
    session: &Session,
    declare: &queue::Declare<'_>,
    name: &str,
) -> Result<QueueSettings, AmqpError> {
    let resource = session.vhost.queue_name(name);
    let stays = declare.durable && !declare.exclusive && !declare.auto_delete;
    let arguments = session.vhost.with_queue_type(declare.arguments.parse()?, stays);
    let parsed = arguments::parse(&arguments, &resource)?;
    check_quorum(declare, &arguments, name, &resource)?;
    check_dead_letter_exchange(session, &arguments, name)?;
    let owner: Option<ConnectionId> = declare.exclusive.then(|| session.handle.id());
    Ok(QueueSettings {
        // An exclusive queue goes with its connection: there is nothing to bring back.
        durable: declare.durable && !declare.exclusive,
        auto_delete: declare.auto_delete,
        owner,
        arguments,
        parsed,
        window: None,
    })
}

/// A quorum queue is durable, shared and named by the client, as on RabbitMQ.
fn check_quorum(
    declare: &queue::Declare<'_>,
    arguments: &FieldTable,
    name: &str,
    resource: &crate::error::ResourceName,
) -> Result<(), ChannelError> {
    if !arguments::is_quorum(arguments) {
        return Ok(());
    }
    if declare.queue.is_empty() {
        let text = "Cannot declare a server-named queue for type rabbit_quorum_queue".to_owned();
        return Err(ChannelError::Precondition(text));
    }
    debug_assert!(!name.is_empty());
    let offending = match declare {
        declare if declare.auto_delete => "auto-delete",
        declare if declare.exclusive => "exclusive-owner",
        declare if !declare.durable => "non-durable",
        _ => return Ok(()),
    };
    Err(ChannelError::Precondition(format!("invalid property '{offending}' for {resource}")))
}

/// A quorum queue goes without conditions, as on RabbitMQ.
fn assert_deletable(
    session: &Session,
    name: &str,
    (if_unused, if_empty): (bool, bool),
) -> Result<(), ConnectionError> {
    let is_quorum = |queue: Arc<Queue>| arguments::is_quorum(&queue.settings().arguments);
    let flag = match (if_unused, if_empty) {
        (true, _) => "if-unused",
        (false, true) => "if-empty",
        (false, false) => return Ok(()),
    };
    if !session.vhost.queue(name).is_some_and(is_quorum) {
        return Ok(());
    }
    Err(ConnectionError::NotImplemented(format!(
        "cannot delete {}. queue.delete operations with {flag} flag set are not supported by quorum \
         queues",
        session.vhost.queue_name(name)
    )))
}

/// A dead letter exchange is written to and the queue read from on behalf of the declarer, who is not
/// asked when the queue is there: RabbitMQ's order.
fn check_dead_letter_exchange(
    session: &Session,
    arguments: &FieldTable,
    name: &str,
) -> Result<(), AmqpError> {
    let target = arguments.get("x-dead-letter-exchange").and_then(FieldValue::as_str);
    let Some(target) = target.filter(|_| session.vhost.queue(name).is_none()) else {
        return Ok(());
    };
    session.check(Permission::Read, &session.vhost.queue_name(name), name)?;
    session.check(Permission::Write, &session.vhost.exchange_name(target), target)?;
    Ok(())
}

fn check_queue_ends(session: &Session, queue: &str, source: &str) -> Result<(), AmqpError> {
    assert_bindable(queue)?;
    session.check(Permission::Write, &session.vhost.queue_name(queue), queue)?;
    assert_not_default(source)?;
    session.check(Permission::Read, &session.vhost.exchange_name(source), source)?;
    Ok(())
}
