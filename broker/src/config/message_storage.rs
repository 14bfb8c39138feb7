//! Where messages are stored and what a confirm promises: `message_store`, `fsync` and
//! `message_memory.*`. `startup` opens the stores by it.

use std::time::Duration;

use leveret_storage::messages::{Engine, FsyncPolicy};

use super::ConfigError;
use super::keys;
use super::settings::Settings;

/// How messages are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageStorage {
    /// `message_store`.
    pub engine: Engine,
    /// `fsync`.
    pub fsync: FsyncPolicy,
    /// `message_memory.total`, in bytes.
    pub memory_total: usize,
    /// `message_memory.queue`, in bytes.
    pub memory_queue: usize,
}

impl MessageStorage {
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Self {
            engine: settings.get(&keys::MESSAGE_STORE)?,
            fsync: settings.get(&keys::FSYNC)?,
            memory_total: bytes(settings.get(&keys::MESSAGE_MEMORY_TOTAL)?),
            memory_queue: bytes(settings.get(&keys::MESSAGE_MEMORY_QUEUE)?),
        })
    }
}

/// `log` or `sled`.
pub(super) fn engine(text: &str) -> Option<Engine> {
    match text {
        "log" => Some(Engine::Log),
        "sled" => Some(Engine::Sled),
        _ => None,
    }
}

/// `group`, `os`, or `interval:` and milliseconds.
pub(super) fn fsync_policy(text: &str) -> Option<FsyncPolicy> {
    match text {
        "group" => Some(FsyncPolicy::Group),
        "os" => Some(FsyncPolicy::Os),
        other => {
            let millis: u64 = other.strip_prefix("interval:")?.parse().ok()?;
            let policy = FsyncPolicy::Interval(Duration::from_millis(millis));
            (1..=60_000).contains(&millis).then_some(policy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_a_word_or_an_interval() {
        let interval = FsyncPolicy::Interval(Duration::from_millis(250));
        assert_eq!(fsync_policy("interval:250"), Some(interval));
        assert_eq!(fsync_policy("group"), Some(FsyncPolicy::Group));
        for wrong in ["", "always", "interval", "interval:", "interval:0", "interval:1s"] {
            assert_eq!(fsync_policy(wrong), None, "{wrong}");
        }
    }
}
