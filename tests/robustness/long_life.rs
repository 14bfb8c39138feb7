//! What clients do over and over leaves nothing behind in the broker, on connections that live long
//! and of connections that do not.

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::Deadline;
use leveret_tests::raw_client::method::{Method, basic, channel, exchange, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

/// Cycles before memory is looked at: caches fill, buffers grow.
const WARM_UP: usize = 1500;
const CYCLES: usize = 3000;
/// Rounds of so many cycles, if memory is lost in each before the last.
const ROUNDS_MAX: usize = 3;
/// Cycles that are sent before their answers are read.
const AT_ONCE: usize = 100;
/// Memory that may be lost to each cycle, in bytes. What leaks is larger: the smallest thing that
/// a client can make in the broker takes more.
const LOST_MAX: usize = 100;

/// What is sent in one cycle, by its number.
type Cycle = fn(usize) -> Vec<Vec<u8>>;

fn declare(queue: &str) -> Vec<u8> {
    queue::declare(queue).frame()
}

fn declare_own(queue: &str) -> Vec<u8> {
    queue::declare(queue).with(Flag::Exclusive).frame()
}

fn publish(channel: u16, queue: &str) -> Vec<u8> {
    Message::to_queue(queue).body("?").on(channel).encode(131_072)
}

fn consume(channel: u16, queue: &str, tag: &str) -> Vec<u8> {
    basic::consume(queue, tag).on(channel).frame()
}

fn ack_all() -> Vec<u8> {
    basic::ack(0).with(Flag::Multiple).frame()
}

fn frames(methods: &[Method]) -> Vec<Vec<u8>> {
    methods.iter().map(Method::frame).collect()
}

const ROWS: &[(&str, Cycle)] = &[
    ("an exclusive queue is declared and deleted", |_| {
        vec![declare_own("own"), queue::delete("own").frame()]
    }),
    ("exclusive queues of all names are declared and deleted", |number| {
        let queue = format!("own-{number}");
        vec![declare_own(&queue), queue::delete(&queue).frame()]
    }),
    ("a queue is read without acknowledgement and deleted", |_| {
        let get = basic::get("read").with(Flag::NoAck);
        vec![declare("read"), publish(1, "read"), get.frame(), queue::delete("read").frame()]
    }),
    ("a queue is deleted under its consumer and its unsettled messages", |_| {
        vec![
            declare("under"),
            consume(1, "under", ""),
            publish(1, "under"),
            queue::delete("under").frame(),
            ack_all(),
        ]
    }),
    ("an auto-delete queue goes with its consumer", |_| {
        frames(&[
            queue::declare("auto").with(Flag::AutoDelete),
            basic::consume("auto", "tag"),
            basic::cancel("tag"),
        ])
    }),
    ("a channel is opened, consumes and is closed", |_| {
        vec![
            declare("kept"),
            channel::open(2).frame(),
            consume(2, "kept", ""),
            publish(2, "kept"),
            channel::close().on(2).frame(),
            queue::purge("kept").frame(),
        ]
    }),
    ("a message is fetched and acknowledged", |_| {
        vec![declare("kept"), publish(1, "kept"), basic::get("kept").frame(), ack_all()]
    }),
    ("messages go to routing keys without a queue", |number| {
        // Several, so that a cache of some thousand routes is full when memory is first looked at.
        let key = |part: usize| format!("nowhere-{number}-{part}");
        (0..4).map(|part| publish(1, &key(part))).collect()
    }),
    ("a queue is bound and unbound with new keys", |number| {
        let key = format!("a.*.{number}.#");
        frames(&[
            queue::declare("kept"),
            queue::bind("kept", "amq.topic", &key),
            queue::unbind("kept", "amq.topic", &key),
        ])
    }),
    ("an exchange is declared, bound and deleted", |number| {
        let exchange = format!("exchange-{number}");
        frames(&[
            queue::declare("kept"),
            exchange::declare(&exchange, "direct"),
            queue::bind("kept", &exchange, "key"),
            exchange::delete(&exchange),
        ])
    }),
];

/// Runs cycles and reads all that is answered.
fn run(client: &mut RawClient, cycle: Cycle, numbers: std::ops::Range<usize>) {
    for first in numbers.step_by(AT_ONCE) {
        let frames: Vec<_> = (first..first + AT_ONCE).flat_map(cycle).collect();
        client.send_bytes(&frames.concat());
        client.send(basic::qos(0));
        let deadline = Deadline::of("the answers to all cycles");
        loop {
            let reply = client.expect_any();
            assert!(!reply.is_close(), "{reply}");
            if reply.id == basic::QOS_OK {
                break;
            }
            deadline.check();
        }
    }
}

/// Memory that each of [`CYCLES`] cycles costs the broker, in bytes. The allocator takes memory from
/// the system in steps, of which one may fall into any round; what leaks is lost in every round.
fn lost_each(broker: &BrokerUnderTest, mut cycles: impl FnMut(usize)) -> usize {
    let mut least = usize::MAX;
    for round in 0..ROUNDS_MAX {
        let before = broker.memory();
        cycles(round);
        least = least.min(broker.memory().saturating_sub(before) / CYCLES);
        if least <= LOST_MAX {
            break;
        }
    }
    least
}

#[test]
fn what_is_done_over_and_over_leaves_nothing_behind() {
    let mut leaks = Vec::new();
    for (what, cycle) in ROWS {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect_bare();
        run(&mut client, *cycle, 0..WARM_UP);
        let lost = lost_each(&broker, |round| {
            let first = WARM_UP + round * CYCLES;
            run(&mut client, *cycle, first..first + CYCLES);
        });
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
    let greeting = broker.handshake().greeting(1);
    let said = [greeting, declare_own(""), publish(1, "kept"), consume(1, "kept", "")].concat();
    for _ in 0..times {
        let mut client = broker.socket();
        client.send_bytes(&said);
        client.expect_greeting(1);
        client.expect(queue::DECLARE_OK);
        client.expect(basic::CONSUME_OK);
        client.expect_delivery();
        client.call(queue::purge("kept"));
        client.send_bytes(&ack_all());
        client.close();
    }
}

#[test]
fn connections_leave_nothing_behind() {
    let mut broker = BrokerUnderTest::start();
    let reach = broker.broker();
    reach.connect().call(queue::declare("kept"));
    come_and_go(&reach, WARM_UP);
    let lost = lost_each(&broker, |_| come_and_go(&reach, CYCLES));
    println!("{lost} bytes: a connection comes and goes");
    assert!(lost <= LOST_MAX, "{lost} bytes for each connection");
    broker.assert_sound();
}
