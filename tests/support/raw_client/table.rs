//! Field tables and their values, with RabbitMQ's type tags
//! (<https://www.rabbitmq.com/amqp-0-9-1-errata>, section 3). Widths are kept apart, so that a test
//! can see whether a header came back with the width it was sent with.

use super::wire::{ArgumentReader, ArgumentWriter, length_of};

/// A field value; the variants are the type tags.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `t`
    Bool(bool),
    /// `b`
    Byte(i8),
    /// `B`
    UnsignedByte(u8),
    /// `s`
    Short(i16),
    /// `u`
    UnsignedShort(u16),
    /// `I`
    Int(i32),
    /// `i`
    UnsignedInt(u32),
    /// `l`
    Long(i64),
    /// `f`
    Float(f32),
    /// `d`
    Double(f64),
    /// `D`: scale, then the digits.
    Decimal(u8, u32),
    /// `S`
    Text(Vec<u8>),
    /// `A`
    Array(Vec<Self>),
    /// `T`: seconds since 1970.
    Timestamp(u64),
    /// `F`
    Table(Table),
    /// `V`
    Void,
    /// `x`
    Binary(Vec<u8>),
    /// A tag that does not exist, with what follows it.
    Unknown(u8, Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Long(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl Value {
    /// An array of long strings.
    #[must_use]
    pub fn texts(texts: &[&str]) -> Self {
        Self::Array(texts.iter().map(|text| Self::from(*text)).collect())
    }

    fn write(&self, out: ArgumentWriter) -> ArgumentWriter {
        match self {
            Self::Bool(truth) => out.octet(b't').octet(u8::from(*truth)),
            Self::Byte(number) => out.octet(b'b').raw(&number.to_be_bytes()),
            Self::UnsignedByte(number) => out.octet(b'B').octet(*number),
            Self::Short(number) => out.octet(b's').raw(&number.to_be_bytes()),
            Self::UnsignedShort(number) => out.octet(b'u').short(*number),
            Self::Int(number) => out.octet(b'I').raw(&number.to_be_bytes()),
            Self::UnsignedInt(number) => out.octet(b'i').long(*number),
            Self::Long(number) => out.octet(b'l').raw(&number.to_be_bytes()),
            Self::Float(number) => out.octet(b'f').raw(&number.to_be_bytes()),
            Self::Double(number) => out.octet(b'd').raw(&number.to_be_bytes()),
            Self::Decimal(scale, digits) => out.octet(b'D').octet(*scale).long(*digits),
            Self::Text(text) => out.octet(b'S').long_string(text),
            Self::Array(values) => {
                let items = values
                    .iter()
                    .fold(ArgumentWriter::default(), |out, value| value.write(out))
                    .into_bytes();
                out.octet(b'A').long_string(&items)
            }
            Self::Timestamp(seconds) => out.octet(b'T').long_long(*seconds),
            Self::Table(table) => out.octet(b'F').raw(&table.encode()),
            Self::Void => out.octet(b'V'),
            Self::Binary(bytes) => out.octet(b'x').long_string(bytes),
            Self::Unknown(tag, bytes) => out.octet(*tag).raw(bytes),
        }
    }

    fn read(input: &mut ArgumentReader<'_>) -> Self {
        match input.octet() {
            b't' => Self::Bool(input.octet() != 0),
            b'b' => Self::Byte(input.octet().cast_signed()),
            b'B' => Self::UnsignedByte(input.octet()),
            b's' => Self::Short(input.short().cast_signed()),
            b'u' => Self::UnsignedShort(input.short()),
            b'I' => Self::Int(input.long().cast_signed()),
            b'i' => Self::UnsignedInt(input.long()),
            b'l' => Self::Long(input.long_long().cast_signed()),
            b'f' => Self::Float(f32::from_bits(input.long())),
            b'd' => Self::Double(f64::from_bits(input.long_long())),
            b'D' => Self::Decimal(input.octet(), input.long()),
            b'S' => Self::Text(input.long_string().to_vec()),
            b'A' => {
                let mut items = ArgumentReader::new(input.long_string());
                let mut values = Vec::new();
                while !items.is_empty() {
                    values.push(Self::read(&mut items));
                }
                Self::Array(values)
            }
            b'T' => Self::Timestamp(input.long_long()),
            b'F' => Self::Table(Table::read(input)),
            b'V' => Self::Void,
            b'x' => Self::Binary(input.long_string().to_vec()),
            tag => panic!("the broker sent a field with the unknown tag {tag:#04x}"),
        }
    }
}

/// A field table: names and values in the order they are sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table(pub Vec<(String, Value)>);

impl Table {
    /// No entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same table with one entry more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// The value of the first entry called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The table with its 32-bit length before it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let entries = self
            .0
            .iter()
            .fold(ArgumentWriter::default(), |out, (name, value)| {
                value.write(out.short_string(name))
            })
            .into_bytes();
        let mut encoded = length_of(&entries).to_be_bytes().to_vec();
        encoded.extend(entries);
        encoded
    }

    /// Reads a table that starts with its length.
    pub fn read(input: &mut ArgumentReader<'_>) -> Self {
        let mut entries = ArgumentReader::new(input.long_string());
        let mut table = Vec::new();
        while !entries.is_empty() {
            table.push((entries.short_string(), Value::read(&mut entries)));
        }
        Self(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_its_length_then_names_tags_and_values() {
        let table = Table::new().with("a", true).with("bc", "x").with("d", Value::Short(-2));
        let bytes = b"\0\0\0\x12\x01at\x01\x02bcS\0\0\0\x01x\x01ds\xFF\xFE";
        assert_eq!(table.encode(), bytes);
        assert_eq!(Table::read(&mut ArgumentReader::new(bytes)), table);
    }

    #[test]
    fn every_value_is_read_as_it_was_written() {
        let values = [
            Value::Bool(false),
            Value::Byte(-1),
            Value::UnsignedByte(200),
            Value::UnsignedShort(60000),
            Value::Int(-70000),
            Value::UnsignedInt(4_000_000_000),
            Value::Long(i64::MIN),
            Value::Float(0.5),
            Value::Double(-0.25),
            Value::Decimal(2, 314),
            Value::Timestamp(1),
            Value::Void,
            Value::Binary(vec![0, 255]),
            Value::Array(vec![Value::Void, Value::texts(&["a"])]),
            Value::Table(Table::new().with("in", 1)),
        ];
        for value in values {
            let table = Table::new().with("v", value);
            assert_eq!(Table::read(&mut ArgumentReader::new(&table.encode())), table);
        }
    }
}
