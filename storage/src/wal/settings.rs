//! What a log is told when it is opened, and how it tells what becomes of it.
//!
//! Stays true: what counts as durable is the policy's business alone.

use std::fmt;
use std::time::Duration;

use crate::StorageError;

/// When what was handed over counts as durable, and so what a confirm promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// After an fsync that covers everything appended up to it; one fsync serves all that wait.
    /// Loses nothing confirmed, neither by the end of the process nor by a power failure.
    #[default]
    Group,
    /// When it is written; the disk is synced this often. Loses nothing confirmed by the end of the
    /// process; by a power failure up to this much of what was confirmed.
    Interval(Duration),
    /// When it is written; the operating system writes it out when it likes. Loses nothing confirmed
    /// by the end of the process; by a power failure some 30 seconds of what was confirmed.
    Os,
}

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// In the header of every file: which store the log belongs to.
    pub store: [u8; 16],
    /// Bytes that a segment should have.
    pub segment_size: u32,
    /// When marks are durable.
    pub fsync: FsyncPolicy,
}

/// What a log tells whoever opened it. Called by its threads, which wait meanwhile, some of it under a
/// lock of the log: nothing may be asked of the log then.
pub trait Listener: fmt::Debug + Send + Sync {
    /// Everything handed over up to this mark is durable.
    fn durable(&self, mark: u64);

    /// What was written to these segments was synced; `is_news` unless it was remarks alone.
    fn synced(&self, segments: &[u32], is_news: bool);

    /// A segment is complete, with so many bytes, and may be removed from now on.
    fn sealed(&self, segment: u32, bytes: u32);

    /// There is no room for new segments any more, or again.
    fn room(&self, is_there: bool);

    /// An fsync took so many microseconds.
    fn fsynced(&self, micros: u64);

    /// Nothing becomes durable any more: the process must end.
    fn failed(&self, error: &StorageError);
}
