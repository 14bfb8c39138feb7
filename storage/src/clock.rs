//! The one place in this crate that reads the clocks: threads ask it when something
//! is due, and files are stamped for operators.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic time now.
#[expect(clippy::disallowed_methods, reason = "this is the clock the rule points to")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970; 0 if the clock is before that.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
