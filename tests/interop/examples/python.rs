//! The programs of `examples/python`, run in the virtual environment that
//! `tests/setup` makes.

use std::process::Command;

use super::patterns::{
    LIMIT, LOGS_READY, MESSAGES_READY, fresh_broker, heard, listening, says,
    work_goes_to_who_is_free, work_survives_a_worker,
};
use leveret_tests::broker_under_test::{repository, target_directory};
use leveret_tests::program::require;

pub(crate) fn python(script: &str, arguments: &[&str]) -> Command {
    let interpreter = target_directory().join("venv/bin/python");
    require(&interpreter);
    // CTRL+C must mean something even where the tests run in a shell's background.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(interpreter);
    command.arg(repository().join("examples/python").join(script)).args(arguments);
    command
}

#[test]
fn hello_world() {
    let broker = fresh_broker();
    says(python("send.py", &[]), &broker, &[" [x] Sent 'Hello World!'"]);
    let receiver = listening(python("receive.py", &[]), &broker, MESSAGES_READY);
    says(python("send.py", &[]), &broker, &[" [x] Sent 'Hello World!'"]);
    let received = " [x] Received 'Hello World!'";
    heard(&receiver, &[MESSAGES_READY, received, received]);

    receiver.interrupt();
    let finished = receiver.finish(LIMIT);
    assert!(finished.status.success(), "CTRL+C is a normal end: {}", finished.stderr);
    assert_eq!(finished.stdout.last().map(String::as_str), Some(" [*] Stopped"));
}

#[test]
fn a_task_survives_its_worker() {
    work_survives_a_worker(
        &fresh_broker(),
        || python("worker.py", &[]),
        || python("new_task.py", &[]),
    );
}

#[test]
fn a_free_worker_gets_the_next_task() {
    work_goes_to_who_is_free(
        &fresh_broker(),
        || python("worker.py", &[]),
        || python("new_task.py", &[]),
    );
}

#[test]
fn every_subscriber_gets_a_copy() {
    let broker = fresh_broker();
    says(python("emit_log.py", &["Unheard"]), &broker, &[" [x] Sent 'Unheard'"]);
    let one = listening(python("receive_logs.py", &[]), &broker, LOGS_READY);
    let two = listening(python("receive_logs.py", &[]), &broker, LOGS_READY);
    says(python("emit_log.py", &[]), &broker, &[" [x] Sent 'info: Hello World!'"]);
    heard(&one, &[LOGS_READY, " [x] info: Hello World!"]);
    heard(&two, &[LOGS_READY, " [x] info: Hello World!"]);
}

#[test]
fn routing_picks_the_severities() {
    let broker = fresh_broker();
    let subscriber =
        listening(python("receive_logs_direct.py", &["warning", "error"]), &broker, LOGS_READY);
    let emit = |severity, message| python("emit_log_direct.py", &[severity, message]);
    says(emit("info", "Unheard"), &broker, &[" [x] Sent 'info':'Unheard'"]);
    says(emit("error", "Disk is full"), &broker, &[" [x] Sent 'error':'Disk is full'"]);
    says(emit("warning", "Hot"), &broker, &[" [x] Sent 'warning':'Hot'"]);
    heard(&subscriber, &[LOGS_READY, " [x] 'error':'Disk is full'", " [x] 'warning':'Hot'"]);
}

#[test]
fn topics_fit_patterns() {
    let broker = fresh_broker();
    let some =
        listening(python("receive_logs_topic.py", &["kern.*", "*.critical"]), &broker, LOGS_READY);
    let all = listening(python("receive_logs_topic.py", &["#"]), &broker, LOGS_READY);
    let emit = |routing_key, message| python("emit_log_topic.py", &[routing_key, message]);
    says(emit("kern.boot.late", "1"), &broker, &[" [x] Sent 'kern.boot.late':'1'"]);
    says(emit("kern.critical", "2"), &broker, &[" [x] Sent 'kern.critical':'2'"]);
    says(emit("mail.critical", "3"), &broker, &[" [x] Sent 'mail.critical':'3'"]);
    heard(&some, &[LOGS_READY, " [x] 'kern.critical':'2'", " [x] 'mail.critical':'3'"]);
    let expected = [
        LOGS_READY,
        " [x] 'kern.boot.late':'1'",
        " [x] 'kern.critical':'2'",
        " [x] 'mail.critical':'3'",
    ];
    heard(&all, &expected);
}

#[test]
fn headers_match_all_or_any() {
    let broker = fresh_broker();
    let listener = |x_match| {
        let arguments = [x_match, "format=pdf", "type=report"];
        listening(python("receive_logs_headers.py", &arguments), &broker, LOGS_READY)
    };
    let (all, any) = (listener("all"), listener("any"));
    let emit = |message, headers: &[&str], printed: &str| {
        let mut command = python("emit_log_headers.py", &[message]);
        command.args(headers);
        says(command, &broker, &[&format!(" [x] Sent '{message}' with {printed}")]);
    };
    emit("none", &["format=txt"], "{'format': 'txt'}");
    emit("half", &["format=pdf"], "{'format': 'pdf'}");
    emit("both", &["format=pdf", "type=report"], "{'format': 'pdf', 'type': 'report'}");
    let both = " [x] 'both' with {'format': 'pdf', 'type': 'report'}";
    heard(&all, &[LOGS_READY, both]);
    heard(&any, &[LOGS_READY, " [x] 'half' with {'format': 'pdf'}", both]);
}

#[test]
fn rpc_answers() {
    let broker = fresh_broker();
    let server = listening(python("rpc_server.py", &[]), &broker, " [x] Awaiting RPC requests");
    let expected = [" [x] Requesting fib(30)", " [.] Got 832040"];
    says(python("rpc_client.py", &[]), &broker, &expected);
    heard(&server, &[" [x] Awaiting RPC requests", " [.] fib(30)"]);
}
