//! Messages that come twice: what exchanges and queues are told to do about them, and how a message
//! is known again.
//!
//! An exchange or a queue with `x-message-deduplication` remembers the keys of the messages it took
//! last, a key being the value of a header; one whose key it remembers is dropped, and its publisher
//! is told that it was taken. The names are LavinMQ's and those of the deduplication plugin for
//! RabbitMQ. Called by `vhost::deduplicating` for exchanges, by `queue::state::deduplicating` for
//! queues. Pure: the time is told. Here are the arguments and the keys, in `window` what is remembered.

mod window;

use leveret_protocol::types::{FieldTable, FieldValue, RawTable};
use leveret_storage::messages::Content;
use sha2::{Digest, Sha256};

pub(crate) use window::Window;

/// Whether messages that come twice are dropped: a boolean.
const DEDUPLICATION: &str = "x-message-deduplication";
/// How many keys are remembered.
const SIZE: &str = "x-cache-size";
/// How long a key is remembered, in milliseconds; as a header, how long this one is.
const TTL: &str = "x-cache-ttl";
/// Which header of a message has its key; the header itself, if none is named.
const HEADER: &str = "x-deduplication-header";

/// As in LavinMQ.
const SIZE_DEFAULT: usize = 128;
/// Keys are in memory, some 100 bytes each.
const SIZE_MAX: i64 = 1 << 24;
/// Ten years, as for all times that arguments give.
const TTL_MAX: i64 = 10 * 365 * 24 * 3600 * 1000;
/// In place of a time that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// All arguments that are read here.
pub(crate) const ARGUMENTS: [&str; 4] = [DEDUPLICATION, SIZE, TTL, HEADER];

/// What a message is known by again: 64 bits of its key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(pub u64);

/// What an exchange or a queue is told to do about messages that come twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deduplication {
    header: Box<str>,
    size: usize,
    ttl_ms: Option<u64>,
}

impl Deduplication {
    /// What these arguments say, which have been checked; `None` where nothing is dropped.
    pub(crate) fn of(arguments: &FieldTable) -> Option<Self> {
        if !is_on(arguments) {
            return None;
        }
        let number = |name| arguments.get(name).and_then(FieldValue::as_integer);
        let header = arguments.get(HEADER).and_then(FieldValue::as_str).unwrap_or(HEADER);
        let size = number(SIZE).and_then(|size| usize::try_from(size).ok());
        let ttl_ms = number(TTL).and_then(|ttl| u64::try_from(ttl).ok());
        Some(Self { header: header.into(), size: size.unwrap_or(SIZE_DEFAULT), ttl_ms })
    }

    /// How many keys are remembered.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// What a message with these headers is known by, if by anything. Of its header every type counts,
    /// and numbers of any width are one, as are texts and bytes.
    pub(crate) fn key(&self, headers: Option<RawTable<'_>>) -> Option<Key> {
        let value = headers?.get(&self.header)?;
        let mut bytes = Vec::new();
        match (&value, value.as_integer()) {
            (FieldValue::Void, _) => return None,
            (_, Some(number)) => FieldValue::I64(number).encode(&mut bytes),
            (FieldValue::Bytes(text), _) => {
                FieldValue::LongString(text.clone()).encode(&mut bytes);
            }
            (FieldValue::F32(number), _) => {
                FieldValue::F64(f64::from(*number)).encode(&mut bytes);
            }
            (_, None) => value.encode(&mut bytes),
        }
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(&bytes));
        Some(Key(u64::from_be_bytes([a, b, c, d, e, f, g, h])))
    }

    /// Until when a message with these headers is remembered that comes now, in milliseconds since
    /// the epoch.
    pub(crate) fn until_ms(&self, headers: Option<RawTable<'_>>, now_ms: u64) -> u64 {
        let own = headers.and_then(|headers| headers.get(TTL)?.as_integer());
        let own = own.filter(|ttl| (0..=TTL_MAX).contains(ttl)).and_then(|ttl| ttl.try_into().ok());
        own.or(self.ttl_ms).map_or(NEVER, |ttl| now_ms.saturating_add(ttl))
    }
}

/// A key as the message store keeps it. There is nothing to it but what recovery tells without a look
/// at the bytes.
pub(crate) fn record(key: Key, now_ms: u64, until_ms: u64) -> Content {
    Content {
        note: key.0,
        arrived_ms: now_ms,
        until_ms: (until_ms != NEVER).then_some(until_ms),
        ..Content::default()
    }
}

/// Checks all of them.
///
/// # Errors
/// The first that is refused, and why.
pub(crate) fn check_all(arguments: &FieldTable) -> Result<(), (&'static str, String)> {
    for key in ARGUMENTS {
        if let Some(value) = arguments.get(key) {
            check(key, value, arguments).map_err(|reason| (key, reason))?;
        }
    }
    Ok(())
}

fn is_on(arguments: &FieldTable) -> bool {
    arguments.get(DEDUPLICATION) == Some(&FieldValue::Bool(true))
}

/// Checks one of the arguments; the error is why it is refused, as RabbitMQ prints the reasons for
/// arguments of queues. Where nothing is deduplicated all but the first may be anything: they are
/// somebody else's.
fn check(argument: &str, value: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    if argument == DEDUPLICATION {
        let unacceptable = || format!("{{unacceptable_type,{}}}", value.type_name());
        return value.as_bool().map(drop).ok_or_else(unacceptable);
    }
    if !is_on(arguments) {
        return Ok(());
    }
    match (argument, value) {
        (HEADER, FieldValue::LongString(_)) if value.as_str() == Some("") => {
            Err("empty_header_name".to_owned())
        }
        (HEADER, FieldValue::LongString(_)) => Ok(()),
        (HEADER, _) => Err(format!("{{unacceptable_type,{}}}", value.type_name())),
        (SIZE, _) => in_range(value, SIZE_MAX),
        (_, _) => in_range(value, TTL_MAX),
    }
}

fn in_range(value: &FieldValue, most: i64) -> Result<(), String> {
    match value.as_integer() {
        None => Err(format!("\"expected integer, got {}\"", value.type_name())),
        Some(number) if number < 0 => Err(format!("{{value_negative,{number}}}")),
        Some(0) => Err("{value_zero,0}".to_owned()),
        Some(number) if number > most => Err(format!("{{value_too_large,{number}}}")),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::LongString(text.into())
    }

    fn on(more: &[(&str, FieldValue)]) -> Deduplication {
        let mut arguments = table(more);
        arguments.insert(DEDUPLICATION, true);
        Deduplication::of(&arguments).unwrap()
    }

    fn key(of: &Deduplication, headers: &[(&str, FieldValue)]) -> Option<Key> {
        let entries = table(headers).to_bytes();
        of.key(Some(RawTable::new(&entries)))
    }

    #[test]
    fn what_is_not_said_is_as_in_lavinmq() {
        let plain = on(&[]);
        assert_eq!((plain.size(), plain.ttl_ms, &*plain.header), (128, None, HEADER));
        let asked =
            on(&[(SIZE, FieldValue::I8(5)), (TTL, FieldValue::I64(9)), (HEADER, text("k"))]);
        assert_eq!((asked.size(), asked.ttl_ms, &*asked.header), (5, Some(9), "k"));
        assert_eq!(Deduplication::of(&table(&[(SIZE, FieldValue::I8(5))])), None);
        assert_eq!(Deduplication::of(&table(&[(DEDUPLICATION, FieldValue::Bool(false))])), None);
    }

    #[test]
    fn a_key_is_what_the_header_says_whatever_its_width() {
        let plain = on(&[]);
        let of = |value| key(&plain, &[("other", text("x")), (HEADER, value)]);
        assert_eq!(of(FieldValue::I8(5)), of(FieldValue::I64(5)));
        assert_eq!(of(text("5")), of(FieldValue::Bytes(b"5".to_vec())));
        assert_eq!(of(FieldValue::F32(0.5)), of(FieldValue::F64(0.5)));
        let different = [text("5"), FieldValue::I8(5), FieldValue::Bool(true), text(""), text("6")];
        let keys: std::collections::BTreeSet<_> = different.into_iter().map(of).collect();
        assert_eq!(keys.len(), 5);
        assert_eq!(of(FieldValue::Void), None);
        assert_eq!(key(&plain, &[("other", text("x"))]), None);
        assert_eq!(plain.key(None), None);
        assert!(key(&on(&[(HEADER, text("other"))]), &[("other", text("x"))]).is_some());
    }

    /// Keys are on disk: a later version has to know them again.
    #[test]
    fn keys_stay() {
        assert_eq!(key(&on(&[]), &[(HEADER, text("key-1"))]), Some(Key(0x25be_e671_89bc_5956)));
    }

    #[test]
    fn a_message_may_say_for_how_long() {
        let plain = on(&[]);
        let timed = on(&[(TTL, FieldValue::I32(50))]);
        let until = |of: &Deduplication, value: FieldValue| {
            let entries = table(&[(TTL, value)]).to_bytes();
            of.until_ms(Some(RawTable::new(&entries)), 1000)
        };
        assert_eq!((plain.until_ms(None, 1000), timed.until_ms(None, 1000)), (NEVER, 1050));
        assert_eq!(until(&plain, FieldValue::I16(7)), 1007);
        assert_eq!(until(&timed, FieldValue::I32(7)), 1007);
        for no_time in [FieldValue::I32(-7), text("7"), FieldValue::I64(i64::MAX)] {
            assert_eq!(until(&timed, no_time), 1050);
        }
    }

    #[test]
    fn invalid_values_are_refused_as_rabbitmq_refuses_others() {
        let rows = [
            (DEDUPLICATION, text("true"), "{unacceptable_type,longstr}"),
            (SIZE, text("5"), "\"expected integer, got longstr\""),
            (SIZE, FieldValue::I32(0), "{value_zero,0}"),
            (SIZE, FieldValue::I32(-1), "{value_negative,-1}"),
            (SIZE, FieldValue::I32(16_777_217), "{value_too_large,16777217}"),
            (TTL, FieldValue::I64(315_360_000_001), "{value_too_large,315360000001}"),
            (HEADER, FieldValue::I32(1), "{unacceptable_type,signedint}"),
            (HEADER, text(""), "empty_header_name"),
        ];
        let mut arguments = table(&[(DEDUPLICATION, FieldValue::Bool(true))]);
        for (argument, value, reason) in &rows {
            assert_eq!(check(argument, value, &arguments), Err((*reason).to_owned()));
        }
        arguments.insert(DEDUPLICATION, false);
        for (argument, value, _) in &rows[1..] {
            assert_eq!(check(argument, value, &arguments), Ok(()), "{argument}");
        }
    }
}
