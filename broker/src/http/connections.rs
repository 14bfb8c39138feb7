//! `/api/connections`: listed, and ended with a reason.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use leveret_protocol::types::{FieldTable, RawTable};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json};
use super::authorization::Visitor;
use super::clients::{asked, client, details};
use super::listing::{Columns, Listing, Row, pick};
use super::overview::object;
use super::ranges::Ranges;
use super::request::Query;
use super::statistics;
use crate::clock;
use crate::definitions::json_arguments::{to_json, to_value};
use crate::keys::ConnectionId;
use crate::names;
use crate::outgoing::{Client, ConnectionHandle};

/// RabbitMQ's reason where none is given.
const REASON: &str = "Closed via management plugin";

/// A connection in a list: one that is introduced.
pub(super) struct ConnectionRow {
    pub(super) handle: Arc<ConnectionHandle>,
    /// How many channels it has, where that was asked.
    pub(super) channels: usize,
    pub(super) ranges: Ranges,
}

impl Row for ConnectionRow {
    fn name(&self) -> &str {
        client(&self.handle).map_or("", |client| &client.name)
    }

    fn field(&self, path: &str) -> Value {
        let Some(client) = client(&self.handle) else { return Value::Null };
        match path {
            "name" => (*client.name).into(),
            "user" => (*client.user).into(),
            "vhost" => (*client.vhost).into(),
            "connected_at" => client.connected_at_ms.into(),
            "channels" => self.channels.into(),
            "user_provided_name" => provided_name(client).unwrap_or_default(),
            _ => pick(&self.render(), path),
        }
    }

    fn render(&self) -> Value {
        let Some(client) = client(&self.handle) else { return Value::Null };
        let about = &client.about;
        let (channel_max, frame_max, heartbeat_seconds) = client.tuned;
        let hold = self.handle.pressure().hold(clock::unix_millis());
        let properties: FieldTable = RawTable::new(&about.properties).parse().unwrap_or_default();
        let properties = to_json(&properties);
        let octets = self.handle.octets().counts();
        let waiting = self.handle.outbox().unsent();
        let mut fields = object(json!({
            "name": client.name,
            "node": names::node(),
            "type": "network",
            "protocol": "AMQP 0-9-1",
            "user": client.user,
            "user_who_performed_action": client.user,
            "vhost": client.vhost,
            "state": hold.state.name(),
            "held_by": hold.cause.name(),
            "held_since_ms": hold.held_since_ms(),
            "connected_at": client.connected_at_ms,
            "channels": self.channels,
            "channel_max": channel_max,
            "frame_max": frame_max,
            "timeout": heartbeat_seconds,
            "auth_mechanism": about.mechanism,
            "host": about.local.ip().to_string(),
            "port": about.local.port(),
            "peer_host": about.peer.ip().to_string(),
            "peer_port": about.peer.port(),
            "ssl": about.encryption.is_some(),
            "send_pend": waiting,
            "recv_cnt": octets.reads,
            "send_cnt": octets.writes,
        }));
        if let Some(name) = properties.get("connection_name").cloned() {
            fields.insert("user_provided_name".to_owned(), name);
        }
        fields.insert("client_properties".to_owned(), properties.into());
        fields.extend(statistics::of_connection(self.handle.octets(), &self.ranges));
        encryption(&mut fields, client);
        fields.into()
    }
}

/// How the client calls its connection.
fn provided_name(client: &Client) -> Option<Value> {
    let properties = RawTable::new(&client.about.properties);
    let properties: FieldTable = properties.parse().unwrap_or_default();
    let mut names = properties.iter().filter(|(name, _)| *name == "connection_name");
    names.next().map(|(_, value)| to_value(value))
}

/// How it is encrypted; RabbitMQ has the fields without TLS, too.
fn encryption(fields: &mut Map<String, Value>, client: &Client) {
    let encryption = client.about.encryption.as_ref();
    let certificate = encryption.and_then(|encryption| encryption.certificate.as_ref());
    let text =
        |text: Option<&str>| text.filter(|text| !text.is_empty()).map_or(Value::Null, Value::from);
    for (name, value) in [
        ("ssl_protocol", encryption.map(|of| of.protocol)),
        ("ssl_key_exchange", encryption.map(|of| of.key_exchange)),
        ("ssl_cipher", encryption.map(|of| of.cipher)),
        ("ssl_hash", encryption.map(|of| of.hash)),
        ("peer_cert_subject", certificate.map(|of| of.subject.as_str())),
        ("peer_cert_issuer", certificate.map(|of| of.issuer.as_str())),
        ("peer_cert_validity", certificate.map(|of| of.validity.as_str())),
        ("peer_cert_serial_number", certificate.map(|of| of.serial_number.as_str())),
    ] {
        fields.insert(name.to_owned(), text(value));
    }
}

impl Management {
    /// Who owns an exclusive queue.
    pub(super) fn owner(&self, id: ConnectionId) -> Value {
        let handle = self.broker.open_connection(id);
        handle.as_deref().and_then(client).map_or_else(|| json!({}), details)
    }

    /// The connections that a visitor may see, with how many channels each has.
    async fn connections(
        &self,
        visitor: &Visitor,
        ranges: Ranges,
        counts: impl Fn(&Client) -> bool,
    ) -> Vec<ConnectionRow> {
        let all = asked(self.visible(visitor, counts)).await.into_iter();
        let row = |(handle, channels): (_, Vec<_>)| {
            let channels = channels.len();
            ConnectionRow { handle, channels, ranges }
        };
        all.map(row).collect()
    }

    /// The connections that a visitor may see: a user its own, a monitor all.
    pub(super) fn visible(
        &self,
        visitor: &Visitor,
        counts: impl Fn(&Client) -> bool,
    ) -> Vec<Arc<ConnectionHandle>> {
        let all = self.broker.open_connections().into_iter();
        all.filter(|handle| {
            client(handle)
                .is_some_and(|client| visitor.may_see_of(&client.user).is_ok() && counts(client))
        })
        .collect()
    }

    /// The connection with this name, if the visitor may see it.
    pub(super) fn visible_connection(
        &self,
        visitor: &Visitor,
        name: &str,
    ) -> Result<Arc<ConnectionHandle>, Fault> {
        let handle = self.connection_named(name)?;
        visitor.may_see_of(client(&handle).map_or("", |client| &client.user))?;
        Ok(handle)
    }

    /// The connection with this name.
    fn connection_named(&self, name: &str) -> Result<Arc<ConnectionHandle>, Fault> {
        let mut all = self.broker.open_connections().into_iter();
        let is_it = |handle: &Arc<ConnectionHandle>| {
            client(handle).is_some_and(|client| *client.name == *name)
        };
        all.find(is_it).ok_or_else(Fault::not_found)
    }
}

async fn listed(rows: Vec<ConnectionRow>, query: &Query) -> Answer {
    let listing = Listing::of(query)?;
    let listed = blocking(move || {
        listing.list(rows, |one: &ConnectionRow, other| one.name().cmp(other.name()))
    });
    Ok(json(&listed.await??))
}

/// `GET /api/connections`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    let ranges = Ranges::of(&management, &query)?;
    listed(management.connections(&visitor, ranges, |_| true).await, &query).await
}

/// `GET /api/vhosts/VHOST/connections`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    visitor.visible_vhost(&management, &vhost).await?;
    let ranges = Ranges::of(&management, &query)?;
    let rows = management.connections(&visitor, ranges, |client| *client.vhost == *vhost).await;
    listed(rows, &query).await
}

/// `GET /api/connections/username/USER`.
pub(super) async fn of_user(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(user): Path<String>,
    query: Query,
) -> Answer {
    visitor.may_see_of(&user)?;
    let ranges = Ranges::of(&management, &query)?;
    let rows = management.connections(&visitor, ranges, |client| *client.user == *user).await;
    listed(rows, &query).await
}

/// `GET /api/connections/NAME`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
    query: Query,
) -> Answer {
    let handle = management.visible_connection(&visitor, &name)?;
    let asked = asked(vec![handle]).await.into_iter().next();
    let (handle, channels) = asked.ok_or_else(Fault::not_found)?;
    let ranges = Ranges::of(&management, &query).map_err(Fault::without_word)?;
    let row = ConnectionRow { handle, channels: channels.len(), ranges };
    let mut rendered = row.render();
    if let Value::Object(fields) = &mut rendered {
        // What a list has nothing for is an empty text here, as on RabbitMQ.
        let about_tls = |name: &str| name.starts_with("ssl_") || name.starts_with("peer_cert_");
        let empty = fields.iter_mut().filter(|(name, value)| about_tls(name) && value.is_null());
        empty.for_each(|(_, value)| *value = "".into());
    }
    Ok(json(&Columns::of(&query).of_value(rendered)))
}

fn reason(headers: &HeaderMap) -> String {
    let given = headers.get("x-reason").and_then(|reason| reason.to_str().ok());
    given.filter(|reason| !reason.is_empty()).unwrap_or(REASON).to_owned()
}

/// `DELETE /api/connections/NAME`.
pub(super) async fn close(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let handle = management.connection_named(&name)?;
    visitor.may_end_of(client(&handle).map_or("", |client| &client.user))?;
    end(&visitor, &handle, &reason(&headers));
    Ok(done())
}

fn end(visitor: &Visitor, handle: &ConnectionHandle, reason: &str) {
    let (by, connection) = (visitor.name(), client(handle).map_or("", |client| &client.name));
    tracing::info!(connection, by, "connection {connection} is closed by '{by}': {reason}");
    handle.force_close(reason);
}

/// `DELETE /api/connections/username/USER`.
pub(super) async fn close_of_user(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Answer {
    visitor.may_end_of(&user)?;
    let reason = reason(&headers);
    for handle in management.broker.open_connections() {
        if client(&handle).is_some_and(|client| *client.user == *user) {
            end(&visitor, &handle, &reason);
        }
    }
    Ok(done())
}
