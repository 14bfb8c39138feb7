//! Model test of what a channel has not settled: `UnackedTags` beside an ordered map, and the
//! `Ledger` with its sources and settlements beside a plain list.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::settlements::{Settlements, Sources};
use crate::keys::{ConsumerKey, DeliveryKey, Outcome, QueueId, SourceKey};
use crate::outgoing::ledger::Ledger;
use crate::outgoing::unacked::{Outstanding, UnackedTags};
use crate::queue::exit::tests::alone;
use crate::queue::{Queue, QueueSettings};

#[derive(Clone, Debug)]
enum Step {
    /// So many deliveries; tags may leave gaps, as deliveries without acknowledgement do.
    Push(u64, u64),
    Take(u64),
    TakeThrough(u64),
    /// Everything that was taken since the last time, as a rollback does.
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    // Tags are drawn from the whole range that the pushes of a run reach, so most are known.
    prop_oneof![
        3 => (1_u64..100, 1_u64..3).prop_map(|(count, gap)| Step::Push(count, gap)),
        9 => (0_u64..1000).prop_map(Step::Take),
        2 => (0_u64..1000).prop_map(Step::TakeThrough),
        1 => Just(Step::Restore),
    ]
}

fn outstanding(tag: u64) -> Outstanding {
    let number = u32::try_from(tag).expect("a small tag");
    Outstanding { tag, key: DeliveryKey(number), source: SourceKey(number % 3) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn unacked_is_an_ordered_map_by_tag(steps in vec(step(), 1..200)) {
        let (mut real, mut model) = (UnackedTags::default(), BTreeMap::new());
        let (mut last, mut taken) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Push(count, gap) => for _ in 0..count {
                    last += gap;
                    real.push(outstanding(last));
                    model.insert(last, outstanding(last));
                },
                Step::Take(tag) => {
                    prop_assert_eq!(real.contains(tag), model.contains_key(&tag));
                    let out = real.take(tag);
                    prop_assert_eq!(out, model.remove(&tag));
                    taken.extend(out);
                }
                Step::TakeThrough(tag) => {
                    let above = model.split_off(&(tag + 1));
                    let below = std::mem::replace(&mut model, above);
                    let from = taken.len();
                    real.take_through(tag, usize::MAX, |out| taken.push(out));
                    prop_assert_eq!(&taken[from..], below.into_values().collect::<Vec<_>>());
                }
                Step::Restore => {
                    model.extend(taken.iter().map(|&out| (out.tag, out)));
                    real.restore(taken.drain(..));
                }
            }
            prop_assert_eq!(real.len(), model.len());
        }
        let mut rest = Vec::new();
        real.take_through(u64::MAX, usize::MAX, |out| rest.push(out));
        prop_assert_eq!(rest, model.into_values().collect::<Vec<_>>());
    }
}

/// A queue that only stands for itself.
fn queue(number: u64) -> Arc<Queue> {
    let settings = QueueSettings::plain(false);
    let messages = crate::stores::tests::in_memory();
    Queue::new(QueueId(number), "/".into(), "q", settings, alone(messages))
}

#[derive(Clone, Debug)]
enum ChannelStep {
    /// From the consumer at this place, or by `basic.get` from the queue with this number.
    Deliver {
        consumer: Option<usize>,
        queue: usize,
        no_ack: bool,
    },
    Consume(usize),
    Cancel(usize),
    Settle {
        back: u64,
        multiple: bool,
        outcome: Outcome,
    },
    /// Settlements are carried out.
    CarryOut,
    /// A transaction takes a delivery, and either commits or rolls back.
    Transaction {
        back: u64,
        multiple: bool,
        commit: bool,
    },
}

const QUEUES: usize = 3;

fn channel_step() -> impl Strategy<Value = ChannelStep> {
    let outcome = prop_oneof![Just(Outcome::Ack), Just(Outcome::Requeue), Just(Outcome::Discard)];
    prop_oneof![
        8 => (prop::option::of(any::<usize>()), 0..QUEUES, any::<bool>()).prop_map(
            |(consumer, queue, no_ack)| ChannelStep::Deliver { consumer, queue, no_ack }
        ),
        2 => (0..QUEUES).prop_map(ChannelStep::Consume),
        2 => any::<usize>().prop_map(ChannelStep::Cancel),
        8 => (0_u64..12, prop::bool::weighted(0.2), outcome)
            .prop_map(|(back, multiple, outcome)| ChannelStep::Settle { back, multiple, outcome }),
        3 => Just(ChannelStep::CarryOut),
        1 => (0_u64..12, any::<bool>(), any::<bool>()).prop_map(
            |(back, multiple, commit)| ChannelStep::Transaction { back, multiple, commit }
        ),
    ]
}

/// An unsettled delivery as the list sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Owed {
    tag: u64,
    source: SourceKey,
    queue: usize,
    key: DeliveryKey,
}

struct Pair {
    queues: Vec<Arc<Queue>>,
    real: Ledger,
    sources: Sources,
    settlements: Settlements,
    consumers: Vec<(SourceKey, usize)>,
    owed: Vec<Owed>,
    /// Settled and not yet carried out.
    due: Vec<(Owed, Outcome)>,
    last_tag: u64,
}

impl Pair {
    fn new() -> Self {
        Self {
            queues: (0..QUEUES as u64).map(queue).collect(),
            real: Ledger::new(1),
            sources: Sources::default(),
            settlements: Settlements::default(),
            consumers: Vec::new(),
            owed: Vec::new(),
            due: Vec::new(),
            last_tag: 0,
        }
    }

    fn deliver(&mut self, consumer: Option<usize>, queue: usize, no_ack: bool) {
        let chosen = consumer.and_then(|which| which.checked_rem(self.consumers.len()));
        let consumer = chosen.and_then(|at| self.consumers.get(at)).copied();
        self.last_tag += 1;
        if no_ack {
            assert_eq!(self.real.next_tag(), self.last_tag);
            return;
        }
        let (source, queue) = consumer.unwrap_or_else(|| (self.source_for_get(queue), queue));
        let key = DeliveryKey(u32::try_from(self.last_tag).expect("a small tag"));
        assert_eq!(self.real.record(key, source), self.last_tag);
        self.owed.push(Owed { tag: self.last_tag, source, queue, key });
    }

    fn source_for_get(&mut self, queue: usize) -> SourceKey {
        self.carry_out();
        let queue = &self.queues[queue];
        if let Some(known) = self.sources.for_get(queue.id()) {
            return known;
        }
        let source = self.real.add_source_for_get();
        self.sources.add_for_get(source, Arc::clone(queue));
        source
    }

    fn consume(&mut self, queue: usize) {
        self.carry_out();
        let source = self.real.add_source();
        self.sources.add(source, Arc::clone(&self.queues[queue]), ConsumerKey::NONE);
        assert!(self.consumers.iter().all(|(other, _)| *other != source), "{source:?} is taken");
        self.consumers.push((source, queue));
    }

    fn cancel(&mut self, which: usize) {
        if let Some(at) = which.checked_rem(self.consumers.len()) {
            self.carry_out();
            let (source, _) = self.consumers.remove(at);
            if self.real.end_source(source) {
                self.sources.remove(source);
            }
        }
    }

    /// What a tag stands for, and what the list loses by it.
    fn lose(&mut self, tag: u64, multiple: bool) -> Option<Vec<Owed>> {
        let is_known = self.owed.iter().any(|owed| owed.tag == tag);
        if !(is_known || multiple && tag == 0) {
            return None;
        }
        let covers = |owed: &Owed| owed.tag == tag || multiple && (tag == 0 || owed.tag < tag);
        let (lost, kept) = self.owed.iter().partition(|&owed| covers(owed));
        self.owed = kept;
        Some(lost)
    }

    fn settle(&mut self, tag: u64, multiple: bool, outcome: Outcome) {
        let lost = self.lose(tag, multiple);
        let departed = &mut self.settlements.departed;
        if !multiple {
            assert_eq!(self.real.settle(tag, outcome, departed), lost.is_some());
        } else if tag == 0 || self.real.is_outstanding(tag) {
            assert!(lost.is_some());
            let last = if tag == 0 { self.real.last_tag() } else { tag };
            // In small steps.
            while !self.real.settle_through(last, 2, outcome, departed) {}
        } else {
            assert!(lost.is_none());
        }
        self.due.extend(lost.into_iter().flatten().map(|owed| (owed, outcome)));
    }

    fn transaction(&mut self, tag: u64, multiple: bool, commit: bool) {
        let lost = self.lose(tag, multiple);
        let taken = self.real.take(tag, multiple);
        assert_eq!(taken.as_ref().map(Vec::len), lost.as_ref().map(Vec::len));
        let (Some(taken), Some(lost)) = (taken, lost) else { return };
        if commit {
            for delivery in taken {
                self.real.settle_taken(delivery, Outcome::Ack, &mut self.settlements.departed);
            }
            self.due.extend(lost.into_iter().map(|owed| (owed, Outcome::Ack)));
        } else {
            self.real.restore(taken.into_iter());
            self.owed.extend(lost);
            self.owed.sort_by_key(|owed| owed.tag);
        }
    }

    /// Everything due reaches its own queue, once, in the order in which it was settled. Happens
    /// before the channel gets a new source, whose key may be one that was given up.
    fn carry_out(&mut self) {
        self.settlements.resolve(&mut self.sources);
        let settled: Vec<_> = self
            .settlements
            .by_queue()
            .map(|(queue, deliveries)| (queue.id().0, deliveries.to_vec()))
            .collect();
        let mut expected: Vec<(u64, Vec<_>)> = Vec::new();
        for (owed, outcome) in self.due.drain(..) {
            let number = owed.queue as u64;
            match expected.iter_mut().find(|(queue, _)| *queue == number) {
                Some((_, deliveries)) => deliveries.push((owed.key, outcome)),
                None => expected.push((number, vec![(owed.key, outcome)])),
            }
        }
        assert_eq!(settled, expected);
        self.settlements.clear();
    }

    fn check(&self) {
        assert_eq!(self.real.unacked_count(), self.owed.len());
    }

    fn run(&mut self, step: &ChannelStep) {
        match *step {
            ChannelStep::Deliver { consumer, queue, no_ack } => {
                self.deliver(consumer, queue, no_ack);
            }
            ChannelStep::Consume(queue) => self.consume(queue),
            ChannelStep::Cancel(which) => self.cancel(which),
            ChannelStep::Settle { back, multiple, outcome } => {
                self.settle(self.last_tag.saturating_sub(back), multiple, outcome);
            }
            ChannelStep::CarryOut => self.carry_out(),
            ChannelStep::Transaction { back, multiple, commit } => {
                self.transaction(self.last_tag.saturating_sub(back), multiple, commit);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_settlement_reaches_the_queue_it_came_from(steps in vec(channel_step(), 1..120)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.run(step);
            pair.check();
        }
        pair.real.settle_through(
            u64::MAX,
            usize::MAX,
            Outcome::Requeue,
            &mut pair.settlements.departed,
        );
        let rest = std::mem::take(&mut pair.owed);
        pair.due.extend(rest.into_iter().map(|owed| (owed, Outcome::Requeue)));
        pair.carry_out();
        while !pair.consumers.is_empty() {
            pair.cancel(0);
        }
        for queue in &pair.queues {
            let references = Arc::strong_count(queue);
            prop_assert_eq!(references, 1, "a settled channel keeps no queue alive");
        }
    }
}
