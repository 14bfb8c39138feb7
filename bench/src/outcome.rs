//! The result of a run, and how it is shown: a table for people, JSON for programs.

use crate::sequence::Verdict;
use crate::statistics::{LatencySummary, approximate};
use serde::Serialize;
use std::fmt;

/// Everything one run measured.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Outcome {
    pub(crate) label: String,
    /// The broker, without the password.
    pub(crate) broker: String,
    pub(crate) publishers: u16,
    pub(crate) consumers: u16,
    pub(crate) queues: u16,
    pub(crate) size: usize,
    pub(crate) published: u64,
    pub(crate) publish_seconds: f64,
    pub(crate) publish_rate: f64,
    /// Positive confirms; absent without confirms.
    pub(crate) confirmed: Option<u64>,
    /// Negative confirms.
    pub(crate) refused: u64,
    pub(crate) delivered: u64,
    pub(crate) consume_seconds: f64,
    pub(crate) consume_rate: f64,
    /// From stamping a message to reading its delivery.
    pub(crate) latency: Option<LatencySummary>,
    /// From stamping a message to reading its confirm.
    pub(crate) confirm_latency: Option<LatencySummary>,
    /// The broker's CPU time for each delivered message, or published one when nothing consumes.
    pub(crate) broker_cpu_us_per_message: Option<f64>,
    pub(crate) broker_cpu_seconds: Option<f64>,
    pub(crate) generator_cpu_us_per_message: Option<f64>,
    pub(crate) memory: Option<Memory>,
    /// What the broker caused to be written to disks.
    pub(crate) broker_written_bytes: Option<u64>,
    /// The same for each byte of the bodies published, or consumed when only that was measured.
    pub(crate) written_per_payload_byte: Option<f64>,
    /// Exclusive queues that came and went meanwhile; absent when none were asked for.
    pub(crate) churned: Option<u64>,
    pub(crate) checks: Checks,
    /// Which limit ended it; absent when a signal did, or a slow consumer was not waited for.
    pub(crate) bound: Option<Bound>,
    /// Ended by a signal before its time.
    pub(crate) interrupted: bool,
}

impl Outcome {
    /// The same with the peak of an earlier phase, should that have been higher.
    pub(crate) fn with_peak_of(mut self, earlier: Option<[u64; 3]>) -> Self {
        if let (Some(memory), Some([_, peak, _])) = (&mut self.memory, earlier) {
            memory.peak = memory.peak.max(peak);
        }
        self
    }
}

/// What ended a run, when no signal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// All messages asked for were sent, and everything that was sent arrived.
    Messages,
    /// The time for publishing was over; everything that was sent arrived.
    Time,
    /// The time for consuming what was left was over.
    Overtime,
    /// Nothing moved any more.
    Patience,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Messages => "count",
            Self::Time => "time",
            Self::Overtime => "overtime",
            Self::Patience => "standstill",
        })
    }
}

/// Resident memory of the broker in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    pub(crate) before: u64,
    /// The highest of ten looks a second.
    pub(crate) peak: u64,
    pub(crate) after: u64,
}

/// What the checks of a run found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Checks {
    /// Messages the broker lost; absent when the run ended before all could arrive.
    pub(crate) lost: Option<u64>,
    /// Delivered twice, or never sent; absent when bodies are too short for a stamp.
    pub(crate) duplicates: Option<u64>,
    /// Delivered after a later one of the same publisher, queue and consumer.
    pub(crate) misordered: Option<u64>,
    /// In queues or on the way when the run ended.
    pub(crate) undelivered: u64,
}

impl Checks {
    /// What stamps and counts say together.
    ///
    /// `left` is what the queues still hold, known only once nothing is on the way any more.
    pub(crate) fn new(verdict: Option<Verdict>, undelivered: u64, left: Option<u64>) -> Self {
        let missing = verdict.map_or(undelivered, |verdict| verdict.missing);
        Self {
            lost: left.map(|left| missing.saturating_sub(left)),
            duplicates: verdict.map(|verdict| verdict.duplicates),
            misordered: verdict.map(|verdict| verdict.misordered),
            undelivered,
        }
    }

    /// Whether the broker lost, repeated or reordered something.
    pub(crate) fn failed(self) -> bool {
        [self.lost, self.duplicates, self.misordered].iter().flatten().any(|count| *count > 0)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.label.is_empty() {
            writeln!(f, "{:<22}{}", "label", self.label)?;
        }
        writeln!(f, "{:<22}{}", "broker", self.broker)?;
        let Self { publishers, consumers, queues, size, .. } = self;
        writeln!(
            f,
            "{:<22}{publishers} publishers, {queues} queues, {consumers} consumers, {size} B",
            "load"
        )?;
        // What an earlier run published took this one no time.
        if self.publish_seconds > 0.0 {
            row(f, "published", self.published, self.publish_rate, self.publish_seconds)?;
        }
        if let Some(confirmed) = self.confirmed {
            writeln!(f, "{:<22}{confirmed} positive, {} negative", "confirms", self.refused)?;
        }
        row(f, "delivered", self.delivered, self.consume_rate, self.consume_seconds)?;
        if let Some(churned) = self.churned {
            writeln!(f, "{:<22}{churned} exclusive queues declared and deleted", "churn")?;
        }
        latencies(f, "latency", self.latency)?;
        latencies(f, "confirm latency", self.confirm_latency)?;
        cpu(f, "broker CPU", self.broker_cpu_us_per_message)?;
        cpu(f, "generator CPU", self.generator_cpu_us_per_message)?;
        if let Some(memory) = self.memory {
            let [before, peak, after] =
                [memory.before, memory.peak, memory.after].map(|bytes| approximate(bytes) / MIB);
            writeln!(
                f,
                "{:<22}{before:.1} MiB before, {peak:.1} peak, {after:.1} after",
                "broker memory"
            )?;
        }
        if let Some(written) = self.broker_written_bytes {
            write!(f, "{:<22}{:.1} MiB written", "broker disk", approximate(written) / MIB)?;
            match self.written_per_payload_byte {
                Some(share) => writeln!(f, ", {share:.2} bytes per payload byte")?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "{:<22}{}", "checks", self.checks)?;
        if let Some(bound) = self.bound {
            writeln!(f, "{:<22}{bound}", "ended by")?;
        }
        if self.interrupted { writeln!(f, "interrupted") } else { Ok(()) }
    }
}

const MIB: f64 = 1024.0 * 1024.0;

fn row(f: &mut fmt::Formatter<'_>, name: &str, count: u64, rate: f64, time: f64) -> fmt::Result {
    writeln!(f, "{name:<22}{count} messages, {rate:.0} per second over {time:.2} s")
}

fn latencies(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    summary: Option<LatencySummary>,
) -> fmt::Result {
    let Some(LatencySummary { p50_us, p99_us, max_us }) = summary else { return Ok(()) };
    writeln!(f, "{name:<22}p50 {p50_us:.0} us, p99 {p99_us:.0} us, max {max_us:.0} us")
}

fn cpu(f: &mut fmt::Formatter<'_>, name: &str, per_message: Option<f64>) -> fmt::Result {
    match per_message {
        Some(us) => writeln!(f, "{name:<22}{us:.3} us per message"),
        None => writeln!(f, "{name:<22}unknown"),
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.failed() { "FAILED: " } else { "ok: " })?;
        for (count, what) in [
            (self.lost, "lost"),
            (self.duplicates, "duplicates"),
            (self.misordered, "out of order"),
        ] {
            match count {
                Some(count) => write!(f, "{count} {what}, ")?,
                None => write!(f, "{what} not checked, ")?,
            }
        }
        write!(f, "{} undelivered", self.undelivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(missing: u64, duplicates: u64) -> Option<Verdict> {
        Some(Verdict { missing, duplicates, misordered: 0 })
    }

    #[test]
    fn what_is_still_in_a_queue_is_not_lost() {
        assert_eq!(Checks::new(verdict(5, 0), 5, Some(5)).lost, Some(0));
        assert_eq!(Checks::new(verdict(5, 0), 5, Some(3)).lost, Some(2));
        assert!(Checks::new(verdict(5, 0), 5, Some(3)).failed());
        assert!(!Checks::new(verdict(5, 0), 5, None).failed(), "it may still arrive");
    }

    #[test]
    fn a_duplicate_does_not_hide_a_loss() {
        let checks = Checks::new(verdict(1, 1), 0, Some(0));
        assert_eq!((checks.lost, checks.duplicates), (Some(1), Some(1)));
        assert_eq!(
            checks.to_string(),
            "FAILED: 1 lost, 1 duplicates, 0 out of order, 0 undelivered"
        );
    }

    #[test]
    fn without_stamps_the_counts_decide() {
        let checks = Checks::new(None, 2, Some(0));
        assert_eq!((checks.lost, checks.duplicates, checks.failed()), (Some(2), None, true));
        assert_eq!(
            Checks::new(None, 0, Some(0)).to_string(),
            "ok: 0 lost, duplicates not checked, out of order not checked, 0 undelivered"
        );
    }
}
