//! From an exchange and a message to queues.
//!
//! Called by `channel::publish` when its route cache has no answer. Reads the exchanges' routers
//! under their read locks, one at a time. Stays true: every queue comes out at most once, cycles of
//! exchange to exchange bindings are cut, and an alternate exchange is asked exactly when the
//! exchange itself led nowhere. See RabbitMQ's pages on exchanges, e2e bindings and alternate
//! exchanges.

use std::sync::Arc;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue};
use rustc_hash::FxHashSet;

use super::Vhost;
use super::deduplicating::{Sight, Sighting};
use super::destination::{Destination, Exchange};
use crate::exchange::ExchangeKind;
use crate::exchange::history::NO_STORE;
use crate::exchange::stable_hash;
use crate::message::{Message, asks_for_delay};
use crate::queue::Queue;

/// The parts of a message that routing may look at.
#[derive(Debug)]
pub(crate) struct Routed<'a> {
    /// The routing key, then those of the CC and BCC headers.
    pub routing_keys: &'a [&'a str],
    /// Its properties, whose headers are parsed only when a headers exchange asks.
    pub properties: &'a BasicProperties<'a>,
}

impl Routed<'_> {
    /// Whether it waits at an exchange that it reaches through others.
    pub(super) fn waits_at(&self, exchange: &Exchange) -> bool {
        exchange.delays() && asks_for_delay(self.properties)
    }
}

/// Where a message goes.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// Each queue once.
    pub queues: Vec<Arc<Queue>>,
    /// How long the same exchange and routing key give the same queues: `None` when anything else
    /// had a say, or an exchange wants to see every message.
    pub holds: Option<Holds>,
    /// The exchanges that keep the message, see `Exchange::keep`, which is up to the caller: most
    /// messages are made only once their route is known.
    pub keepers: Vec<Arc<Exchange>>,
    /// The exchanges behind the first that route it once it has waited.
    pub later: Vec<Arc<Exchange>>,
    /// What exchanges that deduplicate made of it, if there are any on its way. What went nowhere is
    /// not remembered.
    pub sighting: Option<Box<Sighting>>,
}

/// How long a route counts. Others declare, bind and delete all the time, so it depends on no more
/// than it has to.
#[derive(Clone, Debug)]
pub(crate) enum Holds {
    /// While this exchange is as it was: no other had a say.
    Exchange(Arc<Exchange>, u64),
    /// While this queue can be found by its name, by which the default exchange found it.
    Queue(Arc<Queue>),
    /// While the whole vhost is as it was.
    Vhost(u64),
}

impl Holds {
    /// Whether the route still counts. `generation` is the vhost's.
    #[inline]
    pub(crate) fn on(&self, generation: u64) -> bool {
        match self {
            Self::Exchange(exchange, found) => exchange.generation() == *found,
            Self::Queue(queue) => !queue.has_left(),
            Self::Vhost(found) => generation == *found,
        }
    }
}

impl Vhost {
    /// Where a message published to this exchange goes.
    pub(crate) fn route(
        &self,
        exchange: &Arc<Exchange>,
        message: &Routed<'_>,
        sight: Sight<'_>,
    ) -> Route {
        let holds = Holds::Exchange(Arc::clone(exchange), exchange.generation());
        let generation = self.generation();
        let mut walk = Walk::new(self, message);
        let mut reached = vec![Arc::clone(exchange)];
        let mut seen = FxHashSet::default();
        seen.insert(exchange.id());
        let mut queues = Vec::new();
        let mut found = Vec::new();
        let mut next = 0;
        while let Some(exchange) = reached.get(next).cloned() {
            next += 1;
            if !walk.passes(&exchange, sight, next == 1) {
                continue;
            }
            if next > 1 && message.waits_at(&exchange) {
                walk.later(exchange);
                continue;
            }
            walk.destinations(&exchange, &mut found);
            if found.is_empty() {
                found.extend(walk.alternate(&exchange));
            }
            for destination in found.drain(..) {
                match destination {
                    Destination::Queue(queue) => queues.push(queue),
                    Destination::Exchange(exchange) => {
                        if seen.insert(exchange.id()) {
                            reached.push(exchange);
                        }
                    }
                }
            }
        }
        if reached.len() > 1 || message.routing_keys.len() > 1 {
            let mut known = FxHashSet::default();
            queues.retain(|queue| known.insert(queue.id()));
        }
        let holds = match queues.as_slice() {
            _ if !walk.cacheable => None,
            [queue] if exchange.name().is_empty() => Some(Holds::Queue(Arc::clone(queue))),
            [] if exchange.name().is_empty() || exchange.alternate().is_some() => None,
            _ if reached.len() == 1 => Some(holds),
            _ => None,
        };
        let holds = holds.or(walk.cacheable.then_some(Holds::Vhost(generation)));
        let sighting = walk.sighting(queues.is_empty() && walk.later.is_empty());
        Route { queues, holds, keepers: walk.keepers, later: walk.later, sighting }
    }

    /// What an exchange makes of a message that has to wait before it is routed there.
    pub(crate) fn sight(
        &self,
        exchange: &Exchange,
        properties: &BasicProperties<'_>,
    ) -> Option<Box<Sighting>> {
        let deduplicator = exchange.deduplicator()?;
        Some(Sighting::by(exchange.id(), deduplicator, properties.headers))
    }

    /// Where a message goes that is made already. What an exchange on its way keeps is kept, and its
    /// way is found again: see `session::channel::catch_up`.
    pub(crate) fn route_made(
        &self,
        exchange: &Arc<Exchange>,
        message: &Message,
        routing_keys: &[&str],
        sight: Sight<'_>,
    ) -> Route {
        // They were read when it was published.
        let properties = BasicProperties::parse(message.properties()).unwrap_or_default();
        let routed = Routed { routing_keys, properties: &properties };
        let route = self.route(exchange, &routed, sight);
        if route.keepers.is_empty() {
            return route;
        }
        route.keepers.iter().for_each(|keeper| keeper.keep(message));
        let twice = route.sighting.as_ref().map_or(&[][..], |sighting| sighting.twice());
        let queues = self.route(exchange, &routed, Sight::As(twice)).queues;
        Route { queues, ..route }
    }
}

/// A message on its way from exchange to exchange.
pub(super) struct Walk<'a> {
    vhost: &'a Vhost,
    message: &'a Routed<'a>,
    headers: Option<FieldTable>,
    cacheable: bool,
    keepers: Vec<Arc<Exchange>>,
    later: Vec<Arc<Exchange>>,
    sighting: Option<Box<Sighting>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(vhost: &'a Vhost, message: &'a Routed<'a>) -> Self {
        Self {
            vhost,
            message,
            headers: None,
            cacheable: true,
            keepers: Vec::new(),
            later: Vec::new(),
            sighting: None,
        }
    }

    /// The routing keys of the message.
    pub(super) fn routing_keys(&self) -> &[&str] {
        self.message.routing_keys
    }

    /// Its headers, once an exchange has asked for them.
    pub(super) fn headers(&self) -> Option<&FieldTable> {
        self.headers.as_ref()
    }

    /// Whether an exchange has not had the message before, as far as it cares.
    fn passes(&mut self, exchange: &Exchange, sight: Sight<'_>, is_first: bool) -> bool {
        let Some(deduplicator) = exchange.deduplicator() else { return true };
        self.cacheable = false;
        let headers = self.message.properties.headers;
        let sighting = self.sighting.get_or_insert_default();
        sighting.passes((exchange.id(), deduplicator), headers, sight, is_first)
    }

    /// The message waits there.
    fn later(&mut self, exchange: Arc<Exchange>) {
        self.cacheable = false;
        self.later.push(exchange);
    }

    /// What came of that. It may come again if it went nowhere.
    fn sighting(&mut self, went_nowhere: bool) -> Option<Box<Sighting>> {
        let sighting = self.sighting.take().filter(|sighting| !sighting.is_plain())?;
        if went_nowhere {
            sighting.forget();
        }
        Some(sighting)
    }

    /// Where an exchange leads.
    pub(super) fn destinations(&mut self, exchange: &Arc<Exchange>, out: &mut Vec<Destination>) {
        if exchange.name().is_empty() {
            // The default exchange: every queue is bound to it by its name, and answers go by theirs.
            let find = |key: &&str| self.vhost.queue(key).or_else(|| self.vhost.reply_queue(key));
            let queues = self.message.routing_keys.iter().filter_map(find);
            out.extend(queues.map(Destination::Queue));
            return;
        }
        // Whether it waits is for each message to say.
        self.cacheable &= !exchange.delays();
        match exchange.kind() {
            ExchangeKind::Direct
            | ExchangeKind::Fanout
            | ExchangeKind::Topic
            | ExchangeKind::Delayed => {}
            ExchangeKind::Headers => {
                self.cacheable = false;
                self.parse_headers();
            }
            ExchangeKind::RecentHistory => {
                self.cacheable = false;
                self.note_keeper(exchange);
            }
            // One message, one destination, whatever the number of its routing keys.
            ExchangeKind::ConsistentHash => return self.by_subject(exchange, out),
            ExchangeKind::ModulusHash => {
                let hash = stable_hash::of_list(self.message.routing_keys);
                return out.extend(exchange.router().choose(hash.into()).cloned());
            }
            ExchangeKind::Random => {
                self.cacheable = false;
                return out.extend(exchange.router().choose(rand::random()).cloned());
            }
        }
        let router = exchange.router();
        for key in self.message.routing_keys {
            router.route(key, self.headers.as_ref(), out);
        }
    }

    /// Of several routing keys the one it was published with counts, as in RabbitMQ.
    fn by_subject(&mut self, exchange: &Exchange, out: &mut Vec<Destination>) {
        let hash_on = exchange.hash_on();
        self.cacheable &= hash_on.is_routing_key();
        let key = self.message.routing_keys.first().copied().unwrap_or_default();
        let hash = stable_hash::of_bytes(&hash_on.subject(key, self.message.properties));
        out.extend(exchange.router().choose(hash).cloned());
    }

    fn note_keeper(&mut self, exchange: &Arc<Exchange>) {
        let header = self.message.properties.headers.and_then(|headers| headers.get(NO_STORE));
        if header != Some(FieldValue::Bool(true)) {
            self.keepers.push(Arc::clone(exchange));
        }
    }

    fn parse_headers(&mut self) {
        if self.headers.is_none() {
            let parsed = self.message.properties.headers.and_then(|raw| raw.parse().ok());
            self.headers = Some(parsed.unwrap_or_default());
        }
    }

    /// Where it goes if an exchange leads nowhere.
    pub(super) fn alternate(&self, exchange: &Exchange) -> Option<Destination> {
        let name = exchange.alternate()?;
        self.vhost.exchange(&name).map(Destination::Exchange)
    }
}
