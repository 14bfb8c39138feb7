//! Numbers of a run: latencies, rates, medians.
//!
//! Latencies are collected by each thread for itself and added up at the end.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// Longest latency told apart from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(120);

/// A collection of latencies in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    histogram: Option<Histogram<u64>>,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let longest = u64::try_from(LATENCY_MAX.as_nanos()).unwrap_or(u64::MAX);
        Self { histogram: Histogram::new_with_bounds(1, longest, 3).ok() }
    }

    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.record_all(nanoseconds, 1);
    }

    /// Notes that `count` messages took the same time.
    pub(crate) fn record_all(&mut self, nanoseconds: u64, count: u64) {
        // Nothing recorded would still raise the maximum.
        if let Some(histogram) = self.histogram.as_mut().filter(|_| count > 0) {
            histogram.saturating_record_n(nanoseconds, count);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.histogram, &other.histogram) {
            // Both have the bounds of `new`, so nothing can fall outside.
            histogram.add(other).unwrap_or_default();
        }
    }

    /// What is worth printing; none when nothing was recorded.
    pub(crate) fn summary(&self) -> Option<LatencySummary> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(LatencySummary {
            p50_us: microseconds(histogram.value_at_quantile(0.5)),
            p99_us: microseconds(histogram.value_at_quantile(0.99)),
            max_us: microseconds(histogram.max()),
        })
    }
}

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct LatencySummary {
    /// Half were shorter.
    pub(crate) p50_us: f64,
    /// One in a hundred was longer.
    pub(crate) p99_us: f64,
    /// The longest, up to two minutes.
    pub(crate) max_us: f64,
}

fn microseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}

/// `count` a second; 0 when no time passed.
pub(crate) fn rate(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { approximate(count) / time.as_secs_f64() }
}

/// Microseconds of `cpu` for each of `count`; none when there was none.
pub(crate) fn per_message_us(cpu: Duration, count: u64) -> Option<f64> {
    (count > 0).then(|| cpu.as_secs_f64() * 1e6 / approximate(count))
}

/// `part` for each of `whole`; none when there is none.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| approximate(part) / approximate(whole))
}

/// A count as a fraction's part: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of messages stay far below 2^53")]
pub(crate) const fn approximate(count: u64) -> f64 {
    count as f64
}

/// The middle value; of an even number the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    sorted.get(sorted.len() / 2 - 1).map(|lower| f64::midpoint(*lower, upper))
}

/// The lowest value.
pub(crate) fn minimum(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

/// `part` as a multiple of `whole`; none when one is unknown or there is no whole.
pub(crate) fn ratio(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    part.zip(whole.filter(|whole| *whole > 0.0)).map(|(part, whole)| part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!((minimum(&[]), minimum(&[2.0, 1.0, 3.0])), (None, Some(1.0)));
    }

    #[test]
    fn latencies_of_all_threads_count() {
        let mut one = Latencies::new();
        assert_eq!(one.summary(), None);
        let mut other = Latencies::new();
        for microseconds in 1..=98 {
            one.record(microseconds * 1_000);
        }
        other.record(500_000);
        other.record(u64::MAX);
        one.add(&other);
        let summary = one.summary().unwrap();
        assert!((summary.p50_us - 50.0).abs() < 0.5, "{summary:?}");
        assert!((summary.p99_us - 500.0).abs() < 1.0, "{summary:?}");
        assert!(summary.max_us >= 120e6, "longer ones count as the longest");
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        assert_eq!(per_message_us(Duration::from_secs(1), 0), None);
        assert_eq!(per_message_us(Duration::from_secs(1), 4), Some(250_000.0));
        assert_eq!((share(1, 0), share(3, 2)), (None, Some(1.5)));
        assert_eq!((ratio(Some(1.0), Some(0.0)), ratio(Some(1.0), None)), (None, None));
        assert_eq!(ratio(Some(3.0), Some(2.0)), Some(1.5));
        assert!(rate(5, Duration::ZERO).abs() < f64::EPSILON);
        assert!((rate(5, Duration::from_millis(500)) - 10.0).abs() < 1e-9);
    }
}
