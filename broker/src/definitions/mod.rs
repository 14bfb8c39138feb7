//! Definitions that outlive the process: vhosts, users, permissions, durable exchanges, queues and
//! bindings, policies and other parameters.
//!
//! `records` and `parameters` say what is kept and how it is read back at start, `command` what may
//! change, `store` hands changes to the metadata store and says when they are on disk. `document`
//! reads what RabbitMQ exports; `of_vhost` knows what goes with a vhost.

pub(crate) mod command;
pub(crate) mod doubt;
pub(crate) mod records;
pub(crate) mod parameters;
pub(crate) mod of_vhost;
pub(crate) mod store;
pub(crate) mod document;
pub(crate) mod json_arguments;

#[cfg(test)]
pub(crate) mod held;
