//! The messages of a queue that wait for a consumer, in delivery order.
//!
//! Owned by `queue::state`. A plain queue is one level ordered by sequence number; a priority queue
//! (`x-max-priority`) is one level per priority, highest first. A level has three parts, and
//! everything in one is before everything in the next: `returned`, what was handed out and came
//! back; `queued`, what was not and is in memory; `paged`, what was not and is in a store. Stays
//! true:
//! - inside a part the sequence numbers ascend, so what comes back is in its original position;
//! - whatever comes back, in whatever order, costs a look-up in an ordered map.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::paged::{NEVER, Paged, PagedMessage, Shelf, Stub};
use crate::keys::Outcome;
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

    /// Whether the durable store has it, of a queue of which `is_stored` says whether its persistent
    /// messages are stored.
    pub(super) fn is_durable(&self, is_stored: bool) -> bool {
        match self {
            Self::Resident(message) => is_stored && message.is_persistent(),
            Self::Paged(stub) => stub.shelf == Shelf::Durable,
        }
    }

    fn is_resident(&self) -> bool {
        matches!(self, Self::Resident(_))
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
    /// How it came back.
    pub returns: Returns,
    /// When its time is up, in milliseconds since the epoch; `NEVER`.
    pub expires_ms: u64,
    /// The message, shared with the other queues it was routed to.
    pub held: Held,
}

/// How often a message came back, and how often because an attempt to handle it had failed. In the
/// durable store it is one number that only grows: failures in its upper half, returns in its lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Returns {
    failures: u16,
    returns: u16,
}

impl Returns {
    /// From what the durable store has of it.
    #[expect(clippy::cast_possible_truncation, reason = "each half is cut out")]
    pub(super) fn from_stored(stored: u32) -> Self {
        Self { failures: (stored >> 16) as u16, returns: stored as u16 }
    }

    /// What the durable store is told.
    pub(super) fn stored(self) -> u32 {
        u32::from(self.failures) << 16 | u32::from(self.returns)
    }

    /// Attempts that failed.
    pub(super) fn failures(self) -> u32 {
        self.failures.into()
    }

    /// How often it came back; at most once where nobody counts.
    pub(super) fn count(self) -> u32 {
        self.returns.into()
    }

    /// After it came back once more. Where nobody `counts` one return is as good as many: then the
    /// store need not be told of each.
    #[must_use]
    pub(super) fn given_back(self, outcome: Outcome, counts: bool) -> Self {
        let failed = u16::from(outcome == Outcome::Failed);
        Self {
            failures: self.failures.saturating_add(failed),
            returns: if counts { self.returns.saturating_add(1) } else { 1 },
        }
    }
}

/// What `pop` found.
#[derive(Debug)]
pub(super) enum Popped {
    /// The next message, with its body.
    Message(QueuedMessage),
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

/// Messages in memory are counted from the front as far as this, and counted again when so many are
/// not known any more: in the mean a step or two a message.
const COUNTED_MAX: usize = 2048;

/// What came back.
#[derive(Clone, Debug, Default)]
struct Returned {
    messages: BTreeMap<u64, QueuedMessage>,
    /// How many of them are without their bodies.
    paged: usize,
    /// At least so many at the front have theirs,
    counted: usize,
    /// the last of which is this one.
    counted_to: u64,
}

impl Returned {
    fn insert(&mut self, message: QueuedMessage) {
        let is_paged = !message.held.is_resident();
        self.paged += usize::from(is_paged);
        if self.counted > 0 && message.sequence < self.counted_to {
            self.counted = if is_paged { 0 } else { self.counted + 1 };
        }
        self.messages.insert(message.sequence, message);
    }

    fn pop(&mut self) -> Option<QueuedMessage> {
        let (_, message) = self.messages.pop_first()?;
        self.counted = self.counted.saturating_sub(1);
        self.paged -= usize::from(!message.held.is_resident());
        Some(message)
    }

    fn take_paged(&mut self, sequence: u64) -> Option<QueuedMessage> {
        let is_paged = |message: &&QueuedMessage| !message.held.is_resident();
        self.messages.get(&sequence).filter(is_paged)?;
        self.paged -= 1;
        self.messages.remove(&sequence)
    }

    fn front(&self) -> Option<&QueuedMessage> {
        self.messages.first_key_value().map(|(_, message)| message)
    }

    /// How many messages at the front have their bodies, if fewer than `wanted`.
    fn resident(&mut self, wanted: usize) -> usize {
        if self.paged == 0 {
            return self.messages.len();
        }
        if self.counted < wanted {
            let resident = |message: &&QueuedMessage| message.held.is_resident();
            let front = self.messages.values().take(COUNTED_MAX).take_while(resident);
            self.counted = 0;
            for message in front {
                self.counted += 1;
                self.counted_to = message.sequence;
            }
        }
        self.counted
    }
}

#[derive(Clone, Debug, Default)]
struct Level {
    returned: Returned,
    /// All with their bodies.
    queued: VecDeque<QueuedMessage>,
    paged: Paged,
}

impl Level {
    fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.returned.messages.is_empty() && self.paged.is_empty()
    }

    /// When the time of the first message is up.
    fn front_expires_ms(&self) -> u64 {
        match self.returned.front().or_else(|| self.queued.front()) {
            Some(front) => front.expires_ms,
            None => self.paged.front_expires_ms(),
        }
    }

    fn is_resident(&self) -> bool {
        match self.returned.front() {
            Some(front) => front.held.is_resident(),
            None => !self.queued.is_empty(),
        }
    }

    /// Takes the first message that is not in the tail.
    fn pop(&mut self) -> Option<QueuedMessage> {
        if !self.returned.messages.is_empty() {
            return self.returned.pop();
        }
        let message = self.queued.pop_front();
        let queued = &mut self.queued;
        if queued.capacity() > SHRINK_ABOVE_CAPACITY && queued.len() < queued.capacity() / 8 {
            queued.shrink_to(queued.capacity() / 4);
        }
        message
    }
}

/// Waiting messages. See the module documentation for the order.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    /// Indexed by priority, 0 first. Never empty.
    levels: Vec<Level>,
    count: usize,
    bytes: usize,
    body_bytes: usize,
    resident_bytes: usize,
    /// Messages whose bodies are in a store.
    paged: usize,
    /// Messages whose time will be up.
    mortal: usize,
    /// How messages of the tails were given back before a restart, of those that were.
    returns: FxHashMap<u64, Returns>,
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
        Self {
            levels: (0..=max_priority).map(|_| Level::default()).collect(),
            count: 0,
            bytes: 0,
            body_bytes: 0,
            resident_bytes: 0,
            paged: 0,
            mortal: 0,
            returns: FxHashMap::default(),
        }
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

    fn count_in(&mut self, held: &Held, expires_ms: u64) {
        self.mortal += usize::from(expires_ms != NEVER);
        self.count += 1;
        self.bytes += held.size();
        self.body_bytes += held.body_size();
        self.resident_bytes += footprint(held);
        self.paged += usize::from(!held.is_resident());
    }

    fn count_out(&mut self, held: &Held, expires_ms: u64) {
        self.mortal -= usize::from(expires_ms != NEVER);
        self.count -= 1;
        self.bytes -= held.size();
        self.body_bytes -= held.body_size();
        self.resident_bytes -= footprint(held);
        self.paged -= usize::from(!held.is_resident());
    }

    /// Whether the body of a newly arrived message may stay in memory: there is room, and it would
    /// not stand behind one that is paged.
    pub(super) fn keeps_resident(&self, level: u8, room: usize) -> bool {
        self.resident_bytes < room
            && self.levels.get(usize::from(level)).is_some_and(|level| level.paged.is_empty())
    }

    /// Adds a newly arrived message behind all others of its priority.
    pub(super) fn push(&mut self, message: QueuedMessage) {
        self.count_in(&message.held, message.expires_ms);
        let QueuedMessage { sequence, redelivered, returns, expires_ms, .. } = message;
        let level = self.level(message.level);
        match message.held {
            Held::Paged(stub) => {
                level.paged.push(PagedMessage { sequence, stub, redelivered, expires_ms });
                if returns != Returns::default() {
                    self.returns.insert(sequence, returns);
                }
            }
            Held::Resident(_) => {
                debug_assert!(level.paged.is_empty(), "asked `keeps_resident`");
                level.queued.push_back(message);
            }
        }
    }

    /// Puts a message back where it came from, by its sequence number.
    pub(super) fn give_back(&mut self, message: QueuedMessage) {
        self.count_in(&message.held, message.expires_ms);
        self.level(message.level).returned.insert(message);
    }

    /// Whether there is a next message and its body is here.
    pub(super) fn is_resident(&self) -> bool {
        let next = self.levels.iter().rev().find(|level| !level.is_empty());
        next.is_some_and(Level::is_resident)
    }

    /// Takes the message that is to be delivered next, if its body is here.
    pub(super) fn pop(&mut self) -> Popped {
        if self.count == 0 {
            return Popped::Nothing;
        }
        let next = self.levels.iter_mut().rev().find(|level| !level.is_empty());
        let Some(level) = next.filter(|level| level.is_resident()) else {
            return Popped::NotResident;
        };
        let Some(queued) = level.pop() else { return Popped::Nothing };
        self.count_out(&queued.held, queued.expires_ms);
        Popped::Message(queued)
    }

    /// When the time of the message is up that is next; `NEVER`.
    pub(super) fn next_expiry_ms(&self) -> u64 {
        if self.mortal == 0 {
            return NEVER;
        }
        let next = self.levels.iter().rev().find(|level| !level.is_empty());
        next.map_or(NEVER, Level::front_expires_ms)
    }

    /// Takes the message that is next if its time is up, wherever its body is.
    pub(super) fn pop_expired(&mut self, now_ms: u64) -> Option<QueuedMessage> {
        if self.next_expiry_ms() <= now_ms { self.pop_any() } else { None }
    }

    /// Takes the message that is next, wherever its body is.
    pub(super) fn pop_any(&mut self) -> Option<QueuedMessage> {
        let at = self.levels.iter().rposition(|level| !level.is_empty())?;
        self.pop_level(at)
    }

    fn pop_level(&mut self, at: usize) -> Option<QueuedMessage> {
        let queued = match self.levels.get_mut(at)?.pop() {
            Some(queued) => queued,
            None => self.pop_paged(at)?,
        };
        self.count_out(&queued.held, queued.expires_ms);
        Some(queued)
    }

    /// Takes the first message of a tail.
    fn pop_paged(&mut self, level: usize) -> Option<QueuedMessage> {
        let PagedMessage { sequence, stub, redelivered, expires_ms } =
            self.levels.get_mut(level)?.paged.pop()?;
        let returns = if self.returns.is_empty() { None } else { self.returns.remove(&sequence) };
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        let held = Held::Paged(stub);
        let returns = returns.unwrap_or_default();
        Some(QueuedMessage { sequence, level, redelivered, returns, expires_ms, held })
    }

    /// Whether enough of the messages to be delivered next are in memory: so many of them, or all,
    /// or so many bytes that their number does not matter.
    pub(super) fn is_read_ahead(&mut self, messages: usize, bytes: usize) -> bool {
        if self.paged == 0 {
            return true;
        }
        if self.resident_bytes >= bytes && self.is_resident() {
            return true;
        }
        let mut seen = 0;
        for level in self.levels.iter_mut().rev() {
            let returned = level.returned.resident(messages - seen);
            seen += returned;
            if seen >= messages {
                return true;
            }
            if returned < level.returned.messages.len() {
                return false;
            }
            seen += level.queued.len();
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
    /// in memory.
    pub(super) fn plan_reading(&self, messages: usize, bytes: usize) -> ReadingPlan {
        let mut plan = ReadingPlan::default();
        let (mut seen, mut planned) = (0, 0);
        let mut add = |seen: &mut usize, sequence, stub: &Stub| {
            if *seen >= messages || planned >= bytes {
                return false;
            }
            plan.add(sequence, stub.shelf);
            planned += stub.size as usize;
            *seen += 1;
            true
        };
        for level in self.levels.iter().rev() {
            if level.returned.paged > 0 {
                for message in level.returned.messages.values() {
                    match &message.held {
                        Held::Resident(_) if seen < messages => seen += 1,
                        Held::Paged(stub) if add(&mut seen, message.sequence, stub) => {}
                        Held::Resident(_) | Held::Paged(_) => return plan,
                    }
                }
            } else {
                seen += level.returned.messages.len();
            }
            seen += level.queued.len();
            for message in level.paged.iter() {
                if !add(&mut seen, message.sequence, &message.stub) {
                    return plan;
                }
            }
        }
        plan
    }

    /// Gives a message of this priority its body back. False when it does not wait here for one, or when another
    /// stands before it in the tail.
    pub(super) fn fill(&mut self, level: u8, sequence: u64, message: Message) -> bool {
        let at = usize::from(level);
        let Some(level) = self.levels.get_mut(at) else { return false };
        let is_next = level.paged.front() == Some(sequence);
        let Some(mut queued) = self.take_paged(at, sequence) else { return false };
        if let Held::Paged(stub) = queued.held {
            queued.held = Held::Resident(message.arrived_at(stub.arrived_ms));
        }
        self.count_in(&queued.held, queued.expires_ms);
        let level = self.level(queued.level);
        if is_next {
            level.queued.push_back(queued);
        } else {
            level.returned.insert(queued);
        }
        true
    }

    /// Takes a message out whose body cannot be had.
    pub(super) fn set_aside(&mut self, sequence: u64) -> Option<QueuedMessage> {
        (0..self.levels.len()).find_map(|level| self.take_paged(level, sequence))
    }

    /// Takes a message without its body: the first of the tail, or any that came back.
    fn take_paged(&mut self, at: usize, sequence: u64) -> Option<QueuedMessage> {
        let level = self.levels.get_mut(at)?;
        let queued = if level.paged.front() == Some(sequence) {
            self.pop_paged(at)?
        } else {
            level.returned.take_paged(sequence)?
        };
        self.count_out(&queued.held, queued.expires_ms);
        Some(queued)
    }

    /// Forgets what was counted and can be counted again.
    #[cfg(test)]
    pub(super) fn forget_counted(&mut self) {
        for level in &mut self.levels {
            level.returned.counted = 0;
            level.returned.counted_to = 0;
        }
    }

    /// Takes everything.
    pub(super) fn take(&mut self) -> Taken {
        let highest = u8::try_from(self.levels.len() - 1).unwrap_or(u8::MAX);
        Taken(std::mem::replace(self, Self::new(highest)))
    }

    #[expect(clippy::expect_used, reason = "`new` makes at least one level")]
    fn level(&mut self, level: u8) -> &mut Level {
        let highest = self.levels.len() - 1;
        self.levels.get_mut(usize::from(level).min(highest)).expect("cut to the highest level")
    }
}

/// The messages of a queue that was emptied. To drop them takes time: see `into_messages`.
#[derive(Debug)]
pub(super) struct Taken(Ready);

impl Taken {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.count
    }

    /// Those that are not in a tail.
    pub(super) fn messages(&self) -> impl Iterator<Item = &QueuedMessage> {
        let levels = self.0.levels.iter();
        levels.flat_map(|level| level.returned.messages.values().chain(&level.queued))
    }

    /// The runs of the tails: their store, first sequence number and length.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Shelf, u64, u64)> {
        self.0.levels.iter().flat_map(|level| level.paged.runs())
    }

    /// The messages that are not in a tail, one by one, so that whoever drops them can stop between.
    pub(super) fn into_messages(self) -> impl Iterator<Item = QueuedMessage> {
        let levels = self.0.levels.into_iter();
        levels.flat_map(|level| level.returned.messages.into_values().chain(level.queued))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    fn resident(sequence: u64, level: u8) -> QueuedMessage {
        let held = Held::Resident(message("k", b"body").with_priority(level));
        QueuedMessage {
            sequence,
            level,
            redelivered: false,
            returns: Returns::default(),
            expires_ms: NEVER,
            held,
        }
    }

    fn paged(sequence: u64, shelf: Shelf) -> QueuedMessage {
        let held = Held::Paged(Stub::new(shelf, 10, 4, 7));
        QueuedMessage {
            sequence,
            level: 0,
            redelivered: false,
            returns: Returns::default(),
            expires_ms: NEVER,
            held,
        }
    }

    fn pop(ready: &mut Ready) -> Option<u64> {
        match ready.pop() {
            Popped::Message(queued) => Some(queued.sequence),
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
            ready.give_back(resident(sequence, 0));
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
        assert!(ready.is_read_ahead(1, usize::MAX) && !ready.is_read_ahead(2, usize::MAX));
        assert_eq!(drain(&mut ready), [0]);
        assert!(matches!(ready.pop(), Popped::NotResident));
        let plan = ready.plan_reading(10, usize::MAX);
        let wanted = |ranges: &[Range<u64>]| ranges.iter().cloned().flatten().collect::<Vec<_>>();
        assert_eq!((wanted(&plan.durable), wanted(&plan.scratch)), (vec![1, 2], vec![3]));
        assert!(!ready.fill(0, 3, message("k", b"body")), "it would overtake");
        for sequence in [1, 2, 3] {
            assert!(ready.fill(0, sequence, message("k", b"body")));
        }
        assert!(!ready.fill(0, 4, message("k", b"body")), "nobody waits for it");
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
    fn what_was_taken_tells_of_everything_and_nothing_is_left() {
        let mut ready = Ready::new(0);
        ready.push(resident(0, 0));
        (1..4).for_each(|sequence| ready.push(paged(sequence, Shelf::Durable)));
        let taken = ready.take();
        let single: Vec<_> = taken.messages().map(|queued| queued.sequence).collect();
        let runs: Vec<_> = taken.runs().map(|(_, first, count)| (first, count)).collect();
        assert_eq!((taken.len(), single, runs), (4, vec![0], vec![(1, 3)]));
        assert_eq!(taken.into_messages().count(), 1);
        assert_eq!((ready.len(), ready.bytes(), ready.resident_bytes()), (0, 0, 0));
    }

    #[test]
    fn a_message_without_its_body_among_those_that_came_back_is_read_in_time() {
        let mut ready = Ready::new(0);
        (0..5000).for_each(|sequence| ready.give_back(resident(sequence, 0)));
        ready.give_back(paged(5000, Shelf::Durable));
        for left in (0..5001).rev() {
            assert_eq!(ready.is_read_ahead(512, usize::MAX), left >= 512, "{left}");
            pop(&mut ready);
        }
        assert!(matches!(ready.pop(), Popped::NotResident));
        ready.give_back(paged(4999, Shelf::Durable));
        let durable = ready.plan_reading(2048, usize::MAX).durable;
        assert_eq!(durable, std::slice::from_ref(&(4999..5001)));
        assert!(ready.fill(0, 5000, message("k", b"body")), "in any order");
        assert!(!ready.is_read_ahead(1, usize::MAX));
        assert!(ready.fill(0, 4999, message("k", b"body")));
        assert_eq!(drain(&mut ready), [4999, 5000]);
    }

    #[test]
    fn large_messages_are_not_read_far_ahead() {
        let mut ready = Ready::new(0);
        (0..3).for_each(|sequence| ready.push(paged(sequence, Shelf::Durable)));
        assert!(!ready.is_read_ahead(512, 100));
        assert!(ready.fill(0, 0, message("k", b"body")));
        assert!(ready.is_read_ahead(512, 100) && !ready.is_read_ahead(512, 1000));
    }

    #[test]
    fn a_damaged_message_makes_way_for_the_next() {
        let mut ready = Ready::new(0);
        (0..3).for_each(|sequence| ready.push(paged(sequence, Shelf::Durable)));
        assert!(ready.set_aside(1).is_none(), "one stands before it");
        assert_eq!(ready.set_aside(0).map(|queued| queued.sequence), Some(0));
        assert!(ready.fill(0, 1, message("k", b"body")));
        assert_eq!(drain(&mut ready), [1]);
        assert_eq!(ready.len(), 1);
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
