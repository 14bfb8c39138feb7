//! `/api/queues/VHOST/QUEUE/pause`: consumers or publishers of a queue told to wait, and to go on. Ours.
//!
//! Who may configure the queue may do so. Stays true: what is not named stays as it is.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::json;

use super::Management;
use super::acting::{Actor, at_queue};
use super::answer::{Answer, Fault, done, json};
use super::authorization::Visitor;
use super::lenient;
use super::request::{Document, Query};
use super::selecting::known_only;
use crate::auth::rights::Permission;
use crate::pause::Pause;
use crate::session::declaring::Acting;
use crate::vhost::topology::Refusal;

/// The longest reason, in bytes: it is kept with the queue's definition.
const REASON_MAX: usize = 1024;

/// `GET /api/queues/VHOST/QUEUE/pause`.
pub(super) async fn show(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    let pause = there.queue(&name).ok_or_else(Fault::not_found)?.paused();
    Ok(json(&json!({"consumers": pause.consumers, "publishers": pause.publishers})))
}

/// `PUT /api/queues/VHOST/QUEUE/pause`: `{"consumers": true, "publishers": false, "reason": …}`.
pub(super) async fn pause(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let actor = keeper(&management, &visitor, (&vhost, &name)).await?;
    known_only(&body, |name| ["consumers", "publishers", "reason"].contains(&name))?;
    let reason = lenient::text(&body, "reason")?.unwrap_or_default();
    if reason.len() > REASON_MAX {
        return Err(Fault::bad_request(format!("the reason has more than {REASON_MAX} bytes")));
    }
    let [consumers, publishers] =
        ["consumers", "publishers"].map(|name| lenient::flag(&body, name));
    let (consumers, publishers) = (consumers?, publishers?);
    if consumers.is_none() && publishers.is_none() {
        return Err(Fault::bad_request("say whether consumers or publishers are to be paused"));
    }
    let one = move |pauses: Option<bool>, now: Option<String>| match pauses {
        Some(true) => Some(reason.clone()),
        Some(false) => None,
        None => now,
    };
    change(&actor, name, move |now| Pause {
        consumers: one(consumers, now.consumers),
        publishers: one(publishers, now.publishers),
    })
    .await
}

/// `DELETE /api/queues/VHOST/QUEUE/pause`: all go on, or those of the query alone
/// (`?consumers=true`).
pub(super) async fn resume(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let actor = keeper(&management, &visitor, (&vhost, &name)).await?;
    let (consumers, publishers) = (query.is_true("consumers"), query.is_true("publishers"));
    let all = !consumers && !publishers;
    change(&actor, name, move |now| Pause {
        consumers: now.consumers.filter(|_| !all && !consumers),
        publishers: now.publishers.filter(|_| !all && !publishers),
    })
    .await
}

async fn keeper(
    management: &Arc<Management>,
    visitor: &Visitor,
    queue: (&str, &str),
) -> Result<Arc<Actor>, Fault> {
    let (actor, _) = at_queue(management, visitor, queue, Permission::Configure).await?;
    Ok(actor)
}

async fn change(
    actor: &Arc<Actor>,
    name: String,
    then: impl Fn(Pause) -> Pause + Send + Sync + 'static,
) -> Answer {
    let changed = actor.change(move |actor| {
        let queue = actor.vhost().open_queue(&name, actor.connection())?;
        let pause = then((*queue.paused()).clone());
        let paused = actor.vhost().pause_queue(&name, pause.clone()).map_err(Refusal::from)?;
        let told = |who: Option<&str>| who.map_or("go on", |_| "are paused");
        let (user, vhost) = (actor.user(), actor.vhost().name());
        tracing::info!(
            queue = name,
            vhost,
            by = user,
            "queue '{name}' in vhost '{vhost}': consumers {}, publishers {}, by '{user}'",
            told(pause.consumers.as_deref()),
            told(pause.publishers.as_deref()),
        );
        Ok(((), paused.unwrap_or_default()))
    });
    changed.await?;
    Ok(done())
}
