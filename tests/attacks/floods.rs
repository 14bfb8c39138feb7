//! Publishers that wait for nobody, against a small memory.

use std::io::Write;
use std::thread;
use std::time::Duration;

use leveret_tests::broker_under_test::Broker;
use leveret_tests::deadline::{Deadline, join_scoped};
use leveret_tests::raw_client::Message;
use leveret_tests::raw_client::method::queue;

use crate::field::{Attack, sized, while_it_lasts};

/// Publishers at once.
const PUBLISHERS: usize = 4;

/// Publishes without confirms as fast as the socket takes it, and reads nothing.
fn flood(broker: &Broker, queue: &str, deadline: &Deadline) -> usize {
    let client = broker.connect();
    let mut socket = client.into_socket();
    socket.set_write_timeout(Some(Duration::from_millis(200))).expect("a socket option");
    let block = Message::to_queue(queue).body([b'x'; 4096]).encode(131_072).repeat(50);
    let mut blocks = 0;
    let mut left: &[u8] = &[];
    while !deadline.has_passed() {
        if left.is_empty() {
            left = &block;
            blocks += 1;
        }
        // It may be held back for as long as the flood lasts.
        left = &left[socket.write(left).unwrap_or(0)..];
    }
    blocks * 50
}

/// Bodies go to disk before the memory is used up, so the bystander is not blocked either.
#[test]
fn publishes_without_confirms_against_a_small_memory() {
    let config = "vm_memory_high_watermark.absolute = 256MiB\n\
                  message_memory.total = 32MiB\n\
                  message_memory.queue = 16MiB\n";
    let attack = Attack { name: "publish flood", config, memory_mib: 256 };
    attack.run(|_, broker| {
        let mut client = broker.connect();
        let names: Vec<String> = (0..PUBLISHERS).map(|number| format!("flood-{number}")).collect();
        for name in &names {
            // On disk it may take this much.
            client.call(queue::declare(name).arg("x-max-length-bytes", sized(64_i64, 512) << 20));
        }
        let deadline = while_it_lasts("the flood");
        let published = thread::scope(|scope| {
            let deadline = &deadline;
            let floods: Vec<_> = names
                .iter()
                .map(|name| scope.spawn(move || flood(broker, name, deadline)))
                .collect();
            floods.into_iter().map(|flood| join_scoped("a flood", flood)).sum::<usize>()
        });
        println!("{published} messages of 4 KiB");
        for name in &names {
            client.call(queue::delete(name));
        }
        client.close();
    });
}
