//! A connection while it waits for every answer: opened, set up, asked, closed.
//!
//! Every run has one session for topology; publishers and consumers begin and end as sessions and
//! in between hand their [`Link`] to an engine. Negotiates no heartbeats: a run is bounded, and its
//! sockets are busy.

use crate::client::address::Address;
use crate::client::frames::Incoming;
use crate::client::link::Link;
use leveret_protocol::encoder::write_method;
use leveret_protocol::error::DecodeError;
use leveret_protocol::methods::{
    Method, MethodFrame, basic, channel, confirm, connection, exchange, queue,
};
use leveret_protocol::protocol_header::PROTOCOL_HEADER;
use leveret_protocol::types::{FieldTable, RawTable};
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The only channel of every connection.
pub(crate) const CHANNEL: u16 = 1;
/// How long one answer may take: a broker with a deep backlog is slow to close and delete.
const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// Largest frame asked for; what RabbitMQ proposes.
const FRAME_MAX: u32 = 131_072;
const REPLY_SUCCESS: u16 = 200;

/// Why a session failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The socket, or bytes on it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A method that cannot be read.
    #[error("the broker sent what is no AMQP: {0}")]
    Decode(#[from] DecodeError),
    /// The broker closed channel or connection.
    #[error("the broker refused: {code} {text}")]
    Refused {
        /// Reply code.
        code: u16,
        /// Reply text.
        text: String,
    },
    /// An answer that does not fit the question.
    #[error("the broker sent {0}, which answers nothing that was asked")]
    Unexpected(&'static str),
}

/// An open connection with one channel.
#[derive(Debug)]
pub(crate) struct Session {
    link: Link,
    frame_max: u32,
}

impl Session {
    /// Connects, logs in and opens the channel.
    pub(crate) fn open(address: &Address, name: &str) -> Result<Self, SessionError> {
        let stream = connect(address)?;
        let link = match &address.tls {
            None => Link::new(stream, PATIENCE)?,
            Some(trust) => Link::encrypted(stream, PATIENCE, &address.host, trust)?,
        };
        let mut session = Self { link, frame_max: FRAME_MAX };
        session.link.write_all(&PROTOCOL_HEADER)?;
        session.answer(|method| matches!(method, Method::ConnectionStart(_)).then_some(()))?;
        session.log_in(address, name)?;
        session.tune()?;
        let open = connection::Open { virtual_host: &address.vhost };
        session.send(0, &open)?;
        session.answer(|method| matches!(method, Method::ConnectionOpenOk(_)).then_some(()))?;
        session.ask(&channel::Open::default(), |method| {
            matches!(method, Method::ChannelOpenOk(_)).then_some(())
        })?;
        Ok(session)
    }

    fn log_in(&mut self, address: &Address, name: &str) -> Result<(), SessionError> {
        let capabilities: FieldTable =
            [("basic.nack", true), ("connection.blocked", true), ("publisher_confirms", true)]
                .into_iter()
                .collect();
        let mut client = FieldTable::new();
        client.insert("product", "leveret bench");
        client.insert("connection_name", name);
        client.insert("capabilities", capabilities);
        let client = client.to_bytes();
        let response = format!("\0{}\0{}", address.user, address.password);
        let start_ok = connection::StartOk {
            client_properties: RawTable::new(&client),
            mechanism: "PLAIN",
            response: response.as_bytes(),
            locale: "en_US",
        };
        self.send(0, &start_ok)
    }

    fn tune(&mut self) -> Result<(), SessionError> {
        let offered = self.answer(|method| match_tune(&method))?;
        // Zero means that the broker sets no limit.
        let limit = if offered.frame_max == 0 { FRAME_MAX } else { offered.frame_max };
        self.frame_max = limit.min(FRAME_MAX);
        self.link.reserve(usize::try_from(self.frame_max).unwrap_or_default());
        let channel_max = offered.channel_max;
        let tune_ok = connection::TuneOk { channel_max, frame_max: self.frame_max, heartbeat: 0 };
        self.send(0, &tune_ok)
    }

    /// A session again, of what an engine drove.
    pub(crate) const fn resume(link: Link) -> Self {
        Self { link, frame_max: FRAME_MAX }
    }

    /// Its bytes, for who reads frames itself.
    pub(crate) const fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    pub(crate) fn into_link(self) -> Link {
        self.link
    }

    /// Bytes a whole frame may have.
    pub(crate) const fn frame_max(&self) -> u32 {
        self.frame_max
    }

    fn send(&mut self, channel: u16, method: &impl MethodFrame) -> Result<(), SessionError> {
        let mut frame = Vec::new();
        write_method(&mut frame, channel, method);
        Ok(self.link.write_all(&frame)?)
    }

    /// Sends a method on the channel and waits for the answer to it.
    fn ask<T>(
        &mut self,
        method: &impl MethodFrame,
        answer: impl Fn(Method<'_>) -> Option<T>,
    ) -> Result<T, SessionError> {
        self.send(CHANNEL, method)?;
        self.answer(answer)
    }

    /// The next method, if `answer` knows it; contents and confirms that are still under way
    /// before it are dropped.
    fn answer<T>(&mut self, answer: impl Fn(Method<'_>) -> Option<T>) -> Result<T, SessionError> {
        loop {
            while let Some((incoming, length)) = self.link.frame()? {
                let answered = match incoming {
                    Incoming::Method(payload) => {
                        let method = Method::decode(payload)?;
                        Some(answer(method).ok_or_else(|| refusal(&method)))
                    }
                    Incoming::Deliver { .. }
                    | Incoming::Header { .. }
                    | Incoming::Body(_)
                    | Incoming::Confirm { .. }
                    | Incoming::Ignorable => None,
                };
                self.link.consume(length);
                if let Some(answered) = answered {
                    return answered;
                }
            }
            if !self.link.fill()? {
                return Err(io::Error::new(ErrorKind::TimedOut, "the broker did not answer").into());
            }
        }
    }

    pub(crate) fn declare_queue(&mut self, name: &str, durable: bool) -> Result<(), SessionError> {
        self.declare_queue_with(name, durable, &FieldTable::default())
    }

    pub(crate) fn declare_queue_with(
        &mut self,
        name: &str,
        durable: bool,
        arguments: &FieldTable,
    ) -> Result<(), SessionError> {
        let arguments = arguments.to_bytes();
        let arguments = RawTable::new(&arguments);
        let declare =
            queue::Declare { queue: name, durable, arguments, ..queue::Declare::default() };
        self.ask(&declare, declared_messages).map(drop)
    }

    /// Declares durable queues without waiting for each, and waits for the last.
    pub(crate) fn declare_queues(
        &mut self,
        names: impl Iterator<Item = String>,
        arguments: &FieldTable,
    ) -> Result<(), SessionError> {
        let arguments = arguments.to_bytes();
        let mut frames = Vec::new();
        let mut last = String::new();
        for name in names {
            let (durable, no_wait, arguments) = (true, true, RawTable::new(&arguments));
            let queue = name.as_str();
            let declare =
                queue::Declare { queue, durable, no_wait, arguments, ..queue::Declare::default() };
            write_method(&mut frames, CHANNEL, &declare);
            last = name;
        }
        self.link.write_all(&frames)?;
        self.depth(&last).map(drop)
    }

    /// Messages ready in a queue.
    pub(crate) fn depth(&mut self, name: &str) -> Result<u64, SessionError> {
        let declare = queue::Declare { queue: name, passive: true, ..queue::Declare::default() };
        self.ask(&declare, declared_messages)
    }

    pub(crate) fn delete_queue(&mut self, name: &str) -> Result<(), SessionError> {
        let delete = queue::Delete { queue: name, ..queue::Delete::default() };
        self.ask(&delete, |method| matches!(method, Method::QueueDeleteOk(_)).then_some(()))
    }

    pub(crate) fn declare_exchange(&mut self, name: &str, kind: &str) -> Result<(), SessionError> {
        let declare = exchange::Declare { exchange: name, kind, ..exchange::Declare::default() };
        self.ask(&declare, |method| matches!(method, Method::ExchangeDeclareOk(_)).then_some(()))
    }

    pub(crate) fn delete_exchange(&mut self, name: &str) -> Result<(), SessionError> {
        let delete = exchange::Delete { exchange: name, ..exchange::Delete::default() };
        self.ask(&delete, |method| matches!(method, Method::ExchangeDeleteOk(_)).then_some(()))
    }

    pub(crate) fn bind(
        &mut self,
        queue: &str,
        exchange: &str,
        routing_key: &str,
        arguments: &FieldTable,
    ) -> Result<(), SessionError> {
        let arguments = arguments.to_bytes();
        let arguments = RawTable::new(&arguments);
        let bind = queue::Bind { queue, exchange, routing_key, no_wait: false, arguments };
        self.ask(&bind, |method| matches!(method, Method::QueueBindOk(_)).then_some(()))
    }

    /// Asks for confirms.
    pub(crate) fn confirm(&mut self) -> Result<(), SessionError> {
        self.ask(&confirm::Select::default(), |method| {
            matches!(method, Method::ConfirmSelectOk(_)).then_some(())
        })
    }

    pub(crate) fn prefetch(&mut self, prefetch_count: u16) -> Result<(), SessionError> {
        let qos = basic::Qos { prefetch_count, ..basic::Qos::default() };
        self.ask(&qos, |method| matches!(method, Method::BasicQosOk(_)).then_some(()))
    }

    /// Begins to consume, without waiting: from here on deliveries may arrive.
    pub(crate) fn consume(
        &mut self,
        queue: &str,
        slot: usize,
        no_ack: bool,
    ) -> Result<(), SessionError> {
        let consume = basic::Consume {
            queue,
            consumer_tag: &slot.to_string(),
            no_ack,
            no_wait: true,
            ..basic::Consume::default()
        };
        self.send(CHANNEL, &consume)
    }

    /// Closes the connection and waits until the broker has dealt with everything sent before.
    pub(crate) fn close(mut self) -> Result<(), SessionError> {
        let close = connection::Close {
            reply_code: REPLY_SUCCESS,
            reply_text: "done",
            ..connection::Close::default()
        };
        self.send(0, &close)?;
        self.answer(|method| matches!(method, Method::ConnectionCloseOk(_)).then_some(()))
    }
}

fn match_tune(method: &Method<'_>) -> Option<connection::Tune> {
    if let Method::ConnectionTune(tune) = method { Some(*tune) } else { None }
}

fn declared_messages(method: Method<'_>) -> Option<u64> {
    if let Method::QueueDeclareOk(ok) = method { Some(u64::from(ok.message_count)) } else { None }
}

fn connect(address: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for candidate in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, CONNECT_PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The error that a method nobody asked for amounts to: mostly the broker closing something.
pub(crate) fn refusal(method: &Method<'_>) -> SessionError {
    let refused = |code, text: &str| SessionError::Refused { code, text: text.to_owned() };
    if let Method::ConnectionClose(close) = method {
        return refused(close.reply_code, close.reply_text);
    }
    if let Method::ChannelClose(close) = method {
        return refused(close.reply_code, close.reply_text);
    }
    SessionError::Unexpected(method.name())
}

/// The error for a frame that has no place on the data path.
pub(crate) fn unexpected(incoming: Incoming<'_>) -> io::Error {
    let text = match incoming {
        Incoming::Method(payload) => match Method::decode(payload) {
            Ok(method) => refusal(&method).to_string(),
            Err(error) => SessionError::from(error).to_string(),
        },
        Incoming::Deliver { .. } | Incoming::Header { .. } | Incoming::Body(_) => {
            "the broker sent a delivery to a connection that consumes nothing".to_owned()
        }
        Incoming::Confirm { .. } => "the broker confirmed what nobody published".to_owned(),
        Incoming::Ignorable => "the broker sent a notice out of place".to_owned(),
    };
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::frames;

    #[test]
    fn a_refusal_bears_the_brokers_words() {
        let mut frame = Vec::new();
        let close = channel::Close {
            reply_code: 404,
            reply_text: "NOT_FOUND - no",
            ..channel::Close::default()
        };
        write_method(&mut frame, 1, &close);
        let (incoming, _) = frames::next(&frame).unwrap().unwrap();
        assert_eq!(unexpected(incoming).to_string(), "the broker refused: 404 NOT_FOUND - no");
    }
}
