//! What the first rabbitmqadmin prints: tables, lines, JSON, to the letter, because scripts cut them up.
//!
//! A room of `admin::v1`. Pure. A value that is not there is empty in tables; where the program in Python
//! failed on one, this goes on.

use serde_json::Value;

/// Columns that come first, in this order, where nobody names any.
const FIRST: [&str; 7] =
    ["vhost", "name", "type", "source", "destination", "destination_type", "routing_key"];

/// How a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    RawJson,
    PrettyJson,
    Tsv,
    Long,
    Table,
    Kvp,
    Bash,
}

impl Format {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "raw_json" => Self::RawJson,
            "pretty_json" => Self::PrettyJson,
            "tsv" => Self::Tsv,
            "long" => Self::Long,
            "table" => Self::Table,
            "kvp" => Self::Kvp,
            "bash" => Self::Bash,
            _ => return None,
        })
    }

    /// Whether the columns do not count.
    pub(super) const fn is_json(self) -> bool {
        matches!(self, Self::RawJson | Self::PrettyJson)
    }
}

/// A list, and how much of it is wanted.
pub(super) struct Listed<'a> {
    /// What the broker answered.
    pub(super) answer: &'a str,
    pub(super) columns: Vec<String>,
    /// Members that are shown as JSON.
    pub(super) json: &'a [&'a str],
    /// How deep members of members are shown, where nobody names columns.
    pub(super) depth: usize,
    /// Whether what is no data is said, too.
    pub(super) is_verbose: bool,
}

/// As it is printed, without the last line's end; nothing where there is nothing to say.
pub(super) fn shown(listed: &Listed<'_>, format: Format) -> Option<String> {
    if format == Format::RawJson {
        return Some(listed.answer.to_owned());
    }
    let value: Value = serde_json::from_str(listed.answer).unwrap_or_default();
    if format == Format::PrettyJson {
        return serde_json::to_string_pretty(&value).ok();
    }
    let (columns, rows) = table(listed, value.as_array().map(Vec::as_slice).unwrap_or_default());
    if rows.is_empty() {
        return listed.is_verbose.then(|| "No items".to_owned());
    }
    match format {
        Format::Tsv => Some(tsv(&columns, &rows, listed.is_verbose)),
        Format::Long => Some(long(&columns, &rows)),
        Format::Kvp => Some(kvp(&columns, &rows)),
        Format::Bash => bash(&columns, &rows),
        Format::Table | Format::RawJson | Format::PrettyJson => Some(ascii(&columns, &rows)),
    }
}

type Cells = Vec<Option<String>>;

/// The members of an object as columns and cells, in their order.
fn cells(
    prefix: &str,
    depth: usize,
    (object, json, depth_max): (&Value, &[&str], usize),
    told: &mut dyn FnMut(String, Option<String>),
) {
    for (name, value) in object.as_object().into_iter().flatten() {
        let column = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(_) if json.contains(&name.as_str()) => told(column, Some(dumped(value))),
            Value::Object(_) if depth < depth_max => {
                cells(&column, depth + 1, (value, json, depth_max), told);
            }
            Value::Object(_) => {}
            Value::Array(values) if values.iter().all(Value::is_string) => {
                let words: Vec<_> = values.iter().filter_map(Value::as_str).collect();
                told(column, Some(words.join(" ")));
            }
            Value::Array(_) => told(column, Some(dumped(value))),
            Value::Null => told(column, None),
            Value::String(text) => told(column, Some(text.clone())),
            Value::Bool(flag) => {
                told(column, Some(if *flag { "True" } else { "False" }.to_owned()))
            }
            Value::Number(number) => told(column, Some(number.to_string())),
        }
    }
}

fn table(listed: &Listed<'_>, items: &[Value]) -> (Vec<String>, Vec<Cells>) {
    let depth = if listed.columns.is_empty() { listed.depth } else { usize::MAX };
    let mut columns = listed.columns.clone();
    if columns.is_empty() {
        for item in items {
            cells("", 1, (item, listed.json, depth), &mut |column, _| columns.push(column));
        }
        let place = |column: &String| {
            let first = FIRST.iter().position(|first| first == column);
            (first.unwrap_or(FIRST.len()), column.clone())
        };
        columns.sort_by_key(place);
        columns.dedup();
    }
    let row = |item: &Value| {
        let mut row: Cells = vec![Some(String::new()); columns.len()];
        cells("", 1, (item, listed.json, depth), &mut |column, value| {
            for (cell, name) in row.iter_mut().zip(&columns) {
                if *name == column {
                    cell.clone_from(&value);
                }
            }
        });
        row
    };
    let rows = items.iter().map(row).collect();
    (columns, rows)
}

/// JSON as Python writes it: with spaces, and without letters that are not ASCII.
fn dumped(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                format!("{}: {}", ascii_only(&Value::from(name.as_str())), dumped(value))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(values) => {
            format!("[{}]", values.iter().map(dumped).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => ascii_only(value),
    }
}

fn ascii_only(value: &Value) -> String {
    let mut text = String::new();
    for letter in value.to_string().chars() {
        match letter.is_ascii() {
            true => text.push(letter),
            false => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text
}

fn empty(cell: &Option<String>) -> &str {
    cell.as_deref().unwrap_or_default()
}

/// Python's word for nothing.
fn none(cell: &Option<String>) -> &str {
    cell.as_deref().unwrap_or("None")
}

fn tsv(columns: &[String], rows: &[Cells], with_header: bool) -> String {
    let header = with_header.then(|| columns.join("\t"));
    let rows = rows.iter().map(|row| row.iter().map(empty).collect::<Vec<_>>().join("\t"));
    header.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

fn long(columns: &[String], rows: &[Cells]) -> String {
    let rule = format!("\n{}\n", "-".repeat(80));
    let width = columns.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let mut lines = vec![rule.clone()];
    for row in rows {
        let pairs = columns.iter().zip(row);
        lines.extend(pairs.map(|(name, cell)| format!("{name:>width$}: {}", none(cell))));
        lines.push(rule.clone());
    }
    lines.join("\n")
}

fn kvp(columns: &[String], rows: &[Cells]) -> String {
    let row = |row: &Cells| {
        let pairs = columns.iter().zip(row);
        pairs.map(|(name, cell)| format!("{name}=\"{}\"", none(cell))).collect::<Vec<_>>().join(" ")
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn bash(columns: &[String], rows: &[Cells]) -> Option<String> {
    let at = columns.iter().rposition(|name| name == "name")?;
    let names: Vec<_> = rows.iter().filter_map(|row| row.get(at)).map(empty).collect();
    Some(names.join(" "))
}

fn ascii(columns: &[String], rows: &[Cells]) -> String {
    let length = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = columns.iter().map(|name| length(name)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(length(empty(cell)));
        }
    }
    let bars: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let bar = format!("+{}+", bars.join("+"));
    let heads = columns.iter().zip(&widths).map(|(name, width)| format!(" {name:^width$} "));
    let mut lines = vec![bar.clone(), line(heads), bar.clone()];
    for row in rows {
        let cells = row.iter().zip(&widths);
        lines.push(line(cells.map(|(cell, width)| format!(" {:<width$} ", empty(cell)))));
    }
    lines.push(bar);
    lines.join("\n")
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("|{}|", cells.collect::<Vec<_>>().join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"[{"name": "q", "messages": 3, "durable": true, "arguments": {"a": 1},
        "tags": ["x", "y"], "mixed": [1, "ä"], "none": null, "vhost": "/"}]"#;

    fn listed(columns: &[&str], depth: usize) -> Listed<'static> {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Listed { answer: ANSWER, columns, json: &[], depth, is_verbose: true }
    }

    /// As the program in Python prints it.
    #[test]
    fn lists_are_shown_to_the_letter() {
        let some = || listed(&["name", "messages", "arguments.a"], 1);
        let expected = "+------+----------+-------------+\n\
                        | name | messages | arguments.a |\n\
                        +------+----------+-------------+\n\
                        | q    | 3        | 1           |\n\
                        +------+----------+-------------+";
        assert_eq!(shown(&some(), Format::Table).as_deref(), Some(expected));
        let tsv = "name\tmessages\targuments.a\nq\t3\t1";
        assert_eq!(shown(&some(), Format::Tsv).as_deref(), Some(tsv));
        let kvp = "name=\"q\" messages=\"3\" arguments.a=\"1\"";
        assert_eq!(shown(&some(), Format::Kvp).as_deref(), Some(kvp));
        assert_eq!(shown(&some(), Format::Bash).as_deref(), Some("q"));
        let rule = format!("\n{}\n", "-".repeat(80));
        let long = format!("{rule}\n       name: q\n   messages: 3\narguments.a: 1\n{rule}");
        assert_eq!(shown(&some(), Format::Long), Some(long));
        assert_eq!(shown(&some(), Format::RawJson).as_deref(), Some(ANSWER));
    }

    #[test]
    fn without_columns_all_are_shown_as_deep_as_is_wanted() {
        let shallow = shown(&listed(&[], 1), Format::Tsv).unwrap();
        let header = "vhost\tname\tdurable\tmessages\tmixed\tnone\ttags";
        assert_eq!(shallow, format!("{header}\n/\tq\tTrue\t3\t[1, \"\\u00e4\"]\t\tx y"));
        let deep = shown(&listed(&[], 2), Format::Tsv).unwrap();
        assert!(deep.starts_with("vhost\tname\targuments.a\t"), "{deep}");
        let as_json = Listed { json: &["arguments"], ..listed(&["arguments"], 1) };
        assert_eq!(shown(&as_json, Format::Tsv).as_deref(), Some("arguments\n{\"a\": 1}"));
        let none = Listed { answer: "[]", ..listed(&[], 1) };
        assert_eq!(shown(&none, Format::Table).as_deref(), Some("No items"));
        let quiet = Listed { is_verbose: false, ..none };
        assert_eq!(shown(&quiet, Format::Table), None);
    }
}
