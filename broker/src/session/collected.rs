//! What a connection's channels have collected: messages on their way, settlements, what is to be
//! stored and told.
//!
//! Carried out by the dispatch before whatever has to come after it, at the end of a read at the
//! latest. Stays true: a client sees the effects of its methods in the order it sent them, and what
//! is to be stored is handed to the stores before its confirm is told or waited for.

use std::sync::Arc;

use leveret_protocol::methods::{Method, basic};
use leveret_storage::messages::Ticket;
use smallvec::SmallVec;

use super::Dispatch;
use super::channel::confirms::Confirm;
use super::context::Session;
use crate::definitions::store::Durable;
use crate::error::{AmqpError, Failure};
use crate::queue::Queue;

/// Queues whose consumers a publisher waits for at a time; for those beyond them it does not.
const GATED_MAX: usize = 64;

impl Dispatch {
    /// An error of a channel closes it.
    pub(super) fn close_if_failed(
        &mut self,
        result: Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        match result {
            Err(failure) => match &failure.error {
                AmqpError::Channel(error) => {
                    self.close_channel(&failure, error);
                    Ok(self.ending.is_empty())
                }
                AmqpError::Connection(_) => Err(failure),
            },
            Ok(done) => Ok(done),
        }
    }

    /// Carries out what was collected before a method, as far as the method does not join it. When
    /// that closes a channel, the method's own or another, the method is looked at afterwards. False
    /// while there is more to be done.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest carries out everything")]
    pub(super) fn make_way(&mut self, number: u16, method: &Method<'_>) -> Result<bool, Failure> {
        let result = match method {
            Method::BasicPublish(_) => self.settle_noted(),
            Method::BasicAck(_) | Method::BasicNack(_) | Method::BasicReject(_) => {
                return self.make_way_for_settlement(number);
            }
            _ => self.finish_batch(),
        };
        self.close_if_failed(result)
    }

    pub(super) fn make_way_for_settlement(&mut self, number: u16) -> Result<bool, Failure> {
        self.hand_over();
        if self.settling == Some(number) {
            return Ok(true);
        }
        let settled = self.settle_noted();
        self.close_if_failed(settled)
    }

    /// Sends frames once a change is on disk, behind the answers that wait.
    pub(crate) fn answer_once(&mut self, durable: Durable, frames: Vec<u8>) {
        if durable.is_now() && !self.is_answering() {
            self.session.send(&frames);
        } else {
            self.session.answers.push(durable, frames);
        }
    }

    pub(super) fn hand_over(&mut self) {
        if self.session.routes.is_dirty() {
            self.worked += self.session.routes.pending();
            for queue in self.session.routes.hand_over(&mut self.session.effects) {
                if queue.is_over_budget() {
                    self.session.over_budget = Some(Arc::clone(&queue));
                }
                if self.gated.len() < GATED_MAX && !self.gated.contains(&queue) {
                    self.gated.push(queue);
                }
            }
        }
        self.session.routes.tell_exchanges();
        if let Some((wait, queue)) = self.session.routes.take_outpaced() {
            self.session.pacing.stay_away(wait, queue);
        }
        self.session.pacing.take_counted();
    }

    /// A step of the noted settlements. False while there is more to be done.
    pub(super) fn settle_noted(&mut self) -> Result<bool, Failure> {
        self.interrupted = false;
        let Some(number) = self.settling.take() else { return Ok(true) };
        let Some(channel) = self.channels.open(number) else { return Ok(true) };
        let settled = channel.settle_noted(&mut self.session);
        if let Ok(false) = settled {
            self.settling = Some(number);
            self.interrupted = true;
        }
        settled
    }

    /// Carries out everything collected: messages into queues, settlements, what is to be stored,
    /// confirms. False when some of it is left for another step.
    pub(super) fn finish_batch(&mut self) -> Result<bool, Failure> {
        self.hand_over();
        let settled = self.settle_noted();
        self.store();
        settled
    }

    /// Stores what is to be stored, and tells the publishers or lets them wait for it.
    pub(super) fn store(&mut self) {
        self.session.tell_firehose();
        let Session { effects, broker, .. } = &mut self.session;
        let ticket = effects.store(broker.messages());
        if ticket.is_some() {
            self.unconfirmed_until = ticket;
        }
        if self.is_answering() {
            return;
        }
        let ticket = self.unconfirmed_until.take();
        for number in self.session.take_unconfirmed() {
            let Some(channel) = self.channels.open(number) else { continue };
            if channel.handed_over(ticket) && !self.awaiting.contains(&number) {
                self.awaiting.push(number);
            }
            self.confirm(number);
        }
    }

    pub(super) fn confirm(&mut self, number: u16) {
        let Some(channel) = self.channels.open(number) else { return };
        while let Some(next) = channel.next_confirm() {
            self.session.meter.confirmed.add(next.count());
            let Confirm { delivery_tag, multiple, taken, .. } = next;
            if taken {
                self.session.reply(number, &basic::Ack { delivery_tag, multiple });
            } else {
                let nack = basic::Nack { delivery_tag, multiple, requeue: false };
                self.session.reply(number, &nack);
            }
        }
    }

    /// Whether publishes wait to be durable.
    pub(crate) fn awaits_durability(&self) -> bool {
        !self.awaiting.is_empty()
    }

    /// Confirms what became durable.
    pub(crate) fn durable(&mut self, ticket: Ticket) {
        for number in std::mem::take(&mut self.awaiting) {
            let Some(channel) = self.channels.open(number) else { continue };
            if channel.durable(ticket) {
                self.awaiting.push(number);
            }
            self.confirm(number);
        }
        self.session.handle.flush();
    }

    /// The end of a read: carries out everything collected and flushes every touched connection.
    pub(crate) fn finish_read(&mut self) -> Result<(), Failure> {
        let held = self.publish_held();
        let result = self.finish_batch();
        self.end_channels();
        self.flush();
        self.worked = 0;
        held.and(result).map(|_| ())
    }

    /// Work done since the last end of a read, in messages put into queues.
    pub(crate) fn work(&self) -> usize {
        self.worked + self.session.routes.pending()
    }

    /// Writes what this connection and those it delivered to have pending.
    pub(crate) fn flush(&mut self) {
        let Session { effects, broker, .. } = &mut self.session;
        effects.carry_out(broker.messages());
        self.session.handle.flush();
    }

    /// A client that consumes has acks that make room: it is not kept from sending them.
    pub(crate) fn spare_consumers(&mut self) {
        if self.session.over_budget.is_some() {
            self.session.is_spared = self.consumes();
        }
    }

    /// The queues whose publishers should wait a moment.
    pub(crate) fn take_gated(&mut self) -> SmallVec<[Arc<Queue>; 1]> {
        std::mem::take(&mut self.gated)
    }
}
