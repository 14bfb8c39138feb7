//! The bytes of what is out of the way.
//!
//! Written by the spill's thread, read by whoever wants something back.
//! ```text
//! content  crc32c u32 of place and the rest | note u64 | arrived u64 | until u64 | head length u32 |
//!          head | tail
//! ```
//! Stays true: what stands in another place than it was put in is not taken for it.

use std::sync::Arc;

use bytes::Bytes;

use super::SpillPlace;
use crate::messages::Content;
use crate::wal::Reader;

/// Bytes before the head.
pub(super) const FIXED: usize = 4 + 8 + 8 + 8 + 4;

const NO_UNTIL: u64 = u64::MAX;

/// Appends a content.
pub(super) fn encode(place: SpillPlace, content: &Content, out: &mut Vec<u8>) {
    let before = out.len();
    let head_length = u32::try_from(content.head.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&content.note.to_le_bytes());
    out.extend_from_slice(&content.arrived_ms.to_le_bytes());
    out.extend_from_slice(&content.until_ms.unwrap_or(NO_UNTIL).to_le_bytes());
    out.extend_from_slice(&head_length.to_le_bytes());
    out.extend_from_slice(&content.head);
    out.extend_from_slice(content.tail.as_ref().map_or(&[][..], |tail| tail));
    let written = out.get_mut(before..).and_then(|all| all.split_first_chunk_mut::<4>());
    if let Some((crc, rest)) = written {
        *crc = checksum(place, rest).to_le_bytes();
    }
}

/// What was put in a place; `None` if these bytes are not it.
pub(super) fn decode(place: SpillPlace, bytes: &[u8]) -> Option<Content> {
    let mut fields = Reader(bytes);
    if fields.u32()? != checksum(place, fields.0) {
        return None;
    }
    let (note, arrived_ms, until) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let head_length = usize::try_from(fields.u32()?).ok()?;
    let (head, tail) = fields.0.split_at_checked(head_length)?;
    let tail = (!tail.is_empty()).then(|| Arc::new(Bytes::copy_from_slice(tail)));
    let until_ms = (until != NO_UNTIL).then_some(until);
    Some(Content { note, arrived_ms, until_ms, head: head.into(), tail })
}

fn checksum(place: SpillPlace, bytes: &[u8]) -> u32 {
    let seed = crc32c::crc32c(&place.segment.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &place.offset.to_le_bytes()), bytes)
}
