//! Clients that come and say nothing, more than there may be, from one address: whoever means it gets
//! in, and whoever is in notices nothing.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{PATIENCE, let_pass, wait_until};
use leveret_tests::now;
use leveret_tests::raw_client::handshake::PROTOCOL_HEADER;
use leveret_tests::raw_client::method::queue;
use leveret_tests::raw_client::{Flag, RawClient, ReadEnd};

/// How many there may be.
const MOST: usize = 8;
/// How long everybody has.
const GRACE: Duration = Duration::from_secs(1);

fn start(more: &str) -> BrokerUnderTest {
    BrokerUnderTest::start_with(&format!(
        "handshake_max = {MOST}\nhandshake_timeout = 60000\n{more}"
    ))
}

/// Sockets of which half say nothing and half say hello.
fn silent(broker: &BrokerUnderTest, count: usize) -> Vec<RawClient> {
    let open = |number: usize| {
        let mut client = broker.broker().socket();
        if number.is_multiple_of(2) {
            client.try_send_bytes(PROTOCOL_HEADER);
        }
        client
    };
    (0..count).map(open).collect()
}

fn is_closed(client: &mut RawClient) -> bool {
    let end = client.read_frame(now() + Duration::from_millis(1));
    // Whoever said hello has an answer waiting.
    let end = if end.is_ok() { client.read_frame(now() + Duration::from_millis(1)) } else { end };
    matches!(end, Err(ReadEnd::Closed))
}

#[test]
fn whoever_means_it_gets_in_past_those_who_say_nothing() {
    let mut broker = start("");
    let mut bystander = broker.broker().connect();
    let mut flood = silent(&broker, 3 * MOST);
    for _ in 0..5 {
        bystander.round_trip(b"beside");
        let started = now();
        let mut client = broker.broker().connect();
        client.round_trip(b"in");
        assert!(started.elapsed() < PATIENCE / 2, "in after {:?}", started.elapsed());
    }
    wait_until("most of them go", || {
        flood.retain_mut(|client| !is_closed(client));
        flood.len() <= MOST
    });
    broker.expect_line(&["too many connections are not open yet"]);
    drop(flood);
    broker.assert_sound();
}

#[test]
fn one_address_does_not_take_all_places_and_those_who_are_quick_are_left_alone() {
    let mut broker = start("handshake_max_per_address = 2\n");
    let mut first = silent(&broker, 2);
    let_pass(GRACE + Duration::from_millis(300));
    assert!(!first.iter_mut().any(is_closed), "there is room for them");
    let _more = silent(&broker, 2);
    wait_until("the first two go", || first.iter_mut().all(is_closed));
    // A crowd of clients that come at once is no flood.
    let mut clients: Vec<RawClient> = (0..2 * MOST).map(|_| broker.broker().connect()).collect();
    for client in &mut clients {
        client.call(queue::declare("").with(Flag::Exclusive));
    }
    broker.assert_sound();
}
