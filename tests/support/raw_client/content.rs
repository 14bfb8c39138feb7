//! What a message carries: properties, a body, and the frames they travel in.

use super::method::{Flag, MethodId, basic};
use super::table::{Table, Value};
use super::wire::{ArgumentReader, ArgumentWriter};

/// The properties of class `basic`, in the order of their flags. Absent and empty are different.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub struct Properties {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub headers: Option<Table>,
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub correlation_id: Option<String>,
    pub reply_to: Option<String>,
    pub expiration: Option<String>,
    pub message_id: Option<String>,
    pub timestamp: Option<u64>,
    pub kind: Option<String>,
    pub user_id: Option<String>,
    pub app_id: Option<String>,
    pub cluster_id: Option<String>,
}

impl Properties {
    /// The flag word and the properties it announces.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = |text: &Option<String>| {
            text.as_deref().map(|text| ArgumentWriter::default().short_string(text).into_bytes())
        };
        let octet = |octet: Option<u8>| octet.map(|octet| vec![octet]);
        let fields = [
            text(&self.content_type),
            text(&self.content_encoding),
            self.headers.as_ref().map(Table::encode),
            octet(self.delivery_mode),
            octet(self.priority),
            text(&self.correlation_id),
            text(&self.reply_to),
            text(&self.expiration),
            text(&self.message_id),
            self.timestamp.map(|seconds| seconds.to_be_bytes().to_vec()),
            text(&self.kind),
            text(&self.user_id),
            text(&self.app_id),
            text(&self.cluster_id),
        ];
        let mut flags = 0_u16;
        let mut encoded = Vec::new();
        for (position, field) in fields.into_iter().enumerate() {
            if let Some(bytes) = field {
                flags |= 1 << (15 - position);
                encoded.extend(bytes);
            }
        }
        [flags.to_be_bytes().to_vec(), encoded].concat()
    }

    /// Reads the flag word and what it announces.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let mut input = ArgumentReader::new(bytes);
        let flags = input.short();
        let has = |position: u16| flags & (1 << (15 - position)) != 0;
        let properties = Self {
            content_type: has(0).then(|| input.short_string()),
            content_encoding: has(1).then(|| input.short_string()),
            headers: has(2).then(|| Table::read(&mut input)),
            delivery_mode: has(3).then(|| input.octet()),
            priority: has(4).then(|| input.octet()),
            correlation_id: has(5).then(|| input.short_string()),
            reply_to: has(6).then(|| input.short_string()),
            expiration: has(7).then(|| input.short_string()),
            message_id: has(8).then(|| input.short_string()),
            timestamp: has(9).then(|| input.long_long()),
            kind: has(10).then(|| input.short_string()),
            user_id: has(11).then(|| input.short_string()),
            app_id: has(12).then(|| input.short_string()),
            cluster_id: has(13).then(|| input.short_string()),
        };
        assert!(input.is_empty(), "the broker sent more properties than it announced");
        properties
    }
}

/// A message and where it is published.
#[derive(Debug, Clone)]
pub struct Message {
    /// The channel it goes on; 1 unless said.
    pub channel: u16,
    /// The exchange's name; empty is the default exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// What it carries beside the body.
    pub properties: Properties,
    /// The body.
    pub body: Vec<u8>,
    flags: Vec<Flag>,
}

impl Message {
    /// A message for an exchange.
    #[must_use]
    pub fn to(exchange: &str, routing_key: &str) -> Self {
        Self {
            channel: 1,
            exchange: exchange.to_owned(),
            routing_key: routing_key.to_owned(),
            properties: Properties::default(),
            body: Vec::new(),
            flags: Vec::new(),
        }
    }

    /// A message for one queue, by way of the default exchange.
    #[must_use]
    pub fn to_queue(queue: &str) -> Self {
        Self::to("", queue)
    }

    /// The same message with this body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// The same message on another channel.
    #[must_use]
    pub fn on(mut self, channel: u16) -> Self {
        self.channel = channel;
        self
    }

    /// The same message with a flag of basic.publish set.
    #[must_use]
    pub fn with(mut self, flag: Flag) -> Self {
        self.flags.push(flag);
        self
    }

    /// The same message with delivery mode 2.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.properties.delivery_mode = Some(2);
        self
    }

    /// The same message with these properties.
    #[must_use]
    pub fn properties(mut self, properties: Properties) -> Self {
        self.properties = properties;
        self
    }

    /// The same message with one header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        let headers = self.properties.headers.take().unwrap_or_default();
        self.properties.headers = Some(headers.with(name, value));
        self
    }

    /// The method, header and body frames, none larger than `frame_max` bytes.
    #[must_use]
    pub fn encode(&self, frame_max: usize) -> Vec<u8> {
        let publish = basic::publish(&self.exchange, &self.routing_key);
        let publish = self.flags.iter().fold(publish, |publish, flag| publish.with(*flag));
        let mut frames = frame(FRAME_METHOD, self.channel, &publish.payload());
        frames.extend(content_header(self.channel, self.body.len() as u64, &self.properties));
        for piece in self.body.chunks(frame_max - 8) {
            frames.extend(frame(FRAME_BODY, self.channel, piece));
        }
        frames
    }
}

/// Frame type of a method.
pub const FRAME_METHOD: u8 = 1;
/// Frame type of a content header.
pub const FRAME_HEADER: u8 = 2;
/// Frame type of a piece of body.
pub const FRAME_BODY: u8 = 3;
/// Frame type of a heartbeat.
pub const FRAME_HEARTBEAT: u8 = 8;
/// The octet every frame ends with.
pub const FRAME_END: u8 = 0xCE;

/// A frame of any type around any payload.
#[must_use]
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    ArgumentWriter::default()
        .octet(kind)
        .short(channel)
        .long_string(payload)
        .octet(FRAME_END)
        .into_bytes()
}

/// A content header frame of class `basic`.
#[must_use]
pub fn content_header(channel: u16, body_size: u64, properties: &Properties) -> Vec<u8> {
    content_header_of(60, 0, channel, body_size, properties)
}

/// A content header frame of any class and weight.
#[must_use]
pub fn content_header_of(
    class: u16,
    weight: u16,
    channel: u16,
    body_size: u64,
    properties: &Properties,
) -> Vec<u8> {
    let payload = ArgumentWriter::default()
        .short(class)
        .short(weight)
        .long_long(body_size)
        .raw(&properties.encode())
        .into_bytes();
    frame(FRAME_HEADER, channel, &payload)
}

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// One of the `FRAME_` numbers.
    pub kind: u8,
    /// The channel it belongs to.
    pub channel: u16,
    /// What is between the frame's header and its end octet.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The first whole frame of `input`, cut off it. Fails when these are no frames.
    #[must_use]
    pub fn cut(input: &mut Vec<u8>) -> Option<Self> {
        let mut header = ArgumentReader::new(input.get(..7)?);
        let (kind, channel, size) = (header.octet(), header.short(), header.long() as usize);
        assert!([1, 2, 3, 8].contains(&kind), "the broker sent a frame of type {kind}");
        let whole = input.get(..size + 8)?;
        assert_eq!(whole[size + 7], FRAME_END, "a frame of the broker ends wrongly: {whole:?}");
        let payload = whole[7..size + 7].to_vec();
        input.drain(..size + 8);
        Some(Self { kind, channel, payload })
    }

    /// The method in this frame.
    #[must_use]
    pub fn method_id(&self) -> MethodId {
        assert_eq!(self.kind, FRAME_METHOD, "expected a method frame, got {self:?}");
        let mut input = ArgumentReader::new(&self.payload);
        (input.short(), input.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_type_channel_size_payload_end() {
        assert_eq!(frame(1, 0x0203, b"ab"), b"\x01\x02\x03\0\0\0\x02ab\xCE");
    }

    #[test]
    fn properties_are_announced_from_the_highest_bit_down() {
        let content_type = Some("a".to_owned());
        let properties = Properties { content_type, priority: Some(5), ..Properties::default() };
        assert_eq!(properties.encode(), b"\x88\0\x01a\x05");
        assert_eq!(Properties::decode(&properties.encode()), properties);
        assert_eq!(Properties::default().encode(), b"\0\0");
    }

    #[test]
    fn a_message_is_cut_to_frame_max() {
        let message = Message::to("", "q").body("abcde");
        let frames = message.encode(10);
        let bodies = [frame(FRAME_BODY, 1, b"ab"), frame(FRAME_BODY, 1, b"cd")];
        let end = [bodies.concat(), frame(FRAME_BODY, 1, b"e")].concat();
        assert!(frames.ends_with(&end), "{frames:?}");
    }
}
