//! How much is going on: counts, rates and samples as RabbitMQ's management has them beside what there is.
//!
//! Called by every resource that tells of it; rates and samples are `meters::history`'s. Stays true: what is
//! not counted is told as zero where tools need the field, and left out where they do not; nothing here
//! touches the way of a message.

use serde_json::{Map, Value, json};

use super::ranges::Ranges;
use crate::broker::sampling::{NODE, USED, WRITTEN};
use crate::events::churn::{ChurnCounts, Turn};
use crate::meters::channels::{self, ChannelCounts, ChannelMeter};
use crate::meters::history::Sampled;
use crate::meters::octets::Octets;
use crate::meters::publishing::{ExchangeMeter, Published};
use crate::queue::Queue;
use crate::queue::death_counts::{DeathCounts, DeathsByStrategy};
use crate::queue::samples::{NUMBERS as OF_QUEUE, READY, UNACKED};
use crate::queue::traffic::{Traffic, TrafficByType};
use crate::queue::truth::QueueTruth;
use crate::vhost::Vhost;
use crate::vhost::samples::{self, CONFIRMED, DROPPED, OCTETS_IN, OCTETS_OUT, RECEIVED, RETURNED};

/// A number: its name, what it is, and the sampled numbers that add up to it.
type Stat = (&'static str, u64, &'static [usize]);

/// A number with its rate, and its samples where they are asked for: `name` and `name_details`.
fn told<const N: usize>(fields: &mut Map<String, Value>, stat: Stat, sampled: &Sampled<N>) {
    let (name, count, places) = stat;
    fields.insert(name.to_owned(), count.into());
    fields.insert(format!("{name}_details"), details(places, sampled));
}

fn all_told<const N: usize>(
    stats: impl IntoIterator<Item = Stat>,
    sampled: &Sampled<N>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    stats.into_iter().for_each(|stat| told(&mut fields, stat, sampled));
    fields
}

/// RabbitMQ: `avg` is of the samples, `avg_rate` from the oldest to the newest.
fn details<const N: usize>(places: &[usize], sampled: &Sampled<N>) -> Value {
    let rate = rate_of(places, &sampled.rates);
    let Some(series) = &sampled.series else { return json!({"rate": rate}) };
    let total = |values: &[u64; N]| -> u64 { places.iter().filter_map(|at| values.get(*at)).sum() };
    let samples: Vec<(u64, u64)> = series.iter().map(|(ms, values)| (*ms, total(values))).collect();
    let mut details = json!({
        "rate": rate,
        "samples": samples
            .iter()
            .map(|(timestamp, sample)| json!({"sample": sample, "timestamp": timestamp}))
            .collect::<Value>(),
    });
    if let (Some((newest_ms, newest)), Some((oldest_ms, oldest))) =
        (samples.first(), samples.last())
        && let Value::Object(details) = &mut details
    {
        let seconds = newest_ms.saturating_sub(*oldest_ms) as f64 / 1000.0;
        let rise = *newest as f64 - *oldest as f64;
        let sum: f64 = samples.iter().map(|(_, sample)| *sample as f64).sum();
        let rate = if seconds > 0.0 { rise / seconds } else { 0.0 };
        details.insert("avg_rate".to_owned(), rate.into());
        details.insert("avg".to_owned(), (sum / samples.len() as f64).into());
    }
    details
}

fn rate_of<const N: usize>(places: &[usize], rates: &[f64; N]) -> f64 {
    places.iter().filter_map(|at| rates.get(*at)).fold(0.0, |sum, rate| sum + rate)
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
    /// All of a vhost. Locks one queue after the other.
    pub(super) fn add_vhost(&mut self, vhost: &Vhost) {
        self.traffic.add_all(&vhost.consumed_before().1);
        self.published.add_all(&vhost.publishers().counts());
        vhost.queues().iter().for_each(|queue| self.add(queue));
    }

    /// One more queue.
    fn add(&mut self, queue: &Queue) {
        let counts = queue.counts();
        // What waits for its time is in the queue, and neither ready nor handed out.
        self.ready += counts.ready as u64;
        self.unacked += counts.unacked as u64;
        self.queues += 1;
        self.consumers += counts.consumers as u64;
        self.traffic.add(queue.is_quorum(), &counts.traffic);
    }

    /// The fields of `queue_totals`, and of a vhost.
    pub(super) fn lengths(&self, sampled: &Sampled<{ samples::NUMBERS }>) -> Map<String, Value> {
        all_told(lengths(self.ready, self.unacked), sampled)
    }

    /// `message_stats` of everything, or of a vhost: what clients published, and what queues did with
    /// it.
    pub(super) fn message_stats(&self, sampled: &Sampled<{ samples::NUMBERS }>) -> Value {
        let published = &self.published;
        let published = [
            ("confirm", published.confirmed, &[CONFIRMED][..]),
            ("drop_unroutable", published.dropped, &[DROPPED]),
            ("publish", published.received(), &[RECEIVED]),
            ("return_unroutable", published.returned, &[RETURNED]),
            ("disk_reads", 0, &[]),
            ("disk_writes", 0, &[]),
        ];
        all_told(consumed(&self.traffic.all()).into_iter().chain(published), sampled).into()
    }

    /// `send_oct` and `recv_oct` of a vhost.
    pub(super) fn octets(&self, sampled: &Sampled<{ samples::NUMBERS }>) -> Map<String, Value> {
        let octets = &self.published.octets;
        let stats = [
            ("recv_oct", octets.received, &[OCTETS_IN][..]),
            ("send_oct", octets.sent, &[OCTETS_OUT]),
        ];
        all_told(stats, sampled)
    }
}

fn lengths(ready: u64, unacked: u64) -> [Stat; 3] {
    [
        ("messages", ready + unacked, &[READY, UNACKED]),
        ("messages_ready", ready, &[READY]),
        ("messages_unacknowledged", unacked, &[UNACKED]),
    ]
}

/// How many messages left their queues for what, since the broker started: `dead_lettered` elsewhere, or
/// `dropped` by queues that have no dead letters. Ours.
pub(super) fn deaths(deaths: &DeathsByStrategy) -> Value {
    let mut dead_lettered = deaths.at_most_once;
    dead_lettered.add_all(deaths.at_least_once);
    let by_cause = |counts: DeathCounts| -> Map<String, Value> {
        counts.each().map(|(cause, count)| (cause.name().to_owned(), count.into())).collect()
    };
    json!({"dead_lettered": by_cause(dead_lettered), "dropped": by_cause(deaths.dropped)})
}

/// Where the traffic of a queue is among what is sampled, in the order of `Traffic::numbers`.
const DELIVER_GET: &[usize] = &[1, 2, 3, 4];

/// What went through queues, as `message_stats` has it.
fn consumed(traffic: &Traffic) -> [Stat; 8] {
    [
        ("ack", traffic.acknowledged, &[7]),
        ("deliver", traffic.delivered, &[1]),
        ("deliver_get", traffic.handed_out(), DELIVER_GET),
        ("deliver_no_ack", traffic.delivered_no_ack, &[2]),
        ("get", traffic.got, &[3]),
        ("get_empty", traffic.get_empty, &[5]),
        ("get_no_ack", traffic.got_no_ack, &[4]),
        ("redeliver", traffic.redelivered, &[6]),
    ]
}

/// How many messages a queue has.
pub(super) fn queue_lengths(
    queue: &Queue,
    (ready, unacked): (usize, usize),
    ranges: &Ranges,
) -> Map<String, Value> {
    let sampled = queue.sampled(ranges.lengths.as_ref(), &ranges.ticks);
    all_told(lengths(ready as u64, unacked as u64), &sampled)
}

/// `message_stats` of a queue.
pub(super) fn of_queue(queue: &Queue, truth: &QueueTruth, ranges: &Ranges) -> Value {
    let sampled = queue.sampled(ranges.msg_rates.as_ref(), &ranges.ticks);
    let published = [("publish", truth.traffic.published, &[0][..])];
    all_told(consumed(&truth.traffic).into_iter().chain(published), &sampled).into()
}

/// One of the rates of a queue by its path, without all the rest: people sort long lists by it. `None` for
/// a path of something else.
pub(super) fn rate_of_queue(queue: &Queue, path: &str, ranges: &Ranges) -> Option<f64> {
    let name = path.strip_suffix("_details.rate")?;
    let places: &[usize] = match name.strip_prefix("message_stats.") {
        Some("publish") => &[0],
        Some(name) => consumed(&Traffic::default()).iter().find(|(known, ..)| *known == name)?.2,
        None => lengths(0, 0).iter().find(|(known, ..)| *known == name)?.2,
    };
    let rates: [f64; OF_QUEUE] = queue.sampled(None, &ranges.ticks).rates;
    Some(rate_of(places, &rates))
}

/// `message_stats` of an exchange.
pub(super) fn of_exchange(meter: &ExchangeMeter, ranges: &Ranges) -> Value {
    let (published, routed) = meter.counts();
    let sampled = meter.sampled(ranges.msg_rates.as_ref(), &ranges.ticks);
    let stats = [("publish_in", published, &[0][..]), ("publish_out", routed, &[1])];
    all_told(stats, &sampled).into()
}

/// `message_stats` of a channel; places are those of `ChannelCounts::numbers`.
pub(super) fn of_channel(counts: &ChannelCounts, meter: &ChannelMeter, ranges: &Ranges) -> Value {
    let delivered = &counts.delivered;
    let sampled: Sampled<{ channels::NUMBERS }> =
        meter.sampled(ranges.msg_rates.as_ref(), &ranges.ticks);
    let stats: [Stat; 12] = [
        ("ack", counts.acknowledged, &[5]),
        ("confirm", counts.confirmed, &[1]),
        ("deliver", delivered.delivered, &[6]),
        ("deliver_get", delivered.all(), &[6, 7, 8, 9]),
        ("deliver_no_ack", delivered.delivered_no_ack, &[7]),
        ("drop_unroutable", counts.dropped, &[3]),
        ("get", delivered.got, &[8]),
        ("get_empty", counts.get_empty, &[4]),
        ("get_no_ack", delivered.got_no_ack, &[9]),
        ("publish", counts.published, &[0]),
        ("redeliver", delivered.redelivered, &[10]),
        ("return_unroutable", counts.returned, &[2]),
    ];
    all_told(stats, &sampled).into()
}

/// What went over a socket.
pub(super) fn of_connection(octets: &Octets, ranges: &Ranges) -> Map<String, Value> {
    let counts = octets.counts();
    let sampled = octets.sampled(ranges.data_rates.as_ref(), &ranges.ticks);
    let stats = [("recv_oct", counts.received, &[0][..]), ("send_oct", counts.sent, &[1])];
    all_told(stats, &sampled)
}

/// Places of what comes and goes among what is sampled of the node, in the order of `Turn::ALL`.
const TURNS: [&[usize]; Turn::ALL.len()] =
    [&[USED], &[USED + 1], &[USED + 2], &[USED + 3], &[USED + 4], &[USED + 5], &[USED + 6]];

/// `churn_rates`.
pub(super) fn churn(counts: &ChurnCounts, sampled: &Sampled<NODE>) -> Map<String, Value> {
    let stats = Turn::ALL.iter().zip(TURNS);
    all_told(stats.map(|((turn, name, _), place)| (*name, counts.of(*turn), place)), sampled)
}

/// What the node uses, of [`USED`] kinds: resident memory, free disk, descriptors, connections and tasks.
pub(super) fn used(now: [u64; USED], sampled: &Sampled<NODE>) -> Map<String, Value> {
    let [memory, disk_free, descriptors, sockets, tasks] = now;
    let stats: [Stat; USED] = [
        ("mem_used", memory, &[0]),
        ("disk_free", disk_free, &[1]),
        ("fd_used", descriptors, &[2]),
        ("sockets_used", sockets, &[3]),
        ("proc_used", tasks, &[4]),
    ];
    all_told(stats, sampled)
}

/// Bytes written to files, and fsyncs.
pub(super) fn written_to_disk(now: [u64; 2], sampled: &Sampled<NODE>) -> Map<String, Value> {
    let stats: [Stat; 2] =
        [("io_write_bytes", now[0], &[WRITTEN]), ("io_sync_count", now[1], &[WRITTEN + 1])];
    all_told(stats, sampled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_averages_of_what_adds_up() {
        let series = vec![(30_000, [12, 3]), (20_000, [8, 2]), (10_000, [4, 1])];
        let sampled = Sampled { rates: [1.5, 0.5], series: Some(series) };
        let expected = json!({
            "rate": 2.0,
            "samples": [
                {"sample": 15, "timestamp": 30000},
                {"sample": 10, "timestamp": 20000},
                {"sample": 5, "timestamp": 10000},
            ],
            "avg": 10.0,
            "avg_rate": 0.5,
        });
        assert_eq!(details(&[0, 1], &sampled), expected);
        let nothing: Sampled<2> = Sampled { rates: [0.0; 2], series: Some(Vec::new()) };
        assert_eq!(details(&[], &nothing), json!({"rate": 0.0, "samples": []}));
        assert_eq!(
            details(&[1], &Sampled { rates: [0.0, 4.0], series: None }),
            json!({"rate": 4.0})
        );
    }
}
