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
use super::message_properties::{self, Checked};
use super::reply_to::is_reply_address;
use crate::auth::permissions::Permission;
use crate::error::{AmqpError, ChannelError, ConnectionError};
use crate::message::{HeadLayout, INLINE_BODY_MAX, Marks, Message};
use crate::queue::{Full, Queue};
use crate::session::context::Session;
use crate::session::routes::RouteKey;
use crate::vhost::routing::{Route, Routed};

/// Bytes before the arguments of a method.
const METHOD_IDS: usize = 4;
/// Scratch memory kept between messages.
const SCRATCH_KEPT_MAX: usize = 16 * 1024;
/// What is taken at first for a body that comes in several frames, unless it is smaller.
const PARTS_FIRST: usize = 256 * 1024;
/// The basic class, whose content this is.
const BASIC_CLASS: u16 = 60;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    #[default]
    Method,
    Header,
    Body,
}

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

/// A message while its frames arrive.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    expect: Expect,
    /// The payload of the method frame whose envelope stands in `head`: most publishers send the
    /// same one again and again.
    method: Vec<u8>,
    /// Envelope, properties and a small body, as `Message` wants them.
    head: Vec<u8>,
    properties_at: u16,
    body_at: u32,
    body_size: u64,
    received: u64,
    /// A body of `INLINE_BODY_MAX` bytes or more.
    large: Large,
    mandatory: bool,
}

#[derive(Debug, Default)]
enum Large {
    #[default]
    None,
    /// The whole body came in one frame.
    Whole(Bytes),
    /// It comes in several. Grows up to the announced size and no further, so that a body that is
    /// kept takes no more memory than it has bytes.
    Parts(Vec<u8>),
}

impl Assembly {
    /// Whether a method frame may come now.
    pub(crate) fn expects_method(&self) -> bool {
        self.expect == Expect::Method
    }

    /// Begins with the payload of a method frame that is a basic.publish; false when it has to be
    /// looked at more closely.
    fn begin_with(&mut self, method: &[u8]) -> bool {
        if self.method == method {
            self.head.truncate(usize::from(self.properties_at));
            self.expect = Expect::Header;
            return true;
        }
        let arguments = method.get(METHOD_IDS..).unwrap_or_default();
        match basic::Publish::decode(arguments) {
            Ok(publish) if !publish.immediate => {
                self.begin(&publish);
                self.method.extend_from_slice(method);
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    fn begin(&mut self, publish: &basic::Publish<'_>) {
        self.method.clear();
        self.head.clear();
        for name in [publish.exchange, publish.routing_key] {
            self.head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            self.head.extend_from_slice(name.as_bytes());
        }
        self.properties_at = u16::try_from(self.head.len()).unwrap_or(u16::MAX);
        self.mandatory = publish.mandatory;
        self.expect = Expect::Header;
    }

    /// Takes the content header. True when the message is complete: it has no body.
    fn header(&mut self, header: &ContentHeader<'_>) -> Result<bool, ConnectionError> {
        if self.expect != Expect::Header {
            return Err(unexpected_content(self.expect, "header"));
        }
        header.expect_class(BASIC_CLASS)?;
        self.head.extend_from_slice(header.properties);
        self.body_at = u32::try_from(self.head.len()).unwrap_or(u32::MAX);
        self.body_size = header.body_size;
        self.received = 0;
        self.large = Large::None;
        self.expect = Expect::Body;
        Ok(self.body_size == 0)
    }

    /// Takes a body frame that was copied. True when the message is complete.
    fn body(&mut self, part: &[u8]) -> Result<bool, ConnectionError> {
        self.admit(part.len())?;
        if self.body_size < INLINE_BODY_MAX as u64 {
            self.head.extend_from_slice(part);
        } else {
            self.add_part(part);
        }
        Ok(self.received == self.body_size)
    }

    /// Takes a body frame that need not be copied. True when the message is complete.
    fn large_body(&mut self, part: Bytes) -> Result<bool, ConnectionError> {
        self.admit(part.len())?;
        if part.len() as u64 == self.body_size {
            self.large = Large::Whole(part);
        } else {
            self.add_part(&part);
        }
        Ok(self.received == self.body_size)
    }

    fn admit(&mut self, length: usize) -> Result<(), ConnectionError> {
        if self.expect != Expect::Body {
            return Err(unexpected_content(self.expect, "body"));
        }
        self.received += length as u64;
        if self.received > self.body_size {
            return Err(ConnectionError::Frame(
                "content body frame exceeds remaining content size".to_owned(),
            ));
        }
        Ok(())
    }

    /// Adds a part of a body that comes in several. What was announced need not arrive: memory is
    /// taken as the parts come.
    fn add_part(&mut self, part: &[u8]) {
        if !matches!(self.large, Large::Parts(_)) {
            self.large = Large::Parts(Vec::new());
        }
        let Large::Parts(parts) = &mut self.large else { return };
        let needed = parts.len() + part.len();
        if needed > parts.capacity() {
            let announced = usize::try_from(self.body_size).unwrap_or(usize::MAX);
            let grown = needed.max(2 * parts.capacity()).max(PARTS_FIRST).min(announced);
            parts.reserve_exact(grown.saturating_sub(parts.len()));
        }
        parts.extend_from_slice(part);
    }

    fn envelope(&self) -> &[u8] {
        self.head.get(..usize::from(self.properties_at)).unwrap_or_default()
    }

    fn properties(&self) -> &[u8] {
        let range = usize::from(self.properties_at)..self.body_at as usize;
        self.head.get(range).unwrap_or_default()
    }

    fn exchange(&self) -> &str {
        short_string(self.envelope())
    }

    fn routing_key(&self) -> &str {
        short_string(self.envelope().get(1 + self.exchange().len()..).unwrap_or_default())
    }

    /// Replaces the properties, before the message is made.
    fn set_properties(&mut self, properties: &[u8]) {
        let range = usize::from(self.properties_at)..self.body_at as usize;
        self.head.splice(range, properties.iter().copied());
        let end = usize::from(self.properties_at) + properties.len();
        self.body_at = u32::try_from(end).unwrap_or(u32::MAX);
    }

    /// The finished message.
    #[inline]
    fn finish(&mut self, persistent: bool, priority: u8) -> Message {
        let layout = HeadLayout { properties_at: self.properties_at, body_at: self.body_at };
        let large = match std::mem::take(&mut self.large) {
            Large::None => None,
            Large::Whole(body) => Some(body),
            Large::Parts(parts) => Some(parts.into()),
        };
        let message = Message::new(&self.head, layout, large, persistent).with_priority(priority);
        self.reset();
        message
    }

    /// Forgets the message.
    fn reset(&mut self) {
        self.expect = Expect::Method;
        self.large = Large::None;
        if self.head.capacity() > SCRATCH_KEPT_MAX {
            self.head = Vec::new();
            self.method.clear();
        }
    }
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
    /// What else is known of it.
    marks: Marks,
}

impl Found {
    /// Of a message that is stored as it came.
    #[inline]
    fn plain(route: RouteKey) -> Self {
        let marks = Marks::default();
        Self { route, rewritten: None, hidden_keys: Vec::new(), kept: None, marks }
    }
}

fn short_string(bytes: &[u8]) -> &str {
    let length = bytes.first().copied().map_or(0, usize::from);
    // The decoder took it from a `str`.
    std::str::from_utf8(bytes.get(1..1 + length).unwrap_or_default()).unwrap_or_default()
}

fn unexpected_content(expect: Expect, got: &str) -> ConnectionError {
    ConnectionError::UnexpectedFrame(match (expect, got) {
        (Expect::Method, _) => "expected method frame, got non method frame instead".to_owned(),
        (Expect::Header, _) => format!(
            "expected content header for class {BASIC_CLASS}, got non content header frame instead"
        ),
        (Expect::Body, _) => "expected content body, got non content body frame instead".to_owned(),
    })
}

/// What a method frame in the middle of a content is told.
pub(crate) fn method_in_content(assembly: &Assembly) -> ConnectionError {
    unexpected_content(assembly.expect, "method")
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
    fn publish(&mut self, session: &mut Session) -> Result<(), AmqpError> {
        let result = self.check_and_route(session);
        if result.is_err() {
            self.assembly.reset();
        }
        result
    }

    fn check_and_route(&mut self, session: &mut Session) -> Result<(), AmqpError> {
        let properties = BasicProperties::parse(self.assembly.properties())?;
        let persistent = properties.delivery_mode == Some(2);
        let priority = properties.priority.unwrap_or(0);
        let Session { vhost, routes, effects, .. } = session;
        let cached = routes.lookup(vhost, self.assembly.envelope(), effects);
        let Found { mut route, rewritten, hidden_keys, kept, marks } = match cached {
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
        if !hidden_keys.is_empty() {
            message = message.with_hidden_keys(&hidden_keys);
        }
        if let Some(kept) = kept {
            route = kept.keep(session, &message);
        }
        self.enqueue(session, route, message)
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
        let routed = Routed { routing_keys: &keys, properties };
        let Route { mut queues, holds, mut keepers } = session.vhost.route(&exchange, &routed);
        let mut marks = Marks::default();
        // What would be returned now does not wait.
        if let Some(place) = session.vhost.waiting_place(&exchange, properties)
            && !(self.assembly.mandatory && queues.is_empty())
        {
            (queues, keepers, marks) = (vec![place], Vec::new(), Marks::DELAYED);
        }
        session.await_definitions(&queues);
        let mut route = session.routes.route(queues);
        if let Some(holds) = holds
            && extra_keys.is_empty()
        {
            route = session.routes.remember(self.assembly.envelope(), route, holds);
        }
        let kept = Kept::by(keepers, exchange, extra_keys);
        Ok(Found { route, rewritten, hidden_keys, kept, marks })
    }

    #[inline]
    fn enqueue(
        &mut self,
        session: &mut Session,
        route: RouteKey,
        message: Message,
    ) -> Result<(), AmqpError> {
        let mandatory = self.assembly.mandatory;
        if let Some(transaction) = &mut self.transaction {
            let queues = session.routes.queues(route);
            return transaction.publish(queues, message, mandatory).map_err(AmqpError::from);
        }
        if let Some(confirms) = &mut self.confirms {
            confirms.published();
            session.note_confirms(self.number);
        }
        // A requester that is gone is no reason to return its answer: RabbitMQ drops it.
        let is_reply = || message.exchange().is_empty() && is_reply_address(message.routing_key());
        if mandatory && session.routes.is_empty(route) && !is_reply() {
            session.return_message(self.number, &message);
        }
        let awaited = self.confirms.is_some();
        if session.routes.is_stored(route, &message) && session.broker.messages().refuses() {
            self.refuse();
        } else if session.routes.may_refuse(route) {
            self.offer(session, route, &message);
        } else {
            session.routes.push(route, message, awaited);
        }
        Ok(())
    }

    /// A queue is full, or the disk is and so is what waits for it. Without confirms a client is not
    /// promised anything; with them it is told.
    fn refuse(&mut self) {
        if let Some(confirms) = &mut self.confirms {
            confirms.refused();
        }
    }

    /// Some queue refuses messages when it is full: hands the message over at once, to learn
    /// whether the publisher is told ack or nack.
    fn offer(&mut self, session: &mut Session, route: RouteKey, message: &Message) {
        let Session { routes, effects, .. } = session;
        routes.hand_over(effects);
        let taken = routes.offer(route, message, self.confirms.is_some(), effects);
        if !taken {
            self.refuse();
        }
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

/// The default exchange goes by this name where permissions are concerned.
fn shown(exchange: &str) -> &str {
    if exchange.is_empty() { "amq.default" } else { exchange }
}
