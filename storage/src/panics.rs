//! Panics of a library that reads what is on disk, turned into errors.
//!
//! Called around every call into sled, which panics on some kinds of damage.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Turns a panic inside sled into an error.
pub(crate) fn guarded<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(io::Error::other(format!("sled panicked: {text}")))
    })
}
