//! Messages taken out of a queue of any broker with all that they carry: for whoever moves them elsewhere.
//!
//! Used by `leveret migrate`. Stays true: a message stays the broker's until [`Taker::settle`] says that it is
//! kept elsewhere; when the connection ends before that, the broker has it back in its place.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use leveret_protocol::content::ContentHeader;
use leveret_protocol::decoder::decode_frame;
use leveret_protocol::encoder::write_method;
use leveret_protocol::frame::{Frame, FrameKind};
use leveret_protocol::methods::{Method, basic};

use crate::client::address::Address;
use crate::client::session::{CHANNEL, Session, SessionError, refusal};

/// Why nothing more can be taken. One line.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The address makes no sense.
    #[error("{0}")]
    Address(String),
    /// The broker refuses, or cannot be reached.
    #[error("{0}")]
    Broker(String),
}

impl From<SessionError> for TakeError {
    fn from(error: SessionError) -> Self {
        Self::Broker(error.to_string())
    }
}

impl From<io::Error> for TakeError {
    fn from(error: io::Error) -> Self {
        Self::Broker(error.to_string())
    }
}

/// A message as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Names it until it is settled.
    pub delivery_tag: u64,
    /// It was delivered before.
    pub redelivered: bool,
    /// Where it was published.
    pub exchange: String,
    /// With which routing key.
    pub routing_key: String,
    /// Flags and values of its properties, as on the wire (AMQP 0-9-1 §4.2.6.1).
    pub properties: Vec<u8>,
    /// Its body.
    pub body: Vec<u8>,
}

/// A connection that takes messages out of queues of one vhost.
#[derive(Debug)]
pub struct Taker {
    session: Session,
}

impl Taker {
    /// Connects to `amqp://user:password@host:port`, or `amqps`, under a name that the broker shows.
    ///
    /// # Errors
    /// The URL is none, or the broker cannot be reached or refuses.
    pub fn open(url: &str, vhost: &str, name: &str) -> Result<Self, TakeError> {
        let address = url.parse::<Address>();
        let mut address = address.map_err(|error| TakeError::Address(error.to_string()))?;
        vhost.clone_into(&mut address.vhost);
        Ok(Self { session: Session::open(&address, name)? })
    }

    /// The next messages, at most so many; fewer if the queue has no more (`basic.get`, without waiting for
    /// each). Blocks.
    ///
    /// # Errors
    /// The broker refuses, or is gone.
    pub fn take(&mut self, queue: &str, most: usize) -> Result<Vec<Taken>, TakeError> {
        let mut frames = Vec::new();
        let get = basic::Get { queue, ..basic::Get::default() };
        (0..most).for_each(|_| write_method(&mut frames, CHANNEL, &get));
        self.session.link().write_all(&frames)?;
        let mut taking = Taking { left: most, ..Taking::default() };
        while !taking.is_over() {
            while let Some(frame) = self.frame()? {
                taking.see(frame.kind, frame.payload)?;
                let length = frame.encoded_len();
                self.session.link().consume(length);
                if taking.is_over() {
                    break;
                }
            }
            if !taking.is_over() && !self.session.link().fill()? {
                return Err(io::Error::new(ErrorKind::TimedOut, "the broker did not answer").into());
            }
        }
        Ok(taking.taken.into())
    }

    /// How many messages wait in a queue.
    ///
    /// # Errors
    /// There is no such queue, or the broker is gone.
    pub fn waiting(&mut self, queue: &str) -> Result<u64, TakeError> {
        Ok(self.session.depth(queue)?)
    }

    /// All up to this one are kept elsewhere.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn settle(&mut self, delivery_tag: u64) -> Result<(), TakeError> {
        self.send(&basic::Ack { delivery_tag, multiple: true })
    }

    /// All from this one on stay with the broker.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn put_back(&mut self, delivery_tag: u64) -> Result<(), TakeError> {
        self.send(&basic::Nack { delivery_tag, multiple: true, requeue: true })
    }

    /// Ends, once the broker has dealt with everything that was settled.
    ///
    /// # Errors
    /// It has not.
    pub fn close(self) -> Result<(), TakeError> {
        Ok(self.session.close()?)
    }

    fn send(
        &mut self,
        method: &impl leveret_protocol::methods::MethodFrame,
    ) -> Result<(), TakeError> {
        let mut frame = Vec::new();
        write_method(&mut frame, CHANNEL, method);
        Ok(self.session.link().write_all(&frame)?)
    }

    fn frame(&mut self) -> Result<Option<Frame<'_>>, TakeError> {
        Ok(decode_frame(self.session.link().pending(), 0).map_err(SessionError::from)?)
    }
}

/// Answers to a row of `basic.get`.
#[derive(Debug, Default)]
struct Taking {
    /// Answers that have not begun.
    left: usize,
    /// Octets of the last one's body that have not come.
    missing: u64,
    /// Its header has not come.
    is_headless: bool,
    taken: VecDeque<Taken>,
}

impl Taking {
    fn is_over(&self) -> bool {
        self.left == 0 && self.missing == 0 && !self.is_headless
    }

    fn see(&mut self, kind: FrameKind, payload: &[u8]) -> Result<(), TakeError> {
        match kind {
            FrameKind::Heartbeat => {}
            FrameKind::Method => self.see_method(payload)?,
            FrameKind::Header => {
                let header = ContentHeader::decode(payload).map_err(SessionError::from)?;
                self.missing = header.body_size;
                self.is_headless = false;
                if let Some(last) = self.taken.back_mut() {
                    header.properties.clone_into(&mut last.properties);
                }
            }
            FrameKind::Body => {
                self.missing = self.missing.saturating_sub(payload.len() as u64);
                if let Some(last) = self.taken.back_mut() {
                    last.body.extend_from_slice(payload);
                }
            }
        }
        Ok(())
    }

    fn see_method(&mut self, payload: &[u8]) -> Result<(), TakeError> {
        let method = Method::decode(payload).map_err(SessionError::from)?;
        if let Method::BasicGetOk(got) = &method {
            self.left = self.left.saturating_sub(1);
            self.is_headless = true;
            self.taken.push_back(Taken {
                delivery_tag: got.delivery_tag,
                redelivered: got.redelivered,
                exchange: got.exchange.to_owned(),
                routing_key: got.routing_key.to_owned(),
                properties: Vec::new(),
                body: Vec::new(),
            });
            return Ok(());
        }
        if let Method::BasicGetEmpty(_) = method {
            self.left = self.left.saturating_sub(1);
            return Ok(());
        }
        // These speak of what is published.
        match matches!(method, Method::ConnectionBlocked(_) | Method::ConnectionUnblocked(_)) {
            true => Ok(()),
            false => Err(refusal(&method).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_protocol::encoder::{write_body_frame, write_content_header};
    use leveret_protocol::methods::{MethodFrame, channel};

    use super::*;

    fn shown(taking: &mut Taking, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), TakeError> {
        let mut bytes = Vec::new();
        write(&mut bytes);
        let frame = decode_frame(&bytes, 0).unwrap().unwrap();
        taking.see(frame.kind, frame.payload)
    }

    fn method(taking: &mut Taking, method: &impl MethodFrame) -> Result<(), TakeError> {
        shown(taking, |out| write_method(out, 1, method))
    }

    #[test]
    fn answers_are_put_together_until_all_have_come() {
        let mut taking = Taking { left: 3, ..Taking::default() };
        let got = basic::GetOk {
            delivery_tag: 4,
            redelivered: true,
            exchange: "x",
            routing_key: "k",
            ..basic::GetOk::default()
        };
        method(&mut taking, &got).unwrap();
        shown(&mut taking, |out| write_content_header(out, 1, 60, 5, &[0x10, 0, 2])).unwrap();
        shown(&mut taking, |out| write_body_frame(out, 1, b"he")).unwrap();
        shown(&mut taking, |out| write_body_frame(out, 1, b"llo")).unwrap();
        method(&mut taking, &basic::GetOk { delivery_tag: 5, ..basic::GetOk::default() }).unwrap();
        assert!(!taking.is_over());
        method(&mut taking, &basic::GetEmpty::default()).unwrap_or(());
        assert!(!taking.is_over(), "the second has no header yet");
        shown(&mut taking, |out| write_content_header(out, 1, 60, 0, &[0, 0])).unwrap();
        assert!(taking.is_over());
        let first = &taking.taken[0];
        assert_eq!((&*first.body, &*first.properties), (&b"hello"[..], &[0x10, 0, 2][..]));
        assert_eq!((&*first.exchange, &*first.routing_key), ("x", "k"));
        assert_eq!((first.delivery_tag, first.redelivered, taking.taken.len()), (4, true, 2));
    }

    #[test]
    fn a_refusal_is_told_in_the_brokers_words() {
        let mut taking = Taking { left: 1, ..Taking::default() };
        let close = channel::Close {
            reply_code: 404,
            reply_text: "NOT_FOUND - no queue 'q'",
            ..channel::Close::default()
        };
        let error = method(&mut taking, &close).unwrap_err();
        assert_eq!(error.to_string(), "the broker refused: 404 NOT_FOUND - no queue 'q'");
    }
}
