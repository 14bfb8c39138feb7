//! `rabbitmqadmin`: the management API from the command line, in the grammars of both programs of that name:
//! `v1` came with RabbitMQ up to 4.2 (`declare queue name=q`), `v2` comes with 4.3 (`queues declare --name q`).
//!
//! Called by `main`. The words tell which is meant (`grammar`); `target` says which broker is asked. Stays
//! true: what either prints and ends with is what scripts expect of it.

mod grammar;
mod target;
mod v1;
mod v2;

use std::ffi::OsString;
use std::io::Write;

use self::grammar::{Grammar, of};

/// What is printed on standard output at the end, if anything.
type Said = Option<String>;

/// It came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ended {
    /// Printed on standard error.
    text: String,
    /// The exit code.
    code: u8,
}

/// Carries out what follows the name of the program. The exit code.
#[expect(clippy::print_stderr, reason = "this is what standard error is for")]
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let done = match of(&arguments) {
        Grammar::Help => Ok(Some(grammar::help())),
        Grammar::First => v1::run(&arguments, environment),
        Grammar::Second => v2::run(&arguments, environment),
    };
    match done {
        Ok(said) => {
            said.iter().for_each(|text| print(text));
            0
        }
        Err(ended) => {
            if !ended.text.is_empty() {
                eprintln!("{}", ended.text);
            }
            ended.code
        }
    }
}

/// Whoever reads it may have gone.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"));
    let _ = out.flush();
}
