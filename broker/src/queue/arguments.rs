//! The x-arguments of a queue: which there are, what they may be, and when two declarations agree.
//!
//! Called by `vhost::declare` and `channel::consume`. Texts are RabbitMQ's, whose error reasons are
//! printed as its language prints terms: strings quoted, atoms and tuples bare.
//! See RabbitMQ's queues page ("Optional Arguments") and `basic.consume` arguments.

use leveret_protocol::types::{FieldTable, FieldValue};
use serde::{Deserialize, Serialize};

use super::consumers::Activity;
use super::group_by::GroupBy;
use super::retry::{Retry, RetryAfter};
use crate::deduplication::{self, Deduplication};
use crate::error::{ChannelError, ResourceName};
use crate::publish_rate::PublishLimits;

/// The longest time any argument may give: ten years in milliseconds, as RabbitMQ limits it.
pub(crate) const EXPIRY_MS_MAX: i64 = 10 * 365 * 24 * 3600 * 1000;

/// Arguments that decide how the queue behaves, parsed once at declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueArguments {
    /// `x-max-priority`: priorities from 0 to this.
    pub max_priority: u8,
    /// The priority of messages that name none.
    pub default_priority: u8,
    /// `x-max-length` and `x-max-length-bytes`.
    pub length_limit: LengthLimit,
    /// `x-max-held-bytes`: more than this, and its publishers wait.
    pub max_held_bytes: Option<u64>,
    /// `x-max-publish-rate` and `x-max-publish-byte-rate`.
    pub publish: PublishLimits,
    /// `x-overflow` is `reject-publish`: a full queue takes nothing, instead of dropping its head.
    pub rejects_publishes: bool,
    /// `x-overflow` is `reject-publish-dlx`: what a full queue refuses is dead-lettered.
    pub buries_refused: bool,
    /// `x-overflow` is `drop-lowest`: a full queue drops the first message of its lowest priority.
    pub drops_lowest: bool,
    /// `x-single-active-consumer`: one consumer at a time gets messages.
    pub activity: Activity,
    /// `x-message-ttl`: how long messages may wait, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// `x-expiry` is `anywhere`: a message whose time is up goes wherever it stands, not only when it
    /// is next.
    pub expires_anywhere: bool,
    /// `x-expires`: how long the queue may be unused, in milliseconds.
    pub unused_ms: Option<u64>,
    /// `x-delivery-limit`: how many attempts to handle a message may fail. Of a quorum queue 20
    /// unless it says otherwise.
    pub delivery_limit: Option<u32>,
    /// `x-delayed-retry-type` and what goes with it: how long what came back waits.
    pub retry: Option<Retry>,
    /// Consumers are told how often a message came back: those of a quorum queue, and of any with a
    /// delivery limit.
    pub counts_deliveries: bool,
    /// `x-dead-letter-exchange` and `x-dead-letter-routing-key`.
    pub dead_letters: Option<DeadLetterTarget>,
    /// `x-dead-letter-strategy` is `at-least-once`: a dead letter stays until somebody takes it. Only
    /// of a queue that refuses when it is full, since what stays counts for its limit.
    pub keeps_dead_letters: bool,
    /// `x-consumer-timeout`: how long a consumer may take for a delivery, in milliseconds.
    pub consumer_timeout_ms: Option<u64>,
    /// `x-message-deduplication` and what goes with it.
    pub deduplication: Option<Deduplication>,
    /// `x-message-group`: what names the group of a message; those of one group go to one consumer at a
    /// time and in order.
    pub group_by: Option<GroupBy>,
    /// No argument: the queue is the vhost's own, for messages that wait for their time.
    pub delays: bool,
}

/// Where the dead of a queue are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterTarget {
    /// To which exchange; one that does not exist drops them.
    pub exchange: String,
    /// With which routing key, instead of their own.
    pub routing_key: Option<String>,
}

/// How much may be ready in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LengthLimit {
    /// Messages.
    pub messages: Option<usize>,
    /// Bytes of their bodies.
    pub bytes: Option<usize>,
}

const MESSAGE_GROUP: &str = "x-message-group";
const EXPIRY: &str = "x-expiry";
const RETRY_TYPE: &str = "x-delayed-retry-type";
const RETRY_MIN: &str = "x-delayed-retry-min";
const RETRY_MAX: &str = "x-delayed-retry-max";
const RETRY_BACKOFF: &str = "x-delayed-retry-backoff";
const DELIVERY_LIMIT: &str = "x-delivery-limit";
/// What a quorum queue that says nothing allows.
const QUORUM_DELIVERY_LIMIT: u32 = 20;
/// A quorum queue has 32 priorities, and messages that name none the fifth.
const QUORUM_PRIORITY_MAX: u8 = 31;
const QUORUM_PRIORITY: u8 = 4;
/// Arguments that a quorum queue does not take.
const CLASSIC_ONLY: [&str; 2] = ["x-max-priority", "x-queue-mode"];

const CONSUMER_TIMEOUT: &str = "x-consumer-timeout";
const QUEUE_TYPE: &str = "x-queue-type";
/// Types that mean whatever the vhost gives.
const LEFT_TO_VHOST: [&str; 2] = ["", "undefined"];

const DEAD_LETTER_STRATEGY: &str = "x-dead-letter-strategy";
const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";

type Check = fn(&FieldValue, &FieldTable) -> Result<(), String>;

/// The arguments that are checked and compared; any other is kept and otherwise ignored.
const DECLARE_ARGUMENTS: &[(&str, Check)] = &[
    ("x-expires", check_expires),
    ("x-message-ttl", check_ttl),
    (DEAD_LETTER_EXCHANGE, check_dead_letter_exchange),
    ("x-dead-letter-routing-key", check_dead_letter_routing_key),
    (DEAD_LETTER_STRATEGY, check_dead_letter_strategy),
    ("x-max-held-bytes", check_not_negative),
    ("x-max-length", check_not_negative),
    ("x-max-length-bytes", check_not_negative),
    ("x-max-in-memory-length", check_not_negative),
    ("x-max-in-memory-bytes", check_not_negative),
    ("x-max-priority", check_max_priority),
    ("x-max-publish-byte-rate", check_not_negative),
    ("x-max-publish-rate", check_not_negative),
    ("x-overflow", check_overflow),
    (EXPIRY, check_expiry),
    (MESSAGE_GROUP, check_message_group),
    ("x-queue-mode", check_nothing),
    ("x-queue-version", check_queue_version),
    ("x-single-active-consumer", check_boolean),
    (CONSUMER_TIMEOUT, check_not_negative),
    (QUEUE_TYPE, check_queue_type),
    ("x-quorum-initial-group-size", check_positive),
    (DELIVERY_LIMIT, check_integer),
    (RETRY_TYPE, check_retry_type),
    (RETRY_MIN, check_retry_time),
    (RETRY_MAX, check_retry_max),
    (RETRY_BACKOFF, check_retry_backoff),
    ("x-queue-leader-locator", check_leader_locator),
];

/// Checks the arguments of `queue.declare` and parses those with a meaning.
pub(crate) fn parse(
    arguments: &FieldTable,
    queue: &ResourceName,
) -> Result<QueueArguments, ChannelError> {
    if let Some(value) = arguments.get(DEAD_LETTER_EXCHANGE) {
        // Another text than for all other arguments: RabbitMQ looks it up before it checks it.
        check_string(value).map_err(|_| {
            ChannelError::Precondition(format!(
                "invalid type '{}' for arg '{DEAD_LETTER_EXCHANGE}' in {queue}",
                value.type_name()
            ))
        })?;
    }
    for (key, check) in DECLARE_ARGUMENTS {
        if let Some(value) = arguments.get(key) {
            check(value, arguments).map_err(|reason| invalid(key, queue, &reason))?;
        }
    }
    deduplication::check_all(arguments).map_err(|(key, reason)| invalid(key, queue, &reason))?;
    let is_quorum = is_quorum(arguments);
    if is_quorum && let Some(key) = CLASSIC_ONLY.iter().find(|key| arguments.contains(key)) {
        let text = format!("invalid arg '{key}' for {queue} of queue type rabbit_quorum_queue");
        return Err(ChannelError::Precondition(text));
    }
    let max_priority = arguments.get("x-max-priority").and_then(FieldValue::as_integer);
    let max_priority = max_priority.and_then(|value| u8::try_from(value).ok()).unwrap_or(0);
    let size = |key| {
        let value = arguments.get(key).and_then(FieldValue::as_integer)?;
        usize::try_from(value).ok()
    };
    let overflow = arguments.get("x-overflow").and_then(FieldValue::as_str);
    let text = |key| arguments.get(key).and_then(FieldValue::as_str).map(str::to_owned);
    let number = |key| size(key).map(|size| size as u64);
    Ok(QueueArguments {
        max_priority: if is_quorum { QUORUM_PRIORITY_MAX } else { max_priority },
        default_priority: if is_quorum { QUORUM_PRIORITY } else { 0 },
        length_limit: LengthLimit {
            messages: size("x-max-length"),
            bytes: size("x-max-length-bytes"),
        },
        max_held_bytes: number("x-max-held-bytes"),
        publish: PublishLimits {
            messages: number("x-max-publish-rate"),
            bytes: number("x-max-publish-byte-rate"),
        },
        activity: match arguments.get("x-single-active-consumer") {
            Some(FieldValue::Bool(true)) if is_quorum => Activity::Highest,
            Some(FieldValue::Bool(true)) => Activity::One,
            Some(_) | None => Activity::All,
        },
        rejects_publishes: overflow.is_some_and(|mode| mode.starts_with("reject-publish")),
        drops_lowest: overflow == Some("drop-lowest"),
        buries_refused: overflow == Some("reject-publish-dlx"),
        ttl_ms: number("x-message-ttl"),
        expires_anywhere: arguments.get(EXPIRY).and_then(FieldValue::as_str) == Some("anywhere"),
        unused_ms: number("x-expires"),
        delivery_limit: delivery_limit(arguments, is_quorum),
        retry: retry(arguments),
        counts_deliveries: is_quorum || arguments.contains(DELIVERY_LIMIT),
        keeps_dead_letters: keeps_dead_letters(arguments),
        dead_letters: text(DEAD_LETTER_EXCHANGE).map(|exchange| DeadLetterTarget {
            exchange,
            routing_key: text("x-dead-letter-routing-key"),
        }),
        consumer_timeout_ms: number(CONSUMER_TIMEOUT),
        deduplication: Deduplication::of(arguments),
        group_by: arguments.get(MESSAGE_GROUP).and_then(FieldValue::as_str).map(GroupBy::named),
        delays: false,
    })
}

/// The same arguments with the type that a vhost gives to queues that name none. RabbitMQ gives another
/// than classic only to queues that stay: durable, not exclusive, not deleted by themselves. Whoever
/// leaves the type to the vhost by name gets it for any queue.
pub(crate) fn with_default_type(
    mut arguments: FieldTable,
    default: Option<&str>,
    stays: bool,
) -> FieldTable {
    let Some(default) = default else { return arguments };
    let is_left = match arguments.get(QUEUE_TYPE) {
        None => stays,
        Some(named) => named.as_str().is_some_and(|named| LEFT_TO_VHOST.contains(&named)),
    };
    if is_left {
        arguments.insert(QUEUE_TYPE, default);
    }
    arguments
}

/// Whether dead letters are published at least once.
fn keeps_dead_letters(arguments: &FieldTable) -> bool {
    let overflow = arguments.get("x-overflow").and_then(FieldValue::as_str).unwrap_or_default();
    arguments.contains(DEAD_LETTER_EXCHANGE)
        && is_to_keep_dead_letters(arguments)
        && overflow.starts_with("reject-publish")
}

/// Whether that is asked for, be it possible or not.
pub(super) fn is_to_keep_dead_letters(arguments: &FieldTable) -> bool {
    arguments.get(DEAD_LETTER_STRATEGY).and_then(FieldValue::as_str) == Some("at-least-once")
}

/// Whether a queue is a quorum queue.
pub(crate) fn is_quorum(arguments: &FieldTable) -> bool {
    arguments.get(QUEUE_TYPE).and_then(FieldValue::as_str) == Some("quorum")
}

/// How many attempts may fail; a limit below zero is none.
fn delivery_limit(arguments: &FieldTable, is_quorum: bool) -> Option<u32> {
    match arguments.get(DELIVERY_LIMIT).and_then(FieldValue::as_integer) {
        Some(limit) if limit < 0 => None,
        Some(limit) => Some(u32::try_from(limit).unwrap_or(u32::MAX)),
        None => is_quorum.then_some(QUORUM_DELIVERY_LIMIT),
    }
}

/// How long what came back waits. Where one of the settings is none, nothing waits, as on RabbitMQ.
fn retry(arguments: &FieldTable) -> Option<Retry> {
    let text = |key| arguments.get(key).and_then(FieldValue::as_str);
    let time = |key| arguments.get(key).and_then(FieldValue::as_integer);
    let time = |key| time(key).and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
    let after = match text(RETRY_TYPE)? {
        "all" => RetryAfter::All,
        "failed" => RetryAfter::Failed,
        "returned" => RetryAfter::Returned,
        _ => return None,
    };
    let min_ms = time(RETRY_MIN)?;
    let max_ms = time(RETRY_MAX).unwrap_or(min_ms).max(min_ms);
    Some(Retry { after, min_ms, max_ms, exponential: text(RETRY_BACKOFF) == Some("exponential") })
}

/// The consumer priority of `basic.consume`, after a check of its arguments.
pub(crate) fn consumer_priority(
    arguments: &FieldTable,
    queue: &ResourceName,
) -> Result<i64, ChannelError> {
    const KEY: &str = "x-priority";
    let Some(value) = arguments.get(KEY) else { return Ok(0) };
    check_integer(value, arguments).map_err(|reason| invalid(KEY, queue, &reason))?;
    Ok(value.as_integer().unwrap_or(0))
}

/// The consumer timeout of `basic.consume` in milliseconds, after a check of its arguments.
pub(crate) fn consumer_timeout(
    arguments: &FieldTable,
    queue: &ResourceName,
) -> Result<Option<u64>, ChannelError> {
    let Some(value) = arguments.get(CONSUMER_TIMEOUT) else { return Ok(None) };
    let timeout =
        not_negative(value).map_err(|reason| invalid(CONSUMER_TIMEOUT, queue, &reason))?;
    Ok(u64::try_from(timeout).ok())
}

fn invalid(key: &str, queue: &ResourceName, reason: &str) -> ChannelError {
    ChannelError::Precondition(format!("invalid arg '{key}' for {queue}: {reason}"))
}

/// Whether a redeclaration gives the same arguments; the first difference is the error.
pub(crate) fn assert_equivalent(
    received: &FieldTable,
    current: &FieldTable,
    queue: &ResourceName,
) -> Result<(), ChannelError> {
    // RabbitMQ writes the default type into the arguments of every declaration that has none.
    let classic = FieldValue::LongString(b"classic".to_vec());
    for (key, _) in DECLARE_ARGUMENTS {
        let default = (*key == QUEUE_TYPE).then_some(&classic);
        let ours = current.get(key).or(default);
        let theirs = received.get(key).or(default);
        assert_argument_equivalent(key, theirs, ours, queue)?;
    }
    for key in deduplication::ARGUMENTS {
        assert_argument_equivalent(key, received.get(key), current.get(key), queue)?;
    }
    Ok(())
}

/// Compares one argument of a queue or an exchange.
pub(crate) fn assert_argument_equivalent(
    key: &str,
    received: Option<&FieldValue>,
    current: Option<&FieldValue>,
    resource: &ResourceName,
) -> Result<(), ChannelError> {
    let difference = match (received, current) {
        (None, None) => return Ok(()),
        (Some(received), Some(current)) if is_same(received, current) => return Ok(()),
        (Some(received), Some(current)) => {
            format!("received '{}' but current is '{}'", plain(received), plain(current))
        }
        (None, Some(current)) => format!("received none but current is {}", described(current)),
        (Some(received), None) => format!("received {} but current is none", described(received)),
    };
    Err(ChannelError::Inequivalent {
        argument: key.to_owned(),
        resource: resource.clone(),
        difference,
    })
}

/// Integers of any width are equal when their values are, and so are the two float types.
fn is_same(a: &FieldValue, b: &FieldValue) -> bool {
    match (a.as_integer(), b.as_integer()) {
        (Some(a), Some(b)) => a == b,
        (None, None) => float(a).zip(float(b)).map_or_else(|| a == b, |(a, b)| a == b),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only two of the field types are floats")]
fn float(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::F32(value) => Some(f64::from(*value)),
        FieldValue::F64(value) => Some(*value),
        _ => None,
    }
}

fn described(value: &FieldValue) -> String {
    format!("the value '{}' of type '{}'", plain(value), value.type_name())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is printed in its own notation")]
fn plain(value: &FieldValue) -> String {
    match value {
        FieldValue::LongString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        FieldValue::Bool(value) => value.to_string(),
        other => other.as_integer().map_or_else(|| format!("{other:?}"), |value| value.to_string()),
    }
}

fn check_integer(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    integer(value).map(|_| ())
}

fn integer(value: &FieldValue) -> Result<i64, String> {
    value.as_integer().ok_or_else(|| format!("\"expected integer, got {}\"", value.type_name()))
}

fn check_not_negative(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    not_negative(value).map(|_| ())
}

fn not_negative(value: &FieldValue) -> Result<i64, String> {
    match integer(value)? {
        value if value < 0 => Err(format!("{{value_negative,{value}}}")),
        value => Ok(value),
    }
}

fn check_positive(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match not_negative(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => Ok(()),
    }
}

fn check_ttl(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        value if value > EXPIRY_MS_MAX => Err(format!("{{value_too_large,{value}}}")),
        value if value < 0 => Err(format!("{{value_negative,{value}}}")),
        _ => Ok(()),
    }
}

fn check_expires(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    match integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => check_ttl(value, arguments),
    }
}

fn check_max_priority(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match not_negative(value)? {
        value if value > i64::from(u8::MAX) => Err(format!("{{max_value_exceeded,{value}}}")),
        _ => Ok(()),
    }
}

fn check_boolean(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    if let FieldValue::Bool(_) = value { Ok(()) } else { Err(unacceptable(value)) }
}

fn unacceptable(value: &FieldValue) -> String {
    format!("{{unacceptable_type,{}}}", value.type_name())
}

fn check_string(value: &FieldValue) -> Result<&str, String> {
    let FieldValue::LongString(_) = value else { return Err(unacceptable(value)) };
    Ok(value.as_str().unwrap_or_default())
}

fn check_dead_letter_exchange(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    check_string(value).map(|_| ())
}

fn check_dead_letter_routing_key(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    check_string(value)?;
    match arguments.get(DEAD_LETTER_EXCHANGE) {
        Some(_) => Ok(()),
        None => Err("routing_key_but_no_dlx_defined".to_owned()),
    }
}

fn check_one_of(value: &FieldValue, known: &[&str], otherwise: &str) -> Result<(), String> {
    match check_string(value)? {
        value if known.contains(&value) => Ok(()),
        _ => Err(otherwise.to_owned()),
    }
}

fn check_dead_letter_strategy(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    check_one_of(value, &["at-most-once", "at-least-once"], "invalid_dlx_strategy")
}

fn check_overflow(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    let known = ["drop-head", "drop-lowest", "reject-publish", "reject-publish-dlx"];
    check_one_of(value, &known, "invalid_overflow")
}

/// RabbitMQ takes anything from a quorum queue, which is the only one that may have these there.
fn check_retry_type(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    if is_quorum(arguments) {
        return Ok(());
    }
    let known = ["all", "failed", "returned", "disabled"];
    check_one_of(value, &known, "invalid_delayed_retry_type")
}

fn check_retry_time(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    if is_quorum(arguments) { Ok(()) } else { check_positive(value, arguments) }
}

fn check_retry_max(value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    check_retry_time(value, arguments)?;
    let least = arguments.get(RETRY_MIN).and_then(FieldValue::as_integer);
    match least.zip(value.as_integer()) {
        Some((least, most)) if most < least && !is_quorum(arguments) => {
            Err(format!("{{less_than_minimum,{most},{least}}}"))
        }
        _ => Ok(()),
    }
}

fn check_retry_backoff(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    check_one_of(value, &["linear", "exponential"], "invalid_delayed_retry_backoff")
}

fn check_message_group(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    if check_string(value)?.is_empty() { Err("invalid_message_group".to_owned()) } else { Ok(()) }
}

fn check_expiry(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    check_one_of(value, &["head", "anywhere"], "invalid_expiry")
}

/// Lazy queues are no more: RabbitMQ takes and compares anything, and heeds nothing.
fn check_nothing(_: &FieldValue, _: &FieldTable) -> Result<(), String> {
    Ok(())
}

fn check_leader_locator(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    let known = ["client-local", "balanced", "random", "least-leaders", "min-masters"];
    check_one_of(value, &known, "invalid_queue_locator_arg")
}

fn check_queue_version(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match not_negative(value)? {
        1 | 2 => Ok(()),
        other => Err(format!("\"unsupported queue version '{other}'\"")),
    }
}

fn check_queue_type(value: &FieldValue, _: &FieldTable) -> Result<(), String> {
    match check_string(value)? {
        "classic" | "quorum" => Ok(()),
        left if LEFT_TO_VHOST.contains(&left) => Ok(()),
        other => Err(format!("\"unsupported queue type '{other}'\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> ResourceName {
        ResourceName::queue("/", "q")
    }

    fn table(key: &str, value: FieldValue) -> FieldTable {
        let mut table = FieldTable::new();
        table.insert(key, value);
        table
    }

    fn text(key: &str, value: FieldValue) -> String {
        parse(&table(key, value), &queue()).expect_err("refused").to_string()
    }

    #[test]
    fn invalid_values_are_refused_in_rabbitmqs_words() {
        let prefix = |key: &str| format!("invalid arg '{key}' for queue 'q' in vhost '/': ");
        let string = |text: &str| FieldValue::LongString(text.into());
        let rows = [
            ("x-message-ttl", FieldValue::I32(-1), "{value_negative,-1}"),
            ("x-expires", FieldValue::I32(0), "{value_zero,0}"),
            ("x-message-ttl", string("abc"), "\"expected integer, got longstr\""),
            ("x-max-priority", FieldValue::I16(256), "{max_value_exceeded,256}"),
            ("x-single-active-consumer", string("x"), "{unacceptable_type,longstr}"),
            ("x-overflow", string("x"), "invalid_overflow"),
            ("x-dead-letter-strategy", string("x"), "invalid_dlx_strategy"),
            ("x-dead-letter-routing-key", string("x"), "routing_key_but_no_dlx_defined"),
            ("x-queue-type", string("x"), "\"unsupported queue type 'x'\""),
        ];
        for (key, value, reason) in rows {
            assert_eq!(text(key, value), prefix(key) + reason);
        }
    }

    #[test]
    fn integers_of_any_width_are_equivalent() {
        let a = table("x-max-length", FieldValue::I8(1));
        let b = table("x-max-length", FieldValue::I64(1));
        assert_eq!(assert_equivalent(&a, &b, &queue()), Ok(()));
    }

    #[test]
    fn differences_are_named_as_rabbitmq_names_them() {
        let one = table("x-max-length", FieldValue::I32(1));
        let two = table("x-max-length", FieldValue::I32(2));
        let text = |a, b| assert_equivalent(a, b, &queue()).expect_err("differs").to_string();
        let prefix = "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': ";
        assert_eq!(text(&one, &two), format!("{prefix}received '1' but current is '2'"));
        assert_eq!(
            text(&FieldTable::new(), &one),
            format!("{prefix}received none but current is the value '1' of type 'signedint'")
        );
    }

    #[test]
    fn a_vhost_gives_its_type_to_what_stays_and_to_what_asks_for_it() {
        let string = |text: &str| table(QUEUE_TYPE, FieldValue::LongString(text.into()));
        let given = |arguments, stays| {
            let given = with_default_type(arguments, Some("quorum"), stays);
            given.get(QUEUE_TYPE).and_then(FieldValue::as_str).map(str::to_owned)
        };
        assert_eq!(given(FieldTable::new(), true).as_deref(), Some("quorum"));
        assert_eq!(given(FieldTable::new(), false), None);
        for left in LEFT_TO_VHOST {
            assert_eq!(given(string(left), false).as_deref(), Some("quorum"));
            assert_eq!(with_default_type(string(left), None, true), string(left));
        }
        assert_eq!(given(string("classic"), true).as_deref(), Some("classic"));
        assert_eq!(given(table(QUEUE_TYPE, FieldValue::I32(5)), true), None);
    }

    #[test]
    fn classic_is_what_an_absent_type_means() {
        let classic = table("x-queue-type", FieldValue::LongString(b"classic".to_vec()));
        assert_eq!(assert_equivalent(&classic, &FieldTable::new(), &queue()), Ok(()));
        let quorum = table("x-queue-type", FieldValue::LongString(b"quorum".to_vec()));
        let error = assert_equivalent(&quorum, &FieldTable::new(), &queue()).expect_err("differs");
        let text = "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but \
                    current is 'classic'";
        assert_eq!(error.to_string(), text);
    }
}
