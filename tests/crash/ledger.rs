//! What the broker owes: every message of every queue, by what was promised about it.
//!
//! Pure: `campaign` hands it the record of a life after the life, and what was found after the next
//! start. Stays true: between two lives every message in here is one that was there at the last
//! look, so it is owed until it is settled.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::deliveries::{self, Known};
use crate::layout::{KEPT, QUEUES, QueueIndex};
use crate::record::{Ending, Fate, Life};
use crate::stamp::Stamp;

/// How long before a kill an ack may have been sent and yet be forgotten.
const SYNCED_WITHIN: Duration = Duration::from_millis(200);

/// Messages named in a failure.
const NAMED_MAX: usize = 10;

/// What is known of a message in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was confirmed, or seen after a start: it must be there.
    Owed,
    /// It was sent, and no more: it may be there.
    Open,
    /// It was sent in a transaction that was not answered: it may be there if all of it is.
    InTransaction(u32),
    /// It was settled just before the end: it may be there.
    JustSettled,
}

/// A message in a queue.
#[derive(Debug, Clone, Copy)]
struct Entry {
    standing: Standing,
    /// Whether it must be marked redelivered.
    was_handed_out: bool,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Ledger {
    queues: Vec<BTreeMap<Stamp, Entry>>,
    transactions: u32,
    /// Whether the life before ended in good order.
    ended_well: bool,
}

impl Ledger {
    /// Nothing was sent yet.
    pub(crate) fn new() -> Self {
        Self { queues: vec![BTreeMap::new(); QUEUES.len()], transactions: 0, ended_well: true }
    }

    /// Judges what the queues hold after a start; from now on it is owed.
    pub(crate) fn check_recovered(&mut self, found: &[Vec<Stamp>]) {
        self.check_transactions(found);
        for (queue, (entries, found)) in self.queues.iter_mut().zip(found).enumerate() {
            let name = QUEUES[queue].name;
            let set: BTreeSet<Stamp> = found.iter().copied().collect();
            assert_eq!(set.len(), found.len(), "{name} holds a message twice");
            let owed = |(stamp, entry): (&Stamp, &Entry)| {
                (entry.standing == Standing::Owed && !set.contains(stamp)).then_some(*stamp)
            };
            assert_none(name, "lost", entries.iter().filter_map(owed));
            let unknown = set.iter().filter(|stamp| !entries.contains_key(stamp)).copied();
            assert_none(name, "back though settled, or never sent", unknown);
            entries.retain(|stamp, _| set.contains(stamp));
            for entry in entries.values_mut() {
                entry.standing = Standing::Owed;
                entry.was_handed_out |= !self.ended_well;
            }
        }
    }

    /// A transaction is there with all its messages or with none.
    fn check_transactions(&self, found: &[Vec<Stamp>]) {
        let mut parts: HashMap<u32, [Vec<Stamp>; 2]> = HashMap::new();
        for (entries, found) in self.queues.iter().zip(found) {
            let found: BTreeSet<Stamp> = found.iter().copied().collect();
            for (stamp, entry) in entries {
                if let Standing::InTransaction(number) = entry.standing {
                    let is_there = usize::from(found.contains(stamp));
                    parts.entry(number).or_default()[is_there].push(*stamp);
                }
            }
        }
        for [missing, there] in parts.values() {
            let is_whole = missing.is_empty() || there.is_empty();
            assert!(is_whole, "half a transaction: {there:?} without {missing:?}");
        }
    }

    /// Judges the deliveries of a life, and takes down what it has promised.
    pub(crate) fn absorb(&mut self, life: &Life) {
        let old = self.queues.clone();
        self.enter_sent(life);
        self.ended_well = life.ending == Ending::Terminate;
        let last_stored = last_stored(life);
        let closing_from = self.ended_well.then_some(life.end_began);
        for (queue, entries) in self.queues.iter_mut().enumerate() {
            let streams = life.streams.iter().filter(|stream| stream.queue == queue);
            let known = |stamp: Stamp| match old[queue].get(&stamp) {
                Some(entry) if entry.was_handed_out => Some(Known::HandedOut),
                Some(_) => Some(Known::Before),
                None => entries.contains_key(&stamp).then_some(Known::SentNow),
            };
            let fates = deliveries::check(QUEUES[queue].name, streams, closing_from, known);
            for (stamp, fate) in fates {
                settle(entries, stamp, settled(fate, life, last_stored));
            }
        }
    }

    fn enter_sent(&mut self, life: &Life) {
        for sent in &life.sent {
            let counts = life.counts(sent.confirmed_at);
            let standing = if counts { Standing::Owed } else { Standing::Open };
            sent.route.queues().for_each(|queue| self.enter(queue, sent.stamp, standing));
        }
        for transaction in &life.transactions {
            self.transactions += 1;
            let standing = if life.counts(transaction.committed_at) {
                Standing::Owed
            } else {
                Standing::InTransaction(self.transactions)
            };
            for (stamp, route) in &transaction.messages {
                route.queues().for_each(|queue| self.enter(queue, *stamp, standing));
            }
        }
    }

    fn enter(&mut self, queue: QueueIndex, stamp: Stamp, standing: Standing) {
        let entry = Entry { standing, was_handed_out: false };
        let before = self.queues[queue].insert(stamp, entry);
        assert!(before.is_none(), "the test has sent {stamp:?} twice");
    }
}

fn assert_none(queue: &str, what: &str, stamps: impl Iterator<Item = Stamp>) {
    let stamps: Vec<Stamp> = stamps.collect();
    let named = &stamps[..stamps.len().min(NAMED_MAX)];
    assert!(stamps.is_empty(), "{queue}: {} messages {what}, such as {named:?}", stamps.len());
}

/// Takes down what became of a message that was delivered.
fn settle(entries: &mut BTreeMap<Stamp, Entry>, stamp: Stamp, settled: Settled) {
    if settled == Settled::Surely {
        entries.remove(&stamp);
        return;
    }
    let entry = entries.get_mut(&stamp).expect("only what is known is delivered");
    entry.was_handed_out = true;
    if settled == Settled::Maybe {
        entry.standing = Standing::JustSettled;
    }
}

/// The moment up to which everything the broker has done is stored: when the newest message was
/// sent that was confirmed by being stored. Only the queue that is not consumed from shows that.
fn last_stored(life: &Life) -> Option<Instant> {
    let kept = life.sent.iter().filter(|sent| sent.route.queues().any(|queue| queue == KEPT));
    kept.filter(|sent| life.counts(sent.confirmed_at)).map(|sent| sent.sent_at).max()
}

/// Whether a message is gone for good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settled {
    Not,
    Maybe,
    Surely,
}

fn settled(fate: Fate, life: &Life, last_stored: Option<Instant>) -> Settled {
    let Fate::Settled { at, answered_at } = fate else { return Settled::Not };
    let is_stored = match life.ending {
        Ending::Terminate => answered_at.is_some(),
        // An answer says that the broker has settled it, a message stored after that, that the
        // settling is stored too.
        Ending::Kill | Ending::PowerLoss => {
            let is_covered = answered_at.zip(last_stored).is_some_and(|(at, stored)| at <= stored);
            is_covered && at + SYNCED_WITHIN <= life.end_began
        }
    };
    if is_stored { Settled::Surely } else { Settled::Maybe }
}

#[cfg(test)]
mod tests;
