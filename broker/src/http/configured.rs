//! `/api/config` and what of it is set by hand: what counts now, and where it was configured.
//!
//! Stays true: nobody is told a secret, whoever asks; what is told is what counts, after the configuration was
//! read again as well.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, json};
use super::authorization::Administrator;
use crate::config::secrets::shown;
use crate::config::{LogOutput, Reach, ToldKey};

/// `GET /api/config/effective`: what counts now of what can be configured, by its keys.
pub(super) async fn effective(
    State(management): State<Arc<Management>>,
    _: Administrator,
) -> Answer {
    let (broker, limits) = (&management.broker, management.broker.limits());
    let files: Vec<_> =
        management.config_files.iter().map(|file| file.display().to_string()).collect();
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(json(&json!({
        "channel_max": limits.channel_max,
        "channel_max_per_node": limits.channels,
        "cluster_name": management.identity.cluster_name,
        "config_files": files,
        "consumer_max_per_channel": limits.consumers_per_channel,
        "data_dir": management.data_dir.display().to_string(),
        "disk_free_limit": broker.watermarks().disk_free_limit(),
        "frame_max": limits.frame_max,
        "handshake_timeout": millis(limits.handshake_timeout),
        "heartbeat": limits.heartbeat_seconds,
        "initial_frame_max": limits.initial_frame_max,
        "max_connections": limits.connections,
        "max_message_size": limits.message_size,
        "unacked_max_per_channel": limits.unacked_per_channel,
        "vhost_max": broker.vhost_max(),
        "vm_memory_high_watermark": broker.watermarks().memory_limit(),
    })))
}

/// `GET /api/config/keys`: every key, what it is set to and where, and its default.
pub(super) async fn keys(State(management): State<Arc<Management>>, _: Administrator) -> Answer {
    let told = management.broker.settled().told();
    Ok(json(&told.iter().map(key).collect::<Value>()))
}

fn key(told: &ToldKey) -> Value {
    let changes = match told.reach {
        Reach::Now => "now",
        Reach::NewConnections => "new connections",
        Reach::Restart => "restart",
    };
    json!({
        "key": told.key,
        "value": told.value.as_ref().map(|value| shown(&told.key, value.expose())),
        "origin": told.origin,
        "default": told.default,
        "takes": told.kind,
        "meaning": told.meaning,
        "changes_count": changes,
    })
}

/// `GET /api/operation/log-level`: from which level on lines go where, and those of categories that have a
/// level of their own.
pub(super) async fn log_level(
    State(management): State<Arc<Management>>,
    _: Administrator,
) -> Answer {
    let logging = management.broker.logging().unwrap_or_default();
    let console = logging.console_name();
    let of = |to: String, output: &LogOutput| json!({"to": to, "level": level(&output.filter)});
    let console = logging.console.as_ref().map(|output| of(console.to_owned(), output));
    let file = logging.file.as_ref();
    let file = file.map(|file| of(file.path.display().to_string(), &file.output));
    let categories = logging.categories.iter();
    let categories =
        categories.map(|(category, own)| (category.name().to_owned(), level(own).into()));
    Ok(json(&json!({
        "outputs": console.into_iter().chain(file).collect::<Value>(),
        "categories": categories.collect::<Map<_, _>>(),
    })))
}

/// RabbitMQ's name of a level; directives of somebody's own are told as they are.
fn level(filter: &str) -> &str {
    match filter {
        "warn" => "warning",
        "off" => "none",
        other => other,
    }
}
