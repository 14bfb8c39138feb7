//! Clients that stutter, vanish, send garbage, do not read, or come in crowds.

use leveret_tests::deadline::PATIENCE;
use leveret_tests::raw_client::content::{FRAME_METHOD, Properties, content_header, frame};
use leveret_tests::raw_client::handshake::PROTOCOL_HEADER;
use leveret_tests::raw_client::method::{Method, basic, channel, connection, queue};
use leveret_tests::raw_client::wire::ArgumentWriter;
use leveret_tests::raw_client::{Flag, Message, RawClient, Table, Value};

use crate::row::Row;
use crate::scene::Scene;

/// A way to break the protocol, and the reply codes that are right for it.
struct Garbage {
    name: &'static str,
    bytes: fn() -> Vec<u8>,
    codes: &'static [u16],
}

/// The codes for arguments that cannot be read.
const UNREADABLE: &[u16] = &[501, 502, 541];

const GARBAGE: &[Garbage] = &[
    Garbage { name: "zeros", bytes: || vec![0; 64], codes: &[501] },
    Garbage { name: "ones", bytes: || vec![0xFF; 64], codes: &[501] },
    Garbage { name: "text", bytes: || b"GET / HTTP/1.1\r\n\r\n".repeat(4), codes: &[501] },
    Garbage {
        name: "a second protocol header",
        bytes: || PROTOCOL_HEADER.repeat(3),
        codes: &[501],
    },
    Garbage { name: "frame type 0", bytes: || frame(0, 0, b""), codes: &[501] },
    Garbage { name: "frame type 4", bytes: || frame(4, 1, b"abcd"), codes: &[501] },
    Garbage { name: "frame type 255", bytes: || frame(255, 1, b"abcd"), codes: &[501] },
    Garbage { name: "an empty header frame", bytes: || frame(2, 1, b""), codes: &[501, 505] },
    Garbage { name: "an empty method frame", bytes: || frame(1, 1, b""), codes: &[501] },
    Garbage { name: "half a method id", bytes: || frame(1, 1, b"\0\x0a"), codes: &[501] },
    Garbage { name: "a heartbeat with a body", bytes: || frame(8, 0, b"beat"), codes: &[501] },
    Garbage {
        name: "trailing bytes after the arguments",
        bytes: || method(ArgumentWriter::default().short(60).short(80).raw(&[0; 20])),
        codes: UNREADABLE,
    },
    Garbage {
        name: "a string longer than its frame",
        bytes: || method(ArgumentWriter::default().short(50).short(10).short(0).octet(200)),
        codes: UNREADABLE,
    },
    Garbage {
        name: "a table longer than its frame",
        bytes: || {
            let declare = ArgumentWriter::default().short(50).short(10).short(0);
            method(declare.short_string("q").octet(0).long(0x7FFF_FFFF))
        },
        codes: UNREADABLE,
    },
];

/// Arguments tables that are not tables.
const NO_TABLES: &[Garbage] = &[
    Garbage {
        name: "a table with an unknown tag",
        bytes: || declare_with(Value::Unknown(b'?', vec![0; 4])),
        codes: UNREADABLE,
    },
    Garbage {
        name: "a text longer than its table",
        bytes: || declare_with(Value::Unknown(b'S', vec![0, 0, 1, 0, b'x'])),
        codes: UNREADABLE,
    },
    Garbage {
        name: "a list longer than its table",
        bytes: || declare_with(Value::Unknown(b'A', vec![0xFF; 8])),
        codes: UNREADABLE,
    },
];

pub(crate) const ROWS: &[Row] = &[
    Row::new("", "a session may come byte by byte", |scene| {
        let name = scene.q();
        let handshake = scene.broker.handshake();
        let mut client = scene.broker.socket();
        let each_byte = |client: &mut RawClient, bytes: &[u8]| {
            bytes.chunks(1).for_each(|byte| client.send_bytes(byte));
        };
        each_byte(&mut client, PROTOCOL_HEADER);
        client.expect(connection::START);
        let properties = handshake.client_properties();
        let start_ok =
            connection::start_ok(&properties, &handshake.mechanism, &handshake.response, "en_US");
        each_byte(&mut client, &start_ok.frame());
        client.expect(connection::TUNE);
        each_byte(&mut client, &connection::tune_ok(2047, 131_072, 0).frame());
        each_byte(&mut client, &connection::open("/").frame());
        client.expect(connection::OPEN_OK);
        each_byte(&mut client, &channel::open(1).frame());
        client.expect(channel::OPEN_OK);
        each_byte(&mut client, &queue::declare(&name).with(Flag::Durable).frame());
        client.expect(queue::DECLARE_OK);
        each_byte(&mut client, &Message::to_queue(&name).body("in pieces").encode(4096));
        assert_eq!(client.drain(&name), ["in pieces"]);
    }),
    Row::new("", "a whole session may come in one write after the handshake", |scene| {
        let name = scene.q();
        let mut bytes = queue::declare(&name).with(Flag::Durable).frame();
        for body in ["1", "2", "3"] {
            bytes.extend(Message::to_queue(&name).body(body).encode(4096));
        }
        bytes.extend(basic::get(&name).with(Flag::NoAck).frame());
        bytes.extend(basic::consume(&name, "c").with(Flag::NoAck).frame());
        scene.client.send_bytes(&bytes);
        scene.client.expect(queue::DECLARE_OK);
        assert_eq!(scene.client.expect(basic::GET_OK).fetched().text(), "1");
        scene.client.expect(basic::CONSUME_OK);
        scene.client.expect_deliveries(&["2", "3"]);
    }),
    Row::new("", "a client that vanishes anywhere in the handshake is forgotten", |scene| {
        let handshake = scene.broker.handshake();
        drop(scene.broker.socket());
        for sent in 1..8 {
            scene.broker.socket().send_bytes(&PROTOCOL_HEADER[..sent]);
        }
        scene.broker.socket().greet();
        let mut started = scene.broker.socket();
        started.greet();
        started.start_ok(&handshake);
        drop(started);
        scene.broker.socket().authenticate(&handshake);
        scene.client.expect_nothing_on(1);
        drop(scene.connect());
    }),
    Row::new("66 41", "a client that vanishes inside a frame leaves what it held", |scene| {
        let (name, exclusive) = (scene.queue(), scene.name("exclusive"));
        scene.client.fill(&name, &["held"]);
        let frames = Message::to_queue(&name).body("unfinished").encode(4096);
        for length in [1, 6, 7, 8, 20, frames.len() - 12, frames.len() - 1] {
            let mut client = scene.connect();
            client.call(queue::declare(&exclusive).with(Flag::Exclusive));
            client.get(&name);
            client.send_bytes(&frames[..length]);
            drop(client);
            scene.client.expect_count(&name, 1);
            scene.client.expect_no_queue(&exclusive);
        }
    }),
    Row::new("14", "a client that vanishes inside a content publishes nothing", |scene| {
        let name = scene.queue();
        let mut client = scene.connect();
        client.send(basic::publish("", &name));
        client.send_bytes(&content_header(1, 10, &Properties::default()));
        client.hang_up();
        client.expect_socket_closed(PATIENCE);
        assert!(scene.client.drain(&name).is_empty());
    }),
    Row::new("12 15", "garbage of every kind ends its own connection only", |scene| {
        for (garbage, client) in GARBAGE.iter().zip(spoken_by_many(scene, GARBAGE)) {
            ends_with(client, garbage);
        }
        scene.client.expect_nothing_on(1);
    }),
    Row::new("15", "a table that is none ends its own connection only", |scene| {
        for (garbage, client) in NO_TABLES.iter().zip(spoken_by_many(scene, NO_TABLES)) {
            ends_with(client, garbage);
        }
        scene.client.expect_nothing_on(1);
    })
    .on_3_10_instead(
        |scene| {
            for mut client in spoken_by_many(scene, NO_TABLES) {
                client.expect_socket_closed(PATIENCE);
            }
            scene.client.expect_nothing_on(1);
        },
        "RabbitMQ's reader dies of a table it cannot read, and says nothing",
    ),
    Row::new("12", "noise ends its own connection only", |scene| {
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let clients: Vec<RawClient> = (0..40)
            .map(|length| {
                let mut client = scene.connect();
                let noise: Vec<u8> = (0..length * 16 + 7).map(|_| next(&mut seed)).collect();
                // With the top bit of the size set no frame is small enough to be waited for.
                let noise = [&noise[..3], &[0x80], &noise[3..]].concat();
                client.try_send_bytes(&noise);
                client
            })
            .collect();
        for mut client in clients {
            assert_eq!(client.expect(connection::CLOSE).close().code, 501);
        }
        scene.client.expect_nothing_on(1);
    }),
    Row::new("", "a table nested a hundred deep is read", |scene| {
        let name = scene.queue();
        let deep =
            (0..100).fold(Value::Int(1), |value, _| Value::Table(Table::new().with("in", value)));
        scene.client.publish(&Message::to_queue(&name).header("deep", deep.clone()));
        let headers = scene.client.get(&name).content.properties.headers.expect("headers");
        assert_eq!(headers.get("deep"), Some(&deep));
    }),
    Row::new("", "two hundred clients at once", |scene| {
        let name = scene.queue();
        let mut clients: Vec<RawClient> = (0..200).map(|_| scene.broker.socket()).collect();
        let handshake = scene.broker.handshake();
        for client in &mut clients {
            client.shake_hands(&handshake);
            client.send(channel::open(1));
        }
        for client in &mut clients {
            client.expect(channel::OPEN_OK);
            client.publish(&Message::to_queue(&name).body("here"));
        }
        scene.client.expect_count(&name, 200);
        for client in &mut clients {
            client.send(basic::get(&name));
        }
        for client in &mut clients {
            assert_eq!(client.expect(basic::GET_OK).fetched().text(), "here");
        }
        drop(clients);
        scene.client.expect_count(&name, 200);
    }),
    Row::new("", "a consumer that does not read holds up nobody else", |scene| {
        let (name, other) = (scene.queue(), scene.name("other"));
        scene.client.declare_queue(&other);
        let mut deaf = scene.connect();
        deaf.call(basic::consume(&name, "").with(Flag::NoAck));
        let body = vec![b'x'; 100_000];
        for _ in 0..300 {
            scene.client.publish(&Message::to_queue(&name).body(&body));
        }
        scene.connect().fill(&other, &["through"]);
        assert_eq!(scene.client.drain(&other), ["through"]);
    }),
];

fn method(payload: ArgumentWriter) -> Vec<u8> {
    frame(FRAME_METHOD, 1, &payload.into_bytes())
}

/// queue.declare with one argument of this value.
fn declare_with(value: Value) -> Vec<u8> {
    let declare: Method = queue::declare("garbage").with(Flag::Passive);
    declare.arg("x", value).frame()
}

/// A connection for each kind of garbage, which has sent it.
fn spoken_by_many(scene: &Scene, kinds: &[Garbage]) -> Vec<RawClient> {
    let speak = |garbage: &Garbage| {
        let mut client = scene.connect();
        client.send_bytes(&(garbage.bytes)());
        client
    };
    kinds.iter().map(speak).collect()
}

/// The connection ends with one of the codes.
fn ends_with(mut client: RawClient, garbage: &Garbage) {
    let name = garbage.name;
    let reply = match client.read_reply(leveret_tests::now() + PATIENCE) {
        Ok(reply) => reply,
        Err(end) => panic!("{name}: {end:?}"),
    };
    assert_eq!(reply.id, connection::CLOSE, "{name}: {reply}");
    assert!(garbage.codes.contains(&reply.close().code), "{name}: {reply}");
}

/// xorshift: noise that is the same every time.
fn next(seed: &mut u64) -> u8 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    seed.to_le_bytes()[3]
}
