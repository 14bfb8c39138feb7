//! `leveret bench disk`: what a disk allows a broker that confirms only what is synced.
//!
//! Also measured in every round of `compare --durable`, so that a broker's rate stands beside what
//! the disk did at the same time. With a window of unconfirmed messages there are two ways to make
//! groups, and a broker can be no faster than the better one: the whole window at once, or half of
//! it written while the other half is synced.

pub(crate) mod group_commit;

use crate::bounds::{SIZE_MAX, seconds_up_to};
use crate::interrupt::Interrupt;
use crate::statistics::{LatencySummary, approximate};
use clap::Args;
use group_commit::{BYTES_MAX, Measured, Shape, measure};
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DURATION_MAX: Duration = Duration::from_secs(60);

/// Options of `leveret bench disk`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct DiskArguments {
    /// A directory on the disk; what is written there is removed again
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Unconfirmed messages that make up the groups
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [64, 1000, 20_000],
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) window: Vec<u32>,
    /// Body size
    #[arg(long, default_value_t = 1024, value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(1..=SIZE_MAX))]
    pub(crate) size: u64,
    /// Groups of these sizes too
    #[arg(long, value_name = "BYTES", value_delimiter = ',',
        value_parser = clap::value_parser!(u64).range(1..=BYTES_MAX))]
    pub(crate) group: Vec<u64>,
    /// How long each row takes at most; none writes more than 1 GiB
    #[arg(long, default_value = "2", value_name = "SECONDS",
        value_parser = |text: &str| seconds_up_to(DURATION_MAX, text))]
    pub(crate) duration: Duration,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Why a disk could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    /// A window of messages is more than may be written.
    #[error("a window of {window} messages of {size} B is more than 1 GiB")]
    Window { window: u32, size: u64 },
    /// The system said no.
    #[error("cannot measure the disk in {directory}: {cause}", directory = .directory.display())]
    Io { directory: PathBuf, cause: io::Error },
}

/// One way to make groups, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What the groups stand for.
    pub(crate) load: String,
    #[serde(flatten)]
    pub(crate) measured: Measured,
    /// Messages of the size asked for.
    pub(crate) messages_per_second: f64,
}

/// The result of `leveret bench disk`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) directory: PathBuf,
    /// Bytes of a message.
    pub(crate) size: u64,
    pub(crate) rows: Vec<Row>,
}

/// Measures everything asked for; an interrupt ends it with what there is.
pub(crate) fn run(arguments: &DiskArguments, interrupt: &Interrupt) -> Result<Report, DiskError> {
    let disk = Disk { directory: &arguments.dir, limit: arguments.duration, interrupt };
    let mut rows = Vec::new();
    for window in &arguments.window {
        if !interrupt.is_set() {
            rows.extend(disk.window(*window, arguments.size)?);
        }
    }
    for group in &arguments.group {
        for in_flight in [1, 2] {
            if !interrupt.is_set() {
                let load = format!("groups of {group} B");
                rows.push(disk.row(load, *group, in_flight, arguments.size)?);
            }
        }
    }
    Ok(Report { directory: arguments.dir.clone(), size: arguments.size, rows })
}

/// A directory, and how long to write into it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) limit: Duration,
    pub(crate) interrupt: &'a Interrupt,
}

impl Disk<'_> {
    /// Both ways to commit what a window of unconfirmed messages brings.
    pub(crate) fn window(&self, window: u32, size: u64) -> Result<Vec<Row>, DiskError> {
        let bytes = |messages: u32| u64::from(messages) * size;
        if bytes(window) > BYTES_MAX {
            return Err(DiskError::Window { window, size });
        }
        let mut rows =
            vec![self.row(format!("window {window} at once"), bytes(window), 1, size)?];
        if window > 1 {
            let load = format!("window {window} in two halves");
            rows.push(self.row(load, bytes(window.div_ceil(2)), 2, size)?);
        }
        Ok(rows)
    }

    fn row(
        &self,
        load: String,
        group_bytes: u64,
        in_flight: u16,
        size: u64,
    ) -> Result<Row, DiskError> {
        let group_bytes = usize::try_from(group_bytes).unwrap_or(usize::MAX);
        let shape = Shape { group_bytes, in_flight };
        let measured = measure(self.directory, shape, self.limit, self.interrupt)
            .map_err(|cause| DiskError::Io { directory: self.directory.to_owned(), cause })?;
        let messages_per_second = measured.bytes_per_second / approximate(size);
        Ok(Row { load, measured, messages_per_second })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: appends and fdatasync alone, messages of {} B.\n",
            self.directory.display(),
            self.size
        )?;
        f.write_str("| groups | KiB | in flight | groups/s | MB/s | messages/s | ")?;
        writeln!(f, "fsync p50 us | p99 us | max us | write to synced p50 us | p99 us |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        self.rows.iter().try_for_each(|row| write!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { shape, groups_per_second, bytes_per_second, sync, commit } = self.measured;
        let kib = approximate(shape.group_bytes as u64) / 1024.0;
        let megabytes = bytes_per_second / 1e6;
        write!(f, "| {} | {kib:.0} | {} ", self.load, shape.in_flight)?;
        write!(f, "| {groups_per_second:.0} | {megabytes:.0} | {:.0} ", self.messages_per_second)?;
        let none = LatencySummary { p50_us: 0.0, p99_us: 0.0, max_us: 0.0 };
        let (sync, commit) = (sync.unwrap_or(none), commit.unwrap_or(none));
        write!(f, "| {:.0} | {:.0} | {:.0} ", sync.p50_us, sync.p99_us, sync.max_us)?;
        writeln!(f, "| {:.0} | {:.0} |", commit.p50_us, commit.p99_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        disk: DiskArguments,
    }

    fn parse(line: &str) -> Result<DiskArguments, clap::Error> {
        let words = std::iter::once("disk").chain(line.split_ascii_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.disk)
    }

    #[test]
    fn the_windows_of_a_broker_are_the_default() {
        let arguments = parse("--dir /x").unwrap();
        assert_eq!((arguments.window, arguments.size), (vec![64, 1000, 20_000], 1024));
        assert_eq!(parse("--dir /x --group 4096,65536").unwrap().group, [4096, 65536]);
        for line in ["", "--dir /x --window 0", "--dir /x --duration 61", "--dir /x --size 0"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_window_is_committed_in_both_ways() {
        let directory = tempfile::tempdir().unwrap();
        let mut arguments = parse("--dir x --window 1,9 --size 100 --duration 0.01").unwrap();
        arguments.dir = directory.path().to_owned();
        let report = run(&arguments, &Interrupt::default()).unwrap();
        let shapes: Vec<_> = report
            .rows
            .iter()
            .map(|row| (row.measured.shape.group_bytes, row.measured.shape.in_flight))
            .collect();
        assert_eq!(shapes, [(100, 1), (900, 1), (500, 2)]);
        assert!(report.rows.iter().all(|row| row.messages_per_second > 0.0), "{report}");
    }

    #[test]
    fn what_makes_no_sense_is_said_in_one_line() {
        let mut arguments = parse("--dir /nonexistent/of/leveret --window 1").unwrap();
        let error = run(&arguments, &Interrupt::default()).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot measure the disk in /nonexistent/of/leveret: No such file"),
            "{error}"
        );
        (arguments.window, arguments.size) = (vec![1_000_000], 4096);
        let error = run(&arguments, &Interrupt::default()).unwrap_err().to_string();
        assert_eq!(error, "a window of 1000000 messages of 4096 B is more than 1 GiB");
    }

    #[test]
    fn a_row_shows_rates_and_latencies() {
        let summary = |p50_us| Some(LatencySummary { p50_us, p99_us: 20.0, max_us: 30.0 });
        let measured = Measured {
            shape: Shape { group_bytes: 65_536, in_flight: 1 },
            groups_per_second: 1000.0,
            bytes_per_second: 65_536_000.0,
            sync: summary(7.0),
            commit: summary(9.0),
        };
        let row = Row { load: "x".to_owned(), measured, messages_per_second: 64_000.0 };
        assert_eq!(row.to_string(), "| x | 64 | 1 | 1000 | 66 | 64000 | 7 | 20 | 30 | 9 | 20 |\n");
    }
}
