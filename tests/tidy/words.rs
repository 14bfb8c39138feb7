//! Words that do not stay: promises to do something later, traces of
//! debugging, tests that do not run, and the paths of somebody's machine.
//!
//! The words are put together from halves, so that this file may be searched
//! like every other.

use crate::assert_none;
use crate::tree::{rust_files, text_files};

const UNFINISHED: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("db", "g!("),
];

const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/tm", "p/w/"),
];

#[test]
fn nothing_is_left_for_later() {
    let mut breaches = Vec::new();
    for file in rust_files() {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(word) = UNFINISHED.iter().find(|word| contains_word(line, word)) {
                breaches.push(format!("{}:{}: {word}", file.path, number + 1));
            }
        }
    }
    assert_none(&breaches, "what is worth doing is done or written down as an issue");
}

#[test]
fn every_test_runs() {
    let mark = concat!("#[ign", "ore");
    let mut breaches = Vec::new();
    for file in rust_files() {
        for (number, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with(mark) {
                breaches.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    assert_none(&breaches, "a test runs or is deleted");
}

#[test]
fn nothing_names_a_machine() {
    let mut breaches = Vec::new();
    for file in text_files() {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(path) = MACHINE_PATHS.iter().find(|path| line.contains(*path)) {
                breaches.push(format!("{}:{}: {path}", file.path, number + 1));
            }
        }
    }
    assert_none(&breaches, "the project works from any folder of any machine");
}

/// Whether `word` stands in `line` and is no part of a longer word.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|tail| tail.chars().next());
        let joins = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
        !joins(before) && (word.ends_with('(') || !joins(after))
    })
}

#[test]
fn a_word_is_not_a_part_of_another() {
    assert!(contains_word("// a b: c", "b"));
    assert!(!contains_word("// abc", "b"));
}
