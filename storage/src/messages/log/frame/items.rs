//! What payloads are made of: numbers, and lists of items of one size.

use std::marker::PhantomData;

use crate::messages::{Place, Settled};

/// Settled places among 256 consecutive ones of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckChunk {
    /// The queue's number.
    pub(crate) queue: u64,
    /// The first place; a multiple of [`CHUNK`](super::CHUNK).
    pub(crate) base: u64,
    /// Bit `k % 8` of byte `k / 8` says that `base + k` is settled.
    pub(crate) bitmap: [u8; 32],
}

impl AckChunk {
    /// The settled places, ascending.
    #[cfg(test)]
    pub(crate) fn sequences(&self) -> impl Iterator<Item = u64> + '_ {
        let bytes = self.bitmap.iter().zip((self.base..).step_by(8));
        bytes.flat_map(|(byte, first)| {
            (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| first + bit)
        })
    }
}

/// Items of a fixed size, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a, T> {
    bytes: &'a [u8],
    items: PhantomData<T>,
}

impl<'a, T: Item> List<'a, T> {
    /// All of them.
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        self.bytes.chunks_exact(T::SIZE).map(|item| T::get(&mut Reader(item)))
    }

    /// How many.
    pub(crate) const fn len(self) -> usize {
        self.bytes.len() / T::SIZE
    }

    /// As they are on disk.
    pub(super) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn of(reader: &mut Reader<'a>, count: usize) -> Option<Self> {
        let bytes = reader.take(count.checked_mul(T::SIZE)?)?;
        Some(Self { bytes, items: PhantomData })
    }

    /// A list that fills the payload.
    pub(super) fn whole(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(payload);
        let count = reader.u16()?;
        let list = Self::of(&mut reader, usize::from(count))?;
        reader.0.is_empty().then_some(list)
    }
}

/// What a [`List`] can hold.
pub(crate) trait Item: Copy {
    /// Bytes of one.
    const SIZE: usize;

    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads it off `SIZE` bytes.
    fn get(reader: &mut Reader<'_>) -> Self;
}

impl Item for u64 {
    const SIZE: usize = 8;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        reader.u64().unwrap_or_default()
    }
}

impl Item for Place {
    const SIZE: usize = 16;

    fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        self.sequence.put(out);
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        Self { queue: u64::get(reader), sequence: u64::get(reader) }
    }
}

impl Item for Settled {
    const SIZE: usize = 24;

    fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        self.first.put(out);
        self.count.put(out);
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        Self { queue: u64::get(reader), first: u64::get(reader), count: u64::get(reader) }
    }
}

impl Item for (Place, u32) {
    const SIZE: usize = 20;

    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        out.extend_from_slice(&self.1.to_le_bytes());
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        (Place::get(reader), reader.u32().unwrap_or_default())
    }
}

impl Item for AckChunk {
    const SIZE: usize = 48;

    fn put(&self, out: &mut Vec<u8>) {
        self.queue.put(out);
        self.base.put(out);
        out.extend_from_slice(&self.bitmap);
    }

    fn get(reader: &mut Reader<'_>) -> Self {
        Self {
            queue: u64::get(reader),
            base: u64::get(reader),
            bitmap: reader.array().unwrap_or_default(),
        }
    }
}

/// Takes fields off the front of bytes.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// So many bytes, or `None` if there are fewer.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    /// Something behind its length.
    pub(super) fn measured(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.take(len)
    }

    /// A record of a BATCH: its type and its payload.
    pub(super) fn record(&mut self) -> Option<(u8, &'a [u8])> {
        Some((self.u8()?, self.measured()?))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    /// One byte.
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
