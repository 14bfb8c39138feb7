//! What recent history exchanges keep: from publishers, and for whatever is bound to them later.
//!
//! Called by `channel::publish` for messages that an exchange on their way keeps, and by `queue.bind`
//! and `exchange.bind` once the binding is there. RabbitMQ's recent history exchange: a queue gets
//! what was kept, the oldest first; so do the queues that an exchange leads to (RabbitMQ gives these
//! the newest first, and breaks off the connection where there are none). Stays true:
//! - a message is kept before it is looked up where it goes, and a binding is there before it is read
//!   what was kept: what is published while something is bound may come twice, and comes;
//! - what is handed over here is in its queues before the bind is answered, and before anything the
//!   same client publishes afterwards.

use std::sync::Arc;

use leveret_protocol::properties::BasicProperties;

use super::Channel;
use crate::message::Message;
use crate::queue::Queue;
use crate::session::context::Session;
use crate::session::routes::RouteKey;
use crate::vhost::deduplicating::Sight;
use crate::vhost::destination::{Destination, Exchange, Missed};
use crate::vhost::routing::{Route, Routed};

/// A message that is to be kept once it is made.
#[derive(Debug)]
pub(super) struct Kept {
    /// By these.
    keepers: Vec<Arc<Exchange>>,
    /// Where it was published.
    exchange: Arc<Exchange>,
    /// Its routing keys of CC and BCC.
    extra_keys: Vec<String>,
}

impl Kept {
    /// `None` where no exchange keeps it.
    pub(super) fn by(
        keepers: Vec<Arc<Exchange>>,
        exchange: Arc<Exchange>,
        extra_keys: Vec<String>,
    ) -> Option<Box<Self>> {
        (!keepers.is_empty()).then(|| Box::new(Self { keepers, exchange, extra_keys }))
    }

    /// Keeps it, and then finds its way once more.
    /// Exchanges that had it before, by their numbers, have nothing more to do with it.
    pub(super) fn keep(&self, session: &mut Session, message: &Message, twice: &[u64]) -> RouteKey {
        self.keepers.iter().for_each(|keeper| keeper.keep(message));
        let routing_key = String::from_utf8_lossy(message.routing_key());
        let routing_keys = with_extra(&routing_key, &self.extra_keys);
        let properties = BasicProperties::parse(message.properties()).unwrap_or_default();
        let routed = Routed { routing_keys: &routing_keys, properties: &properties };
        let queues = session.vhost.route(&self.exchange, &routed, Sight::As(twice)).queues;
        session.await_definitions(&queues);
        session.routes.route(queues, Some(self.exchange.meter()))
    }
}

impl Channel {
    /// Hands over what the destination of a new binding missed.
    pub(super) fn catch_up(&self, session: &mut Session, missed: Option<Missed>) {
        let Some(Missed { destination, messages }) = missed else { return };
        for message in &messages {
            let Route { queues, sighting, later, .. } = match &destination {
                Destination::Queue(queue) => {
                    Route { queues: vec![Arc::clone(queue)], ..Route::default() }
                }
                Destination::Exchange(exchange) => route_behind(session, exchange, message),
            };
            for exchange in later {
                let place = session.vhost.delayed_queue().into_iter().collect::<Vec<_>>();
                self.enqueue_now(session, &place, &message.waiting_for(exchange.name()), false);
            }
            // Nobody waits to hear whether a full queue took it.
            self.enqueue_now(session, &queues, message, false);
            if let Some(sighting) = sighting {
                let is_stored = is_stored_in(message, &queues);
                sighting.conclude(true, is_stored, &mut session.effects.durable);
            }
            session.caught_up += queues.len();
        }
    }
}

/// Where a message goes that comes to this exchange again.
fn route_behind(session: &Session, exchange: &Arc<Exchange>, message: &Message) -> Route {
    let mut keys = message.shown_keys();
    keys.extend(message.hidden_keys());
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    session.vhost.route_made(exchange, message, &keys, Sight::Now)
}

/// Whether one of these queues stores a message.
pub(super) fn is_stored_in(message: &Message, queues: &[Arc<Queue>]) -> bool {
    message.is_persistent() && queues.iter().any(|queue| queue.is_stored())
}

pub(super) fn with_extra<'a>(routing_key: &'a str, extra_keys: &'a [String]) -> Vec<&'a str> {
    std::iter::once(routing_key).chain(extra_keys.iter().map(String::as_str)).collect()
}
