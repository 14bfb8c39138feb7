//! Time to live: of messages, by their queue and by themselves, and of queues that nobody uses.

use std::time::Duration;

use leveret_tests::deadline::let_pass;
use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, channel, queue};
use leveret_tests::raw_client::{Flag, Message};

use crate::row::{Needs, Row};
use crate::scene::Scene;

/// Longer than any of the times below that are to be up.
const OVER: Duration = Duration::from_millis(150);

pub(crate) const ROWS: &[Row] = &[
    Row::new("75", "messages go when the time of their queue is up", |scene| {
        let name = with(scene, "q", "x-message-ttl", 50);
        scene.client.fill(&name, &["a", "b"]);
        scene.client.expect_count(&name, 0);
        assert_eq!(scene.client.drain(&name), [""; 0]);
    }),
    Row::new("75", "the shorter of two times counts", |scene| {
        let short = with(scene, "short", "x-message-ttl", 50);
        let long = with(scene, "long", "x-message-ttl", 600_000);
        for name in [&short, &long] {
            scene.client.select_confirms();
            publish_for(scene, name, "10", "short");
            publish_for(scene, name, "600000", "long");
            scene.client.expect_confirmed_up_to(1, 2);
            scene.client.call(channel::close());
            scene.client.open_channel(1);
        }
        scene.client.expect_count(&short, 0);
        scene.client.expect_count(&long, 1);
        assert_eq!(scene.client.drain(&long), ["long"]);
    }),
    Row::new("76", "a message behind one that lives waits for it, and is not delivered", |scene| {
        let name = scene.queue();
        publish_for(scene, &name, "600000", "lives");
        publish_for(scene, &name, "20", "dead");
        publish_for(scene, &name, "600000", "lives, too");
        let_pass(OVER);
        assert_eq!(scene.client.queue_state(&name).message_count, 3, "it counts");
        scene.client.consume(&name);
        scene.client.expect_deliveries(&["lives", "lives, too"]);
        scene.client.expect_nothing_on(1);
    }),
    Row::new("72 75", "without time a message goes to who waits for it, or nowhere", |scene| {
        let name = with(scene, "q", "x-message-ttl", 0);
        scene.client.fill(&name, &["nobody waits"]);
        scene.client.consume(&name);
        scene.client.publish(&Message::to_queue(&name).body("somebody waits"));
        scene.client.expect_deliveries(&["somebody waits"]);
    }),
    Row::new("75", "what comes back keeps the time it had", |scene| {
        let name = with(scene, "q", "x-message-ttl", 1000);
        scene.client.fill(&name, &["a"]);
        let tag = scene.client.get(&name).delivery_tag;
        let_pass(Duration::from_millis(1100));
        scene.client.send(basic::nack(tag).with(Flag::Requeue));
        scene.client.expect_count(&name, 0);
    }),
    Row::new("75", "what a consumer holds does not expire", |scene| {
        let name = with(scene, "q", "x-message-ttl", 50);
        scene.client.consume(&name);
        scene.client.publish(&Message::to_queue(&name).body("a"));
        let tags = scene.client.expect_deliveries(&["a"]);
        let_pass(OVER);
        scene.client.send(basic::ack(tags[0]));
        scene.client.expect_nothing_on(1);
    }),
    Row::new("76 81", "of priorities, too, only what is next goes", |scene| {
        let name = with(scene, "q", "x-max-priority", 5);
        scene.client.select_confirms();
        for (priority, time, body) in [(5, "600000", "high"), (1, "20", "low")] {
            let properties = Properties {
                priority: Some(priority),
                expiration: Some(time.to_owned()),
                ..Properties::default()
            };
            scene.client.publish(&Message::to_queue(&name).body(body).properties(properties));
        }
        scene.client.expect_confirmed_up_to(1, 2);
        let_pass(OVER);
        assert_eq!(scene.client.queue_state(&name).message_count, 2);
        assert_eq!(scene.client.drain(&name), ["high"]);
    }),
    Row::ours("where that is said a message goes wherever it stands", |scene| {
        let target = scene.queue();
        let name = scene.name("anywhere");
        let declare = queue::declare(&name).with(Flag::Durable).arg("x-expiry", "anywhere");
        let declare = declare.arg("x-dead-letter-exchange", "");
        scene.client.call(declare.arg("x-dead-letter-routing-key", target.as_str()));
        for (time, body) in
            [("600000", "lives"), ("60", "second"), ("20", "first"), ("600000", "too")]
        {
            publish_for(scene, &name, time, body);
        }
        scene.client.expect_count(&target, 2);
        scene.client.expect_count(&name, 2);
        assert_eq!(scene.client.drain(&target), ["first", "second"]);
        assert_eq!(scene.client.drain(&name), ["lives", "too"]);
    }),
    Row::ours("whatever its priority, and after it came back", |scene| {
        let name = scene.name("anywhere");
        let declare = queue::declare(&name).with(Flag::Durable).arg("x-expiry", "anywhere");
        scene.client.call(declare.arg("x-max-priority", 5));
        publish_for(scene, &name, "100", "dies");
        let tag = scene.client.get(&name).delivery_tag;
        let properties = Properties { priority: Some(5), ..Properties::default() };
        scene.client.publish(&Message::to_queue(&name).body("high").properties(properties));
        let_pass(OVER);
        scene.client.send(basic::nack(tag).with(Flag::Requeue));
        assert_eq!(scene.client.drain(&name), ["high"]);
    }),
    Row::new("29", "where it stands is one of two words", |scene| {
        let declare = queue::declare(&scene.q()).arg("x-expiry", "somewhere");
        scene.client.send(declare);
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-expiry' for queue '{q}' in vhost '/': invalid_expiry",
        queue::DECLARE,
    )
    .needs(Needs::Leveret),
    Row::new("75", "the expiration is delivered as it was published", |scene| {
        let name = scene.queue();
        publish_for(scene, &name, "600000", "a");
        let content = scene.client.get(&name).content;
        assert_eq!(content.properties.expiration.as_deref(), Some("600000"));
    }),
    Row::new("78", "a queue that nobody uses goes", |scene| {
        let name = with(scene, "q", "x-expires", 80);
        scene.client.fill(&name, &["a"]);
        let_pass(OVER * 2);
        scene.client.expect_no_queue(&name);
    }),
    Row::new("78", "a consumer uses its queue, and so does who asks for it", |scene| {
        let name = with(scene, "q", "x-expires", 1000);
        let tag = scene.client.consume(&name);
        let_pass(Duration::from_millis(1200));
        scene.client.call(basic::cancel(&tag));
        for _ in 0..3 {
            let_pass(OVER * 3);
            scene.client.queue_state(&name);
        }
        for _ in 0..3 {
            let_pass(OVER * 3);
            assert_eq!(scene.client.drain(&name), [""; 0]);
        }
        let_pass(Duration::from_millis(1500));
        scene.client.expect_no_queue(&name);
    }),
];

fn with(scene: &mut Scene, name: &str, argument: &str, value: i32) -> String {
    let name = scene.name(name);
    scene.client.call(queue::declare(&name).with(Flag::Durable).arg(argument, value));
    name
}

fn publish_for(scene: &mut Scene, queue: &str, expiration: &str, body: &str) {
    let properties =
        Properties { expiration: Some(expiration.to_owned()), ..Properties::default() };
    scene.client.publish(&Message::to_queue(queue).body(body).properties(properties));
}
