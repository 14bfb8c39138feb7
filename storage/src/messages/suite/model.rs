//! Random batches, settlements and reopenings, next to a model that only knows sets.
//!
//! The model is asked for nothing that the contract leaves open: what was settled in vain counts only
//! until the store is opened again, and nothing arrives for a queue after it was deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Batch, Bench, Place, Publish, Recovered, content, next_sequence, place, publish};
use crate::messages::{Options, Settled, Ticket};

/// Queues that the model uses.
const QUEUES: Range<u64> = 1..5;
/// For messages that only mark a moment.
const MARKED: u64 = 5;

#[derive(Clone, Debug)]
enum Step {
    Append { atomic: bool, parts: Vec<Part> },
    Wait,
    Close,
    Crash,
}

#[derive(Clone, Debug)]
enum Part {
    Publish { places: Vec<(u64, u64)>, size: usize },
    Settle { queue: u64, first: u64, count: u64 },
    Absent { queue: u64, sequence: u64 },
    Count { queue: u64, sequence: u64, count: u32 },
    Delete { queue: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = (any::<bool>(), prop::collection::vec(part(), 1..8))
        .prop_map(|(atomic, parts)| Step::Append { atomic, parts });
    let step = prop_oneof![
        12 => append,
        2 => Just(Step::Wait),
        1 => Just(Step::Close),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}

/// Few enough that places meet, on both sides of a multiple of 256.
fn sequence() -> impl Strategy<Value = u64> {
    prop_oneof![0..12_u64, 250..262_u64, 600..603_u64]
}

fn part() -> impl Strategy<Value = Part> {
    let places = prop::collection::vec((QUEUES, sequence()), 1..4);
    let size = prop_oneof![8 => 0..200_usize, 1 => 3_000..9_000_usize];
    prop_oneof![
        12 => (places, size).prop_map(|(places, size)| Part::Publish { places, size }),
        8 => (QUEUES, sequence(), 1..5_u64)
            .prop_map(|(queue, first, count)| Part::Settle { queue, first, count }),
        2 => (QUEUES, sequence(), 100..400_u64)
            .prop_map(|(queue, first, count)| Part::Settle { queue, first, count }),
        2 => (QUEUES, sequence()).prop_map(|(queue, sequence)| Part::Absent { queue, sequence }),
        3 => (QUEUES, sequence(), 1..9_u32)
            .prop_map(|(queue, sequence, count)| Part::Count { queue, sequence, count }),
        1 => QUEUES.prop_map(|queue| Part::Delete { queue }),
    ]
}

#[derive(Debug, Default)]
struct Model {
    live: BTreeMap<(u64, u64), Held>,
    settled: BTreeSet<(u64, u64)>,
    /// Places that no message may be published in any more.
    used: BTreeSet<(u64, u64)>,
    deleted: BTreeSet<u64>,
    /// Sequence numbers that the store has certainly seen, by queue: the highest.
    seen: BTreeMap<u64, u64>,
    published: u64,
}

#[derive(Clone, Debug)]
struct Held {
    text: String,
    delivery_count: u32,
}

impl Model {
    /// Makes a batch of what is allowed now, and applies it.
    fn batch(&mut self, atomic: bool, parts: &[Part]) -> Batch {
        let mut batch = Batch { atomic, ..Batch::default() };
        for part in parts {
            match part {
                Part::Publish { places, size } => {
                    batch.publishes.extend(self.publish(places, *size));
                }
                Part::Settle { queue, first, count } => {
                    batch.settled.push(Settled { queue: *queue, first: *first, count: *count });
                }
                Part::Absent { queue, sequence } if self.used.insert((*queue, *sequence)) => {
                    let absent = Settled { queue: *queue, first: *sequence, count: 1 };
                    batch.absent.push(absent);
                }
                Part::Count { queue, sequence, count } => {
                    if let Some(held) = self.live.get_mut(&(*queue, *sequence)) {
                        held.delivery_count = held.delivery_count.max(*count);
                        batch.delivery_counts.push((place(*queue, *sequence), *count));
                    }
                }
                Part::Delete { queue } => {
                    self.deleted.insert(*queue);
                    batch.deleted_queues.push(*queue);
                }
                Part::Absent { .. } => {}
            }
        }
        self.settle(&batch);
        batch
    }

    fn publish(&mut self, places: &[(u64, u64)], size: usize) -> Option<Publish> {
        let mut free = places.to_vec();
        free.retain(|place| !self.deleted.contains(&place.0) && self.used.insert(*place));
        if free.is_empty() {
            return None;
        }
        self.published += 1;
        let text = format!("{:>size$}", self.published);
        for place in &free {
            self.live.insert(*place, Held { text: text.clone(), delivery_count: 0 });
        }
        Some(publish(content(&text), &free))
    }

    /// Takes away what a batch settles or deletes, or what was settled or deleted before.
    fn settle(&mut self, batch: &Batch) {
        for settled in &batch.settled {
            let sequences = settled.first..settled.first + settled.count;
            self.settled.extend(sequences.map(|sequence| (settled.queue, sequence)));
        }
        self.live
            .retain(|place, _| !self.settled.contains(place) && !self.deleted.contains(&place.0));
    }

    /// Everything appended is durable.
    fn wait(&mut self) {
        for (queue, sequence) in self.live.keys() {
            let seen = self.seen.entry(*queue).or_default();
            *seen = (*seen).max(*sequence);
        }
    }

    fn reopen(&mut self) {
        self.used.extend(&self.settled);
    }

    fn queue(&self, queue: u64) -> Vec<(u64, Vec<u8>)> {
        let places = self.live.range((queue, 0)..(queue + 1, 0));
        places.map(|((_, sequence), held)| (*sequence, held.text.clone().into_bytes())).collect()
    }
}

fn check_open(model: &Model, bench: &Bench) {
    for queue in QUEUES {
        let expected = model.queue(queue);
        assert_eq!(bench.queue(queue), expected, "queue {queue}");
        let in_ranges =
            |sequence: u64| (3..8).contains(&sequence) || (255..700).contains(&sequence);
        let expected: Vec<_> = expected.into_iter().filter(|one| in_ranges(one.0)).collect();
        assert_eq!(bench.ranges(queue, &[3..8, 255..700]), expected, "ranges of queue {queue}");
    }
}

fn check_recovered(model: &Model, recovered: &Recovered) {
    assert!(recovered.quarantined.is_empty());
    for queue in QUEUES {
        let expected: Vec<(Place, u64, usize, u32)> = model
            .live
            .range((queue, 0)..(queue + 1, 0))
            .map(|((_, sequence), held)| {
                let size = held.text.len();
                (place(queue, *sequence), size as u64, size, held.delivery_count)
            })
            .collect();
        let found = recovered.queues.get(&queue).into_iter();
        let found: Vec<_> = found
            .flat_map(|queue| queue.messages.iter())
            .map(|one| {
                (place(queue, one.sequence), one.note, one.size as usize, one.delivery_count)
            })
            .collect();
        assert_eq!(found, expected, "recovered queue {queue}");
        if !model.deleted.contains(&queue) {
            let next = next_sequence(recovered, queue);
            assert!(
                model.seen.get(&queue).is_none_or(|seen| *seen < next),
                "queue {queue}: {next}"
            );
        }
    }
}

fn run(bench: &mut Bench, steps: &[Step]) {
    let mut model = Model::default();
    let mut last = Ticket::default();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Append { atomic, parts } => {
                last = bench.append(model.batch(*atomic, parts));
            }
            Step::Wait => {
                super::wait(&*bench.store, last);
                model.wait();
                let live = bench.store.statistics().live_messages;
                assert_eq!(live, model.live.len() as u64);
            }
            Step::Close | Step::Crash => {
                // A store may sync settlements later than messages; a message covers them.
                let mark = Part::Publish { places: vec![(MARKED, number as u64)], size: 1 };
                bench.commit(model.batch(false, &[mark]));
                model.wait();
                // Whoever deletes a queue does not know it any more.
                bench.known_queues.retain(|queue| !model.deleted.contains(queue));
                let is_crash = matches!(step, Step::Crash);
                let recovered = if is_crash { bench.crash() } else { bench.reopen() };
                model.reopen();
                last = Ticket::default();
                check_recovered(&model, &recovered);
            }
        }
        check_open(&model, bench);
    }
}

/// Compares a kind of store with the model.
fn compare(cases: u32, open: impl Fn() -> Bench) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            run(&mut open(), &steps);
            Ok(())
        })
        .unwrap();
}

#[test]
fn memory_is_like_the_model() {
    compare(100, || Bench::new(Box::new(super::Memory::default())));
}

#[test]
fn sled_is_like_the_model() {
    compare(12, || Bench::new(Box::new(super::OnDisk::new(super::open_sled))));
}

#[test]
fn the_log_is_like_the_model() {
    compare(12, || Bench::new(Box::new(super::OnDisk::new(super::open_log(Options::default())))));
}

#[test]
fn a_log_of_small_segments_is_like_the_model() {
    let options = Options { segment_size: 1000, ..Options::default() };
    compare(24, || Bench::new(Box::new(super::OnDisk::new(super::open_log(options.clone())))));
}
