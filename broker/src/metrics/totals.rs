//! Sums of what queues, connections and channels do, under the names that RabbitMQ has for single ones:
//! what `/metrics` has where `/metrics/per-object` has one line each.
//!
//! Called by `metrics::render`. Stays true: sums of counts never fall; RabbitMQ's do, when a queue or a
//! channel goes.

use super::exposition::{Kind, Text};
use crate::broker::Totals;

/// All of them.
pub(super) fn render(text: &mut Text, totals: &Totals) {
    for (name, help, value) in levels(totals) {
        text.number(&format!("rabbitmq_{name}"), Kind::Gauge, help, value);
    }
    for (name, help, value) in counts(totals) {
        text.number(&format!("rabbitmq_{name}_total"), Kind::Counter, help, value);
    }
}

fn levels(totals: &Totals) -> [(&'static str, &'static str, u64); 13] {
    let messages = totals.ready + totals.unacked + totals.kept;
    let ready_bytes = totals.bytes.saturating_sub(totals.unacked_bytes);
    let confirmed = totals.published.received_confirm.saturating_sub(totals.published.confirmed);
    [
        ("queue_messages_ready", "Messages that wait for a consumer.", totals.ready),
        ("queue_messages_unacked", "Messages handed to consumers and not settled.", totals.unacked),
        ("queue_messages", "Messages, ready, not settled and dead.", messages),
        ("queue_messages_bytes", "Content of these messages.", totals.bytes),
        ("queue_messages_ready_bytes", "Content of those that are ready.", ready_bytes),
        ("queue_messages_unacked_bytes", "Content of those not settled.", totals.unacked_bytes),
        ("queue_messages_ram_bytes", "Content that is in memory.", totals.resident_bytes),
        ("queue_process_memory_bytes", "Memory of messages.", totals.resident_bytes),
        ("queue_consumers", "Consumers of queues.", totals.consumers),
        ("connection_channels", "Channels of connections.", totals.channels),
        ("channel_consumers", "Consumers of channels.", totals.consumers),
        ("channel_messages_unacked", "Deliveries that are not settled.", totals.unacked),
        ("channel_messages_unconfirmed", "Publishes that are not confirmed.", confirmed),
    ]
}

fn counts(totals: &Totals) -> [(&'static str, &'static str, u64); 23] {
    let (traffic, published) = (totals.traffic.all(), &totals.published);
    let octets = &published.octets;
    [
        ("queue_messages_published", "Taken in by queues.", traffic.published),
        ("queue_exchange_messages_published", "Put into queues.", published.routed),
        ("queue_get_ack", "Fetched, to be settled.", traffic.got),
        ("queue_get", "Fetched, and done with.", traffic.got_no_ack),
        ("queue_get_empty", "Fetches that found nothing.", traffic.get_empty),
        ("queue_messages_delivered_ack", "Delivered, to be settled.", traffic.delivered),
        ("queue_messages_delivered", "Delivered, and done with.", traffic.delivered_no_ack),
        ("queue_messages_redelivered", "Not for the first time.", traffic.redelivered),
        ("queue_messages_acked", "Acknowledged.", traffic.acknowledged),
        ("exchange_messages_published", "Published to exchanges.", published.received()),
        ("channel_get_ack", "Fetched, to be settled.", traffic.got),
        ("channel_get", "Fetched, and done with.", traffic.got_no_ack),
        ("channel_get_empty", "Fetches that found nothing.", traffic.get_empty),
        ("channel_messages_delivered_ack", "Delivered, to be settled.", traffic.delivered),
        ("channel_messages_delivered", "Delivered, and done with.", traffic.delivered_no_ack),
        ("channel_messages_redelivered", "Not for the first time.", traffic.redelivered),
        ("channel_messages_acked", "Acknowledged.", traffic.acknowledged),
        ("channel_messages_published", "Published.", published.received()),
        ("channel_messages_confirmed", "Confirmed.", published.confirmed),
        ("connection_incoming_bytes", "Octets that came.", octets.received),
        ("connection_outgoing_bytes", "Octets that went.", octets.sent),
        ("connection_incoming_packets", "Reads.", octets.reads),
        ("connection_outgoing_packets", "Writes.", octets.writes),
    ]
}
