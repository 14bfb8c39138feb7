//! The programs of `examples/rust`, built as cargo examples of this crate.

use std::process::Command;

use super::patterns::{
    LOGS_READY, MESSAGES_READY, fresh_broker, heard, listening, says, work_goes_to_who_is_free,
    work_survives_a_worker,
};
use super::python::python;
use leveret_tests::broker_under_test::built;

fn rust(example: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(built("examples").join(example));
    command.args(arguments);
    command
}

#[test]
fn hello_world() {
    let broker = fresh_broker();
    says(rust("hello_world", &["send"]), &broker, &[" [x] Sent 'Hello World!'"]);
    let receiver = listening(rust("hello_world", &["receive"]), &broker, MESSAGES_READY);
    says(rust("hello_world", &["send"]), &broker, &[" [x] Sent 'Hello World!'"]);
    let received = " [x] Received 'Hello World!'";
    heard(&receiver, &[MESSAGES_READY, received, received]);
}

#[test]
fn rust_and_python_talk_to_each_other() {
    let broker = fresh_broker();
    let receiver = listening(rust("hello_world", &["receive"]), &broker, MESSAGES_READY);
    says(python("send.py", &[]), &broker, &[" [x] Sent 'Hello World!'"]);
    heard(&receiver, &[MESSAGES_READY, " [x] Received 'Hello World!'"]);

    let ready = " [x] Awaiting RPC requests";
    let server = listening(python("rpc_server.py", &[]), &broker, ready);
    says(rust("rpc", &["call", "7"]), &broker, &[" [x] Requesting fib(7)", " [.] Got 13"]);
    heard(&server, &[ready, " [.] fib(7)"]);
}

#[test]
fn a_task_survives_its_worker() {
    work_survives_a_worker(
        &fresh_broker(),
        || rust("work_queue", &["work"]),
        || rust("work_queue", &["add"]),
    );
}

#[test]
fn a_free_worker_gets_the_next_task() {
    work_goes_to_who_is_free(
        &fresh_broker(),
        || rust("work_queue", &["work"]),
        || rust("work_queue", &["add"]),
    );
}

#[test]
fn every_subscriber_gets_a_copy() {
    let broker = fresh_broker();
    let one = listening(rust("publish_subscribe", &["receive"]), &broker, LOGS_READY);
    let two = listening(rust("publish_subscribe", &["receive"]), &broker, LOGS_READY);
    let emit = rust("publish_subscribe", &["emit", "Disk", "is", "full"]);
    says(emit, &broker, &[" [x] Sent 'Disk is full'"]);
    heard(&one, &[LOGS_READY, " [x] Disk is full"]);
    heard(&two, &[LOGS_READY, " [x] Disk is full"]);
}

#[test]
fn routing_picks_the_severities() {
    let broker = fresh_broker();
    let subscriber =
        listening(rust("routing", &["receive", "warning", "error"]), &broker, LOGS_READY);
    says(rust("routing", &["emit", "info", "no"]), &broker, &[" [x] Sent 'info':'no'"]);
    says(rust("routing", &["emit", "error", "yes"]), &broker, &[" [x] Sent 'error':'yes'"]);
    heard(&subscriber, &[LOGS_READY, " [x] 'error':'yes'"]);
}

#[test]
fn topics_fit_patterns() {
    let broker = fresh_broker();
    let subscriber =
        listening(rust("topics", &["receive", "kern.*", "*.critical"]), &broker, LOGS_READY);
    says(rust("topics", &["emit", "a.b.c", "1"]), &broker, &[" [x] Sent 'a.b.c':'1'"]);
    let emit = rust("topics", &["emit", "kern.critical", "2"]);
    says(emit, &broker, &[" [x] Sent 'kern.critical':'2'"]);
    let emit = rust("topics", &["emit", "mail.critical", "3"]);
    says(emit, &broker, &[" [x] Sent 'mail.critical':'3'"]);
    heard(&subscriber, &[LOGS_READY, " [x] 'kern.critical':'2'", " [x] 'mail.critical':'3'"]);
}

#[test]
fn headers_match_all_or_any() {
    let broker = fresh_broker();
    let listener = |x_match| {
        let arguments = ["receive", x_match, "format=pdf", "type=report"];
        listening(rust("headers", &arguments), &broker, LOGS_READY)
    };
    let (all, any) = (listener("all"), listener("any"));
    let half = rust("headers", &["emit", "half", "format=pdf"]);
    says(half, &broker, &[" [x] Sent 'half'"]);
    let both = rust("headers", &["emit", "both", "format=pdf", "type=report"]);
    says(both, &broker, &[" [x] Sent 'both'"]);
    heard(&all, &[LOGS_READY, " [x] 'both'"]);
    heard(&any, &[LOGS_READY, " [x] 'half'", " [x] 'both'"]);
}

#[test]
fn rpc_answers() {
    let broker = fresh_broker();
    let server = listening(rust("rpc", &["serve"]), &broker, " [x] Awaiting RPC requests");
    let expected = [" [x] Requesting fib(30)", " [.] Got 832040"];
    says(rust("rpc", &["call", "30"]), &broker, &expected);
    heard(&server, &[" [x] Awaiting RPC requests", " [.] fib(30)"]);
}
