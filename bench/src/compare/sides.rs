//! The brokers that are compared: some run already, some are started for every run.

use crate::client::address::Address;
use crate::compare::{CompareArguments, CompareError};
use crate::launch::{LaunchError, Launched};
use crate::target::Target;
use std::path::{Path, PathBuf};

/// One of the brokers compared.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// What the legend of a table calls it.
    pub(crate) name: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// It runs already, with these processes or those that are found.
    Running(Address, Vec<u32>),
    /// A Leveret, started anew for every run.
    Binary(PathBuf),
}

/// A broker for the time of one run.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) target: Target,
    /// Ends the broker when the run is over.
    _launched: Option<Launched>,
}

impl Side {
    fn running(address: &Address, pids: &[u32]) -> Self {
        let place = Place::Running(address.clone(), pids.to_vec());
        Self { name: address.to_string(), place }
    }

    fn binary(path: PathBuf) -> Self {
        Self { name: path.display().to_string(), place: Place::Binary(path) }
    }

    /// The broker for one run; one that is started keeps its data below `directory`.
    pub(crate) fn open(&self, directory: &Path) -> Result<Opened, LaunchError> {
        Ok(match &self.place {
            Place::Running(address, pids) => {
                Opened { target: Target::new(address, pids), _launched: None }
            }
            Place::Binary(path) => {
                let launched = Launched::start(path, directory)?;
                Opened { target: launched.target(), _launched: Some(launched) }
            }
        })
    }
}

impl CompareArguments {
    /// The broker of interest, other binaries, other brokers.
    ///
    /// # Errors
    /// When it cannot be told which peer a process belongs to, or where our own binary is.
    pub(crate) fn sides(&self) -> Result<Vec<Side>, CompareError> {
        let is_running =
            self.against.is_empty() || self.url.is_some() || !self.broker_pid.is_empty();
        let first = if is_running {
            let url = self.url.clone().unwrap_or_else(|| Address::local(5672));
            Side::running(&url, &self.broker_pid)
        } else {
            Side::binary(std::env::current_exe().map_err(CompareError::OwnBinary)?)
        };
        let binaries = self.against.iter().cloned().map(Side::binary);
        Ok([first].into_iter().chain(binaries).chain(self.peers()?).collect())
    }

    /// One peer has all processes given, several have one each.
    fn peers(&self) -> Result<Vec<Side>, CompareError> {
        if self.peer.len() > 1 && ![0, self.peer.len()].contains(&self.peer_pid.len()) {
            let (peers, pids) = (self.peer.len(), self.peer_pid.len());
            return Err(CompareError::PeerPids { peers, pids });
        }
        let pids: Vec<&[u32]> = match self.peer.len() {
            0 | 1 => vec![&self.peer_pid],
            _ => self.peer_pid.chunks(1).collect(),
        };
        let side = |(number, address)| {
            Side::running(address, pids.get(number).copied().unwrap_or_default())
        };
        Ok(self.peer.iter().enumerate().map(side).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        compare: CompareArguments,
    }

    fn places(line: &str) -> Result<Vec<Place>, String> {
        let words = std::iter::once("compare").chain(line.split_ascii_whitespace());
        let arguments = Cli::try_parse_from(words).map_err(|error| error.to_string())?.compare;
        let sides = arguments.sides().map_err(|error| error.to_string())?;
        Ok(sides.into_iter().map(|side| side.place).collect())
    }

    fn running(url: &str, pids: &[u32]) -> Place {
        Place::Running(url.parse().unwrap(), pids.to_vec())
    }

    #[test]
    fn a_running_broker_is_compared_with_peers() {
        let own = running("amqp://127.0.0.1", &[]);
        let peer = running("amqp://p", &[7, 8]);
        assert_eq!(
            places("--peer amqp://p --peer-pid 7 --peer-pid 8"),
            Ok(vec![own.clone(), peer])
        );
        let line = "--peer amqp://p --peer amqp://q --peer-pid 7 --peer-pid 8";
        let peers = vec![own, running("amqp://p", &[7]), running("amqp://q", &[8])];
        assert_eq!(places(line), Ok(peers));
        let odd = places("--peer amqp://p --peer amqp://q --peer-pid 7").unwrap_err();
        assert!(odd.contains("2 peers") && odd.contains('1'), "{odd}");
        assert!(places("").is_err(), "nothing to compare with");
    }

    #[test]
    fn binaries_are_compared_with_our_own_unless_a_broker_is_named() {
        let binary = |path: &str| Place::Binary(path.into());
        let own = Place::Binary(std::env::current_exe().unwrap());
        let compared = places("--against /x --against /y --peer amqp://p");
        let sides = vec![own, binary("/x"), binary("/y"), running("amqp://p", &[])];
        assert_eq!(compared, Ok(sides));
        let named = places("--url amqp://h --broker-pid 5 --against /x");
        assert_eq!(named, Ok(vec![running("amqp://h", &[5]), binary("/x")]));
    }
}
