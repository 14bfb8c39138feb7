//! A field table still on the wire. Methods and properties carry these; they
//! cost a pointer and a length until someone asks for an entry. The only place
//! that reads tags: building and looking up go through [`value`], checking through
//! [`Cursor`], and a property test holds them to the same answers.

use nom::IResult;

use super::{FieldTable, FieldValue};
use crate::error::{DecodeError, Malformed};
use crate::wire::{
    be_f32, be_f64, be_i8, be_i16, be_i32, be_i64, be_u8, be_u16, be_u32, be_u64, long_string,
    short_string, short_text,
};

/// Tables and arrays that may be nested in a table, one in another.
///
/// RabbitMQ has no limit; here one keeps the depth of recursion bounded.
pub const TABLE_DEPTH_MAX: u8 = 128;

/// The octets of a table, without the length before them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawTable<'a>(&'a [u8]);

impl<'a> RawTable<'a> {
    /// The table without entries.
    pub const EMPTY: RawTable<'static> = RawTable(&[]);

    /// A table of these octets, which [`RawTable::validate`] may still refuse.
    #[must_use]
    #[inline]
    pub fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// A table of these octets if they form one.
    ///
    /// # Errors
    /// The octets are malformed, or nested too deeply.
    #[inline]
    pub fn checked(octets: &'a [u8]) -> Result<Self, Malformed> {
        Self::checked_with(octets, |_| {})
    }

    /// As [`RawTable::checked`], and shows the name of every entry on the way: whoever needs to know
    /// whether some name is there need not walk the table again.
    ///
    /// # Errors
    /// The octets are malformed, or nested too deeply.
    #[inline]
    pub fn checked_with(
        octets: &'a [u8],
        mut name: impl FnMut(&'a [u8]),
    ) -> Result<Self, Malformed> {
        let mut cursor = Cursor(octets);
        while !cursor.0.is_empty() {
            name(cursor.pass_name()?);
            cursor.pass_value(TABLE_DEPTH_MAX)?;
        }
        Ok(Self(octets))
    }

    /// The octets, without the length before them.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no entry.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Walks the whole table without building anything.
    ///
    /// # Errors
    /// The octets are malformed, or nested deeper than [`TABLE_DEPTH_MAX`].
    pub fn validate(&self) -> Result<(), DecodeError> {
        check_entries(self.0, TABLE_DEPTH_MAX).map_err(Malformed::in_table)
    }

    /// The table to work with. Names that are not UTF-8 get replacement
    /// characters; the octets here keep them as they are.
    ///
    /// # Errors
    /// The octets are malformed, or nested deeper than [`TABLE_DEPTH_MAX`].
    pub fn parse(&self) -> Result<FieldTable, DecodeError> {
        build_table(self.0, TABLE_DEPTH_MAX).map_err(Malformed::in_table)
    }

    /// The first value called `key`, and nothing else, built.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<FieldValue> {
        build_value(self.find(key)?, TABLE_DEPTH_MAX).ok()
    }

    /// The first value called `key`, still on the wire.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<RawValue<'a>> {
        self.entries().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    /// All entries in order, up to the first malformed one.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        Entries(self.0)
    }
}

/// The entries of a [`RawTable`]: name and value.
#[derive(Clone, Debug)]
pub struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], RawValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (rest, entry) = entry(self.0).ok()?;
        self.0 = rest;
        Some(entry)
    }
}

/// A value that borrows from the table it stands in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RawValue<'a> {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`, `L`
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The number without its point.
        value: u32,
    },
    /// `S`
    LongString(&'a [u8]),
    /// `A`: its values one after another
    Array(&'a [u8]),
    /// `T`
    Timestamp(u64),
    /// `F`
    Table(RawTable<'a>),
    /// `V`
    Void,
    /// `x`
    Bytes(&'a [u8]),
}

/// Name and value of one table entry.
#[inline]
fn entry(input: &[u8]) -> IResult<&[u8], (&[u8], RawValue<'_>), Malformed> {
    let (input, name) = short_string(input)?;
    let (input, value) = value(input)?;
    Ok((input, (name, value)))
}

/// A tag and the value it announces.
///
/// RabbitMQ: `L` is read as the signed 64-bit integer that `l` is, any octet
/// but zero is true, and a float that is no finite number is refused.
fn value(input: &[u8]) -> IResult<&[u8], RawValue<'_>, Malformed> {
    let (input, tag) = be_u8(input)?;
    match tag {
        b'S' => long_string(input).map(|(rest, v)| (rest, RawValue::LongString(v))),
        b't' => be_u8(input).map(|(rest, v)| (rest, RawValue::Bool(v != 0))),
        b'b' => be_i8(input).map(|(rest, v)| (rest, RawValue::I8(v))),
        b'B' => be_u8(input).map(|(rest, v)| (rest, RawValue::U8(v))),
        b's' => be_i16(input).map(|(rest, v)| (rest, RawValue::I16(v))),
        b'u' => be_u16(input).map(|(rest, v)| (rest, RawValue::U16(v))),
        b'I' => be_i32(input).map(|(rest, v)| (rest, RawValue::I32(v))),
        b'i' => be_u32(input).map(|(rest, v)| (rest, RawValue::U32(v))),
        b'l' | b'L' => be_i64(input).map(|(rest, v)| (rest, RawValue::I64(v))),
        b'f' => {
            let (rest, v) = be_f32(input)?;
            finite(v.is_finite(), rest, RawValue::F32(v))
        }
        b'd' => {
            let (rest, v) = be_f64(input)?;
            finite(v.is_finite(), rest, RawValue::F64(v))
        }
        b'D' => {
            let (input, scale) = be_u8(input)?;
            let (input, value) = be_u32(input)?;
            Ok((input, RawValue::Decimal { scale, value }))
        }
        b'A' => long_string(input).map(|(rest, v)| (rest, RawValue::Array(v))),
        b'T' => be_u64(input).map(|(rest, v)| (rest, RawValue::Timestamp(v))),
        b'F' => long_string(input).map(|(rest, v)| (rest, RawValue::Table(RawTable::new(v)))),
        b'V' => Ok((input, RawValue::Void)),
        b'x' => long_string(input).map(|(rest, v)| (rest, RawValue::Bytes(v))),
        _ => Err(nom::Err::Error(Malformed::Table)),
    }
}

fn finite<'a>(
    is_finite: bool,
    rest: &'a [u8],
    value: RawValue<'a>,
) -> IResult<&'a [u8], RawValue<'a>, Malformed> {
    if is_finite { Ok((rest, value)) } else { Err(nom::Err::Error(Malformed::Table)) }
}

/// What is left of a table that is walked without building anything: every message with headers is,
/// so this reads no more than lengths.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    fn pass(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (passed, rest) = self.0.split_at_checked(length).ok_or(Malformed::Table)?;
        self.0 = rest;
        Ok(passed)
    }

    #[inline]
    fn octet(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed::Table)?;
        self.0 = rest;
        Ok(*first)
    }

    /// The octets after their length in four.
    #[inline]
    fn pass_long(&mut self) -> Result<&'a [u8], Malformed> {
        let (length, rest) = self.0.split_first_chunk().ok_or(Malformed::Table)?;
        self.0 = rest;
        self.pass(usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX))
    }

    #[inline]
    fn pass_name(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.octet()?;
        self.pass(usize::from(length))
    }

    /// A tag and its value; `levels` of tables and arrays may be nested in it. Takes and refuses what
    /// `value` and `build_value` do.
    #[inline]
    fn pass_value(&mut self, levels: u8) -> Result<(), Malformed> {
        match self.octet()? {
            b'S' | b'x' => self.pass_long().map(drop),
            b't' | b'b' | b'B' => self.pass(1).map(drop),
            b's' | b'u' => self.pass(2).map(drop),
            b'I' | b'i' => self.pass(4).map(drop),
            b'l' | b'L' | b'T' => self.pass(8).map(drop),
            b'D' => self.pass(5).map(drop),
            b'V' => Ok(()),
            tag => self.pass_rare(tag, levels),
        }
    }

    fn pass_rare(&mut self, tag: u8, levels: u8) -> Result<(), Malformed> {
        match tag {
            b'f' => {
                let octets = self.pass(4)?.first_chunk().ok_or(Malformed::Table)?;
                f32::from_be_bytes(*octets).is_finite().then_some(()).ok_or(Malformed::Table)
            }
            b'd' => {
                let octets = self.pass(8)?.first_chunk().ok_or(Malformed::Table)?;
                f64::from_be_bytes(*octets).is_finite().then_some(()).ok_or(Malformed::Table)
            }
            b'F' => {
                check_entries(self.pass_long()?, levels.checked_sub(1).ok_or(Malformed::Depth)?)
            }
            b'A' => check_values(self.pass_long()?, levels.checked_sub(1).ok_or(Malformed::Depth)?),
            _ => Err(Malformed::Table),
        }
    }
}

/// Checks the entries of a table; `levels` more may be nested in it.
fn check_entries(octets: &[u8], levels: u8) -> Result<(), Malformed> {
    let mut cursor = Cursor(octets);
    while !cursor.0.is_empty() {
        cursor.pass_name()?;
        cursor.pass_value(levels)?;
    }
    Ok(())
}

fn check_values(octets: &[u8], levels: u8) -> Result<(), Malformed> {
    let mut cursor = Cursor(octets);
    while !cursor.0.is_empty() {
        cursor.pass_value(levels)?;
    }
    Ok(())
}

/// Builds a table from its entries; `levels` more may be nested in it.
fn build_table(mut input: &[u8], levels: u8) -> Result<FieldTable, Malformed> {
    let mut table = FieldTable::new();
    while !input.is_empty() {
        let (rest, (name, value)) = entry(input).map_err(in_table)?;
        // Replacement characters may make a name longer than the wire allows.
        let name = String::from_utf8_lossy(name);
        table.push(short_text(&name).to_owned(), build_value(value, levels)?);
        input = rest;
    }
    Ok(table)
}

/// Builds a value; `levels` of tables and arrays may be nested in it.
fn build_value(value: RawValue<'_>, levels: u8) -> Result<FieldValue, Malformed> {
    Ok(match value {
        RawValue::Bool(v) => FieldValue::Bool(v),
        RawValue::I8(v) => FieldValue::I8(v),
        RawValue::U8(v) => FieldValue::U8(v),
        RawValue::I16(v) => FieldValue::I16(v),
        RawValue::U16(v) => FieldValue::U16(v),
        RawValue::I32(v) => FieldValue::I32(v),
        RawValue::U32(v) => FieldValue::U32(v),
        RawValue::I64(v) => FieldValue::I64(v),
        RawValue::F32(v) => FieldValue::F32(v),
        RawValue::F64(v) => FieldValue::F64(v),
        RawValue::Decimal { scale, value } => FieldValue::Decimal { scale, value },
        RawValue::LongString(v) => FieldValue::LongString(v.to_vec()),
        RawValue::Array(v) => {
            FieldValue::Array(build_array(v, levels.checked_sub(1).ok_or(Malformed::Depth)?)?)
        }
        RawValue::Timestamp(v) => FieldValue::Timestamp(v),
        RawValue::Table(v) => FieldValue::Table(build_table(
            v.as_bytes(),
            levels.checked_sub(1).ok_or(Malformed::Depth)?,
        )?),
        RawValue::Void => FieldValue::Void,
        RawValue::Bytes(v) => FieldValue::Bytes(v.to_vec()),
    })
}

fn build_array(mut input: &[u8], levels: u8) -> Result<Vec<FieldValue>, Malformed> {
    let mut values = Vec::new();
    while !input.is_empty() {
        let (rest, raw) = value(input).map_err(in_table)?;
        values.push(build_value(raw, levels)?);
        input = rest;
    }
    Ok(values)
}

/// A value that ends early is a fault of the table, not of the arguments.
fn in_table(_: nom::Err<Malformed>) -> Malformed {
    Malformed::Table
}
