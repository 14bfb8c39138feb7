//! The queue class: declare, bind, unbind, purge, delete.
//!
//! Called by `Channel::handle`; what is checked, and in which order, is in `session::declaring`.
//! Specification: AMQP 0-9-1 queue class; RabbitMQ's queues page.

use std::sync::Arc;

use leveret_protocol::methods::queue;

use super::Channel;
use super::reply_to::{is_reply_address, is_reply_queue};
use crate::auth::rights::Permission;
use crate::definitions::records::DestinationKind;
use crate::error::{AmqpError, ChannelError};
use crate::names::cleaned;
use crate::queue::Queue;
use crate::session::context::Session;
use crate::session::declaring;
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
        let arguments = bind.arguments.parse()?;
        let ends = Ends { source, kind: DestinationKind::Queue, destination: queue };
        let (missed, durable) = declaring::bind(session, ends, routing_key, arguments)?;
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
        let arguments = unbind.arguments.parse()?;
        let ends = Ends { source, kind: DestinationKind::Queue, destination: queue };
        let ((), durable) = declaring::unbind(session, ends, routing_key, &arguments)?;
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
        let conditions = (delete.if_unused, delete.if_empty);
        let (ready, durable) = declaring::delete_queue(session, name, conditions)?;
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
    let declared = declaring::declare_queue(session, declare, name)?;
    if declare.exclusive {
        session.owns(&declared.0);
    }
    Ok(declared)
}
