//! What the second rabbitmqadmin can be asked, as data: names, options, what is asked of the API.
//!
//! A room of `admin::v2`. Pure. A command has its noun's name and its verb's: `queues list`, `list queues`.

use super::{Call, acts};
use crate::admin::{Ended, Said};

/// A command.
pub(super) struct Command {
    /// Its names, each a group and what is in it.
    pub(super) names: &'static [(&'static str, &'static str)],
    pub(super) options: &'static [Opt],
    pub(super) act: Act,
}

/// An option.
#[derive(Clone, Copy)]
pub(super) struct Opt {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) kind: Kind,
}

/// What an option is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has to be there.
    Required,
    /// It may be there.
    Optional,
    /// This, where it is not there.
    Default(&'static str),
    /// One or more, with commas or spaces between.
    List,
    /// Nothing.
    Flag,
    /// It is a word and no option.
    Word,
}

/// What a command does.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Shows a list.
    List(&'static str, &'static [Column]),
    /// Shows one object.
    Show(&'static str, &'static [Column]),
    /// Asks, and says nothing.
    Send(&'static str, &'static str),
    /// Says whether all is well.
    Health(&'static str),
    /// More than that.
    Own(fn(&Call<'_>) -> Result<Said, Ended>),
}

/// A column's name, and where its value is: a path of members; `+` behind it ends each line of an object, `0`
/// before it is what stands for nothing.
pub(super) type Column = (&'static str, &'static str);

pub(super) const fn required(long: &'static str) -> Opt {
    Opt { long, short: None, kind: Kind::Required }
}

pub(super) const fn optional(long: &'static str) -> Opt {
    Opt { long, short: None, kind: Kind::Optional }
}

pub(super) const fn default(long: &'static str, value: &'static str) -> Opt {
    Opt { long, short: None, kind: Kind::Default(value) }
}

pub(super) const fn list(long: &'static str) -> Opt {
    Opt { long, short: None, kind: Kind::List }
}

pub(super) const fn flag(long: &'static str) -> Opt {
    Opt { long, short: None, kind: Kind::Flag }
}

const fn short(short: char, opt: Opt) -> Opt {
    Opt { short: Some(short), ..opt }
}

pub(super) const fn command(
    names: &'static [(&'static str, &'static str)],
    options: &'static [Opt],
    act: Act,
) -> Command {
    Command { names, options, act }
}

pub(super) const NAME: Opt = required("name");
pub(super) const IDEMPOTENTLY: Opt = flag("idempotently");
const DELETES: &[Opt] = &[NAME, IDEMPOTENTLY];
const ARGUMENTS: Opt = default("arguments", "{}");
const BINDING: &[Opt] = &[
    required("source"),
    required("destination-type"),
    required("destination"),
    default("routing-key", ""),
    ARGUMENTS,
    IDEMPOTENTLY,
];
const PAGES: &[Opt] = &[optional("page"), optional("page-size"), optional("columns")];
const POLICY: &[Opt] = &[
    NAME,
    required("pattern"),
    required("apply-to"),
    default("priority", "0"),
    required("definition"),
];
const FILES: &[Opt] = &[default("file", "-"), flag("stdout"), flag("stdin")];
const EXPORTS: &[Opt] =
    &[default("file", "-"), flag("stdout"), flag("stdin"), short('t', list("transformations"))];

const QUEUES: &[Column] = &[
    ("name", "name"),
    ("vhost", "vhost"),
    ("queue_type", "type"),
    ("durable", "durable"),
    ("auto_delete", "auto_delete"),
    ("exclusive", "exclusive"),
    ("arguments", "arguments"),
    ("node", "node"),
    ("state", "state"),
    ("leader", "leader"),
    ("members", "members"),
    ("online", "online"),
    ("memory", "0memory"),
    ("consumer_count", "0consumers"),
    ("consumer_utilisation", "0consumer_utilisation"),
    ("policy", "policy"),
    ("operator_policy", "operator_policy"),
    ("message_bytes", "0message_bytes"),
    ("message_count", "0messages"),
    ("unacknowledged_message_count", "0messages_unacknowledged"),
];
const EXCHANGES: &[Column] = &[
    ("name", "name"),
    ("vhost", "vhost"),
    ("exchange_type", "type"),
    ("durable", "durable"),
    ("auto_delete", "auto_delete"),
    ("arguments", "arguments"),
];
const BINDINGS: &[Column] = &[
    ("vhost", "vhost"),
    ("source", "source"),
    ("destination", "destination"),
    ("destination_type", "destination_type"),
    ("routing_key", "routing_key"),
    ("arguments", "arguments"),
    ("properties_key", "properties_key"),
];
const USERS: &[Column] = &[("name", "name"), ("tags", "tags"), ("password_hash", "password_hash")];
pub(super) const VHOSTS: &[Column] = &[
    ("name", "name"),
    ("tags", "tags"),
    ("description", "description"),
    ("default_queue_type", "default_queue_type"),
];
const PERMISSIONS: &[Column] = &[
    ("user", "user"),
    ("vhost", "vhost"),
    ("configure", "configure"),
    ("read", "read"),
    ("write", "write"),
];
const CONNECTIONS: &[Column] = &[
    ("name", "name"),
    ("node", "node"),
    ("state", "state"),
    ("protocol", "protocol"),
    ("username", "user"),
    ("connected_at", "connected_at"),
    ("server_hostname", "host"),
    ("server_port", "port"),
    ("client_hostname", "peer_host"),
    ("client_port", "peer_port"),
    ("channel_max", "channel_max"),
    ("channel_count", "channels"),
];
const OF_USER: &[Column] =
    &[("name", "name"), ("node", "node"), ("username", "user"), ("vhost", "vhost")];
const CHANNELS: &[Column] = &[
    ("id", "number"),
    ("name", "name"),
    ("vhost", "vhost"),
    ("state", "state"),
    ("consumer_count", "consumer_count"),
    ("has_publisher_confirms_enabled", "confirm"),
    ("prefetch_count", "prefetch_count"),
    ("messages_unacknowledged", "messages_unacknowledged"),
    ("messages_unconfirmed", "messages_unconfirmed"),
];
const CONSUMERS: &[Column] = &[
    ("vhost", "queue.vhost"),
    ("queue", "queue.name"),
    ("consumer_tag", "consumer_tag"),
    ("manual_ack", "ack_required"),
    ("prefetch_count", "prefetch_count"),
    ("active", "active"),
    ("exclusive", "exclusive"),
    ("arguments", "arguments"),
    ("delivery_ack_timeout", "consumer_timeout"),
];
const NODES: &[Column] = &[
    ("name", "name"),
    ("uptime", "uptime"),
    ("run_queue", "run_queue"),
    ("processors", "processors"),
    ("os_pid", "os_pid"),
    ("fd_total", "fd_total"),
    ("total_erlang_processes", "proc_total"),
    ("memory_high_watermark", "mem_limit"),
    ("has_memory_alarm_in_effect", "mem_alarm"),
    ("free_disk_space_low_watermark", "disk_free_limit"),
    ("has_free_disk_space_alarm_in_effect", "disk_free_alarm"),
    ("rates_mode", "rates_mode"),
    ("enabled_plugins", "*enabled_plugins"),
    ("being_drained", "being_drained"),
    ("rabbitmq_version", "rabbitmq_version"),
    ("erlang_version", "erlang_version"),
    ("erlang_full_version", "erlang_full_version"),
    ("crypto_lib_version", "crypto_lib_version"),
];
pub(super) const POLICIES: &[Column] = &[
    ("name", "name"),
    ("vhost", "vhost"),
    ("pattern", "pattern"),
    ("apply_to", "apply-to"),
    ("priority", "priority"),
    ("definition", "definition+"),
];
const PARAMETERS: &[Column] =
    &[("name", "name"), ("vhost", "vhost"), ("component", "component"), ("value", "value+")];
const GLOBALS: &[Column] = &[("name", "name"), ("value", "!value+")];
const VHOST_LIMITS: &[Column] = &[("vhost", "vhost"), ("limits", "value+")];
const USER_LIMITS: &[Column] = &[("username", "user"), ("limits", "value+")];
const FLAGS: &[Column] = &[
    ("name", "name"),
    ("state", "state+"),
    ("description", "desc"),
    ("doc_url", "doc_url"),
    ("stability", "stability+"),
    ("provided_by", "provided_by"),
];
const DEPRECATED: &[Column] = &[
    ("name", "name"),
    ("description", "desc"),
    ("deprecation_phase", "deprecation_phase+"),
    ("doc_url", "doc_url"),
    ("provided_by", "provided_by"),
    ("state", "state"),
];

/// All of them.
pub(super) const COMMANDS: &[Command] = &[
    command(
        &[("queues", "list"), ("list", "queues"), ("streams", "list")],
        PAGES,
        Act::List("/queues/{vhost}", QUEUES),
    ),
    command(
        &[("exchanges", "list"), ("list", "exchanges")],
        PAGES,
        Act::List("/exchanges/{vhost}", EXCHANGES),
    ),
    command(&[("bindings", "list"), ("list", "bindings")], PAGES, Act::List("/bindings", BINDINGS)),
    command(&[("users", "list"), ("list", "users")], PAGES, Act::List("/users", USERS)),
    command(&[("vhosts", "list"), ("list", "vhosts")], PAGES, Act::List("/vhosts", VHOSTS)),
    command(
        &[("permissions", "list"), ("list", "permissions"), ("users", "permissions")],
        PAGES,
        Act::List("/permissions", PERMISSIONS),
    ),
    command(
        &[("connections", "list"), ("list", "connections")],
        PAGES,
        Act::List("/connections", CONNECTIONS),
    ),
    command(
        &[("connections", "list_of_user"), ("list", "user_connections"), ("users", "connections")],
        &[short('u', required("username"))],
        Act::List("/connections/username/{username}", OF_USER),
    ),
    command(&[("channels", "list"), ("list", "channels")], PAGES, Act::List("/channels", CHANNELS)),
    command(&[("list", "consumers")], PAGES, Act::List("/consumers/{vhost}", CONSUMERS)),
    command(&[("nodes", "list"), ("list", "nodes")], PAGES, Act::List("/nodes", NODES)),
    command(&[("policies", "list"), ("list", "policies")], PAGES, Act::List("/policies", POLICIES)),
    command(
        &[("policies", "list_in")],
        &[optional("apply-to")],
        Act::List("/policies/{vhost}", POLICIES),
    ),
    command(
        &[("operator_policies", "list"), ("list", "operator_policies")],
        PAGES,
        Act::List("/operator-policies", POLICIES),
    ),
    command(
        &[("operator_policies", "list_in")],
        &[optional("apply-to")],
        Act::List("/operator-policies/{vhost}", POLICIES),
    ),
    command(&[("parameters", "list_all")], &[], Act::List("/parameters", PARAMETERS)),
    command(
        &[("parameters", "list"), ("list", "parameters")],
        &[optional("component")],
        Act::Own(acts::parameters),
    ),
    command(
        &[("parameters", "list_in")],
        &[required("component")],
        Act::List("/parameters/{component}/{vhost}", PARAMETERS),
    ),
    command(&[("global_parameters", "list")], &[], Act::List("/global-parameters", GLOBALS)),
    command(
        &[("vhost_limits", "list"), ("list", "vhost_limits")],
        &[],
        Act::List("/vhost-limits/{vhost}", VHOST_LIMITS),
    ),
    command(
        &[("user_limits", "list"), ("list", "user_limits"), ("users", "limits")],
        &[optional("username")],
        Act::List("/user-limits", USER_LIMITS),
    ),
    command(
        &[("feature_flags", "list"), ("list", "feature_flags")],
        &[],
        Act::List("/feature-flags", FLAGS),
    ),
    command(
        &[("deprecated_features", "list"), ("list", "deprecated_features")],
        &[],
        Act::List("/deprecated-features", DEPRECATED),
    ),
    command(
        &[("deprecated_features", "list_used"), ("list", "deprecated_features_in_use")],
        &[],
        Act::List("/deprecated-features/used", DEPRECATED),
    ),
    command(
        &[("queues", "show"), ("streams", "show")],
        &[NAME, optional("columns")],
        Act::Show("/queues/{vhost}/{name}", QUEUES),
    ),
    command(&[("show", "overview")], &[], Act::Own(acts::overview)),
    command(&[("show", "churn")], &[], Act::Own(acts::churn)),
    command(&[("show", "endpoint")], &[], Act::Own(acts::endpoint)),
    command(
        &[("queues", "declare"), ("declare", "queue")],
        &[
            NAME,
            default("type", "classic"),
            default("durable", "true"),
            default("auto-delete", "false"),
            ARGUMENTS,
        ],
        Act::Own(acts::declare_queue),
    ),
    command(
        &[("streams", "declare"), ("declare", "stream")],
        &[
            NAME,
            required("expiration"),
            optional("max-length-bytes"),
            optional("stream-max-segment-size-bytes"),
            ARGUMENTS,
        ],
        Act::Own(acts::declare_stream),
    ),
    command(
        &[("exchanges", "declare"), ("declare", "exchange")],
        &[
            NAME,
            default("type", "direct"),
            default("durable", "true"),
            default("auto-delete", "false"),
            ARGUMENTS,
        ],
        Act::Own(acts::declare_exchange),
    ),
    command(
        &[("bindings", "declare"), ("declare", "binding"), ("exchanges", "bind")],
        BINDING,
        Act::Own(acts::bind),
    ),
    command(
        &[("bindings", "delete"), ("delete", "binding"), ("exchanges", "unbind")],
        BINDING,
        Act::Own(acts::unbind),
    ),
    command(
        &[("users", "declare"), ("declare", "user")],
        &[
            NAME,
            default("password-hash", ""),
            default("password", ""),
            default("hashing-algorithm", "SHA256"),
            default("tags", ""),
        ],
        Act::Own(acts::declare_user),
    ),
    command(
        &[("vhosts", "declare"), ("declare", "vhost")],
        &[NAME, optional("default-queue-type"), optional("description"), flag("tracing")],
        Act::Own(acts::declare_vhost),
    ),
    command(
        &[("permissions", "declare"), ("declare", "permissions")],
        &[
            short('u', required("username")),
            required("configure"),
            required("read"),
            required("write"),
        ],
        Act::Own(acts::declare_permissions),
    ),
    command(
        &[("parameters", "set"), ("declare", "parameter")],
        &[NAME, required("component"), required("value")],
        Act::Own(acts::set_parameter),
    ),
    command(
        &[("global_parameters", "set")],
        &[NAME, required("value")],
        Act::Own(acts::set_global),
    ),
    command(
        &[("policies", "declare"), ("declare", "policy")],
        POLICY,
        Act::Own(acts::declare_policy),
    ),
    command(
        &[("operator_policies", "declare"), ("declare", "operator_policy")],
        POLICY,
        Act::Own(acts::declare_operator_policy),
    ),
    command(
        &[("vhost_limits", "declare"), ("declare", "vhost_limit")],
        &[NAME, required("value")],
        Act::Own(acts::limit_vhost),
    ),
    command(
        &[("user_limits", "declare"), ("declare", "user_limit")],
        &[short('u', required("username")), NAME, required("value")],
        Act::Own(acts::limit_user),
    ),
    command(
        &[("queues", "delete"), ("delete", "queue"), ("streams", "delete"), ("delete", "stream")],
        DELETES,
        Act::Send("DELETE", "/queues/{vhost}/{name}"),
    ),
    command(
        &[("exchanges", "delete"), ("delete", "exchange")],
        DELETES,
        Act::Send("DELETE", "/exchanges/{vhost}/{name}"),
    ),
    command(
        &[("users", "delete"), ("delete", "user")],
        DELETES,
        Act::Send("DELETE", "/users/{name}"),
    ),
    command(
        &[("vhosts", "delete"), ("delete", "vhost")],
        DELETES,
        Act::Send("DELETE", "/vhosts/{name}"),
    ),
    command(
        &[("vhosts", "enable_deletion_protection")],
        &[NAME],
        Act::Send("POST", "/vhosts/{name}/deletion/protection"),
    ),
    command(
        &[("vhosts", "disable_deletion_protection")],
        &[NAME],
        Act::Send("DELETE", "/vhosts/{name}/deletion/protection"),
    ),
    command(
        &[("permissions", "delete"), ("delete", "permissions")],
        &[short('u', required("username")), IDEMPOTENTLY],
        Act::Send("DELETE", "/permissions/{vhost}/{username}"),
    ),
    command(
        &[("parameters", "clear"), ("delete", "parameter")],
        &[NAME, required("component"), IDEMPOTENTLY],
        Act::Send("DELETE", "/parameters/{component}/{vhost}/{name}"),
    ),
    command(
        &[("global_parameters", "clear")],
        DELETES,
        Act::Send("DELETE", "/global-parameters/{name}"),
    ),
    command(
        &[("policies", "delete"), ("delete", "policy")],
        DELETES,
        Act::Send("DELETE", "/policies/{vhost}/{name}"),
    ),
    command(
        &[("operator_policies", "delete"), ("delete", "operator_policy")],
        DELETES,
        Act::Send("DELETE", "/operator-policies/{vhost}/{name}"),
    ),
    command(
        &[("vhost_limits", "delete"), ("delete", "vhost_limit")],
        &[NAME],
        Act::Send("DELETE", "/vhost-limits/{vhost}/{name}"),
    ),
    command(
        &[("user_limits", "delete"), ("delete", "user_limit")],
        &[short('u', required("username")), NAME],
        Act::Send("DELETE", "/user-limits/{username}/{name}"),
    ),
    command(
        &[("queues", "purge"), ("purge", "queue")],
        &[NAME],
        Act::Send("DELETE", "/queues/{vhost}/{name}/contents"),
    ),
    command(
        &[("queues", "rebalance"), ("rebalance", "queues")],
        &[],
        Act::Send("POST", "/rebalance/queues"),
    ),
    command(
        &[("connections", "close"), ("close", "connection")],
        DELETES,
        Act::Send("DELETE", "/connections/{name}"),
    ),
    command(
        &[("connections", "close_of_user"), ("close", "user_connections")],
        &[short('u', required("username")), IDEMPOTENTLY],
        Act::Send("DELETE", "/connections/username/{username}"),
    ),
    command(
        &[("feature_flags", "enable")],
        &[NAME],
        Act::Send("PUT", "/feature-flags/{name}/enable"),
    ),
    command(&[("feature_flags", "enable_all")], &[], Act::Own(acts::nothing)),
    command(
        &[("publish", "message"), ("messages", "publish")],
        &[
            short('k', default("routing-key", "")),
            short('e', default("exchange", "")),
            short('m', default("payload", "test")),
            short('p', default("properties", "{}")),
        ],
        Act::Own(acts::publish),
    ),
    command(
        &[("get", "messages"), ("messages", "get")],
        &[
            short('q', required("queue")),
            short('c', default("count", "1")),
            short('a', default("ack-mode", "ack_requeue_false")),
        ],
        Act::Own(acts::get),
    ),
    command(
        &[("definitions", "export"), ("export", "definitions")],
        EXPORTS,
        Act::Own(acts::export),
    ),
    command(&[("definitions", "export_from_vhost")], EXPORTS, Act::Own(acts::export_vhost)),
    command(&[("definitions", "import"), ("import", "definitions")], FILES, Act::Own(acts::import)),
    command(&[("definitions", "import_into_vhost")], FILES, Act::Own(acts::import_vhost)),
    command(
        &[("passwords", "salt_and_hash")],
        &[
            Opt { long: "cleartext", short: None, kind: Kind::Word },
            default("hashing-algorithm", "SHA256"),
        ],
        Act::Own(acts::salt_and_hash),
    ),
    command(&[("health_check", "local_alarms")], &[], Act::Health("/health/checks/local-alarms")),
    command(&[("health_check", "cluster_wide_alarms")], &[], Act::Health("/health/checks/alarms")),
    command(
        &[("health_check", "node_is_quorum_critical")],
        &[],
        Act::Health("/health/checks/node-is-quorum-critical"),
    ),
    command(
        &[("health_check", "port_listener")],
        &[required("port")],
        Act::Health("/health/checks/port-listener/{port}"),
    ),
    command(
        &[("health_check", "protocol_listener")],
        &[required("protocol")],
        Act::Health("/health/checks/protocol-listener/{protocol}"),
    ),
];
