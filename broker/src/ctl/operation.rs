//! Commands that work on what runs: connections, queues, watermarks, the broker itself.
//!
//! A room of `ctl`. Stays true: a command that waits says what it waited for.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Sent, segment};
use super::commands::Call;
use super::failure::{DATA, Failed, LATE, UNAVAILABLE, USAGE};
use super::show::Output;
use super::users::{described, names, vhost};
use crate::clock;

type Done = Result<Output, Failed>;

/// How long `await_startup` waits unless it is told.
const STARTUP: Duration = Duration::from_secs(300);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn ping(call: &Call<'_>) -> Done {
    call.client.get("/whoami")?;
    Ok(Output::Text("Ping succeeded".to_owned()))
}

pub(super) fn await_startup(call: &Call<'_>) -> Done {
    let given = call.line.value("timeout").and_then(|seconds| seconds.parse().ok());
    let patience = given.map_or(STARTUP, Duration::from_secs);
    let started = clock::steady_nanos();
    loop {
        if call.client.get("/health/checks/is-in-service").is_ok() {
            return Ok(Output::Nothing);
        }
        if elapsed(started) >= patience {
            let text = format!("the broker is not in service after {} s", patience.as_secs());
            return Err(Failed::Refused(text, LATE));
        }
        std::thread::sleep(LOOK);
    }
}

fn elapsed(since: u64) -> Duration {
    Duration::from_nanos(clock::steady_nanos().saturating_sub(since))
}

pub(super) fn stop(call: &Call<'_>) -> Done {
    call.client.send("POST", "/operation/stop", None)?;
    let started = clock::steady_nanos();
    while call.client.get("/whoami").is_ok() {
        if elapsed(started) >= STARTUP {
            return Err(Failed::Refused("the broker still runs".to_owned(), LATE));
        }
        std::thread::sleep(LOOK);
    }
    Ok(Output::Nothing)
}

pub(super) fn delete_queue(call: &Call<'_>) -> Done {
    let conditions = ["if-empty", "if-unused"].into_iter().filter(|option| call.line.has(option));
    let query: Vec<_> = conditions.map(|option| format!("{option}=true")).collect();
    let path = format!("{}?{}", call.path("/queues/{vhost}/{0}"), query.join("&"));
    match call.client.send("DELETE", &path, None)? {
        Sent::Done(_) => Ok(Output::Nothing),
        Sent::Missing(_) => Err(Failed::Refused("No such queue was found".to_owned(), USAGE)),
    }
}

pub(super) fn purge_queue(call: &Call<'_>) -> Done {
    match call.client.send("DELETE", &call.path("/queues/{vhost}/{0}/contents"), None)? {
        Sent::Done(_) => Ok(Output::Nothing),
        Sent::Missing(_) => {
            let text = "Object (queue, stream, exchange, etc) was not found";
            Err(Failed::Plain(text.to_owned(), DATA))
        }
    }
}

fn trace(call: &Call<'_>, is_on: bool) -> Result<(), Failed> {
    let mut body = described(&vhost(call, call.vhost())?);
    body.insert("tracing".to_owned(), is_on.into());
    call.client.send("PUT", &call.path("/vhosts/{vhost}"), Some(&Value::Object(body))).map(drop)
}

pub(super) fn trace_on(call: &Call<'_>) -> Done {
    trace(call, true)?;
    Ok(Output::Text(format!("Trace enabled for vhost {}", call.vhost())))
}

pub(super) fn trace_off(call: &Call<'_>) -> Done {
    trace(call, false)?;
    Ok(Output::Text(format!("Trace disabled for vhost {}", call.vhost())))
}

/// Ends a connection; whether it was there.
fn close(call: &Call<'_>, name: &str, reason: &str) -> Result<bool, Failed> {
    let path = format!("/connections/{}", segment(name));
    let sent = call.client.send_for("DELETE", &path, Some(reason))?;
    Ok(matches!(sent, Sent::Done(_)))
}

pub(super) fn close_connection(call: &Call<'_>) -> Done {
    let name = call.word(0);
    match close(call, name, call.word(1))? {
        true => Ok(Output::Nothing),
        false => Err(Failed::Refused(format!("there is no connection {name}"), UNAVAILABLE)),
    }
}

pub(super) fn close_all_connections(call: &Call<'_>) -> Done {
    let reason = call.word(0);
    let is_global = call.line.has("global");
    let path = match is_global {
        true => "/connections?columns=name".to_owned(),
        false => call.path("/vhosts/{vhost}/connections?columns=name"),
    };
    let node = call.client.server();
    let banner = match is_global {
        true => format!(
            "Closing all connections to node {node} (across all vhosts), reason: {reason}..."
        ),
        false => format!("Closing all connections in vhost {}, reason: {reason}...", call.vhost()),
    };
    let number = |option| call.line.value(option).map(str::parse::<u64>).transpose();
    let wrong = |_| Failed::usage("--limit and --per-connection-delay are numbers");
    let limit = number("limit").map_err(wrong)?.filter(|limit| *limit > 0);
    let delay = number("per-connection-delay").map_err(wrong)?.unwrap_or_default();
    let all = names(&call.client.get(&path)?);
    let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut closed = 0_usize;
    for name in all.iter().take(most) {
        closed += usize::from(close(call, name, reason)?);
        if delay > 0 {
            std::thread::sleep(Duration::from_millis(delay));
        }
    }
    Ok(told(call, banner, format!("Closed {closed} connections")))
}

/// A line before and a line after, unless only what was asked for is wanted.
fn told(call: &Call<'_>, before: String, after: String) -> Output {
    let is_quiet = call.line.has("quiet") || call.line.has("silent");
    Output::Text(if is_quiet { after } else { format!("{before}\n{after}") })
}

pub(super) fn close_all_user_connections(call: &Call<'_>) -> Done {
    let path = call.path("/connections/username/{0}");
    call.client.send_for("DELETE", &path, Some(call.word(1)))?;
    Ok(Output::Nothing)
}

/// The value behind a keyword, or the only word; `Bad argument.` where it is no number.
fn bad_argument() -> Failed {
    Failed::Usage("Bad argument.".to_owned(), DATA)
}

pub(super) fn set_memory_watermark(call: &Call<'_>) -> Done {
    let node = call.client.server();
    let (body, told) = match (call.word(0), call.word(1)) {
        ("absolute", value) if !value.is_empty() => {
            (json!({"absolute": value}), format!("{value} bytes"))
        }
        (fraction, "") => {
            let relative = fraction.parse::<f64>().map_err(|_| bad_argument())?;
            (json!({"relative": relative}), fraction.to_owned())
        }
        _ => return Err(bad_argument()),
    };
    call.client.send("PUT", "/operation/memory-watermark", Some(&body))?;
    Ok(quietly(call, format!("Setting memory threshold on {node} to {told} ...")))
}

pub(super) fn set_disk_free_limit(call: &Call<'_>) -> Done {
    let node = call.client.server();
    let (body, told) = match (call.word(0), call.word(1)) {
        ("mem_relative", value) if !value.is_empty() => {
            let relative = value.parse::<f64>().map_err(|_| bad_argument())?;
            (json!({"relative": relative}), format!("{value} times the total RAM"))
        }
        (value, "") => (json!({"absolute": value}), format!("{value} bytes")),
        _ => return Err(bad_argument()),
    };
    call.client.send("PUT", "/operation/disk-free-limit", Some(&body))?;
    Ok(quietly(call, format!("Setting disk free limit on {node} to {told} ...")))
}

pub(super) fn set_log_level(call: &Call<'_>) -> Done {
    let (category, level, told) = match (call.word(0), call.word(1)) {
        (level, "") => (None, level, format!("Setting log level to \"{level}\" ...")),
        (category, level) => {
            let told = format!("Setting log level for category \"{category}\" to \"{level}\" ...");
            (Some(category), level, told)
        }
    };
    let body = json!({"category": category, "level": level});
    call.client.send("PUT", "/operation/log-level", Some(&body))?;
    Ok(quietly(call, told))
}

/// What is told unless somebody wants quiet.
fn quietly(call: &Call<'_>, text: String) -> Output {
    match call.line.has("quiet") || call.line.has("silent") {
        true => Output::Nothing,
        false => Output::Text(text),
    }
}
