//! Metrics of single queues, exchanges, connections and channels: `/metrics/per-object`, and the families of
//! `/metrics/detailed` (<https://www.rabbitmq.com/docs/prometheus#detailed-endpoint>).
//!
//! Gathered by `source` for one scrape, rendered by [`render`]. Stays true: names, types and labels are
//! RabbitMQ's, save that a channel and a connection go by their names; what is not asked for is not looked
//! at.

use super::exposition::{Kind, Text};
use crate::meters::channels::ChannelCounts;
use crate::meters::octets::OctetCounts;
use crate::queue::QueueCounts;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Names of families; `None` for all.
    pub families: Option<Vec<String>>,
    /// Vhosts whose queues and exchanges are told; `None` for all.
    pub vhosts: Option<Vec<String>>,
}

/// All of them at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Objects {
    /// Queues with their vhosts, names and types.
    pub queues: Vec<QueueObject>,
    /// Vhosts and names of exchanges, with how many messages were published to them and how many
    /// bindings they have.
    pub exchanges: Vec<(String, String, u64)>,
    /// Names of connections, what went over their sockets, and their channels.
    pub connections: Vec<ConnectionObject>,
    /// Names of vhosts.
    pub vhosts: Vec<String>,
}

/// A queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct QueueObject {
    /// Its vhost.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// RabbitMQ's name for its type.
    pub kind: &'static str,
    /// What is in it and went through it.
    pub counts: QueueCounts,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ConnectionObject {
    /// Its name.
    pub name: String,
    /// What went over its socket.
    pub octets: OctetCounts,
    /// Octets that wait to be sent.
    pub unsent: u64,
    /// Its channels: numbers, what they did, what they have not settled.
    pub channels: Vec<(u16, ChannelCounts, u64)>,
}

/// A metric of some object: its name, type, help, and its value.
type Metric<T> = (&'static str, Kind, &'static str, fn(&T) -> u64);

const QUEUE_COARSE: &[Metric<QueueObject>] = &[
    ("queue_messages_ready", Kind::Gauge, "Messages that wait for a consumer.", |queue| {
        queue.counts.ready as u64
    }),
    ("queue_messages_unacked", Kind::Gauge, "Messages handed out and not settled.", |queue| {
        queue.counts.unacked as u64
    }),
    ("queue_messages", Kind::Gauge, "Messages, ready and not settled.", |queue| {
        (queue.counts.ready + queue.counts.unacked) as u64
    }),
];

const QUEUE_CONSUMERS: &[Metric<QueueObject>] =
    &[("queue_consumers", Kind::Gauge, "Consumers.", |queue| queue.counts.consumers as u64)];

const QUEUE_SIZES: &[Metric<QueueObject>] = &[
    ("queue_consumer_capacity", Kind::Gauge, "1 while messages could be delivered at once.", {
        |queue| u64::from(queue.counts.consumers > 0 && queue.counts.ready == 0)
    }),
    ("queue_consumer_utilisation", Kind::Gauge, "The same as the capacity.", {
        |queue| u64::from(queue.counts.consumers > 0 && queue.counts.ready == 0)
    }),
    ("queue_process_memory_bytes", Kind::Gauge, "Memory of its messages.", |queue| {
        queue.counts.resident_bytes as u64
    }),
    ("queue_messages_ram_bytes", Kind::Gauge, "Content that is in memory.", |queue| {
        queue.counts.resident_bytes as u64
    }),
    ("queue_messages_bytes", Kind::Gauge, "Content of all messages.", |queue| {
        queue.counts.bytes as u64
    }),
    ("queue_messages_ready_bytes", Kind::Gauge, "Content of those that are ready.", |queue| {
        queue.counts.bytes.saturating_sub(queue.counts.unacked_bytes) as u64
    }),
    ("queue_messages_unacked_bytes", Kind::Gauge, "Content of those not settled.", |queue| {
        queue.counts.unacked_bytes as u64
    }),
];

const QUEUE_DELIVERY: &[Metric<QueueObject>] = &[
    ("queue_get_ack_total", Kind::Counter, "Fetched, to be settled.", |queue| {
        queue.counts.traffic.got
    }),
    ("queue_get_total", Kind::Counter, "Fetched, and done with.", |queue| {
        queue.counts.traffic.got_no_ack
    }),
    ("queue_messages_delivered_ack_total", Kind::Counter, "Delivered, to be settled.", |queue| {
        queue.counts.traffic.delivered
    }),
    ("queue_messages_delivered_total", Kind::Counter, "Delivered, and done with.", |queue| {
        queue.counts.traffic.delivered_no_ack
    }),
    ("queue_messages_redelivered_total", Kind::Counter, "Not for the first time.", |queue| {
        queue.counts.traffic.redelivered
    }),
    ("queue_messages_acked_total", Kind::Counter, "Acknowledged.", |queue| {
        queue.counts.traffic.acknowledged
    }),
    ("queue_get_empty_total", Kind::Counter, "Fetches that found nothing.", |queue| {
        queue.counts.traffic.get_empty
    }),
    ("queue_messages_published_total", Kind::Counter, "Taken in.", |queue| {
        queue.counts.traffic.published
    }),
];

const CONNECTION_COARSE: &[Metric<ConnectionObject>] = &[
    ("connection_incoming_bytes_total", Kind::Counter, "Octets that came.", |one| {
        one.octets.received
    }),
    ("connection_outgoing_bytes_total", Kind::Counter, "Octets that went.", |one| one.octets.sent),
];

const CONNECTION: &[Metric<ConnectionObject>] = &[
    ("connection_incoming_packets_total", Kind::Counter, "Reads.", |one| one.octets.reads),
    ("connection_outgoing_packets_total", Kind::Counter, "Writes.", |one| one.octets.writes),
    ("connection_pending_packets", Kind::Gauge, "Octets that wait to be sent.", |one| one.unsent),
    ("connection_channels", Kind::Gauge, "Channels.", |one| one.channels.len() as u64),
];

type Channel = (u16, ChannelCounts, u64);

const CHANNEL: &[Metric<Channel>] =
    &[("channel_messages_unacked", Kind::Gauge, "Deliveries that are not settled.", |one| one.2)];

const CHANNEL_PUBLISHED: &[Metric<Channel>] = &[
    ("channel_messages_published_total", Kind::Counter, "Published.", |one| one.1.published),
    ("channel_messages_confirmed_total", Kind::Counter, "Confirmed.", |one| one.1.confirmed),
    ("channel_messages_unroutable_returned_total", Kind::Counter, "Returned.", |one| {
        one.1.returned
    }),
    ("channel_messages_unroutable_dropped_total", Kind::Counter, "Dropped.", |one| one.1.dropped),
];

const CHANNEL_DELIVERED: &[Metric<Channel>] = &[
    ("channel_get_ack_total", Kind::Counter, "Fetched, to be settled.", |one| one.1.delivered.got),
    ("channel_get_total", Kind::Counter, "Fetched, and done with.", |one| {
        one.1.delivered.got_no_ack
    }),
    ("channel_messages_delivered_ack_total", Kind::Counter, "Delivered, to be settled.", |one| {
        one.1.delivered.delivered
    }),
    ("channel_messages_delivered_total", Kind::Counter, "Delivered, and done with.", |one| {
        one.1.delivered.delivered_no_ack
    }),
    ("channel_messages_redelivered_total", Kind::Counter, "Not for the first time.", |one| {
        one.1.delivered.redelivered
    }),
    ("channel_messages_acked_total", Kind::Counter, "Acknowledged.", |one| one.1.acknowledged),
    ("channel_get_empty_total", Kind::Counter, "Fetches that found nothing.", |one| {
        one.1.get_empty
    }),
];

/// Families of queues.
const OF_QUEUES: [(&str, &[Metric<QueueObject>]); 4] = [
    ("queue_coarse_metrics", QUEUE_COARSE),
    ("queue_consumer_count", QUEUE_CONSUMERS),
    ("queue_metrics", QUEUE_SIZES),
    ("queue_delivery_metrics", QUEUE_DELIVERY),
];

/// Families of connections.
const OF_CONNECTIONS: [(&str, &[Metric<ConnectionObject>]); 2] =
    [("connection_coarse_metrics", CONNECTION_COARSE), ("connection_metrics", CONNECTION)];

/// Families of channels.
const OF_CHANNELS: [(&str, &[Metric<Channel>]); 3] = [
    ("channel_metrics", CHANNEL),
    ("channel_exchange_metrics", CHANNEL_PUBLISHED),
    ("channel_queue_metrics", CHANNEL_DELIVERED),
];

impl Wanted {
    /// As the query of a scrape says it: `family` and `vhost`, each as often as one likes. None is no
    /// family, and every vhost.
    pub(crate) fn of(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let all = |wanted: &str| -> Vec<String> {
            let values = pairs.clone().filter(|(name, _)| *name == wanted);
            values.map(|(_, value)| decoded(value)).collect()
        };
        let vhosts = all("vhost");
        Self { families: Some(all("family")), vhosts: (!vhosts.is_empty()).then_some(vhosts) }
    }

    /// Whether one of these families is wanted.
    pub(super) fn any_of(&self, names: &[&str]) -> bool {
        let Some(families) = &self.families else { return true };
        families.iter().any(|family| names.contains(&family.as_str()))
    }

    /// Whether this vhost is.
    pub(super) fn takes(&self, vhost: &str) -> bool {
        self.vhosts.as_ref().is_none_or(|vhosts| vhosts.iter().any(|one| one == vhost))
    }

    /// Whether it has to be known what is in queues.
    pub(super) fn has_queues(&self) -> bool {
        self.any_of(&OF_QUEUES.map(|(family, _)| family))
            || self.any_of(&["channel_queue_exchange_metrics"])
    }

    /// Whether it has to be known what connections and channels do.
    pub(super) fn has_clients(&self) -> bool {
        self.any_of(&OF_CONNECTIONS.map(|(family, _)| family))
            || self.any_of(&OF_CHANNELS.map(|(family, _)| family))
    }
}

/// A value of a query as it is meant.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                behind.get(2..).unwrap_or_default()
            }
            (first, _) => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                behind
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The lines of what is wanted; names begin with `rabbitmq_` or `rabbitmq_detailed_`.
pub(super) fn render(text: &mut Text, objects: &Objects, wanted: &Wanted) {
    let is_detailed = wanted.families.is_some();
    let prefix = if is_detailed { "rabbitmq_detailed_" } else { "rabbitmq_" };
    for (_, metrics) in OF_QUEUES.iter().filter(|(family, _)| wanted.any_of(&[family])) {
        for (name, kind, help, value) in *metrics {
            text.family(&format!("{prefix}{name}"), *kind, help, &objects.queues, |queue, text| {
                text.sample(&[("vhost", &queue.vhost), ("queue", &queue.name)], value(queue));
            });
        }
    }
    if wanted.has_queues() {
        text.family(&format!("{prefix}queue_info"), Kind::Gauge, "Queues.", &objects.queues, {
            |queue, text| {
                let labels = [("vhost", &*queue.vhost), ("queue", &*queue.name)];
                let more = [("queue_type", queue.kind), ("membership", "leader")];
                text.sample(&[labels, more].concat(), 1);
            }
        });
    }
    if wanted.any_of(&["exchange_metrics"]) {
        let (name, help) = ("exchange_messages_published_total", "Published to it.");
        let name = format!("{prefix}{name}");
        text.family(&name, Kind::Counter, help, &objects.exchanges, |exchange, text| {
            let (vhost, name, published) = exchange;
            text.sample(&[("vhost", vhost), ("exchange", name)], *published);
        });
    }
    clients(text, objects, wanted, prefix);
    if is_detailed {
        cluster(text, objects, wanted);
    }
}

fn clients(text: &mut Text, objects: &Objects, wanted: &Wanted, prefix: &str) {
    for (_, metrics) in OF_CONNECTIONS.iter().filter(|(family, _)| wanted.any_of(&[family])) {
        for (name, kind, help, value) in *metrics {
            let name = format!("{prefix}{name}");
            text.family(&name, *kind, help, &objects.connections, |connection, text| {
                text.sample(&[("connection", &connection.name)], value(connection));
            });
        }
    }
    for (_, metrics) in OF_CHANNELS.iter().filter(|(family, _)| wanted.any_of(&[family])) {
        for (name, kind, help, value) in *metrics {
            let name = format!("{prefix}{name}");
            text.family(&name, *kind, help, &objects.connections, |connection, text| {
                for channel in &connection.channels {
                    let label = format!("{} ({})", connection.name, channel.0);
                    text.sample(&[("channel", &label)], value(channel));
                }
            });
        }
    }
}

/// Families that RabbitMQ has in the detailed scrape alone, as those of its cluster.
fn cluster(text: &mut Text, objects: &Objects, wanted: &Wanted) {
    if wanted.any_of(&["vhost_status"]) {
        let (name, help) = ("rabbitmq_cluster_vhost_status", "1 while the vhost is there.");
        text.family(name, Kind::Gauge, help, &objects.vhosts, |vhost, text| {
            text.sample(&[("vhost", vhost)], 1);
        });
    }
    if wanted.any_of(&["exchange_names"]) {
        let (name, help) = ("rabbitmq_cluster_exchange_name", "Exchanges.");
        text.family(name, Kind::Gauge, help, &objects.exchanges, |(vhost, name, _), text| {
            text.sample(&[("vhost", vhost), ("exchange", name)], 1);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(query: &str) -> String {
        let wanted = Wanted::of(query);
        let queue = |name: &str| QueueObject {
            vhost: "/".to_owned(),
            name: name.to_owned(),
            kind: "rabbit_classic_queue",
            counts: QueueCounts { ready: 3, unacked: 1, ..QueueCounts::default() },
        };
        let objects = Objects {
            queues: vec![queue("a\"b"), queue("c")],
            vhosts: vec!["/".to_owned()],
            ..Objects::default()
        };
        let mut text = Text::default();
        render(&mut text, &objects, &wanted);
        text.into_string()
    }

    #[test]
    fn families_are_those_that_are_asked_for() {
        let text = rendered("family=queue_coarse_metrics&family=vhost_status&vhost=%2F");
        for line in [
            "rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"a\\\"b\"} 3",
            "rabbitmq_detailed_queue_messages{vhost=\"/\",queue=\"c\"} 4",
            "rabbitmq_detailed_queue_info{vhost=\"/\",queue=\"c\",\
             queue_type=\"rabbit_classic_queue\",membership=\"leader\"} 1",
            "rabbitmq_cluster_vhost_status{vhost=\"/\"} 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
        assert!(!text.contains("consumers"), "{text}");
        assert_eq!(rendered(""), "");
    }

    #[test]
    fn a_query_names_families_and_vhosts() {
        let wanted = Wanted::of("family=a&vhost=%2Fx+y&family=b&z");
        assert_eq!(wanted.families, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert!(wanted.takes("/x y") && !wanted.takes("/"));
        assert!(Wanted::of("family=a").takes("/"));
        assert!(Wanted::default().has_clients() && !wanted.has_queues());
    }
}
