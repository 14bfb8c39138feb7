//! Budgets of bytes: publishers of a queue or a vhost that holds too much wait, nothing is lost, and
//! nobody else notices. The alarms themselves are in `memory_alarm` and `parked`.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{PATIENCE, wait_until};
use leveret_tests::metrics;
use leveret_tests::raw_client::method::{basic, connection, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

const FULL: &str = "full";
const BODY: usize = 1000;
const BUDGET: usize = 100 * BODY;
/// What is sent: the budget, what is taken of a client that was only just told, and more.
const SENT: u32 = 3000;
/// The budget, a thousand publishes, and what one read holds.
const HELD_MAX: u32 = 100 + 1000 + 200;

fn fill(client: &mut RawClient, count: u32) {
    let message = Message::to_queue(FULL).body(vec![b'x'; BODY]).encode(131_072);
    client.send_bytes(&message.repeat(count as usize));
}

fn why(client: &mut RawClient) -> String {
    let reply = client.skip_to(connection::BLOCKED);
    String::from_utf8(reply.arguments.get(1..).unwrap_or_default().to_vec()).expect("text")
}

/// Publishes and consumes meanwhile.
struct Bystander(RawClient);

impl Bystander {
    fn new(broker: &BrokerUnderTest) -> Self {
        let mut client = broker.broker().connect();
        client.call(queue::declare("beside"));
        Self(client)
    }

    fn goes_on(&mut self) {
        for _ in 0..10 {
            self.0.publish(&Message::to_queue("beside").body("y"));
            self.0.round_trip(b"beside");
        }
    }
}

fn drain(consumer: &mut RawClient, count: u32) {
    consumer.call(basic::consume(FULL, "drains").with(Flag::NoAck));
    for _ in 0..count {
        consumer.expect_delivery();
    }
    consumer.call(basic::cancel("drains"));
}

#[test]
fn publishers_of_a_queue_that_holds_too_much_wait_until_there_is_room() {
    let mut broker = BrokerUnderTest::start_with(metrics::CONFIG);
    let mut bystander = Bystander::new(&broker);
    let mut publisher = broker.broker().connect();
    publisher.call(queue::declare(FULL).arg("x-max-held-bytes", BUDGET as i64));
    fill(&mut publisher, SENT);
    assert_eq!(why(&mut publisher), "queue 'full' in vhost '/' is over its max-held-bytes");
    let blocked = "leveret_connections{state=\"blocked\",cause=\"max_held_bytes\"} 1";
    wait_until("the metric", || metrics::scrape(&broker).contains(blocked));
    bystander.goes_on();
    let held = bystander.0.queue_state(FULL).message_count;
    assert!((100..=HELD_MAX).contains(&held), "{held} are held");
    drain(&mut broker.broker().connect(), SENT);
    publisher.skip_to(connection::UNBLOCKED);
    publisher.publish(&Message::to_queue(FULL).body("z"));
    bystander.0.expect_count(FULL, 1);
    let running = "leveret_connections{state=\"running\",cause=\"none\"} 2";
    wait_until("the metric", || metrics::scrape(&broker).contains(running));
    broker.assert_sound();
}

#[test]
fn unsettled_deliveries_are_held_too_and_a_client_that_consumes_goes_on() {
    let mut broker = BrokerUnderTest::start();
    let mut client = broker.broker().connect();
    client.call(queue::declare(FULL).arg("x-max-held-bytes", BUDGET as i64));
    client.call(basic::consume(FULL, "own"));
    let mut other = broker.broker().connect();
    fill(&mut other, 150);
    assert!(why(&mut other).contains("max-held-bytes"));
    // Handed out, every one of them, and all the same held: its own publishes and acks are taken.
    fill(&mut client, SENT);
    let mut tag = 0;
    for _ in 0..SENT + 150 {
        tag = client.skip_to(basic::DELIVER).delivery().delivery_tag;
    }
    client.send(basic::ack(tag).with(Flag::Multiple));
    other.skip_to(connection::UNBLOCKED);
    client.skip_to(connection::UNBLOCKED);
    client.round_trip(b"goes on");
    broker.assert_sound();
}

#[test]
fn a_vhost_has_a_budget_of_all_its_queues_and_a_policy_gives_one_to_each() {
    let directory = tempfile::TempDir::with_prefix("leveret-held-").expect("a directory");
    let file = directory.path().join("definitions.json");
    let text = format!(
        r#"{{"vhosts": [{{"name": "/"}}],
        "users": [{{"name": "guest", "password": "guest", "tags": ["administrator"]}}],
        "permissions": [
            {{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}}],
        "parameters": [{{"vhost": "/", "component": "vhost-limits", "name": "limits",
            "value": {{"max-held-bytes": {BUDGET}}}}}],
        "policies": [{{"vhost": "/", "name": "p", "pattern": "^governed$", "apply-to": "queues",
            "priority": 0, "definition": {{"max-held-bytes": 10}}}}]}}"#
    );
    std::fs::write(&file, text).expect("a writable file");
    let config = format!("load_definitions = {}\n", file.display());
    let mut broker = BrokerUnderTest::start_with(&config);
    let mut publisher = broker.broker().connect();
    publisher.call(queue::declare("governed").with(Flag::Durable));
    publisher.publish(&Message::to_queue("governed").body("more than ten bytes").persistent());
    assert_eq!(why(&mut publisher), "queue 'governed' in vhost '/' is over its max-held-bytes");
    let mut other = broker.broker().connect();
    other.call(queue::declare(FULL).with(Flag::Durable));
    let message = Message::to_queue(FULL).body(vec![b'x'; BODY]).persistent().encode(131_072);
    other.send_bytes(&message.repeat(150));
    assert_eq!(why(&mut other), "vhost '/' is over its max-held-bytes");
    // What is held is held after a restart, too.
    drop((publisher, other));
    assert!(broker.terminate(PATIENCE).success());
    broker.start_again();
    let mut third = broker.broker().connect();
    third.publish(&Message::to_queue(FULL).body("one more"));
    assert_eq!(why(&mut third), "vhost '/' is over its max-held-bytes");
    third.call(queue::purge(FULL));
    third.skip_to(connection::UNBLOCKED);
    third.publish(&Message::to_queue("governed").body("x"));
    assert!(why(&mut third).contains("queue 'governed'"));
    third.call(queue::delete("governed"));
    third.skip_to(connection::UNBLOCKED);
    third.round_trip(b"goes on");
    broker.assert_sound();
}
