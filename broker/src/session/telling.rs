//! What a client does that is an event: `amq.rabbitmq.event` tells of it.
//!
//! Called by the dispatch, by channels and by the connection's task. Stays true: nothing is made while
//! nobody listens; what comes and goes is counted all the same.

use std::sync::Arc;

use leveret_protocol::methods::{Method, basic};
use leveret_protocol::types::FieldTable;

use super::context::Session;
use crate::events::Acting;
use crate::events::churn::Turn;
use crate::events::clients::{Connection, Consumer, Opened, Owner};

impl Session {
    /// The connection is open; what is told of it is known from now on.
    pub(crate) fn tell_of_opening(
        &mut self,
        about: Arc<Connection>,
        (channel_max, frame_max, heartbeat_seconds): (u16, u32, u16),
        connected_at_ms: u64,
    ) {
        let opened = Opened {
            id: self.handle.id(),
            user: self.user_name(),
            vhost: self.vhost.name(),
            channel_max,
            frame_max,
            heartbeat_seconds,
            connected_at_ms,
        };
        self.broker.events().churn().note(Turn::ConnectionOpened);
        self.broker.events().tell(|| about.created(&opened));
        self.told_as = Some(about);
    }

    /// The connection's channels have ended: then so has it, as others see it.
    pub(super) fn end_changes_of_connection(&mut self) -> bool {
        if let Some(about) = self.told_as.take() {
            self.broker.events().churn().note(Turn::ConnectionClosed);
            self.broker.events().tell(|| about.closed(self.handle.id()));
        }
        self.end_changes()
    }

    /// What happens on this thread is the client's doing, until the guard goes.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else binds")]
    pub(super) fn acting(&self, method: &Method<'_>) -> Option<Acting> {
        let bound_to = match method {
            Method::QueueBind(bind) => bind.exchange,
            Method::ExchangeBind(bind) => bind.source,
            _ => "",
        };
        self.broker.events().acting(self.user_name(), bound_to)
    }

    fn owner(&self, channel: u16) -> Owner<'_> {
        let (connection, user) = (self.handle.id(), self.user_name());
        Owner { connection, channel, user, vhost: self.vhost.name() }
    }

    /// A channel is open.
    pub(super) fn tell_of_channel(&self, channel: u16) {
        let name = self.told_as.as_ref().map_or("", |about| &*about.name);
        self.broker.events().churn().note(Turn::ChannelOpened);
        self.broker.events().tell(|| self.owner(channel).channel_created(name));
    }

    /// A channel that had so many consumers has ended.
    pub(super) fn tell_of_channels_end(&self, channel: u16, consumers: usize) {
        self.broker.events().churn().note(Turn::ChannelClosed);
        self.broker.events().tell(|| self.owner(channel).channel_closed(consumers));
    }

    /// A consumer is there.
    pub(super) fn tell_of_consumer(
        &self,
        channel: u16,
        (tag, queue, prefetch_count): (&str, &str, u16),
        consume: &basic::Consume<'_>,
        arguments: &FieldTable,
    ) {
        let consumer = Consumer {
            tag,
            queue,
            ack_required: !consume.no_ack,
            exclusive: consume.exclusive,
            prefetch_count,
            arguments,
        };
        self.broker.events().tell(|| self.owner(channel).consumer_created(&consumer));
    }

    /// A consumer is there no longer.
    pub(super) fn tell_of_consumers_end(&self, channel: u16, tag: &str, queue: &str) {
        self.broker.events().tell(|| self.owner(channel).consumer_deleted(tag, queue));
    }
}
