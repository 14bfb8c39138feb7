//! What there is to say of clients: logins, connections, channels, consumers; and of alarms.
//!
//! Called by `connection`, `session` and `resources`. Names and types are RabbitMQ's. A process of
//! Erlang's stands for each connection and channel there; here a number in the same form does.

use std::net::SocketAddr;

use leveret_protocol::types::{FieldTable, FieldValue, RawTable};

use super::{Event, terms};
use crate::encryption::{Encryption, PeerCertificate};
use crate::keys::ConnectionId;
use crate::names;

/// A client's connection, as events tell of it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Its name: both ends.
    pub name: Box<str>,
    /// The other end.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// How the client logged in.
    pub mechanism: Box<str>,
    /// What the client told of itself: the entries of a table.
    pub properties: Box<[u8]>,
    /// With TLS.
    pub encryption: Option<Encryption>,
}

/// What is known of an open connection beside that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened<'a> {
    /// Its number.
    pub id: ConnectionId,
    /// Who is logged in.
    pub user: &'a str,
    /// The vhost.
    pub vhost: &'a str,
    /// Most channels; 0 is no limit.
    pub channel_max: u16,
    /// Largest frame in bytes; 0 is no limit.
    pub frame_max: u32,
    /// Heartbeat interval in seconds; 0 is none.
    pub heartbeat_seconds: u16,
    /// When it was opened, in milliseconds since the epoch.
    pub connected_at_ms: u64,
}

impl Connection {
    fn client_properties(&self) -> FieldTable {
        RawTable::new(&self.properties).parse().unwrap_or_default()
    }

    fn addresses(&self, event: Event) -> Event {
        event
            .with("host", &*terms::address(self.local.ip()))
            .with("peer_host", &*terms::address(self.peer.ip()))
            .with("peer_port", i64::from(self.peer.port()))
            .with("protocol", "{0,9,1}")
            .with("ssl", self.encryption.is_some())
            .with("auth_mechanism", &*self.mechanism)
    }

    fn named(&self, event: Event) -> Event {
        let properties = self.client_properties();
        let event = match properties.get("connection_name").and_then(FieldValue::as_str) {
            Some(name) => event.with("user_provided_name", name),
            None => event,
        };
        event
            .with("client_properties", terms::fields(&properties))
            .with("name", &*self.name)
            .with("node", names::node())
    }

    fn login(&self, key: &'static str, user: &str) -> Event {
        let event = Event::new(key).with("name", user).with("connection_name", &*self.name);
        self.addresses(event).with("connection_type", "network")
    }

    /// Somebody logged in.
    pub(crate) fn authenticated(&self, user: &str) -> Event {
        self.login("user.authentication.success", user)
    }

    /// Somebody did not.
    pub(crate) fn refused(&self, user: &str, reason: &str) -> Event {
        // A list of characters, as RabbitMQ has it.
        let reason = reason.chars().map(|letter| FieldValue::I64(u32::from(letter).into()));
        self.login("user.authentication.failure", user)
            .with("error", FieldValue::Array(reason.collect()))
    }

    /// A connection is open.
    pub(crate) fn created(&self, opened: &Opened<'_>) -> Event {
        let connected_at = i64::try_from(opened.connected_at_ms).unwrap_or(i64::MAX);
        let event = self.named(self.addresses(Event::new("connection.created")));
        self.encrypted(event)
            .with("channel_max", i64::from(opened.channel_max))
            .with("connected_at", connected_at)
            .with("frame_max", i64::from(opened.frame_max))
            .with("pid", &*process(opened.id, 0))
            .with("port", i64::from(self.local.port()))
            .with("timeout", i64::from(opened.heartbeat_seconds))
            .with("type", "network")
            .with("user", opened.user)
            .with("vhost", opened.vhost)
            .by(opened.user)
    }

    /// How it is encrypted and with whom; RabbitMQ tells it of every connection, empty without TLS.
    fn encrypted(&self, event: Event) -> Event {
        let encryption = self.encryption.as_ref();
        let of = |part: fn(&Encryption) -> &'static str| encryption.map_or("", part);
        let certificate = encryption.and_then(|encryption| encryption.certificate.as_ref());
        let peer = |part: fn(&PeerCertificate) -> &str| certificate.map_or("", part);
        event
            .with("peer_cert_issuer", peer(|certificate| &certificate.issuer))
            .with("peer_cert_serial_number", peer(|certificate| &certificate.serial_number))
            .with("peer_cert_subject", peer(|certificate| &certificate.subject))
            .with("peer_cert_validity", peer(|certificate| &certificate.validity))
            .with("ssl_cipher", of(|encryption| encryption.cipher))
            .with("ssl_hash", of(|encryption| encryption.hash))
            .with("ssl_key_exchange", of(|encryption| encryption.key_exchange))
            .with("ssl_protocol", of(|encryption| encryption.protocol))
    }

    /// A connection is gone.
    pub(crate) fn closed(&self, id: ConnectionId) -> Event {
        self.named(Event::new("connection.closed")).with("pid", &*process(id, 0))
    }
}

/// Whose channel it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// The connection.
    pub connection: ConnectionId,
    /// The channel's number.
    pub channel: u16,
    /// Who is logged in.
    pub user: &'a str,
    /// The vhost.
    pub vhost: &'a str,
}

impl Owner<'_> {
    fn process(&self) -> String {
        process(self.connection, self.channel)
    }

    /// A channel of a connection of this name is open.
    pub(crate) fn channel_created(&self, connection: &str) -> Event {
        Event::new("channel.created")
            .with("connection", &*process(self.connection, 0))
            .with("name", &*format!("{connection} ({})", self.channel))
            .with("number", i64::from(self.channel))
            .with("pid", &*self.process())
            .with("user", self.user)
            .with("vhost", self.vhost)
            .by(self.user)
    }

    /// A channel is gone, and the consumers that it had.
    pub(crate) fn channel_closed(&self, consumers: usize) -> Event {
        Event::new("channel.closed")
            .with("consumer_count", i64::try_from(consumers).unwrap_or(i64::MAX))
            .with("pid", &*self.process())
            .by(self.user)
    }

    /// Somebody consumes.
    pub(crate) fn consumer_created(&self, consumer: &Consumer<'_>) -> Event {
        self.consumer("consumer.created", consumer.tag, consumer.queue)
            .with("ack_required", consumer.ack_required)
            .with("arguments", terms::fields(consumer.arguments))
            .with("exclusive", consumer.exclusive)
            .with("prefetch_count", i64::from(consumer.prefetch_count))
    }

    /// Somebody consumes no longer.
    pub(crate) fn consumer_deleted(&self, tag: &str, queue: &str) -> Event {
        self.consumer("consumer.deleted", tag, queue)
    }

    fn consumer(&self, key: &'static str, tag: &str, queue: &str) -> Event {
        Event::new(key)
            .with("channel", &*self.process())
            .with("consumer_tag", tag)
            .with("queue", queue)
            .with("vhost", self.vhost)
            .by(self.user)
    }
}

/// A consumer, as its creation tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consumer<'a> {
    /// Its tag.
    pub tag: &'a str,
    /// The queue's name.
    pub queue: &'a str,
    /// Whether it acknowledges.
    pub ack_required: bool,
    /// Whether it is the only one.
    pub exclusive: bool,
    /// How many deliveries it may hold; 0 is no limit.
    pub prefetch_count: u16,
    /// The arguments of its method.
    pub arguments: &'a FieldTable,
}

/// Publishers wait from now on, for memory or disk, or no longer.
pub(crate) fn alarm(source: &'static str, is_raised: bool) -> Event {
    let key = if is_raised { "alarm.set" } else { "alarm.cleared" };
    Event::new(key).with("source", source).with("node", names::node())
}

/// What stands for a connection, or for one of its channels.
pub(super) fn process(connection: ConnectionId, channel: u16) -> String {
    format!("<{}.1.{}.{channel}>", names::node(), connection.0)
}
