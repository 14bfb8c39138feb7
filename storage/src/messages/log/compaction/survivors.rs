//! The messages that are left in segments, and their way into cold segments.
//!
//! The index tells what is left: it has far fewer places than the sources have bytes. Then the
//! frames are read in the order of queues and sequence numbers, so that whoever reads a queue later
//! reads forwards, and the index is asked again, for much may be settled by then.
//!
//! Called by the compactor. Stays true: only what the index has in a source is copied, and a frame
//! is read once and checked before it is copied.

use std::io;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::frame::{Flaw, Frame, FramePlace, LogPosition, RawFrame};
use super::super::holdings::Holdings;
use super::super::index::Slot;
use super::super::segments::Segment;
use super::super::shared::Shared;
use super::Stop;
use super::cold_segment::ColdSegment;
use crate::StorageError;
use crate::messages::Place;

/// Places of a queue that the index is asked about at once.
const PLACES_AT_ONCE: u64 = 4096;

/// Bytes and frames that are copied at once.
const GROUP_BYTES: u64 = 4 << 20;
const GROUP_FRAMES: usize = 4096;

/// A frame that is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survivor {
    /// The first place that needs it: its place in the order.
    first: Place,
    /// Which of the sources has it.
    source: usize,
    frame: FramePlace,
}

/// Finds what is needed in the sources, in the order in which it is to be copied.
pub(super) fn gather(shared: &Shared, sources: &[Arc<Segment>]) -> Result<Vec<Survivor>, Stop> {
    let ids = sources.iter().map(|segment| segment.name.id);
    let sources: FxHashMap<u32, usize> = ids.zip(0..).collect();
    let queues: Vec<u64> =
        shared.holdings.lock().index().queues().map(|(queue, _)| queue).collect();
    let mut survivors = Vec::new();
    for queue in queues {
        let mut from = 0;
        loop {
            if shared.compactor.is_ended() {
                return Err(Stop::Closing);
            }
            let holdings = shared.holdings.lock();
            let Some(start) = holdings.index().next_held(queue, from) else { break };
            from = start.saturating_add(PLACES_AT_ONCE);
            holdings.index().live(queue, &(start..from), |sequence, slot| {
                if let Some(source) = sources.get(&slot.segment) {
                    let frame = FramePlace { offset: slot.offset, len: slot.length };
                    let first = Place { queue, sequence };
                    survivors.push(Survivor { first, source: *source, frame });
                }
            });
        }
    }
    // A frame that several places need is copied once, for all of them.
    survivors.sort_unstable_by_key(|survivor| (survivor.source, survivor.frame, survivor.first));
    survivors.dedup_by_key(|survivor| (survivor.source, survivor.frame));
    survivors.sort_unstable_by_key(|survivor| survivor.first);
    Ok(survivors)
}

/// Copies them into cold segments.
pub(super) fn copy(
    shared: &Shared,
    sources: &[Arc<Segment>],
    survivors: &[Survivor],
) -> Result<(), Stop> {
    let mut rest = survivors;
    while !rest.is_empty() {
        let mut cold = ColdSegment::begin(shared)?;
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
        bytes += u64::from(survivor.frame.len);
        bytes <= most
    };
    let count = survivors.iter().take(GROUP_FRAMES).take_while(fits).count();
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
        let read = read(segment, survivor.frame, &mut bytes);
        read.map_err(|error| unreadable(segment, error))?;
    }
    let frames = decode(sources, group, &bytes)?;
    let needed = all_needed(shared, &frames);
    let publishes = frames.iter().flat_map(|(_, _, frame)| frame.publishes());
    for (publish, needed) in publishes.zip(&needed).filter(|(_, needed)| !needed.is_empty()) {
        cold.publish(publish.note, publish.head, publish.tail, needed)?;
    }
    cold.flush()
}

/// A frame, with its segment and its offset there.
type Located<'a> = (&'a Segment, u32, Frame<'a>);

/// Takes frames that stand one after the other.
fn decode<'a>(
    sources: &'a [Arc<Segment>],
    group: &[Survivor],
    bytes: &'a [u8],
) -> Result<Vec<Located<'a>>, Stop> {
    let mut rest = bytes;
    let mut frames = Vec::with_capacity(group.len());
    for survivor in group {
        let segment = source(sources, survivor)?;
        let FramePlace { offset, len } = survivor.frame;
        let (front, behind) = rest.split_at_checked(len as usize).unwrap_or((rest, &[]));
        rest = behind;
        let position = LogPosition { segment: segment.name.id, offset };
        let frame = RawFrame::read(position, front).and_then(|raw| raw.decode());
        let frame = frame.map_err(|flaw| damaged(segment, offset, &flaw))?;
        frames.push((&**segment, offset, frame));
    }
    Ok(frames)
}

/// For every message in the frames, in their order: the places that need it, and their slots.
fn all_needed(shared: &Shared, frames: &[Located<'_>]) -> Vec<Vec<(Place, Slot)>> {
    let holdings = shared.holdings.lock();
    let mut all = Vec::with_capacity(frames.len());
    for (segment, offset, frame) in frames {
        for publish in frame.publishes() {
            let needed = publish.places.iter().filter_map(|place| {
                needed(&holdings, place, segment, *offset).map(|slot| (place, slot))
            });
            all.push(needed.collect());
        }
    }
    all
}

/// The slot of a place if its message is in this frame.
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

/// Adds the bytes of a frame.
fn read(segment: &Segment, frame: FramePlace, bytes: &mut Vec<u8>) -> io::Result<()> {
    let before = bytes.len();
    bytes.resize(before + frame.len as usize, 0);
    let room = bytes.get_mut(before..).unwrap_or_default();
    segment.file.read_full_at(room, u64::from(frame.offset)).map(drop)
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
