//! Delayed retry (`x-delayed-retry-*`): what came back waits before it is handed out again. RabbitMQ has
//! it on quorum queues.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{has_waited, let_pass};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, channel, queue};
use leveret_tests::raw_client::{Flag, Message, Value};

use crate::row::Row;
use crate::scene::Scene;

/// How long the first attempt waits.
const MIN_MS: i32 = 400;

pub(crate) const ROWS: &[Row] = &[
    Row::new("101", "what failed waits as much longer each time", |scene| {
        let name = retrying(scene, "quorum", "failed", 2 * MIN_MS);
        scene.client.fill(&name, &["a"]);
        scene.client.consume(&name);
        let mut tag = scene.client.expect_delivery().delivery_tag;
        for waits_ms in [MIN_MS, 2 * MIN_MS, 2 * MIN_MS] {
            let begun = now();
            scene.client.send(basic::reject(tag).with(Flag::Requeue));
            let delivery = scene.client.expect_delivery();
            assert!(delivery.redelivered);
            assert!(has_waited(begun, ms(waits_ms)));
            tag = delivery.delivery_tag;
        }
    }),
    Row::new("101", "what was given back without having failed does not", |scene| {
        let name = retrying(scene, "quorum", "failed", MIN_MS);
        scene.client.fill(&name, &["a"]);
        scene.client.consume(&name);
        let tag = scene.client.expect_delivery().delivery_tag;
        let begun = now();
        scene.client.send(basic::nack(tag).with(Flag::Requeue));
        scene.client.expect_delivery();
        assert!(now() - begun < ms(MIN_MS));
    }),
    Row::new("101", "unless that is what waits", |scene| {
        let name = retrying(scene, "quorum", "returned", MIN_MS);
        scene.client.fill(&name, &["a"]);
        scene.client.consume(&name);
        let mut tag = scene.client.expect_delivery().delivery_tag;
        for _ in 0..2 {
            let begun = now();
            scene.client.send(basic::nack(tag).with(Flag::Requeue));
            tag = scene.client.expect_delivery().delivery_tag;
            assert!(has_waited(begun, ms(MIN_MS)), "it never failed: always the shortest time");
        }
        let begun = now();
        scene.client.send(basic::reject(tag).with(Flag::Requeue));
        scene.client.expect_delivery();
        assert!(now() - begun < ms(MIN_MS));
    }),
    Row::new("101", "others do not wait for what waits", |scene| {
        let name = retrying(scene, "quorum", "all", MIN_MS);
        scene.client.fill(&name, &["a", "b"]);
        scene.client.call(basic::qos(1));
        scene.client.consume(&name);
        let tag = scene.client.expect_deliveries(&["a"])[0];
        scene.client.send(basic::reject(tag).with(Flag::Requeue));
        let tag = scene.client.expect_deliveries(&["b"])[0];
        scene.client.send(basic::ack(tag));
        scene.client.expect_deliveries(&["a"]);
    }),
    Row::new("101", "what a channel held when it ended has failed", |scene| {
        let name = retrying(scene, "quorum", "failed", MIN_MS);
        scene.client.fill(&name, &["a"]);
        scene.client.consume(&name);
        scene.client.expect_delivery();
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        let begun = now();
        scene.client.consume(&name);
        scene.client.expect_delivery();
        assert!(has_waited(begun, ms(MIN_MS / 2)));
    }),
    Row::new("101", "what waits is not among the messages, and goes with a purge", |scene| {
        let name = retrying(scene, "quorum", "all", 600_000);
        scene.client.fill(&name, &["a", "b"]);
        let tag = scene.client.get(&name).delivery_tag;
        scene.client.send(basic::reject(tag).with(Flag::Requeue));
        scene.client.expect_count(&name, 1);
        let purged = scene.client.call(queue::purge(&name));
        assert_eq!(purged.message_count(), 2);
    }),
    Row::new("101", "settings that are none change nothing", |scene| {
        for (setting, value) in [
            ("x-delayed-retry-type", "sometimes".into()),
            ("x-delayed-retry-min", Value::Int(0)),
            ("x-delayed-retry-min", "soon".into()),
            ("x-delayed-retry-max", Value::Int(-1)),
        ] {
            let name = scene.name("none");
            let declare = queue::declare(&name).with(Flag::Durable);
            let declare = declare.arg("x-queue-type", "quorum").arg(setting, value);
            scene.client.call(declare);
            scene.client.call(queue::delete(&name));
        }
    }),
    Row::ours("a classic queue has it as well", |scene| {
        let name = retrying(scene, "classic", "failed", MIN_MS);
        scene.client.fill(&name, &["a"]);
        scene.client.consume(&name);
        let tag = scene.client.expect_delivery().delivery_tag;
        let begun = now();
        scene.client.send(basic::reject(tag).with(Flag::Requeue));
        scene.client.expect_delivery();
        assert!(has_waited(begun, ms(MIN_MS)));
    }),
    Row::ours("waiting can double each time", |scene| {
        let name = scene.name("q");
        let declare = queue::declare(&name).with(Flag::Durable);
        let declare = declare.arg("x-delayed-retry-type", "failed").arg("x-delayed-retry-min", 100);
        let declare = declare.arg("x-delayed-retry-max", 60_000);
        scene.client.call(declare.arg("x-delayed-retry-backoff", "exponential"));
        scene.client.fill(&name, &["a"]);
        scene.client.consume(&name);
        let mut tag = scene.client.expect_delivery().delivery_tag;
        for waits_ms in [100, 200, 400, 800] {
            let begun = now();
            scene.client.send(basic::reject(tag).with(Flag::Requeue));
            tag = scene.client.expect_delivery().delivery_tag;
            assert!(has_waited(begun, ms(waits_ms)));
        }
    }),
    Row::ours("of a group what comes after waits as well", |scene| {
        let name = scene.name("q");
        let declare = queue::declare(&name).with(Flag::Durable).arg("x-message-group", "group");
        let declare = declare.arg("x-delayed-retry-type", "all");
        scene.client.call(declare.arg("x-delayed-retry-min", MIN_MS));
        for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
            let message = Message::to_queue(&name).body(body);
            scene.client.publish(&message.header("group", group));
        }
        scene.client.call(basic::qos(1));
        scene.client.consume(&name);
        let tag = scene.client.expect_deliveries(&["a1"])[0];
        let begun = now();
        scene.client.send(basic::reject(tag).with(Flag::Requeue));
        let tag = scene.client.expect_deliveries(&["b1"])[0];
        scene.client.send(basic::ack(tag));
        let tag = scene.client.expect_deliveries(&["a1"])[0];
        assert!(has_waited(begun, ms(MIN_MS)));
        scene.client.send(basic::ack(tag));
        scene.client.expect_deliveries(&["a2"]);
    }),
    Row::ours("what waits is there after a restart, and so is how often it failed", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        let declare = queue::declare("q").with(Flag::Durable).arg("x-queue-type", "quorum");
        let declare = declare.arg("x-delayed-retry-type", "failed");
        client.call(declare.arg("x-delayed-retry-min", MIN_MS));
        client.fill_persistent("q", &["a"]);
        let tag = client.get("q").delivery_tag;
        client.send(basic::reject(tag).with(Flag::Requeue));
        client.expect_count("q", 0);
        client.close();
        broker.terminate(Duration::from_secs(20));
        broker.start_again();
        let mut client = broker.broker().connect();
        client.consume("q");
        let delivery = client.expect_delivery();
        let headers = delivery.content.properties.headers.expect("headers");
        assert_eq!(headers.get("x-delivery-count"), Some(&Value::Long(1)));
        broker.assert_no_panic();
    }),
    Row::ours("what waits no longer than it lives dies in its time", |scene| {
        let target = scene.queue();
        let name = scene.name("mortal");
        let declare = queue::declare(&name).with(Flag::Durable).arg("x-message-ttl", 200);
        let declare = declare.arg("x-delayed-retry-type", "all");
        let declare = declare.arg("x-delayed-retry-min", 600_000);
        let declare = declare.arg("x-dead-letter-exchange", "");
        scene.client.call(declare.arg("x-dead-letter-routing-key", target.as_str()));
        scene.client.fill(&name, &["a"]);
        let tag = scene.client.get(&name).delivery_tag;
        scene.client.send(basic::reject(tag).with(Flag::Requeue));
        let_pass(ms(100));
        scene.client.expect_count(&target, 1);
    }),
    Row::ours("a type is one of four words", |scene| {
        scene.client.send(queue::declare(&scene.q()).arg("x-delayed-retry-type", "sometimes"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-delayed-retry-type' for queue '{q}' in vhost '/': \
         invalid_delayed_retry_type",
        queue::DECLARE,
    ),
    Row::ours("a time is some", |scene| {
        scene.client.send(queue::declare(&scene.q()).arg("x-delayed-retry-min", 0));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-delayed-retry-min' for queue '{q}' in vhost '/': \
         {value_zero,0}",
        queue::DECLARE,
    ),
    Row::ours("the longest is no shorter than the first", |scene| {
        let declare = queue::declare(&scene.q()).arg("x-delayed-retry-min", 10);
        scene.client.send(declare.arg("x-delayed-retry-max", 5));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-delayed-retry-max' for queue '{q}' in vhost '/': \
         {less_than_minimum,5,10}",
        queue::DECLARE,
    ),
    Row::ours("it grows in one of two ways", |scene| {
        scene.client.send(queue::declare(&scene.q()).arg("x-delayed-retry-backoff", "slowly"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-delayed-retry-backoff' for queue '{q}' in vhost '/': \
         invalid_delayed_retry_backoff",
        queue::DECLARE,
    ),
];

fn ms(ms: i32) -> Duration {
    Duration::from_millis(ms.unsigned_abs().into())
}

fn retrying(scene: &mut Scene, queue_type: &str, after: &str, most_ms: i32) -> String {
    let name = scene.name("retrying");
    let declare = queue::declare(&name).with(Flag::Durable).arg("x-queue-type", queue_type);
    let declare = declare.arg("x-delayed-retry-type", after);
    let least_ms = MIN_MS.min(most_ms);
    let declare =
        declare.arg("x-delayed-retry-min", if most_ms > 10_000 { most_ms } else { least_ms });
    scene.client.call(declare.arg("x-delayed-retry-max", most_ms));
    name
}
