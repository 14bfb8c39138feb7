//! A message that nobody's connection published: management's.
//!
//! Called by `http`, which has checked it as `channel::publish` checks what clients publish. Goes the
//! same ways: exchanges that keep, deduplicate or delay see it, and the firehose is not told, since there
//! is no connection. Stays true: who asked is told once what of it is to be stored is on disk.

use std::sync::Arc;

use leveret_protocol::properties::BasicProperties;
use leveret_storage::messages::Batch;

use super::Vhost;
use super::deduplicating::{Sight, Sighting};
use super::destination::{Destination, Exchange, Missed};
use super::routing::Routed;
use super::runs::{Runs, deliver_all, note_way};
use crate::clock;
use crate::definitions::store::Durable;
use crate::message::Message;
use crate::meters::publishing::Published;
use crate::queue::{Effects, Queue};

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Injected {
    /// Some queue is on its way.
    Routed,
    /// None is.
    Unroutable,
    /// Every queue on its way is full, or its publishers are paused.
    Refused,
}

/// A message, or a copy of it, and where it goes.
pub(super) type Way = (Message, Vec<Arc<Queue>>);

impl Vhost {
    /// Publishes a message to an exchange, with all its routing keys.
    pub(crate) fn inject(
        self: &Arc<Self>,
        exchange: &Arc<Exchange>,
        message: &Message,
        routing_keys: &[&str],
    ) -> (Injected, Durable) {
        let (mut ways, sighting) = self.ways(exchange, message, routing_keys);
        let queues = ways.iter().map(|(_, queues)| queues.len()).sum();
        self.publishers.add(&Published::one(message.body().len(), queues));
        exchange.meter().add(1, queues as u64);
        if ways.is_empty() {
            return (Injected::Unroutable, Durable::now());
        }
        for (_, queues) in &mut ways {
            queues.retain(|queue| queue.paused().publishers.is_none());
        }
        self.put(ways, sighting.as_deref())
    }

    /// Where it goes, copies of it included, and what exchanges that deduplicate made of it.
    fn ways(
        self: &Arc<Self>,
        exchange: &Arc<Exchange>,
        message: &Message,
        routing_keys: &[&str],
    ) -> (Vec<Way>, Option<Box<Sighting>>) {
        let properties = BasicProperties::parse(message.properties()).unwrap_or_default();
        if let Some((place, marks)) = self.waiting_place(exchange, &properties) {
            let routed = Routed { routing_keys, properties: &properties };
            let found = self.route(exchange, &routed, Sight::As(&[]));
            // RabbitMQ says of what waits that it is routed, unless there is nowhere to by now.
            if !found.queues.is_empty() || !found.later.is_empty() {
                return (vec![(message.clone().marked(marks), vec![place])], None);
            }
        }
        let route = self.route_made(exchange, message, routing_keys, Sight::Now);
        let mut ways = Vec::new();
        for later in &route.later {
            let place = self.delayed_queue().into_iter().collect();
            ways.push((message.waiting_for(later.name()), place));
        }
        if !route.queues.is_empty() {
            ways.push((message.clone(), route.queues));
        }
        (ways, route.sighting)
    }

    /// Hands over what the destination of a new binding missed, as `channel::catch_up` does for clients.
    /// When that is on disk as well.
    pub(crate) fn catch_up(self: &Arc<Self>, missed: Option<Missed>, bound: Durable) -> Durable {
        let Some(Missed { destination, messages }) = missed else { return bound };
        for message in &messages {
            let queues = match &destination {
                Destination::Queue(queue) => vec![Arc::clone(queue)],
                Destination::Exchange(exchange) => {
                    let mut keys = message.shown_keys();
                    keys.extend(message.hidden_keys());
                    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                    self.route_made(exchange, message, &keys, Sight::Now).queues
                }
            };
            drop(self.put(vec![(message.clone(), queues)], None));
        }
        bound.and_stored(&self.messages, Some(self.messages.last()))
    }

    /// What became of it, and when it is on disk.
    fn put(&self, ways: Vec<Way>, sighting: Option<&Sighting>) -> (Injected, Durable) {
        let mut taken = false;
        let durable = self.put_each(ways, sighting, |_, is_taken| taken |= is_taken);
        (if taken { Injected::Routed } else { Injected::Refused }, durable)
    }

    /// The same of several messages in one step: `told` hears of each, by its place, whether its queue
    /// took it.
    pub(super) fn put_each(
        &self,
        ways: Vec<Way>,
        sighting: Option<&Sighting>,
        mut told: impl FnMut(usize, bool),
    ) -> Durable {
        let (mut effects, mut batch) = (Effects::default(), Batch::default());
        let (mut runs, mut taken) = (Runs::default(), false);
        let now_ms = clock::unix_millis();
        // What is in a queue of which there is no definition would be lost with it.
        let all: Vec<Arc<Queue>> = ways.iter().flat_map(|(_, queues)| queues.clone()).collect();
        for (of, (message, queues)) in ways.into_iter().enumerate() {
            let message = message.arrived_at(now_ms);
            note_way(of, &message, queues, &mut batch.publishes, &mut runs);
        }
        deliver_all(runs, &mut batch, &mut effects, |of, _, is_taken| {
            taken |= is_taken;
            told(of, is_taken);
        });
        let is_stored = !batch.publishes.is_empty();
        if let Some(sighting) = sighting {
            sighting.conclude(taken, is_stored, &mut batch);
        }
        effects.move_as_one(batch);
        effects.carry_out(&self.messages);
        let stored = is_stored.then(|| self.messages.last());
        self.defined(&all).and_stored(&self.messages, stored)
    }
}
