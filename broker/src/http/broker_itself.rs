//! What is asked of the broker as a whole: its version, who is asking it, its name, and what RabbitMQ
//! has switches for.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, blocking, done, json};
use super::authorization::{Administrator, Monitor, Visitor};
use super::listing::{Listing, Rendered, by};
use super::nodes::assert_node;
use super::request::Query;
use crate::metrics;
use crate::password;

/// The features that clients of RabbitMQ's look for before they use them; all are there.
const FEATURES: [(&str, &str); 6] = [
    ("detailed_queues_endpoint", "Queues can be listed with all that is known of them"),
    ("direct_exchange_routing_v2", "Direct exchanges find queues without looking at each binding"),
    ("maintenance_mode_status", "Whether a node is being drained is told"),
    ("quorum_queue", "Quorum queues"),
    ("stream_queue", "Queues of type stream are known by name"),
    ("virtual_host_metadata", "Vhosts have descriptions and tags"),
];

/// `GET /api/version`, for everybody.
pub(super) async fn version(State(management): State<Arc<Management>>) -> Answer {
    Ok(json(&management.identity.version))
}

/// `GET /api/whoami`.
pub(super) async fn whoami(visitor: Visitor) -> Answer {
    Ok(json(&json!({
        "name": visitor.name(),
        "tags": visitor.tags(),
        "is_internal_user": visitor.is_internal(),
    })))
}

/// `GET /api/whoami/rights`: what the visitor may do, by vhost that it may enter, as regular expressions over
/// names; null where another server has to be asked name by name. Ours.
pub(super) async fn rights(State(management): State<Arc<Management>>, visitor: Visitor) -> Answer {
    let told = visitor.all_rights(&management).await;
    let told: Vec<Value> = told
        .into_iter()
        .map(|(vhost, rights)| {
            let Some(rights) = rights else {
                return json!({
                    "vhost": vhost, "configure": null, "write": null, "read": null, "topics": null,
                });
            };
            let topics = rights.topics.into_iter().map(|(exchange, [write, read])| {
                json!({"exchange": exchange, "write": write, "read": read})
            });
            json!({
                "vhost": vhost,
                "configure": rights.configure,
                "write": rights.write,
                "read": rights.read,
                "topics": topics.collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(json(&told))
}

/// `GET /api/cluster-name`.
pub(super) async fn cluster_name(State(management): State<Arc<Management>>, _: Visitor) -> Answer {
    Ok(json(&json!({"name": management.broker.introduction().now().cluster_name})))
}

/// `GET /api/auth`: RabbitMQ tells there how its pages log in with OAuth 2, which is not set up.
pub(super) async fn auth() -> Answer {
    Err(super::answer::Fault::not_found())
}

/// `DELETE /api/reset`: forgets what was sampled. Counts of what is there go on, as on RabbitMQ; so do
/// totals, which Prometheus is told, too.
pub(super) async fn reset(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
) -> Answer {
    management.broker.forget_samples();
    let by = visitor.name();
    tracing::info!(by, "what was sampled is forgotten: '{by}' asked for it");
    Ok(done())
}

/// `DELETE /api/reset/NODE`.
pub(super) async fn reset_node(
    management: State<Arc<Management>>,
    administrator: Administrator,
    Path(node): Path<String>,
) -> Answer {
    assert_node(&node)?;
    reset(management, administrator).await
}

/// `GET /api/extensions`: pages that a web interface would load.
pub(super) async fn extensions(_: Visitor) -> Answer {
    Ok(json(&json!([])))
}

/// `GET /api/feature-flags`.
pub(super) async fn feature_flags(_: Visitor, query: Query) -> Answer {
    let flag = |(name, description): (&str, &str)| {
        Rendered(json!({
            "name": name,
            "desc": description,
            "doc_url": "",
            "state": "enabled",
            "stability": "required",
            "require_level": "hard",
            "experiment_level": "supported",
            "callbacks": [],
            "provided_by": "rabbit",
        }))
    };
    let flags = FEATURES.into_iter().map(flag).collect();
    Ok(json(&Listing::of(&query)?.list(flags, by(&["name"]))?))
}

/// `PUT /api/feature-flags/NAME/enable`: they all are.
pub(super) async fn enable_feature_flag(_: Administrator, Path(_name): Path<String>) -> Answer {
    Ok(done())
}

/// `GET /api/deprecated-features`: there are none that will go.
pub(super) async fn deprecated_features(_: Visitor) -> Answer {
    Ok(json(&json!([])))
}

/// `POST /api/rebalance/queues`: all leaders are on the one node there is.
pub(super) async fn rebalance(_: Administrator) -> Answer {
    Ok(done())
}

/// `GET /api/auth/attempts/NODE`. Logins over AMQP and HTTP are counted together.
pub(super) async fn attempts(
    State(management): State<Arc<Management>>,
    _: Monitor,
    Path(node): Path<String>,
) -> Answer {
    assert_node(&node)?;
    let attempts = management.broker.logins().attempts();
    Ok(json(&json!([{
        "protocol": "amqp091",
        "auth_attempts": attempts.succeeded + attempts.failed,
        "auth_attempts_failed": attempts.failed,
        "auth_attempts_succeeded": attempts.succeeded,
    }])))
}

/// `GET /api/auth/attempts/NODE/source`: who tried is in the log.
pub(super) async fn attempts_by_source(_: Monitor, Path(node): Path<String>) -> Answer {
    assert_node(&node)?;
    Ok(json(&json!([])))
}

/// `GET /api/auth/hash_password/PASSWORD`.
pub(super) async fn hash_password(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path(password): Path<String>,
) -> Answer {
    let hashing = management.broker.logins().hashing();
    let hash = blocking(move || password::hash(hashing, password.as_bytes())).await?;
    let answer = Map::from_iter([("ok".to_owned(), Value::String(hash))]);
    Ok(json(&answer))
}

/// `GET /metrics`: what Prometheus is told at a port of its own, for whoever may see all of the broker.
pub(super) async fn metrics(State(management): State<Arc<Management>>, _: Monitor) -> Answer {
    let text = blocking(move || {
        let snapshot = management.metrics.scraped(metrics::Endpoint::Aggregated, None);
        metrics::render(&snapshot)
    });
    Ok(([(CONTENT_TYPE, metrics::CONTENT)], text.await?).into_response())
}
