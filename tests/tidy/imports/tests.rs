//! Made-up crates: what counts as an import, and against whom.

use super::{imports, module_path};
use crate::tree::File;

fn told(files: &[(&str, &str)]) -> Vec<String> {
    let file = |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
    let files: Vec<File> = files.iter().map(file).collect();
    let imports = imports(&files, "ours");
    let mut told: Vec<String> =
        imports.iter().map(|it| format!("{} -> {}", it.from, it.to)).collect();
    told.sort();
    told.dedup();
    told
}

#[test]
fn a_module_is_named_after_its_file() {
    assert_eq!(module_path("lib.rs"), ["crate"]);
    assert_eq!(module_path("main.rs"), ["main"]);
    assert_eq!(module_path("a/mod.rs"), ["crate", "a"]);
    assert_eq!(module_path("a/b.rs"), ["crate", "a", "b"]);
}

#[test]
fn use_lines_and_paths_in_bodies_are_imports() {
    let found = told(&[
        ("lib.rs", "pub mod a; pub mod b; pub mod c;"),
        ("a.rs", "use crate::b::{B, self}; use std::fmt; use tokio::c::X;"),
        ("b.rs", "pub struct B; fn f() { super::c::g(); }"),
        ("c.rs", "pub fn g() { // crate::a::A\n let _ = \"crate::a::A\"; }"),
        ("main.rs", "use ours::a; fn main() { a::f(); ours::c::g(); }"),
    ]);
    let wanted = ["a.rs -> b.rs", "b.rs -> c.rs", "main.rs -> a.rs", "main.rs -> c.rs"];
    assert_eq!(found, wanted);
}

#[test]
fn a_re_export_counts_against_the_face_and_the_definer() {
    let found = told(&[
        ("lib.rs", "mod queue; mod other;"),
        ("queue/mod.rs", "mod keys; mod state; pub use keys::Key; pub use state::*;"),
        ("queue/keys.rs", "pub struct Key;"),
        ("queue/state.rs", "pub struct State; fn f(_: super::Key) {}"),
        ("other.rs", "use crate::queue::{Key, State};"),
    ]);
    for wanted in [
        "other.rs -> queue/mod.rs",
        "other.rs -> queue/keys.rs",
        "other.rs -> queue/state.rs",
        "queue/state.rs -> queue/keys.rs",
    ] {
        assert!(found.iter().any(|it| it == wanted), "{wanted} is missing in {found:?}");
    }
}

#[test]
fn a_folder_that_is_walked_through_is_not_imported() {
    let found = told(&[
        ("lib.rs", "mod queue; mod other;"),
        ("queue/mod.rs", "pub mod keys;"),
        ("queue/keys.rs", "pub struct Key;"),
        ("other.rs", "use crate::queue::keys::Key;"),
    ]);
    assert_eq!(found, ["other.rs -> queue/keys.rs"]);
}

#[test]
fn a_local_name_leads_on() {
    let found = told(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b as other; fn f() { other::inner::g(); }"),
        ("b/mod.rs", "pub mod inner;"),
        ("b/inner.rs", "pub fn g() {}"),
    ]);
    assert_eq!(found, ["a.rs -> b/inner.rs", "a.rs -> b/mod.rs"]);
}

#[test]
fn what_is_for_tests_imports_nothing() {
    let found = told(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "#[cfg(test)] mod model; #[cfg(test)] mod tests { use crate::b::B; }"),
        ("a/model.rs", "mod deeper; use crate::b::B;"),
        ("a/model/deeper.rs", "use crate::b::B;"),
        ("b.rs", "pub struct B;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn names_that_lead_in_a_circle_end() {
    let found = told(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub use crate::b::*; fn f() { thing::g(); crate::b::thing(); } use bytes;"),
        ("b.rs", "pub use crate::a::*; use bytes::Bytes; fn f() { bytes::x() }"),
    ]);
    assert_eq!(found, ["a.rs -> b.rs", "b.rs -> a.rs"]);
}
