//! Field values as exchanges see them: compared, identified and printed.
//!
//! [`Value`] is what a headers exchange compares, [`fingerprint`] what makes two sets of binding
//! arguments the same, [`Printed`] how RabbitMQ shows a value in a reply text.

use indexmap::Equivalent;
use leveret_protocol::types::{FieldTable, FieldValue};
use std::borrow::Cow;
use std::fmt;

/// A field value reduced to its type class and content.
///
/// RabbitMQ: integers of any width and sign are one class, as are both float sizes, and long
/// strings and byte arrays. Decimals, arrays and tables are equal only when written alike, element
/// types included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value<B = Box<[u8]>> {
    Void,
    Bool(bool),
    Integer(i64),
    /// The bits of the double.
    Float(u64),
    /// Seconds since the epoch.
    Timestamp(u64),
    Text(B),
    /// Decimal, array or table.
    Exact(B),
}

impl<'a> From<&'a FieldValue> for Value<Cow<'a, [u8]>> {
    fn from(value: &'a FieldValue) -> Self {
        match value {
            FieldValue::Void => Self::Void,
            FieldValue::Bool(value) => Self::Bool(*value),
            FieldValue::I8(value) => Self::Integer(i64::from(*value)),
            FieldValue::U8(value) => Self::Integer(i64::from(*value)),
            FieldValue::I16(value) => Self::Integer(i64::from(*value)),
            FieldValue::U16(value) => Self::Integer(i64::from(*value)),
            FieldValue::I32(value) => Self::Integer(i64::from(*value)),
            FieldValue::U32(value) => Self::Integer(i64::from(*value)),
            FieldValue::I64(value) => Self::Integer(*value),
            FieldValue::F32(value) => Self::Float(f64::from(*value).to_bits()),
            FieldValue::F64(value) => Self::Float(value.to_bits()),
            FieldValue::Timestamp(seconds) => Self::Timestamp(*seconds),
            FieldValue::LongString(text) | FieldValue::Bytes(text) => {
                Self::Text(Cow::Borrowed(text.as_ref()))
            }
            FieldValue::Decimal { .. } | FieldValue::Array(_) | FieldValue::Table(_) => {
                let mut bytes = Vec::new();
                value.encode(&mut bytes);
                Self::Exact(Cow::Owned(bytes))
            }
        }
    }
}

impl Value<Cow<'_, [u8]>> {
    pub(super) fn into_owned(self) -> Value {
        match self {
            Self::Void => Value::Void,
            Self::Bool(value) => Value::Bool(value),
            Self::Integer(value) => Value::Integer(value),
            Self::Float(bits) => Value::Float(bits),
            Self::Timestamp(seconds) => Value::Timestamp(seconds),
            Self::Text(bytes) => Value::Text(bytes.into()),
            Self::Exact(bytes) => Value::Exact(bytes.into()),
        }
    }
}

impl Equivalent<Value> for Value<Cow<'_, [u8]>> {
    fn equivalent(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Void, Value::Void) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Integer(a), Value::Integer(b)) => a == b,
            (Self::Float(a), Value::Float(b)) | (Self::Timestamp(a), Value::Timestamp(b)) => a == b,
            (Self::Text(a), Value::Text(b)) | (Self::Exact(a), Value::Exact(b)) => **a == **b,
            _ => false,
        }
    }
}

/// Bytes that are equal for equal tables: same names, types and values, in any order. Empty for
/// the empty table.
pub(super) fn fingerprint(table: &FieldTable) -> Box<[u8]> {
    let mut fields: Vec<_> = table.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    let mut out = Vec::new();
    for (name, value) in fields {
        out.extend_from_slice(&name.len().to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        value.encode(&mut out);
    }
    out.into()
}

/// A value as an Erlang term, the form reply texts show it in. Arrays and tables stay on one line.
pub(super) struct Printed<'a>(pub(super) &'a FieldValue);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FieldValue::Void => f.write_str("undefined"),
            FieldValue::Bool(value) => write!(f, "{value}"),
            FieldValue::I8(value) => write!(f, "{value}"),
            FieldValue::U8(value) => write!(f, "{value}"),
            FieldValue::I16(value) => write!(f, "{value}"),
            FieldValue::U16(value) => write!(f, "{value}"),
            FieldValue::I32(value) => write!(f, "{value}"),
            FieldValue::U32(value) => write!(f, "{value}"),
            FieldValue::I64(value) => write!(f, "{value}"),
            FieldValue::F32(value) => write!(f, "{:?}", f64::from(*value)),
            FieldValue::F64(value) => write!(f, "{value:?}"),
            FieldValue::Timestamp(seconds) => write!(f, "{seconds}"),
            FieldValue::Decimal { scale, value } => write!(f, "{{{scale},{value}}}"),
            FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => print_binary(bytes, f),
            FieldValue::Array(values) => print_list(f, values.iter(), |f, value| {
                write!(f, "{{{},{}}}", value.type_name(), Printed(value))
            }),
            FieldValue::Table(table) => print_list(f, table.iter(), |f, (name, value)| {
                f.write_str("{")?;
                print_binary(name.as_bytes(), f)?;
                write!(f, ",{},{}}}", value.type_name(), Printed(value))
            }),
        }
    }
}

fn print_list<T>(
    f: &mut fmt::Formatter<'_>,
    elements: impl Iterator<Item = T>,
    print: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("[")?;
    for (at, element) in elements.enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        print(f, element)?;
    }
    f.write_str("]")
}

/// Text in quotes when it is all printable, a list of numbers when not.
fn print_binary(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match std::str::from_utf8(bytes) {
        Ok("") => f.write_str("<<>>"),
        Ok(text) if text.chars().all(is_printable) => {
            let escaped = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
                .replace('\r', "\\r")
                .replace('\t', "\\t");
            let encoding = if text.is_ascii() { "" } else { "/utf8" };
            write!(f, "<<\"{escaped}\"{encoding}>>")
        }
        Ok(_) | Err(_) => {
            let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
            write!(f, "<<{}>>", numbers.join(","))
        }
    }
}

fn is_printable(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\t') || !character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in fields {
            table.insert(*name, value.clone());
        }
        table
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::LongString(text.as_bytes().to_vec())
    }

    #[test]
    fn order_of_arguments_is_no_part_of_their_identity() {
        let one = table(&[("a", FieldValue::I8(1)), ("b", text("x"))]);
        let other = table(&[("b", text("x")), ("a", FieldValue::I8(1))]);
        assert_eq!(fingerprint(&one), fingerprint(&other));
        let wider = table(&[("a", FieldValue::I64(1)), ("b", text("x"))]);
        assert_ne!(fingerprint(&one), fingerprint(&wider));
        assert!(fingerprint(&FieldTable::default()).is_empty());
    }

    #[test]
    fn fingerprints_do_not_run_together() {
        let one = table(&[("a", text("bc"))]);
        let other = table(&[("ab", text("c"))]);
        assert_ne!(fingerprint(&one), fingerprint(&other));
        let nested = FieldValue::Array(vec![FieldValue::Void, FieldValue::Array(vec![])]);
        let flat = FieldValue::Array(vec![FieldValue::Array(vec![FieldValue::Void])]);
        assert_ne!(fingerprint(&table(&[("a", nested)])), fingerprint(&table(&[("a", flat)])));
    }

    /// The forms RabbitMQ answers in "Invalid x-match field …".
    #[test]
    fn printed_as_rabbitmq_does() {
        let nested = table(&[("k", text("v")), ("j", FieldValue::I32(1))]);
        for (value, expected) in [
            (text("bogus"), "<<\"bogus\">>"),
            (text(""), "<<>>"),
            (text("a\"b"), "<<\"a\\\"b\">>"),
            (text("é"), "<<\"é\"/utf8>>"),
            (FieldValue::Bytes(vec![1, 2]), "<<1,2>>"),
            (FieldValue::I32(1), "1"),
            (FieldValue::Bool(true), "true"),
            (FieldValue::Void, "undefined"),
            (FieldValue::F64(1.0), "1.0"),
            (FieldValue::Decimal { scale: 1, value: 15 }, "{1,15}"),
            (
                FieldValue::Array(vec![FieldValue::I32(1), text("a")]),
                "[{signedint,1},{longstr,<<\"a\">>}]",
            ),
            (FieldValue::Table(nested), "[{<<\"k\">>,longstr,<<\"v\">>},{<<\"j\">>,signedint,1}]"),
        ] {
            assert_eq!(Printed(&value).to_string(), expected);
        }
    }
}
