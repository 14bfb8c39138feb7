//! Who a client is and what it may do.
//!
//! The handshake asks `sasl` what the client says and [`Logins`] whether it is
//! true; channels ask `permissions`, through the handle that the handshake got,
//! before every operation. Users and permissions are durable: changes are commands
//! of `definitions`.

pub(crate) mod sasl;

mod slowdown;
mod verified;

pub(crate) mod explain;
mod http;
mod backends;
pub(crate) use backends::BackendError;
pub(crate) use http::{Http, Login, Question, Verdict, Who};

pub(crate) mod authority;
mod oauth2;
#[cfg(fuzzing)]
pub(crate) use oauth2::fuzzed as fuzzed_token;
pub(crate) use oauth2::{OAuth2, Token, TokenRights};
mod remote;

mod login;
pub(crate) use login::{Attempts, Logins};

mod users;
pub(crate) use users::Users;

mod changes;
pub(crate) use changes::AuthError;

mod foreseen;

pub(crate) mod permissions;
pub(crate) mod rights;

mod topics;
pub(crate) use topics::assert_rules as assert_topic_rules;

mod seed;
pub(crate) use seed::{SeedError, seed_if_empty};
