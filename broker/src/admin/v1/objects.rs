//! What the first rabbitmqadmin can be asked: objects, their arguments and where they are in the API.
//!
//! A room of `admin::v1`. Pure, data alone.

/// What can be listed.
pub(super) struct Listable {
    pub(super) name: &'static str,
    /// Whether there is a list for each vhost.
    pub(super) of_vhost: bool,
    /// The columns unless somebody says; all where there are none.
    pub(super) columns: &'static [&'static str],
    /// Members that are shown as JSON.
    pub(super) json: &'static [&'static str],
}

const fn listable(
    name: &'static str,
    of_vhost: bool,
    columns: &'static [&'static str],
    json: &'static [&'static str],
) -> Listable {
    Listable { name, of_vhost, columns, json }
}

pub(super) const LISTABLE: &[Listable] = &[
    listable("connections", false, &["name", "user", "channels"], &[]),
    listable("channels", false, &["name", "user"], &[]),
    listable("consumers", true, &[], &[]),
    listable("exchanges", true, &["name", "type"], &[]),
    listable("queues", true, &["name", "messages"], &[]),
    listable("bindings", true, &["source", "destination", "routing_key"], &[]),
    listable("users", false, &[], &[]),
    listable("vhosts", false, &["name", "messages"], &[]),
    listable("permissions", false, &[], &[]),
    listable("nodes", false, &["name", "type", "mem_used"], &[]),
    listable("parameters", false, &[], &["value"]),
    listable("policies", false, &[], &["definition"]),
    listable("operator_policies", false, &[], &["definition"]),
    listable("vhost_limits", false, &[], &["value"]),
];

pub(super) const SHOWABLE: &[Listable] = &[listable(
    "overview",
    false,
    &["rabbitmq_version", "cluster_name", "queue_totals.messages", "object_totals.queues"],
    &[],
)];

/// What something is done with.
pub(super) struct Object {
    pub(super) name: &'static str,
    /// Arguments that there must be; of those with `|` between, one.
    pub(super) mandatory: &'static [&'static str],
    /// Arguments that there may be, with the value that is sent without: JSON, or nothing.
    pub(super) optional: &'static [(&'static str, &'static str)],
    /// Arguments that are JSON.
    pub(super) json: &'static [&'static str],
    pub(super) path: &'static str,
}

const fn object(
    name: &'static str,
    mandatory: &'static [&'static str],
    optional: &'static [(&'static str, &'static str)],
    json: &'static [&'static str],
    path: &'static str,
) -> Object {
    Object { name, mandatory, optional, json, path }
}

const EXCHANGE: &str = "/exchanges/{vhost}/{name}";
const QUEUE: &str = "/queues/{vhost}/{name}";
const BINDINGS: &str = "/bindings/{vhost}/e/{source}/{destination_char}/{destination}";
const BINDING: &str =
    "/bindings/{vhost}/e/{source}/{destination_char}/{destination}/{properties_key}";
const VHOST: &str = "/vhosts/{name}";
const USER: &str = "/users/{name}";
const PERMISSION: &str = "/permissions/{vhost}/{user}";
const PARAMETER: &str = "/parameters/{component}/{vhost}/{name}";
const POLICY: &str = "/policies/{vhost}/{name}";
const OPERATOR_POLICY: &str = "/operator-policies/{vhost}/{name}";
const VHOST_LIMIT: &str = "/vhost-limits/{vhost}/{name}";

const NOTHING: &str = "";
const POLICY_DEFAULTS: &[(&str, &str)] = &[("priority", "0"), ("apply-to", NOTHING)];
const POLICY_JSON: &[&str] = &["definition", "priority"];

pub(super) const DECLARABLE: &[Object] = &[
    object(
        "exchange",
        &["name", "type"],
        &[
            ("auto_delete", "\"false\""),
            ("durable", "\"true\""),
            ("internal", "\"false\""),
            ("arguments", "{}"),
        ],
        &["arguments"],
        EXCHANGE,
    ),
    object(
        "queue",
        &["name"],
        &[
            ("auto_delete", "\"false\""),
            ("durable", "\"true\""),
            ("arguments", "{}"),
            ("node", NOTHING),
            ("queue_type", NOTHING),
        ],
        &["arguments"],
        QUEUE,
    ),
    object(
        "binding",
        &["source", "destination"],
        &[("destination_type", "\"queue\""), ("routing_key", "\"\""), ("arguments", "{}")],
        &["arguments"],
        BINDINGS,
    ),
    object("vhost", &["name"], &[("tracing", NOTHING)], &[], VHOST),
    object(
        "user",
        &["name", "password|password_hash", "tags"],
        &[("hashing_algorithm", NOTHING)],
        &[],
        USER,
    ),
    object("permission", &["vhost", "user", "configure", "write", "read"], &[], &[], PERMISSION),
    object("parameter", &["component", "name", "value"], &[], &["value"], PARAMETER),
    object("policy", &["name", "pattern", "definition"], POLICY_DEFAULTS, POLICY_JSON, POLICY),
    object(
        "operator_policy",
        &["name", "pattern", "definition"],
        POLICY_DEFAULTS,
        POLICY_JSON,
        OPERATOR_POLICY,
    ),
    object("vhost_limit", &["vhost", "name", "value"], &[], &["value"], VHOST_LIMIT),
];

pub(super) const DELETABLE: &[Object] = &[
    object("exchange", &["name"], &[], &[], EXCHANGE),
    object("queue", &["name"], &[], &[], QUEUE),
    object(
        "binding",
        &["source", "destination_type", "destination"],
        &[("properties_key", "\"~\"")],
        &[],
        BINDING,
    ),
    object("vhost", &["name"], &[], &[], VHOST),
    object("user", &["name"], &[], &[], USER),
    object("permission", &["vhost", "user"], &[], &[], PERMISSION),
    object("parameter", &["component", "name"], &[], &[], PARAMETER),
    object("policy", &["name"], &[], &[], POLICY),
    object("operator_policy", &["name"], &[], &[], OPERATOR_POLICY),
    object("vhost_limit", &["vhost", "name"], &[], &[], VHOST_LIMIT),
];

pub(super) const CLOSABLE: &[Object] =
    &[object("connection", &["name"], &[], &[], "/connections/{name}")];

pub(super) const PURGABLE: &[Object] =
    &[object("queue", &["name"], &[], &[], "/queues/{vhost}/{name}/contents")];

pub(super) const PUBLISH: Object = object(
    "publish",
    &["routing_key"],
    &[
        ("payload", NOTHING),
        ("properties", "{}"),
        ("exchange", "\"amq.default\""),
        ("payload_encoding", "\"string\""),
    ],
    &["properties"],
    "/exchanges/{vhost}/{exchange}/publish",
);

pub(super) const GET: Object = object(
    "get",
    &["queue"],
    &[
        ("count", "\"1\""),
        ("ackmode", "\"ack_requeue_true\""),
        ("payload_file", NOTHING),
        ("encoding", "\"auto\""),
    ],
    &[],
    "/queues/{vhost}/{queue}/get",
);
