//! The table of `leveret bench compare`: a row a scenario, of which the median of the rounds counts.

use crate::outcome::Outcome;
use crate::statistics::{approximate, median};
use std::fmt::{self, Write as _};

/// All results of one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) ours: Vec<Outcome>,
    pub(crate) peers: Vec<Outcome>,
}

/// The Markdown table of a comparison.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) ours: String,
    pub(crate) peer: String,
    pub(crate) rows: Vec<Row>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "A: {}, B: {}; medians of interleaved rounds.\n", self.ours, self.peer)?;
        f.write_str("| scenario | A us CPU/msg | B us CPU/msg | B/A | A msg/s | B msg/s | ")?;
        writeln!(f, "A p99 us | B p99 us | A peak MiB | B peak MiB | checks |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|")?;
        self.rows.iter().try_for_each(|row| write!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = |value: fn(&Outcome) -> Option<f64>| {
            [middle(&self.ours, value), middle(&self.peers, value)]
        };
        let cost = both(|outcome| outcome.broker_cpu_us_per_message);
        let ratio = cost[0].zip(cost[1]).filter(|(ours, _)| *ours > 0.0);
        let rates = both(|outcome| Some(throughput(outcome)));
        let latencies = both(|outcome| outcome.latency.map(|latency| latency.p99_us));
        let peaks = both(|outcome| {
            let peak = outcome.memory?.peak;
            Some(approximate(peak) / (1024.0 * 1024.0))
        });
        let mut line = format!("| {} ", self.label);
        cells(&mut line, cost, 2)?;
        cells(&mut line, [ratio.map(|(ours, peer)| peer / ours)], 1)?;
        cells(&mut line, rates, 0)?;
        cells(&mut line, latencies, 0)?;
        cells(&mut line, peaks, 0)?;
        writeln!(f, "{line}| {} |", self.checks())
    }
}

impl Row {
    pub(crate) fn new(label: &str) -> Self {
        Self { label: label.to_owned(), ours: Vec::new(), peers: Vec::new() }
    }

    pub(crate) fn passed(&self) -> bool {
        self.ours.iter().chain(&self.peers).all(|outcome| !outcome.checks.failed())
    }

    /// Whose checks failed, if anyone's.
    pub(crate) fn checks(&self) -> &'static str {
        let failed = |outcomes: &[Outcome]| outcomes.iter().any(|outcome| outcome.checks.failed());
        match (failed(&self.ours), failed(&self.peers)) {
            (false, false) if self.ours.is_empty() && self.peers.is_empty() => "-",
            (false, false) => "ok",
            (true, false) => "A FAILED",
            (false, true) => "B FAILED",
            (true, true) => "both FAILED",
        }
    }
}

/// Messages a second, of consuming where there was any.
pub(crate) const fn throughput(outcome: &Outcome) -> f64 {
    if outcome.delivered > 0 { outcome.consume_rate } else { outcome.publish_rate }
}

pub(crate) fn middle(outcomes: &[Outcome], value: fn(&Outcome) -> Option<f64>) -> Option<f64> {
    let values: Vec<_> = outcomes.iter().filter_map(value).collect();
    median(&values)
}

pub(crate) fn cells<const N: usize>(
    line: &mut String,
    values: [Option<f64>; N],
    digits: usize,
) -> fmt::Result {
    values.into_iter().try_for_each(|value| match value {
        Some(value) => write!(line, "| {value:.digits$} "),
        None => write!(line, "| - "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Checks, Memory};
    use crate::statistics::LatencySummary;

    fn outcome(cpu: f64, lost: u64) -> Outcome {
        Outcome {
            delivered: 10,
            consume_rate: 5.0,
            latency: Some(LatencySummary { p50_us: 1.0, p99_us: 9.0, max_us: 10.0 }),
            broker_cpu_us_per_message: Some(cpu),
            memory: Some(Memory { before: 0, peak: 3 << 20, after: 0 }),
            checks: Checks { lost: Some(lost), ..Checks::default() },
            ..Outcome::default()
        }
    }

    #[test]
    fn rows_show_medians_and_the_ratio() {
        let row = Row {
            label: "x".to_owned(),
            ours: vec![outcome(1.0, 0), outcome(9.0, 0), outcome(2.0, 0)],
            peers: vec![outcome(20.0, 0)],
        };
        assert!(row.passed());
        assert_eq!(row.to_string(), "| x | 2.00 | 20.00 | 10.0 | 5 | 5 | 9 | 9 | 3 | 3 | ok |\n");
    }

    #[test]
    fn a_row_without_runs_claims_nothing() {
        assert_eq!(Row::new("x").to_string(), "| x | - | - | - | - | - | - | - | - | - | - |\n");
    }

    #[test]
    fn a_row_names_who_failed_and_bears_gaps() {
        let row = Row {
            label: "x".to_owned(),
            ours: vec![],
            peers: vec![outcome(20.0, 0), outcome(20.0, 1)],
        };
        assert!(!row.passed());
        assert_eq!(row.to_string(), "| x | - | 20.00 | - | - | 5 | - | 9 | - | 3 | B FAILED |\n");
    }
}
