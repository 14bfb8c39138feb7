//! A long while of clients of every kind that come, work and are killed at random moments: in the end
//! nothing has grown.

use std::thread;
use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{Deadline, join_scoped, let_pass, wait_within};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, channel, confirm, exchange, queue, tx};
use leveret_tests::raw_client::{Flag, Message, RawClient};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::field::{Attack, sized};

/// Clients at once.
const CLIENTS: u64 = 4;
/// Memory that may be more at the end than in the middle, in MiB: what the allocator keeps differs.
const GROWTH_MAX: usize = 24;
/// The same for descriptors: what just ended may not be closed yet.
const DESCRIPTORS_MAX: usize = 8;
/// Shared queues that all of them publish to.
const SHARED: u64 = 5;

/// Numbers that look random, the same every time, of one client.
struct Dice {
    of: u64,
    numbers: StdRng,
}

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.numbers.random_range(0..bound)
    }
}

/// One client's life, up to a random moment of it.
fn live(broker: &Broker, dice: &mut Dice) {
    let mut client = broker.connect();
    let shared = format!("soak-{}", dice.below(SHARED));
    for _ in 0..dice.below(12) {
        act(&mut client, dice, &shared);
    }
    match dice.below(4) {
        0 => client.close(),
        1 => client.reset(),
        2 => {
            // In the middle of a message.
            let bytes = Message::to_queue(&shared).body([b'x'; 5000]).encode(4096);
            let cut = usize::try_from(dice.below(bytes.len() as u64)).expect("small");
            client.try_send_bytes(&bytes[..cut]);
        }
        _ => {}
    }
}

/// Something that clients do. Nothing is awaited but what has an answer.
fn act(client: &mut RawClient, dice: &mut Dice, shared: &str) {
    let size = usize::try_from(dice.below(3000)).expect("small");
    let message = Message::to_queue(shared).body(vec![b'x'; size]);
    match dice.below(9) {
        0 => client.publish(&message.persistent()),
        1 => client.publish(&message),
        2 => client.round_trip(b"own"),
        3 => {
            client.call(queue::declare("").with(Flag::Exclusive).arg("x-max-priority", 5));
        }
        4 => client.send(basic::consume(shared, "").with(Flag::NoWait)),
        5 => client.send(basic::nack(0).with(Flag::Multiple).with(Flag::Requeue)),
        6 => {
            client.open_channel(7);
            client.call(tx::select().on(7));
            client.publish(&message.on(7));
            client.send(channel::close().on(7));
            // What was delivered meanwhile is read, and stays unsettled.
            client.skip_to(channel::CLOSE_OK);
        }
        7 => {
            // Nobody else's, lest it go with another's last binding.
            let (of, number) = (dice.of, dice.below(1000));
            let name = format!("soak-{of}-{number}");
            client.call(exchange::declare(&name, "topic").with(Flag::AutoDelete));
            client.call(queue::bind(shared, &name, "a.#"));
            client.call(queue::unbind(shared, &name, "a.#"));
        }
        _ => {
            client.open_channel(8);
            client.call(confirm::select().on(8));
            client.call(channel::close().on(8));
        }
    }
}

fn descriptors(broker: &BrokerUnderTest) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", broker.pid())).expect("our own child");
    files.count()
}

/// Clients live until the time is over.
fn churn(broker: &Broker, deadline: &Deadline, seed: u64) -> usize {
    let one = |client: u64| {
        let mut dice = Dice { of: client, numbers: StdRng::seed_from_u64(seed + client) };
        let mut lives = 0;
        while !deadline.has_passed() {
            live(broker, &mut dice);
            lives += 1;
        }
        lives
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || one(client))).collect();
        // Who is waited for has a while from now on, and the churn may last longer.
        let_pass(deadline.end().saturating_duration_since(now()));
        clients.into_iter().map(|client| join_scoped("a client's last life", client)).sum()
    })
}

/// Memory in MiB and descriptors, once everybody is gone.
fn at_rest(under_test: &BrokerUnderTest, broker: &Broker) -> (usize, usize) {
    let mut client = broker.connect();
    for number in 0..SHARED {
        client.call(queue::purge(&format!("soak-{number}")));
    }
    client.close();
    let rest = sized(Duration::from_millis(100), Duration::from_secs(15));
    let_pass(rest);
    (under_test.memory() >> 20, descriptors(under_test))
}

#[test]
fn nothing_grows_where_clients_come_and_are_killed() {
    let attack = Attack { name: "soak", config: "", memory_mib: sized(256, 512) };
    attack.run(|under_test, broker| {
        let mut client = broker.connect();
        for number in 0..SHARED {
            let name = format!("soak-{number}");
            client.call(queue::declare(&name).with(Flag::Durable).arg("x-max-length", 1000));
        }
        let part = sized(Duration::from_millis(700), Duration::from_secs(600));
        let parts = [1, 2, 3].map(|seed| {
            let lives = churn(broker, &Deadline::within("a part of the soak", part), seed * 1000);
            let (memory, descriptors) = at_rest(under_test, broker);
            println!("{lives} lives: {memory} MiB, {descriptors} descriptors");
            (memory, descriptors)
        });
        assert!(parts[2].0 <= parts[1].0 + GROWTH_MAX, "memory grows: {parts:?}");
        let few = |count| count <= parts[0].1 + DESCRIPTORS_MAX;
        wait_within("descriptors are closed", part.max(Duration::from_secs(10)), || {
            few(descriptors(under_test)).then_some(())
        });
        for number in 0..SHARED {
            client.call(queue::delete(&format!("soak-{number}")));
        }
        client.close();
    });
}
