//! Definitions that outlive the process: vhosts, users, permissions, durable exchanges, queues and
//! bindings.
//!
//! `records` says what is kept and how it is read back at start, `command` what may change, `store`
//! hands changes to the metadata store and says when they are on disk.

pub(crate) mod command;
pub(crate) mod records;
pub(crate) mod store;

#[cfg(test)]
pub(crate) mod held;
