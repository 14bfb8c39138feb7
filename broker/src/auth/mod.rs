//! Who a client is and what it may do.
//!
//! The handshake asks `sasl` what the client says and [`Users`] whether it is
//! true; channels ask `permissions`, through the handle that the handshake got,
//! before every operation. Users and permissions are durable: changes go through
//! the metadata store.

pub(crate) mod sasl;

mod users;
pub(crate) use users::Users;

pub(crate) mod permissions;

pub(crate) mod password;

mod seed;
pub(crate) use seed::seed_if_empty;
