//! What the store holds, in memory: where every message is, and what of it is still to be written.
//!
//! Behind the lock of the store; never held over a call into sled. Stays true: a body is removed
//! with the last place that needs it, and what the index holds is in `waiting`, in `writing` or in
//! the tree.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::group::{Group, Reference};
use crate::messages::log::index::{Count, Index, Released, Slot};
use crate::messages::{Batch, Content, Place, Publish, Settled, Statistics, Ticket};
use crate::wal::RecordPlace;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Holdings {
    /// A slot's segment and offset are the halves of the body's id.
    index: Index,
    /// Messages in more than one place, and how many still need them.
    shared: FxHashMap<u64, u32>,
    /// Places whose delivery count is in the tree, or will be.
    counted: BTreeSet<Place>,
    /// The next sequence number of queues that had messages.
    next_sequences: FxHashMap<u64, u64>,
    next_id: u64,
    /// What fills.
    pub(super) waiting: Group,
    /// What the writer thread is putting into the tree.
    pub(super) writing: Option<Arc<Group>>,
    /// The ticket given last.
    pub(super) last: Ticket,
    /// What is appended now is dropped.
    pub(super) is_closed: bool,
    /// Of these, the counters and what is live.
    pub(super) statistics: Statistics,
}

/// Where to read a message.
#[derive(Debug)]
pub(super) enum Source {
    /// Here it is.
    Memory(Content),
    /// In the tree under this id.
    Tree(u64),
}

impl Holdings {
    /// Holds nothing.
    pub(super) fn new() -> Self {
        Self {
            index: Index::default(),
            shared: FxHashMap::default(),
            counted: BTreeSet::new(),
            next_sequences: FxHashMap::default(),
            next_id: 1,
            waiting: Group::default(),
            writing: None,
            last: Ticket::default(),
            is_closed: false,
            statistics: Statistics::default(),
        }
    }

    /// Bodies get ids above this.
    pub(super) fn raise_id(&mut self, id: u64) {
        self.next_id = self.next_id.max(id + 1);
    }

    /// A message was found in the tree.
    pub(super) fn restore(&mut self, place: Place, reference: Reference) {
        if !self.index.arrive(place, slot(&reference)).is_there() {
            return;
        }
        self.statistics.live_messages += 1;
        let is_first = reference.places == 1 || {
            let places = self.shared.entry(reference.id).or_default();
            *places += 1;
            *places == 1
        };
        if is_first {
            self.statistics.live_bytes += u64::from(reference.size);
        }
    }

    /// A delivery count was found in the tree. False if its message was not.
    pub(super) fn restore_count(&mut self, place: Place, count: u32) -> bool {
        self.counted.insert(place);
        self.raise_count(place, count);
        self.index.get(place).is_some()
    }

    /// A queue was found in the tree.
    pub(super) fn restore_next(&mut self, queue: u64, next: u64) {
        self.next_sequences.insert(queue, next);
    }

    fn raise_count(&mut self, place: Place, times: u32) -> bool {
        self.index.is_count_news(place, times)
            && self.index.raise_count(place, Count { times, segment: 0 }).is_some()
    }

    /// The highest number of a queue that was ever named here.
    pub(super) fn highest_queue(&self) -> u64 {
        let named = self.next_sequences.keys().copied().max().unwrap_or(0);
        named.max(self.index.highest_queue())
    }

    /// Takes everything out of a batch. Returns how many bytes more wait to be written, and how
    /// many that waited need not be.
    pub(super) fn append(&mut self, batch: &mut Batch) -> (usize, usize) {
        let (mut added, mut removed) = (0, 0);
        for queue in batch.deleted_queues.drain(..) {
            removed += self.delete_queue(queue);
        }
        for publish in batch.publishes.drain(..) {
            added += self.publish(publish);
        }
        for (place, count) in batch.delivery_counts.drain(..) {
            if self.raise_count(place, count) {
                self.counted.insert(place);
                self.waiting.counts.insert(place, Some(count));
            }
        }
        for settled in batch.settled.drain(..).chain(batch.absent.drain(..)) {
            removed += self.settle(settled);
        }
        (added, removed)
    }

    /// Returns the bytes that are to be written for it.
    fn publish(&mut self, publish: Publish) -> usize {
        let Publish { content, mut places } = publish;
        self.statistics.appended_messages += 1;
        self.statistics.appended_bytes += content.size() as u64;
        places.retain(|place| !self.index.is_settled(*place));
        let Some(count) = u32::try_from(places.len()).ok().filter(|count| *count > 0) else {
            self.statistics.elided_messages += 1;
            return 0;
        };
        let id = self.next_id;
        self.next_id += 1;
        let size = u32::try_from(content.size()).unwrap_or(u32::MAX);
        let Content { note, arrived_ms, until_ms, .. } = content;
        let reference = Reference { id, note, arrived_ms, until_ms, size, places: count };
        for place in places {
            self.restore(place, reference);
            self.waiting.references.insert(place, Some(reference));
            let next = self.next_sequences.entry(place.queue).or_default();
            *next = place.sequence.saturating_add(1).max(*next);
            self.waiting.queues.insert(place.queue, Some(*next));
        }
        let bytes = content.size();
        self.waiting.bodies.insert(id, content);
        self.waiting.bytes += bytes;
        bytes
    }

    /// Returns the bytes that need not be written any more.
    fn settle(&mut self, settled: Settled) -> usize {
        let Settled { queue, first, count } = settled;
        let Some(more) = count.checked_sub(1) else { return 0 };
        let mut released = Vec::new();
        self.index.settle(settled, |one| released.extend(message(one)));
        let last = first.saturating_add(more);
        self.forget_counts(Place { queue, sequence: first }..=Place { queue, sequence: last });
        released.into_iter().map(|(sequence, slot)| self.release(queue, sequence, slot)).sum()
    }

    fn delete_queue(&mut self, queue: u64) -> usize {
        let mut released = Vec::new();
        self.index.delete_queue(queue, |one| released.extend(message(one)));
        self.forget_counts(Place { queue, sequence: 0 }..=Place { queue, sequence: u64::MAX });
        self.next_sequences.remove(&queue);
        self.waiting.queues.insert(queue, None);
        released.into_iter().map(|(sequence, slot)| self.release(queue, sequence, slot)).sum()
    }

    fn forget_counts(&mut self, places: RangeInclusive<Place>) {
        let counted: Vec<Place> = self.counted.range(places).copied().collect();
        for place in counted {
            self.counted.remove(&place);
            self.waiting.counts.insert(place, None);
        }
    }

    fn release(&mut self, queue: u64, sequence: u64, slot: Slot) -> usize {
        self.statistics.live_messages -= 1;
        self.waiting.remove_reference(Place { queue, sequence });
        let id = id(slot);
        if slot.is_shared()
            && let Some(places) = self.shared.get_mut(&id)
        {
            *places -= 1;
            if *places > 0 {
                return 0;
            }
            self.shared.remove(&id);
        }
        self.statistics.live_bytes -= u64::from(slot.record().length);
        let elided = self.waiting.remove_body(id);
        self.statistics.elided_messages += u64::from(elided.is_some());
        elided.unwrap_or_default()
    }

    /// Where the messages of a queue in some ranges are, ascending.
    pub(super) fn find(&self, queue: u64, sequences: &[Range<u64>]) -> Vec<(u64, Source)> {
        let mut slots = Vec::new();
        for range in sequences {
            self.index.live(queue, range, |sequence, slot| slots.push((sequence, slot)));
        }
        slots.sort_unstable_by_key(|(sequence, _)| *sequence);
        slots.dedup_by_key(|(sequence, _)| *sequence);
        slots.into_iter().map(|(sequence, slot)| (sequence, self.source(id(slot)))).collect()
    }

    fn source(&self, id: u64) -> Source {
        let writing = self.writing.as_ref();
        let body = self.waiting.bodies.get(&id).or_else(|| writing?.bodies.get(&id));
        body.map_or(Source::Tree(id), |content| Source::Memory(content.clone()))
    }

    /// Whether a place holds a message.
    pub(super) fn holds(&self, place: Place) -> bool {
        self.index.get(place).is_some()
    }
}

fn slot(reference: &Reference) -> Slot {
    let [a, b, c, d, e, f, g, h] = reference.id.to_be_bytes();
    let offset = u32::from_be_bytes([e, f, g, h]);
    let record = RecordPlace { offset, length: reference.size };
    Slot::new(u32::from_be_bytes([a, b, c, d]), record, reference.places as usize)
}

fn message(released: Released) -> Option<(u64, Slot)> {
    match released {
        Released::Message(sequence, slot) => Some((sequence, slot)),
        Released::Count(_) => None,
    }
}

fn id(slot: Slot) -> u64 {
    u64::from(slot.segment) << 32 | u64::from(slot.offset)
}
