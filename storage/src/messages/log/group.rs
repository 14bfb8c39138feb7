//! What is written at once: the front of the backlog as records, and what becomes of the index then.
//!
//! Used by the log thread alone, in this order: form, settle, encode, (write), apply, and the front
//! is removed. If the write fails for want of room all is done again later.
//!
//! A message whose places are all settled when its group is written is not written at all. Only
//! what is settled in the same group or before counts: a group becomes durable as a whole, so no
//! message is confirmed whose disappearance is not on disk with it.
//!
//! Stays true: what an atomic batch settles is settled only after the batch was written; otherwise a
//! snapshot could tell the one half of it without the other. What was settled in the index is written
//! with the next group that is.

use super::buffer::RecordBuffer;
use super::holdings::Holdings;
use super::index::{Count, Slot};
use super::load::{Items, Load, Taken};
use super::record::{Kind, PLACES_MAX, Stamp};
use super::settlements::Settlements;
use crate::messages::{Content, Place, Publish, Settled, Ticket};
use crate::wal::TooLong;

/// From so many places on a run is told as one.
const RANGE_PLACES: u64 = 256;

/// See the module documentation. Reused: it keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// How many entries at the front of the backlog.
    pub(super) entries: usize,
    /// What belongs to them.
    pub(super) items: Items,
    /// Everything up to it is in the group or was before.
    pub(super) ticket: Ticket,
    /// Bytes of content, once it is encoded.
    pub(super) content: usize,
    /// Somebody waits for one of the tickets.
    pub(super) is_awaited: bool,
    /// It has more in it than settlements of single messages: a ticket is durable only when it is
    /// synced.
    pub(super) needs_sync: bool,
    /// Messages that need not be written.
    pub(super) elided: u64,
    /// Settled and deleted in the index, and not written yet.
    settlements: Settlements,
    deleted: Vec<u64>,
    /// Of atomic entries.
    ranges: Vec<Settled>,
    deleted_with: Vec<u64>,
    counts: Vec<(Place, u32)>,
    /// Of every record that has a message, and how many of the places are its.
    slots: Vec<(Slot, usize)>,
    places: Vec<Place>,
}

impl Group {
    /// Takes entries from the front of the load whose records have no more than so many bytes; at
    /// least one message.
    pub(super) fn form(&mut self, load: &mut Load, bytes_max: u64) {
        self.reset();
        load.split(0, bytes_max);
        let mut bytes = 0;
        for entry in &load.entries {
            if self.entries > 0 && bytes + entry.bytes > bytes_max {
                break;
            }
            bytes += entry.bytes;
            self.entries += 1;
            self.items.add(entry.items);
            self.ticket = entry.ticket;
            self.is_awaited |= entry.is_awaited;
        }
    }

    fn reset(&mut self) {
        self.entries = 0;
        self.items = Items::default();
        self.content = 0;
        self.is_awaited = false;
        self.needs_sync = false;
        self.elided = 0;
        self.ranges.clear();
        self.deleted_with.clear();
        self.counts.clear();
        self.slots.clear();
        self.places.clear();
    }

    /// Settles what is settled on its own, and takes the settled places from the messages.
    pub(super) fn settle(&mut self, load: &mut Load, holdings: &mut Holdings) {
        let mut at = Items::default();
        for entry in load.entries.iter().take(self.entries) {
            let Items { settled, deleted, .. } = entry.items;
            let settled = load.settled.iter().skip(at.settled).take(settled);
            let deleted = load.deleted.iter().skip(at.deleted).take(deleted);
            if entry.is_atomic {
                self.ranges.extend(settled);
                self.deleted_with.extend(deleted);
            } else {
                settled.for_each(|settled| self.take(Taken::Settled(*settled), holdings));
                deleted.for_each(|queue| self.take(Taken::Deleted(*queue), holdings));
            }
            at.add(entry.items);
        }
        for absent in load.absent.iter().take(self.items.absent) {
            self.take(Taken::Absent(*absent), holdings);
        }
        self.counts.extend(load.counts.iter().take(self.items.counts));
        for publish in load.publishes.range_mut(..self.items.publishes) {
            if drop_settled(publish, holdings) {
                self.elided += 1;
            }
        }
    }

    /// Settles or deletes something in the index, and remembers it to be written.
    pub(super) fn take(&mut self, taken: Taken, holdings: &mut Holdings) {
        let Self { settlements, deleted, .. } = self;
        match taken {
            Taken::Absent(absent) => holdings.settle(absent, |_| {}),
            Taken::Deleted(queue) => {
                holdings.delete_queue(queue);
                deleted.push(queue);
            }
            Taken::Settled(settled) if settled.count >= RANGE_PLACES => {
                let mut any = false;
                holdings.settle(settled, |_| any = true);
                if any {
                    settlements.add_range(settled);
                }
            }
            Taken::Settled(settled) => {
                holdings.settle(settled, |sequence| settlements.add(settled.queue, sequence));
            }
        }
    }

    /// Whether there is something to be written beside what is in the backlog.
    pub(super) fn has_settlements(&self) -> bool {
        !self.settlements.is_empty() || !self.deleted.is_empty()
    }

    /// Puts what is to be written into `out`.
    ///
    /// # Errors
    /// It is too long for a group.
    pub(super) fn encode(&mut self, load: &Load, out: &mut RecordBuffer) -> Result<(), TooLong> {
        for publish in load.publishes.range(..self.items.publishes) {
            self.encode_publish(publish, out)?;
        }
        // Nothing else tells of the messages before them that they were moved.
        self.needs_sync |= !self.ranges.is_empty() || !self.counts.is_empty();
        self.needs_sync |= !self.deleted_with.is_empty();
        out.list(Kind::Range, &self.ranges)?;
        out.list(Kind::DeletedQueue, &self.deleted_with)?;
        out.list(Kind::Count, &self.counts)?;
        self.encode_settlements(out)
    }

    /// Puts what was settled and deleted in the index into `out`.
    ///
    /// # Errors
    /// It is too long for a group.
    pub(super) fn encode_settlements(&mut self, out: &mut RecordBuffer) -> Result<(), TooLong> {
        self.needs_sync |= !self.deleted.is_empty();
        self.settlements.write(out)?;
        out.list(Kind::DeletedQueue, &self.deleted)
    }

    fn encode_publish(&mut self, publish: &Publish, out: &mut RecordBuffer) -> Result<(), TooLong> {
        self.content += publish.content.size();
        let Content { head, tail, .. } = &publish.content;
        let tail = tail.as_ref().map_or(&[][..], |tail| tail);
        let stamp = Stamp::of(&publish.content);
        let segment = out.group.spot().segment;
        for places in publish.places.chunks(PLACES_MAX) {
            let record = out.publish(stamp, head, tail, places)?;
            let slot = Slot::new(segment, record, places.len());
            self.slots.push((slot, places.len()));
            self.places.extend_from_slice(places);
            self.needs_sync = true;
        }
        Ok(())
    }

    /// What was settled and deleted was written.
    pub(super) fn settlements_written(&mut self) {
        self.settlements.clear();
        self.deleted.clear();
    }

    /// Everything was written to a segment: says so to the index.
    pub(super) fn apply(&mut self, segment: u32, holdings: &mut Holdings) {
        let mut arrivals = holdings.arrivals(segment);
        let mut places = self.places.drain(..);
        for (slot, count) in self.slots.drain(..) {
            arrivals.add(slot, places.by_ref().take(count), |_, _| {});
        }
        drop(places);
        for (place, times) in self.counts.drain(..) {
            holdings.raise_count(place, Count { times, segment });
        }
        for settled in self.ranges.drain(..) {
            holdings.settle(settled, |_| {});
        }
        for queue in self.deleted_with.drain(..) {
            holdings.delete_queue(queue);
        }
        self.settlements_written();
    }
}

/// Says whether the message had places and has none any more.
pub(super) fn drop_settled(publish: &mut Publish, holdings: &Holdings) -> bool {
    let had_places = !publish.places.is_empty();
    publish.places.retain(|place| !holdings.index().is_settled(*place));
    had_places && publish.places.is_empty()
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::path::Path;

    use super::super::record::{self, Record};
    use super::super::segments::Account;
    use super::*;
    use crate::messages::Batch;
    use crate::wal::{Segment, SegmentName, Spot};

    #[derive(Default)]
    struct Rig {
        group: Group,
        load: Load,
        holdings: Holdings,
        out: RecordBuffer,
        tickets: u64,
    }

    fn rig() -> Rig {
        let mut rig = Rig::default();
        // A spot of no segment has its id.
        let segment = Segment::for_test(SegmentName::hot(0), Path::new("log"));
        rig.holdings.segments_mut().insert(Account::open(segment, 0));
        rig
    }

    impl Rig {
        fn append(&mut self, mut batch: Batch) {
            self.tickets += 1;
            self.load.push(&mut batch, Ticket(self.tickets));
        }

        /// Everything up to the write.
        fn prepare(&mut self, bytes_max: u64) {
            self.group.form(&mut self.load, bytes_max);
            self.group.settle(&mut self.load, &mut self.holdings);
            self.out.begin(Spot::default());
            self.group.encode(&self.load, &mut self.out).unwrap();
        }

        /// A whole group; gives the numbers of its messages.
        fn write(&mut self, bytes_max: u64) -> Vec<u64> {
            self.prepare(bytes_max);
            self.group.apply(0, &mut self.holdings);
            self.load.remove_front(self.group.entries, self.group.items);
            let mut written = Vec::new();
            for payload in self.out.group.payloads() {
                if let Ok(Record::Publish(publish)) = record::decode(1, &payload)
                    && publish.head.len() == 100
                {
                    written.extend(publish.places.iter().map(|place| place.sequence));
                }
            }
            written
        }

        fn live(&self) -> Vec<u64> {
            let mut live = Vec::new();
            self.holdings.index().live(1, &(0..u64::MAX), |sequence, _| live.push(sequence));
            live
        }
    }

    fn publishes(sequences: Range<u64>) -> Batch {
        let message = |sequence| {
            let content = Content { head: [7; 100].into(), ..Content::default() };
            Publish { content, places: [Place { queue: 1, sequence }].into_iter().collect() }
        };
        Batch { publishes: sequences.map(message).collect(), ..Batch::default() }
    }

    fn settles(first: u64, count: u64) -> Batch {
        Batch { settled: vec![Settled { queue: 1, first, count }], ..Batch::default() }
    }

    #[test]
    fn what_is_settled_in_the_same_group_is_not_written_and_in_the_next_it_is() {
        let mut rig = rig();
        rig.append(publishes(0..4));
        rig.append(settles(1, 2));
        rig.append(publishes(4..5));
        rig.append(settles(3, 1));
        // As much as the first two entries have.
        let bytes: u64 = rig.load.entries.iter().take(2).map(|entry| entry.bytes).sum();
        assert_eq!(rig.write(bytes), [0, 3]);
        assert_eq!((rig.group.ticket, rig.group.elided), (Ticket(2), 2));
        assert_eq!(rig.live(), [0, 3]);
        assert_eq!(rig.write(u64::MAX), [4]);
        assert_eq!(rig.live(), [0, 4]);
        assert!(rig.load.is_empty());
    }

    #[test]
    fn what_an_atomic_batch_settles_is_settled_when_it_is_written() {
        let mut rig = rig();
        rig.append(publishes(0..2));
        rig.write(u64::MAX);
        rig.append(Batch { atomic: true, settled: settles(0, 1).settled, ..publishes(2..3) });
        rig.prepare(u64::MAX);
        assert_eq!(rig.live(), [0, 1], "no snapshot may tell the one half of it");
        // There was no room: all is done again.
        assert_eq!(rig.write(u64::MAX), [2]);
        assert_eq!(rig.live(), [1, 2]);
        assert!(rig.group.needs_sync);
    }

    #[test]
    fn what_was_settled_when_there_was_no_room_is_written_with_the_next_group() {
        let mut rig = rig();
        rig.append(publishes(0..2));
        rig.write(u64::MAX);
        rig.append(settles(1, 1));
        rig.prepare(u64::MAX);
        assert_eq!(rig.live(), [0], "in the index");
        rig.write(u64::MAX);
        assert!(!rig.out.group.is_empty() && !rig.group.has_settlements());
    }

    #[test]
    fn only_settlements_of_what_is_on_disk_are_written_and_need_no_sync() {
        let mut rig = rig();
        rig.append(publishes(0..2));
        rig.write(u64::MAX);
        rig.append(settles(50, 10));
        rig.write(u64::MAX);
        assert!(rig.out.group.is_empty() && !rig.group.needs_sync);
        rig.append(settles(1, 1));
        rig.write(u64::MAX);
        assert!(!rig.out.group.is_empty() && !rig.group.needs_sync);
        rig.append(Batch { deleted_queues: vec![1], ..Batch::default() });
        rig.write(u64::MAX);
        assert!(rig.group.needs_sync);
    }
}
