//! Field tables: built, written, read, looked up, refused.

use crate::error::DecodeError;
use crate::types::{FieldTable, FieldValue, RawTable, RawValue, TABLE_DEPTH_MAX};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = FieldValue> {
    let octets = || prop::collection::vec(any::<u8>(), 0..40);
    let float = prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO;
    let double = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    let leaf = prop_oneof![
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        float.prop_map(FieldValue::F32),
        double.prop_map(FieldValue::F64),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        octets().prop_map(FieldValue::LongString),
        any::<u64>().prop_map(FieldValue::Timestamp),
        Just(FieldValue::Void),
        octets().prop_map(FieldValue::Bytes),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(FieldValue::Array),
            entries(inner).prop_map(FieldValue::Table),
        ]
    })
}

fn entries(value: impl Strategy<Value = FieldValue>) -> impl Strategy<Value = FieldTable> {
    prop::collection::vec(("\\PC{0,20}", value), 0..6).prop_map(FieldTable::from_iter)
}

fn table() -> impl Strategy<Value = FieldTable> {
    entries(value())
}

/// A table of `levels` tables, one in another, around a void.
fn nested(levels: u8, tag: u8) -> Vec<u8> {
    let mut octets = Vec::new();
    for _ in 0..levels {
        let mut outer = if tag == b'F' { b"\x01aF".to_vec() } else { b"A".to_vec() };
        outer.extend(u32::try_from(octets.len()).unwrap().to_be_bytes());
        outer.extend(octets);
        octets = outer;
    }
    if tag == b'A' { [b"\x01a", octets.as_slice()].concat() } else { octets }
}

proptest! {
    #[test]
    fn tables_come_back_from_the_wire(table in table()) {
        let octets = table.to_bytes();
        let raw = RawTable::new(&octets);
        prop_assert_eq!(raw.validate(), Ok(()));
        prop_assert_eq!(raw.parse().unwrap(), table.clone());
        prop_assert_eq!(raw.entries().count(), table.len());
        prop_assert_eq!(raw.is_empty(), table.is_empty());
        for (name, value) in table.iter() {
            prop_assert_eq!(raw.get(name), Some(value.clone()));
        }
        let mut with_length = Vec::new();
        table.encode(&mut with_length);
        prop_assert_eq!(&with_length[..4], u32::try_from(octets.len()).unwrap().to_be_bytes());
        prop_assert_eq!(&with_length[4..], octets);
    }

    #[test]
    fn tables_come_back_from_json(table in table()) {
        let json = serde_json::to_string(&table).unwrap();
        prop_assert_eq!(serde_json::from_str::<FieldTable>(&json).unwrap(), table);
    }

    #[test]
    fn damaged_tables_are_read_or_refused(
        table in table(), at: prop::sample::Index, octet: u8, cut: prop::sample::Index,
    ) {
        let mut octets = table.to_bytes();
        if !octets.is_empty() {
            let at = at.index(octets.len());
            octets[at] = octet;
            octets.truncate(cut.index(octets.len()) + 1);
        }
        consistent(&octets)?;
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..60)) {
        consistent(&octets)?;
    }
}

/// Checking and building agree, and looking up never finds what is not there.
fn consistent(octets: &[u8]) -> Result<(), TestCaseError> {
    let raw = RawTable::new(octets);
    prop_assert_eq!(raw.validate(), raw.parse().map(|_| ()));
    if let Ok(table) = raw.parse() {
        prop_assert_eq!(raw.entries().count(), table.len());
        let again = table.to_bytes();
        prop_assert_eq!(RawTable::new(&again).parse(), Ok(table));
    }
    let _ = raw.get("a");
    Ok(())
}

#[test]
fn every_tag_reads_as_rabbitmq_reads_it() {
    let rows: [(&[u8], FieldValue, &str); 18] = [
        (b"t\x02", FieldValue::Bool(true), "bool"),
        (b"b\xff", FieldValue::I8(-1), "byte"),
        (b"B\xff", FieldValue::U8(255), "unsignedbyte"),
        (b"s\xff\xfe", FieldValue::I16(-2), "short"),
        (b"u\xff\xfe", FieldValue::U16(65534), "unsignedshort"),
        (b"I\xff\xff\xff\xfd", FieldValue::I32(-3), "signedint"),
        (b"i\xff\xff\xff\xff", FieldValue::U32(u32::MAX), "unsignedint"),
        (b"l\xff\xff\xff\xff\xff\xff\xff\xfc", FieldValue::I64(-4), "long"),
        (b"L\xff\xff\xff\xff\xff\xff\xff\xfc", FieldValue::I64(-4), "long"),
        (b"f\x3f\x80\x00\x00", FieldValue::F32(1.0), "float"),
        (b"d\x3f\xf0\x00\x00\x00\x00\x00\x00", FieldValue::F64(1.0), "double"),
        (b"D\x02\x00\x00\x01\x41", FieldValue::Decimal { scale: 2, value: 321 }, "decimal"),
        (b"S\x00\x00\x00\x02hi", FieldValue::LongString(b"hi".into()), "longstr"),
        (b"A\x00\x00\x00\x02VV", FieldValue::Array(vec![FieldValue::Void; 2]), "array"),
        (b"T\x00\x00\x00\x00\x00\x00\x00\x09", FieldValue::Timestamp(9), "timestamp"),
        (b"F\x00\x00\x00\x00", FieldValue::Table(FieldTable::new()), "table"),
        (b"V", FieldValue::Void, "void"),
        (b"x\x00\x00\x00\x02\x00\xff", FieldValue::Bytes(vec![0, 255]), "binary"),
    ];
    for (octets, value, type_name) in rows {
        let octets = [b"\x01k", octets].concat();
        assert_eq!(RawTable::new(&octets).get("k"), Some(value.clone()), "{type_name}");
        assert_eq!(value.type_name(), type_name);
        assert_eq!(RawTable::new(&octets).validate(), Ok(()));
    }
}

#[test]
fn malformed_tables_are_refused() {
    let rows: [&[u8]; 12] = [
        b"\x01kZabc",
        b"\x01kI\x00",
        b"\x09ab",
        b"\x01k",
        b"\x01kF\x00\x00\x00\x64a",
        b"\x01kA\x00\x00\x00\x01Z",
        b"\x01kF\x00\x00\x00\x03\x01aZ",
        b"\x01kS\xff\xff\xff\xff",
        b"\x01kd\x7f\xf8\x00\x00\x00\x00\x00\x00",
        b"\x01kf\x7f\x80\x00\x00",
        b"\x01kV\x00",
        b"\x01kA\x00\x00\x00\x02I\x00",
    ];
    for octets in rows {
        let raw = RawTable::new(octets);
        assert_eq!(raw.validate(), Err(DecodeError::MalformedTable), "{octets:?}");
        assert_eq!(raw.parse(), Err(DecodeError::MalformedTable), "{octets:?}");
    }
}

#[test]
fn nesting_is_bounded() {
    for tag in *b"FA" {
        let octets = nested(TABLE_DEPTH_MAX, tag);
        assert_eq!(RawTable::new(&octets).validate(), Ok(()));
        assert!(RawTable::new(&octets).parse().is_ok());
        assert!(RawTable::new(&octets).get("a").is_some());
        for levels in [TABLE_DEPTH_MAX + 1, u8::MAX] {
            let octets = nested(levels, tag);
            assert_eq!(RawTable::new(&octets).validate(), Err(DecodeError::TableTooDeep));
            assert_eq!(RawTable::new(&octets).parse(), Err(DecodeError::TableTooDeep));
            assert_eq!(RawTable::new(&octets).get("a"), None);
        }
    }
}

#[test]
fn names_may_be_any_octets() {
    let raw = RawTable::new(b"\x02\xff\xfeV\x00t\x01");
    assert_eq!(raw.validate(), Ok(()));
    assert_eq!(raw.parse().unwrap().iter().next().unwrap().0, "\u{fffd}\u{fffd}");
    assert_eq!(raw.get(""), Some(FieldValue::Bool(true)));
    assert_eq!(raw.entries().next(), Some((b"\xff\xfe".as_slice(), RawValue::Void)));
}

#[test]
fn a_name_that_grows_when_replaced_is_cut() {
    let octets = [&[255_u8], [0xff; 255].as_slice(), b"V"].concat();
    let table = RawTable::new(&octets).parse().unwrap();
    assert_eq!(table.iter().next().unwrap().0, "\u{fffd}".repeat(85));
    assert_eq!(RawTable::new(&table.to_bytes()).parse(), Ok(table));
}

#[test]
fn the_first_of_two_equal_names_counts() {
    let octets = b"\x01xb\x01\x01xb\x02";
    let mut table = RawTable::new(octets).parse().unwrap();
    assert_eq!(RawTable::new(octets).get("x"), Some(FieldValue::I8(1)));
    assert_eq!(table.get("x"), Some(&FieldValue::I8(1)));
    assert_eq!((table.len(), table.to_bytes().as_slice()), (2, octets.as_slice()));
    assert_eq!(table.insert("x", 3_i8), Some(FieldValue::I8(1)));
    assert_eq!(table.remove("x"), Some(FieldValue::I8(3)));
    assert!(table.is_empty());
    assert_eq!(table.remove("x"), None);
}

#[test]
fn insert_keeps_the_order() {
    let mut table: FieldTable = [("a", 1), ("b", 2), ("c", 3)].into_iter().collect();
    assert_eq!(table.insert("b", "two"), Some(FieldValue::I32(2)));
    let names: Vec<_> = table.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(table.get("b").and_then(FieldValue::as_str), Some("two"));
    assert!(table.contains("c"));
    assert!(!table.contains("d"));
}

#[test]
fn a_name_too_long_is_cut() {
    let table: FieldTable = [("k".repeat(300), true)].into_iter().collect();
    let octets = table.to_bytes();
    assert_eq!(octets.len(), 1 + 255 + 2);
    assert_eq!(RawTable::new(&octets).get(&"k".repeat(255)), Some(FieldValue::Bool(true)));
}

#[test]
fn integers_of_every_width_are_integers() {
    let integers = [
        FieldValue::I8(5),
        FieldValue::U8(5),
        FieldValue::I16(5),
        FieldValue::U16(5),
        FieldValue::I32(5),
        FieldValue::U32(5),
        FieldValue::I64(5),
    ];
    assert!(integers.iter().all(|value| value.as_integer() == Some(5)));
    let others = [FieldValue::Timestamp(5), FieldValue::from("5"), FieldValue::F64(5.0)];
    assert!(others.iter().all(|value| value.as_integer().is_none()));
}
