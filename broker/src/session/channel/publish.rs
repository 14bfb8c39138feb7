//! basic.publish: from its three kinds of frames to messages in queues.
//!
//! Called by `session::Dispatch` for every publish, header and body frame: the hottest code of
//! the broker. A message is laid out in the channel's scratch buffer while its frames arrive, then
//! made with one allocation. Checks come in RabbitMQ's order, after the whole content is there.
//! Specification: AMQP 0-9-1 §4.2.6 (content framing), basic.publish, basic.return.

use std::sync::Arc;

use bytes::Bytes;
use leveret_protocol::content::ContentHeader;
use leveret_protocol::methods::basic;
use leveret_protocol::properties::BasicProperties;
use leveret_protocol::reply_code::ReplyCode;
use smallvec::SmallVec;

use super::Channel;
use super::catch_up::Kept;
use super::deduplicated::Sighted;
use super::later::Later;
use super::message_properties::{self, Checked};
use super::reply_to::is_reply_address;
use crate::auth::rights::Permission;
use crate::error::{AmqpError, ChannelError, ConnectionError};
use crate::message::{Marks, Message};
use crate::queue::{Full, Queue};
use crate::session::context::Session;
use crate::session::routes::RouteKey;
use crate::vhost::deduplicating::Sight;
use crate::vhost::destination::Exchange;
use crate::vhost::routing::{Route, Routed};

/// A small publish of which all frames are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WholePublish<'a> {
    /// The payload of the method frame: a basic.publish.
    pub method: &'a [u8],
    /// The content header.
    pub header: ContentHeader<'a>,
    /// The body: as long as the header says, and below `INLINE_BODY_MAX` bytes.
    pub body: &'a [u8],
}

/// What there is to know of a message before it is made.
struct Found {
    route: RouteKey,
    /// The properties to store when they differ from those sent.
    rewritten: Option<Vec<u8>>,
    /// The keys that its BCC header had.
    hidden_keys: Vec<String>,
    /// Some exchange on its way keeps it.
    kept: Option<Box<Kept>>,
    /// Some exchange on its way deduplicates.
    sighted: Option<Box<Sighted>>,
    /// Some exchange on its way delays it.
    later: Option<Box<Later>>,
    /// What else is known of it.
    marks: Marks,
}

impl Found {
    /// Of a message that is stored as it came.
    #[inline]
    fn plain(route: RouteKey) -> Self {
        let marks = Marks::default();
        Self {
            route,
            rewritten: None,
            hidden_keys: Vec::new(),
            kept: None,
            sighted: None,
            later: None,
            marks,
        }
    }
}

impl Channel {
    /// The method frame of a publish.
    pub(crate) fn basic_publish(&mut self, publish: &basic::Publish<'_>) -> Result<(), AmqpError> {
        if publish.immediate {
            let text = "immediate=true".to_owned();
            return Err(ConnectionError::NotImplemented(text).into());
        }
        self.assembly.begin(publish);
        Ok(())
    }

    /// All frames of a small publish, as if they came one by one. False when they have to.
    pub(crate) fn publish_whole(
        &mut self,
        session: &mut Session,
        whole: &WholePublish<'_>,
    ) -> Result<bool, AmqpError> {
        if !self.assembly.begin_with(whole.method) {
            return Ok(false);
        }
        if self.begin_content(session, &whole.header)? || self.assembly.body(whole.body)? {
            self.publish(session)?;
        }
        Ok(true)
    }

    /// A content header frame.
    pub(crate) fn content_header(
        &mut self,
        session: &mut Session,
        header: &ContentHeader<'_>,
    ) -> Result<(), AmqpError> {
        if self.begin_content(session, header)? {
            return self.publish(session);
        }
        Ok(())
    }

    /// Takes a content header. True when the message is complete. A message that is too large is
    /// refused now, and not when all of it is here: what comes for a closed channel is dropped.
    fn begin_content(
        &mut self,
        session: &Session,
        header: &ContentHeader<'_>,
    ) -> Result<bool, AmqpError> {
        let complete = self.assembly.header(header)?;
        let (size, limit) = (header.body_size, session.limits().message_size);
        if size > limit as u64 {
            self.assembly.reset();
            let text = format!("message size {size} is larger than configured max size {limit}");
            return Err(ChannelError::Precondition(text).into());
        }
        Ok(complete)
    }

    /// A content body frame.
    pub(crate) fn content_body(
        &mut self,
        session: &mut Session,
        part: &[u8],
    ) -> Result<(), AmqpError> {
        if self.assembly.body(part)? {
            return self.publish(session);
        }
        Ok(())
    }

    /// A content body frame large enough not to be copied.
    pub(crate) fn large_content_body(
        &mut self,
        session: &mut Session,
        part: Bytes,
    ) -> Result<(), AmqpError> {
        if self.assembly.large_body(part)? {
            return self.publish(session);
        }
        Ok(())
    }

    /// The content is complete.
    ///
    /// # Errors
    /// It cannot be published. If it is only not known whether the user may, it can be tried again.
    pub(crate) fn publish(&mut self, session: &mut Session) -> Result<(), AmqpError> {
        let result = self.check_and_route(session);
        if result.is_err() && session.rights().asked().is_none() {
            self.assembly.reset();
        }
        result
    }

    fn check_and_route(&mut self, session: &mut Session) -> Result<(), AmqpError> {
        let properties = BasicProperties::parse(self.assembly.properties())?;
        let persistent = properties.delivery_mode == Some(2);
        let priority = properties.priority.unwrap_or(0);
        session.heed_rights();
        let Session { vhost, routes, effects, .. } = session;
        let cached = routes.lookup(vhost, self.assembly.envelope(), effects);
        let Found { mut route, rewritten, hidden_keys, kept, sighted, later, marks } = match cached
        {
            // Permissions, existence and internal were checked when the route was found, and no
            // exchange on it looks at headers.
            Some(route) if message_properties::is_plain(&properties) => {
                message_properties::check_plain(&properties, session)?;
                Found::plain(route)
            }
            Some(_) | None => self.check_and_find(session, &properties)?,
        };
        if let Some(properties) = rewritten {
            self.assembly.set_properties(&properties);
        }
        let mut message = self.assembly.finish(persistent, priority).marked(marks);
        session.pacing.count(message.body().len());
        session.meter.note_size(message.body().len());
        if !hidden_keys.is_empty() {
            message = message.with_hidden_keys(&hidden_keys);
        }
        if let Some(kept) = kept {
            let twice = sighted.as_ref().map_or(&[][..], |sighted| sighted.sighting.twice());
            let again = kept.keep(session, &message, twice);
            if later.as_ref().is_none_or(|later| later.itself.is_none()) {
                route = again;
            }
        }
        if session.is_traced() {
            let queues = session.routes.queues(route);
            session.tap_published(self.number, &message, queues);
        }
        if let Some(later) = later {
            return self.enqueue_later(session, route, message, sighted, &later);
        }
        if let Some(sighted) = sighted {
            return self.enqueue_sighted(session, route, message, sighted);
        }
        self.enqueue(session, route, message).map(|_| ())
    }

    /// All checks, and the route.
    fn check_and_find(
        &self,
        session: &mut Session,
        properties: &BasicProperties<'_>,
    ) -> Result<Found, AmqpError> {
        let name = self.assembly.exchange();
        session.check(Permission::Write, &session.vhost.exchange_name(shown(name)), shown(name))?;
        let exchange = session.vhost.expect_exchange(name)?;
        if exchange.settings().internal {
            let text = format!("cannot publish to internal {}", session.vhost.exchange_name(name));
            return Err(ChannelError::Refused(text).into());
        }
        let Checked { extra_keys, hidden_keys, rewritten } =
            message_properties::check(properties, self, session)?;
        let mut keys = vec![self.assembly.routing_key()];
        keys.extend(extra_keys.iter().map(String::as_str));
        if exchange.is_topic() {
            for key in keys.iter().copied().chain(hidden_keys.iter().map(String::as_str)) {
                session.check_topic(Permission::Write, name, key)?;
            }
        }
        let routed = Routed { routing_keys: &keys, properties };
        let waiting = session.vhost.waiting_place(&exchange, properties);
        let is_later = waiting.is_some() || self.transaction.is_some();
        let sight = if is_later { Sight::As(&[]) } else { Sight::Now };
        let mut found = session.vhost.route(&exchange, &routed, sight);
        // What would be returned now does not wait.
        let is_lost = found.queues.is_empty() && found.later.is_empty();
        let waiting = waiting.filter(|_| !(self.assembly.mandatory && is_lost));
        let marks = waiting.as_ref().map_or_else(Marks::default, |(_, marks)| *marks);
        let mut place = waiting.map(|(place, _)| place);
        if let Some(place) = &place {
            self.wait_there(session, &mut found, place, &exchange, properties);
        }
        let later = later(session, &mut found);
        if later.as_ref().is_some_and(|later| later.itself.is_some()) {
            place = found.queues.first().cloned();
        }
        let Route { queues, holds, keepers, sighting, .. } = found;
        session.await_definitions(&queues);
        let mut route = session.routes.route(queues, Some(exchange.meter()));
        if let Some(holds) = holds
            && extra_keys.is_empty()
        {
            route = session.routes.remember(self.assembly.envelope(), route, holds);
        }
        let sighted = sighting.map(|sighting| {
            let (exchange, extra_keys) = (Arc::clone(&exchange), extra_keys.clone());
            Box::new(Sighted { sighting, exchange, extra_keys, place })
        });
        let kept = Kept::by(keepers, exchange, extra_keys);
        Ok(Found { route, rewritten, hidden_keys, kept, sighted, later, marks })
    }

    /// Has a message wait instead of going where it leads now. Whether its exchange had it before is
    /// said now, unless a transaction holds it, all else when it is routed.
    fn wait_there(
        &self,
        session: &Session,
        found: &mut Route,
        place: &Arc<Queue>,
        exchange: &Exchange,
        properties: &BasicProperties<'_>,
    ) {
        let sighting = match self.transaction {
            Some(_) => found.sighting.take(),
            None => session.vhost.sight(exchange, properties),
        };
        let is_twice = sighting.as_ref().is_some_and(|sighting| sighting.is_twice());
        let queues = if is_twice { Vec::new() } else { vec![Arc::clone(place)] };
        *found = Route { queues, sighting, ..Route::default() };
    }

    /// Puts a message into its queues, or into the transaction. False when it was refused.
    #[inline]
    pub(super) fn enqueue(
        &mut self,
        session: &mut Session,
        route: RouteKey,
        message: Message,
    ) -> Result<bool, AmqpError> {
        let mandatory = self.assembly.mandatory;
        if let Some(transaction) = &mut self.transaction {
            let queues = session.routes.queues(route);
            transaction.publish(queues, message, mandatory)?;
            return Ok(true);
        }
        self.note_published(session);
        if let Some(confirms) = &mut self.confirms {
            confirms.published();
            session.note_confirms(self.number);
            session.meter.received_confirm.add(1);
        }
        let routed = session.routes.note_published(route);
        session.meter.routed.add(routed as u64);
        if routed == 0 {
            self.lead_nowhere(session, &message, mandatory);
        }
        let awaited = self.confirms.is_some();
        if session.routes.is_stored(route, &message) && session.broker.messages().refuses() {
            self.refuse();
            return Ok(false);
        }
        if session.routes.may_refuse(route) {
            return Ok(self.offer(session, route, &message));
        }
        session.routes.push(route, message, awaited);
        Ok(true)
    }

    /// Counts a publish.
    #[inline]
    pub(super) fn note_published(&self, session: &Session) {
        if self.meter.published.get() == 0 {
            session.meter.publishers.add(1);
        }
        self.meter.published.add(1);
    }

    /// No queue is on the way of a message: it is returned, or dropped.
    #[cold]
    pub(super) fn lead_nowhere(&self, session: &Session, message: &Message, mandatory: bool) {
        // A requester that is gone is no reason to return its answer: RabbitMQ drops it.
        let is_reply = || message.exchange().is_empty() && is_reply_address(message.routing_key());
        if mandatory && !is_reply() {
            session.meter.returned.add(1);
            self.meter.returned.add(1);
            session.return_message(self.number, message);
        } else {
            session.meter.dropped.add(1);
            self.meter.dropped.add(1);
        }
    }

    /// A queue is full, or the disk is and so is what waits for it. Without confirms a client is not
    /// promised anything; with them it is told.
    fn refuse(&mut self) {
        if let Some(confirms) = &mut self.confirms {
            confirms.refused();
        }
    }

    /// Some queue refuses messages when it is full: hands the message over at once, to learn
    /// whether the publisher is told ack or nack. False when it was refused.
    fn offer(&mut self, session: &mut Session, route: RouteKey, message: &Message) -> bool {
        let Session { routes, effects, .. } = session;
        routes.hand_over(effects);
        let taken = routes.offer(route, message, self.confirms.is_some(), effects);
        if !taken {
            self.refuse();
        }
        taken
    }

    /// Enqueues a message of a committed transaction. False when a queue that is full refused it.
    pub(super) fn enqueue_now(
        &self,
        session: &mut Session,
        queues: &[Arc<Queue>],
        message: &Message,
        mandatory: bool,
    ) -> bool {
        let (mut taken, mut unroutable) = (true, true);
        let mut places = SmallVec::new();
        for queue in queues {
            match queue.offer(message.clone(), &mut session.effects) {
                Err(Full) => taken = false,
                Ok(Some(sequence)) => {
                    session.effects.note_place(queue, sequence, message, &mut places);
                }
                // It was deleted since the message was published.
                Ok(None) => continue,
            }
            unroutable = false;
        }
        if unroutable && mandatory {
            session.meter.returned.add(1);
            self.meter.returned.add(1);
            session.return_message(self.number, message);
        }
        // The commit waits for all of it.
        session.effects.store_message(message, places, false);
        taken
    }
}

impl Session {
    /// `basic.return` for a mandatory message without a queue (312).
    fn return_message(&self, channel: u16, message: &Message) {
        let mut outbox = self.handle.outbox();
        let exchange = String::from_utf8_lossy(message.exchange());
        let routing_key = String::from_utf8_lossy(message.routing_key());
        let method = basic::Return {
            reply_code: ReplyCode::NO_ROUTE.get(),
            reply_text: ReplyCode::NO_ROUTE.name(),
            exchange: &exchange,
            routing_key: &routing_key,
        };
        leveret_protocol::encoder::write_method(outbox.frames(), channel, &method);
        outbox.content(channel, message);
    }
}

/// What of a message waits for exchanges behind the first: all of it if it goes nowhere else.
fn later(session: &Session, found: &mut Route) -> Option<Box<Later>> {
    let mut copies = std::mem::take(&mut found.later);
    if copies.is_empty() {
        return None;
    }
    let place = session.vhost.delayed_queue()?;
    let itself = if found.queues.is_empty() { copies.pop() } else { None };
    if itself.is_some() {
        found.queues.push(Arc::clone(&place));
    }
    Some(Box::new(Later { itself, copies, place }))
}

/// The default exchange goes by this name where permissions are concerned.
fn shown(exchange: &str) -> &str {
    if exchange.is_empty() { "amq.default" } else { exchange }
}
