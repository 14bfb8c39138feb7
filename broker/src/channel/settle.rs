//! basic.ack, basic.nack, basic.reject and basic.recover: what a client says of its deliveries.
//!
//! Called by `connection::dispatch`. Settlements of one read are collected per channel and carried
//! out together: the connection's outgoing lock is taken once for all of them, then each queue's
//! lock once. Specification: AMQP 0-9-1 basic class; RabbitMQ's nack and consumer prefetch pages.

use std::sync::Arc;

use leveret_protocol::methods::basic;

use super::Channel;
use super::deliveries::Settlements;
use super::unacked::Outstanding;
use crate::connection::session::Session;
use crate::error::{ChannelError, FailingMethod};
use crate::queue::Outcome;

/// One ack, nack or reject, not yet carried out.
#[derive(Clone, Copy, Debug)]
pub struct SettleRequest {
    delivery_tag: u64,
    multiple: bool,
    outcome: Outcome,
    method_id: u16,
}

const BASIC_CLASS: u16 = 60;

impl SettleRequest {
    /// From `basic.ack`.
    pub fn ack(ack: &basic::Ack) -> Self {
        let (delivery_tag, multiple) = (ack.delivery_tag, ack.multiple);
        Self { delivery_tag, multiple, outcome: Outcome::Ack, method_id: 80 }
    }

    /// From `basic.nack`.
    pub fn nack(nack: &basic::Nack) -> Self {
        let outcome = if nack.requeue { Outcome::Requeue } else { Outcome::Discard };
        let (delivery_tag, multiple) = (nack.delivery_tag, nack.multiple);
        Self { delivery_tag, multiple, outcome, method_id: 120 }
    }

    /// From `basic.reject`.
    pub fn reject(reject: &basic::Reject) -> Self {
        let outcome = if reject.requeue { Outcome::Requeue } else { Outcome::Discard };
        Self { delivery_tag: reject.delivery_tag, multiple: false, outcome, method_id: 90 }
    }

    fn failing_method(self) -> FailingMethod {
        FailingMethod { class_id: BASIC_CLASS, method_id: self.method_id }
    }
}

impl Channel {
    /// Notes a settlement; `carry_out` does it.
    pub fn note(&mut self, request: SettleRequest) {
        self.settle_requests.push(request);
    }

    /// Carries out the noted settlements. A tag that is not outstanding is 406; what was noted
    /// before it stands, what came after it is dropped with the channel.
    pub fn carry_out(
        &mut self,
        session: &mut Session,
    ) -> Result<(), (ChannelError, FailingMethod)> {
        let requests = std::mem::take(&mut self.settle_requests);
        let result = if self.transaction.is_some() {
            self.hold_for_commit(session, &requests)
        } else {
            self.settle_now(session, &requests)
        };
        self.settle_requests = requests;
        self.settle_requests.clear();
        result
    }

    fn settle_now(
        &self,
        session: &mut Session,
        requests: &[SettleRequest],
    ) -> Result<(), (ChannelError, FailingMethod)> {
        let mut settlements = std::mem::take(&mut session.settlements);
        let mut result = Ok(());
        {
            let mut outbox = session.handle.outbox();
            let Some(deliveries) = outbox.channel(self.slot) else { return Ok(()) };
            for request in requests {
                let SettleRequest { delivery_tag, multiple, outcome, .. } = *request;
                if !deliveries.settle(delivery_tag, multiple, outcome, &mut settlements) {
                    let error = ChannelError::UnknownDeliveryTag(delivery_tag);
                    result = Err((error, request.failing_method()));
                    break;
                }
            }
        }
        session.carry_out(self, settlements);
        result
    }

    fn hold_for_commit(
        &mut self,
        session: &Session,
        requests: &[SettleRequest],
    ) -> Result<(), (ChannelError, FailingMethod)> {
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let mut outbox = session.handle.outbox();
        let Some(deliveries) = outbox.channel(self.slot) else { return Ok(()) };
        for request in requests {
            let taken = deliveries.take(request.delivery_tag, request.multiple);
            let Some(taken) = taken else {
                let error = ChannelError::UnknownDeliveryTag(request.delivery_tag);
                return Err((error, request.failing_method()));
            };
            transaction.settle(taken.into_iter().map(|delivery| (delivery, request.outcome)));
        }
        Ok(())
    }

    /// Requeues everything unsettled: `basic.recover`, and the end of the channel.
    pub fn requeue_all(&mut self, session: &mut Session) {
        let mut settlements = std::mem::take(&mut session.settlements);
        if let Some(deliveries) = session.handle.outbox().channel(self.slot) {
            deliveries.settle_through(u64::MAX, Outcome::Requeue, &mut settlements);
        }
        session.carry_out(self, settlements);
    }
}

impl Session {
    /// Settles in the queues what a channel gave up, then lets the channel's consumers go on if
    /// that made room on the channel.
    fn carry_out(&mut self, channel: &Channel, mut settlements: Settlements) {
        // First: whoever waits for room on the channel goes before the queues that made it.
        self.resume_refused(channel);
        for (queue, deliveries) in settlements.by_queue() {
            queue.settle(deliveries, &mut self.effects);
        }
        settlements.clear();
        self.settlements = settlements;
    }

    /// Settles what a transaction held.
    pub(super) fn settle_held(&mut self, channel: &Channel, held: Vec<(Outstanding, Outcome)>) {
        let mut settlements = std::mem::take(&mut self.settlements);
        if let Some(deliveries) = self.handle.outbox().channel(channel.slot) {
            for (delivery, outcome) in held {
                deliveries.settle_taken(delivery, outcome, &mut settlements);
            }
        }
        self.carry_out(channel, settlements);
    }

    /// Lets the consumers of a channel go on when it refused a delivery and has room again: in
    /// turns, one message each, so that the first queue does not take all the room.
    pub(super) fn resume_refused(&mut self, channel: &Channel) {
        let mut consumers: Vec<_> = {
            let mut outbox = self.handle.outbox();
            let Some(deliveries) = outbox.channel(channel.slot) else { return };
            if !deliveries.take_refused() {
                return;
            }
            let consumers = deliveries.consumers();
            consumers.map(|(queue, key)| (Arc::clone(queue), key)).collect()
        };
        while !consumers.is_empty() {
            consumers.retain(|(queue, key)| queue.resume_for_one(*key, &mut self.effects));
        }
    }
}
