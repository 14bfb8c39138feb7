//! What RabbitMQ tells and we do not, or otherwise: the table in the book, held both ways.

use std::collections::{BTreeMap, BTreeSet};

use leveret_tests::broker_under_test::repository;

use super::Taken;
use super::paths::{Kept, Keys};

/// A row: of which answers, which keys.
pub(super) struct Missing {
    answers: String,
    keys: Vec<String>,
}

/// The table of `docs/src/http-api-keys.md`: rows whose first two cells are patterns between
/// backticks.
pub(super) fn table() -> Vec<Missing> {
    let path = repository().join("docs/src/http-api-keys.md");
    let text = std::fs::read_to_string(path).expect("the page is there");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let quoted = |cell: &str| {
            cell.split('`')
                .skip(usize::from(cell.starts_with('`')))
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let answers = cells.next()?.trim_end_matches('`').to_owned();
        let keys = quoted(cells.next()?);
        let reason = cells.next()?;
        assert!(reason.len() > 10 && !keys.is_empty(), "no reason, or no keys: {line}");
        Some(Missing { answers, keys })
    };
    text.lines().filter_map(row).collect()
}

/// Whether a text is as a pattern says, in which `*` is anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|behind| {
            (0..=behind.len()).any(|at| behind.is_char_boundary(at) && fits(rest, &behind[at..]))
        }),
    }
}

/// Whether what RabbitMQ tells at a key is there, and as it is there.
fn is_there(
    versions: &BTreeMap<String, BTreeSet<String>>,
    ours: Option<&BTreeSet<String>>,
) -> bool {
    let Some(ours) = ours else { return false };
    let all: BTreeSet<&str> = versions.values().flatten().map(String::as_str).collect();
    let is_as_good = |own: &str, theirs: &str| {
        own == theirs || matches!((own, theirs), ("int", "float") | ("gauge", "untyped"))
    };
    let is_known = |own: &str| all.iter().any(|theirs| is_as_good(own, theirs));
    // Where nothing but null was seen, what stands there otherwise is not known.
    all.iter().all(|one| *one == "null") || ours.iter().all(|own| is_known(own))
}

/// How many keys the table names, and what is wrong with it or with us.
pub(super) fn compare(kept: &Kept, ours: &Taken, table: &[Missing]) -> (usize, Vec<String>) {
    let (mut faults, mut named) = (Vec::new(), 0);
    let mut used: BTreeSet<(usize, usize)> = BTreeSet::new();
    let nothing = Keys::new();
    for (label, keys) in kept {
        let own = ours.get(label).unwrap_or(&nothing);
        for (key, versions) in keys {
            let rows: Vec<_> = rows_of(table, label, key).collect();
            match (is_there(versions, own.get(key)), rows.is_empty()) {
                (true, true) => {}
                (true, false) => {
                    faults.push(format!("there, and said to be missing: {label}: {key}"))
                }
                (false, true) => {
                    let own =
                        own.get(key).map_or_else(|| "nothing".to_owned(), |own| format!("{own:?}"));
                    faults.push(format!("missing: {label}: {key} {versions:?}, ours {own}"));
                }
                (false, false) => named += 1,
            }
            used.extend(rows);
        }
    }
    for (row, missing) in table.iter().enumerate() {
        for (at, key) in missing.keys.iter().enumerate() {
            if !used.contains(&(row, at)) {
                faults.push(format!("nothing of the kind: {} {key}", missing.answers));
            }
        }
    }
    (named, faults)
}

fn rows_of<'a>(
    table: &'a [Missing],
    label: &'a str,
    key: &'a str,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    table.iter().enumerate().filter(|(_, missing)| fits(&missing.answers, label)).flat_map(
        move |(row, missing)| {
            let fitting = missing.keys.iter().enumerate().filter(|(_, pattern)| fits(pattern, key));
            fitting.map(move |(at, _)| (row, at))
        },
    )
}
