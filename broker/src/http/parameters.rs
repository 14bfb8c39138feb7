//! `/api/parameters` and `/api/global-parameters`: what parts of the broker go by, in a vhost and in all of
//! them (<https://www.rabbitmq.com/docs/parameters>).
//!
//! Stays true: of the components that RabbitMQ without plugins knows, values are checked as it checks them;
//! others are refused, as it refuses those of plugins that are off. Parameters of such components may be there
//! from an import of definitions: they are shown, and may be cleared.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json, put as put_answer, stored};
use super::authorization::{Administrator, Visitor};
use super::lenient;
use super::listing::{Columns, Listing, Rendered, by};
use super::policies;
use super::request::{Document, Query};
use crate::definitions::parameters::{
    GlobalParameterRecord, ParameterRecord, VHOST_LIMITS, global, of_vhosts,
};
use crate::policy::{Policy, PolicyKind, term};
use crate::vhost::Vhost;

/// The name of the parameter that limits a vhost.
const LIMITS: &str = "limits";

fn rendered(of: &ParameterRecord) -> Value {
    let ParameterRecord { vhost, component, name, value } = of;
    json!({"value": value, "vhost": vhost, "component": component, "name": name})
}

/// The parameters of these vhosts, operator policies among them, of one component or of all.
async fn of(
    management: &Arc<Management>,
    vhosts: Vec<Arc<Vhost>>,
    component: Option<String>,
) -> Result<Vec<ParameterRecord>, Fault> {
    let management = Arc::clone(management);
    let read = blocking(move || {
        let kept = management.broker.definitions().read().map_err(|error| error.to_string())?;
        let mut all = of_vhosts(&kept).map_err(|error| error.to_string())?;
        all.extend(vhosts.iter().flat_map(|vhost| operators(vhost)));
        all.retain(|one| {
            component.as_ref().is_none_or(|component| one.component == *component)
                && vhosts.iter().any(|vhost| vhost.name() == one.vhost)
        });
        Ok(all)
    });
    read.await?.map_err(|error: String| Fault::internal(&error))
}

/// The operator policies of a vhost: RabbitMQ has them among the parameters.
fn operators(vhost: &Vhost) -> Vec<ParameterRecord> {
    let policies = vhost.policies();
    let all = policies.all().filter(|policy| policy.kind == PolicyKind::Operator);
    let record = |policy: &Arc<Policy>| ParameterRecord {
        vhost: vhost.name().to_owned(),
        component: PolicyKind::Operator.component().to_owned(),
        name: policy.name.clone(),
        value: json!({
            "pattern": policy.pattern.as_str(),
            "definition": policy.definition,
            "priority": policy.priority,
            "apply-to": policy.apply_to.name(),
        }),
    };
    all.map(record).collect()
}

fn list(all: &[ParameterRecord], query: &Query) -> Answer {
    let rows = all.iter().map(|one| Rendered(rendered(one))).collect();
    Ok(json(&Listing::of(query)?.list(rows, by(&["vhost", "component", "name"]))?))
}

/// `GET /api/parameters`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    visitor.makes_policies()?;
    let vhosts = visitor.visible_vhosts(&management).await;
    list(&of(&management, vhosts, None).await?, &query)
}

/// `GET /api/parameters/COMPONENT`.
pub(super) async fn of_component(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(component): Path<String>,
    query: Query,
) -> Answer {
    visitor.makes_policies()?;
    let vhosts = visitor.visible_vhosts(&management).await;
    list(&of(&management, vhosts, Some(component)).await?, &query)
}

/// `GET /api/parameters/COMPONENT/VHOST`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((component, vhost)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let vhost = visitor.may_make_policies(&management, &vhost).await?;
    list(&of(&management, vec![vhost], Some(component)).await?, &query)
}

async fn find(
    management: &Arc<Management>,
    vhost: Arc<Vhost>,
    (component, name): (&str, &str),
) -> Result<Option<ParameterRecord>, Fault> {
    let all = of(management, vec![vhost], Some(component.to_owned())).await?;
    Ok(all.into_iter().find(|one| one.name == name))
}

/// `GET /api/parameters/COMPONENT/VHOST/NAME`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((component, vhost, name)): Path<(String, String, String)>,
    query: Query,
) -> Answer {
    let vhost = visitor.may_make_policies(&management, &vhost).await?;
    let found = find(&management, vhost, (&component, &name)).await?;
    let found = found.ok_or_else(Fault::not_found)?;
    Ok(json(&Columns::of(&query).of_value(rendered(&found))))
}

/// What cannot be, in RabbitMQ's words.
fn invalid(reason: &str) -> Fault {
    Fault::bad_request(format!("Validation failed\n\n{reason}\n"))
}

/// `PUT /api/parameters/COMPONENT/VHOST/NAME`.
pub(super) async fn put(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((component, vhost, name)): Path<(String, String, String)>,
    Document(body): Document,
) -> Answer {
    visitor.makes_policies()?;
    let there = management.broker.vhost(&vhost);
    there.ok_or_else(|| Fault::missing("vhost_not_found"))?;
    let there = visitor.may_make_policies(&management, &vhost).await?;
    lenient::require(&body, &["value"])?;
    let value = body.get("value").cloned().unwrap_or_default();
    match component.as_str() {
        "policy" => Err(Fault::bad_request("policies may not be set using this method")),
        VHOST_LIMITS => limit(management, visitor, there, (&name, value)).await,
        "operator_policy" => {
            // RabbitMQ lets policymakers past what operators say.
            visitor.administrates()?;
            let definition = definition(&name, &value)?;
            let kind = (PolicyKind::Operator, name.as_str());
            policies::set(management, visitor.by().name().to_owned(), there, kind, &definition)
                .await
        }
        other => Err(invalid(&format!("component {other} not found"))),
    }
}

/// The fields of a policy, all that have to be there.
fn definition(name: &str, value: &Value) -> Result<Map<String, Value>, Fault> {
    let Value::Object(fields) = value else {
        return Err(invalid(&format!("{name} not a list {}", term(Some(value)))));
    };
    let missing = ["definition", "pattern", "priority"].into_iter();
    let missing = missing.filter(|field| !fields.contains_key(*field));
    let missing: Vec<String> =
        missing.map(|field| format!("Key \"{field}\" not found in {name}")).collect();
    match missing.is_empty() {
        true => Ok(fields.clone()),
        false => Err(invalid(&missing.join("\n"))),
    }
}

async fn limit(
    management: Arc<Management>,
    visitor: Visitor,
    vhost: Arc<Vhost>,
    (name, value): (&str, Value),
) -> Answer {
    if name != LIMITS {
        return Err(invalid(&format!("the limits of a vhost are named {LIMITS}, and not {name}")));
    }
    let limits = match value {
        Value::Object(limits) => limits.into_iter().collect(),
        Value::Array(none) if none.is_empty() => Map::new(),
        other => return Err(invalid(&format!("{LIMITS} not a list {}", term(Some(&other))))),
    };
    let is_new = find(&management, Arc::clone(&vhost), (VHOST_LIMITS, LIMITS)).await?.is_none();
    let set = blocking(move || {
        let limits = limits.into_iter().collect();
        management.broker.set_vhost_limits(visitor.by(), vhost.name(), &limits)
    });
    stored(set.await??).await?;
    Ok(put_answer(is_new))
}

/// `DELETE /api/parameters/COMPONENT/VHOST/NAME`.
pub(super) async fn delete(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((component, vhost, name)): Path<(String, String, String)>,
) -> Answer {
    let there = visitor.may_make_policies(&management, &vhost).await?;
    let found = find(&management, Arc::clone(&there), (&component, &name)).await?;
    found.ok_or_else(Fault::not_found)?;
    if component == PolicyKind::Operator.component() {
        visitor.administrates()?;
        let by = visitor.by().name().to_owned();
        return policies::clear(management, by, there, (PolicyKind::Operator, name)).await;
    }
    let cleared = blocking(move || {
        let (broker, by) = (&management.broker, visitor.by());
        match component == VHOST_LIMITS && name == LIMITS {
            true => broker.clear_vhost_limits(by, &vhost),
            false => broker.clear_parameter(by, &vhost, &component, &name),
        }
    });
    stored(cleared.await??).await?;
    Ok(done())
}

/// What the whole broker goes by: what was set, and its name.
async fn everywhere(management: &Arc<Management>) -> Result<Vec<GlobalParameterRecord>, Fault> {
    let management = Arc::clone(management);
    let read = blocking(move || {
        let kept = management.broker.definitions().read().map_err(|error| error.to_string())?;
        global(&kept).map_err(|error| error.to_string())
    });
    read.await?.map_err(|error: String| Fault::internal(&error))
}

/// `GET /api/global-parameters`.
pub(super) async fn all_global(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    visitor.makes_policies()?;
    let all = everywhere(&management).await?;
    let row = |one: &GlobalParameterRecord| Rendered(json!({"name": one.name, "value": one.value}));
    let rows = all.iter().map(row).collect();
    Ok(json(&Listing::of(&query)?.list(rows, by(&["name"]))?))
}

/// `GET /api/global-parameters/NAME`.
pub(super) async fn one_global(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Answer {
    visitor.makes_policies()?;
    let all = everywhere(&management).await?;
    let one = all.into_iter().find(|one| one.name == name).ok_or_else(Fault::not_found)?;
    Ok(json(&json!({"value": one.value, "name": one.name})))
}

/// `PUT /api/global-parameters/NAME`.
pub(super) async fn put_global(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Document(body): Document,
) -> Answer {
    visitor.makes_policies()?;
    lenient::require(&body, &["value"])?;
    let value = body.get("value").cloned().unwrap_or_default();
    let is_new = !everywhere(&management).await?.iter().any(|one| one.name == name);
    set_global(management, visitor, GlobalParameterRecord { name, value }).await?;
    Ok(put_answer(is_new))
}

async fn set_global(
    management: Arc<Management>,
    visitor: Visitor,
    given: GlobalParameterRecord,
) -> Result<(), Fault> {
    let set = blocking(move || management.broker.set_global_parameter(visitor.by(), given));
    stored(set.await??).await
}

/// `DELETE /api/global-parameters/NAME`.
pub(super) async fn delete_global(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Answer {
    visitor.makes_policies()?;
    let all = everywhere(&management).await?;
    all.iter().find(|one| one.name == name).ok_or_else(Fault::not_found)?;
    let cleared = blocking(move || management.broker.clear_global_parameter(visitor.by(), &name));
    stored(cleared.await?).await?;
    Ok(done())
}

/// `PUT /api/cluster-name`.
pub(super) async fn name_cluster(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Document(body): Document,
) -> Answer {
    lenient::require(&body, &["name"])?;
    let name = lenient::text(&body, "name")?.unwrap_or_default();
    let name_of_it = crate::definitions::parameters::CLUSTER_NAME.to_owned();
    let given = GlobalParameterRecord { name: name_of_it, value: name.into() };
    set_global(management, visitor, given).await?;
    Ok(done())
}
