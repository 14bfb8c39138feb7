//! What a command has to say, as somebody wants to read it: RabbitMQ's formatters.
//!
//! A room of `ctl`. Pure. Tables are separated by tabs and have no header where there are no rows, as
//! RabbitMQ's; its pretty tables draw lines with the terminal's line drawing characters, these with those
//! of Unicode.

use std::fmt::Write;

use serde_json::{Map, Value};

/// What a command has to say.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Output {
    /// Nothing but that it was done.
    Nothing,
    /// A text.
    Text(String),
    /// The same rows in every format.
    Rows(Rows),
    /// A text, and beside it the data, for formats that programs read.
    Document(String, Value),
    /// JSON, whatever the format.
    Verbatim(Vec<u8>),
}

/// Rows of the same columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rows {
    /// Their names.
    pub columns: Vec<String>,
    /// A value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Formatter {
    /// Separated by tabs.
    Table,
    /// With lines.
    PrettyTable,
    /// Separated by commas.
    Csv,
    /// JSON.
    Json,
}

impl Formatter {
    /// RabbitMQ's name for it; `string` and `erlang` are as good as the first.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "table" | "string" | "erlang" | "report" | "string_per_line" => Self::Table,
            "pretty_table" => Self::PrettyTable,
            "csv" => Self::Csv,
            "json" | "json_stream" => Self::Json,
            _ => return None,
        })
    }

    /// Whether programs read it: then there is nothing around it.
    pub(super) fn is_for_programs(self) -> bool {
        matches!(self, Self::Csv | Self::Json)
    }
}

impl Output {
    /// As it is printed, without a line's end.
    pub(super) fn shown(&self, formatter: Formatter, with_headers: bool) -> Option<Vec<u8>> {
        let text = match (self, formatter) {
            (Self::Nothing, _) => return None,
            (Self::Verbatim(bytes), _) => return Some(bytes.clone()),
            (Self::Rows(rows), _) => rows.shown(formatter, with_headers)?,
            (Self::Document(_, data), Formatter::Json) => data.to_string(),
            (Self::Text(text), Formatter::Json) => {
                Value::Object(Map::from_iter([("message".to_owned(), text.clone().into())]))
                    .to_string()
            }
            (Self::Text(text), Formatter::Csv) => quoted(text),
            (Self::Text(text) | Self::Document(text, _), _) => text.clone(),
        };
        Some(text.into_bytes())
    }
}

impl Rows {
    fn shown(&self, formatter: Formatter, with_headers: bool) -> Option<String> {
        match formatter {
            Formatter::Json => return Some(self.json()),
            _ if self.rows.is_empty() => return None,
            Formatter::Table => {}
            Formatter::PrettyTable => return Some(self.pretty()),
            Formatter::Csv => return Some(self.csv()),
        }
        let rows = self.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("\t"));
        let header = with_headers.then(|| self.columns.join("\t"));
        Some(header.into_iter().chain(rows).collect::<Vec<_>>().join("\n"))
    }

    /// An array with a row a line.
    fn json(&self) -> String {
        let row = |row: &Vec<Value>| {
            let fields = self.columns.iter().zip(row);
            let fields = fields.map(|(name, value)| format!("{}:{value}", Value::from(&**name)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        match rows.is_empty() {
            true => "[\n]".to_owned(),
            false => format!("[\n{}\n]", rows.join("\n,")),
        }
    }

    fn csv(&self) -> String {
        let line = |fields: Vec<String>| fields.join(",");
        let header = line(self.columns.iter().map(|name| quoted(name)).collect());
        let rows = self.rows.iter();
        let rows = rows.map(|row| line(row.iter().map(|value| quoted(&cell(value))).collect()));
        std::iter::once(header).chain(rows).collect::<Vec<_>>().join("\n")
    }

    fn pretty(&self) -> String {
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let mut widths: Vec<usize> = self.columns.iter().map(|name| name.chars().count()).collect();
        for row in &rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        let rule = |[left, between, right]: [char; 3]| {
            let dashes: Vec<_> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
            format!("{left}{}{right}", dashes.join(&between.to_string()))
        };
        let line = |fields: &[String]| {
            let mut text = String::from("│");
            for (field, width) in fields.iter().zip(&widths) {
                // Into a text: there is no way to fail.
                let _ = write!(text, " {field:width$} │");
            }
            text
        };
        let mut lines = vec![rule(['┌', '┬', '┐']), line(&self.columns), rule(['├', '┼', '┤'])];
        lines.extend(rows.iter().map(|row| line(row)));
        lines.push(rule(['└', '┴', '┘']));
        lines.join("\n")
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A value as RabbitMQ's tables have it: lists of words in brackets, arguments as pairs.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(cell).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => pairs(fields),
    }
}

fn pairs(fields: &Map<String, Value>) -> String {
    let pair = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(inner) => pairs(inner),
            other => other.to_string(),
        };
        format!("{{{},{value}}}", Value::from(name.as_str()))
    };
    format!("[{}]", fields.iter().map(pair).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows() -> Output {
        let columns = ["user", "tags"].map(str::to_owned).to_vec();
        let rows = vec![
            vec![json!("guest"), json!(["administrator", "x"])],
            vec![json!("a\"b"), json!([])],
        ];
        Output::Rows(Rows { columns, rows })
    }

    fn shown(output: &Output, formatter: Formatter) -> String {
        String::from_utf8(output.shown(formatter, true).unwrap_or_default()).unwrap()
    }

    /// As `rabbitmqctl` 4.3.6 shows them.
    #[test]
    fn rows_are_shown_in_every_format() {
        let table = "user\ttags\nguest\t[administrator, x]\na\"b\t[]";
        assert_eq!(shown(&rows(), Formatter::Table), table);
        let bare = rows().shown(Formatter::Table, false).unwrap();
        assert!(bare.starts_with(b"guest\t"));
        let json = "[\n{\"user\":\"guest\",\"tags\":[\"administrator\",\"x\"]}\n,\
                    {\"user\":\"a\\\"b\",\"tags\":[]}\n]";
        assert_eq!(shown(&rows(), Formatter::Json), json);
        let csv = "\"user\",\"tags\"\n\"guest\",\"[administrator, x]\"\n\"a\"\"b\",\"[]\"";
        assert_eq!(shown(&rows(), Formatter::Csv), csv);
        let pretty = "┌───────┬────────────────────┐\n\
                      │ user  │ tags               │\n\
                      ├───────┼────────────────────┤\n\
                      │ guest │ [administrator, x] │\n\
                      │ a\"b   │ []                 │\n\
                      └───────┴────────────────────┘";
        assert_eq!(shown(&rows(), Formatter::PrettyTable), pretty);
    }

    #[test]
    fn no_rows_have_no_header_and_are_an_empty_list() {
        let none = Output::Rows(Rows { columns: vec!["name".to_owned()], rows: Vec::new() });
        assert_eq!(none.shown(Formatter::Table, true), None);
        assert_eq!(shown(&none, Formatter::Json), "[\n]");
    }

    #[test]
    fn arguments_are_pairs() {
        let value = json!({"x-message-ttl": 5, "x-queue-type": "quorum", "t": {"a": true}});
        let expected =
            "[{\"t\",[{\"a\",true}]},{\"x-message-ttl\",5},{\"x-queue-type\",\"quorum\"}]";
        assert_eq!(cell(&value), expected);
        assert_eq!((cell(&Value::Null), cell(&json!({}))), (String::new(), "[]".to_owned()));
    }
}
