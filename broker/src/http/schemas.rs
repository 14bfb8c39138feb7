//! What bodies say, as schemas of JSON (2020-12): for `openapi`.
//!
//! Stays true: a body that fits is read; as `lenient` does, numbers and flags may be texts, and null is
//! nothing.

use serde_json::{Map, Value, json};

/// Names a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The parts of a query that every list heeds.
pub(super) fn of_lists() -> Value {
    let part = |name: &str, schema: Value| json!({"name": name, "in": "query", "schema": schema});
    json!([
        part("page", json!({"type": "integer", "minimum": 1})),
        part("page_size", json!({"type": "integer", "minimum": 1, "maximum": 500})),
        part("name", json!({"type": "string"})),
        part("use_regex", json!({"type": "boolean"})),
        part("sort", json!({"type": "string"})),
        part("sort_reverse", json!({"type": "boolean"})),
        part("columns", json!({"type": "string"})),
    ])
}

fn text() -> Value {
    json!({"type": ["string", "number", "null"]})
}

fn flag() -> Value {
    json!({"anyOf": [{"type": ["boolean", "null"]}, {"enum": ["true", "false"]}]})
}

fn number() -> Value {
    json!({"anyOf": [{"type": ["integer", "null"]}, {"type": "string", "pattern": "^-?[0-9]+$"}]})
}

fn map() -> Value {
    json!({"type": ["object", "null"]})
}

fn words() -> Value {
    json!({"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}}]})
}

/// An object of these fields, of which some have to be there.
fn object(fields: &[(&str, Value)], required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties(fields), "required": required})
}

/// The same, and others are refused.
fn closed(fields: &[(&str, Value)], required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties(fields),
        "required": required,
        "additionalProperties": false,
    })
}

fn properties(fields: &[(&str, Value)]) -> Map<String, Value> {
    fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect()
}

/// All schemas, by their names.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    for (name, schema) in
        answers().into_iter().chain(of_access()).chain(of_topology()).chain(ours())
    {
        all.insert(name.to_owned(), schema);
    }
    all.into()
}

fn answers() -> Vec<(&'static str, Value)> {
    let page = object(
        &[
            ("items", json!({"type": "array"})),
            ("page", json!({"type": "integer"})),
            ("page_count", json!({"type": "integer"})),
            ("page_size", json!({"type": "integer"})),
            ("item_count", json!({"type": "integer"})),
            ("filtered_count", json!({"type": "integer"})),
            ("total_count", json!({"type": "integer"})),
        ],
        &["items", "page", "page_count", "page_size", "total_count"],
    );
    vec![
        ("error", object(&[("error", json!({"type": "string"})), ("reason", json!({}))], &[])),
        ("list", json!({"anyOf": [{"type": "array"}, page]})),
    ]
}

fn of_access() -> Vec<(&'static str, Value)> {
    let rights = ["configure", "write", "read"].map(|name| (name, text()));
    let topics = ["exchange", "write", "read"].map(|name| (name, text()));
    let user = [
        ("password", text()),
        ("password_hash", text()),
        ("hashing_algorithm", text()),
        ("tags", words()),
    ];
    let vhost = [
        ("description", text()),
        ("tags", words()),
        ("default_queue_type", text()),
        ("tracing", flag()),
        ("protected_from_deletion", flag()),
    ];
    let login = [("username", json!({"type": "string"})), ("password", json!({"type": "string"}))];
    vec![
        ("user", object(&user, &["tags"])),
        ("users", object(&[("users", words())], &["users"])),
        ("vhost", object(&vhost, &[])),
        ("permissions", object(&rights, &["configure", "write", "read"])),
        ("topic_permissions", object(&topics, &["exchange", "write", "read"])),
        ("value", object(&[("value", json!({}))], &["value"])),
        ("login", object(&login, &["username", "password"])),
        (
            "session",
            object(
                &[("user", json!({"type": "string"})), ("password", json!({"type": "string"}))],
                &["user", "password"],
            ),
        ),
        ("credentials", object(&[("username", text()), ("password", text())], &[])),
        ("cluster_name", object(&[("name", text())], &["name"])),
    ]
}

fn of_topology() -> Vec<(&'static str, Value)> {
    let queue =
        [("durable", flag()), ("auto_delete", flag()), ("arguments", map()), ("node", text())];
    let exchange = [
        ("type", text()),
        ("durable", flag()),
        ("auto_delete", flag()),
        ("internal", flag()),
        ("arguments", map()),
    ];
    let policy = [
        ("pattern", json!({"type": "string"})),
        ("definition", json!({"type": "object"})),
        ("priority", number()),
        ("apply-to", text()),
    ];
    let message = [
        ("routing_key", text()),
        ("properties", map()),
        ("payload", json!({"type": "string"})),
        ("payload_encoding", json!({"enum": ["string", "base64"]})),
    ];
    let modes = json!([
        "ack_requeue_true",
        "ack_requeue_false",
        "reject_requeue_true",
        "reject_requeue_false",
    ]);
    let get = [
        ("count", number()),
        ("ackmode", json!({"enum": modes})),
        ("encoding", json!({"enum": ["auto", "base64"]})),
        ("truncate", number()),
    ];
    let all = ["routing_key", "properties", "payload", "payload_encoding"];
    let growth = ["strategy", "vhost_pattern", "queue_pattern"];
    vec![
        ("queue", object(&queue, &[])),
        ("exchange", object(&exchange, &["type"])),
        ("binding", object(&[("routing_key", text()), ("arguments", map())], &[])),
        ("policy", object(&policy, &["pattern", "definition"])),
        ("message", object(&message, &all)),
        ("get", object(&get, &["count", "ackmode", "encoding"])),
        ("action", object(&[("action", text())], &["action"])),
        ("node", object(&[("node", text())], &["node"])),
        ("growth", object(&growth.map(|name| (name, text())), &growth)),
    ]
}

/// What is ours.
fn ours() -> Vec<(&'static str, Value)> {
    let filter = [
        ("exchange", text()),
        ("routing_key", text()),
        ("routing_key_regex", text()),
        ("headers", map()),
        ("header_regex", map()),
        ("text", text()),
        ("text_regex", text()),
        ("older_than", number()),
        ("newer_than", number()),
        ("app_id", text()),
        ("content_type", text()),
        ("correlation_id", text()),
        ("message_id", text()),
        ("reply_to", text()),
        ("type", text()),
        ("user_id", text()),
    ];
    let pick = [
        ("cursor", json!({"type": "string"})),
        ("sequence", json!({"type": "integer", "minimum": 0})),
    ];
    let picks = json!({
        "type": ["array", "null"], "maxItems": 1000, "items": closed(&pick, &["cursor", "sequence"]),
    });
    let mut operation = vec![
        ("filter", closed(&filter, &[])),
        ("messages", picks),
        ("state", json!({"enum": ["ready", "unacked", "delayed", null]})),
        ("limit", number()),
        ("rate", number()),
        ("dry_run", flag()),
    ];
    let plain = closed(&operation, &[]);
    let to = [("queue", text()), ("exchange", text()), ("routing_key", text())];
    operation.push(("destination", closed(&to, &[])));
    let pause = [("consumers", flag()), ("publishers", flag()), ("reason", text())];
    let route = [("routing_key", text()), ("headers", map()), ("properties", map())];
    let size = json!({"type": ["string", "integer"]});
    let amount = [("relative", json!({"type": "number"})), ("absolute", size)];
    vec![
        ("operation", plain),
        ("movement", closed(&operation, &["destination"])),
        ("amendment", closed(&[("arguments", map())], &["arguments"])),
        ("pause", closed(&pause, &[])),
        ("route", closed(&route, &[])),
        ("amount", object(&amount, &[])),
        ("log_level", object(&[("level", text()), ("category", text())], &["level"])),
    ]
}
