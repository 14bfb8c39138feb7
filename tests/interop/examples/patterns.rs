//! The conversations that both sets of examples hold, in terms of programs to
//! start and lines to see; `python` and `rust` say which programs.

use std::process::Command;
use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use leveret_tests::broker_under_test::Lent;
use leveret_tests::deadline::run_in_time;
use leveret_tests::program::Program;

/// How long any one line may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The line with which a subscriber says that it listens.
pub(crate) const LOGS_READY: &str = " [*] Waiting for logs. To exit press CTRL+C";
/// The line with which a consumer of a shared queue says that it listens.
pub(crate) const MESSAGES_READY: &str = " [*] Waiting for messages. To exit press CTRL+C";

/// A broker without leftovers of earlier runs.
pub(crate) fn fresh_broker() -> Lent {
    let broker = Lent::start();
    let cleaned = run_in_time("a clean broker", forget_names(&broker.url()));
    cleaned.expect("the broker can be cleaned");
    broker
}

/// Deleting what does not exist is no error in RabbitMQ's AMQP 0-9-1.
async fn forget_names(url: &str) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for queue in ["hello", "task_queue", "rpc_queue"] {
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    }
    for exchange in ["logs", "direct_logs", "topic_logs", "headers_logs"] {
        channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await?;
    }
    connection.close(200, "clean".into()).await
}

/// Starts a program that waits for messages, and waits until it does.
pub(crate) fn listening(mut command: Command, broker: &Lent, ready: &str) -> Program {
    let program = Program::start(command.env("AMQP_URL", broker.url()));
    program.wait_for_line(ready, LIMIT);
    program
}

/// Runs a program that ends by itself, and checks all that it prints.
pub(crate) fn says(mut command: Command, broker: &Lent, expected: &[&str]) {
    let finished = Program::start(command.env("AMQP_URL", broker.url())).finish(LIMIT);
    assert_eq!(finished.stdout, expected, "{command:?} said otherwise: {}", finished.stderr);
    assert!(finished.status.success(), "{command:?} ended badly: {}", finished.stderr);
}

/// Checks everything a listening program has printed, the line of readiness
/// included. What must not arrive is sent before what must, so that it would
/// have been printed by then.
pub(crate) fn heard(program: &Program, expected: &[&str]) {
    assert_eq!(program.wait_for_lines(expected.len(), LIMIT), expected);
}

/// A worker that dies in the middle of a task leaves it to the next one.
pub(crate) fn work_survives_a_worker(broker: &Lent, work: fn() -> Command, add: fn() -> Command) {
    let dying = listening(work(), broker, MESSAGES_READY);
    let mut slow_task = add();
    slow_task.arg("Slow task..............................");
    says(slow_task, broker, &[" [x] Sent 'Slow task..............................'"]);
    dying.wait_for_line(" [x] Received 'Slow task..............................'", LIMIT);
    drop(dying);

    let heir = listening(work(), broker, MESSAGES_READY);
    heir.wait_for_line(" [x] Received 'Slow task..............................'", LIMIT);
}

/// With a prefetch of one, a second task goes to the worker that is free.
pub(crate) fn work_goes_to_who_is_free(broker: &Lent, work: fn() -> Command, add: fn() -> Command) {
    let busy = listening(work(), broker, MESSAGES_READY);
    let mut first = add();
    first.arg("Long.........................");
    says(first, broker, &[" [x] Sent 'Long.........................'"]);
    heard(&busy, &[MESSAGES_READY, " [x] Received 'Long.........................'"]);

    let free = listening(work(), broker, MESSAGES_READY);
    for task in ["One", "Two", "Three"] {
        let mut next = add();
        next.arg(task);
        says(next, broker, &[&format!(" [x] Sent '{task}'")]);
    }
    let expected = [
        MESSAGES_READY,
        " [x] Received 'One'",
        " [x] Done",
        " [x] Received 'Two'",
        " [x] Done",
        " [x] Received 'Three'",
        " [x] Done",
    ];
    heard(&free, &expected);
}
