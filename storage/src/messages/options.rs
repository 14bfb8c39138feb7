//! How a message store keeps its promises.

use crate::wal::FsyncPolicy;

/// What keeps the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The message log: one shared log of segments.
    #[default]
    Log,
    /// Trees in sled.
    Sled,
}

/// How to open a message store.
#[derive(Clone, Debug)]
pub struct Options {
    /// When tickets are durable.
    pub fsync: FsyncPolicy,
    /// Size at which a log segment is sealed, in bytes. A larger message gets a segment of its own.
    pub segment_size: u32,
    /// Bytes that may wait to be written before [`super::Progress::room`] makes callers wait.
    pub pending_max: usize,
    /// Accept the loss of what is damaged below the synced point instead of refusing to open.
    pub salvage: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            fsync: FsyncPolicy::Group,
            segment_size: 64 << 20,
            pending_max: 32 << 20,
            salvage: false,
        }
    }
}
