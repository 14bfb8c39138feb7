//! The metrics, as keys: the name and labels of each, with the type of its family.

use std::collections::BTreeSet;
use std::path::Path;

use super::Taken;
use super::paths::Keys;
use crate::scene::Api;

/// The paths that Prometheus may ask, and the files that answers are kept in.
const SCRAPED: &[(&str, &str)] = &[
    ("/metrics", "metrics.txt"),
    ("/metrics/per-object", "metrics_per-object.txt"),
    (
        "/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count",
        "metrics_detailed@family=queue_coarse_.txt",
    ),
];

/// What a broker tells.
pub(super) fn taken(api: &Api) -> Taken {
    let mut taken = Taken::new();
    for (path, _) in SCRAPED {
        if let Some(text) = api.scrape(path) {
            taken.insert(format!("GET {path}"), keys_of(&text));
        }
    }
    taken
}

/// What was kept.
pub(super) fn from_files(folder: &Path) -> Taken {
    let mut taken = Taken::new();
    for (path, file) in SCRAPED {
        let text = std::fs::read_to_string(folder.join(file)).expect("the answer is there");
        taken.insert(format!("GET {path}"), keys_of(&text));
    }
    taken
}

fn keys_of(text: &str) -> Keys {
    let mut keys = Keys::new();
    let mut family = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            family = (name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') && !line.is_empty() {
            keys.entry(key_of(line)).or_default().insert(family.1.clone());
        }
    }
    keys
}

/// `name{label,label}`.
fn key_of(line: &str) -> String {
    let end = line.find(['{', ' ']).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeSet::new();
    while let Some((label, behind)) = rest.split_once("=\"") {
        labels.insert(label.trim_start_matches(['{', ',']).to_owned());
        let mut is_escaped = false;
        let closing = behind.find(|letter| {
            let ends = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            ends
        });
        rest = &behind[closing.map_or(behind.len(), |at| at + 1)..];
    }
    let labels: Vec<String> = labels.into_iter().collect();
    format!("{name}{{{}}}", labels.join(","))
}
