//! What a client did not settle in time: its queue has taken it back (`queue::state::timeouts`), and
//! here the channel learns it.
//!
//! Called by `session::Dispatch` when the connection has mail. A consumer is cancelled, the channel
//! stays open; a client that does not know what that is, and whoever holds deliveries without a
//! consumer, has the channel closed, as in RabbitMQ. Kinder than RabbitMQ, whose consumer gets
//! messages again once it has settled what lapsed: cancelled is cancelled. Stays true: delivery tags
//! that lapsed stay known, so that each can be settled once more, to no effect.
//! See RabbitMQ's pages on consumers and on consumer cancellation.

use leveret_protocol::methods::basic;

use super::Channel;
use crate::error::ChannelError;
use crate::keys::{ConsumerKey, QueueId, SourceKey};
use crate::outgoing::mailbox::{Lapsed, LapsedDeliveries};
use crate::session::context::Session;

impl Channel {
    /// Deliveries of this channel went back to their queue.
    ///
    /// # Errors
    /// There is no consumer that could be cancelled.
    pub(crate) fn deliveries_lapsed(
        &mut self,
        session: &mut Session,
        deliveries: &LapsedDeliveries,
    ) -> Result<(), ChannelError> {
        let LapsedDeliveries { queue, holder, timeout_ms, .. } = *deliveries;
        let is_told = match &deliveries.lapsed {
            Lapsed::Consumer(tag) => self.consumer_lapsed(session, tag, queue, holder),
            Lapsed::Cancelled => self.sources.of_consumer(queue, holder).is_none(),
            Lapsed::Fetched(tag) => !self.holds_fetched(session, queue, *tag),
        };
        if is_told { Ok(()) } else { Err(timed_out(self.number, timeout_ms)) }
    }

    /// Its queue took a consumer off. False when the client cannot be told so.
    fn consumer_lapsed(
        &mut self,
        session: &mut Session,
        tag: &str,
        queue: QueueId,
        holder: ConsumerKey,
    ) -> bool {
        if let Some(source) = self.sources.of_consumer(queue, holder) {
            self.source_lapsed(session, source);
        }
        // The client may have cancelled it meanwhile; the tag may stand for another one.
        if !self.consumers.get(tag).is_some_and(|consumer| consumer.is(queue, holder)) {
            return true;
        }
        if let Some(consumer) = self.consumers.swap_remove(tag) {
            self.end_source(session, consumer.source());
            session.tell_of_consumers_end(self.number, tag, consumer.queue_name());
        }
        if session.capabilities.consumer_cancel_notify {
            let cancel = basic::Cancel { consumer_tag: tag, no_wait: true };
            session.reply(self.number, &cancel);
        }
        session.capabilities.consumer_cancel_notify
    }

    /// What came from a source no longer counts for the channel's limit, which makes room for others.
    fn source_lapsed(&self, session: &mut Session, source: SourceKey) {
        if let Some(ledger) = session.handle.outbox().channel(self.slot) {
            ledger.lapse(source);
        }
        session.serve_held_back(self);
    }

    /// Whether a message that `basic.get` fetched from a queue is still to be settled.
    fn holds_fetched(&self, session: &Session, queue: QueueId, tag: u64) -> bool {
        let Some(source) = self.sources.for_get(queue) else { return false };
        let mut outbox = session.handle.outbox();
        outbox.channel(self.slot).is_some_and(|ledger| ledger.is_from(tag, source))
    }
}

/// RabbitMQ 4.3 gives -1 for the time, which its channels do not know.
fn timed_out(channel: u16, timeout_ms: u64) -> ChannelError {
    ChannelError::Precondition(format!(
        "delivery acknowledgement on channel {channel} timed out. Timeout value used: {timeout_ms} \
         ms. This timeout value can be configured, see consumers doc guide to learn more"
    ))
}
