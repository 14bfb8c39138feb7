//! The one place in this crate that reads the monotonic clock; the writer thread
//! asks it when the next export is due.

use std::time::Instant;

/// The monotonic time now.
#[expect(clippy::disallowed_methods, reason = "this is the clock the rule points to")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
