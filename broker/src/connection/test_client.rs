//! A client over a real socket, for tests of what becomes of connections while the broker changes.
//!
//! It says one thing and waits for the answer; every wait ends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use leveret_protocol::decoder::decode_frame;
use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::{Method, MethodFrame, basic, channel, connection, queue};
use leveret_protocol::protocol_header::PROTOCOL_HEADER;
use leveret_protocol::types::RawTable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::arrival::Arrivals;
use super::half_open::{HalfOpen, HalfOpenLimits};
use super::serve;
use crate::broker::Broker;
use crate::config::{Config, ServeOptions};
use crate::startup::{self, Started};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const FRAME_MAX: u32 = 128 * 1024;

/// A broker on this directory, with these lines of configuration.
pub(crate) fn start(directory: &Path, lines: &str) -> Started {
    let file = directory.join("leveret.conf");
    std::fs::write(&file, lines).expect("a file");
    let data_dir = Some(directory.join("data"));
    let options = ServeOptions { data_dir, config: Some(file), ..ServeOptions::default() };
    let config = Config::load(&options, |_| None).expect("these lines");
    startup::start(&config).expect("the directory can be used")
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct TestClient {
    socket: TcpStream,
    input: BytesMut,
}

/// Why a client was turned away: the reply's code and text.
pub(crate) type Closed = (u16, String);

impl TestClient {
    /// A client that has logged in and opened a vhost.
    ///
    /// # Errors
    /// What it was told instead.
    pub(crate) async fn open(
        broker: &Arc<Broker>,
        (user, password): (&str, &str),
        vhost: &str,
    ) -> Result<Self, Closed> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let socket = TcpStream::connect(address).await.expect("somebody listens");
        let (accepted, peer) = listener.accept().await.expect("somebody connects");
        let arrivals = Arrivals { patience: PATIENCE, ..Arrivals::default() };
        let unlimited = HalfOpenLimits { all: usize::MAX, of_address: usize::MAX };
        let (place, _) = HalfOpen::new(unlimited).enter(None, Instant::now());
        tokio::spawn(serve(accepted, peer, Arc::new(arrivals), Arc::clone(broker), place, None));
        let mut client = Self { socket, input: BytesMut::new() };
        // Whether it was taken says what is read next.
        let _ = client.socket.write_all(&PROTOCOL_HEADER).await;
        client.shake_hands(user, password, vhost).await?;
        Ok(client)
    }

    async fn shake_hands(&mut self, user: &str, password: &str, vhost: &str) -> Result<(), Closed> {
        let is = |method: &Method<'_>| matches!(method, Method::ConnectionStart(_));
        self.expect(is).await?;
        let response = format!("\0{user}\0{password}");
        // A table whose only field is `capabilities`, with a single one of these.
        let mut properties = vec![12];
        properties.extend(b"capabilitiesF");
        let capability = b"\x1cauthentication_failure_closet\x01";
        properties.extend(u32::try_from(capability.len()).expect("few").to_be_bytes());
        properties.extend(capability);
        let start_ok = connection::StartOk {
            client_properties: RawTable::new(&properties),
            mechanism: "PLAIN",
            response: response.as_bytes(),
            locale: "en_US",
        };
        self.send(0, &start_ok).await;
        self.expect(|method| matches!(method, Method::ConnectionTune(_))).await?;
        let tune_ok = connection::TuneOk { channel_max: 100, frame_max: FRAME_MAX, heartbeat: 0 };
        self.send(0, &tune_ok).await;
        self.send(0, &connection::Open { virtual_host: vhost }).await;
        self.expect(|method| matches!(method, Method::ConnectionOpenOk(_))).await
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// What it was told instead.
    pub(crate) async fn open_channel(&mut self, number: u16) -> Result<(), Closed> {
        self.send(number, &channel::Open {}).await;
        self.expect(|method| matches!(method, Method::ChannelOpenOk(_))).await
    }

    /// Declares a durable queue on channel 1; after an error there the channel is opened again.
    ///
    /// # Errors
    /// What it was told instead.
    pub(crate) async fn declare(&mut self, name: &str) -> Result<(), Closed> {
        let declare = queue::Declare {
            queue: name,
            passive: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            no_wait: false,
            arguments: RawTable::new(&[]),
        };
        self.send(1, &declare).await;
        let declared = self.expect(|method| matches!(method, Method::QueueDeclareOk(_))).await;
        if matches!(declared, Err((403..=406, _))) {
            self.send(1, &channel::CloseOk {}).await;
            self.open_channel(1).await?;
        }
        declared
    }

    /// Publishes on channel 1.
    pub(crate) async fn publish(&mut self, exchange: &str, routing_key: &str, body: &[u8]) {
        let (mandatory, immediate) = (false, false);
        self.send(1, &basic::Publish { exchange, routing_key, mandatory, immediate }).await;
        let mut bytes = Vec::new();
        for (kind, payload) in [(2, content_header(body.len())), (3, body.to_vec())] {
            bytes.extend([kind, 0, 1]);
            bytes.extend(u32::try_from(payload.len()).expect("a small frame").to_be_bytes());
            bytes.extend(payload);
            bytes.push(0xce);
        }
        let _ = self.socket.write_all(&bytes).await;
    }

    /// Sends a method.
    pub(crate) async fn send<M: MethodFrame>(&mut self, channel: u16, method: &M) {
        let mut bytes = Vec::new();
        write_method(&mut bytes, channel, method);
        // The broker may have closed: what it said before is read next.
        let _ = self.socket.write_all(&bytes).await;
    }

    /// Consumes on channel 1.
    ///
    /// # Errors
    /// What it was told instead.
    pub(crate) async fn consume(&mut self, queue: &str) -> Result<(), Closed> {
        let consume = basic::Consume {
            queue,
            consumer_tag: queue,
            no_local: false,
            no_ack: true,
            exclusive: false,
            no_wait: false,
            arguments: RawTable::new(&[]),
        };
        self.send(1, &consume).await;
        self.expect(|method| matches!(method, Method::BasicConsumeOk(_))).await
    }

    /// Has another token count.
    ///
    /// # Errors
    /// What it was told instead.
    pub(crate) async fn update_secret(&mut self, token: &str) -> Result<(), Closed> {
        let update = connection::UpdateSecret { new_secret: token.as_bytes(), reason: "a test" };
        self.send(0, &update).await;
        self.expect(|method| matches!(method, Method::ConnectionUpdateSecretOk(_))).await
    }

    /// What the broker says when it ends the connection, or a channel.
    pub(crate) async fn closed(&mut self) -> Closed {
        match self.expect(|_| false).await {
            Err(closed) => closed,
            Ok(()) => unreachable!("nothing is expected"),
        }
    }

    /// Waits until the broker hangs up.
    pub(crate) async fn hung_up(&mut self) {
        let hung_up = async {
            while matches!(self.socket.read_buf(&mut self.input).await, Ok(count) if count > 0) {}
        };
        timeout(PATIENCE, hung_up).await.expect("the end of the connection");
    }

    /// Waits for a method.
    ///
    /// # Errors
    /// A channel or the connection was closed instead.
    async fn expect(&mut self, is: impl Fn(&Method<'_>) -> bool) -> Result<(), Closed> {
        timeout(PATIENCE, self.receive(is)).await.expect("an answer in time")
    }

    async fn receive(&mut self, is: impl Fn(&Method<'_>) -> bool) -> Result<(), Closed> {
        loop {
            if let Some(frame) = decode_frame(&self.input, FRAME_MAX).expect("frames") {
                let method = Method::decode(frame.payload).expect("a method");
                let closed = |code, text: &str| Some(Err((code, text.to_owned())));
                let found = if let Method::ConnectionClose(close) = &method {
                    closed(close.reply_code, close.reply_text)
                } else if let Method::ChannelClose(close) = &method {
                    closed(close.reply_code, close.reply_text)
                } else {
                    is(&method).then_some(Ok(()))
                };
                let length = frame.encoded_len();
                self.input.advance(length);
                match found {
                    Some(found) => return found,
                    None => continue,
                }
            }
            match self.socket.read_buf(&mut self.input).await {
                Ok(count) if count > 0 => {}
                Ok(_) | Err(_) => return Err((0, "closed without a word".to_owned())),
            }
        }
    }
}

/// Of class basic, without properties.
fn content_header(body_size: usize) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend((body_size as u64).to_be_bytes());
    payload.extend([0, 0]);
    payload
}
