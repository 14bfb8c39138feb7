//! What a policy may say: every setting with its values, RabbitMQ's text for a wrong one, and what
//! counts where a policy, an operator policy and an argument speak of the same thing.
//!
//! Called by `validation` and `effective`. A setting `a-b` of queues is their argument `x-a-b`.

use serde_json::Value;

use self::Choice::{First, Greatest, Least, Limit, Second};
use super::{Pattern, QueueType};

/// The argument that the setting `delayed-message` stands for.
pub(crate) const DELAYED_MESSAGE: &str = "x-delayed-message";

/// Which of two values counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The first.
    First,
    /// The second.
    Second,
    /// The smaller number.
    Least,
    /// The larger number.
    Greatest,
    /// The smaller number; but where one is negative, which means no limit, the larger.
    Limit,
}

/// What a setting is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Queues: it stands for an argument.
    Queues,
    /// Exchanges: it stands for the argument with this name.
    Exchanges(&'static str),
    /// Nothing that this broker has.
    Nothing,
}

/// A setting.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) about: About,
    /// Whether a value is one.
    pub(super) is_valid: fn(&Value) -> bool,
    /// What is said of one that is not; `{}` stands for it.
    pub(super) fault: &'static str,
    /// Between a policy and an operator policy; `None` where operator policies may not have it.
    pub(super) operator: Option<Choice>,
    /// Between an argument and the policy, on a classic queue.
    argument: Choice,
}

impl Key {
    /// What counts where a queue of this type was declared with an argument: it or the policy.
    pub(super) fn choice(&self, queue_type: QueueType) -> Choice {
        match queue_type {
            QueueType::Stream => Second,
            QueueType::Quorum if self.name == "overflow" => Second,
            QueueType::Quorum | QueueType::Classic => self.argument,
        }
    }
}

/// Whether policies can set an argument of queues, so that it may change while a queue is there.
pub(crate) fn can_set(argument: &str) -> bool {
    let found = argument.strip_prefix("x-").and_then(key);
    found.is_some_and(|key| key.about == About::Queues)
}

/// The setting with this name.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    let at = KEYS.binary_search_by(|key| key.name.cmp(name)).ok()?;
    KEYS.get(at)
}

const fn queues(
    name: &'static str,
    is_valid: fn(&Value) -> bool,
    fault: &'static str,
    operator: Option<Choice>,
    argument: Choice,
) -> Key {
    Key { name, about: About::Queues, is_valid, fault, operator, argument }
}

const fn exchanges(
    name: &'static str,
    stands_for: &'static str,
    is_valid: fn(&Value) -> bool,
    fault: &'static str,
) -> Key {
    let about = About::Exchanges(stands_for);
    Key { name, about, is_valid, fault, operator: None, argument: First }
}

const fn nothing(name: &'static str, is_valid: fn(&Value) -> bool, fault: &'static str) -> Key {
    Key { name, about: About::Nothing, is_valid, fault, operator: None, argument: First }
}

/// Every setting, in the order of the names. Texts, and what counts, are RabbitMQ's; `expiry`,
/// `max-held-bytes`, `max-publish-rate`, `max-publish-byte-rate` and `delayed-message` are ours.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    exchanges("alternate-exchange", "alternate-exchange", Value::is_string,
        "{} is not a valid alternate exchange name"),
    queues("consumer-disconnected-timeout", is_not_negative,
        "{} is not a valid consumer disconnected timeout", None, Least),
    queues("consumer-timeout", is_not_negative,
        "{} is not a valid consumer timeout", None, Least),
    queues("dead-letter-exchange", Value::is_string,
        "{} is not a valid dead letter exchange name", None, First),
    queues("dead-letter-routing-key", Value::is_string,
        "{} is not a valid dead letter routing key", None, First),
    queues("dead-letter-strategy", |value| is_one_of(value, &["at-most-once", "at-least-once"]),
        "{} is not a valid dead letter strategy", None, First),
    exchanges("delayed-message", DELAYED_MESSAGE, Value::is_boolean,
        "{} is not a valid delayed-message value"),
    queues("delayed-retry-backoff", |value| is_one_of(value, &["linear", "exponential"]),
        "{} is not a valid delayed retry backoff. Must be one of: linear, exponential", None, First),
    queues("delayed-retry-max", is_positive,
        "{} is not a valid delayed retry maximum delay. Must be a positive integer",
        Some(Least), Least),
    queues("delayed-retry-min", is_positive,
        "{} is not a valid delayed retry minimum delay. Must be a positive integer",
        Some(Greatest), Least),
    queues("delayed-retry-type",
        |value| is_one_of(value, &["all", "failed", "returned", "disabled"]),
        "{} is not a valid delayed retry type. Must be one of: all, failed, returned, disabled",
        Some(Second), Second),
    queues("delivery-limit", |value| integer(value).is_some(),
        "{} is not a valid delivery limit", Some(Limit), Limit),
    queues("expires", is_positive,
        "{} is not a valid queue expiry", Some(Least), Least),
    queues("expiry", |value| is_one_of(value, &["head", "anywhere"]),
        "{} is not a valid expiry value", None, First),
    nothing("federation-upstream", Value::is_string,
        "{} is not a valid federation upstream name"),
    nothing("federation-upstream-pattern", is_pattern,
        "{} is not a valid federation upstream pattern name"),
    nothing("federation-upstream-set", Value::is_string,
        "{} is not a valid federation upstream set name"),
    queues("initial-cluster-size", is_not_negative,
        "{} is not a valid cluster size", None, Second),
    queues("max-age", is_age,
        "{} is not a valid max age", None, Second),
    queues("max-held-bytes", is_not_negative,
        "{} is not a valid number of bytes to hold", Some(Least), Least),
    queues("max-in-memory-bytes", is_not_negative,
        "{} is not a valid maximum memory in bytes", Some(Least), Least),
    queues("max-in-memory-length", is_not_negative,
        "{} is not a valid maximum memory in bytes", Some(Least), Least),
    queues("max-length", is_not_negative,
        "{} is not a valid maximum length", Some(Least), Least),
    queues("max-length-bytes", is_not_negative,
        "{} is not a valid maximum length in bytes", Some(Least), Least),
    queues("max-publish-byte-rate", is_not_negative,
        "{} is not a valid number of bytes a second", Some(Least), Least),
    queues("max-publish-rate", is_not_negative,
        "{} is not a valid number of messages a second", Some(Least), Least),
    queues("message-ttl", is_not_negative,
        "{} is not a valid message TTL", Some(Least), Least),
    queues("overflow",
        |value| is_one_of(value, &["drop-head", "drop-lowest", "reject-publish", "reject-publish-dlx"]),
        "{} is not a valid overflow value", Some(Second), First),
    queues("queue-leader-locator",
        |value| is_one_of(value, &["client-local", "balanced", "random", "least-leaders"]),
        "{} is not a valid queue leader locator value", None, Second),
    Key {
        operator: Some(Second),
        ..nothing("queue-master-locator", |_| false,
            "use of deprecated queue-master-locator argument is not permitted")
    },
    queues("queue-mode", |value| is_one_of(value, &["default", "lazy"]),
        "{} is not a valid queue-mode value", None, First),
    queues("queue-version", |value| is_within(value, 1, 2),
        "{} is not a valid queue-version value", Some(Second), First),
    queues("stream-filter-size-bytes", |value| is_within(value, 16, 255),
        "{} is not a valid filter size. Valid range is 16-255", None, Second),
    queues("stream-max-segment-size-bytes", |value| is_within(value, 0, 3_000_000_000),
        "{} is not a valid segment size", None, Second),
    queues("target-group-size", is_positive,
        "{} is not a valid qq target count value", Some(Greatest), Second),
];

/// A policy with one of these does not count for classic queues. RabbitMQ has `delivery-limit` and
/// `dead-letter-strategy` among them: here they work on every queue.
const NOT_ON_CLASSIC: &[&str] = &[
    "initial-cluster-size",
    "max-age",
    "max-in-memory-bytes",
    "max-in-memory-length",
    "stream-max-segment-size-bytes",
    "target-group-size",
];

/// The same for quorum queues.
const NOT_ON_QUORUM: &[&str] =
    &["initial-cluster-size", "max-age", "queue-mode", "stream-max-segment-size-bytes"];

/// The same for streams.
const NOT_ON_STREAMS: &[&str] = &[
    "dead-letter-exchange",
    "dead-letter-routing-key",
    "dead-letter-strategy",
    "delivery-limit",
    "expires",
    "max-in-memory-bytes",
    "max-in-memory-length",
    "max-length",
    "message-ttl",
    "overflow",
    "queue-mode",
    "target-group-size",
];

/// Whether a policy that says this counts for queues of this type at all.
pub(super) fn is_for(name: &str, queue_type: QueueType) -> bool {
    let excluded = match queue_type {
        QueueType::Classic => NOT_ON_CLASSIC,
        QueueType::Quorum => NOT_ON_QUORUM,
        QueueType::Stream => NOT_ON_STREAMS,
    };
    !excluded.contains(&name)
}

/// An integer; what is larger than the largest counts as that.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX))
}

fn is_not_negative(value: &Value) -> bool {
    integer(value).is_some_and(|number| number >= 0)
}

fn is_positive(value: &Value) -> bool {
    integer(value).is_some_and(|number| number > 0)
}

fn is_within(value: &Value, least: i64, most: i64) -> bool {
    integer(value).is_some_and(|number| (least..=most).contains(&number))
}

fn is_one_of(value: &Value, known: &[&str]) -> bool {
    value.as_str().is_some_and(|text| known.contains(&text))
}

fn is_pattern(value: &Value) -> bool {
    value.as_str().is_some_and(|text| Pattern::try_from(text.to_owned()).is_ok())
}

/// A positive number and one of the units Y, M, D, h, m and s.
fn is_age(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let digits = text.trim_end_matches(|last: char| !last.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        && digits.bytes().any(|byte| byte != b'0')
        && ["Y", "M", "D", "h", "m", "s"].contains(&unit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_found_because_they_are_sorted() {
        assert!(KEYS.is_sorted_by_key(|key| key.name));
        for known in KEYS {
            assert_eq!(key(known.name).map(|found| found.name), Some(known.name));
        }
        assert!(key("ha-mode").is_none());
        for list in [NOT_ON_CLASSIC, NOT_ON_QUORUM, NOT_ON_STREAMS] {
            assert!(list.iter().all(|name| key(name).is_some()));
        }
    }

    #[test]
    fn ages_are_numbers_with_a_unit() {
        for (age, expected) in [
            (json!("7D"), true),
            (json!("10Y"), true),
            (json!("0D"), false),
            (json!("D"), false),
            (json!("7"), false),
            (json!("7 D"), false),
            (json!("-7D"), false),
            (json!("7d"), false),
            (json!(7), false),
        ] {
            assert_eq!(is_age(&age), expected, "{age}");
        }
    }
}
