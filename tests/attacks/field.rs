//! Where it happens: a broker, the bystander, what was confirmed before, and what is looked at after.

use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{Deadline, let_pass};
use leveret_tests::metrics;
use leveret_tests::raw_client::Flag;
use leveret_tests::raw_client::method::queue;

use crate::bystander::{Bystander, Lateness};
use crate::counts::expect_nothing_of_clients;

/// Messages that are confirmed before the attack, and must be there after it.
const KEPT: usize = 200;
/// Where they are.
const KEPT_IN: &str = "kept";
/// A bystander that waits longer is not served.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// With `LEVERET_ATTACKS=full` its p99 is at most this,
const P99_MAX: Duration = Duration::from_millis(100);
/// and at most so many times what it is in peace; below `CALM_MIN` peace is not measured well.
const TIMES_CALM: u32 = 3;
const CALM_MIN: Duration = Duration::from_millis(5);
/// What attackers get of the processors is what nobody else wants.
const ATTACKERS_NICE: i32 = 10;

/// `LEVERET_ATTACKS`, if it is set.
fn form() -> Option<String> {
    std::env::var("LEVERET_ATTACKS").ok()
}

/// The size or the count of an attack: small, or as the table says (`full`, and `loaded`, for a machine
/// that has other work).
pub(crate) fn sized<T>(small: T, full: T) -> T {
    if form().is_some() { full } else { small }
}

/// How long an attack goes on that ends by itself.
pub(crate) fn while_it_lasts(what: &str) -> Deadline {
    Deadline::within(what, sized(Duration::from_millis(800), Duration::from_secs(20)))
}

/// One attack: its name, the broker's configuration and the memory that it may have at the end of it.
pub(crate) struct Attack<'a> {
    pub(crate) name: &'a str,
    pub(crate) config: &'a str,
    pub(crate) memory_mib: usize,
}

impl Attack<'_> {
    /// Attacks, and holds the broker to what must hold. What is started with TLS is started so.
    pub(crate) fn run(&self, attack: impl FnOnce(&BrokerUnderTest, &Broker)) {
        let config = format!("{}{}", metrics::CONFIG, self.config);
        let mut under_test = BrokerUnderTest::start_with(&config);
        let broker = under_test.broker();
        fill(&broker);
        let bystander = Bystander::start(&broker);
        let_pass(sized(Duration::from_millis(200), Duration::from_secs(5)));
        bystander.enter(1);
        // Who attacks does so from other machines: here it is not to take the processors from the broker
        // and from who is measured. What these leave is more than the broker can take.
        rustix::process::nice(ATTACKERS_NICE).expect("less is always granted");
        attack(&under_test, &broker);
        let memory_mib = under_test.memory() >> 20;
        let phases = bystander.end(2);
        self.judge(phases[0], phases[1], memory_mib);
        expect_all(&broker);
        expect_nothing_of_clients(&under_test);
        under_test.assert_sound();
    }

    #[expect(clippy::print_stdout, reason = "a passing attack is worth its figures")]
    fn judge(&self, calm: Lateness, attacked: Lateness, memory_mib: usize) {
        let name = self.name;
        println!("{name}: {memory_mib} MiB, in peace {calm:?}, attacked {attacked:?}");
        assert!(memory_mib <= self.memory_mib, "{name}: {memory_mib} MiB");
        assert!(attacked.longest < SERVED_WITHIN, "{name}: not served for {:?}", attacked.longest);
        if form().is_some_and(|form| form == "full") {
            let most = P99_MAX.min(TIMES_CALM * calm.p99.max(CALM_MIN));
            assert!(
                attacked.p99 <= most,
                "{name}: p99 {:?}, in peace {:?}",
                attacked.p99,
                calm.p99
            );
        }
    }
}

fn bodies() -> Vec<String> {
    (0..KEPT).map(|number| format!("kept {number}")).collect()
}

fn fill(broker: &Broker) {
    let mut client = broker.connect();
    client.call(queue::declare(KEPT_IN).with(Flag::Durable));
    let bodies = bodies();
    client.fill_persistent(KEPT_IN, &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    client.close();
}

fn expect_all(broker: &Broker) {
    let mut client = broker.connect();
    assert_eq!(client.drain(KEPT_IN), bodies(), "what was confirmed before the attack");
    client.call(queue::delete(KEPT_IN));
    client.close();
}
