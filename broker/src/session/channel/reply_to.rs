//! Direct reply-to: answers to a request without a queue of the requester's own.
//!
//! Called by `channel::consume`, `channel::publish` and `channel::queue_methods` when they meet the
//! pseudo queue's name. Behind it stands an auto-delete queue with a name nobody can guess, which
//! lives as long as its one consumer; publishes that name the pseudo queue as `reply_to` are given
//! that queue's name instead. See RabbitMQ's direct reply-to page.

use std::sync::Arc;

use leveret_protocol::methods::{basic, queue};
use leveret_protocol::types::FieldTable;

use super::Channel;
use crate::error::{AmqpError, ChannelError};
use crate::names;
use crate::queue::arguments::QueueArguments;
use crate::queue::{ConsumerSettings, Queue, QueueSettings};
use crate::session::context::Session;
use crate::session::step::Step;

/// The name a client consumes from and sets as `reply_to`.
pub(crate) const PSEUDO_QUEUE: &str = "amq.rabbitmq.reply-to";

/// Whether a name is the pseudo queue's or that of a queue behind it.
pub(crate) fn is_reply_queue(name: &str) -> bool {
    name.strip_prefix(PSEUDO_QUEUE).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// 403: such a queue has no bindings.
pub(crate) fn assert_bindable(name: &str) -> Result<(), ChannelError> {
    if is_reply_queue(name) {
        let text = "cannot bind or unbind to a volatile (direct reply-to) queue".to_owned();
        return Err(ChannelError::Refused(text));
    }
    Ok(())
}

impl Channel {
    /// `basic.consume` from the pseudo queue.
    pub(super) fn consume_replies(
        &mut self,
        session: &mut Session,
        consume: &basic::Consume<'_>,
    ) -> Result<(), AmqpError> {
        let refused = |text: &str| Err(ChannelError::Precondition(text.to_owned()).into());
        if self.reply_queue.is_some() {
            return refused("reply consumer already set");
        }
        if !consume.no_ack {
            return refused("reply consumer cannot acknowledge");
        }
        let queue = new_reply_queue(session)?;
        self.reply_queue = Some(queue.name().to_owned());
        let settings = ConsumerSettings { no_ack: true, ..ConsumerSettings::default() };
        self.consume_from(session, &queue, settings, consume)
    }

    /// What a message's `reply_to` becomes when it names the pseudo queue.
    pub(super) fn reply_to(&self) -> Result<&str, ChannelError> {
        self.reply_queue.as_deref().ok_or_else(|| {
            ChannelError::Precondition("fast reply consumer does not exist".to_owned())
        })
    }

    /// `queue.declare` of the pseudo queue, or of a queue behind it to learn whether the requester
    /// still waits.
    pub(super) fn declare_reply_queue(
        &self,
        session: &Session,
        declare: &queue::Declare<'_>,
    ) -> Result<Step, ChannelError> {
        let name = declare.queue;
        if name != PSEUDO_QUEUE {
            session.vhost.expect_queue(name)?;
        }
        let reply = queue::DeclareOk { queue: name, message_count: 0, consumer_count: 1 };
        let durable = crate::definitions::store::Durable::now();
        Ok(Step::unless_nowait(declare.no_wait, durable, self.number, &reply))
    }
}

fn new_reply_queue(session: &Session) -> Result<Arc<Queue>, ChannelError> {
    let settings = QueueSettings {
        durable: false,
        auto_delete: true,
        owner: None,
        arguments: FieldTable::new(),
        parsed: QueueArguments::default(),
    };
    let name = names::generated(&format!("{PSEUDO_QUEUE}."));
    session.vhost.declare_queue(&name, settings, session.handle.id()).map(|declared| declared.queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pseudo_queue_and_those_behind_it_are_reply_queues() {
        assert!(is_reply_queue(PSEUDO_QUEUE));
        assert!(is_reply_queue("amq.rabbitmq.reply-to.abc"));
        assert!(!is_reply_queue("amq.rabbitmq.reply-tosser"));
        assert!(!is_reply_queue("q"));
    }
}
