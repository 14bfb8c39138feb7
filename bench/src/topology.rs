//! The queues, exchange and bindings of a run.
//!
//! Their names begin with one random part a run, so that runs do not meet, and everything is
//! deleted at the end.

use crate::client::session::{Session, SessionError};
use crate::load::{Exchange, Load};
use crate::message::{Publication, Template};
use leveret_protocol::types::FieldTable;

/// What a run declares.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// Empty for the default exchange.
    exchange: String,
    kind: Exchange,
    queues: Vec<String>,
    durable: bool,
    extra_bindings: u32,
}

impl Topology {
    pub(crate) fn new(load: &Load) -> Self {
        let prefix = format!("leveret.bench.{:08x}", rand::random::<u32>());
        Self {
            exchange: match load.exchange {
                Exchange::Default => String::new(),
                Exchange::Direct | Exchange::Fanout | Exchange::Topic | Exchange::Headers => {
                    prefix.clone()
                }
            },
            kind: load.exchange,
            queues: (0..load.queues).map(|queue| format!("{prefix}.{queue}")).collect(),
            durable: load.durable,
            extra_bindings: load.extra_bindings,
        }
    }

    /// One queue of this name, addressed through the default exchange.
    pub(crate) fn named(load: &Load, queue: &str) -> Self {
        Self { queues: vec![queue.to_owned()], ..Self::new(load) }
    }

    pub(crate) fn queue(&self, queue: u16) -> &str {
        self.queues.get(usize::from(queue)).map_or("", String::as_str)
    }

    pub(crate) fn declare(&self, session: &mut Session) -> Result<(), SessionError> {
        if let Some(kind) = kind_name(self.kind) {
            session.declare_exchange(&self.exchange, kind)?;
        }
        for (number, queue) in (0..).zip(&self.queues) {
            session.declare_queue(queue, self.durable)?;
            if let Some((key, arguments)) = self.binding(number) {
                session.bind(queue, &self.exchange, &key, &arguments)?;
            }
        }
        for number in 0..self.extra_bindings {
            let (key, arguments) = self.extra_binding(number);
            session.bind(self.queue(0), &self.exchange, &key, &arguments)?;
        }
        Ok(())
    }

    /// Deletes everything, going on after a failure; the first one is returned.
    pub(crate) fn delete(&self, session: &mut Session) -> Result<(), SessionError> {
        for queue in &self.queues {
            session.delete_queue(queue)?;
        }
        if self.exchange.is_empty() { Ok(()) } else { session.delete_exchange(&self.exchange) }
    }

    /// Messages ready in all queues.
    pub(crate) fn depth(&self, session: &mut Session) -> Result<u64, SessionError> {
        self.queues.iter().try_fold(0, |sum, queue| Ok(sum + session.depth(queue)?))
    }

    /// The frames of a message to `queue`.
    pub(crate) fn template(&self, load: &Load, queue: u16, frame_max: u32) -> Template {
        let (routing_key, headers) = self.address(queue);
        Publication {
            exchange: &self.exchange,
            routing_key: &routing_key,
            headers: &headers,
            persistent: load.persistent,
            size: load.size,
        }
        .template(frame_max)
    }

    /// The routing key and headers that lead to `queue`.
    fn address(&self, queue: u16) -> (String, FieldTable) {
        match self.kind {
            Exchange::Default => (self.queue(queue).to_owned(), FieldTable::default()),
            Exchange::Direct => (format!("bench.{queue}"), FieldTable::default()),
            Exchange::Fanout => (String::new(), FieldTable::default()),
            Exchange::Topic => (format!("bench.{queue}.event.created"), FieldTable::default()),
            Exchange::Headers => (String::new(), conditions(i32::from(queue))),
        }
    }

    /// The key and arguments that bind a queue.
    fn binding(&self, queue: u16) -> Option<(String, FieldTable)> {
        match self.kind {
            Exchange::Default => None,
            Exchange::Direct => Some((format!("bench.{queue}"), FieldTable::default())),
            Exchange::Fanout => Some((String::new(), FieldTable::default())),
            Exchange::Topic => Some((format!("bench.{queue}.event.*"), FieldTable::default())),
            Exchange::Headers => Some((String::new(), conditions(i32::from(queue)))),
        }
    }

    /// A binding that no message matches, but that begins as the matching ones do.
    fn extra_binding(&self, number: u32) -> (String, FieldTable) {
        let key = match (self.kind, number % 3) {
            (Exchange::Topic, 0) => format!("bench.extra{number}.event.created"),
            (Exchange::Topic, 1) => format!("*.extra{number}.event.#"),
            (Exchange::Topic, _) => format!("bench.*.extra{number}.#"),
            (Exchange::Headers, _) => {
                let number = i32::try_from(number).unwrap_or(i32::MAX);
                return (String::new(), conditions(-1 - number));
            }
            (Exchange::Default | Exchange::Direct | Exchange::Fanout, _) => {
                format!("bench.extra{number}")
            }
        };
        (key, FieldTable::default())
    }
}

/// The headers of a message and, as binding arguments, what they match.
fn conditions(number: i32) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("kind", "bench");
    table.insert("number", number);
    table
}

const fn kind_name(kind: Exchange) -> Option<&'static str> {
    match kind {
        Exchange::Default => None,
        Exchange::Direct => Some("direct"),
        Exchange::Fanout => Some("fanout"),
        Exchange::Topic => Some("topic"),
        Exchange::Headers => Some("headers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a binding leads a message on, as AMQP 0-9-1 §3.1.3 says it.
    fn leads(
        kind: Exchange,
        binding: &(String, FieldTable),
        message: &(String, FieldTable),
    ) -> bool {
        match kind {
            Exchange::Default | Exchange::Direct => binding.0 == message.0,
            Exchange::Fanout => true,
            Exchange::Topic => {
                let words = |key: &'_ str| key.split('.').map(str::to_owned).collect::<Vec<_>>();
                pattern_matches(&words(&binding.0), &words(&message.0))
            }
            Exchange::Headers => {
                binding.1.iter().all(|(name, value)| message.1.get(name) == Some(value))
            }
        }
    }

    fn pattern_matches(pattern: &[String], words: &[String]) -> bool {
        let Some((first, rest)) = pattern.split_first() else { return words.is_empty() };
        if first == "#" {
            return (0..=words.len()).any(|skipped| pattern_matches(rest, &words[skipped..]));
        }
        let Some((word, more)) = words.split_first() else { return false };
        (first == "*" || first == word) && pattern_matches(rest, more)
    }

    /// Every message reaches exactly its queue, whatever is bound besides.
    #[test]
    fn extra_bindings_match_nothing() {
        for kind in [Exchange::Direct, Exchange::Topic, Exchange::Headers] {
            let load = Load { exchange: kind, queues: 3, extra_bindings: 60, ..Load::default() };
            let topology = Topology::new(&load);
            let own = (0..3).map(|queue| (queue, topology.binding(queue).unwrap()));
            let extra = (0..60).map(|number| (99, topology.extra_binding(number)));
            let bindings: Vec<_> = own.chain(extra).collect();
            for queue in 0..3 {
                let message = topology.address(queue);
                let led = bindings.iter().filter(|(_, binding)| leads(kind, binding, &message));
                let reached: Vec<u16> = led.map(|(destination, _)| *destination).collect();
                assert_eq!(reached, [queue], "{kind:?}");
            }
        }
    }
}
