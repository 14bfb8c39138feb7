//! The broker is killed while it deletes a vhost: afterwards the vhost is whole or gone, never in part,
//! and what else there is has not been touched.

use std::thread;
use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{PATIENCE, join, let_pass, wait_within};
use leveret_tests::http::{HttpClient, Place};
use leveret_tests::raw_client::method::queue;
use leveret_tests::raw_client::{Flag, Handshake, RawClient};
use serde_json::json;

const VHOST: &str = "doomed";
const QUEUES: usize = 60;
const BODIES: [&str; 5] = ["1", "2", "3", "4", "5"];
/// How long after the deletion was asked for the broker is killed: while it notes it, while connections
/// are ended, while messages and definitions go.
const KILLED_AFTER_MS: [u64; 5] = [0, 2, 5, 12, 30];

fn name(number: usize) -> String {
    format!("q{number}")
}

fn management(broker: &BrokerUnderTest) -> HttpClient {
    let place = Place::Local(broker.data_directory().join("leveret.sock"));
    HttpClient { place, authorization: None }
}

fn connect_to(broker: &Broker, vhost: &str) -> RawClient {
    broker.connect_as(&Handshake { vhost: vhost.to_owned(), ..broker.handshake() })
}

fn fill(broker: &BrokerUnderTest) {
    let queues: Vec<_> = (0..QUEUES)
        .map(|number| json!({"name": name(number), "vhost": VHOST, "durable": true}))
        .collect();
    let guest =
        json!({"user": "guest", "vhost": VHOST, "configure": ".*", "write": ".*", "read": ".*"});
    let document = json!({"vhosts": [{"name": VHOST}], "queues": queues, "permissions": [guest]});
    management(broker).ask("POST", "/api/definitions", &document.to_string()).expect(204);
    let mut client = connect_to(&broker.broker(), VHOST);
    (0..QUEUES).for_each(|number| client.fill_persistent(&name(number), &BODIES));
    client.close();
}

/// Asks for the deletion, and kills the broker before it can be told that it is done, or after.
fn kill_while_deleting(broker: &mut BrokerUnderTest, after: Duration) {
    let management = management(broker);
    let path = format!("/api/vhosts/{VHOST}");
    // The broker hangs up on whoever asks it when it dies.
    let asked = thread::spawn(move || {
        std::panic::catch_unwind(|| management.ask("DELETE", &path, "").status).ok()
    });
    let_pass(after);
    broker.kill();
    join("whoever asked", asked);
}

fn is_there(broker: &BrokerUnderTest) -> bool {
    let status = management(broker).ask("GET", &format!("/api/vhosts/{VHOST}"), "").status;
    assert!([200, 404].contains(&status), "{status}");
    status == 200
}

/// The vhost is whole, as if nobody had asked.
fn assert_whole(broker: &Broker) {
    let mut client = connect_to(broker, VHOST);
    for number in 0..QUEUES {
        let there = client.queue_state(&name(number)).message_count;
        assert_eq!(there as usize, BODIES.len(), "messages in {}", name(number));
    }
    client.close();
}

/// Nothing of the vhost is left for one that is made with its name.
fn assert_gone(broker: &BrokerUnderTest) {
    let management = management(broker);
    let path = format!("/api/vhosts/{VHOST}");
    // What the next start finishes has the name until then.
    let made = || (management.ask("PUT", &path, "").status == 201).then_some(());
    wait_within("the name is free", PATIENCE, made);
    let queues = management.ask("GET", &format!("/api/queues/{VHOST}"), "").expect(200);
    assert_eq!(queues.json(), json!([]));
    management.ask("DELETE", &path, "").expect(204);
}

#[test]
fn a_vhost_that_is_deleted_when_the_broker_dies_is_whole_or_gone() {
    let mut broker = BrokerUnderTest::start();
    let mut other = broker.broker().connect();
    other.call(queue::declare("kept").with(Flag::Durable));
    other.fill_persistent("kept", &BODIES);
    other.close();
    for after in KILLED_AFTER_MS.map(Duration::from_millis) {
        if !is_there(&broker) {
            fill(&broker);
        }
        kill_while_deleting(&mut broker, after);
        broker.start_again();
        if is_there(&broker) {
            assert_whole(&broker.broker());
        } else {
            assert_gone(&broker);
        }
        let kept = broker.broker().connect().queue_state("kept").message_count;
        assert_eq!(kept as usize, BODIES.len());
    }
    broker.assert_sound();
}
