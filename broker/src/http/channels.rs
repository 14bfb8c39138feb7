//! `/api/channels`: what clients' channels are doing.
//!
//! Stays true: a visitor sees channels of the connections that it may see.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, json};
use super::authorization::Visitor;
use super::clients::{asked, channel_name, client, details};
use super::listing::{Columns, Listing, Row, pick};
use super::ranges::Ranges;
use super::request::Query;
use super::statistics;
use crate::clock;
use crate::names;
use crate::outgoing::ConnectionHandle;
use crate::outgoing::mailbox::ChannelTruth;

/// A channel in a list.
struct ChannelRow {
    handle: Arc<ConnectionHandle>,
    channel: ChannelTruth,
    name: String,
    ranges: Ranges,
}

impl ChannelRow {
    fn new(handle: &Arc<ConnectionHandle>, channel: ChannelTruth, ranges: Ranges) -> Self {
        let name = client(handle).map(|client| channel_name(client, channel.number));
        let name = name.unwrap_or_default();
        Self { handle: Arc::clone(handle), channel, name, ranges }
    }
}

impl Row for ChannelRow {
    fn name(&self) -> &str {
        &self.name
    }

    fn field(&self, path: &str) -> Value {
        match path {
            "name" => self.name.as_str().into(),
            "number" => self.channel.number.into(),
            "messages_unacknowledged" => self.channel.unacked.into(),
            "consumer_count" => self.channel.consumers.into(),
            _ => pick(&self.render(), path),
        }
    }

    fn render(&self) -> Value {
        let Some(client) = client(&self.handle) else { return Value::Null };
        let channel = &self.channel;
        let hold = self.handle.pressure().hold(clock::unix_millis());
        json!({
            "name": self.name,
            "number": channel.number,
            "node": names::node(),
            "user": client.user,
            "user_who_performed_action": client.user,
            "vhost": client.vhost,
            "connection_details": details(client),
            "state": hold.state.name(),
            "held_by": hold.cause.name(),
            "held_since_ms": hold.held_since_ms(),
            "confirm": channel.confirms,
            "transactional": channel.is_transactional,
            "consumer_count": channel.consumers,
            "prefetch_count": channel.prefetch_count,
            "global_prefetch_count": channel.prefetch_count_global,
            "messages_unacknowledged": channel.unacked,
            "messages_unconfirmed": channel.unconfirmed,
            "messages_uncommitted": channel.uncommitted.0,
            "acks_uncommitted": channel.uncommitted.1,
            "message_stats": statistics::of_channel(&channel.counts, &channel.meter, &self.ranges),
            "pending_raft_commands": 0,
            "cached_segments": 0,
        })
    }
}

async fn rows(handles: Vec<Arc<ConnectionHandle>>, ranges: Ranges) -> Vec<ChannelRow> {
    let row = |(handle, channels): (Arc<ConnectionHandle>, Vec<ChannelTruth>)| {
        let row = |channel| ChannelRow::new(&handle, channel, ranges);
        channels.into_iter().map(row).collect::<Vec<_>>()
    };
    asked(handles).await.into_iter().flat_map(row).collect()
}

async fn listed(
    management: &Management,
    handles: Vec<Arc<ConnectionHandle>>,
    query: &Query,
) -> Answer {
    let (listing, ranges) = (Listing::of(query)?, Ranges::of(management, query)?);
    let rows = rows(handles, ranges).await;
    let listed =
        blocking(move || listing.list(rows, |one: &ChannelRow, other| one.name.cmp(&other.name)));
    Ok(json(&listed.await??))
}

/// `GET /api/channels`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    listed(&management, management.visible(&visitor, |_| true), &query).await
}

/// `GET /api/vhosts/VHOST/channels`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    visitor.visible_vhost(&management, &vhost).await?;
    listed(&management, management.visible(&visitor, |client| *client.vhost == *vhost), &query)
        .await
}

/// `GET /api/connections/NAME/channels`.
pub(super) async fn of_connection(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
    query: Query,
) -> Answer {
    let handle = management.visible_connection(&visitor, &name)?;
    listed(&management, vec![handle], &query).await
}

/// `GET /api/channels/NAME`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
    query: Query,
) -> Answer {
    let (connection, _) = name.rsplit_once(" (").ok_or_else(Fault::not_found)?;
    let handle = management.visible_connection(&visitor, connection)?;
    let ranges = Ranges::of(&management, &query).map_err(Fault::without_word)?;
    let row = rows(vec![handle], ranges).await.into_iter().find(|row| row.name == name);
    let row = row.ok_or_else(Fault::not_found)?;
    let rendered = blocking(move || {
        let mut rendered = row.render();
        let vhost = client(&row.handle).and_then(|client| management.broker.vhost(&client.vhost));
        if let (Value::Object(fields), Some(vhost)) = (&mut rendered, vhost) {
            let of = (row.handle.id().0, row.channel.number);
            let consumers = super::consumers::of_channel(&management, &vhost, of);
            let consumers: Vec<Value> = consumers.iter().map(Row::render).collect();
            fields.insert("consumer_details".to_owned(), consumers.into());
            fields.insert("publishes".to_owned(), json!([]));
            fields.insert("deliveries".to_owned(), json!([]));
        }
        rendered
    });
    Ok(json(&Columns::of(&query).of_value(rendered.await?)))
}
