//! What dead letters of one queue have in common, which mostly is all but their bodies: written and
//! looked up once for many.
//!
//! Used by `vhost::dead_letters` for what it publishes in one step. Stays true: a letter is the same,
//! byte for byte, as one that `death_history` writes; a route counts only for as long as it holds. What
//! died before, has several keys or brings headers of the kind itself is left to those.

use std::sync::Arc;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::RawTable;

use super::death_history::{Death, first_death};
use super::routing::{Holds, Route};
use crate::message::{ACQUIRED_COUNT, DELIVERY_COUNT, Marks, Message};
use crate::queue::Queue;
use crate::queue::deaths::Reason;

/// Headers that the broker writes itself, or that say more of the way, begin like this.
const OWN: [&str; 6] =
    ["CC", "x-death", "x-first-death-", "x-last-death-", ACQUIRED_COUNT, DELIVERY_COUNT];

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Alike {
    obituary: Option<Obituary>,
    way: Option<Way>,
}

/// The headers that tell of a first death.
#[derive(Debug)]
struct Obituary {
    queue: String,
    envelope: Vec<u8>,
    expiration: Option<Vec<u8>>,
    reason: Reason,
    time: u64,
    entries: Vec<u8>,
}

#[derive(Debug)]
struct Way {
    /// Exchange and routing key.
    envelope: Vec<u8>,
    queues: Vec<Arc<Queue>>,
    holds: Holds,
}

impl Obituary {
    fn is_of(&self, message: &Message, expiration: Option<&[u8]>, death: &Death<'_>) -> bool {
        self.time == death.time
            && self.queue == death.queue
            && self.reason == death.reason
            && self.envelope == message.envelope()
            && self.expiration.as_deref() == expiration
    }
}

impl Alike {
    /// A message that died for the first time, of this queue's letters, as it is published to
    /// `exchange`. `None` if it is one for `Letter::write`.
    pub(super) fn letter(
        &mut self,
        message: &Message,
        death: &Death<'_>,
        exchange: &str,
        routing_key: Option<&str>,
    ) -> Option<Message> {
        if message.has_deaths() || message.has_more_keys() {
            return None;
        }
        let properties = BasicProperties::parse(message.properties()).ok()?;
        let own = properties.headers.unwrap_or(RawTable::EMPTY);
        let is_own =
            |name: &[u8]| OWN.iter().any(|beginning| name.starts_with(beginning.as_bytes()));
        if own.entries().any(|(name, _)| is_own(name)) {
            return None;
        }
        let entries = self.obituary(message, properties.expiration, death);
        let entries = [own.as_bytes(), entries].concat();
        let (headers, expiration) = (Some(RawTable::new(&entries)), None);
        let properties = BasicProperties { headers, expiration, ..properties };
        let key = match routing_key {
            Some(key) => key,
            None => str::from_utf8(message.routing_key()).ok()?,
        };
        let mut letter = message.published_anew(exchange, key, &properties)?.marked(Marks::DEATHS);
        if routing_key.is_some() {
            letter = letter.marked(Marks::ONE_KEY);
        }
        if matches!(death.reason, Reason::Rejected | Reason::DeliveryLimit) {
            letter = letter.marked(Marks::DELIVERED);
        }
        Some(letter)
    }

    fn obituary(
        &mut self,
        message: &Message,
        expiration: Option<&[u8]>,
        death: &Death<'_>,
    ) -> &[u8] {
        let known = self.obituary.take().filter(|known| known.is_of(message, expiration, death));
        let obituary = known.unwrap_or_else(|| Obituary {
            queue: death.queue.to_owned(),
            envelope: message.envelope().to_vec(),
            expiration: expiration.map(<[u8]>::to_vec),
            reason: death.reason,
            time: death.time,
            entries: first_death(message, death, expiration).to_bytes(),
        });
        &self.obituary.insert(obituary).entries
    }

    /// Where such a letter goes that its queue sends to one exchange: as `find` finds it, or as it was
    /// found before.
    pub(super) fn route(
        &mut self,
        letter: &Message,
        generation: u64,
        find: impl FnOnce() -> Route,
    ) -> Route {
        if let Some(way) = &self.way
            && way.envelope == letter.envelope()
            && way.holds.on(generation)
        {
            return Route { queues: way.queues.clone(), ..Route::default() };
        }
        let route = find();
        let is_all = route.later.is_empty() && route.sighting.is_none();
        let (envelope, queues) = (letter.envelope().to_vec(), route.queues.clone());
        let holds = route.holds.clone().filter(|_| is_all);
        self.way = holds.map(|holds| Way { envelope, queues, holds });
        route
    }
}

#[cfg(test)]
mod tests {
    use leveret_protocol::types::{FieldTable, FieldValue};

    use super::super::death_history::Letter;
    use super::*;
    use crate::message::tests::with_properties;

    fn message(headers: &[(&str, FieldValue)], expiration: Option<&'static [u8]>) -> Message {
        let headers: FieldTable = headers.iter().cloned().collect();
        let entries = headers.to_bytes();
        let headers = (!entries.is_empty()).then(|| RawTable::new(&entries));
        let content_type = Some(&b"text/plain"[..]);
        let properties =
            BasicProperties { headers, expiration, content_type, ..BasicProperties::default() };
        with_properties(&properties, b"body")
    }

    fn told(letter: &Message) -> impl PartialEq + std::fmt::Debug {
        let marks = (letter.has_deaths(), letter.was_delivered(), letter.has_more_keys());
        let texts = [letter.envelope(), letter.properties(), letter.body()].map(<[u8]>::to_vec);
        (texts, marks, letter.is_persistent(), letter.priority(), letter.arrived_ms())
    }

    #[test]
    fn a_letter_is_as_any_other_that_tells_of_a_first_death() {
        let mut alike = Alike::default();
        for reason in [Reason::Expired, Reason::Rejected, Reason::MaxLength] {
            for (queue, key) in [("q", None), ("other", Some("named")), ("q", Some("named"))] {
                for expiration in [None, Some(&b"100"[..])] {
                    for headers in [&[][..], &[("mine", FieldValue::I64(1))]] {
                        let message = message(headers, expiration);
                        let death = Death { queue, reason, time: 1_700_000_000 };
                        let letter = Letter::write(&message, &death, "dlx", key).expect("a letter");
                        let alike = alike.letter(&message, &death, "dlx", key).expect("a letter");
                        assert_eq!(told(&alike), told(&letter.message), "{death:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_has_a_history_or_copies_is_none_of_them() {
        let mut alike = Alike::default();
        let death = Death { queue: "q", reason: Reason::Expired, time: 1 };
        let copies = FieldValue::Array(vec![FieldValue::LongString(b"copy".to_vec())]);
        let mine = FieldValue::LongString(b"mine".to_vec());
        let once = alike.letter(&message(&[], None), &death, "dlx", None).expect("a letter");
        for message in [
            message(&[("CC", copies)], None),
            message(&[("x-first-death-queue", mine)], None),
            message(&[(DELIVERY_COUNT, FieldValue::I64(1))], None),
            message(&[], None).with_hidden_keys(&["hidden".to_owned()]),
            once,
        ] {
            assert!(alike.letter(&message, &death, "dlx", None).is_none(), "{message:?}");
        }
    }
}
