//! The direction of the crates, read from their manifests: protocol and
//! storage know nothing of ours, bench knows the protocol alone, the broker knows
//! them (bench in its binary only), the tests know all.

use crate::assert_none;
use crate::tree::{File, rust_files, text_files};

/// Which crates of ours a member may depend on.
const DIRECTION: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("storage", &[]),
    ("bench", &["leveret-protocol"]),
    ("broker", &["leveret-bench", "leveret-protocol", "leveret-storage"]),
    ("tests", &["leveret", "leveret-protocol", "leveret-storage"]),
];

fn manifest(path: &str) -> File {
    let found = text_files().into_iter().find(|file| file.path == path);
    found.unwrap_or_else(|| panic!("{path} is missing"))
}

/// The names under the dependency tables of a manifest, of all kinds.
fn dependencies(manifest: &File) -> Vec<String> {
    let mut names = Vec::new();
    let mut listed = false;
    for line in manifest.text.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            listed = table.ends_with("dependencies");
            let single = table.split_once("dependencies.").map(|(_, name)| name);
            names.extend(single.map(str::to_owned));
        } else if listed && line.contains('=') && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            names.push(name.trim_matches('"').to_owned());
        }
    }
    names
}

#[test]
fn crates_depend_one_way() {
    let mut breaches = Vec::new();
    for (member, allowed) in DIRECTION {
        for name in dependencies(&manifest(&format!("{member}/Cargo.toml"))) {
            if name.starts_with("leveret") && !allowed.contains(&name.as_str()) {
                breaches.push(format!("{member} depends on {name}"));
            }
        }
    }
    assert_none(&breaches, "protocol and storage <- broker <- tests, protocol <- bench <- broker");
}

#[test]
fn only_who_talks_to_other_brokers_knows_the_load_generator() {
    let knows =
        |file: &File| file.text.contains("leveret_bench") && file.path.starts_with("broker/");
    let is_client = |path: &String| path.starts_with("broker/src/migrate/");
    let knowing = rust_files().into_iter().filter(knows).map(|file| file.path);
    let (clients, others): (Vec<_>, Vec<_>) = knowing.partition(is_client);
    assert_eq!(others, ["broker/src/main.rs"], "what is measured could be any broker");
    let takes = |file: &File| !file.text.contains("leveret_bench::taking");
    let others = rust_files().into_iter().filter(|file| clients.contains(&file.path));
    let others: Vec<_> = others.filter(takes).map(|file| file.path).collect();
    assert_none(&others, "migration uses nothing of it but its client");
}

#[test]
fn the_protocol_does_no_input_or_output() {
    let names = dependencies(&manifest("protocol/Cargo.toml"));
    assert!(names.iter().any(|name| name == "thiserror"), "the manifest was read: {names:?}");
    let breaches: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with("tokio") || name == "mio" || name == "socket2")
        .collect();
    assert_none(&breaches, "protocol turns bytes into values and back, and nothing else");
}

#[test]
fn every_member_keeps_the_lints() {
    let root = manifest("Cargo.toml");
    assert!(root.text.contains("unsafe_code = \"forbid\""), "unsafe code is forbidden");
    let mut breaches = Vec::new();
    for (member, _) in DIRECTION {
        if !root.text.contains(&format!("\"{member}\"")) {
            breaches.push(format!("{member} is no member of the workspace"));
        }
        let manifest = manifest(&format!("{member}/Cargo.toml"));
        if !manifest.text.contains("[lints]\nworkspace = true") {
            breaches.push(format!("{} does not say `[lints] workspace = true`", manifest.path));
        }
    }
    assert_none(&breaches, "one set of lints for all");
}
