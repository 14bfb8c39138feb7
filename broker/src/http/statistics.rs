//! How much is going on: counts and rates as RabbitMQ's management has them beside what there is.
//!
//! Called by every resource that tells of it. Stays true: what is not counted is told as zero where
//! tools need the field, and left out where they do not; nothing here touches the way of a message.

use serde_json::{Map, Value, json};

use crate::events::churn::{ChurnCounts, Turn};
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
fn moved(traffic: &Traffic) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, count) in [
        ("ack", traffic.acknowledged),
        ("deliver", traffic.delivered),
        ("deliver_get", traffic.handed_out()),
        ("deliver_no_ack", traffic.delivered_no_ack),
        ("get", traffic.got),
        ("get_empty", traffic.get_empty),
        ("get_no_ack", traffic.got_no_ack),
        ("publish", traffic.published),
        ("redeliver", traffic.redelivered),
    ] {
        counted(&mut fields, name, count);
    }
    fields
}

/// `message_stats` of a queue.
pub(super) fn of_queue(truth: &QueueTruth) -> Value {
    moved(&truth.traffic).into()
}

/// `message_stats` of everything.
pub(super) fn of_broker(traffic: &Traffic) -> Value {
    let mut fields = moved(traffic);
    for name in ["confirm", "return_unroutable"] {
        counted(&mut fields, name, 0);
    }
    fields.into()
}

/// `churn_rates`.
pub(super) fn churn(counts: &ChurnCounts) -> Map<String, Value> {
    let mut fields = Map::new();
    for (turn, name, _) in Turn::ALL {
        counted(&mut fields, name, counts.of(turn));
    }
    fields
}
