//! What clients publish, and what goes over their sockets: counted by each connection for itself, added up when somebody asks.
//!
//! A vhost has one [`Publishers`], in which every connection has a place; a session counts at its place
//! without sharing it, and leaves what it counted behind. Stays true: what was counted by a connection
//! that is gone still counts, and nothing is counted twice or missed while one goes. What exchanges took
//! is added to [`ExchangeMeter`] once a read. See RabbitMQ's page on Prometheus (`rabbitmq_global_*`).

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use slab::Slab;

use super::Count;
use super::history::{BASIC, History, Range, Sampled, Ticks};
use super::octets::{OctetCounts, Octets};

/// Bodies are counted by their sizes: up to so many bytes, each with what Prometheus calls it, which
/// dashboards compare as text; what is larger than all is counted in one more.
pub(crate) const SIZE_BOUNDS: [(u64, &str); 8] = [
    (100, "100.0"),
    (1_000, "1000.0"),
    (10_000, "10000.0"),
    (100_000, "100000.0"),
    (1_000_000, "1e+06"),
    (10_000_000, "1e+07"),
    (50_000_000, "5e+07"),
    (100_000_000, "1e+08"),
];
const SIZES: usize = SIZE_BOUNDS.len() + 1;

/// What the session of one connection counts.
#[derive(Debug, Default)]
pub(crate) struct PublishMeter {
    sizes: [Count; SIZES],
    bytes: Count,
    /// Of all: published on channels that confirm.
    pub received_confirm: Count,
    /// Confirmed.
    pub confirmed: Count,
    /// Put into a queue: a message counts once for each.
    pub routed: Count,
    /// Dropped, since no queue was on their way.
    pub dropped: Count,
    /// Returned for the same reason.
    pub returned: Count,
    /// Channels that have published something and are there.
    pub publishers: Count,
}

/// The same of several at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    /// How many bodies of each size, see [`SIZE_BOUNDS`].
    pub sizes: [u64; SIZES],
    /// All bodies together.
    pub bytes: u64,
    /// See [`PublishMeter`].
    pub received_confirm: u64,
    /// See [`PublishMeter`].
    pub confirmed: u64,
    /// See [`PublishMeter`].
    pub routed: u64,
    /// See [`PublishMeter`].
    pub dropped: u64,
    /// See [`PublishMeter`].
    pub returned: u64,
    /// See [`PublishMeter`].
    pub publishers: u64,
    /// What went over the sockets.
    pub octets: OctetCounts,
}

impl PublishMeter {
    /// A message with a body of this many bytes was received.
    #[inline]
    pub(crate) fn note_size(&self, bytes: usize) {
        let bytes = bytes as u64;
        let at = SIZE_BOUNDS.iter().position(|(bound, _)| bytes <= *bound).unwrap_or(SIZES - 1);
        if let Some(count) = self.sizes.get(at) {
            count.add(1);
        }
        self.bytes.add(bytes);
    }

    fn counts(&self) -> Published {
        Published {
            sizes: array::from_fn(|at| self.sizes.get(at).map_or(0, Count::get)),
            bytes: self.bytes.get(),
            received_confirm: self.received_confirm.get(),
            confirmed: self.confirmed.get(),
            routed: self.routed.get(),
            dropped: self.dropped.get(),
            returned: self.returned.get(),
            publishers: self.publishers.get(),
            octets: OctetCounts::default(),
        }
    }
}

impl Published {
    /// One message that management published, which waits for its confirm as clients may.
    pub(crate) fn one(bytes: usize, queues: usize) -> Self {
        let meter = PublishMeter::default();
        meter.note_size(bytes);
        let unroutable = u64::from(queues == 0);
        Self {
            received_confirm: 1,
            confirmed: 1,
            routed: queues as u64,
            returned: unroutable,
            ..meter.counts()
        }
    }

    /// Messages received.
    pub(crate) fn received(&self) -> u64 {
        self.sizes.iter().sum()
    }

    /// All of another.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.sizes.iter_mut().zip(other.sizes).for_each(|(count, more)| *count += more);
        self.bytes += other.bytes;
        self.received_confirm += other.received_confirm;
        self.confirmed += other.confirmed;
        self.routed += other.routed;
        self.dropped += other.dropped;
        self.returned += other.returned;
        self.publishers += other.publishers;
        self.octets.add_all(&other.octets);
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Publishers(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    here: Slab<(Arc<PublishMeter>, Arc<Octets>)>,
    gone: Published,
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct PublisherPlace {
    all: Arc<Publishers>,
    place: usize,
    meter: Arc<PublishMeter>,
}

impl Publishers {
    /// A place for a connection that is there from now on, with what goes over its socket.
    pub(crate) fn enter(self: &Arc<Self>, octets: &Arc<Octets>) -> PublisherPlace {
        let meter = Arc::default();
        let place = self.0.lock().here.insert((Arc::clone(&meter), Arc::clone(octets)));
        PublisherPlace { all: Arc::clone(self), place, meter }
    }

    /// Something was published that is no connection's.
    pub(crate) fn add(&self, published: &Published) {
        self.0.lock().gone.add_all(published);
    }

    /// All together, those that are gone among them.
    pub(crate) fn counts(&self) -> Published {
        let registry = self.0.lock();
        let mut all = registry.gone;
        for (_, (meter, octets)) in &registry.here {
            all.add_all(&meter.counts());
            all.octets.add_all(&octets.counts());
        }
        all
    }
}

impl std::ops::Deref for PublisherPlace {
    type Target = PublishMeter;

    #[inline]
    fn deref(&self) -> &PublishMeter {
        &self.meter
    }
}

impl Drop for PublisherPlace {
    fn drop(&mut self) {
        let mut registry = self.all.0.lock();
        let octets = registry.here.try_remove(self.place).map(|(_, octets)| octets.counts());
        let octets = octets.unwrap_or_default();
        let counts = Published { publishers: 0, octets, ..self.meter.counts() };
        registry.gone.add_all(&counts);
    }
}

/// What was published to an exchange.
#[derive(Debug, Default)]
pub(crate) struct ExchangeMeter {
    published: AtomicU64,
    routed: AtomicU64,
    history: Mutex<Option<Box<History<2>>>>,
}

impl ExchangeMeter {
    /// So many messages were published to it, and it put them into queues so many times.
    pub(crate) fn add(&self, published: u64, routed: u64) {
        self.published.fetch_add(published, Ordering::Relaxed);
        if routed > 0 {
            self.routed.fetch_add(routed, Ordering::Relaxed);
        }
    }

    /// What it is now: published, and put into queues.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.published.load(Ordering::Relaxed), self.routed.load(Ordering::Relaxed))
    }

    /// So it is at this tick.
    pub(crate) fn sample(&self, ticks: &Ticks) {
        let (published, routed) = self.counts();
        if published == 0 {
            return;
        }
        let mut history = self.history.lock();
        let history = history.get_or_insert_with(|| Box::new(History::new(BASIC, ticks)));
        history.note(ticks.now, [published, routed]);
    }

    /// How fast messages come and go, and how many there were.
    pub(crate) fn sampled(&self, range: Option<&Range>, ticks: &Ticks) -> Sampled<2> {
        let history = self.history.lock();
        match &*history {
            Some(history) => history.sampled(range, ticks),
            None => Sampled::nothing(range),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_counted_by_their_sizes() {
        let meter = PublishMeter::default();
        for size in [0, 100, 101, 1_000, 99_999, 50_000_000, 100_000_001] {
            meter.note_size(size);
        }
        let counts = meter.counts();
        assert_eq!(counts.sizes, [2, 2, 0, 1, 0, 0, 1, 0, 1]);
        assert_eq!((counts.received(), counts.bytes), (7, 150_101_201));
    }

    #[test]
    fn what_a_connection_counted_stays_when_it_goes() {
        let all = Arc::new(Publishers::default());
        let octets = Arc::new(Octets::default());
        octets.note_read(7);
        let (one, other) = (all.enter(&octets), all.enter(&Arc::default()));
        one.note_size(3);
        one.publishers.add(1);
        other.routed.add(2);
        other.publishers.add(1);
        drop(one);
        let counts = all.counts();
        assert_eq!((counts.received(), counts.bytes, counts.routed), (1, 3, 2));
        assert_eq!(counts.publishers, 1, "whoever is gone publishes nothing");
        drop(other);
        all.add(&Published::one(5, 0));
        let counts = all.counts();
        assert_eq!((counts.received(), counts.bytes, counts.returned), (2, 8, 1));
        assert_eq!((counts.publishers, counts.octets.received), (0, 7));
    }

    #[test]
    fn exchanges_add_up_what_reads_brought() {
        let meter = ExchangeMeter::default();
        meter.add(3, 0);
        meter.add(2, 4);
        assert_eq!(meter.counts(), (5, 4));
    }
}
