//! `/api/user-limits` and `/api/vhost-limits`: how much users and vhosts may have.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json, stored};
use super::authorization::{Administrator, Visitor};
use super::lenient;
use super::listing::{Listing, Rendered, by};
use super::request::{Document, Query};
use super::users::limits;
use crate::auth::AuthError;
use crate::broker::access::Refused;
use crate::definitions::records::UserRecord;
use crate::vhost::Vhost;

fn of_one_user(user: &UserRecord) -> Option<Rendered> {
    let limits = limits(user.limits);
    (!limits.is_empty()).then(|| Rendered(json!({"user": user.name, "value": limits})))
}

fn of_one_vhost(vhost: &Vhost) -> Option<Rendered> {
    let value = vhost.own_limits().to_value();
    let is_set = value.as_object().is_some_and(|limits| !limits.is_empty());
    is_set.then(|| Rendered(json!({"vhost": vhost.name(), "value": value})))
}

/// `GET /api/user-limits`.
pub(super) async fn of_users(
    State(management): State<Arc<Management>>,
    _: Administrator,
    query: Query,
) -> Answer {
    let users = management.broker.users().all();
    let rows = users.iter().filter_map(of_one_user).collect();
    Ok(json(&Listing::of(&query)?.list(rows, by(&["user"]))?))
}

/// `GET /api/user-limits/USER`.
pub(super) async fn of_user(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
    query: Query,
) -> Answer {
    if !visitor.is_administrator() && visitor.name() != name {
        return Err(Fault::not_authorised("User not authorised to access object"));
    }
    let user = management.broker.users().user(&name).ok_or_else(Fault::not_found)?;
    let rows = of_one_user(&user).into_iter().collect();
    Ok(json(&Listing::of(&query)?.list(rows, by(&["user"]))?))
}

/// `PUT /api/user-limits/USER/NAME`.
pub(super) async fn limit_user(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((user, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let limit = one_limit(&body, name)?;
    let set = blocking(move || management.broker.set_user_limits(visitor.by(), &user, &limit));
    let set = set.await?.map_err(|refused| match refused {
        Refused::Auth(AuthError::NoSuchUser(user)) => {
            Fault::bad_request(Value::Array(vec!["no_such_user".into(), user.into()]))
        }
        refused => refused.into(),
    });
    stored(set?).await?;
    Ok(done())
}

fn one_limit(body: &Map<String, Value>, name: String) -> Result<Map<String, Value>, Fault> {
    lenient::require(body, &["value"])?;
    let value = body.get("value").cloned().unwrap_or_default();
    Ok(Map::from_iter([(name, value)]))
}

/// `DELETE /api/user-limits/USER/NAME`.
pub(super) async fn free_user(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((user, name)): Path<(String, String)>,
) -> Answer {
    management.broker.users().user(&user).ok_or_else(Fault::not_found)?;
    let freed = blocking(move || management.broker.clear_user_limits(visitor.by(), &user, &name));
    stored(freed.await??).await?;
    Ok(done())
}

/// `GET /api/vhost-limits`.
pub(super) async fn of_vhosts(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    let vhosts = visitor.visible_vhosts(&management).await;
    let rows = vhosts.iter().filter_map(|vhost| of_one_vhost(vhost)).collect();
    Ok(json(&Listing::of(&query)?.list(rows, by(&["vhost"]))?))
}

/// `GET /api/vhost-limits/VHOST`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
    query: Query,
) -> Answer {
    let vhost = visitor.visible_vhost(&management, &name).await?;
    let rows = of_one_vhost(&vhost).into_iter().collect();
    Ok(json(&Listing::of(&query)?.list(rows, by(&["vhost"]))?))
}

/// `PUT /api/vhost-limits/VHOST/NAME`.
pub(super) async fn limit_vhost(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let limit = one_limit(&body, name)?;
    management.broker.vhost(&vhost).ok_or_else(|| Fault::missing("vhost_not_found"))?;
    let set = blocking(move || management.broker.add_vhost_limits(visitor.by(), &vhost, &limit));
    stored(set.await??).await?;
    Ok(done())
}

/// `DELETE /api/vhost-limits/VHOST/NAME`.
pub(super) async fn free_vhost(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    management.broker.vhost(&vhost).ok_or_else(|| Fault::missing("vhost_not_found"))?;
    let freed = blocking(move || management.broker.clear_vhost_limit(visitor.by(), &vhost, &name));
    stored(freed.await??).await?;
    Ok(done())
}
