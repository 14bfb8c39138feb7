//! Definitions that outlive the process: vhosts, users, permissions, durable exchanges, queues and
//! bindings.
//!
//! `records` says what is kept and how it is read back at start, `store` hands changes to the
//! metadata store and says when they are on disk.

pub(crate) mod records;
pub(crate) mod store;
