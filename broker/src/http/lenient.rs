//! What bodies of requests say, read as RabbitMQ's clients write it: numbers and flags as texts, lists
//! of words as one text with commas, null for nothing.
//!
//! Called by every handler that takes a body. Pure. Stays true: what cannot be what it should be is
//! refused, never taken for something else; the texts are RabbitMQ's.

use leveret_protocol::types::FieldTable;
use serde_json::{Map, Value};

use super::answer::Fault;
use crate::definitions::json_arguments::from_json;

/// The longest line of what is missing.
const LINE_MAX: usize = 60;

/// Fields that have to be there, in RabbitMQ's order.
///
/// # Errors
/// Some are not: all are named.
pub(super) fn require(body: &Map<String, Value>, names: &[&str]) -> Result<(), Fault> {
    let missing: Vec<String> = names
        .iter()
        .filter(|name| !body.contains_key(**name))
        .map(|name| format!("{{key_missing,{name}}}"))
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        // RabbitMQ writes it over several lines where it is long.
        false => {
            let line = format!("[{}]", missing.join(","));
            let lines = || format!("[{}]", missing.join(",\n "));
            let said = if line.len() > LINE_MAX { lines() } else { line };
            Err(Fault::bad_request(said))
        }
    }
}

/// What a field says, unless it is null.
pub(super) fn given<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

/// A text; of a number its digits.
///
/// # Errors
/// It is something else.
pub(super) fn text(body: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    given(body, name).map(|value| one_text(value).ok_or_else(|| no("string", value))).transpose()
}

fn one_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A flag.
///
/// # Errors
/// It is none.
pub(super) fn flag(body: &Map<String, Value>, name: &str) -> Result<Option<bool>, Fault> {
    let Some(value) = given(body, name) else { return Ok(None) };
    match value {
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::String(text) if text == "true" => Ok(Some(true)),
        Value::String(text) if text == "false" => Ok(Some(false)),
        other => Err(no("boolean", other)),
    }
}

/// A whole number.
///
/// # Errors
/// It is none.
pub(super) fn integer(body: &Map<String, Value>, name: &str) -> Result<Option<i64>, Fault> {
    let Some(value) = given(body, name) else { return Ok(None) };
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.map(Some).ok_or_else(|| no("integer", value))
}

/// A list of words, or one text with commas between them.
///
/// # Errors
/// It is neither.
pub(super) fn words(body: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Fault> {
    let Some(value) = given(body, name) else { return Ok(None) };
    let words = match value {
        Value::Array(values) => values.iter().map(one_text).collect(),
        Value::String(text) => Some(text.split(',').map(|word| word.trim().to_owned()).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    };
    let words: Vec<String> = words.ok_or_else(|| no("list", value))?;
    Ok(Some(words.into_iter().filter(|word| !word.is_empty()).collect()))
}

/// An object; an empty list is an empty one.
///
/// # Errors
/// It is something else.
pub(super) fn object(
    body: &Map<String, Value>,
    name: &str,
) -> Result<Option<Map<String, Value>>, Fault> {
    let Some(value) = given(body, name) else { return Ok(None) };
    match value {
        Value::Object(fields) => Ok(Some(fields.clone())),
        Value::Array(values) if values.is_empty() => Ok(Some(Map::new())),
        other => Err(no("map", other)),
    }
}

/// The arguments of a declaration or a binding; none where they are not given.
///
/// # Errors
/// They are no map, or something in them has no value in AMQP.
pub(super) fn arguments(body: &Map<String, Value>) -> Result<FieldTable, Fault> {
    let arguments = object(body, "arguments")?.unwrap_or_default();
    from_json(&arguments).map_err(null_not_allowed)
}

/// RabbitMQ's words for arguments that AMQP has no value for.
pub(super) fn null_not_allowed(reason: String) -> Fault {
    match reason.ends_with("null is no value") {
        true => Fault::bad_request("null_not_allowed"),
        false => Fault::bad_request(reason),
    }
}

fn no(what: &str, value: &Value) -> Fault {
    Fault::bad_request(Value::Array(vec![format!("not_{what}").into(), value.clone()]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn numbers_and_flags_may_be_texts() {
        let body = body(json!({"a": "true", "b": false, "c": "5", "d": -5, "e": null, "f": 7}));
        assert_eq!(flag(&body, "a").ok().flatten(), Some(true));
        assert_eq!(flag(&body, "b").ok().flatten(), Some(false));
        assert_eq!(integer(&body, "c").ok().flatten(), Some(5));
        assert_eq!(integer(&body, "d").ok().flatten(), Some(-5));
        assert!(matches!(flag(&body, "e"), Ok(None)));
        assert_eq!(text(&body, "f").ok().flatten().as_deref(), Some("7"));
        assert!(flag(&body, "f").is_err() && integer(&body, "a").is_err());
        assert!(text(&body, "b").is_err());
    }

    #[test]
    fn words_are_a_list_or_a_text() {
        let body = body(json!({"a": "x, y,,", "b": ["x", 1], "c": "", "d": 7, "e": [{}]}));
        let of = |name| words(&body, name).ok().flatten();
        assert_eq!(of("a"), Some(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(of("b"), Some(vec!["x".to_owned(), "1".to_owned()]));
        assert_eq!(of("c"), Some(vec![]));
        assert!(words(&body, "d").is_err() && words(&body, "e").is_err());
    }

    #[test]
    fn an_empty_list_is_an_empty_object() {
        let body = body(json!({"a": [], "b": {"x": 1}, "c": [1]}));
        assert_eq!(object(&body, "a").ok().flatten(), Some(Map::new()));
        assert_eq!(object(&body, "b").ok().flatten().map(|fields| fields.len()), Some(1));
        assert!(object(&body, "c").is_err());
    }
}
