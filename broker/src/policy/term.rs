//! Values as RabbitMQ's texts show them: the notation of its language (`~tp`).
//!
//! Called by `validation`. Long values are not broken over several lines, as theirs are.

use std::fmt::Write;

use serde_json::Value;

use super::Definition;

/// A value, or `undefined` for none.
pub(crate) fn term(value: Option<&Value>) -> String {
    let mut out = String::new();
    match value {
        Some(value) => write_term(value, &mut out),
        None => out.push_str("undefined"),
    }
    out
}

/// Settings as a list of pairs.
pub(super) fn pairs<'a>(settings: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let pair = |(name, value): (&String, &Value)| {
        let mut out = String::from("{");
        write_text(name, &mut out);
        out.push(',');
        write_term(value, &mut out);
        out.push('}');
        out
    };
    format!("[{}]", settings.map(pair).collect::<Vec<_>>().join(","))
}

fn write_term(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_text(text, out),
        Value::Array(values) => {
            out.push('[');
            separated(values.iter(), out, write_term);
            out.push(']');
        }
        Value::Object(fields) => write_map(fields, out),
    }
}

fn write_map(fields: &Definition, out: &mut String) {
    out.push_str("#{");
    separated(fields.iter(), out, |(name, value), out| {
        write_text(name, out);
        out.push_str(" => ");
        write_term(value, out);
    });
    out.push('}');
}

fn separated<T>(items: impl Iterator<Item = T>, out: &mut String, write: impl Fn(T, &mut String)) {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(item, out);
    }
}

/// A text is a binary there: quoted where all of it can be printed, else its bytes.
fn write_text(text: &str, out: &mut String) {
    if text.is_empty() {
        out.push_str("<<>>");
        return;
    }
    let mut quoted = String::new();
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other if other.is_control() => {
                let bytes: Vec<_> = text.bytes().map(|byte| byte.to_string()).collect();
                // Writing into memory has no way to fail.
                let _ = write!(out, "<<{}>>", bytes.join(","));
                return;
            }
            other => quoted.push(other),
        }
    }
    let encoding = if text.is_ascii() { "" } else { "/utf8" };
    let _ = write!(out, "<<\"{quoted}\"{encoding}>>");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_look_as_rabbitmq_prints_them() {
        for (value, expected) in [
            (json!(null), "null"),
            (json!(true), "true"),
            (json!(-1), "-1"),
            (json!(1.5), "1.5"),
            (json!("x"), "<<\"x\">>"),
            (json!(""), "<<>>"),
            (json!("a\"b\\c\n"), "<<\"a\\\"b\\\\c\\n\">>"),
            (json!("日本"), "<<\"日本\"/utf8>>"),
            (json!("\u{1}a"), "<<1,97>>"),
            (json!([1, "a"]), "[1,<<\"a\">>]"),
            (json!({}), "#{}"),
            (json!({"a": 1, "b": []}), "#{<<\"a\">> => 1,<<\"b\">> => []}"),
        ] {
            assert_eq!(term(Some(&value)), expected);
        }
        assert_eq!(term(None), "undefined");
    }
}
