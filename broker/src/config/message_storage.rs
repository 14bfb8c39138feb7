//! Where messages are stored and what a confirm promises: `message_store`, `fsync` and
//! `message_memory.*`. `startup` opens the stores by it.

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
