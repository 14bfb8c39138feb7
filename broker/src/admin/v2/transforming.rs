//! Definitions changed on their way into a file, as the second rabbitmqadmin does it.
//!
//! A room of `admin::v2`, called by `acts`. Pure, but for passwords that are made up. Stays true: what comes
//! out can be imported; a name that is not known changes nothing, as in that program.

use serde_json::{Map, Value};

use super::DATA;
use crate::admin::Ended;
use crate::password::{self, HashingAlgorithm};

/// Keys that mirrored queues had, which are no more.
const OF_MIRRORS: [&str; 6] = [
    "ha-mode",
    "ha-params",
    "ha-promote-on-failure",
    "ha-promote-on-shutdown",
    "ha-sync-batch-size",
    "ha-sync-mode",
];

/// The definitions with each change made, one after the other.
///
/// # Errors
/// They are no definitions, or a change is one that cannot be made.
pub(super) fn transformed(definitions: &[u8], changes: &[&str]) -> Result<Vec<u8>, Ended> {
    let failed = |error: serde_json::Error| Ended { text: error.to_string(), code: DATA };
    let mut all: Map<String, Value> = serde_json::from_slice(definitions).map_err(failed)?;
    for change in changes {
        apply(&mut all, change)?;
    }
    serde_json::to_vec_pretty(&all).map_err(failed)
}

fn apply(all: &mut Map<String, Value>, change: &str) -> Result<(), Ended> {
    match change {
        "exclude_users" => empty(all, "users"),
        "exclude_permissions" => {
            empty(all, "permissions");
            empty(all, "topic_permissions");
        }
        "exclude_runtime_parameters" => empty(all, "parameters"),
        "exclude_policies" => empty(all, "policies"),
        "drop_empty_policies" => drop_empty(all),
        "strip_cmq_keys_from_policies" => strip_mirrors(all),
        "obfuscate_usernames" => obfuscate(all),
        "prepare_for_quorum_queue_migration" => {
            let text = "prepare_for_quorum_queue_migration: no queue is mirrored here";
            return Err(Ended { text: text.to_owned(), code: DATA });
        }
        _ => {}
    }
    Ok(())
}

/// The items of a list; of one that is not there, none.
fn items<'a>(
    all: &'a mut Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = all.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn empty(all: &mut Map<String, Value>, name: &str) {
    if let Some(Value::Array(items)) = all.get_mut(name) {
        items.clear();
    }
}

fn drop_empty(all: &mut Map<String, Value>) {
    let is_empty = |policy: &Value| {
        policy.get("definition").and_then(Value::as_object).is_none_or(Map::is_empty)
    };
    if let Some(Value::Array(policies)) = all.get_mut("policies") {
        policies.retain(|policy| !is_empty(policy));
    }
}

fn strip_mirrors(all: &mut Map<String, Value>) {
    for policy in items(all, "policies") {
        if let Some(Value::Object(definition)) = policy.get_mut("definition") {
            definition.retain(|key, _| !OF_MIRRORS.contains(&key.as_str()));
        }
    }
}

/// Users get names and passwords that say nothing, and keep their rights.
fn obfuscate(all: &mut Map<String, Value>) {
    let mut names: Map<String, Value> = Map::new();
    for (at, user) in items(all, "users").enumerate() {
        let name = format!("obfuscated-user-{}", at + 1);
        let known = user.insert("name".to_owned(), name.clone().into());
        names.extend(
            known.as_ref().and_then(Value::as_str).map(|own| (own.to_owned(), name.into())),
        );
        let algorithm = HashingAlgorithm::Sha256;
        let made_up: [u8; 16] = rand::random();
        user.insert("password_hash".to_owned(), password::hash(algorithm, &made_up).into());
        user.insert("hashing_algorithm".to_owned(), "rabbit_password_hashing_sha256".into());
    }
    for list in ["permissions", "topic_permissions"] {
        for right in items(all, list) {
            let new = right.get("user").and_then(Value::as_str).and_then(|user| names.get(user));
            if let Some(new) = new.cloned() {
                right.insert("user".to_owned(), new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(changes: &[&str]) -> Value {
        let all = json!({
            "users": [{"name": "bob", "password_hash": "x", "tags": []}],
            "permissions": [{"user": "bob", "vhost": "/", "configure": "", "write": "", "read": ""}],
            "policies": [
                {"name": "a", "definition": {"ha-mode": "all"}},
                {"name": "b", "definition": {"max-length": 1, "ha-mode": "all"}},
            ],
            "parameters": [{"name": "p"}],
        });
        let text = transformed(all.to_string().as_bytes(), changes).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn each_change_is_made_in_turn() {
        let all = changed(&["strip_cmq_keys_from_policies", "drop_empty_policies", "what"]);
        assert_eq!(all["policies"], json!([{"name": "b", "definition": {"max-length": 1}}]));
        assert_eq!(all["users"][0]["name"], "bob");
        let all = changed(&["exclude_policies", "exclude_users", "exclude_runtime_parameters"]);
        for name in ["policies", "users", "parameters"] {
            assert_eq!(all[name], json!([]), "{name}");
        }
        assert_eq!(changed(&["exclude_permissions"])["permissions"], json!([]));
    }

    #[test]
    fn users_with_other_names_have_their_rights() {
        let all = changed(&["obfuscate_usernames"]);
        assert_eq!(all["users"][0]["name"], "obfuscated-user-1");
        assert_ne!(all["users"][0]["password_hash"], "x");
        assert_eq!(all["permissions"][0]["user"], "obfuscated-user-1");
    }

    #[test]
    fn what_cannot_be_changed_is_refused() {
        assert_eq!(transformed(b"[]", &[]).unwrap_err().code, DATA);
        let refused = transformed(b"{}", &["prepare_for_quorum_queue_migration"]);
        assert_eq!(refused.unwrap_err().code, DATA);
    }
}
