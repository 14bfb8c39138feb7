//! Nanoseconds a frame: a published message of 16 octets and an ack coming
//! in, a delivery going out. Many frames lie in one buffer, as after a read.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leveret_protocol::content::ContentHeader;
use leveret_protocol::decoder::decode_frame;
use leveret_protocol::encoder::{write_body, write_content_header, write_method};
use leveret_protocol::frame::FrameKind;
use leveret_protocol::methods::{Method, MethodFrame, basic};

const MESSAGES: u64 = 256;
const PAYLOAD_MAX: u32 = 131_064;
const FRAME_MAX: u32 = 131_072;
const BODY: [u8; 16] = [7; 16];

fn write_content<M: MethodFrame>(out: &mut Vec<u8>, method: &M) {
    write_method(out, 1, method);
    write_content_header(out, 1, 60, 16, &[0, 0]);
    write_body(out, 1, &BODY, FRAME_MAX);
}

fn buffer(write: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    (0..MESSAGES).for_each(|_| write(&mut out));
    out
}

/// Reads every frame of `input` and what is in it; returns octets of body.
fn read_all(mut input: &[u8]) -> usize {
    let mut body = 0;
    while let Ok(Some(frame)) = decode_frame(input, PAYLOAD_MAX) {
        match frame.kind {
            FrameKind::Method => read_method(frame.payload),
            FrameKind::Header => {
                let header = ContentHeader::decode(frame.payload);
                black_box(header.map_or(0, |header| header.body_size));
            }
            FrameKind::Body => body += frame.payload.len(),
            FrameKind::Heartbeat => {}
        }
        input = input.get(frame.encoded_len()..).unwrap_or_default();
    }
    body
}

/// Looks at every field, as the broker's dispatch does.
fn read_method(payload: &[u8]) {
    match Method::decode(payload) {
        Ok(Method::BasicPublish(publish)) => {
            black_box((publish.exchange, publish.routing_key));
            black_box((publish.mandatory, publish.immediate));
        }
        Ok(Method::BasicAck(ack)) => {
            black_box((ack.delivery_tag, ack.multiple));
        }
        Ok(method) => {
            black_box(method.spec());
        }
        Err(error) => {
            black_box(error.reply_code());
        }
    }
}

fn decode(c: &mut Criterion) {
    let publish = basic::Publish { exchange: "", routing_key: "perf", ..Default::default() };
    let published = buffer(|out| write_content(out, &publish));
    let ack = basic::Ack { delivery_tag: 1 << 20, multiple: false };
    let acks = buffer(|out| write_method(out, 1, &ack));

    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(3 * MESSAGES));
    group.bench_function("publish 16 B, 3 frames each", |b| {
        b.iter(|| read_all(black_box(&published)));
    });
    group.throughput(Throughput::Elements(MESSAGES));
    group.bench_function("ack", |b| b.iter(|| read_all(black_box(&acks))));
    group.finish();
}

fn encode(c: &mut Criterion) {
    let deliver = basic::Deliver {
        consumer_tag: "amq.ctag-0123456789abcdef",
        delivery_tag: 1 << 20,
        redelivered: false,
        exchange: "",
        routing_key: "perf",
    };
    let mut out = Vec::with_capacity(1 << 20);

    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(3 * MESSAGES));
    group.bench_function("deliver 16 B, 3 frames each", |b| {
        b.iter(|| {
            out.clear();
            for _ in 0..MESSAGES {
                write_content(&mut out, black_box(&deliver));
            }
            black_box(&out);
        });
    });
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
