//! The clients in other languages: each script must print exactly the steps
//! named here, in this order, and end well.

use std::process::Command;

use leveret_tests::broker_under_test::{Lent, repository, target_directory};
use leveret_tests::deadline::TO_RUN;
use leveret_tests::program::{Program, require};

/// Runs a script against a broker and compares its steps.
fn holds(script: Command, steps: &[&str]) {
    holds_at(&Lent::start(), script, steps);
}

pub(crate) fn holds_at(broker: &Lent, mut script: Command, steps: &[&str]) {
    let finished = Program::start(script.env("AMQP_URL", broker.url())).finish(TO_RUN);
    let mut expected: Vec<String> = steps.iter().map(|step| format!("ok {step}")).collect();
    expected.push("done".to_owned());
    assert_eq!(finished.stdout, expected, "{script:?} complained: {}", finished.stderr);
    assert!(finished.status.success(), "{script:?} ended badly: {}", finished.stderr);
}

pub(crate) fn python(venv: &str, script: &str) -> Command {
    let interpreter = target_directory().join(venv).join("bin/python");
    require(&interpreter);
    let mut command = Command::new(interpreter);
    command.arg(repository().join("tests/interop/python").join(script));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn pika_blocking() {
    let steps = [
        "declare",
        "consume_and_ack",
        "nack_requeue",
        "get",
        "qos",
        "cancel",
        "properties",
        "large_body",
        "transaction",
        "mandatory_return",
        "overflow_nack",
        "missing_queue",
        "other_arguments",
        "delete",
        "close",
    ];
    holds(python("venv", "pika_blocking.py"), &steps);
}

const PIKA_CALLBACK_STEPS: [&str; 11] = [
    "open",
    "declare",
    "consume_and_ack",
    "nack_requeue",
    "confirms",
    "cancel",
    "get",
    "mandatory_return",
    "missing_queue",
    "delete",
    "close",
];

fn pika_callbacks(adapter: &str) {
    let mut script = python("venv", "pika_callbacks.py");
    script.arg(adapter);
    holds(script, &PIKA_CALLBACK_STEPS);
}

#[test]
fn pika_select() {
    pika_callbacks("select");
}

#[test]
fn pika_asyncio() {
    pika_callbacks("asyncio");
}

#[test]
fn pika_gevent() {
    pika_callbacks("gevent");
}

#[test]
fn pika_of_2018() {
    let steps = [
        "declare",
        "consume_and_ack",
        "nack_requeue",
        "confirms",
        "missing_queue",
        "close",
        "select_connection",
    ];
    holds(python("venv-pika-0.12", "pika_0_12.py"), &steps);
}

#[test]
fn aio_pika() {
    let steps = [
        "declare",
        "consume_and_ack",
        "nack_requeue",
        "get",
        "qos",
        "cancel",
        "mandatory_return",
        "transaction",
        "missing_queue",
        "delete",
    ];
    holds(python("venv", "aio_pika_client.py"), &steps);
}

#[test]
fn kombu() {
    let steps = [
        "declare",
        "publish_confirmed",
        "consume_and_ack",
        "nack_requeue",
        "cancel",
        "missing_queue",
        "delete",
    ];
    holds(python("venv", "kombu_client.py"), &steps);
}

#[test]
fn celery() {
    let steps = ["task", "group", "retry", "control", "delete"];
    holds(python("venv", "celery_client.py"), &steps);
}

/// A worker raises its prefetch count for each task with an ETA that it holds. Told another product
/// than RabbitMQ, kombu asked by `basic.qos` for a limit that the consumer it has does not get, and
/// what came behind a few such tasks waited for hours. kombu 5.7 does so of RabbitMQ from 4.0 on, too,
/// which has no limit for a whole channel; here there is one, and this worker is told a version that
/// has it.
#[test]
fn celery_workers() {
    let steps =
        ["mingle", "gossip", "ping", "eta", "inspect", "events", "revoke", "shutdown", "delete"];
    let broker = Lent::start_with("server_properties.version = 3.13.7\n");
    holds_at(&broker, python("venv", "celery_workers.py"), &steps);
}

/// One worker for everything, told as above of a version with a limit for a whole channel.
#[test]
fn celery_everyday() {
    let steps = [
        "retries_that_wait",
        "countdown",
        "chain_and_chord",
        "priorities",
        "remote_control",
        "consumers",
        "late_acknowledgement",
        "delete",
    ];
    let broker = Lent::start_with("server_properties.version = 3.13.7\n");
    holds_at(&broker, python("venv", "celery_everyday.py"), &steps);
}

#[test]
fn dramatiq() {
    let steps = ["message", "delay", "retries", "dead_letter", "priority", "delete"];
    holds(python("venv", "dramatiq_client.py"), &steps);
}

/// RabbitMQ 4.3 needs `deprecated_features.permit.…` for some of these, and has no way to allow
/// others: README has the list.
#[test]
fn what_rabbitmq_4_3_deprecates() {
    let steps = [
        "simple_queue",
        "simple_buffer",
        "amqpstorm_defaults",
        "channel_limit",
        "shared_transient_queue",
        "small_frames",
    ];
    holds(python("venv", "deprecated.py"), &steps);
}

#[test]
fn node_amqplib() {
    let modules = target_directory().join("node/node_modules");
    require(&modules.join("amqplib"));
    let mut script = Command::new("node");
    script.arg(repository().join("tests/interop/node/amqplib.js")).env("NODE_PATH", modules);
    let steps = [
        "declare",
        "consume_and_ack",
        "nack_requeue",
        "cancel",
        "confirms",
        "get",
        "mandatory_return",
        "large_body",
        "missing_queue",
        "unknown_delivery_tag",
        "delete",
        "close",
    ];
    holds(script, &steps);
}

#[test]
fn rabbitmq_c_tools() {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).any(|it| it.join("amqp-publish").exists());
    assert!(found, "amqp-publish is missing: run ./tests/setup first");
    let script = Command::new(repository().join("tests/interop/shell/amqp_tools.sh"));
    let steps = [
        "declare",
        "publish_and_get",
        "get_empty",
        "consume_and_ack",
        "large_body",
        "delete",
        "missing_queue",
        "bad_password",
    ];
    holds(script, &steps);
}
