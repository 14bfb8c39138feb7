//! What is done to policies one by one after they were read: the second rabbitmqadmin does so, too, and the
//! API knows no such commands.
//!
//! A room of `admin::v2`, named by `more`. Stays true: a policy that would be left without a definition is
//! left as it is, save where it was named.

use regex::Regex;
use serde_json::{Map, Value, json};

use super::commands::POLICIES;
use super::{Call, DATA};
use crate::admin::{Ended, Said};
use crate::ctl::client::segment;

type Done = Result<Said, Ended>;

/// A policy for everything has at most this priority.
const BLANKET: i64 = -20;
/// So much more than what it overrides has an override.
const OVERRIDE: i64 = 100;

/// Policies, or those of operators: the command's group says.
fn kind(call: &Call<'_>) -> &'static str {
    match call.command.names.first() {
        Some(("operator_policies", _)) => "/operator-policies",
        Some(_) | None => "/policies",
    }
}

fn in_vhost(call: &Call<'_>) -> Result<Vec<Value>, Ended> {
    items(call, &format!("{}/{}", kind(call), segment(call.vhost())))
}

fn items(call: &Call<'_>, path: &str) -> Result<Vec<Value>, Ended> {
    match call.get(path)? {
        Value::Array(all) => Ok(all),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Ok(Vec::new())
        }
    }
}

fn one(call: &Call<'_>) -> Result<Value, Ended> {
    let path = format!("{}/{}/{}", kind(call), segment(call.vhost()), segment(call.value("name")));
    call.get(&path)
}

fn text<'a>(policy: &'a Value, name: &str) -> &'a str {
    policy.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn priority(policy: &Value) -> i64 {
    policy.get("priority").and_then(Value::as_i64).unwrap_or_default()
}

fn definition(policy: &Value) -> Map<String, Value> {
    policy.get("definition").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Declares a policy as it was read, but for its definition.
fn declare(call: &Call<'_>, policy: &Value, definition: Map<String, Value>) -> Result<(), Ended> {
    let path = format!(
        "{}/{}/{}",
        kind(call),
        segment(text(policy, "vhost")),
        segment(text(policy, "name"))
    );
    let body = json!({
        "pattern": text(policy, "pattern"),
        "apply-to": text(policy, "apply-to"),
        "priority": priority(policy),
        "definition": definition,
    });
    call.send("PUT", &path, Some(&body)).map(|_| ())
}

/// The definition that was typed.
fn typed(call: &Call<'_>) -> Result<Map<String, Value>, Ended> {
    match call.json("definition")? {
        Value::Object(definition) => Ok(definition),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Ended { text: "a definition is an object of JSON".to_owned(), code: DATA })
        }
    }
}

pub(super) fn patch(call: &Call<'_>) -> Done {
    let (policy, changes) = (one(call)?, typed(call)?);
    let mut definition = definition(&policy);
    definition.extend(changes);
    declare(call, &policy, definition).map(|()| None)
}

fn with_value(call: &Call<'_>, policies: &[Value]) -> Done {
    let value = call.json("new-value")?;
    for policy in policies {
        let mut definition = definition(policy);
        definition.insert(call.value("definition-key").to_owned(), value.clone());
        declare(call, policy, definition)?;
    }
    Ok(None)
}

pub(super) fn update(call: &Call<'_>) -> Done {
    with_value(call, &[one(call)?])
}

pub(super) fn update_all(call: &Call<'_>) -> Done {
    with_value(call, &in_vhost(call)?)
}

pub(super) fn update_everywhere(call: &Call<'_>) -> Done {
    with_value(call, &items(call, kind(call))?)
}

fn without_keys(call: &Call<'_>, policy: &Value) -> Map<String, Value> {
    let keys = call.values("definition-keys");
    let mut definition = definition(policy);
    definition.retain(|key, _| !keys.contains(&key.as_str()));
    definition
}

pub(super) fn delete_keys(call: &Call<'_>) -> Done {
    let policy = one(call)?;
    declare(call, &policy, without_keys(call, &policy)).map(|()| None)
}

fn delete_from(call: &Call<'_>, policies: &[Value]) -> Done {
    for policy in policies {
        let left = without_keys(call, policy);
        if !left.is_empty() {
            declare(call, policy, left)?;
        }
    }
    Ok(None)
}

pub(super) fn delete_keys_of_all(call: &Call<'_>) -> Done {
    delete_from(call, &in_vhost(call)?)
}

pub(super) fn delete_keys_everywhere(call: &Call<'_>) -> Done {
    delete_from(call, &items(call, kind(call))?)
}

pub(super) fn declare_override(call: &Call<'_>) -> Done {
    let (mut policy, changes) = (one(call)?, typed(call)?);
    let mut definition = definition(&policy);
    definition.extend(changes);
    let named = call.given("override-name").map(str::to_owned);
    let name = named.unwrap_or_else(|| format!("overrides.{}", text(&policy, "name")));
    let above = priority(&policy) + OVERRIDE;
    if let Value::Object(fields) = &mut policy {
        fields.insert("name".to_owned(), name.into());
        fields.insert("priority".to_owned(), above.into());
    }
    declare(call, &policy, definition).map(|()| None)
}

pub(super) fn declare_blanket(call: &Call<'_>) -> Done {
    let lowest = in_vhost(call)?.iter().map(priority).min().unwrap_or_default();
    let policy = json!({
        "name": call.value("name"),
        "vhost": call.vhost(),
        "pattern": ".*",
        "apply-to": call.value("apply-to"),
        "priority": BLANKET.min(lowest - 1),
    });
    declare(call, &policy, typed(call)?).map(|()| None)
}

fn shown(call: &Call<'_>, policies: Vec<Value>) -> Done {
    Ok(Some(call.list(&Value::Array(policies), POLICIES)))
}

/// Whether what a policy is for has objects of a type.
fn is_for(applies_to: &str, kind: &str) -> bool {
    match (applies_to, kind) {
        ("all", _) => true,
        ("queues", kind) => kind.ends_with("queues") || kind == "streams",
        (applies_to, "queues") => applies_to.ends_with("queues"),
        (applies_to, kind) => applies_to == kind,
    }
}

pub(super) fn matching(call: &Call<'_>) -> Done {
    let (name, kind) = (call.value("name"), call.value("type"));
    let is_it = |policy: &Value| {
        let pattern = Regex::new(text(policy, "pattern"));
        is_for(text(policy, "apply-to"), kind) && pattern.is_ok_and(|regex| regex.is_match(name))
    };
    let all = in_vhost(call)?.into_iter().filter(is_it).collect();
    shown(call, all)
}

/// Those that have their vhost and priority in common with another: which of them counts is not said.
fn in_conflict(all: Vec<Value>) -> Vec<Value> {
    let key = |policy: &Value| (text(policy, "vhost").to_owned(), priority(policy));
    let keys: Vec<_> = all.iter().map(key).collect();
    let is_shared = |own: &(String, i64)| keys.iter().filter(|key| *key == own).count() > 1;
    all.into_iter().filter(|policy| is_shared(&key(policy))).collect()
}

pub(super) fn conflicting(call: &Call<'_>) -> Done {
    shown(call, in_conflict(items(call, kind(call))?))
}

pub(super) fn conflicting_in(call: &Call<'_>) -> Done {
    shown(call, in_conflict(in_vhost(call)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_of_one_priority_in_a_vhost_are_in_conflict() {
        let policy = |name: &str, vhost: &str, priority: i64| json!({"name": name, "vhost": vhost, "priority": priority});
        let all = vec![
            policy("a", "/", 1),
            policy("b", "/", 2),
            policy("c", "v", 1),
            policy("d", "/", 1),
        ];
        let found = in_conflict(all);
        let names: Vec<&str> = found.iter().map(|policy| text(policy, "name")).collect();
        assert_eq!(names, ["a", "d"]);
    }

    #[test]
    fn a_policy_is_for_its_kind_and_what_that_has() {
        for (applies_to, kind) in [
            ("all", "exchanges"),
            ("queues", "quorum_queues"),
            ("classic_queues", "queues"),
            ("exchanges", "exchanges"),
            ("queues", "streams"),
        ] {
            assert!(is_for(applies_to, kind), "{applies_to} {kind}");
        }
        for (applies_to, kind) in
            [("exchanges", "queues"), ("streams", "queues"), ("queues", "exchanges")]
        {
            assert!(!is_for(applies_to, kind), "{applies_to} {kind}");
        }
    }
}
