//! Commands that RabbitMQ has not: messages seen and moved, reasons, ways.

use crate::ctl::commands::{Act, Command};
use crate::ctl::{backing_up, looking};

/// Which messages, in every command over messages.
const WHICH: &[&str] =
    &["state", "key", "key-regex", "header", "text", "older-than", "newer-than", "limit", "rate"];

pub(super) const OURS: &[Command] = &[
    Command::new(
        "peek",
        "[--vhost <vhost>] <queue> [--count <n>] [--state ready|unacked|delayed] [--cursor <cursor>] \
         [--key <routing key>] [--header <name=value,...>] [--text <part of the body>]",
        (1, 1),
        "Messages in queue '{0}' of vhost '{vhost}' ...",
        Act::Own(looking::peek),
    )
    .options(&[
        "count", "cursor", "state", "key", "key-regex", "header", "text", "older-than", "newer-than",
    ]),
    Command::new(
        "delete_messages",
        "[--vhost <vhost>] <queue> [--key <routing key>] [--limit <n>] [--dry-run] ...",
        (1, 1),
        "Deleting messages of queue '{0}' in vhost '{vhost}' ...",
        Act::Own(looking::delete),
    )
    .options(WHICH),
    Command::new(
        "copy_messages",
        "[--vhost <vhost>] <queue> <queue> [--limit <n>] [--rate <messages/s>] [--dry-run] ...",
        (2, 2),
        "Copying messages of queue '{0}' to queue '{1}' in vhost '{vhost}' ...",
        Act::Own(looking::copy),
    )
    .options(WHICH),
    Command::new(
        "move_messages",
        "[--vhost <vhost>] <queue> <queue> [--limit <n>] [--rate <messages/s>] [--dry-run] ...",
        (2, 2),
        "Moving messages of queue '{0}' to queue '{1}' in vhost '{vhost}' ...",
        Act::Own(looking::move_on),
    )
    .options(WHICH),
    Command::new(
        "redrive",
        "[--vhost <vhost>] <queue of dead letters> [--limit <n>] [--rate <messages/s>] [--dry-run] ...",
        (1, 1),
        "Bringing dead letters of queue '{0}' in vhost '{vhost}' back to where they died ...",
        Act::Own(looking::redrive),
    )
    .options(WHICH),
    Command::new(
        "route",
        "[--vhost <vhost>] <exchange> [<routing key>] [--header <name=value,...>]",
        (1, 2),
        "",
        Act::Own(looking::route),
    )
    .options(&["header"]),
    Command::new(
        "explain",
        "[--vhost <vhost>] queue <queue> | connection <connection> | publish <exchange> [<routing key>]",
        (2, 3),
        "",
        Act::Own(looking::explain),
    )
    .options(&["header"]),
    Command::new(
        "pause_queue",
        "[--vhost <vhost>] <queue> [consumers | publishers]",
        (1, 2),
        "Pausing queue '{0}' in vhost '{vhost}' ...",
        Act::Own(looking::pause),
    ),
    Command::new(
        "resume_queue",
        "[--vhost <vhost>] <queue> [consumers | publishers]",
        (1, 2),
        "Letting queue '{0}' in vhost '{vhost}' go on ...",
        Act::Own(looking::resume),
    ),
    Command::new("backup", "<file> | -", (1, 1), "", Act::Own(backing_up::back_up)),
];
