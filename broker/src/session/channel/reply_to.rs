//! Direct reply-to: answers to a request without a queue of the requester's own.
//!
//! Called by `channel::consume`, `channel::publish` and `channel::queue_methods` when they meet the
//! pseudo queue's name or that of a place for answers. Such a place (`vhost::reply_queues`) has a
//! name nobody can guess and lives as long as its one consumer; publishes that name the pseudo queue
//! as `reply_to` are given that name instead. Stays true: whoever knows the name can publish to it
//! and ask whether it is there, and nothing else. See RabbitMQ's direct reply-to page.

use leveret_protocol::methods::{basic, queue};

use super::Channel;
use crate::definitions::store::Durable;
use crate::error::{AmqpError, ChannelError, ConnectionError};
use crate::names;
use crate::queue::ConsumerSettings;
use crate::session::context::Session;
pub(crate) use crate::session::declaring::PSEUDO_QUEUE;
use crate::session::declaring::is_behind;
use crate::session::step::Step;

/// Whether a name is the pseudo queue's or begins as that of a place for answers does.
pub(crate) fn is_reply_queue(name: &str) -> bool {
    name == PSEUDO_QUEUE || is_behind(name)
}

/// Whether a name is such as is given to a place for answers: what is published to it is taken for
/// routed even if the requester is gone.
pub(crate) fn is_reply_address(name: &[u8]) -> bool {
    let rest = name.strip_prefix(PSEUDO_QUEUE.as_bytes()).and_then(|rest| rest.strip_prefix(b"."));
    let is_drawn = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    rest.is_some_and(|rest| rest.len() == names::DRAWN && rest.iter().all(is_drawn))
}

/// 540: nothing can be fetched from a place for answers.
pub(crate) fn assert_fetchable(session: &Session, name: &str) -> Result<(), ConnectionError> {
    if is_reply_address(name.as_bytes()) {
        let resource = session.vhost.queue_name(name);
        let text = format!("basic.get not supported by volatile {resource}");
        return Err(ConnectionError::NotImplemented(text));
    }
    Ok(())
}

impl Channel {
    /// 406: what is behind the pseudo queue is the requester's alone, who consumes already.
    pub(super) fn assert_consumable(
        &self,
        session: &Session,
        name: &str,
    ) -> Result<(), ChannelError> {
        if !is_reply_address(name.as_bytes()) {
            return Ok(());
        }
        let resource = session.vhost.queue_name(name);
        Err(ChannelError::Precondition(if self.reply_queue.as_deref() == Some(name) {
            format!("multiple consumers are unsupported for {resource}")
        } else {
            format!("only creator channel may consume from {resource}")
        }))
    }

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
        let queue = session.vhost.open_reply_queue(&names::generated(&format!("{PSEUDO_QUEUE}.")));
        let settings = ConsumerSettings { no_ack: true, ..ConsumerSettings::default() };
        let consumes = self.consume_from(session, &queue, settings, consume);
        match consumes {
            Ok(()) => self.reply_queue = Some(queue.name().to_owned()),
            Err(_) => session.vhost.close_reply_queue(&queue),
        }
        consumes
    }

    /// What a message's `reply_to` becomes when it names the pseudo queue.
    pub(super) fn reply_to(&self) -> Result<&str, ChannelError> {
        self.reply_queue.as_deref().ok_or_else(|| {
            ChannelError::Precondition("fast reply consumer does not exist".to_owned())
        })
    }

    /// `queue.declare` of the pseudo queue, or of what is behind it to learn whether the requester
    /// still waits.
    pub(super) fn declare_reply_queue(
        &self,
        session: &Session,
        declare: &queue::Declare<'_>,
    ) -> Result<Step, ChannelError> {
        let name = declare.queue;
        if name != PSEUDO_QUEUE && session.vhost.reply_queue(name).is_none() {
            return Err(ChannelError::NotFound(session.vhost.queue_name(name)));
        }
        let reply = queue::DeclareOk { queue: name, message_count: 0, consumer_count: 1 };
        Ok(Step::unless_nowait(declare.no_wait, Durable::now(), self.number, &reply))
    }
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

    #[test]
    fn an_address_is_the_prefix_and_what_was_drawn() {
        let drawn = names::generated("amq.rabbitmq.reply-to.");
        assert!(is_reply_address(drawn.as_bytes()), "{drawn}");
        for other in ["amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.abc", "q"] {
            assert!(!is_reply_address(other.as_bytes()), "{other}");
        }
        assert!(!is_reply_address(drawn.replace('.', "!").as_bytes()));
    }
}
