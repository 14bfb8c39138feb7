//! A table that has been built: an ordered list of named values, each with the
//! tag it has on the wire. Declares, binds, policies and headers work with it.
//! RabbitMQ's reading of the tags, not the specification's: see `errata.md`.

use serde::{Deserialize, Serialize};

use crate::wire::{put_long_string, put_short_string, short_text};

/// An ordered table of named values.
///
/// Small and searched in order. A table read from the wire keeps a name that
/// occurs twice; the first one counts, as in RabbitMQ.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldTable {
    entries: Vec<(String, FieldValue)>,
}

impl FieldTable {
    /// A table without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// The value called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        self.entries.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// Whether there is a value called `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets the value called `name`, in its place if there was one, else at
    /// the end; returns the one it replaces.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        value: impl Into<FieldValue>,
    ) -> Option<FieldValue> {
        let (name, value) = (name.into(), value.into());
        match self.entries.iter_mut().find(|(found, _)| *found == name) {
            Some((_, place)) => Some(std::mem::replace(place, value)),
            None => {
                self.entries.push((name, value));
                None
            }
        }
    }

    /// Appends without looking for the name.
    pub(super) fn push(&mut self, name: String, value: FieldValue) {
        self.entries.push((name, value));
    }

    /// Takes every value called `name` out; returns the first.
    pub fn remove(&mut self, name: &str) -> Option<FieldValue> {
        let mut removed = self.entries.extract_if(.., |(found, _)| found == name);
        let first = removed.next().map(|(_, value)| value);
        removed.for_each(drop);
        first
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &FieldValue)> + ExactSizeIterator {
        self.entries.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends the table with its 32-bit length before it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        with_length(out, |out| self.encode_entries(out));
    }

    /// Appends the entries alone: what a [`RawTable`](super::RawTable) holds.
    pub fn encode_entries(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.entries {
            put_short_string(out, short_text(name).as_bytes());
            value.encode(out);
        }
    }

    /// The entries as octets: what a [`RawTable`](super::RawTable) borrows.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_entries(&mut out);
        out
    }
}

/// Appends what `write` does, with its 32-bit length before it.
fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

impl<N: Into<String>, V: Into<FieldValue>> FromIterator<(N, V)> for FieldTable {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut table = Self::new();
        for (name, value) in entries {
            table.insert(name, value);
        }
        table
    }
}

impl IntoIterator for FieldTable {
    type Item = (String, FieldValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// A value of a [`FieldTable`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldValue {
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
    /// `l`; `L` is read as this
    I64(i64),
    /// `f`
    F32(#[serde(with = "f32_bits")] f32),
    /// `d`
    F64(#[serde(with = "f64_bits")] f64),
    /// `D`
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The number without its point.
        value: u32,
    },
    /// `S`: any octets, most often UTF-8
    LongString(Vec<u8>),
    /// `A`
    Array(Vec<Self>),
    /// `T`: seconds since the epoch
    Timestamp(u64),
    /// `F`
    Table(FieldTable),
    /// `V`: no value
    Void,
    /// `x`
    Bytes(Vec<u8>),
}

impl FieldValue {
    /// RabbitMQ's name of the type, as in its error texts.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::I8(_) => "byte",
            Self::U8(_) => "unsignedbyte",
            Self::I16(_) => "short",
            Self::U16(_) => "unsignedshort",
            Self::I32(_) => "signedint",
            Self::U32(_) => "unsignedint",
            Self::I64(_) => "long",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::Decimal { .. } => "decimal",
            Self::LongString(_) => "longstr",
            Self::Array(_) => "array",
            Self::Timestamp(_) => "timestamp",
            Self::Table(_) => "table",
            Self::Void => "void",
            Self::Bytes(_) => "binary",
        }
    }

    /// The value of any integer type; a timestamp is none.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::I8(v) => Some(i64::from(*v)),
            Self::U8(v) => Some(i64::from(*v)),
            Self::I16(v) => Some(i64::from(*v)),
            Self::U16(v) => Some(i64::from(*v)),
            Self::I32(v) => Some(i64::from(*v)),
            Self::U32(v) => Some(i64::from(*v)),
            Self::I64(v) => Some(*v),
            Self::Bool(_)
            | Self::F32(_)
            | Self::F64(_)
            | Self::Decimal { .. }
            | Self::LongString(_)
            | Self::Array(_)
            | Self::Timestamp(_)
            | Self::Table(_)
            | Self::Void
            | Self::Bytes(_) => None,
        }
    }

    /// The text of a long string that is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::LongString(octets) = self { std::str::from_utf8(octets).ok() } else { None }
    }

    /// The value of a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The table, if it is one.
    #[must_use]
    pub fn as_table(&self) -> Option<&FieldTable> {
        if let Self::Table(table) = self { Some(table) } else { None }
    }

    /// The values of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    /// Appends tag and value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(v) => put(out, b't', &[u8::from(*v)]),
            Self::I8(v) => put(out, b'b', &v.to_be_bytes()),
            Self::U8(v) => put(out, b'B', &[*v]),
            Self::I16(v) => put(out, b's', &v.to_be_bytes()),
            Self::U16(v) => put(out, b'u', &v.to_be_bytes()),
            Self::I32(v) => put(out, b'I', &v.to_be_bytes()),
            Self::U32(v) => put(out, b'i', &v.to_be_bytes()),
            Self::I64(v) => put(out, b'l', &v.to_be_bytes()),
            Self::F32(v) => put(out, b'f', &v.to_be_bytes()),
            Self::F64(v) => put(out, b'd', &v.to_be_bytes()),
            Self::Decimal { scale, value } => {
                put(out, b'D', &[*scale]);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::LongString(v) => {
                out.push(b'S');
                put_long_string(out, v);
            }
            Self::Array(values) => {
                out.push(b'A');
                with_length(out, |out| values.iter().for_each(|value| value.encode(out)));
            }
            Self::Timestamp(v) => put(out, b'T', &v.to_be_bytes()),
            Self::Table(table) => {
                out.push(b'F');
                table.encode(out);
            }
            Self::Void => out.push(b'V'),
            Self::Bytes(v) => {
                out.push(b'x');
                put_long_string(out, v);
            }
        }
    }
}

fn put(out: &mut Vec<u8>, tag: u8, octets: &[u8]) {
    out.push(tag);
    out.extend_from_slice(octets);
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<$type> for FieldValue {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Bool,
    i8 => I8,
    u8 => U8,
    i16 => I16,
    u16 => U16,
    i32 => I32,
    u32 => U32,
    i64 => I64,
    f32 => F32,
    f64 => F64,
    &str => LongString,
    String => LongString,
    Vec<FieldValue> => Array,
    FieldTable => Table,
}

/// Floats as their bits: a text format such as JSON would round them.
macro_rules! float_as_bits {
    ($module:ident, $float:ty, $bits:ty) => {
        mod $module {
            use serde::{Deserialize, Deserializer, Serializer};

            pub(super) fn serialize<S: Serializer>(
                value: &$float,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serde::Serialize::serialize(&value.to_bits(), serializer)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$float, D::Error> {
                <$bits>::deserialize(deserializer).map(<$float>::from_bits)
            }
        }
    };
}

float_as_bits!(f32_bits, f32, u32);
float_as_bits!(f64_bits, f64, u64);
