//! A channel: what a client does on one of its numbered conversations.
//!
//! A plain struct inside its connection's task; no lock, no task of its own. `handle` is one
//! exhaustive match without logic: every method that a client may send has its place in the file
//! named after it. The delivery side (`outgoing::ledger`) lives in the connection's outgoing buffer,
//! because other tasks deliver into it.
//! Specification: AMQP 0-9-1 §2.2 (channels), and each class.

pub(crate) mod assembly;
pub(crate) mod catch_up;
pub(crate) mod confirms;
pub(crate) mod consume;
pub(crate) mod deduplicated;
pub(crate) mod exchange_methods;
mod lapses;
pub(crate) mod later;
pub(crate) mod message_properties;
pub(crate) mod publish;
pub(crate) mod queue_methods;
pub(crate) mod reply_to;
pub(crate) mod settle;
pub(crate) mod transaction;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;
use leveret_protocol::methods::{Method, access, basic, channel, confirm, tx};
use leveret_storage::messages::Ticket;

use self::assembly::Assembly;
use self::confirms::Confirms;
use self::consume::Consumer;
use self::settle::SettleRequest;
use self::transaction::{Commit, Transaction};
use super::settlements::Sources;
use super::step::Step;
use crate::broker::admission::Seat;
use crate::error::{AmqpError, ChannelError, ConnectionError};
use crate::keys::{ChannelSlot, Outcome, QueueId};
use crate::meters::channels::ChannelMeter;
use crate::outgoing::mailbox::ChannelTruth;
use crate::queue::Queue;
use crate::session::context::Session;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Channel {
    number: u16,
    slot: ChannelSlot,
    assembly: Assembly,
    consumers: IndexMap<String, Consumer, foldhash::fast::RandomState>,
    /// The queue declared last: what an empty queue name stands for.
    last_queue: Option<String>,
    /// For consumers started from now on; 0 is no limit.
    prefetch_count: u16,
    confirms: Option<Confirms>,
    transaction: Option<Transaction>,
    /// The queue behind direct reply-to, while this channel consumes from it.
    reply_queue: Option<String>,
    /// Settlements noted and not yet carried out.
    settle_requests: VecDeque<SettleRequest>,
    /// Everything is being given back for a `basic.recover`.
    recovering: bool,
    /// Queues that hand out nothing while this channel gives back messages in several steps.
    suspended: BTreeMap<QueueId, Arc<Queue>>,
    /// A commit under way.
    commit: Option<Box<Commit>>,
    ending: Ending,
    /// The queues that its deliveries come from.
    sources: Sources,
    /// What it does, counted.
    meter: Arc<ChannelMeter>,
    /// Its place among the channels of its user.
    _seat: Seat,
}

/// How far the end of a channel has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    NotYet,
    /// What the client had sent is carried out.
    Finishing,
    /// Its consumers are taken off their queues, which hand out nothing meanwhile.
    Consumers,
    /// What it has not settled goes back.
    Deliveries,
}

/// Consumers taken off their queues in one step.
const CONSUMERS_A_STEP: usize = 1024;

impl Channel {
    /// A newly opened channel.
    pub(crate) fn new(
        number: u16,
        (slot, meter): (ChannelSlot, Arc<ChannelMeter>),
        seat: Seat,
    ) -> Self {
        Self {
            number,
            slot,
            assembly: Assembly::default(),
            consumers: IndexMap::default(),
            last_queue: None,
            prefetch_count: 0,
            confirms: None,
            transaction: None,
            reply_queue: None,
            settle_requests: VecDeque::new(),
            recovering: false,
            suspended: BTreeMap::new(),
            commit: None,
            ending: Ending::NotYet,
            sources: Sources::default(),
            meter,
            _seat: seat,
        }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Its place in the connection's outgoing buffer.
    pub(crate) fn slot(&self) -> ChannelSlot {
        self.slot
    }

    /// Where its deliveries come from.
    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The content being received, if any.
    pub(crate) fn assembly(&self) -> &Assembly {
        &self.assembly
    }

    /// It as it is now.
    pub(crate) fn truth(&self, session: &Session) -> ChannelTruth {
        let mut outbox = session.handle.outbox();
        let ledger = outbox.channel(self.slot);
        let told = ledger.map(|ledger| {
            (ledger.unacked_count(), ledger.prefetch_count_global(), ledger.counts())
        });
        let (unacked, prefetch_count_global, counts) = told.unwrap_or_default();
        ChannelTruth {
            number: self.number,
            consumers: self.consumers.len(),
            prefetch_count: self.prefetch_count,
            prefetch_count_global,
            confirms: self.confirms.is_some(),
            is_transactional: self.transaction.is_some(),
            unacked,
            unconfirmed: self.confirms.as_ref().map_or(0, Confirms::unconfirmed),
            uncommitted: self.transaction.as_ref().map_or((0, 0), Transaction::held),
            counts,
            meter: Arc::clone(&self.meter),
        }
    }

    /// How many consumers it has.
    pub(crate) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// Whether publishes are confirmed.
    pub(crate) fn confirms_publishes(&self) -> bool {
        self.confirms.is_some()
    }

    /// Everything published so far is in its queues; `ticket`: when it is durable, if it has to be.
    /// Whether some of it has to be waited for.
    pub(crate) fn handed_over(&mut self, ticket: Option<Ticket>) -> bool {
        let Some(confirms) = &mut self.confirms else { return false };
        confirms.handed_over(ticket);
        confirms.is_waiting()
    }

    /// Everything up to this ticket is durable. Whether there is more to wait for.
    pub(crate) fn durable(&mut self, ticket: Ticket) -> bool {
        let Some(confirms) = &mut self.confirms else { return false };
        confirms.durable(ticket);
        confirms.is_waiting()
    }

    /// What to tell a publisher that uses confirms.
    pub(crate) fn next_confirm(&mut self) -> Option<confirms::Confirm> {
        let next = self.confirms.as_mut()?.take_next()?;
        self.meter.confirmed.add(next.count());
        Some(next)
    }

    /// Carries out one method other than the batched ones (publish, ack, nack, reject).
    #[expect(clippy::too_many_lines, reason = "one exhaustive dispatch, a line a method")]
    pub(crate) fn handle(
        &mut self,
        session: &mut Session,
        method: &Method<'_>,
    ) -> Result<Step, AmqpError> {
        match method {
            Method::ChannelFlow(flow) => self.channel_flow(session, flow)?,
            Method::AccessRequest(_) => {
                session.reply(self.number, &access::RequestOk { ticket: 1 })
            }
            Method::ExchangeDeclare(declare) => {
                let step = self.exchange_declare(session, declare);
                return session.after_change(step);
            }
            Method::ExchangeDelete(delete) => {
                let step = self.exchange_delete(session, delete);
                return session.after_change(step);
            }
            Method::ExchangeBind(bind) => {
                let step = self.exchange_bind(session, bind);
                return session.after_change(step);
            }
            Method::ExchangeUnbind(unbind) => {
                let step = self.exchange_unbind(session, unbind);
                return session.after_change(step);
            }
            Method::QueueDeclare(declare) => {
                let step = self.queue_declare(session, declare);
                return session.after_change(step);
            }
            Method::QueueBind(bind) => {
                let step = self.queue_bind(session, bind);
                return session.after_change(step);
            }
            Method::QueueUnbind(unbind) => {
                let step = self.queue_unbind(session, unbind);
                return session.after_change(step);
            }
            Method::QueuePurge(purge) => self.queue_purge(session, purge)?,
            Method::QueueDelete(delete) => {
                let step = self.queue_delete(session, delete);
                return session.after_change(step);
            }
            Method::BasicQos(qos) => self.basic_qos(session, qos)?,
            Method::BasicConsume(consume) => self.basic_consume(session, consume)?,
            Method::BasicCancel(cancel) => return Ok(self.basic_cancel(session, cancel)),
            Method::BasicGet(get) => return self.basic_get(session, get),
            Method::BasicRecover(recover) => {
                return self.basic_recover(session, recover.requeue, true).map_err(AmqpError::from);
            }
            Method::BasicRecoverAsync(recover) => {
                return self
                    .basic_recover(session, recover.requeue, false)
                    .map_err(AmqpError::from);
            }
            Method::ConfirmSelect(select) => self.confirm_select(session, select)?,
            Method::TxSelect(_) => {
                self.tx_select()?;
                session.reply(self.number, &tx::SelectOk {});
            }
            Method::TxCommit(_) => return self.tx_commit(session).map_err(AmqpError::from),
            Method::TxRollback(_) => {
                self.tx_rollback(session)?;
                session.reply(self.number, &tx::RollbackOk {});
            }
            // A client may answer what needs no answer; RabbitMQ lets it.
            Method::BasicCancelOk(_) | Method::ChannelFlowOk(_) => {}
            // Taken by the connection before it gets here, or not a client's to send.
            Method::ConnectionStart(_)
            | Method::ConnectionStartOk(_)
            | Method::ConnectionSecure(_)
            | Method::ConnectionSecureOk(_)
            | Method::ConnectionTune(_)
            | Method::ConnectionTuneOk(_)
            | Method::ConnectionOpen(_)
            | Method::ConnectionOpenOk(_)
            | Method::ConnectionClose(_)
            | Method::ConnectionCloseOk(_)
            | Method::ConnectionBlocked(_)
            | Method::ConnectionUnblocked(_)
            | Method::ConnectionUpdateSecret(_)
            | Method::ConnectionUpdateSecretOk(_)
            | Method::ChannelOpen(_)
            | Method::ChannelOpenOk(_)
            | Method::ChannelClose(_)
            | Method::ChannelCloseOk(_)
            | Method::AccessRequestOk(_)
            | Method::ExchangeDeclareOk(_)
            | Method::ExchangeDeleteOk(_)
            | Method::ExchangeBindOk(_)
            | Method::ExchangeUnbindOk(_)
            | Method::QueueDeclareOk(_)
            | Method::QueueBindOk(_)
            | Method::QueuePurgeOk(_)
            | Method::QueueDeleteOk(_)
            | Method::QueueUnbindOk(_)
            | Method::BasicQosOk(_)
            | Method::BasicConsumeOk(_)
            | Method::BasicPublish(_)
            | Method::BasicReturn(_)
            | Method::BasicDeliver(_)
            | Method::BasicGetOk(_)
            | Method::BasicGetEmpty(_)
            | Method::BasicAck(_)
            | Method::BasicReject(_)
            | Method::BasicRecoverOk(_)
            | Method::BasicNack(_)
            | Method::ConfirmSelectOk(_)
            | Method::TxSelectOk(_)
            | Method::TxCommitOk(_)
            | Method::TxRollbackOk(_) => return Err(unexpected().into()),
        }
        Ok(Step::Next)
    }

    fn channel_flow(&self, session: &Session, flow: &channel::Flow) -> Result<(), ConnectionError> {
        if !flow.active {
            return Err(ConnectionError::NotImplemented("active=false".to_owned()));
        }
        session.reply(self.number, &channel::FlowOk { active: true });
        Ok(())
    }

    /// `basic.recover`: everything unsettled goes back, in steps.
    fn basic_recover(
        &mut self,
        session: &mut Session,
        requeue: bool,
        reply: bool,
    ) -> Result<Step, ConnectionError> {
        if !std::mem::replace(&mut self.recovering, true) {
            assert_requeues(requeue)?;
            if reply {
                // It goes before the deliveries that follow.
                session.reply(self.number, &basic::RecoverOk {});
            }
            self.give_back_all(session, Outcome::Requeue);
        }
        if !self.give_back_step(session) {
            return Ok(Step::Again);
        }
        self.recovering = false;
        Ok(Step::Next)
    }

    fn confirm_select(
        &mut self,
        session: &Session,
        select: &confirm::Select,
    ) -> Result<(), ChannelError> {
        if self.transaction.is_some() {
            let text = "cannot switch from tx to confirm mode".to_owned();
            return Err(ChannelError::Precondition(text));
        }
        self.confirms.get_or_insert_default();
        if !select.no_wait {
            session.reply(self.number, &confirm::SelectOk {});
        }
        Ok(())
    }

    /// The queue a name means: the empty name is the queue declared last on this channel.
    fn queue_or_last<'a>(&'a self, name: &'a str) -> Result<&'a str, ChannelError> {
        if !name.is_empty() {
            return Ok(name);
        }
        self.last_queue.as_deref().ok_or(ChannelError::NoPreviousQueue)
    }

    /// A step of the channel's end: what it was told is carried out, its consumers are cancelled, what
    /// it has not settled goes back to its queues, an open transaction is rolled back. False while
    /// there is more to be done. Its queues hand out nothing until everything is back: whoever is
    /// served next gets the messages in their order.
    pub(crate) fn end_step(&mut self, session: &mut Session) -> bool {
        if self.ending == Ending::NotYet {
            if let Some(deliveries) = session.handle.outbox().channel(self.slot) {
                deliveries.set_active(false);
            }
            self.ending = Ending::Finishing;
        }
        if self.ending == Ending::Finishing {
            if !self.end_commit(session) {
                return false;
            }
            if self.transaction.is_some() {
                self.settle_requests.clear();
                // Nothing to restore to but the queues, to which everything goes back next.
                let _ = self.tx_rollback(session);
            }
            if !self.give_back_step(session) {
                return false;
            }
            let queues: Vec<_> = self.sources.queues().map(Arc::clone).collect();
            queues.iter().for_each(|queue| self.suspend(queue));
            self.give_back_all(session, Outcome::Failed);
            self.ending = Ending::Consumers;
        }
        if self.ending == Ending::Consumers {
            if !self.stop_consumers(session, CONSUMERS_A_STEP) {
                return false;
            }
            self.ending = Ending::Deliveries;
        }
        if !self.give_back_step(session) {
            return false;
        }
        if self.meter.published.get() > 0 {
            session.meter.publishers.take_one();
        }
        session.handle.outbox().close_channel(self.slot);
        true
    }
}

fn assert_requeues(requeue: bool) -> Result<(), ConnectionError> {
    if requeue {
        return Ok(());
    }
    Err(ConnectionError::NotImplemented("requeue=false".to_owned()))
}

fn unexpected() -> ConnectionError {
    ConnectionError::CommandInvalid("unimplemented method".to_owned())
}
