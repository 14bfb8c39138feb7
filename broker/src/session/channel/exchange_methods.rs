//! The exchange class: declare, delete, bind, unbind.
//!
//! Called by `Channel::handle`; what is checked, and in which order, is in `session::declaring`.
//! Specification: AMQP 0-9-1 exchange class; RabbitMQ's exchange to exchange bindings page.

use leveret_protocol::methods::exchange;

use super::Channel;
use crate::definitions::records::DestinationKind;
use crate::names::cleaned;
use crate::session::context::Session;
use crate::session::declaring::{self, assert_not_default};
use crate::session::step::Step;
use crate::vhost::bindings::Ends;
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
            declaring::declare_exchange(session, declare, name)?.1
        };
        Ok(Step::unless_nowait(declare.no_wait, durable, self.number, &exchange::DeclareOk {}))
    }

    pub(super) fn exchange_delete(
        &self,
        session: &Session,
        delete: &exchange::Delete<'_>,
    ) -> Result<Step, Refusal> {
        let name = &*cleaned(delete.exchange);
        let ((), durable) = declaring::delete_exchange(session, name, delete.if_unused)?;
        Ok(Step::unless_nowait(delete.no_wait, durable, self.number, &exchange::DeleteOk {}))
    }

    pub(super) fn exchange_bind(
        &self,
        session: &mut Session,
        bind: &exchange::Bind<'_>,
    ) -> Result<Step, Refusal> {
        let (destination, source) = (&*cleaned(bind.destination), &*cleaned(bind.source));
        let ends = between(destination, source);
        let arguments = bind.arguments.parse()?;
        let (missed, durable) = declaring::bind(session, ends, bind.routing_key, arguments)?;
        self.catch_up(session, missed);
        Ok(Step::unless_nowait(bind.no_wait, durable, self.number, &exchange::BindOk {}))
    }

    pub(super) fn exchange_unbind(
        &self,
        session: &Session,
        unbind: &exchange::Unbind<'_>,
    ) -> Result<Step, Refusal> {
        let (destination, source) = (&*cleaned(unbind.destination), &*cleaned(unbind.source));
        let ends = between(destination, source);
        let arguments = unbind.arguments.parse()?;
        let ((), durable) = declaring::unbind(session, ends, unbind.routing_key, &arguments)?;
        Ok(Step::unless_nowait(unbind.no_wait, durable, self.number, &exchange::UnbindOk {}))
    }
}

fn between<'a>(destination: &'a str, source: &'a str) -> Ends<'a> {
    Ends { source, kind: DestinationKind::Exchange, destination }
}
