//! The keys of an answer as paths with types, and the files that they are kept in.
//!
//! A line of a file is a path, and by version the types that were seen there:
//! `[].memory | 3.10=int | 4.3=int`. A line that begins with `#` says what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::Taken;

/// Paths, and the types that stand there.
pub(super) type Keys = BTreeMap<String, BTreeSet<String>>;
/// The same of several versions.
pub(super) type ByVersion = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;
/// By what was asked.
pub(super) type Kept = BTreeMap<String, ByVersion>;

/// What is under these is whatever somebody put there.
const OPAQUE: &[&str] = &["client_properties", "definition", "value"];

/// The keys of an answer, with its status as one of them.
pub(super) fn paths_of(status: u16, value: &Value, node: &str) -> Keys {
    let mut keys = Keys::new();
    keys.insert("(status)".to_owned(), BTreeSet::from([status.to_string()]));
    if (200..300).contains(&status) {
        add(&mut keys, "", value, node);
    }
    keys
}

fn add(keys: &mut Keys, path: &str, value: &Value, node: &str) {
    if !path.is_empty() {
        keys.entry(path.to_owned()).or_default().insert(type_of(value).to_owned());
    }
    let last = path.rsplit('.').next().unwrap_or_default();
    match value {
        Value::Object(fields) if !OPAQUE.contains(&last) => {
            for (name, value) in fields {
                let name = if name == node { "NODE" } else { name };
                let dot = if path.is_empty() { "" } else { "." };
                add(keys, &format!("{path}{dot}{name}"), value, node);
            }
        }
        Value::Array(items) => {
            for item in items {
                add(keys, &format!("{path}[]"), item, node);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {}
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The file of what is asked with this.
fn file_of(label: &str) -> String {
    let path = label.split_once(' ').map_or(label, |(_, path)| path);
    let resource = path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    format!("{resource}.txt")
}

/// What is kept in a folder.
pub(super) fn read(folder: &Path) -> Kept {
    let mut kept = Kept::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let mut label = String::new();
            for line in std::fs::read_to_string(&path).expect("a text").lines() {
                if let Some(asked) = line.strip_prefix("# ") {
                    asked.clone_into(&mut label);
                } else if let Some((key, versions)) = line_of(line) {
                    kept.entry(label.clone()).or_default().insert(key, versions);
                }
            }
        }
    }
    kept
}

fn line_of(line: &str) -> Option<(String, BTreeMap<String, BTreeSet<String>>)> {
    let mut parts = line.split(" | ");
    let key = parts.next().filter(|key| !key.is_empty())?;
    let version = |part: &str| {
        let (version, types) = part.split_once('=').expect("a version and types");
        (version.to_owned(), types.split(',').map(str::to_owned).collect())
    };
    Some((key.to_owned(), parts.map(version).collect()))
}

/// Puts what a version tells in place of what was kept of it.
pub(super) fn write(folder: &Path, version: &str, taken: &Taken) {
    let mut kept = read(folder);
    for keys in kept.values_mut() {
        keys.values_mut().for_each(|versions| {
            versions.remove(version);
        });
    }
    for (label, keys) in taken {
        let own = kept.entry(label.clone()).or_default();
        for (key, types) in keys {
            own.entry(key.clone()).or_default().insert(version.to_owned(), types.clone());
        }
    }
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (label, keys) in &mut kept {
        keys.retain(|_, versions| !versions.is_empty());
        if keys.is_empty() {
            continue;
        }
        let text = files.entry(file_of(label)).or_default();
        let gap = if text.is_empty() { "" } else { "\n" };
        writeln!(text, "{gap}# {label}").expect("a string takes all");
        for (key, versions) in keys {
            let types = |types: &BTreeSet<String>| {
                types.iter().map(String::as_str).collect::<Vec<_>>().join(",")
            };
            let versions =
                versions.iter().map(|(version, all)| format!(" | {version}={}", types(all)));
            writeln!(text, "{key}{}", versions.collect::<String>()).expect("a string takes all");
        }
    }
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("the file can be written");
    }
}
