//! What is true of a queue and its consumers beyond counts: how old what waits is, and how long consumers
//! take for what they get.
//!
//! Kept by `queue::consumers` and the room `watching` of `queue::state`, out of the time that every
//! command comes with; asked by `metrics`, through `broker`, and by whoever shows a queue. Stays true:
//! who asks holds the queue's lock for a few thousand deliveries at a time; what a queue's consumers did
//! is still counted when the queue is gone.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::Queue;
use super::traffic::{Traffic, TrafficByType};
use crate::keys::ConsumerKey;

/// Times are counted in so many buckets.
const BUCKETS: usize = 24;

/// How long consumers took from a delivery to its acknowledgement. The first bucket is for less than a
/// millisecond, each further one for up to twice as long, the last for all above: more than an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AckTimes {
    counts: [u64; BUCKETS],
    sum_ms: u64,
}

impl AckTimes {
    /// One took so long, in milliseconds.
    #[inline]
    pub(super) fn add(&mut self, took_ms: u64) {
        let bucket = (u64::BITS - took_ms.leading_zeros()) as usize;
        if let Some(count) = self.counts.get_mut(bucket.min(BUCKETS - 1)) {
            *count += 1;
        }
        self.sum_ms = self.sum_ms.saturating_add(took_ms);
    }

    /// All of another.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }

    /// How many there are of each bucket.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Below which time each bucket ends; the last does not.
    pub(crate) fn bounds() -> impl Iterator<Item = Duration> {
        (0..BUCKETS - 1).map(|bucket| Duration::from_millis(1 << bucket))
    }

    /// A time below which this part of them is; `None` if there are none, or it is one of the longest.
    pub(crate) fn below(&self, part: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of deliveries, roughly"
        )]
        let wanted = ((self.total() as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let mut buckets = Self::bounds().zip(self.counts);
        let bucket = buckets.find(|(_, count)| {
            seen += count;
            seen >= wanted
        });
        bucket.map(|(bound, _)| bound)
    }

    /// All times together.
    pub(crate) fn sum(&self) -> Duration {
        Duration::from_millis(self.sum_ms)
    }

    /// How many there are.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// What the consumers of queues did, since the broker started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Consumed {
    /// How long they took.
    pub ack_times: AckTimes,
    /// How often one was late, and lost what it had.
    pub timeouts: u64,
}

impl Consumed {
    /// All of another.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.ack_times.add_all(&other.ack_times);
        self.timeouts += other.timeouts;
    }
}

/// What was consumed from queues of a vhost that are gone, and what went through them.
#[derive(Debug, Default)]
pub(crate) struct Gone(Mutex<(Consumed, TrafficByType)>);

impl Gone {
    /// A queue is gone.
    pub(super) fn add(&self, is_quorum: bool, consumed: &Consumed, traffic: &Traffic) {
        let (all_consumed, all_traffic) = &mut *self.0.lock();
        all_consumed.add_all(consumed);
        all_traffic.add(is_quorum, traffic);
    }

    /// What it is now.
    pub(crate) fn read(&self) -> (Consumed, TrafficByType) {
        *self.0.lock()
    }
}

/// A queue at one moment. Times are in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueTruth {
    /// When the oldest of what is ready came.
    pub oldest_ready_ms: Option<u64>,
    /// When the oldest delivery that is not settled was made.
    pub oldest_unacked_ms: Option<u64>,
    /// When it last handed something out.
    pub last_delivery_ms: Option<u64>,
    /// What its consumers did.
    pub consumed: Consumed,
    /// What went through it.
    pub traffic: Traffic,
    /// How many attempts may fail, if that is limited.
    pub delivery_limit: Option<u32>,
}

/// A consumer at one moment. Times are in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerTruth {
    /// Its connection's number.
    pub connection: u64,
    /// Its channel's number.
    pub channel: u16,
    /// Its tag.
    pub consumer_tag: String,
    /// Its priority.
    pub priority: i64,
    /// How many deliveries it may hold; 0 is no limit.
    pub prefetch_count: u16,
    /// Whether it does without acknowledgements.
    pub no_ack: bool,
    /// Whether it is the only one.
    pub exclusive: bool,
    /// How long it may take for a delivery, if it says so itself, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Whether it gets messages, and does not wait for another consumer to go.
    pub is_active: bool,
    /// Whether its connection or channel cannot take more for now.
    pub is_held_back: bool,
    /// How many deliveries it has not settled.
    pub unacked: u32,
    /// When the oldest of these was made.
    pub oldest_unacked_ms: Option<u64>,
    /// How many it has acknowledged.
    pub acks: u64,
    /// What it got, and how long it took.
    pub history: ConsumerHistory,
}

/// What one consumer got and acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConsumerHistory {
    /// Deliveries.
    pub deliveries: u64,
    /// When the last was made, in milliseconds since the epoch.
    pub last_delivery_ms: Option<u64>,
    /// How long it took for those that it acknowledged.
    pub ack_times: AckTimes,
}

impl Queue {
    /// The queue as it is now.
    pub(crate) fn truth(&self) -> QueueTruth {
        let mut oldest_unacked_ms: Option<u64> = None;
        self.see_deliveries(|_, delivered_ms| {
            let oldest_ms = oldest_unacked_ms.unwrap_or(delivered_ms).min(delivered_ms);
            oldest_unacked_ms = Some(oldest_ms);
        });
        let inner = self.inner.lock();
        QueueTruth {
            oldest_ready_ms: inner.state.oldest_ready_ms(),
            oldest_unacked_ms,
            last_delivery_ms: inner.state.last_delivery_ms(),
            consumed: *inner.state.consumed(),
            traffic: *inner.state.traffic(),
            delivery_limit: inner.state.delivery_limit(),
        }
    }

    /// Its consumers as they are now.
    pub(crate) fn consumers_truth(&self) -> Vec<ConsumerTruth> {
        let mut oldest: FxHashMap<ConsumerKey, u64> = FxHashMap::default();
        self.see_deliveries(|holder, delivered_ms| {
            let oldest_ms = oldest.entry(holder).or_insert(delivered_ms);
            *oldest_ms = delivered_ms.min(*oldest_ms);
        });
        let inner = self.inner.lock();
        let consumers = inner.state.consumers().each();
        let known = consumers.filter_map(|(key, unacked, history)| {
            let sink = inner.sinks.get(key.slot as usize)?.as_ref()?;
            let (settings, is_active) = inner.state.consumers().standing(key)?;
            Some(ConsumerTruth {
                priority: settings.priority,
                prefetch_count: settings.prefetch_count,
                no_ack: settings.no_ack,
                exclusive: settings.exclusive,
                timeout_ms: settings.timeout_ms,
                is_active,
                is_held_back: inner.state.consumers().is_paused(key),
                connection: sink.connection.id().0,
                channel: sink.channel_number,
                consumer_tag: sink.consumer_tag.clone(),
                unacked,
                oldest_unacked_ms: oldest.get(&key).copied(),
                acks: history.ack_times.total(),
                history: *history,
            })
        });
        known.collect()
    }

    /// The tags of its exclusive consumer, and of the one that gets messages where only one does.
    pub(crate) fn only_consumer(&self) -> [Option<String>; 2] {
        let inner = self.inner.lock();
        let consumers = inner.state.consumers();
        if !consumers.has_exclusive() && !consumers.is_single_active() {
            return [None, None];
        }
        let tag = |key: ConsumerKey| {
            let sink = inner.sinks.get(key.slot as usize)?.as_ref()?;
            Some(sink.consumer_tag.clone())
        };
        let is_single_active = consumers.is_single_active();
        let all = consumers.each().filter_map(|(key, ..)| Some((key, consumers.standing(key)?)));
        let (mut exclusive, mut single) = (None, None);
        for (key, (settings, is_active)) in all {
            if settings.exclusive {
                exclusive = tag(key);
            }
            if is_single_active && is_active {
                single = tag(key);
            }
        }
        [exclusive, single]
    }

    /// Shows all deliveries that are not settled, a step at a time, and lets others in between.
    fn see_deliveries(&self, mut see: impl FnMut(ConsumerKey, u64)) {
        let mut next = Some(0);
        while let Some(from) = next {
            next = self.inner.lock().state.see_deliveries(from, &mut see);
        }
    }
}

/// Of the queues of a vhost together: ages in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ages {
    /// Of the oldest message that is ready.
    pub ready_ms: u64,
    /// Of the oldest delivery that is not settled.
    pub unacked_ms: u64,
}

impl Ages {
    /// One more queue.
    pub(crate) fn see(&mut self, truth: &QueueTruth, now_ms: u64) {
        let age_ms = |since_ms: Option<u64>| since_ms.map_or(0, |ms| now_ms.saturating_sub(ms));
        self.ready_ms = self.ready_ms.max(age_ms(truth.oldest_ready_ms));
        self.unacked_ms = self.unacked_ms.max(age_ms(truth.oldest_unacked_ms));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::{TcpListener, TcpStream};

    use super::super::exit::tests::alone;
    use super::super::{ConsumerSettings, Effects, QueueSettings, Sink};
    use super::*;
    use crate::clock;
    use crate::keys::{DeliveryKey, Outcome, QueueId};
    use crate::message::tests::message;
    use crate::outgoing::ConnectionHandle;
    use crate::stores::tests::in_memory;
    use crate::transport::Socket;

    /// A queue with a consumer that got two messages, and what is counted when it is gone.
    async fn consumed_queue() -> (Arc<Queue>, Arc<Gone>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, socket) = Socket::Plain(listener.accept().await.unwrap().0).into_split();
        let connection = ConnectionHandle::new(socket, 128 * 1024);
        let around = alone(in_memory());
        let gone = Arc::clone(&around.gone);
        let queue = Queue::new(QueueId(1), "/".into(), "q", QueueSettings::plain(false), around);
        let mut effects = Effects::default();
        let accept = || {
            let mut outbox = connection.outbox();
            let channel = outbox.open_channel(1);
            let source = outbox.channel(channel).unwrap().add_source();
            let (connection, consumer_tag) = (Arc::clone(&connection), "tag".to_owned());
            Sink { connection, channel, channel_number: 1, source, consumer_tag }
        };
        queue.consume(ConsumerSettings::default(), accept, &mut effects).unwrap();
        queue.publish((0..2).map(|_| message("q", b"")), &mut effects);
        effects.carry_out(queue.messages());
        (queue, gone, peer)
    }

    #[tokio::test]
    async fn what_consumers_did_is_seen_and_outlives_the_queue() {
        let before_ms = clock::unix_millis();
        let (queue, gone, _peer) = consumed_queue().await;
        let mut effects = Effects::default();
        queue.settle([(DeliveryKey(0), Outcome::Ack)].into_iter(), &mut effects);
        effects.carry_out(queue.messages());
        let truth = queue.truth();
        let (since, until) = (Some(before_ms), Some(clock::unix_millis()));
        assert!((since..=until).contains(&truth.oldest_unacked_ms), "{truth:?}");
        assert!((since..=until).contains(&truth.last_delivery_ms), "{truth:?}");
        assert_eq!((truth.oldest_ready_ms, truth.consumed.ack_times.total()), (None, 1));
        let consumers = queue.consumers_truth();
        let [consumer] = consumers.as_slice() else { panic!("{consumers:?}") };
        assert_eq!((consumer.consumer_tag.as_str(), consumer.channel), ("tag", 1));
        assert_eq!((consumer.unacked, consumer.acks, consumer.history.deliveries), (1, 1, 2));
        assert_eq!(consumer.oldest_unacked_ms, truth.oldest_unacked_ms);
        assert_eq!(gone.read(), <(Consumed, TrafficByType)>::default());
        assert_eq!((truth.traffic.delivered, truth.traffic.acknowledged), (2, 1));
        assert!(queue.delete(false, false).is_ok());
        let traffic = TrafficByType { classic: truth.traffic, ..TrafficByType::default() };
        assert_eq!(gone.read(), (truth.consumed, traffic));
        assert_eq!(queue.truth(), QueueTruth::default());
    }

    #[test]
    fn times_are_counted_by_powers_of_two() {
        let mut times = AckTimes::default();
        for took_ms in [0, 1, 2, 3, 4, 1023, 1024, u64::MAX] {
            times.add(took_ms);
        }
        let counted = |bucket: usize| times.counts()[bucket];
        assert_eq!([0, 1, 2, 3, 10, 11, 23].map(counted), [1, 1, 2, 1, 1, 1, 1]);
        assert_eq!((times.total(), times.sum()), (8, Duration::from_millis(u64::MAX)));
        let bounds: Vec<_> = AckTimes::bounds().collect();
        assert_eq!((bounds.len(), bounds[0]), (BUCKETS - 1, Duration::from_millis(1)));
        assert_eq!(bounds[10], Duration::from_millis(1024), "1023 are below it");
        let below = |part| times.below(part).map(|bound| bound.as_millis());
        assert_eq!(
            [below(0.1), below(0.5), below(0.7), below(0.99)],
            [Some(1), Some(4), Some(1024), None]
        );
        assert_eq!(AckTimes::default().below(0.5), None);
        let mut twice = times;
        twice.add_all(&times);
        assert_eq!(twice.total(), 16);
    }

    #[test]
    fn the_oldest_of_all_queues_counts_and_a_clock_that_was_set_back_makes_nothing_old() {
        let mut ages = Ages::default();
        let truth = |ready, unacked| QueueTruth {
            oldest_ready_ms: ready,
            oldest_unacked_ms: unacked,
            ..QueueTruth::default()
        };
        for truth in [truth(Some(900), None), truth(Some(950), Some(990)), truth(None, Some(2000))]
        {
            ages.see(&truth, 1000);
        }
        assert_eq!(ages, Ages { ready_ms: 100, unacked_ms: 10 });
    }
}
