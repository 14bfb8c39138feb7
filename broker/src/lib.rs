//! Leveret, an AMQP 0-9-1 message broker.
//!
//! The walk of a message, and so the order in which to read:
//! `server` accepts → `connection` (handshake, then frames) → `session` (dispatch, the channel's
//! publish, routes) → `vhost` (routing) → `queue` → `stores`; out again by `queue` → `outgoing` →
//! socket; and back by `session` (settle) → `queue`. ARCHITECTURE.md tells the same story whole, with
//! the floors that these modules stand on.

pub mod cli;
pub mod config;
#[cfg(fuzzing)]
pub mod fuzzed;
pub mod logging;
pub mod healthcheck;
pub mod explain;
pub mod ctl;
pub mod check;
pub mod dev;
pub mod migrate;
pub mod backup;
pub mod doctor;
pub mod upgrade;
pub mod admin;
pub mod top;
pub mod tap;
pub mod server;
mod systemd;
mod http;
pub(crate) mod startup;
pub(crate) mod import;
pub(crate) mod metrics;
pub(crate) mod connection;
pub(crate) mod session;
pub(crate) mod broker;
pub(crate) mod vhost;
mod watched;
pub(crate) mod policy;
pub(crate) mod auth;
pub(crate) mod queue;
pub(crate) mod outgoing;
mod pause;
pub(crate) mod transport;
pub(crate) mod tls;
pub(crate) mod proxy_protocol;
pub(crate) mod http_client;
mod idle_limit;
mod publish_rate;
pub(crate) mod stores;
pub(crate) mod definitions;
pub mod exchange;
pub(crate) mod alarms;
pub(crate) mod resources;
pub(crate) mod allocator;
pub(crate) mod identity;
pub(crate) mod encryption;
pub(crate) mod deduplication;
pub(crate) mod message;
pub(crate) mod meters;
pub(crate) mod error;
mod gzip;
mod events;
pub(crate) mod keys;
pub(crate) mod limit;
pub(crate) mod names;
pub mod secret;
pub mod password;
pub mod url;
pub(crate) mod clock;
