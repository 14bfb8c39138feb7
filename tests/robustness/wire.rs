//! Frames and methods as bytes (AMQP 0-9-1 §4.2.3), written without the broker's own code, so that
//! both cannot be wrong in the same way.

pub(crate) const HEADER: &[u8] = b"AMQP\0\0\x09\x01";

pub(crate) const METHOD: u8 = 1;
pub(crate) const CONTENT_HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
pub(crate) const FRAME_END: u8 = 0xCE;

/// The largest frame that the handshake here agrees on, in bytes.
pub(crate) const FRAME_MAX: u32 = 131_072;

/// A method by class and method id.
pub(crate) type Id = (u16, u16);

pub(crate) const START: Id = (10, 10);
pub(crate) const START_OK: Id = (10, 11);
pub(crate) const TUNE: Id = (10, 30);
pub(crate) const TUNE_OK: Id = (10, 31);
pub(crate) const OPEN: Id = (10, 40);
pub(crate) const OPEN_OK: Id = (10, 41);
pub(crate) const CLOSE: Id = (10, 50);
pub(crate) const CLOSE_OK: Id = (10, 51);
pub(crate) const CHANNEL_OPEN: Id = (20, 10);
pub(crate) const CHANNEL_OPEN_OK: Id = (20, 11);
pub(crate) const CHANNEL_CLOSE: Id = (20, 40);
pub(crate) const DECLARE: Id = (50, 10);
pub(crate) const DECLARE_OK: Id = (50, 11);
pub(crate) const DELETE: Id = (50, 40);
pub(crate) const DELETE_OK: Id = (50, 41);
pub(crate) const QOS: Id = (60, 10);
pub(crate) const QOS_OK: Id = (60, 11);
pub(crate) const CONSUME: Id = (60, 20);
pub(crate) const CONSUME_OK: Id = (60, 21);
pub(crate) const CANCEL: Id = (60, 30);
pub(crate) const CANCEL_OK: Id = (60, 31);
pub(crate) const PUBLISH: Id = (60, 40);
pub(crate) const DELIVER: Id = (60, 60);
pub(crate) const GET: Id = (60, 70);
pub(crate) const GET_OK: Id = (60, 71);
pub(crate) const GET_EMPTY: Id = (60, 72);
pub(crate) const ACK: Id = (60, 80);

/// One frame.
pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("a frame below 4 GiB");
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend(size.to_be_bytes());
    frame.extend(payload);
    frame.push(FRAME_END);
    frame
}

/// A method frame from its encoded arguments.
pub(crate) fn method(channel: u16, id: Id, arguments: &[&[u8]]) -> Vec<u8> {
    let mut payload = [id.0.to_be_bytes(), id.1.to_be_bytes()].concat();
    payload.extend(arguments.concat());
    frame(METHOD, channel, &payload)
}

/// A short string.
pub(crate) fn short(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).expect("a short string")];
    bytes.extend(text.as_bytes());
    bytes
}

/// A long string, or a table from its entries.
pub(crate) fn long(bytes: &[u8]) -> Vec<u8> {
    let mut all = u32::try_from(bytes.len()).expect("below 4 GiB").to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

pub(crate) fn start_ok() -> Vec<u8> {
    let response = long(b"\0guest\0guest");
    method(0, START_OK, &[&long(b""), &short("PLAIN"), &response, &short("en_US")])
}

/// Without heartbeats.
pub(crate) fn tune_ok() -> Vec<u8> {
    let (channels, heartbeat) = (2047_u16.to_be_bytes(), 0_u16.to_be_bytes());
    method(0, TUNE_OK, &[&channels, &FRAME_MAX.to_be_bytes(), &heartbeat])
}

pub(crate) fn open() -> Vec<u8> {
    method(0, OPEN, &[&short("/"), &short(""), &[0]])
}

pub(crate) fn channel_open(channel: u16) -> Vec<u8> {
    method(channel, CHANNEL_OPEN, &[&short("")])
}

/// All that a client says up to an open channel, without waiting for answers.
pub(crate) fn greeting(channel: u16) -> Vec<u8> {
    [HEADER, &start_ok(), &tune_ok(), &open(), &channel_open(channel)].concat()
}

pub(crate) fn close() -> Vec<u8> {
    method(0, CLOSE, &[&200_u16.to_be_bytes(), &short("bye"), &[0; 4]])
}

/// A queue; bit 2 of `flags` is exclusive.
pub(crate) fn declare(channel: u16, queue: &str, flags: u8) -> Vec<u8> {
    method(channel, DECLARE, &[&[0; 2], &short(queue), &[flags], &long(b"")])
}

pub(crate) const EXCLUSIVE: u8 = 4;

pub(crate) fn delete(channel: u16, queue: &str) -> Vec<u8> {
    method(channel, DELETE, &[&[0; 2], &short(queue), &[0]])
}

/// A message to a queue, through the default exchange.
pub(crate) fn publish(channel: u16, queue: &str, body: &[u8]) -> Vec<u8> {
    let mut frames = method(channel, PUBLISH, &[&[0; 2], &short(""), &short(queue), &[0]]);
    frames.extend(content(channel, body.len() as u64, body));
    frames
}

/// A content header that announces `size`, and the body in frames.
pub(crate) fn content(channel: u16, size: u64, body: &[u8]) -> Vec<u8> {
    let header = [&[0, 60, 0, 0], &size.to_be_bytes()[..], &[0, 0]].concat();
    let mut frames = frame(CONTENT_HEADER, channel, &header);
    for piece in body.chunks(FRAME_MAX as usize - 8) {
        frames.extend(frame(BODY, channel, piece));
    }
    frames
}

pub(crate) fn get(channel: u16, queue: &str, no_ack: bool) -> Vec<u8> {
    method(channel, GET, &[&[0; 2], &short(queue), &[u8::from(no_ack)]])
}

pub(crate) fn consume(channel: u16, queue: &str, tag: &str) -> Vec<u8> {
    method(channel, CONSUME, &[&[0; 2], &short(queue), &short(tag), &[0], &long(b"")])
}

pub(crate) fn qos(channel: u16, prefetch: u16) -> Vec<u8> {
    method(channel, QOS, &[&[0; 4], &prefetch.to_be_bytes(), &[0]])
}

pub(crate) fn ack(channel: u16, tag: u64, multiple: bool) -> Vec<u8> {
    method(channel, ACK, &[&tag.to_be_bytes(), &[u8::from(multiple)]])
}
