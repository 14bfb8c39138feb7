//! A message as the broker holds it: made once by `channel::publish`, shared by every queue it is
//! routed to, encoded into consumers' outgoing buffers by `outgoing::outbox`.
//!
//! One allocation holds what nearly every message needs, laid out as the wire wants it:
//!
//! ```text
//!   head: | exchange shortstr | routing key shortstr | property flags + values | body (small) |
//!         '------------ envelope ------------------' '------ properties ------' '--- body ---'
//! ```
//!
//! The envelope is byte for byte what `basic.deliver`, `basic.get-ok` and `basic.return` carry, so
//! a delivery is three copies. The few messages with keys in a BCC header have these behind it, as
//! further short strings: they route again when the message dies, and no consumer sees them. A body
//! of `INLINE_BODY_MAX` bytes or more is a slice of the read buffer instead: copying it would cost
//! more than the memory it pins.

use std::sync::Arc;

use bytes::Bytes;
use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue, RawTable};
use leveret_storage::messages::Content;
use serde::{Deserialize, Serialize};

/// Bodies below this many bytes are copied beside the envelope; larger ones are sliced. A slice of
/// a small body would pin a whole read buffer for one surviving message.
pub(crate) const INLINE_BODY_MAX: usize = 4096;

/// The longest time a message waits to be routed: ten years in milliseconds.
const DELAY_MS_MAX: u64 = 10 * 365 * 24 * 3600 * 1000;

/// In the first octet of the properties: there is an `expiration` (AMQP 0-9-1 §4.2.6.1).
const EXPIRATION_FLAG: u8 = 1;
/// In the same octet: there is a `priority`.
const PRIORITY_FLAG: u8 = 8;

/// How often a message came back to its queue.
pub(crate) const ACQUIRED_COUNT: &str = "x-acquired-count";
/// How often an attempt to handle it had failed.
pub(crate) const DELIVERY_COUNT: &str = "x-delivery-count";

/// A message, immutable. Cloning is a reference count.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Parts", try_from = "Parts")]
pub(crate) struct Message {
    head: Arc<[u8]>,
    /// Only for bodies of `INLINE_BODY_MAX` bytes and more. Behind an `Arc` so that the many small
    /// messages of a long queue do not each carry an empty `Bytes`.
    large_body: Option<Arc<Bytes>>,
    properties_at: u16,
    /// Where the inline body begins, and so where the properties end.
    body_at: u32,
    marks: Marks,
    priority: u8,
    /// When it came to the queue that holds it, in milliseconds since the epoch.
    arrived_ms: u64,
}

/// What is known of a message, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(u8);

impl Marks {
    /// It was published with `delivery_mode` 2.
    pub(crate) const PERSISTENT: Self = Self(1);
    /// The broker wrote its death history into its headers; what a client writes there is none.
    pub(crate) const DEATHS: Self = Self(2);
    /// A consumer had it before it died.
    pub(crate) const DELIVERED: Self = Self(4);
    /// It waits for its time to be routed, as its header `x-delay` says.
    pub(crate) const DELAYED: Self = Self(8);
    /// Behind its envelope there are routing keys that no consumer sees.
    const HIDDEN_KEYS: Self = Self(16);
    /// With `DELAYED`: it waits for the time that its header `x-opt-delivery-time` says. Without: it waits
    /// as its header `x-delay` says, for the exchange whose name is the first of its hidden keys.
    pub(crate) const AT_TIME: Self = Self(128);
    /// A queue it died in named its routing key: no other routes it any more.
    pub(crate) const ONE_KEY: Self = Self(32);
    /// In a note alone: its properties name a priority.
    const NAMES_PRIORITY: Self = Self(64);

    /// Whether this mark is among them.
    pub(crate) fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }
}

/// A message as bytes, to be written down and read again.
#[derive(Serialize, Deserialize)]
struct Parts {
    note: u64,
    head: Vec<u8>,
    tail: Option<Vec<u8>>,
    arrived_ms: u64,
}

impl From<Message> for Parts {
    fn from(message: Message) -> Self {
        let Content { note, head, tail, .. } = message.content();
        let tail = tail.map(|tail| tail.to_vec());
        Self { note, head: head.to_vec(), tail, arrived_ms: message.arrived_ms }
    }
}

impl TryFrom<Parts> for Message {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let Parts { note, head, tail, arrived_ms } = parts;
        let tail = tail.map(|tail| Arc::new(Bytes::from(tail)));
        let head = head.into();
        let message = Self::from_content(Content { note, head, tail, ..Content::default() });
        Ok(message.ok_or("no message is laid out like this")?.arrived_at(arrived_ms))
    }
}

/// Where the parts of a `head` begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLayout {
    /// First byte of the property flags.
    pub properties_at: u16,
    /// First byte after the properties.
    pub body_at: u32,
}

impl Message {
    /// A message from its laid-out bytes. `head` holds the body too unless `large_body` is given.
    // Inlined with its callers down to the queue: a message that is moved right after its small
    // fields were written waits for them, which took longer than all else that is done to it there.
    #[inline]
    pub(crate) fn new(
        head: &[u8],
        layout: HeadLayout,
        large_body: Option<Bytes>,
        persistent: bool,
    ) -> Self {
        debug_assert!(usize::from(layout.properties_at) <= layout.body_at as usize);
        debug_assert!(layout.body_at as usize <= head.len());
        Self {
            head: Arc::from(head),
            large_body: large_body.map(Arc::new),
            properties_at: layout.properties_at,
            body_at: layout.body_at,
            marks: if persistent { Marks::PERSISTENT } else { Marks::default() },
            priority: 0,
            arrived_ms: 0,
        }
    }

    /// What the message store keeps of it: all of it, without a copy.
    pub(crate) fn content(&self) -> Content {
        let named = if self.names_priority() { Marks::NAMES_PRIORITY } else { Marks::default() };
        let note = Note {
            properties_at: self.properties_at,
            body_at: self.body_at,
            priority: self.priority,
            marks: Marks(self.marks.0 | named.0),
        };
        Content {
            note: note.pack(),
            head: Arc::clone(&self.head),
            tail: self.large_body.as_ref().map(Arc::clone),
            arrived_ms: self.arrived_ms,
            until_ms: self.until_ms(self.arrived_ms),
        }
    }

    /// The message that was stored; `None` for a note that no message ever had.
    pub(crate) fn from_content(content: Content) -> Option<Self> {
        let Content { note, head, tail, arrived_ms, .. } = content;
        let Note { properties_at, body_at, priority, marks } = Note::unpack(note);
        let is_laid_out = u32::from(properties_at) <= body_at && body_at as usize <= head.len();
        is_laid_out.then_some(Self {
            head,
            large_body: tail,
            properties_at,
            body_at,
            marks: Marks(marks.0 & !Marks::NAMES_PRIORITY.0),
            priority,
            arrived_ms,
        })
    }

    /// Exchange and routing key as two short strings, as the wire carries them.
    #[inline]
    pub(crate) fn envelope(&self) -> &[u8] {
        if self.marks.has(Marks::HIDDEN_KEYS) {
            return self.address().split_at_checked(self.envelope_size()).unwrap_or_default().0;
        }
        self.address()
    }

    /// The envelope, and the hidden keys.
    fn address(&self) -> &[u8] {
        self.head.get(..usize::from(self.properties_at)).unwrap_or_default()
    }

    fn envelope_size(&self) -> usize {
        let exchange = 1 + short_string(self.address()).len();
        exchange + 1 + short_string(self.address().get(exchange..).unwrap_or_default()).len()
    }

    /// The exchange the message was published to; empty for the default exchange.
    pub(crate) fn exchange(&self) -> &[u8] {
        short_string(self.envelope())
    }

    /// The routing key it was published with.
    pub(crate) fn routing_key(&self) -> &[u8] {
        let rest = self.envelope().get(1 + self.exchange().len()..).unwrap_or_default();
        short_string(rest)
    }

    /// The routing keys that consumers may know: the one it was published with, and unless a queue it
    /// died in named that one, those of its CC header.
    pub(crate) fn shown_keys(&self) -> Vec<String> {
        let mut keys = vec![String::from_utf8_lossy(self.routing_key()).into_owned()];
        let copies = self.headers().filter(|_| !self.marks.has(Marks::ONE_KEY));
        // The checks of a publish let through nothing but an array.
        if let Some(FieldValue::Array(copies)) = copies.and_then(|headers| headers.get("CC")) {
            keys.extend(copies.iter().filter_map(FieldValue::as_str).map(str::to_owned));
        }
        keys
    }

    /// What its next message has to know of its keys, if it keeps them.
    pub(crate) fn key_marks(&self) -> Marks {
        Marks(self.marks.0 & Marks::ONE_KEY.0)
    }

    /// Its further routing keys: those that its BCC header had.
    pub(crate) fn hidden_keys(&self) -> Vec<String> {
        let mut hidden = Vec::new();
        if self.marks.has(Marks::HIDDEN_KEYS) {
            let mut rest = self.address().get(self.envelope_size()..).unwrap_or_default();
            while !rest.is_empty() {
                let key = short_string(rest);
                hidden.push(String::from_utf8_lossy(key).into_owned());
                rest = rest.get(1 + key.len()..).unwrap_or_default();
            }
        }
        hidden
    }

    /// The same message with these hidden keys, in place of any it had. Those that no envelope could
    /// carry are left out.
    #[must_use]
    pub(crate) fn with_hidden_keys(self, keys: &[String]) -> Self {
        let mut head = self.envelope().to_vec();
        for key in keys {
            let room = usize::from(u16::MAX) - head.len();
            if let Some(size) = u8::try_from(key.len()).ok().filter(|_| key.len() < room) {
                head.push(size);
                head.extend_from_slice(key.as_bytes());
            }
        }
        let kept = self.laid_out(head, |head| head.extend_from_slice(self.properties()));
        kept.map_or(self, |kept| kept.marked(Marks::HIDDEN_KEYS))
    }

    /// The same body behind another address and the properties that are written. `None` if it is too
    /// long to be laid out.
    fn laid_out(&self, mut head: Vec<u8>, properties: impl FnOnce(&mut Vec<u8>)) -> Option<Self> {
        let properties_at = u16::try_from(head.len()).ok()?;
        head.reserve(self.head.len());
        properties(&mut head);
        let body_at = u32::try_from(head.len()).ok()?;
        if self.large_body.is_none() {
            head.extend_from_slice(self.body());
        }
        Some(Self { head: head.into(), properties_at, body_at, ..self.clone() })
    }

    /// The same body, persistence and priority as another message: published to this exchange with
    /// this routing key and these properties, and nothing is known of it. `None` if these are none
    /// that a client could have given.
    pub(crate) fn published_anew(
        &self,
        exchange: &str,
        routing_key: &str,
        properties: &BasicProperties<'_>,
    ) -> Option<Self> {
        let headers = properties.headers.map_or(0, |headers| headers.as_bytes().len());
        let mut head = Vec::with_capacity(exchange.len() + self.head.len() + headers + 64);
        for name in [exchange, routing_key] {
            head.push(u8::try_from(name.len()).ok()?);
            head.extend_from_slice(name.as_bytes());
        }
        let marks = Marks(self.marks.0 & Marks::PERSISTENT.0);
        let anew = self.laid_out(head, |head| properties.encode(head))?;
        Some(Self { marks, arrived_ms: 0, ..anew })
    }

    /// A message of the broker's own, without a body. `None` if it is too long to be laid out.
    pub(crate) fn without_body(
        exchange: &str,
        routing_key: &str,
        properties: &BasicProperties<'_>,
    ) -> Option<Self> {
        let layout = HeadLayout { properties_at: 0, body_at: 0 };
        let empty = Self::new(&[], layout, None, properties.delivery_mode == Some(2));
        empty.published_anew(exchange, routing_key, properties)
    }

    /// Its headers, if it has any.
    pub(crate) fn headers(&self) -> Option<RawTable<'_>> {
        BasicProperties::parse(self.properties()).ok()?.headers
    }

    /// Its headers, parsed; empty if it has none.
    pub(crate) fn header_table(&self) -> FieldTable {
        self.headers().and_then(|headers| headers.parse().ok()).unwrap_or_default()
    }

    /// The same message with these headers instead of its own. `None` if it is none that a client
    /// could have published.
    pub(crate) fn with_headers(&self, headers: &FieldTable) -> Option<Self> {
        let properties = BasicProperties::parse(self.properties()).ok()?;
        let entries = headers.to_bytes();
        let properties = BasicProperties { headers: Some(RawTable::new(&entries)), ..properties };
        self.laid_out(self.address().to_vec(), |head| properties.encode(head))
    }

    /// The priority that it names, if it names one.
    pub(crate) fn named_priority(&self) -> Option<u8> {
        self.names_priority().then_some(self.priority)
    }

    #[inline]
    fn names_priority(&self) -> bool {
        self.properties().first().is_some_and(|flags| flags & PRIORITY_FLAG != 0)
    }

    /// Property flags and values, as published.
    #[inline]
    pub(crate) fn properties(&self) -> &[u8] {
        self.head.get(usize::from(self.properties_at)..self.body_at as usize).unwrap_or_default()
    }

    /// The body.
    #[inline]
    pub(crate) fn body(&self) -> &[u8] {
        match &self.large_body {
            Some(body) => body,
            None => self.head.get(self.body_at as usize..).unwrap_or_default(),
        }
    }

    /// The body as shared bytes, when it is large enough to be sliced rather than copied.
    #[inline]
    pub(crate) fn large_body(&self) -> Option<&Bytes> {
        self.large_body.as_deref()
    }

    /// Whether it was published with `delivery_mode` 2.
    #[inline]
    pub(crate) fn is_persistent(&self) -> bool {
        self.marks.has(Marks::PERSISTENT)
    }

    /// How long it may wait in a queue by its property `expiration`, in milliseconds.
    #[inline]
    pub(crate) fn lives_ms(&self) -> Option<u64> {
        // The flags come first: nearly all messages are done with after this look.
        if self.properties().first().is_none_or(|flags| flags & EXPIRATION_FLAG == 0) {
            return None;
        }
        self.expiration_ms()
    }

    fn expiration_ms(&self) -> Option<u64> {
        // Checked when it was published.
        let properties = BasicProperties::parse(self.properties()).ok()?;
        str::from_utf8(properties.expiration?).ok()?.parse().ok()
    }

    /// Until when it is at most where it came to at a time, both in milliseconds since the epoch: it
    /// is routed, or expires.
    pub(crate) fn until_ms(&self, arrived_ms: u64) -> Option<u64> {
        if self.is_at_time() {
            return Some(self.delivery_ms()?.min(arrived_ms.saturating_add(DELAY_MS_MAX)));
        }
        let is_delayed = self.marks.has(Marks::DELAYED) || self.marks.has(Marks::AT_TIME);
        let waits = if is_delayed { self.delay_ms() } else { self.lives_ms() };
        Some(arrived_ms.saturating_add(waits?))
    }

    /// How long it is to wait before it is routed, in milliseconds.
    pub(crate) fn delay_ms(&self) -> Option<u64> {
        delay_ms(self.headers()?)
    }

    fn delivery_ms(&self) -> Option<u64> {
        time_in(self.headers()?, DELIVERY_TIME)
    }

    /// Whether it waits for a time, and not for some time.
    pub(crate) fn is_at_time(&self) -> bool {
        self.marks.has(Marks::AT_TIME) && self.marks.has(Marks::DELAYED)
    }

    /// The same message, to wait as its header `x-delay` says until this exchange routes it, to which it
    /// was not published.
    pub(crate) fn waiting_for(&self, exchange: &str) -> Self {
        let mut names = vec![exchange.to_owned()];
        names.extend(self.hidden_keys());
        self.clone().with_hidden_keys(&names).marked(Marks::AT_TIME)
    }

    /// The exchange that routes it once it has waited: another perhaps than it was published to.
    pub(crate) fn routed_by(&self) -> String {
        let published_to = || String::from_utf8_lossy(self.exchange()).into_owned();
        self.is_for_another()
            .then(|| self.hidden_keys().into_iter().next())
            .flatten()
            .unwrap_or_else(published_to)
    }

    /// The same message once it has waited.
    #[must_use]
    pub(crate) fn waited(self) -> Self {
        if !self.is_for_another() {
            return self.unmarked(Marks::AT_TIME).unmarked(Marks::DELAYED);
        }
        let keys: Vec<_> = self.hidden_keys().into_iter().skip(1).collect();
        self.with_hidden_keys(&keys).unmarked(Marks::AT_TIME)
    }

    fn is_for_another(&self) -> bool {
        self.marks.has(Marks::AT_TIME) && !self.marks.has(Marks::DELAYED)
    }

    /// Whether it has other routing keys than those that its envelope and its CC header tell.
    pub(crate) fn has_more_keys(&self) -> bool {
        self.marks.has(Marks::HIDDEN_KEYS) || self.marks.has(Marks::ONE_KEY)
    }

    /// Whether its headers tell of its deaths, by the broker's own hand.
    pub(crate) fn has_deaths(&self) -> bool {
        self.marks.has(Marks::DEATHS)
    }

    /// Whether somebody had it before it came to its queue.
    #[inline]
    pub(crate) fn was_delivered(&self) -> bool {
        self.marks.has(Marks::DELIVERED)
    }

    /// The same message without this mark.
    #[must_use]
    pub(crate) fn unmarked(mut self, mark: Marks) -> Self {
        self.marks.0 &= !mark.0;
        self
    }

    /// The same message with these marks, too.
    #[must_use]
    pub(crate) fn marked(mut self, marks: Marks) -> Self {
        self.marks.0 |= marks.0;
        self
    }

    /// The same message with the given priority, 0 if it named none.
    #[must_use]
    #[inline]
    pub(crate) fn with_priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// The same message, come to a queue at this time in milliseconds since the epoch.
    #[must_use]
    #[inline]
    pub(crate) fn arrived_at(mut self, arrived_ms: u64) -> Self {
        self.arrived_ms = arrived_ms;
        self
    }

    /// When it came to the queue that holds it, in milliseconds since the epoch.
    #[inline]
    pub(crate) fn arrived_ms(&self) -> u64 {
        self.arrived_ms
    }

    /// Its priority in queues that have priorities.
    #[inline]
    pub(crate) fn priority(&self) -> u8 {
        self.priority
    }

    /// Bytes of memory the message's content takes, shared by all its copies.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.head.len() + self.large_body.as_ref().map_or(0, |body| body.len())
    }
}

/// The header that says how long a message waits before an exchange that delays messages routes it.
pub(crate) const DELAY: &str = "x-delay";

/// The header that says when a message may be delivered at the earliest, on any exchange: in
/// milliseconds since the epoch.
const DELIVERY_TIME: &str = "x-opt-delivery-time";

/// The marks of a message that has to wait before it is routed, at this time in milliseconds since the
/// epoch. `heeds_delay`: the exchange heeds `x-delay`. Of two times the later counts.
pub(crate) fn waiting_marks(
    properties: &BasicProperties<'_>,
    heeds_delay: bool,
    now_ms: u64,
) -> Option<Marks> {
    let headers = properties.headers?;
    let delay = if heeds_delay { delay_ms(headers) } else { None };
    let at = if properties.names_delivery_time { time_in(headers, DELIVERY_TIME) } else { None };
    let at = at.filter(|at| *at > now_ms);
    match at {
        Some(at) if delay.is_none_or(|delay| now_ms.saturating_add(delay) < at) => {
            Some(Marks(Marks::DELAYED.0 | Marks::AT_TIME.0))
        }
        Some(_) | None => delay.map(|_| Marks::DELAYED),
    }
}

/// Whether a message with these properties is to wait where its delay is heeded.
pub(crate) fn asks_for_delay(properties: &BasicProperties<'_>) -> bool {
    properties.headers.and_then(delay_ms).is_some()
}

/// How long a message with these headers is to wait, in milliseconds; ten years at most.
fn delay_ms(headers: RawTable<'_>) -> Option<u64> {
    time_in(headers, DELAY).map(|delay| delay.min(DELAY_MS_MAX))
}

/// The time that a header says: a number of any kind or width, or text; zero, below zero and what is
/// none of these is no time.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is no number may be text")]
fn time_in(headers: RawTable<'_>, name: &str) -> Option<u64> {
    let value = headers.get(name)?;
    let time = value.as_integer().or_else(|| match &value {
        FieldValue::F32(number) => Some(truncated(f64::from(*number))),
        FieldValue::F64(number) => Some(truncated(*number)),
        other => other.as_str()?.trim().parse().ok(),
    })?;
    u64::try_from(time).ok().filter(|time| *time > 0)
}

#[expect(clippy::cast_possible_truncation, reason = "it saturates, and is cut to ten years")]
fn truncated(number: f64) -> i64 {
    number as i64
}

/// What the store remembers of a message beside its bytes, in 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// See `HeadLayout`.
    pub properties_at: u16,
    /// See `HeadLayout`: also what a stored message has beside its body, in bytes.
    pub body_at: u32,
    /// Its priority in queues that have priorities.
    pub priority: u8,
    /// What else is known of it.
    pub marks: Marks,
}

impl Note {
    /// The priority that the message names, if it names one. Notes of earlier versions do not say
    /// whether a message names the lowest.
    pub(crate) fn named_priority(self) -> Option<u8> {
        let is_named = self.marks.has(Marks::NAMES_PRIORITY) || self.priority > 0;
        is_named.then_some(self.priority)
    }

    fn pack(self) -> u64 {
        u64::from(self.properties_at)
            | u64::from(self.body_at) << 16
            | u64::from(self.priority) << 48
            | u64::from(self.marks.0) << 56
    }

    /// The note in these 8 bytes.
    #[expect(clippy::cast_possible_truncation, reason = "each field is cut out of its bits")]
    pub(crate) fn unpack(note: u64) -> Self {
        Self {
            properties_at: note as u16,
            body_at: (note >> 16) as u32,
            priority: (note >> 48) as u8,
            marks: Marks((note >> 56) as u8),
        }
    }
}

fn short_string(bytes: &[u8]) -> &[u8] {
    let length = bytes.first().copied().map_or(0, usize::from);
    bytes.get(1..1 + length).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A message with the given routing key and body, published to the exchange `x`.
    pub(crate) fn message(routing_key: &str, body: &[u8]) -> Message {
        let mut head = vec![1, b'x', u8::try_from(routing_key.len()).expect("short")];
        head.extend_from_slice(routing_key.as_bytes());
        let properties_at = u16::try_from(head.len()).expect("short");
        head.extend_from_slice(&[0, 0]);
        let body_at = u32::try_from(head.len()).expect("short");
        head.extend_from_slice(body);
        Message::new(&head, HeadLayout { properties_at, body_at }, None, false)
    }

    /// A message with these properties, published to the exchange `x` with the routing key `key`.
    pub(crate) fn with_properties(properties: &BasicProperties<'_>, body: &[u8]) -> Message {
        let mut head = b"\x01x\x03key".to_vec();
        let properties_at = u16::try_from(head.len()).expect("short");
        properties.encode(&mut head);
        let body_at = u32::try_from(head.len()).expect("short");
        head.extend_from_slice(body);
        let layout = HeadLayout { properties_at, body_at };
        Message::new(&head, layout, None, properties.delivery_mode == Some(2))
    }

    /// The same message, published with `delivery_mode` 2.
    pub(crate) fn persistent(message: Message) -> Message {
        message.marked(Marks::PERSISTENT)
    }

    #[test]
    fn parts_are_found_where_they_were_laid() {
        let message = message("a.b", b"hello");
        assert_eq!(message.envelope(), b"\x01x\x03a.b");
        assert_eq!(message.exchange(), b"x");
        assert_eq!(message.routing_key(), b"a.b");
        assert_eq!(message.properties(), &[0, 0]);
        assert_eq!(message.body(), b"hello");
    }

    #[test]
    fn a_large_body_stands_beside_the_head() {
        let head = [0, 0, 0, 0];
        let layout = HeadLayout { properties_at: 2, body_at: 4 };
        let message = Message::new(&head, layout, Some(Bytes::from_static(b"large")), true);
        assert_eq!(message.body(), b"large");
        assert_eq!(message.size(), 4 + 5);
        assert!(message.is_persistent());
    }

    #[test]
    fn what_is_stored_comes_back_as_it_was() {
        let layout = HeadLayout { properties_at: 2, body_at: 4 };
        let large = Some(Bytes::from_static(b"large"));
        let message = Message::new(&[0, 0, 1, 2], layout, large, true)
            .with_priority(7)
            .marked(Marks::DEATHS)
            .arrived_at(1234);
        let again = Message::from_content(message.content()).expect("a message");
        assert_eq!(again.envelope(), message.envelope());
        assert_eq!(again.properties(), &[1, 2]);
        assert_eq!(again.body(), b"large");
        assert_eq!((again.is_persistent(), again.priority()), (true, 7));
        assert_eq!(again.arrived_ms(), 1234, "nothing that concerns time reads a body");
        assert!(again.has_deaths());
        let foreign = Content { note: u64::MAX, ..message.content() };
        assert!(Message::from_content(foreign).is_none());
    }

    #[test]
    fn a_delay_is_a_number_or_text_above_zero() {
        let of = |value: FieldValue| {
            let headers: FieldTable = [(DELAY, value)].into_iter().collect();
            let entries = headers.to_bytes();
            delay_ms(RawTable::new(&entries))
        };
        let text = |text: &str| FieldValue::LongString(text.into());
        for value in [
            FieldValue::I8(5),
            FieldValue::U32(5),
            FieldValue::I64(5),
            FieldValue::F64(5.9),
            text("5"),
        ] {
            assert_eq!(of(value), Some(5));
        }
        for value in [
            FieldValue::I32(0),
            FieldValue::I32(-5),
            text("soon"),
            FieldValue::Bool(true),
            FieldValue::F64(f64::NAN),
        ] {
            assert_eq!(of(value), None);
        }
        assert_eq!(of(FieldValue::I64(i64::MAX)), Some(DELAY_MS_MAX));
        assert_eq!(waiting_marks(&BasicProperties::default(), true, 0), None);
    }

    #[test]
    fn a_message_may_wait_for_another_exchange_than_its_own() {
        let headers: FieldTable = [(DELAY, 50)].into_iter().collect();
        let entries = headers.to_bytes();
        let headers = Some(RawTable::new(&entries));
        let properties = BasicProperties { headers, ..BasicProperties::default() };
        let own = with_properties(&properties, b"body").with_hidden_keys(&["b".to_owned()]);
        assert_eq!((own.routed_by().as_str(), own.until_ms(7)), ("x", None));
        let waiting = own.waiting_for("y");
        let waiting = Message::from_content(waiting.content()).expect("laid out");
        assert_eq!((waiting.routed_by().as_str(), waiting.until_ms(7)), ("y", Some(57)));
        assert_eq!((waiting.exchange(), waiting.is_at_time()), (&b"x"[..], false));
        let waited = waiting.waited();
        assert_eq!((waited.routed_by().as_str(), waited.until_ms(7)), ("x", None));
        assert_eq!((waited.hidden_keys(), waited.body()), (vec!["b".to_owned()], &b"body"[..]));
    }

    #[test]
    fn of_a_delay_and_a_time_the_later_counts() {
        let marks = |delay: i64, at: i64, heeds_delay| {
            let headers: FieldTable = [(DELAY, delay), (DELIVERY_TIME, at)].into_iter().collect();
            let entries = headers.to_bytes();
            let mut bytes = Vec::new();
            let headers = Some(RawTable::new(&entries));
            BasicProperties { headers, ..BasicProperties::default() }.encode(&mut bytes);
            let properties = BasicProperties::parse(&bytes).expect("encoded");
            let marks = waiting_marks(&properties, heeds_delay, 1000)?;
            with_properties(&properties, b"").marked(marks).until_ms(1000)
        };
        assert_eq!(marks(50, 1049, true), Some(1050));
        assert_eq!(marks(50, 1051, true), Some(1051));
        assert_eq!(marks(50, 1001, false), Some(1001));
        assert_eq!(marks(50, 1000, false), None, "it is that time");
        assert_eq!(marks(0, -5, true), None);
        assert_eq!(marks(50, 999, true), Some(1050));
        assert_eq!(marks(0, i64::MAX, false), Some(1000 + DELAY_MS_MAX));
    }

    #[test]
    fn hidden_keys_are_kept_and_not_shown() {
        let headers: FieldTable =
            [("CC", FieldValue::Array(vec![FieldValue::LongString(b"copy".to_vec())]))]
                .into_iter()
                .collect();
        let entries = headers.to_bytes();
        let properties = BasicProperties {
            headers: Some(RawTable::new(&entries)),
            ..BasicProperties::default()
        };
        let plain = with_properties(&properties, b"body");
        let keys = ["b1".to_owned(), "k".repeat(256), String::new()];
        let kept = plain.clone().with_hidden_keys(&keys);
        for message in [&kept, &Message::from_content(kept.content()).expect("laid out")] {
            assert_eq!(message.hidden_keys(), ["b1", ""]);
            assert_eq!(message.shown_keys(), ["key", "copy"]);
            assert_eq!(message.envelope(), plain.envelope());
            assert_eq!(message.properties(), plain.properties());
            assert_eq!(message.body(), b"body");
        }
        let rewritten = kept.with_headers(&FieldTable::new()).expect("a client's message");
        assert_eq!((rewritten.hidden_keys().len(), rewritten.envelope()), (2, plain.envelope()));
        let many = plain.clone().with_hidden_keys(&vec!["k".repeat(255); 300]);
        assert_eq!((many.hidden_keys().len(), many.body()), (255, plain.body()));
        assert_eq!(plain.marked(Marks::ONE_KEY).shown_keys(), ["key"]);
    }

    #[test]
    fn a_queued_message_costs_little_beside_its_content() {
        assert!(size_of::<Message>() <= 40, "{} bytes", size_of::<Message>());
    }
}
