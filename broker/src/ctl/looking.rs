//! What no broker answers on its command line: which messages wait, why nothing moves, where a message would
//! go; and messages moved by hand.
//!
//! A room of `ctl`. The answers are those of the API, as text for people and whole as JSON. Stays true:
//! looking changes nothing; with `--dry-run` nothing is changed and the counts are told.

use serde_json::{Map, Value, json};

use super::client::{Sent, segment};
use super::commands::Call;
use super::failure::Failed;
use super::show::{Output, Rows};

type Done = Result<Output, Failed>;

/// Options that say which messages are meant, with the filter's word.
const FILTER: [(&str, &str); 5] = [
    ("key", "routing_key"),
    ("key-regex", "routing_key_regex"),
    ("text", "text"),
    ("older-than", "older_than"),
    ("newer-than", "newer_than"),
];

/// What a table shows of a message.
const SHOWN: [&str; 6] = ["cursor", "exchange", "routing_key", "redelivered", "size", "payload"];

/// `--header name=value,name=value`.
fn headers(call: &Call<'_>) -> Result<Map<String, Value>, Failed> {
    let given = call.line.value("header").unwrap_or_default();
    let pairs = given.split(',').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let wrong = || Failed::usage(format!("--header is NAME=VALUE, not {pair}"));
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        Ok((name.to_owned(), value.into()))
    };
    pairs.map(pair).collect()
}

pub(super) fn peek(call: &Call<'_>) -> Done {
    let mut query = vec![format!("count={}", call.line.value("count").unwrap_or("10"))];
    for name in ["state", "cursor"] {
        query.extend(call.line.value(name).map(|value| format!("{name}={}", segment(value))));
    }
    for (option, word) in FILTER {
        query.extend(call.line.value(option).map(|value| format!("{word}={}", segment(value))));
    }
    for (name, value) in headers(call)? {
        let value = value.as_str().unwrap_or_default();
        query.push(format!("header.{}={}", segment(&name), segment(value)));
    }
    let path = format!("{}?{}", call.path("/queues/{vhost}/{0}/messages"), query.join("&"));
    let page = call.client.get(&path)?;
    let messages = page.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
    let field = |of: &Value, name: &str| of.get(name).cloned().unwrap_or_default();
    let row = |of: &Value| SHOWN.iter().map(|name| field(of, name)).collect();
    Ok(Output::Rows(Rows {
        columns: SHOWN.map(str::to_owned).to_vec(),
        rows: messages.iter().map(row).collect(),
    }))
}

/// What is done with which messages, and how fast.
fn job(call: &Call<'_>) -> Result<Map<String, Value>, Failed> {
    let mut filter = Map::new();
    for (option, word) in FILTER {
        filter.extend(call.line.value(option).map(|value| (word.to_owned(), value.into())));
    }
    let headers = headers(call)?;
    if !headers.is_empty() {
        filter.insert("headers".to_owned(), headers.into());
    }
    let mut body = Map::from_iter([
        ("filter".to_owned(), filter.into()),
        ("dry_run".to_owned(), call.line.has("dry-run").into()),
    ]);
    for name in ["state", "limit", "rate"] {
        body.extend(call.line.value(name).map(|value| (name.to_owned(), value.into())));
    }
    Ok(body)
}

fn operate(call: &Call<'_>, operation: &str, body: Map<String, Value>) -> Done {
    let path = format!("{}/{operation}", call.path("/queues/{vhost}/{0}/messages"));
    let told = call.ask(&path, &body.into())?;
    Ok(Output::Document(report(&told), told))
}

/// `12 of 40 messages are meant, 12 done`, and whatever did not go as it should.
fn report(told: &Value) -> String {
    let number = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut text = format!("{} of {} messages are meant", number("matched"), number("seen"));
    match told.get("dry_run") == Some(&Value::Bool(true)) {
        true => text += "; nothing was changed: this is what would be",
        false => text += &format!(", {} done", number("done")),
    }
    for (name, what) in [
        ("without_route", "had nowhere to go and stayed"),
        ("refused", "were refused where they should have gone, and stayed"),
        ("unreadable", "could not be read"),
    ] {
        if number(name) > 0 {
            text += &format!("\n{} {what}", number(name));
        }
    }
    if told.get("complete") == Some(&Value::Bool(false)) {
        text += "\nthere is more: this was given up after half a minute, and can be called again";
    }
    text
}

pub(super) fn delete(call: &Call<'_>) -> Done {
    operate(call, "delete", job(call)?)
}

pub(super) fn redrive(call: &Call<'_>) -> Done {
    operate(call, "redrive", job(call)?)
}

pub(super) fn copy(call: &Call<'_>) -> Done {
    operate(call, "copy", to_a_queue(call)?)
}

pub(super) fn move_on(call: &Call<'_>) -> Done {
    operate(call, "move", to_a_queue(call)?)
}

fn to_a_queue(call: &Call<'_>) -> Result<Map<String, Value>, Failed> {
    let mut body = job(call)?;
    body.insert("destination".to_owned(), json!({"queue": call.word(1)}));
    Ok(body)
}

pub(super) fn route(call: &Call<'_>) -> Done {
    plan(call, call.word(0), call.word(1))
}

fn plan(call: &Call<'_>, exchange: &str, routing_key: &str) -> Done {
    let name = if exchange.is_empty() { "amq.default" } else { exchange };
    let path = format!("/exchanges/{}/{}/route", segment(call.vhost()), segment(name));
    let body = json!({"routing_key": routing_key, "headers": headers(call)?});
    let told = call.ask(&path, &body)?;
    Ok(Output::Document(hops(&told), told))
}

/// A line for each exchange on the way, and what becomes of the message.
fn hops(told: &Value) -> String {
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    let list = |of: &Value| {
        let all = of.get("queues").and_then(Value::as_array).cloned().unwrap_or_default();
        all.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    for hop in told.get("hops").and_then(Value::as_array).into_iter().flatten() {
        let name = text(hop, "exchange").filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| "(the default exchange)".to_owned());
        let kind = text(hop, "type").unwrap_or_default();
        let via = match (text(hop, "via").as_deref(), text(hop, "from")) {
            (Some("publish") | None, _) | (_, None) => String::new(),
            (Some(via), Some(from)) => format!(", by the {via} of {from}"),
        };
        let queues = match list(hop) {
            queues if queues.is_empty() => "no queue".to_owned(),
            queues => queues.join(", "),
        };
        lines.push(format!("{name} ({kind}){via}: {queues}"));
    }
    lines.push(match list(told) {
        queues if queues.is_empty() => "it would go nowhere".to_owned(),
        queues => format!("it would go to {}", queues.join(", ")),
    });
    lines.join("\n")
}

pub(super) fn explain(call: &Call<'_>) -> Done {
    match call.word(0) {
        "queue" => {
            let told = call.client.get(&call.path("/queues/{vhost}/{1}/why"))?;
            Ok(Output::Document(of_queue(&told), told))
        }
        "connection" => {
            let told = call.client.get(&call.path("/connections/{1}/why"))?;
            let text = told.get("text").and_then(Value::as_str).unwrap_or_default();
            Ok(Output::Document(text.to_owned(), told))
        }
        "publish" => plan(call, call.word(1), call.word(2)),
        other => Err(Failed::usage(format!("a queue, a connection or a publish, not {other}"))),
    }
}

fn of_queue(told: &Value) -> String {
    let reasons = |name: &str| {
        let all = told.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |reason: &Value| reason.get("text").and_then(Value::as_str).map(str::to_owned);
        all.iter().filter_map(text).collect::<Vec<_>>()
    };
    let number = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut lines = vec![format!(
        "{} ready, {} unacknowledged, {} delayed",
        number("messages_ready"),
        number("messages_unacknowledged"),
        number("messages_delayed"),
    )];
    for (what, reasons) in [
        ("delivers", reasons("not_delivering_because")),
        ("takes what is published", reasons("not_taking_because")),
    ] {
        match reasons.is_empty() {
            true => lines.push(format!("it {what}")),
            false => lines.extend(reasons),
        }
    }
    lines.join("\n")
}

pub(super) fn pause(call: &Call<'_>) -> Done {
    let body: Map<_, _> = who(call)?.into_iter().map(|who| (who.to_owned(), true.into())).collect();
    done(call, "PUT", &call.path("/queues/{vhost}/{0}/pause"), Some(&body.into()))
}

pub(super) fn resume(call: &Call<'_>) -> Done {
    let query: Vec<_> = who(call)?.into_iter().map(|who| format!("{who}=true")).collect();
    let path = format!("{}?{}", call.path("/queues/{vhost}/{0}/pause"), query.join("&"));
    done(call, "DELETE", &path, None)
}

/// Consumers, publishers, or both where nobody is named.
fn who(call: &Call<'_>) -> Result<Vec<&'static str>, Failed> {
    match call.word(1) {
        "" => Ok(vec!["consumers", "publishers"]),
        "consumers" => Ok(vec!["consumers"]),
        "publishers" => Ok(vec!["publishers"]),
        other => Err(Failed::usage(format!("consumers or publishers, not {other}"))),
    }
}

fn done(call: &Call<'_>, method: &str, path: &str, body: Option<&Value>) -> Done {
    match call.client.send(method, path, body)? {
        Sent::Done(_) => Ok(Output::Nothing),
        Sent::Missing(reason) => Err(call.which_is_missing(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_done_and_what_was_not() {
        let told = json!({
            "dry_run": false, "seen": 40, "matched": 12, "done": 10, "without_route": 2,
            "refused": 0, "unreadable": 0, "complete": false,
        });
        let text = report(&told);
        assert!(text.starts_with("12 of 40 messages are meant, 10 done\n2 had nowhere"), "{text}");
        assert!(text.ends_with("can be called again"), "{text}");
        let told = json!({"dry_run": true, "seen": 3, "matched": 3, "done": 3, "complete": true});
        assert!(report(&told).ends_with("this is what would be"));
    }

    #[test]
    fn a_way_is_told_exchange_by_exchange() {
        let told = json!({"queues": ["q"], "hops": [
            {"exchange": "", "type": "direct", "via": "publish", "queues": []},
            {"exchange": "x", "type": "fanout", "via": "binding", "from": "y", "queues": ["q"]},
        ]});
        let expected = "(the default exchange) (direct): no queue\nx (fanout), by the binding of y: q\n\
                        it would go to q";
        assert_eq!(hops(&told), expected);
        assert_eq!(hops(&json!({"queues": [], "hops": []})), "it would go nowhere");
    }
}
