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
    /// Routing keys of a direct exchange; key `n` leads to queue `n` modulo their number.
    keys: u16,
    durable: bool,
    extra_bindings: u32,
    /// Whether there is a queue before each, from which messages come as dead letters.
    rejects: bool,
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
            keys: load.routing_keys.unwrap_or(load.queues),
            durable: load.durable,
            extra_bindings: load.extra_bindings,
            rejects: load.reject,
        }
    }

    /// One queue of this name, addressed through the default exchange.
    pub(crate) fn named(load: &Load, queue: &str) -> Self {
        Self { queues: vec![queue.to_owned()], ..Self::new(load) }
    }

    pub(crate) fn queue(&self, queue: u16) -> &str {
        self.queues.get(usize::from(queue)).map_or("", String::as_str)
    }

    /// The queue from whose messages those of `queue` are rejected.
    pub(crate) fn queue_before(&self, queue: u16) -> String {
        format!("{}.rejected", self.queue(queue))
    }

    pub(crate) fn declare(&self, session: &mut Session) -> Result<(), SessionError> {
        if let Some(kind) = kind_name(self.kind) {
            session.declare_exchange(&self.exchange, kind)?;
        }
        for (number, queue) in (0..).zip(&self.queues) {
            session.declare_queue(queue, self.durable)?;
            if self.rejects {
                let arguments = dead_letters_to(queue);
                session.declare_queue_with(&self.queue_before(number), self.durable, &arguments)?;
            }
            for (key, arguments) in self.bindings(number) {
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
        for (number, queue) in (0..).zip(&self.queues) {
            if self.rejects {
                session.delete_queue(&self.queue_before(number))?;
            }
            session.delete_queue(queue)?;
        }
        if self.exchange.is_empty() { Ok(()) } else { session.delete_exchange(&self.exchange) }
    }

    /// Messages ready in all queues.
    pub(crate) fn depth(&self, session: &mut Session) -> Result<u64, SessionError> {
        self.queues.iter().try_fold(0, |sum, queue| Ok(sum + session.depth(queue)?))
    }

    /// The messages that `publisher` sends in turn: the place of their queue among those it
    /// addresses, and their frames. Neighbours go to different queues where they can.
    pub(crate) fn templates(
        &self,
        load: &Load,
        publisher: u16,
        frame_max: u32,
    ) -> Vec<(usize, Template)> {
        let queues = load.queues_of_publisher(publisher);
        let keys = queues
            .iter()
            .enumerate()
            .flat_map(|(place, queue)| self.keys_of(*queue).map(move |key| (key, place)));
        let mut keys: Vec<(u16, usize)> = keys.collect();
        keys.sort_unstable();
        let template = |key| {
            let (routing_key, headers) = self.address(key);
            Publication {
                exchange: &self.exchange,
                routing_key: &routing_key,
                properties: load.properties,
                headers,
                persistent: load.persistent,
                size: load.size,
            }
            .template(frame_max)
        };
        keys.into_iter().map(|(key, place)| (place, template(key))).collect()
    }

    /// The keys that lead to `queue`; all exchanges but a direct one have one for each queue.
    fn keys_of(&self, queue: u16) -> impl Iterator<Item = u16> {
        let last = if self.kind == Exchange::Direct { self.keys } else { queue + 1 };
        (queue..last).step_by(self.queues.len().max(1))
    }

    /// The routing key and headers that stand for `key`, which leads to the queue of that number
    /// or, of a direct exchange, of that number modulo the queues.
    fn address(&self, key: u16) -> (String, FieldTable) {
        match self.kind {
            Exchange::Default if self.rejects => (self.queue_before(key), FieldTable::default()),
            Exchange::Default => (self.queue(key).to_owned(), FieldTable::default()),
            Exchange::Direct => (format!("bench.{key}"), FieldTable::default()),
            Exchange::Fanout => (String::new(), FieldTable::default()),
            Exchange::Topic => (format!("bench.{key}.event.created"), FieldTable::default()),
            Exchange::Headers => (String::new(), conditions(i32::from(key))),
        }
    }

    /// The keys and arguments that bind a queue.
    fn bindings(&self, queue: u16) -> Vec<(String, FieldTable)> {
        match self.kind {
            Exchange::Default => Vec::new(),
            Exchange::Direct => self.keys_of(queue).map(|key| self.address(key)).collect(),
            Exchange::Fanout => vec![(String::new(), FieldTable::default())],
            Exchange::Topic => vec![(format!("bench.{queue}.event.*"), FieldTable::default())],
            Exchange::Headers => vec![(String::new(), conditions(i32::from(queue)))],
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

/// What a queue is declared with whose dead letters go straight to `queue`.
fn dead_letters_to(queue: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange", "");
    arguments.insert("x-dead-letter-routing-key", queue);
    arguments
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
            let own = (0..3).map(|queue| (queue, topology.bindings(queue).remove(0)));
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

    #[test]
    fn keys_are_spread_over_queues_and_publishers() {
        let load = Load {
            exchange: Exchange::Direct,
            publishers: 2,
            queues: 3,
            routing_keys: Some(8),
            ..Load::default()
        };
        let topology = Topology::new(&load);
        let keys = |queue| topology.keys_of(queue).collect::<Vec<_>>();
        assert_eq!([keys(0), keys(1), keys(2)], [vec![0, 3, 6], vec![1, 4, 7], vec![2, 5]]);
        assert_eq!(topology.bindings(2).len(), 2);
        let places = |publisher| {
            let templates = topology.templates(&load, publisher, 4096);
            templates.into_iter().map(|(place, _)| place).collect::<Vec<_>>()
        };
        assert_eq!(places(0), [0, 1, 0, 1, 0], "keys 0, 2, 3, 5 and 6");
        assert_eq!(places(1), [0, 0, 0]);
        let one_each = Topology::new(&Load { queues: 3, ..Load::default() });
        assert_eq!(one_each.keys_of(2).collect::<Vec<_>>(), [2]);
    }
}
