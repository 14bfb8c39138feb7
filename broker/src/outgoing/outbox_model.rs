//! Model test of the outgoing buffer: however deliveries, replies, partial writes and changes of
//! writer interleave, the client reads exactly the frames that were added, in order.
//!
//! The expected bytes are put together apart, with the protocol's plain encoder and no batches, and
//! read back with its decoder at the end.

use std::sync::LazyLock;

use bytes::Bytes;
use leveret_protocol::content::ContentHeader;
use leveret_protocol::decoder::decode_frame;
use leveret_protocol::encoder::{write_body, write_content_header, write_method};
use leveret_protocol::frame::FrameKind;
use leveret_protocol::methods::{Method, basic};
use proptest::collection::vec;
use proptest::prelude::*;

use super::batch::Batch;
use super::outbox::{DELIVERY_BYTES_MAX, Handover, Outbox, Writing};
use crate::keys::{ChannelSlot, DeliveryKey, SourceKey};
use crate::message::{HeadLayout, INLINE_BODY_MAX, Message};

#[derive(Clone, Debug)]
enum Step {
    /// A delivery of a body of this length to this channel.
    Deliver(usize, usize),
    /// A `basic.get-ok` of a body of this length on this channel: never refused.
    Got(usize, usize),
    /// A short reply.
    Reply(u64),
    /// The socket takes so many bytes of what is being written; a writer starts if there is none.
    Write(usize),
    /// The socket is full: the writer task is to go on with what is being written.
    WouldBlock,
    /// More than a direct write is worth: the writer task claims it.
    ClaimForWriter,
    /// The writer task wakes up.
    Wake,
    ReleaseMemory,
}

const CHANNELS: usize = 2;
const LENGTH_MAX: usize = 400_000;

/// Lengths of bodies, mostly around where something changes.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        3 => 0_usize..50,
        2 => INLINE_BODY_MAX - 20..INLINE_BODY_MAX + 20,
        2 => 8000_usize..20_000,
        2 => 100_000..LENGTH_MAX,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let count = prop_oneof![1_usize..100, 1_usize..10_000, Just(usize::MAX)];
    prop_oneof![
        8 => (0..CHANNELS, length()).prop_map(|(channel, length)| Step::Deliver(channel, length)),
        2 => (0..CHANNELS, length()).prop_map(|(channel, length)| Step::Got(channel, length)),
        4 => any::<u64>().prop_map(Step::Reply),
        6 => count.prop_map(Step::Write),
        2 => Just(Step::WouldBlock),
        2 => Just(Step::ClaimForWriter),
        3 => Just(Step::Wake),
        1 => Just(Step::ReleaseMemory),
    ]
}

/// A message published to the exchange `x` with the key `k`, its body laid out as the broker does.
fn message(body: &[u8]) -> Message {
    let mut head = b"\x01x\x01k\0\0".to_vec();
    let layout = HeadLayout { properties_at: 4, body_at: 6 };
    if body.len() < INLINE_BODY_MAX {
        head.extend_from_slice(body);
        return Message::new(&head, layout, None, false);
    }
    Message::new(&head, layout, Some(Bytes::copy_from_slice(body)), false)
}

/// Who writes to the socket.
enum Writer {
    Nobody,
    /// Somebody, who holds this batch.
    Somebody(Batch),
    /// The writer task, once it wakes up.
    Asleep,
}

struct Run {
    outbox: Outbox,
    slots: Vec<ChannelSlot>,
    tags: [u64; CHANNELS],
    frame_max: u32,
    writer: Writer,
    expected: Vec<u8>,
    bodies: Vec<Vec<u8>>,
    sent: Vec<u8>,
    congested: bool,
}

impl Run {
    fn new(frame_max: u32) -> Self {
        let mut outbox = Outbox::new(frame_max);
        let slots = (0..CHANNELS).map(|at| outbox.open_channel(number(at))).collect();
        Self {
            outbox,
            slots,
            tags: [0; CHANNELS],
            frame_max,
            writer: Writer::Nobody,
            expected: Vec::new(),
            bodies: Vec::new(),
            sent: Vec::new(),
            congested: false,
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Deliver(channel, length) => self.deliver(channel, length),
            Step::Got(channel, length) => self.got(channel, length),
            Step::Reply(delivery_tag) => {
                let ack = basic::Ack { delivery_tag, multiple: false };
                write_method(self.outbox.frames(), 1, &ack);
                write_method(&mut self.expected, 1, &ack);
            }
            Step::Write(count) => self.write(count),
            Step::WouldBlock => match std::mem::replace(&mut self.writer, Writer::Asleep) {
                Writer::Somebody(batch) => self.outbox.leave_to_writer(batch),
                other @ (Writer::Nobody | Writer::Asleep) => self.writer = other,
            },
            Step::ClaimForWriter => {
                let idle = matches!(self.writer, Writer::Nobody);
                let claimed = self.outbox.claim_for_writer();
                assert_eq!(claimed, idle && self.sent.len() < self.expected.len());
                if claimed {
                    self.writer = Writer::Asleep;
                }
            }
            Step::Wake => {
                if matches!(self.writer, Writer::Asleep) {
                    let batch = self.outbox.resume_writing().expect("it was woken for something");
                    self.writer = Writer::Somebody(batch);
                }
            }
            Step::ReleaseMemory => self.outbox.release_memory(),
        }
    }

    /// A body that differs from all others.
    fn body(&self, length: usize) -> Vec<u8> {
        static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let byte = |at: usize| u8::try_from((at * 7 + at / 251) % 256).unwrap();
            (0..LENGTH_MAX + 256).map(byte).collect()
        });
        let from = self.bodies.len() % 256;
        TEXT[from..from + length].to_vec()
    }

    fn deliver(&mut self, channel: usize, length: usize) {
        let body = self.body(length);
        let redelivered = length % 2 == 1;
        let before = self.outbox.unsent();
        let outcome = self.outbox.deliver(
            self.slots[channel],
            SourceKey(0),
            b"ctag",
            DeliveryKey::NONE,
            &message(&body),
            redelivered,
        );
        if self.congested {
            assert_eq!(outcome, Handover::Refused);
            assert_eq!(self.outbox.unsent(), before, "nothing was added");
            return;
        }
        self.congested = self.outbox.unsent() > DELIVERY_BYTES_MAX;
        let full = if self.congested { Handover::AcceptedAndFull } else { Handover::Accepted };
        assert_eq!(outcome, full);
        self.tags[channel] += 1;
        let method = basic::Deliver {
            consumer_tag: "ctag",
            delivery_tag: self.tags[channel],
            redelivered,
            exchange: "x",
            routing_key: "k",
        };
        write_method(&mut self.expected, number(channel), &method);
        self.expect_content(channel, body);
    }

    fn got(&mut self, channel: usize, length: usize) {
        let body = self.body(length);
        let delivery_tag = 77;
        let (exchange, routing_key) = ("x", "k");
        let message_count = 0;
        let redelivered = false;
        let method =
            basic::GetOk { delivery_tag, redelivered, exchange, routing_key, message_count };
        write_method(self.outbox.frames(), number(channel), &method);
        self.outbox.content(number(channel), &message(&body));
        write_method(&mut self.expected, number(channel), &method);
        self.expect_content(channel, body);
    }

    fn expect_content(&mut self, channel: usize, body: Vec<u8>) {
        let out = &mut self.expected;
        write_content_header(out, number(channel), 60, body.len() as u64, &[0, 0]);
        write_body(out, number(channel), &body, self.frame_max);
        self.bodies.push(body);
    }

    /// The socket takes at most `count` bytes in one vectored write.
    fn write(&mut self, count: usize) {
        if matches!(self.writer, Writer::Nobody) {
            let waits = self.sent.len() < self.expected.len();
            let batch = self.outbox.start_writing();
            assert_eq!(batch.is_some(), waits);
            self.writer = batch.map_or(Writer::Nobody, Writer::Somebody);
        }
        let Writer::Somebody(batch) = &mut self.writer else { return };
        let before = self.sent.len();
        for slice in &batch.slices() {
            let taken = slice.len().min(count - (self.sent.len() - before));
            self.sent.extend_from_slice(&slice[..taken]);
        }
        batch.advance(self.sent.len() - before);
        let expected = &self.expected[before..self.sent.len()];
        assert!(expected == &self.sent[before..], "not the bytes that were added");
        assert!(self.sent.len() > before, "a batch has something to write");
        if batch.remaining() == 0 {
            self.batch_written();
        }
    }

    fn batch_written(&mut self) {
        let Writer::Somebody(batch) = std::mem::replace(&mut self.writer, Writer::Nobody) else {
            return;
        };
        let relieved = self.outbox.batch_written(batch);
        let waiting = self.expected.len() - self.sent.len();
        assert_eq!(self.outbox.unsent(), waiting);
        assert_eq!(relieved, self.congested && waiting < DELIVERY_BYTES_MAX / 2);
        self.congested &= !relieved;
        let next = self.outbox.next_batch();
        self.writer = next.map_or(Writer::Nobody, Writer::Somebody);
    }

    fn check(&self) {
        assert!(self.outbox.unsent() >= self.expected.len() - self.sent.len());
        let idle = matches!(self.writer, Writer::Nobody);
        assert_eq!(self.outbox.writing() == Writing::Idle, idle);
    }

    /// Writes the rest, and reads it all back.
    fn finish(mut self) {
        while self.sent.len() < self.expected.len() {
            self.run(&Step::Wake);
            self.run(&Step::Write(usize::MAX));
        }
        assert_eq!(self.outbox.unsent(), 0);
        assert!(!self.congested, "relieved at the latest when all is written");
        self.decode();
    }

    fn decode(&self) {
        let payload_max = self.frame_max.saturating_sub(8);
        let (mut rest, mut bodies) = (&self.sent[..], self.bodies.iter());
        let mut open: Option<(u16, usize, &[u8])> = None;
        while let Some(frame) = decode_frame(rest, payload_max).expect("valid frames") {
            let payload = frame.payload;
            assert!(self.frame_max == 0 || frame.encoded_len() <= self.frame_max as usize);
            match frame.kind {
                FrameKind::Method => {
                    assert_eq!(open, None, "no frame stands between those of one content");
                    Method::decode(payload).expect("a valid method");
                }
                FrameKind::Header => {
                    let size = ContentHeader::decode(payload).expect("a valid header").body_size;
                    let body = bodies.next().expect("no more contents than were added");
                    assert_eq!(size, body.len() as u64);
                    open = Some((frame.channel, 0, body));
                }
                FrameKind::Body => {
                    let (channel, at, body) = open.expect("a body after a header");
                    assert_eq!(frame.channel, channel);
                    assert!(payload == &body[at..at + payload.len()], "the body as published");
                    open = Some((channel, at + payload.len(), body));
                }
                FrameKind::Heartbeat => panic!("nobody sent one"),
            }
            open = open.filter(|(_, at, body)| at < &body.len());
            rest = &rest[frame.encoded_len()..];
        }
        assert!(rest.is_empty() && bodies.next().is_none() && open.is_none());
    }
}

fn number(channel: usize) -> u16 {
    u16::try_from(channel + 1).expect("few channels")
}

fn frame_max() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(4096), Just(8192), Just(131_072)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_client_reads_what_was_added(frame_max in frame_max(), steps in vec(step(), 1..80)) {
        let mut run = Run::new(frame_max);
        for step in &steps {
            run.run(step);
            run.check();
        }
        run.finish();
    }
}
