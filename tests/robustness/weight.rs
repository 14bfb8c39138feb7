//! Commands that touch very many messages or consumers: what a client on another queue sees meanwhile.
//!
//! The bounds are generous, for a debug build on a busy machine: they tell work that is linear and
//! done in pieces from work that is quadratic or holds everybody up.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{Deadline, TO_RUN, join_scoped, wait_until};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, channel, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

/// Messages that come back, or go.
const MESSAGES: u32 = 100_000;
const CONSUMERS: usize = 10_000;
/// The longest a client on another queue may wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs something beside a client that has to do with another queue, and asserts that it is served.
fn beside_a_bystander(broker: &Broker, what: &str, work: impl FnOnce() + Send) {
    let mut bystander = broker.connect();
    let longest = thread::scope(|scope| {
        let work = scope.spawn(work);
        let mut longest = Duration::ZERO;
        let deadline = Deadline::within(what, TO_RUN);
        while !work.is_finished() {
            deadline.check();
            let started = now();
            bystander.round_trip(b"me too");
            longest = longest.max(started.elapsed());
        }
        join_scoped(what, work);
        longest
    });
    assert!(longest < PATIENCE, "{what}: a client on another queue waited {longest:?}");
}

/// Publishes so many small messages.
fn publish(client: &mut RawClient, queue: &str, count: u32) {
    let one = Message::to_queue(queue).body("x").encode(131_072);
    for _ in 0..count / 1000 {
        client.send_bytes(&one.repeat(1000));
    }
    // Everything before it has taken effect.
    client.queue_state(queue);
}

/// A consumer without a limit that reads all it is sent and settles nothing.
fn hoarder(broker: &Broker, queue: &str) -> TcpStream {
    let mut client = broker.connect();
    client.consume(queue);
    let socket = client.into_socket();
    let mut reader = socket.try_clone().expect("a second handle of the socket");
    let deadline = Deadline::within("the end of a consumer's socket", TO_RUN);
    thread::spawn(move || {
        let mut scratch = vec![0; 1 << 16];
        // A read may find nothing for a while.
        while !deadline.has_passed() && !matches!(reader.read(&mut scratch), Ok(0)) {}
    });
    socket
}

fn expect_ready(client: &mut RawClient, queue: &str, count: u32) {
    wait_until(&format!("{count} messages in {queue}"), || {
        client.queue_state(queue).message_count == count
    });
}

/// Messages of two consumers alternate, so that whatever comes back of the one belongs between those
/// of the other: to search for every place made this quadratic, and nobody else was served.
#[test]
fn very_many_messages_come_back_and_go_in_silence() {
    let mut under_test = BrokerUnderTest::start();
    let broker = under_test.broker();
    let mut client = broker.connect();
    client.call(queue::declare("heavy"));
    let hoarders = [hoarder(&broker, "heavy"), hoarder(&broker, "heavy")];
    publish(&mut client, "heavy", MESSAGES);
    expect_ready(&mut client, "heavy", 0);
    beside_a_bystander(&broker, "both sockets end", || {
        for socket in &hoarders {
            socket.shutdown(Shutdown::Both).expect("a socket");
        }
        expect_ready(&mut client, "heavy", MESSAGES);
    });
    beside_a_bystander(&broker, "one channel takes all and gives it back", || {
        let mut taker = broker.connect();
        taker.consume("heavy");
        for _ in 0..MESSAGES {
            taker.expect_delivery();
        }
        taker.send(basic::nack(0).with(Flag::Multiple).with(Flag::Requeue));
        // In their order, whatever came back last.
        for tag in u64::from(MESSAGES) + 1..u64::from(MESSAGES) + 1000 {
            let delivery = taker.expect_delivery();
            assert_eq!((delivery.delivery_tag, delivery.redelivered), (tag, true));
        }
        taker.hang_up();
        expect_ready(&mut client, "heavy", MESSAGES);
    });
    beside_a_bystander(&broker, "everything is purged", || {
        let purged = client.call(queue::purge("heavy")).message_count();
        assert_eq!(purged, MESSAGES);
    });
    publish(&mut client, "heavy", MESSAGES);
    beside_a_bystander(&broker, "a long queue is deleted", || {
        assert_eq!(client.call(queue::delete("heavy")).message_count(), MESSAGES);
    });
    under_test.assert_sound();
}

/// Each of very many consumers of one queue holds a message; all are settled, cancelled, and, on
/// another channel, ended.
#[test]
fn very_many_consumers_are_served_settled_and_cancelled() {
    let mut under_test = BrokerUnderTest::start();
    let broker = under_test.broker();
    let mut client = broker.connect();
    let mut publisher = broker.connect();
    client.call(queue::declare("crowd"));
    client.call(basic::qos(1));
    let count = u32::try_from(CONSUMERS).expect("not that many");
    beside_a_bystander(&broker, "very many consumers come", || {
        consume_by_many(&mut client);
    });
    beside_a_bystander(&broker, "each is served", || {
        publish(&mut publisher, "crowd", 2 * count);
        for _ in 0..CONSUMERS {
            client.expect_delivery();
        }
    });
    beside_a_bystander(&broker, "all is settled, and each is served again", || {
        client.send(basic::ack(0).with(Flag::Multiple));
        for _ in 0..CONSUMERS {
            client.expect_delivery();
        }
    });
    beside_a_bystander(&broker, "each is cancelled", || {
        let cancel = |number| basic::cancel(&format!("c{number}")).frame();
        client.send_bytes(&(0..CONSUMERS).flat_map(cancel).collect::<Vec<_>>());
        for _ in 0..CONSUMERS {
            client.expect(basic::CANCEL_OK);
        }
    });
    beside_a_bystander(&broker, "a channel ends with all its consumers", || {
        consume_by_many(&mut client);
        client.call(channel::close());
        expect_ready(&mut publisher, "crowd", count);
    });
    under_test.assert_sound();
}

fn consume_by_many(client: &mut RawClient) {
    let consume = |number| basic::consume("crowd", &format!("c{number}")).frame();
    client.send_bytes(&(0..CONSUMERS).flat_map(consume).collect::<Vec<_>>());
    for _ in 0..CONSUMERS {
        client.expect(basic::CONSUME_OK);
    }
}

/// Whoever was served first when a full connection had room again took all of it, every time, and its
/// neighbours got nothing until it had all there was.
#[test]
fn consumers_of_a_connection_that_reads_slowly_take_turns() {
    let mut under_test = BrokerUnderTest::start();
    let broker = under_test.broker();
    let mut client = broker.connect();
    let names = ["first", "second", "third"];
    let each = 3000;
    for name in names {
        client.call(queue::declare(name));
        let one = Message::to_queue(name).body([b'x'; 1000]).encode(131_072);
        client.send_bytes(&one.repeat(each));
        expect_ready(&mut client, name, u32::try_from(each).expect("not that many"));
    }
    let mut reader = broker.connect();
    let consume = |name: &str| basic::consume(name, name).with(Flag::NoWait).frame();
    reader.send_bytes(&names.map(consume).concat());
    let tags: Vec<_> = (0..3 * each).map(|_| reader.expect_delivery().consumer_tag).collect();
    for name in names {
        // The first had filled the buffers of both sides before the others came.
        let middle = tags[each..2 * each + each / 2].iter();
        let count = middle.filter(|tag| *tag == name).count();
        assert!(count > each / 6, "{name} had {count} of {} turns", each + each / 2);
    }
    under_test.assert_sound();
}
