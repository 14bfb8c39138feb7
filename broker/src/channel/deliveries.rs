//! The delivery side of one channel: its delivery tags, what it has not settled, and from where.
//!
//! Kept in the connection's outbox, because deliveries come from any task; the channel itself asks
//! for it under that lock. Stays true: a source lives as long as its consumer or its last unsettled
//! delivery.

use std::sync::Arc;

use slab::Slab;

use super::unacked::{Outstanding, Unacked};
use crate::queue::{ConsumerKey, DeliveryKey, Outcome, Queue};

/// Which queue and consumer a delivery came from: an index into the channel's sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceKey(pub u32);

#[derive(Debug)]
struct Source {
    queue: Arc<Queue>,
    /// `None` for what `basic.get` fetched.
    consumer: Option<ConsumerKey>,
    outstanding: u32,
    ended: bool,
}

/// Deliveries to be settled in their queues, collected under the outbox's lock and carried out
/// after it is released.
#[derive(Debug, Default)]
pub struct Settlements {
    entries: Vec<(SourceKey, DeliveryKey, Outcome)>,
    queues: Vec<(SourceKey, Arc<Queue>)>,
}

impl Settlements {
    /// Each queue with what is to be settled in it, latest delivery first, so that requeued
    /// messages go back one before the other.
    pub fn by_queue(
        &self,
    ) -> impl Iterator<Item = (&Arc<Queue>, impl Iterator<Item = (DeliveryKey, Outcome)>)> {
        self.queues.iter().map(move |(source, queue)| {
            let of_queue = self.entries.iter().rev().filter(move |entry| entry.0 == *source);
            (queue, of_queue.map(|&(_, key, outcome)| (key, outcome)))
        })
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.queues.clear();
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct ChannelDeliveries {
    number: u16,
    last_tag: u64,
    unacked: Unacked,
    sources: Slab<Source>,
    prefetch_count_global: u32,
    active: bool,
    /// A delivery was refused: once there is room, the channel's consumers must be resumed.
    refused: bool,
}

impl ChannelDeliveries {
    /// No deliveries yet.
    pub fn new(number: u16) -> Self {
        Self {
            number,
            last_tag: 0,
            unacked: Unacked::default(),
            sources: Slab::new(),
            prefetch_count_global: 0,
            active: true,
            refused: false,
        }
    }

    /// The channel's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Unsettled deliveries.
    pub fn unacked_count(&self) -> usize {
        self.unacked.len()
    }

    /// Limits the unsettled deliveries of the whole channel; 0 is no limit
    /// (`basic.qos` with `global`, as RabbitMQ up to 4.2 has it).
    pub fn set_prefetch_count_global(&mut self, count: u16) {
        self.prefetch_count_global = u32::from(count);
    }

    /// `channel.flow`, and the end of deliveries when the channel closes.
    pub fn set_active(&mut self, active: bool) {
        self.active = active;
    }

    /// Whether a delivery may go to this channel now. A `false` is remembered: see `take_refused`.
    pub fn takes_deliveries(&mut self) -> bool {
        let limit = self.prefetch_count_global as usize;
        let takes = self.active && (limit == 0 || self.unacked.len() < limit);
        self.refused |= !takes;
        takes
    }

    /// Whether a delivery was refused and there is room now; clears it.
    pub fn take_refused(&mut self) -> bool {
        let refused = self.refused;
        let room = refused && self.takes_deliveries();
        if room {
            self.refused = false;
        }
        room
    }

    /// Gives a delivery its tag and, unless it needs no settling, remembers it.
    pub fn record(&mut self, key: DeliveryKey, source: SourceKey) -> u64 {
        self.last_tag += 1;
        if key != DeliveryKey::NONE {
            self.unacked.push(Outstanding { tag: self.last_tag, key, source });
            if let Some(source) = self.sources.get_mut(source.0 as usize) {
                source.outstanding += 1;
            }
        } else {
            // What `basic.get` fetched without acknowledgement leaves nothing to wait for.
            self.drop_if_done(source);
        }
        self.last_tag
    }

    /// Registers a queue that will deliver to this channel.
    pub fn add_source(&mut self, queue: Arc<Queue>, consumer: Option<ConsumerKey>) -> SourceKey {
        let ended = consumer.is_none();
        let slot = self.sources.insert(Source { queue, consumer, outstanding: 0, ended });
        SourceKey(u32::try_from(slot).unwrap_or(u32::MAX))
    }

    /// Names the consumer of a source, which the queue gives it after the source exists.
    pub fn set_consumer(&mut self, key: SourceKey, consumer: ConsumerKey) {
        if let Some(source) = self.sources.get_mut(key.0 as usize) {
            source.consumer = Some(consumer);
            source.ended = false;
        }
    }

    /// The source for messages that `basic.get` fetches from this queue.
    pub fn source_for_get(&mut self, queue: &Arc<Queue>) -> SourceKey {
        let known = self
            .sources
            .iter()
            .find(|(_, source)| source.consumer.is_none() && Arc::ptr_eq(&source.queue, queue));
        match known {
            Some((slot, _)) => SourceKey(u32::try_from(slot).unwrap_or(u32::MAX)),
            None => self.add_source(Arc::clone(queue), None),
        }
    }

    /// The consumer of a source is gone; what it delivered stays to be settled.
    pub fn end_source(&mut self, key: SourceKey) {
        if let Some(source) = self.sources.get_mut(key.0 as usize) {
            source.consumer = None;
            source.ended = true;
            self.drop_if_done(key);
        }
    }

    /// All consumers that deliver here, with their queues.
    pub fn consumers(&self) -> impl Iterator<Item = (&Arc<Queue>, ConsumerKey)> {
        self.sources.iter().filter_map(|(_, s)| s.consumer.map(|key| (&s.queue, key)))
    }

    /// Moves the delivery with this tag, or all up to it, to `settlements`; tag 0 with `multiple`
    /// means all. False when the tag is not outstanding (406 for the client).
    pub fn settle(
        &mut self,
        tag: u64,
        multiple: bool,
        outcome: Outcome,
        settlements: &mut Settlements,
    ) -> bool {
        if multiple {
            if tag != 0 && !self.unacked.contains(tag) {
                return false;
            }
            self.settle_through(if tag == 0 { u64::MAX } else { tag }, outcome, settlements);
            return true;
        }
        let Some(taken) = self.unacked.take(tag) else { return false };
        self.move_out(taken, outcome, settlements);
        true
    }

    /// Moves everything up to `tag` to `settlements`.
    pub fn settle_through(&mut self, tag: u64, outcome: Outcome, settlements: &mut Settlements) {
        let mut unacked = std::mem::take(&mut self.unacked);
        unacked.take_through(tag, |taken| self.move_out(taken, outcome, settlements));
        self.unacked = unacked;
    }

    /// Takes the delivery with this tag, or all up to it, without settling them: a transaction
    /// holds them. `None` when the tag is not outstanding.
    pub fn take(&mut self, tag: u64, multiple: bool) -> Option<Vec<Outstanding>> {
        if !multiple {
            return self.unacked.take(tag).map(|taken| vec![taken]);
        }
        if tag != 0 && !self.unacked.contains(tag) {
            return None;
        }
        let mut taken = Vec::new();
        let last = if tag == 0 { u64::MAX } else { tag };
        self.unacked.take_through(last, |delivery| taken.push(delivery));
        Some(taken)
    }

    /// Settles a delivery that was taken before.
    pub fn settle_taken(
        &mut self,
        taken: Outstanding,
        outcome: Outcome,
        settlements: &mut Settlements,
    ) {
        self.move_out(taken, outcome, settlements);
    }

    /// Gives taken deliveries back: the transaction is rolled back.
    pub fn restore(&mut self, taken: impl Iterator<Item = Outstanding>) {
        self.unacked.restore(taken);
    }

    fn move_out(&mut self, taken: Outstanding, outcome: Outcome, settlements: &mut Settlements) {
        let Some(source) = self.sources.get_mut(taken.source.0 as usize) else { return };
        source.outstanding -= 1;
        let done = source.ended && source.outstanding == 0;
        // Deliveries of one source come in runs: the last queue is nearly always the right one.
        if !settlements.queues.iter().rev().any(|(known, _)| *known == taken.source) {
            settlements.queues.push((taken.source, Arc::clone(&source.queue)));
        }
        settlements.entries.push((taken.source, taken.key, outcome));
        if done {
            // The key may be given out again while the settlements are still to be carried out:
            // they hold their own reference to the queue, and are carried out before anything else.
            self.drop_if_done(taken.source);
        }
    }

    fn drop_if_done(&mut self, key: SourceKey) {
        let slot = key.0 as usize;
        if self.sources.get(slot).is_some_and(|s| s.ended && s.outstanding == 0) {
            self.sources.remove(slot);
        }
    }
}
