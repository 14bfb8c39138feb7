//! Publishes that go through exchanges that deduplicate.
//!
//! Called by `channel::publish` in place of its last step, and by a commit: what a transaction publishes
//! is new or not when it is committed. Stays true: what came twice is confirmed like any other, once
//! what it repeats is on disk, and is not returned; a key is stored with its message, see
//! `vhost::deduplicating`.

use std::sync::Arc;

use leveret_protocol::properties::BasicProperties;
use leveret_storage::messages::Batch;

use super::Channel;
use super::catch_up::{is_stored_in, with_extra};
use crate::error::AmqpError;
use crate::message::Message;
use crate::queue::Queue;
use crate::session::context::Session;
use crate::session::routes::RouteKey;
use crate::vhost::deduplicating::{Sight, Sighting};
use crate::vhost::destination::Exchange;
use crate::vhost::routing::Routed;

/// What exchanges made of a message, and how they are asked again.
#[derive(Debug)]
pub(super) struct Sighted {
    pub(super) sighting: Box<Sighting>,
    /// Where it was published.
    pub(super) exchange: Arc<Exchange>,
    /// Its routing keys of CC and BCC.
    pub(super) extra_keys: Vec<String>,
    /// Where it waits before it is routed.
    pub(super) place: Option<Arc<Queue>>,
}

impl Sighted {
    /// Asks the exchanges, which were not asked when it was published: where it goes.
    fn again(&mut self, session: &Session, message: &Message) -> Vec<Arc<Queue>> {
        let properties = BasicProperties::parse(message.properties()).unwrap_or_default();
        if let Some(place) = self.place.take() {
            self.sighting = session.vhost.sight(&self.exchange, &properties).unwrap_or_default();
            return if self.sighting.is_twice() { Vec::new() } else { vec![place] };
        }
        let routing_key = String::from_utf8_lossy(message.routing_key());
        let routing_keys = with_extra(&routing_key, &self.extra_keys);
        let routed = Routed { routing_keys: &routing_keys, properties: &properties };
        let route = session.vhost.route(&self.exchange, &routed, Sight::Now);
        self.sighting = route.sighting.unwrap_or_default();
        route.queues
    }
}

impl Channel {
    /// The last step of a publish.
    pub(super) fn enqueue_sighted(
        &mut self,
        session: &mut Session,
        route: RouteKey,
        message: Message,
        sighted: Box<Sighted>,
    ) -> Result<(), AmqpError> {
        let mandatory = self.assembly.mandatory;
        if let Some(transaction) = &mut self.transaction {
            let queues = session.routes.queues(route);
            transaction.publish(queues, message, mandatory)?;
            if sighted.sighting.is_open() {
                transaction.ask_at_commit(sighted);
            }
            return Ok(());
        }
        let sighting = sighted.sighting;
        if sighting.is_twice() && session.routes.is_empty(route) {
            if let Some(confirms) = &mut self.confirms {
                confirms.published();
                session.note_confirms(self.number);
                session.meter.received_confirm.add(1);
                if sighting.is_stored() && message.is_persistent() {
                    session.effects.await_what_is_stored();
                }
            }
            return Ok(());
        }
        let is_stored = session.routes.is_stored(route, &message);
        let taken = self.enqueue(session, route, message)?;
        let mut keys = Batch::default();
        sighting.conclude(taken, is_stored, &mut keys);
        session.effects.durable.settled.append(&mut keys.settled);
        let stored = match session.routes.is_dirty() {
            // Behind the message, which has not been handed over.
            true => session.routes.stored(),
            false => &mut session.effects.durable.publishes,
        };
        stored.append(&mut keys.publishes);
        Ok(())
    }

    /// A message of a committed transaction. False when a queue that is full refused it.
    pub(super) fn enqueue_sighted_now(
        &self,
        session: &mut Session,
        mut sighted: Sighted,
        message: &Message,
        mandatory: bool,
    ) -> bool {
        let queues = sighted.again(session, message);
        if sighted.sighting.is_twice() && queues.is_empty() {
            return true;
        }
        let taken = self.enqueue_now(session, &queues, message, mandatory);
        let is_stored = is_stored_in(message, &queues);
        sighted.sighting.conclude(taken, is_stored, &mut session.effects.durable);
        taken
    }
}
