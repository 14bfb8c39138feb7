//! Robustness over real sockets: the real binary, and clients that are slow, many, gone, or mad.
//!
//! `broker` starts a broker for each test and watches its output, `wire` writes frames, `client` is
//! a client that waits for every answer. Whatever a test does, at its end the broker must be alive,
//! must not have panicked, and must serve the next client.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, wherever it notices"
)]

mod broker;
mod client;
mod conversation;
mod fuzz;
mod idle;
mod long_life;
mod random;
mod regressions;
mod slow;
mod storm;
mod vanishing;
mod wire;
