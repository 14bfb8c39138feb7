//! Which messages a request means, and how many of them: read from a body or from a query, in the same
//! words.
//!
//! Called by `queue_messages` and `delayed`. Pure. Stays true: a word that is not known is refused and
//! never passed over, since a filter with a word less means more messages.

use regex::bytes::RegexBuilder;
use serde_json::{Map, Value, json};

use super::answer::Fault;
use super::lenient;
use super::messages::Shown;
use super::request::Query;
use crate::queue::cursor::Which;
use crate::vhost::selection::{Property, Selection, Text};
use crate::vhost::walking::Pick;

/// The largest automaton of an expression, in bytes.
const COMPILED_MAX: usize = 1 << 20;
/// A header in a query stands behind this.
const HEADER: &str = "header.";

/// Properties by the names they have in messages.
const PROPERTIES: [(&str, Property); 7] = [
    ("app_id", Property::AppId),
    ("content_type", Property::ContentType),
    ("correlation_id", Property::CorrelationId),
    ("message_id", Property::MessageId),
    ("reply_to", Property::ReplyTo),
    ("type", Property::Type),
    ("user_id", Property::UserId),
];

/// The other words of a filter.
const WORDS: [&str; 9] = [
    "exchange",
    "routing_key",
    "routing_key_regex",
    "headers",
    "header_regex",
    "text",
    "text_regex",
    "older_than",
    "newer_than",
];

/// Messages on a page if nobody says otherwise,
const COUNT: i64 = 50;
/// and at most so many.
const COUNT_MAX: usize = 1000;
/// Messages that may be named one by one.
const PICKED_MAX: usize = 1000;
/// Parts of a query for a page that are not of the filter.
const OF_PAGES: [&str; 5] = ["state", "count", "cursor", "encoding", "truncate"];

/// What is asked of a page of messages.
pub(super) struct Page<'a> {
    /// So many at most.
    pub count: usize,
    /// Behind this place.
    pub cursor: Option<&'a str>,
    /// How bodies are shown.
    pub shown: Shown,
    /// Of which messages.
    pub meant: Selection,
}

impl<'a> Page<'a> {
    /// As a query says it.
    ///
    /// # Errors
    /// It says something that cannot be.
    pub(super) fn of(query: &'a Query, now_ms: u64) -> Result<Self, Fault> {
        let number = |name: &str| {
            let text = query.get(name).filter(|text| !text.is_empty());
            let refused = |_| Fault::bad_request(json!(["not_integer", text]));
            text.map(str::parse::<i64>).transpose().map_err(refused)
        };
        let count = natural("count", number("count")?.unwrap_or(COUNT))?;
        Ok(Self {
            count: usize::try_from(count).unwrap_or(COUNT_MAX).min(COUNT_MAX),
            cursor: query.get("cursor").filter(|cursor| !cursor.is_empty()),
            shown: Shown::of(query.get("encoding").or(Some("auto")), number("truncate")?)?,
            meant: selection(&of_query(query, &OF_PAGES)?, now_ms)?,
        })
    }
}

/// 400 for a cursor that nobody was told.
pub(super) fn no_cursor() -> Fault {
    Fault::bad_request("the cursor is none of this broker's")
}

/// The filter of a query, as a body would have it; `others` are the words that are not of the filter.
///
/// # Errors
/// A word is none of them.
pub(super) fn of_query(query: &Query, others: &[&str]) -> Result<Map<String, Value>, Fault> {
    let (mut fields, mut headers) = (Map::new(), Map::new());
    for (name, value) in query.each() {
        match name.strip_prefix(HEADER) {
            Some(header) => _ = headers.insert(header.to_owned(), value.into()),
            None if others.contains(&name) => {}
            None => _ = fields.insert(name.to_owned(), value.into()),
        }
    }
    if !headers.is_empty() {
        fields.insert("headers".to_owned(), headers.into());
    }
    Ok(fields)
}

/// The messages that a filter means, at this time.
///
/// # Errors
/// It has a word that nobody knows, or one that says nothing that can be meant.
pub(super) fn selection(filter: &Map<String, Value>, now_ms: u64) -> Result<Selection, Fault> {
    let is_known = |name: &str| {
        WORDS.contains(&name) || PROPERTIES.iter().any(|(property, _)| *property == name)
    };
    known_only(filter, is_known)?;
    let is = |name: &str| Ok::<_, Fault>(lenient::text(filter, name)?.map(Text::Is));
    let like = |name: &str| {
        let text = lenient::text(filter, name)?;
        text.map(|text| expression(name, &text)).transpose()
    };
    let ago = |name: &str| {
        let seconds = lenient::integer(filter, name)?;
        let seconds = seconds.map(|seconds| natural(name, seconds)).transpose()?;
        Ok::<_, Fault>(seconds.map(|seconds| now_ms.saturating_sub(seconds.saturating_mul(1000))))
    };
    let mut properties = Vec::new();
    for (name, property) in PROPERTIES {
        properties.extend(is(name)?.map(|text| (property, text)));
    }
    let contains = lenient::text(filter, "text")?.map(Text::Contains);
    Ok(Selection {
        exchange: is("exchange")?.map(by_its_name),
        routing_key: one_of("routing_key", is("routing_key")?, like("routing_key_regex")?)?,
        headers: headers(filter)?,
        properties,
        body: one_of("text", contains, like("text_regex")?)?,
        before_ms: ago("older_than")?,
        since_ms: ago("newer_than")?,
        permitted: None,
    })
}

fn by_its_name(exchange: Text) -> Text {
    match exchange {
        Text::Is(name) => Text::Is(super::request::named(&name).to_owned()),
        other => other,
    }
}

/// Two ways to say the same, of which one may be used.
fn one_of(name: &str, one: Option<Text>, other: Option<Text>) -> Result<Option<Text>, Fault> {
    match (one, other) {
        (Some(_), Some(_)) => {
            Err(Fault::bad_request(format!("either {name} or {name}_regex may be given")))
        }
        (one, other) => Ok(one.or(other)),
    }
}

fn headers(filter: &Map<String, Value>) -> Result<Vec<(String, Text)>, Fault> {
    let mut found = Vec::new();
    let given = lenient::object(filter, "headers")?.unwrap_or_default();
    for (name, value) in given {
        let text = match value {
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            other => return Err(Fault::bad_request(format!("header {name} cannot be {other}"))),
        };
        found.push((name, Text::Is(text)));
    }
    for (name, value) in lenient::object(filter, "header_regex")?.unwrap_or_default() {
        let text = value.as_str();
        let text = text.ok_or_else(|| Fault::bad_request(format!("header {name} is no text")))?;
        found.push((name, expression("header_regex", text)?));
    }
    Ok(found)
}

fn expression(name: &str, text: &str) -> Result<Text, Fault> {
    let mut builder = RegexBuilder::new(text);
    let regex = builder.size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX).build();
    regex.map(Text::Matches).map_err(|error| Fault::bad_request(format!("{name}: {error}")))
}

/// Messages by what a page told of them: `[{"cursor": …, "sequence": …}]`. `None` if the body names none; an
/// empty list means no message.
///
/// # Errors
/// One of them is none that was told, or there are too many.
pub(super) fn picked(body: &Map<String, Value>) -> Result<Option<Vec<Pick>>, Fault> {
    let Some(given) = lenient::given(body, "messages") else { return Ok(None) };
    let all = given.as_array().ok_or_else(|| Fault::bad_request("messages is no list"))?;
    if all.len() > PICKED_MAX {
        let text = format!("messages are {}, and {PICKED_MAX} at most may be named", all.len());
        return Err(Fault::bad_request(text));
    }
    let pick = |value: &Value| {
        let fields = value.as_object()?;
        let place = fields.get("cursor")?.as_str()?.parse().ok()?;
        let sequence = fields.get("sequence")?.as_u64()?;
        (fields.len() == 2).then_some(Pick { place, sequence })
    };
    let unknown =
        || Fault::bad_request("each of messages has a cursor and a sequence, as a page told them");
    all.iter().map(|value| pick(value).ok_or_else(unknown)).collect::<Result<_, _>>().map(Some)
}

/// A number that is not below nothing.
///
/// # Errors
/// It is.
pub(super) fn natural(name: &str, number: i64) -> Result<u64, Fault> {
    u64::try_from(number)
        .map_err(|_| Fault::bad_request(format!("{name} is {number}, and below nothing")))
}

/// Refuses an object with other fields than these.
///
/// # Errors
/// Names the first.
pub(super) fn known_only(
    fields: &Map<String, Value>,
    is_known: impl Fn(&str) -> bool,
) -> Result<(), Fault> {
    match fields.keys().find(|name| !is_known(name)) {
        Some(name) => Err(Fault::bad_request(format!("unknown field {name}"))),
        None => Ok(()),
    }
}

/// Which messages of a queue; those that are ready if nobody says otherwise.
///
/// # Errors
/// There are none of this name.
pub(super) fn which(state: Option<&str>) -> Result<Which, Fault> {
    match state.unwrap_or("ready") {
        "ready" => Ok(Which::Ready),
        "unacked" => Ok(Which::Unacked),
        "delayed" => Ok(Which::Delayed),
        other => Err(Fault::bad_request(format!(
            "Invalid state: {other}. Valid values are: ready, unacked, delayed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::tests::with_properties;
    use leveret_protocol::properties::BasicProperties;
    use leveret_protocol::types::{FieldTable, FieldValue, RawTable};

    fn sample() -> Message {
        let mut headers = FieldTable::new();
        headers.insert("tenant", FieldValue::LongString(b"north".to_vec()));
        headers.insert("attempt", FieldValue::I16(3));
        let headers = headers.to_bytes();
        let properties = BasicProperties {
            headers: Some(RawTable::new(&headers)),
            message_id: Some(b"id-7"),
            ..BasicProperties::default()
        };
        with_properties(&properties, b"hello world").arrived_at(5_000)
    }

    fn means(filter: &Value) -> Option<bool> {
        let filter = filter.as_object().unwrap();
        selection(filter, 10_000).ok().map(|selection| selection.means(&sample()))
    }

    #[test]
    fn every_word_chooses() {
        for filter in [
            json!({}),
            json!({"exchange": "x", "routing_key": "key", "message_id": "id-7"}),
            json!({"routing_key_regex": "^k", "text_regex": "w.r"}),
            json!({"headers": {"tenant": "north", "attempt": 3}, "text": "lo wo"}),
            json!({"header_regex": {"tenant": "^n"}, "older_than": "4", "newer_than": 6}),
        ] {
            assert_eq!(means(&filter), Some(true), "{filter}");
        }
        for filter in [
            json!({"exchange": "amq.default"}),
            json!({"type": "t"}),
            json!({"routing_key_regex": "^e"}),
            json!({"headers": {"attempt": 4}}),
            json!({"older_than": 6}),
            json!({"newer_than": 4}),
        ] {
            assert_eq!(means(&filter), Some(false), "{filter}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for filter in [
            json!({"routing-key": "key"}),
            json!({"routing_key": "a", "routing_key_regex": "b"}),
            json!({"routing_key": ["a"]}),
            json!({"text_regex": "("}),
            json!({"text_regex": "\\w{1000}{1000}"}),
            json!({"headers": {"a": null}}),
            json!({"headers": "a"}),
            json!({"header_regex": {"a": 1}}),
            json!({"older_than": -1}),
            json!({"newer_than": "soon"}),
        ] {
            assert_eq!(means(&filter), None, "{filter}");
        }
        assert!(which(Some("Ready")).is_err() && which(None).is_ok());
    }

    #[test]
    fn messages_are_named_as_they_were_told() {
        let named =
            |body: Value| picked(body.as_object().unwrap()).map(|all| all.map(|all| all.len()));
        assert!(matches!(named(json!({})), Ok(None)));
        assert!(matches!(named(json!({"messages": []})), Ok(Some(0))));
        let one = json!({"cursor": "255-7", "sequence": 7});
        assert!(matches!(named(json!({"messages": [one, one]})), Ok(Some(2))));
        let many = vec![one; PICKED_MAX + 1];
        for wrong in [
            json!({"messages": "255-7"}),
            json!({"messages": ["255-7"]}),
            json!({"messages": [{"cursor": "255-7"}]}),
            json!({"messages": [{"cursor": "255", "sequence": 7}]}),
            json!({"messages": [{"cursor": "255-7", "sequence": -7}]}),
            json!({"messages": [{"cursor": "255-7", "sequence": 7, "more": 1}]}),
            json!({"messages": many}),
        ] {
            assert!(named(wrong).is_err());
        }
    }

    #[test]
    fn a_query_says_the_same_as_a_body() {
        let query = Query::parse("header.tenant=north&text=hello+w&count=3&type=t");
        let filter = of_query(&query, &["count"]).unwrap();
        let expected = json!({"headers": {"tenant": "north"}, "text": "hello w", "type": "t"});
        assert_eq!(Value::Object(filter), expected);
    }
}
