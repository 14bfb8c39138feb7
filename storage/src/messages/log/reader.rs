//! Reads messages back: from memory what is not written yet, from the segments the rest.
//!
//! Called by whoever reads, from any thread. Where the messages are is looked up under the locks;
//! files are read without any. A segment that is removed meanwhile can be read to the end.
//!
//! Stays true: what was appended and not settled is found, wherever it is on its way to the disk; a
//! damaged frame is an error, never left out.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::chunk::Slot;
use super::frame::{LogPosition, RawFrame};
use super::segments::Segment;
use super::shared::Shared;
use crate::StorageError;
use crate::messages::{Content, Place, StoredMessage};

/// Bytes between two frames that are read along rather than skipped.
const GAP_BYTES: u64 = 64 << 10;

/// The most that is read at once, unless a frame is longer.
const PIECE_BYTES: u64 = 4 << 20;

/// See [`crate::messages::MessageStore::read`].
pub(super) fn read(
    shared: &Shared,
    queue: u64,
    sequences: &[Range<u64>],
) -> Result<Vec<StoredMessage>, StorageError> {
    let Found { mut messages, slots, segments } = find(shared, queue, sequences);
    let count = messages.len() + slots.len();
    let mut wanted = slots;
    wanted.sort_unstable_by_key(|(sequence, slot)| (slot.segment, slot.offset, *sequence));
    for piece in wanted.chunk_by(|(_, one), (_, next)| is_near(*one, *next)) {
        // Every slot is in a segment: `holdings` sees to it.
        if let Some(segment) = piece.first().and_then(|(_, slot)| segments.get(&slot.segment)) {
            for piece in cut(piece) {
                read_piece(segment, queue, piece, &mut messages)?;
            }
        }
    }
    if messages.len() < count {
        let detail = format!("some messages of queue {queue} are not where they should be");
        return Err(StorageError::Damaged { path: shared.directory.clone(), detail });
    }
    let stored = messages.into_iter();
    Ok(stored.map(|(sequence, content)| StoredMessage { sequence, content }).collect())
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
    if !shared.is_scratch() {
        let is_settled = |sequence: u64| holdings.index().is_settled(Place { queue, sequence });
        messages.retain(|sequence, _| !is_settled(*sequence));
    }
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
    let end = u64::from(one.offset) + u64::from(one.length);
    one.segment == next.segment && u64::from(next.offset) <= end + GAP_BYTES
}

/// Cuts neighbours into pieces that are not too long.
fn cut(neighbours: &[(u64, Slot)]) -> impl Iterator<Item = &[(u64, Slot)]> {
    let mut start = neighbours.first().map_or(0, |(_, slot)| slot.offset);
    neighbours.chunk_by(move |(_, one), (_, next)| {
        let is_same = one.offset == next.offset;
        let end = u64::from(next.offset) + u64::from(next.length);
        let fits = is_same || end - u64::from(start) <= PIECE_BYTES;
        if !fits {
            start = next.offset;
        }
        fits
    })
}

fn read_piece(
    segment: &Segment,
    queue: u64,
    piece: &[(u64, Slot)],
    messages: &mut BTreeMap<u64, Content>,
) -> Result<(), StorageError> {
    let (Some((_, first)), Some((_, last))) = (piece.first(), piece.last()) else { return Ok(()) };
    let start = u64::from(first.offset);
    let length = u64::from(last.offset) + u64::from(last.length) - start;
    let unreadable = |error| StorageError::io("read", &segment.path, error);
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| unreadable(too_long()))?];
    let count = segment.file.read_full_at(&mut bytes, start).map_err(unreadable)?;
    bytes.truncate(count);
    for frame in piece.chunk_by(|(_, one), (_, next)| one.offset == next.offset) {
        let Some((_, slot)) = frame.first() else { continue };
        let from = usize::try_from(u64::from(slot.offset) - start).unwrap_or(usize::MAX);
        let position = LogPosition { segment: slot.segment, offset: slot.offset };
        let held = bytes.get(from..).unwrap_or_default();
        let raw = RawFrame::read(position, held).and_then(|raw| raw.decode());
        let decoded = raw.map_err(|flaw| damaged(segment, slot.offset, &flaw.to_string()))?;
        for publish in decoded.publishes() {
            for place in publish.places.iter().filter(|place| place.queue == queue) {
                let is_wanted = |(sequence, _): &(u64, Slot)| sequence.cmp(&place.sequence);
                if frame.binary_search_by(is_wanted).is_ok() {
                    messages
                        .insert(place.sequence, content(publish.note, publish.head, publish.tail));
                }
            }
        }
    }
    Ok(())
}

fn content(note: u64, head: &[u8], tail: &[u8]) -> Content {
    let tail = (!tail.is_empty()).then(|| Arc::new(Bytes::copy_from_slice(tail)));
    Content { note, head: head.into(), tail }
}

fn damaged(segment: &Segment, offset: u32, why: &str) -> StorageError {
    let detail = format!(
        "at offset {offset} {why}; stop the broker, and look with `leveret verify` at what else is \
         damaged before a backup of the file is put back"
    );
    StorageError::Damaged { path: segment.path.clone(), detail }
}

fn too_long() -> io::Error {
    io::Error::other("more than this machine can address")
}
