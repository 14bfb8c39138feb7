//! Messages that end with the process: for tests, and for a broker that is told to keep nothing.
//!
//! Every ticket is durable when it is given, unless a test holds the store back or says that its
//! disk is full. A [`MemoryMessages::reopened`] store holds what was durable, as after a crash.
//! Stays true: nothing is durable while something appended before it is not.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::mem;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::contents::Contents;
use super::{
    Batch, Health, MessageStore, Options, Progress, ReadBack, Recovered, Statistics, Ticket,
};
use crate::StorageError;

/// A [`MessageStore`] without a disk.
#[derive(Debug)]
pub struct MemoryMessages {
    progress: Progress,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    contents: Contents,
    /// What was durable when the first of `waiting` was appended; `None` when nothing waits.
    durable: Option<Contents>,
    /// Appended and not durable.
    waiting: VecDeque<Waiting>,
    last: Ticket,
    is_held: bool,
    is_closed: bool,
    statistics: Statistics,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    batch: Batch,
    bytes: usize,
}

impl MemoryMessages {
    /// An empty store.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with_options(&Options::default())
    }

    /// An empty store; of the options only `pending_max` matters.
    #[must_use]
    pub fn with_options(options: &Options) -> Arc<Self> {
        Self::holding(Contents::default(), options.pending_max)
    }

    fn holding(contents: Contents, pending_max: usize) -> Arc<Self> {
        let state = State { contents, ..State::default() };
        Arc::new(Self { progress: Progress::new(pending_max), state: Mutex::new(state) })
    }

    /// From now on tickets stay what they are: nothing becomes durable.
    pub fn hold(&self) {
        self.state.lock().is_held = true;
    }

    /// Ends a hold: everything appended is durable, and what is appended later is at once. Without
    /// effect on a store whose disk is full or that has failed.
    pub fn release(&self) {
        let mut state = self.state.lock();
        state.is_held = false;
        self.settle_up(&mut state);
    }

    /// Everything up to this ticket is durable; the hold goes on.
    pub fn release_until(&self, ticket: Ticket) {
        self.advance(&mut self.state.lock(), ticket);
    }

    /// What the store says of its disk. While it is full, and for ever after a failure, nothing
    /// becomes durable.
    pub fn set_health(&self, health: Health) {
        let mut state = self.state.lock();
        self.progress.set_health(health);
        self.settle_up(&mut state);
    }

    /// A new store with what was durable in this one, as after a crash of the process that had it.
    #[must_use]
    pub fn reopened(&self, known_queues: &HashSet<u64>) -> (Arc<Self>, Recovered) {
        let state = self.state.lock();
        let contents = state.durable.as_ref().unwrap_or(&state.contents).clone();
        let recovered = contents.recover(known_queues);
        (Self::holding(contents, Options::default().pending_max), recovered)
    }

    /// Whether what is appended is durable when its ticket is given.
    fn is_at_once(&self, state: &State) -> bool {
        !state.is_held && matches!(self.progress.health(), Health::Well)
    }

    /// Makes durable what waits, unless something holds it back.
    fn settle_up(&self, state: &mut State) {
        if self.is_at_once(state) {
            self.advance(state, state.last);
        }
    }

    fn advance(&self, state: &mut State, ticket: Ticket) {
        while let Some(waiting) = state.waiting.pop_front_if(|first| first.ticket <= ticket) {
            if let Some(durable) = &mut state.durable {
                durable.apply(&waiting.batch);
            }
            self.progress.remove_pending(waiting.bytes);
        }
        if state.waiting.is_empty() {
            state.durable = None;
        }
        self.progress.set_durable(ticket.min(state.last));
    }
}

impl State {
    fn wait(&mut self, waiting: Waiting) {
        if self.durable.is_none() {
            self.durable = Some(self.contents.clone());
        }
        self.contents.apply(&waiting.batch);
        self.waiting.push_back(waiting);
    }
}

impl MessageStore for MemoryMessages {
    fn append(&self, batch: &mut Batch) -> Ticket {
        if let Some(refused) = batch.refuse() {
            return refused;
        }
        let mut state = self.state.lock();
        if batch.is_empty() {
            return state.last;
        }
        state.last.0 += 1;
        let ticket = state.last;
        let batch = Batch {
            atomic: mem::take(&mut batch.atomic),
            awaited: mem::take(&mut batch.awaited),
            publishes: batch.publishes.drain(..).collect(),
            settled: batch.settled.drain(..).collect(),
            absent: batch.absent.drain(..).collect(),
            delivery_counts: batch.delivery_counts.drain(..).collect(),
            deleted_queues: batch.deleted_queues.drain(..).collect(),
        };
        if state.is_closed {
            return ticket;
        }
        let bytes = batch.publishes.iter().map(|publish| publish.content.size()).sum();
        state.statistics.appended_messages += batch.publishes.len() as u64;
        state.statistics.appended_bytes += bytes as u64;
        if self.is_at_once(&state) {
            state.contents.apply(&batch);
            self.progress.set_durable(ticket);
        } else {
            self.progress.add_pending(bytes);
            state.wait(Waiting { ticket, batch, bytes });
        }
        ticket
    }

    fn read(&self, queue: u64, sequences: &[Range<u64>]) -> Result<ReadBack, StorageError> {
        let messages = self.state.lock().contents.read(queue, sequences);
        Ok(ReadBack { messages, damaged: Vec::new() })
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn statistics(&self) -> Statistics {
        let state = self.state.lock();
        let (live_messages, live_bytes) = state.contents.live();
        Statistics {
            live_messages,
            live_bytes,
            pending_bytes: self.progress.pending() as u64,
            ..state.statistics.clone()
        }
    }

    fn close(&self) -> Result<(), StorageError> {
        let mut state = self.state.lock();
        if mem::replace(&mut state.is_closed, true) {
            return Ok(());
        }
        state.is_held = false;
        self.settle_up(&mut state);
        match self.progress.health() {
            Health::Failed(error) => Err(error),
            Health::Full if !state.waiting.is_empty() => {
                let full = io::Error::from(io::ErrorKind::StorageFull);
                Err(StorageError::io("write", Path::new("memory"), full))
            }
            Health::Well | Health::Full => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{Content, Place, Publish, Settled};

    fn publish(sequence: u64) -> Batch {
        let content = Content { head: Arc::from(&b"ten bytes!"[..]), ..Content::default() };
        let places = [Place { queue: 1, sequence }].into_iter().collect();
        Batch { publishes: vec![Publish { content, places }], ..Batch::default() }
    }

    fn recovered(store: &MemoryMessages) -> Vec<u64> {
        let (_, mut recovered) = store.reopened(&[1].into());
        let queue = recovered.queues.remove(&1).unwrap_or_default();
        queue.messages.into_iter().map(|message| message.sequence).collect()
    }

    #[test]
    fn what_is_held_back_is_readable_and_lost_by_a_crash() {
        let store = MemoryMessages::new();
        store.append(&mut publish(0));
        store.hold();
        let [first, second] = [1, 2].map(|sequence| store.append(&mut publish(sequence)));
        let settled = vec![Settled { queue: 1, first: 0, count: 1 }];
        store.append(&mut Batch { settled, ..Batch::default() });
        assert_eq!(store.read(1, &[0..1, 1..9]).unwrap().messages.len(), 2);
        assert_eq!(store.progress().durable(), Ticket(1));
        assert_eq!(store.progress().pending(), 20);
        assert_eq!(recovered(&store), [0]);
        store.release_until(first);
        assert_eq!((store.progress().durable(), recovered(&store)), (first, vec![0, 1]));
        store.release();
        assert!(store.progress().durable() > second);
        assert_eq!(recovered(&store), [1, 2]);
        assert_eq!(store.append(&mut publish(3)), store.progress().durable());
        assert_eq!(store.progress().pending(), 0);
    }

    #[test]
    fn a_full_disk_holds_everything_back_until_there_is_room() {
        let store = MemoryMessages::new();
        store.set_health(Health::Full);
        let ticket = store.append(&mut publish(0));
        store.release();
        assert!(store.progress().durable() < ticket);
        store.set_health(Health::Well);
        assert_eq!(store.progress().durable(), ticket);
    }

    #[test]
    fn closing_fails_when_something_could_not_be_made_durable() {
        let full = MemoryMessages::new();
        full.set_health(Health::Full);
        full.append(&mut publish(0));
        assert!(matches!(full.close(), Err(StorageError::Io { .. })));
        let failed = MemoryMessages::new();
        failed.set_health(Health::Failed(StorageError::Closed));
        failed.append(&mut publish(0));
        failed.set_health(Health::Well);
        assert_eq!(failed.progress().durable(), Ticket(0));
        assert!(matches!(failed.close(), Err(StorageError::Closed)));
    }
}
