//! Arguments of queues, exchanges and bindings as JSON has them, which knows fewer types than AMQP.
//!
//! Called by `definitions::document`, both ways. As RabbitMQ: whole numbers are `long`, others `double`,
//! texts `longstr`; null stands for nothing that can be declared.

use leveret_protocol::types::{FieldTable, FieldValue};
use serde_json::{Map, Value};

/// The arguments that a JSON object stands for.
///
/// # Errors
/// One of them is, or holds, something that AMQP has no value for.
pub(crate) fn from_json(fields: &Map<String, Value>) -> Result<FieldTable, String> {
    let field = |(name, value): (&String, &Value)| {
        let value = field_value(value).map_err(|reason| format!("argument '{name}': {reason}"))?;
        Ok((name.clone(), value))
    };
    fields.iter().map(field).collect()
}

/// The value that one of JSON stands for.
///
/// # Errors
/// It is, or holds, something that AMQP has no value for.
pub(crate) fn field_value(value: &Value) -> Result<FieldValue, String> {
    match value {
        Value::Null => Err("null is no value".to_owned()),
        Value::Bool(flag) => Ok(FieldValue::Bool(*flag)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(FieldValue::I64(whole)),
            (None, Some(float)) if !number.is_u64() => Ok(FieldValue::F64(float)),
            _ => Err(format!("{number} is too large")),
        },
        Value::String(text) => Ok(FieldValue::LongString(text.clone().into_bytes())),
        Value::Array(values) => {
            values.iter().map(field_value).collect::<Result<_, _>>().map(FieldValue::Array)
        }
        Value::Object(fields) => from_json(fields).map(FieldValue::Table),
    }
}

/// What JSON has of arguments, in the order of their names: a number is a number, whatever its type; text
/// that is not UTF-8 loses what is not.
pub(crate) fn to_json(table: &FieldTable) -> Map<String, Value> {
    table.iter().map(|(name, value)| (name.to_owned(), to_value(value))).collect()
}

/// The same of one of them.
pub(crate) fn to_value(value: &FieldValue) -> Value {
    match value {
        FieldValue::Bool(flag) => (*flag).into(),
        FieldValue::I8(number) => (*number).into(),
        FieldValue::U8(number) => (*number).into(),
        FieldValue::I16(number) => (*number).into(),
        FieldValue::U16(number) => (*number).into(),
        FieldValue::I32(number) => (*number).into(),
        FieldValue::U32(number) => (*number).into(),
        FieldValue::I64(number) => (*number).into(),
        FieldValue::Timestamp(seconds) => (*seconds).into(),
        FieldValue::F32(number) => f64::from(*number).into(),
        FieldValue::F64(number) => (*number).into(),
        FieldValue::Decimal { scale, value } => {
            (f64::from(*value) / 10_f64.powi(i32::from(*scale))).into()
        }
        FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => {
            String::from_utf8_lossy(bytes).into()
        }
        FieldValue::Array(values) => values.iter().map(to_value).collect(),
        FieldValue::Table(fields) => Value::Object(to_json(fields)),
        FieldValue::Void => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(value: Value) -> Result<FieldTable, String> {
        let Value::Object(fields) = value else { panic!("{value}") };
        from_json(&fields)
    }

    #[test]
    fn every_type_of_json_has_one_of_amqp() {
        let found = table(json!({
            "number": 5, "negative": -5, "float": 1.5, "text": "ü", "flag": true,
            "list": [1, "a"], "table": {"a": []},
        }))
        .unwrap();
        for (name, expected) in [
            ("number", FieldValue::I64(5)),
            ("negative", FieldValue::I64(-5)),
            ("float", FieldValue::F64(1.5)),
            ("text", FieldValue::from("ü")),
            ("flag", FieldValue::Bool(true)),
            ("list", FieldValue::Array(vec![FieldValue::I64(1), "a".into()])),
            ("table", FieldValue::Table(table(json!({"a": []})).unwrap())),
        ] {
            assert_eq!(found.get(name), Some(&expected), "{name}");
        }
    }

    #[test]
    fn what_json_says_of_arguments_reads_back() {
        let value = json!({
            "number": 5, "float": 1.5, "text": "ü", "flag": true, "list": [1, "a"], "table": {"a": []}
        });
        assert_eq!(Value::Object(to_json(&table(value.clone()).unwrap())), value);
        for (value, expected) in [
            (FieldValue::I8(-5), json!(-5)),
            (FieldValue::Timestamp(7), json!(7)),
            (FieldValue::Decimal { scale: 2, value: 150 }, json!(1.5)),
            (FieldValue::F64(f64::NAN), Value::Null),
            (FieldValue::Bytes(b"a\xff".to_vec()), json!("a\u{fffd}")),
        ] {
            assert_eq!(to_value(&value), expected);
        }
    }

    #[test]
    fn what_amqp_has_no_value_for_is_named() {
        for (value, reason) in [
            (json!({"a": null}), "argument 'a': null is no value"),
            (json!({"a": {"b": [null]}}), "argument 'a': argument 'b': null is no value"),
            (json!({"a": u64::MAX}), "argument 'a': 18446744073709551615 is too large"),
        ] {
            assert_eq!(table(value).unwrap_err(), reason);
        }
    }
}
