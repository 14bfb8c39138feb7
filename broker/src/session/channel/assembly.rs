//! A message while its frames arrive: envelope, properties and body as `Message` wants them.
//!
//! Owned by a channel, used by `channel::publish` for every frame of a content. Stays true: what
//! arrives is laid out once, in scratch memory that is kept; of a body that is announced only what
//! came takes memory. Specification: AMQP 0-9-1 §4.2.6 (content framing).

use bytes::Bytes;
use leveret_protocol::content::ContentHeader;
use leveret_protocol::methods::basic;

use crate::error::ConnectionError;
use crate::message::{HeadLayout, INLINE_BODY_MAX, Message};

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
    pub(super) mandatory: bool,
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
    pub(super) fn begin_with(&mut self, method: &[u8]) -> bool {
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

    pub(super) fn begin(&mut self, publish: &basic::Publish<'_>) {
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
    pub(super) fn header(&mut self, header: &ContentHeader<'_>) -> Result<bool, ConnectionError> {
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
    pub(super) fn body(&mut self, part: &[u8]) -> Result<bool, ConnectionError> {
        self.admit(part.len())?;
        if self.body_size < INLINE_BODY_MAX as u64 {
            self.head.extend_from_slice(part);
        } else {
            self.add_part(part);
        }
        Ok(self.received == self.body_size)
    }

    /// Takes a body frame that need not be copied. True when the message is complete.
    pub(super) fn large_body(&mut self, part: Bytes) -> Result<bool, ConnectionError> {
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

    pub(super) fn envelope(&self) -> &[u8] {
        self.head.get(..usize::from(self.properties_at)).unwrap_or_default()
    }

    pub(super) fn properties(&self) -> &[u8] {
        let range = usize::from(self.properties_at)..self.body_at as usize;
        self.head.get(range).unwrap_or_default()
    }

    pub(super) fn exchange(&self) -> &str {
        short_string(self.envelope())
    }

    pub(super) fn routing_key(&self) -> &str {
        short_string(self.envelope().get(1 + self.exchange().len()..).unwrap_or_default())
    }

    /// Replaces the properties, before the message is made.
    pub(super) fn set_properties(&mut self, properties: &[u8]) {
        let range = usize::from(self.properties_at)..self.body_at as usize;
        self.head.splice(range, properties.iter().copied());
        let end = usize::from(self.properties_at) + properties.len();
        self.body_at = u32::try_from(end).unwrap_or(u32::MAX);
    }

    /// The finished message.
    #[inline]
    pub(super) fn finish(&mut self, persistent: bool, priority: u8) -> Message {
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
    pub(super) fn reset(&mut self) {
        self.expect = Expect::Method;
        self.large = Large::None;
        if self.head.capacity() > SCRATCH_KEPT_MAX {
            self.head = Vec::new();
            self.method.clear();
        }
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
