//! `/api/queues/quorum`: the members of quorum queues. There is one node, and so one member of each.
//!
//! Stays true: what would need another node is refused as RabbitMQ refuses it, and what is so already is done.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::json;

use super::Management;
use super::answer::{Answer, Fault, done, json};
use super::authorization::{Administrator, Visitor};
use super::lenient;
use super::nodes::assert_node;
use super::request::Document;
use crate::names;

/// `GET /api/queues/quorum/VHOST/QUEUE/status`. There is no log of Raft to tell of.
pub(super) async fn status(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    let vhost = visitor.vhost(&management, &vhost).await?;
    let queue = vhost.queue(&name).ok_or_else(Fault::not_found)?;
    match queue.is_quorum() {
        true => Ok(json(&json!([{
            "Node Name": names::node(),
            "Raft State": "leader",
            "Membership": "voter",
        }]))),
        false => Err(Fault::bad_request(format!("queue '{name}' is no quorum queue"))),
    }
}

/// Of a queue that is there, the node that a body names.
async fn named(
    management: &Management,
    (vhost, queue): (&str, &str),
    Document(body): Document,
) -> Result<(), Fault> {
    let there = management.broker.vhost(vhost).and_then(|vhost| vhost.queue(queue));
    there.ok_or_else(Fault::not_found)?;
    lenient::require(&body, &["node"])?;
    let node = lenient::text(&body, "node")?.unwrap_or_default();
    assert_node(&node).map_err(|_| Fault::bad_request("Node is not a cluster member"))
}

/// `POST /api/queues/quorum/VHOST/QUEUE/replicas/add`.
pub(super) async fn add(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path((vhost, queue)): Path<(String, String)>,
    body: Document,
) -> Answer {
    named(&management, (&vhost, &queue), body).await?;
    Ok(done())
}

/// `DELETE /api/queues/quorum/VHOST/QUEUE/replicas/delete`.
pub(super) async fn delete(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path((vhost, queue)): Path<(String, String)>,
    body: Document,
) -> Answer {
    named(&management, (&vhost, &queue), body).await?;
    Err(Fault::with_status(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", "last_node"))
}

/// `POST /api/queues/quorum/replicas/on/NODE/grow`.
pub(super) async fn grow(
    _: Administrator,
    Path(node): Path<String>,
    Document(body): Document,
) -> Answer {
    lenient::require(&body, &["strategy", "vhost_pattern", "queue_pattern"])?;
    assert_node(&node)?;
    Ok(done())
}

/// `DELETE /api/queues/quorum/replicas/on/NODE/shrink`: each has its last member there.
pub(super) async fn shrink(_: Administrator, Path(node): Path<String>) -> Answer {
    assert_node(&node)?;
    Ok(done())
}
