//! Reads messages back: from memory what is not written yet, from the segments the rest.
//!
//! Called by whoever reads, from any thread. Where the messages are is looked up under the locks;
//! files are read without any. A segment that is removed meanwhile is not missed: what was needed of it
//! is elsewhere by then, and is looked up again.
//!
//! Stays true: what was appended and not settled is found, wherever it is on its way to the disk; a
//! damaged record is told, never left out; a record is read once for all who ask for it at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::chunk::Slot;
use super::record::{self, Record};
use super::shared::Shared;
use crate::StorageError;
use crate::messages::{Content, DamagedMessage, Place, ReadBack, StoredMessage};
use crate::wal::{self, Segment};

/// Bytes between two records that are read along rather than skipped.
const GAP_BYTES: u64 = 64 << 10;

/// The most that is read at once, unless a record is longer.
const PIECE_BYTES: u64 = 4 << 20;

/// See [`crate::messages::MessageStore::read`].
pub(super) fn read(
    shared: &Shared,
    queue: u64,
    sequences: &[Range<u64>],
) -> Result<ReadBack, StorageError> {
    let mut reading = Reading { queue, messages: BTreeMap::new(), damaged: BTreeMap::new() };
    let mut moved = reading.attempt(shared, sequences)?;
    while !moved.is_empty() {
        let again: Vec<_> = moved.into_iter().map(|sequence| sequence..sequence + 1).collect();
        moved = reading.attempt(shared, &again)?;
    }
    let Reading { messages, damaged, .. } = reading;
    let stored = |(sequence, content)| StoredMessage { sequence, content };
    let damaged = damaged.into_iter().map(|(sequence, error)| DamagedMessage { sequence, error });
    Ok(ReadBack {
        messages: messages.into_iter().map(stored).collect(),
        damaged: damaged.collect(),
    })
}

struct Reading {
    queue: u64,
    messages: BTreeMap<u64, Content>,
    damaged: BTreeMap<u64, StorageError>,
}

impl Reading {
    /// Reads what is in these ranges; what was in a segment that has gone is returned.
    fn attempt(
        &mut self,
        shared: &Shared,
        sequences: &[Range<u64>],
    ) -> Result<Vec<u64>, StorageError> {
        let Found { mut messages, slots: mut wanted, segments } =
            find(shared, self.queue, sequences);
        self.messages.append(&mut messages);
        wanted.sort_unstable_by_key(|(sequence, slot)| (slot.segment, slot.offset, *sequence));
        let mut moved = Vec::new();
        for near in wanted.chunk_by(|(_, one), (_, next)| is_near(*one, *next)) {
            let segment = near.first().and_then(|(_, slot)| segments.get(&slot.segment));
            for piece in cut(near) {
                match segment {
                    Some(segment) => self.read_piece(shared, segment, piece, &mut moved)?,
                    // It was removed between two looks at it.
                    None => moved.extend(piece.iter().map(|(sequence, _)| *sequence)),
                }
            }
        }
        Ok(moved)
    }

    fn read_piece(
        &mut self,
        shared: &Shared,
        segment: &Segment,
        piece: &[(u64, Slot)],
        moved: &mut Vec<u64>,
    ) -> Result<(), StorageError> {
        let (Some((_, first)), Some((_, last))) = (piece.first(), piece.last()) else {
            return Ok(());
        };
        let start = first.offset;
        let length = last.record().end().saturating_sub(start);
        let mut bytes = vec![0; length as usize];
        match shared.wal.read_at(segment, &mut bytes, start) {
            Ok(count) => bytes.truncate(count),
            Err(_) if segment.is_gone() => {
                moved.extend(piece.iter().map(|(sequence, _)| *sequence));
                return Ok(());
            }
            Err(error) => return Err(StorageError::io("read", &segment.path, error)),
        }
        for (sequence, slot) in piece {
            let from = slot.offset.saturating_sub(start) as usize;
            let held = bytes.get(from..).unwrap_or_default();
            match self.content(segment, *sequence, *slot, held) {
                Ok(content) => {
                    self.messages.insert(*sequence, content);
                }
                Err(_) if segment.is_gone() => moved.push(*sequence),
                Err(why) => {
                    let error = damaged(segment, self.queue, *sequence, *slot, &why);
                    self.damaged.insert(*sequence, error);
                }
            }
        }
        Ok(())
    }

    fn content(
        &self,
        segment: &Segment,
        sequence: u64,
        slot: Slot,
        bytes: &[u8],
    ) -> Result<Content, String> {
        let record = wal::Record::read(segment, slot.offset, bytes)
            .and_then(|record| record::decode(record.kind, record.payload))
            .map_err(|flaw| flaw.to_string())?;
        let place = Place { queue: self.queue, sequence };
        match record {
            Record::Publish(publish) if publish.places.iter().any(|one| one == place) => {
                let tail = publish.tail;
                let tail = (!tail.is_empty()).then(|| Arc::new(Bytes::copy_from_slice(tail)));
                let record::Stamp { note, arrived_ms, until_ms } = publish.stamp;
                Ok(Content { note, arrived_ms, until_ms, head: publish.head.into(), tail })
            }
            Record::Publish(_)
            | Record::Acks(_)
            | Record::Ranges(_)
            | Record::Counts(_)
            | Record::DeletedQueues(_)
            | Record::Snapshot(_) => Err("there is another record".to_owned()),
        }
    }
}

/// Where the messages of a queue are.
#[derive(Debug, Default)]
struct Found {
    /// In memory.
    messages: BTreeMap<u64, Content>,
    /// On disk...
    slots: Vec<(u64, Slot)>,
    /// ...in these.
    segments: FxHashMap<u32, Arc<Segment>>,
}

fn find(shared: &Shared, queue: u64, sequences: &[Range<u64>]) -> Found {
    let mut found = Found::default();
    let mut settled = Vec::new();
    // While this is held nothing moves from the input to the backlog or from there to the disk.
    let backlog = shared.backlog.read();
    if !backlog.is_empty() {
        backlog.find(queue, sequences, |sequence, content| {
            found.messages.insert(sequence, content.clone());
        });
        backlog.find_settled(queue, |range| settled.push(range));
    }
    shared.input.peek(|input| {
        input.find(queue, sequences, |sequence, content| {
            found.messages.insert(sequence, content.clone());
        });
        input.find_settled(queue, |range| settled.push(range));
    });
    let holdings = shared.holdings.lock();
    let Found { messages, slots, segments } = &mut found;
    let is_settled = |sequence: u64| holdings.index().is_settled(Place { queue, sequence });
    messages.retain(|sequence, _| !is_settled(*sequence));
    for range in sequences {
        holdings.index().live(queue, range, |sequence, slot| {
            if !messages.contains_key(&sequence) {
                slots.push((sequence, slot));
            }
        });
    }
    for (_, slot) in slots.iter() {
        if !segments.contains_key(&slot.segment)
            && let Some(account) = holdings.segments().get(slot.segment)
        {
            segments.insert(slot.segment, Arc::clone(&account.segment));
        }
    }
    drop(holdings);
    drop(backlog);
    let is_settled = |sequence: u64| settled.iter().any(|range| range.contains(&sequence));
    found.messages.retain(|sequence, _| !is_settled(*sequence));
    found.slots.retain(|(sequence, _)| !is_settled(*sequence));
    found
}

fn is_near(one: Slot, next: Slot) -> bool {
    let end = u64::from(one.record().end());
    one.segment == next.segment && u64::from(next.offset) <= end + GAP_BYTES
}

/// Cuts neighbours into pieces that are not too long.
fn cut(neighbours: &[(u64, Slot)]) -> impl Iterator<Item = &[(u64, Slot)]> {
    let mut start = neighbours.first().map_or(0, |(_, slot)| slot.offset);
    neighbours.chunk_by(move |(_, one), (_, next)| {
        let is_same = one.offset == next.offset;
        let length = u64::from(next.record().end().saturating_sub(start));
        let fits = is_same || length <= PIECE_BYTES;
        if !fits {
            start = next.offset;
        }
        fits
    })
}

fn damaged(segment: &Segment, queue: u64, sequence: u64, slot: Slot, why: &str) -> StorageError {
    let detail = format!(
        "at offset {}, message {sequence} of queue {queue}: {why}; stop the broker, and look with \
         `leveret verify` at what else is damaged before a backup of the file is put back",
        slot.offset
    );
    StorageError::Damaged { path: segment.path.clone(), detail }
}
