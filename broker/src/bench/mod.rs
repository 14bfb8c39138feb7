//! `leveret bench`: a load generator for any AMQP 0-9-1 broker, and what it measures.
//!
//! Owns its connections, threads and clock, and shares nothing with the broker beside the wire
//! protocol: what is measured here could be any broker. It must cost much less than the broker
//! under it, so the data path has no client library, no allocation a message and few system calls.
//!
//! ```text
//!   arguments -> run -> topology      queues, exchange, bindings
//!                    -> session       a connection that waits for answers
//!                    -> engine        threads that drive many publishers and consumers
//!                         publisher   laid out frames, stamped in place
//!                         consumer    frames read in place, stamps checked
//!                    -> watch         progress, cost, when it is over
//!                    -> summary -> outcome (table or JSON)
//!   compare: the same scenarios against two brokers in turn, `durable` beside the disk's own rate
//!   backlog: one long queue, filled and drained, with a restart in between if wanted
//!   disk -> group_commit: what a disk allows, without any broker
//! ```
//!
//! The exit code is 0 when all went well, 1 when a check failed (loss, duplicate, disorder) and 2
//! when there is no result.

mod arguments;

mod address;
mod run;

mod session;
mod topology;

mod engine;
mod publisher;

mod consumer;

mod frames;
mod link;
mod sequence;

mod watch;

mod process;

mod clock;
mod interrupt;

mod outcome;
mod statistics;
mod summary;

mod compare;
mod scenarios;

mod durable;

mod backlog;

mod disk;
mod group_commit;

pub use address::{Address, AddressError};
pub use arguments::{
    BenchArguments, BenchMode, CompareArguments, Exchange, LoadError, RunArguments,
};
pub use backlog::{BacklogArguments, Step};
pub use disk::DiskArguments;

use arguments::Load;
use backlog::BacklogError;
use compare::{Row, Table};
use disk::DiskError;
use interrupt::Interrupt;
use outcome::Outcome;
use run::{RunError, Target};
use std::fmt;
use std::process::ExitCode;

const FAILED_CHECKS: u8 = 1;
const NO_RESULT: u8 = 2;

/// Does what the command line asks for, prints the result and returns the exit code.
#[must_use]
pub fn run_command(arguments: &BenchArguments) -> ExitCode {
    let interrupt = Interrupt::listen();
    let passed = match &arguments.mode {
        None => single(&arguments.run, &interrupt),
        Some(BenchMode::Compare(arguments)) => comparison(arguments, &interrupt),
        Some(BenchMode::Backlog(arguments)) => long_queue(arguments, &interrupt),
        Some(BenchMode::Disk(arguments)) => disk_alone(arguments, &interrupt),
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED_CHECKS),
        Err(error) => {
            eprintln!("leveret bench: {error}");
            ExitCode::from(NO_RESULT)
        }
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("{0}")]
    Load(#[from] LoadError),
    #[error("{0}")]
    Run(#[from] RunError),
    #[error("{0}")]
    Backlog(#[from] BacklogError),
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// One run; whether its checks passed.
fn single(arguments: &RunArguments, interrupt: &Interrupt) -> Result<bool, BenchError> {
    let load = Load::new(arguments)?;
    let target = Target::new(&arguments.url, &arguments.broker_pid);
    let outcome = run::run(&load, &target, interrupt, true)?;
    print_outcome(&outcome, arguments.json)?;
    Ok(!outcome.checks.failed())
}

/// All scenarios against two brokers; whether all checks passed.
fn comparison(arguments: &CompareArguments, interrupt: &Interrupt) -> Result<bool, BenchError> {
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
                    print_outcome(&outcome, true)?;
                }
                if !outcome.interrupted {
                    outcomes.push(outcome);
                }
                std::thread::sleep(compare::PAUSE);
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
) -> Result<(), BenchError> {
    let rows = disk.measure(load, compare::DISK_TIME, interrupt)?;
    for row in rows.iter().filter(|_| json) {
        print(&serde_json::to_string(row)?);
    }
    Ok(())
}

/// What the disk allows.
fn disk_alone(arguments: &DiskArguments, interrupt: &Interrupt) -> Result<bool, BenchError> {
    let report = disk::run(arguments, interrupt)?;
    if arguments.json {
        print(&serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(true)
}

/// A long queue; whether its checks passed.
fn long_queue(arguments: &BacklogArguments, interrupt: &Interrupt) -> Result<bool, BenchError> {
    let backlog = backlog::run(arguments, interrupt)?;
    if arguments.json {
        backlog.outcomes().try_for_each(|outcome| print_outcome(outcome, true))?;
    } else {
        print(&backlog);
    }
    Ok(backlog.passed())
}

fn print_outcome(outcome: &Outcome, json: bool) -> Result<(), BenchError> {
    if json {
        print(&serde_json::to_string(outcome)?);
    } else {
        print(outcome);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn print(result: &impl fmt::Display) {
    println!("{result}");
}
