//! Who a client is and what it may do.
//!
//! The handshake asks `sasl` what the client says and [`Users`] whether it is
//! true; channels ask `permissions`, through the handle that the handshake got,
//! before every operation. Users and permissions are durable: changes go through
//! the metadata store.

pub mod sasl;

mod users;
pub use users::{AuthError, LoginRefused, Users};

pub mod permissions;

pub mod password;

mod seed;
pub use seed::seed_if_empty;
