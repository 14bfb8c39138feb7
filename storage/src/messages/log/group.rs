//! What is written at once: the front of the backlog as frames, and what becomes of the index then.
//!
//! Used by the log thread alone, in this order: form, settle, encode, (write), apply, and the front
//! is removed. If the write fails for want of room all is done again later.
//!
//! A message whose places are all settled when its group is written is not written at all. Only
//! what is settled in the same group or before counts: a group becomes durable as a whole, so no
//! message is confirmed whose disappearance is not on disk with it.
//!
//! Stays true: what an atomic batch settles is settled only after the batch was written; otherwise a
//! snapshot could tell the one half of it without the other.

use super::frame::{FrameBuffer, FramePlace, PLACES_MAX, TooLong};
use super::holdings::Holdings;
use super::index::{Gaps, Slot};
use super::load::{Entry, Items, Load};
use super::settlements::Settlements;
use crate::messages::{Content, Place, Publish, Settled, Ticket};

/// From so many places on a run is told as one.
const RANGE_PLACES: u64 = 256;

/// See the module documentation. Reused: it keeps its memory.
#[derive(Debug)]
pub(super) struct Group {
    gaps: Gaps,
    /// How many entries at the front of the backlog.
    pub(super) entries: usize,
    /// What belongs to them.
    pub(super) items: Items,
    /// Everything up to it is in the group or was before.
    pub(super) ticket: Ticket,
    /// Bytes of content.
    pub(super) content: usize,
    /// Somebody waits for one of the tickets.
    pub(super) is_awaited: bool,
    /// It has more in it than settlements of single messages: a ticket is durable only when it is
    /// synced.
    pub(super) needs_sync: bool,
    /// Messages that need not be written.
    pub(super) elided: u64,
    settlements: Settlements,
    counts: Vec<(Place, u32)>,
    deleted: Vec<u64>,
    arrivals: Vec<(Place, Slot)>,
    /// For what must be in one piece for a moment.
    ranges: Vec<Settled>,
}

impl Group {
    /// For a durable log gaps are open, for a scratch log they are settled.
    pub(super) fn new(gaps: Gaps) -> Self {
        Self {
            gaps,
            entries: 0,
            items: Items::default(),
            ticket: Ticket::default(),
            content: 0,
            is_awaited: false,
            needs_sync: false,
            elided: 0,
            settlements: Settlements::default(),
            counts: Vec::new(),
            deleted: Vec::new(),
            arrivals: Vec::new(),
            ranges: Vec::new(),
        }
    }

    /// Takes entries from the front of the load whose frames have no more than so many bytes; at
    /// least one message.
    pub(super) fn form(&mut self, load: &mut Load, bytes_max: u64) {
        self.reset();
        load.split(0, bytes_max);
        let mut bytes = 0;
        for entry in &load.entries {
            if self.entries > 0 && bytes + entry.frame_bytes > bytes_max {
                break;
            }
            bytes += entry.frame_bytes;
            self.entries += 1;
            self.items.add(entry.items);
            self.ticket = entry.ticket;
            self.is_awaited |= entry.is_awaited;
        }
        let publishes = load.publishes.iter().take(self.items.publishes);
        self.content = publishes.map(|publish| publish.content.size()).sum();
    }

    fn reset(&mut self) {
        self.entries = 0;
        self.items = Items::default();
        self.is_awaited = false;
        self.needs_sync = false;
        self.elided = 0;
        self.settlements.clear();
        self.counts.clear();
        self.deleted.clear();
        self.arrivals.clear();
    }

    /// Settles what is settled on its own, and takes the settled places from the messages.
    pub(super) fn settle(&mut self, load: &mut Load, holdings: &mut Holdings) {
        let mut at = Items::default();
        for entry in load.entries.iter().take(self.entries) {
            if !entry.is_atomic {
                self.settle_entry(load, at, entry.items, holdings);
            }
            at.add(entry.items);
        }
        for absent in load.absent.iter().take(self.items.absent) {
            holdings.settle(*absent, |_, _| {});
        }
        for publish in load.publishes.range_mut(..self.items.publishes) {
            if drop_settled(publish, holdings) {
                self.elided += 1;
            }
        }
    }

    fn settle_entry(&mut self, load: &Load, at: Items, items: Items, holdings: &mut Holdings) {
        for queue in load.deleted.iter().skip(at.deleted).take(items.deleted) {
            holdings.delete_queue(*queue);
            self.deleted.push(*queue);
        }
        for settled in load.settled.iter().skip(at.settled).take(items.settled) {
            let queue = settled.queue;
            let mut any = false;
            if settled.count >= RANGE_PLACES {
                holdings.settle(*settled, |_, _| any = true);
            } else {
                let settlements = &mut self.settlements;
                holdings.settle(*settled, |sequence, _| settlements.add(queue, sequence));
            }
            if any {
                self.settlements.add_range(*settled);
            }
        }
        for (place, count) in load.counts.iter().skip(at.counts).take(items.counts) {
            if holdings.raise_count(*place, *count) {
                self.counts.push((*place, *count));
            }
        }
    }

    /// Puts what is to be written into `out`.
    ///
    /// # Errors
    /// A message is too long for a frame.
    pub(super) fn encode(&mut self, load: &Load, out: &mut FrameBuffer) -> Result<(), TooLong> {
        let mut at = Items::default();
        for entry in load.entries.iter().take(self.entries) {
            let until = at.publishes + entry.items.publishes;
            if entry.is_atomic && self.gaps == Gaps::Open {
                self.encode_batch(load, at, entry, out)?;
            } else {
                for publish in load.publishes.range(at.publishes..until) {
                    self.encode_publish(publish, out)?;
                }
            }
            at.add(entry.items);
        }
        if self.gaps == Gaps::Open {
            self.needs_sync |= !self.counts.is_empty() || !self.deleted.is_empty();
            self.settlements.write(out)?;
            out.counts(&self.counts)?;
            out.deleted_queues(&self.deleted)?;
        }
        Ok(())
    }

    fn encode_publish(&mut self, publish: &Publish, out: &mut FrameBuffer) -> Result<(), TooLong> {
        let (head, tail) = parts(&publish.content);
        for places in publish.places.chunks(PLACES_MAX) {
            let frame = out.publish(publish.content.note, head, tail, places)?;
            let slot = slot(out, frame, places.len());
            self.arrivals.extend(places.iter().map(|place| (*place, slot)));
            self.needs_sync = true;
        }
        Ok(())
    }

    fn encode_batch(
        &mut self,
        load: &Load,
        at: Items,
        entry: &Entry,
        out: &mut FrameBuffer,
    ) -> Result<(), TooLong> {
        let Items { publishes, settled, absent: _, counts, deleted } = entry.items;
        let publishes = || load.publishes.range(at.publishes..at.publishes + publishes);
        let refs: usize = publishes().map(|publish| publish.places.len()).sum();
        if refs == 0 && settled == 0 && counts == 0 && deleted == 0 {
            return Ok(());
        }
        self.ranges.clear();
        self.ranges.extend(load.settled.iter().skip(at.settled).take(settled));
        let counts: Vec<_> = load.counts.iter().skip(at.counts).take(counts).copied().collect();
        let deleted: Vec<_> = load.deleted.iter().skip(at.deleted).take(deleted).copied().collect();
        let frame = out.batch(|batch| {
            for publish in publishes() {
                let (head, tail) = parts(&publish.content);
                for places in publish.places.chunks(PLACES_MAX) {
                    batch.publish(publish.content.note, head, tail, places);
                }
            }
            batch.ranges(&self.ranges);
            batch.counts(&counts);
            batch.deleted_queues(&deleted);
        })?;
        let slot = slot(out, frame, refs);
        let places = publishes().flat_map(|publish| &publish.places);
        self.arrivals.extend(places.map(|place| (*place, slot)));
        self.needs_sync = true;
        Ok(())
    }

    /// Everything was written: says so to the index.
    pub(super) fn apply(&mut self, load: &Load, holdings: &mut Holdings) {
        for (place, slot) in self.arrivals.drain(..) {
            holdings.arrive(place, slot);
        }
        let mut at = Items::default();
        for entry in load.entries.iter().take(self.entries) {
            let is_forgetful = self.gaps == Gaps::Settled;
            if entry.is_atomic || is_forgetful {
                // Where gaps count as settled, what was settled before it arrived was forgotten.
                apply_settled(load, at, entry.items, holdings);
            }
            at.add(entry.items);
        }
    }
}

fn apply_settled(load: &Load, at: Items, items: Items, holdings: &mut Holdings) {
    for settled in load.settled.iter().skip(at.settled).take(items.settled) {
        holdings.settle(*settled, |_, _| {});
    }
    for (place, count) in load.counts.iter().skip(at.counts).take(items.counts) {
        holdings.raise_count(*place, *count);
    }
    for queue in load.deleted.iter().skip(at.deleted).take(items.deleted) {
        holdings.delete_queue(*queue);
    }
}

/// Says whether the message had places and has none any more.
pub(super) fn drop_settled(publish: &mut Publish, holdings: &Holdings) -> bool {
    let had_places = !publish.places.is_empty();
    publish.places.retain(|place| !holdings.index().is_settled(*place));
    had_places && publish.places.is_empty()
}

fn parts(content: &Content) -> (&[u8], &[u8]) {
    (&content.head, content.tail.as_ref().map_or(&[], |tail| tail.as_ref()))
}

fn slot(out: &FrameBuffer, frame: FramePlace, refs: usize) -> Slot {
    // A frame with more places only counts as a little more than it is.
    let refs = u16::try_from(refs).unwrap_or(u16::MAX);
    Slot { segment: out.start().segment, offset: frame.offset, length: frame.len, refs }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::super::frame::{Frame, LogPosition, decode, stated_len};
    use super::*;
    use crate::messages::Batch;

    const START: LogPosition = LogPosition { segment: 1, offset: 64 };

    struct Rig {
        group: Group,
        load: Load,
        holdings: Holdings,
        out: FrameBuffer,
        tickets: u64,
    }

    fn rig() -> Rig {
        Rig {
            group: Group::new(Gaps::Open),
            load: Load::default(),
            holdings: Holdings::new(Gaps::Open),
            out: FrameBuffer::default(),
            tickets: 0,
        }
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
            self.out.begin(START);
            self.group.encode(&self.load, &mut self.out).unwrap();
        }

        /// A whole group; gives the numbers of its messages.
        fn write(&mut self, bytes_max: u64) -> Vec<u64> {
            self.prepare(bytes_max);
            self.group.apply(&self.load, &mut self.holdings);
            self.load.remove_front(self.group.entries, self.group.items);
            let (mut position, mut rest, mut written) = (START, self.out.bytes(), Vec::new());
            while !rest.is_empty() {
                let frame = decode(position, rest).unwrap();
                for publish in frame.publishes() {
                    written.extend(publish.places.iter().map(|place| place.sequence));
                }
                let len = stated_len(rest).unwrap();
                rest = &rest[usize::try_from(len).unwrap()..];
                position.offset += u32::try_from(len).unwrap();
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
            let content = Content { note: 0, head: [7; 100].into(), tail: None };
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
        let bytes: u64 = rig.load.entries.iter().take(2).map(|entry| entry.frame_bytes).sum();
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
        assert!(matches!(decode(START, rig.out.bytes()), Ok(Frame::Batch(_))));
        assert!(rig.group.needs_sync);
    }

    #[test]
    fn only_settlements_of_what_is_on_disk_are_written_and_need_no_sync() {
        let mut rig = rig();
        rig.append(publishes(0..2));
        rig.write(u64::MAX);
        rig.append(settles(50, 10));
        rig.write(u64::MAX);
        assert!(rig.out.is_empty() && !rig.group.needs_sync);
        rig.append(settles(1, 1));
        rig.write(u64::MAX);
        assert!(!rig.out.is_empty() && !rig.group.needs_sync);
        rig.append(Batch { deleted_queues: vec![1], ..Batch::default() });
        rig.write(u64::MAX);
        assert!(rig.group.needs_sync);
    }
}
