//! When to send a heartbeat, and when to give a silent client up.
//!
//! Pure: the connection's task calls `tick` at every half interval with what happened since. Rules
//! are RabbitMQ's: anything sent or received counts as life, a heartbeat goes out after half an
//! interval without other traffic, and two whole intervals of silence end the connection.
//! Specification: AMQP 0-9-1 §4.2.7; RabbitMQ's heartbeats page.

use std::time::Duration;

/// Half intervals of silence after which the client is gone.
const SILENT_TICKS_MAX: u32 = 5;

/// What a tick asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beat {
    /// Send a heartbeat frame.
    pub send: bool,
    /// The client is silent for too long.
    pub lost: bool,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    sent_before: u64,
    received_before: u64,
    silent_ticks: u32,
}

impl Heartbeat {
    /// The time between ticks for an interval in seconds; `None` when heartbeats are off.
    pub(super) fn tick_interval(interval_seconds: u16) -> Option<Duration> {
        (interval_seconds > 0).then(|| Duration::from_millis(u64::from(interval_seconds) * 500))
    }

    /// Half an interval is over. `sent` and `received` are counts that grow with any traffic;
    /// `excused` means that the server itself is not reading, so silence proves nothing.
    pub(super) fn tick(&mut self, sent: u64, received: u64, excused: bool) -> Beat {
        let send = sent == self.sent_before;
        self.sent_before = sent;
        if received != self.received_before || excused {
            self.silent_ticks = 0;
            self.received_before = received;
        } else {
            self.silent_ticks += 1;
        }
        Beat { send, lost: self.silent_ticks >= SILENT_TICKS_MAX }
    }

    /// The count of what was sent, after a heartbeat went out.
    pub(super) fn note_sent(&mut self, sent: u64) {
        self.sent_before = sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_connection_needs_no_heartbeats() {
        let mut heartbeat = Heartbeat::default();
        for count in 1..10 {
            assert_eq!(heartbeat.tick(count, count, false), Beat::default());
        }
    }

    #[test]
    fn a_silent_client_is_lost_after_two_to_three_intervals() {
        let mut heartbeat = Heartbeat::default();
        let lost: Vec<bool> = (0..6).map(|_| heartbeat.tick(0, 1, false).lost).collect();
        assert_eq!(lost, [false, false, false, false, false, true]);
    }

    #[test]
    fn silence_while_nothing_is_read_proves_nothing() {
        let mut heartbeat = Heartbeat::default();
        assert!((0..20).all(|_| !heartbeat.tick(0, 1, true).lost));
    }

    #[test]
    fn no_interval_means_no_ticks() {
        assert_eq!(Heartbeat::tick_interval(0), None);
        assert_eq!(Heartbeat::tick_interval(60), Some(Duration::from_secs(30)));
    }
}
