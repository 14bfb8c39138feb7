//! The frames of a segment: bytes in both directions.
//!
//! Written by the log thread and the compactor through [`FrameBuffer`], read by recovery, readers
//! and `verify` through [`decode`]. Integers are little-endian.
//! ```text
//! frame  len u32 | crc u32 | type u8 | flags u8 | payload (len bytes)
//! crc    crc32c of: segment id u32 | offset of the frame in its segment u32 | len | type | flags | payload
//!
//! 1 PUB     n u16 | note u64 | head length u32 | n x (queue u64, sequence u64) | head | tail
//! 2 ACK     n u16 | n x (queue u64, base u64, 32 bytes: bit k is base + k, lowest bit first)
//! 3 RANGE   n u16 | n x (queue u64, first u64, count u64)        settled
//! 4 COUNT   n u16 | n x (queue u64, sequence u64, count u32)     given back so often
//! 5 QDEL    n u16 | n x queue u64
//! 6 BATCH   one of the above after the other: type u8 | len u32 | payload
//! 7 SYNCED  segment u32 | offset u32                             all before it is on disk
//! 8 SNAP    see `snapshot`; flag 1: another part follows
//! ```
//! Stays true: decoding never panics and trusts no length; a frame that was moved, or is left over
//! from another segment, does not match its checksum; a run of zeros is never a frame.

mod buffer;
mod decoder;
mod items;

pub(crate) use buffer::{FrameBuffer, publish_len};
pub(crate) use decoder::{Flaw, Frame, RawFrame, Record, decode, stated_len};
pub(crate) use items::{AckChunk, List, Reader};

/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEADER_SIZE: u32 = 10;

/// Places that one PUB can carry. A message in more queues is written again for the rest.
pub(crate) const PLACES_MAX: usize = u16::MAX as usize;

/// Sequence numbers that an [`AckChunk`] speaks of.
pub(crate) const CHUNK: u64 = 256;

const HEADER: usize = FRAME_HEADER_SIZE as usize;

/// The part of a PUB's payload before its places.
const PUBLISH_FIXED: usize = 2 + 8 + 4;

const FLAG_MORE: u8 = 1;

/// A point in the log: everything in earlier segments, and what is before the offset in this one,
/// is before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LogPosition {
    /// The segment's id.
    pub(crate) segment: u32,
    /// Bytes from its beginning.
    pub(crate) offset: u32,
}

/// Where a frame is in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FramePlace {
    /// Bytes from the beginning of the segment.
    pub(crate) offset: u32,
    /// Bytes of the whole frame.
    pub(crate) len: u32,
}

/// What does not fit: a frame over 4 GiB, an offset over 4 GiB, or more than [`PLACES_MAX`] places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Publish = 1,
    Ack = 2,
    Range = 3,
    Count = 4,
    DeletedQueue = 5,
    Batch = 6,
    Synced = 7,
    Snapshot = 8,
}

impl Kind {
    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Publish,
            2 => Self::Ack,
            3 => Self::Range,
            4 => Self::Count,
            5 => Self::DeletedQueue,
            6 => Self::Batch,
            7 => Self::Synced,
            8 => Self::Snapshot,
            _ => return None,
        })
    }
}

fn checksum(position: LogPosition, len: u32, kind: u8, flags: u8, payload: &[u8]) -> u32 {
    let [s0, s1, s2, s3] = position.segment.to_le_bytes();
    let [o0, o1, o2, o3] = position.offset.to_le_bytes();
    let [l0, l1, l2, l3] = len.to_le_bytes();
    let seed = [s0, s1, s2, s3, o0, o1, o2, o3, l0, l1, l2, l3, kind, flags];
    crc32c::crc32c_append(crc32c::crc32c(&seed), payload)
}

#[cfg(test)]
mod tests;
