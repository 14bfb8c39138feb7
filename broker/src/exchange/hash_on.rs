//! What of a message a consistent hash exchange hashes.
//!
//! Read from the arguments of `exchange.declare`, kept by the exchange, asked by `vhost::routing` for
//! every message. RabbitMQ: the routing key, or a header (`hash-header`), or one of three properties
//! (`hash-property`). A message that has not what is asked for is hashed as if it were empty, so
//! that all of these go to one destination.

use super::refusals::DeclareError;
use super::value::Value;
use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue};
use std::borrow::Cow;

const HEADER: &str = "hash-header";
const PROPERTY: &str = "hash-property";

/// See the module documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HashOn {
    /// The routing key; of a message with several the one it was published with.
    #[default]
    RoutingKey,
    /// The header with this name.
    Header(Box<str>),
    /// The property `correlation_id`.
    CorrelationId,
    /// The property `message_id`.
    MessageId,
    /// The property `timestamp`.
    Timestamp,
}

impl HashOn {
    /// What these arguments say.
    ///
    /// # Errors
    /// Both a header and a property, a property that is none of the three, no text.
    pub fn of(arguments: &FieldTable) -> Result<Self, DeclareError> {
        match (text(arguments, HEADER)?, text(arguments, PROPERTY)?) {
            (None, None) => Ok(Self::RoutingKey),
            (Some(name), None) => Ok(Self::Header(name.into())),
            (None, Some(name)) => match &*name {
                "correlation_id" => Ok(Self::CorrelationId),
                "message_id" => Ok(Self::MessageId),
                "timestamp" => Ok(Self::Timestamp),
                _ => Err(DeclareError::UnknownProperty { name: name.into_owned() }),
            },
            (Some(_), Some(_)) => Err(DeclareError::TwoHashed),
        }
    }

    /// Whether messages with the same routing key go the same way.
    #[must_use]
    pub const fn is_routing_key(&self) -> bool {
        matches!(self, Self::RoutingKey)
    }

    /// The bytes to hash.
    #[must_use]
    pub fn subject<'a>(
        &self,
        routing_key: &'a str,
        properties: &BasicProperties<'a>,
    ) -> Cow<'a, [u8]> {
        let found = match self {
            Self::RoutingKey => Some(routing_key.as_bytes().into()),
            Self::Header(name) => properties
                .headers
                .and_then(|headers| headers.get(name))
                .map(|value| Cow::Owned(bytes_of(&value))),
            Self::CorrelationId => properties.correlation_id.map(Cow::Borrowed),
            Self::MessageId => properties.message_id.map(Cow::Borrowed),
            Self::Timestamp => {
                properties.timestamp.map(|seconds| Cow::Owned(seconds.to_string().into_bytes()))
            }
        };
        found.unwrap_or_default()
    }
}

/// A text among the arguments. Bytes that are no UTF-8 name nothing a message could have.
fn text<'a>(
    arguments: &'a FieldTable,
    argument: &'static str,
) -> Result<Option<Cow<'a, str>>, DeclareError> {
    match arguments.get(argument) {
        None => Ok(None),
        Some(FieldValue::LongString(text)) => Ok(Some(String::from_utf8_lossy(text))),
        Some(other) => Err(DeclareError::NotText { argument, type_name: other.type_name() }),
    }
}

/// A header as bytes: the same for what headers exchanges call equal.
fn bytes_of(value: &FieldValue) -> Vec<u8> {
    match Value::from(value) {
        Value::Void => Vec::new(),
        Value::Bool(value) => value.to_string().into_bytes(),
        Value::Integer(value) => value.to_string().into_bytes(),
        Value::Timestamp(seconds) => seconds.to_string().into_bytes(),
        Value::Float(bits) => bits.to_be_bytes().to_vec(),
        Value::Text(bytes) | Value::Exact(bytes) => bytes.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_protocol::types::RawTable;

    fn arguments(entries: &[(&str, FieldValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert(*name, value.clone());
        }
        table
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::LongString(text.into())
    }

    #[test]
    fn arguments_name_one_thing() {
        assert_eq!(HashOn::of(&arguments(&[])), Ok(HashOn::RoutingKey));
        let header = arguments(&[("hash-header", text("id"))]);
        assert_eq!(HashOn::of(&header), Ok(HashOn::Header("id".into())));
        for (name, property) in [
            ("correlation_id", HashOn::CorrelationId),
            ("message_id", HashOn::MessageId),
            ("timestamp", HashOn::Timestamp),
        ] {
            let given = arguments(&[("hash-property", text(name))]);
            assert_eq!(HashOn::of(&given), Ok(property));
        }
    }

    #[test]
    fn other_arguments_are_refused() {
        let header = || ("hash-header", text("id"));
        for (given, expected) in [
            (
                arguments(&[header(), ("hash-property", text("nonsense"))]),
                "hash-header and hash-property are mutually exclusive",
            ),
            (arguments(&[("hash-property", text("app_id"))]), "Unsupported property: app_id"),
            (arguments(&[("hash-property", text(""))]), "Unsupported property: "),
            (
                arguments(&[("hash-header", FieldValue::I32(1))]),
                "invalid type 'signedint' for arg 'hash-header'",
            ),
            (
                arguments(&[header(), ("hash-property", FieldValue::Bool(true))]),
                "invalid type 'bool' for arg 'hash-property'",
            ),
        ] {
            assert_eq!(HashOn::of(&given).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn what_is_not_there_is_hashed_as_nothing() {
        let none = BasicProperties::default();
        let header = HashOn::Header("id".into());
        for on in [&header, &HashOn::CorrelationId, &HashOn::MessageId, &HashOn::Timestamp] {
            assert!(on.subject("key", &none).is_empty(), "{on:?}");
        }
        assert_eq!(*HashOn::RoutingKey.subject("key", &none), *b"key");
    }

    #[test]
    fn properties_and_headers_are_hashed_by_value() {
        let properties = BasicProperties {
            correlation_id: Some(b"c"),
            message_id: Some(b"m"),
            timestamp: Some(1_700_000_000),
            ..BasicProperties::default()
        };
        assert_eq!(*HashOn::CorrelationId.subject("key", &properties), *b"c");
        assert_eq!(*HashOn::MessageId.subject("key", &properties), *b"m");
        assert_eq!(*HashOn::Timestamp.subject("key", &properties), *b"1700000000");
        let on = HashOn::Header("id".into());
        let hashed = |value: FieldValue| {
            let mut entries = Vec::new();
            arguments(&[("id", value)]).encode_entries(&mut entries);
            let headers = Some(RawTable::new(&entries));
            let properties = BasicProperties { headers, ..BasicProperties::default() };
            on.subject("key", &properties).into_owned()
        };
        assert_eq!(hashed(text("seven")), b"seven");
        assert_eq!(hashed(FieldValue::I64(7)), hashed(FieldValue::U8(7)));
        assert_ne!(hashed(FieldValue::I64(7)), hashed(FieldValue::I64(8)));
        assert_eq!(hashed(FieldValue::Void), b"");
    }
}
