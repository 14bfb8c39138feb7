//! The messages of one priority that wait, in delivery order.
//!
//! Owned by `queue::ready`, one per priority. Three parts, and everything in one is before everything in
//! the next: `returned`, what was handed out and came back; `queued`, what was not and is in memory;
//! `paged`, what was not and is in a store. Stays true:
//! - inside a part the sequence numbers ascend, so what comes back is in its original position;
//! - a message taken out of the middle leaves an empty place, which costs nobody a move; neither
//!   `queued` nor `paged` begins with one, and a part that is mostly empty places is made anew.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use super::held::{Held, QueuedMessage};
use super::paged::{Paged, PagedMessage, Shelf, Stub};
use super::returned::Returned;

/// A deque that shrank to a small part of its capacity gives the memory back: a backlog that was
/// drained must not cost for ever.
const SHRINK_ABOVE_CAPACITY: usize = 4096;
/// Fewer empty places than this are left alone.
const EMPTY_PLACES_KEPT: usize = 64;

/// A message that was taken out of its place.
#[derive(Debug)]
pub(super) enum Lifted {
    /// From among those that were handed out, or are in memory.
    Queued(QueuedMessage),
    /// From the tail.
    Paged(PagedMessage),
}

/// See the module documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    /// What came back.
    pub(super) returned: Returned,
    /// All with their bodies, but for empty places.
    queued: VecDeque<QueuedMessage>,
    paged: Paged,
    /// The empty places of `queued` and `paged`.
    empty: FxHashSet<u64>,
    /// How many of them are in `queued`.
    empty_queued: usize,
}

impl Level {
    /// Whether there is no message.
    pub(super) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.returned.is_empty() && self.paged.is_empty()
    }

    /// When the time of the first message is up.
    pub(super) fn front_expires_ms(&self) -> u64 {
        match self.returned.front().or_else(|| self.queued.front()) {
            Some(front) => front.expires_ms,
            None => self.paged.front_expires_ms(),
        }
    }

    /// When the first message of each part came, the least of these times.
    pub(super) fn first_arrived_ms(&self) -> Option<u64> {
        let here = [self.returned.front(), self.queued.front()].into_iter().flatten();
        let here = here.map(|message| message.held.arrived_ms());
        here.chain(self.paged.iter().next().map(|message| message.stub.arrived_ms)).min()
    }

    /// Whether the first message has its body.
    pub(super) fn is_resident(&self) -> bool {
        match self.returned.front() {
            Some(front) => front.held.is_resident(),
            None => !self.queued.is_empty(),
        }
    }

    /// Adds a message with its body behind all others.
    pub(super) fn push_queued(&mut self, message: QueuedMessage) {
        debug_assert!(self.paged.is_empty(), "asked whether it would overtake");
        self.queued.push_back(message);
    }

    /// Adds a message without its body behind all others.
    pub(super) fn push_paged(&mut self, message: PagedMessage) {
        self.paged.push(message);
    }

    /// The first message of the tail has its body again.
    pub(super) fn fill_front(&mut self, message: QueuedMessage) {
        self.queued.push_back(message);
    }

    /// Whether there is a tail.
    pub(super) fn has_tail(&self) -> bool {
        !self.paged.is_empty()
    }

    /// The first message of the tail.
    pub(super) fn tail_front(&self) -> Option<u64> {
        self.paged.front()
    }

    /// Takes the first message that is not in the tail.
    pub(super) fn pop(&mut self) -> Option<QueuedMessage> {
        if !self.returned.is_empty() {
            return self.returned.pop();
        }
        let message = self.queued.pop_front();
        let queued = &mut self.queued;
        if queued.capacity() > SHRINK_ABOVE_CAPACITY && queued.len() < queued.capacity() / 8 {
            queued.shrink_to(queued.capacity() / 4);
        }
        if self.empty_queued > 0 {
            self.trim_queued();
        }
        message
    }

    /// Takes the first message of the tail.
    pub(super) fn pop_tail(&mut self) -> Option<PagedMessage> {
        let message = self.paged.pop();
        if self.empty.len() > self.empty_queued {
            self.trim_paged();
        }
        message
    }

    /// Takes any message.
    pub(super) fn take(&mut self, sequence: u64) -> Option<Lifted> {
        if let Some(message) = self.returned.take(sequence) {
            return Some(Lifted::Queued(message));
        }
        if self.empty.contains(&sequence) {
            return None;
        }
        if let Ok(at) = self.queued.binary_search_by_key(&sequence, |message| message.sequence) {
            return self.take_queued(at).map(Lifted::Queued);
        }
        let message = self.paged.find(sequence)?;
        self.empty.insert(sequence);
        self.trim_paged();
        Some(Lifted::Paged(message))
    }

    /// Whether a message that was taken out belongs into the tail: then something of that stands before
    /// it, and it was there.
    pub(super) fn is_of_tail(&self, sequence: u64) -> bool {
        self.paged.front().is_some_and(|front| front < sequence)
    }

    /// Messages of the tail are in their places again.
    pub(super) fn put_into_tail(&mut self, mut messages: Vec<PagedMessage>) {
        messages.retain(|message| !self.empty.remove(&message.sequence));
        if messages.is_empty() {
            return;
        }
        // Their places were given up meanwhile.
        messages.extend(self.paged.iter());
        messages.sort_by_key(|message| message.sequence);
        let mut anew = Paged::default();
        messages.into_iter().for_each(|message| anew.push(message));
        self.paged = anew;
    }

    /// A message comes back that stands before the tail. What was not handed out and stands before it
    /// goes with it.
    pub(super) fn give_back_late(&mut self, message: QueuedMessage) {
        while let Some(front) = self.queued.pop_front_if(|front| front.sequence < message.sequence)
        {
            match self.empty.remove(&front.sequence) {
                true => self.empty_queued -= 1,
                false => self.returned.insert(front),
            }
        }
        self.trim_queued();
        self.returned.insert(message);
    }

    /// A message with its body is in its place again, which is before the tail.
    pub(super) fn put_back(&mut self, message: QueuedMessage) {
        let sequence = message.sequence;
        if self.queued.front().is_none_or(|front| sequence < front.sequence) {
            return self.returned.insert(message);
        }
        match self.queued.binary_search_by_key(&sequence, |other| other.sequence) {
            Err(at) => self.queued.insert(at, message),
            Ok(at) => {
                if let Some(place) = self.queued.get_mut(at) {
                    *place = message;
                    self.empty_queued -= usize::from(self.empty.remove(&sequence));
                }
            }
        }
    }

    fn take_queued(&mut self, at: usize) -> Option<QueuedMessage> {
        let place = self.queued.get_mut(at)?;
        let nothing = Held::Paged(Stub::new(Shelf::Scratch, 0, 0, 0));
        let emptied = QueuedMessage { held: nothing, ..*place };
        let message = std::mem::replace(place, emptied);
        self.empty.insert(message.sequence);
        self.empty_queued += 1;
        self.trim_queued();
        Some(message)
    }

    fn trim_queued(&mut self) {
        let Self { queued, empty, empty_queued, .. } = self;
        while let Some(front) = queued.front()
            && empty.remove(&front.sequence)
        {
            *empty_queued -= 1;
            queued.pop_front();
        }
        if *empty_queued > EMPTY_PLACES_KEPT && *empty_queued > queued.len() / 2 {
            queued.retain(|message| !empty.remove(&message.sequence));
            *empty_queued = 0;
        }
    }

    fn trim_paged(&mut self) {
        let Self { paged, empty, empty_queued, .. } = self;
        while let Some(front) = paged.front()
            && empty.remove(&front)
        {
            paged.pop();
        }
        let empty_paged = empty.len() - *empty_queued;
        if empty_paged > EMPTY_PLACES_KEPT && empty_paged > paged.len() / 2 {
            let mut anew = Paged::default();
            paged.iter().filter(|message| !empty.remove(&message.sequence)).for_each(|message| {
                anew.push(message);
            });
            *paged = anew;
        }
    }

    /// How many of those that were never handed out have their bodies.
    pub(super) fn queued_len(&self) -> usize {
        self.queued.len() - self.empty_queued
    }

    /// Those that were never handed out and have their bodies.
    pub(super) fn queued(&self) -> impl Iterator<Item = &QueuedMessage> {
        self.queued.iter().filter(|message| !self.is_empty_place(message.sequence))
    }

    /// Those of the tail.
    pub(super) fn tail(&self) -> impl Iterator<Item = PagedMessage> {
        self.paged.iter().filter(|message| !self.is_empty_place(message.sequence))
    }

    /// Those that are not in the tail, from this number on.
    pub(super) fn range(&self, from: u64) -> impl Iterator<Item = &QueuedMessage> {
        let first = self.queued.partition_point(|message| message.sequence < from);
        let queued = self.queued.range(first..);
        let queued = queued.filter(|message| !self.is_empty_place(message.sequence));
        self.returned.range(from).chain(queued)
    }

    /// Those of the tail, from this number on.
    pub(super) fn tail_from(&self, from: u64) -> impl Iterator<Item = PagedMessage> {
        let tail = self.paged.iter_from(from);
        tail.filter(|message| !self.is_empty_place(message.sequence))
    }

    fn is_empty_place(&self, sequence: u64) -> bool {
        !self.empty.is_empty() && self.empty.contains(&sequence)
    }

    /// The runs of the tail as store, first sequence number and count.
    pub(super) fn tail_runs(&self) -> Box<dyn Iterator<Item = (Shelf, u64, u64)> + '_> {
        if self.empty.len() == self.empty_queued {
            return Box::new(self.paged.runs());
        }
        Box::new(self.tail().map(|message| (message.stub.shelf, message.sequence, 1)))
    }

    /// The messages that are not in the tail.
    pub(super) fn into_messages(self) -> impl Iterator<Item = QueuedMessage> {
        let Self { returned, queued, empty, .. } = self;
        let queued = queued.into_iter().filter(move |message| !empty.contains(&message.sequence));
        returned.into_messages().chain(queued)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::held::Returns;
    use super::super::paged::NEVER;
    use super::*;
    use crate::message::tests::message;

    fn queued(sequence: u64, held: Held) -> QueuedMessage {
        let returns = Returns::default();
        QueuedMessage { sequence, level: 0, redelivered: false, returns, expires_ms: NEVER, held }
    }

    fn paged(sequence: u64) -> PagedMessage {
        let stub = Stub::new(Shelf::Durable, 10, 4, 7);
        PagedMessage { sequence, stub, redelivered: false, expires_ms: NEVER }
    }

    /// One that came back every tenth, half of the others with their bodies.
    fn level(count: u64) -> Level {
        let mut level = Level::default();
        let resident = || Held::Resident(message("k", b"body"));
        (0..count / 10).for_each(|sequence| level.returned.insert(queued(sequence, resident())));
        (count / 10..count / 2)
            .for_each(|sequence| level.push_queued(queued(sequence, resident())));
        (count / 2..count).for_each(|sequence| level.push_paged(paged(sequence)));
        level
    }

    fn sequences(level: &Level) -> Vec<u64> {
        let returned = level.returned.iter().map(|message| message.sequence);
        let queued = level.queued().map(|message| message.sequence);
        returned.chain(queued).chain(level.tail().map(|message| message.sequence)).collect()
    }

    fn pop_all(mut level: Level) -> Vec<u64> {
        let mut popped = Vec::new();
        while !level.is_empty() {
            let queued = level.pop().map(|message| message.sequence);
            popped.extend(queued.or_else(|| level.pop_tail().map(|message| message.sequence)));
        }
        popped
    }

    proptest! {
        #[test]
        fn whatever_is_taken_out_the_others_keep_their_order(
            taken in prop::collection::vec(0_u64..1000, 0..1500),
        ) {
            let mut level = level(1000);
            let mut left: BTreeSet<u64> = (0..1000).collect();
            for sequence in taken {
                let found = match level.take(sequence) {
                    Some(Lifted::Queued(message)) => Some(message.sequence),
                    Some(Lifted::Paged(message)) => Some(message.sequence),
                    None => None,
                };
                prop_assert_eq!(found, left.take(&sequence));
                prop_assert_eq!(level.is_empty(), left.is_empty());
            }
            let left: Vec<u64> = left.into_iter().collect();
            let tail: u64 = level.tail_runs().map(|(_, _, count)| count).sum();
            let others = level.clone().into_messages().count() as u64 + tail;
            prop_assert_eq!(others, left.len() as u64);
            prop_assert_eq!(sequences(&level), left.clone());
            prop_assert_eq!(level.queued().count(), level.queued_len());
            prop_assert_eq!(pop_all(level), left);
        }
    }

    proptest! {
        #[test]
        fn what_is_put_back_is_where_it_was(
            taken in prop::collection::vec((0_u64..1000, any::<bool>()), 0..800),
            popped in 0_usize..600,
        ) {
            let mut level = level(1000);
            let mut left: BTreeSet<u64> = (0..1000).collect();
            let mut out = Vec::new();
            for (sequence, comes_back) in taken {
                let Some(lifted) = level.take(sequence) else { continue };
                left.remove(&sequence);
                if comes_back {
                    out.push((sequence, lifted));
                }
            }
            for _ in 0..popped {
                if level.pop().is_some() || level.pop_tail().is_some() {
                    left.pop_first();
                }
            }
            for (sequence, lifted) in out {
                left.insert(sequence);
                match lifted {
                    Lifted::Paged(message) if level.is_of_tail(sequence) => {
                        level.put_into_tail(vec![message]);
                    }
                    Lifted::Paged(_) | Lifted::Queued(_) => {
                        level.put_back(queued(sequence, Held::Resident(message("k", b"body"))));
                    }
                }
            }
            let left: Vec<u64> = left.into_iter().collect();
            prop_assert_eq!(sequences(&level), left.clone());
            prop_assert_eq!(level.queued().count(), level.queued_len());
            prop_assert_eq!(pop_all(level), left);
        }
    }

    #[test]
    fn empty_places_are_given_back() {
        let mut level = level(10_000);
        (1..10_000).rev().for_each(|sequence| drop(level.take(sequence)));
        assert!(level.queued.len() + level.paged.len() < 4 * EMPTY_PLACES_KEPT);
        assert_eq!(pop_all(level), [0]);
    }
}
