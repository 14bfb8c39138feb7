//! The only place that reads the time, so that everything below it can be given a time in tests.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A monotonic reading.
#[expect(clippy::disallowed_methods, reason = "the one door to the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since the Unix epoch.
pub fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
