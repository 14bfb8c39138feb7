//! SIGKILL while messages wait, or have just waited: for their time, for another attempt, for somebody
//! who takes them as dead letters. Each comes once afterwards.
//!
//! `LEVERET_CRASH_RUNS` sets how often, as for the other kills.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{Deadline, TO_RUN, join_scoped, let_pass};
use leveret_tests::now;
use leveret_tests::raw_client::method::{Method, basic, exchange, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient, Value};
use rand::Rng;

use crate::campaign::{lives, seeded};

const MESSAGES: usize = 1000;
const EXCHANGE: &str = "delaying";
const SOURCE: &str = "waits";
const TARGET: &str = "waited";
/// Time enough to publish all of them before the first is due.
const LEAD: Duration = Duration::from_millis(1200);
/// From the first that is due to the last; the kill falls into it, or shortly before.
const DUE_WITHIN: Duration = Duration::from_millis(120);
const RETRY_MS: i32 = 60;
/// So many dead letters find room, until they are fetched.
const ROOM: i32 = 200;

/// What messages wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// `x-delay`, in an exchange that heeds it.
    Delay,
    /// `x-opt-delivery-time`.
    Time,
    /// Another attempt, in a queue that delays these.
    Retry,
    /// Room where they are published as dead letters, at least once.
    Room,
}

impl Wait {
    fn declare(self, client: &mut RawClient) {
        let durable = |name| queue::declare(name).with(Flag::Durable);
        match self {
            Self::Delay => {
                let declare = exchange::declare(EXCHANGE, "x-delayed-message").with(Flag::Durable);
                client.call(declare.arg("x-delayed-type", "fanout"));
                client.declare_bound_queue(TARGET, EXCHANGE, "");
            }
            Self::Time => drop(client.declare_queue(TARGET)),
            Self::Retry => {
                let declare = durable(SOURCE).arg("x-delayed-retry-type", "all");
                client.call(declare.arg("x-delayed-retry-min", RETRY_MS));
            }
            Self::Room => {
                let small = durable(TARGET).arg("x-max-length", ROOM);
                client.call(small.arg("x-overflow", "reject-publish"));
                let source = durable(SOURCE).arg("x-dead-letter-exchange", "");
                let source = source.arg("x-dead-letter-routing-key", TARGET);
                let source = source.arg("x-overflow", "reject-publish");
                client.call(source.arg("x-dead-letter-strategy", "at-least-once"));
            }
        }
    }

    /// Message `number`, of which those that wait for their time are due one after the other.
    fn message(self, number: usize, begun: Instant) -> Message {
        let due = LEAD + DUE_WITHIN.mul_f64((number * 7 % MESSAGES) as f64 / MESSAGES as f64);
        let left = due.saturating_sub(now() - begun);
        let long =
            |time: Duration| Value::Long(i64::try_from(time.as_millis()).expect("milliseconds"));
        let message = match self {
            Self::Delay => Message::to(EXCHANGE, "").header("x-delay", long(left)),
            Self::Time => {
                let passed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                Message::to_queue(TARGET).header("x-opt-delivery-time", long(passed + left))
            }
            Self::Retry | Self::Room => Message::to_queue(SOURCE),
        };
        message.persistent().body(body(number))
    }

    /// How messages that are delivered come to wait.
    fn refusal(self, tag: u64) -> Option<Method> {
        match self {
            Self::Delay | Self::Time => None,
            Self::Retry => Some(basic::reject(tag).with(Flag::Requeue)),
            Self::Room => Some(basic::reject(tag)),
        }
    }

    fn queues(self) -> &'static [&'static str] {
        match self {
            Self::Delay | Self::Time => &[TARGET],
            Self::Retry => &[SOURCE],
            Self::Room => &[TARGET, SOURCE],
        }
    }
}

fn body(number: usize) -> String {
    format!("{number} {}", "x".repeat(number % 700))
}

/// Refuses whatever comes until the broker is gone.
fn refuse_all(mut client: RawClient, wait: Wait) {
    while let Ok(reply) = client.read_reply(now() + Duration::from_secs(2)) {
        let Some(refusal) = wait.refusal(reply.delivery().delivery_tag) else { return };
        if !client.try_send_bytes(&refusal.frame()) {
            return;
        }
    }
}

fn kill_while_waiting(broker: &mut BrokerUnderTest, wait: Wait, after: Duration) {
    let mut client = broker.broker().connect();
    wait.declare(&mut client);
    client.select_confirms();
    let begun = now();
    (0..MESSAGES).for_each(|number| client.publish(&wait.message(number, begun)));
    client.expect_confirmed_up_to(1, MESSAGES as u64);
    match wait {
        Wait::Delay | Wait::Time => {
            let_pass((LEAD + after).saturating_sub(now() - begun));
            broker.kill();
        }
        Wait::Retry | Wait::Room => std::thread::scope(|scope| {
            let mut refusing = broker.broker().connect();
            refusing.call(basic::qos(100));
            refusing.consume(SOURCE);
            let thread = scope.spawn(|| refuse_all(refusing, wait));
            let_pass(after);
            broker.kill();
            join_scoped("whoever refuses", thread);
        }),
    }
    broker.start_again();
    let mut client = broker.broker().connect();
    let there: Vec<u32> =
        wait.queues().iter().map(|name| client.queue_state(name).message_count).collect();
    println!("{wait:?}, killed after {after:?}: {there:?} were there");
    expect_each_once(&mut client, wait);
    for name in [SOURCE, TARGET] {
        client.call(queue::delete(name));
    }
    client.call(exchange::delete(EXCHANGE));
    client.close();
}

/// Fetches until as many have come as there were, and then what there is more.
fn expect_each_once(client: &mut RawClient, wait: Wait) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut fetched = 0;
    let deadline = Deadline::within("every message that waited", TO_RUN);
    loop {
        let wanted = fetched < MESSAGES;
        for name in wait.queues() {
            let bodies = client.drain(name);
            fetched += bodies.len();
            bodies.into_iter().for_each(|body| *seen.entry(body).or_default() += 1);
        }
        if !wanted {
            break;
        }
        assert!(!deadline.has_passed(), "{fetched} messages of {MESSAGES} came");
        let_pass(Duration::from_millis(20));
    }
    for number in 0..MESSAGES {
        let times = seen.get(&body(number)).copied().unwrap_or(0);
        assert_eq!(times, 1, "message {number} is there {times} times");
    }
    assert_eq!(fetched, MESSAGES);
}

fn kill_again_and_again(config: &str) {
    let mut random = seeded(config);
    for wait in [Wait::Delay, Wait::Time, Wait::Retry, Wait::Room] {
        let mut broker = BrokerUnderTest::start_with(config);
        for _ in 0..lives("LEVERET_CRASH_RUNS", 2) {
            let after = DUE_WITHIN.mul_f64(random.random_range(0.0..1.2));
            kill_while_waiting(&mut broker, wait, after);
        }
        broker.assert_no_panic();
    }
}

#[test]
fn what_waits_comes_once_whenever_the_broker_dies() {
    kill_again_and_again("message_store = log\n");
}

#[test]
fn what_waits_on_the_disk_comes_once_whenever_the_broker_dies() {
    kill_again_and_again("message_memory.queue = 64KiB\n");
}
