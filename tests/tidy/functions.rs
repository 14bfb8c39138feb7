//! Lengths: a function that fits a screen, a file that fits a reader.

use crate::assert_none;
use crate::source::{Block, block_at, code_of, test_blocks, within};
use crate::tree::{File, rust_files};

/// Lines of code in one function; comments and blank lines do not count.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of one file outside `#[cfg(test)]`.
const FILE_LINES_MAX: usize = 600;

/// How many functions may say with `#[expect(clippy::too_many_lines)]` that they
/// are clearest whole: exhaustive matches, with the reason beside them. Clippy
/// sees to it that none says so without need.
const EXCUSED_MAX: usize = 4;

#[test]
fn files_fit_a_reader() {
    let mut breaches = Vec::new();
    for file in rust_files() {
        let tests = test_blocks(&code_of(&file.text));
        let lines = (1..=file.text.lines().count()).filter(|line| !within(&tests, *line)).count();
        if lines > FILE_LINES_MAX {
            breaches.push(format!("{}: {lines} lines", file.path));
        }
    }
    assert_none(&breaches, &format!("a file has at most {FILE_LINES_MAX} lines beside its tests"));
}

#[test]
fn functions_fit_a_screen() {
    let (mut breaches, mut excused) = (Vec::new(), Vec::new());
    for file in rust_files() {
        for function in functions(&file) {
            let Function { name, at, lines, is_excused } = function;
            if is_excused {
                excused.push(format!("{}:{at}: {name}", file.path));
            } else if lines > FUNCTION_LINES_MAX {
                breaches.push(format!("{}:{at}: {name} has {lines} lines", file.path));
            }
        }
    }
    assert_none(&breaches, &format!("a function has at most {FUNCTION_LINES_MAX} lines of code"));
    assert!(excused.len() <= EXCUSED_MAX, "too many functions are excused: {excused:?}");
}

struct Function {
    name: String,
    at: usize,
    lines: usize,
    is_excused: bool,
}

/// The functions with a body that are not tests.
fn functions(file: &File) -> Vec<Function> {
    let code = code_of(&file.text);
    let lines: Vec<&str> = code.lines().collect();
    let tests = test_blocks(&code);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code.get(..at).and_then(|head| head.chars().next_back());
        if before.is_some_and(|character| character.is_alphanumeric() || character == '_') {
            continue;
        }
        let Some(name) = name_at(&code, at) else { continue };
        let Some(block) = block_at(&code, at) else { continue };
        let (at, attributes) = (block.first, attributes(&lines, block.first));
        let is_test = attributes.contains("#[test]") || attributes.contains("::test");
        if !within(&tests, at) && !is_test {
            let is_excused = attributes.contains("too_many_lines");
            found.push(Function { name, at, lines: code_lines(&lines, &block), is_excused });
        }
    }
    found
}

/// The word after `fn `.
fn name_at(code: &str, at: usize) -> Option<String> {
    let rest = code.get(at..)?.strip_prefix("fn ")?;
    let name: String = rest.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The attributes above line `first`: what follows the end of the item before.
fn attributes(lines: &[&str], first: usize) -> String {
    let above = lines.iter().take(first.saturating_sub(1)).rev();
    above.take_while(|line| !line.trim_end().ends_with(['{', '}', ';'])).copied().collect()
}

fn code_lines(lines: &[&str], block: &Block) -> usize {
    let body = lines.iter().take(block.last).skip(block.first.saturating_sub(1));
    body.filter(|line| !line.trim().is_empty()).count()
}

#[test]
fn counting_sees_code_alone() {
    let text = "fn a() {\n    // why\n\n    let b = 1;\n}\n\n#[test]\nfn c() {}\n".to_owned();
    let file = File { path: "a.rs".to_owned(), text };
    let found = functions(&file);
    assert_eq!(found.len(), 1);
    assert_eq!(found.first().map(|it| (it.name.as_str(), it.lines)), Some(("a", 3)));
}
