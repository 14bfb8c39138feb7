//! How the broker comes to machines: the image without an engine, by its entrypoint and configuration in
//! directories of the test's own and as an ordinary user (`config/docker/smoke` shows the same in
//! containers), and what a service manager is told.
#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

mod container;
mod entrypoint;
mod service;
mod testcontainers;
mod volumes;
