//! Which binding keys of a topic exchange match which routing keys, and the same for direct and
//! fanout.

use leveret_tests::raw_client::Message;
use leveret_tests::raw_client::method::queue;

use crate::row::Row;
use crate::scene::Scene;

/// A binding key, routing keys it matches, and routing keys it does not.
type Pattern = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The empty key has no words; `.` has two empty ones.
const PATTERNS: &[Pattern] = &[
    ("a.b.c", &["a.b.c"], &["a.b", "a.b.c.d", "a.b.C", ""]),
    ("", &[""], &["a", "."]),
    ("#", &["", "a", "a.b", ".", "a..b", "a.b.c.d.e.f"], &[]),
    ("*", &["a", "abc"], &["", "a.b", ".", "a."]),
    ("*.*", &["a.b", ".", "a.", ".b"], &["", "a", "a.b.c"]),
    ("a.*", &["a.b", "a."], &["a", "a.b.c", "b.a"]),
    ("*.a", &["b.a", ".a"], &["a", "a.b", "b.b.a"]),
    ("a.#", &["a", "a.", "a.b", "a.b.c"], &["", "b", "ab", "b.a"]),
    ("#.a", &["a", "b.a", "c.b.a", ".a"], &["", "a.b", "ba"]),
    ("#.#", &["", "a", "a.b", "a.b.c"], &[]),
    ("*.#", &["a", "a.b", ".", "a.b.c"], &[""]),
    ("#.*", &["a", "a.b", ".", "a.b.c"], &[""]),
    ("a.#.b", &["a.b", "a.c.b", "a.c.d.b", "a..b"], &["a", "b", "a.b.c"]),
    ("a.*.b", &["a.c.b", "a..b"], &["a.b", "a.c.d.b"]),
    ("a.*.#.b", &["a.c.b", "a.c.d.b"], &["a.b", "a.c"]),
    ("#.a.#", &["a", "b.a", "a.b", "b.a.b", "c.b.a.b.c"], &["", "b", "ab"]),
    ("#.a.#.b", &["a.b", "a.x.b", "x.a.y.b", "a.a.b"], &["a", "b.a", "b", "a.b.c"]),
    ("*.a.*.b", &["x.a.y.b"], &["a.y.b", "x.a.b", "x.a.y.b.z"]),
    ("a..b", &["a..b"], &["a.b", "a.x.b"]),
    ("a*", &["a*"], &["a", "ab"]),
    ("a.#b", &["a.#b"], &["a.b", "a.xb"]),
    ("é.*", &["é.ü"], &["e.ü", "é"]),
];

pub(crate) const ROWS: &[Row] = &[
    Row::new("94", "every pattern matches what it should and nothing else", |scene| {
        let exchange = scene.exchange("topic");
        let queues = bind_patterns(scene, &exchange);
        let mut keys: Vec<&str> =
            PATTERNS.iter().flat_map(|(_, yes, no)| yes.iter().chain(*no)).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            scene.client.publish(&Message::to(&exchange, key).body(key));
        }
        for ((pattern, matching, others), queue) in PATTERNS.iter().zip(&queues) {
            let got = scene.client.drain(queue);
            for key in *matching {
                assert!(got.iter().any(|got| got == key), "{pattern:?} should match {key:?}");
            }
            for key in *others {
                assert!(!got.iter().any(|got| got == key), "{pattern:?} should not match {key:?}");
            }
        }
    }),
    Row::new("94", "an unbound pattern matches no more, and the others still do", |scene| {
        let exchange = scene.exchange("topic");
        let queue = scene.queue();
        for pattern in ["a.*", "a.#", "#"] {
            scene.client.call(queue::bind(&queue, &exchange, pattern));
        }
        for (pattern, still) in [("#", true), ("a.*", true), ("a.#", false)] {
            scene.client.call(queue::unbind(&queue, &exchange, pattern));
            scene.client.publish(&Message::to(&exchange, "a.b").body(pattern));
            assert_eq!(!scene.client.drain(&queue).is_empty(), still, "after {pattern:?}");
        }
    }),
    Row::new("94", "a binding made between two publishes counts for the second", |scene| {
        let exchange = scene.exchange("topic");
        let queue = scene.queue();
        for pattern in ["a.b", "a.*", "*.b", "#"] {
            scene.client.publish(&Message::to(&exchange, "a.b").body("before"));
            scene.client.call(queue::bind(&queue, &exchange, pattern));
            scene.client.publish(&Message::to(&exchange, "a.b").body("after"));
            assert_eq!(scene.client.drain(&queue), ["after"], "{pattern:?}");
            scene.client.call(queue::unbind(&queue, &exchange, pattern));
        }
    }),
    Row::new("42", "direct compares the whole key, byte by byte", |scene| {
        let exchange = scene.exchange("direct");
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, "a.*"));
        for key in ["a.*", "a.b", "A.*", "", "a.*."] {
            scene.client.publish(&Message::to(&exchange, key).body(key));
        }
        assert_eq!(scene.client.drain(&queue), ["a.*"]);
    }),
    Row::new("42", "fanout ignores the key", |scene| {
        let exchange = scene.exchange("fanout");
        let (one, two) = (scene.name("one"), scene.name("two"));
        scene.client.declare_bound_queue(&one, &exchange, "a");
        scene.client.declare_bound_queue(&two, &exchange, "b");
        scene.client.publish(&Message::to(&exchange, "c").body("to all"));
        assert_eq!(scene.client.drain(&one), ["to all"]);
        assert_eq!(scene.client.drain(&two), ["to all"]);
    }),
    Row::new("42", "the default exchange routes by the queue's name", |scene| {
        let queue = scene.queue();
        scene.client.publish(&Message::to("", &queue).body("by name"));
        let fetched = scene.client.get(&queue);
        assert_eq!((fetched.exchange.as_str(), &fetched.routing_key), ("", &queue));
    }),
];

/// A queue for each pattern, bound with it.
fn bind_patterns(scene: &mut Scene, exchange: &str) -> Vec<String> {
    (0..PATTERNS.len())
        .map(|position| {
            let queue = scene.name(&format!("pattern-{position}"));
            scene.client.declare_bound_queue(&queue, exchange, PATTERNS[position].0);
            queue
        })
        .collect()
}
