//! Where somebody is who looks through a queue without changing it, and what is seen there.
//!
//! Made by `queue::state::looking`, handed on by `queue::looking`. Stays true: a place stays good while
//! messages come and go: what was behind it still is.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::held::{Held, Returns};
use crate::keys::{ConnectionId, ConsumerKey};
use crate::message::Message;

/// Which messages of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Which {
    /// Those that wait for a consumer, in the order in which they would be delivered.
    Ready,
    /// Those that are handed out and not settled, in no order.
    Unacked,
    /// Those that came back and wait for a second attempt, what is due first before all others.
    Delayed,
}

/// A place among the messages of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place(pub(super) u64, pub(super) u64);

impl Place {
    /// Of a ready message.
    pub(super) fn ready(level: u8, sequence: u64) -> Self {
        Self(u64::from(u8::MAX - level), sequence)
    }

    /// The last place that can be before it, if there is one.
    pub(crate) fn before(self) -> Option<Self> {
        match (self.0, self.1.checked_sub(1)) {
            (first, Some(second)) => Some(Self(first, second)),
            (first, None) => first.checked_sub(1).map(|first| Self(first, u64::MAX)),
        }
    }

    /// Priority and sequence number, of a ready message.
    pub(super) fn level_and_sequence(self) -> (u8, u64) {
        let from_highest = u8::try_from(self.0).unwrap_or(u8::MAX);
        (u8::MAX - from_highest, self.1)
    }
}

/// As it is told to whoever will come back to it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromStr for Place {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (first, second) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self(first.parse()?, second.parse()?))
    }
}

/// What is known of a message at its place.
#[derive(Clone, Debug)]
pub(super) struct Glimpse {
    pub(super) place: Place,
    pub(super) sequence: u64,
    pub(super) priority: u8,
    pub(super) redelivered: bool,
    pub(super) returns: Returns,
    pub(super) expires_ms: u64,
    pub(super) due_ms: Option<u64>,
    /// Who has it, and since when, in milliseconds since the epoch.
    pub(super) handed_out: Option<(ConsumerKey, u64)>,
    pub(super) held: Held,
}

/// A consumer that has a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its tag.
    pub consumer_tag: String,
    /// Its connection,
    pub connection: ConnectionId,
    /// and the number of its channel there.
    pub channel: u16,
}

/// A message that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Where it is.
    pub place: Place,
    /// What it is known by in its queue: ascending in the order of arrival.
    pub sequence: u64,
    /// Its priority, cut to the queue's highest.
    pub priority: u8,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// How many attempts to handle it failed.
    pub failures: u32,
    /// When its time is up, in milliseconds since the epoch.
    pub expires_ms: Option<u64>,
    /// When it is ready again, in milliseconds since the epoch, of one that waits.
    pub due_ms: Option<u64>,
    /// The consumer that has it, unless that is gone or it was fetched by `basic.get`.
    pub holder: Option<Holder>,
    /// When it was handed out, in milliseconds since the epoch, of one that is not acknowledged.
    pub delivered_ms: Option<u64>,
    /// Bytes of its content.
    pub size: usize,
    /// The message; `None` if it cannot be read, or is gone meanwhile.
    pub message: Option<Message>,
}

/// The first of these: at most so many, with at most so many bytes, but one at least.
pub(super) fn page<T>(
    all: impl Iterator<Item = T>,
    (messages, bytes): (usize, usize),
    size: impl Fn(&T) -> usize,
) -> Vec<T> {
    let mut left = bytes;
    let mut found = Vec::new();
    for one in all.take(messages) {
        let fits = left.checked_sub(size(&one));
        if fits.is_none() && !found.is_empty() {
            break;
        }
        left = fits.unwrap_or(0);
        found.push(one);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_right_behind_the_one_before_it() {
        assert_eq!(Place(7, 8).before(), Some(Place(7, 7)));
        assert_eq!(Place(7, 0).before(), Some(Place(6, u64::MAX)));
        assert_eq!(Place(0, 0).before(), None);
    }

    #[test]
    fn a_place_is_told_and_understood() {
        let place = Place::ready(3, u64::MAX);
        assert_eq!(place.to_string().parse(), Ok(place));
        for wrong in ["", "1", "1-", "-1", "1-x", "1-2-3", "1-18446744073709551616"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
