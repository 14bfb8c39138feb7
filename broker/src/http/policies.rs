//! `/api/policies` and `/api/operator-policies`: listed, set, cleared.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json, put as put_answer, stored};
use super::authorization::{Administrator, Visitor};
use super::lenient;
use super::listing::{Columns, Listing, Rendered, by};
use super::request::{Document, Query};
use crate::definitions::command::PolicyChange;
use crate::definitions::parameters::PolicyKey;
use crate::policy::{Draft, Policy, PolicyKind};
use crate::vhost::Vhost;

fn rendered(policy: &Policy) -> Value {
    json!({
        "vhost": policy.vhost,
        "name": policy.name,
        "pattern": policy.pattern.as_str(),
        "apply-to": policy.apply_to.name(),
        "definition": policy.definition,
        "priority": policy.priority,
    })
}

fn of(vhost: &Vhost, kind: PolicyKind) -> Vec<Rendered> {
    let policies = vhost.policies();
    let of_kind = policies.all().filter(|policy| policy.kind == kind);
    of_kind.map(|policy| Rendered(rendered(policy))).collect()
}

fn list(vhosts: &[Arc<Vhost>], kind: PolicyKind, query: &Query) -> Answer {
    let rows = vhosts.iter().flat_map(|vhost| of(vhost, kind)).collect();
    Ok(json(&Listing::of(query)?.list(rows, by(&["vhost", "name"]))?))
}

/// `GET /api/policies`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    list(&visitor.visible_vhosts(&management).await, PolicyKind::Policy, &query)
}

/// `GET /api/operator-policies`.
pub(super) async fn all_of_operators(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    list(&visitor.visible_vhosts(&management).await, PolicyKind::Operator, &query)
}

/// `GET /api/policies/VHOST`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    let vhost = visitor.visible_vhost(&management, &vhost).await?;
    list(&[vhost], PolicyKind::Policy, &query)
}

/// `GET /api/operator-policies/VHOST`.
pub(super) async fn of_operators(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    let vhost = visitor.visible_vhost(&management, &vhost).await?;
    list(&[vhost], PolicyKind::Operator, &query)
}

fn one_of(vhost: &Vhost, kind: PolicyKind, name: &str, query: &Query) -> Answer {
    let policies = vhost.policies();
    let policy = policies.get(kind, name).ok_or_else(Fault::not_found)?;
    Ok(json(&Columns::of(query).of_value(rendered(policy))))
}

/// `GET /api/policies/VHOST/NAME`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let vhost = visitor.may_make_policies(&management, &vhost).await?;
    one_of(&vhost, PolicyKind::Policy, &name, &query)
}

/// `GET /api/operator-policies/VHOST/NAME`.
pub(super) async fn one_of_operators(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let vhost = visitor.may_make_policies(&management, &vhost).await?;
    one_of(&vhost, PolicyKind::Operator, &name, &query)
}

async fn change(
    vhost: Arc<Vhost>,
    management: Arc<Management>,
    by: String,
    change: PolicyChange,
) -> Result<(), Fault> {
    let changed = blocking(move || {
        let _acting = management.broker.events().acting(&by, "");
        vhost.change_policies(vec![change])
    });
    stored(changed.await??).await
}

/// Sets a policy of either kind.
pub(super) async fn set(
    management: Arc<Management>,
    by: String,
    vhost: Arc<Vhost>,
    (kind, name): (PolicyKind, &str),
    body: &serde_json::Map<String, Value>,
) -> Answer {
    lenient::require(body, &["pattern", "definition"])?;
    let draft = Draft {
        pattern: lenient::given(body, "pattern"),
        definition: lenient::given(body, "definition"),
        priority: lenient::given(body, "priority"),
        apply_to: lenient::given(body, "apply-to"),
    };
    let policy = Policy::new(kind, vhost.name(), name, draft);
    let policy = policy.map_err(|invalid| Fault::bad_request(invalid.to_string()))?;
    let is_new = vhost.policies().get(kind, name).is_none();
    change(vhost, management, by, PolicyChange::Put(policy)).await?;
    Ok(put_answer(is_new))
}

/// The vhost in which a policy is to be set.
async fn place(
    management: &Management,
    visitor: &Visitor,
    vhost: &str,
) -> Result<Arc<Vhost>, Fault> {
    if management.broker.vhost(vhost).is_none() {
        return Err(Fault::missing("vhost_not_found"));
    }
    visitor.may_make_policies(management, vhost).await
}

/// `PUT /api/policies/VHOST/NAME`.
pub(super) async fn put(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let vhost = place(&management, &visitor, &vhost).await?;
    let by = visitor.by().name().to_owned();
    set(management, by, vhost, (PolicyKind::Policy, &name), &body).await
}

/// `PUT /api/operator-policies/VHOST/NAME`.
pub(super) async fn put_of_operators(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let vhost = place(&management, &visitor, &vhost).await?;
    let by = visitor.by().name().to_owned();
    set(management, by, vhost, (PolicyKind::Operator, &name), &body).await
}

/// Ends one.
pub(super) async fn clear(
    management: Arc<Management>,
    by: String,
    vhost: Arc<Vhost>,
    (kind, name): (PolicyKind, String),
) -> Answer {
    vhost.policies().get(kind, &name).ok_or_else(Fault::not_found)?;
    let key = PolicyKey { kind, vhost: vhost.name().to_owned(), name };
    change(vhost, management, by, PolicyChange::Delete(key)).await?;
    Ok(done())
}

/// `DELETE /api/policies/VHOST/NAME`.
pub(super) async fn delete(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    let vhost = visitor.may_make_policies(&management, &vhost).await?;
    let by = visitor.by().name().to_owned();
    clear(management, by, vhost, (PolicyKind::Policy, name)).await
}

/// `DELETE /api/operator-policies/VHOST/NAME`.
pub(super) async fn delete_of_operators(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    let vhost = visitor.vhost(&management, &vhost).await?;
    let by = visitor.by().name().to_owned();
    clear(management, by, vhost, (PolicyKind::Operator, name)).await
}
