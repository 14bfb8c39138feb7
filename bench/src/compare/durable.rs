//! The table of `leveret bench compare --durable`: brokers, and the disk they write to.
//!
//! The disk has its turn right before the brokers in every scenario of every round, with the same
//! window, so that a slow moment of the machine falls on all alike.

use crate::compare::grid::{Grid, cell, pair};
use crate::compare::rows::{Row, cost_us, legend, letters, throughput};
use crate::disk::{self, Disk, DiskError};
use crate::interrupt::Interrupt;
use crate::load::Load;
use crate::statistics::{median, ratio};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What the disk did in all rounds.
#[derive(Clone, Debug)]
pub(crate) struct Baseline {
    directory: PathBuf,
    windows: Vec<Window>,
}

/// The rounds of one window.
#[derive(Clone, Debug)]
struct Window {
    messages: u32,
    /// Bytes of a message.
    size: u64,
    rounds: Vec<Vec<disk::Row>>,
}

impl Baseline {
    /// Nothing measured yet, for the windows of these loads.
    pub(crate) fn new(directory: PathBuf, loads: &[Load]) -> Self {
        let mut windows: Vec<Window> = Vec::new();
        for (messages, size) in loads.iter().filter_map(window_of) {
            if !windows.iter().any(|window| window.is(messages, size)) {
                windows.push(Window { messages, size, rounds: Vec::new() });
            }
        }
        Self { directory, windows }
    }

    /// Measures the window of this load once more. What was interrupted does not count.
    pub(crate) fn measure(
        &mut self,
        load: &Load,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<&[disk::Row], DiskError> {
        let Some((messages, size)) = window_of(load) else { return Ok(&[]) };
        let disk = Disk { directory: &self.directory, limit, interrupt };
        let rows = disk.window(messages, size)?;
        let window = self.windows.iter_mut().find(|window| window.is(messages, size));
        let Some(window) = window.filter(|_| !interrupt.is_set()) else { return Ok(&[]) };
        window.rounds.push(rows);
        Ok(window.rounds.last().map_or(&[], Vec::as_slice))
    }

    /// Messages a second that the disk allows a window: the better way to make groups of it, by the
    /// median of the rounds.
    fn allows(&self, (messages, size): (u32, u64)) -> Option<f64> {
        let window = self.windows.iter().find(|window| window.is(messages, size))?;
        let ways = (0..).map_while(|way| window.way(way).map(|(_, rate, _)| rate));
        ways.max_by(f64::total_cmp)
    }
}

impl Window {
    const fn is(&self, messages: u32, size: u64) -> bool {
        self.messages == messages && self.size == size
    }

    /// One way to make groups: its name and the medians of its rate and of an fsync's p50.
    fn way(&self, way: usize) -> Option<(&str, f64, Option<f64>)> {
        let rounds = || self.rounds.iter().filter_map(|rows| rows.get(way));
        let rates: Vec<_> = rounds().map(|row| row.messages_per_second).collect();
        let syncs: Vec<_> = rounds().filter_map(|row| Some(row.measured.sync?.p50_us)).collect();
        Some((rounds().next()?.load.as_str(), median(&rates)?, median(&syncs)))
    }
}

/// The unconfirmed messages of all publishers together, and the size of one.
fn window_of(load: &Load) -> Option<(u32, u64)> {
    let messages = load.confirm?.get().saturating_mul(load.publishers.into());
    Some((messages, load.size as u64))
}

/// The Markdown table of a comparison of durable messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    /// Of the sides.
    pub(crate) names: &'a [String],
    pub(crate) rows: &'a [Row],
    pub(crate) disk: &'a Baseline,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}; persistent messages of 1 KiB in durable queues, one publisher with confirms; \
             medians of interleaved rounds.\n",
            legend(self.names)
        )?;
        write!(f, "{}", self.grid())?;
        f.write_str(NOTES)?;
        write!(f, "\ndisk ({}), in the same rounds:", self.disk.directory.display())?;
        for window in &self.disk.windows {
            for (name, rate, sync) in (0..).map_while(|way| window.way(way)) {
                let sync = sync.unwrap_or_default();
                write!(f, "\n- {name}: {rate:.0} messages/s, fsync p50 {sync:.0} us")?;
            }
        }
        Ok(())
    }
}

const NOTES: &str = "
- disk: appends and fdatasync alone, with the same unconfirmed messages in flight, in the better of
  two ways. What is consumed before it is written need not be, and may go faster.
- A window of 64 is bounded by the latency of an fsync: no broker confirms more than a window for
  each of them, however little it costs.
- written B/B: bytes the broker wrote to disk for each byte of the bodies.
";

impl Table<'_> {
    fn grid(&self) -> Grid {
        let rows = || self.rows.iter();
        let rate = |row: &Row, side| row.median(side, throughput);
        let disk = |row: &Row| window_of(&row.load).and_then(|window| self.disk.allows(window));
        let mut grid = Grid::of("scenario", rows().map(Row::label));
        for (side, letter) in self.sides() {
            grid.column(format!("{letter} msg/s"), rows().map(|row| cell(rate(row, side), 0)));
        }
        for (side, letter) in self.sides().skip(1) {
            let times = |row: &Row| cell(ratio(rate(row, 0), rate(row, side)), 1);
            grid.column(format!("A/{letter}"), rows().map(times));
        }
        grid.column("disk msg/s", rows().map(|row| cell(disk(row), 0)));
        let share = |row: &Row| ratio(rate(row, 0), disk(row)).map(|share| share * 100.0);
        grid.column("A % of disk", rows().map(|row| cell(share(row), 0)));
        for (side, letter) in self.sides() {
            let cost = |row: &Row| pair([row.minimum(side, cost_us), row.median(side, cost_us)], 2);
            grid.column(format!("{letter} us CPU/msg (min / median)"), rows().map(cost));
        }
        for (side, letter) in self.sides() {
            let confirms = |row: &Row| {
                let p50 = row.median(side, |outcome| Some(outcome.confirm_latency?.p50_us));
                pair([p50, row.median(side, |outcome| Some(outcome.confirm_latency?.p99_us))], 0)
            };
            grid.column(format!("{letter} confirm p50 / p99 us"), rows().map(confirms));
        }
        for (side, letter) in self.sides() {
            let written = |row: &Row| cell(row.median(side, |o| o.written_per_payload_byte), 2);
            grid.column(format!("{letter} written B/B"), rows().map(written));
        }
        grid.column("ended by", rows().map(Row::ended_by));
        grid.column("checks", rows().map(Row::checks));
        grid
    }

    fn sides(&self) -> impl Iterator<Item = (usize, char)> {
        (0..self.names.len()).zip(letters())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::group_commit::{Measured, Shape};
    use crate::outcome::Outcome;
    use crate::statistics::LatencySummary;
    use std::num::NonZeroU32;

    fn load(window: u32, publishers: u16) -> Load {
        let confirm = NonZeroU32::new(window);
        Load { label: "x".to_owned(), publishers, confirm, size: 100, ..Load::default() }
    }

    fn measured(messages_per_second: f64) -> disk::Row {
        let sync = Some(LatencySummary { p50_us: 250.0, p99_us: 1.0, max_us: 1.0 });
        let shape = Shape { group_bytes: 1, in_flight: 1 };
        let (groups_per_second, bytes_per_second) = (1.0, 1.0);
        let measured = Measured { shape, groups_per_second, bytes_per_second, sync, commit: None };
        disk::Row { load: "way".to_owned(), measured, messages_per_second }
    }

    fn baseline(rounds: &[[f64; 2]]) -> Baseline {
        let mut baseline = Baseline::new("/d".into(), &[load(8, 2), load(16, 1), load(4, 1)]);
        assert_eq!(baseline.windows.len(), 2, "two publishers of 8 are one window of 16");
        let rounds = rounds.iter().map(|round| round.map(measured).to_vec());
        baseline.windows[0].rounds = rounds.collect();
        baseline
    }

    fn outcome(rate: f64) -> Outcome {
        Outcome {
            publish_rate: rate,
            broker_cpu_us_per_message: Some(1.5),
            confirm_latency: Some(LatencySummary { p50_us: 5.0, p99_us: 9.0, max_us: 10.0 }),
            written_per_payload_byte: Some(1.04),
            ..Outcome::default()
        }
    }

    fn shown(row: Row, disk: &Baseline) -> String {
        let names = ["a", "b"].map(str::to_owned);
        Table { names: &names, rows: &[row], disk }.to_string()
    }

    #[test]
    fn a_row_stands_beside_peer_and_disk() {
        let disk = baseline(&[[100.0, 300.0], [200.0, 500.0], [900.0, 400.0]]);
        let row = Row { load: load(16, 1), sides: vec![vec![outcome(200.0)], vec![outcome(50.0)]] };
        let shown = shown(row, &disk);
        let line = "| x | 200 | 50 | 4.0 | 400 | 50 | 1.50 / 1.50 | 1.50 / 1.50 | 5 / 9 | 5 / 9 \
                    | 1.04 | 1.04 | - | ok |\n";
        assert!(shown.contains(line), "{shown}");
        assert!(shown.contains("\n- way: 400 messages/s, fsync p50 250 us"), "{shown}");
        let columns = |line: &str| line.matches('|').count();
        let lines: Vec<_> = shown.lines().filter(|line| line.starts_with('|')).collect();
        assert!(lines.iter().all(|other| columns(other) == columns(line)), "{shown}");
    }

    #[test]
    fn what_was_not_measured_is_a_gap() {
        let shown = shown(Row::new(load(4, 1), 2), &baseline(&[]));
        assert!(shown.contains(&format!("| x {}|\n", "| - ".repeat(13))), "{shown}");
    }

    #[test]
    fn a_load_is_measured_with_its_own_window() {
        let directory = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::default();
        let limit = Duration::from_millis(5);
        let loads = [load(4, 1), load(9, 1)];
        let mut baseline = Baseline::new(directory.path().to_owned(), &loads);
        let mut measured = || baseline.measure(&loads[0], limit, &interrupt).unwrap().len();
        assert_eq!((measured(), measured()), (2, 2), "both ways, twice");
        assert!(baseline.allows((4, 100)).is_some_and(|rate| rate > 0.0));
        assert_eq!(baseline.allows((9, 100)), None, "another window");
        let mut nowhere = Baseline::new("/nonexistent/of/leveret".into(), &loads);
        assert!(nowhere.measure(&loads[0], limit, &interrupt).is_err());
    }
}
