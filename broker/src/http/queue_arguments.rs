//! `/api/queues/VHOST/QUEUE/arguments`: what counts for a queue, and whose word each value is. Ours.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, json};
use super::authorization::Visitor;
use crate::definitions::json_arguments::{to_json, to_value};
use crate::policy::{Origin, QueueType, definition_of, effective};

/// `GET /api/queues/VHOST/QUEUE/arguments`.
pub(super) async fn show(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    let queue = there.queue(&name).ok_or_else(Fault::not_found)?;
    let declared = &queue.settings().arguments;
    let policies = there.policies();
    let applied = policies.of_queue(queue.name(), QueueType::of(declared));
    let counts = effective(declared, applied);
    let mut values = Map::new();
    for (argument, value) in counts.arguments().iter() {
        let origin = counts.origin(argument).map_or_else(|| json!({"kind": "default"}), origin);
        values.insert(argument.to_owned(), json!({"value": to_value(value), "origin": origin}));
    }
    Ok(json(&json!({
        "declared": to_json(declared),
        "policy": applied.policy.map(|policy| &policy.name),
        "operator_policy": applied.operator.map(|policy| &policy.name),
        "policy_definition": definition_of(applied),
        "effective": values,
    })))
}

fn origin(origin: &Origin) -> Value {
    match origin {
        Origin::Argument => json!({"kind": "argument"}),
        Origin::Policy(name) => json!({"kind": "policy", "name": name}),
        Origin::Operator(name) => json!({"kind": "operator_policy", "name": name}),
    }
}
