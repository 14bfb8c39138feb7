//! The frames of one message, made once before a run.
//!
//! A publisher sends them again and again and changes nothing but the stamp, so whatever a message
//! carries costs the load generator no more than its bytes.

use crate::client::session::CHANNEL;
use crate::load::Properties;
use crate::sequence::STAMP_SIZE;
use leveret_protocol::constants::FRAME_HEADER_SIZE;
use leveret_protocol::encoder::{write_body, write_content_header, write_method};
use leveret_protocol::methods::{MethodFrame, basic};
use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, RawTable};

/// The frames of one message and where its stamp goes; none when it is too short for one.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) frames: Vec<u8>,
    pub(crate) stamp_at: Option<usize>,
}

/// Where a template publishes to, and what it looks like.
#[derive(Clone, Debug)]
pub(crate) struct Publication<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) routing_key: &'a str,
    pub(crate) properties: Properties,
    /// What the exchange looks at.
    pub(crate) headers: FieldTable,
    pub(crate) persistent: bool,
    pub(crate) size: usize,
}

impl Publication<'_> {
    /// All frames of one such message, its body zeros but for the stamp to come.
    pub(crate) fn template(&self, frame_max: u32) -> Template {
        let Self { exchange, routing_key, .. } = *self;
        let publish = basic::Publish { exchange, routing_key, ..basic::Publish::default() };
        let encoded = self.encoded_properties();
        let mut frames = Vec::with_capacity(self.size + self.size / 64 + 1024);
        write_method(&mut frames, CHANNEL, &publish);
        let class = basic::Publish::CLASS_ID;
        write_content_header(&mut frames, CHANNEL, class, self.size as u64, &encoded);
        let stamp_at = frames.len() + FRAME_HEADER_SIZE;
        write_body(&mut frames, CHANNEL, &vec![0; self.size], frame_max);
        Template { frames, stamp_at: (self.size >= STAMP_SIZE).then_some(stamp_at) }
    }

    fn encoded_properties(&self) -> Vec<u8> {
        const PERSISTENT: u8 = 2;
        let mut headers = self.headers.clone();
        if self.properties == Properties::Typical {
            add_typical_headers(&mut headers);
        }
        let headers = headers.to_bytes();
        let own = BasicProperties {
            headers: (!headers.is_empty()).then(|| RawTable::new(&headers)),
            delivery_mode: self.persistent.then_some(PERSISTENT),
            ..BasicProperties::default()
        };
        let properties = match self.properties {
            Properties::Plain => own,
            Properties::Typical => BasicProperties {
                content_type: Some(b"application/json"),
                correlation_id: Some(b"7c9e6679-7425-40de-944b-e07fc1f90ae7"),
                reply_to: Some(b"orders.replies.web-7d4b9c6f5-x2x8q"),
                ..own
            },
        };
        let mut encoded = Vec::new();
        properties.encode(&mut encoded);
        encoded
    }
}

/// Ten headers as W3C trace context, Spring AMQP and Celery write them.
fn add_typical_headers(headers: &mut FieldTable) {
    for (name, value) in [
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("tracestate", "rojo=00f067aa0ba902b7"),
        ("__TypeId__", "com.example.orders.OrderPlaced"),
        ("id", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
        ("task", "orders.place"),
        ("lang", "py"),
        ("origin", "web-7d4b9c6f5-x2x8q"),
    ] {
        headers.insert(name, value);
    }
    for (name, value) in [("retries", 0), ("tenant", 4711), ("schema", 3)] {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::frames::{self, Incoming};
    use crate::sequence::Stamp;
    use leveret_protocol::constants::FRAME_OVERHEAD;

    fn template(size: usize, frame_max: u32) -> Template {
        Publication {
            exchange: "x",
            routing_key: "k",
            properties: Properties::Plain,
            headers: FieldTable::new(),
            persistent: true,
            size,
        }
        .template(frame_max)
    }

    #[test]
    fn a_template_is_a_whole_message() {
        let Template { frames: bytes, stamp_at } = template(10_000, 4096);
        let mut at = 0;
        let mut seen = Vec::new();
        while let Some((incoming, length)) = frames::next(&bytes[at..]).unwrap() {
            if let Incoming::Body(piece) = incoming {
                seen.push(piece.len() + FRAME_OVERHEAD);
            }
            if let Incoming::Header { body_size } = incoming {
                assert_eq!(body_size, 10_000);
            }
            at += length;
        }
        assert_eq!(at, bytes.len());
        assert_eq!(seen, [4096, 4096, 10_000 - 2 * 4088 + FRAME_OVERHEAD]);
        assert_eq!(bytes[stamp_at.unwrap() - 1..][..17], [&[0xf8][..], &[0; 16]].concat());
    }

    #[test]
    fn small_bodies_have_no_stamp() {
        assert_eq!(template(15, 4096).stamp_at, None);
        let empty = template(0, 4096);
        let whole = template(16, 4096);
        assert_eq!(whole.frames.len(), empty.frames.len() + 16 + FRAME_OVERHEAD);
        let stamp = Stamp::read(&whole.frames[whole.stamp_at.unwrap()..]).unwrap();
        assert_eq!((stamp.publisher, stamp.sequence, stamp.nanoseconds), (0, 0, 0));
    }

    #[test]
    fn typical_properties_are_whole_and_leave_the_body_alone() {
        let mut headers = FieldTable::new();
        headers.insert("kind", "bench");
        let properties = Properties::Typical;
        let typical = Publication {
            exchange: "x",
            routing_key: "k",
            properties,
            headers,
            persistent: true,
            size: 256,
        };
        let encoded = typical.encoded_properties();
        let read = BasicProperties::parse(&encoded).unwrap();
        assert!(read.content_type.is_some() && read.correlation_id.is_some());
        assert!(read.reply_to.is_some_and(|name| !name.starts_with(b"amq.")));
        assert_eq!(read.delivery_mode, Some(2));
        assert_eq!(read.headers.unwrap().parse().unwrap().len(), 11, "the exchange's and ten");
        let plain = Publication { properties: Properties::Plain, ..typical.clone() };
        let [typical, plain] = [typical, plain].map(|message| message.template(4096));
        let body = |of: &Template| of.frames[of.stamp_at.unwrap()..].to_vec();
        assert_eq!(body(&typical), body(&plain));
    }
}
