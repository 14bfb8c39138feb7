//! `/api/queues/VHOST/QUEUE/messages`: the messages of a queue looked at where they are, deleted, copied,
//! moved, and dead letters brought back. Ours: RabbitMQ has nothing like it.
//!
//! Rights are those that a client would need who consumes the messages and publishes them where they go.
//! Stays true: looking changes nothing; an operation that takes longer than a request may is given up
//! between two steps, and its answer says so.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::acting::{Actor, at_queue};
use super::answer::{Answer, Fault, json};
use super::authorization::Visitor;
use super::clients::{channel_name, client};
use super::lenient;
use super::messages::{Shown, content};
use super::request::{Document, Query, named};
use super::selecting::{Page, known_only, natural, no_cursor, picked, selection, which};
use crate::auth::rights::Permission;
use crate::clock;
use crate::queue::cursor::{Place, Seen, Which};
use crate::session::declaring::Acting;
use crate::vhost::operations::{Destination, Job, OperationError, Report};
use crate::vhost::selection::{Permitted, Selection};

/// So many messages are looked at for a page at most: who means few comes back with the cursor.
const LOOKED_AT_MAX: usize = 20_000;
/// Bytes of the messages on a page, unless it is a single one.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// An operation is given up after so long: an idle connection ends soon after.
const WITHIN: Duration = Duration::from_secs(30);

/// `GET /api/queues/VHOST/QUEUE/messages`.
pub(super) async fn peek(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    show(&management, &visitor, (&vhost, &name), &query, None).await
}

/// A page of a queue: of these messages, or those that the query says.
pub(super) async fn show(
    management: &Arc<Management>,
    visitor: &Visitor,
    (vhost, name): (&str, &str),
    query: &Query,
    of: Option<Which>,
) -> Answer {
    let actor = reader(management, visitor, (vhost, name)).await?;
    let Page { count, cursor, shown, meant } = Page::of(query, clock::unix_millis())?;
    let after = cursor.map(str::parse::<Place>).transpose().map_err(|_| no_cursor())?;
    let which = of.map_or_else(|| which(query.get("state")), Ok)?;
    let (seen, next) = page(&actor, name, (which, after), (&meant, count)).await?;
    let messages: Vec<Value> = seen.iter().map(|seen| rendered(management, seen, shown)).collect();
    Ok(json(&json!({"messages": messages, "cursor": next.map(|place| place.to_string())})))
}

/// Looks through a queue until there are so many, or it has looked at enough. Tells where the next page
/// begins.
async fn page(
    actor: &Actor,
    queue: &str,
    (which, mut after): (Which, Option<Place>),
    (meant, count): (&Selection, usize),
) -> Result<(Vec<Seen>, Option<Place>), Fault> {
    let (mut found, mut looked_at, mut bytes) = (Vec::new(), 0, 0);
    while found.len() < count && looked_at < LOOKED_AT_MAX && bytes < PAGE_BYTES_MAX {
        let some = actor.vhost().peek(queue, which, after, count.max(1)).await?;
        if some.is_empty() {
            return Ok((found, None));
        }
        for seen in some {
            if found.len() == count || bytes >= PAGE_BYTES_MAX {
                break;
            }
            (after, looked_at) = (Some(seen.place), looked_at + 1);
            if seen.message.as_ref().is_none_or(|message| meant.means(message)) {
                bytes += seen.size;
                found.push(seen);
            }
        }
    }
    Ok((found, after))
}

/// A message, with what is known of it at its place. One that cannot be read has no content.
fn rendered(management: &Management, seen: &Seen, shown: Shown) -> Value {
    let holder = seen.holder.as_ref();
    let handle = holder.and_then(|holder| management.broker.open_connection(holder.connection));
    let client = handle.as_deref().and_then(client);
    let channel = client.zip(holder);
    let arrived_ms = seen.message.as_ref().map(crate::message::Message::arrived_ms);
    let mut fields = super::overview::object(json!({
        "cursor": seen.place.to_string(),
        "sequence": seen.sequence,
        "size": seen.size,
        "priority": seen.priority,
        "redelivered": seen.redelivered,
        "failed_attempts": seen.failures,
        "arrived_at": arrived_ms.filter(|arrived_ms| *arrived_ms != 0),
        "expires_at": seen.expires_ms,
        "due_at": seen.due_ms,
        "consumer_tag": holder.map(|holder| &holder.consumer_tag),
        "channel": channel.map(|(client, holder)| channel_name(client, holder.channel)),
        "user": client.map(|client| &client.user),
        "delivered_at": seen.delivered_ms,
        "is_readable": seen.message.is_some(),
    }));
    if let Some(message) = &seen.message {
        fields.extend(content(message, shown));
    }
    fields.into()
}

/// What there is to do, beside the messages and the destination.
fn job(body: &Map<String, Value>, others: &[&str]) -> Result<Job, Fault> {
    let words = ["filter", "messages", "state", "limit", "rate", "dry_run"];
    known_only(body, |name| words.contains(&name) || others.contains(&name))?;
    let number = |name: &str| {
        let number = lenient::integer(body, name)?;
        number.map(|number| natural(name, number)).transpose()
    };
    let rate = number("rate")?;
    if rate == Some(0) {
        return Err(Fault::bad_request("rate is 0, and nothing would ever be done"));
    }
    let filter = lenient::object(body, "filter")?.unwrap_or_default();
    Ok(Job {
        which: which(lenient::text(body, "state")?.as_deref())?,
        selection: selection(&filter, clock::unix_millis())?,
        picked: picked(body)?,
        limit: number("limit")?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        per_second: rate.map(|rate| u32::try_from(rate).unwrap_or(u32::MAX)),
        within: Some(WITHIN),
        dry_run: lenient::flag(body, "dry_run")?.unwrap_or(false),
    })
}

/// What is handed out is its consumer's, and cannot be taken away.
fn not_handed_out(job: &Job) -> Result<(), Fault> {
    match job.which {
        Which::Unacked => {
            let text = "messages that are unacked belong to their consumers: only copy takes them";
            Err(Fault::bad_request(text))
        }
        Which::Ready | Which::Delayed => Ok(()),
    }
}

fn told(report: &Report, job: &Job) -> Answer {
    Ok(json(&json!({
        "dry_run": job.dry_run,
        "seen": report.seen,
        "matched": report.meant,
        "done": report.done,
        "without_route": report.without_way,
        "refused": report.refused,
        "unreadable": report.unreadable,
        "complete": !report.given_up,
    })))
}

/// `POST /api/queues/VHOST/QUEUE/messages/count`.
pub(super) async fn count(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let actor = reader(&management, &visitor, (&vhost, &name)).await?;
    let job = Job { dry_run: true, ..job(&body, &[])? };
    told(&actor.vhost().count(&name, job.clone()).await?, &job)
}

/// `POST /api/queues/VHOST/QUEUE/messages/delete`.
pub(super) async fn delete(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let actor = reader(&management, &visitor, (&vhost, &name)).await?;
    let job = job(&body, &[])?;
    not_handed_out(&job)?;
    told(&actor.vhost().delete_messages(&name, &job).await?, &job)
}

/// `POST /api/queues/VHOST/QUEUE/messages/copy`.
pub(super) async fn copy(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let actor = reader(&management, &visitor, (&vhost, &name)).await?;
    let mut job = job(&body, &["destination"])?;
    let to = destination(&body)?;
    job.selection.permitted = may_publish(&actor, &to).await?;
    told(&actor.vhost().copy_messages(&name, &job, &to).await?, &job)
}

/// `POST /api/queues/VHOST/QUEUE/messages/move`.
pub(super) async fn move_on(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let actor = reader(&management, &visitor, (&vhost, &name)).await?;
    let mut job = job(&body, &["destination"])?;
    not_handed_out(&job)?;
    let to = destination(&body)?;
    job.selection.permitted = may_publish(&actor, &to).await?;
    told(&actor.vhost().move_messages(&name, &job, &to).await?, &job)
}

/// `POST /api/queues/VHOST/QUEUE/messages/redrive`: dead letters go back to the queue in which they died
/// first.
pub(super) async fn redrive(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let actor = reader(&management, &visitor, (&vhost, &name)).await?;
    let mut job = job(&body, &[])?;
    not_handed_out(&job)?;
    job.selection.permitted = may_publish(&actor, &Destination::Origin).await?;
    told(&actor.vhost().move_messages(&name, &job, &Destination::Origin).await?, &job)
}

/// The visitor, who may read the queue.
pub(super) async fn reader(
    management: &Arc<Management>,
    visitor: &Visitor,
    queue: (&str, &str),
) -> Result<Arc<Actor>, Fault> {
    let (actor, there) = at_queue(management, visitor, queue, Permission::Read).await?;
    there.open_queue(queue.1, actor.connection())?;
    Ok(actor)
}

/// `{"queue": …}`, or `{"exchange": …}` with or without a routing key.
fn destination(body: &Map<String, Value>) -> Result<Destination, Fault> {
    lenient::require(body, &["destination"])?;
    let given = lenient::object(body, "destination")?.unwrap_or_default();
    known_only(&given, |name| ["queue", "exchange", "routing_key"].contains(&name))?;
    let text = |name: &str| lenient::text(&given, name);
    match (text("queue")?, text("exchange")?, text("routing_key")?) {
        (Some(queue), None, None) => Ok(Destination::Queue(queue)),
        (None, Some(exchange), routing_key) => {
            Ok(Destination::Exchange { name: named(&exchange).to_owned(), routing_key })
        }
        _ => Err(Fault::bad_request("the destination is a queue, or an exchange")),
    }
}

/// Refused unless the visitor could publish there. Which messages these may be is for their routing keys
/// to say, at a topic exchange to which they go with their own.
async fn may_publish(actor: &Arc<Actor>, to: &Destination) -> Result<Option<Permitted>, Fault> {
    let (name, routing_key) = match to {
        Destination::Queue(_) | Destination::Origin => ("", None),
        Destination::Exchange { name, routing_key } => (name.as_str(), routing_key.as_deref()),
    };
    let vhost = actor.vhost();
    let exchange =
        vhost.exchange(name).ok_or_else(|| OperationError::NotFound(vhost.exchange_name(name)))?;
    let shown = if name.is_empty() { "amq.default" } else { name };
    actor.assert(Permission::Write, &vhost.exchange_name(shown), shown).await?;
    if exchange.settings().internal {
        let text = format!("cannot publish to internal {}", vhost.exchange_name(name));
        return Err(Fault::bad_request(text));
    }
    if !exchange.is_topic() {
        return Ok(None);
    }
    if let Some(routing_key) = routing_key {
        actor.assert_topic(Permission::Write, name, routing_key).await?;
        return Ok(None);
    }
    let (actor, name) = (Arc::clone(actor), name.to_owned());
    Ok(Some(Permitted(Arc::new(move |message| {
        let keys = message.shown_keys();
        keys.iter().all(|key| actor.check_topic(Permission::Write, &name, key).is_ok())
    }))))
}

impl From<OperationError> for Fault {
    fn from(error: OperationError) -> Self {
        match &error {
            OperationError::NotFound(_) => Self::missing(&error.to_string()),
            OperationError::Storage(_) => Self::internal(&error.to_string()),
        }
    }
}
