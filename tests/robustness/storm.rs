//! Many clients at once.

use std::thread;

use crate::broker::Broker;
use crate::client::Client;
use crate::wire;

const SOCKETS: usize = 1000;
const THREADS: usize = 4;

#[test]
fn a_thousand_sockets_at_once() {
    let mut broker = Broker::start();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let broker = &broker;
            scope.spawn(move || storm(broker, thread));
        }
    });
    broker.assert_sound();
}

/// Each step is taken by all sockets before any takes the next, so all of them are always open.
fn storm(broker: &Broker, thread: usize) {
    let clients = (0..SOCKETS / THREADS).map(|_| Client::on(broker.socket()));
    let mut clients: Vec<(usize, Client)> = clients.enumerate().collect();
    let queue = |number: usize| format!("storm-{thread}-{number}");
    for (_, client) in &mut clients {
        client.send(&wire::greeting(1));
    }
    for (number, client) in &mut clients {
        client.expect_greeting(1);
        let queue = queue(*number);
        client.send(&wire::declare(1, &queue, wire::EXCLUSIVE));
        client.send(&wire::publish(1, &queue, queue.as_bytes()));
    }
    for (number, client) in &mut clients {
        client.expect(1, wire::DECLARE_OK);
        client.send(&wire::get(1, &queue(*number), true));
    }
    for (number, client) in &mut clients {
        let body = client.message(1, wire::GET_OK).body;
        assert_eq!(body, queue(*number).as_bytes());
        client.send(&wire::close());
    }
    for (_, mut client) in clients {
        client.expect(0, wire::CLOSE_OK);
    }
}
