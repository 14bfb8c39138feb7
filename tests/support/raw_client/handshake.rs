//! From the protocol header to connection.open-ok, each step by itself or all of them at once.

use super::RawClient;
use super::method::{Method, channel, connection};
use super::reply::{Start, Tune};
use super::table::{Table, Value};

/// `AMQP` 0-9-1.
pub const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// What a client says while it connects.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The mechanism, such as `PLAIN`.
    pub mechanism: String,
    /// The mechanism's response.
    pub response: Vec<u8>,
    /// The capabilities in the client properties.
    pub capabilities: Table,
    /// The channel_max of tune-ok; the broker's own when absent.
    pub channel_max: Option<u16>,
    /// The frame_max of tune-ok, in bytes; the broker's own when absent.
    pub frame_max: Option<u32>,
    /// The heartbeat of tune-ok, in seconds; 0 is none.
    pub heartbeat: u16,
    /// The vhost to open.
    pub vhost: String,
    /// The name that the client gives its connection, if it does.
    pub connection_name: Option<String>,
}

impl Handshake {
    /// PLAIN, everything a modern client can, no heartbeat, vhost `/`.
    #[must_use]
    pub fn plain(user: &str, password: &str) -> Self {
        let capabilities = [
            "publisher_confirms",
            "exchange_exchange_bindings",
            "basic.nack",
            "consumer_cancel_notify",
            "connection.blocked",
            "authentication_failure_close",
        ];
        Self {
            mechanism: "PLAIN".to_owned(),
            response: plain_response(user, password),
            capabilities: capabilities
                .iter()
                .fold(Table::new(), |table, name| table.with(name, true)),
            channel_max: None,
            frame_max: None,
            heartbeat: 0,
            vhost: "/".to_owned(),
            connection_name: None,
        }
    }

    /// The same handshake of a client that tells of no capability: it is not told when its consumers
    /// are cancelled, for one.
    #[must_use]
    pub fn without_capabilities(mut self) -> Self {
        self.capabilities = Table::new();
        self
    }

    /// All that a client says up to an open channel, for one that waits for no answer.
    #[must_use]
    pub fn greeting(&self, number: u16) -> Vec<u8> {
        let properties = self.client_properties();
        let channel_max = self.channel_max.unwrap_or(2047);
        let frame_max = self.frame_max.unwrap_or(131_072);
        let start_ok = connection::start_ok(&properties, &self.mechanism, &self.response, "en_US");
        let methods = [
            start_ok,
            connection::tune_ok(channel_max, frame_max, self.heartbeat),
            connection::open(&self.vhost),
            channel::open(number),
        ];
        let frames = methods.iter().flat_map(Method::frame);
        PROTOCOL_HEADER.iter().copied().chain(frames).collect()
    }

    /// The client properties that go into start-ok.
    #[must_use]
    pub fn client_properties(&self) -> Table {
        let properties = Table::new()
            .with("product", "conformance")
            .with("capabilities", Value::Table(self.capabilities.clone()));
        match &self.connection_name {
            Some(name) => properties.with("connection_name", name.as_str()),
            None => properties,
        }
    }
}

/// The response of the mechanism PLAIN.
#[must_use]
pub fn plain_response(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

impl RawClient {
    /// Sends the protocol header and reads connection.start.
    pub fn greet(&mut self) -> Start {
        self.send_bytes(PROTOCOL_HEADER);
        self.expect(connection::START).start()
    }

    /// Sends start-ok.
    pub fn start_ok(&mut self, handshake: &Handshake) {
        self.send(connection::start_ok(
            &handshake.client_properties(),
            &handshake.mechanism,
            &handshake.response,
            "en_US",
        ));
    }

    /// Sends tune-ok with the broker's values, lowered as `handshake` asks.
    pub fn tune_ok(&mut self, offered: Tune, handshake: &Handshake) {
        let channel_max = handshake.channel_max.unwrap_or(offered.channel_max);
        let frame_max = handshake.frame_max.unwrap_or(offered.frame_max);
        self.frame_max = if frame_max == 0 { 131_072 } else { frame_max as usize };
        self.send(connection::tune_ok(channel_max, frame_max, handshake.heartbeat));
    }

    /// Header, start, start-ok, tune, tune-ok: all but the open.
    pub fn authenticate(&mut self, handshake: &Handshake) -> Tune {
        self.greet();
        self.start_ok(handshake);
        let offered = self.expect(connection::TUNE).tune();
        self.tune_ok(offered, handshake);
        offered
    }

    /// The whole handshake.
    pub fn shake_hands(&mut self, handshake: &Handshake) {
        self.authenticate(handshake);
        self.send(connection::open(&handshake.vhost));
        self.expect(connection::OPEN_OK);
    }

    /// Reads the answers to [`Handshake::greeting`].
    pub fn expect_greeting(&mut self, number: u16) {
        self.expect(connection::START);
        self.frame_max = self.expect(connection::TUNE).tune().frame_max as usize;
        self.expect(connection::OPEN_OK);
        self.expect_from(number, channel::OPEN_OK);
    }

    /// Opens a channel.
    pub fn open_channel(&mut self, number: u16) {
        self.call(channel::open(number));
    }
}
