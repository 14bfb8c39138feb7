//! Declarations, deletions and bindings, checked as RabbitMQ checks them.
//!
//! Called by `channel::queue_methods` and `channel::exchange_methods` for clients, and by `http` for
//! users of management, who are asked for the same rights and told the same texts. Order of checks and
//! texts are RabbitMQ's: permissions come before existence, and the default exchange is refused before
//! anything else is looked at. Specification: AMQP 0-9-1 exchange and queue classes; RabbitMQ's pages on
//! queues and on exchange to exchange bindings.

use std::sync::Arc;

use leveret_protocol::methods::{exchange, queue};
use leveret_protocol::types::{FieldTable, FieldValue};

use super::context::Session;
use crate::auth::rights::Permission;
use crate::definitions::records::DestinationKind;
use crate::error::{AmqpError, ChannelError, ConnectionError, ResourceName};
use crate::exchange::ExchangeKind;
use crate::keys::ConnectionId;
use crate::names;
use crate::queue::{Queue, QueueSettings, arguments};
use crate::vhost::Vhost;
use crate::vhost::bindings::Ends;
use crate::vhost::destination::{ALTERNATE_EXCHANGE, ExchangeSettings, Missed};
use crate::vhost::topology::{Changed, Refusal};

/// The name a client consumes from and sets as `reply_to`.
pub(crate) const PSEUDO_QUEUE: &str = "amq.rabbitmq.reply-to";

/// Whoever declares, deletes and binds in a vhost.
pub(crate) trait Acting {
    /// Where.
    fn vhost(&self) -> &Arc<Vhost>;

    /// Whose exclusive queues it may use.
    fn connection(&self) -> ConnectionId;

    /// 403 unless the user has this permission on the name. An error as well while that is not known
    /// yet, which is no answer.
    ///
    /// # Errors
    /// RabbitMQ's text.
    fn check(
        &self,
        permission: Permission,
        resource: &ResourceName,
        name: &str,
    ) -> Result<(), ChannelError>;

    /// The same for a routing key of a topic exchange.
    ///
    /// # Errors
    /// RabbitMQ's text.
    fn check_topic(
        &self,
        permission: Permission,
        exchange: &str,
        routing_key: &str,
    ) -> Result<(), ChannelError>;
}

impl Acting for Session {
    fn vhost(&self) -> &Arc<Vhost> {
        &self.vhost
    }

    fn connection(&self) -> ConnectionId {
        self.handle.id()
    }

    fn check(
        &self,
        permission: Permission,
        resource: &ResourceName,
        name: &str,
    ) -> Result<(), ChannelError> {
        Self::check(self, permission, resource, name)
    }

    fn check_topic(
        &self,
        permission: Permission,
        exchange: &str,
        routing_key: &str,
    ) -> Result<(), ChannelError> {
        Self::check_topic(self, permission, exchange, routing_key)
    }
}

/// Declares a queue that is not there, or checks that the one that is there is equivalent. An empty name
/// is made one.
pub(crate) fn declare_queue(
    acting: &impl Acting,
    declare: &queue::Declare<'_>,
    name: &str,
) -> Changed<Arc<Queue>> {
    if name.starts_with("amq.") {
        let text = format!("queue name '{name}' contains reserved prefix 'amq.*'");
        return Err(ChannelError::Refused(text).into());
    }
    let generated = names::generated("amq.gen-");
    let name = if name.is_empty() { &generated } else { name };
    let resource = acting.vhost().queue_name(name);
    acting.check(Permission::Configure, &resource, name)?;
    let settings = queue_settings(acting, declare, name)?;
    acting.vhost().declare_queue(name, settings, acting.connection())
}

fn queue_settings(
    acting: &impl Acting,
    declare: &queue::Declare<'_>,
    name: &str,
) -> Result<QueueSettings, AmqpError> {
    let resource = acting.vhost().queue_name(name);
    let stays = declare.durable && !declare.exclusive && !declare.auto_delete;
    let arguments = acting.vhost().with_queue_type(declare.arguments.parse()?, stays);
    let parsed = arguments::parse(&arguments, &resource)?;
    check_quorum(declare, &arguments, name, &resource)?;
    check_dead_letter_exchange(acting, &arguments, name)?;
    let owner: Option<ConnectionId> = declare.exclusive.then(|| acting.connection());
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
    resource: &ResourceName,
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

/// A dead letter exchange is written to and the queue read from on behalf of the declarer, who is not
/// asked when the queue is there: RabbitMQ's order.
fn check_dead_letter_exchange(
    acting: &impl Acting,
    arguments: &FieldTable,
    name: &str,
) -> Result<(), AmqpError> {
    let target = arguments.get("x-dead-letter-exchange").and_then(FieldValue::as_str);
    let Some(target) = target.filter(|_| acting.vhost().queue(name).is_none()) else {
        return Ok(());
    };
    acting.check(Permission::Read, &acting.vhost().queue_name(name), name)?;
    acting.check(Permission::Write, &acting.vhost().exchange_name(target), target)?;
    Ok(())
}

/// Deletes a queue on these conditions: if it is unused, if it is empty. Returns how many ready messages
/// it had. One that is not there is no error.
pub(crate) fn delete_queue(
    acting: &impl Acting,
    name: &str,
    conditions: (bool, bool),
) -> Changed<usize> {
    acting.check(Permission::Configure, &acting.vhost().queue_name(name), name)?;
    assert_deletable(acting.vhost(), name, conditions)?;
    acting.vhost().delete_queue(name, conditions, acting.connection())
}

/// A quorum queue goes without conditions, as on RabbitMQ.
fn assert_deletable(
    vhost: &Vhost,
    name: &str,
    (if_unused, if_empty): (bool, bool),
) -> Result<(), ConnectionError> {
    let is_quorum = |queue: Arc<Queue>| arguments::is_quorum(&queue.settings().arguments);
    let flag = match (if_unused, if_empty) {
        (true, _) => "if-unused",
        (false, true) => "if-empty",
        (false, false) => return Ok(()),
    };
    if !vhost.queue(name).is_some_and(is_quorum) {
        return Ok(());
    }
    Err(ConnectionError::NotImplemented(format!(
        "cannot delete {}. queue.delete operations with {flag} flag set are not supported by quorum \
         queues",
        vhost.queue_name(name)
    )))
}

/// Binds. What the destination missed is for the caller to hand over.
pub(crate) fn bind(
    acting: &impl Acting,
    ends: Ends<'_>,
    routing_key: &str,
    arguments: FieldTable,
) -> Changed<Option<Missed>> {
    check_ends(acting, ends, routing_key)?;
    acting.vhost().bind(ends, routing_key, arguments, acting.connection())
}

/// Unbinds. What is not bound is no error.
pub(crate) fn unbind(
    acting: &impl Acting,
    ends: Ends<'_>,
    routing_key: &str,
    arguments: &FieldTable,
) -> Changed<()> {
    check_ends(acting, ends, routing_key)?;
    acting.vhost().unbind(ends, routing_key, arguments, acting.connection())
}

fn check_ends(acting: &impl Acting, ends: Ends<'_>, routing_key: &str) -> Result<(), AmqpError> {
    let Ends { source, kind, destination } = ends;
    let vhost = acting.vhost();
    match kind {
        DestinationKind::Queue => {
            assert_bindable(destination)?;
            acting.check(Permission::Write, &vhost.queue_name(destination), destination)?;
        }
        DestinationKind::Exchange => {
            acting.check(Permission::Write, &vhost.exchange_name(destination), destination)?;
            assert_not_default(destination)?;
        }
    }
    assert_not_default(source)?;
    acting.check(Permission::Read, &vhost.exchange_name(source), source)?;
    match vhost.exchange(source) {
        Some(exchange) if exchange.is_topic() => {
            Ok(acting.check_topic(Permission::Read, source, routing_key)?)
        }
        Some(_) | None => Ok(()),
    }
}

/// The default exchange cannot be declared, deleted, or be an end of a binding.
pub(crate) fn assert_not_default(name: &str) -> Result<(), ChannelError> {
    if name.is_empty() {
        let text = "operation not permitted on the default exchange".to_owned();
        return Err(ChannelError::Refused(text));
    }
    Ok(())
}

/// Declares an exchange that is not there, or checks that the one that is there is equivalent.
pub(crate) fn declare_exchange(
    acting: &impl Acting,
    declare: &exchange::Declare<'_>,
    name: &str,
) -> Changed<()> {
    // An unknown type is refused before anything else is looked at.
    let settings = exchange_settings(declare)?;
    assert_not_default(name)?;
    let resource = acting.vhost().exchange_name(name);
    acting.check(Permission::Configure, &resource, name)?;
    check_alternate_exchange(acting, name, &settings.arguments)?;
    acting.vhost().declare_exchange(name, settings)
}

fn exchange_settings(declare: &exchange::Declare<'_>) -> Result<ExchangeSettings, AmqpError> {
    let kind = ExchangeKind::parse(declare.kind).ok_or_else(|| {
        let reason = if declare.kind.is_empty() { "invalid" } else { "unknown" };
        ChannelError::Precondition(format!("{reason} exchange type '{}'", declare.kind))
    })?;
    Ok(ExchangeSettings {
        kind,
        durable: declare.durable,
        auto_delete: declare.auto_delete,
        internal: declare.internal,
        arguments: declare.arguments.parse()?,
        window: None,
    })
}

/// An alternate exchange is written to and this exchange read from on behalf of the declarer.
fn check_alternate_exchange(
    acting: &impl Acting,
    name: &str,
    arguments: &FieldTable,
) -> Result<(), AmqpError> {
    let Some(value) = arguments.get(ALTERNATE_EXCHANGE) else { return Ok(()) };
    if acting.vhost().exchange(name).is_some() {
        // RabbitMQ: only whoever makes one is asked.
        return Ok(());
    }
    let resource = acting.vhost().exchange_name(name);
    let FieldValue::LongString(_) = value else {
        return Err(ChannelError::Precondition(format!(
            "invalid type '{}' for arg '{ALTERNATE_EXCHANGE}' in {resource}",
            value.type_name()
        ))
        .into());
    };
    let alternate = value.as_str().unwrap_or_default();
    acting.check(Permission::Read, &resource, name)?;
    let alternate_resource = acting.vhost().exchange_name(alternate);
    acting.check(Permission::Write, &alternate_resource, alternate)?;
    Ok(())
}

/// Deletes an exchange with all its bindings, or, on condition, one that has none. One that is not there
/// is no error.
pub(crate) fn delete_exchange(acting: &impl Acting, name: &str, if_unused: bool) -> Changed<()> {
    assert_not_default(name)?;
    let resource = acting.vhost().exchange_name(name);
    if name.starts_with("amq.") {
        let text = format!("deletion of system {resource} not allowed");
        return Err(Refusal::from(ChannelError::Refused(text)));
    }
    acting.check(Permission::Configure, &resource, name)?;
    acting.vhost().delete_exchange(name, if_unused)
}

/// Whether a name is one of those behind the pseudo queue, for answers.
pub(crate) fn is_behind(name: &str) -> bool {
    name.strip_prefix(PSEUDO_QUEUE).is_some_and(|rest| rest.starts_with('.'))
}

/// 403: such a queue has no bindings.
fn assert_bindable(name: &str) -> Result<(), ChannelError> {
    if is_behind(name) {
        let text = "cannot bind or unbind to a volatile (direct reply-to) queue".to_owned();
        return Err(ChannelError::Refused(text));
    }
    Ok(())
}
