//! `/api/queues/VHOST/QUEUE/why` and `/api/connections/NAME/why`: why nothing moves, with what is true of
//! each consumer. Ours.
//!
//! Stays true: who may see a queue or a connection may see this of it; of other users' connections that are
//! held back a queue tells only how many there are.

use std::sync::Arc;

use axum::extract::{Path, State};
use leveret_protocol::types::{FieldTable, FieldValue};
use serde_json::{Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, json};
use super::authorization::Visitor;
use super::clients::{channel_name, client};
use super::reasons::{Limit, Reason, Standing, Taking, of_hold, of_no_delivery, of_no_publish};
use crate::clock;
use crate::keys::ConnectionId;
use crate::outgoing::ConnectionHandle;
use crate::outgoing::pressure::{Hold, State as Held};
use crate::queue::Queue;
use crate::queue::truth::{AckTimes, ConsumerTruth};
use crate::resources;

/// Connections that are told of with what holds them back, at most.
const HELD_MAX: usize = 100;

/// `GET /api/queues/VHOST/QUEUE/why`.
pub(super) async fn of_queue(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    let queue = there.queue(&name).ok_or_else(Fault::not_found)?;
    let told = blocking(move || management.why(&visitor, &queue));
    Ok(json(&told.await?))
}

impl Management {
    fn why(&self, visitor: &Visitor, queue: &Arc<Queue>) -> Value {
        let (counts, pause, truth) = (queue.counts(), queue.paused(), queue.truth());
        let consumers = queue.consumers_truth();
        let arguments = queue.effective_arguments();
        let is_grouped = arguments.contains("x-message-group");
        let delivery = of_no_delivery(&counts, &pause, &consumers, is_grouped);
        let taking = Taking {
            over_budget: queue.is_over_budget().then(|| queue.says_it_holds_too_much()),
            refuses_beyond: refuses_beyond(queue, &arguments),
            is_gated: queue.gate().is_closed(),
            is_store_full: self.broker.messages().refuses(),
        };
        let publishing = of_no_publish(&counts, &pause, &taking, self.broker.alarms());
        let (held, held_count) = self.held_by(visitor, queue);
        let reasons = |all: &[Reason]| all.iter().map(Reason::told).collect::<Vec<_>>();
        json!({
            "name": queue.name(),
            "vhost": queue.vhost(),
            "messages_ready": counts.ready,
            "messages_unacknowledged": counts.unacked,
            "messages_delayed": counts.delayed,
            "oldest_ready_ms": truth.oldest_ready_ms,
            "oldest_unacknowledged_ms": truth.oldest_unacked_ms,
            "last_delivery_ms": truth.last_delivery_ms,
            "paused": {"consumers": pause.consumers, "publishers": pause.publishers},
            "ack_times": ack_times(&truth.consumed.ack_times),
            "consumer_timeouts": truth.consumed.timeouts,
            "is_delivering": delivery.is_empty(),
            "not_delivering_because": reasons(&delivery),
            "is_taking": publishing.is_empty(),
            "not_taking_because": reasons(&publishing),
            "publishers_held": held_count,
            "publishers_held_details": held,
            "consumers": consumers.iter().map(|one| self.consumer(one)).collect::<Vec<_>>(),
        })
    }

    fn consumer(&self, consumer: &ConsumerTruth) -> Value {
        let handle = self.broker.open_connection(ConnectionId(consumer.connection));
        let client = handle.as_deref().and_then(client);
        let name = client.map(|client| &client.name);
        json!({
            "consumer_tag": consumer.consumer_tag,
            "connection_name": name,
            "channel": client.map(|client| channel_name(client, consumer.channel)),
            "user": client.map(|client| &client.user),
            "standing": Standing::of(consumer).word(),
            "prefetch_count": consumer.prefetch_count,
            "ack_required": !consumer.no_ack,
            "priority": consumer.priority,
            "messages_unacknowledged": consumer.unacked,
            "oldest_unacknowledged_ms": consumer.oldest_unacked_ms,
            "last_delivery_ms": consumer.history.last_delivery_ms,
            "deliveries": consumer.history.deliveries,
            "acks": consumer.acks,
            "ack_times": ack_times(&consumer.history.ack_times),
        })
    }

    /// Connections that are held back because of a queue: those that the visitor may see, and how many
    /// there are.
    fn held_by(&self, visitor: &Visitor, queue: &Queue) -> (Vec<Value>, usize) {
        let now_ms = clock::unix_millis();
        let (mut seen, mut count) = (Vec::new(), 0);
        for handle in self.broker.open_connections() {
            let Some(client) = client(&handle) else { continue };
            let hold = handle.pressure().hold(now_ms);
            if hold.queue.as_deref() != Some(queue.name()) || *client.vhost != *queue.vhost() {
                continue;
            }
            count += 1;
            if seen.len() < HELD_MAX && visitor.may_see_of(&client.user).is_ok() {
                seen.push(json!({
                    "name": client.name,
                    "user": client.user,
                    "state": hold.state.name(),
                    "held_by": hold.cause.name(),
                    "since_ms": hold.since_ms,
                }));
            }
        }
        (seen, count)
    }

    /// What the alarms go by.
    fn watermarks(&self) -> Value {
        let (alarms, watermarks) = (self.broker.alarms(), self.broker.watermarks());
        json!({
            "memory": {
                "is_low": alarms.is_memory_low(),
                "used": resources::resident_bytes(),
                "limit": watermarks.memory_limit(),
            },
            "disk": {
                "is_low": alarms.is_disk_low(),
                "free": watermarks.disk_free_now(),
                "limit": watermarks.disk_free_limit(),
            },
        })
    }
}

/// How much a queue may have before it refuses, where it does.
fn refuses_beyond(queue: &Queue, arguments: &FieldTable) -> Option<(Limit, u64)> {
    let overflow = arguments.get("x-overflow").and_then(FieldValue::as_str)?;
    if !overflow.starts_with("reject-publish") || !queue.rejects_publishes() {
        return None;
    }
    let limit = |name: &str| {
        let number = arguments.get(name).and_then(FieldValue::as_integer);
        number.and_then(|number| u64::try_from(number).ok())
    };
    let messages = limit("x-max-length").map(|most| (Limit::Messages, most));
    messages.or_else(|| limit("x-max-length-bytes").map(|most| (Limit::Bytes, most)))
}

/// How long consumers took to acknowledge, in milliseconds; `below_…` is at most twice what it was.
pub(super) fn ack_times(times: &AckTimes) -> Value {
    let millis = |part| times.below(part).map(|bound| bound.as_secs_f64() * 1000.0);
    let count = times.total();
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let mean_ms = (count > 0).then(|| times.sum().as_secs_f64() * 1000.0 / count as f64);
    json!({
        "count": count,
        "mean_ms": mean_ms,
        "half_below_ms": millis(0.5),
        "most_below_ms": millis(0.99),
    })
}

/// `GET /api/connections/NAME/why`.
pub(super) async fn of_connection(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Answer {
    let handle = management.visible_connection(&visitor, &name)?;
    let told = blocking(move || management.why_held(&handle));
    Ok(json(&told.await?))
}

impl Management {
    fn why_held(&self, handle: &ConnectionHandle) -> Value {
        let client = client(handle);
        let hold = handle.pressure().hold(clock::unix_millis());
        let Hold { state, cause, queue, since_ms } = &hold;
        json!({
            "name": client.map(|client| &client.name),
            "user": client.map(|client| &client.user),
            "vhost": client.map(|client| &client.vhost),
            "state": state.name(),
            "is_held": *state != Held::Running,
            "held_by": cause.name(),
            "queue": queue,
            "since_ms": since_ms,
            "text": of_hold(&hold),
            "watermarks": self.watermarks(),
        })
    }
}
