//! What one route costs in each exchange type, by the number of bindings.
//!
//! Run with `cargo bench -p leveret --bench routing`. The routes are those the matchers are built
//! for: one destination hit among many bindings, and one fanout.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use leveret::exchange::{Binding, ExchangeKind, Router, stable_hash};
use leveret_protocol::types::{FieldTable, FieldValue};
use std::hint::black_box;

fn text(text: &str) -> FieldValue {
    FieldValue::LongString(text.as_bytes().to_vec())
}

/// An exchange with `count` bindings, each to a destination of its own.
fn router(
    kind: ExchangeKind,
    count: u32,
    binding: impl Fn(u32) -> (String, FieldTable),
) -> Router<u32> {
    let mut router = Router::new(kind);
    for destination in 0..count {
        let (routing_key, arguments) = binding(destination);
        let bound = router.bind(Binding { destination, routing_key, arguments });
        assert_eq!(bound, Ok(true));
    }
    router
}

fn direct(c: &mut Criterion) {
    let mut group = c.benchmark_group("direct");
    for count in [200, 10_000] {
        let router =
            router(ExchangeKind::Direct, count, |n| (format!("key-{n}"), FieldTable::default()));
        let mut out = Vec::new();
        group.bench_with_input(BenchmarkId::from_parameter(count), &router, |b, router| {
            b.iter(|| {
                out.clear();
                router.route(black_box("key-77"), None, &mut out);
                assert_eq!(out, [77]);
            });
        });
    }
}

/// Every third binding has a `*`, every third a `#`.
fn pattern(n: u32) -> String {
    let (region, device) = (n % 50, n / 50);
    match n % 3 {
        0 => format!("region{region}.device{device}.temperature"),
        1 => format!("region{region}.*.alarm{device}"),
        _ => format!("region{region}.device{device}.#"),
    }
}

fn topic(c: &mut Criterion) {
    let mut group = c.benchmark_group("topic");
    for count in [200, 10_000] {
        let router = router(ExchangeKind::Topic, count, |n| (pattern(n), FieldTable::default()));
        let mut out = Vec::new();
        for (name, key) in [
            ("hit", "region3.device0.temperature"),
            ("miss", "region3.device0.humidity"),
            ("long", "region2.device0.a.b.c.d.e.f.g.h"),
        ] {
            group.bench_with_input(BenchmarkId::new(name, count), &router, |b, router| {
                b.iter(|| {
                    out.clear();
                    router.route(black_box(key), None, &mut out);
                    black_box(&out);
                });
            });
        }
    }
    let many = router(ExchangeKind::Topic, 20, |n| {
        (format!("{}word{n}", "#.a.".repeat(20)), FieldTable::default())
    });
    let key = "a.".repeat(60);
    let mut out = Vec::new();
    group.bench_function("twenty hashes, sixty words", |b| {
        b.iter(|| {
            out.clear();
            many.route(black_box(key.as_str()), None, &mut out);
            black_box(&out);
        });
    });
}

fn headers(c: &mut Criterion) {
    let mut group = c.benchmark_group("headers");
    let mut message = FieldTable::default();
    message.insert("type", text("report"));
    message.insert("customer", FieldValue::I32(77));
    message.insert("format", text("pdf"));
    for count in [200, 10_000] {
        let router = router(ExchangeKind::Headers, count, |n| {
            let mut arguments = FieldTable::default();
            arguments.insert("type", text("report"));
            arguments.insert("customer", FieldValue::I64(i64::from(n)));
            (String::new(), arguments)
        });
        let mut out = Vec::new();
        group.bench_with_input(BenchmarkId::from_parameter(count), &router, |b, router| {
            b.iter(|| {
                out.clear();
                router.route("", Some(black_box(&message)), &mut out);
                assert_eq!(out, [77]);
            });
        });
    }
}

fn fanout(c: &mut Criterion) {
    let router = router(ExchangeKind::Fanout, 20, |_| (String::new(), FieldTable::default()));
    let mut out = Vec::new();
    c.bench_function("fanout/20", |b| {
        b.iter(|| {
            out.clear();
            router.route(black_box(""), None, &mut out);
            black_box(&out);
        });
    });
}

/// Exchanges that choose one destination: by distance, and by place.
fn choosing(c: &mut Criterion) {
    for kind in [ExchangeKind::ConsistentHash, ExchangeKind::ModulusHash] {
        let mut group = c.benchmark_group(kind.name());
        for count in [10, 1_000] {
            let router = router(kind, count, |_| ("1".to_owned(), FieldTable::default()));
            group.bench_function(BenchmarkId::from_parameter(count), |b| {
                b.iter(|| {
                    let hash = stable_hash::of_bytes(black_box(b"key-77"));
                    router.choose(hash).copied()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(routing, direct, topic, headers, fanout, choosing);
criterion_main!(routing);
