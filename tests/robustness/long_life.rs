//! What clients do over and over leaves nothing behind in the broker, on connections that live long
//! and of connections that do not.

use crate::broker::Broker;
use crate::client::Client;
use crate::wire::{self, long, method, short};

/// Cycles before memory is looked at: caches fill, buffers grow.
const WARM_UP: usize = 1500;
const CYCLES: usize = 3000;
/// Cycles that are sent before their answers are read.
const AT_ONCE: usize = 100;
/// Memory that may be lost to each cycle, in bytes. What leaks is larger: the smallest thing that
/// a client can make in the broker takes more.
const LOST_MAX: usize = 100;

/// Frames of one cycle, by its number.
type Cycle = fn(usize) -> Vec<Vec<u8>>;

const ROWS: &[(&str, Cycle)] = &[
    ("an exclusive queue is declared and deleted", |_| {
        vec![wire::declare(1, "own", wire::EXCLUSIVE), wire::delete(1, "own")]
    }),
    ("exclusive queues of all names are declared and deleted", |number| {
        let queue = format!("own-{number}");
        vec![wire::declare(1, &queue, wire::EXCLUSIVE), wire::delete(1, &queue)]
    }),
    ("a queue is read without acknowledgement and deleted", |_| {
        vec![
            wire::declare(1, "read", 0),
            wire::publish(1, "read", b"?"),
            wire::get(1, "read", true),
            wire::delete(1, "read"),
        ]
    }),
    ("a queue is deleted under its consumer and its unsettled messages", |_| {
        vec![
            wire::declare(1, "under", 0),
            wire::consume(1, "under", ""),
            wire::publish(1, "under", b"?"),
            wire::delete(1, "under"),
            wire::ack(1, 0, true),
        ]
    }),
    ("an auto-delete queue goes with its consumer", |_| {
        vec![
            wire::declare(1, "auto", AUTO_DELETE),
            wire::consume(1, "auto", "tag"),
            method(1, wire::CANCEL, &[&short("tag"), &[0]]),
        ]
    }),
    ("a channel is opened, consumes and is closed", |_| {
        let close = method(2, wire::CHANNEL_CLOSE, &[&[0, 200], &short(""), &[0; 4]]);
        vec![
            wire::declare(1, "kept", 0),
            wire::channel_open(2),
            wire::consume(2, "kept", ""),
            wire::publish(2, "kept", b"?"),
            close,
            method(1, PURGE, &[&[0; 2], &short("kept"), &[0]]),
        ]
    }),
    ("a message is fetched and acknowledged", |_| {
        vec![
            wire::declare(1, "kept", 0),
            wire::publish(1, "kept", b"?"),
            wire::get(1, "kept", false),
            wire::ack(1, 0, true),
        ]
    }),
    ("messages go to routing keys without a queue", |number| {
        // Several, so that a cache of some thousand routes is full when memory is first looked at.
        let key = |part: usize| format!("nowhere-{number}-{part}");
        (0..4).map(|part| wire::publish(1, &key(part), b"?")).collect()
    }),
    ("a queue is bound and unbound with new keys", |number| {
        let (queue, exchange) = (short("kept"), short("amq.topic"));
        let key = short(&format!("a.*.{number}.#"));
        let arguments = [&[0; 2], &queue[..], &exchange, &key];
        vec![
            wire::declare(1, "kept", 0),
            method(1, BIND, &[&arguments.concat(), &[0], &long(b"")]),
            method(1, UNBIND, &[&arguments.concat(), &long(b"")]),
        ]
    }),
    ("an exchange is declared, bound and deleted", |number| {
        let exchange = short(&format!("exchange-{number}"));
        let bind = [&[0; 2], &short("kept")[..], &exchange, &short("key")].concat();
        vec![
            wire::declare(1, "kept", 0),
            method(1, (40, 10), &[&[0; 2], &exchange, &short("direct"), &[0], &long(b"")]),
            method(1, BIND, &[&bind, &[0], &long(b"")]),
            method(1, (40, 20), &[&[0; 2], &exchange, &[0]]),
        ]
    }),
];

const AUTO_DELETE: u8 = 8;
const BIND: wire::Id = (50, 20);
const PURGE: wire::Id = (50, 30);
const PURGE_OK: wire::Id = (50, 31);
const UNBIND: wire::Id = (50, 50);

/// Runs cycles and reads all that is answered.
fn run(client: &mut Client, cycle: Cycle, numbers: std::ops::Range<usize>) {
    for first in numbers.step_by(AT_ONCE) {
        let frames: Vec<_> = (first..first + AT_ONCE).flat_map(cycle).collect();
        client.send(&frames.concat());
        client.send(&wire::qos(1, 0));
        loop {
            let frame = client.frame();
            let text = String::from_utf8_lossy(&frame.payload);
            let refused = [Some(wire::CLOSE), Some(wire::CHANNEL_CLOSE)].contains(&frame.id());
            assert!(!refused, "{text}");
            if frame.id() == Some(wire::QOS_OK) {
                break;
            }
        }
    }
}

#[test]
fn what_is_done_over_and_over_leaves_nothing_behind() {
    let mut leaks = Vec::new();
    for (what, cycle) in ROWS {
        let mut broker = Broker::start();
        let mut client = broker.client();
        run(&mut client, *cycle, 0..WARM_UP);
        let before = broker.memory();
        run(&mut client, *cycle, WARM_UP..WARM_UP + CYCLES);
        let lost = broker.memory().saturating_sub(before) / CYCLES;
        println!("{lost} bytes: {what}");
        if lost > LOST_MAX {
            leaks.push(format!("{what}: {lost} bytes each time"));
        }
        broker.assert_sound();
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// A connection with a consumer, an unsettled message and a queue of its own, over and over.
fn come_and_go(broker: &Broker, times: usize) {
    let said = [
        wire::greeting(1),
        wire::declare(1, "", wire::EXCLUSIVE),
        wire::publish(1, "kept", b"?"),
        wire::consume(1, "kept", ""),
    ];
    for _ in 0..times {
        let mut client = Client::on(broker.socket());
        client.send(&said.concat());
        client.expect_greeting(1);
        client.expect(1, wire::DECLARE_OK);
        client.expect(1, wire::CONSUME_OK);
        client.message(1, wire::DELIVER);
        client.ask(&method(1, PURGE, &[&[0; 2], &short("kept"), &[0]]), 1, PURGE_OK);
        client.send(&wire::ack(1, 0, true));
        client.close();
    }
}

#[test]
fn connections_leave_nothing_behind() {
    let mut broker = Broker::start();
    broker.client().ask(&wire::declare(1, "kept", 0), 1, wire::DECLARE_OK);
    come_and_go(&broker, WARM_UP);
    let before = broker.memory();
    come_and_go(&broker, CYCLES);
    let lost = broker.memory().saturating_sub(before) / CYCLES;
    println!("{lost} bytes: a connection comes and goes");
    assert!(lost <= LOST_MAX, "{lost} bytes for each connection");
    broker.assert_sound();
}
