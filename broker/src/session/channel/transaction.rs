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
use leveret_storage::messages::{BATCH_BYTES_MAX, Batch, SETTLED_BYTES, Ticket, message_bytes};

use super::Channel;
use super::deduplicated::Sighted;
use crate::definitions::store::Durable;
use crate::error::ChannelError;
use crate::keys::Outcome;
use crate::message::Message;
use crate::outgoing::unacked::Outstanding;
use crate::queue::Queue;
use crate::session::context::Session;
use crate::session::step::Step;

#[derive(Debug)]
pub(super) struct Publish {
    queues: Vec<Arc<Queue>>,
    message: Message,
    mandatory: bool,
    /// Whether it came before is asked at the commit.
    sighted: Option<Box<Sighted>>,
}

/// A commit under way: what is left of it, and what is to be stored as one.
#[derive(Debug)]
pub(super) struct Commit {
    publishes: std::vec::IntoIter<Publish>,
    settled: std::vec::IntoIter<(Outstanding, Outcome)>,
    batch: Batch,
    /// Whether a queue refused a message.
    is_partial: bool,
}

/// Messages put into queues in one step of a commit, and deliveries settled in one: a few
/// milliseconds of work.
const STEP: usize = 4096;

/// What waits for the commit.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    publishes: Vec<Publish>,
    settled: Vec<(Outstanding, Outcome)>,
    /// Memory of `publishes`, in bytes.
    bytes: usize,
    /// What may be stored of `publishes`, in bytes.
    stored: u64,
}

/// Memory that what is published in a transaction may take, in bytes; a single message may take more. All
/// of it waits in memory for the commit, and is stored as one.
const PUBLISHED_BYTES_MAX: usize = 256 << 20;

impl Transaction {
    /// How many publishes and settlements it holds.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.publishes.len(), self.settled.len())
    }

    /// Holds a routed message.
    ///
    /// # Errors
    /// There is no room for it.
    pub(crate) fn publish(
        &mut self,
        queues: Vec<Arc<Queue>>,
        message: Message,
        mandatory: bool,
    ) -> Result<(), ChannelError> {
        let places = size_of::<Publish>() + size_of::<Arc<Queue>>() * queues.len();
        let bytes = self.bytes + message.size() + places;
        if bytes > PUBLISHED_BYTES_MAX && !self.publishes.is_empty() {
            let text = format!("transaction is larger than {PUBLISHED_BYTES_MAX} bytes");
            return Err(ChannelError::Precondition(text));
        }
        if message.is_persistent() {
            self.stored += message_bytes(message.size(), queues.len());
        }
        self.bytes = bytes;
        self.publishes.push(Publish { queues, message, mandatory, sighted: None });
        Ok(())
    }

    /// Whether the message held last came before is asked when it is committed.
    pub(super) fn ask_at_commit(&mut self, sighted: Box<Sighted>) {
        self.bytes += size_of::<Sighted>();
        if let Some(last) = self.publishes.last_mut() {
            last.sighted = Some(sighted);
        }
    }

    /// Holds settled deliveries.
    pub(crate) fn settle(&mut self, deliveries: impl Iterator<Item = (Outstanding, Outcome)>) {
        self.settled.extend(deliveries);
    }

    /// Whether a store takes it as one: every place counts there, and every delivery may have to be
    /// told by itself.
    ///
    /// # Errors
    /// It does not; nothing has happened.
    fn check(&self) -> Result<(), ChannelError> {
        let settled = SETTLED_BYTES.saturating_mul(self.settled.len() as u64);
        if self.stored.saturating_add(settled) > BATCH_BYTES_MAX {
            let text = format!("transaction is larger than {BATCH_BYTES_MAX} bytes on disk");
            return Err(ChannelError::Precondition(text));
        }
        Ok(())
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

    /// `tx.commit`: answered when everything in it is durable. A large one takes several steps. When
    /// a queue that is full refuses a message the rest is carried out, and the client is told.
    pub(crate) fn tx_commit(&mut self, session: &mut Session) -> Result<Step, ChannelError> {
        let messages = Arc::clone(session.broker.messages());
        if self.commit.is_none() {
            self.transaction.as_ref().map_or(Ok(()), Transaction::check)?;
            let Transaction { publishes, settled, .. } = self.take_transaction()?;
            self.commit = Some(Box::new(Commit {
                publishes: publishes.into_iter(),
                settled: settled.into_iter(),
                batch: Batch::default(),
                is_partial: false,
            }));
        }
        // What came before is no part of the transaction.
        session.effects.store(&messages);
        let Some((ticket, is_partial)) = self.commit_step(session) else {
            return Ok(Step::Again);
        };
        if is_partial {
            return Err(ChannelError::Precondition("partial tx completion".to_owned()));
        }
        let durable = Durable::now().and_stored(&messages, ticket);
        Ok(Step::method_once(durable, self.number, &tx::CommitOk {}))
    }

    /// Counts a publish of a transaction that is committed.
    fn note_committed(
        &self,
        session: &Session,
        message: &Message,
        queues: usize,
        is_mandatory: bool,
    ) {
        self.note_published(session);
        if queues == 0 && !is_mandatory {
            session.meter.dropped.add(1);
            self.meter.dropped.add(1);
        }
        session.meter.routed.add(queues as u64);
        let name = String::from_utf8_lossy(message.exchange());
        if let Some(exchange) = session.vhost.exchange(&name) {
            exchange.meter().add(1, queues as u64);
        }
    }

    /// A step of the commit under way. At its end, when it is durable and whether a queue refused
    /// something; `None` while there is more to be done.
    fn commit_step(&mut self, session: &mut Session) -> Option<(Option<Ticket>, bool)> {
        let mut commit = self.commit.take()?;
        std::mem::swap(&mut session.effects.durable, &mut commit.batch);
        let mut done = 0;
        while done < STEP
            && let Some(publish) = commit.publishes.next()
        {
            let Publish { queues, message, mandatory, sighted } = publish;
            done += queues.len().max(1);
            self.note_committed(session, &message, queues.len(), mandatory);
            let taken = match sighted {
                Some(sighted) => self.enqueue_sighted_now(session, *sighted, &message, mandatory),
                None => self.enqueue_now(session, &queues, &message, mandatory),
            };
            commit.is_partial |= !taken;
        }
        let mut is_over = done < STEP;
        if is_over {
            is_over = commit.settled.len() <= STEP;
            self.settle_held(session, commit.settled.by_ref().take(STEP), !is_over);
        }
        if is_over {
            return Some((session.effects.commit(session.broker.messages()), commit.is_partial));
        }
        std::mem::swap(&mut session.effects.durable, &mut commit.batch);
        self.commit = Some(commit);
        None
    }

    /// Goes on with a commit under way, whose client is gone. False while there is more to be done.
    pub(super) fn end_commit(&mut self, session: &mut Session) -> bool {
        if self.commit.is_some() {
            let messages = Arc::clone(session.broker.messages());
            session.effects.store(&messages);
            self.commit_step(session);
        }
        self.commit.is_none()
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::keys::{DeliveryKey, SourceKey};
    use crate::message::HeadLayout;

    #[test]
    fn a_transaction_has_an_end_and_one_message_always_fits() {
        let body = Bytes::from(vec![0; PUBLISHED_BYTES_MAX / 8]);
        let layout = HeadLayout { properties_at: 2, body_at: 4 };
        let message = || Message::new(&[0; 4], layout, Some(body.clone()), false);
        let mut transaction = Transaction::default();
        for _ in 0..7 {
            assert_eq!(transaction.publish(Vec::new(), message(), false), Ok(()));
        }
        let refused = transaction.publish(Vec::new(), message(), false);
        assert!(matches!(refused, Err(ChannelError::Precondition(_))), "{refused:?}");
        let mut largest = Transaction { bytes: PUBLISHED_BYTES_MAX, ..Transaction::default() };
        assert_eq!(largest.publish(Vec::new(), message(), false), Ok(()));
    }

    /// A message for many queues took 8 bytes a queue here and more in the log, which then dropped the
    /// transaction: its commit was never answered.
    #[test]
    fn what_a_store_does_not_take_as_one_is_refused_before_anything_happened() {
        let mut transaction = Transaction::default();
        assert_eq!(transaction.check(), Ok(()));
        transaction.stored = BATCH_BYTES_MAX - SETTLED_BYTES;
        let delivery = Outstanding { tag: 1, key: DeliveryKey::NONE, source: SourceKey(0) };
        transaction.settle(std::iter::once((delivery, Outcome::Ack)));
        assert_eq!(transaction.check(), Ok(()));
        transaction.settle(std::iter::once((delivery, Outcome::Ack)));
        assert!(matches!(transaction.check(), Err(ChannelError::Precondition(_))));
        let layout = HeadLayout { properties_at: 2, body_at: 4 };
        let mut transaction = Transaction::default();
        for (is_persistent, stored) in [(false, 0), (true, message_bytes(4, 0))] {
            let message = Message::new(&[0; 4], layout, None, is_persistent);
            assert_eq!(transaction.publish(Vec::new(), message, false), Ok(()));
            assert_eq!(transaction.stored, stored);
        }
    }
}
