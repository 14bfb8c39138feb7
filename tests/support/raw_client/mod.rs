//! A blocking AMQP 0-9-1 client that shows every frame.
//!
//! Tests send what they like with [`RawClient::send`] and [`RawClient::send_bytes`], and say what
//! must come back with the `expect_` functions. Nothing is retried, answered or hidden, but for two
//! things: what the broker says unasked while a [`RawClient::call`] waits for its answer is kept in
//! order for the next `expect_`, and heartbeats are counted and dropped.

pub mod content;
mod exchanges;
mod expectations;
pub mod handshake;
pub mod method;
pub mod reply;
mod stream;
pub mod table;
pub mod wire;

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::deadline::PATIENCE;
use crate::now;
use content::{FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT, Frame, Properties};
use method::{Method, basic};
use reply::{Content, Reply};
use rustls::{ClientConnection, StreamOwned};
use socket2::SockRef;
use stream::Stream;
use wire::ArgumentReader;

/// Why no frame could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEnd {
    /// Nothing came in time.
    TimedOut,
    /// The broker closed the socket.
    Closed,
}

/// A content of which not every body frame came yet.
#[derive(Debug)]
struct PartialContent {
    reply: Reply,
    properties: Option<Properties>,
    missing: u64,
    body: Vec<u8>,
}

/// One connection to a broker.
#[derive(Debug)]
pub struct RawClient {
    stream: Stream,
    incoming: Vec<u8>,
    partial: HashMap<u16, PartialContent>,
    backlog: VecDeque<Reply>,
    frame_max: usize,
    largest_frame: usize,
    heartbeats: usize,
}

impl RawClient {
    /// The port of its own end.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.stream.socket().local_addr().expect("a connected socket").port()
    }

    /// Opens a socket and says nothing.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the broker accepts connections");
        stream.set_nodelay(true).expect("the socket takes options");
        stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
        stream.set_write_timeout(Some(PATIENCE)).expect("the socket takes options");
        Self {
            stream: Stream::Plain(stream),
            incoming: Vec::new(),
            partial: HashMap::new(),
            backlog: VecDeque::new(),
            frame_max: 4096,
            largest_frame: 0,
            heartbeats: 0,
        }
    }

    /// The largest frame, in bytes with its envelope, that the broker has sent.
    #[must_use]
    pub fn largest_frame(&self) -> usize {
        self.largest_frame
    }

    /// How many heartbeats were met.
    #[must_use]
    pub fn heartbeats(&self) -> usize {
        self.heartbeats
    }

    /// The largest frame, in bytes with its envelope, that the two sides agreed on.
    #[must_use]
    pub fn frame_max(&self) -> usize {
        self.frame_max
    }

    /// The same client with TLS from here on.
    #[must_use]
    pub fn over_tls(self, session: ClientConnection) -> Self {
        let stream = StreamOwned::new(session, self.stream.into_socket());
        Self { stream: Stream::Tls(Box::new(stream)), ..self }
    }

    /// The session of TLS, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<&ClientConnection> {
        self.stream.session()
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads what it is sent");
    }

    /// Sends bytes to a broker that may already have hung up; false when it has.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a method.
    pub fn send(&mut self, method: Method) {
        self.send_bytes(&method.frame());
    }

    /// Sends a message.
    pub fn publish(&mut self, message: &Message) {
        let bytes = message.encode(self.frame_max);
        self.send_bytes(&bytes);
    }

    /// Ends the connection with a reset, as a machine does that forgot it.
    pub fn reset(self) {
        SockRef::from(self.stream.socket())
            .set_linger(Some(Duration::ZERO))
            .expect("a socket option");
    }

    /// The socket alone, to mistreat it; what came and was not read is lost.
    #[must_use]
    pub fn into_socket(self) -> TcpStream {
        self.stream.into_socket()
    }

    /// Ends this client's half of the socket.
    pub fn hang_up(&mut self) {
        self.stream.socket().shutdown(std::net::Shutdown::Write).expect("the socket is still open");
    }

    /// The next frame of any type, by `deadline`.
    ///
    /// # Errors
    /// When none came, or none can come any more.
    pub fn read_frame(&mut self, deadline: Instant) -> Result<Frame, ReadEnd> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Ok(frame);
            }
            self.read_more(deadline)?;
        }
    }

    /// Exactly `count` bytes, outside all framing.
    pub fn expect_bytes(&mut self, count: usize) -> Vec<u8> {
        let deadline = now() + PATIENCE;
        while self.incoming.len() < count {
            let read = self.read_more(deadline);
            assert_eq!(read, Ok(()), "waiting for {count} bytes, got {:?}", self.incoming);
        }
        self.incoming.drain(..count).collect()
    }

    fn read_more(&mut self, deadline: Instant) -> Result<(), ReadEnd> {
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() {
            return Err(ReadEnd::TimedOut);
        }
        self.stream.socket().set_read_timeout(Some(left)).expect("the socket takes options");
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(ReadEnd::Closed),
            Ok(count) => {
                self.incoming.extend(&chunk[..count]);
                Ok(())
            }
            Err(error) => end_of_read(&error).map_or(Ok(()), Err),
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let frame = Frame::cut(&mut self.incoming)?;
        self.largest_frame = self.largest_frame.max(frame.payload.len() + 8);
        Some(frame)
    }

    /// The next method with all its content, from the socket only, by `deadline`.
    ///
    /// # Errors
    /// When none came, or none can come any more.
    pub fn read_reply(&mut self, deadline: Instant) -> Result<Reply, ReadEnd> {
        loop {
            let frame = self.read_frame(deadline)?;
            if let Some(reply) = self.assemble(&frame) {
                return Ok(reply);
            }
        }
    }

    fn assemble(&mut self, frame: &Frame) -> Option<Reply> {
        match frame.kind {
            FRAME_HEARTBEAT => {
                assert_eq!((frame.channel, frame.payload.len()), (0, 0), "a malformed heartbeat");
                self.heartbeats += 1;
                None
            }
            FRAME_HEADER => self.assemble_header(frame),
            FRAME_BODY => self.assemble_body(frame),
            _ => self.assemble_method(frame),
        }
    }

    fn assemble_method(&mut self, frame: &Frame) -> Option<Reply> {
        let channel = frame.channel;
        let id = frame.method_id();
        assert!(!self.partial.contains_key(&channel), "{id:?} inside a content on {channel}");
        let arguments = frame.payload[4..].to_vec();
        let reply = Reply { channel, id, arguments, content: None };
        if !matches!(id, basic::DELIVER | basic::GET_OK | basic::RETURN) {
            return Some(reply);
        }
        let partial = PartialContent { reply, properties: None, missing: 0, body: Vec::new() };
        self.partial.insert(channel, partial);
        None
    }

    fn assemble_header(&mut self, frame: &Frame) -> Option<Reply> {
        let partial = self.partial.get_mut(&frame.channel).expect("a header follows its method");
        let mut input = ArgumentReader::new(&frame.payload);
        assert_eq!((input.short(), input.short()), (60, 0), "class and weight of a header");
        partial.missing = input.long_long();
        partial.properties = Some(Properties::decode(&frame.payload[12..]));
        self.finish(frame.channel)
    }

    fn assemble_body(&mut self, frame: &Frame) -> Option<Reply> {
        let partial = self.partial.get_mut(&frame.channel).expect("a body follows its header");
        assert!(partial.properties.is_some(), "a body before its header");
        assert!(!frame.payload.is_empty(), "the broker sent a body frame without a body");
        partial.missing = partial
            .missing
            .checked_sub(frame.payload.len() as u64)
            .expect("the body is no longer than its header says");
        partial.body.extend(&frame.payload);
        self.finish(frame.channel)
    }

    fn finish(&mut self, channel: u16) -> Option<Reply> {
        if self.partial.get(&channel)?.missing > 0 {
            return None;
        }
        let partial = self.partial.remove(&channel)?;
        let content = Content { properties: partial.properties?, body: partial.body };
        Some(Reply { content: Some(content), ..partial.reply })
    }
}

/// What a failed read means; nothing, if it may be tried again.
fn end_of_read(error: &std::io::Error) -> Option<ReadEnd> {
    let kind = error.kind();
    if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
        return Some(ReadEnd::TimedOut);
    }
    // The last two are what TLS makes of an alert, and of an end that nobody announced.
    let broken = [
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::InvalidData,
        ErrorKind::UnexpectedEof,
    ];
    if broken.contains(&kind) {
        return Some(ReadEnd::Closed);
    }
    assert_eq!(kind, ErrorKind::Interrupted, "reading from the broker failed");
    None
}

pub use content::Message;
pub use handshake::Handshake;
pub use method::Flag;
pub use table::{Table, Value};
