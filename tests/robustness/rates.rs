//! Limits of how fast publishers may publish: who is too fast waits, loses nothing, and holds up nobody.

use std::time::{Duration, Instant};

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::certificates::written;
use leveret_tests::deadline::wait_until;
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Handshake, Message, RawClient};
use tempfile::TempDir;

/// Messages a second.
const RATE: u32 = 200;
/// What may come at once: a second's worth, of which one publisher sends this much more.
const MORE: u32 = 200;

/// Publishes in small pieces, so that one read does not hold all of it, and waits until all took effect.
fn publish(client: &mut RawClient, queue: &str, count: u32, size: usize) -> Duration {
    let started = now();
    let one = Message::to_queue(queue).body(vec![b'x'; size]).encode(131_072);
    for _ in 0..count / 20 {
        client.send_bytes(&one.repeat(20));
        // What was sent before has been handled when this is answered.
        client.call(basic::qos(1));
    }
    client.expect_count(queue, count);
    started.elapsed()
}

/// What is beyond the first second's worth takes its time, and not much more; half as long is allowed
/// for what a read brings at once.
fn assert_paced(what: &str, took: Duration, more: u32) {
    let least = Duration::from_secs(1) * more / RATE;
    assert!(took > least / 2, "{what}: {took:?}");
    assert!(took < least + Duration::from_secs(20), "{what}: {took:?}");
}

fn bystander_is_served(broker: &Broker, since: Instant) {
    let mut other = broker.connect();
    other.round_trip(b"beside");
    assert!(since.elapsed() < Duration::from_secs(20));
}

/// By its argument; others that publish elsewhere are not held, and heartbeats are kept.
#[test]
fn a_queue_is_given_no_more_than_it_may_be() {
    let mut under_test = BrokerUnderTest::start();
    let broker = under_test.broker();
    let handshake = Handshake { heartbeat: 1, ..broker.handshake() };
    let mut client = broker.connect_as(&handshake);
    client.call(queue::declare("slow").arg("x-max-publish-rate", i64::from(RATE)));
    client.call(
        queue::declare("full")
            .arg("x-overflow", "reject-publish")
            .arg("x-max-length", 1000)
            .arg("x-max-publish-rate", i64::from(RATE)),
    );
    let began = now();
    assert_paced("a queue", publish(&mut client, "slow", RATE + MORE, 10), MORE);
    bystander_is_served(&broker, began);
    assert_paced("one that may refuse", publish(&mut client, "full", RATE + MORE, 10), MORE);
    assert_eq!(client.drain("slow").len(), (RATE + MORE) as usize, "nothing is lost");
    under_test.assert_sound();
}

#[test]
fn bytes_are_counted_as_well() {
    let mut under_test = BrokerUnderTest::start();
    let mut client = under_test.broker().connect();
    let size = 1000;
    let rate = i64::from(RATE) * 1000;
    client.call(queue::declare("bytes").arg("x-max-publish-byte-rate", rate));
    assert_paced("bytes", publish(&mut client, "bytes", RATE + MORE, size), MORE);
    under_test.assert_sound();
}

/// A user and a vhost with limits, as they are loaded.
fn definitions() -> String {
    format!(
        r#"{{"vhosts": [{{"name": "/"}}, {{"name": "slow"}}],
            "users": [{{"name": "guest", "password": "guest", "tags": ["administrator"]}},
                      {{"name": "slow", "password": "slow", "tags": [],
                        "limits": {{"max-publish-rate": {RATE}}}}}],
            "parameters": [{{"vhost": "slow", "component": "vhost-limits", "name": "limits",
                             "value": {{"max-publish-rate": {RATE}}}}}],
            "permissions": [
              {{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}},
              {{"user": "guest", "vhost": "slow", "configure": ".*", "write": ".*", "read": ".*"}},
              {{"user": "slow", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}}]}}"#
    )
}

/// Two connections of one share its limit; a third of another user has none.
#[test]
fn users_and_vhosts_share_their_limits_among_their_connections() {
    let directory = TempDir::with_prefix("leveret-rates-").expect("a temporary directory");
    let path = written(directory.path(), "definitions.json", &definitions());
    let config = format!("load_definitions = {}\n", path.display());
    let mut under_test = BrokerUnderTest::start_with(&config);
    let broker = under_test.broker();
    let in_slow = Handshake { vhost: "slow".to_owned(), ..broker.handshake() };
    for (what, handshake) in [("user", Handshake::plain("slow", "slow")), ("vhost", in_slow)] {
        let mut clients = [broker.connect_as(&handshake), broker.connect_as(&handshake)];
        let began = now();
        for (count, client) in clients.iter_mut().enumerate() {
            let name = format!("{what}-{count}");
            client.call(queue::declare(&name).with(Flag::Exclusive));
            publish(client, &name, (RATE + MORE) / 2, 10);
        }
        assert_paced(what, began.elapsed(), MORE);
    }
    let mut free = broker.connect();
    free.call(queue::declare("free").with(Flag::Exclusive));
    let took = publish(&mut free, "free", RATE + MORE, 10);
    println!("without a limit: {took:?}");
    under_test.assert_sound();
}

/// What is parked is let in at the end.
#[test]
fn who_closes_is_not_held() {
    let mut under_test = BrokerUnderTest::start();
    let broker = under_test.broker();
    let mut client = broker.connect();
    client.call(queue::declare("never").arg("x-max-publish-rate", 1));
    let one = Message::to_queue("never").body("x").encode(131_072);
    let mut other = broker.connect();
    client.send_bytes(&one.repeat(100));
    wait_until("the first read took effect", || other.queue_state("never").message_count > 0);
    // What was not in it waits for a minute and a half, unless it closes.
    client.send_bytes(&one.repeat(100));
    client.close();
    other.expect_count("never", 200);
    under_test.assert_sound();
}
