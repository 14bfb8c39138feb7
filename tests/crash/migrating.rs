//! `leveret migrate`, killed again and again and run once more: every message is at the new broker once, in its
//! order and as it was published, and none is left at the old one.
//!
//! From one of ours to another; by hand from RabbitMQ, with `LEVERET_PEER` its AMQP and `LEVERET_PEER_HTTP`
//! its management.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest, built};
use leveret_tests::deadline::{Deadline, TO_RUN, exit_of, let_pass, run, wait_within};
use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, exchange, queue};
use leveret_tests::raw_client::reply::Fetched;
use leveret_tests::raw_client::{Flag, Message, RawClient, Value};
use rand::Rng;

use crate::campaign::{lives, seeded};

/// How many queues, and messages in each.
const QUEUES: usize = 3;
const MESSAGES: usize = 4000;
/// The one of them that is a quorum queue.
const QUORUM: usize = 1;
/// A run is killed so soon after it was seen to have moved something: within a step, or between two.
const KILLED_WITHIN: Duration = Duration::from_millis(40);
const MANAGEMENT: &str = "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = 0\n";

fn name(number: usize) -> String {
    format!("to-move-{number}")
}

/// Messages of every kind: with and without properties, persistent and not, large and empty, of other
/// exchanges, and many that are the same.
fn message(number: usize) -> Message {
    let body = match number % 5 {
        0 => String::new(),
        1 => "the same".to_owned(),
        2 => format!("{number} {}", "x".repeat(6000)),
        _ => format!("{number}"),
    };
    let properties = Properties {
        content_type: number.is_multiple_of(2).then(|| "text/plain".to_owned()),
        delivery_mode: Some(if number.is_multiple_of(7) { 1 } else { 2 }),
        priority: number.is_multiple_of(3).then_some(3),
        correlation_id: Some(format!("c-{number}")).filter(|_| number % 5 != 1),
        timestamp: number.is_multiple_of(11).then_some(1_700_000_000),
        kind: number.is_multiple_of(4).then(|| "kind".to_owned()),
        ..Properties::default()
    };
    let message = Message::to("ways", "a.key").body(body).properties(properties);
    match number % 4 {
        0 => message.header("CC", Value::Array(vec![Value::from("elsewhere")])),
        1 => message.header("number", 7_i32).header("text", "ü"),
        _ => message,
    }
}

fn fill(broker: &Broker) {
    let mut client = broker.connect();
    client.call(exchange::declare("ways", "topic").with(Flag::Durable));
    for number in 0..QUEUES {
        let name = name(number);
        let mut declare = queue::declare(&name).with(Flag::Durable);
        if number == QUORUM {
            declare = declare.arg("x-queue-type", "quorum");
        }
        client.call(declare);
        client.call(queue::bind(&name, "ways", "a.#"));
    }
    (0..MESSAGES).for_each(|number| client.publish(&message(number)));
    let count = u32::try_from(MESSAGES).expect("few");
    (0..QUEUES).for_each(|number| client.expect_count(&name(number), count));
    client.close();
}

/// All there is, settled.
fn drained(client: &mut RawClient, queue: &str) -> Vec<Fetched> {
    let mut all = Vec::new();
    let deadline = Deadline::within("the last message", TO_RUN);
    loop {
        deadline.check();
        let reply = client.call(basic::get(queue).with(Flag::NoAck));
        if reply.id == basic::GET_EMPTY {
            return all;
        }
        all.push(reply.fetched());
    }
}

/// The messages as a queue has them: a quorum queue hands out those of a low priority last.
fn in_order(is_quorum: bool) -> impl Iterator<Item = usize> {
    let is_low = move |number: &usize| is_quorum && number.is_multiple_of(3);
    (0..MESSAGES).filter(move |number| !is_low(number)).chain((0..MESSAGES).filter(is_low))
}

/// Where the old broker is: its management and its AMQP.
struct Source {
    _ours: Option<BrokerUnderTest>,
    broker: Broker,
    management: String,
}

impl Source {
    fn start() -> Self {
        if let (Some(broker), Ok(management)) = (Broker::peer(), std::env::var("LEVERET_PEER_HTTP"))
        {
            return Self { _ours: None, broker, management };
        }
        let ours = BrokerUnderTest::start_with(MANAGEMENT);
        let management = format!("http://guest:guest@{}", ours.management());
        Self { broker: ours.broker(), management, _ours: Some(ours) }
    }

    fn migration(&self, to: &BrokerUnderTest) -> Command {
        let socket = to.data_directory().join("leveret.sock");
        let mut command = Command::new(built("leveret"));
        command
            .args(["migrate", "--queues", "^to-move-", "--from", &self.management, "--socket"])
            .arg(socket)
            .args(["--from-amqp", &self.broker.url()]);
        command
    }

    fn begin(&self, to: &BrokerUnderTest) -> Child {
        let mut command = self.migration(to);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }
}

/// How many messages the new broker has.
fn moved(target: &BrokerUnderTest) -> u32 {
    let mut client = target.broker().connect();
    let mut count = 0;
    for name in (0..QUEUES).map(name) {
        if client.queue_exists(&name) {
            count += client.queue_state(&name).message_count;
        }
    }
    client.close();
    count
}

#[test]
fn a_migration_that_is_killed_loses_and_doubles_nothing() {
    let mut random = seeded("migration");
    let source = Source::start();
    fill(&source.broker);
    let target = BrokerUnderTest::start();
    for _ in 0..lives("LEVERET_CRASH_RUNS", 5) {
        let before = moved(&target);
        let mut running = source.begin(&target);
        wait_within("a migration that moves something", TO_RUN, || {
            let has_ended = running.try_wait().expect("a child").is_some();
            (has_ended || moved(&target) > before).then_some(())
        });
        let_pass(KILLED_WITHIN.mul_f64(random.random_range(0.0..1.0)));
        running.kill().expect("it can be killed");
        exit_of("a killed migration", &mut running, TO_RUN);
    }
    assert!(moved(&target) > 0, "it was interrupted");
    let output = run(&mut source.migration(&target));
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    assert!(output.status.success(), "{output:?}");
    assert!(told.trim_end().ends_with("all is there"), "{told}");

    let mut old = source.broker.connect();
    let mut new = target.broker().connect();
    for number in 0..QUEUES {
        let queue = name(number);
        assert_eq!(drained(&mut old, &queue), [], "nothing is left");
        let found = drained(&mut new, &queue);
        for (expected, found) in in_order(number == QUORUM).zip(&found) {
            let (number, expected) = (expected, message(expected));
            let given = (&*found.exchange, &*found.routing_key, &found.content.body);
            assert_eq!(given, ("ways", "a.key", &expected.body), "message {number} of {queue}");
            assert_eq!(
                found.content.properties, expected.properties,
                "message {number} of {queue}"
            );
        }
        assert_eq!(found.len(), MESSAGES, "{queue}");
        old.call(queue::delete(&queue));
    }
    new.expect_no_queue("elsewhere");
    target.assert_no_panic();
}
