//! The management API: what it answers, a row a claim, a file a concept.
//!
//! `cargo test -p leveret-tests --test management` starts a broker and puts every row to it. With
//! `LEVERET_PEER_HTTP=http://guest:guest@127.0.0.1:15672` the rows are put to a RabbitMQ instead, save
//! those about what only Leveret has. Rows name what they make after themselves, so that they can be
//! put to a broker all at once, and take it away again.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod scene;

mod access;
mod bindings;
mod clients;
mod definitions;
mod delayed;
mod exchanges;
mod health;
mod keys;
mod limits;
mod lists;
mod local;
mod looking;
mod messages;
mod others;
mod parameters;
mod metrics;
mod pausing;
mod permissions;
mod policies;
mod queue_messages;
mod restocking;
mod queues;
mod session;
mod statistics;
mod streams;
mod users;
mod vhosts;
mod walk;
mod why;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use scene::{Api, Needs, Row};

/// Every concept and its rows, in reading order.
const CONCEPTS: &[(&str, &[Row])] = &[
    ("access", access::ROWS),
    ("session", session::ROWS),
    ("lists", lists::ROWS),
    ("users", users::ROWS),
    ("vhosts", vhosts::ROWS),
    ("permissions", permissions::ROWS),
    ("exchanges", exchanges::ROWS),
    ("queues", queues::ROWS),
    ("bindings", bindings::ROWS),
    ("messages", messages::ROWS),
    ("queue_messages", queue_messages::ROWS),
    ("restocking", restocking::ROWS),
    ("delayed", delayed::ROWS),
    ("pausing", pausing::ROWS),
    ("why", why::ROWS),
    ("streams", streams::ROWS),
    ("clients", clients::ROWS),
    ("statistics", statistics::ROWS),
    ("keys", keys::ROWS),
    ("metrics", metrics::ROWS),
    ("policies", policies::ROWS),
    ("definitions", definitions::ROWS),
    ("limits", limits::ROWS),
    ("parameters", parameters::ROWS),
    ("others", others::ROWS),
    ("walk", walk::ROWS),
    ("health", health::ROWS),
    ("local", local::ROWS),
    ("looking", looking::ROWS),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (concept, rows) in CONCEPTS {
        for (name, needs, script) in *rows {
            if *needs == Needs::Leveret && Api::peer().is_some() {
                continue;
            }
            let script = *script;
            trials.push(Trial::test(format!("{concept}::{name}"), move || {
                script(&scene::shared());
                Ok(())
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    scene::stop();
    conclusion.exit_code()
}
