//! The messages of a queue that wait for a consumer, in delivery order.
//!
//! Owned by `queue::state`. A plain queue is one level (`queue::level`) ordered by sequence number; a
//! priority queue (`x-max-priority`) is one level per priority, highest first. Stays true: where
//! messages expire wherever they stand, every one that will is in `soonest`.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::group_by::GroupBy;
use super::groups::Groups;
use super::held::{Held, QueuedMessage, Returns, footprint};
use super::level::{Level, Lifted};
use super::paged::{NEVER, PagedMessage, ReadingPlan, Shelf, Stub};
use crate::message::Message;

mod grouped;

/// What became of a body that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// Its message has it.
    Kept,
    /// Its message was waited for, and leaves it where it is.
    Left,
    /// Nobody waits for it here, or another message stands before it in the tail.
    Unwanted,
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
    /// Their times, sequence numbers and priorities, if they go wherever they stand.
    soonest: Option<BTreeSet<(u64, u64, u8)>>,
    /// What is before the tails, in a queue that serves by groups.
    groups: Option<Box<Groups>>,
    /// How messages of the tails were given back before a restart, of those that were.
    returns: FxHashMap<u64, Returns>,
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
            soonest: None,
            groups: None,
            returns: FxHashMap::default(),
        }
    }

    /// Serves by groups, from the first message on. Messages then expire wherever they stand.
    pub(super) fn group_by(&mut self, by: Option<GroupBy>) {
        self.groups = by.map(|by| Box::new(Groups::new(by)));
        self.expire_anywhere(self.groups.is_some());
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
    #[inline]
    pub(super) fn level_of(&self, priority: u8) -> u8 {
        let highest = u8::try_from(self.levels.len() - 1).unwrap_or(u8::MAX);
        priority.min(highest)
    }

    fn count_in(&mut self, message: &QueuedMessage) {
        let QueuedMessage { sequence, level, expires_ms, held, .. } = message;
        if *expires_ms != NEVER {
            self.mortal += 1;
            if let Some(soonest) = &mut self.soonest {
                soonest.insert((*expires_ms, *sequence, *level));
            }
        }
        self.count += 1;
        self.bytes += held.size();
        self.body_bytes += held.body_size();
        self.resident_bytes += footprint(held);
        self.paged += usize::from(!held.is_resident());
    }

    fn count_out(&mut self, message: &QueuedMessage) {
        let QueuedMessage { sequence, level, expires_ms, held, .. } = message;
        if *expires_ms != NEVER {
            self.mortal -= 1;
            if let Some(soonest) = &mut self.soonest {
                soonest.remove(&(*expires_ms, *sequence, *level));
            }
        }
        self.count -= 1;
        self.bytes -= held.size();
        self.body_bytes -= held.body_size();
        self.resident_bytes -= footprint(held);
        self.paged -= usize::from(!held.is_resident());
    }

    /// Whether the body of a newly arrived message may stay in memory: there is room, and it would
    /// not stand behind one that is paged.
    #[inline]
    pub(super) fn keeps_resident(&self, level: u8, room: usize) -> bool {
        self.resident_bytes < room
            && !self.is_window_full()
            && self.levels.get(usize::from(level)).is_some_and(|level| !level.has_tail())
    }

    /// Adds a newly arrived message behind all others of its priority.
    pub(super) fn push(&mut self, message: QueuedMessage) {
        self.count_in(&message);
        let QueuedMessage { sequence, redelivered, returns, expires_ms, .. } = message;
        match message.held {
            Held::Paged(stub) => {
                let level = self.level(message.level);
                level.push_paged(PagedMessage { sequence, stub, redelivered, expires_ms });
                if returns != Returns::default() {
                    self.returns.insert(sequence, returns);
                }
            }
            Held::Resident(_) if self.groups.is_some() => self.push_grouped(message),
            Held::Resident(_) => self.level(message.level).push_queued(message),
        }
    }

    /// Puts a message back where it came from, by its sequence number.
    pub(super) fn give_back(&mut self, message: QueuedMessage) {
        self.count_in(&message);
        match &mut self.groups {
            Some(groups) => groups.give_back(message),
            None => self.level(message.level).returned.insert(message),
        }
    }

    /// Puts messages back that may stand behind others that were never handed out: they waited since
    /// before a restart.
    pub(super) fn give_back_late(&mut self, messages: impl Iterator<Item = QueuedMessage>) {
        let mut of_tails = vec![Vec::new(); self.levels.len()];
        for message in messages {
            let QueuedMessage { sequence, level, .. } = message;
            if self.groups.is_some() {
                self.give_back(message);
            } else if let Held::Paged(stub) = message.held
                && self.level(level).is_of_tail(sequence)
                && let Some(of_tail) = of_tails.get_mut(usize::from(level))
            {
                of_tail.push(self.enter_tail(&message, stub));
            } else {
                self.count_in(&message);
                self.level(level).give_back_late(message);
            }
        }
        for (level, of_tail) in self.levels.iter_mut().zip(of_tails) {
            level.put_into_tail(of_tail);
        }
    }

    /// A message is to be put into a tail. Returns what that keeps of it.
    fn enter_tail(&mut self, message: &QueuedMessage, stub: Stub) -> PagedMessage {
        self.count_in(message);
        let &QueuedMessage { sequence, redelivered, returns, expires_ms, .. } = message;
        if returns != Returns::default() {
            self.returns.insert(sequence, returns);
        }
        PagedMessage { sequence, stub, redelivered, expires_ms }
    }

    /// When the oldest message came, in milliseconds since the epoch.
    pub(super) fn oldest_arrived_ms(&self) -> Option<u64> {
        let firsts = (0..=u8::MAX).zip(&self.levels).flat_map(|(at, level)| {
            let grouped = self.groups.as_ref().and_then(|groups| groups.range(at, 0).next());
            [grouped.map(|message| message.held.arrived_ms()), level.first_arrived_ms()]
        });
        firsts.flatten().min()
    }

    /// Whether there is a next message and its body is here.
    #[inline]
    pub(super) fn is_resident(&self) -> bool {
        if let Some(groups) = &self.groups {
            return groups.standing() > 0;
        }
        let next = self.levels.iter().rev().find(|level| !level.is_empty());
        next.is_some_and(Level::is_resident)
    }

    /// Takes the message that is to be delivered next, if its body is here.
    pub(super) fn pop(&mut self) -> Popped {
        if self.count == 0 {
            return Popped::Nothing;
        }
        if self.groups.is_some() {
            return self.pop_free();
        }
        let next = self.levels.iter_mut().rev().find(|level| !level.is_empty());
        let Some(level) = next.filter(|level| level.is_resident()) else {
            return Popped::NotResident;
        };
        let Some(queued) = level.pop() else { return Popped::Nothing };
        self.count_out(&queued);
        Popped::Message(queued)
    }

    /// When the time of the next message is up, or of any where they go wherever they stand; `NEVER`.
    #[inline]
    pub(super) fn next_expiry_ms(&self) -> u64 {
        if self.mortal == 0 {
            return NEVER;
        }
        if let Some(soonest) = &self.soonest {
            return soonest.first().map_or(NEVER, |(expires_ms, ..)| *expires_ms);
        }
        let next = self.levels.iter().rev().find(|level| !level.is_empty());
        next.map_or(NEVER, Level::front_expires_ms)
    }

    /// Takes a message whose time is up, wherever its body is.
    pub(super) fn pop_expired(&mut self, now_ms: u64) -> Option<QueuedMessage> {
        if self.next_expiry_ms() > now_ms {
            return None;
        }
        let soonest = self.soonest.as_ref().and_then(|soonest| soonest.first().copied());
        match soonest {
            Some((_, sequence, level)) => self.take_out(level, sequence),
            None => self.pop_any(),
        }
    }

    /// Whether messages go wherever they stand when their time is up, or only when they are next.
    pub(super) fn expire_anywhere(&mut self, anywhere: bool) {
        let anywhere = anywhere || self.groups.is_some();
        if anywhere == self.soonest.is_some() {
            return;
        }
        let mortal = |(expires_ms, ..): &(u64, u64, u8)| *expires_ms != NEVER;
        self.soonest = anywhere.then(|| self.times().filter(mortal).collect());
    }

    /// When the time of each is up, with its sequence number and priority.
    fn times(&self) -> impl Iterator<Item = (u64, u64, u8)> {
        (0..=u8::MAX).zip(&self.levels).flat_map(|(priority, level)| {
            let here = level.returned.iter().chain(level.queued());
            let here = here.map(|message| (message.expires_ms, message.sequence));
            let tail = level.tail().map(|message| (message.expires_ms, message.sequence));
            here.chain(tail).map(move |(expires_ms, sequence)| (expires_ms, sequence, priority))
        })
    }

    /// All messages in the order in which they would be delivered, behind one of this priority and
    /// number. Finding that takes O(log n).
    pub(super) fn walk(
        &self,
        after: Option<(u8, u64)>,
    ) -> impl Iterator<Item = QueuedMessage> + '_ {
        let levels = (0..=u8::MAX).zip(&self.levels).rev();
        let levels = levels.filter(move |(at, _)| after.is_none_or(|(level, _)| *at <= level));
        levels.flat_map(move |(at, level)| {
            let from = after.filter(|(level, _)| *level == at).map_or(0, |(_, last)| last + 1);
            let grouped = self.groups.iter().flat_map(move |groups| groups.range(at, from));
            let tail = level.tail_from(from).map(move |message| self.of_tail(message, at));
            grouped.chain(level.range(from)).cloned().chain(tail)
        })
    }

    /// Puts a message back that was taken out, at its place. Its body is dropped if that is in a tail;
    /// returns whether it is not.
    pub(super) fn put_back(&mut self, mut message: QueuedMessage, body: Message) -> bool {
        let QueuedMessage { sequence, level, .. } = message;
        if let Held::Paged(stub) = message.held
            && self.level(level).is_of_tail(sequence)
        {
            let message = self.enter_tail(&message, stub);
            self.level(level).put_into_tail(vec![message]);
            return false;
        }
        message.held = Held::Resident(body);
        self.count_in(&message);
        match &mut self.groups {
            Some(groups) => groups.give_back(message),
            None => self.level(level).put_back(message),
        }
        true
    }

    /// A message of a tail.
    fn of_tail(&self, message: PagedMessage, level: u8) -> QueuedMessage {
        let PagedMessage { sequence, stub, redelivered, expires_ms } = message;
        let returns = self.returns.get(&sequence).copied().unwrap_or_default();
        let held = Held::Paged(stub);
        QueuedMessage { sequence, level, redelivered, returns, expires_ms, held }
    }

    /// Takes any message, wherever its body is.
    pub(super) fn take_out(&mut self, level: u8, sequence: u64) -> Option<QueuedMessage> {
        if let Some(message) = self.groups.as_mut().and_then(|groups| groups.take(level, sequence))
        {
            self.count_out(&message);
            return Some(message);
        }
        let message = match self.levels.get_mut(usize::from(level))?.take(sequence)? {
            Lifted::Queued(message) => message,
            Lifted::Paged(message) => self.leave_tail(message, level),
        };
        self.count_out(&message);
        Some(message)
    }

    /// Takes the message that is next, wherever its body is.
    pub(super) fn pop_any(&mut self) -> Option<QueuedMessage> {
        if let Some((level, sequence)) = self.first_grouped(false) {
            return self.take_out(level, sequence);
        }
        let at = self.levels.iter().rposition(|level| !level.is_empty())?;
        self.pop_level(at)
    }

    /// Takes the first message of the lowest priority, wherever its body is.
    pub(super) fn pop_lowest(&mut self) -> Option<QueuedMessage> {
        if let Some((level, sequence)) = self.first_grouped(true) {
            return self.take_out(level, sequence);
        }
        let at = self.levels.iter().position(|level| !level.is_empty())?;
        self.pop_level(at)
    }

    fn pop_level(&mut self, at: usize) -> Option<QueuedMessage> {
        let queued = match self.levels.get_mut(at)?.pop() {
            Some(queued) => queued,
            None => self.pop_paged(at)?,
        };
        self.count_out(&queued);
        Some(queued)
    }

    /// Takes the first message of a tail.
    fn pop_paged(&mut self, level: usize) -> Option<QueuedMessage> {
        let message = self.levels.get_mut(level)?.pop_tail()?;
        Some(self.leave_tail(message, u8::try_from(level).unwrap_or(u8::MAX)))
    }

    fn leave_tail(&mut self, message: PagedMessage, level: u8) -> QueuedMessage {
        let message = self.of_tail(message, level);
        if message.returns != Returns::default() {
            self.returns.remove(&message.sequence);
        }
        message
    }

    /// Whether enough of the messages to be delivered next are in memory: so many of them, or all,
    /// or so many bytes that their number does not matter.
    pub(super) fn is_read_ahead(&mut self, messages: usize, bytes: usize) -> bool {
        if self.paged == 0 {
            return true;
        }
        if self.groups.is_some() {
            return self.is_window_read(messages);
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
            if returned < level.returned.len() {
                return false;
            }
            seen += level.queued_len();
            if seen >= messages {
                return true;
            }
            if level.has_tail() {
                return false;
            }
        }
        true
    }

    /// What to read so that the next `messages`, of at most `bytes` unless it is a single one, are
    /// in memory.
    pub(super) fn plan_reading(&self, messages: usize, bytes: usize) -> ReadingPlan {
        if self.groups.is_some() {
            return self.plan_window(messages, bytes);
        }
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
            if level.returned.has_paged() {
                for message in level.returned.iter() {
                    match &message.held {
                        Held::Resident(_) if seen < messages => seen += 1,
                        Held::Paged(stub) if add(&mut seen, message.sequence, stub) => {}
                        Held::Resident(_) | Held::Paged(_) => return plan,
                    }
                }
            } else {
                seen += level.returned.len();
            }
            seen += level.queued_len();
            for message in level.tail() {
                if !add(&mut seen, message.sequence, &message.stub) {
                    return plan;
                }
            }
        }
        plan
    }

    /// Gives a message of this priority its body back. By groups one that is not needed soon is left
    /// where it is, beyond `room` bytes of memory.
    pub(super) fn fill(
        &mut self,
        level: u8,
        sequence: u64,
        message: Message,
        room: usize,
    ) -> Filled {
        if self.groups.is_some() {
            return self.fill_window(level, sequence, message, room);
        }
        let at = usize::from(level);
        let is_next = self.levels.get(at).and_then(Level::tail_front) == Some(sequence);
        let Some(mut queued) = self.take_paged(at, sequence) else { return Filled::Unwanted };
        if let Held::Paged(stub) = queued.held {
            queued.held = Held::Resident(message.arrived_at(stub.arrived_ms));
        }
        self.count_in(&queued);
        let level = self.level(queued.level);
        if is_next {
            level.fill_front(queued);
        } else {
            level.returned.insert(queued);
        }
        Filled::Kept
    }

    /// Takes a message out whose body cannot be had.
    pub(super) fn set_aside(&mut self, sequence: u64) -> Option<QueuedMessage> {
        (0..self.levels.len()).find_map(|level| self.take_paged(level, sequence))
    }

    /// Takes a message without its body: the first of the tail, or any that came back.
    fn take_paged(&mut self, at: usize, sequence: u64) -> Option<QueuedMessage> {
        let level = self.levels.get_mut(at)?;
        let queued = if level.tail_front() == Some(sequence) {
            self.pop_paged(at)?
        } else if self.groups.is_some() {
            self.take_paged_grouped(u8::try_from(at).unwrap_or(u8::MAX), sequence)?
        } else {
            level.returned.take_paged(sequence)?
        };
        self.count_out(&queued);
        Some(queued)
    }

    /// Forgets what was counted and can be counted again.
    #[cfg(test)]
    pub(super) fn forget_counted(&mut self) {
        for level in &mut self.levels {
            level.returned.forget_counted();
        }
    }

    /// Takes everything.
    pub(super) fn take(&mut self) -> Taken {
        let highest = u8::try_from(self.levels.len() - 1).unwrap_or(u8::MAX);
        let mut anew = Self::new(highest);
        anew.groups = self.groups.as_mut().map(|groups| Box::new(groups.leave_behind()));
        anew.expire_anywhere(self.soonest.is_some());
        Taken(std::mem::replace(self, anew))
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
        let grouped = self.0.groups.iter().flat_map(|groups| groups.iter());
        levels.flat_map(|level| level.returned.iter().chain(level.queued())).chain(grouped)
    }

    /// The runs of the tails: their store, first sequence number and length.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Shelf, u64, u64)> {
        self.0.levels.iter().flat_map(Level::tail_runs)
    }

    /// The messages that are not in a tail, one by one, so that whoever drops them can stop between.
    pub(super) fn into_messages(self) -> impl Iterator<Item = QueuedMessage> {
        let Ready { levels, groups, .. } = self.0;
        let grouped = groups.into_iter().flat_map(|groups| groups.into_messages());
        levels.into_iter().flat_map(Level::into_messages).chain(grouped)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

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

    fn fills(ready: &mut Ready, sequence: u64) -> bool {
        ready.fill(0, sequence, message("k", b"body"), usize::MAX) == Filled::Kept
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
        assert!(!fills(&mut ready, 3), "it would overtake");
        for sequence in [1, 2, 3] {
            assert!(fills(&mut ready, sequence));
        }
        assert!(!fills(&mut ready, 4), "nobody waits for it");
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
        assert!(fills(&mut ready, 5000), "in any order");
        assert!(!ready.is_read_ahead(1, usize::MAX));
        assert!(fills(&mut ready, 4999));
        assert_eq!(drain(&mut ready), [4999, 5000]);
    }

    #[test]
    fn large_messages_are_not_read_far_ahead() {
        let mut ready = Ready::new(0);
        (0..3).for_each(|sequence| ready.push(paged(sequence, Shelf::Durable)));
        assert!(!ready.is_read_ahead(512, 100));
        assert!(fills(&mut ready, 0));
        assert!(ready.is_read_ahead(512, 100) && !ready.is_read_ahead(512, 1000));
    }

    #[test]
    fn a_damaged_message_makes_way_for_the_next() {
        let mut ready = Ready::new(0);
        (0..3).for_each(|sequence| ready.push(paged(sequence, Shelf::Durable)));
        assert!(ready.set_aside(1).is_none(), "one stands before it");
        assert_eq!(ready.set_aside(0).map(|queued| queued.sequence), Some(0));
        assert!(fills(&mut ready, 1));
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
