//! The exchange class: declare, delete, bind, unbind.
//!
//! Called by `Channel::handle`. Order of checks and texts are RabbitMQ's: permissions come before
//! existence, and the default exchange is refused before anything else is looked at.
//! Specification: AMQP 0-9-1 exchange class; RabbitMQ's exchange to exchange bindings page.

use leveret_protocol::methods::exchange;
use leveret_protocol::types::{FieldTable, FieldValue};

use super::Channel;
use crate::auth::rights::Permission;
use crate::definitions::records::DestinationKind;
use crate::error::{AmqpError, ChannelError};
use crate::exchange::ExchangeKind;
use crate::names::cleaned;
use crate::session::context::Session;
use crate::session::step::Step;
use crate::vhost::bindings::Ends;
use crate::vhost::destination::{ALTERNATE_EXCHANGE, ExchangeSettings};
use crate::vhost::topology::Refusal;

impl Channel {
    pub(super) fn exchange_declare(
        &self,
        session: &Session,
        declare: &exchange::Declare<'_>,
    ) -> Result<Step, Refusal> {
        let name = &*cleaned(declare.exchange);
        let durable = if declare.passive {
            assert_not_default(name)?;
            session.check_any(&session.vhost.exchange_name(name), name)?;
            session.vhost.look_up_exchange(name)?.1
        } else {
            // An unknown type is refused before anything else is looked at.
            let settings = exchange_settings(declare)?;
            assert_not_default(name)?;
            let resource = session.vhost.exchange_name(name);
            session.check(Permission::Configure, &resource, name)?;
            check_alternate_exchange(session, name, &settings.arguments)?;
            session.vhost.declare_exchange(name, settings)?.1
        };
        Ok(Step::unless_nowait(declare.no_wait, durable, self.number, &exchange::DeclareOk {}))
    }

    pub(super) fn exchange_delete(
        &self,
        session: &Session,
        delete: &exchange::Delete<'_>,
    ) -> Result<Step, Refusal> {
        let name = &*cleaned(delete.exchange);
        assert_not_default(name)?;
        let resource = session.vhost.exchange_name(name);
        if name.starts_with("amq.") {
            let text = format!("deletion of system {resource} not allowed");
            return Err(ChannelError::Refused(text).into());
        }
        session.check(Permission::Configure, &resource, name)?;
        let ((), durable) = session.vhost.delete_exchange(name, delete.if_unused)?;
        Ok(Step::unless_nowait(delete.no_wait, durable, self.number, &exchange::DeleteOk {}))
    }

    pub(super) fn exchange_bind(
        &self,
        session: &mut Session,
        bind: &exchange::Bind<'_>,
    ) -> Result<Step, Refusal> {
        let ends = (&*cleaned(bind.destination), &*cleaned(bind.source));
        check_exchange_ends(session, ends)?;
        session.check_bound_topic(ends.1, bind.routing_key)?;
        let arguments = bind.arguments.parse()?;
        let (connection, key) = (session.handle.id(), bind.routing_key);
        let (missed, durable) = session.vhost.bind(between(ends), key, arguments, connection)?;
        self.catch_up(session, missed);
        Ok(Step::unless_nowait(bind.no_wait, durable, self.number, &exchange::BindOk {}))
    }

    pub(super) fn exchange_unbind(
        &self,
        session: &Session,
        unbind: &exchange::Unbind<'_>,
    ) -> Result<Step, Refusal> {
        let ends = (&*cleaned(unbind.destination), &*cleaned(unbind.source));
        check_exchange_ends(session, ends)?;
        session.check_bound_topic(ends.1, unbind.routing_key)?;
        let arguments = unbind.arguments.parse()?;
        let (connection, key) = (session.handle.id(), unbind.routing_key);
        let ((), durable) = session.vhost.unbind(between(ends), key, &arguments, connection)?;
        Ok(Step::unless_nowait(unbind.no_wait, durable, self.number, &exchange::UnbindOk {}))
    }
}

fn between<'a>((destination, source): (&'a str, &'a str)) -> Ends<'a> {
    Ends { source, kind: DestinationKind::Exchange, destination }
}

/// The default exchange cannot be declared, deleted, or be an end of a binding.
pub(super) fn assert_not_default(name: &str) -> Result<(), ChannelError> {
    if name.is_empty() {
        let text = "operation not permitted on the default exchange".to_owned();
        return Err(ChannelError::Refused(text));
    }
    Ok(())
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
    session: &Session,
    name: &str,
    arguments: &FieldTable,
) -> Result<(), AmqpError> {
    let Some(value) = arguments.get(ALTERNATE_EXCHANGE) else { return Ok(()) };
    if session.vhost.exchange(name).is_some() {
        // RabbitMQ: only whoever makes one is asked.
        return Ok(());
    }
    let resource = session.vhost.exchange_name(name);
    let FieldValue::LongString(_) = value else {
        return Err(ChannelError::Precondition(format!(
            "invalid type '{}' for arg '{ALTERNATE_EXCHANGE}' in {resource}",
            value.type_name()
        ))
        .into());
    };
    let alternate = value.as_str().unwrap_or_default();
    session.check(Permission::Read, &resource, name)?;
    let alternate_resource = session.vhost.exchange_name(alternate);
    session.check(Permission::Write, &alternate_resource, alternate)?;
    Ok(())
}

fn check_exchange_ends(
    session: &Session,
    (destination, source): (&str, &str),
) -> Result<(), AmqpError> {
    let resource = session.vhost.exchange_name(destination);
    session.check(Permission::Write, &resource, destination)?;
    assert_not_default(destination)?;
    assert_not_default(source)?;
    let resource = session.vhost.exchange_name(source);
    session.check(Permission::Read, &resource, source)?;
    Ok(())
}
