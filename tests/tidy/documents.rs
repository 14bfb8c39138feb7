//! Documents and scripts: links lead somewhere, the book has all its pages, scripts stop at an error.

use std::path::Path;

use crate::assert_none;
use crate::tree::{File, rust_files, text_files, top};

#[test]
fn links_lead_somewhere() {
    let mut breaches = Vec::new();
    for file in text_files().into_iter().filter(|file| file.path.ends_with(".md")) {
        let folder = Path::new(&file.path).parent().map(Path::to_owned).unwrap_or_default();
        for link in links(&file.text) {
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            let there = match target {
                "" => top().join(&file.path),
                target => top().join(&folder).join(target),
            };
            if !there.exists() || !(heading.is_empty() || has_heading(&there, heading)) {
                breaches.push(format!("{}: {link}", file.path));
            }
        }
    }
    assert_none(&breaches, "a relative link points to a file of the repository");
}

/// Whether a document has a heading that links call so, as GitHub and mdBook make it of the text.
fn has_heading(document: &Path, anchor: &str) -> bool {
    let text = std::fs::read_to_string(document).unwrap_or_default();
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let mut anchors = headings.map(|line| anchor_of(line.trim_start_matches('#').trim()));
    anchors.any(|found| found == anchor)
}

fn anchor_of(heading: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let kept = heading.chars().filter(is_kept).flat_map(char::to_lowercase);
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn an_anchor_is_a_heading_without_its_marks() {
    assert_eq!(anchor_of("Where RabbitMQ 4.3 says no"), "where-rabbitmq-43-says-no");
    assert_eq!(anchor_of("`a_b`, and c"), "a_b-and-c");
}

#[test]
fn every_page_is_in_the_book() {
    let pages = "docs/src/";
    let files = text_files();
    let of_book = files.iter().filter_map(|file| file.path.strip_prefix(pages));
    let summary = files.iter().find(|file| file.path == "docs/src/SUMMARY.md");
    let contents = summary.map(|file| links(&file.text)).unwrap_or_default();
    let forgotten = |page: &&str| *page != "SUMMARY.md" && !contents.contains(page);
    let breaches: Vec<String> = of_book.filter(forgotten).map(str::to_owned).collect();
    assert_none(&breaches, "a page of the book is in its SUMMARY.md");
}

/// The relative targets of `[text](target)`, outside fenced code.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (_, rest) in line.match_indices("](").map(|(at, _)| line.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push(target);
            }
        }
    }
    found
}

#[test]
fn scripts_stop_at_an_error() {
    let is_bash = |file: &File| file.text.starts_with("#!/usr/bin/env bash");
    let careless = |file: &File| !file.text.lines().any(|line| line == "set -euo pipefail");
    let breaches: Vec<String> = text_files()
        .into_iter()
        .filter(|file| is_bash(file) && careless(file))
        .map(|file| file.path)
        .collect();
    assert_none(&breaches, "a bash script says `set -euo pipefail`");
}

#[test]
fn documentation_has_no_code_that_nobody_runs() {
    let mut breaches = Vec::new();
    for file in rust_files() {
        let fences = file.text.lines().enumerate().filter_map(|(number, line)| {
            let comment = line.trim_start();
            let said = comment.strip_prefix("//!").or_else(|| comment.strip_prefix("///"))?;
            Some((number + 1, said.trim().strip_prefix("```")?))
        });
        // The first, third and so on open a block.
        for (number, language) in fences.step_by(2) {
            if ["text", "sh"].contains(&language) {
                continue;
            }
            breaches.push(format!("{}:{number}: ```{language}", file.path));
        }
    }
    assert_none(
        &breaches,
        "code is shown in tests and examples; documentation draws: ```text or ```sh",
    );
}
