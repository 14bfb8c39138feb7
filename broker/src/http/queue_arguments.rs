//! `/api/queues/VHOST/QUEUE/arguments`: what counts for a queue, and whose word each value is. Ours.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json, stored};
use super::authorization::Visitor;
use super::lenient;
use super::request::Document;
use super::selecting::known_only;
use crate::auth::rights::Permission;
use crate::definitions::json_arguments::{field_value, to_json, to_value};
use crate::policy::{Origin, QueueType, definition_of, effective};
use crate::session::declaring::Acting;
use crate::vhost::amending::Unchanged;

/// `GET /api/queues/VHOST/QUEUE/arguments`.
pub(super) async fn show(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    let queue = there.queue(&name).ok_or_else(Fault::not_found)?;
    let declared = queue.arguments();
    let policies = there.policies();
    let applied = policies.of_queue(queue.name(), QueueType::of(&declared));
    let counts = effective(&declared, applied);
    let mut values = Map::new();
    for (argument, value) in counts.arguments().iter() {
        let origin = counts.origin(argument).map_or_else(|| json!({"kind": "default"}), origin);
        values.insert(argument.to_owned(), json!({"value": to_value(value), "origin": origin}));
    }
    Ok(json(&json!({
        "declared": to_json(&declared),
        "policy": applied.policy.map(|policy| &policy.name),
        "operator_policy": applied.operator.map(|policy| &policy.name),
        "policy_definition": definition_of(applied),
        "effective": values,
    })))
}

/// `POST /api/queues/VHOST/QUEUE/arguments`: `{"arguments": {"x-max-length": 10, "x-expires": null}}`
/// changes these in place; null takes one away.
pub(super) async fn change(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    there.queue(&name).ok_or_else(Fault::not_found)?;
    let actor = visitor.actor(&management, &vhost).await?;
    actor.assert(Permission::Configure, &there.queue_name(&name), &name).await?;
    known_only(&body, |name| name == "arguments")?;
    lenient::require(&body, &["arguments"])?;
    let changes = lenient::object(&body, "arguments")?.unwrap_or_default();
    let changes = changes.into_iter().map(|(argument, value)| match value {
        Value::Null => Ok((argument, None)),
        value => Ok((argument, Some(field_value(&value)?))),
    });
    let changes: Result<Vec<_>, String> = changes.collect();
    let changes = changes.map_err(lenient::null_not_allowed)?;
    let queue = there.open_queue(&name, actor.connection())?;
    let by = actor.user().to_owned();
    let changed = blocking(move || {
        let changed = there.amend_queue(&queue, changes);
        if changed.is_ok() {
            tracing::info!(
                queue = name,
                by,
                "arguments of queue '{name}' in vhost '{vhost}' are changed by '{by}'"
            );
        }
        changed
    });
    stored(changed.await??).await?;
    Ok(done())
}

impl From<Unchanged> for Fault {
    fn from(unchanged: Unchanged) -> Self {
        match unchanged {
            Unchanged::Fixed(argument) => {
                let text = format!(
                    "argument '{argument}' is fixed when a queue is declared: what policies can set may be \
                     changed"
                );
                Self::with_status(StatusCode::CONFLICT, "conflict", text)
            }
            Unchanged::Refused(error) => error.into(),
        }
    }
}

fn origin(origin: &Origin) -> Value {
    match origin {
        Origin::Argument => json!({"kind": "argument"}),
        Origin::Policy(name) => json!({"kind": "policy", "name": name}),
        Origin::Operator(name) => json!({"kind": "operator_policy", "name": name}),
    }
}
