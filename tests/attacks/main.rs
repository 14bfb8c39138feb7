//! What a network does to a broker that faces it: attacks on the real binary, beside a client that has
//! nothing to do with them.
//!
//! Each test is a row of the table of attacks in ARCHITECTURE.md. Whatever is done, the [`bystander`]
//! goes on publishing, consuming and acknowledging 200 messages a second; afterwards the process lives
//! and kept to its memory, nothing that was confirmed is lost, and every count is zero again.
//! `LEVERET_ATTACKS=full` makes them as large as the table says and holds the bystander to its
//! milliseconds; that wants a release build (`LEVERET_BIN`) and a quiet machine. Without it they are
//! small, and the bystander must merely be served.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, wherever it notices"
)]

mod bystander;
mod counts;
mod crowds;
mod field;
mod floods;
mod frames;
mod handshakes;
mod logins;
mod slow_ones;
mod soak;
mod topology;
mod trespass;
