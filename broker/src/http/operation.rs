//! `/api/operation`: what RabbitMQ has on its command line alone, for whoever may administrate.
//!
//! `ctl` asks for it. Stays true: what is set here holds until a restart, or until the configuration is
//! read again, as on RabbitMQ; definitions that are imported here say what they changed, and may be asked
//! before.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Path, State};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json};
use super::authorization::{Administrator, Visitor};
use super::definitions::{self, How};
use super::lenient;
use super::request::{Document, Query, Whole};
use crate::auth::sasl::{Claim, Identity};
use crate::config::{self, DiskFreeLimit, LogCategory, MemoryHighWatermark};

/// `PUT /api/operation/memory-watermark`: `{"relative": 0.6}` or `{"absolute": "4GB"}`.
pub(super) async fn memory_watermark(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Document(body): Document,
) -> Answer {
    let watermark = match amount(&body)? {
        Amount::Relative(share) if share <= 1.0 => MemoryHighWatermark::Relative(share),
        Amount::Relative(share) => {
            return Err(Fault::bad_request(format!("{share} is more than all memory")));
        }
        Amount::Absolute(bytes) => MemoryHighWatermark::Absolute(bytes),
    };
    blocking(move || management.broker.set_memory_watermark(watermark)).await?;
    Ok(done())
}

/// `PUT /api/operation/disk-free-limit`: `{"absolute": "2GB"}` or `{"relative": 1.5}`, of the memory.
pub(super) async fn disk_free_limit(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Document(body): Document,
) -> Answer {
    let limit = match amount(&body)? {
        Amount::Relative(multiple) => DiskFreeLimit::Relative(multiple),
        Amount::Absolute(bytes) => DiskFreeLimit::Absolute(bytes),
    };
    blocking(move || management.broker.set_disk_free_limit(limit)).await?;
    Ok(done())
}

enum Amount {
    /// Of the memory there is.
    Relative(f64),
    /// Bytes.
    Absolute(u64),
}

fn amount(body: &Map<String, Value>) -> Result<Amount, Fault> {
    if let Some(relative) = lenient::given(body, "relative") {
        let share = relative.as_f64().filter(|share| *share >= 0.0 && share.is_finite());
        let wrong = || Fault::bad_request(format!("{relative} is no share"));
        return share.map(Amount::Relative).ok_or_else(wrong);
    }
    let absolute = lenient::given(body, "absolute").cloned().unwrap_or_default();
    let bytes = match &absolute {
        Value::String(text) => config::size(text),
        other => other.as_u64(),
    };
    let wrong = || Fault::bad_request(format!("{absolute} is no size such as 500KB, 50MB or 2GiB"));
    bytes.map(Amount::Absolute).ok_or_else(wrong)
}

/// `PUT /api/operation/log-level`: `{"level": "debug", "category": "connection"}`.
pub(super) async fn log_level(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Document(body): Document,
) -> Answer {
    lenient::require(&body, &["level"])?;
    let level = lenient::text(&body, "level")?.unwrap_or_default();
    let category = lenient::text(&body, "category")?;
    let known = |name: String| {
        let found = LogCategory::ALL.into_iter().find(|category| category.name() == name);
        found.ok_or_else(|| Fault::bad_request(format!("category {name} is not supported")))
    };
    let category = category.map(known).transpose()?;
    let set = blocking({
        let level = level.clone();
        move || management.broker.set_log_level(category, &level)
    });
    set.await?.map_err(|_| {
        Fault::bad_request(format!(
            "level {level} is not supported. Try one of debug, info, warning, error, critical, none"
        ))
    })?;
    Ok(done())
}

/// `POST /api/operation/stop`: as SIGTERM does.
pub(super) async fn stop(Administrator(visitor): Administrator) -> Answer {
    tracing::info!("the broker is asked to stop by '{}'", visitor.name());
    kill_process(getpid(), Signal::TERM).map_err(|error| Fault::internal(&error.to_string()))?;
    Ok(done())
}

/// `POST /api/operation/authenticate`: whether a user of this name and password gets in.
pub(super) async fn authenticate(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Document(body): Document,
) -> Answer {
    lenient::require(&body, &["username", "password"])?;
    let user = lenient::text(&body, "username")?.unwrap_or_default();
    let password = lenient::text(&body, "password")?.unwrap_or_default().into_bytes();
    let claim = Claim::Password(Identity { user, password });
    let (logins, users) = (management.broker.logins(), management.broker.users());
    let admitted = logins.admit(users, &claim, IpAddr::from(Ipv4Addr::LOCALHOST)).await;
    Ok(json(&admitted.is_ok()))
}

/// `POST /api/operation/definitions?prune=true&dry_run=true`: imported, or what that would change.
pub(super) async fn apply(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    query: Query,
    Whole(body): Whole,
) -> Answer {
    applied(management, visitor, None, &query, body).await
}

/// `POST /api/operation/definitions/VHOST`: the same of one vhost.
pub(super) async fn apply_to_vhost(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path(vhost): Path<String>,
    query: Query,
    Whole(body): Whole,
) -> Answer {
    applied(management, visitor, Some(vhost), &query, body).await
}

async fn applied(
    management: Arc<Management>,
    visitor: Visitor,
    vhost: Option<String>,
    query: &Query,
    body: bytes::Bytes,
) -> Answer {
    let how = How { prune: query.is_true("prune"), dry_run: query.is_true("dry_run") };
    let imported = definitions::imported(management, visitor, vhost, body, how).await?;
    Ok(json(&json!({
        "difference": imported.difference,
        "text": imported.difference.to_string(),
        "notes": imported.notes,
    })))
}
