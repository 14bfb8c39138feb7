//! What operators watch, as Prometheus reads it.
//!
//! `server` starts it when `prometheus.tcp.port` is set. A scrape takes a [`Snapshot`] of the broker
//! and [`render`] turns it into text; nothing is counted here and nothing is kept between scrapes,
//! so that a broker nobody watches pays nothing. Names are those of RabbitMQ's rabbitmq_prometheus
//! where it has the metric (<https://www.rabbitmq.com/docs/prometheus>), so that its dashboards work;
//! what only this broker has begins with `leveret_`.
//!
//! ```text
//!   GET /metrics ─► listener ─► source ─► Snapshot ─► render ─► text
//! ```
//!
//! `totals` has the sums, `objects` the metrics of single queues, connections and channels, which only the
//! other endpoints have.

mod listener;
mod source;

mod objects;
mod totals;

mod exposition;

pub(crate) use listener::{CONTENT, serve};
pub(crate) use objects::{Objects, Wanted};
pub(crate) use source::Source;

use std::time::Duration;

use leveret_storage::messages::{FSYNC_BUCKETS_MICROS, Health, MessageStore, Statistics};

use crate::auth::Attempts;
use crate::broker::Totals;
use crate::broker::incidents::IncidentCounts;
use crate::clock;
use crate::events::churn::{ChurnCounts, Turn};
use crate::meters::publishing::Published;
use crate::names;
use crate::queue::death_counts::{CAUSES, DeathCounts, DeathsByType};
use crate::queue::deaths::Reason;
use crate::queue::traffic::{Traffic, TrafficByType};
use crate::queue::truth::AckTimes;
use exposition::{Kind, Text};

/// The broker at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snapshot {
    /// The name told to clients.
    pub cluster_name: String,
    /// The version of the broker whose behaviour clients meet.
    pub version: String,
    /// What single objects do, where that is asked for.
    pub objects: Option<(Wanted, Objects)>,
    /// Which endpoint was asked.
    pub endpoint: Endpoint,
    /// What the operating system says.
    pub process: ProcessState,
    /// How near the alarms are.
    pub resources: Resources,
    /// What there is in all vhosts together.
    pub totals: Totals,
    /// Stored messages.
    pub store: StoreState,
}

/// What can be asked for, as RabbitMQ names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Sums of all objects.
    #[default]
    Aggregated,
    /// Single objects beside what there is one of.
    PerObject,
    /// Families of single objects.
    Detailed,
    /// What memory is used for.
    MemoryBreakdown,
}

impl Endpoint {
    fn name(self) -> &'static str {
        match self {
            Self::Aggregated => "aggregated",
            Self::PerObject => "per-object",
            Self::Detailed => "detailed",
            Self::MemoryBreakdown => "memory-breakdown",
        }
    }
}

/// The broker as a process; what cannot be known is left out of the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ProcessState {
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors, sockets among them.
    pub open_fds: Option<u64>,
    /// How many there may be.
    pub max_fds: Option<u64>,
    /// User and system time spent.
    pub cpu: Option<Duration>,
    /// When it started, since the Unix epoch.
    pub started: Duration,
}

/// What the alarms watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// Bytes of memory above which publishers wait; `None` for never.
    pub memory_limit: Option<u64>,
    /// Bytes free on the disk of the data directory.
    pub disk_free: Option<u64>,
    /// Bytes free below which publishers wait.
    pub disk_free_limit: u64,
    /// Whether publishers wait for memory.
    pub is_memory_low: bool,
    /// Whether publishers wait for disk space.
    pub is_disk_low: bool,
}

/// A message store at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoreState {
    /// What it holds and has done.
    pub statistics: Statistics,
    /// Appends that are not yet durable.
    pub durable_lag: u64,
    /// Whether it waits for disk space.
    pub is_full: bool,
    /// Whether it writes nothing more.
    pub has_failed: bool,
}

impl StoreState {
    /// As it is now.
    pub(crate) fn of(store: &dyn MessageStore) -> Self {
        let durable = store.progress().durable();
        // Appending nothing tells how much was appended before.
        let appended = store.append(&mut leveret_storage::messages::Batch::default());
        let health = store.progress().health();
        Self {
            statistics: store.statistics(),
            durable_lag: appended.0.saturating_sub(durable.0),
            is_full: health.is_full(),
            has_failed: matches!(health, Health::Failed(_)),
        }
    }
}

/// The text of a snapshot, in Prometheus' format 0.0.4.
#[must_use]
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let mut text = Text::default();
    identity(&mut text, snapshot);
    if let Some((wanted, objects)) = &snapshot.objects {
        objects::render(&mut text, objects, wanted);
    }
    match snapshot.endpoint {
        Endpoint::Detailed => return text.into_string(),
        Endpoint::MemoryBreakdown => {
            memory(&mut text, snapshot);
            return text.into_string();
        }
        Endpoint::PerObject => {}
        Endpoint::Aggregated => totals::render(&mut text, &snapshot.totals),
    }
    process(&mut text, snapshot);
    resources(&mut text, &snapshot.resources);
    totals(&mut text, &snapshot.totals);
    incidents(&mut text, snapshot.totals.incidents);
    churn(&mut text, &snapshot.totals.churn);
    published(&mut text, &snapshot.totals.published);
    traffic(&mut text, &snapshot.totals.traffic);
    deaths(&mut text, &snapshot.totals.deaths);
    consumers(&mut text, &snapshot.totals);
    logins(&mut text, snapshot.totals.logins);
    stored(&mut text, &snapshot.store);
    text.into_string()
}

fn identity(text: &mut Text, snapshot: &Snapshot) {
    let (cluster, version) = (&*snapshot.cluster_name, &*snapshot.version);
    text.info(
        "rabbitmq_identity_info",
        "The names of this node and its cluster.",
        &[
            ("rabbitmq_node", names::node()),
            ("rabbitmq_cluster", cluster),
            ("rabbitmq_cluster_permanent_id", cluster),
            ("rabbitmq_endpoint", snapshot.endpoint.name()),
        ],
    );
    text.info(
        "rabbitmq_build_info",
        "The version of the broker whose behaviour clients meet.",
        &[
            ("rabbitmq_version", version),
            ("prometheus_plugin_version", version),
            ("prometheus_client_version", env!("CARGO_PKG_VERSION")),
            ("erlang_version", "n/a"),
            ("product_name", "RabbitMQ"),
            ("product_version", version),
        ],
    );
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    text.info("leveret_build_info", "The version of this broker.", &version);
}

/// What of the memory is known by its use: the content of messages; the rest is the broker itself.
fn memory(text: &mut Text, snapshot: &Snapshot) {
    let resident = snapshot.process.resident_bytes.unwrap_or_default();
    let messages = snapshot.totals.resident_bytes;
    for (name, help, bytes) in [
        ("rabbitmq_memory_binary_heap_bytes", "Content of messages in memory.", messages),
        (
            "rabbitmq_memory_other_system_bytes",
            "Memory that is used for anything else.",
            resident.saturating_sub(messages),
        ),
    ] {
        text.number(name, Kind::Gauge, help, bytes);
    }
}

/// Under the names of Prometheus' own client libraries, and under RabbitMQ's.
fn process(text: &mut Text, snapshot: &Snapshot) {
    let process = &snapshot.process;
    let gauges = [
        ("process_resident_memory_bytes", "Resident memory.", process.resident_bytes),
        ("process_open_fds", "Open file descriptors.", process.open_fds),
        ("process_max_fds", "Most open file descriptors.", process.max_fds),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            text.number(name, Kind::Gauge, help, value);
            text.number(&format!("rabbitmq_{name}"), Kind::Gauge, help, value);
        }
    }
    if let Some(cpu) = process.cpu {
        let help = "User and system time spent.";
        text.seconds("process_cpu_seconds_total", Kind::Counter, help, cpu);
    }
    let up = Duration::from_millis(clock::unix_millis()).saturating_sub(process.started);
    let help = "How long the broker has been up.";
    text.seconds("rabbitmq_erlang_uptime_seconds", Kind::Gauge, help, up);
    let taken = process.open_fds.zip(process.max_fds).is_some_and(|(open, max)| open >= max);
    let help = "1 while there are no file descriptors left.";
    let name = "rabbitmq_alarms_file_descriptor_limit";
    text.number(name, Kind::Gauge, help, u64::from(taken));
    let help = "Start of the process, since the Unix epoch.";
    text.seconds("process_start_time_seconds", Kind::Gauge, help, process.started);
}

fn resources(text: &mut Text, resources: &Resources) {
    if let Some(limit) = resources.memory_limit {
        let help = "Resident memory above which publishers are blocked.";
        text.number("rabbitmq_resident_memory_limit_bytes", Kind::Gauge, help, limit);
    }
    if let Some(free) = resources.disk_free {
        let help = "Free space on the disk of the data directory.";
        text.number("rabbitmq_disk_space_available_bytes", Kind::Gauge, help, free);
    }
    let limit = resources.disk_free_limit;
    let help = "Free disk space below which publishers are blocked.";
    text.number("rabbitmq_disk_space_available_limit_bytes", Kind::Gauge, help, limit);
    let help = "1 while publishers are blocked for want of memory.";
    let low = u64::from(resources.is_memory_low);
    text.number("rabbitmq_alarms_memory_used_watermark", Kind::Gauge, help, low);
    let help = "1 while publishers are blocked for want of disk space.";
    let low = u64::from(resources.is_disk_low);
    text.number("rabbitmq_alarms_free_disk_space_watermark", Kind::Gauge, help, low);
}

fn totals(text: &mut Text, totals: &Totals) {
    for (name, help, value) in [
        ("rabbitmq_connections", "Open connections.", totals.connections),
        ("rabbitmq_channels", "Channels.", totals.channels),
        ("rabbitmq_consumers", "Consumers.", totals.consumers),
        ("rabbitmq_queues", "Queues.", totals.queues),
        ("leveret_dead_letters_kept", "Dead letters that nobody took yet.", totals.kept),
        (
            "leveret_messages_delayed",
            "Messages that wait for the time when they are routed.",
            totals.delayed,
        ),
        ("rabbitmq_unreachable_cluster_peers_count", "There are no others.", 0),
    ] {
        text.number(name, Kind::Gauge, help, value);
    }
    let help = "Consumers.";
    let name = "rabbitmq_global_consumers";
    text.labelled(name, Kind::Gauge, help, &[PROTOCOL], totals.consumers);
    let held = totals
        .holds
        .each()
        .map(|(state, cause, count)| ([("state", state.name()), ("cause", cause.name())], count));
    let help = "Open connections by what holds them back.";
    text.samples("leveret_connections", Kind::Gauge, help, &held.collect::<Vec<_>>());
}

fn incidents(text: &mut Text, counts: IncidentCounts) {
    for (name, help, value) in [
        (
            "leveret_connection_panics_total",
            "Connections that ended in a fault of the broker.",
            counts.panics,
        ),
        (
            "leveret_handshakes_evicted_total",
            "Connections that were not open yet and had to make room.",
            counts.made_room,
        ),
        (
            "leveret_connection_send_timeouts_total",
            "Connections closed because their clients did not read.",
            counts.unread,
        ),
    ] {
        text.number(name, Kind::Counter, help, value);
    }
}

fn churn(text: &mut Text, counts: &ChurnCounts) {
    for (turn, _, name) in Turn::ALL {
        let (what, happened) = name.split_once('_').unwrap_or((name, ""));
        let help = format!("How many {what} were {happened} since the broker started.");
        text.number(&format!("rabbitmq_{name}_total"), Kind::Counter, &help, counts.of(turn));
    }
}

/// RabbitMQ's names, and the label of AMQP 0-9-1.
fn published(text: &mut Text, published: &Published) {
    for (name, help, value) in [
        ("received", "Messages received.", published.received()),
        (
            "received_confirm",
            "Messages received on channels that confirm.",
            published.received_confirm,
        ),
        ("routed", "Messages put into queues, once for each.", published.routed),
        ("unroutable_dropped", "Messages dropped for want of a queue.", published.dropped),
        ("unroutable_returned", "Messages returned for want of a queue.", published.returned),
        ("confirmed", "Messages confirmed.", published.confirmed),
    ] {
        let name = format!("rabbitmq_global_messages_{name}_total");
        text.labelled(&name, Kind::Counter, help, &[PROTOCOL], value);
    }
    let help = "Channels that published something.";
    let name = "rabbitmq_global_publishers";
    text.labelled(name, Kind::Gauge, help, &[PROTOCOL], published.publishers);
    text.sizes("rabbitmq_message_size_bytes", "Size of messages received.", PROTOCOL, published);
}

const PROTOCOL: (&str, &str) = ("protocol", "amqp091");

/// RabbitMQ's names and labels; what it counts for every protocol is AMQP 0-9-1 here.
fn traffic(text: &mut Text, traffic: &TrafficByType) {
    let figures = moved(&traffic.classic).into_iter().zip(moved(&traffic.quorum));
    for ((name, help, classic), (.., quorum)) in figures {
        let types = [("rabbit_classic_queue", classic), ("rabbit_quorum_queue", quorum)];
        let samples = types.map(|(queue_type, count)| {
            ([("protocol", "amqp091"), ("queue_type", queue_type)], count)
        });
        let name = format!("rabbitmq_global_messages_{name}_total");
        text.samples(&name, Kind::Counter, help, &samples);
    }
}

fn moved(traffic: &Traffic) -> [(&'static str, &'static str, u64); 8] {
    [
        ("delivered", "Messages handed to consumers or fetched.", traffic.handed_out()),
        (
            "delivered_consume_auto_ack",
            "Messages handed to consumers that do not settle them.",
            traffic.delivered_no_ack,
        ),
        (
            "delivered_consume_manual_ack",
            "Messages handed to consumers that settle them.",
            traffic.delivered,
        ),
        ("delivered_get_auto_ack", "Messages fetched and done with.", traffic.got_no_ack),
        ("delivered_get_manual_ack", "Messages fetched, to be settled.", traffic.got),
        ("get_empty", "Fetches from empty queues.", traffic.get_empty),
        ("redelivered", "Messages handed out not for the first time.", traffic.redelivered),
        ("acknowledged", "Messages acknowledged.", traffic.acknowledged),
    ]
}

/// RabbitMQ's names and labels: `disabled` is a queue without dead letters.
fn deaths(text: &mut Text, deaths: &DeathsByType) {
    let types = [("rabbit_classic_queue", deaths.classic), ("rabbit_quorum_queue", deaths.quorum)];
    for cause in CAUSES {
        let (cause_name, what) = match cause {
            Reason::Expired => ("expired", "their time was up"),
            Reason::Rejected => ("rejected", "a consumer rejected them"),
            Reason::DeliveryLimit => ("delivery_limit", "they failed too often"),
            Reason::MaxLength | Reason::Due => ("maxlen", "their queue was full"),
        };
        let name = format!("rabbitmq_global_messages_dead_lettered_{cause_name}_total");
        let of =
            |counts: DeathCounts| counts.each().find(|(by, _)| *by == cause).map_or(0, |n| n.1);
        let mut samples = Vec::new();
        for (queue_type, counts) in types {
            for (strategy, counts) in [
                ("at_most_once", counts.at_most_once),
                ("at_least_once", counts.at_least_once),
                ("disabled", counts.dropped),
            ] {
                let labels = [("queue_type", queue_type), ("dead_letter_strategy", strategy)];
                samples.push((labels, of(counts)));
            }
        }
        let help = format!("Messages that left their queue because {what}.");
        text.samples(&name, Kind::Counter, &help, &samples);
    }
}

/// How long messages wait, and consumers take.
fn consumers(text: &mut Text, totals: &Totals) {
    let Totals { ages, consumed, .. } = totals;
    for (name, help, age_ms) in [
        (
            "leveret_queue_oldest_ready_seconds_max",
            "Age of the oldest message that waits for a consumer.",
            ages.ready_ms,
        ),
        (
            "leveret_queue_oldest_unacked_seconds_max",
            "Age of the oldest delivery that is not settled.",
            ages.unacked_ms,
        ),
    ] {
        text.seconds(name, Kind::Gauge, help, Duration::from_millis(age_ms));
    }
    text.histogram(
        "leveret_consumer_ack_seconds",
        "How long consumers took from a delivery to its acknowledgement.",
        &AckTimes::bounds().collect::<Vec<_>>(),
        consumed.ack_times.counts(),
        consumed.ack_times.sum(),
    );
    let help = "Consumers that did not settle a delivery in time.";
    text.number("leveret_consumer_timeouts_total", Kind::Counter, help, consumed.timeouts);
}

fn logins(text: &mut Text, logins: Attempts) {
    let attempts = logins.succeeded + logins.failed;
    for (name, help, value) in [
        ("rabbitmq_auth_attempts_total", "Logins.", attempts),
        ("rabbitmq_auth_attempts_succeeded_total", "Logins that got in.", logins.succeeded),
        ("rabbitmq_auth_attempts_failed_total", "Logins that did not.", logins.failed),
        (
            "leveret_auth_attempts_slowed_total",
            "Logins that had to wait, because others had failed before.",
            logins.slowed,
        ),
    ] {
        text.number(name, Kind::Counter, help, value);
    }
}

/// The store under RabbitMQ's names.
fn io(text: &mut Text, statistics: &Statistics) {
    for (name, help, value) in [
        ("rabbitmq_io_sync_ops_total", "Fsyncs.", statistics.fsync_counts.iter().sum()),
        ("rabbitmq_io_write_bytes_total", "Bytes written to files.", statistics.written_bytes),
        (
            "rabbitmq_msg_store_write_total",
            "Messages given to the store.",
            statistics.appended_messages,
        ),
    ] {
        text.number(name, Kind::Counter, help, value);
    }
    let (help, time) = ("Time that fsyncs took.", Duration::from_micros(statistics.fsync_micros));
    text.seconds("rabbitmq_io_sync_time_seconds_total", Kind::Counter, help, time);
}

fn stored(text: &mut Text, store: &StoreState) {
    let statistics = &store.statistics;
    for (name, help, value) in [
        ("leveret_store_segments", "Files of stored messages.", statistics.segments),
        ("leveret_store_disk_bytes", "Bytes of these files.", statistics.disk_bytes),
        ("leveret_store_live_bytes", "Bytes of messages not settled.", statistics.live_bytes),
        (
            "leveret_store_live_messages",
            "Messages not settled, once per queue.",
            statistics.live_messages,
        ),
        ("leveret_store_pending_bytes", "Bytes that wait to be written.", statistics.pending_bytes),
        ("leveret_store_durable_lag", "Appends that are not yet durable.", store.durable_lag),
        ("leveret_store_full", "1 while it waits for disk space.", u64::from(store.is_full)),
        ("leveret_store_failed", "1 when it writes nothing more.", u64::from(store.has_failed)),
    ] {
        text.number(name, Kind::Gauge, help, value);
    }
    for (name, help, value) in [
        (
            "leveret_store_appended_messages_total",
            "Messages given to the store.",
            statistics.appended_messages,
        ),
        (
            "leveret_store_appended_bytes_total",
            "Content of these messages.",
            statistics.appended_bytes,
        ),
        (
            "leveret_store_elided_messages_total",
            "Messages settled before they were written.",
            statistics.elided_messages,
        ),
        (
            "leveret_store_written_bytes_total",
            "Bytes written to files, compaction included.",
            statistics.written_bytes,
        ),
        (
            "leveret_store_compacted_bytes_total",
            "Bytes written by compaction.",
            statistics.compacted_bytes,
        ),
    ] {
        text.number(name, Kind::Counter, help, value);
    }
    io(text, statistics);
    let reclaimable = statistics.disk_bytes.saturating_sub(statistics.live_bytes);
    let help = "Bytes of these files that compaction could give back.";
    text.number("leveret_store_reclaimable_bytes", Kind::Gauge, help, reclaimable);
    text.histogram(
        "leveret_store_fsync_duration_seconds",
        "How long fsyncs took.",
        FSYNC_BUCKETS_MICROS.map(Duration::from_micros).as_slice(),
        &statistics.fsync_counts,
        Duration::from_micros(statistics.fsync_micros),
    );
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use leveret_storage::StorageError;
    use leveret_storage::messages::{Batch, Progress, ReadBack, Ticket};

    use super::*;
    use crate::events::churn::Churn;
    use crate::queue::truth::{Ages, Consumed};

    fn lines<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
        text.lines().filter(|line| line.starts_with(name)).collect()
    }

    #[test]
    fn an_empty_broker_has_all_that_is_known() {
        let text = render(&Snapshot::default());
        assert_eq!(lines(&text, "rabbitmq_connections "), ["rabbitmq_connections 0"]);
        assert_eq!(lines(&text, "rabbitmq_queue_messages "), ["rabbitmq_queue_messages 0"]);
        assert_eq!(lines(&text, "process_start_time"), ["process_start_time_seconds 0"]);
        assert_eq!(lines(&text, "leveret_store_segments"), ["leveret_store_segments 0"]);
        for unknown in ["process_open_fds", "rabbitmq_disk_space_available_bytes"] {
            assert_eq!(lines(&text, unknown), [""; 0], "unknown is not zero");
        }
    }

    #[test]
    fn names_are_rabbitmqs() {
        let snapshot = Snapshot {
            cluster_name: "a \"b\"".to_owned(),
            process: ProcessState {
                resident_bytes: Some(5),
                open_fds: Some(6),
                max_fds: Some(7),
                cpu: Some(Duration::from_millis(1500)),
                started: Duration::from_secs(9),
            },
            resources: Resources {
                memory_limit: Some(1),
                disk_free: Some(2),
                disk_free_limit: 3,
                is_memory_low: true,
                is_disk_low: false,
            },
            totals: Totals {
                connections: 1,
                consumers: 2,
                queues: 3,
                ready: 4,
                unacked: 5,
                bytes: 6,
                delayed: 7,
                kept: 8,
                ages: Ages { ready_ms: 1500, unacked_ms: 20 },
                consumed: Consumed { timeouts: 9, ..Consumed::default() },
                logins: Attempts { succeeded: 10, failed: 11, slowed: 12 },
                ..Totals::default()
            },
            store: StoreState::default(),
            ..Snapshot::default()
        };
        let text = render(&snapshot);
        for line in [
            "process_resident_memory_bytes 5",
            "rabbitmq_process_resident_memory_bytes 5",
            "process_open_fds 6",
            "rabbitmq_process_max_fds 7",
            "process_cpu_seconds_total 1.5",
            "rabbitmq_resident_memory_limit_bytes 1",
            "rabbitmq_disk_space_available_bytes 2",
            "rabbitmq_disk_space_available_limit_bytes 3",
            "rabbitmq_alarms_memory_used_watermark 1",
            "rabbitmq_alarms_free_disk_space_watermark 0",
            "rabbitmq_consumers 2",
            "rabbitmq_queue_messages_ready 4",
            "rabbitmq_queue_messages_unacked 5",
            "rabbitmq_queue_messages 17",
            "leveret_dead_letters_kept 8",
            "rabbitmq_queue_messages_bytes 6",
            "leveret_messages_delayed 7",
            "leveret_queue_oldest_ready_seconds_max 1.5",
            "leveret_queue_oldest_unacked_seconds_max 0.02",
            "leveret_consumer_ack_seconds_bucket{le=\"0.001\"} 0",
            "leveret_consumer_ack_seconds_bucket{le=\"4194.304\"} 0",
            "leveret_consumer_ack_seconds_bucket{le=\"+Inf\"} 0",
            "leveret_consumer_timeouts_total 9",
            "rabbitmq_auth_attempts_total 21",
            "leveret_auth_attempts_slowed_total 12",
            "rabbitmq_global_messages_dead_lettered_expired_total{queue_type=\"rabbit_classic_queue\",\
             dead_letter_strategy=\"at_least_once\"} 0",
            "rabbitmq_global_messages_dead_lettered_maxlen_total{queue_type=\"rabbit_quorum_queue\",\
             dead_letter_strategy=\"disabled\"} 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn what_comes_and_goes_is_counted() {
        let churn = Churn::default();
        churn.note(Turn::ChannelOpened);
        churn.note(Turn::QueueDeclared);
        let totals = Totals { churn: churn.counts(), ..Totals::default() };
        let text = render(&Snapshot { totals, ..Snapshot::default() });
        for (name, count) in [
            ("connections_opened", 0),
            ("connections_closed", 0),
            ("channels_opened", 1),
            ("channels_closed", 0),
            ("queues_declared", 1),
            ("queues_created", 0),
            ("queues_deleted", 0),
        ] {
            let line = format!("rabbitmq_{name}_total {count}");
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn what_goes_through_queues_is_counted_by_their_type() {
        let classic = Traffic { delivered: 1, delivered_no_ack: 2, got: 3, ..Traffic::default() };
        let quorum = Traffic { redelivered: 4, acknowledged: 5, ..Traffic::default() };
        let traffic = TrafficByType { classic, quorum };
        let totals = Totals { traffic, ..Totals::default() };
        let text = render(&Snapshot { totals, ..Snapshot::default() });
        for (name, queue_type, count) in [
            ("delivered", "classic", 6),
            ("delivered", "quorum", 0),
            ("delivered_consume_auto_ack", "classic", 2),
            ("delivered_consume_manual_ack", "classic", 1),
            ("delivered_get_manual_ack", "classic", 3),
            ("delivered_get_auto_ack", "classic", 0),
            ("get_empty", "quorum", 0),
            ("redelivered", "quorum", 4),
            ("acknowledged", "quorum", 5),
        ] {
            let line = format!(
                "rabbitmq_global_messages_{name}_total{{protocol=\"amqp091\",\
                 queue_type=\"rabbit_{queue_type}_queue\"}} {count}"
            );
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn what_holds_connections_back_and_what_should_not_happen_is_counted() {
        let incidents = IncidentCounts { panics: 10, made_room: 11, unread: 12 };
        let totals = Totals { incidents, ..Totals::default() };
        let text = render(&Snapshot { totals, ..Snapshot::default() });
        for line in [
            "leveret_connections{state=\"running\",cause=\"none\"} 0",
            "leveret_connections{state=\"flow\",cause=\"queue\"} 0",
            "leveret_connections{state=\"blocked\",cause=\"max_held_bytes\"} 0",
            "leveret_connection_panics_total 10",
            "leveret_handshakes_evicted_total 11",
            "leveret_connection_send_timeouts_total 12",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
    }

    /// A store that has appended seven times, of which five are durable.
    #[derive(Debug)]
    struct Fake(Progress);

    impl MessageStore for Fake {
        fn append(&self, batch: &mut Batch) -> Ticket {
            assert!(batch.is_empty(), "a scrape appends nothing");
            Ticket(7)
        }

        fn read(&self, _: u64, _: &[Range<u64>]) -> Result<ReadBack, StorageError> {
            Ok(ReadBack::default())
        }

        fn progress(&self) -> &Progress {
            &self.0
        }

        fn statistics(&self) -> Statistics {
            let mut statistics =
                Statistics { segments: 2, elided_messages: 8, ..Statistics::default() };
            for micros in [90, 300, 300, 2_000_000] {
                statistics.count_fsync(micros);
            }
            statistics
        }

        fn close(&self) -> Result<(), StorageError> {
            Ok(())
        }
    }

    #[test]
    fn the_store_tells_its_lag_and_how_long_fsyncs_take() {
        let state = StoreState::of(&Fake(Progress::new(1)));
        assert_eq!((state.durable_lag, state.is_full, state.has_failed), (7, false, false));
        let text = render(&Snapshot { store: state, ..Snapshot::default() });
        assert_eq!(lines(&text, "leveret_store_segments"), ["leveret_store_segments 2"]);
        assert_eq!(lines(&text, "leveret_store_durable_lag"), ["leveret_store_durable_lag 7"]);
        let elided = ["leveret_store_elided_messages_total 8"];
        assert_eq!(lines(&text, "leveret_store_elided"), elided);
        let fsyncs = lines(&text, "leveret_store_fsync_duration_seconds");
        assert_eq!(fsyncs.len(), FSYNC_BUCKETS_MICROS.len() + 3);
        assert_eq!(fsyncs[0], "leveret_store_fsync_duration_seconds_bucket{le=\"0.0001\"} 1");
        assert_eq!(fsyncs[2], "leveret_store_fsync_duration_seconds_bucket{le=\"0.0005\"} 3");
        assert_eq!(
            fsyncs[11..],
            [
                "leveret_store_fsync_duration_seconds_bucket{le=\"1\"} 3",
                "leveret_store_fsync_duration_seconds_bucket{le=\"+Inf\"} 4",
                "leveret_store_fsync_duration_seconds_sum 2.00069",
                "leveret_store_fsync_duration_seconds_count 4",
            ]
        );
    }

    #[test]
    fn every_metric_has_help_and_type_once() {
        let store = StoreState::default();
        let text = render(&Snapshot { store, ..Snapshot::default() });
        let named = |prefix: &str| {
            let names = text.lines().filter_map(move |line| line.strip_prefix(prefix));
            names.filter_map(|rest| rest.split(' ').next()).collect::<Vec<_>>()
        };
        let (help, kinds) = (named("# HELP "), named("# TYPE "));
        assert_eq!(help, kinds);
        let distinct: std::collections::HashSet<_> = help.iter().collect();
        assert_eq!(distinct.len(), help.len());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(help.iter().any(|name| line.starts_with(name)), "{line}");
        }
        assert!(text.ends_with('\n'));
    }
}
