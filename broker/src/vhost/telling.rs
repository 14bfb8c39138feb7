//! Events to `amq.rabbitmq.event`, in the default vhost.
//!
//! Called by a task that runs for the life of the server (`broker`). Stays true: nothing is locked while an event is
//! made or routed, and whoever made it happen waits for none of this. Events are persistent, as on
//! RabbitMQ: what is in a durable queue survives.
//!
//! See <https://www.rabbitmq.com/docs/event-exchange>.

use std::sync::Arc;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::RawTable;
use leveret_storage::messages::Batch;

use super::Vhost;
use super::deduplicating::Sight;
use super::records::exchange_record;
use super::runs::{Runs, deliver, note_way};
use crate::events::definitions::exchange_created;
use crate::events::{EVENT_EXCHANGE, Event};
use crate::message::Message;
use crate::queue::Effects;

impl Vhost {
    /// Publishes what is told.
    pub(crate) fn publish_events(&self, some: &[Event]) {
        let mut effects = Effects::default();
        self.publish_some(some, &mut effects);
        effects.carry_out(&self.messages);
    }

    fn publish_some(&self, events: &[Event], effects: &mut Effects) {
        let Some(exchange) = self.exchange(EVENT_EXCHANGE) else { return };
        let (mut stored, mut runs) = (Batch::default(), Runs::default());
        for event in events {
            let Some(message) = message_of(event) else { continue };
            let queues = self.route_made(&exchange, &message, &[event.key], Sight::Now).queues;
            note_way(0, &message, queues, &mut stored.publishes, &mut runs);
        }
        for (target, run) in runs.into_values() {
            // Nobody has to know whether it was taken.
            deliver(&target, run, &mut stored, effects, |_, _| {});
        }
        effects.move_as_one(stored);
    }

    /// Tells of the exchanges that are there from the start.
    pub(crate) fn tell_of_exchanges(&self) {
        let own = std::iter::once(Arc::clone(&self.default_exchange));
        let others: Vec<_> = self.exchanges.iter().map(|entry| Arc::clone(entry.value())).collect();
        for exchange in own.chain(others) {
            self.events.tell(|| exchange_created(&exchange_record(&self.name, &exchange)));
        }
    }
}

fn message_of(event: &Event) -> Option<Message> {
    let headers = event.headers().to_bytes();
    let properties = BasicProperties {
        headers: Some(RawTable::new(&headers)),
        delivery_mode: Some(2),
        timestamp: Some(event.at_ms / 1000),
        ..BasicProperties::default()
    };
    let message = Message::without_body(EVENT_EXCHANGE, event.key, &properties)?;
    Some(message.arrived_at(event.at_ms))
}
