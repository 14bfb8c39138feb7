//! Which broker is asked: by a URL, a socket, or the data directory that the configuration says.
//!
//! A room of `ctl`. Commands that have a grammar of their own flatten [`Whom`] into their options; `ctl`
//! makes one of what its own grammar read.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::client::{Client, Place, socket_in};
use super::failure::Failed;
use crate::config::{Config, ServeOptions};

/// How long an answer may take unless somebody says.
const PATIENCE: Duration = Duration::from_secs(60);

/// The broker that is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Whom {
    /// Its management API: http://user:password@host:15672
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Its socket on this machine
    #[arg(long, value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// Its data directory, in which the socket is
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Its configuration file, which says where the data directory is
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How long an answer may take, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}

impl Whom {
    /// Asks it. `environment` looks up one variable: `LEVERET_URL`, and what the configuration reads.
    ///
    /// # Errors
    /// The URL is none.
    pub(crate) fn client(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Client, Failed> {
        Client::new(self.place(environment)?, self.patience())
    }

    /// How long an answer may take.
    pub(crate) fn patience(&self) -> Duration {
        let given = self.timeout.filter(|seconds| *seconds > 0);
        given.map_or(PATIENCE, Duration::from_secs)
    }

    /// Where it is.
    ///
    /// # Errors
    /// The URL is none.
    pub(crate) fn place(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Place, Failed> {
        let paths = [&self.socket, &self.data_dir, &self.config];
        let is_local = paths.into_iter().any(Option::is_some);
        let named = || environment("LEVERET_URL").filter(|_| !is_local);
        match (self.url.clone().or_else(named), &self.socket) {
            (Some(url), _) => Place::parse(&url).ok_or_else(|| Failed::usage("--url is no URL")),
            (None, Some(socket)) => Ok(Place::Socket(socket.clone())),
            (None, None) => Ok(Place::Socket(socket_in(self.directory(environment).as_os_str()))),
        }
    }

    fn directory(&self, environment: impl Fn(&str) -> Option<String>) -> PathBuf {
        if let Some(directory) = &self.data_dir {
            return directory.clone();
        }
        let options = ServeOptions { config: self.config.clone(), ..ServeOptions::default() };
        // A configuration that cannot be read does not keep anybody from asking.
        Config::load(&options, environment).map_or_else(|_| "data".into(), |read| read.data_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_goes_before_the_environment() {
        let environment =
            |name: &str| (name == "LEVERET_URL").then(|| "http://elsewhere:1".to_owned());
        let socket = || Some(PathBuf::from("/s"));
        let local = Whom { socket: socket(), ..Whom::default() };
        assert_eq!(local.place(environment), Ok(Place::Socket("/s".into())));
        let directory = Whom { data_dir: Some("/d".into()), ..Whom::default() };
        assert_eq!(directory.place(environment), Ok(Place::Socket("/d/leveret.sock".into())));
        let both = Whom { url: Some("http://h:2".to_owned()), socket: socket(), ..Whom::default() };
        assert_eq!(both.place(environment), Ok(Place::parse("http://h:2").unwrap()));
        let nothing = Whom::default().place(environment);
        assert_eq!(nothing, Ok(Place::parse("http://elsewhere:1").unwrap()));
        assert!(Whom { url: Some("h".to_owned()), ..Whom::default() }.place(environment).is_err());
    }
}
