//! Stock clients do their everyday work over real sockets: declare, publish,
//! consume, settle, confirm, return, cancel, transactions and errors.
//!
//! Clients in other languages are scripts beside this file that print one line
//! for each step that held; clients in Rust are modules; `examples` runs the programs of `examples/`. `tests/setup` installs
//! what the scripts need, and what is missing fails. With `LEVERET_PEER` set,
//! the same tests prove their expectations on RabbitMQ.
#![expect(clippy::expect_used, reason = "a test reports a broken environment by panicking")]

mod amqprs_client;
mod examples;
mod http_client;
mod lapin_client;
mod management_clients;
mod prometheus;
mod scripts;
