//! Messages as lines: for people, or in JSON.
//!
//! A room of `tap`. Pure, but for what prints.

use std::io::Write;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::firehose::{delivered_from, header, keys, queues};
use crate::clock;
use crate::ctl::fields::{number, text};

/// Letters of a body that a line shows.
const SHOWN_MAX: usize = 200;

/// Prints a line; whether somebody reads it.
pub(super) fn print(line: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

fn now() -> String {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(clock::unix_millis());
    humantime::format_rfc3339_millis(moment).to_string()
}

/// A message that was tapped.
pub(super) fn message(message: &Value, in_json: bool) -> String {
    if in_json {
        return message.to_string();
    }
    let (exchange, key) = (text(message, "exchange"), text(message, "routing_key"));
    format!("{} {} {} {}", now(), clean(exchange), clean(key), body(message))
}

/// Something that happened to a message.
pub(super) fn happening(message: &Value, in_json: bool) -> String {
    if in_json {
        return message.to_string();
    }
    let exchange = match header(message, "exchange_name").as_str() {
        None | Some("") => "(the default exchange)".to_owned(),
        Some(name) => clean(name),
    };
    let keys = clean(&keys(message).collect::<Vec<_>>().join(","));
    let id = match text(header(message, "properties"), "message_id") {
        "" => String::new(),
        id => format!(" id {};", clean(id)),
    };
    let by = clean(header(message, "connection").as_str().unwrap_or_default());
    let what = match delivered_from(message) {
        Some(queue) => {
            let again = header(message, "redelivered").as_u64() == Some(1);
            let (again, queue) = (if again { " again" } else { "" }, clean(queue));
            format!("delivered{again} from {queue} to {by}; published to {exchange} with {keys}")
        }
        None => {
            let queues = clean(&queues(message).collect::<Vec<_>>().join(", "));
            let queues = if queues.is_empty() { "no queue".to_owned() } else { queues };
            format!("published to {exchange} with {keys} by {by}, into {queues}")
        }
    };
    format!("{} {what};{id} {}", now(), body(message))
}

/// How long the body is, and how it begins, on one line.
fn body(message: &Value) -> String {
    let (payload, bytes) = (text(message, "payload"), number(message, "payload_bytes"));
    if text(message, "payload_encoding") == "base64" {
        return format!("{bytes} bytes, no text");
    }
    let beginning: String = payload.chars().take(SHOWN_MAX).collect();
    let more = if payload.chars().nth(SHOWN_MAX).is_some() { "…" } else { "" };
    format!("{bytes} bytes: {}{more}", clean(&beginning))
}

/// Letters as they are, and what would break a line or a terminal escaped.
fn clean(text: &str) -> String {
    let mut clean = String::new();
    for letter in text.chars() {
        match letter.is_control() {
            true => clean.extend(letter.escape_default()),
            false => clean.push(letter),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_one_line() {
        let told = json!({"exchange": "x", "routing_key": "a.b", "payload": "one\ntwo\u{1b}[2J",
            "payload_bytes": 11, "payload_encoding": "string"});
        let line = message(&told, false);
        assert!(line.ends_with(" x a.b 11 bytes: one\\ntwo\\u{1b}[2J"), "{line}");
        let long = json!({"payload": "ä".repeat(500), "payload_bytes": 1000});
        assert!(body(&long).ends_with("ä…"));
        let bytes = json!({"payload": "AAA=", "payload_bytes": 2, "payload_encoding": "base64"});
        assert_eq!(body(&bytes), "2 bytes, no text");
        assert_eq!(message(&told, true), told.to_string());
    }

    #[test]
    fn what_happened_is_told() {
        let headers = json!({"exchange_name": "x", "routing_keys": ["k"], "connection": "c",
            "routed_queues": ["q"], "properties": {"message_id": "7"}});
        let published = json!({"routing_key": "publish.x", "payload": "b", "payload_bytes": 1,
            "properties": {"headers": headers}});
        let line = happening(&published, false);
        assert!(line.ends_with("published to x with k by c, into q; id 7; 1 bytes: b"), "{line}");
        let headers = json!({"exchange_name": "", "routing_keys": ["q"], "redelivered": 1,
            "connection": "c"});
        let delivered = json!({"routing_key": "deliver.q", "payload": "b", "payload_bytes": 1,
            "properties": {"headers": headers}});
        let line = happening(&delivered, false);
        let end =
            "delivered again from q to c; published to (the default exchange) with q; 1 bytes: b";
        assert!(line.ends_with(end), "{line}");
    }
}
