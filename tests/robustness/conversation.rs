//! Conversations for the fuzzer: valid ones, made of frames, and what becomes of them.
//!
//! All of it follows from a seed, so that a conversation that did harm can be had again.

use leveret_tests::raw_client::content::{FRAME_BODY, FRAME_HEADER, frame};
use leveret_tests::raw_client::handshake::{PROTOCOL_HEADER, plain_response};
use leveret_tests::raw_client::method::{
    Method, MethodId, basic, channel as channels, confirm, connection, exchange, queue, tx,
};
use leveret_tests::raw_client::wire::ArgumentWriter;
use leveret_tests::raw_client::{Flag, Table};

use crate::random::Random;

/// Few names, so that conversations meet.
pub(crate) const QUEUES: &[&str] = &["fuzz-0", "fuzz-1", "fuzz-2"];
const EXCHANGES: &[&str] = &["", "fuzz-x", "amq.topic", "amq.headers", "amq.fanout", "nowhere"];
const TYPES: &[&str] = &["direct", "fanout", "topic", "headers", "x-unknown"];
/// Class ids, and the method ids of each.
const METHODS: &[(u16, &[u16])] = &[
    (10, &[10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61, 70, 71]),
    (20, &[10, 11, 20, 21, 40, 41]),
    (30, &[10, 11]),
    (40, &[10, 11, 20, 21, 30, 31, 40, 51]),
    (50, &[10, 11, 20, 21, 30, 31, 40, 41, 50, 51]),
    (60, &[10, 11, 20, 21, 30, 31, 40, 50, 60, 70, 71, 72, 80, 90, 100, 110, 111, 120]),
    (85, &[10, 11]),
    (90, &[10, 11, 20, 21, 30, 31]),
];

/// The largest piece of a body that the handshake allows, in bytes.
const PIECE_MAX: usize = 131_064;

/// A method frame with arguments that no builder would make.
fn method(channel: u16, id: MethodId, arguments: ArgumentWriter) -> Vec<u8> {
    Method::new(id, arguments).on(channel).frame()
}

fn arguments() -> ArgumentWriter {
    ArgumentWriter::default()
}

/// Arguments that begin with the reserved ticket.
fn ticket() -> ArgumentWriter {
    arguments().short(0)
}

/// What to send, in one or more writes.
pub(crate) fn conversation(seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random::new(seed);
    let mut frames = valid(&mut random);
    // Most keep their handshake: behind it there is more to break.
    let from = if random.once_in(10) { 0 } else { 8 };
    for _ in 0..random.below(4) {
        mutate(&mut random, &mut frames, from);
    }
    let mut bytes = frames.concat();
    if random.once_in(4) {
        let end = bytes.len() - random.below(bytes.len().min(200));
        bytes.truncate(end);
    }
    cut(&mut random, &bytes)
}

/// Pieces of random length, or the whole.
fn cut(random: &mut Random, bytes: &[u8]) -> Vec<Vec<u8>> {
    if random.once_in(2) {
        return vec![bytes.to_vec()];
    }
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(1 + random.below(rest.len()));
        pieces.push(piece.to_vec());
        rest = behind;
    }
    pieces
}

fn valid(random: &mut Random) -> Vec<Vec<u8>> {
    let response = plain_response("guest", "guest");
    let mut frames = vec![
        PROTOCOL_HEADER.to_vec(),
        connection::start_ok(&Table::new(), "PLAIN", &response, "en_US").frame(),
        connection::tune_ok(2047, 131_072, 0).frame(),
        connection::open("/").frame(),
    ];
    let channels = [1, 2, 3, 4 + u16::from(random.byte())];
    frames.extend(channels.map(|channel| channels::open(channel).frame()));
    for _ in 0..3 + random.below(25) {
        let channel = random.pick(&channels);
        frames.extend(operation(random, channel));
    }
    if random.once_in(3) {
        frames.push(connection::close(200, "bye", (0, 0)).frame());
    }
    frames
}

/// The frames of something that a client may do.
fn operation(random: &mut Random, channel: u16) -> Vec<Vec<u8>> {
    let name = random.pick(QUEUES);
    match random.below(12) {
        0..4 => publish(random, channel, name),
        4 | 5 => vec![consume(random, channel, name)],
        6 => vec![get(random, channel, name)],
        7 | 8 => vec![settle(random, channel)],
        9 => vec![topology(random, channel, name)],
        10 => vec![mode(random, channel)],
        _ => vec![queue::declare(name).on(channel).frame()],
    }
}

fn get(random: &mut Random, channel: u16, name: &str) -> Vec<u8> {
    let get = basic::get(name).on(channel);
    if random.once_in(2) { get.with(Flag::NoAck).frame() } else { get.frame() }
}

fn publish(random: &mut Random, channel: u16, queue: &str) -> Vec<Vec<u8>> {
    let exchange = if random.once_in(2) { "" } else { random.pick(EXCHANGES) };
    let flags = u8::from(random.once_in(3));
    let body = match random.below(8) {
        0 => vec![7; 4000 + random.below(200)],
        1 => vec![8; 100_000 + random.below(100_000)],
        _ => random.bytes(60),
    };
    let publish = ticket().short_string(exchange).short_string(queue).octet(flags);
    let mut frames = vec![method(channel, basic::PUBLISH, publish)];
    let properties = random.pick(&[
        // None; delivery_mode and priority; headers; expiration; correlation_id and reply_to.
        &b"\0\0"[..],
        b"\x18\0\x02\x05",
        b"\x20\0\0\0\0\x09\x01aS\0\0\0\x02xy",
        b"\x01\0\x041000",
        b"\x06\0\x02id\x05reply",
    ]);
    frames.push(content_header(channel, (60, 0), body.len() as u64, properties));
    let pieces = body.chunks(PIECE_MAX);
    frames.extend(pieces.map(|piece| frame(FRAME_BODY, channel, piece)));
    frames
}

fn consume(random: &mut Random, channel: u16, queue: &str) -> Vec<u8> {
    let tag = random.pick(&["", "c1", "c2"]);
    let flags = random.byte() & 0b0000_1110;
    let table = if random.once_in(3) { &b"\x0ax-priorityI\0\0\0\x05"[..] } else { b"" };
    match random.below(6) {
        0 => basic::cancel(tag).on(channel).frame(),
        1 => basic::qos(random.byte().into()).on(channel).frame(),
        _ => {
            let names = ticket().short_string(queue).short_string(tag);
            method(channel, basic::CONSUME, names.octet(flags).long_string(table))
        }
    }
}

fn settle(random: &mut Random, channel: u16) -> Vec<u8> {
    // Tag 0 with multiple, all there are, is never unknown.
    let tag = arguments().long_long(random.below(5) as u64);
    match random.below(9) {
        5.. => basic::ack(0).with(Flag::Multiple).on(channel).frame(),
        0 => method(channel, basic::REJECT, tag.octet(random.byte() & 1)),
        1 => method(channel, basic::NACK, tag.octet(random.byte() & 3)),
        2 => method(channel, basic::RECOVER, arguments().octet(u8::from(!random.once_in(9)))),
        _ => method(channel, basic::ACK, tag.octet(random.byte() & 1)),
    }
}

fn topology(random: &mut Random, channel: u16, queue: &str) -> Vec<u8> {
    let exchange = random.pick(EXCHANGES);
    let other = random.pick(EXCHANGES);
    let key = random.pick(&["", "a.b.c", "a.*.c", "#", "a.#.#"]);
    let flags = random.byte() & 0b11110;
    let table = match random.below(4) {
        0 => nested(random.pick(&[1, 5, 20, 2000])),
        1 => b"\x0dx-message-ttlI\0\0\x03\xe8".to_vec(),
        2 => b"\x0ex-max-priorityb\x05".to_vec(),
        _ => Vec::new(),
    };
    let exchanges = || ticket().short_string(exchange).short_string(other).short_string(key);
    let ends = || ticket().short_string(queue).short_string(exchange).short_string(key);
    let (exchange, queue) = (ticket().short_string(exchange), ticket().short_string(queue));
    let (id, arguments) = match random.below(9) {
        0 => {
            let kind = exchange.short_string(random.pick(TYPES));
            (exchange::DECLARE, kind.octet(flags).long_string(&table))
        }
        1 => (exchange::DELETE, exchange.octet(flags)),
        2 => (exchange::BIND, exchanges().octet(0).long_string(&table)),
        3 => (exchange::UNBIND, exchanges().octet(0).long_string(&table)),
        4 => (queue::BIND, ends().octet(0).long_string(&table)),
        5 => (queue::UNBIND, ends().long_string(&table)),
        6 => (queue::PURGE, queue.octet(0)),
        7 => (queue::DELETE, queue.octet(random.byte() & 7)),
        _ => (queue::DECLARE, queue.octet(flags).long_string(&table)),
    };
    method(channel, id, arguments)
}

/// confirm.select, tx.*, channel.flow, channel.close and so on: methods with few arguments.
fn mode(random: &mut Random, channel: u16) -> Vec<u8> {
    let method = match random.below(9) {
        0 | 1 => confirm::select(),
        2 => tx::select(),
        3 => tx::commit(),
        4 => tx::rollback(),
        5 => channels::flow(true),
        6 if random.once_in(4) => channels::open(channel),
        _ => {
            let reopened = channels::open(channel).frame();
            return [channels::close().on(channel).frame(), reopened].concat();
        }
    };
    method.on(channel).frame()
}

/// A table in a table in a table.
fn nested(depth: usize) -> Vec<u8> {
    let mut table = Vec::new();
    for _ in 0..depth {
        table = arguments().raw(b"\x01tF").long_string(&table).into_bytes();
    }
    table
}

fn mutate(random: &mut Random, frames: &mut Vec<Vec<u8>>, from: usize) {
    if frames.len() <= from {
        return;
    }
    let at = from + random.below(frames.len() - from);
    match random.below(10) {
        0 | 1 => flip(random, &mut frames[at]),
        2 => _ = frames.remove(at),
        3 => frames.insert(at, frames[at].clone()),
        4 => {
            let other = from + random.below(frames.len() - from);
            frames.swap(at, other);
        }
        5 => {
            // The head of one frame and the tail of another.
            let other = frames[from + random.below(frames.len() - from)].clone();
            let end = random.below(frames[at].len() + 1);
            frames[at].truncate(end);
            frames[at].extend(&other[random.below(other.len())..]);
        }
        6 | 7 => frames.insert(at, random_frame(random)),
        8 => frames.insert(at, random_content(random)),
        _ => resize(random, &mut frames[at]),
    }
}

fn flip(random: &mut Random, frame: &mut [u8]) {
    for _ in 0..=random.below(3) {
        if !frame.is_empty() {
            let at = random.below(frame.len().min(64));
            frame[at] ^= 1 << random.below(8);
        }
    }
}

/// Another length in the frame's header.
fn resize(random: &mut Random, frame: &mut [u8]) {
    let sizes = [0, 1, 131_064, 131_065, 131_073, 0x7FFF_FFFF, u32::MAX];
    if let Some(size) = frame.get_mut(3..7) {
        size.copy_from_slice(&random.pick(&sizes).to_be_bytes());
    }
}

fn some_channel(random: &mut Random) -> u16 {
    random.pick(&[0, 1, 1, 1, 2, 2047, 2048, u16::MAX])
}

/// A valid envelope around a method that may exist, with arguments that may fit.
fn random_frame(random: &mut Random) -> Vec<u8> {
    let channel = some_channel(random);
    if random.once_in(8) {
        let kind = random.byte();
        return frame(kind, channel, &random.bytes(20));
    }
    let (class, methods) = random.pick(METHODS);
    let id: MethodId = match random.below(8) {
        0 => (random.byte().into(), random.byte().into()),
        _ => (class, random.pick(methods)),
    };
    let arguments = match random.below(4) {
        0 => arguments().raw(&random.bytes(100)),
        1 => arguments().raw(&vec![0; random.below(30)]),
        2 => arguments().raw(&vec![0xFF; random.below(30)]),
        _ => ticket().short_string(random.pick(QUEUES)).raw(&random.bytes(12)),
    };
    method(channel, id, arguments)
}

/// A content header or body where none may belong, of sizes that may not fit.
fn random_content(random: &mut Random) -> Vec<u8> {
    let channel = some_channel(random);
    if random.once_in(2) {
        let length = random.pick(&[0, 1, 4095, 4096, 131_064]);
        return frame(FRAME_BODY, channel, &vec![9; length]);
    }
    let size: u64 = random.pick(&[0, 1, 4096, 1 << 29, (1 << 29) + 1, 1 << 63, u64::MAX]);
    let class = random.pick(&[60_u16, 60, 60, 10, 0]);
    let weight = u16::from(random.once_in(5));
    let properties = match random.below(3) {
        0 => vec![0, 0],
        1 => vec![0xFF; random.below(60)],
        _ => random.bytes(60),
    };
    content_header(channel, (class, weight), size, &properties)
}

/// A content header of this class and weight, with properties that may be none.
fn content_header(
    channel: u16,
    (class, weight): (u16, u16),
    size: u64,
    properties: &[u8],
) -> Vec<u8> {
    let header = arguments().short(class).short(weight).long_long(size).raw(properties);
    frame(FRAME_HEADER, channel, &header.into_bytes())
}
