//! `leveret bench compare`: several brokers under the same load, in turn.
//!
//! Every scenario is run against one broker after the other, round after round, so that what else
//! happens on the machine falls on all alike; each round begins with another broker.

mod sides;
mod scenarios;

mod durable;
mod table;

mod grid;
mod rows;
mod twins;

use crate::bounds::seconds;
use crate::client::address::Address;
use crate::disk::DiskError;
use crate::interrupt::Interrupt;
use crate::launch::LaunchError;
use crate::load::Load;
use crate::outcome::Outcome;
use crate::output::{print, print_json};
use crate::run::{self, RunError};
use clap::Args;
use durable::Baseline;
use rows::{Row, letters};
use sides::Side;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long the disk is written to for each way to make groups.
const DISK_TIME: Duration = Duration::from_secs(1);
/// A pause between two runs, so that one broker's tidying up is not the other's noise.
const PAUSE: Duration = Duration::from_millis(500);

/// Options of `leveret bench compare`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct CompareArguments {
    /// The broker of interest; without one the broker at the default port of this machine or, with
    /// --against, this binary, started like the others
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<Address>,
    /// A broker to compare it with; may be given several times
    #[arg(long, value_name = "URL", required_unless_present = "against")]
    pub(crate) peer: Vec<Address>,
    /// Another binary of Leveret to compare it with, started for every run on a free port with an
    /// empty data directory; may be given several times
    #[arg(long, value_name = "BINARY")]
    pub(crate) against: Vec<PathBuf>,
    /// How often every scenario is run against each broker
    #[arg(long, default_value_t = 3, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// How long one run publishes at most
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Persistent messages in durable queues only, beside what the disk allows
    #[arg(long)]
    pub(crate) durable: bool,
    /// Where brokers that are started here keep their data, and where --durable measures the disk,
    /// which should be the one that the brokers write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) disk_dir: PathBuf,
    /// Only the scenario of this name and its plainer twin, or those whose names contain this; may
    /// be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// Process of the broker of interest [default: who listens on the port]
    #[arg(long, value_name = "PID")]
    pub(crate) broker_pid: Vec<u32>,
    /// Process of the other broker, or of each of several in their order [default: who listens on
    /// the port]
    #[arg(long, value_name = "PID", requires = "peer")]
    pub(crate) peer_pid: Vec<u32>,
    /// Print every run as JSON instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareError {
    #[error("no scenario is meant by --only; there are: {}", .0.join("; "))]
    NoScenario(Vec<String>),
    #[error("{peers} peers need as many --peer-pid or none, not {pids}")]
    PeerPids { peers: usize, pids: usize },
    #[error("cannot tell where this binary is: {0}")]
    OwnBinary(#[source] io::Error),
    #[error("{0}")]
    Launch(#[from] LaunchError),
    #[error("{side}: {cause}")]
    Run { side: String, cause: RunError },
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// All scenarios against all sides; whether all checks passed.
pub(crate) fn run(
    arguments: &CompareArguments,
    interrupt: &Interrupt,
) -> Result<bool, CompareError> {
    let sides = arguments.sides()?;
    let loads = scenarios::scenarios(arguments)?;
    let mut disk = arguments.durable.then(|| Baseline::new(arguments.disk_dir.clone(), &loads));
    let mut rows: Vec<Row> = loads.into_iter().map(|load| Row::new(load, sides.len())).collect();
    let turns = Turns { arguments, sides: &sides, interrupt };
    for round in 0..usize::from(arguments.rounds) {
        for row in &mut rows {
            if let Some(disk) = &mut disk {
                turns.disk(round, disk, &row.load)?;
            }
            turns.brokers(round, row)?;
        }
    }
    let names: Vec<String> = sides.into_iter().map(|side| side.name).collect();
    let passed = rows.iter().all(Row::passed);
    match disk {
        _ if arguments.json => {}
        None => print(&table::Table { names: &names, rows: &rows }),
        Some(disk) => print(&durable::Table { names: &names, rows: &rows, disk: &disk }),
    }
    Ok(passed)
}

/// Who has turns, and how.
#[derive(Clone, Copy, Debug)]
struct Turns<'a> {
    arguments: &'a CompareArguments,
    sides: &'a [Side],
    interrupt: &'a Interrupt,
}

impl Turns<'_> {
    /// The disk's turn in a scenario, before the brokers'.
    fn disk(&self, round: usize, disk: &mut Baseline, load: &Load) -> Result<(), CompareError> {
        if self.interrupt.is_set() {
            return Ok(());
        }
        eprintln!("round {}: {}: the disk alone", round + 1, load.label);
        let rows = disk.measure(load, DISK_TIME, self.interrupt)?;
        for row in rows.iter().filter(|_| self.arguments.json) {
            print_json(row)?;
        }
        Ok(())
    }

    /// Every side's turn in a scenario.
    fn brokers(&self, round: usize, row: &mut Row) -> Result<(), CompareError> {
        let count = self.sides.len();
        for number in (0..count).map(|turn| (turn + round) % count) {
            if self.interrupt.is_set() {
                break;
            }
            let letter = letters().nth(number).unwrap_or('?');
            eprint!("round {}: {}: {letter} ... ", round + 1, row.load.label);
            let places = self.sides.get(number).zip(row.sides.get_mut(number));
            let Some((side, outcomes)) = places else { break };
            let outcome = self.broker(side, &row.load).inspect_err(|_| eprintln!("no result"))?;
            eprintln!("{}", story(&outcome));
            if !outcome.interrupted {
                outcomes.push(outcome);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// One run.
    fn broker(&self, side: &Side, load: &Load) -> Result<Outcome, CompareError> {
        let opened = side.open(&self.arguments.disk_dir)?;
        let failed = |cause| CompareError::Run { side: side.name.clone(), cause };
        let outcome = run::run(load, &opened.target, self.interrupt, false).map_err(failed)?;
        let outcome = Outcome { broker: side.name.clone(), ..outcome };
        if self.arguments.json {
            print_json(&outcome)?;
        }
        Ok(outcome)
    }
}

/// How far a run came and which bound ended it, in a line.
fn story(outcome: &Outcome) -> String {
    let Outcome { published, delivered, .. } = outcome;
    let ended = match outcome.bound {
        Some(bound) => format!("ended by {bound}"),
        None => "interrupted".to_owned(),
    };
    let churned = outcome.churned.map(|queues| format!(", {queues} queues came and went"));
    let churned = churned.unwrap_or_default();
    format!("{published} published, {delivered} delivered{churned}; {ended}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Bound;

    #[test]
    fn a_bound_that_was_hit_is_told() {
        let outcome = Outcome {
            published: 7,
            delivered: 6,
            churned: Some(3),
            bound: Some(Bound::Overtime),
            ..Outcome::default()
        };
        let told = "7 published, 6 delivered, 3 queues came and went; ended by overtime";
        assert_eq!(story(&outcome), told);
        assert!(story(&Outcome { bound: None, ..outcome }).ends_with("interrupted"));
    }
}
