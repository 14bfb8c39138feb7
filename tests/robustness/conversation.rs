//! Conversations for the fuzzer: valid ones, made of frames, and what becomes of them.
//!
//! All of it follows from a seed, so that a conversation that did harm can be had again.

use crate::random::Random;
use crate::wire::{self, Id, long, method, short};

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
    let mut frames = vec![wire::HEADER.to_vec(), wire::start_ok(), wire::tune_ok(), wire::open()];
    let channels = [1, 2, 3, 4 + u16::from(random.byte())];
    frames.extend(channels.map(wire::channel_open));
    for _ in 0..3 + random.below(25) {
        let channel = random.pick(&channels);
        frames.extend(operation(random, channel));
    }
    if random.once_in(3) {
        frames.push(wire::close());
    }
    frames
}

/// The frames of something that a client may do.
fn operation(random: &mut Random, channel: u16) -> Vec<Vec<u8>> {
    let queue = random.pick(QUEUES);
    match random.below(12) {
        0..4 => publish(random, channel, queue),
        4 | 5 => vec![consume(random, channel, queue)],
        6 => vec![wire::get(channel, queue, random.once_in(2))],
        7 | 8 => vec![settle(random, channel)],
        9 => vec![topology(random, channel, queue)],
        10 => vec![mode(random, channel)],
        _ => vec![wire::declare(channel, queue, 0)],
    }
}

fn publish(random: &mut Random, channel: u16, queue: &str) -> Vec<Vec<u8>> {
    let exchange = if random.once_in(2) { "" } else { random.pick(EXCHANGES) };
    let flags = [u8::from(random.once_in(3))];
    let body = match random.below(8) {
        0 => vec![7; 4000 + random.below(200)],
        1 => vec![8; 100_000 + random.below(100_000)],
        _ => random.bytes(60),
    };
    let mut frames =
        vec![method(channel, wire::PUBLISH, &[&[0; 2], &short(exchange), &short(queue), &flags])];
    let size = (body.len() as u64).to_be_bytes();
    let properties = random.pick(&[
        // None; delivery_mode and priority; headers; expiration; correlation_id and reply_to.
        &b"\0\0"[..],
        b"\x18\0\x02\x05",
        b"\x20\0\0\0\0\x09\x01aS\0\0\0\x02xy",
        b"\x01\0\x041000",
        b"\x06\0\x02id\x05reply",
    ]);
    let header = [&[0, 60, 0, 0], &size[..], properties].concat();
    frames.push(wire::frame(wire::CONTENT_HEADER, channel, &header));
    let pieces = body.chunks(131_064);
    frames.extend(pieces.map(|piece| wire::frame(wire::BODY, channel, piece)));
    frames
}

fn consume(random: &mut Random, channel: u16, queue: &str) -> Vec<u8> {
    let tag = random.pick(&["", "c1", "c2"]);
    let flags = [random.byte() & 0b0000_1110];
    let table = if random.once_in(3) { &b"\x0ax-priorityI\0\0\0\x05"[..] } else { b"" };
    match random.below(6) {
        0 => method(channel, wire::CANCEL, &[&short(tag), &[0]]),
        1 => wire::qos(channel, random.byte().into()),
        _ => {
            let arguments = [&[0; 2], &short(queue)[..], &short(tag), &flags, &long(table)];
            method(channel, wire::CONSUME, &arguments)
        }
    }
}

fn settle(random: &mut Random, channel: u16) -> Vec<u8> {
    // Tag 0 with multiple, all there are, is never unknown.
    let tag = (random.below(5) as u64).to_be_bytes();
    match random.below(9) {
        5.. => wire::ack(channel, 0, true),
        0 => method(channel, (60, 90), &[&tag, &[random.byte() & 1]]),
        1 => method(channel, (60, 120), &[&tag, &[random.byte() & 3]]),
        2 => method(channel, (60, 110), &[&[u8::from(!random.once_in(9))]]),
        _ => method(channel, wire::ACK, &[&tag, &[random.byte() & 1]]),
    }
}

fn topology(random: &mut Random, channel: u16, queue: &str) -> Vec<u8> {
    let exchange = short(random.pick(EXCHANGES));
    let other = short(random.pick(EXCHANGES));
    let key = short(random.pick(&["", "a.b.c", "a.*.c", "#", "a.#.#"]));
    let queue = short(queue);
    let flags = [random.byte() & 0b11110];
    let table = match random.below(4) {
        0 => nested(random.pick(&[1, 5, 20, 2000])),
        1 => b"\x0dx-message-ttlI\0\0\x03\xe8".to_vec(),
        2 => b"\x0ex-max-priorityb\x05".to_vec(),
        _ => Vec::new(),
    };
    let table = long(&table);
    let zero = &[0; 2][..];
    match random.below(9) {
        0 => method(
            channel,
            (40, 10),
            &[zero, &exchange, &short(random.pick(TYPES)), &flags, &table],
        ),
        1 => method(channel, (40, 20), &[zero, &exchange, &flags]),
        2 => method(channel, (40, 30), &[zero, &exchange, &other, &key, &[0], &table]),
        3 => method(channel, (40, 40), &[zero, &exchange, &other, &key, &[0], &table]),
        4 => method(channel, (50, 20), &[zero, &queue, &exchange, &key, &[0], &table]),
        5 => method(channel, (50, 50), &[zero, &queue, &exchange, &key, &table]),
        6 => method(channel, (50, 30), &[zero, &queue, &[0]]),
        7 => method(channel, (50, 40), &[zero, &queue, &[random.byte() & 7]]),
        _ => method(channel, wire::DECLARE, &[zero, &queue, &flags, &table]),
    }
}

/// confirm.select, tx.*, channel.flow, channel.close and so on: methods with few arguments.
fn mode(random: &mut Random, channel: u16) -> Vec<u8> {
    match random.below(9) {
        0 | 1 => method(channel, (85, 10), &[&[0]]),
        2 => method(channel, (90, 10), &[]),
        3 => method(channel, (90, 20), &[]),
        4 => method(channel, (90, 30), &[]),
        5 => method(channel, (20, 20), &[&[1]]),
        6 if random.once_in(4) => wire::channel_open(channel),
        _ => {
            let close = method(channel, wire::CHANNEL_CLOSE, &[&[0, 200], &short(""), &[0; 4]]);
            [close, wire::channel_open(channel)].concat()
        }
    }
}

/// A table in a table in a table.
fn nested(depth: usize) -> Vec<u8> {
    let mut table = Vec::new();
    for _ in 0..depth {
        table = [b"\x01tF", &long(&table)[..]].concat();
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
        return wire::frame(kind, channel, &random.bytes(20));
    }
    let (class, methods) = random.pick(METHODS);
    let id: Id = match random.below(8) {
        0 => (random.byte().into(), random.byte().into()),
        _ => (class, random.pick(methods)),
    };
    let arguments = match random.below(4) {
        0 => random.bytes(100),
        1 => vec![0; random.below(30)],
        2 => vec![0xFF; random.below(30)],
        _ => [&[0; 2], &short(random.pick(QUEUES))[..], &random.bytes(12)].concat(),
    };
    method(channel, id, &[&arguments])
}

/// A content header or body where none may belong, of sizes that may not fit.
fn random_content(random: &mut Random) -> Vec<u8> {
    let channel = some_channel(random);
    if random.once_in(2) {
        let length = random.pick(&[0, 1, 4095, 4096, 131_064]);
        return wire::frame(wire::BODY, channel, &vec![9; length]);
    }
    let size: u64 = random.pick(&[0, 1, 4096, 1 << 29, (1 << 29) + 1, 1 << 63, u64::MAX]);
    let class = random.pick(&[60_u16, 60, 60, 10, 0]);
    let weight = [0, u8::from(random.once_in(5))];
    let properties = match random.below(3) {
        0 => vec![0, 0],
        1 => vec![0xFF; random.below(60)],
        _ => random.bytes(60),
    };
    let payload = [&class.to_be_bytes(), &weight, &size.to_be_bytes()[..], &properties].concat();
    wire::frame(wire::CONTENT_HEADER, channel, &payload)
}
