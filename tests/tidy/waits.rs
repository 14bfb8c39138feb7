//! Every wait of the tests ends: outside `tests/support/deadline.rs` nothing
//! waits for others without a limit.
//!
//! Held by looking for the calls that wait for ever, and for loops that hear
//! or ask others without looking at a deadline.

use crate::assert_none;
use crate::source::{Block, block_at, code_of};
use crate::tree::{File, rust_files};

/// Calls that may never return, and what to call instead.
const ENDLESS: &[(&str, &str)] = &[
    (".recv()", "deadline::receive, or in_time around it"),
    (".wait()", "deadline::exit_of"),
    (".wait_with_output()", "deadline::run"),
    (".output()", "deadline::run"),
    (".status()", "deadline::run"),
    (".join()", "deadline::join"),
    (".block_on(", "deadline::run_in_time"),
    ("sleep(", "deadline::wait_until"),
    ("read_line(", "deadline::join of a thread that reads"),
    ("read_to_end(", "deadline::run"),
    ("set_read_timeout(None", "a timeout"),
];
/// Signs that a loop ends by what others do.
const ASKING: &[&str] =
    &["expect_", "queue_state(", ".call(", ".hear()", ".listen()", ".load(", ".read(", "try_wait("];

/// The files that wait: those of the tests, but not the one place that may, nor
/// the rules, which wait for nobody.
fn is_held(file: &&File) -> bool {
    let free = ["tests/support/deadline.rs", "tests/tidy/", "tests/fuzz/"];
    file.path.starts_with("tests/") && !free.iter().any(|path| file.path.starts_with(path))
}

/// One line for each endless wait in this text.
fn endless(path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut breaches = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for (call, instead) in ENDLESS {
            if line.contains(call) && !line.contains("in_time(") {
                breaches
                    .push(format!("{path}:{}: {call} may wait for ever: {instead}", number + 1));
            }
        }
    }
    for head in ["loop {", "while "] {
        for (at, _) in code.match_indices(head) {
            let Some(Block { first, last }) = block_at(&code, at) else { continue };
            let lines: Vec<&str> = code.lines().skip(first - 1).take(last - first + 1).collect();
            let says = |words: &[&str]| {
                lines.iter().any(|line| words.iter().any(|word| line.contains(word)))
            };
            if says(ASKING) && !says(&["deadline"]) {
                breaches.push(format!("{path}:{first}: a loop that asks others has a deadline"));
            }
        }
    }
    breaches
}

#[test]
fn every_wait_of_a_test_ends() {
    let files = rust_files();
    let held: Vec<&File> = files.iter().filter(is_held).collect();
    assert!(held.len() > 50, "the tests are read: {} files", held.len());
    let breaches: Vec<String> =
        held.iter().flat_map(|file| endless(&file.path, &file.text)).collect();
    assert_none(&breaches, "tests wait by way of tests/support/deadline.rs");
}

#[test]
fn endless_waits_are_found() {
    let text = "fn a() {\n  said.recv();\n  in_time(\"news\", said.recv());\n  path.join(\"x\");\n}\n\
        fn b() {\n  while !empty {\n    client.expect_any();\n  }\n  loop { count += 1 }\n\
        loop { deadline.check(); client.expect_any(); }\n}\n";
    let found = endless("a.rs", text);
    let places: Vec<&str> = found.iter().filter_map(|it| it.split(": ").next()).collect();
    assert_eq!(places, ["a.rs:2", "a.rs:7"], "{found:?}");
}
