//! The channels of those whose time was up: who holds deliveries of a queue, and how they are told.
//!
//! Used by `queue::Queue` with its lock held; what it posts is read by the connection's own task
//! (`session::lapses`). Stays true: whoever can lapse can be told, be it no consumer any more, and
//! whoever holds nothing is forgotten before there are twice as many.

use std::sync::{Arc, Weak};

use rustc_hash::FxHashMap;
use tracing::warn;

use super::state::{Lapse, QueueState};
use super::{Inner, Queue, Sink};
use crate::keys::ConsumerKey;
use crate::outgoing::ConnectionHandle;
use crate::outgoing::mailbox::{Lapsed, LapsedDeliveries};

/// Below this many nobody looks for those that hold nothing.
const PRUNED_ABOVE: usize = 16;

/// Whom to tell of the deliveries of one holder that is no consumer.
#[derive(Debug)]
pub(crate) struct Holder {
    connection: Weak<ConnectionHandle>,
    channel: u16,
    lapsed: Lapsed,
}

impl Holder {
    /// A channel that fetched a message and gave it this tag.
    pub(crate) fn of_get(connection: &Arc<ConnectionHandle>, channel: u16, tag: u64) -> Self {
        Self { connection: Arc::downgrade(connection), channel, lapsed: Lapsed::Fetched(tag) }
    }

    /// The channel of a consumer that it cancelled.
    fn of_cancelled(sink: &Sink) -> Self {
        let connection = Arc::downgrade(&sink.connection);
        Self { connection, channel: sink.channel_number, lapsed: Lapsed::Cancelled }
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Holders {
    known: FxHashMap<ConsumerKey, Holder>,
    pruned_above: usize,
}

impl Holders {
    /// Somebody holds deliveries under a timeout without being a consumer.
    pub(super) fn add(&mut self, key: ConsumerKey, holder: Holder, state: &QueueState) {
        if self.known.len() >= self.pruned_above.max(PRUNED_ABOVE) {
            self.known.retain(|&key, _| state.holds(key));
            self.pruned_above = 2 * self.known.len();
        }
        self.known.insert(key, holder);
    }
}

impl Inner {
    /// A consumer's channel cancelled it; what it holds may still lapse.
    pub(super) fn consumer_left(&mut self, key: ConsumerKey) {
        let sink = self.sinks.get_mut(key.slot as usize).and_then(Option::take);
        if let Some(sink) = sink.filter(|_| self.state.holds(key)) {
            self.holders.add(key, Holder::of_cancelled(&sink), &self.state);
        }
    }
}

impl Queue {
    /// Tells the channels of those whose time was up.
    pub(super) fn tell_lapsed(&self, inner: &mut Inner) {
        for lapse in inner.state.take_lapsed() {
            let Lapse { holder, consumed, timeout_ms } = lapse;
            let told = if consumed {
                let sink = inner.sinks.get_mut(holder.slot as usize).and_then(Option::take);
                sink.map(|sink| {
                    let lapsed = Lapsed::Consumer(sink.consumer_tag);
                    (sink.connection, sink.channel_number, lapsed)
                })
            } else {
                let known = inner.holders.known.remove(&holder);
                known.and_then(|known| {
                    Some((known.connection.upgrade()?, known.channel, known.lapsed))
                })
            };
            let Some((connection, channel, lapsed)) = told else { continue };
            let (vhost, queue) = (&*self.vhost, &*self.name);
            warn!(
                vhost,
                queue, channel, timeout_ms, "deliveries not settled in time go back: {lapsed}"
            );
            let queue = self.id;
            let deliveries = LapsedDeliveries { channel, queue, holder, lapsed, timeout_ms };
            connection.post_lapsed(deliveries);
        }
    }
}
