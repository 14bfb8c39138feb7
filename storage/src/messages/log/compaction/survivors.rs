//! The messages that are left in segments, and their way into cold segments.
//!
//! The index tells what is left: it has far fewer places than the sources have bytes. Then the
//! records are read in the order of queues and sequence numbers, so that whoever reads a queue later
//! reads forwards, and the index is asked again, for much may be settled by then.
//!
//! Called by the compactor. Stays true: only what the index has in a source is copied, and a record
//! is read once and checked before it is copied.

use std::io;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::holdings::Holdings;
use super::super::index::Slot;
use super::super::record::{self, PublishRecord, Record};
use super::super::segments::{Account, Extent};
use super::super::shared::Shared;
use super::Stop;
use super::cold_segment::ColdSegment;
use crate::StorageError;
use crate::messages::Place;
use crate::wal::{self, Flaw, RecordPlace, Segment};

/// Places of a queue that the index is asked about at once.
const PLACES_AT_ONCE: u64 = 4096;

/// Bytes and records that are copied at once.
const GROUP_BYTES: u64 = 4 << 20;
const GROUP_RECORDS: usize = 4096;

/// A record that is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survivor {
    /// The first place that needs it: its place in the order.
    first: Place,
    /// Which of the sources has it.
    source: usize,
    record: RecordPlace,
}

/// What is needed of the sources.
#[derive(Debug, Default)]
pub(super) struct Survivors {
    /// In the order in which they are to be copied.
    messages: Vec<Survivor>,
    counts: Vec<(Place, u32)>,
}

impl Survivors {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.counts.is_empty()
    }
}

/// Finds what is needed in the sources.
pub(super) fn gather(shared: &Shared, sources: &[Arc<Segment>]) -> Result<Survivors, Stop> {
    let ids = sources.iter().map(|segment| segment.name.id);
    let ids: FxHashMap<u32, usize> = ids.zip(0..).collect();
    let mut survivors = Survivors::default();
    for (queue, extent) in extents(shared, sources) {
        let mut from = extent.first;
        while from <= extent.last {
            if shared.compactor.is_ended() {
                return Err(Stop::Closing);
            }
            let holdings = shared.holdings.lock();
            let Some(start) = holdings.index().next_held(queue, from) else { break };
            from = start.saturating_add(PLACES_AT_ONCE);
            holdings.index().live(queue, &(start..from), |sequence, slot| {
                if let Some(source) = ids.get(&slot.segment) {
                    let (first, record) = (Place { queue, sequence }, slot.record());
                    survivors.messages.push(Survivor { first, source: *source, record });
                }
            });
        }
        let holdings = shared.holdings.lock();
        let counts = holdings.index().counts(queue);
        let counts = counts.filter(|(_, count)| ids.contains_key(&count.segment));
        let place = |sequence| Place { queue, sequence };
        survivors.counts.extend(counts.map(|(sequence, count)| (place(sequence), count.times)));
    }
    let messages = &mut survivors.messages;
    // A record that several places need is copied once, for all of them.
    messages.sort_unstable_by_key(|one| (one.source, one.record, one.first));
    messages.dedup_by_key(|one| (one.source, one.record));
    messages.sort_unstable_by_key(|one| one.first);
    Ok(survivors)
}

/// The queues that may need something of the sources, and where in these to look for it.
fn extents(shared: &Shared, sources: &[Arc<Segment>]) -> FxHashMap<u64, Extent> {
    let mut all: FxHashMap<u64, Extent> = FxHashMap::default();
    let holdings = shared.holdings.lock();
    let accounts = sources.iter().filter_map(|one| holdings.segments().get(one.name.id));
    for (queue, extent) in accounts.flat_map(Account::queues) {
        let known = all.entry(queue).or_insert(extent);
        known.first = known.first.min(extent.first);
        known.last = known.last.max(extent.last);
    }
    all
}

/// Copies them into cold segments.
pub(super) fn copy(
    shared: &Shared,
    sources: &[Arc<Segment>],
    survivors: &Survivors,
    is_short: bool,
) -> Result<(), Stop> {
    let mut rest = &survivors.messages[..];
    let mut counts = &survivors.counts[..];
    while !rest.is_empty() || !counts.is_empty() {
        let mut cold = ColdSegment::begin(shared, is_short)?;
        if !counts.is_empty() {
            cold.counts(counts)?;
            counts = &[];
        }
        loop {
            let group = next_group(rest, &cold);
            if group.is_empty() {
                break;
            }
            copy_group(shared, sources, group, &mut cold)?;
            rest = rest.get(group.len()..).unwrap_or_default();
        }
        cold.finish()?;
    }
    Ok(())
}

/// As many of the first as fit into the cold segment; one in any case if there is none in it.
fn next_group<'s>(survivors: &'s [Survivor], cold: &ColdSegment<'_>) -> &'s [Survivor] {
    let most = cold.room().min(GROUP_BYTES);
    let mut bytes = 0;
    let fits = |survivor: &&Survivor| {
        bytes += u64::from(survivor.record.length);
        bytes <= most
    };
    let count = survivors.iter().take(GROUP_RECORDS).take_while(fits).count();
    let least = usize::from(cold.is_empty());
    survivors.get(..count.max(least)).unwrap_or(survivors)
}

fn copy_group(
    shared: &Shared,
    sources: &[Arc<Segment>],
    group: &[Survivor],
    cold: &mut ColdSegment<'_>,
) -> Result<(), Stop> {
    if shared.compactor.is_ended() {
        return Err(Stop::Closing);
    }
    let mut bytes = Vec::new();
    for survivor in group {
        let segment = source(sources, survivor)?;
        let read = read(shared, segment, survivor.record, &mut bytes);
        read.map_err(|error| unreadable(segment, error))?;
    }
    let messages = decode(sources, group, &bytes)?;
    let needed = all_needed(shared, &messages);
    for ((_, _, publish), needed) in messages.iter().zip(&needed) {
        if !needed.is_empty() {
            cold.publish(publish.stamp, publish.head, publish.tail, needed)?;
        }
    }
    cold.flush()
}

/// A message, with its segment and its offset there.
type Located<'a> = (&'a Segment, u32, PublishRecord<'a>);

/// Takes records that stand one after the other.
fn decode<'a>(
    sources: &'a [Arc<Segment>],
    group: &[Survivor],
    bytes: &'a [u8],
) -> Result<Vec<Located<'a>>, Stop> {
    let mut rest = bytes;
    let mut messages = Vec::with_capacity(group.len());
    for survivor in group {
        let segment = source(sources, survivor)?;
        let RecordPlace { offset, length } = survivor.record;
        let (front, behind) = rest.split_at_checked(length as usize).unwrap_or((rest, &[]));
        rest = behind;
        let record = wal::Record::read(segment, offset, front)
            .and_then(|record| record::decode(record.kind, record.payload));
        match record {
            Ok(Record::Publish(publish)) => messages.push((&**segment, offset, publish)),
            Ok(_) => {
                let flaw = Flaw::Malformed("there is another record");
                return Err(damaged(segment, offset, &flaw));
            }
            Err(flaw) => return Err(damaged(segment, offset, &flaw)),
        }
    }
    Ok(messages)
}

/// For every message, in their order: the places that need it, and their slots.
fn all_needed(shared: &Shared, messages: &[Located<'_>]) -> Vec<Vec<(Place, Slot)>> {
    let holdings = shared.holdings.lock();
    let needed = |(segment, offset, publish): &Located<'_>| {
        let places = publish.places.iter();
        let slots =
            places.filter_map(|place| Some((place, needed(&holdings, place, segment, *offset)?)));
        slots.collect()
    };
    messages.iter().map(needed).collect()
}

/// The slot of a place if its message is in this record.
fn needed(holdings: &Holdings, place: Place, segment: &Segment, offset: u32) -> Option<Slot> {
    let slot = holdings.index().get(place)?;
    (slot.segment == segment.name.id && slot.offset == offset).then_some(slot)
}

fn source<'s>(
    sources: &'s [Arc<Segment>],
    survivor: &Survivor,
) -> Result<&'s Arc<Segment>, StorageError> {
    // `gather` was given the same sources.
    sources.get(survivor.source).ok_or(StorageError::Closed)
}

/// Adds the bytes of a record.
fn read(
    shared: &Shared,
    segment: &Segment,
    record: RecordPlace,
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    let before = bytes.len();
    bytes.resize(before + record.length as usize, 0);
    let room = bytes.get_mut(before..).unwrap_or_default();
    shared.wal.read_at(segment, room, record.offset).map(drop)
}

fn unreadable(segment: &Segment, error: io::Error) -> Stop {
    Stop::Damaged(segment.name.id, StorageError::io("read", &segment.path, error))
}

fn damaged(segment: &Segment, offset: u32, flaw: &Flaw) -> Stop {
    let detail = format!(
        "at byte {offset}: {flaw}; look with `leveret verify` at what is damaged and put the file \
         back from a backup"
    );
    let path = segment.path.clone();
    Stop::Damaged(segment.name.id, StorageError::Damaged { path, detail })
}
