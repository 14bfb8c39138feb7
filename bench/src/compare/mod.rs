//! `leveret bench compare`: two brokers under the same load, in turn.
//!
//! Every scenario is run against one broker and then the other, round after round, so that what
//! else happens on the machine falls on both alike.

mod scenarios;

mod durable;
mod table;

use crate::bounds::seconds;
use crate::client::address::Address;
use crate::disk::DiskError;
use crate::interrupt::Interrupt;
use crate::load::Load;
use crate::output::{print, print_json};
use crate::run::{self, RunError};
use crate::target::Target;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use table::{Row, Table};

/// How long the disk is written to for each way to make groups.
const DISK_TIME: Duration = Duration::from_secs(1);
/// A pause between two runs, so that one broker's tidying up is not the other's noise.
const PAUSE: Duration = Duration::from_millis(500);

/// Options of `leveret bench compare`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct CompareArguments {
    /// The broker of interest
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/", value_name = "URL")]
    pub(crate) url: Address,
    /// The broker to compare it with
    #[arg(long, value_name = "URL")]
    pub(crate) peer: Address,
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
    /// With --durable: where the disk is measured; should be on the same one as the brokers' data
    #[arg(long, value_name = "DIR", default_value = ".", requires = "durable")]
    pub(crate) disk_dir: PathBuf,
    /// Only scenarios whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// Process of the broker of interest [default: who listens on the port]
    #[arg(long, value_name = "PID")]
    pub(crate) broker_pid: Vec<u32>,
    /// Process of the other broker [default: who listens on the port]
    #[arg(long, value_name = "PID")]
    pub(crate) peer_pid: Vec<u32>,
    /// Print every run as JSON instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareError {
    #[error("{0}")]
    Run(#[from] RunError),
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// All scenarios against two brokers; whether all checks passed.
pub(crate) fn run(
    arguments: &CompareArguments,
    interrupt: &Interrupt,
) -> Result<bool, CompareError> {
    let ours = Target::new(&arguments.url, &arguments.broker_pid);
    let peer = Target::new(&arguments.peer, &arguments.peer_pid);
    let loads = scenarios::scenarios(arguments);
    let mut rows: Vec<Row> = loads.iter().map(|load| Row::new(&load.label)).collect();
    let mut disk =
        arguments.durable.then(|| durable::Baseline::new(arguments.disk_dir.clone(), &loads));
    for round in 1..=arguments.rounds {
        for (load, row) in loads.iter().zip(&mut rows) {
            if let Some(disk) = disk.as_mut().filter(|_| !interrupt.is_set()) {
                eprintln!("round {round}: {} for the disk alone", load.label);
                disk_turn(disk, load, arguments.json, interrupt)?;
            }
            for (target, outcomes) in [(&ours, &mut row.ours), (&peer, &mut row.peers)] {
                if interrupt.is_set() {
                    break;
                }
                eprintln!("round {round}: {} against {}", load.label, target.address);
                let outcome = run::run(load, target, interrupt, false)?;
                if arguments.json {
                    print_json(&outcome)?;
                }
                if !outcome.interrupted {
                    outcomes.push(outcome);
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
    let passed = rows.iter().all(Row::passed);
    if !arguments.json {
        let [ours, peer] = [ours, peer].map(|target| target.address.to_string());
        match disk {
            None => print(&Table { ours, peer, rows }),
            Some(disk) => {
                let rows = loads.into_iter().zip(rows).collect();
                print(&durable::Table { ours, peer, rows, disk });
            }
        }
    }
    Ok(passed)
}

/// The disk's turn in a scenario.
fn disk_turn(
    disk: &mut durable::Baseline,
    load: &Load,
    json: bool,
    interrupt: &Interrupt,
) -> Result<(), CompareError> {
    let rows = disk.measure(load, DISK_TIME, interrupt)?;
    for row in rows.iter().filter(|_| json) {
        print_json(row)?;
    }
    Ok(())
}
