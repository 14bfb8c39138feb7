//! What new vhosts are limited to: `default_limits.vhosts.*`.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::keys;
use super::settings::Settings;

/// `default_limits.vhosts.<id>.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultVhostLimits {
    /// Which vhosts: a regular expression.
    pub pattern: String,
    /// Connections.
    pub max_connections: Option<usize>,
    /// Queues.
    pub max_queues: Option<usize>,
}

impl Default for DefaultVhostLimits {
    fn default() -> Self {
        Self { pattern: ".*".to_owned(), max_connections: None, max_queues: None }
    }
}

/// In the order of their ids.
pub(super) fn build(settings: &Settings) -> Result<Vec<DefaultVhostLimits>, ConfigError> {
    let mut limits = BTreeMap::<String, DefaultVhostLimits>::new();
    for (id, pattern) in settings.each(&keys::VHOST_LIMITS_PATTERN)? {
        limits.entry(id.to_owned()).or_default().pattern = pattern;
    }
    for (id, most) in settings.each(&keys::VHOST_LIMITS_CONNECTIONS)? {
        limits.entry(id.to_owned()).or_default().max_connections = most;
    }
    for (id, most) in settings.each(&keys::VHOST_LIMITS_QUEUES)? {
        limits.entry(id.to_owned()).or_default().max_queues = most;
    }
    Ok(limits.into_values().collect())
}
