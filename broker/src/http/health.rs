//! Health checks: `/api/health/checks/*` as RabbitMQ has them, and `/health/live` and `/health/ready`
//! for whoever starts and stops brokers.
//!
//! Stays true: whether the broker is ready costs a load, whoever asks how often; what is unwell is 503
//! with a reason. See <https://www.rabbitmq.com/docs/monitoring#health-checks>.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::Management;
use super::answer::{Answer, Fault, json};
use super::authorization::Visitor;
use super::nodes::assert_node;
use crate::clock;
use crate::names;

fn ok() -> Answer {
    Ok(json(&json!({"status": "ok"})))
}

/// `GET /health/live`: the process answers.
pub(super) async fn live() -> Answer {
    ok()
}

/// `GET /health/ready`: the start is complete, and the end has not begun.
pub(super) async fn ready(State(management): State<Arc<Management>>) -> Answer {
    match management.is_ready() {
        true => ok(),
        false => {
            let text = json!({"status": "failed", "reason": "the broker starts or ends"});
            Ok((StatusCode::SERVICE_UNAVAILABLE, json(&text)).into_response())
        }
    }
}

/// `GET /api/health/checks/is-in-service` and `ready-to-serve-clients`.
pub(super) async fn in_service(State(management): State<Arc<Management>>) -> Answer {
    match management.is_ready() {
        true => ok(),
        false => Ok(Fault::unwell(json!({"reason": "this node is being started or stopped"}))),
    }
}

/// `GET /api/health/checks/below-node-connection-limit`.
pub(super) async fn below_connection_limit(State(management): State<Arc<Management>>) -> Answer {
    let (count, limit) = (management.broker.connection_count(), management.broker.limits());
    match limit.connections.filter(|limit| count >= *limit) {
        None => ok(),
        Some(limit) => Ok(Fault::unwell(json!({
            "reason": "the node's connection limit is reached",
            "current": count,
            "limit": limit,
        }))),
    }
}

/// `GET /api/health/checks/reached-target-cluster-size`: one node is all there is.
pub(super) async fn cluster_size() -> Answer {
    ok()
}

/// What cannot be otherwise here: every vhost runs, every queue has its leader, definitions are there.
pub(super) async fn fine(_: Visitor) -> Answer {
    ok()
}

/// The same of a vhost that is there.
pub(super) async fn fine_in_vhost(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(vhost): Path<String>,
) -> Answer {
    visitor.visible_vhost(&management, &vhost).await?;
    ok()
}

/// `GET /api/aliveness-test/VHOST`.
pub(super) async fn aliveness(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(vhost): Path<String>,
) -> Answer {
    visitor.vhost(&management, &vhost).await?;
    ok()
}

/// `GET /api/healthchecks/node` and `/NODE`.
pub(super) async fn node(_: Visitor, node: Option<Path<String>>) -> Answer {
    match node {
        Some(Path(node)) => assert_node(&node).and_then(|()| ok()),
        None => ok(),
    }
}

/// `GET /api/health/checks/node-is-quorum-critical`.
pub(super) async fn quorum(_: Visitor) -> Answer {
    Ok(json(&json!({"status": "ok", "reason": "single node cluster"})))
}

/// `GET /api/health/checks/alarms` and `local-alarms`.
pub(super) async fn alarms(State(management): State<Arc<Management>>, _: Visitor) -> Answer {
    let alarms = management.broker.alarms();
    let raised = [(alarms.is_memory_low(), "memory"), (alarms.is_disk_low(), "disk")];
    let raised: Vec<Value> = raised
        .into_iter()
        .filter(|(is_raised, _)| *is_raised)
        .map(|(_, resource)| json!({"node": names::node(), "resource": resource}))
        .collect();
    match raised.is_empty() {
        true => ok(),
        false => Ok(Fault::unwell(
            json!({"reason": "alarms are in effect in the cluster", "alarms": raised}),
        )),
    }
}

/// `GET /api/health/checks/port-listener/PORT`.
pub(super) async fn port(
    State(management): State<Arc<Management>>,
    _: Visitor,
    Path(port): Path<String>,
) -> Answer {
    let port: u16 = port.parse().map_err(|_| Fault::bad_request("Invalid port"))?;
    let ports: BTreeSet<u16> =
        management.listening.iter().map(|listening| listening.address.port()).collect();
    match ports.contains(&port) {
        true => Ok(json(&json!({"status": "ok", "port": port}))),
        false => Ok(Fault::unwell(json!({
            "reason": "No active listener",
            "missing": port,
            "ports": ports,
        }))),
    }
}

/// `GET /api/health/checks/protocol-listener/A,B`.
pub(super) async fn protocols(
    State(management): State<Arc<Management>>,
    _: Visitor,
    Path(asked): Path<String>,
) -> Answer {
    let active: BTreeSet<&str> =
        management.listening.iter().map(|listening| listening.protocol).collect();
    let missing: Vec<&str> =
        asked.split(',').map(str::trim).filter(|one| !active.contains(named(one))).collect();
    match missing.is_empty() {
        true => Ok(json(&json!({"status": "ok", "protocols": active}))),
        false => Ok(Fault::unwell(json!({
            "reason": "No active listener",
            "missing": missing,
            "protocols": active,
        }))),
    }
}

/// Other words for the same protocol.
fn named(protocol: &str) -> &str {
    match protocol {
        "amqp091" | "amqp0.9.1" | "amqp0-9-1" => "amqp",
        "amqps" | "amqp/tls" => "amqp/ssl",
        "https" | "http/ssl" => "https",
        other => other,
    }
}

/// `GET /api/health/checks/certificate-expiration/WITHIN/UNIT`.
pub(super) async fn certificates(
    State(management): State<Arc<Management>>,
    _: Visitor,
    Path((within, unit)): Path<(String, String)>,
) -> Answer {
    const DAY: u64 = 24 * 60 * 60;
    let days = match unit.as_str() {
        "days" => 1,
        "weeks" => 7,
        "months" => 30,
        "years" => 365,
        _ => {
            return Err(Fault::bad_request(
                "Time unit not recognised. Supported units: days, weeks, months, years.",
            ));
        }
    };
    let within: u32 =
        within.parse().map_err(|_| Fault::bad_request("Invalid expiration value."))?;
    let now_seconds = Duration::from_millis(clock::unix_millis()).as_secs();
    let end = now_seconds.saturating_add(u64::from(within).saturating_mul(days * DAY));
    let expiring = management.tls.iter().filter(|tls| tls.expires_seconds() <= end);
    let expired: Vec<Value> =
        expiring.map(|tls| json!({"node": names::node(), "certificate": tls.about()})).collect();
    match expired.is_empty() {
        true => ok(),
        false => Ok(Fault::unwell(json!({"reason": "Certificates expiring", "expired": expired}))),
    }
}
