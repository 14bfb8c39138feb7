//! What the tests share: a broker to test and a client that hides nothing.
//!
//! [`raw_client`] speaks AMQP 0-9-1 frames over a blocking socket with a codec of its own, so that
//! a mistake in the broker's codec cannot hide behind the same mistake here.
//! [`broker_under_test`] starts the `leveret` binary, or names the broker that `LEVERET_PEER` points
//! at. [`http`] asks what it answers over HTTP. [`program`] runs clients of other makers, and
//! [`provider`] signs users in. All of them wait by way of [`deadline`].
//! Everything here panics with a sentence when the broker does not do what the test said it would:
//! a panic is how a test fails.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is only linked into tests, where a panic is the failure report"
)]

pub mod deadline;
pub mod raw_client;
pub mod broker_under_test;
pub mod certificates;
pub mod http;
pub mod metrics;
pub mod program;
pub mod provider;

use std::time::Instant;

/// The one place where the tests read the clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the tests wait on a real broker in real time")]
pub fn now() -> Instant {
    Instant::now()
}
