//! Bytes on their way to a socket: frames in one growing buffer, large bodies spliced in unchanged.
//!
//! Filled by `outgoing::outbox` under its lock, written by `outgoing::writer` without it.
//! Stays true: `splices` ascend by position, and `written` never passes the whole length.

use std::io::IoSlice;

use bytes::Bytes;
use smallvec::SmallVec;

/// A buffer that grew beyond this many bytes is given back instead of being used again.
const FRAMES_KEPT_MAX: usize = 256 * 1024;
/// Splices for which memory is kept.
const SPLICES_KEPT_MAX: usize = 1024;
/// Most slices in one vectored write; the rest goes with the next.
const SLICES_MAX: usize = 64;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    frames: Vec<u8>,
    /// A body and the position in `frames` before which it goes.
    splices: Vec<(usize, Bytes)>,
    splice_bytes: usize,
    written: usize,
}

/// The slices of one vectored write.
pub(crate) type Slices<'a> = SmallVec<[IoSlice<'a>; 4]>;

impl Batch {
    /// Where whole frames are encoded.
    pub(crate) fn frames(&mut self) -> &mut Vec<u8> {
        &mut self.frames
    }

    /// Adds bytes that stay where they are.
    pub(crate) fn splice(&mut self, bytes: Bytes) {
        self.splice_bytes += bytes.len();
        self.splices.push((self.frames.len(), bytes));
    }

    /// Bytes still to be written.
    pub(crate) fn remaining(&self) -> usize {
        self.frames.len() + self.splice_bytes - self.written
    }

    /// Notes that `count` more bytes are written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.written += count;
    }

    /// The next bytes to write.
    pub(crate) fn slices(&self) -> Slices<'_> {
        let mut slices = Slices::new();
        let mut skip = self.written;
        let mut from = 0;
        for (at, body) in &self.splices {
            push_rest(&mut slices, &mut skip, self.frames.get(from..*at).unwrap_or_default());
            push_rest(&mut slices, &mut skip, body);
            from = *at;
            if slices.len() >= SLICES_MAX {
                return slices;
            }
        }
        push_rest(&mut slices, &mut skip, self.frames.get(from..).unwrap_or_default());
        slices
    }

    /// Forgets everything but the memory, for use as the next batch.
    pub(crate) fn clear(&mut self) {
        if self.frames.capacity() > FRAMES_KEPT_MAX {
            self.frames = Vec::new();
        }
        self.frames.clear();
        if self.splices.capacity() > SPLICES_KEPT_MAX {
            self.splices = Vec::new();
        }
        self.splices.clear();
        self.splice_bytes = 0;
        self.written = 0;
    }

    /// Gives the memory back too.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }
}

fn push_rest<'a>(slices: &mut Slices<'a>, skip: &mut usize, bytes: &'a [u8]) {
    let skipped = (*skip).min(bytes.len());
    *skip -= skipped;
    let rest = bytes.get(skipped..).unwrap_or_default();
    if !rest.is_empty() {
        slices.push(IoSlice::new(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_of_the_writes_gives_the_same_bytes() {
        let mut batch = Batch::default();
        batch.frames().extend_from_slice(b"ab");
        batch.splice(Bytes::from_static(b"LARGE"));
        batch.frames().extend_from_slice(b"cd");
        batch.splice(Bytes::from_static(b"BODY"));
        let expected = b"abLARGEcdBODY";
        for step in 1..=expected.len() {
            batch.written = 0;
            let mut sent = Vec::new();
            while batch.remaining() > 0 {
                let all: Vec<u8> = batch.slices().iter().flat_map(|s| s.to_vec()).collect();
                let part = &all[..step.min(all.len())];
                sent.extend_from_slice(part);
                batch.advance(part.len());
            }
            assert_eq!(sent, expected, "in steps of {step}");
        }
    }
}
