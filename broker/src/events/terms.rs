//! Values as Erlang prints them (`~p`, on one line): RabbitMQ tells arguments and addresses of events
//! so.
//!
//! Pure. Called by the other rooms of `events`.

use std::fmt::Write;
use std::net::IpAddr;

use leveret_protocol::types::{FieldTable, FieldValue};

/// Each field of a table as a text of its own: name, type and value.
pub(super) fn fields(table: &FieldTable) -> FieldValue {
    let field = |(name, value): (&str, &FieldValue)| FieldValue::from(&*field(name, value));
    FieldValue::Array(table.iter().map(field).collect())
}

fn field(name: &str, value: &FieldValue) -> String {
    let (kind, value) = typed(value);
    format!("{{{},{kind},{value}}}", binary(name.as_bytes()))
}

/// The name of a value's type, and the value.
fn typed(value: &FieldValue) -> (&'static str, String) {
    match value {
        FieldValue::Bool(value) => ("bool", value.to_string()),
        FieldValue::I8(value) => ("byte", value.to_string()),
        FieldValue::U8(value) => ("unsignedbyte", value.to_string()),
        FieldValue::I16(value) => ("short", value.to_string()),
        FieldValue::U16(value) => ("unsignedshort", value.to_string()),
        FieldValue::I32(value) => ("signedint", value.to_string()),
        FieldValue::U32(value) => ("unsignedint", value.to_string()),
        FieldValue::I64(value) => ("long", value.to_string()),
        FieldValue::F32(value) => ("float", format!("{:?}", f64::from(*value))),
        FieldValue::F64(value) => ("double", format!("{value:?}")),
        FieldValue::Decimal { scale, value } => ("decimal", format!("{{{scale},{value}}}")),
        FieldValue::LongString(octets) => ("longstr", binary(octets)),
        FieldValue::Timestamp(seconds) => ("timestamp", seconds.to_string()),
        FieldValue::Void => ("void", "undefined".to_owned()),
        FieldValue::Bytes(octets) => ("binary", binary(octets)),
        FieldValue::Array(values) => {
            let values = values.iter().map(|value| {
                let (kind, value) = typed(value);
                format!("{{{kind},{value}}}")
            });
            ("array", list(values))
        }
        FieldValue::Table(table) => {
            ("table", list(table.iter().map(|(name, value)| field(name, value))))
        }
    }
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

/// Octets: as text where all of them are printable Latin-1, as numbers otherwise.
pub(super) fn binary(octets: &[u8]) -> String {
    let is_printable = |octet: &u8| matches!(octet, b' '..=b'~' | 0xa0.. | 8..=13 | 27);
    if octets.is_empty() {
        return "<<>>".to_owned();
    }
    if !octets.iter().all(is_printable) {
        let numbers: Vec<_> = octets.iter().map(u8::to_string).collect();
        return format!("<<{}>>", numbers.join(","));
    }
    let mut text = "<<\"".to_owned();
    for octet in octets {
        match octet {
            b'"' | b'\\' => text.extend(['\\', char::from(*octet)]),
            8 => text.push_str("\\b"),
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            11 => text.push_str("\\v"),
            12 => text.push_str("\\f"),
            b'\r' => text.push_str("\\r"),
            27 => text.push_str("\\e"),
            _ => text.push(char::from(*octet)),
        }
    }
    text + "\">>"
}

/// An address as a tuple of numbers.
pub(super) fn address(address: IpAddr) -> String {
    let mut text = "{".to_owned();
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            // Writing to a string does not fail.
            let _ = write!(text, "{a},{b},{c},{d}");
        }
        IpAddr::V6(address) => {
            let numbers = address.segments().map(|segment| segment.to_string());
            text.push_str(&numbers.join(","));
        }
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn fields_are_printed_with_their_types() {
        let inner: FieldTable = [("basic.nack", FieldValue::Bool(true))].into_iter().collect();
        let all = [
            ("x-max-length", FieldValue::I32(5), "{<<\"x-max-length\">>,signedint,5}"),
            ("p", "a \"b\"".into(), "{<<\"p\">>,longstr,<<\"a \\\"b\\\"\">>}"),
            ("e", "".into(), "{<<\"e\">>,longstr,<<>>}"),
            ("n", FieldValue::Bytes(vec![0, 255]), "{<<\"n\">>,binary,<<0,255>>}"),
            ("c", FieldValue::Table(inner), "{<<\"c\">>,table,[{<<\"basic.nack\">>,bool,true}]}"),
            (
                "l",
                FieldValue::Array(vec![FieldValue::I64(1), FieldValue::Void]),
                "{<<\"l\">>,array,[{long,1},{void,undefined}]}",
            ),
            ("d", FieldValue::Decimal { scale: 2, value: 314 }, "{<<\"d\">>,decimal,{2,314}}"),
            ("f", FieldValue::F64(1.0), "{<<\"f\">>,double,1.0}"),
        ];
        for (name, value, expected) in all {
            let table: FieldTable = [(name, value)].into_iter().collect();
            assert_eq!(fields(&table), FieldValue::Array(vec![expected.into()]));
        }
        assert_eq!(fields(&FieldTable::new()), FieldValue::Array(Vec::new()));
    }

    #[test]
    fn addresses_are_tuples() {
        assert_eq!(address(Ipv4Addr::LOCALHOST.into()), "{127,0,0,1}");
        assert_eq!(address(Ipv6Addr::LOCALHOST.into()), "{0,0,0,0,0,0,0,1}");
    }
}
