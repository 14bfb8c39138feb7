//! Dead letters that nobody took: they stay with their queue until somebody does.
//!
//! A room of `queue::state`, and as pure. Where dead letters are published at least once, one that
//! has no way, or that a queue on its way refused, comes back to here (`Fate::New`), counts for the
//! queue's limit and is tried again: soon after the topology changed, else after a pause that
//! doubles while nobody takes any. Stays true:
//! - what is here is not delivered, does not expire, and is known to the durable store as dead, so it
//!   comes back to here after a restart;
//! - what is tried again stays here until its fate is told;
//! - an attempt is `ATTEMPT` letters; after `ROUND` of them that nobody took there is a pause.
//!
//! See RabbitMQ's page on quorum queues ("At-Least-Once Dead Lettering").

use std::collections::BTreeMap;
use std::ops::Bound;

use super::super::deaths::{Dead, Fate, Kept, Reason};
use super::super::held::{Held, QueuedMessage, Returns, Weight};
use super::super::paged::{NEVER, Shelf};
use super::{QueueState, without_body};
use crate::keys::QueueId;
use crate::message::Message;

/// Letters that are tried at a time.
const ATTEMPT: usize = 256;
/// Letters that are tried in vain before there is a pause.
const ROUND: usize = 4096;
/// How long after a change of the topology, in milliseconds: mostly there are several.
const AFTER_CHANGE_MS: u64 = 50;
/// The first pause, in milliseconds.
const PAUSE_MIN_MS: u64 = 1000;
/// The longest.
const PAUSE_MAX_MS: u64 = 8000;

/// In the durable store, instead of how often a message came back: that it died. Above any such
/// number, which only grows; the reason is in the lower half.
const DIED: u32 = 0xffff_0000;

/// What the durable store is told of a message that died and stays.
fn stored(reason: Reason) -> u32 {
    DIED | u32::from(reason.code())
}

/// Why a message died of which the durable store has this number; `None` when it lives.
fn died_of(stored: u32) -> Option<Reason> {
    (stored >= DIED).then(|| Reason::from_code(stored & !DIED))
}

/// A dead letter that stays.
#[derive(Clone, Debug)]
struct Letter {
    reason: Reason,
    held: Held,
    /// The queues that have it.
    taken_by: Vec<QueueId>,
    /// It is being tried.
    is_away: bool,
}

/// See the module documentation. Some 100 bytes a letter, beside bodies that are in memory.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    /// By sequence number.
    letters: BTreeMap<u64, Letter>,
    weight: Weight,
    /// How many are being tried.
    away: usize,
    /// The next to be tried is this one or comes after it.
    next: u64,
    /// So many may be tried before there is a pause.
    left: usize,
    /// When the next are tried, in milliseconds since the epoch; `NEVER` while some are.
    due_ms: u64,
    /// How long the next pause takes, in milliseconds.
    pause_ms: u64,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            letters: BTreeMap::new(),
            weight: Weight::default(),
            away: 0,
            next: 0,
            left: ROUND,
            due_ms: NEVER,
            pause_ms: PAUSE_MIN_MS,
        }
    }
}

impl Keeping {
    fn insert(&mut self, sequence: u64, letter: Letter) {
        self.weight.add(&letter.held);
        self.letters.insert(sequence, letter);
    }

    fn remove(&mut self, sequence: u64) -> Option<Letter> {
        let letter = self.letters.remove(&sequence)?;
        self.away -= usize::from(letter.is_away);
        self.weight.remove(&letter.held);
        Some(letter)
    }

    /// All of them, one by one; of what they were nothing but the message is left.
    pub(super) fn into_messages(self) -> impl Iterator<Item = QueuedMessage> {
        self.letters.into_iter().map(|(sequence, letter)| QueuedMessage {
            sequence,
            level: 0,
            redelivered: true,
            returns: Returns::default(),
            expires_ms: NEVER,
            held: letter.held,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    /// What all of them come to.
    pub(super) fn weight(&self) -> Weight {
        self.weight
    }

    /// When the next are tried.
    pub(super) fn due_ms(&self) -> u64 {
        self.due_ms
    }

    /// They are tried at this time, from the first on.
    fn try_at(&mut self, now_ms: u64) {
        self.pause_ms = PAUSE_MIN_MS;
        self.left = ROUND;
        self.next = 0;
        if self.away == 0 && !self.letters.is_empty() {
            self.due_ms = now_ms;
        }
    }

    /// An attempt is over. `took`: somebody took some of it.
    fn tried(&mut self, took: bool, now_ms: u64) {
        if took {
            self.pause_ms = PAUSE_MIN_MS;
            self.left = ROUND;
        }
        self.due_ms = match (self.letters.len(), self.left) {
            (0, _) => NEVER,
            (_, 0) => {
                let pause_ms = self.pause_ms;
                self.pause_ms = (2 * pause_ms).min(PAUSE_MAX_MS);
                self.left = ROUND;
                now_ms.saturating_add(pause_ms)
            }
            _ => now_ms,
        };
    }

    /// The next to be tried, which are away from now on.
    fn take(&mut self) -> Vec<Dead> {
        let mut taken = Vec::new();
        if self.letters.range(self.next..).next().is_none() {
            // Those that were left are gone.
            self.next = 0;
        }
        let from = (Bound::Included(self.next), Bound::Unbounded);
        for (&sequence, letter) in self.letters.range_mut(from).take(ATTEMPT.min(self.left)) {
            letter.is_away = true;
            self.next = sequence + 1;
            taken.push(Dead::again(
                sequence,
                letter.reason,
                letter.held.clone(),
                letter.taken_by.clone(),
            ));
        }
        self.left -= taken.len();
        if self.letters.range(self.next..).next().is_none() {
            // All were tried: no more before the pause.
            self.next = 0;
            self.left = 0;
        }
        self.away = taken.len();
        self.due_ms = NEVER;
        taken
    }
}

impl QueueState {
    /// Dead letters that stay here.
    pub(in crate::queue) fn kept_count(&self) -> usize {
        self.keeping.len()
    }

    /// What became of dead letters that were to be published at least once.
    pub(in crate::queue) fn learn(&mut self, fates: Vec<Fate>) {
        let mut took = false;
        let was_away = self.keeping.away > 0;
        for fate in fates {
            match fate {
                Fate::New(kept) => self.keep(kept),
                Fate::Stays(sequence, taken_by) => {
                    if let Some(letter) = self.keeping.letters.get_mut(&sequence) {
                        took |= letter.taken_by != taken_by;
                        letter.taken_by = taken_by;
                        self.keeping.away -= usize::from(std::mem::take(&mut letter.is_away));
                    }
                }
                Fate::Gone(sequence) => took |= self.keeping.remove(sequence).is_some(),
            }
        }
        if was_away && self.keeping.away == 0 {
            self.keeping.tried(took, self.facts.now_ms);
        }
    }

    fn keep(&mut self, kept: Kept) {
        let Kept { sequence, reason, message, shelf, taken_by } = kept;
        let resident = Held::Resident(message);
        let is_durable = self.is_durable(&resident);
        if is_durable {
            self.changes.count_delivery(sequence, stored(reason));
        }
        let Held::Resident(message) = resident else { return };
        let held = self.shelve(sequence, message, shelf, is_durable);
        let is_first = self.keeping.letters.is_empty();
        self.keeping.insert(sequence, Letter { reason, held, taken_by, is_away: false });
        if is_first {
            self.keeping.try_at(self.facts.now_ms.saturating_add(PAUSE_MIN_MS));
        }
    }

    /// A body stays in memory if there is room, and goes back to where it was.
    fn shelve(
        &mut self,
        sequence: u64,
        message: Message,
        shelf: Option<Shelf>,
        is_durable: bool,
    ) -> Held {
        match shelf {
            Some(Shelf::Scratch) => without_body(&message, Shelf::Scratch),
            Some(Shelf::Durable) | None if self.keeping.weight.resident_bytes < self.facts.room => {
                Held::Resident(message)
            }
            Some(Shelf::Durable) | None if is_durable => without_body(&message, Shelf::Durable),
            Some(Shelf::Durable) | None => self.page(sequence, message),
        }
    }

    /// A message comes back that had died and stayed. True when it had.
    pub(super) fn restore_dead(&mut self, sequence: u64, count: u32, held: Held) -> bool {
        let Some(reason) = died_of(count) else { return false };
        self.keeping
            .insert(sequence, Letter { reason, held, taken_by: Vec::new(), is_away: false });
        self.keeping.try_at(self.facts.now_ms);
        true
    }

    /// There may be a way now: what stays is tried, from the first on.
    pub(in crate::queue) fn try_kept_soon(&mut self) {
        self.keeping.try_at(self.facts.now_ms.saturating_add(AFTER_CHANGE_MS));
    }

    /// Tries some of what stays, if it is time.
    pub(in crate::queue) fn try_kept(&mut self) {
        if self.keeping.due_ms <= self.facts.now_ms {
            let dead = self.keeping.take();
            self.leave_again(dead);
        }
    }

    /// All that stays is done with, but for what is being tried.
    pub(super) fn purge_kept(&mut self) {
        let keeping = &mut self.keeping;
        let here = keeping.letters.iter().filter(|(_, letter)| !letter.is_away);
        let here: Vec<u64> = here.map(|(sequence, _)| *sequence).collect();
        for sequence in here {
            if let Some(letter) = self.keeping.remove(sequence) {
                self.drop_message(sequence, &letter.held);
            }
        }
        if self.keeping.letters.is_empty() {
            self.keeping.due_ms = NEVER;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::command::Command;
    use super::super::super::paged::Stub;
    use super::super::{Facts, QueueKind};
    use super::*;
    use crate::message::tests::{message, persistent};

    fn at(now_ms: u64, room: usize) -> Facts {
        Facts { now_ms, room }
    }

    fn queue() -> QueueState {
        let kind = QueueKind { has_dead_letters: true, is_stored: true, ..QueueKind::default() };
        let mut queue = QueueState::new(kind);
        queue.begin(at(1000, usize::MAX));
        queue
    }

    fn new(sequence: u64, message: Message) -> Fate {
        let (reason, shelf, taken_by) = (Reason::Rejected, None, Vec::new());
        Fate::New(Kept { sequence, reason, message, shelf, taken_by })
    }

    fn tried(queue: &mut QueueState, now_ms: u64) -> Vec<u64> {
        queue.apply(Command::TryKept, at(now_ms, usize::MAX));
        queue.take_dead().iter().map(|dead| dead.sequence).collect()
    }

    #[test]
    fn pauses_double_until_somebody_takes_a_letter() {
        let mut queue = queue();
        queue.learn(vec![new(4, message("k", b"a")), new(2, message("k", b"b"))]);
        assert_eq!((queue.kept_count(), queue.next_due_ms()), (2, 2000));
        let mut now_ms = 2000;
        for pause_ms in [1000, 2000, 4000, 8000, 8000] {
            assert_eq!(tried(&mut queue, now_ms), [2, 4]);
            assert_eq!((tried(&mut queue, now_ms + 9000), queue.next_due_ms()), (vec![], NEVER));
            queue.begin(at(now_ms, usize::MAX));
            queue.learn(vec![Fate::Stays(2, Vec::new()), Fate::Stays(4, Vec::new())]);
            now_ms += pause_ms;
            assert_eq!(queue.next_due_ms(), now_ms);
        }
        assert_eq!(tried(&mut queue, now_ms), [2, 4]);
        queue.learn(vec![Fate::Gone(2), Fate::Stays(4, Vec::new())]);
        assert_eq!(tried(&mut queue, now_ms), [4], "at once");
        queue.learn(vec![Fate::Stays(4, Vec::new())]);
        assert_eq!(queue.next_due_ms(), now_ms + 1000);
        queue.apply(Command::TryKeptSoon, at(now_ms + 1, usize::MAX));
        assert_eq!(queue.next_due_ms(), now_ms + 51);
        assert_eq!(tried(&mut queue, now_ms + 51), [4]);
        queue.learn(vec![Fate::Gone(4)]);
        assert_eq!((queue.kept_count(), queue.bytes(), queue.next_due_ms()), (0, 0, NEVER));
    }

    #[test]
    fn letters_without_a_way_do_not_keep_others_from_theirs() {
        let mut queue = queue();
        let count = ROUND as u64 + 10;
        queue.learn((0..count).map(|sequence| new(sequence, message("k", b""))).collect());
        let mut seen = Vec::new();
        let mut now_ms = 2000;
        while (seen.len() as u64) < count {
            let some = tried(&mut queue, now_ms);
            assert!(!some.is_empty() && some.len() <= ATTEMPT);
            queue.learn(some.iter().map(|&sequence| Fate::Stays(sequence, Vec::new())).collect());
            seen.extend(some);
            now_ms = queue.next_due_ms();
        }
        assert!(seen.into_iter().eq(0..count), "all have their turn");
        assert_eq!(now_ms, 5000, "after two pauses");
    }

    #[test]
    fn bodies_leave_memory_and_the_durable_store_is_told_of_the_death() {
        let mut queue = queue();
        let (one, other) = (persistent(message("k", b"durable")), message("k", b"transient"));
        queue.begin(at(1000, 1));
        queue.learn(vec![new(0, persistent(message("k", b"first"))), new(1, one), new(2, other)]);
        let changes = queue.changes();
        assert_eq!(changes.take_counts(), [(0, DIED | 1), (1, DIED | 1)]);
        let paged: Vec<u64> = changes.take_paged_out().iter().map(|(number, _)| *number).collect();
        assert_eq!(paged, [2]);
        queue.apply(Command::TryKept, at(5000, 1));
        let dead = queue.take_dead();
        let shelves: Vec<_> = dead.iter().map(|dead| dead.shelf).collect();
        assert_eq!(shelves, [None, Some(Shelf::Durable), Some(Shelf::Scratch)]);
    }

    #[test]
    fn a_purge_takes_what_is_not_being_tried() {
        let mut queue = queue();
        queue.learn(vec![new(0, message("k", b"a"))]);
        assert_eq!(tried(&mut queue, 3000), [0]);
        queue.learn(vec![new(1, persistent(message("k", b"b")))]);
        queue.purge();
        assert_eq!(queue.kept_count(), 1);
        assert_eq!(queue.changes().take_settled(), [1]);
        queue.learn(vec![Fate::Stays(0, Vec::new())]);
        queue.purge();
        assert_eq!((queue.kept_count(), queue.resident_bytes()), (0, 0));
    }

    #[test]
    fn what_is_tried_goes_on_when_the_rest_was_purged() {
        let mut queue = queue();
        let count = ATTEMPT as u64;
        queue.learn((0..=count).map(|sequence| new(sequence, message("k", b""))).collect());
        assert_eq!(tried(&mut queue, 3000).len(), ATTEMPT);
        queue.purge();
        assert_eq!(queue.kept_count(), ATTEMPT);
        queue.learn((0..count).map(|sequence| Fate::Stays(sequence, Vec::new())).collect());
        assert_eq!(tried(&mut queue, 3000).len(), ATTEMPT);
    }

    #[test]
    fn who_died_before_a_restart_is_dead_after_it() {
        let mut queue = queue();
        let held = || Held::Paged(Stub::new(Shelf::Durable, 9, 1, 0));
        assert!(!queue.restore_dead(7, 0x0013_0021, held()));
        assert!(queue.restore_dead(8, stored(Reason::Expired), held()));
        assert_eq!(tried(&mut queue, 1000), [8]);
        assert_eq!(died_of(stored(Reason::DeliveryLimit)), Some(Reason::DeliveryLimit));
    }
}
