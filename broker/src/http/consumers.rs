//! `/api/consumers`: who consumes from which queue.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json};
use super::authorization::Visitor;
use super::clients::{asked, channel_name, client};
use super::listing::{Listing, Row, pick};
use super::request::Query;
use super::why::ack_times;
use crate::clock;
use crate::keys::ConnectionId;
use crate::names;
use crate::outgoing::ConnectionHandle;
use crate::queue::Queue;
use crate::queue::truth::ConsumerTruth;
use crate::vhost::Vhost;

/// A consumer in a list.
pub(super) struct ConsumerRow {
    queue: Arc<Queue>,
    consumer: ConsumerTruth,
    handle: Option<Arc<ConnectionHandle>>,
}

impl Row for ConsumerRow {
    fn name(&self) -> &str {
        &self.consumer.consumer_tag
    }

    fn field(&self, path: &str) -> Value {
        match path {
            "consumer_tag" => self.consumer.consumer_tag.as_str().into(),
            "queue.name" => self.queue.name().into(),
            // For sorting, the oldest first: what has none comes last.
            "unacknowledged_for_ms" => age(self.consumer.oldest_unacked_ms),
            _ => pick(&self.render(), path),
        }
    }

    fn render(&self) -> Value {
        let ConsumerTruth { consumer_tag, is_active, unacked, history, .. } = &self.consumer;
        let settings = &self.consumer;
        let mut arguments = Map::new();
        if settings.priority != 0 {
            arguments.insert("x-priority".to_owned(), settings.priority.into());
        }
        if let Some(timeout_ms) = settings.timeout_ms {
            arguments.insert("x-consumer-timeout".to_owned(), timeout_ms.into());
        }
        json!({
            "consumer_tag": consumer_tag,
            "active": is_active,
            "activity_status": if *is_active { "up" } else { "waiting" },
            "ack_required": !settings.no_ack,
            "exclusive": settings.exclusive,
            "prefetch_count": settings.prefetch_count,
            "consumer_timeout": settings.timeout_ms.unwrap_or(0),
            "arguments": arguments,
            "queue": {"name": self.queue.name(), "vhost": self.queue.vhost()},
            "channel_details": self.channel(),
            "messages_unacknowledged": unacked,
            "deliveries": history.deliveries,
            "acks": self.consumer.acks,
            "ack_times": ack_times(&history.ack_times),
            "oldest_unacknowledged_ms": self.consumer.oldest_unacked_ms,
        })
    }
}

impl ConsumerRow {
    /// Whose it is.
    fn channel(&self) -> Value {
        let Some(client) = self.handle.as_deref().and_then(client) else { return json!({}) };
        let number = self.consumer.channel;
        json!({
            "name": channel_name(client, number),
            "number": number,
            "connection_name": client.name,
            "node": names::node(),
            "user": client.user,
            "peer_host": client.about.peer.ip().to_string(),
            "peer_port": client.about.peer.port(),
        })
    }

    fn user(&self) -> &str {
        self.handle.as_deref().and_then(client).map_or("", |client| &client.user)
    }
}

/// How long ago a time is, in milliseconds.
pub(super) fn age(at_ms: Option<u64>) -> Value {
    at_ms.map(|at_ms| clock::unix_millis().saturating_sub(at_ms)).into()
}

/// The consumers of a queue.
pub(super) fn of_queue(management: &Management, _: &Vhost, queue: &Arc<Queue>) -> Vec<ConsumerRow> {
    let row = |consumer: ConsumerTruth| {
        let handle = management.broker.open_connection(ConnectionId(consumer.connection));
        ConsumerRow { queue: Arc::clone(queue), consumer, handle }
    };
    queue.consumers_truth().into_iter().map(row).collect()
}

fn of_all(management: &Management, vhost: &Vhost) -> Vec<ConsumerRow> {
    vhost.queues().iter().flat_map(|queue| of_queue(management, vhost, queue)).collect()
}

/// Those of a channel.
pub(super) fn of_channel(
    management: &Management,
    vhost: &Vhost,
    (connection, channel): (u64, u16),
) -> Vec<ConsumerRow> {
    let all = of_all(management, vhost).into_iter();
    all.filter(|row| (row.consumer.connection, row.consumer.channel) == (connection, channel))
        .collect()
}

/// `GET /api/consumers`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    let vhosts = visitor.visible_vhosts(&management).await;
    list(management, visitor, vhosts, &query).await
}

/// `GET /api/consumers/VHOST`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    let vhost = visitor.visible_vhost(&management, &vhost).await?;
    list(management, visitor, vec![vhost], &query).await
}

/// `DELETE /api/consumers/VHOST/CHANNEL/TAG`: takes a consumer off its queue; its client is told, if it
/// wants to know. What it holds stays with its channel. Ours.
pub(super) async fn cancel(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, channel, tag)): Path<(String, String, String)>,
) -> Answer {
    let there = visitor.visible_vhost(&management, &vhost).await?;
    let number = channel.rsplit_once(" (").and_then(|(name, number)| {
        Some((name.to_owned(), number.strip_suffix(')')?.parse::<u16>().ok()?))
    });
    let (name, number) = number.ok_or_else(Fault::not_found)?;
    let handle = management.visible_connection(&visitor, &name)?;
    let client = client(&handle);
    visitor.may_end_of(client.map_or("", |client| &client.user))?;
    let (by, of) = (visitor.name().to_owned(), handle.id().0);
    let found = blocking(move || {
        let mut all = of_channel(&management, &there, (of, number)).into_iter();
        all.find(|row| row.consumer.consumer_tag == tag)
    });
    let row = found.await?.ok_or_else(Fault::not_found)?;
    let (queue, tag) = (row.queue.name(), row.consumer.consumer_tag.clone());
    tracing::info!(
        queue,
        by,
        "consumer {tag} of queue '{queue}' in vhost '{vhost}' is cancelled by '{by}'"
    );
    handle.stop_consumer(number, tag);
    // Its task has done so by the time it answers.
    asked(vec![handle]).await;
    Ok(done())
}

async fn list(
    management: Arc<Management>,
    visitor: Visitor,
    vhosts: Vec<Arc<Vhost>>,
    query: &Query,
) -> Answer {
    let listing = Listing::of(query)?;
    let listed = blocking(move || {
        let all = vhosts.iter().flat_map(|vhost| of_all(&management, vhost));
        let rows = all.filter(|row| visitor.may_see_of(row.user()).is_ok()).collect();
        listing.list(rows, |one: &ConsumerRow, other| {
            let key = |row: &'_ ConsumerRow| {
                let queue = (row.queue.vhost().to_owned(), row.queue.name().to_owned());
                (queue, row.consumer.consumer_tag.clone())
            };
            key(one).cmp(&key(other))
        })
    });
    Ok(json(&listed.await??))
}
