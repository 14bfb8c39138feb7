//! Durable state of a Leveret broker. Knows nothing of AMQP: keys, values and
//! ids are the broker's, which is the only caller.
//!
//! # The data directory
//! ```text
//! FORMAT                 format version and the store's identity, text
//! leveret.lock           held by the running process
//! closed                 left by a process that came to its end in order
//! messages/              the message log: see [`messages`]
//! messages.sled/         the same in sled, with `message_store = sled`
//! paged/                 bodies of long queues that need not survive: wiped at the start
//! definitions.sled/      vhosts, users, permissions, exchanges, queues, bindings
//! definitions.reserve    room for them on a full disk
//! definitions.export     the same, checksummed; .1 and .2 are older ones
//! ```
//! A version that finds a newer `FORMAT` touches nothing. A `definitions.sled`
//! that cannot be read is renamed to `definitions.sled.broken-<n>` and rebuilt
//! from the newest valid export.
//!
//! # What survives what
//! A resolved proposal survives the end of the process and a power failure; see
//! [`metadata`] for the whole contract.

mod store;
pub use store::Store;

mod directory;
pub use directory::{FORMAT_VERSION, StoreId};

mod looking;
pub use looking::{Looked, look};

pub mod wal;
pub mod messages;
pub mod spill;
pub mod metadata;

mod backup;
pub use backup::back_up;

mod error;
pub use error::StorageError;

mod clock;

#[cfg(fuzzing)]
pub mod fuzzed;

mod panics;
mod threads;
