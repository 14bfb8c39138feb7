//! Commands that show lists, and the columns that there are.

use super::BOTH;
use crate::ctl::commands::{Act, Command, List, MANY, Tool};
use crate::ctl::users;

const fn list(
    name: &'static str,
    banner: &'static str,
    path: &'static str,
    shown: usize,
    columns: &'static [(&'static str, &'static str)],
) -> Command {
    let act = Act::List(List { path, columns, shown, of_vhost: false });
    Command::new(name, "[<column>, ...]", (0, MANY), banner, act).tools(BOTH)
}

/// One whose columns are always the same.
const fn fixed(
    (name, arguments): (&'static str, &'static str),
    words: usize,
    banner: &'static str,
    path: &'static str,
    columns: &'static [(&'static str, &'static str)],
) -> Command {
    let act = Act::List(List { path, columns, shown: columns.len(), of_vhost: false });
    Command::new(name, arguments, (words, words), banner, act).tools(BOTH)
}

const POLICY: &[(&str, &str)] = &[
    ("vhost", "vhost"),
    ("name", "name"),
    ("pattern", "pattern"),
    ("apply-to", "apply-to"),
    ("definition", "definition!"),
    ("priority", "priority"),
];

pub(super) const LISTS: &[Command] = &[
    fixed(
        ("list_users", ""),
        0,
        "Listing users ...",
        "/users",
        &[("user", "name"), ("tags", "tags")],
    ),
    list(
        "list_vhosts",
        "Listing vhosts ...",
        "/vhosts",
        1,
        &[
            ("name", "name"),
            ("tracing", "tracing"),
            ("description", "description"),
            ("tags", "tags"),
            ("default_queue_type", "default_queue_type"),
            ("protected_from_deletion", "protected_from_deletion"),
            ("metadata", "metadata!"),
            ("cluster_state", "cluster_state"),
        ],
    ),
    fixed(
        ("list_permissions", "[--vhost <vhost>]"),
        0,
        "Listing permissions for vhost \"{vhost}\" ...",
        "/vhosts/{vhost}/permissions",
        &[("user", "user"), ("configure", "configure"), ("write", "write"), ("read", "read")],
    ),
    fixed(
        ("list_user_permissions", "<username>"),
        1,
        "Listing permissions for user \"{0}\" ...",
        "/users/{0}/permissions",
        &[("vhost", "vhost"), ("configure", "configure"), ("write", "write"), ("read", "read")],
    ),
    fixed(
        ("list_topic_permissions", "[--vhost <vhost>]"),
        0,
        "Listing topic permissions for vhost \"{vhost}\" ...",
        "/vhosts/{vhost}/topic-permissions",
        &[("user", "user"), ("exchange", "exchange"), ("write", "write"), ("read", "read")],
    ),
    fixed(
        ("list_user_topic_permissions", "<username>"),
        1,
        "Listing topic permissions for user \"{0}\" ...",
        "/users/{0}/topic-permissions",
        &[("vhost", "vhost"), ("exchange", "exchange"), ("write", "write"), ("read", "read")],
    ),
    fixed(
        ("list_policies", "[--vhost <vhost>]"),
        0,
        "Listing policies for vhost \"{vhost}\" ...",
        "/policies/{vhost}",
        POLICY,
    ),
    fixed(
        ("list_operator_policies", "[--vhost <vhost>]"),
        0,
        "Listing operator policy overrides for vhost \"{vhost}\" ...",
        "/operator-policies/{vhost}",
        POLICY,
    ),
    Command::new(
        "list_parameters",
        "[--vhost <vhost>]",
        (0, 0),
        "Listing runtime parameters for vhost \"{vhost}\" ...",
        Act::List(List {
            path: "/parameters",
            columns: &[("component", "component"), ("name", "name"), ("value", "value!")],
            shown: 3,
            of_vhost: true,
        }),
    )
    .tools(BOTH),
    fixed(
        ("list_global_parameters", ""),
        0,
        "Listing global runtime parameters ...",
        "/global-parameters",
        &[("name", "name"), ("value", "value!")],
    ),
    Command::new(
        "list_vhost_limits",
        "[--vhost <vhost>] [--global]",
        (0, 0),
        "Listing limits for vhost \"{vhost}\" ...",
        Act::Own(users::list_vhost_limits),
    )
    .options(&["global"])
    .tools(BOTH),
    Command::new(
        "list_user_limits",
        "[--user <username>] [--global]",
        (0, 0),
        "Listing limits for user \"{user}\" ...",
        Act::Own(users::list_user_limits),
    )
    .options(&["user", "global"])
    .tools(BOTH),
    list(
        "list_exchanges",
        "Listing exchanges for vhost {vhost} ...",
        "/exchanges/{vhost}",
        2,
        &[
            ("name", "name"),
            ("type", "type"),
            ("durable", "durable"),
            ("auto_delete", "auto_delete"),
            ("internal", "internal"),
            ("arguments", "arguments"),
            ("policy", "policy"),
            ("user_who_performed_action", "user_who_performed_action"),
        ],
    ),
    list(
        "list_bindings",
        "Listing bindings for vhost {vhost}...",
        "/bindings/{vhost}",
        6,
        &[
            ("source_name", "source"),
            ("source_kind", "=exchange"),
            ("destination_name", "destination"),
            ("destination_kind", "destination_type"),
            ("routing_key", "routing_key"),
            ("arguments", "arguments"),
            ("vhost", "vhost"),
        ],
    ),
    list("list_queues", "Listing queues for vhost {vhost} ...", "/queues/{vhost}", 2, QUEUE)
        .options(&["online", "offline", "local"])
        .tools(&[Tool::Ctl, Tool::Diagnostics, Tool::Queues]),
    list(
        "list_consumers",
        "Listing consumers in vhost {vhost} ...",
        "/consumers/{vhost}",
        7,
        &[
            ("queue_name", "queue.name"),
            ("channel_pid", "channel_details.name"),
            ("consumer_tag", "consumer_tag"),
            ("ack_required", "ack_required"),
            ("prefetch_count", "prefetch_count"),
            ("active", "active"),
            ("arguments", "arguments"),
            ("exclusive", "exclusive"),
            ("activity_status", "activity_status"),
        ],
    ),
    list("list_channels", "Listing channels ...", "/channels", 4, CHANNEL),
    list("list_connections", "Listing connections ...", "/connections", 4, CONNECTION),
    list(
        "list_feature_flags",
        "Listing feature flags ...",
        "/feature-flags",
        2,
        &[
            ("name", "name"),
            ("state", "state"),
            ("stability", "stability"),
            ("provided_by", "provided_by"),
            ("desc", "desc"),
            ("doc_url", "doc_url"),
        ],
    ),
    list(
        "list_deprecated_features",
        "Listing deprecated features ...",
        "/deprecated-features",
        2,
        &[
            ("name", "name"),
            ("deprecation_phase", "deprecation_phase"),
            ("state", "state"),
            ("desc", "desc"),
        ],
    ),
];

const QUEUE: &[(&str, &str)] = &[
    ("name", "name"),
    ("messages", "messages"),
    ("durable", "durable"),
    ("auto_delete", "auto_delete"),
    ("arguments", "arguments"),
    ("policy", "policy"),
    ("operator_policy", "operator_policy"),
    ("effective_policy_definition", "effective_policy_definition"),
    ("pid", "node"),
    ("owner_pid", "owner_pid_details.name"),
    ("exclusive", "exclusive"),
    ("exclusive_consumer_pid", "exclusive_consumer_pid"),
    ("exclusive_consumer_tag", "exclusive_consumer_tag"),
    ("single_active_consumer_tag", "single_active_consumer_tag"),
    ("messages_ready", "messages_ready"),
    ("messages_unacknowledged", "messages_unacknowledged"),
    ("messages_ready_ram", "messages_ready_ram"),
    ("messages_unacknowledged_ram", "messages_unacknowledged_ram"),
    ("messages_ram", "messages_ram"),
    ("messages_persistent", "messages_persistent"),
    ("message_bytes", "message_bytes"),
    ("message_bytes_ready", "message_bytes_ready"),
    ("message_bytes_unacknowledged", "message_bytes_unacknowledged"),
    ("message_bytes_ram", "message_bytes_ram"),
    ("message_bytes_persistent", "message_bytes_persistent"),
    ("head_message_timestamp", "head_message_timestamp"),
    ("disk_reads", "disk_reads"),
    ("disk_writes", "disk_writes"),
    ("consumers", "consumers"),
    ("consumer_utilisation", "consumer_utilisation"),
    ("consumer_capacity", "consumer_capacity"),
    ("memory", "memory"),
    ("state", "state"),
    ("type", "type"),
    ("leader", "leader"),
    ("members", "members"),
    ("online", "online"),
];

const CHANNEL: &[(&str, &str)] = &[
    ("pid", "name"),
    ("user", "user"),
    ("consumer_count", "consumer_count"),
    ("messages_unacknowledged", "messages_unacknowledged"),
    ("connection", "connection_details.name"),
    ("name", "name"),
    ("number", "number"),
    ("vhost", "vhost"),
    ("node", "node"),
    ("transactional", "transactional"),
    ("confirm", "confirm"),
    ("messages_uncommitted", "messages_uncommitted"),
    ("acks_uncommitted", "acks_uncommitted"),
    ("messages_unconfirmed", "messages_unconfirmed"),
    ("prefetch_count", "prefetch_count"),
    ("global_prefetch_count", "global_prefetch_count"),
];

const CONNECTION: &[(&str, &str)] = &[
    ("user", "user"),
    ("peer_host", "peer_host"),
    ("peer_port", "peer_port"),
    ("state", "state"),
    ("pid", "name"),
    ("name", "name"),
    ("port", "port"),
    ("host", "host"),
    ("node", "node"),
    ("ssl", "ssl"),
    ("ssl_protocol", "ssl_protocol"),
    ("ssl_cipher", "ssl_cipher"),
    ("peer_cert_subject", "peer_cert_subject"),
    ("peer_cert_issuer", "peer_cert_issuer"),
    ("peer_cert_validity", "peer_cert_validity"),
    ("channels", "channels"),
    ("protocol", "protocol"),
    ("auth_mechanism", "auth_mechanism"),
    ("vhost", "vhost"),
    ("timeout", "timeout"),
    ("frame_max", "frame_max"),
    ("channel_max", "channel_max"),
    ("client_properties", "client_properties"),
    ("connected_at", "connected_at"),
    ("recv_oct", "recv_oct"),
    ("recv_cnt", "recv_cnt"),
    ("send_oct", "send_oct"),
    ("send_cnt", "send_cnt"),
    ("send_pend", "send_pend"),
    ("user_provided_name", "user_provided_name"),
];
