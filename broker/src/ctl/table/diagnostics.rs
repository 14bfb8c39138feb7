//! Commands that look at the broker, and those of `rabbitmq-plugins`.

use super::BOTH;
use crate::ctl::commands::{Act, Command, MANY, Tool};
use crate::ctl::{diagnostics, operation, plugins};

const CHECKS: &[Tool] = &[Tool::Diagnostics];
const OF_PLUGINS: &[Tool] = &[Tool::Plugins];

pub(super) const DIAGNOSTICS: &[Command] = &[
    Command::new(
        "ping",
        "",
        (0, 0),
        "Will ping {node}. This only checks if the OS process is running.",
        Act::Own(operation::ping),
    )
    .tools(BOTH),
    Command::new(
        "status",
        "[--unit <unit>]",
        (0, 0),
        "Status of node {node} ...",
        Act::Own(diagnostics::status),
    )
    .options(&["unit"])
    .tools(BOTH),
    Command::new(
        "cluster_status",
        "",
        (0, 0),
        "Cluster status of node {node} ...",
        Act::Own(diagnostics::cluster_status),
    )
    .tools(BOTH),
    Command::new(
        "environment",
        "",
        (0, 0),
        "Application environment of node {node} ...",
        Act::Own(diagnostics::environment),
    )
    .tools(BOTH),
    Command::new(
        "check_running",
        "",
        (0, 0),
        "Checking if RabbitMQ is running on node {node} ...",
        Act::Own(diagnostics::check_running),
    )
    .tools(CHECKS),
    Command::new(
        "is_running",
        "",
        (0, 0),
        "Asking node {node} for its status ...",
        Act::Own(diagnostics::check_running),
    )
    .tools(CHECKS),
    Command::new(
        "is_booting",
        "",
        (0, 0),
        "Asking node {node} for its boot status ...",
        Act::Own(diagnostics::is_booting),
    )
    .tools(CHECKS),
    Command::new("check_local_alarms", "", (0, 0), "", Act::Own(diagnostics::check_local_alarms))
        .tools(CHECKS),
    Command::new(
        "check_alarms",
        "",
        (0, 0),
        "Asking node {node} to report any local resource alarms ...",
        Act::Own(diagnostics::check_alarms),
    )
    .tools(CHECKS),
    Command::new(
        "alarms",
        "",
        (0, 0),
        "Asking node {node} to report any known resource alarms ...",
        Act::Own(diagnostics::alarms),
    )
    .tools(CHECKS),
    Command::new(
        "check_port_connectivity",
        "",
        (0, 0),
        "Testing TCP connections to all active listeners on node {node} ...",
        Act::Own(diagnostics::check_port_connectivity),
    )
    .tools(CHECKS),
    Command::new(
        "check_port_listener",
        "<port>",
        (1, 1),
        "Asking node {node} if there's an active listener on port {0} ...",
        Act::Own(diagnostics::check_port_listener),
    )
    .tools(CHECKS),
    Command::new(
        "check_protocol_listener",
        "<protocol>",
        (1, 1),
        "Asking node {node} if there's an active listener for protocol {0} ...",
        Act::Own(diagnostics::check_protocol_listener),
    )
    .tools(CHECKS),
    Command::new(
        "check_virtual_hosts",
        "",
        (0, 0),
        "Checking if all vhosts are running on node {node} ...",
        Act::Own(diagnostics::check_virtual_hosts),
    )
    .tools(CHECKS),
    Command::new(
        "check_certificate_expiration",
        "",
        (0, 0),
        "Checking certificate expiration for all certificates on node {node} ...",
        Act::Own(diagnostics::check_certificate_expiration),
    )
    .options(&["unit"])
    .tools(CHECKS),
    Command::new(
        "check_if_node_is_quorum_critical",
        "",
        (0, 0),
        "Checking if node {node} is critical for quorum of any queues/streams ...",
        Act::Says(
            "Node {node} seems to be the only one in a single node cluster, the check does not \
                   apply",
        ),
    )
    .tools(&[Tool::Diagnostics, Tool::Queues]),
    Command::new(
        "check_if_metadata_store_is_initialized",
        "",
        (0, 0),
        "",
        Act::Own(diagnostics::check_running),
    )
    .tools(CHECKS),
    Command::new(
        "check_if_metadata_store_is_initialized_with_data",
        "",
        (0, 0),
        "",
        Act::Own(diagnostics::check_running),
    )
    .tools(CHECKS),
    Command::new(
        "check_if_any_deprecated_features_are_used",
        "",
        (0, 0),
        "Checking if any deprecated features are used ...",
        Act::Says("Cluster reported no deprecated features in use"),
    )
    .tools(CHECKS),
    Command::new(
        "listeners",
        "",
        (0, 0),
        "Asking node {node} to report its protocol listeners ...",
        Act::Own(diagnostics::listeners),
    )
    .tools(CHECKS),
    Command::new(
        "memory_breakdown",
        "",
        (0, 0),
        "Reporting memory breakdown on node {node}...",
        Act::Own(diagnostics::memory_breakdown),
    )
    .options(&["unit"])
    .tools(CHECKS),
    Command::new(
        "server_version",
        "",
        (0, 0),
        "Asking node {node} for its RabbitMQ version...",
        Act::Own(diagnostics::server_version),
    )
    .tools(CHECKS),
    Command::new("version", "", (0, 0), "", Act::Own(diagnostics::own_version)).tools(&[
        Tool::Ctl,
        Tool::Diagnostics,
        Tool::Queues,
        Tool::Plugins,
        Tool::Upgrade,
    ]),
    Command::new(
        "node_health_check",
        "",
        (0, 0),
        "",
        Act::Says("This command is DEPRECATED and is a no-op."),
    )
    .tools(BOTH),
];

pub(super) const PLUGINS: &[Command] = &[
    Command::new(
        "list",
        "[pattern] [--verbose] [--minimal] [--enabled]",
        (0, 1),
        "",
        Act::Own(plugins::list),
    )
    .options(&["verbose", "minimal", "enabled", "if-empty"])
    .tools(OF_PLUGINS),
    Command::new(
        "enable",
        "<plugin1> [<plugin2>] [--offline] [--online]",
        (0, MANY),
        "",
        Act::Own(plugins::enable),
    )
    .options(&["offline", "online", "all"])
    .tools(OF_PLUGINS),
    Command::new(
        "disable",
        "<plugin1> [<plugin2>] [--offline] [--online]",
        (0, MANY),
        "",
        Act::Own(plugins::disable),
    )
    .options(&["offline", "online", "all"])
    .tools(OF_PLUGINS),
    Command::new(
        "set",
        "[<plugin1> ...] [--offline] [--online]",
        (0, MANY),
        "",
        Act::Own(plugins::enable),
    )
    .options(&["offline", "online", "all"])
    .tools(OF_PLUGINS),
    Command::new(
        "is_enabled",
        "<plugin1> [<plugin2>] [--offline] [--online]",
        (1, MANY),
        "",
        Act::Own(plugins::is_enabled),
    )
    .options(&["offline", "online"])
    .tools(OF_PLUGINS),
];
