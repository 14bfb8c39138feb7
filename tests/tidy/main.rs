//! The house rules that a machine can hold, as tests over the files of this
//! repository: STYLE.md says why each rule is there.
//!
//! A rule collects every breach before it fails, so that one run shows all.
#![expect(clippy::expect_used, reason = "a test reports an unreadable file by panicking")]

mod circles;
mod crates;
mod documents;
mod floors;
mod functions;
mod hashers;
mod imports;
mod modules;
mod source;
mod tree;
mod waits;
mod words;

/// Fails with one line for each breach of a rule.
fn assert_none(breaches: &[String], rule: &str) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}
