//! What must come back: the functions a test states its claims with.

use std::time::Duration;

use super::method::{Method, MethodId, channel, connection};
use super::reply::{Close, Reply, name_of};
use super::{RawClient, ReadEnd};
use crate::deadline::PATIENCE;
use crate::now;

impl RawClient {
    /// The next thing the broker says, unasked or not; panics if it says nothing.
    pub fn expect_any(&mut self) -> Reply {
        if let Some(reply) = self.backlog.pop_front() {
            return reply;
        }
        match self.read_reply(now() + PATIENCE) {
            Ok(reply) => reply,
            Err(end) => panic!("expected something from the broker, got {end:?}"),
        }
    }

    /// The next thing the broker says must be this method.
    pub fn expect(&mut self, id: MethodId) -> Reply {
        if let Some(reply) = self.backlog.pop_front() {
            assert_eq!(reply.id, id, "expected {}, got {reply}", name_of(id));
            return reply;
        }
        match self.read_reply(now() + PATIENCE) {
            Ok(reply) if reply.id == id => reply,
            Ok(reply) => panic!("expected {}, got {reply}", name_of(id)),
            Err(end) => panic!("expected {}, got {end:?}", name_of(id)),
        }
    }

    /// The next thing the broker says must be this method on this channel.
    pub fn expect_from(&mut self, channel: u16, id: MethodId) -> Reply {
        let reply = self.expect(id);
        assert_eq!(reply.channel, channel, "the channel of {reply}");
        reply
    }

    /// The next thing the broker says on this channel; what it says on others is kept.
    pub fn expect_on(&mut self, channel: u16) -> Reply {
        if let Some(position) = self.backlog.iter().position(|kept| kept.channel == channel) {
            return self.backlog.remove(position).expect("the position was found just now");
        }
        let deadline = now() + PATIENCE;
        loop {
            match self.read_reply(deadline) {
                Ok(reply) if reply.channel == channel => return reply,
                Ok(reply) => self.backlog.push_back(reply),
                Err(end) => panic!("expected something on channel {channel}, got {end:?}"),
            }
        }
    }

    /// Sends a method and waits for its answer; what the broker says unasked meanwhile is kept.
    pub fn call(&mut self, method: Method) -> Reply {
        let (id, channel) = (method.id, method.channel);
        self.send(method);
        let answer = self.answer_to(id, channel);
        assert!(!answer.is_close(), "{id:?} was refused: {answer}");
        answer
    }

    fn answer_to(&mut self, id: MethodId, channel: u16) -> Reply {
        let deadline = now() + PATIENCE;
        loop {
            match self.read_reply(deadline) {
                Ok(reply) if reply.id == connection::CLOSE => return reply,
                Ok(reply) if reply.channel == channel && !reply.is_unasked() => return reply,
                Ok(reply) => self.backlog.push_back(reply),
                Err(end) => {
                    panic!("expected an answer to {id:?} on channel {channel}, got {end:?}")
                }
            }
        }
    }

    /// The next thing must be a channel.close with exactly this in it; answers it.
    pub fn expect_channel_close(&mut self, number: u16, code: u16, text: &str, cause: MethodId) {
        let reply = self.expect_any();
        assert_eq!(reply.id, channel::CLOSE, "expected channel.close {code} {text}, got {reply}");
        let wanted = Close { code, text: text.to_owned(), cause };
        assert_eq!((reply.channel, reply.close()), (number, wanted));
        self.send(channel::close_ok().on(number));
    }

    /// The next thing must be a connection.close with exactly this in it; answers it and waits for
    /// the socket to close.
    pub fn expect_connection_close(&mut self, code: u16, text: &str, cause: MethodId) {
        let reply = self.expect_any();
        let wanted = format!("connection.close {code} {text}");
        assert_eq!(reply.id, connection::CLOSE, "expected {wanted}, got {reply}");
        assert_eq!(reply.close(), Close { code, text: text.to_owned(), cause });
        self.try_send_bytes(&connection::close_ok().frame());
        self.expect_socket_closed(PATIENCE);
    }

    /// The broker must close the socket in time, and say nothing before it does.
    pub fn expect_socket_closed(&mut self, within: Duration) {
        match self.read_reply(now() + within) {
            Err(ReadEnd::Closed) => {}
            Err(ReadEnd::TimedOut) => panic!("the socket is still open after {within:?}"),
            Ok(reply) => panic!("expected the socket to close, got {reply}"),
        }
    }

    /// The broker must neither speak nor hang up for this long. Only for what is about time itself;
    /// everywhere else [`Self::expect_nothing_pending`] is quicker and surer.
    pub fn expect_silence(&mut self, during: Duration) {
        assert!(self.backlog.is_empty(), "expected silence, got {}", self.backlog[0]);
        match self.read_reply(now() + during) {
            Err(ReadEnd::TimedOut) => {}
            Err(ReadEnd::Closed) => panic!("the broker hung up within {during:?}"),
            Ok(reply) => panic!("expected silence, got {reply}"),
        }
    }

    /// Nothing that was caused before this call is still on its way to this client.
    ///
    /// Two round trips through `queue` on `number`: the first returns after the queue has handed
    /// what it had to the channel, the second after the channel has handed that to the socket. What
    /// was published must have reached the queue before, see [`Self::fill`].
    pub fn expect_nothing_pending(&mut self, number: u16, queue: &str) {
        for _ in 0..2 {
            self.queue_state_on(number, queue);
        }
        if let Some(reply) = self.backlog.front() {
            panic!("expected nothing more, got {reply}");
        }
    }

    /// As [`Self::expect_nothing_pending`] where no queue is concerned.
    pub fn expect_nothing_on(&mut self, number: u16) {
        for _ in 0..2 {
            let probe = super::method::exchange::declare("amq.direct", "direct");
            self.call(probe.with(super::Flag::Passive).on(number));
        }
        if let Some(reply) = self.backlog.front() {
            panic!("expected nothing more, got {reply}");
        }
    }
}
