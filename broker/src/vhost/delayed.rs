//! Messages that wait before an exchange routes them: by the header `x-delay`, which exchanges of the
//! type `x-delayed-message` heed, or by `x-opt-delivery-time`, which all do.
//!
//! They are in a queue of the vhost's own, which no client can name: made with the first such
//! exchange or message, defined like any durable queue, so that its messages come back. A publish that
//! is to wait goes there instead of along its route; when its time has come the queue lets go of it
//! (`queue::exit`), and it is routed as what is bound then says. For each exchange that delays and that a
//! message reaches through others, a copy waits that knows it (`Message::waiting_for`). Stays true: what consumers get has the
//! header `x-delay` below zero, or a time that is past, so that it waits nowhere again. As RabbitMQ's
//! delayed message exchange plugin does; the other header is announced for queues of RabbitMQ 4.4.

use std::sync::Arc;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::FieldValue;

use super::Vhost;
use super::destination::Exchange;
use super::records::TopologyChanges;
use crate::clock;
use crate::message::{DELAY, Marks, Message, waiting_marks};
use crate::queue::arguments::QueueArguments;
use crate::queue::{Queue, QueueSettings};

/// The name under which the queue is defined. Clients declare none that begins like this.
pub(super) const DELAYED_QUEUE: &str = "amq.leveret.delayed";

impl Vhost {
    /// The queue of what waits, made if there is none. Called with the topology lock held.
    pub(super) fn make_delayed_queue(&self, changes: &mut TopologyChanges) {
        if self.delayed.get().is_none() && !self.is_closed() {
            let id = self.definitions.next_queue_id();
            let queue = self.new_queue(id, DELAYED_QUEUE, settings());
            changes.queue_declared(&queue);
            self.keep_delayed_queue(queue);
        }
    }

    /// The queue of what waits, as it was defined.
    pub(super) fn keep_delayed_queue(&self, queue: Arc<Queue>) {
        // Under the topology lock, or at the start: nobody else makes one.
        let _ = self.delayed.set(queue);
    }

    /// Where a message has to wait before this exchange routes it, if it asks for that, and how it is
    /// marked there.
    pub(crate) fn waiting_place(
        &self,
        exchange: &Exchange,
        properties: &BasicProperties<'_>,
    ) -> Option<(Arc<Queue>, Marks)> {
        if !exchange.delays() && !properties.names_delivery_time {
            return None;
        }
        let marks = waiting_marks(properties, exchange.delays(), clock::unix_millis())?;
        Some((self.delayed_queue()?, marks))
    }

    /// The queue of what waits. With the first message that names a time it is made, on a full disk,
    /// too: it is one small definition, and the message may be told of before that only once it is kept.
    pub(crate) fn delayed_queue(&self) -> Option<Arc<Queue>> {
        if self.delayed.get().is_none() {
            let ordered = self.topology.lock();
            let mut changes = TopologyChanges::default();
            self.make_delayed_queue(&mut changes);
            self.propose(changes);
            drop(ordered);
        }
        self.delayed.get().map(Arc::clone)
    }

    /// Messages that wait.
    pub(crate) fn delayed_count(&self) -> usize {
        self.delayed.get().map_or(0, |queue| queue.counts().delayed)
    }
}

/// What the queue is declared with.
pub(super) fn settings() -> QueueSettings {
    let parsed = QueueArguments { delays: true, ..QueueArguments::default() };
    QueueSettings { parsed, ..QueueSettings::plain(true) }
}

/// The same message after it has waited.
pub(super) fn after_delay(message: &Message) -> Option<Message> {
    if message.is_at_time() {
        return Some(message.clone().waited());
    }
    let mut headers = message.header_table();
    let waited = message.delay_ms().and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
    headers.insert(DELAY, negated(headers.get(DELAY)?, waited));
    Some(message.with_headers(&headers)?.waited())
}

/// In the type it came in, where that has a sign.
#[expect(clippy::wildcard_enum_match_arm, reason = "all others have no sign")]
fn negated(value: &FieldValue, waited: i64) -> FieldValue {
    match value {
        FieldValue::I8(number) => FieldValue::I8(number.saturating_neg()),
        FieldValue::I16(number) => FieldValue::I16(number.saturating_neg()),
        FieldValue::I32(number) => FieldValue::I32(number.saturating_neg()),
        _ => FieldValue::I64(-waited),
    }
}
