//! The state of all queues, put together from frames in whatever order they come.
//!
//! Recovery and `verify` feed it frame by frame and take the result. What counts is the set of
//! frames: messages, less what is settled, less deleted queues.
//!
//! Stays true: a frame told twice changes nothing; of a message that is in two segments the one in
//! the later segment counts; a queue that the definitions know is never emptied by an old deletion.

use std::collections::{BTreeMap, HashSet};

use rustc_hash::FxHashMap;

use super::frame::{Flaw, Frame, FramePlace, List, Record};
use super::holdings::Holdings;
use super::index::{Gaps, Slot};
use super::snapshot::{self, Told};
use crate::messages::{Place, Quarantined, RecoveredMessage, RecoveredQueue, Settled};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Rebuild<'a> {
    /// The queues of the definitions; `None` takes every queue for known.
    known: Option<&'a HashSet<u64>>,
    holdings: Holdings,
    found: FxHashMap<u64, Vec<RecoveredMessage>>,
    messages: u64,
}

/// What the frames came to.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    /// Where everything is.
    pub(crate) holdings: Holdings,
    /// What is in the known queues.
    pub(crate) queues: BTreeMap<u64, RecoveredQueue>,
    /// What is in others.
    pub(crate) quarantined: Vec<Quarantined>,
    /// Messages on disk, settled or not.
    pub(crate) messages: u64,
}

impl<'a> Rebuild<'a> {
    /// Nothing yet. The holdings have an account of every segment and nothing else.
    pub(crate) fn new(holdings: Holdings, known: Option<&'a HashSet<u64>>) -> Self {
        Self { known, holdings, found: FxHashMap::default(), messages: 0 }
    }

    /// An empty one to begin with.
    pub(crate) fn empty_holdings() -> Holdings {
        Holdings::new(Gaps::Open)
    }

    /// Takes a frame in.
    ///
    /// # Errors
    /// It cannot be understood.
    pub(crate) fn frame(
        &mut self,
        segment: u32,
        place: FramePlace,
        frame: &Frame<'_>,
    ) -> Result<(), Flaw> {
        match frame {
            Frame::Record(record) => self.record(slot(segment, place, frame.places()), record),
            Frame::Batch(records) => {
                let slot = slot(segment, place, frame.places());
                records.for_each(|record| self.record(slot, &record));
            }
            Frame::Synced(_) => {}
            Frame::Snapshot { payload, .. } => return self.snapshot(payload),
        }
        Ok(())
    }

    /// Takes a message in: its places, what it was appended with, and where its frame is.
    pub(crate) fn publish(&mut self, slot: Slot, note: u64, size: u32, places: List<'_, Place>) {
        self.messages += 1;
        for place in places.iter() {
            if self.holdings.arrive(place, slot) {
                let message =
                    RecoveredMessage { sequence: place.sequence, note, size, delivery_count: 0 };
                self.found.entry(place.queue).or_default().push(message);
            } else {
                self.prefer_later(place, slot);
            }
        }
    }

    /// The compactor copies before it removes: then a message is found twice.
    fn prefer_later(&mut self, place: Place, slot: Slot) {
        if let Some(other) = self.holdings.index().get(place)
            && (other.segment, other.offset) < (slot.segment, slot.offset)
        {
            self.holdings.repoint(place, other, slot);
        }
    }

    fn record(&mut self, slot: Slot, record: &Record<'_>) {
        match record {
            Record::Publish(publish) => {
                self.publish(slot, publish.note, publish.size, publish.places);
            }
            Record::Acks(chunks) => {
                chunks.iter().for_each(|chunk| self.holdings.settle_chunk(&chunk));
            }
            Record::Ranges(ranges) => ranges.iter().for_each(|range| self.settle(range)),
            Record::Counts(counts) => {
                for (place, count) in counts.iter() {
                    self.holdings.raise_count(place, count);
                }
            }
            Record::DeletedQueues(queues) => {
                queues.iter().for_each(|queue| self.delete_queue(queue));
            }
        }
    }

    fn settle(&mut self, settled: Settled) {
        self.holdings.settle(settled, |_, _| {});
    }

    fn delete_queue(&mut self, queue: u64) {
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
        })
    }

    /// All frames were told.
    pub(crate) fn finish(self) -> Rebuilt {
        let Self { known, holdings, mut found, messages } = self;
        let mut queues = BTreeMap::new();
        let mut quarantined = Vec::new();
        for (queue, next_sequence) in holdings.index().queues() {
            let mut messages = found.remove(&queue).unwrap_or_default();
            keep_live(&holdings, queue, &mut messages);
            if known.is_none_or(|known| known.contains(&queue)) {
                queues.insert(queue, RecoveredQueue { next_sequence, messages });
            } else if !messages.is_empty() {
                quarantined.push(Quarantined { queue, messages: messages.len() as u64 });
            }
        }
        quarantined.sort_unstable_by_key(|quarantined| quarantined.queue);
        Rebuilt { holdings, queues, quarantined, messages }
    }
}

/// Leaves out what was settled after it was found, and fills in what is known by now.
fn keep_live(holdings: &Holdings, queue: u64, messages: &mut Vec<RecoveredMessage>) {
    let index = holdings.index();
    messages.retain_mut(|message| {
        let place = Place { queue, sequence: message.sequence };
        message.delivery_count = index.count(place);
        index.get(place).is_some()
    });
    messages.sort_unstable_by_key(|message| message.sequence);
    messages.shrink_to_fit();
}

fn slot(segment: u32, place: FramePlace, places: usize) -> Slot {
    // A frame with more places only counts as a little more than it is.
    let refs = u16::try_from(places).unwrap_or(u16::MAX);
    Slot { segment, offset: place.offset, length: place.len, refs }
}
