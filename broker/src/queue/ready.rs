//! The messages of a queue that wait for a consumer, in delivery order.
//!
//! Owned by `queue::state`. A plain queue is one level ordered by sequence number; a priority queue
//! (`x-max-priority`) is one level per priority, highest first. A level is a deque of messages, of
//! which some may be without their bodies, and behind it the paged tail. Stays true:
//! - inside a level the sequence numbers ascend, so what is requeued returns to its original
//!   position;
//! - everything in the tail is behind everything in the deque.

use std::collections::VecDeque;
use std::ops::Range;

use super::paged::{Paged, PagedMessage, Shelf, Stub};
use crate::message::Message;

/// A message, or what is known of it while its body is in a store.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// In memory.
    Resident(Message),
    /// In a store.
    Paged(Stub),
}

impl Held {
    /// Bytes of its content.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Resident(message) => message.size(),
            Self::Paged(stub) => stub.size as usize,
        }
    }

    /// Bytes of its body.
    pub(super) fn body_size(&self) -> usize {
        match self {
            Self::Resident(message) => message.body().len(),
            Self::Paged(stub) => stub.body_size as usize,
        }
    }
}

/// A message in its place in one queue.
#[derive(Clone, Debug)]
pub(super) struct QueuedMessage {
    /// Its place: ascending in the order of arrival, never used twice in a queue.
    pub sequence: u64,
    /// Its priority, cut to the queue's highest.
    pub level: u8,
    /// Whether it was handed out before: the `redelivered` flag of its next delivery.
    pub redelivered: bool,
    /// The message, shared with the other queues it was routed to.
    pub held: Held,
}

/// What `pop` found.
#[derive(Debug)]
pub(super) enum Popped {
    /// The next message.
    Message(QueuedMessage, Message),
    /// The next message's body has to be read first.
    NotResident,
    /// Nothing waits.
    Nothing,
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

    fn add(&mut self, sequence: u64, shelf: Shelf) {
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

#[derive(Debug, Default)]
struct Level {
    queued: VecDeque<QueuedMessage>,
    paged: Paged,
}

impl Level {
    fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.paged.is_empty()
    }

    /// Moves the first of the tail to the deque.
    fn draw_in(&mut self, level: u8) -> bool {
        let Some(PagedMessage { sequence, stub, redelivered }) = self.paged.pop() else {
            return false;
        };
        let held = Held::Paged(stub);
        self.queued.push_back(QueuedMessage { sequence, level, redelivered, held });
        true
    }

    fn shrink(&mut self) {
        let queued = &mut self.queued;
        if queued.capacity() > SHRINK_ABOVE_CAPACITY && queued.len() < queued.capacity() / 8 {
            queued.shrink_to(queued.capacity() / 4);
        }
    }
}

/// Waiting messages. See the module documentation for the order.
#[derive(Debug)]
pub(super) struct Ready {
    /// Indexed by priority, 0 first. Never empty.
    levels: Vec<Level>,
    count: usize,
    bytes: usize,
    body_bytes: usize,
    resident_bytes: usize,
    /// Messages whose bodies are in a store.
    paged: usize,
}

/// A deque that shrank to a small part of its capacity gives the memory back: a backlog that was
/// drained must not cost for ever.
const SHRINK_ABOVE_CAPACITY: usize = 4096;
/// What a message in memory takes beside its content.
const RESIDENT_OVERHEAD: usize = 128;

/// Memory a message takes while it is in a queue, in bytes.
pub(super) fn footprint(held: &Held) -> usize {
    match held {
        Held::Resident(message) => message.size() + RESIDENT_OVERHEAD,
        Held::Paged(_) => 0,
    }
}

impl Ready {
    /// No messages; priorities above `max_priority` count as it.
    pub(super) fn new(max_priority: u8) -> Self {
        let levels = (0..=max_priority).map(|_| Level::default()).collect();
        Self { levels, count: 0, bytes: 0, body_bytes: 0, resident_bytes: 0, paged: 0 }
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The content of the waiting messages in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bodies of the waiting messages in bytes: what `x-max-length-bytes` limits.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Memory that the waiting messages take, in bytes.
    pub(super) fn resident_bytes(&self) -> usize {
        self.resident_bytes
    }

    /// A message's priority, cut to the highest there is.
    pub(super) fn level_of(&self, priority: u8) -> u8 {
        let highest = u8::try_from(self.levels.len() - 1).unwrap_or(u8::MAX);
        priority.min(highest)
    }

    fn count_in(&mut self, held: &Held) {
        self.count += 1;
        self.bytes += held.size();
        self.body_bytes += held.body_size();
        self.resident_bytes += footprint(held);
        self.paged += usize::from(matches!(held, Held::Paged(_)));
    }

    fn count_out(&mut self, held: &Held) {
        self.count -= 1;
        self.bytes -= held.size();
        self.body_bytes -= held.body_size();
        self.resident_bytes -= footprint(held);
        self.paged -= usize::from(matches!(held, Held::Paged(_)));
    }

    /// Whether the body of a newly arrived message may stay in memory: there is room, and it would
    /// not stand behind one that is paged.
    pub(super) fn keeps_resident(&self, level: u8, room: usize) -> bool {
        self.resident_bytes < room
            && self.levels.get(usize::from(level)).is_some_and(|level| level.paged.is_empty())
    }

    /// Adds a newly arrived message behind all others of its priority.
    pub(super) fn push(&mut self, message: QueuedMessage) {
        self.count_in(&message.held);
        let QueuedMessage { sequence, redelivered, .. } = message;
        let level = self.level(message.level);
        match message.held {
            Held::Paged(stub) => level.paged.push(PagedMessage { sequence, stub, redelivered }),
            Held::Resident(_) => {
                debug_assert!(level.paged.is_empty(), "asked `keeps_resident`");
                level.queued.push_back(message);
            }
        }
    }

    /// Puts a message back where it came from, by its sequence number.
    pub(super) fn requeue(&mut self, message: QueuedMessage) {
        self.count_in(&message.held);
        let level = self.level(message.level);
        if level.queued.front().is_none_or(|front| message.sequence < front.sequence) {
            level.queued.push_front(message);
        } else {
            let place = level.queued.partition_point(|other| other.sequence < message.sequence);
            level.queued.insert(place, message);
        }
    }

    /// Whether there is a next message and its body is here.
    pub(super) fn is_resident(&self) -> bool {
        let next = self.levels.iter().rev().find(|level| !level.is_empty());
        let front = next.and_then(|level| level.queued.front());
        front.is_some_and(|front| matches!(front.held, Held::Resident(_)))
    }

    /// Takes the message that is to be delivered next, if its body is here.
    pub(super) fn pop(&mut self) -> Popped {
        if self.count == 0 {
            return Popped::Nothing;
        }
        let Some(level) = self.levels.iter_mut().rev().find(|level| !level.is_empty()) else {
            return Popped::Nothing;
        };
        let resident = level.queued.front().and_then(|front| match &front.held {
            Held::Resident(message) => Some(message.clone()),
            Held::Paged(_) => None,
        });
        let Some(message) = resident else { return Popped::NotResident };
        let Some(queued) = level.queued.pop_front() else { return Popped::Nothing };
        level.shrink();
        self.count_out(&queued.held);
        Popped::Message(queued, message)
    }

    /// Takes the message that is next, wherever its body is.
    pub(super) fn pop_any(&mut self) -> Option<QueuedMessage> {
        let (at, level) =
            self.levels.iter_mut().enumerate().rev().find(|(_, level)| !level.is_empty())?;
        if level.queued.is_empty() {
            level.draw_in(u8::try_from(at).unwrap_or(u8::MAX));
        }
        let queued = level.queued.pop_front()?;
        level.shrink();
        self.count_out(&queued.held);
        Some(queued)
    }

    /// Whether the messages to be delivered next are, as far as `messages` go, in memory.
    pub(super) fn is_read_ahead(&self, messages: usize) -> bool {
        if self.paged == 0 {
            return true;
        }
        let mut seen = 0;
        for level in self.levels.iter().rev() {
            for queued in level.queued.iter().take(messages - seen) {
                if matches!(queued.held, Held::Paged(_)) {
                    return false;
                }
                seen += 1;
            }
            if seen >= messages {
                return true;
            }
            if !level.paged.is_empty() {
                return false;
            }
        }
        true
    }

    /// What to read so that the next `messages`, of at most `bytes` unless it is a single one, are
    /// in memory. Draws them in from the tails.
    pub(super) fn plan_reading(&mut self, messages: usize, bytes: usize) -> ReadingPlan {
        let mut plan = ReadingPlan::default();
        let (mut seen, mut planned) = (0, 0);
        for (priority, level) in self.levels.iter_mut().enumerate().rev() {
            let priority = u8::try_from(priority).unwrap_or(u8::MAX);
            let mut at = 0;
            while seen < messages && planned < bytes {
                if at == level.queued.len() && !level.draw_in(priority) {
                    break;
                }
                let Some(queued) = level.queued.get(at) else { break };
                if let Held::Paged(stub) = &queued.held {
                    plan.add(queued.sequence, stub.shelf);
                    planned += stub.size as usize;
                }
                seen += 1;
                at += 1;
            }
        }
        plan
    }

    /// Gives a message its body back. False when it no longer waits here for one.
    pub(super) fn fill(&mut self, sequence: u64, message: Message) -> bool {
        let level = self.level_of(message.priority());
        let level = self.level(level);
        let place = level.queued.partition_point(|other| other.sequence < sequence);
        let Some(queued) = level.queued.get_mut(place) else { return false };
        if queued.sequence != sequence || matches!(queued.held, Held::Resident(_)) {
            return false;
        }
        queued.held = Held::Resident(message);
        let footprint = footprint(&queued.held);
        self.resident_bytes += footprint;
        self.paged -= 1;
        true
    }

    /// Drops everything and says how many messages that was. `each` gets what was in the deques,
    /// `run` is told of the paged runs: their store, first sequence number and length.
    pub(super) fn clear(
        &mut self,
        mut each: impl FnMut(u64, Held),
        mut run: impl FnMut(Shelf, u64, u64),
    ) -> usize {
        let count = self.count;
        for level in &mut self.levels {
            for queued in std::mem::take(&mut level.queued) {
                each(queued.sequence, queued.held);
            }
            level.paged.runs().for_each(|(shelf, first, count)| run(shelf, first, count));
            level.paged.clear();
        }
        self.count = 0;
        self.bytes = 0;
        self.body_bytes = 0;
        self.resident_bytes = 0;
        self.paged = 0;
        count
    }

    #[expect(clippy::expect_used, reason = "`new` makes at least one level")]
    fn level(&mut self, level: u8) -> &mut Level {
        let highest = self.levels.len() - 1;
        self.levels.get_mut(usize::from(level).min(highest)).expect("cut to the highest level")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    fn resident(sequence: u64, level: u8) -> QueuedMessage {
        let held = Held::Resident(message("k", b"body").with_priority(level));
        QueuedMessage { sequence, level, redelivered: false, held }
    }

    fn paged(sequence: u64, shelf: Shelf) -> QueuedMessage {
        let held = Held::Paged(Stub { shelf, size: 10, body_size: 4 });
        QueuedMessage { sequence, level: 0, redelivered: false, held }
    }

    fn pop(ready: &mut Ready) -> Option<u64> {
        match ready.pop() {
            Popped::Message(queued, _) => Some(queued.sequence),
            Popped::NotResident | Popped::Nothing => None,
        }
    }

    fn drain(ready: &mut Ready) -> Vec<u64> {
        std::iter::from_fn(|| pop(ready)).collect()
    }

    #[test]
    fn requeued_messages_return_to_their_original_position() {
        let mut ready = Ready::new(0);
        for sequence in 0..6 {
            ready.push(resident(sequence, 0));
        }
        for _ in 0..4 {
            pop(&mut ready);
        }
        for sequence in [2, 0, 3, 1] {
            ready.requeue(resident(sequence, 0));
        }
        assert_eq!(drain(&mut ready), [0, 1, 2, 3, 4, 5]);
        assert_eq!((ready.bytes(), ready.resident_bytes()), (0, 0));
    }

    #[test]
    fn higher_priorities_go_first_and_too_high_ones_count_as_the_highest() {
        let mut ready = Ready::new(2);
        for (sequence, priority) in [(0, 0), (1, 2), (2, 1), (3, 9), (4, 0)] {
            let level = ready.level_of(priority);
            ready.push(resident(sequence, level));
        }
        assert_eq!(drain(&mut ready), [1, 3, 2, 0, 4]);
    }

    #[test]
    fn paged_messages_are_read_in_order_and_nothing_overtakes_them() {
        let mut ready = Ready::new(0);
        ready.push(resident(0, 0));
        assert!(ready.keeps_resident(0, usize::MAX));
        ready.push(paged(1, Shelf::Durable));
        ready.push(paged(2, Shelf::Durable));
        ready.push(paged(3, Shelf::Scratch));
        assert!(!ready.keeps_resident(0, usize::MAX), "it would overtake");
        assert!(ready.is_read_ahead(1) && !ready.is_read_ahead(2));
        assert_eq!(drain(&mut ready), [0]);
        assert!(matches!(ready.pop(), Popped::NotResident));
        let plan = ready.plan_reading(10, usize::MAX);
        let wanted = |ranges: &[Range<u64>]| ranges.iter().cloned().flatten().collect::<Vec<_>>();
        assert_eq!((wanted(&plan.durable), wanted(&plan.scratch)), (vec![1, 2], vec![3]));
        for sequence in [3, 1, 2] {
            assert!(ready.fill(sequence, message("k", b"body")));
        }
        assert!(!ready.fill(4, message("k", b"body")), "nobody waits for it");
        assert!(ready.keeps_resident(0, usize::MAX));
        assert_eq!(drain(&mut ready), [1, 2, 3]);
        assert_eq!((ready.bytes(), ready.body_bytes(), ready.resident_bytes()), (0, 0, 0));
    }

    #[test]
    fn reading_stops_at_the_bytes_it_may_take() {
        let mut ready = Ready::new(0);
        (0..5).for_each(|sequence| ready.push(paged(sequence, Shelf::Durable)));
        for (messages, bytes, expected) in [(10, 1, 0..1), (10, 20, 0..2), (3, 1000, 0..3)] {
            assert_eq!(
                ready.plan_reading(messages, bytes).durable,
                std::slice::from_ref(&expected)
            );
        }
    }

    #[test]
    fn clear_tells_of_everything_and_forgets_counts_and_bytes() {
        let mut ready = Ready::new(0);
        ready.push(resident(0, 0));
        (1..4).for_each(|sequence| ready.push(paged(sequence, Shelf::Durable)));
        let (mut single, mut runs) = (Vec::new(), Vec::new());
        let count = ready.clear(
            |sequence, _| single.push(sequence),
            |_, first, count| runs.push((first, count)),
        );
        assert_eq!((count, single, runs), (4, vec![0], vec![(1, 3)]));
        assert_eq!(ready.len(), 0);
        assert_eq!((ready.bytes(), ready.resident_bytes()), (0, 0));
    }

    #[test]
    fn the_next_message_can_be_dropped_without_its_body() {
        let mut ready = Ready::new(0);
        ready.push(paged(0, Shelf::Durable));
        ready.push(paged(1, Shelf::Durable));
        assert_eq!(ready.pop_any().map(|queued| queued.sequence), Some(0));
        assert_eq!(ready.len(), 1);
    }
}
