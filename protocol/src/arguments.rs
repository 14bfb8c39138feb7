//! Method arguments, value by value (AMQP 0-9-1 §4.2.5). The method tables
//! call these, one function a domain, named as in the specification. Bits are
//! packed here alone: neighbours share an octet, and the next value that is
//! not a bit starts anew.

use crate::error::Malformed;
use crate::types::RawTable;
use crate::wire::{
    be_u8, be_u16, be_u32, be_u64, long_string, put_long_string, put_short_string, short_string,
    short_text,
};

/// Reads arguments in order from a method's payload.
#[derive(Clone, Debug)]
pub struct ArgumentReader<'a> {
    input: &'a [u8],
    bits: u8,
    bits_left: u8,
}

impl<'a> ArgumentReader<'a> {
    /// Reads from the octets after class and method.
    #[must_use]
    #[inline(always)]
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, bits: 0, bits_left: 0 }
    }

    #[inline(always)]
    fn advance<T>(&mut self, parsed: nom::IResult<&'a [u8], T, Malformed>) -> Result<T, Malformed> {
        let (rest, value) = parsed?;
        self.input = rest;
        self.bits_left = 0;
        Ok(value)
    }

    /// An unsigned octet.
    ///
    /// # Errors
    /// The arguments end before it does; so for all values.
    #[inline(always)]
    pub fn octet(&mut self) -> Result<u8, Malformed> {
        self.advance(be_u8(self.input))
    }

    /// An unsigned 16-bit integer.
    ///
    /// # Errors
    /// The arguments end before it does.
    #[inline(always)]
    pub fn short(&mut self) -> Result<u16, Malformed> {
        self.advance(be_u16(self.input))
    }

    /// An unsigned 32-bit integer.
    ///
    /// # Errors
    /// The arguments end before it does.
    #[inline(always)]
    pub fn long(&mut self) -> Result<u32, Malformed> {
        self.advance(be_u32(self.input))
    }

    /// An unsigned 64-bit integer.
    ///
    /// # Errors
    /// The arguments end before it does.
    #[inline(always)]
    pub fn longlong(&mut self) -> Result<u64, Malformed> {
        self.advance(be_u64(self.input))
    }

    /// Seconds since the epoch.
    ///
    /// # Errors
    /// The arguments end before it does.
    #[inline(always)]
    pub fn timestamp(&mut self) -> Result<u64, Malformed> {
        self.longlong()
    }

    /// Up to 255 octets of UTF-8.
    ///
    /// # Errors
    /// The arguments end before it does, or it is not UTF-8.
    #[inline(always)]
    pub fn shortstr(&mut self) -> Result<&'a str, Malformed> {
        let octets = self.advance(short_string(self.input))?;
        std::str::from_utf8(octets).map_err(|_| Malformed::Utf8)
    }

    /// Any octets.
    ///
    /// # Errors
    /// The arguments end before it does.
    #[inline(always)]
    pub fn longstr(&mut self) -> Result<&'a [u8], Malformed> {
        self.advance(long_string(self.input))
    }

    /// A field table, checked but not built.
    ///
    /// # Errors
    /// The arguments end before it does, or it is malformed or too deep.
    #[inline(always)]
    pub fn table(&mut self) -> Result<RawTable<'a>, Malformed> {
        let octets = self.advance(long_string(self.input))?;
        RawTable::checked(octets)
    }

    /// One bit.
    ///
    /// # Errors
    /// The arguments end before it does.
    #[inline(always)]
    pub fn bit(&mut self) -> Result<bool, Malformed> {
        if self.bits_left == 0 {
            self.bits = self.octet()?;
            self.bits_left = 8;
        }
        let set = self.bits & 1 != 0;
        self.bits >>= 1;
        self.bits_left -= 1;
        Ok(set)
    }

    /// Asserts that all has been read.
    ///
    /// # Errors
    /// Octets are left over.
    #[inline(always)]
    pub fn finish(self) -> Result<(), Malformed> {
        if self.input.is_empty() { Ok(()) } else { Err(Malformed::Length) }
    }
}

/// Writes arguments in order; call [`ArgumentWriter::finish`] after the last.
#[derive(Debug)]
#[must_use = "the last bits are written by `finish`"]
pub struct ArgumentWriter<'o> {
    out: &'o mut Vec<u8>,
    bits: u8,
    bits_used: u8,
}

impl<'o> ArgumentWriter<'o> {
    /// Appends to `out`.
    #[inline]
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, bits: 0, bits_used: 0 }
    }

    #[inline]
    fn flush_bits(&mut self) {
        if self.bits_used > 0 {
            self.out.push(self.bits);
            self.bits = 0;
            self.bits_used = 0;
        }
    }

    /// An unsigned octet.
    #[inline]
    pub fn octet(&mut self, value: u8) {
        self.flush_bits();
        self.out.push(value);
    }

    /// An unsigned 16-bit integer.
    #[inline]
    pub fn short(&mut self, value: u16) {
        self.flush_bits();
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// An unsigned 32-bit integer.
    #[inline]
    pub fn long(&mut self, value: u32) {
        self.flush_bits();
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// An unsigned 64-bit integer.
    #[inline]
    pub fn longlong(&mut self, value: u64) {
        self.flush_bits();
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Seconds since the epoch.
    #[inline]
    pub fn timestamp(&mut self, value: u64) {
        self.longlong(value);
    }

    /// Up to 255 octets of UTF-8; a longer text is cut between characters.
    #[inline]
    pub fn shortstr(&mut self, value: &str) {
        self.flush_bits();
        put_short_string(self.out, short_text(value).as_bytes());
    }

    /// Any octets.
    #[inline]
    pub fn longstr(&mut self, value: &[u8]) {
        self.flush_bits();
        put_long_string(self.out, value);
    }

    /// A field table.
    #[inline]
    pub fn table(&mut self, value: RawTable<'_>) {
        self.longstr(value.as_bytes());
    }

    /// One bit.
    #[inline]
    pub fn bit(&mut self, value: bool) {
        if self.bits_used == 8 {
            self.flush_bits();
        }
        self.bits |= u8::from(value) << self.bits_used;
        self.bits_used += 1;
    }

    /// Writes what bits are pending.
    #[inline]
    pub fn finish(mut self) {
        self.flush_bits();
    }
}
