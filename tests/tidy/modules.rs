//! Modules: each says what it is for, none is a drawer for odds and ends, and
//! none is forgotten.

use std::path::Path;

use crate::assert_none;
use crate::tree::{File, rust_files, text_files};

/// Names that say nothing of what is inside.
const BANNED: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "manager", "core", "base", "handler"];

#[test]
fn every_file_says_what_it_is_for() {
    let silent = |file: &File| !file.text.starts_with("//!");
    let breaches: Vec<String> =
        rust_files().into_iter().filter(silent).map(|file| file.path).collect();
    assert_none(&breaches, "a file opens with //! and what it owns");
}

#[test]
fn no_module_is_a_drawer() {
    let mut breaches = Vec::new();
    for file in rust_files() {
        let mut parts = file.parts();
        let name = parts.pop().unwrap_or_default().trim_end_matches(".rs");
        if parts.iter().chain([&name]).any(|part| BANNED.contains(part)) {
            breaches.push(file.path.clone());
        }
    }
    assert_none(&breaches, "a module is named for what it owns");
}

#[test]
fn every_file_is_part_of_a_crate() {
    let rust = rust_files();
    let manifests: Vec<File> =
        text_files().into_iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
    let forgotten = |file: &&File| !is_target(file, &manifests) && !is_declared(file, &rust);
    let breaches: Vec<String> =
        rust.iter().filter(forgotten).map(|file| file.path.clone()).collect();
    assert_none(&breaches, "a file is a target of a Cargo.toml or the `mod` of another file");
}

/// Whether cargo finds the file by itself or by a `path` of a manifest.
fn is_target(file: &File, manifests: &[File]) -> bool {
    let by_default = ["src/lib.rs", "src/main.rs", "build.rs"];
    if by_default.iter().any(|default| file.path.ends_with(default)) {
        return true;
    }
    let parts = file.parts();
    let found_in = ["bin", "benches", "tests", "examples"];
    let folder = parts.iter().rev().nth(1).copied().unwrap_or_default();
    manifests.iter().any(|manifest| {
        let home = manifest.path.trim_end_matches("Cargo.toml");
        let Some(rest) = relative(home, &file.path) else { return false };
        let quoted = format!("path = \"{rest}\"");
        manifest.text.contains(&quoted)
            || (found_in.contains(&folder) && rest.matches('/').count() == 1 && !home.is_empty())
    })
}

/// `path` as the manifest in `home` would write it.
fn relative(home: &str, path: &str) -> Option<String> {
    match path.strip_prefix(home) {
        Some(rest) => Some(rest.to_owned()),
        None if home.matches('/').count() == 1 => Some(format!("../{path}")),
        None => None,
    }
}

/// Whether a file beside or above declares it as `mod NAME;`, or any file
/// borrows it with `#[path]`.
fn is_declared(file: &File, rust: &[File]) -> bool {
    let mut folders = file.parts();
    let mut name = folders.pop().unwrap_or_default().trim_end_matches(".rs");
    if name == "mod" {
        name = folders.pop().unwrap_or_default();
    }
    let folder = folders.join("/");
    let declaration = format!("mod {name};");
    rust.iter().any(|other| {
        let beside = Path::new(&other.path).parent() == Some(Path::new(&folder));
        let above = other.path.trim_end_matches(".rs") == folder;
        (beside || above) && other.text.lines().any(|line| line.trim_end().ends_with(&declaration))
    })
}
