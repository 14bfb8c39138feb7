//! basic.qos, basic.consume, basic.cancel and basic.get.
//!
//! Called by `Channel::handle`. Stays true: a consumer's consume-ok is in the outgoing
//! buffer before its first delivery, because both are encoded under its queue's lock.
//! Specification: AMQP 0-9-1 basic class; RabbitMQ's consumers, consumer prefetch, priority and
//! cancel notification pages.

use std::sync::Arc;

use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::basic;
use tracing::debug;

use super::Channel;
use super::reply_to::{PSEUDO_QUEUE, assert_fetchable};
use crate::auth::authority::Access;
use crate::auth::rights::Permission;
use crate::definitions::store::Durable;
use crate::error::{AmqpError, ChannelError, ConnectionError};
use crate::keys::{ConsumerKey, DeliveryKey, QueueId, SourceKey};
use crate::names;
use crate::outgoing::ConnectionHandle;
use crate::queue::arguments::{consumer_priority, consumer_timeout};
use crate::queue::{ConsumeRefused, ConsumerSettings, Fetched, Got, Holder, Queue, Sink};
use crate::session::context::Session;
use crate::session::step::Step;

/// A consumer of this channel.
#[derive(Debug)]
pub(crate) struct Consumer {
    queue: Arc<Queue>,
    key: ConsumerKey,
    source: SourceKey,
    /// Lets the connection know that it has consumers.
    _counted: Arc<()>,
}

impl Consumer {
    /// The name of its queue.
    pub(super) fn queue_name(&self) -> &str {
        self.queue.name()
    }

    /// Whether it is this one of this queue.
    pub(super) fn is(&self, queue: QueueId, key: ConsumerKey) -> bool {
        self.key == key && self.queue.id() == queue
    }

    /// What it delivers from.
    pub(super) fn source(&self) -> SourceKey {
        self.source
    }
}

impl Channel {
    /// `basic.qos`: per consumer for those started later, or, with `global`, for the whole channel.
    pub(crate) fn basic_qos(
        &mut self,
        session: &mut Session,
        qos: &basic::Qos,
    ) -> Result<(), AmqpError> {
        if qos.prefetch_size != 0 {
            let text = format!("prefetch_size!=0 ({})", qos.prefetch_size);
            return Err(ConnectionError::NotImplemented(text).into());
        }
        if !qos.global {
            self.prefetch_count = qos.prefetch_count;
        } else if let Some(deliveries) = session.handle.outbox().channel(self.slot) {
            deliveries.set_prefetch_count_global(qos.prefetch_count);
        }
        // The reply first: a client that asks for more while it waits for it would notice late.
        session.reply(self.number, &basic::QosOk {});
        session.serve_held_back(self);
        Ok(())
    }

    /// `basic.consume`.
    pub(crate) fn basic_consume(
        &mut self,
        session: &mut Session,
        consume: &basic::Consume<'_>,
    ) -> Result<(), AmqpError> {
        if consume.queue == PSEUDO_QUEUE {
            return self.consume_replies(session, consume);
        }
        self.assert_consumable(session, consume.queue)?;
        let queue = self.readable_queue(session, consume.queue)?;
        let arguments = consume.arguments.parse()?;
        let resource = session.vhost.queue_name(queue.name());
        let settings = ConsumerSettings {
            priority: consumer_priority(&arguments, &resource)?,
            prefetch_count: self.prefetch_count,
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            timeout_ms: consumer_timeout(&arguments, &resource)?,
        };
        self.consume_from(session, &queue, settings, consume)?;
        if let Some((tag, _)) = self.consumers.last() {
            let told = (tag.as_str(), queue.name(), self.prefetch_count);
            session.tell_of_consumer(self.number, told, consume, &arguments);
        }
        Ok(())
    }

    pub(super) fn consume_from(
        &mut self,
        session: &mut Session,
        queue: &Arc<Queue>,
        settings: ConsumerSettings,
        consume: &basic::Consume<'_>,
    ) -> Result<(), AmqpError> {
        let consumer_tag = self.consumer_tag(consume.consumer_tag)?;
        if let Some(limit) = session.limits().consumers_per_channel
            && self.consumers.len() >= limit
        {
            let text = format!("reached maximum ({limit}) of consumers per channel");
            return Err(ConnectionError::NotAllowed(text).into());
        }
        let resource = session.vhost.queue_name(queue.name());
        let reply = !consume.no_wait;
        let (key, source) = self
            .start_consumer(session, queue, settings, &consumer_tag, reply)
            .map_err(|refused| match refused {
                ConsumeRefused::Deleted => ChannelError::NotFound(resource),
                ConsumeRefused::ExclusiveUse => {
                    ChannelError::Refused(format!("{resource} in exclusive use"))
                }
            })?;
        debug!(queue = queue.name(), consumer_tag, "consumer started");
        self.sources.add(source, Arc::clone(queue), key);
        let (queue, _counted) = (Arc::clone(queue), session.counted());
        self.consumers.insert(consumer_tag, Consumer { queue, key, source, _counted });
        Ok(())
    }

    fn start_consumer(
        &self,
        session: &mut Session,
        queue: &Arc<Queue>,
        settings: ConsumerSettings,
        consumer_tag: &str,
        reply: bool,
    ) -> Result<(ConsumerKey, SourceKey), ConsumeRefused> {
        let handle = &session.handle;
        let mut registered = SourceKey(u32::MAX);
        let accept = || {
            let mut outbox = handle.outbox();
            if reply {
                write_method(outbox.frames(), self.number, &basic::ConsumeOk { consumer_tag });
            }
            if let Some(ledger) = outbox.channel(self.slot) {
                registered = ledger.add_source();
            }
            Sink {
                connection: Arc::clone(handle),
                channel: self.slot,
                channel_number: self.number,
                source: registered,
                consumer_tag: consumer_tag.to_owned(),
            }
        };
        let key = queue.consume(settings, accept, &mut session.effects)?;
        Ok((key, registered))
    }

    fn consumer_tag(&self, wanted: &str) -> Result<String, ConnectionError> {
        if wanted.is_empty() {
            return Ok(names::generated("amq.ctag-"));
        }
        if self.consumers.contains_key(wanted) {
            let text = format!("attempt to reuse consumer tag '{wanted}'");
            return Err(ConnectionError::NotAllowed(text));
        }
        Ok(wanted.to_owned())
    }

    /// `basic.cancel`. An unknown tag is no error.
    pub(crate) fn basic_cancel(
        &mut self,
        session: &mut Session,
        cancel: &basic::Cancel<'_>,
    ) -> Step {
        let durable = self.stop_consumer(session, cancel.consumer_tag);
        if cancel.no_wait {
            return Step::Once(durable, Vec::new());
        }
        let reply = basic::CancelOk { consumer_tag: cancel.consumer_tag };
        Step::method_once(durable, self.number, &reply)
    }

    /// Takes a consumer off its queue. An auto-delete queue goes with its last one.
    fn stop_consumer(&mut self, session: &mut Session, consumer_tag: &str) -> Durable {
        let Some(consumer) = self.consumers.swap_remove(consumer_tag) else {
            return Durable::now();
        };
        let Consumer { queue, key, source, .. } = consumer;
        let abandoned = queue.cancel(key, &mut session.effects);
        self.end_source(session, source);
        if self.reply_queue.as_deref() == Some(queue.name()) {
            self.reply_queue = None;
            session.vhost.close_reply_queue(&queue);
            return Durable::now();
        }
        session.tell_of_consumers_end(self.number, consumer_tag, queue.name());
        if abandoned {
            return session.vhost.delete_if_abandoned(&queue);
        }
        Durable::now()
    }

    /// Takes consumers off queues that the user may not read any more. What the client is told, and
    /// when, one after the other.
    pub(crate) fn stop_forbidden(&mut self, session: &mut Session) -> Vec<(Durable, Vec<u8>)> {
        let is_forbidden = |consumer: &Consumer| {
            let name = consumer.queue.name();
            self.reply_queue.as_deref() != Some(name)
                && session.rights().access(Permission::Read, "queue", name) != Access::Granted
        };
        let forbidden = self.consumers.iter().filter(|(_, consumer)| is_forbidden(consumer));
        let forbidden: Vec<String> = forbidden.map(|(tag, _)| tag.clone()).collect();
        let stopped = forbidden.iter().map(|tag| self.stop_and_tell(session, tag));
        stopped.collect()
    }

    /// Somebody who administrates the broker wants a consumer to go. What the client is told, and when;
    /// `None` if there is none of this tag by now.
    pub(crate) fn consumer_stopped(
        &mut self,
        session: &mut Session,
        consumer_tag: &str,
    ) -> Option<(Durable, Vec<u8>)> {
        let is_there = self.consumers.contains_key(consumer_tag);
        is_there.then(|| self.stop_and_tell(session, consumer_tag))
    }

    /// What the client is told, if it wants to know, and when.
    fn stop_and_tell(&mut self, session: &mut Session, consumer_tag: &str) -> (Durable, Vec<u8>) {
        let durable = self.stop_consumer(session, consumer_tag);
        let mut frames = Vec::new();
        if session.capabilities.consumer_cancel_notify {
            let cancel = basic::Cancel { consumer_tag, no_wait: true };
            write_method(&mut frames, self.number, &cancel);
        }
        (durable, frames)
    }

    /// A consumer is gone; what it delivered stays to be settled.
    pub(super) fn end_source(&mut self, session: &Session, source: SourceKey) {
        let mut outbox = session.handle.outbox();
        if outbox.channel(self.slot).is_some_and(|ledger| ledger.end_source(source)) {
            self.sources.remove(source);
        }
    }

    /// Takes so many consumers off their queues at most: the channel ends. False while there are
    /// more.
    pub(super) fn stop_consumers(&mut self, session: &mut Session, limit: usize) -> bool {
        for _ in 0..limit {
            let Some((tag, _)) = self.consumers.last() else { return true };
            let tag = tag.clone();
            // A deletion that follows from this is durable soon; nobody waits for it.
            drop(self.stop_consumer(session, &tag));
        }
        self.consumers.is_empty()
    }

    /// The queue of a consumer was deleted: forget it, and tell the client if it wants to know.
    pub(crate) fn consumer_cancelled(&mut self, session: &Session, consumer_tag: &str) {
        // The tag may stand for another consumer by now.
        if self.consumers.get(consumer_tag).is_none_or(|consumer| !consumer.queue.is_deleted()) {
            return;
        }
        let Some(consumer) = self.consumers.swap_remove(consumer_tag) else { return };
        self.end_source(session, consumer.source);
        session.tell_of_consumers_end(self.number, consumer_tag, consumer.queue.name());
        if session.capabilities.consumer_cancel_notify {
            session.reply(self.number, &basic::Cancel { consumer_tag, no_wait: true });
        }
    }

    /// `basic.get`.
    pub(crate) fn basic_get(
        &mut self,
        session: &mut Session,
        get: &basic::Get<'_>,
    ) -> Result<Step, AmqpError> {
        assert_fetchable(session, get.queue)?;
        let queue = self.readable_queue(session, get.queue)?;
        if queue.refuses_gets() {
            let resource = session.vhost.queue_name(queue.name());
            return Err(ChannelError::NotFetchable(resource).into());
        }
        let handle = Arc::clone(&session.handle);
        let has_most = || handle.outbox().channel(self.slot()).is_some_and(|own| own.has_most());
        if !get.no_ack && has_most() {
            let most = session.limits().unacked_per_channel.unwrap_or(0);
            let text = format!("reached maximum ({most}) of unacknowledged messages per channel");
            return Err(ChannelError::Precondition(text).into());
        }
        session.effects.touch(&handle);
        let known = self.sources.for_get(queue.id());
        let mut source = None;
        let answer = |got: &Got| {
            let (recorded, tag) = self.encode_get_ok(&handle, known, got)?;
            source = recorded;
            Some(Holder::of_get(&handle, self.number, tag))
        };
        match queue.get(get.no_ack, answer, &mut session.effects) {
            Fetched::Got(got) => {
                if session.is_traced() {
                    session.tap_got(self.number, &queue, &got);
                }
                if let Some(source) = source.filter(|_| known.is_none()) {
                    self.sources.add_for_get(source, queue);
                }
            }
            Fetched::Empty => {
                self.meter.get_empty.add(1);
                session.reply(self.number, &basic::GetEmpty {});
            }
            Fetched::NotResident => return Ok(Step::AfterRead(queue)),
        }
        Ok(Step::Next)
    }

    /// Runs under the queue's lock, so that the record is there before anything can settle it.
    /// Returns its tag and the source it is recorded under; `None` for what needs no settling.
    fn encode_get_ok(
        &self,
        handle: &ConnectionHandle,
        source: Option<SourceKey>,
        got: &Got,
    ) -> Option<(Option<SourceKey>, u64)> {
        let mut outbox = handle.outbox();
        let ledger = outbox.channel(self.slot)?;
        let (source, delivery_tag) = if got.key == DeliveryKey::NONE {
            (None, ledger.next_tag())
        } else {
            let source = source.unwrap_or_else(|| ledger.add_source_for_get());
            (Some(source), ledger.record(got.key, source))
        };
        ledger.note_got(source.is_none(), got.redelivered);
        let exchange = String::from_utf8_lossy(got.message.exchange());
        let routing_key = String::from_utf8_lossy(got.message.routing_key());
        let method = basic::GetOk {
            delivery_tag,
            redelivered: got.redelivered,
            exchange: &exchange,
            routing_key: &routing_key,
            message_count: u32::try_from(got.remaining).unwrap_or(u32::MAX),
        };
        write_method(outbox.frames(), self.number, &method);
        outbox.content(self.number, &got.message);
        Some((source, delivery_tag))
    }

    /// The queue a client wants to read from; the empty name is the last one it declared here.
    fn readable_queue(&self, session: &Session, name: &str) -> Result<Arc<Queue>, AmqpError> {
        let name = self.queue_or_last(name)?;
        session.check(Permission::Read, &session.vhost.queue_name(name), name)?;
        session.open_queue(name).map_err(AmqpError::from)
    }
}
