//! Frames on their way to a segment.
//!
//! The hot path of the log: one buffer that keeps its memory, one copy of a message's bytes, and its
//! checksum over bytes that are still in the processor's cache.

use super::items::Item;
use super::{
    AckChunk, FLAG_MORE, FRAME_HEADER_SIZE, FramePlace, HEADER, Kind, LogPosition, PLACES_MAX,
    PUBLISH_FIXED, RawFrame, TooLong, checksum,
};
use crate::messages::{Place, Settled};

/// Bytes of the frame of a message with so many places and bytes of content, or `None` if it does
/// not fit in a frame.
pub(crate) fn publish_len(places: usize, content: usize) -> Option<u32> {
    if places > PLACES_MAX {
        return None;
    }
    let fixed = HEADER + PUBLISH_FIXED + places * <Place as Item>::SIZE;
    fixed.checked_add(content).and_then(|len| u32::try_from(len).ok())
}

/// Frames for consecutive offsets of one segment, to be written at once. Reused: it keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    segment: u32,
    start: u32,
}

impl FrameBuffer {
    /// Empties it; the next frame is for this position.
    pub(crate) fn begin(&mut self, position: LogPosition) {
        self.bytes.clear();
        self.segment = position.segment;
        self.start = position.offset;
    }

    /// What is to be written at [`FrameBuffer::start`].
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where its first byte goes.
    pub(crate) const fn start(&self) -> LogPosition {
        LogPosition { segment: self.segment, offset: self.start }
    }

    /// Where the next frame goes.
    pub(crate) fn end(&self) -> LogPosition {
        // `finish` has checked that it fits.
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        LogPosition { segment: self.segment, offset: self.start.saturating_add(len) }
    }

    /// Whether nothing is to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Gives memory above this many bytes back.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(bytes);
    }

    /// Adds a message: the content is `head` and then `tail`.
    ///
    /// # Errors
    /// It does not fit; nothing was added. The same holds for all that follow.
    pub(crate) fn publish(
        &mut self,
        note: u64,
        head: &[u8],
        tail: &[u8],
        places: &[Place],
    ) -> Result<FramePlace, TooLong> {
        if publish_len(places.len(), head.len().saturating_add(tail.len())).is_none() {
            return Err(TooLong);
        }
        self.frame(Kind::Publish, 0, |out| put_message(out, note, head, tail, places))
    }

    /// Adds settled places.
    pub(crate) fn acks(&mut self, chunks: &[AckChunk]) -> Result<(), TooLong> {
        self.list(Kind::Ack, chunks)
    }

    /// Adds runs of settled places.
    pub(crate) fn ranges(&mut self, ranges: &[Settled]) -> Result<(), TooLong> {
        self.list(Kind::Range, ranges)
    }

    /// Adds delivery counts.
    pub(crate) fn counts(&mut self, counts: &[(Place, u32)]) -> Result<(), TooLong> {
        self.list(Kind::Count, counts)
    }

    /// Adds queues that are gone.
    pub(crate) fn deleted_queues(&mut self, queues: &[u64]) -> Result<(), TooLong> {
        self.list(Kind::DeletedQueue, queues)
    }

    /// Adds everything that is put into the batch as one frame. The frame's place is the place of
    /// every message in it.
    pub(crate) fn batch(
        &mut self,
        fill: impl FnOnce(&mut BatchBuffer<'_>),
    ) -> Result<FramePlace, TooLong> {
        let mut fits = true;
        let place = self.frame(Kind::Batch, 0, |out| {
            let mut batch = BatchBuffer { out, fits: true };
            fill(&mut batch);
            fits = batch.fits;
        })?;
        if fits {
            return Ok(place);
        }
        let before = self.bytes.len().saturating_sub(place.len as usize);
        self.bytes.truncate(before);
        Err(TooLong)
    }

    /// Adds that everything before a position is on disk.
    pub(crate) fn synced(&mut self, position: LogPosition) -> Result<FramePlace, TooLong> {
        self.frame(Kind::Synced, 0, |out| {
            out.extend_from_slice(&position.segment.to_le_bytes());
            out.extend_from_slice(&position.offset.to_le_bytes());
        })
    }

    /// Adds a part of a snapshot.
    pub(crate) fn snapshot(
        &mut self,
        more_follows: bool,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<FramePlace, TooLong> {
        self.frame(Kind::Snapshot, if more_follows { FLAG_MORE } else { 0 }, fill)
    }

    /// Adds a frame whose payload is known to be good, such as one read from another segment.
    pub(crate) fn copy(&mut self, frame: &RawFrame<'_>) -> Result<FramePlace, TooLong> {
        self.frame(frame.kind, frame.flags, |out| out.extend_from_slice(frame.payload))
    }

    fn list<T: Item>(&mut self, kind: Kind, items: &[T]) -> Result<(), TooLong> {
        for items in items.chunks(usize::from(u16::MAX)) {
            self.frame(kind, 0, |out| put_list(out, items))?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        kind: Kind,
        flags: u8,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<FramePlace, TooLong> {
        let before = self.bytes.len();
        let offset = self.end().offset;
        self.bytes.extend_from_slice(&[0; HEADER]);
        fill(&mut self.bytes);
        let finished = self.finish(before, offset, kind, flags);
        if finished.is_none() {
            self.bytes.truncate(before);
        }
        finished.ok_or(TooLong)
    }

    /// Writes the header over the room left for it.
    fn finish(&mut self, before: usize, offset: u32, kind: Kind, flags: u8) -> Option<FramePlace> {
        let (header, payload) = self.bytes.get_mut(before..)?.split_first_chunk_mut::<HEADER>()?;
        let payload_len = u32::try_from(payload.len()).ok()?;
        let len = payload_len.checked_add(FRAME_HEADER_SIZE)?;
        offset.checked_add(len)?;
        let position = LogPosition { segment: self.segment, offset };
        let crc = checksum(position, payload_len, kind as u8, flags, payload);
        let [l0, l1, l2, l3] = payload_len.to_le_bytes();
        let [c0, c1, c2, c3] = crc.to_le_bytes();
        *header = [l0, l1, l2, l3, c0, c1, c2, c3, kind as u8, flags];
        Some(FramePlace { offset, len })
    }
}

/// The inside of a BATCH while it is filled.
#[derive(Debug)]
pub(crate) struct BatchBuffer<'a> {
    out: &'a mut Vec<u8>,
    fits: bool,
}

impl BatchBuffer<'_> {
    /// See [`FrameBuffer::publish`]; what does not fit fails the whole batch.
    pub(crate) fn publish(&mut self, note: u64, head: &[u8], tail: &[u8], places: &[Place]) {
        if publish_len(places.len(), head.len().saturating_add(tail.len())).is_none() {
            self.fits = false;
            return;
        }
        self.record(Kind::Publish, |out| put_message(out, note, head, tail, places));
    }

    /// Adds runs of settled places.
    pub(crate) fn ranges(&mut self, ranges: &[Settled]) {
        self.list(Kind::Range, ranges);
    }

    /// Adds delivery counts.
    pub(crate) fn counts(&mut self, counts: &[(Place, u32)]) {
        self.list(Kind::Count, counts);
    }

    /// Adds queues that are gone.
    pub(crate) fn deleted_queues(&mut self, queues: &[u64]) {
        self.list(Kind::DeletedQueue, queues);
    }

    fn list<T: Item>(&mut self, kind: Kind, items: &[T]) {
        for items in items.chunks(usize::from(u16::MAX)) {
            self.record(kind, |out| put_list(out, items));
        }
    }

    fn record(&mut self, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(kind as u8);
        // If one record is too long for its length, so is the batch for its own.
        put_measured(self.out, fill);
    }
}

fn put_message(out: &mut Vec<u8>, note: u64, head: &[u8], tail: &[u8], places: &[Place]) {
    let room = PUBLISH_FIXED + places.len() * <Place as Item>::SIZE + head.len() + tail.len();
    out.reserve(room);
    // The caller has checked that it fits.
    put_publish(out, note, u32::try_from(head.len()).unwrap_or(u32::MAX), places.len());
    for place in places {
        place.put(out);
    }
    out.extend_from_slice(head);
    out.extend_from_slice(tail);
}

/// What is before the places, whose number the caller has checked.
pub(super) fn put_publish(out: &mut Vec<u8>, note: u64, head_len: u32, places: usize) {
    let count = u16::try_from(places).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&note.to_le_bytes());
    out.extend_from_slice(&head_len.to_le_bytes());
}

/// The caller has cut the items to what a count can say.
fn put_list<T: Item>(out: &mut Vec<u8>, items: &[T]) {
    out.reserve(2 + items.len() * T::SIZE);
    let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    for item in items {
        item.put(out);
    }
}

/// Appends something behind its length.
pub(super) fn put_measured(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let before = out.len();
    out.extend_from_slice(&[0; 4]);
    put(out);
    let measured = out.get_mut(before..).and_then(|all| all.split_first_chunk_mut::<4>());
    if let Some((field, rest)) = measured {
        // No longer than the frame that it is in, or made of.
        *field = u32::try_from(rest.len()).unwrap_or(u32::MAX).to_le_bytes();
    }
}
