//! How long queues are, how many consume from them, and how old their messages are.
//!
//! A room of `check`. Stays true: levels hold for each queue, and the worst are named.

use clap::Args;
use serde_json::Value;

use super::verdict::{Datum, Found, Levels, Status};
use crate::clock;
use crate::ctl::client::{Client, segment};
use crate::ctl::failure::{DATA, Failed};
use crate::ctl::fields::{number, text};

/// So many queues are named in the line.
const NAMED_MAX: usize = 3;

/// Which queues, and from where on they are bad.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(super) struct Queues {
    /// Only this vhost; `/` where a queue is named
    #[arg(short = 'p', long, value_name = "VHOST")]
    vhost: Option<String>,
    /// Only this queue; may be said more than once
    #[arg(long = "queue", value_name = "NAME")]
    names: Vec<String>,
    /// Messages, ready and unacknowledged
    #[arg(long, value_name = "N")]
    messages_warning: Option<u64>,
    /// Messages, ready and unacknowledged
    #[arg(long, value_name = "N")]
    messages_critical: Option<u64>,
    /// Messages that wait for a consumer
    #[arg(long, value_name = "N")]
    ready_warning: Option<u64>,
    /// Messages that wait for a consumer
    #[arg(long, value_name = "N")]
    ready_critical: Option<u64>,
    /// Messages that consumers have and did not acknowledge
    #[arg(long, value_name = "N")]
    unacked_warning: Option<u64>,
    /// Messages that consumers have and did not acknowledge
    #[arg(long, value_name = "N")]
    unacked_critical: Option<u64>,
    /// Consumers: fewer are bad
    #[arg(long, value_name = "N")]
    consumers_warning: Option<u64>,
    /// Consumers: fewer are bad
    #[arg(long, value_name = "N")]
    consumers_critical: Option<u64>,
    /// Seconds that the oldest message waits, of a queue that is named
    #[arg(long, value_name = "SECONDS", requires = "names")]
    age_warning: Option<u64>,
    /// Seconds that the oldest message waits, of a queue that is named
    #[arg(long, value_name = "SECONDS", requires = "names")]
    age_critical: Option<u64>,
}

/// How long the oldest message waits, in seconds; 0 if none does.
fn age(why: &Value, now_ms: u64) -> u64 {
    match number(why, "oldest_ready_ms") {
        0 => 0,
        since_ms => now_ms.saturating_sub(since_ms) / 1000,
    }
}

/// What is counted of a queue: its member, its label, its levels.
type Count = (&'static str, &'static str, Levels);

const COLUMNS: &str = "name,vhost,messages,messages_ready,messages_unacknowledged,consumers";

impl Queues {
    /// Whether somebody says which.
    pub(super) fn are_named(&self) -> bool {
        !self.names.is_empty()
    }

    fn counts(&self) -> [Count; 4] {
        let above = Levels::above;
        [
            ("messages", "messages", above(self.messages_warning, self.messages_critical)),
            ("messages_ready", "ready", above(self.ready_warning, self.ready_critical)),
            (
                "messages_unacknowledged",
                "unacked",
                above(self.unacked_warning, self.unacked_critical),
            ),
            (
                "consumers",
                "consumers",
                Levels::below(self.consumers_warning, self.consumers_critical),
            ),
        ]
    }

    /// Looks at them.
    pub(super) fn check(&self, client: &Client) -> Result<Vec<Found>, Failed> {
        if !self.are_named() {
            let within = self.vhost.as_deref().map(|vhost| format!("/{}", segment(vhost)));
            let path = format!("/queues{}?columns={COLUMNS}", within.unwrap_or_default());
            let all = client.get(&path)?;
            return Ok(vec![self.of_all(all.as_array().map(Vec::as_slice).unwrap_or_default())]);
        }
        self.names.iter().map(|name| self.one(client, name)).collect()
    }

    fn one(&self, client: &Client, name: &str) -> Result<Found, Failed> {
        let vhost = self.vhost.as_deref().unwrap_or("/");
        let path = format!("/queues/{}/{}", segment(vhost), segment(name));
        let queue = match client.get(&format!("{path}?columns={COLUMNS}")) {
            Err(Failed::Plain(_, DATA)) => {
                let text = format!("there is no queue '{name}' in vhost '{vhost}'");
                return Ok(Found::new(Status::Critical, text));
            }
            answered => answered?,
        };
        let age = match (self.age_warning, self.age_critical) {
            (None, None) => None,
            _ => Some(age(&client.get(&format!("{path}/why"))?, clock::unix_millis())),
        };
        Ok(self.of_one(&queue, age))
    }

    /// With all of its numbers.
    fn of_one(&self, queue: &Value, age: Option<u64>) -> Found {
        let name = text(queue, "name");
        let mut parts = Vec::new();
        let mut data = Vec::new();
        let mut status = Status::Ok;
        let label = |what: &str| match self.names.len() {
            0 | 1 => what.to_owned(),
            _ => format!("{name} {what}"),
        };
        for (member, what, levels) in self.counts() {
            let value = number(queue, member);
            status = status.max(levels.status(value));
            parts.push(format!("{value} {what}"));
            data.push(Datum::new(&label(what), value, "", levels));
        }
        if let Some(age) = age {
            let levels = Levels::above(self.age_warning, self.age_critical);
            status = status.max(levels.status(age));
            parts.push(format!("the oldest waits {age} s"));
            data.push(Datum::new(&label("age"), age, "s", levels));
        }
        Found::new(status, format!("queue '{name}': {}", parts.join(", "))).with(data)
    }

    /// Those that are bad, and sums.
    fn of_all(&self, queues: &[Value]) -> Found {
        let mut bad = Vec::new();
        for queue in queues {
            let worst = self.counts().into_iter().map(|(member, what, levels)| {
                let value = number(queue, member);
                (levels.status(value), value, what)
            });
            let worst = worst.max_by_key(|(status, ..)| *status);
            if let Some((status, value, what)) = worst.filter(|(status, ..)| *status > Status::Ok) {
                let (name, vhost) = (text(queue, "name"), text(queue, "vhost"));
                bad.push((status, format!("queue '{name}' in '{vhost}': {value} {what}")));
            }
        }
        bad.sort_by_key(|(status, _)| std::cmp::Reverse(*status));
        let status = bad.first().map_or(Status::Ok, |(status, _)| *status);
        let mut texts: Vec<_> = bad.iter().take(NAMED_MAX).map(|(_, text)| text.clone()).collect();
        if let Some(more) = bad.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
            texts.push(format!("and {more} more"));
        }
        if texts.is_empty() {
            texts.push(format!("{} queues", queues.len()));
        }
        let sum = |member: &str| queues.iter().map(|queue| number(queue, member)).sum();
        let sums = self
            .counts()
            .map(|(member, what, _)| Datum::new(what, sum(member), "", Levels::default()));
        let count = Datum::new("queues", queues.len() as u64, "", Levels::default());
        Found::new(status, texts.join(", ")).with(std::iter::once(count).chain(sums))
    }
}
