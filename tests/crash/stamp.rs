//! Who published a message, as its how-manieth, and everything that follows from that: its body,
//! its properties. So whatever comes back can be checked to the last byte without being remembered.

use std::fmt;

use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::reply::Content;
use leveret_tests::raw_client::{Message, Table};

/// The highest priority of the queue that has some; messages carry higher ones, which count as it.
pub(crate) const PRIORITY_MAX: u8 = 5;

/// Publishers from this number on publish large messages only.
pub(crate) const LARGE_FROM: u32 = 1000;

/// Publisher, number and the length of the whole body.
const HEAD_BYTES: usize = 16;

/// One message, whatever queues it is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp {
    pub(crate) publisher: u32,
    /// Ascending with the order of publishing.
    pub(crate) number: u64,
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.publisher, self.number)
    }
}

impl Stamp {
    /// A persistent message with this stamp.
    pub(crate) fn message(self, exchange: &str, routing_key: &str) -> Message {
        let message = Message::to(exchange, routing_key).properties(self.properties());
        message.body(self.body())
    }

    /// Reads the stamp of what came, and checks that nothing else of it has changed.
    pub(crate) fn of(content: &Content) -> Self {
        let head = content.body.first_chunk::<HEAD_BYTES>().expect("a body with a stamp");
        let publisher = u32::from_be_bytes(*head.first_chunk().expect("4 bytes"));
        let number = u64::from_be_bytes(*head[4..].first_chunk().expect("8 bytes"));
        let stamp = Self { publisher, number };
        assert!(content.body == stamp.body(), "the body of {stamp:?} has changed");
        assert_eq!(content.properties, stamp.properties(), "properties of {stamp:?}");
        stamp
    }

    /// The priority it has in a queue with priorities.
    pub(crate) fn priority(self) -> u8 {
        self.properties().priority.unwrap_or(0).min(PRIORITY_MAX)
    }

    fn properties(self) -> Properties {
        let number = i32::try_from(self.number).expect("tests publish less");
        Properties {
            content_type: Some("application/octet-stream".to_owned()),
            headers: Some(Table::new().with("number", number)),
            delivery_mode: Some(2),
            priority: u8::try_from(self.mixed() % 9).ok().filter(|priority| *priority < 8),
            message_id: Some(format!("{self:?}")),
            ..Properties::default()
        }
    }

    /// Mostly up to 1.5 kB, now and then of several frames, seldom of very many.
    fn length(self) -> usize {
        let mixed = usize::try_from(self.mixed() >> 40).expect("24 bits");
        match mixed % 1024 {
            _ if self.publisher >= LARGE_FROM => 20_000 + mixed % 40_000,
            0 => 300_000,
            1..16 => 4_000 + mixed % 20_000,
            _ => HEAD_BYTES + mixed % 1_500,
        }
    }

    fn body(self) -> Vec<u8> {
        let length = self.length();
        let mut body = Vec::with_capacity(length + 8);
        body.extend(self.publisher.to_be_bytes());
        body.extend(self.number.to_be_bytes());
        body.extend(u32::try_from(length).expect("a short body").to_be_bytes());
        let mut filler = self.mixed();
        while body.len() < length {
            filler = filler.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            body.extend(filler.to_le_bytes());
        }
        body.truncate(length);
        body
    }

    /// A number that looks unrelated to those of the stamps next to it.
    fn mixed(self) -> u64 {
        let mixed = (u64::from(self.publisher) << 40) ^ self.number;
        let mixed = (mixed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(stamp: Stamp) -> Content {
        Content { properties: stamp.properties(), body: stamp.body() }
    }

    #[test]
    fn a_stamp_is_read_from_its_message() {
        for number in 0..2000 {
            let stamp = Stamp { publisher: 3, number };
            assert_eq!(Stamp::of(&content(stamp)), stamp);
        }
    }

    #[test]
    #[should_panic(expected = "the body of 3-7 has changed")]
    fn a_changed_byte_is_noticed() {
        let mut changed = content(Stamp { publisher: 3, number: 7 });
        *changed.body.last_mut().expect("a byte") ^= 1;
        Stamp::of(&changed);
    }

    #[test]
    fn stamps_differ_in_length_and_priority() {
        let stamps = || (0..5000).map(|number| Stamp { publisher: 1, number });
        assert!(stamps().any(|stamp| stamp.length() == 300_000));
        for wanted in 0..=PRIORITY_MAX {
            assert!(stamps().any(|stamp| stamp.priority() == wanted));
        }
        assert!(stamps().any(|stamp| stamp.properties().priority.is_none()));
    }
}
