//! The far end of a long queue: messages whose bodies are in a message store, at 8 bytes each.
//!
//! Owned by `queue::ready`, one per priority, behind all messages that are in memory. Stays true:
//! sequence numbers ascend, and a run holds consecutive ones that are alike.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Which store has a message's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Shelf {
    /// The durable one: the message survives the process.
    Durable,
    /// The one that is wiped at the start: the message is only out of the way.
    Scratch,
}

/// A message without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stub {
    /// Where it is.
    pub shelf: Shelf,
    /// Bytes of its content.
    pub size: u32,
    /// Bytes of its body.
    pub body_size: u32,
    /// When it came to the queue, in milliseconds since the epoch.
    pub arrived_ms: u64,
}

impl Stub {
    /// Of a message of these sizes. What is beside the body counts as body beyond 64 KiB, which
    /// property tables hardly reach: so it takes two bytes to remember.
    pub(super) fn new(shelf: Shelf, size: u32, body_size: u32, arrived_ms: u64) -> Self {
        let head_size = size.saturating_sub(body_size).min(u32::from(u16::MAX));
        Self { shelf, size, body_size: size - head_size, arrived_ms }
    }
}

/// A stub in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PagedMessage {
    /// Its place in the queue.
    pub sequence: u64,
    /// What is known of it.
    pub stub: Stub,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// When its time is up, in milliseconds since the epoch; `NEVER`.
    pub expires_ms: u64,
}

/// What is to be read from the stores, per store: see `Ready::plan_reading`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ReadingPlan {
    /// From the durable store.
    pub durable: Vec<Range<u64>>,
    /// From the scratch store.
    pub scratch: Vec<Range<u64>>,
}

impl ReadingPlan {
    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.durable.is_empty() && self.scratch.is_empty()
    }

    /// One more message is to be read.
    pub(super) fn add(&mut self, sequence: u64, shelf: Shelf) {
        let ranges = match shelf {
            Shelf::Durable => &mut self.durable,
            Shelf::Scratch => &mut self.scratch,
        };
        match ranges.last_mut() {
            Some(last) if last.end == sequence => last.end += 1,
            Some(_) | None => ranges.push(sequence..sequence + 1),
        }
    }
}

/// A message that has all the time in the world.
pub(super) const NEVER: u64 = u64::MAX;

/// Entries of one run: one allocation of 32 KiB.
const RUN_MAX: usize = 4096;

#[derive(Clone, Debug)]
struct Run {
    first: u64,
    shelf: Shelf,
    redelivered: bool,
    /// When the first of them came, in milliseconds since the epoch.
    since_ms: u64,
    /// How long each of them may wait; `NEVER`.
    lives_ms: u64,
    entries: VecDeque<Entry>,
}

/// What differs from message to message of a run.
#[derive(Clone, Copy, Debug)]
struct Entry {
    size: u32,
    /// What its content has beside the body.
    head_size: u16,
    /// Milliseconds from the run's `since_ms` to its arrival.
    after_ms: u16,
}

impl Run {
    fn new(message: &PagedMessage) -> Self {
        Self {
            first: message.sequence,
            shelf: message.stub.shelf,
            redelivered: message.redelivered,
            since_ms: message.stub.arrived_ms,
            lives_ms: lives_ms(message),
            entries: VecDeque::new(),
        }
    }

    /// The entry of a message that continues the run.
    fn entry(&self, message: &PagedMessage) -> Option<Entry> {
        let PagedMessage { sequence, stub, redelivered, .. } = *message;
        let is_next = self.first + self.entries.len() as u64 == sequence
            && self.shelf == stub.shelf
            && self.redelivered == redelivered
            && self.lives_ms == lives_ms(message)
            && self.entries.len() < RUN_MAX;
        let after_ms = stub.arrived_ms.checked_sub(self.since_ms)?;
        let entry = Entry {
            size: stub.size,
            head_size: u16::try_from(stub.size.checked_sub(stub.body_size)?).ok()?,
            after_ms: u16::try_from(after_ms).ok()?,
        };
        is_next.then_some(entry)
    }

    fn message(&self, sequence: u64, entry: Entry) -> PagedMessage {
        let stub = Stub {
            shelf: self.shelf,
            size: entry.size,
            body_size: entry.size - u32::from(entry.head_size),
            arrived_ms: self.since_ms + u64::from(entry.after_ms),
        };
        let expires_ms = stub.arrived_ms.saturating_add(self.lives_ms);
        PagedMessage { sequence, stub, redelivered: self.redelivered, expires_ms }
    }
}

fn lives_ms(message: &PagedMessage) -> u64 {
    match message.expires_ms {
        NEVER => NEVER,
        // A clock that was set back may have let it come after it went.
        expires_ms => expires_ms.saturating_sub(message.stub.arrived_ms),
    }
}

/// See the module documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Paged {
    runs: VecDeque<Run>,
    count: usize,
}

impl Paged {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a message behind all others.
    pub(super) fn push(&mut self, message: PagedMessage) {
        self.count += 1;
        if let Some(run) = self.runs.back_mut()
            && let Some(entry) = run.entry(&message)
        {
            run.entries.push_back(entry);
            return;
        }
        let mut run = Run::new(&message);
        if let Some(entry) = run.entry(&message) {
            run.entries.push_back(entry);
            self.runs.push_back(run);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// What is known of a message.
    pub(super) fn find(&self, sequence: u64) -> Option<PagedMessage> {
        let after = self.runs.partition_point(|run| run.first <= sequence);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let entry = run.entries.get(usize::try_from(sequence - run.first).ok()?)?;
        Some(run.message(sequence, *entry))
    }

    /// The first message.
    pub(super) fn front(&self) -> Option<u64> {
        self.runs.front().map(|run| run.first)
    }

    /// When the time of the first message is up.
    pub(super) fn front_expires_ms(&self) -> u64 {
        let run = self.runs.front();
        let first = run.and_then(|run| Some(run.message(run.first, *run.entries.front()?)));
        first.map_or(NEVER, |message| message.expires_ms)
    }

    /// All messages in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = PagedMessage> {
        self.runs.iter().flat_map(|run| {
            let entries = (run.first..).zip(&run.entries);
            entries.map(|(sequence, entry)| run.message(sequence, *entry))
        })
    }

    /// Those from this number on, in order.
    pub(super) fn iter_from(&self, from: u64) -> impl Iterator<Item = PagedMessage> {
        let is_before = |run: &Run| run.first + (run.entries.len() as u64) <= from;
        let first = self.runs.partition_point(is_before);
        self.runs.range(first..).flat_map(move |run| {
            let skipped = usize::try_from(from.saturating_sub(run.first)).unwrap_or(usize::MAX);
            let entries = run.entries.range(skipped.min(run.entries.len())..);
            let entries = (run.first.max(from)..).zip(entries);
            entries.map(|(sequence, entry)| run.message(sequence, *entry))
        })
    }

    /// Takes the first message.
    pub(super) fn pop(&mut self) -> Option<PagedMessage> {
        let run = self.runs.front_mut()?;
        let entry = run.entries.pop_front()?;
        let message = run.message(run.first, entry);
        run.first += 1;
        if run.entries.is_empty() {
            self.runs.pop_front();
        }
        self.count -= 1;
        Some(message)
    }

    /// The runs as store, first sequence number and count.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Shelf, u64, u64)> {
        self.runs.iter().map(|run| (run.shelf, run.first, run.entries.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paged(sequence: u64, shelf: Shelf) -> PagedMessage {
        let stub = Stub::new(shelf, 10, 3, 1000 + sequence);
        let expires_ms = if sequence.is_multiple_of(5) { NEVER } else { 7000 + sequence };
        PagedMessage { sequence, stub, redelivered: false, expires_ms }
    }

    #[test]
    fn messages_come_back_in_order_with_what_was_known_of_them() {
        let mut all = Paged::default();
        let messages: Vec<_> = [0, 1, 2, 5, 6]
            .map(|sequence| paged(sequence, Shelf::Durable))
            .into_iter()
            .chain([paged(7, Shelf::Scratch)])
            .collect();
        messages.iter().for_each(|message| all.push(*message));
        let runs: Vec<_> = all.runs().collect();
        let expected = [
            (Shelf::Durable, 0, 1),
            (Shelf::Durable, 1, 2),
            (Shelf::Durable, 5, 1),
            (Shelf::Durable, 6, 1),
            (Shelf::Scratch, 7, 1),
        ];
        assert_eq!(runs, expected);
        assert_eq!(std::iter::from_fn(|| all.pop()).collect::<Vec<_>>(), messages);
        assert!(all.is_empty());
    }

    #[test]
    fn a_long_tail_costs_eight_bytes_a_message() {
        let mut all = Paged::default();
        let message =
            |sequence| PagedMessage { expires_ms: NEVER, ..paged(sequence, Shelf::Durable) };
        (0..100_000).for_each(|sequence| all.push(message(sequence)));
        let memory: usize = all
            .runs
            .iter()
            .map(|run| run.entries.capacity() * size_of::<Entry>() + size_of::<Run>())
            .sum();
        assert!(memory < 9 * 100_000, "{memory} bytes");
    }
}
