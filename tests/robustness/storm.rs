//! Many clients at once.

use std::thread;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::raw_client::method::{basic, connection, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

const SOCKETS: usize = 1000;
const THREADS: usize = 4;

#[test]
fn a_thousand_sockets_at_once() {
    let mut broker = BrokerUnderTest::start();
    let reach = broker.broker();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let reach = &reach;
            scope.spawn(move || storm(reach, thread));
        }
    });
    broker.assert_sound();
}

/// Each step is taken by all sockets before any takes the next, so all of them are always open.
fn storm(broker: &Broker, thread: usize) {
    let name = |number: usize| format!("storm-{thread}-{number}");
    let clients = (0..SOCKETS / THREADS).map(|number| (name(number), broker.socket()));
    let mut clients: Vec<(String, RawClient)> = clients.collect();
    let greeting = broker.handshake().greeting(1);
    for (_, client) in &mut clients {
        client.send_bytes(&greeting);
    }
    for (queue, client) in &mut clients {
        client.expect_greeting(1);
        client.send(queue::declare(queue).with(Flag::Exclusive));
        client.publish(&Message::to_queue(queue).body(&*queue));
    }
    for (queue, client) in &mut clients {
        client.expect(queue::DECLARE_OK);
        client.send(basic::get(queue).with(Flag::NoAck));
    }
    for (queue, client) in &mut clients {
        assert_eq!(client.expect(basic::GET_OK).fetched().text(), *queue);
        client.send(connection::close(200, "bye", (0, 0)));
    }
    for (_, mut client) in clients {
        client.expect_from(0, connection::CLOSE_OK);
    }
}
