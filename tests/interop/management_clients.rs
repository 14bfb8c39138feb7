//! The tools that operators have, at the management API: each does its everyday work.
//!
//! `AMQP_URL` is the broker and `MANAGEMENT` the address of its API. With `LEVERET_PEER` and
//! `LEVERET_PEER_HTTP` set, the same steps hold on RabbitMQ.

use std::process::Command;

use leveret_tests::broker_under_test::{Lent, built, repository, target_directory};
use leveret_tests::program::require;

use crate::scripts::{holds_at, python};

fn holds(mut script: Command, steps: &[&str]) {
    let broker = Lent::start_with_management();
    script.env("MANAGEMENT", broker.management().to_string());
    holds_at(&broker, script, steps);
}

fn shell(script: &str) -> Command {
    let mut command = Command::new(repository().join("tests/interop/shell").join(script));
    command.env("TOOLS", target_directory().join("management-tools"));
    command
}

fn tool(path: &str) {
    require(&target_directory().join("management-tools").join(path));
}

const OF_ADMIN: [&str; 15] = [
    "vhost",
    "permission",
    "exchange",
    "queue",
    "binding",
    "publish",
    "get",
    "policies",
    "limits",
    "lists",
    "formats",
    "definitions",
    "users",
    "refusals",
    "delete",
];

#[test]
fn rabbitmqadmin_of_the_first_kind() {
    tool("usr/bin/rabbitmqadmin");
    holds(shell("rabbitmqadmin.sh"), &OF_ADMIN);
}

/// The same script, with our own program of that name.
#[test]
fn rabbitmqadmin_of_ours() {
    let mut script = shell("rabbitmqadmin.sh");
    script.env("ADMIN", format!("{} rabbitmqadmin", built("leveret").display()));
    holds(script, &OF_ADMIN);
}

#[test]
fn nagios_plugins() {
    tool("usr/bin/check_rabbitmq_server");
    let steps = ["aliveness", "overview", "objects", "connections", "queue", "thresholds", "node"];
    holds(shell("nagios_plugins.sh"), &steps);
}

#[test]
fn pyrabbit2() {
    let steps = [
        "broker",
        "vhost",
        "permissions",
        "exchange",
        "queue",
        "binding",
        "publish_and_get",
        "lists",
        "purge",
        "users",
        "missing",
        "delete",
    ];
    holds(python("venv", "pyrabbit2_client.py"), &steps);
}

#[test]
fn flower() {
    holds(python("venv", "flower_client.py"), &["broker_page", "queue_of_tasks"]);
}
