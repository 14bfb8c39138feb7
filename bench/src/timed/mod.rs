//! `leveret bench delay`, `storm` and `idle`: what waits for its time, and what that costs.
//!
//! Each starts a broker of its own, an empty one, since what is measured is what one process holds:
//! its memory, its start, how late it is.

pub(crate) mod delay;
pub(crate) mod idle;
pub(crate) mod storm;

mod bulk;

use crate::client::session::SessionError;
use crate::clock::Start;
use crate::launch::{LaunchError, Launched};
use crate::run::RunError;
use crate::target::Target;
use clap::Args;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

const CONNECTION_NAME: &str = "leveret bench";
const MIB: f64 = 1024.0 * 1024.0;

/// Which broker, and where its data goes.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Own {
    /// The binary of Leveret to start on a free port with an empty data directory [default: this one]
    #[arg(long, value_name = "BINARY")]
    binary: Option<PathBuf>,
    /// Where it keeps its data
    #[arg(long, value_name = "DIR", default_value = ".")]
    disk_dir: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TimedError {
    #[error("cannot tell where this binary is: {0}")]
    OwnBinary(#[source] io::Error),
    #[error("{0}")]
    Launch(#[from] LaunchError),
    #[error("{0}")]
    Session(#[from] SessionError),
    #[error("{0}")]
    Run(#[from] RunError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a thread of the load generator ended before its time")]
    Thread,
    #[error("nothing has moved for a minute")]
    Standstill,
    #[error("a signal came")]
    Interrupted,
}

impl Own {
    fn start(&self) -> Result<Launched, TimedError> {
        let own = || std::env::current_exe().map_err(TimedError::OwnBinary);
        let binary = self.binary.clone().map_or_else(own, Ok)?;
        Ok(Launched::start(&binary, &self.disk_dir)?)
    }
}

/// Resident memory in bytes; 0 where it is not known.
fn memory(target: &Target) -> u64 {
    target.processes.memory().unwrap_or(0)
}

fn seconds_since(start: Start) -> f64 {
    Duration::from_nanos(start.nanoseconds()).as_secs_f64()
}
