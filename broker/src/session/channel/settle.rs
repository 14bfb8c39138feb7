//! basic.ack, basic.nack, basic.reject and basic.recover: what a client says of its deliveries.
//!
//! Called by `session::Dispatch`. Settlements of one read are collected per channel and carried
//! out together: the connection's outgoing lock is taken once for all of them, then each queue's
//! lock once. What is too much for one step (`STEP`) is done in several, and nothing else the client
//! sent is looked at meanwhile; while messages are given back in several steps their queues hand
//! out nothing, so that whoever is served next finds all of them. Specification: AMQP 0-9-1 basic class; RabbitMQ's nack and consumer prefetch pages.

use std::sync::Arc;

use leveret_protocol::methods::basic;

use super::Channel;
use crate::error::{ChannelError, FailingMethod, Failure};
use crate::keys::Outcome;
use crate::outgoing::ledger::{Departed, Ledger};
use crate::outgoing::unacked::Outstanding;
use crate::queue::Queue;
use crate::session::context::Session;
use crate::session::settlements::Settlements;

/// One ack, nack or reject, not yet carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SettleRequest {
    delivery_tag: u64,
    multiple: bool,
    outcome: Outcome,
    method_id: u16,
    /// Its tag was looked at before: a part of it may be carried out.
    is_known: bool,
}

/// Deliveries settled in one step: a millisecond or two of work.
const STEP: usize = 4096;

const BASIC_CLASS: u16 = 60;

impl SettleRequest {
    /// From `basic.ack`.
    pub(crate) fn ack(ack: &basic::Ack) -> Self {
        let (delivery_tag, multiple) = (ack.delivery_tag, ack.multiple);
        Self { delivery_tag, multiple, outcome: Outcome::Ack, method_id: 80, is_known: false }
    }

    /// From `basic.nack`.
    pub(crate) fn nack(nack: &basic::Nack) -> Self {
        let outcome = if nack.requeue { Outcome::Requeue } else { Outcome::Discard };
        let (delivery_tag, multiple) = (nack.delivery_tag, nack.multiple);
        Self { delivery_tag, multiple, outcome, method_id: 120, is_known: false }
    }

    /// From `basic.reject`.
    pub(crate) fn reject(reject: &basic::Reject) -> Self {
        let outcome = if reject.requeue { Outcome::Failed } else { Outcome::Discard };
        let delivery_tag = reject.delivery_tag;
        Self { delivery_tag, multiple: false, outcome, method_id: 90, is_known: false }
    }

    /// Everything up to this tag goes back.
    fn give_back(last_tag: u64, outcome: Outcome) -> Self {
        let delivery_tag = last_tag;
        Self { delivery_tag, multiple: true, outcome, method_id: 110, is_known: true }
    }

    /// Carries it out, at most so much of it. True when that was all; `None` when the tag is not
    /// outstanding.
    fn carry_out(
        &mut self,
        ledger: &mut Ledger,
        limit: usize,
        departed: &mut Departed,
    ) -> Option<bool> {
        let Self { delivery_tag, multiple, outcome, .. } = *self;
        if !multiple {
            return ledger.settle(delivery_tag, outcome, departed).then_some(true);
        }
        if !self.is_known {
            // What is delivered after this is not meant.
            if delivery_tag == 0 {
                self.delivery_tag = ledger.last_tag();
            } else if !ledger.is_outstanding(delivery_tag) {
                return None;
            }
            self.is_known = true;
        }
        Some(ledger.settle_through(self.delivery_tag, limit, outcome, departed))
    }
}

impl Channel {
    /// Notes a settlement; `settle_noted` carries it out.
    pub(crate) fn note(&mut self, request: SettleRequest) {
        self.settle_requests.push_back(request);
    }

    /// Carries out the noted settlements; false while there is more to be done. A tag that is not
    /// outstanding is 406; what was noted before it stands, what came after it is dropped with the
    /// channel.
    pub(crate) fn settle_noted(&mut self, session: &mut Session) -> Result<bool, Failure> {
        let settled = if self.transaction.is_some() {
            self.hold_for_commit(session)
        } else {
            self.settle_step(session)
        };
        settled.map_err(|request| {
            self.settle_requests.clear();
            Failure {
                channel: self.number,
                error: ChannelError::UnknownDeliveryTag(request.delivery_tag).into(),
                method: FailingMethod::of(BASIC_CLASS, request.method_id),
            }
        })
    }

    /// One step of the noted settlements; false while there is more to be done.
    fn settle_step(&mut self, session: &mut Session) -> Result<bool, SettleRequest> {
        let mut settlements = std::mem::take(&mut session.settlements);
        let departed = &mut settlements.departed;
        let mut result = Ok(true);
        if let Some(ledger) = session.handle.outbox().channel(self.slot) {
            while let Some(request) = self.settle_requests.front_mut() {
                let limit = STEP.saturating_sub(departed.entries.len());
                if limit == 0 {
                    result = Ok(false);
                    break;
                }
                let (before, is_ack) = (departed.entries.len(), request.outcome == Outcome::Ack);
                let carried_out = request.carry_out(ledger, limit, departed);
                if is_ack {
                    let settled = departed.entries.len() - before;
                    self.meter.acknowledged.add(settled as u64);
                }
                match carried_out {
                    Some(true) => _ = self.settle_requests.pop_front(),
                    Some(false) => {}
                    None => {
                        result = Err(*request);
                        break;
                    }
                }
            }
        }
        session.settle(self, settlements, matches!(result, Ok(false)));
        result
    }

    fn hold_for_commit(&mut self, session: &Session) -> Result<bool, SettleRequest> {
        let Some(transaction) = &mut self.transaction else { return Ok(true) };
        let mut outbox = session.handle.outbox();
        let Some(ledger) = outbox.channel(self.slot) else { return Ok(true) };
        for request in self.settle_requests.drain(..) {
            let taken = ledger.take(request.delivery_tag, request.multiple).ok_or(request)?;
            transaction.settle(taken.into_iter().map(|delivery| (delivery, request.outcome)));
        }
        Ok(true)
    }

    /// Begins to give back everything unsettled: `basic.recover`, and the end of the channel, with
    /// which deliveries fail.
    pub(crate) fn give_back_all(&mut self, session: &Session, outcome: Outcome) {
        if let Some(ledger) = session.handle.outbox().channel(self.slot) {
            self.settle_requests.push_back(SettleRequest::give_back(ledger.last_tag(), outcome));
        }
    }

    /// A step of what `give_back_all` began, and of what was noted before; false while there is
    /// more to be done.
    pub(crate) fn give_back_step(&mut self, session: &mut Session) -> bool {
        // A tag that is not outstanding does not matter any more.
        let done = self.settle_step(session).unwrap_or_else(|_| {
            self.settle_requests.pop_front();
            false
        });
        done && self.settle_requests.is_empty()
    }

    /// Settles what a transaction held. `more`: there is more to come.
    pub(super) fn settle_held(
        &mut self,
        session: &mut Session,
        held: impl Iterator<Item = (Outstanding, Outcome)>,
        more: bool,
    ) {
        let mut settlements = std::mem::take(&mut session.settlements);
        if let Some(ledger) = session.handle.outbox().channel(self.slot) {
            for (delivery, outcome) in held {
                self.meter.acknowledged.add(u64::from(outcome == Outcome::Ack));
                ledger.settle_taken(delivery, outcome, &mut settlements.departed);
            }
        }
        session.settle(self, settlements, more);
    }

    /// A queue hands out nothing until `unsuspend` of the channel.
    pub(super) fn suspend(&mut self, queue: &Arc<Queue>) {
        self.suspended.entry(queue.id()).or_insert_with(|| {
            queue.suspend();
            Arc::clone(queue)
        });
    }

    fn unsuspend(&mut self, session: &mut Session) {
        for queue in std::mem::take(&mut self.suspended).into_values() {
            queue.unsuspend(&mut session.effects);
        }
    }
}

impl Session {
    /// Settles in the queues what a channel gave up, then lets the channel's consumers go on if
    /// that made room on the channel. `more`: there is more of it to come.
    fn settle(&mut self, channel: &mut Channel, mut settlements: Settlements, more: bool) {
        // First: whoever waits for room on the channel goes before the queues that made it.
        self.serve_held_back(channel);
        settlements.resolve(&mut channel.sources);
        for (queue, deliveries) in settlements.by_queue() {
            if more && deliveries.iter().any(|(_, outcome)| outcome.gives_back()) {
                channel.suspend(queue);
            }
            queue.settle(deliveries.iter().copied(), &mut self.effects);
        }
        settlements.clear();
        self.settlements = settlements;
        if !more {
            channel.unsuspend(self);
        }
    }
}
