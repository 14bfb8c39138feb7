//! Exchange types: from a routing key and headers to destinations.
//!
//! Owns the bindings of one exchange and the structure that matches messages against them. Called
//! by the vhost when bindings change and by the routing of a publish. Pure and synchronous, and
//! generic over the destination: nothing here knows queues, locks or the clock.
//!
//! Invariant: the matcher holds exactly the registered bindings, and a route names each
//! destination at most once, whatever the number of bindings that lead to it (RabbitMQ enqueues a
//! message once per queue).

mod registry;

mod destinations;
mod value;

mod direct;
mod fanout;
mod topic;

mod headers;

use direct::DirectTable;
use fanout::FanoutTable;
use headers::HeadersTable;
use leveret_protocol::types::FieldTable;
use registry::Registry;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::Hash;
use topic::TopicTrie;

pub use headers::BindError;

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
}

impl ExchangeKind {
    /// Every kind, in the order RabbitMQ documents them.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Fanout, Self::Topic, Self::Headers];

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
        }
    }

    /// Whether [`Router::route`] looks at the headers; if not, the caller need not parse them.
    #[must_use]
    pub const fn needs_headers(self) -> bool {
        matches!(self, Self::Headers)
    }
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
}

impl<D: Clone + Eq + Hash> Router<D> {
    /// An exchange without bindings.
    #[must_use]
    pub fn new(kind: ExchangeKind) -> Self {
        let matcher = match kind {
            ExchangeKind::Direct => Matcher::Direct(DirectTable::default()),
            ExchangeKind::Fanout => Matcher::Fanout(FanoutTable::default()),
            ExchangeKind::Topic => Matcher::Topic(TopicTrie::default()),
            ExchangeKind::Headers => Matcher::Headers(HeadersTable::default()),
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
        if let Matcher::Headers(_) = self.matcher {
            headers::validate(&binding.arguments)?;
        }
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
    /// On a headers exchange, an `x-match` argument that is none of RabbitMQ's four modes.
    pub fn bind(&mut self, binding: Binding<D>) -> Result<bool, BindError> {
        if let Matcher::Headers(_) = self.matcher {
            headers::validate(&binding.arguments)?;
        }
        let Some(binding) = self.registry.insert(binding) else { return Ok(false) };
        self.matcher.insert(binding);
        Ok(true)
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
        }
    }
}

impl<D: Clone + Eq + Hash> Matcher<D> {
    fn insert(&mut self, binding: &Binding<D>) {
        let key = binding.routing_key.as_bytes();
        match self {
            Self::Direct(table) => table.insert(key, &binding.destination),
            Self::Fanout(table) => table.insert(&binding.destination),
            Self::Topic(trie) => trie.insert(key, &binding.destination),
            Self::Headers(table) => table.insert(&binding.arguments, &binding.destination),
        }
    }

    fn remove(&mut self, binding: &Binding<D>) {
        let key = binding.routing_key.as_bytes();
        match self {
            Self::Direct(table) => table.remove(key, &binding.destination),
            Self::Fanout(table) => table.remove(&binding.destination),
            Self::Topic(trie) => trie.remove(key, &binding.destination),
            Self::Headers(table) => table.remove(&binding.arguments, &binding.destination),
        }
    }
}

#[cfg(test)]
mod tests;
