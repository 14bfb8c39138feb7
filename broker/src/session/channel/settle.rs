//! basic.ack, basic.nack, basic.reject and basic.recover: what a client says of its deliveries.
//!
//! Called by `session::Dispatch`. Settlements of one read are collected per channel and carried
//! out together: the connection's outgoing lock is taken once for all of them, then each queue's
//! lock once. Specification: AMQP 0-9-1 basic class; RabbitMQ's nack and consumer prefetch pages.

use leveret_protocol::methods::basic;

use super::Channel;
use crate::error::{ChannelError, FailingMethod, Failure};
use crate::keys::Outcome;
use crate::outgoing::ledger::Ledger;
use crate::outgoing::unacked::Outstanding;
use crate::session::context::Session;
use crate::session::settlements::Settlements;

/// One ack, nack or reject, not yet carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SettleRequest {
    delivery_tag: u64,
    multiple: bool,
    outcome: Outcome,
    method_id: u16,
}

const BASIC_CLASS: u16 = 60;

impl SettleRequest {
    /// From `basic.ack`.
    pub(crate) fn ack(ack: &basic::Ack) -> Self {
        let (delivery_tag, multiple) = (ack.delivery_tag, ack.multiple);
        Self { delivery_tag, multiple, outcome: Outcome::Ack, method_id: 80 }
    }

    /// From `basic.nack`.
    pub(crate) fn nack(nack: &basic::Nack) -> Self {
        let outcome = if nack.requeue { Outcome::Requeue } else { Outcome::Discard };
        let (delivery_tag, multiple) = (nack.delivery_tag, nack.multiple);
        Self { delivery_tag, multiple, outcome, method_id: 120 }
    }

    /// From `basic.reject`.
    pub(crate) fn reject(reject: &basic::Reject) -> Self {
        let outcome = if reject.requeue { Outcome::Requeue } else { Outcome::Discard };
        Self { delivery_tag: reject.delivery_tag, multiple: false, outcome, method_id: 90 }
    }
}

impl Channel {
    /// Notes a settlement; `settle_noted` carries it out.
    pub(crate) fn note(&mut self, request: SettleRequest) {
        self.settle_requests.push(request);
    }

    /// Carries out the noted settlements. A tag that is not outstanding is 406; what was noted
    /// before it stands, what came after it is dropped with the channel.
    pub(crate) fn settle_noted(&mut self, session: &mut Session) -> Result<(), Failure> {
        let mut requests = std::mem::take(&mut self.settle_requests);
        let unknown = if self.transaction.is_some() {
            self.hold_for_commit(session, &requests)
        } else {
            self.settle_now(session, &requests)
        };
        requests.clear();
        self.settle_requests = requests;
        unknown.map_err(|request| Failure {
            channel: self.number,
            error: ChannelError::UnknownDeliveryTag(request.delivery_tag).into(),
            method: FailingMethod::of(BASIC_CLASS, request.method_id),
        })
    }

    fn settle_now(
        &mut self,
        session: &mut Session,
        requests: &[SettleRequest],
    ) -> Result<(), SettleRequest> {
        let mut settlements = std::mem::take(&mut session.settlements);
        let mut result = Ok(());
        if let Some(ledger) = session.handle.outbox().channel(self.slot) {
            for request in requests {
                let SettleRequest { delivery_tag, multiple, outcome, .. } = *request;
                if !ledger.settle(delivery_tag, multiple, outcome, &mut settlements.departed) {
                    result = Err(*request);
                    break;
                }
            }
        }
        session.settle(self, settlements);
        result
    }

    fn hold_for_commit(
        &mut self,
        session: &Session,
        requests: &[SettleRequest],
    ) -> Result<(), SettleRequest> {
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let mut outbox = session.handle.outbox();
        let Some(ledger) = outbox.channel(self.slot) else { return Ok(()) };
        for request in requests {
            let taken = ledger.take(request.delivery_tag, request.multiple).ok_or(*request)?;
            transaction.settle(taken.into_iter().map(|delivery| (delivery, request.outcome)));
        }
        Ok(())
    }

    /// Requeues everything unsettled: `basic.recover`, and the end of the channel.
    pub(crate) fn requeue_all(&mut self, session: &mut Session) {
        let mut settlements = std::mem::take(&mut session.settlements);
        if let Some(ledger) = session.handle.outbox().channel(self.slot) {
            ledger.settle_through(u64::MAX, Outcome::Requeue, &mut settlements.departed);
        }
        session.settle(self, settlements);
    }

    /// Settles what a transaction held.
    pub(super) fn settle_held(&mut self, session: &mut Session, held: Vec<(Outstanding, Outcome)>) {
        let mut settlements = std::mem::take(&mut session.settlements);
        if let Some(ledger) = session.handle.outbox().channel(self.slot) {
            for (delivery, outcome) in held {
                ledger.settle_taken(delivery, outcome, &mut settlements.departed);
            }
        }
        session.settle(self, settlements);
    }
}

impl Session {
    /// Settles in the queues what a channel gave up, then lets the channel's consumers go on if
    /// that made room on the channel.
    fn settle(&mut self, channel: &mut Channel, mut settlements: Settlements) {
        // First: whoever waits for room on the channel goes before the queues that made it.
        self.resume_refused(channel);
        settlements.resolve(&mut channel.sources);
        for (queue, deliveries) in settlements.by_queue() {
            queue.settle(deliveries.iter().rev().copied(), &mut self.effects);
        }
        settlements.clear();
        self.settlements = settlements;
    }

    /// Lets the consumers of a channel go on when it refused a delivery and has room again: in
    /// turns, one message each.
    pub(super) fn resume_refused(&mut self, channel: &mut Channel) {
        let has_room = self.handle.outbox().channel(channel.slot).is_some_and(Ledger::take_refused);
        if has_room {
            let consumers = channel.consumer_keys().collect();
            channel.turn.resume(consumers, 1, &self.handle, &mut self.effects);
        }
    }
}
