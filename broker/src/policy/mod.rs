//! Policies: what operators say of queues and exchanges by their names, without declaring them anew.
//!
//! Pure: `vhost::policies` keeps a vhost's [`Policies`] and tells queues and exchanges what counts for
//! them, `definitions` stores them, `import` reads them from RabbitMQ's files. One policy and one
//! operator policy at most count for a queue or an exchange ([`matching`]); [`effective()`] says what
//! they make of the arguments it was declared with, and whose word every value is. Stays true: what
//! [`Policy::new`] lets through gives arguments that a queue can be declared with.
//!
//! See <https://www.rabbitmq.com/docs/policies>.

use std::fmt;

use leveret_protocol::types::{FieldTable, FieldValue};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Number;

mod term;
mod keys;
mod validation;
pub(crate) mod limits;
pub(crate) mod matching;
mod effective;

#[cfg(test)]
mod naive;

pub(crate) use effective::{Effective, Origin, definition_of, effective, effective_of_exchange};
pub(crate) use keys::{DELAYED_MESSAGE, can_set};
pub(crate) use matching::Policies;
pub(crate) use term::term;
pub(crate) use validation::{Draft, Invalid};

/// Settings by their names, in the order of the names.
pub(crate) type Definition = serde_json::Map<String, serde_json::Value>;

/// Who made a policy: operator policies limit what the others may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum PolicyKind {
    /// Anyone who may make policies.
    #[serde(rename = "policy")]
    Policy,
    /// Who operates the broker.
    #[serde(rename = "operator_policy")]
    Operator,
}

impl PolicyKind {
    /// RabbitMQ's name for it, as a component of runtime parameters.
    pub(crate) const fn component(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Operator => "operator_policy",
        }
    }
}

/// What a policy counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ApplyTo {
    /// Queues of every type.
    Queues,
    /// Classic queues.
    ClassicQueues,
    /// Quorum queues.
    QuorumQueues,
    /// Streams.
    Streams,
    /// Exchanges.
    Exchanges,
    /// Queues and exchanges.
    All,
}

impl ApplyTo {
    /// What `apply-to` calls it, if there is such a thing.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "queues" => Self::Queues,
            "classic_queues" => Self::ClassicQueues,
            "quorum_queues" => Self::QuorumQueues,
            "streams" => Self::Streams,
            "exchanges" => Self::Exchanges,
            "all" => Self::All,
            _ => return None,
        })
    }

    /// What `apply-to` calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queues => "queues",
            Self::ClassicQueues => "classic_queues",
            Self::QuorumQueues => "quorum_queues",
            Self::Streams => "streams",
            Self::Exchanges => "exchanges",
            Self::All => "all",
        }
    }
}

/// What a queue is, as far as policies tell queues apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueType {
    /// The default.
    Classic,
    /// `x-queue-type` is `quorum`.
    Quorum,
    /// `x-queue-type` is `stream`.
    Stream,
}

impl QueueType {
    /// The type of a queue that was declared with these arguments.
    pub(crate) fn of(declared: &FieldTable) -> Self {
        match declared.get("x-queue-type").and_then(FieldValue::as_str) {
            Some("quorum") => Self::Quorum,
            Some("stream") => Self::Stream,
            Some(_) | None => Self::Classic,
        }
    }
}

/// A regular expression over names, which matches anywhere in them unless it is anchored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Whether it finds itself in the name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    /// # Errors
    /// The reason, one line.
    fn try_from(text: String) -> Result<Self, String> {
        Regex::new(&text).map(Self).map_err(|error| {
            // The regex crate draws the expression over several lines first.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        })
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.as_str().to_owned()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

/// A policy or an operator policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// Whose it is.
    pub kind: PolicyKind,
    /// The vhost's name.
    pub vhost: String,
    /// Its name: one of each kind has it.
    pub name: String,
    /// Which names it counts for.
    pub pattern: Pattern,
    /// Which things of these names.
    pub apply_to: ApplyTo,
    /// Of several that match, the one with the highest counts.
    pub priority: Number,
    /// What it says.
    pub definition: Definition,
}
