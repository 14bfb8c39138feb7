//! What a dead message tells of its deaths: the headers `x-death`, `x-first-death-*` and
//! `x-last-death-*`, and the message that carries them to its next queue.
//!
//! Called by `vhost::dead_letters`. Pure: the time comes as an argument. Stays true: the newest death
//! stands first, each queue and reason once; only what the broker wrote counts, so a client that
//! publishes a message with such headers begins a new history. See RabbitMQ's page on dead letter
//! exchanges.

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue, RawTable};

use crate::message::{ACQUIRED_COUNT, DELIVERY_COUNT, Marks, Message};
use crate::queue::deaths::Reason;

const DEATHS: &str = "x-death";

/// A death that happens now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death<'a> {
    /// The queue.
    pub queue: &'a str,
    /// Why.
    pub reason: Reason,
    /// When, in seconds since the epoch.
    pub time: u64,
}

/// A message on its way to its next queue, with all that routing asks of it.
#[derive(Debug)]
pub(super) struct Letter {
    /// As it is published.
    pub message: Message,
    /// Its routing keys: the one that its queue named, or all that it had.
    pub routing_keys: Vec<String>,
    /// Its headers.
    pub headers: FieldTable,
}

impl Letter {
    /// A dead message as it is published to `exchange`, with another routing key if its queue names
    /// one. `None` if the message is none that a client could have published.
    pub(super) fn write(
        message: &Message,
        death: &Death<'_>,
        exchange: &str,
        routing_key: Option<&str>,
    ) -> Option<Self> {
        let properties = BasicProperties::parse(message.properties()).ok()?;
        let mut headers = match properties.headers {
            Some(headers) => headers.parse().ok()?,
            None => FieldTable::new(),
        };
        for count in [ACQUIRED_COUNT, DELIVERY_COUNT] {
            headers.remove(count);
        }
        let mut keys = message.shown_keys();
        add_death(&mut headers, message, death, &keys, properties.expiration);
        if let Some(key) = routing_key {
            keys = vec![key.to_owned()];
        }
        let key = keys.first()?;
        let marks = if routing_key.is_some() { Marks::ONE_KEY } else { message.key_marks() };
        let hidden = if routing_key.is_some() { Vec::new() } else { message.hidden_keys() };
        let mut message = rewritten(message, &properties, &headers, exchange, key)?.marked(marks);
        if !hidden.is_empty() {
            message = message.with_hidden_keys(&hidden);
            keys.extend(hidden);
        }
        let delivered = matches!(death.reason, Reason::Rejected | Reason::DeliveryLimit);
        let message = if delivered { message.marked(Marks::DELIVERED) } else { message };
        Some(Self { message, routing_keys: keys, headers })
    }

    /// Whether the message would come to a queue again in which it died, and nobody rejected it
    /// since: it would go round for ever.
    pub(super) fn goes_round(&self, queue: &str) -> bool {
        let deaths = self.headers.get(DEATHS).and_then(FieldValue::as_array).unwrap_or_default();
        for death in deaths.iter().filter_map(FieldValue::as_table) {
            let text = |key| death.get(key).and_then(FieldValue::as_str);
            if text("reason") == Some(Reason::Rejected.name()) {
                return false;
            }
            if text("queue") == Some(queue) {
                return true;
            }
        }
        false
    }
}

fn add_death(
    headers: &mut FieldTable,
    message: &Message,
    death: &Death<'_>,
    keys: &[String],
    expiration: Option<&[u8]>,
) {
    let exchange = FieldValue::LongString(message.exchange().to_vec());
    let (queue, reason) = (text(death.queue), text(death.reason.name()));
    let known = headers.get(DEATHS).and_then(FieldValue::as_array).filter(|_| message.has_deaths());
    let mut deaths = known.map(<[FieldValue]>::to_vec).unwrap_or_default();
    let is_this = |entry: &FieldValue| {
        let entry = entry.as_table();
        entry.is_some_and(|e| e.get("queue") == Some(&queue) && e.get("reason") == Some(&reason))
    };
    let newest = match deaths.iter().position(is_this).map(|at| deaths.remove(at)) {
        Some(FieldValue::Table(mut again)) => {
            let count = again.get("count").and_then(FieldValue::as_integer).unwrap_or(0);
            again.insert("count", FieldValue::I64(count.saturating_add(1)));
            again
        }
        Some(_) | None => {
            let mut entry = FieldTable::new();
            if let Some(expiration) = expiration {
                entry.insert("original-expiration", FieldValue::LongString(expiration.to_vec()));
            }
            entry.insert("count", FieldValue::I64(1));
            entry.insert("reason", reason.clone());
            entry.insert("queue", queue.clone());
            entry.insert("time", FieldValue::Timestamp(death.time));
            entry.insert("exchange", exchange.clone());
            let keys = keys.iter().map(|key| text(key)).collect();
            entry.insert("routing-keys", FieldValue::Array(keys));
            entry
        }
    };
    let is_first = deaths.is_empty() && !message.has_deaths();
    deaths.insert(0, FieldValue::Table(newest));
    headers.insert(DEATHS, FieldValue::Array(deaths));
    let parts = [("exchange", exchange), ("queue", queue), ("reason", reason)];
    for which in ["first", "last"] {
        for (part, value) in &parts {
            if which == "last" || is_first {
                headers.insert(format!("x-{which}-death-{part}"), value.clone());
            }
        }
    }
}

/// The headers that tell of the first death of a message that had one routing key.
pub(super) fn first_death(
    message: &Message,
    death: &Death<'_>,
    expiration: Option<&[u8]>,
) -> FieldTable {
    let mut headers = FieldTable::new();
    let key = String::from_utf8_lossy(message.routing_key()).into_owned();
    add_death(&mut headers, message, death, &[key], expiration);
    headers
}

fn text(text: &str) -> FieldValue {
    FieldValue::LongString(text.as_bytes().to_vec())
}

/// The same body under another envelope and other headers. What time it had is over: its next queue
/// gives it another.
fn rewritten(
    message: &Message,
    properties: &BasicProperties<'_>,
    headers: &FieldTable,
    exchange: &str,
    routing_key: &str,
) -> Option<Message> {
    let entries = headers.to_bytes();
    let properties = BasicProperties {
        headers: Some(RawTable::new(&entries)),
        expiration: None,
        ..properties.clone()
    };
    let rewritten = message.published_anew(exchange, routing_key, &properties)?;
    Some(rewritten.marked(Marks::DEATHS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::with_properties;

    const NOW: u64 = 1_700_000_000;

    fn die(message: &Message, queue: &str, reason: Reason) -> Letter {
        let death = Death { queue, reason, time: NOW };
        Letter::write(message, &death, "dlx", None).expect("a client's message")
    }

    fn entry(letter: &Letter, at: usize) -> FieldTable {
        let deaths = letter.headers.get(DEATHS).and_then(FieldValue::as_array).expect("deaths");
        deaths[at].as_table().expect("a table").clone()
    }

    #[test]
    fn a_first_death_is_told_in_full() {
        let headers: FieldTable =
            [("CC", FieldValue::Array(vec![text("copy")]))].into_iter().collect();
        let entries = headers.to_bytes();
        let properties = BasicProperties {
            headers: Some(RawTable::new(&entries)),
            expiration: Some(b"100"),
            delivery_mode: Some(2),
            ..BasicProperties::default()
        };
        let message = with_properties(&properties, b"body");
        let letter = die(&message, "q", Reason::Expired);
        let expected: FieldTable = [
            ("original-expiration", text("100")),
            ("count", FieldValue::I64(1)),
            ("reason", text("expired")),
            ("queue", text("q")),
            ("time", FieldValue::Timestamp(NOW)),
            ("exchange", text("x")),
            ("routing-keys", FieldValue::Array(vec![text("key"), text("copy")])),
        ]
        .into_iter()
        .collect();
        assert_eq!(entry(&letter, 0), expected);
        let names: Vec<_> = letter.headers.iter().map(|(name, _)| name).collect();
        let death = |which: &str| {
            ["exchange", "queue", "reason"].map(|part| format!("x-{which}-death-{part}"))
        };
        let expected =
            [vec!["CC".to_owned(), DEATHS.to_owned()], death("first").into(), death("last").into()];
        assert_eq!(names, expected.concat());
        assert_eq!(letter.routing_keys, ["key", "copy"]);
        assert_eq!(
            (letter.message.exchange(), letter.message.routing_key()),
            (&b"dlx"[..], &b"key"[..])
        );
        assert_eq!(letter.message.body(), b"body");
        assert_eq!(letter.message.lives_ms(), None, "its time is over");
        assert!(!letter.message.was_delivered());
    }

    #[test]
    fn a_key_that_a_queue_names_is_the_only_one_from_then_on() {
        let headers: FieldTable =
            [("CC", FieldValue::Array(vec![text("copy")]))].into_iter().collect();
        let entries = headers.to_bytes();
        let properties = BasicProperties {
            headers: Some(RawTable::new(&entries)),
            ..BasicProperties::default()
        };
        let message = with_properties(&properties, b"body");
        let message = message.with_hidden_keys(&["hidden".to_owned()]);
        let death = Death { queue: "q", reason: Reason::Expired, time: NOW };
        let keys_of = |letter: &Letter| entry(letter, 0).get("routing-keys").cloned();
        let told =
            |keys: &[&str]| Some(FieldValue::Array(keys.iter().map(|key| text(key)).collect()));

        let once = die(&message, "a", Reason::Expired);
        let twice = die(&once.message, "b", Reason::Expired);
        for letter in [&once, &twice] {
            assert_eq!(letter.routing_keys, ["key", "copy", "hidden"]);
            assert_eq!(keys_of(letter), told(&["key", "copy"]), "what is hidden is not told");
        }

        let named = Letter::write(&twice.message, &death, "dlx", Some("fixed")).expect("a letter");
        assert_eq!(named.routing_keys, ["fixed"]);
        let again = die(&die(&named.message, "c", Reason::Expired).message, "d", Reason::Expired);
        assert_eq!(again.routing_keys, ["fixed"]);
        assert_eq!(keys_of(&again), told(&["fixed"]));
    }

    #[test]
    fn dying_again_counts_and_comes_first() {
        let message = with_properties(&BasicProperties::default(), b"");
        let once = die(&message, "work", Reason::Rejected);
        let twice = die(&once.message, "wait", Reason::Expired);
        let thrice = die(&twice.message, "work", Reason::Rejected);
        let of = |at| {
            let entry = entry(&thrice, at);
            let text = |key| entry.get(key).and_then(FieldValue::as_str).map(str::to_owned);
            (text("queue").unwrap(), entry.get("count").and_then(FieldValue::as_integer).unwrap())
        };
        assert_eq!([of(0), of(1)], [("work".to_owned(), 2), ("wait".to_owned(), 1)]);
        let header = |name| thrice.headers.get(name).and_then(FieldValue::as_str);
        assert_eq!(header("x-first-death-queue"), Some("work"));
        assert_eq!(header("x-last-death-queue"), Some("work"));
        assert_eq!(header("x-last-death-exchange"), Some("dlx"));
        assert!(thrice.message.was_delivered());
    }

    #[test]
    fn what_a_client_writes_is_no_history() {
        let headers: FieldTable =
            [(DEATHS, text("mine")), ("x-first-death-queue", text("mine"))].into_iter().collect();
        let entries = headers.to_bytes();
        let properties = BasicProperties {
            headers: Some(RawTable::new(&entries)),
            ..BasicProperties::default()
        };
        let letter = die(&with_properties(&properties, b""), "q", Reason::MaxLength);
        assert_eq!(entry(&letter, 0).get("count"), Some(&FieldValue::I64(1)));
        assert_eq!(letter.headers.get("x-first-death-queue"), Some(&text("q")));
    }

    #[test]
    fn a_message_goes_round_unless_it_was_rejected_on_the_way() {
        let message = with_properties(&BasicProperties::default(), b"");
        let once = die(&message, "a", Reason::Expired);
        assert!(once.goes_round("a") && !once.goes_round("b"));
        let rejected = die(&once.message, "b", Reason::Rejected);
        let again = die(&rejected.message, "c", Reason::MaxLength);
        assert!(again.goes_round("c"));
        assert!(!again.goes_round("a"), "it was rejected since");
    }
}
