//! Exchange types: from a routing key and headers to destinations.
//!
//! Owns the bindings of one exchange and the structure that matches messages against them. Called
//! by the vhost when bindings change and by the routing of a publish. Pure and synchronous, and
//! generic over the destination: nothing here knows queues, locks, the clock or chance.
//!
//! Some types ask each binding whether it matches ([`Router::route`]), others choose one of them
//! ([`Router::choose`]) by a number that the caller has from [`stable_hash`] or draws.
//!
//! Invariant: the matcher holds exactly the registered bindings, and a route names each
//! destination at most once, whatever the number of bindings that lead to it (RabbitMQ enqueues a
//! message once per queue).

mod refusals;
mod registry;

mod destinations;
mod value;

mod direct;
mod fanout;
mod topic;

mod headers;

pub mod hash_on;
pub mod stable_hash;

mod listed;
mod weighted;

pub mod history;

use direct::DirectTable;
use fanout::FanoutTable;
use hash_on::HashOn;
use headers::HeadersTable;
use leveret_protocol::types::{FieldTable, FieldValue};
use listed::ListedTable;
use registry::Registry;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::hash::Hash;
use topic::TopicTrie;
use weighted::WeightedTable;

pub use refusals::{BindError, DeclareError};

/// How an exchange compares a message with its bindings; see
/// <https://www.rabbitmq.com/docs/exchanges>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExchangeKind {
    /// The routing key equals the binding key.
    Direct,
    /// Every message.
    Fanout,
    /// The routing key's words match the binding key's pattern.
    Topic,
    /// The message headers match the binding arguments.
    Headers,
    /// One destination for each key, in proportion to the weights that the binding keys are.
    #[serde(rename = "x-consistent-hash")]
    ConsistentHash,
    /// Any one destination.
    #[serde(rename = "x-random")]
    Random,
    /// One destination for each routing key, by the remainder of its hash.
    #[serde(rename = "x-modulus-hash")]
    ModulusHash,
    /// Every message, and the last ones again for whatever is bound later.
    #[serde(rename = "x-recent-history")]
    RecentHistory,
    /// As another kind, once the time has passed that a message is to wait.
    #[serde(rename = "x-delayed-message")]
    Delayed,
}

/// The argument that says as which kind an exchange routes that delays messages.
const DELAYED_TYPE: &str = "x-delayed-type";

impl ExchangeKind {
    /// Every kind, AMQP's own first.
    pub const ALL: [Self; 9] = [
        Self::Direct,
        Self::Fanout,
        Self::Topic,
        Self::Headers,
        Self::ConsistentHash,
        Self::Random,
        Self::ModulusHash,
        Self::RecentHistory,
        Self::Delayed,
    ];

    /// The kind that `exchange.declare` calls `name`, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
            Self::ConsistentHash => "x-consistent-hash",
            Self::Random => "x-random",
            Self::ModulusHash => "x-modulus-hash",
            Self::RecentHistory => "x-recent-history",
            Self::Delayed => "x-delayed-message",
        }
    }

    /// What management says of it.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Direct => "AMQP direct exchange, as per the AMQP specification",
            Self::Fanout => "AMQP fanout exchange, as per the AMQP specification",
            Self::Topic => "AMQP topic exchange, as per the AMQP specification",
            Self::Headers => "AMQP headers exchange, as per the AMQP specification",
            Self::ConsistentHash => "Consistent Hashing Exchange",
            Self::Random => "Random Exchange",
            Self::ModulusHash => "Modulus Hashing Exchange",
            Self::RecentHistory => "Recent History Exchange",
            Self::Delayed => "Delayed Message Exchange",
        }
    }

    /// The kind that an exchange of this kind routes as: its own, or, of one that delays messages,
    /// the one that its arguments name.
    #[must_use]
    pub fn routing(self, arguments: &FieldTable) -> Self {
        if self == Self::Delayed { delayed_type(arguments).unwrap_or(Self::Direct) } else { self }
    }

    /// The name as RabbitMQ's texts show it: an Erlang atom, in quotes unless it is a plain word.
    #[must_use]
    pub fn atom(self) -> Cow<'static, str> {
        let name = self.name();
        if name.contains('-') { format!("'{name}'").into() } else { name.into() }
    }

    /// Checks the arguments that an exchange of this kind reads before it is declared.
    ///
    /// # Errors
    /// What [`HashOn::of`] refuses, or a history of no length.
    pub fn validate(self, arguments: &FieldTable) -> Result<(), DeclareError> {
        match self {
            Self::ConsistentHash => HashOn::of(arguments).map(drop),
            Self::RecentHistory => history::length(arguments).map(drop),
            Self::Delayed => match delayed_type(arguments) {
                Some(kind) => kind.validate(arguments),
                None => Err(DeclareError::NoDelayedType),
            },
            Self::Direct
            | Self::Fanout
            | Self::Topic
            | Self::Headers
            | Self::Random
            | Self::ModulusHash => Ok(()),
        }
    }
}

/// What the arguments of an exchange that delays messages name: any kind but its own.
fn delayed_type(arguments: &FieldTable) -> Option<ExchangeKind> {
    let name = arguments.get(DELAYED_TYPE).and_then(FieldValue::as_str)?;
    ExchangeKind::parse(name).filter(|kind| *kind != ExchangeKind::Delayed)
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a binding leads to.
pub trait Target: Clone + Eq + Hash {
    /// Its kind and its name as bytes: the same in every run, and different from those of all other
    /// targets of an exchange. Exchanges that choose do it by these.
    fn address(&self) -> Box<[u8]>;
}

/// Numbers stand for queues where a router is tested or measured by itself.
impl Target for u32 {
    fn address(&self) -> Box<[u8]> {
        self.to_be_bytes().into()
    }
}

/// One binding of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding<D> {
    /// Where matching messages go.
    pub destination: D,
    /// The binding key.
    pub routing_key: String,
    /// The binding arguments; only a headers exchange reads them, but for every type they are part
    /// of the binding's identity.
    pub arguments: FieldTable,
}

/// The bindings of one exchange.
#[derive(Clone, Debug)]
pub struct Router<D> {
    kind: ExchangeKind,
    registry: Registry<D>,
    matcher: Matcher<D>,
}

#[derive(Clone, Debug)]
enum Matcher<D> {
    Direct(DirectTable<D>),
    Fanout(FanoutTable<D>),
    Topic(TopicTrie<D>),
    Headers(HeadersTable<D>),
    Weighted(WeightedTable<D>),
    Listed(ListedTable<D>),
}

impl<D: Target> Router<D> {
    /// An exchange without bindings.
    #[must_use]
    pub fn new(kind: ExchangeKind) -> Self {
        let matcher = match kind {
            ExchangeKind::Direct | ExchangeKind::Delayed => Matcher::Direct(DirectTable::default()),
            ExchangeKind::Fanout | ExchangeKind::RecentHistory => {
                Matcher::Fanout(FanoutTable::default())
            }
            ExchangeKind::Topic => Matcher::Topic(TopicTrie::default()),
            ExchangeKind::Headers => Matcher::Headers(HeadersTable::default()),
            ExchangeKind::ConsistentHash => Matcher::Weighted(WeightedTable::default()),
            ExchangeKind::Random | ExchangeKind::ModulusHash => {
                Matcher::Listed(ListedTable::default())
            }
        };
        Self { kind, registry: Registry::default(), matcher }
    }

    /// The exchange's type.
    #[must_use]
    pub const fn kind(&self) -> ExchangeKind {
        self.kind
    }

    /// Whether [`Router::bind`] would add a binding.
    ///
    /// # Errors
    /// As there.
    pub fn is_new(&self, binding: &Binding<D>) -> Result<bool, BindError> {
        self.validate(binding)?;
        Ok(!self.has(&binding.destination, &binding.routing_key, &binding.arguments))
    }

    /// Whether there is a binding with this destination, key and arguments.
    #[must_use]
    pub fn has(&self, destination: &D, routing_key: &str, arguments: &FieldTable) -> bool {
        self.registry.contains(destination, routing_key, arguments)
    }

    /// Adds a binding. False when there is one with the same destination, key and arguments: then
    /// nothing changes.
    ///
    /// # Errors
    /// On a headers exchange, an `x-match` argument that is none of RabbitMQ's four modes; on a
    /// consistent hash exchange, a binding key that is no weight.
    pub fn bind(&mut self, binding: Binding<D>) -> Result<bool, BindError> {
        self.validate(&binding)?;
        let Some(binding) = self.registry.insert(binding) else { return Ok(false) };
        self.matcher.insert(binding);
        Ok(true)
    }

    fn validate(&self, binding: &Binding<D>) -> Result<(), BindError> {
        match &self.matcher {
            Matcher::Headers(_) => headers::validate(&binding.arguments),
            Matcher::Weighted(_) => weighted::weight(&binding.routing_key).map(drop),
            Matcher::Direct(_) | Matcher::Fanout(_) | Matcher::Topic(_) | Matcher::Listed(_) => {
                Ok(())
            }
        }
    }

    /// Removes the binding with this destination, key and arguments, if there is one.
    pub fn unbind(
        &mut self,
        destination: &D,
        routing_key: &str,
        arguments: &FieldTable,
    ) -> Option<Binding<D>> {
        let binding = self.registry.remove(destination, routing_key, arguments)?;
        self.matcher.remove(&binding);
        Some(binding)
    }

    /// Removes every binding to `destination`. Costs by the bindings it has, not by all.
    pub fn remove_destination(&mut self, destination: &D) -> Vec<Binding<D>> {
        let removed = self.registry.remove_destination(destination);
        for binding in &removed {
            self.matcher.remove(binding);
        }
        removed
    }

    /// All bindings, those of one destination together.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding<D>> {
        self.registry.iter()
    }

    /// The bindings that lead to `destination`.
    pub fn bindings_of(&self, destination: &D) -> impl Iterator<Item = &Binding<D>> {
        self.registry.of(destination)
    }

    /// How many bindings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.registry.len()
    }

    /// Whether there is no binding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.registry.len() == 0
    }

    /// Appends the destinations of a message to `out`, each once. What `out` held is left alone.
    /// Nothing is appended by the types that choose.
    ///
    /// `headers` is the message's header table; no other type than headers looks at it, and none
    /// is as good as an empty one.
    pub fn route(
        &self,
        routing_key: impl AsRef<[u8]>,
        headers: Option<&FieldTable>,
        out: &mut Vec<D>,
    ) {
        match &self.matcher {
            Matcher::Direct(table) => table.route(routing_key.as_ref(), out),
            Matcher::Fanout(table) => table.route(out),
            Matcher::Topic(trie) => trie.route(routing_key.as_ref(), out),
            Matcher::Headers(table) => table.route(headers, out),
            Matcher::Weighted(_) | Matcher::Listed(_) => {}
        }
    }

    /// The one destination that an exchange of a type that chooses has for this number; none where
    /// nothing is bound, and for the other types.
    #[must_use]
    pub fn choose(&self, number: u64) -> Option<&D> {
        match &self.matcher {
            Matcher::Weighted(table) => table.choose(number),
            Matcher::Listed(table) => table.choose(number),
            Matcher::Direct(_) | Matcher::Fanout(_) | Matcher::Topic(_) | Matcher::Headers(_) => {
                None
            }
        }
    }
}

impl<D: Target> Matcher<D> {
    fn insert(&mut self, binding: &Binding<D>) {
        let Binding { destination, routing_key: key, arguments } = binding;
        match self {
            Self::Direct(table) => table.insert(key.as_bytes(), destination),
            Self::Fanout(table) => table.insert(destination),
            Self::Topic(trie) => trie.insert(key.as_bytes(), destination),
            Self::Headers(table) => table.insert(arguments, destination),
            Self::Weighted(table) => table.insert(key, arguments, destination),
            Self::Listed(table) => table.insert(destination),
        }
    }

    fn remove(&mut self, binding: &Binding<D>) {
        let Binding { destination, routing_key: key, arguments } = binding;
        match self {
            Self::Direct(table) => table.remove(key.as_bytes(), destination),
            Self::Fanout(table) => table.remove(destination),
            Self::Topic(trie) => trie.remove(key.as_bytes(), destination),
            Self::Headers(table) => table.remove(arguments, destination),
            Self::Weighted(table) => table.remove(key, arguments, destination),
            Self::Listed(table) => table.remove(destination),
        }
    }
}

#[cfg(test)]
mod tests;
