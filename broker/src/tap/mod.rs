//! `leveret tap` and `leveret trace`: messages as they go by, without taking any of them away.
//!
//! Called by `main`. Both bind a queue of their own (`temporary`) that goes with them, and print what comes
//! to it (`shown`): `tap` binds it to an exchange, `trace` to the firehose, whose copies `firehose` reads.
//! Stays true: nothing that others have is changed, but that a vhost which was not traced is, while somebody
//! traces it; what a killed process leaves goes by itself within a minute.

mod firehose;
mod shown;
mod temporary;

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use self::firehose::Wanted;
use self::temporary::Temporary;
use crate::clock;
use crate::ctl::client::segment;
use crate::ctl::failure::Failed;
use crate::ctl::fields::flag;
use crate::ctl::whom::Whom;

/// How often it is looked whether there is more.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long, and how it is printed.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
struct Until {
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after so long
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Print a line of JSON for each message, with all that is known of it
    #[arg(long)]
    json: bool,
}

/// What is tapped.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TapArguments {
    /// The exchange
    exchange: String,
    /// The binding key: `#` is everything on a topic exchange; fanout exchanges need none
    #[arg(default_value = "#")]
    key: String,
    /// Its vhost
    #[arg(short = 'p', long, value_name = "VHOST", default_value = "/")]
    vhost: String,
    #[command(flatten)]
    until: Until,
    #[command(flatten)]
    whom: Whom,
}

/// What is traced.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TraceArguments {
    /// The vhost
    #[arg(short = 'p', long, value_name = "VHOST", default_value = "/")]
    vhost: String,
    /// Only messages with this routing key, which may have `*` and `#`
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only messages that went into this queue or come out of it
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// Only messages with this message-id
    #[arg(long, value_name = "MESSAGE-ID")]
    id: Option<String>,
    /// Only one of so many messages, with all that happens to it
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    sample: u64,
    #[command(flatten)]
    until: Until,
    #[command(flatten)]
    whom: Whom,
}

/// Prints what an exchange is given for a key.
///
/// # Errors
/// The broker cannot be reached, there is no such exchange, or the user may not bind to it. One line.
pub fn tap(
    asked: &TapArguments,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(), String> {
    if asked.exchange.is_empty() || asked.exchange == "amq.default" {
        let text = "nothing can be bound to the default exchange: see leveret peek QUEUE";
        return Err(text.to_owned());
    }
    let client = asked.whom.client(environment).map_err(said)?;
    let queue = Temporary::declare(&client, &asked.vhost).map_err(said)?;
    queue.bind(&asked.exchange, &asked.key).map_err(said)?;
    let show = |message: &Value| Some(shown::message(message, asked.until.json));
    follow(&queue, &asked.until, || Ok(()), show).map_err(said)
}

/// Prints what happens to messages of a vhost.
///
/// # Errors
/// The broker cannot be reached, or the user may not trace. One line.
pub fn trace(
    asked: &TraceArguments,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(), String> {
    let client = asked.whom.client(environment).map_err(said)?;
    let path = format!("/vhosts/{}", segment(&asked.vhost));
    let vhost = client.get(&path).map_err(said)?;
    let queue = Temporary::declare(&client, &asked.vhost).map_err(said)?;
    queue.bind("amq.rabbitmq.trace", "#").map_err(said)?;
    let was_traced = flag(&vhost, "tracing");
    let turn = |to: bool| {
        let kept = |name: &str| vhost.get(name).cloned().unwrap_or_default();
        let body = json!({
            "tracing": to,
            "description": kept("description"),
            "tags": kept("tags"),
            "default_queue_type": kept("default_queue_type"),
        });
        client.send("PUT", &path, Some(&body)).map(drop)
    };
    let begin = || if was_traced { Ok(()) } else { turn(true) };
    let wanted = Wanted {
        key: asked.key.clone(),
        queue: asked.queue.clone(),
        id: asked.id.clone(),
        sample: asked.sample,
    };
    let show =
        |message: &Value| wanted.is(message).then(|| shown::happening(message, asked.until.json));
    let followed = follow(&queue, &asked.until, begin, show);
    if !was_traced {
        turn(false).map_err(said)?;
    }
    followed.map_err(said)
}

fn said(failed: Failed) -> String {
    match failed {
        Failed::Usage(text, _) | Failed::Refused(text, _) | Failed::Plain(text, _) => text,
    }
}

/// Prints what comes until it is enough, or until Ctrl-C. `begin` is called once that is heard.
fn follow(
    queue: &Temporary<'_>,
    until: &Until,
    begin: impl FnOnce() -> Result<(), Failed>,
    show: impl Fn(&Value) -> Option<String>,
) -> Result<(), Failed> {
    let nanos = until.seconds.map(|seconds| seconds.saturating_mul(1_000_000_000));
    let end = nanos.map(|nanos| clock::steady_nanos().saturating_add(nanos));
    let (mut left, mut interrupt) = (until.count, std::pin::pin!(interrupted()));
    // From now on it is heard, whatever else goes on.
    let mut is_over = queue.was_interrupted(interrupt.as_mut(), Duration::ZERO);
    begin()?;
    while left != Some(0) && !is_over {
        let messages = queue.take(left)?;
        let most = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
        for line in messages.iter().filter_map(&show).take(most) {
            if !shown::print(&line) {
                // Whoever read it has gone.
                return Ok(());
            }
            left = left.map(|left| left.saturating_sub(1));
        }
        let pause = if messages.is_empty() { LOOK_EVERY } else { Duration::ZERO };
        is_over = end.is_some_and(|end| clock::steady_nanos() >= end);
        is_over |= left != Some(0) && queue.was_interrupted(interrupt.as_mut(), pause);
    }
    Ok(())
}

/// Until somebody presses Ctrl-C, or wants it to end in order.
async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}
