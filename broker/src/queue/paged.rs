//! The far end of a long queue: messages whose bodies are in a message store, at 8 bytes each.
//!
//! Owned by `queue::ready`, one per priority, behind all messages that are in memory. Stays true:
//! sequence numbers ascend, and a run holds consecutive ones that are alike.

use std::collections::VecDeque;

/// Which store has a message's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// Entries of one run: one allocation of 32 KiB.
const RUN_MAX: usize = 4096;

#[derive(Debug)]
struct Run {
    first: u64,
    shelf: Shelf,
    redelivered: bool,
    /// Size and body size of each.
    sizes: VecDeque<(u32, u32)>,
}

impl Run {
    fn continues_with(&self, message: &PagedMessage) -> bool {
        self.first + self.sizes.len() as u64 == message.sequence
            && self.shelf == message.stub.shelf
            && self.redelivered == message.redelivered
            && self.sizes.len() < RUN_MAX
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
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
        let sizes = (message.stub.size, message.stub.body_size);
        match self.runs.back_mut() {
            Some(run) if run.continues_with(&message) => run.sizes.push_back(sizes),
            Some(_) | None => self.runs.push_back(Run {
                first: message.sequence,
                shelf: message.stub.shelf,
                redelivered: message.redelivered,
                sizes: VecDeque::from([sizes]),
            }),
        }
    }

    /// Takes the first message.
    pub(super) fn pop(&mut self) -> Option<PagedMessage> {
        let run = self.runs.front_mut()?;
        let (size, body_size) = run.sizes.pop_front()?;
        let stub = Stub { shelf: run.shelf, size, body_size };
        let message = PagedMessage { sequence: run.first, stub, redelivered: run.redelivered };
        run.first += 1;
        if run.sizes.is_empty() {
            self.runs.pop_front();
        }
        self.count -= 1;
        Some(message)
    }

    /// The runs as store, first sequence number and count.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Shelf, u64, u64)> {
        self.runs.iter().map(|run| (run.shelf, run.first, run.sizes.len() as u64))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paged(sequence: u64, shelf: Shelf) -> PagedMessage {
        let stub = Stub { shelf, size: 10, body_size: 3 };
        PagedMessage { sequence, stub, redelivered: false }
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
        let expected = [(Shelf::Durable, 0, 3), (Shelf::Durable, 5, 2), (Shelf::Scratch, 7, 1)];
        assert_eq!(runs, expected);
        assert_eq!(std::iter::from_fn(|| all.pop()).collect::<Vec<_>>(), messages);
        assert!(all.is_empty());
    }

    #[test]
    fn a_long_tail_costs_eight_bytes_a_message() {
        let mut all = Paged::default();
        (0..100_000).for_each(|sequence| all.push(paged(sequence, Shelf::Durable)));
        let memory: usize = all.runs.iter().map(|run| run.sizes.capacity() * 8 + 64).sum();
        assert!(memory < 9 * 100_000, "{memory} bytes");
    }
}
