//! The state of all queues, put together from records in whatever order they come.
//!
//! Told by `wal` what is on disk when a log is opened or checked. What counts is the set of records:
//! messages, less what is settled, less deleted queues.
//!
//! Stays true: a record told twice changes nothing; of a message that is in two segments the one in
//! the later segment counts; a queue that the definitions know is never emptied by an old deletion.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::holdings::Holdings;
use super::index::{Count, Slot};
use super::outline::{self, Outline};
use super::record::{self, Kind, Record, Stamp};
use super::segments::Account;
use super::snapshot::{self, Told};
use crate::messages::{
    Place, Quarantined, Recovered, RecoveredMessage, RecoveredMessages, RecoveredQueue, Settled,
};
use crate::wal::{self, Flaw, RecordPlace, Segment, Visitor};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Rebuild<'a> {
    /// The queues of the definitions; `None` takes every queue for known.
    known: Option<&'a HashSet<u64>>,
    holdings: Holdings,
    /// Of the known queues.
    found: FxHashMap<u64, RecoveredMessages>,
    /// They may be told before their messages.
    counts: FxHashMap<Place, Count>,
    /// Of the segment whose records are told.
    outline: Outline,
    /// A snapshot was told: older ones say nothing more.
    has_snapshot: bool,
    /// Messages on disk, settled or not.
    pub(crate) messages: u64,
}

impl<'a> Rebuild<'a> {
    /// Nothing yet.
    pub(crate) fn new(known: Option<&'a HashSet<u64>>) -> Self {
        Self {
            known,
            holdings: Holdings::default(),
            found: FxHashMap::default(),
            counts: FxHashMap::default(),
            outline: Outline::default(),
            has_snapshot: false,
            messages: 0,
        }
    }

    fn see(&mut self, segment: &Arc<Segment>) {
        if self.holdings.segments().get(segment.name.id).is_none() {
            self.holdings.segments_mut().insert(Account::open(Arc::clone(segment), 0));
        }
    }

    fn publish(
        &mut self,
        segment: &Segment,
        record: RecordPlace,
        (stamp, size): (Stamp, u32),
        places: impl ExactSizeIterator<Item = Place>,
    ) {
        self.messages += 1;
        let slot = Slot::new(segment.name.id, record, places.len());
        let Stamp { note, arrived_ms, until_ms } = stamp;
        let message =
            RecoveredMessage { note, arrived_ms, until_ms, size, ..RecoveredMessage::default() };
        let Self { holdings, found, known, .. } = self;
        let mut refused = Vec::new();
        holdings.arrivals(slot.segment).add(slot, places, |place, is_there| {
            if !is_there {
                refused.push(place);
            } else if is_known(*known, place.queue) {
                let message = RecoveredMessage { sequence: place.sequence, ..message };
                found.entry(place.queue).or_default().push(&message);
            }
        });
        refused.into_iter().for_each(|place| self.prefer_later(place, slot));
    }

    /// The compactor copies before it removes: then a message is found twice.
    fn prefer_later(&mut self, place: Place, slot: Slot) {
        if let Some(other) = self.holdings.index().get(place)
            && (other.segment, other.offset) < (slot.segment, slot.offset)
        {
            self.holdings.repoint(place, other, slot);
        }
    }

    fn other(&mut self, segment: &Segment, record: &Record<'_>) -> Result<(), Flaw> {
        match record {
            Record::Acks(chunks) => {
                chunks.iter().for_each(|chunk| self.holdings.settle_chunk(&chunk));
            }
            Record::Ranges(ranges) => ranges.iter().for_each(|range| self.settle(range)),
            Record::Counts(counts) => {
                for (place, times) in counts.iter() {
                    self.count(place, Count { times, segment: segment.name.id });
                }
            }
            Record::DeletedQueues(queues) => {
                queues.iter().for_each(|queue| self.delete_queue(queue));
            }
            Record::Snapshot(payload) => return self.snapshot(payload),
            Record::Publish(_) => {}
        }
        Ok(())
    }

    fn count(&mut self, place: Place, count: Count) {
        let order = |count: &Count| (count.times, count.segment);
        let known = self.counts.entry(place).or_insert(count);
        if order(known) < order(&count) {
            *known = count;
        }
    }

    fn settle(&mut self, settled: Settled) {
        self.holdings.settle(settled, |_| {});
    }

    fn delete_queue(&mut self, queue: u64) {
        self.holdings.see_queue(queue);
        // Queue numbers are never used twice, so the deletion did not come to its end: whoever
        // asked for it was not told that it did.
        if self.known.is_some_and(|known| known.contains(&queue)) {
            return;
        }
        self.holdings.delete_queue(queue);
        self.found.remove(&queue);
    }

    fn snapshot(&mut self, payload: &[u8]) -> Result<(), Flaw> {
        snapshot::read(payload, |told| match told {
            Told::Queue { queue, next } => self.holdings.raise_next(queue, next),
            Told::Settled(settled) => self.settle(settled),
            Told::Chunk(chunk) => self.holdings.settle_chunk(&chunk),
            Told::Deleted(queue) => self.delete_queue(queue),
            Told::Highest(queue) => self.holdings.see_queue(queue),
        })
    }

    /// Everything was told. These are the segments there are, with their bytes.
    pub(crate) fn finish(self, segments: &[(Arc<Segment>, u32)]) -> (Holdings, Recovered) {
        let Self { known, mut holdings, mut found, counts, .. } = self;
        for (segment, bytes) in segments {
            if holdings.segments().get(segment.name.id).is_none() {
                holdings.segments_mut().insert(Account::open(Arc::clone(segment), 0));
            }
            holdings.segments_mut().set_sealed(segment.name.id, u64::from(*bytes));
        }
        for (place, count) in counts {
            holdings.raise_count(place, count);
        }
        let highest_queue = holdings.index().highest_queue();
        let mut recovered = Recovered { highest_queue, ..Recovered::default() };
        let queues: BTreeMap<u64, u64> = holdings.index().queues().collect();
        for (queue, next_sequence) in queues {
            if is_known(known, queue) {
                let mut messages = found.remove(&queue).unwrap_or_default();
                keep_live(&holdings, queue, &mut messages);
                recovered.queues.insert(queue, RecoveredQueue { next_sequence, messages });
                continue;
            }
            let mut messages = 0;
            holdings.index().live(queue, &(0..u64::MAX), |_, _| messages += 1);
            if messages > 0 {
                recovered.quarantined.push(Quarantined { queue, messages });
            }
        }
        (holdings, recovered)
    }
}

impl Visitor for Rebuild<'_> {
    fn record(&mut self, segment: &Arc<Segment>, record: &wal::Record<'_>) -> Result<(), Flaw> {
        self.see(segment);
        let decoded = record::decode(record.kind, record.payload)?;
        if let Record::Publish(publish) = decoded {
            let places = publish.places;
            let size = u32::try_from(publish.head.len() + publish.tail.len());
            let size = size.unwrap_or(u32::MAX);
            self.outline.publish(record.place, publish.stamp, places.iter());
            self.publish(segment, record.place, (publish.stamp, size), places.iter());
            return Ok(());
        }
        self.has_snapshot |= record.kind == Kind::Snapshot as u8;
        self.outline.other(record.kind, record.payload);
        self.other(segment, &decoded)
    }

    fn footer(&mut self) -> Vec<u8> {
        self.outline.take()
    }

    fn sealed(&mut self, segment: &Arc<Segment>, footer: &[u8]) -> Result<(), Flaw> {
        self.see(segment);
        let knows_snapshot = self.has_snapshot;
        outline::read(footer, |told| match told {
            outline::Told::Publish { record, stamp, size, places } => {
                self.publish(segment, record, (stamp, size), places.iter().copied());
                Ok(())
            }
            outline::Told::Other(Record::Snapshot(_)) if knows_snapshot => Ok(()),
            outline::Told::Other(record) => {
                self.has_snapshot |= matches!(record, Record::Snapshot(_));
                self.other(segment, &record)
            }
        })
    }
}

fn is_known(known: Option<&HashSet<u64>>, queue: u64) -> bool {
    known.is_none_or(|known| known.contains(&queue))
}

/// Leaves out what was settled after it was found, and fills in what is known by now.
fn keep_live(holdings: &Holdings, queue: u64, messages: &mut RecoveredMessages) {
    let index = holdings.index();
    messages.retain(|sequence| index.get(Place { queue, sequence }).is_some());
    for (sequence, count) in index.counts(queue) {
        messages.set_delivery_count(sequence, count.times);
    }
}
