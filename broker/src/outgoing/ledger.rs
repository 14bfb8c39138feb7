//! The delivery side of one channel: its delivery tags and what it has not settled, and from which
//! source each came.
//!
//! Kept in the connection's outbox, because deliveries come from any task; the channel itself asks
//! for it under that lock. It knows keys only: which queue is behind a source, the channel knows
//! (`session::settlements`). Stays true: a source lives as long as its consumer or its last
//! unsettled delivery, and its key is given out again only after its end was told.

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use super::unacked::{Outstanding, UnackedTags};
use crate::keys::{DeliveryKey, Outcome, SourceKey};
use crate::meters::channels::{ChannelCounts, ChannelMeter, Delivered};

#[derive(Debug)]
struct Source {
    outstanding: u32,
    /// No consumer delivers from it any more: it goes with its last unsettled delivery.
    ended: bool,
    /// Its consumer is held back, and known to whoever serves it when there is room.
    held_back: bool,
    /// The queue has taken back what came from it.
    lapsed: bool,
}

/// Deliveries that left the ledger, collected under the outbox's lock and settled in their queues
/// after it is released.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    /// In the order in which they were settled.
    pub entries: Vec<(SourceKey, DeliveryKey, Outcome)>,
    /// Sources that are gone with them.
    pub ended: Vec<SourceKey>,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Ledger {
    number: u16,
    last_tag: u64,
    unacked: UnackedTags,
    sources: Slab<Source>,
    /// Unsettled deliveries that their queues have taken back.
    lapsed: usize,
    prefetch_count_global: u32,
    /// The most that may be unsettled, whatever the client says; 0 is no limit.
    most: usize,
    active: bool,
    delivered_no_ack: u64,
    got: u64,
    got_no_ack: u64,
    redelivered: u64,
    /// What the channel's own task counts.
    meter: Arc<ChannelMeter>,
    /// Consumers held back by the channel's limit, in the order of their turns.
    held_back: VecDeque<SourceKey>,
}

impl Ledger {
    /// No deliveries yet.
    pub(crate) fn new(number: u16) -> Self {
        Self {
            number,
            last_tag: 0,
            unacked: UnackedTags::default(),
            sources: Slab::new(),
            lapsed: 0,
            prefetch_count_global: 0,
            most: 0,
            active: true,
            delivered_no_ack: 0,
            got: 0,
            got_no_ack: 0,
            redelivered: 0,
            meter: Arc::default(),
            held_back: VecDeque::new(),
        }
    }

    /// The channel's number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Unsettled deliveries.
    pub(crate) fn unacked_count(&self) -> usize {
        self.unacked.len()
    }

    /// The limit of all its consumers together; 0 is none.
    pub(crate) fn prefetch_count_global(&self) -> u32 {
        self.prefetch_count_global
    }

    /// Limits the unsettled deliveries of the whole channel; 0 is no limit
    /// (`basic.qos` with `global`, as RabbitMQ up to 4.2 has it).
    pub(crate) fn set_prefetch_count_global(&mut self, count: u16) {
        self.prefetch_count_global = u32::from(count);
    }

    /// Limits them whatever the client asks for; 0 is no limit.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Whether as many deliveries are unsettled as may be, whatever the client says.
    pub(crate) fn has_most(&self) -> bool {
        self.most != 0 && self.unacked.len() - self.lapsed >= self.most
    }

    /// The end of deliveries when the channel closes.
    pub(crate) fn set_active(&mut self, active: bool) {
        self.active = active;
    }

    /// Whether a delivery may go to this channel now.
    pub(crate) fn takes_deliveries(&self) -> bool {
        let limit = self.prefetch_count_global as usize;
        self.active && (limit == 0 || self.unacked.len() - self.lapsed < limit) && !self.has_most()
    }

    /// Notes that a source's consumer is held back. False when that was known, or need not be.
    pub(crate) fn hold_back(&mut self, source: SourceKey) -> bool {
        let source = self.sources.get_mut(source.0 as usize).filter(|_| self.active);
        source.is_some_and(|source| !std::mem::replace(&mut source.held_back, true))
    }

    /// The opposite of `hold_back`: the consumer is served.
    pub(crate) fn let_go(&mut self, source: SourceKey) {
        if let Some(source) = self.sources.get_mut(source.0 as usize) {
            source.held_back = false;
        }
    }

    /// A source's consumer waits for room on the channel, behind all others.
    pub(crate) fn wait_for_room(&mut self, source: SourceKey) {
        if self.hold_back(source) {
            self.held_back.push_back(source);
        }
    }

    /// Whose turn it is, if there is room on the channel and somebody waits for it.
    pub(crate) fn next_held_back(&mut self) -> Option<SourceKey> {
        if self.held_back.is_empty() || !self.takes_deliveries() {
            return None;
        }
        let source = self.held_back.pop_front()?;
        self.let_go(source);
        Some(source)
    }

    /// The tag given out last.
    pub(crate) fn last_tag(&self) -> u64 {
        self.last_tag
    }

    /// Gives a delivery its tag and, unless it needs no settling, remembers it.
    pub(crate) fn record(&mut self, key: DeliveryKey, source: SourceKey) -> u64 {
        self.last_tag += 1;
        if key != DeliveryKey::NONE {
            self.unacked.push(Outstanding { tag: self.last_tag, key, source });
            if let Some(source) = self.sources.get_mut(source.0 as usize) {
                source.outstanding += 1;
            }
        } else {
            self.delivered_no_ack += 1;
        }
        self.last_tag
    }

    /// What was delivered last is not for the first time.
    pub(super) fn note_redelivered(&mut self) {
        self.redelivered += 1;
    }

    /// What was recorded last was fetched, and did not come to a consumer.
    pub(crate) fn note_got(&mut self, no_ack: bool, redelivered: bool) {
        self.got += u64::from(!no_ack);
        self.got_no_ack += u64::from(no_ack);
        self.redelivered += u64::from(redelivered);
    }

    /// What the channel's own task counts.
    pub(crate) fn meter(&self) -> &Arc<ChannelMeter> {
        &self.meter
    }

    /// What the channel did.
    pub(crate) fn counts(&self) -> ChannelCounts {
        let Self { last_tag, delivered_no_ack, got, got_no_ack, redelivered, .. } = *self;
        let others = delivered_no_ack + got + got_no_ack;
        let delivered = last_tag.saturating_sub(others);
        let all = Delivered { delivered, delivered_no_ack, got, got_no_ack, redelivered };
        self.meter.counts(all)
    }

    /// Gives a delivery that needs no settling its tag.
    pub(crate) fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    /// A source that a consumer will deliver from, until `end_source`.
    pub(crate) fn add_source(&mut self) -> SourceKey {
        self.insert(Source { outstanding: 0, ended: false, held_back: false, lapsed: false })
    }

    /// A source for messages that `basic.get` fetches: it goes when all of them are settled, so
    /// something is recorded from it at once.
    pub(crate) fn add_source_for_get(&mut self) -> SourceKey {
        self.insert(Source { outstanding: 0, ended: true, held_back: false, lapsed: false })
    }

    fn insert(&mut self, source: Source) -> SourceKey {
        SourceKey(u32::try_from(self.sources.insert(source)).unwrap_or(u32::MAX))
    }

    /// The consumer of a source is gone; what it delivered stays to be settled. True when nothing
    /// is, so that the source is gone, too.
    #[must_use]
    pub(crate) fn end_source(&mut self, key: SourceKey) -> bool {
        if let Some(source) = self.sources.get_mut(key.0 as usize) {
            source.ended = true;
        }
        self.drop_if_done(key)
    }

    /// Moves the delivery with this tag to `departed`. False when it is not outstanding.
    pub(crate) fn settle(&mut self, tag: u64, outcome: Outcome, departed: &mut Departed) -> bool {
        let Some(taken) = self.unacked.take(tag) else { return false };
        self.note_taken(&taken);
        self.move_out(taken, outcome, departed);
        true
    }

    /// The queue has taken back what came from a source: it no longer counts for the channel's limit.
    pub(crate) fn lapse(&mut self, key: SourceKey) {
        let Some(source) = self.sources.get_mut(key.0 as usize).filter(|source| !source.lapsed)
        else {
            return;
        };
        source.lapsed = true;
        self.lapsed += self.unacked.count_from(key);
    }

    /// Whether a tag is outstanding, of a delivery that came from this source.
    pub(crate) fn is_from(&self, tag: u64, source: SourceKey) -> bool {
        self.unacked.get(tag).is_some_and(|delivery| delivery.source == source)
    }

    /// A delivery leaves the unsettled ones.
    fn note_taken(&mut self, delivery: &Outstanding) {
        if self.lapsed > 0 && self.has_lapsed(delivery.source) {
            self.lapsed -= 1;
        }
    }

    fn has_lapsed(&self, source: SourceKey) -> bool {
        self.sources.get(source.0 as usize).is_some_and(|source| source.lapsed)
    }

    /// Whether a tag is outstanding.
    pub(crate) fn is_outstanding(&self, tag: u64) -> bool {
        self.unacked.contains(tag)
    }

    /// Moves everything up to `tag` to `departed`, but at most so many. True when that was all.
    pub(crate) fn settle_through(
        &mut self,
        tag: u64,
        limit: usize,
        outcome: Outcome,
        departed: &mut Departed,
    ) -> bool {
        let mut unacked = std::mem::take(&mut self.unacked);
        let all = unacked.take_through(tag, limit, |taken| {
            self.note_taken(&taken);
            self.move_out(taken, outcome, departed);
        });
        self.unacked = unacked;
        all
    }

    /// Takes the delivery with this tag, or all up to it, without settling them: a transaction
    /// holds them. `None` when the tag is not outstanding.
    pub(crate) fn take(&mut self, tag: u64, multiple: bool) -> Option<Vec<Outstanding>> {
        let mut taken = Vec::new();
        if multiple {
            if tag != 0 && !self.unacked.contains(tag) {
                return None;
            }
            let last = if tag == 0 { u64::MAX } else { tag };
            self.unacked.take_through(last, usize::MAX, |delivery| taken.push(delivery));
        } else {
            taken.push(self.unacked.take(tag)?);
        }
        taken.iter().for_each(|delivery| self.note_taken(delivery));
        Some(taken)
    }

    /// Settles a delivery that was taken before.
    pub(crate) fn settle_taken(
        &mut self,
        taken: Outstanding,
        outcome: Outcome,
        departed: &mut Departed,
    ) {
        self.move_out(taken, outcome, departed);
    }

    /// Gives taken deliveries back: the transaction is rolled back.
    pub(crate) fn restore(&mut self, taken: impl Iterator<Item = Outstanding>) {
        let taken: Vec<_> = taken.collect();
        self.lapsed += taken.iter().filter(|delivery| self.has_lapsed(delivery.source)).count();
        self.unacked.restore(taken.into_iter());
    }

    fn move_out(&mut self, taken: Outstanding, outcome: Outcome, departed: &mut Departed) {
        let Outstanding { key, source, .. } = taken;
        let Some(known) = self.sources.get_mut(source.0 as usize) else { return };
        known.outstanding -= 1;
        departed.entries.push((source, key, outcome));
        if self.drop_if_done(source) {
            departed.ended.push(source);
        }
    }

    fn drop_if_done(&mut self, key: SourceKey) -> bool {
        let slot = key.0 as usize;
        let done = self.sources.get(slot).is_some_and(|s| s.ended && s.outstanding == 0);
        if done {
            self.sources.remove(slot);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lapsed_does_not_count_for_the_limit_and_is_settled_once() {
        let mut ledger = Ledger::new(1);
        ledger.set_prefetch_count_global(2);
        let (late, other) = (ledger.add_source(), ledger.add_source());
        let record = |ledger: &mut Ledger, key, source| ledger.record(DeliveryKey(key), source);
        let first = record(&mut ledger, 1, late);
        let second = record(&mut ledger, 2, late);
        let held = ledger.take(first, false).expect("outstanding");
        ledger.lapse(late);
        assert!(!ledger.end_source(late), "it has deliveries");
        assert!(ledger.takes_deliveries());
        record(&mut ledger, 3, other);
        assert!(ledger.takes_deliveries());
        ledger.restore(held.into_iter());
        assert!(ledger.takes_deliveries(), "it lapsed while it was held");
        record(&mut ledger, 4, other);
        assert!(!ledger.takes_deliveries());
        let mut departed = Departed::default();
        assert!(ledger.settle_through(second, usize::MAX, Outcome::Ack, &mut departed));
        assert!(!ledger.settle(second, Outcome::Ack, &mut departed));
        assert_eq!((ledger.lapsed, ledger.takes_deliveries()), (0, false));
        assert_eq!(departed.ended, [late]);
    }
}
