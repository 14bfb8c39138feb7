//! Numbers and strings on the wire (AMQP 0-9-1 §4.2.5): what arguments,
//! tables, properties and headers are all made of. The parsers are complete
//! ones, for payloads, whose length is known: an early end is an error.
//!
//! nom's own number parsers add up octet by octet; these take the octets at
//! once and are inlined wherever they are used, which saves a quarter of the
//! time that a small method takes.

use nom::IResult;
use nom::bytes::complete::take;

use crate::constants::SHORT_STRING_MAX;
use crate::error::Malformed;

#[inline(always)]
fn octets<const N: usize>(input: &[u8]) -> IResult<&[u8], [u8; N], Malformed> {
    match input.split_first_chunk() {
        Some((octets, rest)) => Ok((rest, *octets)),
        None => Err(nom::Err::Error(Malformed::Length)),
    }
}

macro_rules! numbers {
    ($($name:ident -> $number:ty;)*) => {
        $(#[inline(always)]
        pub(crate) fn $name(input: &[u8]) -> IResult<&[u8], $number, Malformed> {
            let (input, octets) = octets(input)?;
            Ok((input, <$number>::from_be_bytes(octets)))
        })*
    };
}

numbers! {
    be_u8 -> u8;
    be_u16 -> u16;
    be_u32 -> u32;
    be_u64 -> u64;
    be_i8 -> i8;
    be_i16 -> i16;
    be_i32 -> i32;
    be_i64 -> i64;
    be_f32 -> f32;
    be_f64 -> f64;
}

/// The octets of a short string.
#[inline(always)]
pub(crate) fn short_string(input: &[u8]) -> IResult<&[u8], &[u8], Malformed> {
    let (input, len) = be_u8(input)?;
    take(len)(input)
}

/// The octets of a long string, or of a table or array.
#[inline(always)]
pub(crate) fn long_string(input: &[u8]) -> IResult<&[u8], &[u8], Malformed> {
    let (input, len) = be_u32(input)?;
    take(len)(input)
}

/// As much of `text` as a short string holds, whole characters only.
#[inline]
pub(crate) fn short_text(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SHORT_STRING_MAX)).unwrap_or_default()
}

/// Appends a short string; what exceeds 255 octets is cut off.
#[inline]
pub(crate) fn put_short_string(out: &mut Vec<u8>, value: &[u8]) {
    let len = u8::try_from(value.len()).unwrap_or(u8::MAX);
    out.push(len);
    out.extend_from_slice(value.get(..usize::from(len)).unwrap_or_default());
}

/// Appends a long string; what exceeds 4 GiB is cut off.
#[inline]
pub(crate) fn put_long_string(out: &mut Vec<u8>, value: &[u8]) {
    let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    let kept = usize::try_from(len).unwrap_or(usize::MAX);
    out.extend_from_slice(value.get(..kept).unwrap_or_default());
}
