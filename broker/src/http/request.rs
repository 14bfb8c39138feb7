//! Requests: paths, queries and bodies.
//!
//! Called by `Management::answer` and, by way of axum's extractors, for every handler. Stays true: a
//! body larger than `management.http.max_body_size`, or one that does not come to its end, takes
//! neither memory nor a place for long.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::Uri;
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value};

use super::Management;
use super::answer::Fault;

/// A body must be here within so long.
const BODY_WITHIN: Duration = Duration::from_secs(60);
/// A query has at most so many parts.
const PARTS_MAX: usize = 64;

/// The address that is routed: without the prefix, and without empty parts of the path, which people
/// make of an empty vhost or a slash at the end. `None` if the prefix is not there.
pub(super) fn normalise(uri: &Uri, prefix: &str) -> Option<Uri> {
    let path = uri.path().strip_prefix(prefix)?;
    if !path.is_empty() && !path.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("/{}{query}", parts.join("/")).parse().ok()
}

/// In paths the default exchange has this name.
const DEFAULT: &str = "amq.default";

/// The name of an exchange that a path names.
pub(super) fn named(exchange: &str) -> &str {
    if exchange == DEFAULT { "" } else { exchange }
}

/// The parts behind `?`, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`.
    pub(super) fn parse(text: &str) -> Self {
        let parts = text.split('&').filter(|part| !part.is_empty()).take(PARTS_MAX);
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        };
        Self(parts.map(pair).collect())
    }

    /// The first value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All of them, in their order.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether it says `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}

/// As forms encode it: `+` is a blank.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let ahead = rest.clone();
                let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(hex));
                match digits {
                    [Some(high), Some(low)] => high << 4 | low,
                    // Whoever writes a lone percent sign means it.
                    _ => {
                        rest = ahead;
                        b'%'
                    }
                }
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl FromRequestParts<Arc<Management>> for Query {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Management>) -> Result<Self, Fault> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// The body, whole.
pub(super) struct Whole(pub Bytes);

impl FromRequest<Arc<Management>> for Whole {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &Arc<Management>) -> Result<Self, Fault> {
        let body = Limited::new(request.into_body(), state.settings.body_max);
        match tokio::time::timeout(BODY_WITHIN, body.collect()).await {
            Ok(Ok(body)) => Ok(Self(body.to_bytes())),
            Ok(Err(_)) => Err(Fault::too_large()),
            Err(_) => Err(Fault::bad_request("the body did not come in time")),
        }
    }
}

/// The body as an object of JSON; none at all is an empty one. What it is called does not matter.
pub(super) struct Document(pub Map<String, Value>);

impl FromRequest<Arc<Management>> for Document {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &Arc<Management>) -> Result<Self, Fault> {
        let Whole(bytes) = Whole::from_request(request, state).await?;
        document(&bytes).map(Self)
    }
}

/// An object of JSON, or RabbitMQ's words for what it is instead.
pub(super) fn document(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::String(_)) => Err(Fault::bad_request(
            "invalid payload: the request body JSON-decoded to a string. Is the input \
             doubly-JSON-encoded?",
        )),
        Ok(_) | Err(_) => Err(Fault::bad_request("not_json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(uri: &str, prefix: &str) -> Option<String> {
        normalise(&uri.parse().unwrap(), prefix).map(|uri| uri.to_string())
    }

    #[test]
    fn empty_parts_of_paths_do_not_count() {
        for (given, expected) in [
            ("/api/queues//", "/api/queues"),
            ("/api/queues/%2F/", "/api/queues/%2F"),
            ("/api//queues?page=1", "/api/queues?page=1"),
            ("/", "/"),
        ] {
            assert_eq!(normal(given, "").as_deref(), Some(expected), "{given}");
        }
    }

    #[test]
    fn a_prefix_has_to_be_there_whole() {
        assert_eq!(normal("/rabbit/api/x", "/rabbit").as_deref(), Some("/api/x"));
        assert_eq!(normal("/rabbit", "/rabbit").as_deref(), Some("/"));
        assert_eq!(normal("/rabbits/api/x", "/rabbit"), None);
        assert_eq!(normal("/api/x", "/rabbit"), None);
    }

    #[test]
    fn queries_are_decoded_as_forms() {
        let query = Query::parse("name=a%2Fb+c&use_regex=true&x&=y&bad=%zz&end=%2");
        assert_eq!(query.get("name"), Some("a/b c"));
        assert!(query.is_true("use_regex") && !query.is_true("x"));
        assert_eq!((query.get("x"), query.get("")), (Some(""), Some("y")));
        assert_eq!((query.get("bad"), query.get("end")), (Some("%zz"), Some("%2")));
        assert_eq!(query.get("none"), None);
    }

    #[test]
    fn a_body_is_an_object_or_refused_in_rabbitmqs_words() {
        assert_eq!(document(b" ").unwrap(), Map::new());
        assert_eq!(document("\u{feff}{\"a\":1}".as_bytes()).unwrap().len(), 1);
        for wrong in ["x", "[1]", "7", "\"{}\""] {
            assert!(document(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
