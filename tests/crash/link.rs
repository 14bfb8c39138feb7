//! A client's connection to a broker that may end at any moment from a certain one on, however it
//! ends.

use std::sync::atomic::{AtomicBool, Ordering};

use leveret_tests::deadline::PATIENCE;
use leveret_tests::now;
use leveret_tests::raw_client::method::{Method, connection};
use leveret_tests::raw_client::reply::Reply;
use leveret_tests::raw_client::{RawClient, ReadEnd};

/// A connection with channel 1 open.
pub(crate) struct Link<'a> {
    client: RawClient,
    is_ending: &'a AtomicBool,
}

impl<'a> Link<'a> {
    /// Goes on with a connected client. The broker must not end before this becomes true.
    pub(crate) fn over(client: RawClient, is_ending: &'a AtomicBool) -> Self {
        Self { client, is_ending }
    }

    /// Whether the broker may do anything, because its end has begun.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    pub(crate) fn frame_max(&self) -> usize {
        self.client.frame_max()
    }

    /// Writes; false when the connection is no more.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> bool {
        let is_heard = self.client.try_send_bytes(bytes);
        assert!(is_heard || self.is_ending(), "the broker has hung up");
        is_heard
    }

    /// Writes a method; false when the connection is no more.
    pub(crate) fn ask(&mut self, method: &Method) -> bool {
        self.say(&method.frame())
    }

    /// The next thing the broker says, or that it says nothing more or nothing in time.
    pub(crate) fn listen(&mut self) -> Result<Reply, ReadEnd> {
        match self.client.read_reply(now() + PATIENCE) {
            Ok(reply) if reply.id == connection::CLOSE => {
                assert!(self.is_ending(), "{reply}");
                self.ask(&connection::close_ok());
                Err(ReadEnd::Closed)
            }
            heard => {
                let is_ended = matches!(heard, Err(ReadEnd::Closed));
                assert!(!is_ended || self.is_ending(), "the broker has hung up");
                heard
            }
        }
    }

    /// The answer that must come unless the connection ends.
    pub(crate) fn answer(&mut self) -> Option<Reply> {
        match self.listen() {
            Ok(reply) => Some(reply),
            Err(ReadEnd::TimedOut) => panic!("the broker has not answered within {PATIENCE:?}"),
            Err(ReadEnd::Closed) => None,
        }
    }
}
