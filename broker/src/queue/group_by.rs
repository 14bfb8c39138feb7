//! What names the group of a message (`x-message-group`).
//!
//! Made by `queue::arguments`, asked by `queue::groups` for every message that comes into a window. Stays
//! true: the same words name the same group, in every process; numbers of any width are the same word.

use std::hash::{DefaultHasher, Hash, Hasher};

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::FieldValue;
use serde::{Deserialize, Serialize};

use crate::message::Message;

/// See the module documentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum GroupBy {
    /// The property `message_id`.
    MessageId,
    /// The property `correlation_id`.
    CorrelationId,
    /// The header with this name.
    Header(String),
}

/// A group: the hash of its name. Two names with the same hash, which are not to be expected among
/// less than a thousand million, are one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey(u64);

impl GroupKey {
    fn of(name: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Of a message that is a group of its own.
    pub(super) fn alone(sequence: u64) -> Self {
        Self::of(sequence)
    }
}

impl GroupBy {
    /// What an argument with this text says.
    pub(crate) fn named(text: &str) -> Self {
        match text {
            "message_id" => Self::MessageId,
            "correlation_id" => Self::CorrelationId,
            header => Self::Header(header.to_owned()),
        }
    }

    /// The group of a message. One that names none is a group of its own.
    pub(super) fn group_of(&self, message: &Message, sequence: u64) -> GroupKey {
        let properties = BasicProperties::parse(message.properties()).ok();
        let name = properties.and_then(|properties| self.name_in(&properties));
        name.map_or_else(|| GroupKey::alone(sequence), GroupKey::of)
    }

    fn name_in(&self, properties: &BasicProperties<'_>) -> Option<Vec<u8>> {
        match self {
            Self::MessageId => properties.message_id.map(<[u8]>::to_vec),
            Self::CorrelationId => properties.correlation_id.map(<[u8]>::to_vec),
            Self::Header(name) => properties.headers?.get(name).and_then(word),
        }
    }
}

/// A header's value as a name: its text, or its number; nothing names no group.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is neither text nor number")]
fn word(value: FieldValue) -> Option<Vec<u8>> {
    match value {
        FieldValue::Void => None,
        FieldValue::LongString(text) => Some(text),
        other => Some(match other.as_integer() {
            Some(number) => number.to_string().into_bytes(),
            None => format!("{other:?}").into_bytes(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use leveret_protocol::types::{FieldTable, RawTable};

    use super::*;
    use crate::message::tests::with_properties;

    fn with_header(value: FieldValue) -> Message {
        let mut headers = FieldTable::new();
        headers.insert("g", value);
        let headers = headers.to_bytes();
        let properties = BasicProperties {
            headers: Some(RawTable::new(&headers)),
            ..BasicProperties::default()
        };
        with_properties(&properties, b"")
    }

    #[test]
    fn the_same_words_name_the_same_group() {
        let by = GroupBy::named("g");
        let group = |value, sequence| by.group_of(&with_header(value), sequence);
        let text = |text: &str| FieldValue::LongString(text.into());
        assert_eq!(group(text("a"), 1), group(text("a"), 2));
        assert_ne!(group(text("a"), 1), group(text("b"), 1));
        assert_eq!(group(FieldValue::I8(5), 1), group(FieldValue::I64(5), 2));
        assert_ne!(group(FieldValue::Void, 1), group(FieldValue::Void, 2), "none is named");
    }

    #[test]
    fn properties_name_groups_as_well() {
        let properties = BasicProperties {
            message_id: Some(b"m"),
            correlation_id: Some(b"c"),
            ..BasicProperties::default()
        };
        let message = with_properties(&properties, b"");
        let [by_id, by_correlation] = ["message_id", "correlation_id"].map(GroupBy::named);
        assert_eq!(by_id.group_of(&message, 1), by_id.group_of(&message, 2));
        assert_ne!(by_id.group_of(&message, 1), by_correlation.group_of(&message, 1));
        let plain = with_properties(&BasicProperties::default(), b"");
        assert_ne!(by_id.group_of(&plain, 1), by_id.group_of(&plain, 2));
    }
}
