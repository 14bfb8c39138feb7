//! Bytes that no client would send: frames of 4 GiB, tables without a floor, names of anything.

use leveret_tests::broker_under_test::Broker;
use leveret_tests::raw_client::RawClient;
use leveret_tests::raw_client::content::{FRAME_HEADER, FRAME_METHOD, frame};
use leveret_tests::raw_client::handshake::PROTOCOL_HEADER;
use leveret_tests::raw_client::method::{Method, basic, connection, exchange, queue};
use leveret_tests::raw_client::wire::ArgumentWriter;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::field::{Attack, sized, while_it_lasts};

/// Levels of a table.
const DEEP: usize = 10_000;

/// The head of a frame that says it has 4 GiB less one byte.
fn announced(kind: u8) -> [u8; 7] {
    [kind, 0, 1, 0xff, 0xff, 0xff, 0xff]
}

/// Before and after the connection is open, as a method, a header and a body.
#[test]
fn announced_frames_of_four_gib() {
    let attack = Attack { name: "frames of 4 GiB", config: "", memory_mib: 256 };
    attack.run(|_, broker| {
        let deadline = while_it_lasts("frames");
        let mut held = Vec::new();
        while !deadline.has_passed() {
            let mut early = broker.socket();
            early.send_bytes(PROTOCOL_HEADER);
            early.try_send_bytes(&announced(1));
            for kind in 1..=3 {
                let mut late = broker.connect();
                late.send_bytes(&announced(kind));
                let close = late.expect(connection::CLOSE).close();
                assert_eq!(close.code, 501, "{close:?}");
            }
            // The largest that is allowed, of which nothing comes.
            let mut patient = broker.connect();
            patient.send_bytes(&[1, 0, 1, 0, 1, 0xff, 0xf8]);
            held.push(patient);
        }
        println!("{} frames that never came", held.len());
        broker.connect().close();
    });
}

/// A table whose only field is a table, and so on.
fn deep_table(levels: usize) -> Vec<u8> {
    // A name of one byte, a kind and a length.
    let level = 7;
    let mut bytes = Vec::new();
    for outside in 0..levels {
        let inside = u32::try_from((levels - outside - 1) * level).expect("small");
        bytes.extend(inside.to_be_bytes());
        if outside + 1 < levels {
            bytes.extend([1, b'k', b'F']);
        }
    }
    bytes
}

fn declare_with(table: &[u8]) -> Method {
    let arguments = ArgumentWriter::default().short(0).short_string("deep").octet(0).raw(table);
    Method::new((50, 10), arguments)
}

fn header_with(table: &[u8]) -> Vec<u8> {
    let arguments =
        ArgumentWriter::default().short(60).short(0).long_long(0).short(0x2000).raw(table);
    frame(FRAME_HEADER, 1, &arguments.into_bytes())
}

#[test]
fn tables_without_a_floor() {
    let attack = Attack { name: "deep tables", config: "", memory_mib: 256 };
    attack.run(|_, broker| {
        let table = deep_table(DEEP);
        let deadline = while_it_lasts("tables");
        while !deadline.has_passed() {
            let mut client = broker.connect();
            client.send(declare_with(&table));
            assert_refused(&mut client);
            let mut client = broker.connect();
            client.send_bytes(&basic::publish("", "bystander").frame());
            client.send_bytes(&header_with(&table));
            assert_refused(&mut client);
        }
    });
}

fn assert_refused(client: &mut RawClient) {
    let close = client.expect(connection::CLOSE).close();
    assert!([501, 502, 541].contains(&close.code), "{close:?}");
}

/// A short string of 255 bytes of anything.
fn name(numbers: &mut StdRng) -> Vec<u8> {
    let mut name = vec![255; 256];
    numbers.fill_bytes(&mut name[1..]);
    name
}

/// The methods that take names, each with other ones.
fn named(numbers: &mut StdRng) -> [Vec<u8>; 4] {
    let mut name = || name(numbers);
    let start = |id: (u16, u16)| ArgumentWriter::default().short(id.0).short(id.1);
    let declare = start(queue::DECLARE).short(0).raw(&name()).octet(0).long(0);
    let exchange = start(exchange::DECLARE).short(0).raw(&name()).raw(&name()).octet(0).long(0);
    let bind = start(queue::BIND).short(0).raw(&name()).raw(&name()).raw(&name()).octet(0).long(0);
    let consume = start(basic::CONSUME).short(0).raw(&name()).raw(&name()).octet(0).long(0);
    [declare, exchange, bind, consume]
        .map(|arguments| frame(FRAME_METHOD, 1, &arguments.into_bytes()))
}

/// Whatever the broker says to each, it says something, and the next client is served.
#[test]
fn names_of_anything() {
    let attack = Attack { name: "names of anything", config: "", memory_mib: 256 };
    attack.run(|_, broker| {
        let mut anything = StdRng::seed_from_u64(1);
        let deadline = while_it_lasts("names");
        let mut rounds = 0;
        while !deadline.has_passed() && rounds < sized(200, 20_000) {
            for method in named(&mut anything) {
                said_something(broker, &method);
            }
            rounds += 1;
        }
        println!("{rounds} rounds of names");
    });
}

fn said_something(broker: &Broker, method: &[u8]) {
    let mut client = broker.connect();
    client.send_bytes(method);
    // What was declared is durable for nobody, and deleted by its own name.
    let reply = client.expect_any();
    if reply.id == queue::DECLARE_OK {
        let name = &method[13..13 + 255];
        let arguments =
            ArgumentWriter::default().short(50).short(40).short(0).octet(255).raw(name).octet(0);
        client.send_bytes(&frame(FRAME_METHOD, 1, &arguments.into_bytes()));
        client.expect(queue::DELETE_OK);
    }
}
