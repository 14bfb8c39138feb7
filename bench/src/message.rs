//! The frames of one message, made once before a run.
//!
//! A publisher sends them again and again and changes nothing but the stamp, so whatever a message
//! carries costs the load generator no more than its bytes.

use crate::client::session::CHANNEL;
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
    pub(crate) headers: &'a FieldTable,
    pub(crate) persistent: bool,
    pub(crate) size: usize,
}

impl Publication<'_> {
    /// All frames of one such message, its body zeros but for the stamp to come.
    pub(crate) fn template(&self, frame_max: u32) -> Template {
        const PERSISTENT: u8 = 2;
        let Self { exchange, routing_key, .. } = *self;
        let publish = basic::Publish { exchange, routing_key, ..basic::Publish::default() };
        let headers = self.headers.to_bytes();
        let properties = BasicProperties {
            headers: (!headers.is_empty()).then(|| RawTable::new(&headers)),
            delivery_mode: self.persistent.then_some(PERSISTENT),
            ..BasicProperties::default()
        };
        let mut encoded = Vec::new();
        properties.encode(&mut encoded);
        let mut frames = Vec::with_capacity(self.size + self.size / 64 + 1024);
        write_method(&mut frames, CHANNEL, &publish);
        let class = basic::Publish::CLASS_ID;
        write_content_header(&mut frames, CHANNEL, class, self.size as u64, &encoded);
        let stamp_at = frames.len() + FRAME_HEADER_SIZE;
        write_body(&mut frames, CHANNEL, &vec![0; self.size], frame_max);
        Template { frames, stamp_at: (self.size >= STAMP_SIZE).then_some(stamp_at) }
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
            headers: &FieldTable::new(),
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
}
