//! Clients that are not read from, because an alarm is raised or because they do not read what they
//! are owed: they live, cost nothing, may close, and hear what they have to hear.

use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{Deadline, PATIENCE, let_pass, wait_until};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, connection, queue};
use leveret_tests::raw_client::{Flag, Handshake, Message, RawClient};

/// Publishes of a client that are taken after it was told of an alarm.
const TAKEN_UNDER_ALARM: u32 = 1000;
const FILLED: &str = "filled";
const NEWS: &str = "news";
/// Processor time that a second of a parked connection may cost; a task that spins takes all of it.
const COST_MAX: Duration = Duration::from_millis(500);

/// A client that was told that it is blocked and whose publishes are no longer taken.
fn parked(broker: &Broker, confirms: bool) -> RawClient {
    let handshake = Handshake { heartbeat: 1, ..broker.handshake() };
    let mut client = broker.connect_as(&handshake);
    client.call(basic::consume(NEWS, "news"));
    let own = format!("{FILLED}-{:?}", now());
    client.call(queue::declare(&own).with(Flag::Exclusive));
    if confirms {
        client.select_confirms();
    }
    let message = Message::to_queue(&own).body("x").encode(4096);
    client.send_bytes(&message.repeat(TAKEN_UNDER_ALARM as usize + 10));
    client.skip_to(connection::BLOCKED);
    client
}

/// The alarm of this configuration is raised.
fn alarmed(config: &str) -> (BrokerUnderTest, RawClient) {
    let broker = BrokerUnderTest::start_with(config);
    let mut other = broker.broker().connect();
    other.call(queue::declare(NEWS));
    wait_until("an alarm", || broker.printed().contains("resource alarm"));
    (broker, other)
}

/// The alarms that there are, and how each is raised.
const ALARMS: [&str; 2] =
    ["vm_memory_high_watermark.absolute = 1\n", "disk_free_limit.absolute = 1000000TB\n"];

#[test]
fn a_parked_client_is_sent_heartbeats_and_costs_nothing() {
    for config in ALARMS {
        let (mut broker, _other) = alarmed(config);
        let mut clients = [false, true].map(|confirms| parked(&broker.broker(), confirms));
        let before = broker.cpu_time();
        let beats = clients.each_ref().map(RawClient::heartbeats);
        let_pass(Duration::from_secs(1));
        let cost = broker.cpu_time().saturating_sub(before);
        assert!(cost < COST_MAX, "{cost:?} of processor time in a second of two parked clients");
        for (client, beats) in clients.iter_mut().zip(beats) {
            let deadline = Deadline::of("heartbeats of a parked client");
            while client.heartbeats() < beats + 3 {
                // Nothing else comes: what is read is counted.
                let _ = client.read_reply(now() + Duration::from_millis(100));
                deadline.check();
            }
        }
        broker.assert_no_panic();
        drop(clients);
        assert!(broker.terminate(PATIENCE).success());
    }
}

#[test]
fn a_parked_client_hears_of_its_queues_and_of_the_end() {
    for config in ALARMS {
        let (mut broker, mut other) = alarmed(config);
        let mut client = parked(&broker.broker(), false);
        other.call(queue::delete(NEWS));
        assert_eq!(client.skip_to(basic::CANCEL).consumer_tag(), "news");
        broker.ask_to_end();
        let close = client.skip_to(connection::CLOSE).close();
        assert_eq!(close.code, 320, "{close:?}");
        drop(client);
        assert!(broker.terminate(PATIENCE).success());
        broker.assert_no_panic();
    }
}

/// Nothing is read while an alarm is raised; so the close behind a publish was not seen, and the
/// client waited for its answer until the alarm was over.
#[test]
fn a_parked_client_may_close_and_what_it_sent_is_taken() {
    for config in ALARMS {
        let (mut broker, mut other) = alarmed(config);
        other.call(queue::declare(FILLED));
        let mut client = parked(&broker.broker(), false);
        client.publish(&Message::to_queue(FILLED).body("the last"));
        client.send(connection::close(200, "bye", (0, 0)));
        client.skip_to(connection::CLOSE_OK);
        other.expect_count(FILLED, 1);
        broker.assert_no_panic();
        drop(client);
        assert!(broker.terminate(PATIENCE).success());
    }
}

#[test]
fn a_parked_client_that_vanishes_is_forgotten() {
    let (broker, mut other) = alarmed(ALARMS[0]);
    let client = parked(&broker.broker(), false);
    assert_eq!(other.queue_state(NEWS).consumer_count, 1);
    drop(client);
    wait_until("the end of its consumer", || other.queue_state(NEWS).consumer_count == 0);
    broker.assert_no_panic();
}

/// So many bytes wait for a client before it is not read from any more, and a little more.
const OWED_MAX: u32 = 16 + 8;

/// One read of gets was answered whole, whatever the messages weighed.
#[test]
fn a_client_that_does_not_read_is_owed_a_bounded_amount() {
    let mut broker = BrokerUnderTest::start_with("message_memory.queue = 1GiB\n");
    let mut other = broker.broker().connect();
    other.call(queue::declare(FILLED));
    other.call(queue::declare(NEWS));
    let body = vec![b'x'; 1 << 20];
    let count = 60;
    for _ in 0..count {
        other.publish(&Message::to_queue(FILLED).body(&body));
    }
    other.expect_count(FILLED, count);
    let mut client = broker.broker().connect();
    client.call(basic::consume(NEWS, "news"));
    let get = basic::get(FILLED).with(Flag::NoAck).frame();
    client.send_bytes(&get.repeat(count as usize));
    wait_until("the first answers", || other.queue_state(FILLED).message_count < count - 8);
    let before = broker.cpu_time();
    let_pass(Duration::from_secs(1));
    let cost = broker.cpu_time().saturating_sub(before);
    assert!(cost < COST_MAX, "{cost:?} of processor time in a second of waiting");
    let taken = count - other.queue_state(FILLED).message_count;
    assert!(taken <= OWED_MAX + 8, "{taken} MiB were taken for a client that reads nothing");
    other.call(queue::delete(NEWS));
    client.send(connection::close(200, "bye", (0, 0)));
    let mut fetched = 0;
    let mut cancelled = false;
    let deadline = Deadline::of("all that is owed");
    loop {
        deadline.check();
        let reply = client.expect_any();
        match reply.id {
            basic::GET_OK => fetched += 1,
            basic::CANCEL => cancelled = true,
            connection::CLOSE_OK => break,
            _ => panic!("{reply}"),
        }
    }
    assert_eq!((fetched, cancelled), (count, true));
    broker.assert_sound();
}
