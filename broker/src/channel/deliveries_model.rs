//! Model test of what a channel has not settled: `Unacked` beside an ordered map, and
//! `ChannelDeliveries` with its settlements beside a plain list.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_protocol::types::FieldTable;
use proptest::collection::vec;
use proptest::prelude::*;

use super::deliveries::{ChannelDeliveries, Settlements, SourceKey};
use super::unacked::{Outstanding, Unacked};
use crate::queue::arguments::QueueArguments;
use crate::queue::{ConsumerKey, DeliveryKey, Outcome, Queue, QueueId, QueueSettings};

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
        let (mut real, mut model) = (Unacked::default(), BTreeMap::new());
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
                    real.take_through(tag, |out| taken.push(out));
                    prop_assert_eq!(&taken[from..], below.into_values().collect::<Vec<_>>());
                }
                Step::Restore => {
                    model.extend(taken.iter().map(|&out| (out.tag, out)));
                    real.restore(taken.drain(..));
                }
            }
            prop_assert_eq!(real.len(), model.len());
            prop_assert_eq!(real.is_empty(), model.is_empty());
        }
        let mut rest = Vec::new();
        real.take_through(u64::MAX, |out| rest.push(out));
        prop_assert_eq!(rest, model.into_values().collect::<Vec<_>>());
    }
}

/// A queue that only stands for itself.
fn queue(number: u64) -> Arc<Queue> {
    let settings = QueueSettings {
        durable: false,
        auto_delete: false,
        owner: None,
        arguments: FieldTable::new(),
        parsed: QueueArguments::default(),
    };
    let messages = crate::persistence::messages::tests::in_memory();
    Queue::new(QueueId(number), "/".into(), "q", settings, messages)
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
    real: ChannelDeliveries,
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
            real: ChannelDeliveries::new(1),
            settlements: Settlements::default(),
            consumers: Vec::new(),
            owed: Vec::new(),
            due: Vec::new(),
            last_tag: 0,
        }
    }

    fn deliver(&mut self, consumer: Option<usize>, queue: usize, no_ack: bool) {
        let chosen = consumer.and_then(|which| which.checked_rem(self.consumers.len()));
        let (source, queue) = match chosen.and_then(|at| self.consumers.get(at)) {
            Some(consumer) => *consumer,
            None => {
                self.carry_out();
                (self.real.source_for_get(&self.queues[queue]), queue)
            }
        };
        self.last_tag += 1;
        let number = u32::try_from(self.last_tag).expect("a small tag");
        let key = if no_ack { DeliveryKey::NONE } else { DeliveryKey(number) };
        assert_eq!(self.real.record(key, source), self.last_tag);
        if !no_ack {
            self.owed.push(Owed { tag: self.last_tag, source, queue, key });
        }
    }

    fn consume(&mut self, queue: usize) {
        self.carry_out();
        let source = self.real.add_source(Arc::clone(&self.queues[queue]), None);
        let number = u32::try_from(self.consumers.len()).expect("few");
        self.real.set_consumer(source, ConsumerKey(number));
        assert!(self.consumers.iter().all(|(other, _)| *other != source), "{source:?} is taken");
        self.consumers.push((source, queue));
    }

    fn cancel(&mut self, which: usize) {
        if let Some(at) = which.checked_rem(self.consumers.len()) {
            let (source, _) = self.consumers.remove(at);
            self.real.end_source(source);
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
        let known = self.real.settle(tag, multiple, outcome, &mut self.settlements);
        assert_eq!(known, lost.is_some());
        self.due.extend(lost.into_iter().flatten().map(|owed| (owed, outcome)));
    }

    fn transaction(&mut self, tag: u64, multiple: bool, commit: bool) {
        let lost = self.lose(tag, multiple);
        let taken = self.real.take(tag, multiple);
        assert_eq!(taken.as_ref().map(Vec::len), lost.as_ref().map(Vec::len));
        let (Some(taken), Some(lost)) = (taken, lost) else { return };
        if commit {
            for delivery in taken {
                self.real.settle_taken(delivery, Outcome::Ack, &mut self.settlements);
            }
            self.due.extend(lost.into_iter().map(|owed| (owed, Outcome::Ack)));
        } else {
            self.real.restore(taken.into_iter());
            self.owed.extend(lost);
            self.owed.sort_by_key(|owed| owed.tag);
        }
    }

    /// Everything due reaches its own queue, once, each source's latest first. Happens before the
    /// channel gets a new source, whose key may be one that was given up.
    fn carry_out(&mut self) {
        assert_eq!(self.settlements.is_empty(), self.due.is_empty());
        let settled = self.settlements.by_queue();
        let settled = settled.map(|(queue, keys)| (queue.id().0, keys.collect::<Vec<_>>()));
        let mut expected: Vec<(SourceKey, u64, Vec<_>)> = Vec::new();
        for (owed, outcome) in self.due.drain(..) {
            let known = expected.iter_mut().find(|(source, ..)| *source == owed.source);
            match known {
                Some((_, _, keys)) => keys.insert(0, (owed.key, outcome)),
                None => expected.push((owed.source, owed.queue as u64, vec![(owed.key, outcome)])),
            }
        }
        let expected = expected.into_iter().map(|(_, queue, keys)| (queue, keys));
        assert!(settled.eq(expected));
        self.settlements.clear();
    }

    fn check(&self) {
        assert_eq!(self.real.unacked_count(), self.owed.len());
        assert_eq!(self.real.consumers().count(), self.consumers.len());
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
        pair.real.settle_through(u64::MAX, Outcome::Requeue, &mut pair.settlements);
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
