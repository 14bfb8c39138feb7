//! Maps whose keys clients choose are hashed with a seed of their own: nobody can choose keys that
//! fall into one place. `rustc_hash` has no seed, and is for numbers that the broker makes.

use crate::assert_none;
use crate::source::code_of;
use crate::tree::sources_of;

/// Maps without a seed.
const UNSEEDED: &[&str] = &["FxHashMap<", "FxHashSet<", "FxBuildHasher"];
/// What a client can choose: texts and bytes.
const CHOSEN: &[&str] = &["str", "String", "u8]", "Vec<u8>", "Bytes", "FieldValue", "ByteString"];

/// What a map's keys are: all up to the comma between key and value, or the end.
fn key_of(rest: &str) -> &str {
    let mut depth = 0_usize;
    let end = rest.find(|character| {
        match character {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' if depth == 0 => return true,
            '>' | ')' | ']' => depth -= 1,
            ',' => return depth == 0,
            _ => {}
        }
        false
    });
    rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
}

fn breaches(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in code_of(text).lines().enumerate() {
        let fx = UNSEEDED.iter().filter_map(|map| {
            line.split_once(map).map(|(before, rest)| {
                match *map {
                    // The hasher stands behind the key: of the map on this line.
                    "FxBuildHasher" => {
                        before.split_once("Map<").map_or("", |(_, rest)| key_of(rest))
                    }
                    _ => key_of(rest),
                }
            })
        });
        let chosen = |key: &str| {
            let is_part = |c: char| !(c.is_alphanumeric() || c == '_');
            let words: Vec<&str> = key.split(is_part).collect();
            CHOSEN.iter().any(|word| match word.strip_suffix(']') {
                Some(bytes) => key.contains(&format!("[{bytes}]")),
                None if word.contains('<') => key.contains(word),
                None => words.contains(word),
            })
        };
        if fx.into_iter().any(chosen) {
            found.push(format!("{path}:{}: {}", number + 1, line.trim()));
        }
    }
    found
}

#[test]
fn keys_that_clients_choose_are_hashed_with_a_seed() {
    let mut all = Vec::new();
    for name in ["broker", "protocol", "storage"] {
        for file in sources_of(name) {
            all.extend(breaches(&file.path, &file.text));
        }
    }
    assert_none(
        &all,
        "maps of what clients choose use foldhash's RandomState, or the standard one",
    );
}

#[test]
fn maps_without_a_seed_are_found() {
    for (line, count) in [
        ("a: FxHashMap<u64, String>,", 0),
        ("a: FxHashMap<Box<str>, u64>,", 1),
        ("a: FxHashSet<String>,", 1),
        ("a: FxHashMap<(u16, Arc<str>), u64>,", 1),
        ("a: FxHashMap<Box<[u8]>, u64>,", 1),
        ("a: DashMap<Box<str>, u64, FxBuildHasher>,", 1),
        ("a: DashMap<ConnectionId, Box<str>, FxBuildHasher>,", 0),
        ("a: HashMap<String, u64, RandomState>,", 0),
    ] {
        assert_eq!(breaches("x", line).len(), count, "{line}");
    }
}
