//! The limits of what the command line accepts.
//!
//! Named by the options of every mode, so that no run is longer, larger or wider than it can be
//! judged.

use std::time::Duration;

/// Time after which publishing ends although not all messages were sent.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(600);
/// Longest body: what one message may have in a stock RabbitMQ.
pub(crate) const SIZE_MAX: u64 = 16 * 1024 * 1024;
/// Publishers fit into the 16 bits a stamp has for them.
pub(crate) const CONNECTIONS_MAX: i64 = 10_000;
/// Routing keys of one run.
pub(crate) const KEYS_MAX: i64 = 10_000;
/// Queues of one run.
pub(crate) const QUEUES_MAX: i64 = 10_000;

/// A number of seconds above 0 and at most [`DURATION_MAX`].
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    seconds_up_to(DURATION_MAX, text)
}

/// A number of seconds above 0 and at most `most`.
pub(crate) fn seconds_up_to(most: Duration, text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() || duration > most {
        return Err(format!("expected more than 0 and at most {} s", most.as_secs()));
    }
    Ok(duration)
}
