//! What of a vhost is sampled: what its clients publish, what its queues do with it and how much they
//! have, and what goes over its clients' sockets.
//!
//! A room of `vhost`, called by `broker::sampling` once a tick and by management. Stays true: a tick costs by
//! the queues and exchanges that have traffic, and by the connections.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Vhost;
use crate::meters::history::{GLOBAL, History, Range, Sampled, Ticks};
use crate::queue::samples::{NUMBERS as OF_QUEUES, QueueSamples, READY};

/// Numbers that are sampled of a vhost: first those of its queues, then these.
pub(crate) const NUMBERS: usize = OF_QUEUES + 6;
/// Messages received.
pub(crate) const RECEIVED: usize = OF_QUEUES;
/// Of these: confirmed.
pub(crate) const CONFIRMED: usize = OF_QUEUES + 1;
/// Of these: returned.
pub(crate) const RETURNED: usize = OF_QUEUES + 2;
/// Of these: dropped.
pub(crate) const DROPPED: usize = OF_QUEUES + 3;
/// Octets that came.
pub(crate) const OCTETS_IN: usize = OF_QUEUES + 4;
/// Octets that went.
pub(crate) const OCTETS_OUT: usize = OF_QUEUES + 5;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct VhostSamples {
    queues: Arc<QueueSamples>,
    history: Mutex<Option<Box<History<NUMBERS>>>>,
}

impl VhostSamples {
    /// What its queues are told to note themselves in.
    pub(super) fn queues(&self) -> Arc<QueueSamples> {
        Arc::clone(&self.queues)
    }
}

impl Vhost {
    /// Samples it, its exchanges, and those of its queues in which something changed. How many these are.
    pub(crate) fn sample(&self, ticks: &Ticks) -> usize {
        if self.samples.queues.begin() {
            self.queues().iter().for_each(|queue| queue.note_for_sampling());
        }
        self.exchanges.iter().for_each(|exchange| exchange.meter().sample(ticks));
        self.default_exchange.meter().sample(ticks);
        let (of_queues, changed) = self.samples.queues.take(ticks);
        let published = self.publishers.counts();
        let own = [
            published.received(),
            published.confirmed,
            published.returned,
            published.dropped,
            published.octets.received,
            published.octets.sent,
        ];
        let mut values = [0; NUMBERS];
        values.iter_mut().zip(of_queues.into_iter().chain(own)).for_each(|(to, of)| *to = of);
        let mut history = self.samples.history.lock();
        let history = history.get_or_insert_with(|| {
            let mut history = History::new(GLOBAL, ticks);
            // What queues have by then may come from before the broker started.
            let is_level = |at| (READY..OF_QUEUES).contains(&at);
            let of = |at| values.get(at).copied().filter(|_| is_level(at)).unwrap_or_default();
            history.begins_with(std::array::from_fn(of));
            Box::new(history)
        });
        history.note(ticks.now, values);
        changed
    }

    /// How fast it goes, and what it was.
    pub(crate) fn sampled(&self, range: Option<&Range>, ticks: &Ticks) -> Sampled<NUMBERS> {
        let history = self.samples.history.lock();
        match &*history {
            Some(history) => history.sampled(range, ticks),
            None => Sampled::nothing(range),
        }
    }
}
