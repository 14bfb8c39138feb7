//! `/api/users`: listed, made, changed, deleted.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json, put as put_answer, stored};
use super::authorization::{Administrator, Visitor};
use super::lenient;
use super::listing::{Columns, Listing, Rendered, by};
use super::request::{Document, Query};
use crate::broker::access::{Credential, Refused, UserDraft};
use crate::definitions::records::{UserLimits, UserRecord};
use crate::password::HashingAlgorithm;
use crate::secret::Secret;

fn rendered(user: &UserRecord) -> Value {
    json!({
        "name": user.name,
        "password_hash": user.password_hash,
        "hashing_algorithm": user.hashing_algorithm,
        "tags": user.tags,
        "limits": limits(user.limits),
    })
}

/// What limits a user has, by their names.
pub(super) fn limits(limits: UserLimits) -> Map<String, Value> {
    let set = limits.each().into_iter().filter_map(|(name, limit)| Some((name, limit?)));
    set.map(|(name, limit)| (name.to_owned(), limit.into())).collect()
}

/// `GET /api/users`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    _: Administrator,
    query: Query,
) -> Answer {
    list(management, &query, |_| true).await
}

/// `GET /api/users/without-permissions`: those who may enter no vhost.
pub(super) async fn without_permissions(
    State(management): State<Arc<Management>>,
    _: Administrator,
    query: Query,
) -> Answer {
    let permissions = management.broker.users().all_permissions();
    let entering: std::collections::HashSet<String> =
        permissions.into_iter().map(|record| record.user).collect();
    list(management, &query, move |user| !entering.contains(&user.name)).await
}

async fn list(
    management: Arc<Management>,
    query: &Query,
    is_listed: impl Fn(&UserRecord) -> bool + Send + 'static,
) -> Answer {
    let listing = Listing::of(query)?;
    let listed = blocking(move || {
        let users = management.broker.users().all().into_iter().filter(|user| is_listed(user));
        listing.list(users.map(|user| Rendered(rendered(&user))).collect(), by(&["name"]))
    });
    Ok(json(&listed.await??))
}

/// `GET /api/users/USER`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path(name): Path<String>,
    query: Query,
) -> Answer {
    let user = management.broker.users().user(&name).ok_or_else(Fault::not_found)?;
    Ok(json(&Columns::of(&query).of_value(rendered(&user))))
}

/// `PUT /api/users/USER`.
pub(super) async fn put(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path(name): Path<String>,
    Document(body): Document,
) -> Answer {
    let draft = draft(&body, management.broker.logins().hashing())?;
    let set = blocking(move || {
        let is_new = management.broker.users().user(&name).is_none();
        let set = management.broker.put_user(visitor.by(), &name, draft);
        set.map(|durable| (is_new, durable))
    });
    let (is_new, durable) = set.await?.map_err(|refused| said(refused, &body))?;
    stored(durable).await?;
    Ok(put_answer(is_new))
}

/// RabbitMQ: a user has the password that the body says, or none; its tags have to be said.
fn draft(body: &Map<String, Value>, hashing: HashingAlgorithm) -> Result<UserDraft, Fault> {
    let tags = lenient::words(body, "tags")?.or(lenient::words(body, "administrator")?);
    let tags = tags.ok_or_else(|| Fault::bad_request("tags_not_present"))?;
    let password = lenient::text(body, "password")?;
    let hash = lenient::text(body, "password_hash")?;
    let algorithm = lenient::text(body, "hashing_algorithm")?;
    let credential = match (password, hash) {
        (Some(_), Some(_)) => {
            return Err(Fault::bad_request("both_password_and_password_hash_are_provided"));
        }
        (Some(password), None) => Credential::Password(Secret::new(password)),
        (None, Some(hash)) if hash.is_empty() => Credential::Nothing,
        (None, Some(hash)) => {
            let named = algorithm.map_or(Some(hashing), |name| HashingAlgorithm::from_name(&name));
            let named = named.ok_or_else(|| Fault::bad_request("unknown_hashing_algorithm"))?;
            Credential::Hash(hash, named)
        }
        (None, None) => Credential::Nothing,
    };
    let limits = lenient::object(body, "limits")?.map(read_limits).transpose()?;
    Ok(UserDraft { credential: Some(credential), tags: Some(tags), limits })
}

/// What is not set stays as it is.
fn read_limits(given: Map<String, Value>) -> Result<UserLimits, Fault> {
    let whole =
        |name: &str| lenient::integer(&given, name).map(|number| number.filter(|n| *n >= 0));
    let large = |name: &str| whole(name).map(|number| number.map(i64::unsigned_abs));
    let small = |name: &str| {
        whole(name).map(|number| number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
    };
    Ok(UserLimits {
        max_connections: small("max-connections")?,
        max_channels: small("max-channels")?,
        max_publish_rate: large("max-publish-rate")?,
        max_publish_byte_rate: large("max-publish-byte-rate")?,
    })
}

fn said(refused: Refused, body: &Map<String, Value>) -> Fault {
    match refused {
        Refused::NoHash => {
            let hash = body.get("password_hash").cloned().unwrap_or_default();
            Fault::bad_request(Value::Array(vec!["not_base64".into(), hash]))
        }
        refused => refused.into(),
    }
}

/// `DELETE /api/users/USER`.
pub(super) async fn delete(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path(name): Path<String>,
) -> Answer {
    management.broker.users().user(&name).ok_or_else(Fault::not_found)?;
    delete_user(management, visitor, name).await?;
    Ok(done())
}

async fn delete_user(
    management: Arc<Management>,
    visitor: Visitor,
    name: String,
) -> Result<(), Fault> {
    let deleted = blocking(move || management.broker.delete_user(visitor.by(), &name));
    stored(deleted.await??).await
}

/// `POST /api/users/bulk-delete`: who is not there is no error.
pub(super) async fn delete_many(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Document(body): Document,
) -> Answer {
    lenient::require(&body, &["users"])?;
    for name in lenient::words(&body, "users")?.unwrap_or_default() {
        if management.broker.users().user(&name).is_some() {
            delete_user(Arc::clone(&management), visitor.clone(), name).await?;
        }
    }
    Ok(done())
}
