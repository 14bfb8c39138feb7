//! The tables of `leveret bench compare`: cost, rates and latencies of all sides.

use crate::compare::grid::{Grid, cell, pair};
use crate::compare::rows::{Figure, Row, cost_us, legend, letters, peak_mib, throughput};
use crate::compare::twins::TWINS;
use crate::statistics::ratio;
use std::fmt;

/// What was compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    /// Of the sides.
    pub(crate) names: &'a [String],
    pub(crate) rows: &'a [Row],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; minimum / median of interleaved rounds.\n", legend(self.names))?;
        writeln!(f, "{}", self.costs())?;
        write!(f, "Latencies in us, medians of the rounds:\n\n{}", self.latencies())?;
        let lines = TWINS.iter().filter_map(|twins| twins.line(self.rows, self.names.len()));
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() { Ok(()) } else { write!(f, "\n{}", lines.join("\n")) }
    }
}

impl Table<'_> {
    fn costs(&self) -> Grid {
        let mut grid = Grid::of("scenario", self.rows.iter().map(Row::label));
        for (side, letter) in self.sides() {
            let cost = |row: &Row| pair([row.minimum(side, cost_us), row.median(side, cost_us)], 2);
            grid.column(format!("{letter} us CPU/msg"), self.rows.iter().map(cost));
        }
        for (side, letter) in self.sides().skip(1) {
            let times = |row: &Row| ratio(row.median(side, cost_us), row.median(0, cost_us));
            let times = self.rows.iter().map(|row| cell(times(row), 2));
            grid.column(format!("{letter}/A"), times);
        }
        self.medians(&mut grid, "msg/s", throughput);
        self.medians(&mut grid, "peak MiB", peak_mib);
        grid.column("ended by", self.rows.iter().map(Row::ended_by));
        grid.column("checks", self.rows.iter().map(Row::checks));
        grid
    }

    fn latencies(&self) -> Grid {
        let mut grid = Grid::of("scenario", self.rows.iter().map(Row::label));
        let figures: [(&str, [Figure; 2]); 2] = [
            ("delivery p50 / p99", [|o| Some(o.latency?.p50_us), |o| Some(o.latency?.p99_us)]),
            (
                "confirm p50 / p99",
                [|o| Some(o.confirm_latency?.p50_us), |o| Some(o.confirm_latency?.p99_us)],
            ),
        ];
        for (name, figures) in figures {
            for (side, letter) in self.sides() {
                let cells = self
                    .rows
                    .iter()
                    .map(|row| pair(figures.map(|figure| row.median(side, figure)), 0));
                grid.column(format!("{letter} {name}"), cells);
            }
        }
        grid
    }

    /// One column for each side.
    fn medians(&self, grid: &mut Grid, heading: &str, figure: Figure) {
        for (side, letter) in self.sides() {
            let cells = self.rows.iter().map(|row| cell(row.median(side, figure), 0));
            grid.column(format!("{letter} {heading}"), cells);
        }
    }

    fn sides(&self) -> impl Iterator<Item = (usize, char)> {
        (0..self.names.len()).zip(letters())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Load;
    use crate::outcome::{Bound, Checks, Memory, Outcome};
    use crate::statistics::LatencySummary;

    fn outcome(cpu: f64) -> Outcome {
        Outcome {
            delivered: 10,
            consume_rate: 5.0,
            latency: Some(LatencySummary { p50_us: 1.0, p99_us: 9.0, max_us: 10.0 }),
            broker_cpu_us_per_message: Some(cpu),
            memory: Some(Memory { before: 0, peak: 3 << 20, after: 0 }),
            checks: Checks { lost: Some(0), ..Checks::default() },
            bound: Some(Bound::Time),
            ..Outcome::default()
        }
    }

    #[test]
    fn sides_stand_beside_each_other() {
        let row = Row {
            load: Load { label: "x".to_owned(), ..Load::default() },
            sides: vec![
                vec![outcome(1.0), outcome(9.0), outcome(2.0)],
                vec![outcome(20.0)],
                Vec::new(),
            ],
        };
        let names = ["a", "b", "c"].map(str::to_owned);
        let shown = Table { names: &names, rows: &[row] }.to_string();
        assert!(shown.starts_with("A: a, B: b, C: c; minimum / median"), "{shown}");
        let costs = "| x | 1.00 / 2.00 | 20.00 / 20.00 | - | 10.00 | - | 5 | 5 | - | 3 | 3 | - \
                     | time | ok |\n";
        assert!(shown.contains(costs), "{shown}");
        assert!(shown.ends_with("| x | 1 / 9 | 1 / 9 | - | - | - | - |\n"), "{shown}");
    }
}
