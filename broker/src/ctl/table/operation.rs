//! Commands over what runs: queues, connections, definitions, watermarks, the broker itself.

use super::BOTH;
use crate::ctl::commands::{Act, Command, MANY, Missing, Request, Tool};
use crate::ctl::{apply, bodies, completions, definitions, operation, users};

pub(super) const TOPOLOGY: &[Command] = &[
    Command::new(
        "delete_queue",
        "[--vhost <vhost>] <queue_name> [--if-empty|-e] [--if-unused|-u]",
        (1, 1),
        "Deleting queue '{0}' on vhost '{vhost}' ...",
        Act::Own(operation::delete_queue),
    )
    .options(&["if-empty", "if-unused"]),
    Command::new(
        "purge_queue",
        "[--vhost <vhost>] <queue>",
        (1, 1),
        "Purging queue '{0}' in vhost '{vhost}' ...",
        Act::Own(operation::purge_queue),
    ),
    Command::new(
        "trace_on",
        "[--vhost <vhost>]",
        (0, 0),
        "Starting tracing for vhost \"{vhost}\" ...",
        Act::Own(operation::trace_on),
    ),
    Command::new(
        "trace_off",
        "[--vhost <vhost>]",
        (0, 0),
        "Stopping tracing for vhost \"{vhost}\" ...",
        Act::Own(operation::trace_off),
    ),
    Command::new(
        "export_definitions",
        "[<file_path> | \"-\"] [--vhost <vhost>] [--format json]",
        (0, 1),
        "",
        Act::Own(definitions::export),
    )
    .options(&["format"]),
    Command::new(
        "apply",
        "--file <file> [--dry-run] [--prune] [--vhost <vhost>]",
        (0, 1),
        "",
        Act::Own(apply::apply),
    )
    .options(&["prune"]),
    Command::new(
        "import_definitions",
        "[<file_path>] [--vhost <vhost>] [--format json] [--skip-if-unchanged]",
        (0, 1),
        "",
        Act::Own(definitions::import),
    )
    .options(&["format", "skip-if-unchanged"]),
];

pub(super) const OPERATION: &[Command] = &[
    Command::new(
        "close_connection",
        "<connection name> <explanation>",
        (2, 2),
        "Closing connection {0}, reason: {1}...",
        Act::Own(operation::close_connection),
    ),
    Command::new(
        "close_all_connections",
        "[--vhost <vhost> --limit <limit>] [--per-connection-delay <delay>] [--global] <explanation>",
        (1, 1),
        "",
        Act::Own(operation::close_all_connections),
    )
    .options(&["limit", "per-connection-delay", "global"]),
    Command::new(
        "close_all_user_connections",
        "<username> <explanation>",
        (2, 2),
        "Closing connections of user {0}, reason: {1}...",
        Act::Own(operation::close_all_user_connections),
    ),
    Command::new(
        "set_vm_memory_high_watermark",
        "<fraction> | absolute <value>",
        (1, 2),
        "",
        Act::Own(operation::set_memory_watermark),
    ),
    Command::new(
        "set_disk_free_limit",
        "<disk_limit> | mem_relative <fraction>",
        (1, 2),
        "",
        Act::Own(operation::set_disk_free_limit),
    ),
    Command::new(
        "set_log_level",
        "[<category>] <level>",
        (1, 2),
        "",
        Act::Own(operation::set_log_level),
    ),
    Command::new(
        "set_cluster_name",
        "<name>",
        (1, 1),
        "Setting cluster name to {0} ...",
        Act::Send(Request {
            method: "PUT",
            path: "/cluster-name",
            body: Some(bodies::cluster_name),
            missing: Missing::Broker,
        }),
    ),
    Command::new("stop", "[<pidfile>]", (0, 1), "", Act::Own(operation::stop)),
    Command::new("shutdown", "", (0, 0), "", Act::Own(operation::stop)),
    Command::new(
        "await_startup",
        "[--timeout <timeout>]",
        (0, 0),
        "",
        Act::Own(operation::await_startup),
    ),
    Command::new(
        "await_online_nodes",
        "<count> [--timeout <timeout>]",
        (1, 1),
        "",
        Act::Own(operation::await_startup),
    ),
    Command::new("wait", "<pidfile>", (0, 1), "", Act::Own(operation::await_startup)).tools(BOTH),
    Command::new("start_app", "", (0, 0), "Starting node {node} ...", Act::Own(operation::ping)),
    Command::new(
        "enable_feature_flag",
        "[--opt-in] <all | name_of_feature_flag>",
        (1, 1),
        "Enabling feature flag \"{0}\" ...",
        Act::Says(""),
    )
    .options(&["opt-in", "experimental"]),
    Command::new("enable_all_feature_flags", "", (0, 0), "", Act::Says("")),
    Command::new("force_gc", "", (0, 0), "", Act::Says("Memory is given back as it is freed")),
    Command::new("list_unresponsive_queues", "[<column>, ...]", (0, MANY), "", Act::Says(""))
        .options(&["local", "all"])
        .tools(BOTH),
    Command::new("rotate_logs", "", (0, 0), "", Act::Refuses(SIGNAL)),
    Command::new("stop_app", "", (0, 0), "", Act::Refuses(ONE_PROGRAM)),
    Command::new("reset", "", (0, 0), "", Act::Refuses(ONE_PROGRAM)),
    Command::new("force_reset", "", (0, 0), "", Act::Refuses(ONE_PROGRAM)),
    Command::new("join_cluster", "<existing_cluster_member_node>", (0, MANY), "", Act::Refuses(ALONE)),
    Command::new("forget_cluster_node", "<node>", (0, MANY), "", Act::Refuses(ALONE)),
    Command::new("eval", "<expression>", (0, MANY), "", Act::Refuses(ERLANG)),
    Command::new("eval_file", "<file>", (0, MANY), "", Act::Refuses(ERLANG)),
    Command::new("exec", "<expression>", (0, MANY), "", Act::Refuses(ERLANG)),
];

const ONE_PROGRAM: &str = "the broker is one program, which 'stop' ends and 'leveret server' starts; \
                           definitions go by being deleted";
const ALONE: &str = "there are no clusters yet";
const ERLANG: &str = "there is no Erlang here that could evaluate anything";
const SIGNAL: &str = "log files are opened anew when the broker gets SIGHUP";

pub(super) const OTHERS: &[Command] = &[
    Command::new(
        "rebalance",
        "< all | classic | quorum | stream >",
        (1, 1),
        "",
        Act::Says("There is one node: every queue is where it can be"),
    )
    .tools(&[Tool::Queues]),
    Command::new(
        "await_online_quorum_plus_one",
        "[--timeout <timeout>]",
        (0, 0),
        "Will wait for a quorum + 1 of nodes to be online for all quorum queues and streams ...",
        Act::Own(operation::await_startup),
    )
    .tools(&[Tool::Upgrade, Tool::Queues]),
    Command::new("drain", "", (0, 0), "", Act::Refuses(DRAIN)).tools(&[Tool::Upgrade]),
    Command::new("revive", "", (0, 0), "", Act::Says("Node {node} is not under maintenance"))
        .tools(&[Tool::Upgrade]),
    Command::new("post_upgrade", "", (0, 0), "", Act::Says("Done")).tools(&[Tool::Upgrade]),
    Command::new(
        "hash_password",
        "[<plaintext password>] [--algorithm <name>]",
        (0, 1),
        "",
        Act::Own(users::hash_password),
    )
    .options(&["algorithm"]),
    Command::new("completions", "<bash | zsh | fish>", (1, 1), "", Act::Own(completions::script)),
];

const DRAIN: &str =
    "there is no other node that clients could go to: 'stop' ends the broker in order";
