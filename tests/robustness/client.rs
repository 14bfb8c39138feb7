//! A client that sends frames and waits for what it expects, or fails.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::wire::{self, Id};

/// A frame that came from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The first whole frame of `input`, cut off it. Fails when these are no frames.
    pub(crate) fn cut(input: &mut Vec<u8>) -> Option<Self> {
        let header: [u8; 7] = input.get(..7)?.try_into().expect("7 bytes");
        let [kind, c1, c2, size @ ..] = header;
        assert!([1, 2, 3, 8].contains(&kind), "the broker sent a frame of type {kind}");
        let end = 7 + u32::from_be_bytes(size) as usize;
        if input.len() <= end {
            return None;
        }
        assert_eq!(input[end], wire::FRAME_END, "the broker sent a frame without its end");
        let payload = input[7..end].to_vec();
        input.drain(..=end);
        Some(Self { kind, channel: u16::from_be_bytes([c1, c2]), payload })
    }

    /// Which method it is.
    pub(crate) fn id(&self) -> Option<Id> {
        let [c1, c2, m1, m2] = *self.payload.first_chunk().filter(|_| self.kind == wire::METHOD)?;
        Some((u16::from_be_bytes([c1, c2]), u16::from_be_bytes([m1, m2])))
    }
}

/// A message that came from the broker.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) delivery_tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) body: Vec<u8>,
}

/// See the module documentation.
pub(crate) struct Client {
    socket: TcpStream,
    input: Vec<u8>,
}

impl Client {
    /// How long an answer may take on a busy machine.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    /// On a socket with nothing said on it.
    pub(crate) fn on(socket: TcpStream) -> Self {
        Self { socket, input: Vec::new() }
    }

    /// Opens a connection and channel 1, answer by answer.
    pub(crate) fn open(socket: TcpStream) -> Self {
        let mut client = Self::on(socket);
        client.send(wire::HEADER);
        client.expect(0, wire::START);
        client.ask(&wire::start_ok(), 0, wire::TUNE);
        client.send(&wire::tune_ok());
        client.ask(&wire::open(), 0, wire::OPEN_OK);
        client.ask(&wire::channel_open(1), 1, wire::CHANNEL_OPEN_OK);
        client
    }

    /// Reads the answers to `wire::greeting`.
    pub(crate) fn expect_greeting(&mut self, channel: u16) {
        for (channel, id) in [
            (0, wire::START),
            (0, wire::TUNE),
            (0, wire::OPEN_OK),
            (channel, wire::CHANNEL_OPEN_OK),
        ] {
            self.expect(channel, id);
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the broker reads");
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = Frame::cut(&mut self.input) {
                return frame;
            }
            let mut piece = [0; 64 * 1024];
            let count = self.socket.read(&mut piece).expect("an answer in time");
            assert!(count > 0, "the broker closed the connection; unread: {:?}", self.input);
            self.input.extend(&piece[..count]);
        }
    }

    /// The next frame, which must be this method.
    pub(crate) fn expect(&mut self, channel: u16, id: Id) -> Frame {
        let frame = self.frame();
        let text = String::from_utf8_lossy(&frame.payload);
        assert_eq!((frame.channel, frame.id()), (channel, Some(id)), "{frame:?} {text}");
        frame
    }

    /// Sends a method and expects its answer.
    pub(crate) fn ask(&mut self, request: &[u8], channel: u16, answer: Id) -> Frame {
        self.send(request);
        self.expect(channel, answer)
    }

    /// Expects a message: `basic.deliver` or `basic.get-ok` with its content.
    pub(crate) fn message(&mut self, channel: u16, id: Id) -> Received {
        let method = self.expect(channel, id);
        // basic.deliver has its consumer tag first.
        let tag_length = if id == wire::DELIVER { 1 + usize::from(method.payload[4]) } else { 0 };
        let fields = &method.payload[4 + tag_length..];
        let delivery_tag = u64::from_be_bytes(*fields.first_chunk().expect("a tag"));
        let redelivered = fields[8] == 1;
        let header = self.frame();
        assert_eq!((header.kind, header.channel), (wire::CONTENT_HEADER, channel));
        let size = u64::from_be_bytes(*header.payload[4..].first_chunk().expect("a size"));
        let mut body = Vec::new();
        while (body.len() as u64) < size {
            let frame = self.frame();
            assert_eq!((frame.kind, frame.channel), (wire::BODY, channel));
            body.extend(frame.payload);
        }
        Received { delivery_tag, redelivered, body }
    }

    /// Sends a message through a queue of its own on channel 1, and gets it back.
    pub(crate) fn round_trip(&mut self, body: &[u8]) {
        let queue = format!("round-trip-{:?}", self.socket.local_addr().expect("an address"));
        self.ask(&wire::declare(1, &queue, wire::EXCLUSIVE), 1, wire::DECLARE_OK);
        self.send(&wire::publish(1, &queue, body));
        self.send(&wire::get(1, &queue, true));
        assert!(self.message(1, wire::GET_OK).body == body, "not the message that was sent");
        self.ask(&wire::delete(1, &queue), 1, wire::DELETE_OK);
    }

    /// Whether no message of this queue is ready.
    pub(crate) fn is_empty(&mut self, queue: &str) -> bool {
        let declared = self.ask(&wire::declare(1, queue, 0), 1, wire::DECLARE_OK);
        let count = &declared.payload[4 + 1 + queue.len()..][..4];
        count == [0; 4]
    }

    /// The socket, to mistreat.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Closes the connection in an orderly way.
    pub(crate) fn close(mut self) {
        self.ask(&wire::close(), 0, wire::CLOSE_OK);
    }
}
