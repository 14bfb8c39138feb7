//! Leveret, an AMQP 0-9-1 message broker.
//!
//! The walk of a message, and so the order in which to read:
//! `server` accepts → `connection` (handshake, then frames) → `channel` (publish) → `vhost`
//! (routing) → `queue` → `persistence`; out again by `queue` → `channel::deliveries` →
//! `connection::outbox` → `connection::writer` → socket; and back by `channel::settle` → `queue`.
//! ARCHITECTURE.md tells the same story whole.

pub mod cli;
pub mod config;
pub mod logging;
pub mod server;
pub mod startup;
pub mod broker;
pub mod connection;
pub mod channel;
pub mod message;
pub mod vhost;
pub mod queue;
pub mod persistence;
pub mod definitions;
pub mod alarms;
pub mod metrics;
pub mod auth;
pub mod secret;
pub mod error;
pub mod names;
pub mod clock;
pub mod healthcheck;
