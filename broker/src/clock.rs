//! The only place that reads the time, so that everything below it can be given a time in tests.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub(crate) fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Nanoseconds since this was asked for the first time, on a clock that nobody sets.
#[expect(clippy::disallowed_methods, reason = "this is where the time is read")]
pub(crate) fn steady_nanos() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The same as a time that passed.
pub(crate) fn steady() -> Duration {
    Duration::from_nanos(steady_nanos())
}
