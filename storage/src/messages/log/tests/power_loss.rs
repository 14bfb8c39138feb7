//! Power failures at any moment: what was durable is there, and a batch is there whole or not.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::wal::faults::{FaultyFiles, Loss};

/// What a run has appended, with the tickets.
#[derive(Default)]
struct Appended {
    published: Vec<(Ticket, u64, u64)>,
    settled: Vec<(Ticket, u64, u64)>,
    /// Of queue 3 to queue 4, by their number in both.
    moved: Vec<(Ticket, u64)>,
}

impl Appended {
    fn run(&mut self, bench: &Bench, chance: &mut StdRng) {
        let mut next = [0; 5];
        for _ in 0..chance.random_range(1..120) {
            let queue = chance.random_range(1..4_usize);
            let count = chance.random_range(1..20);
            let first = next[queue];
            next[queue] += count;
            let mut batch = publishes(queue as u64, first..first + count);
            batch.awaited = chance.random();
            let ticket = bench.append(batch);
            let published = (first..first + count).map(|at| (ticket, queue as u64, at));
            self.published.extend(published);
            match chance.random_range(0..4) {
                0 if queue < 3 => {
                    let at = chance.random_range(0..next[queue]);
                    let ticket = bench.append(settles(queue as u64, at, 1));
                    self.settled.push((ticket, queue as u64, at));
                }
                1 if next[3] > next[4] => {
                    let mut moved = publishes(4, [next[4]]);
                    moved.atomic = true;
                    moved.settled = settles(3, next[4], 1).settled;
                    self.moved.push((bench.append(moved), next[4]));
                    next[4] += 1;
                }
                2 if chance.random() => bench.wait(ticket).unwrap(),
                _ => {}
            }
        }
    }

    fn check(&self, durable: Ticket, found: &Recovered) {
        let live: BTreeSet<(u64, u64)> = (1..5)
            .flat_map(|queue| recovered(found, queue).into_iter().map(move |at| (queue, at)))
            .collect();
        let settled: BTreeSet<_> =
            self.settled.iter().map(|(_, queue, at)| (*queue, *at)).collect();
        let moved: BTreeSet<u64> = self.moved.iter().map(|(_, at)| *at).collect();
        for (ticket, queue, at) in &self.published {
            let is_left = !settled.contains(&(*queue, *at)) && (*queue != 3 || !moved.contains(at));
            assert!(
                *ticket > durable || !is_left || live.contains(&(*queue, *at)),
                "{queue}/{at} was durable and is lost"
            );
        }
        for (ticket, at) in &self.moved {
            let (source, target) = (live.contains(&(3, *at)), live.contains(&(4, *at)));
            assert!(!(source && target), "{at} is in both");
            assert!(*ticket > durable || (target && !source), "{at} was moved for good");
            let published =
                self.published.iter().find(|(_, queue, one)| (*queue, *one) == (3, *at));
            let was_durable = published.is_some_and(|(ticket, ..)| *ticket <= durable);
            assert!(!was_durable || source || target, "{at} is in neither");
        }
    }
}

#[test]
fn what_was_durable_is_there_after_a_power_failure() {
    for seed in 0..40 {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut files = None;
        let mut bench = Bench::new(small(), |directory| {
            let faulty = FaultyFiles::remembering(directory);
            files = Some(faulty.clone());
            Arc::new(faulty)
        });
        let files = files.unwrap();
        let mut appended = Appended::default();
        appended.run(&bench, &mut chance);
        let durable = bench.log.progress().durable();
        let loss = if chance.random() { Loss::All } else { Loss::Some(seed) };
        files.lose_power(bench.directory.path(), loss);
        let _failed = bench.log.close();
        let found = bench.open_again();
        appended.check(durable, &found);
        let again = bench.reopen();
        for queue in 1..5 {
            assert_eq!(recovered(&found, queue), recovered(&again, queue), "seed {seed}");
            assert_eq!(bench.queue(queue), expected(queue, recovered(&again, queue)));
        }
    }
}
