//! What waits for its time: `/api/queues/VHOST/QUEUE/delayed`, messages that came back and are tried
//! again later, and `/api/exchanges/VHOST/EXCHANGE/delayed`, messages that are not routed yet. Ours.
//!
//! Stays true: what is deleted does not come, and what is due meanwhile is not deleted.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::acting::Actor;
use super::answer::{Answer, Fault, blocking, done, json, stored};
use super::authorization::Visitor;
use super::messages::{Shown, content};
use super::queue_messages::{self, reader};
use super::request::{Query, named};
use super::selecting::{Page, no_cursor, of_query, selection};
use crate::auth::rights::Permission;
use crate::clock;
use crate::keys::WaitingPlace;
use crate::queue::Effects;
use crate::queue::cursor::{Place, Which};
use crate::queue::waiting::Waiting;
use crate::session::declaring::Acting;
use crate::vhost::Vhost;
use crate::vhost::operations::Job;
use crate::vhost::selection::Selection;

/// Messages that are looked at for a page at most.
const LOOKED_AT_MAX: usize = 20_000;
/// Bytes of the messages on a page, unless it is a single one.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// `GET /api/queues/VHOST/QUEUE/delayed`.
pub(super) async fn of_queue(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    queue_messages::show(&management, &visitor, (&vhost, &name), &query, Some(Which::Delayed)).await
}

/// `DELETE /api/queues/VHOST/QUEUE/delayed`: all, or those that the query means.
pub(super) async fn delete_of_queue(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let actor = reader(&management, &visitor, (&vhost, &name)).await?;
    let job = Job {
        which: Which::Delayed,
        selection: meant(&query)?,
        picked: None,
        limit: None,
        per_second: None,
        within: None,
        dry_run: false,
    };
    let report = actor.vhost().delete_messages(&name, &job).await?;
    Ok(json(&json!({"deleted": report.done})))
}

/// `DELETE /api/queues/VHOST/QUEUE/delayed/CURSOR`.
pub(super) async fn delete_one_of_queue(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name, cursor)): Path<(String, String, String)>,
) -> Answer {
    let actor = reader(&management, &visitor, (&vhost, &name)).await?;
    let place: Place = cursor.parse().map_err(|_| Fault::not_found())?;
    let queue = actor.vhost().queue(&name).ok_or_else(Fault::not_found)?;
    let mut effects = Effects::default();
    let count = queue.remove(Which::Delayed, vec![place], &mut effects);
    effects.carry_out(queue.messages());
    let all = queue.messages().last();
    let forgotten = queue.messages().progress().reached_settled(all).await;
    forgotten.map_err(|error| Fault::internal(&error.to_string()))?;
    if count > 0 { Ok(done()) } else { Err(Fault::not_found()) }
}

fn meant(query: &Query) -> Result<Selection, Fault> {
    selection(&of_query(query, &[])?, clock::unix_millis())
}

/// `GET /api/exchanges/VHOST/EXCHANGE/delayed`.
pub(super) async fn of_exchange(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let name = named(&name).to_owned();
    let actor = allowed(&management, &visitor, (&vhost, &name), Permission::Read).await?;
    let Page { count, cursor, shown, meant } = Page::of(&query, clock::unix_millis())?;
    let after = cursor.map(place).transpose()?;
    let looked = blocking(move || page(actor.vhost(), (&name, &meant), after, count));
    let (page, next) = looked.await?;
    let messages: Vec<Value> = page.iter().map(|waiting| rendered(waiting, shown)).collect();
    Ok(json(&json!({"messages": messages, "cursor": next.map(told)})))
}

/// So many of those that wait for an exchange, and where the next are.
fn page(
    vhost: &Vhost,
    (exchange, meant): (&str, &Selection),
    mut after: Option<WaitingPlace>,
    count: usize,
) -> (Vec<Waiting>, Option<WaitingPlace>) {
    let (mut found, mut looked_at, mut bytes) = (Vec::new(), 0, 0);
    while found.len() < count && looked_at < LOOKED_AT_MAX && bytes < PAGE_BYTES_MAX {
        let some = vhost.delayed_messages(after, count.max(1));
        if some.is_empty() {
            return (found, None);
        }
        for waiting in some {
            (after, looked_at) = (Some(waiting.place), looked_at + 1);
            let is_meant = waiting
                .message
                .as_ref()
                .is_some_and(|message| message.routed_by() == exchange && meant.means(message));
            if is_meant {
                bytes += waiting.size;
                found.push(waiting);
            }
            if found.len() == count || bytes >= PAGE_BYTES_MAX {
                break;
            }
        }
    }
    (found, after)
}

fn rendered(waiting: &Waiting, shown: Shown) -> Value {
    let message = waiting.message.as_ref();
    let mut fields = message.map_or_else(Map::new, |message| content(message, shown));
    fields.insert("cursor".to_owned(), told(waiting.place).into());
    fields.insert("due_at".to_owned(), waiting.place.due_ms.into());
    fields.insert("size".to_owned(), waiting.size.into());
    fields.into()
}

/// `DELETE /api/exchanges/VHOST/EXCHANGE/delayed`: all, or those that the query means.
pub(super) async fn delete_of_exchange(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let name = named(&name).to_owned();
    let actor = allowed(&management, &visitor, (&vhost, &name), Permission::Configure).await?;
    let meant = meant(&query)?;
    let cancelled =
        blocking(move || actor.vhost().cancel_delayed_of(&name, |message| meant.means(message)));
    let (count, durable) = cancelled.await?;
    stored(durable).await?;
    Ok(json(&json!({"deleted": count})))
}

/// `DELETE /api/exchanges/VHOST/EXCHANGE/delayed/CURSOR`.
pub(super) async fn delete_one_of_exchange(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name, cursor)): Path<(String, String, String)>,
) -> Answer {
    let name = named(&name).to_owned();
    let actor = allowed(&management, &visitor, (&vhost, &name), Permission::Configure).await?;
    let place = place(&cursor).map_err(|_| Fault::not_found())?;
    let cancelled = blocking(move || {
        let there = actor.vhost().delayed_messages(before(place), 1).into_iter().next();
        let is_it = there.filter(|waiting| waiting.place == place).is_some_and(|waiting| {
            waiting.message.is_some_and(|message| message.routed_by() == name)
        });
        is_it.then(|| actor.vhost().cancel_delayed(place))
    });
    let (still_waited, durable) = cancelled.await?.ok_or_else(Fault::not_found)?;
    stored(durable).await?;
    if still_waited { Ok(done()) } else { Err(Fault::not_found()) }
}

/// The visitor, who has this permission at the exchange.
async fn allowed(
    management: &Arc<Management>,
    visitor: &Visitor,
    (vhost, name): (&str, &str),
    permission: Permission,
) -> Result<Arc<Actor>, Fault> {
    let there = visitor.vhost(management, vhost).await?;
    there.exchange(name).ok_or_else(Fault::not_found)?;
    let actor = visitor.actor(management, vhost).await?;
    let shown = if name.is_empty() { "amq.default" } else { name };
    actor.assert(permission, &there.exchange_name(shown), shown).await?;
    Ok(actor)
}

/// A place as whoever will come back is told it.
fn told(place: WaitingPlace) -> String {
    format!("{}-{}", place.due_ms, place.sequence)
}

fn place(cursor: &str) -> Result<WaitingPlace, Fault> {
    let parsed = cursor.split_once('-').and_then(|(due_ms, sequence)| {
        Some(WaitingPlace { due_ms: due_ms.parse().ok()?, sequence: sequence.parse().ok()? })
    });
    parsed.ok_or_else(no_cursor)
}

/// The last place before another, if there is one.
fn before(place: WaitingPlace) -> Option<WaitingPlace> {
    let WaitingPlace { due_ms, sequence } = place;
    match sequence.checked_sub(1) {
        Some(sequence) => Some(WaitingPlace { due_ms, sequence }),
        None => {
            let due_ms = due_ms.checked_sub(1)?;
            Some(WaitingPlace { due_ms, sequence: u64::MAX })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_and_understood() {
        let at = |due_ms, sequence| WaitingPlace { due_ms, sequence };
        assert_eq!(place(&told(at(7, 8))).ok(), Some(at(7, 8)));
        assert!(place("7").is_err() && place("7-x").is_err() && place("-7-8").is_err());
        assert_eq!(before(at(7, 8)), Some(at(7, 7)));
        assert_eq!(before(at(7, 0)), Some(at(6, u64::MAX)));
        assert_eq!(before(at(0, 0)), None);
    }
}
