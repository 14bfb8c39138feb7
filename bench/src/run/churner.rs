//! A connection that declares exclusive queues and deletes them again, at an even rate, beside the
//! publishers and consumers of a run.
//!
//! It asks for both in one piece and goes on without waiting, so that a busy broker does not slow it
//! down; what is unanswered at a time is bounded, and so is what it catches up on.

use crate::client::frames::Incoming;
use crate::client::link::Link;
use crate::client::session::{CHANNEL, unexpected};
use crate::clock::Pace;
use crate::run::engine::{Next, Party, Progress, Signals};
use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::{MethodFrame, queue};
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Queues that are declared and whose deletion is not answered yet, at most: what a broker that
/// lags behind by 100 ms at 10,000 a second leaves.
const OUTSTANDING_MAX: u64 = 1000;
/// Queues of one run at most: an hour at 10,000 a second.
const QUEUES_MAX: u64 = 36_000_000;

/// A churner at work.
#[derive(Debug)]
pub(crate) struct Churner {
    link: Link,
    prefix: String,
    pace: Pace,
    asked: u64,
    deleted: u64,
    requests: Vec<u8>,
    written: usize,
    progress: Arc<Progress>,
}

impl Churner {
    /// Declares `per_second` queues whose names begin with `prefix`.
    pub(crate) fn new(link: Link, prefix: String, per_second: NonZeroU32, now: u64) -> Self {
        let pace = Pace::new(per_second.get(), now);
        Self {
            link,
            prefix,
            pace,
            asked: 0,
            deleted: 0,
            requests: Vec::new(),
            written: 0,
            progress: Arc::default(),
        }
    }

    pub(crate) fn progress_of(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Queues that the broker has declared and deleted.
    pub(crate) const fn deleted(&self) -> u64 {
        self.deleted
    }

    fn read_answers(&mut self) -> io::Result<()> {
        while self.link.is_readable() && self.link.fill()? {
            while let Some((incoming, length)) = self.link.frame()? {
                match incoming {
                    Incoming::Method(answer) if answers::<queue::DeclareOk<'_>>(answer) => {}
                    Incoming::Method(answer) if answers::<queue::DeleteOk>(answer) => {
                        self.deleted += 1;
                    }
                    Incoming::Ignorable => {}
                    other @ (Incoming::Deliver { .. }
                    | Incoming::Header { .. }
                    | Incoming::Body(_)
                    | Incoming::Confirm { .. }
                    | Incoming::Method(_)) => return Err(unexpected(other)),
                }
                self.link.consume(length);
            }
        }
        Ok(())
    }

    /// Asks for the next queue and its end.
    fn append_requests(&mut self) {
        let name = format!("{}.churn.{}", self.prefix, self.asked);
        let declare = queue::Declare { queue: &name, exclusive: true, ..queue::Declare::default() };
        write_method(&mut self.requests, CHANNEL, &declare);
        let delete = queue::Delete { queue: &name, ..queue::Delete::default() };
        write_method(&mut self.requests, CHANNEL, &delete);
        self.asked += 1;
    }

    /// Writes what is asked; false when the socket takes no more.
    fn send(&mut self) -> io::Result<bool> {
        while self.written < self.requests.len() {
            if !self.link.is_writable() {
                return Ok(false);
            }
            let left = self.requests.get(self.written..).unwrap_or_default();
            self.written += self.link.write(left)?;
        }
        self.requests.clear();
        self.written = 0;
        Ok(true)
    }
}

/// Whether a method's payload begins as `M` does.
fn answers<M: MethodFrame>(payload: &[u8]) -> bool {
    let id = payload.split_first_chunk::<4>().map(|(id, _)| u32::from_be_bytes(*id));
    id == Some(u32::from(M::CLASS_ID) << 16 | u32::from(M::METHOD_ID))
}

impl Party for Churner {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn progress(&mut self, signals: &Signals) -> io::Result<Next> {
        self.read_answers()?;
        if !self.send()? {
            return Ok(Next::Socket);
        }
        let room = OUTSTANDING_MAX.saturating_sub(self.asked - self.deleted);
        let room = room.min(QUEUES_MAX - self.asked);
        let count = self.pace.allowed(signals.start.nanoseconds()).min(room);
        (0..count).for_each(|_| self.append_requests());
        self.pace.spend(count);
        self.progress.set(self.deleted, signals.start.nanoseconds());
        if !self.send()? || room == count {
            return Ok(Next::Socket);
        }
        Ok(Next::At(self.pace.next_at()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Start;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    #[test]
    fn queues_are_declared_and_deleted_in_pairs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut broker, _) = listener.accept().unwrap();
        let link = Link::new(stream, Duration::from_secs(5)).unwrap();
        let signals = Signals::new(Start::now());
        let mut churner = Churner::new(link, "x".to_owned(), NonZeroU32::MIN, 0);
        churner.append_requests();
        let asked = churner.requests.clone();
        assert!(churner.send().unwrap() && churner.requests.is_empty());
        let mut received = vec![0; asked.len()];
        broker.read_exact(&mut received).unwrap();
        assert_eq!(received, asked);
        let mut answer = Vec::new();
        let declared = queue::DeclareOk { queue: "x.churn.0", ..queue::DeclareOk::default() };
        write_method(&mut answer, CHANNEL, &declared);
        write_method(&mut answer, CHANNEL, &queue::DeleteOk::default());
        broker.write_all(&answer).unwrap();
        churner.link.set_blocking(false).unwrap();
        while churner.deleted() == 0 {
            churner.link.notice(true, true);
            churner.progress(&signals).unwrap();
        }
        assert_eq!((churner.asked, churner.deleted()), (1, 1));
    }
}
