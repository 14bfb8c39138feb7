//! Panics of a library that reads what is on disk, turned into errors.
//!
//! Called around every call into sled, which panics on some kinds of damage, and whose threads hold
//! the lock of a database for a moment longer than the database is there.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::clock;

/// How long to wait for the threads of a database that was dropped.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How long between two looks.
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// As [`guarded`], to open a database: waits at most 5 s for one that was here before.
///
/// # Errors
/// As `open`, with `WouldBlock` where the lock was held all the time.
pub(crate) fn guarded_open<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let deadline = clock::now() + LOCK_PATIENCE;
    loop {
        match guarded(&mut open) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && clock::now() < deadline => {
                std::thread::sleep(LOCK_RETRY);
            }
            outcome => return outcome,
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_let_go_of_late_is_waited_for_and_no_other_error_is() {
        let mut looks = 0;
        let late = guarded_open(|| {
            looks += 1;
            if looks < 4 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(looks) }
        });
        assert_eq!(late.unwrap(), 4);
        let mut looks = 0;
        let broken: io::Result<()> = guarded_open(|| {
            looks += 1;
            Err(io::ErrorKind::InvalidData.into())
        });
        assert_eq!((broken.unwrap_err().kind(), looks), (io::ErrorKind::InvalidData, 1));
    }
}
