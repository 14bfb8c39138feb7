//! Life after life of one broker on one data directory: look at what is there, settle some of it,
//! load it, end it, and judge.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{join_scoped, let_pass, wait_at_most};
use leveret_tests::now;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::consumer::Consumer;
use crate::inventory::{self, Inventory};
use crate::layout::{self, QUEUES};
use crate::ledger::Ledger;
use crate::publisher::Publisher;
use crate::record::{Ending, Life, Stream};
use crate::stamp::Stamp;

/// Publishers with confirms; one more publishes in transactions.
const PUBLISHERS: u32 = 3;
/// Messages that are confirmed before a life ends, at the most.
const CONFIRMED_MAX: u64 = 5_000;
/// A life ends after this long even if fewer are confirmed: the disk may be slow.
const LOAD_MAX: Duration = Duration::from_secs(3);
/// Longer than an orderly end takes.
const TO_TERMINATE: Duration = Duration::from_secs(30);
/// In this time after its start a process is somewhere in its recovery.
const TO_RECOVER: Duration = Duration::from_millis(80);

/// See the module documentation.
pub(crate) struct Campaign {
    broker: BrokerUnderTest,
    ledger: Ledger,
    publishers: Vec<Publisher>,
    random: StdRng,
}

/// Prints what a failed run was started with; the harness shows it with the failure.
pub(crate) fn seeded(what: &str) -> StdRng {
    let seed = std::env::var("LEVERET_CRASH_SEED").ok();
    let seed = seed.map(|seed| seed.parse().expect("LEVERET_CRASH_SEED is a number"));
    let seed = seed.unwrap_or_else(rand::random::<u32>);
    println!("{what}: LEVERET_CRASH_SEED={seed}");
    StdRng::seed_from_u64(u64::from(seed))
}

/// How many lives a test has: `LEVERET_CRASH_RUNS`, or few.
pub(crate) fn lives(variable: &str, few: usize) -> usize {
    let set = std::env::var(variable).ok();
    set.map_or(few, |set| set.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

impl Campaign {
    /// Of a broker that does not run yet.
    pub(crate) fn new(broker: BrokerUnderTest, mut random: StdRng) -> Self {
        let publisher = |number| Publisher { number, next: 0, random: child_of(&mut random) };
        let publishers = (1..=PUBLISHERS + 1).map(publisher).collect();
        Self { broker, ledger: Ledger::new(), publishers, random }
    }

    /// The broker.
    pub(crate) fn broker(&mut self) -> &mut BrokerUnderTest {
        &mut self.broker
    }

    /// One life: what it must hold is checked, and it is loaded; `end` ends it. Some lives are
    /// begun twice, because the first time they are killed while they recover.
    pub(crate) fn live(&mut self, ending: Ending, end: impl FnOnce(&mut BrokerUnderTest)) {
        while self.random.random_ratio(1, 3) {
            let after = self.random.random_range(Duration::ZERO..TO_RECOVER);
            println!("killed {after:?} after its start");
            self.broker.kill_while_starting(after);
        }
        self.broker.start_again();
        let broker = self.broker.broker();
        layout::declare(&mut broker.connect());
        let inventories = self.check(&broker);
        let random = &mut self.random;
        let looked_at = inventories.into_iter().map(|it| it.settle_some(random)).collect();
        let life = self.load(ending, looked_at, end);
        self.ledger.absorb(&life);
    }

    /// The last life: everything that must be there is there, and can be settled once and for all.
    pub(crate) fn finish(mut self) {
        self.broker.start_again();
        let inventories = self.check(&self.broker.broker());
        let streams = inventories.into_iter().map(Inventory::settle_all).collect();
        let end_began = now();
        let ending = Ending::Terminate;
        self.broker.assert_no_panic();
        assert!(self.broker.terminate(TO_TERMINATE).success());
        let life = Life { sent: vec![], transactions: vec![], streams, ending, end_began };
        self.ledger.absorb(&life);
        self.broker.start_again();
        self.check(&self.broker.broker());
        self.broker.assert_no_panic();
    }

    fn check(&mut self, broker: &Broker) -> Vec<Inventory> {
        let inventories = inventory::take_all(broker);
        let found: Vec<Vec<Stamp>> = inventories.iter().map(Inventory::stamps).collect();
        self.ledger.check_recovered(&found);
        inventories
    }

    /// Runs publishers and consumers until the end, at a random moment.
    fn load(
        &mut self,
        ending: Ending,
        mut streams: Vec<Stream>,
        end: impl FnOnce(&mut BrokerUnderTest),
    ) -> Life {
        let broker = self.broker.broker();
        let random = &mut self.random;
        let is_ending = AtomicBool::new(false);
        let consumers: Vec<Consumer<'_>> = (0..QUEUES.len())
            .flat_map(|queue| std::iter::repeat_n(queue, QUEUES[queue].consumers))
            .map(|queue| Consumer::connect(&broker, queue, child_of(random), &is_ending))
            .collect();
        let confirmed = AtomicU64::new(0);
        let target = random.random_range(0..CONFIRMED_MAX);
        let grace = random.random_range(Duration::ZERO..Duration::from_millis(3));
        let (transactional, confirming) = self.publishers.split_last_mut().expect("some");
        let transactions_link = Publisher::connect_transactional(&broker, &is_ending);
        let links: Vec<_> =
            (confirming.iter().map(|_| Publisher::connect(&broker, &is_ending))).collect();
        thread::scope(|scope| {
            let consuming: Vec<_> =
                consumers.into_iter().map(|it| scope.spawn(move || it.consume())).collect();
            let transacting = scope.spawn(move || transactional.transact(transactions_link));
            let publishing: Vec<_> = (confirming.iter_mut().zip(links))
                .map(|(publisher, link)| scope.spawn(|| publisher.publish(link, &confirmed)))
                .collect();
            wait_at_most(LOAD_MAX, || confirmed.load(Ordering::Relaxed) >= target);
            let_pass(grace);
            is_ending.store(true, Ordering::SeqCst);
            let end_began = now();
            end(&mut self.broker);
            streams.extend(consuming.into_iter().map(join));
            let sent = publishing.into_iter().flat_map(join).collect();
            Life { sent, transactions: join(transacting), streams, ending, end_began }
        })
    }
}

fn child_of(random: &mut StdRng) -> StdRng {
    StdRng::from_rng(random)
}

/// What the thread returned; its panic is this test's.
fn join<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    join_scoped("the end of a client of an ended broker", handle)
}
