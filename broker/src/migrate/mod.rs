//! `leveret migrate`: definitions and messages out of a running RabbitMQ into a running broker of ours, and
//! what differs afterwards.
//!
//! Called by `main`. `definitions` brings over what there is, `messages` what waits in queues, by `progress` (what
//! is known of a queue that was begun, pure) and `parcels` (what goes over at once). Stays true: a message
//! leaves the one broker only when it is on disk at the other; whoever is interrupted and begins again
//! loses none and doubles none, because what went over last is written down at the other broker in the
//! same step.

mod definitions;
mod messages;
mod parcels;
mod progress;

use clap::Args;
use regex::Regex;
use serde_json::Value;

use self::messages::Moved;
use crate::ctl::client::{Client, Place};
use crate::ctl::failure::Failed;
use crate::ctl::whom::Whom;

/// Where from, and what.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
  leveret migrate --from http://guest:guest@rabbit:15672
  leveret migrate --from http://guest:guest@rabbit:15672 --dry-run
  leveret migrate --from http://guest:guest@rabbit:15672 --queues '^orders' --no-definitions
Stop whoever publishes to and consumes from the queues there first. Interrupted, it goes on where it was
when it is run again.")]
pub struct MigrateArguments {
    /// Management of the broker to leave: http://user:password@host:15672
    #[arg(long, value_name = "URL")]
    from: String,
    /// Its AMQP: amqp://user:password@host:5672; without it, the same host and user, and the port it says
    #[arg(long, value_name = "URL")]
    from_amqp: Option<String>,
    /// Of this vhost alone; may be said more than once
    #[arg(long = "vhost", value_name = "NAME")]
    vhosts: Vec<String>,
    /// Messages of queues alone whose name this expression matches
    #[arg(long, value_name = "REGEX")]
    queues: Option<String>,
    /// Users, vhosts, queues and all else are there already
    #[arg(long)]
    no_definitions: bool,
    /// Messages stay where they are
    #[arg(long)]
    no_messages: bool,
    /// Say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    whom: Whom,
}

/// Both brokers.
struct Brokers {
    /// The one to leave.
    source: Client,
    /// Ours.
    target: Client,
}

/// Carries it out. The exit code.
#[expect(clippy::print_stderr, reason = "this is what standard error is for")]
pub fn run(asked: &MigrateArguments, environment: impl Fn(&str) -> Option<String>) -> u8 {
    match migrate(asked, environment) {
        Ok(is_whole) => u8::from(!is_whole),
        Err(failed) => {
            eprintln!("leveret: {}", failed.text());
            1
        }
    }
}

/// Whether all went over.
fn migrate(
    asked: &MigrateArguments,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<bool, Failed> {
    let place = Place::parse(&asked.from).ok_or_else(|| Failed::usage("--from is no URL"))?;
    let patience = asked.whom.patience();
    let source = Client::new(place, patience)?;
    let brokers = Brokers { source, target: asked.whom.client(environment)? };
    let overview = brokers.source.get("/overview")?;
    tell(&format!(
        "from {} {} at {} to {}",
        text(&overview, "product_name"),
        text(&overview, "product_version"),
        brokers.source.server(),
        brokers.target.server(),
    ));
    let queues = queues(asked, &brokers.source)?;
    let mut is_whole = true;
    if !asked.no_definitions {
        is_whole &= definitions::bring_over(&brokers, &asked.vhosts, asked.dry_run)?;
    }
    if !asked.no_messages {
        let amqp = match &asked.from_amqp {
            Some(url) => url.clone(),
            None => amqp_of(&asked.from, &overview)
                .ok_or_else(|| Failed::usage("say with --from-amqp where its AMQP is"))?,
        };
        for queue in &queues {
            is_whole &= one(&brokers, &amqp, queue, asked.dry_run)?;
        }
    }
    tell(if is_whole { "all is there" } else { "NOT ALL IS THERE: see above" });
    Ok(is_whole)
}

/// The queues whose messages go over.
fn queues(asked: &MigrateArguments, source: &Client) -> Result<Vec<Value>, Failed> {
    let chosen = asked.queues.as_deref().map(Regex::new).transpose();
    let chosen = chosen.map_err(|error| Failed::usage(format!("--queues: {error}")))?;
    let listed = source.get("/queues")?;
    let is_meant = |queue: &&Value| {
        let (name, vhost) = (text(queue, "name"), text(queue, "vhost"));
        (asked.vhosts.is_empty() || asked.vhosts.contains(&vhost))
            && chosen.as_ref().is_none_or(|chosen| chosen.is_match(&name))
    };
    Ok(listed.as_array().into_iter().flatten().filter(is_meant).cloned().collect())
}

/// Moves the messages of a queue, and tells what became of them.
fn one(brokers: &Brokers, amqp: &str, queue: &Value, dry_run: bool) -> Result<bool, Failed> {
    let (vhost, name) = (text(queue, "vhost"), text(queue, "name"));
    let shown = format!("queue '{name}' in vhost '{vhost}'");
    if let Some(why) = stays(queue) {
        tell(&format!("{shown}: its messages stay, {why}"));
        return Ok(false);
    }
    if dry_run {
        let waiting = queue.get("messages").and_then(Value::as_u64).unwrap_or_default();
        tell(&format!("{shown}: {waiting} messages would be moved"));
        return Ok(true);
    }
    match messages::bring_over(brokers, amqp, &vhost, &name) {
        Ok(Moved { messages: 0, .. }) => Ok(true),
        Ok(Moved { messages, earlier }) => {
            let before = match earlier {
                0 => String::new(),
                count => format!(", {count} of them before it was interrupted"),
            };
            tell(&format!("{shown}: {messages} messages moved{before}"));
            Ok(true)
        }
        Err(failed) => {
            tell(&format!("{shown}: {}", failed.text()));
            Ok(false)
        }
    }
}

/// Why the messages of a queue cannot be moved.
fn stays(queue: &Value) -> Option<&'static str> {
    if text(queue, "type") == "stream" {
        return Some("it is a stream");
    }
    let is_exclusive = queue.get("exclusive").and_then(Value::as_bool).unwrap_or_default();
    is_exclusive.then_some("it belongs to a connection")
}

/// The AMQP of a broker whose management is at a URL, as it says itself.
fn amqp_of(management: &str, overview: &Value) -> Option<String> {
    let (_, rest) = management.split_once("://")?;
    let rest = rest.split('/').next()?;
    let (login, host) = match rest.rsplit_once('@') {
        Some((login, host)) => (login, host),
        None => ("guest:guest", rest),
    };
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => host,
    };
    let listeners = overview.get("listeners").and_then(Value::as_array);
    let plain = |listener: &&Value| text(listener, "protocol") == "amqp";
    let port = listeners?.iter().find(plain)?.get("port")?.as_u64()?;
    Some(format!("amqp://{login}@{host}:{port}"))
}

fn text(of: &Value, field: &str) -> String {
    of.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
fn tell(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_amqp_is_comes_from_what_the_broker_says() {
        let overview = json!({"listeners": [
            {"protocol": "clustering", "port": 25672},
            {"protocol": "amqp", "port": 5683},
        ]});
        let cases = [
            ("http://u:p%40@host:15672/", Some("amqp://u:p%40@host:5683")),
            ("https://host", Some("amqp://guest:guest@host:5683")),
            ("http://[::1]:15672", Some("amqp://guest:guest@[::1]:5683")),
            ("host", None),
        ];
        for (url, expected) in cases {
            assert_eq!(amqp_of(url, &overview).as_deref(), expected, "{url}");
        }
        assert_eq!(amqp_of("http://host", &json!({"listeners": []})), None);
    }

    #[test]
    fn streams_and_queues_of_connections_stay() {
        assert_eq!(stays(&json!({"type": "stream"})), Some("it is a stream"));
        assert!(stays(&json!({"type": "classic", "exclusive": true})).is_some());
        assert_eq!(stays(&json!({"type": "quorum", "exclusive": false})), None);
    }
}
