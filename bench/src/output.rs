//! Standard output, which carries results and nothing else: progress goes to standard error.

use serde::Serialize;
use std::fmt;

/// Prints a result as people read it.
#[expect(clippy::print_stdout, reason = "the result of the command")]
pub(crate) fn print(result: &impl fmt::Display) {
    println!("{result}");
}

/// Prints a result as one line of JSON.
pub(crate) fn print_json(result: &impl Serialize) -> Result<(), serde_json::Error> {
    print(&serde_json::to_string(result)?);
    Ok(())
}
