//! The configuration, read again at SIGHUP while the broker runs.
//!
//! Called by the server's wait for signals. Stays true: a configuration that cannot be used changes
//! nothing, and of one that can each change is told in one line, with when it counts.

use std::sync::Arc;

use tracing::{error, info, warn};

use crate::broker::Broker;
use crate::config::{Config, ConfigError, Reach};
use crate::logging::LogControl;
use crate::tls::Tls;

/// Puts the configuration together as at the start.
pub(super) type ReadAgain = Box<dyn Fn() -> Result<Config, ConfigError> + Send>;

/// See the module documentation.
pub(super) struct Reloading {
    /// What the broker goes by.
    pub config: Config,
    pub log: LogControl,
    pub read_again: ReadAgain,
    pub broker: Arc<Broker>,
    pub tls: Option<Arc<Tls>>,
    /// What the management API is served with.
    pub certificates: Option<Arc<Tls>>,
}

impl Reloading {
    /// Reads the configuration again, and the files of TLS.
    pub(super) fn reload(&mut self) {
        match (self.read_again)().map_err(|error| error.to_string()) {
            Ok(config) => self.adopt(config),
            Err(error) => refuse(&error),
        }
        for tls in self.tls.iter().chain(&self.certificates) {
            tls.refresh(true);
        }
    }

    /// Reads the files of TLS again if they have changed.
    pub(super) fn look_at_certificates(&self) {
        for tls in self.tls.iter().chain(&self.certificates) {
            tls.refresh(false);
        }
    }

    fn adopt(&mut self, read: Config) {
        // The log first: its file may not be there, and then nothing changes.
        if let Err(error) = self.log.apply(&read.logging) {
            return refuse(&error.to_string());
        }
        self.broker.adopt(&read);
        if let Some(tls) = &self.tls {
            tls.adopt(&read.tls.options);
        }
        if let (Some(tls), Some((_, options))) = (&self.certificates, &read.management.tls) {
            tls.adopt(options);
        }
        let changed = read.settled.changed_since(&self.config.settled);
        info!(
            event = "config.reloaded",
            "the configuration was read again; settings that changed: {}",
            changed.len()
        );
        for key in &changed {
            let reach = Reach::of(key);
            match reach {
                Reach::Now => info!(event = "config.changed", key, "{key} changed: it counts now"),
                Reach::NewConnections => info!(
                    event = "config.changed",
                    key, "{key} changed: it counts for connections that are opened from now on"
                ),
                Reach::Restart => warn!(
                    event = "config.changed",
                    key, "{key} changed: it needs a restart, until then the old value counts"
                ),
            }
            if reach != Reach::Restart {
                self.config.settled.take(key, &read.settled);
            }
        }
        self.broker.is_settled(self.config.settled.clone());
        self.config.shutdown_timeout = read.shutdown_timeout;
    }
}

fn refuse(error: &str) {
    error!(
        event = "config.refused",
        "the configuration cannot be read again, nothing changes: {error}"
    );
}
