//! What can go wrong with durable state, and what an operator is told.
//!
//! Every variant names the file or directory it is about. The errors are cheap
//! to clone because one failed group commit answers many proposals.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failure of the data directory or of the store inside it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The operating system refused a file operation.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted, as a verb: "read", "rename".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// Another process holds the data directory.
    #[error("data directory {path} is in use by another process{owner}")]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// " (pid N)" when the holder left its process id, else empty.
        owner: String,
    },
    /// The data directory was written by a later version; nothing was touched.
    #[error(
        "{path} says format {found}, this version reads up to format {known}: nothing was changed, \
         start the version that wrote it"
    )]
    NewerFormat {
        /// The `FORMAT` file.
        path: PathBuf,
        /// The version found there.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// Stored messages were written by an earlier version in a layout that this one does not read;
    /// nothing was touched.
    #[error(
        "{path} has messages in the earlier format {found}, which this version does not read: \
         nothing was changed, consume them with the version that wrote them, or move the directory \
         it is in away to begin without them"
    )]
    OlderFormat {
        /// A segment of the log.
        path: PathBuf,
        /// The version found there.
        found: u32,
    },
    /// A file holds something that this program did not write, or not all of it.
    #[error("{path} is damaged: {detail}")]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Messages are there that the configured engine would not see.
    #[error(
        "{path} holds messages of the other engine: set 'message_store = {name}' to use them, or \
         move it away to begin without them"
    )]
    OtherEngine {
        /// The other engine's messages.
        path: PathBuf,
        /// Its name in the configuration.
        name: &'static str,
    },
    /// The definitions can be read neither from the database nor from an export.
    #[error(
        "definitions are lost: {database} cannot be read ({reason}) and there is no valid export \
         ({exports}); put back {export} from a backup, or move {database} away to start empty"
    )]
    NoValidExport {
        /// The database directory.
        database: PathBuf,
        /// Why the database does not open.
        reason: String,
        /// The newest export's path.
        export: PathBuf,
        /// What was found at each export's path.
        exports: String,
    },
    /// Messages are in a store that cannot be copied while it is used.
    #[error(
        "messages can be backed up from a running broker only where they are in the message log \
         ('message_store = log'); {path} was not written"
    )]
    NoBackup {
        /// Where the backup was to be.
        path: PathBuf,
    },
    /// An earlier write or fsync failed. What was proposed since is not durable
    /// and a retry could report as durable what is not, so the store takes no
    /// more changes until the process has been started anew.
    #[error("{path} takes no more changes after a failed write: {reason}")]
    Failed {
        /// The database directory.
        path: PathBuf,
        /// The first failure.
        reason: Arc<str>,
    },
    /// The store was closed before the proposal could be applied.
    #[error("the definitions store is closed")]
    Closed,
}

impl StorageError {
    /// Wraps an operating system error with what was attempted on which path.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether the process must end: what it holds in memory may differ from
    /// what the disk holds, and only a restart can tell.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}
