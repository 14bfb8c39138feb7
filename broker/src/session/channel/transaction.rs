//! tx.select, tx.commit, tx.rollback: publishes and settlements held until the commit.
//!
//! Owned by a channel in transaction mode. As in RabbitMQ, messages are routed when they are
//! published and enqueued at the commit, consumers may see a part of a commit before the rest, and a
//! rollback gives the settled deliveries back to the channel. After either a new transaction begins.
//! Kinder than RabbitMQ: what is stored of a commit is stored as one, and comes back after a crash
//! whole or not at all.
//! Specification: AMQP 0-9-1 tx class; RabbitMQ's semantics page.

use std::sync::Arc;

use leveret_protocol::methods::tx;

use super::Channel;
use crate::definitions::store::Durable;
use crate::error::ChannelError;
use crate::keys::Outcome;
use crate::message::Message;
use crate::outgoing::unacked::Outstanding;
use crate::queue::Queue;
use crate::session::context::Session;
use crate::session::step::Step;

#[derive(Debug)]
struct Publish {
    queues: Vec<Arc<Queue>>,
    message: Message,
    mandatory: bool,
}

/// What waits for the commit.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    publishes: Vec<Publish>,
    settled: Vec<(Outstanding, Outcome)>,
}

impl Transaction {
    /// Holds a routed message.
    pub(crate) fn publish(&mut self, queues: Vec<Arc<Queue>>, message: Message, mandatory: bool) {
        self.publishes.push(Publish { queues, message, mandatory });
    }

    /// Holds settled deliveries.
    pub(crate) fn settle(&mut self, deliveries: impl Iterator<Item = (Outstanding, Outcome)>) {
        self.settled.extend(deliveries);
    }
}

impl Channel {
    /// `tx.select`: from now on publishes and settlements wait for a commit.
    pub(crate) fn tx_select(&mut self) -> Result<(), ChannelError> {
        if self.confirms.is_some() {
            let text = "cannot switch from confirm to tx mode".to_owned();
            return Err(ChannelError::Precondition(text));
        }
        self.transaction.get_or_insert_default();
        Ok(())
    }

    /// `tx.commit`: answered when everything in it is durable.
    pub(crate) fn tx_commit(&mut self, session: &mut Session) -> Result<Step, ChannelError> {
        let transaction = self.take_transaction()?;
        let messages = Arc::clone(session.broker.messages());
        // What came before is no part of the transaction.
        session.effects.store(&messages);
        for Publish { queues, message, mandatory } in &transaction.publishes {
            self.enqueue_now(session, queues, message, *mandatory);
        }
        self.settle_held(session, transaction.settled);
        let ticket = session.effects.commit(&messages);
        let durable = Durable::now().and_stored(&messages, ticket);
        Ok(Step::method_once(durable, self.number, &tx::CommitOk {}))
    }

    /// `tx.rollback`.
    pub(crate) fn tx_rollback(&mut self, session: &Session) -> Result<(), ChannelError> {
        let transaction = self.take_transaction()?;
        let mut outbox = session.handle.outbox();
        if let Some(deliveries) = outbox.channel(self.slot) {
            deliveries.restore(transaction.settled.into_iter().map(|(delivery, _)| delivery));
        }
        Ok(())
    }

    fn take_transaction(&mut self) -> Result<Transaction, ChannelError> {
        self.transaction
            .as_mut()
            .map(std::mem::take)
            .ok_or_else(|| ChannelError::Precondition("channel is not transactional".to_owned()))
    }
}
