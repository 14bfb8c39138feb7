//! `leveret bench`: a load generator for any AMQP 0-9-1 broker, and what it measures.
//!
//! Owns its connections, threads and clock, and knows the wire protocol alone: what is measured here
//! could be any broker. It must cost much less than the broker under it, so the data path has no
//! client library, no allocation a message and few system calls. The `leveret` binary calls
//! [`run_command`].
//!
//! ```text
//!   arguments -> load -> run   topology      queues, exchange, bindings
//!                              client        a connection that waits for answers
//!                              crew          threads, each with an
//!                                engine      that drives many connections
//!                                publisher   laid out frames, stamped in place
//!                                consumer    frames read in place, stamps checked
//!                                churner     queues that come and go
//!                              watch         progress, cost, when it is over
//!                              summary -> outcome (table or JSON)
//!   compare: named scenarios against several brokers in turn, `durable` beside the disk's own rate;
//!            sides that are binaries are launched for every run
//!   backlog: one long queue, filled and drained, with a restart in between if wanted
//!   timed: what waits for its time: `delay`, `storm` of expiries, `idle` queues
//!   disk: what a disk allows, without any broker
//! ```
//!
//! The exit code is 0 when all went well, 1 when a check failed (loss, duplicate, disorder) and 2
//! when there is no result.

mod arguments;
mod bounds;

mod load;
mod message;
mod topology;

mod client;
pub mod taking;
mod target;
mod launch;

mod run;
mod outcome;
mod output;

mod compare;
mod backlog;
mod timed;
mod disk;

mod sequence;
mod statistics;
mod process;
mod clock;
mod interrupt;
mod scratch;

pub use arguments::BenchArguments;

use arguments::{BenchMode, RunArguments};
use backlog::{BacklogArguments, BacklogError};
use compare::CompareError;
use disk::{DiskArguments, DiskError};
use interrupt::Interrupt;
use load::LoadError;
use output::{print, print_json};
use run::RunError;
use serde::Serialize;
use std::fmt::Display;
use std::process::ExitCode;
use target::Target;
use timed::TimedError;

const FAILED_CHECKS: u8 = 1;
const NO_RESULT: u8 = 2;

/// Does what the command line asks for, prints the result and returns the exit code.
#[must_use]
pub fn run_command(arguments: &BenchArguments) -> ExitCode {
    let interrupt = Interrupt::listen();
    let passed = match &arguments.mode {
        None => single(&arguments.run, &interrupt),
        Some(BenchMode::Compare(arguments)) => {
            compare::run(arguments, &interrupt).map_err(BenchError::from)
        }
        Some(BenchMode::Backlog(arguments)) => long_queue(arguments, &interrupt),
        Some(BenchMode::Disk(arguments)) => disk_alone(arguments, &interrupt),
        Some(BenchMode::Delay(arguments)) => timed::delay::run(arguments, &interrupt)
            .map_err(BenchError::from)
            .and_then(|delayed| show(&delayed, arguments.own.json).map(|()| delayed.passed())),
        Some(BenchMode::Storm(arguments)) => timed::storm::run(arguments, &interrupt)
            .map_err(BenchError::from)
            .and_then(|stormed| show(&stormed, arguments.own.json).map(|()| stormed.passed())),
        Some(BenchMode::Idle(arguments)) => timed::idle::run(arguments, &interrupt)
            .map_err(BenchError::from)
            .and_then(|idle| show(&idle, arguments.own.json).map(|()| true)),
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
    Compare(#[from] CompareError),
    #[error("{0}")]
    Backlog(#[from] BacklogError),
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Timed(#[from] TimedError),
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// One run; whether its checks passed.
fn single(arguments: &RunArguments, interrupt: &Interrupt) -> Result<bool, BenchError> {
    let load = arguments.load()?;
    let target = Target::new(&arguments.url, &arguments.broker_pid);
    let outcome = run::run(&load, &target, interrupt, true)?;
    show(&outcome, arguments.json)?;
    Ok(!outcome.checks.failed())
}

/// Prints a result, in the form asked for.
fn show(result: &(impl Display + Serialize), as_json: bool) -> Result<(), BenchError> {
    if as_json {
        print_json(result)?;
    } else {
        print(result);
    }
    Ok(())
}

/// What the disk allows.
fn disk_alone(arguments: &DiskArguments, interrupt: &Interrupt) -> Result<bool, BenchError> {
    let report = disk::run(arguments, interrupt)?;
    show(&report, arguments.json)?;
    Ok(true)
}

/// A long queue; whether its checks passed.
fn long_queue(arguments: &BacklogArguments, interrupt: &Interrupt) -> Result<bool, BenchError> {
    let backlog = backlog::run(arguments, interrupt)?;
    if arguments.json {
        backlog.outcomes().try_for_each(print_json)?;
    } else {
        print(&backlog);
    }
    Ok(backlog.passed())
}
