//! How much is going on: counts and rates as RabbitMQ's management has them beside what there is.
//!
//! Called by every resource that tells of it. Stays true: what is not counted is told as zero where
//! tools need the field, and left out where they do not; nothing here touches the way of a message.

use serde_json::{Map, Value, json};

use crate::events::churn::{ChurnCounts, Turn};
use crate::meters::channels::ChannelCounts;
use crate::meters::publishing::{ExchangeMeter, Published};
use crate::queue::Queue;
use crate::queue::traffic::{Traffic, TrafficByType};
use crate::queue::truth::QueueTruth;

/// A count with the rate that belongs to it: `name` and `name_details`.
pub(super) fn counted(fields: &mut Map<String, Value>, name: &str, count: u64) {
    fields.insert(name.to_owned(), count.into());
    fields.insert(format!("{name}_details"), json!({"rate": 0.0}));
}

/// Messages of some queues together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueueTotals {
    pub ready: u64,
    pub unacked: u64,
    pub queues: u64,
    pub consumers: u64,
    /// What went through them.
    pub traffic: TrafficByType,
    /// What clients published.
    pub published: Published,
}

impl QueueTotals {
    /// One more queue.
    pub(super) fn add(&mut self, queue: &Queue) {
        let counts = queue.counts();
        // What waits for its time is in the queue, and neither ready nor handed out.
        self.ready += counts.ready as u64;
        self.unacked += counts.unacked as u64;
        self.queues += 1;
        self.consumers += counts.consumers as u64;
        self.traffic.add(queue.is_quorum(), &counts.traffic);
    }

    /// The fields of `queue_totals`, and of a vhost.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        counted(&mut fields, "messages", self.ready + self.unacked);
        counted(&mut fields, "messages_ready", self.ready);
        counted(&mut fields, "messages_unacknowledged", self.unacked);
        fields
    }
}

/// What went through queues, as `message_stats` has it.
fn consumed(traffic: &Traffic) -> [(&'static str, u64); 8] {
    [
        ("ack", traffic.acknowledged),
        ("deliver", traffic.delivered),
        ("deliver_get", traffic.handed_out()),
        ("deliver_no_ack", traffic.delivered_no_ack),
        ("get", traffic.got),
        ("get_empty", traffic.get_empty),
        ("get_no_ack", traffic.got_no_ack),
        ("redeliver", traffic.redelivered),
    ]
}

fn all_counted(counts: impl IntoIterator<Item = (&'static str, u64)>) -> Map<String, Value> {
    let mut fields = Map::new();
    counts.into_iter().for_each(|(name, count)| counted(&mut fields, name, count));
    fields
}

/// `message_stats` of a queue.
pub(super) fn of_queue(truth: &QueueTruth) -> Value {
    let published = [("publish", truth.traffic.published)];
    all_counted(consumed(&truth.traffic).into_iter().chain(published)).into()
}

/// `message_stats` of everything, or of a vhost: what clients published, and what queues did with it.
pub(super) fn of_all(published: &Published, traffic: &Traffic) -> Value {
    let published = [
        ("confirm", published.confirmed),
        ("drop_unroutable", published.dropped),
        ("publish", published.received()),
        ("return_unroutable", published.returned),
    ];
    all_counted(consumed(traffic).into_iter().chain(published)).into()
}

/// `message_stats` of an exchange.
pub(super) fn of_exchange(meter: &ExchangeMeter) -> Value {
    let (published, routed) = meter.counts();
    all_counted([("publish_in", published), ("publish_out", routed)]).into()
}

/// `message_stats` of a channel.
pub(super) fn of_channel(counts: &ChannelCounts) -> Value {
    let delivered = &counts.delivered;
    all_counted([
        ("ack", counts.acknowledged),
        ("confirm", counts.confirmed),
        ("deliver", delivered.delivered),
        ("deliver_get", delivered.all()),
        ("deliver_no_ack", delivered.delivered_no_ack),
        ("drop_unroutable", counts.dropped),
        ("get", delivered.got),
        ("get_empty", counts.get_empty),
        ("get_no_ack", delivered.got_no_ack),
        ("publish", counts.published),
        ("redeliver", delivered.redelivered),
        ("return_unroutable", counts.returned),
    ])
    .into()
}

/// `churn_rates`.
pub(super) fn churn(counts: &ChurnCounts) -> Map<String, Value> {
    let mut fields = Map::new();
    for (turn, name, _) in Turn::ALL {
        counted(&mut fields, name, counts.of(turn));
    }
    fields
}
