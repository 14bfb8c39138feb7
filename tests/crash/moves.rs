//! SIGKILL while messages move from queue to queue: each is in one of them afterwards, and in one
//! only.
//!
//! `LEVERET_CRASH_RUNS` sets how often, as for the other kills.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{join_scoped, let_pass};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, RawClient};
use rand::Rng;

use crate::campaign::{lives, seeded};

const MESSAGES: usize = 2000;
const SOURCE: &str = "source";
const TARGET: &str = "target";
/// Time enough to publish all of them.
const TTL_MS: i32 = 1500;
/// Within it a good part of them has moved, and rarely all.
const KILLED_WITHIN: Duration = Duration::from_millis(60);

/// What makes messages move.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Rejected,
    Expired,
}

fn declare(client: &mut RawClient, cause: Cause) {
    let mut source = queue::declare(SOURCE).with(Flag::Durable).arg("x-dead-letter-exchange", "");
    source = source.arg("x-dead-letter-routing-key", TARGET);
    if let Cause::Expired = cause {
        source = source.arg("x-message-ttl", TTL_MS);
    }
    client.call(source);
    client.declare_queue(TARGET);
}

/// Rejects whatever comes until the broker is gone.
fn reject_all(mut client: RawClient) {
    while let Ok(reply) = client.read_reply(now() + Duration::from_secs(2)) {
        let reject = basic::reject(reply.delivery().delivery_tag);
        if !client.try_send_bytes(&reject.frame()) {
            return;
        }
    }
}

fn kill_while_moving(broker: &mut BrokerUnderTest, cause: Cause, after: Duration) {
    let begun = now();
    let bodies: Vec<String> =
        (0..MESSAGES).map(|n| format!("{n} {}", "x".repeat(n % 700))).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let mut client = broker.broker().connect();
    declare(&mut client, cause);
    client.fill_persistent(SOURCE, &bodies);
    match cause {
        Cause::Rejected => std::thread::scope(|scope| {
            let mut rejecting = broker.broker().connect();
            rejecting.call(basic::qos(100));
            rejecting.consume(SOURCE);
            let thread = scope.spawn(|| reject_all(rejecting));
            let_pass(after);
            broker.kill();
            join_scoped("whoever rejects", thread);
        }),
        Cause::Expired => {
            let ttl = Duration::from_millis(u64::try_from(TTL_MS).expect("positive"));
            let_pass((ttl + after).saturating_sub(now() - begun));
            broker.kill();
        }
    }
    broker.start_again();
    let mut client = broker.broker().connect();
    if let Cause::Expired = cause {
        client.expect_count(TARGET, u32::try_from(MESSAGES).expect("few"));
    }
    let (rest, moved) = (client.drain(SOURCE), client.drain(TARGET));
    println!("{cause:?}, killed after {after:?}: {} stayed, {} moved", rest.len(), moved.len());
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    rest.iter().chain(&moved).for_each(|body| *seen.entry(body).or_default() += 1);
    for body in &bodies {
        let times = seen.get(body).copied().unwrap_or(0);
        assert_eq!(times, 1, "message {:?} is there {times} times", body.split(' ').next());
    }
    assert_eq!(rest.len() + moved.len(), MESSAGES);
    for name in [SOURCE, TARGET] {
        client.call(queue::delete(name));
    }
    client.close();
}

fn kill_again_and_again(config: &str) {
    let mut random = seeded(config);
    for cause in [Cause::Rejected, Cause::Expired] {
        let mut broker = BrokerUnderTest::start_with(config);
        for _ in 0..lives("LEVERET_CRASH_RUNS", 3) {
            let after = KILLED_WITHIN.mul_f64(random.random_range(0.0..1.0));
            kill_while_moving(&mut broker, cause, after);
        }
        broker.assert_no_panic();
    }
}

#[test]
fn a_dead_letter_is_in_one_queue_whenever_the_broker_dies() {
    kill_again_and_again("message_store = log\n");
}

#[test]
fn a_dead_letter_whose_body_has_to_be_read_is_in_one_queue_whenever_the_broker_dies() {
    kill_again_and_again("message_memory.queue = 64KiB\n");
}
