//! What is asked: the paths of the API that answer with something, with names for what the stage made.

use serde_json::Value;

/// The vhost that the stage is in.
pub(super) const VHOST: &str = "keys";
/// A user with rights there.
pub(super) const USER: &str = "keys-u1";

const GET_BODY: &str = r#"{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}"#;
const PUBLISH_BODY: &str =
    r#"{"routing_key":"zz","properties":{},"payload":"hi","payload_encoding":"string"}"#;

/// Method, path under `/api/`, and body.
pub(super) const ASKED: &[(&str, &str, &str)] = &[
    ("GET", "aliveness-test/{vhost}", ""),
    ("GET", "auth", ""),
    ("GET", "auth/attempts/{node}", ""),
    ("GET", "auth/attempts/{node}/source", ""),
    ("GET", "auth/hash_password/abc", ""),
    ("GET", "bindings", ""),
    ("GET", "bindings/{vhost}", ""),
    ("GET", "bindings/{vhost}/e/x1/q/q1", ""),
    ("GET", "channels", ""),
    ("GET", "channels/{channel}", ""),
    ("GET", "channels/{consumer}", ""),
    ("GET", "cluster-name", ""),
    ("GET", "connections", ""),
    ("GET", "connections/username/guest", ""),
    ("GET", "connections/{connection}", ""),
    ("GET", "connections/{connection}/channels", ""),
    ("GET", "consumers", ""),
    ("GET", "consumers/{vhost}", ""),
    ("GET", "definitions", ""),
    ("GET", "definitions/{vhost}", ""),
    ("GET", "deprecated-features", ""),
    ("GET", "deprecated-features/used", ""),
    ("GET", "exchanges", ""),
    ("GET", "exchanges/{vhost}/x1", ""),
    ("GET", "exchanges/{vhost}/x1/bindings/destination", ""),
    ("GET", "exchanges/{vhost}/x1/bindings/source", ""),
    ("GET", "extensions", ""),
    ("GET", "feature-flags", ""),
    ("GET", "global-parameters", ""),
    ("GET", "global-parameters/gp1", ""),
    ("GET", "health/checks/alarms", ""),
    ("GET", "health/checks/below-node-connection-limit", ""),
    ("GET", "health/checks/certificate-expiration/1/days", ""),
    ("GET", "health/checks/is-in-service", ""),
    ("GET", "health/checks/local-alarms", ""),
    ("GET", "health/checks/metadata-store/initialized", ""),
    ("GET", "health/checks/metadata-store/initialized/with-data", ""),
    ("GET", "health/checks/node-is-mirror-sync-critical", ""),
    ("GET", "health/checks/node-is-quorum-critical", ""),
    ("GET", "health/checks/port-listener/1", ""),
    ("GET", "health/checks/port-listener/{port}", ""),
    ("GET", "health/checks/protocol-listener/amqp", ""),
    ("GET", "health/checks/quorum-queues-without-elected-leaders/all-vhosts", ""),
    ("GET", "health/checks/ready-to-serve-clients", ""),
    ("GET", "health/checks/virtual-hosts", ""),
    ("GET", "healthchecks/node", ""),
    ("GET", "nodes", ""),
    ("GET", "nodes/{node}", ""),
    ("GET", "nodes/{node}/memory", ""),
    ("GET", "nodes/{node}/memory/relative", ""),
    ("GET", "operator-policies", ""),
    ("GET", "operator-policies/{vhost}/op1", ""),
    ("GET", "overview", ""),
    ("GET", "overview?msg_rates_age=60&msg_rates_incr=5&lengths_age=60&lengths_incr=5", ""),
    ("GET", "parameters", ""),
    ("GET", "permissions", ""),
    ("GET", "permissions/{vhost}/{user}", ""),
    ("GET", "policies", ""),
    ("GET", "policies/{vhost}/p1", ""),
    ("GET", "queues", ""),
    ("GET", "queues//", ""),
    ("GET", "queues/detailed", ""),
    ("GET", "queues/quorum/{vhost}/qq1/status", ""),
    ("GET", "queues/{vhost}", ""),
    ("GET", "queues/{vhost}/q1", ""),
    ("GET", "queues/{vhost}/q1/bindings", ""),
    ("GET", "queues/{vhost}/qq1", ""),
    ("GET", "queues/{vhost}/s1", ""),
    ("GET", "queues?disable_stats=true&enable_queue_totals=true", ""),
    ("GET", "queues?page=1&name=%5Eq&use_regex=true&page_size=10", ""),
    ("GET", "queues?page=1&page_size=2&sort=name&columns=name,messages", ""),
    ("GET", "topic-permissions", ""),
    ("GET", "topic-permissions/{vhost}/{user}", ""),
    ("GET", "user-limits", ""),
    ("GET", "user-limits/{user}", ""),
    ("GET", "users", ""),
    ("GET", "users/without-permissions", ""),
    ("GET", "users/{user}", ""),
    ("GET", "users/{user}/permissions", ""),
    ("GET", "users/{user}/topic-permissions", ""),
    ("GET", "version", ""),
    ("GET", "vhost-limits", ""),
    ("GET", "vhost-limits/{vhost}", ""),
    ("GET", "vhosts", ""),
    ("GET", "vhosts/{vhost}", ""),
    ("GET", "vhosts/{vhost}/channels", ""),
    ("GET", "vhosts/{vhost}/connections", ""),
    ("GET", "vhosts/{vhost}/permissions", ""),
    ("GET", "vhosts/{vhost}/topic-permissions", ""),
    ("GET", "whoami", ""),
    ("POST", "exchanges/{vhost}/x1/publish", PUBLISH_BODY),
    ("POST", "queues/{vhost}/qq1/get", GET_BODY),
];

/// What stands for `{…}` in a path.
pub(super) struct Names {
    pub(super) vhost: String,
    pub(super) user: String,
    pub(super) node: String,
    pub(super) connection: String,
    pub(super) channels: [String; 2],
    pub(super) port: u16,
}

impl Names {
    /// Those of the answers that were kept in files.
    pub(super) fn of_files() -> Self {
        let connection = "127.0.0.1:35674 -> 127.0.0.1:35672".to_owned();
        Self {
            vhost: "/".to_owned(),
            user: "u1".to_owned(),
            node: "hops@localhost".to_owned(),
            channels: [format!("{connection} (1)"), format!("{connection} (2)")],
            connection,
            port: 35_672,
        }
    }

    /// A path as it is asked.
    pub(super) fn put_into(&self, path: &str) -> String {
        path.replace("{vhost}", &encoded(&self.vhost))
            .replace("{user}", &self.user)
            .replace("{node}", &self.node)
            .replace("{connection}", &encoded(&self.connection))
            .replace("{channel}", &encoded(&self.channels[0]))
            .replace("{consumer}", &encoded(&self.channels[1]))
            .replace("{port}", &self.port.to_string())
    }

    /// The file that keeps the answer to it.
    pub(super) fn file_of(&self, path: &str) -> String {
        let asked = self.put_into(path).replace('/', "_").replace("%2F", "ROOT").replace('?', "@");
        format!("{asked}.json")
    }

    /// An answer without what is in other vhosts.
    pub(super) fn ours_of(&self, value: Value) -> Value {
        match value {
            Value::Array(items) => {
                let items = items.into_iter().filter(|item| self.is_ours(item));
                items.map(|item| self.ours_of(item)).collect()
            }
            Value::Object(fields) => {
                let fields = fields.into_iter();
                fields.map(|(name, value)| (name, self.ours_of(value))).collect()
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
        }
    }

    fn is_ours(&self, item: &Value) -> bool {
        item.get("vhost").and_then(Value::as_str).is_none_or(|vhost| vhost == self.vhost)
    }
}

fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'.' | b'-' | b'_' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text += &format!("%{byte:02X}"),
        }
    }
    text
}
