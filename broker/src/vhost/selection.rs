//! Which messages somebody means: by what they were published with, and by what is in them.
//!
//! Used by `vhost::operations`, made by management; pure. Stays true: a selection that says nothing means
//! every message, and every further word fewer.

use std::fmt;
use std::sync::Arc;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::FieldValue;

use crate::message::Message;

/// A word about a text.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    /// It is this.
    Is(String),
    /// This is somewhere in it.
    Contains(String),
    /// Some part of it is like this.
    Matches(regex::bytes::Regex),
}

impl Text {
    fn fits(&self, text: &[u8]) -> bool {
        match self {
            Self::Is(whole) => text == whole.as_bytes(),
            Self::Contains(part) => {
                let part = part.as_bytes();
                part.is_empty() || text.windows(part.len()).any(|window| window == part)
            }
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

/// A property that is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    AppId,
    ContentType,
    CorrelationId,
    MessageId,
    ReplyTo,
    Type,
    UserId,
}

impl Property {
    fn of<'a>(self, properties: &BasicProperties<'a>) -> Option<&'a [u8]> {
        match self {
            Self::AppId => properties.app_id,
            Self::ContentType => properties.content_type,
            Self::CorrelationId => properties.correlation_id,
            Self::MessageId => properties.message_id,
            Self::ReplyTo => properties.reply_to,
            Self::Type => properties.message_type,
            Self::UserId => properties.user_id,
        }
    }
}

/// Says of a message whether whoever asks may do with it what is to be done.
#[derive(Clone)]
pub(crate) struct Permitted(pub Arc<dyn Fn(&Message) -> bool + Send + Sync>);

impl fmt::Debug for Permitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permitted")
    }
}

/// See the module documentation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// The exchange a message was published to.
    pub exchange: Option<Text>,
    /// The routing key it was published with.
    pub routing_key: Option<Text>,
    /// Headers by their names: text, a number or `true` as it is written.
    pub headers: Vec<(String, Text)>,
    /// Properties.
    pub properties: Vec<(Property, Text)>,
    /// Its body.
    pub body: Option<Text>,
    /// It came to its queue before this time, in milliseconds since the epoch.
    pub before_ms: Option<u64>,
    /// It came then or later.
    pub since_ms: Option<u64>,
    /// It is one of those that may be meant.
    pub permitted: Option<Permitted>,
}

impl Selection {
    /// Whether it means a message.
    pub(crate) fn means(&self, message: &Message) -> bool {
        let Self { exchange, routing_key, headers, properties, body, permitted, .. } = self;
        let fits = |word: &Option<Text>, text| word.as_ref().is_none_or(|word| word.fits(text));
        self.means_age(message.arrived_ms())
            && fits(exchange, message.exchange())
            && fits(routing_key, message.routing_key())
            && (headers.is_empty() && properties.is_empty() || self.means_properties(message))
            && fits(body, message.body())
            && permitted.as_ref().is_none_or(|permitted| (permitted.0)(message))
    }

    /// When a message came is not known of all: those have any age, and none that somebody asks for.
    fn means_age(&self, arrived_ms: u64) -> bool {
        match (self.before_ms, self.since_ms) {
            (None, None) => true,
            (before_ms, since_ms) => {
                arrived_ms != 0
                    && before_ms.is_none_or(|before_ms| arrived_ms < before_ms)
                    && since_ms.is_none_or(|since_ms| arrived_ms >= since_ms)
            }
        }
    }

    fn means_properties(&self, message: &Message) -> bool {
        let Ok(properties) = BasicProperties::parse(message.properties()) else { return false };
        let has_header = |(name, word): &(String, Text)| {
            let value = properties.headers.and_then(|headers| headers.get(name));
            value.is_some_and(|value| word.fits(written(&value).as_bytes()))
        };
        let has_property = |(property, word): &(Property, Text)| {
            property.of(&properties).is_some_and(|text| word.fits(text))
        };
        self.headers.iter().all(has_header) && self.properties.iter().all(has_property)
    }
}

/// A header's value as somebody would write it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is printed in its own notation")]
fn written(value: &FieldValue) -> String {
    match value {
        FieldValue::LongString(text) => String::from_utf8_lossy(text).into_owned(),
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::F32(value) => value.to_string(),
        FieldValue::F64(value) => value.to_string(),
        other => other.as_integer().map_or_else(|| format!("{other:?}"), |value| value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use leveret_protocol::types::{FieldTable, RawTable};

    use super::*;
    use crate::message::tests::with_properties;

    fn sample() -> Message {
        let mut headers = FieldTable::new();
        headers.insert("tenant", FieldValue::LongString(b"north".to_vec()));
        headers.insert("attempt", FieldValue::I16(3));
        headers.insert("urgent", FieldValue::Bool(true));
        let headers = headers.to_bytes();
        let properties = BasicProperties {
            headers: Some(RawTable::new(&headers)),
            message_id: Some(b"id-7"),
            ..BasicProperties::default()
        };
        with_properties(&properties, b"{\"total\": 12}")
    }

    fn is(text: &str) -> Text {
        Text::Is(text.to_owned())
    }

    fn contains(text: &str) -> Text {
        Text::Contains(text.to_owned())
    }

    fn by(headers: &[(&str, Text)], properties: &[(Property, Text)]) -> Selection {
        let headers = headers.iter().map(|(name, word)| ((*name).to_owned(), word.clone()));
        Selection {
            headers: headers.collect(),
            properties: properties.to_vec(),
            ..Selection::default()
        }
    }

    #[test]
    fn whoever_says_nothing_means_all() {
        assert!(Selection::default().means(&sample()));
    }

    #[test]
    fn exchange_key_and_body_are_heeded() {
        let body = |word| Selection { body: Some(word), ..Selection::default() };
        assert!(
            body(contains("\"total\"")).means(&sample()) && body(contains("")).means(&sample())
        );
        assert!(!body(is("12")).means(&sample()) && !body(contains("13")).means(&sample()));
        let key = |word| Selection { routing_key: Some(word), ..Selection::default() };
        assert!(key(is("key")).means(&sample()) && !key(is("ke")).means(&sample()));
        let exchange = |word| Selection { exchange: Some(word), ..Selection::default() };
        assert!(exchange(is("x")).means(&sample()) && !exchange(is("")).means(&sample()));
    }

    #[test]
    fn parts_may_be_described_and_the_age_counts() {
        let like = |text: &str| Text::Matches(regex::bytes::Regex::new(text).unwrap());
        let key = |word| Selection { routing_key: Some(word), ..Selection::default() };
        assert!(key(like("^k.y$")).means(&sample()) && !key(like("^e")).means(&sample()));
        let aged = |before_ms, since_ms| Selection { before_ms, since_ms, ..Selection::default() };
        let message = sample().arrived_at(1000);
        assert!(aged(Some(1001), Some(1000)).means(&message));
        assert!(!aged(Some(1000), None).means(&message) && !aged(None, Some(1001)).means(&message));
        assert!(!aged(Some(1000), None).means(&sample().arrived_at(0)), "nobody knows");
    }

    #[test]
    fn what_may_not_be_touched_is_not_meant() {
        let of_key = |own: &'static [u8]| {
            let permitted =
                Permitted(Arc::new(move |message: &Message| message.routing_key() == own));
            Selection { permitted: Some(permitted), ..Selection::default() }
        };
        assert!(of_key(b"key").means(&sample()) && !of_key(b"other").means(&sample()));
    }

    #[test]
    fn headers_of_any_type_and_properties_are_heeded() {
        let all = [("tenant", is("north")), ("attempt", is("3")), ("urgent", is("true"))];
        assert!(by(&all, &[(Property::MessageId, contains("7"))]).means(&sample()));
        assert!(!by(&[("tenant", is("south"))], &[]).means(&sample()));
        assert!(!by(&[("absent", contains(""))], &[]).means(&sample()));
        let absent = [
            Property::AppId,
            Property::ContentType,
            Property::CorrelationId,
            Property::ReplyTo,
            Property::Type,
            Property::UserId,
        ];
        for property in absent {
            assert!(!by(&all, &[(property, contains(""))]).means(&sample()));
        }
    }
}
