//! SIGKILL while a queue serves by groups: afterwards there is of each group what was not settled, in
//! order and once.
//!
//! `LEVERET_CRASH_RUNS` sets how often, as for the other kills.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{join_scoped, let_pass};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient, Value};
use rand::Rng;

use crate::campaign::{lives, seeded};

const QUEUE: &str = "grouped";
const GROUPS: usize = 20;
const MESSAGES: usize = 2000;
const CONSUMERS: usize = 4;
const KILLED_WITHIN: Duration = Duration::from_millis(150);

/// Where a message stands: its group, and its place in it.
type Place = (usize, usize);

fn place(number: usize) -> Place {
    (number % GROUPS, number / GROUPS)
}

fn place_of(body: &str) -> Place {
    let number = body.split(' ').next().and_then(|number| number.parse().ok());
    place(number.expect("a number"))
}

fn fill(client: &mut RawClient) {
    client.call(queue::declare(QUEUE).with(Flag::Durable).arg("x-message-group", "group"));
    client.select_confirms();
    for number in 0..MESSAGES {
        let (group, _) = place(number);
        let message = Message::to_queue(QUEUE).persistent();
        let group = Value::Int(i32::try_from(group).expect("few"));
        let body = format!("{number} {}", "x".repeat(number % 700));
        client.publish(&message.header("group", group).body(body));
    }
    client.expect_confirmed_up_to(1, MESSAGES as u64);
}

/// Acknowledges what comes, one by one, until the broker is gone. Returns what came.
fn acknowledge_all(mut client: RawClient) -> Vec<Place> {
    let mut came = Vec::new();
    while let Ok(reply) = client.read_reply(now() + Duration::from_secs(2)) {
        let delivery = reply.delivery();
        came.push(place_of(&delivery.text()));
        if !client.try_send_bytes(&basic::ack(delivery.delivery_tag).frame()) {
            break;
        }
    }
    came
}

/// How many of each group were handled before the end; each consumer had its own in order.
fn handled(consumers: &[Vec<Place>]) -> [usize; GROUPS] {
    let mut counts = [0; GROUPS];
    let mut places: Vec<Place> = consumers.concat();
    for came in consumers {
        let mut last = [None; GROUPS];
        for (group, place) in came {
            assert!(last[*group] < Some(*place), "{place} of group {group} came out of order");
            last[*group] = Some(*place);
        }
    }
    places.sort_unstable();
    for (group, place) in places {
        assert_eq!(place, counts[group], "of group {group} it came twice, or one was left out");
        counts[group] += 1;
    }
    counts
}

fn kill_while_serving(broker: &mut BrokerUnderTest, after: Duration) {
    fill(&mut broker.broker().connect());
    let consumers: Vec<RawClient> = (0..CONSUMERS)
        .map(|_| {
            let mut client = broker.broker().connect();
            client.call(basic::qos(7));
            client.consume(QUEUE);
            client
        })
        .collect();
    let came: Vec<Vec<Place>> = std::thread::scope(|scope| {
        let consuming = |client| scope.spawn(|| acknowledge_all(client));
        let threads: Vec<_> = consumers.into_iter().map(consuming).collect();
        let_pass(after);
        broker.kill();
        threads.into_iter().map(|thread| join_scoped("a consumer", thread)).collect()
    });
    let handled = handled(&came);
    broker.start_again();
    let mut client = broker.broker().connect();
    let left = client.drain(QUEUE);
    let settled: usize = handled.iter().sum();
    println!("killed after {after:?}: {settled} acknowledged, {} left", left.len());
    let mut next = [None; GROUPS];
    for body in left {
        let (group, place) = place_of(&body);
        match next[group] {
            Some(expected) => assert_eq!(place, expected, "of group {group}"),
            // An acknowledgement may have been under way: then the message is there again.
            None => assert!(place <= handled[group], "of group {group}: {place} is the first"),
        }
        next[group] = Some(place + 1);
    }
    for (group, next) in next.into_iter().enumerate() {
        let whole = MESSAGES / GROUPS;
        let end = next.unwrap_or(whole);
        assert_eq!(end, whole, "the end of group {group} is lost");
        assert!(next.is_some() || handled[group] == whole, "group {group} is lost");
    }
    client.call(queue::delete(QUEUE));
    client.close();
}

fn kill_again_and_again(config: &str) {
    let mut random = seeded(config);
    let mut broker = BrokerUnderTest::start_with(config);
    for _ in 0..lives("LEVERET_CRASH_RUNS", 3) {
        let after = KILLED_WITHIN.mul_f64(random.random_range(0.0..1.0));
        kill_while_serving(&mut broker, after);
    }
    broker.assert_no_panic();
}

#[test]
fn groups_are_whole_and_in_order_whenever_the_broker_dies() {
    kill_again_and_again("message_store = log\n");
}

#[test]
fn groups_of_a_queue_on_disk_are_whole_and_in_order_whenever_the_broker_dies() {
    kill_again_and_again("message_memory.queue = 64KiB\n");
}
