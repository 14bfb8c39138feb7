//! Dead letters that are published at least once: they stay with their queue until they are taken.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::let_pass;
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient, Value};

use crate::row::{Needs, Row};
use crate::scene::Scene;

const SLOW: &str = "RabbitMQ tries again after three minutes";
const QUORUM_ONLY: &str = "classic queues of RabbitMQ publish dead letters at most once";
/// Orderly ends take no longer.
const TO_TERMINATE: Duration = Duration::from_secs(30);

pub(crate) const ROWS: &[Row] = &[
    Row::new("87", "a dead letter without an exchange stays, and is not ready", |scene| {
        let name = source(scene, "quorum", &[]);
        stays(&mut scene.client, &name);
    }),
    Row::new("87", "it does so in a classic queue", |scene| {
        let name = source(scene, "classic", &[]);
        stays(&mut scene.client, &name);
    })
    .on_3_10_instead(|_| {}, QUORUM_ONLY),
    Row::new("87 83", "a queue that drops its head has nothing stay", |scene| {
        let name = scene.q();
        let declare = queue::declare(&name).with(Flag::Durable).arg("x-queue-type", "quorum");
        let declare = declare.arg("x-dead-letter-strategy", "at-least-once");
        scene.client.call(declare.arg("x-dead-letter-exchange", scene.x().as_str()));
        scene.client.fill(&name, &["a"]);
        reject_all(&mut scene.client, &name, 1);
        let_pass(Duration::from_millis(500));
        assert_eq!(scene.client.call(queue::purge(&name)).message_count(), 0);
    }),
    Row::new("87", "it is published when there is an exchange and a way", |scene| {
        takes_the_way(scene, "quorum");
    })
    .on_3_10_instead(|_| {}, SLOW),
    Row::new("87", "a classic queue's is, too", |scene| takes_the_way(scene, "classic"))
        .on_3_10_instead(|_| {}, QUORUM_ONLY),
    Row::new("87 54", "it waits for room where it goes", |scene| {
        let target = small(scene, "target", 1);
        let name = to_queue(scene, "quorum", &target);
        scene.client.fill(&name, &["a", "b", "c"]);
        reject_all(&mut scene.client, &name, 3);
        for body in ["a", "b", "c"] {
            let dead = fetch(&mut scene.client, &target);
            assert_eq!(dead.text(), body);
            scene.client.send(basic::ack(dead.delivery_tag));
        }
        assert_eq!(scene.client.call(queue::purge(&name)).message_count(), 0);
    })
    .on_3_10_instead(|_| {}, SLOW),
    Row::new("87 54", "who has room gets it at once, and once", |scene| {
        let (roomy, full) = (scene.name("roomy"), small(scene, "full", 0));
        let exchange = scene.exchange("fanout");
        scene.client.declare_bound_queue(&roomy, &exchange, "");
        scene.client.call(queue::bind(&full, &exchange, ""));
        let name = source(scene, "quorum", &[]);
        scene.client.fill(&name, &["a"]);
        reject_all(&mut scene.client, &name, 1);
        scene.client.expect_count(&roomy, 1);
        let_pass(Duration::from_millis(2500));
        assert_eq!(scene.client.queue_state(&roomy).message_count, 1, "tried again, not there");
        let other = scene.name("other");
        scene.client.declare_bound_queue(&other, &exchange, "");
        scene.client.expect_count(&other, 1);
        assert_eq!(scene.client.queue_state(&roomy).message_count, 1, "tried again, not there");
        scene.client.call(queue::unbind(&full, &exchange, ""));
        let_pass(Duration::from_millis(500));
        assert_eq!(scene.client.drain(&roomy), ["a"]);
        assert_eq!(scene.client.call(queue::purge(&name)).message_count(), 0);
    })
    .on_3_10_instead(|_| {}, SLOW),
    Row::new("87 79", "what stays counts for the limit of its queue", |scene| {
        let name = source(scene, "classic", &[("x-max-length", Value::Int(2))]);
        scene.client.fill(&name, &["a", "b"]);
        reject_all(&mut scene.client, &name, 1);
        let_pass(Duration::from_millis(200));
        scene.client.select_confirms();
        scene.client.publish(&Message::to_queue(&name).body("c"));
        assert!(!scene.client.expect_confirm().acked);
        assert_eq!(scene.client.drain(&name), ["b"]);
        scene.client.publish(&Message::to_queue(&name).body("c"));
        assert!(scene.client.expect_confirm().acked);
    })
    .on_3_10_instead(|_| {}, QUORUM_ONLY),
    Row::new("87 75", "what expires stays, too, and does not block what lives", |scene| {
        let name = source(scene, "quorum", &[("x-message-ttl", Value::Int(50))]);
        scene.client.fill(&name, &["a", "b"]);
        scene.client.expect_count(&name, 0);
        scene.client.consume(&name);
        scene.client.publish(&Message::to_queue(&name).body("lives"));
        scene.client.expect_deliveries(&["lives"]);
        scene.client.expect_nothing_pending(1, &name);
        let exchange = scene.exchange("fanout");
        let target = scene.name("target");
        scene.client.declare_bound_queue(&target, &exchange, "");
        scene.client.expect_count(&target, 2);
        assert_eq!(scene.client.drain(&target), ["a", "b"]);
    })
    .on_3_10_instead(|_| {}, SLOW),
    Row::new("87 56", "it stays through a restart", |_| {
        let mut broker = BrokerUnderTest::start();
        die(&mut broker.broker().connect());
        assert!(broker.terminate(TO_TERMINATE).success());
        broker.start_again();
        is_dead(&mut broker.broker().connect());
    })
    .needs(Needs::PrivateBroker),
    Row::new("87 56", "it stays through a crash", |_| {
        let mut broker = BrokerUnderTest::start();
        die(&mut broker.broker().connect());
        broker.kill();
        broker.start_again();
        is_dead(&mut broker.broker().connect());
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        assert_eq!(client.queue_state("quorum").message_count, 1);
        client.expect_count("target", 2);
        let_pass(Duration::from_millis(1500));
        assert_eq!(client_count(&mut client, "target"), 2, "gone from where it was");
    })
    .needs(Needs::PrivateBroker),
    Row::new("87", "many stay on the disk, and all of them come", |_| {
        let config = "message_memory.queue = 64KiB\n";
        let broker = BrokerUnderTest::start_with(config);
        let mut client = broker.broker().connect();
        declare(&mut client, "q", "classic", "dlx", &[]);
        let bodies: Vec<_> = (0..3000).map(|number| format!("{number:0100}")).collect();
        let bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
        // The first half is stored, the second is only out of the way.
        client.fill_persistent("q", &bodies[..1500]);
        client.fill("q", &bodies[1500..]);
        client.consume("q");
        let tags = client.expect_deliveries(&bodies);
        client.send(basic::nack(tags[tags.len() - 1]).with(Flag::Multiple));
        client.expect_nothing_pending(1, "q");
        let_pass(Duration::from_millis(300));
        client.declare_exchange("dlx", "fanout");
        client.declare_bound_queue("target", "dlx", "");
        client.expect_count("target", 3000);
        let mut dead = client.drain("target");
        dead.sort_unstable();
        assert_eq!(dead, bodies);
        assert_eq!(client.call(queue::purge("q")).message_count(), 0);
    })
    .needs(Needs::PrivateBroker),
];

fn declare(
    client: &mut RawClient,
    name: &str,
    kind: &str,
    exchange: &str,
    arguments: &[(&str, Value)],
) {
    let mut declare = queue::declare(name).with(Flag::Durable).arg("x-queue-type", kind);
    for (argument, value) in arguments {
        declare = declare.arg(argument, value.clone());
    }
    let declare =
        declare.arg("x-overflow", "reject-publish").arg("x-dead-letter-exchange", exchange);
    client.call(declare.arg("x-dead-letter-strategy", "at-least-once"));
}

/// The scene's queue, whose dead letters go to the scene's exchange.
fn source(scene: &mut Scene, kind: &str, arguments: &[(&str, Value)]) -> String {
    let (name, exchange) = (scene.q(), scene.x());
    declare(&mut scene.client, &name, kind, &exchange, arguments);
    name
}

/// The scene's queue, whose dead letters go to this one.
fn to_queue(scene: &mut Scene, kind: &str, target: &str) -> String {
    let name = scene.q();
    let key = ("x-dead-letter-routing-key", target.into());
    declare(&mut scene.client, &name, kind, "", &[key]);
    name
}

/// A queue that takes so many.
fn small(scene: &mut Scene, name: &str, most: i32) -> String {
    let name = scene.name(name);
    let declare = queue::declare(&name).with(Flag::Durable).arg("x-max-length", most);
    scene.client.call(declare.arg("x-overflow", "reject-publish"));
    name
}

fn fetch(client: &mut RawClient, name: &str) -> leveret_tests::raw_client::reply::Fetched {
    client.expect_count(name, 1);
    client.get(name)
}

/// Rejects so many, which will be there: a quorum queue may take a moment.
fn reject_all(client: &mut RawClient, name: &str, count: u32) {
    for _ in 0..count {
        let tag = client.get(name).delivery_tag;
        client.send(basic::nack(tag));
    }
}

fn client_count(client: &mut RawClient, name: &str) -> u32 {
    client.queue_state(name).message_count
}

fn stays(client: &mut RawClient, name: &str) {
    client.fill(name, &["a", "b", "c"]);
    client.expect_count(name, 3);
    reject_all(client, name, 2);
    client.expect_count(name, 1);
    let_pass(Duration::from_millis(500));
    client.consume(name);
    client.expect_deliveries(&["c"]);
    client.expect_nothing_pending(1, name);
    assert_eq!(client.call(queue::purge(name)).message_count(), 2, "they count");
    assert_eq!(client.call(queue::purge(name)).message_count(), 0);
}

fn takes_the_way(scene: &mut Scene, kind: &str) {
    let name = source(scene, kind, &[]);
    scene.client.fill(&name, &["a", "b"]);
    reject_all(&mut scene.client, &name, 2);
    let_pass(Duration::from_millis(1200));
    let exchange = scene.exchange("fanout");
    let_pass(Duration::from_millis(1200));
    let target = scene.name("target");
    scene.client.declare_bound_queue(&target, &exchange, "");
    scene.client.expect_count(&target, 2);
    let dead = scene.client.get(&target);
    let headers = dead.content.properties.headers.clone().expect("headers");
    assert_eq!(headers.get("x-first-death-reason"), Some(&"rejected".into()));
    assert_eq!(headers.get("x-first-death-queue"), Some(&name.as_str().into()));
    assert_eq!(dead.text(), "a");
    assert_eq!(scene.client.get(&target).text(), "b");
    assert_eq!(scene.client.call(queue::purge(&name)).message_count(), 0);
}

/// In two queues one message dies and one lives.
fn die(client: &mut RawClient) {
    for kind in ["quorum", "classic"] {
        declare(client, kind, kind, "dlx", &[]);
        client.fill_persistent(kind, &["dead", "alive"]);
        client.expect_count(kind, 2);
        reject_all(client, kind, 1);
    }
    let_pass(Duration::from_millis(500));
}

fn is_dead(client: &mut RawClient) {
    for kind in ["quorum", "classic"] {
        assert_eq!(client_count(client, kind), 1);
    }
    client.declare_exchange("dlx", "fanout");
    client.declare_queue("target");
    client.call(queue::bind("target", "dlx", ""));
    client.expect_count("target", 2);
    let dead = client.get("target");
    assert_eq!(dead.text(), "dead");
    let headers = dead.content.properties.headers.expect("headers");
    assert_eq!(headers.get("x-first-death-reason"), Some(&"rejected".into()));
}
