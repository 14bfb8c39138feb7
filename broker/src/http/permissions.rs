//! `/api/permissions` and `/api/topic-permissions`: what users may do in vhosts.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json, put as put_answer, stored};
use super::authorization::Administrator;
use super::lenient;
use super::listing::{Columns, Listing, Rendered, by};
use super::request::{Document, Query};
use crate::auth::AuthError;
use crate::broker::access::Refused;
use crate::definitions::parameters::TopicPermissionRecord;
use crate::definitions::records::PermissionRecord;

/// How lists are sorted.
const ORDER: &[&str] = &["vhost", "user", "exchange"];

fn listed(query: &Query, records: &[impl serde::Serialize]) -> Answer {
    let rows = records.iter().map(|record| {
        // Structs of strings can always be written.
        Rendered(serde_json::to_value(record).unwrap_or_default())
    });
    Ok(json(&Listing::of(query)?.list(rows.collect(), by(ORDER))?))
}

impl Management {
    fn permissions(&self, is_one: impl Fn(&PermissionRecord) -> bool) -> Vec<PermissionRecord> {
        let all = self.broker.users().all_permissions().into_iter();
        all.filter(is_one).collect()
    }

    fn assert_user(&self, name: &str) -> Result<(), Fault> {
        self.broker.users().user(name).map(drop).ok_or_else(Fault::not_found)
    }

    fn assert_vhost(&self, name: &str) -> Result<(), Fault> {
        self.broker.vhost(name).map(drop).ok_or_else(Fault::not_found)
    }

    fn assert_both(&self, vhost: &str, user: &str) -> Result<(), Fault> {
        self.assert_vhost(vhost)?;
        self.assert_user(user)
    }
}

/// `GET /api/permissions`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    _: Administrator,
    query: Query,
) -> Answer {
    listed(&query, &management.permissions(|_| true))
}

/// `GET /api/users/USER/permissions`.
pub(super) async fn of_user(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path(user): Path<String>,
    query: Query,
) -> Answer {
    management.assert_user(&user)?;
    listed(&query, &management.permissions(|record| record.user == user))
}

/// `GET /api/vhosts/VHOST/permissions`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    management.assert_vhost(&vhost)?;
    listed(&query, &management.permissions(|record| record.vhost == vhost))
}

/// `GET /api/permissions/VHOST/USER`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    query: Query,
) -> Answer {
    management.assert_both(&vhost, &user)?;
    let found = management.permissions(|record| record.vhost == vhost && record.user == user);
    let found = found.first().ok_or_else(Fault::not_found)?;
    let value = serde_json::to_value(found).unwrap_or_default();
    Ok(json(&Columns::of(&query).of_value(value)))
}

/// Texts that have to be there.
fn texts<const N: usize>(
    body: &Map<String, Value>,
    names: [&str; N],
) -> Result<[String; N], Fault> {
    lenient::require(body, &names)?;
    let mut texts = [const { String::new() }; N];
    for (text, name) in texts.iter_mut().zip(names) {
        *text = lenient::text(body, name)?.unwrap_or_default();
    }
    Ok(texts)
}

/// `PUT /api/permissions/VHOST/USER`.
pub(super) async fn put(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((vhost, user)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let [configure, write, read] = texts(&body, ["configure", "write", "read"])?;
    let set = blocking(move || {
        let before = |record: &PermissionRecord| record.vhost == vhost && record.user == user;
        let is_new = management.permissions(before).is_empty();
        let given = PermissionRecord { user, vhost, configure, write, read };
        let set = management.broker.set_permissions(visitor.by(), given);
        set.map(|durable| (is_new, durable))
    });
    let (is_new, durable) = set.await?.map_err(said)?;
    stored(durable).await?;
    Ok(put_answer(is_new))
}

/// RabbitMQ's words.
fn said(refused: Refused) -> Fault {
    match refused {
        Refused::Auth(AuthError::NoSuchUser(_)) | Refused::NoSuchVhost(_) => {
            Fault::bad_request("vhost_or_user_not_found")
        }
        Refused::NoSuchExchange(name) => {
            Fault::bad_request(Value::Array(vec!["no_such_exchange".into(), name.into()]))
        }
        Refused::Auth(AuthError::Pattern(error)) => {
            let (expression, reason) = error.parts();
            Fault::bad_request(Value::Array(vec![
                "invalid_regexp".into(),
                expression.into(),
                reason.into(),
            ]))
        }
        refused => refused.into(),
    }
}

/// `DELETE /api/permissions/VHOST/USER`.
pub(super) async fn delete(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((vhost, user)): Path<(String, String)>,
) -> Answer {
    management.assert_both(&vhost, &user)?;
    let cleared = blocking(move || {
        let before = |record: &PermissionRecord| record.vhost == vhost && record.user == user;
        match management.permissions(before).is_empty() {
            true => Err(Fault::not_found()),
            false => Ok(management.broker.clear_permissions(visitor.by(), &user, &vhost)?),
        }
    });
    stored(cleared.await??).await?;
    Ok(done())
}

impl Management {
    fn topics(
        &self,
        is_one: impl Fn(&TopicPermissionRecord) -> bool,
    ) -> Vec<TopicPermissionRecord> {
        let all = self.broker.users().all_topic_permissions().into_iter();
        all.filter(is_one).collect()
    }
}

/// `GET /api/topic-permissions`.
pub(super) async fn topics(
    State(management): State<Arc<Management>>,
    _: Administrator,
    query: Query,
) -> Answer {
    listed(&query, &management.topics(|_| true))
}

/// `GET /api/users/USER/topic-permissions`.
pub(super) async fn topics_of_user(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path(user): Path<String>,
    query: Query,
) -> Answer {
    management.assert_user(&user)?;
    listed(&query, &management.topics(|record| record.user == user))
}

/// `GET /api/vhosts/VHOST/topic-permissions`.
pub(super) async fn topics_of_vhost(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    management.assert_vhost(&vhost)?;
    listed(&query, &management.topics(|record| record.vhost == vhost))
}

/// `GET /api/topic-permissions/VHOST/USER`.
pub(super) async fn topics_of(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    query: Query,
) -> Answer {
    management.assert_both(&vhost, &user)?;
    let found = management.topics(|record| record.vhost == vhost && record.user == user);
    match found.is_empty() {
        true => Err(Fault::not_found()),
        false => listed(&query, &found),
    }
}

/// `GET /api/topic-permissions/VHOST/USER/EXCHANGE`. RabbitMQ: those of all exchanges.
pub(super) async fn topic_of(
    state: State<Arc<Management>>,
    visitor: Administrator,
    Path((vhost, user, _)): Path<(String, String, String)>,
    query: Query,
) -> Answer {
    topics_of(state, visitor, Path((vhost, user)), query).await
}

/// `PUT /api/topic-permissions/VHOST/USER`.
pub(super) async fn put_topic(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((vhost, user)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let [exchange, write, read] = texts(&body, ["exchange", "write", "read"])?;
    let set = blocking(move || {
        let before = |record: &TopicPermissionRecord| record.vhost == vhost && record.user == user;
        let is_new = management.topics(before).is_empty();
        let given = TopicPermissionRecord { user, vhost, exchange, write, read };
        let set = management.broker.set_topic_permissions(visitor.by(), given);
        set.map(|durable| (is_new, durable))
    });
    let (is_new, durable) = set.await?.map_err(said)?;
    stored(durable).await?;
    Ok(put_answer(is_new))
}

/// `DELETE /api/topic-permissions/VHOST/USER`.
pub(super) async fn delete_topics(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((vhost, user)): Path<(String, String)>,
) -> Answer {
    clear_topics(management, visitor, (vhost, user), None).await
}

/// `DELETE /api/topic-permissions/VHOST/USER/EXCHANGE`.
pub(super) async fn delete_topic(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
) -> Answer {
    clear_topics(management, visitor, (vhost, user), Some(exchange)).await
}

async fn clear_topics(
    management: Arc<Management>,
    visitor: super::authorization::Visitor,
    (vhost, user): (String, String),
    exchange: Option<String>,
) -> Answer {
    management.assert_both(&vhost, &user)?;
    let cleared = blocking(move || {
        let before = |record: &TopicPermissionRecord| record.vhost == vhost && record.user == user;
        if management.topics(before).is_empty() {
            return Err(Fault::not_found());
        }
        let of = (user.as_str(), vhost.as_str());
        let broker = &management.broker;
        Ok(broker.clear_topic_permissions(visitor.by(), of, exchange.as_deref())?)
    });
    stored(cleared.await??).await?;
    Ok(done())
}
