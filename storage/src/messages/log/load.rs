//! What was appended and is not written yet, in the order of the tickets.
//!
//! `input` fills one under its lock, the log thread swaps it against its own and works that off from
//! the front. Both keep their memory, so nothing is allocated for a message.
//!
//! Stays true: the entries tell, in order, which of the other lists' items belong to which ticket.

use std::collections::VecDeque;
use std::ops::Range;

use super::record;
use crate::messages::{Batch, Content, Place, Publish, SETTLED_BYTES, Settled, Ticket};

/// What one append brought, as counts of the items at the front of the lists.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) ticket: Ticket,
    pub(super) items: Items,
    /// Written in one group.
    pub(super) is_atomic: bool,
    pub(super) is_awaited: bool,
    /// At most so many bytes of records.
    pub(super) bytes: u64,
}

/// How many of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Items {
    pub(super) publishes: usize,
    pub(super) settled: usize,
    pub(super) absent: usize,
    pub(super) counts: usize,
    pub(super) deleted: usize,
}

impl Items {
    pub(super) fn add(&mut self, other: Self) {
        self.publishes += other.publishes;
        self.settled += other.settled;
        self.absent += other.absent;
        self.counts += other.counts;
        self.deleted += other.deleted;
    }

    pub(super) fn len(self) -> usize {
        self.publishes + self.settled + self.absent + self.counts + self.deleted
    }
}

/// Something that needs little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Settled(Settled),
    Absent(Settled),
    Deleted(u64),
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) entries: VecDeque<Entry>,
    pub(super) publishes: VecDeque<Publish>,
    pub(super) settled: VecDeque<Settled>,
    pub(super) absent: VecDeque<Settled>,
    pub(super) counts: VecDeque<(Place, u32)>,
    pub(super) deleted: VecDeque<u64>,
}

/// Memory for so many items of a kind stays when there are none.
const KEPT_ITEMS: usize = 1 << 16;

/// At most so many bytes of records for a message.
fn record_bytes(publish: &Publish) -> u64 {
    let records = publish.places.len() / record::PLACES_MAX + 1;
    let one = record::publish_length(0, publish.content.size());
    records as u64 * one + 16 * publish.places.len() as u64
}

/// At most so many bytes of records for a delivery count or a deleted queue.
const COUNT_BYTES: u64 = 20;

impl Load {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes everything out of a batch; says how many bytes of content it had.
    pub(super) fn push(&mut self, batch: &mut Batch, ticket: Ticket) -> usize {
        let items = Items {
            publishes: batch.publishes.len(),
            settled: batch.settled.len(),
            absent: batch.absent.len(),
            counts: batch.delivery_counts.len(),
            deleted: batch.deleted_queues.len(),
        };
        let others = (items.counts + items.deleted) as u64;
        let mut bytes = items.settled as u64 * SETTLED_BYTES + others * COUNT_BYTES;
        let mut content = 0;
        for publish in &batch.publishes {
            content += publish.content.size();
            bytes += record_bytes(publish);
        }
        self.entries.push_back(Entry {
            ticket,
            items,
            is_atomic: batch.atomic,
            is_awaited: batch.awaited,
            bytes,
        });
        self.publishes.extend(batch.publishes.drain(..));
        self.settled.extend(batch.settled.drain(..));
        self.absent.extend(batch.absent.drain(..));
        self.counts.extend(batch.delivery_counts.drain(..));
        self.deleted.extend(batch.deleted_queues.drain(..));
        content
    }

    /// Moves everything of another to the end of this one.
    pub(super) fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        self.entries.append(&mut other.entries);
        self.publishes.append(&mut other.publishes);
        self.settled.append(&mut other.settled);
        self.absent.append(&mut other.absent);
        self.counts.append(&mut other.counts);
        self.deleted.append(&mut other.deleted);
    }

    /// Removes the first entries and what belongs to them.
    pub(super) fn remove_front(&mut self, entries: usize, items: Items) {
        self.entries.drain(..entries.min(self.entries.len()));
        self.publishes.drain(..items.publishes.min(self.publishes.len()));
        self.settled.drain(..items.settled.min(self.settled.len()));
        self.absent.drain(..items.absent.min(self.absent.len()));
        self.counts.drain(..items.counts.min(self.counts.len()));
        self.deleted.drain(..items.deleted.min(self.deleted.len()));
        if self.is_empty() {
            self.entries.shrink_to(KEPT_ITEMS);
            self.publishes.shrink_to(KEPT_ITEMS);
            self.settled.shrink_to(KEPT_ITEMS);
            self.absent.shrink_to(KEPT_ITEMS);
            self.counts.shrink_to(KEPT_ITEMS);
            self.deleted.shrink_to(KEPT_ITEMS);
        }
    }

    /// Makes the entry at a position two, the first of which has at least one of its messages and
    /// no more than fit into so many bytes, and nothing else. It stays one if it has none to spare
    /// or must be whole.
    pub(super) fn split(&mut self, at: usize, bytes: u64) {
        let first: usize = self.entries.iter().take(at).map(|entry| entry.items.publishes).sum();
        let Some(entry) = self.entries.get(at).copied() else { return };
        let last = first + entry.items.publishes;
        if entry.is_atomic || entry.items.publishes < 2 || entry.bytes <= bytes {
            return;
        }
        let mut part =
            Entry { ticket: Ticket(entry.ticket.0.saturating_sub(1)), ..Entry::default() };
        for publish in self.publishes.range(first..last) {
            let more = record_bytes(publish);
            if part.items.publishes > 0 && part.bytes + more > bytes {
                break;
            }
            part.items.publishes += 1;
            part.bytes += more;
        }
        if let Some(rest) = self.entries.get_mut(at) {
            rest.items.publishes -= part.items.publishes;
            rest.bytes = rest.bytes.saturating_sub(part.bytes);
        }
        self.entries.insert(at, part);
    }

    /// At most so many bytes of records for the message that is written first, or 1.
    pub(super) fn first_bytes(&self) -> u64 {
        match (self.entries.front(), self.publishes.front()) {
            (Some(entry), _) if entry.is_atomic => entry.bytes,
            (Some(entry), Some(publish)) if entry.items.publishes > 0 => record_bytes(publish),
            (Some(_) | None, _) => 1,
        }
    }

    /// Takes out settlements and deletions, but for those that belong to atomic entries. Says up to
    /// which ticket all of them were taken.
    pub(super) fn take_settlements(&mut self, mut taken: impl FnMut(Taken)) -> Ticket {
        let mut until = Ticket(0);
        let mut any_kept = false;
        let mut previous: Option<Entry> = None;
        for _ in 0..self.entries.len() {
            let Some(mut entry) = self.entries.pop_front() else { break };
            let keeps = entry.is_atomic;
            turn(&mut self.settled, entry.items.settled, keeps, |one| taken(Taken::Settled(one)));
            turn(&mut self.absent, entry.items.absent, keeps, |one| taken(Taken::Absent(one)));
            turn(&mut self.deleted, entry.items.deleted, keeps, |one| taken(Taken::Deleted(one)));
            any_kept |= keeps;
            if !any_kept {
                until = entry.ticket;
            }
            if !keeps {
                let Items { publishes, counts, .. } = entry.items;
                entry.items = Items { publishes, counts, ..Items::default() };
                // What is empty goes on as part of the next, so that they do not become many.
                if let Some(empty) = previous.take_if(|previous| previous.items.len() == 0) {
                    entry.is_awaited |= empty.is_awaited;
                }
            }
            self.entries.extend(previous.replace(entry));
        }
        self.entries.extend(previous);
        until
    }

    /// Tells the messages that a queue has in these ranges.
    pub(super) fn find(
        &self,
        queue: u64,
        sequences: &[Range<u64>],
        mut found: impl FnMut(u64, &Content),
    ) {
        for publish in &self.publishes {
            for place in &publish.places {
                if place.queue == queue
                    && sequences.iter().any(|range| range.contains(&place.sequence))
                {
                    found(place.sequence, &publish.content);
                }
            }
        }
    }

    /// Tells what of a queue is settled but not yet known to be.
    pub(super) fn find_settled(&self, queue: u64, mut found: impl FnMut(Range<u64>)) {
        for settled in self.settled.iter().filter(|settled| settled.queue == queue) {
            found(settled.first..settled.first.saturating_add(settled.count));
        }
        if self.deleted.contains(&queue) {
            found(0..u64::MAX);
        }
    }
}

/// Takes items from the front and puts them at the end or gives them away. Done for all, the order
/// is what it was.
fn turn<T>(items: &mut VecDeque<T>, count: usize, keeps: bool, mut give: impl FnMut(T)) {
    for _ in 0..count {
        match items.pop_front() {
            Some(item) if keeps => items.push_back(item),
            Some(item) => give(item),
            None => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{BATCH_BYTES_MAX, message_bytes};

    fn publish(sequence: u64, size: usize) -> Publish {
        let content = Content { head: vec![0; size].into(), ..Content::default() };
        Publish { content, places: [Place { queue: 1, sequence }].into_iter().collect() }
    }

    fn batch(sequences: Range<u64>) -> Batch {
        Batch { publishes: sequences.map(|at| publish(at, 100)).collect(), ..Batch::default() }
    }

    #[test]
    fn a_batch_is_emptied_but_keeps_its_memory() {
        let mut load = Load::default();
        let mut batch = batch(0..5);
        batch.settled.push(Settled { queue: 1, first: 1, count: 1 });
        let capacity = batch.publishes.capacity();
        assert_eq!(load.push(&mut batch, Ticket(1)), 500);
        assert!(batch.is_empty() && batch.publishes.capacity() == capacity);
        let mut other = Load::default();
        other.push(&mut self::batch(5..6), Ticket(2));
        load.append(&mut other);
        assert!(other.is_empty() && load.entries.len() == 2);
        load.remove_front(1, load.entries[0].items);
        assert_eq!((load.publishes.len(), load.settled.len()), (1, 0));
        assert_eq!(load.publishes[0].places[0].sequence, 5);
    }

    #[test]
    fn an_entry_is_split_where_it_is_too_long_and_the_ticket_stays_with_the_rest() {
        let mut load = Load::default();
        load.push(&mut batch(0..1), Ticket(6));
        load.push(&mut batch(1..11), Ticket(7));
        load.split(0, 1);
        load.split(1, 500);
        let parts: Vec<_> =
            load.entries.iter().map(|entry| (entry.ticket.0, entry.items.publishes)).collect();
        assert_eq!(parts, [(6, 1), (6, 3), (7, 7)]);
        let mut atomic = batch(0..9);
        atomic.atomic = true;
        let mut load = Load::default();
        load.push(&mut atomic, Ticket(1));
        load.split(0, 1);
        assert_eq!(load.entries.len(), 1, "must stay whole");
    }

    #[test]
    fn a_batch_that_is_let_through_counts_for_no_more_than_it_was_checked_for() {
        let places = |count: u64| (0..count).map(|queue| Place { queue, sequence: 1 }).collect();
        for (size, count) in [(0, 0), (0, 1), (100, 9), (7, 65_534), (7, 65_535), (9, 140_000)] {
            let content = Content { head: vec![0; size].into(), ..Content::default() };
            let publish = Publish { content, places: places(count) };
            let checked = message_bytes(size, publish.places.len());
            let counted = record_bytes(&publish);
            assert!((counted..counted + 100).contains(&checked), "{checked} for {counted}");
        }
        let chunk = <record::AckChunk as record::Item>::SIZE as u64;
        assert!(SETTLED_BYTES >= 2 * chunk, "a run may begin in one and end in the next");
        assert!(BATCH_BYTES_MAX < u64::from(crate::wal::GROUP_BYTES_MAX));
    }

    #[test]
    fn what_waits_is_found_by_its_place() {
        let mut load = Load::default();
        let mut batch = batch(0..10);
        batch.settled.push(Settled { queue: 1, first: 4, count: 2 });
        batch.deleted_queues.push(8);
        load.push(&mut batch, Ticket(1));
        let mut found = Vec::new();
        load.find(1, &[2..4, 8..20], |sequence, _| found.push(sequence));
        load.find(2, &[0..4, 8..9], |sequence, _| found.push(sequence));
        assert_eq!(found, [2, 3, 8, 9]);
        let mut settled = Vec::new();
        load.find_settled(1, |range| settled.push(range));
        load.find_settled(8, |range| settled.push(range));
        assert_eq!(settled, [4..6, 0..u64::MAX]);
    }
}
