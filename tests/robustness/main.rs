//! Robustness over real sockets: the real binary, and clients that are slow, many, gone, or mad.
//!
//! Whatever a test does, at its end the broker must be alive, must not have panicked, and must serve
//! the next client. `conversation` makes what the fuzzer says, from seeds.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, wherever it notices"
)]

mod bodies;
mod conversation;
mod definitions;
mod descriptors;
mod flood;
mod fuzz;
mod half_open;
mod held_bytes;
mod idle;
mod logs;
mod long_life;
mod memory_alarm;
mod parked;
mod pressure;
mod random;
mod rates;
mod regressions;
mod slow;
mod storm;
mod unread;
mod vanishing;
mod weight;
