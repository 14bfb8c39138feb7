//! One value of a table, with the tag it has on the wire. RabbitMQ's reading
//! of the tags, not the specification's: see `errata.md`.

use serde::{Deserialize, Serialize};

use super::FieldTable;
use super::field_table::with_length;
use crate::wire::put_long_string;

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
