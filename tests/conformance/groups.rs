//! Queues that serve by groups (`x-message-group`): the messages of one group go to one consumer at a
//! time and in order, and groups take turns.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, channel, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient, Value};

use crate::row::{Needs, Row};
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::ours("a group is with one consumer, others go to others", |scene| {
        let name = grouped(scene, &[]);
        let mut first = consumer(scene, &name, 1);
        publish(scene, &name, &["a1", "a2", "b1"]);
        let [a1] = first.expect_deliveries(&["a1"])[..] else { panic!("one") };
        let mut second = consumer(scene, &name, 10);
        second.expect_deliveries(&["b1"]);
        second.expect_nothing_on(1);
        first.send(basic::ack(a1));
        second.expect_deliveries(&["a2"]);
    }),
    Row::ours("a group with nothing out goes to anyone", |scene| {
        let name = grouped(scene, &[]);
        let mut first = consumer(scene, &name, 1);
        publish(scene, &name, &["a1"]);
        let [a1] = first.expect_deliveries(&["a1"])[..] else { panic!("one") };
        first.send(basic::ack(a1));
        first.call(channel::close());
        let mut second = consumer(scene, &name, 1);
        publish(scene, &name, &["a2"]);
        second.expect_deliveries(&["a2"]);
    }),
    Row::ours("groups take turns", |scene| {
        let name = grouped(scene, &[]);
        publish(scene, &name, &["a1", "a2", "a3", "b1", "b2", "c1"]);
        let mut one = consumer(scene, &name, 1);
        for expected in ["a1", "b1", "c1", "a2", "b2", "a3"] {
            let [tag] = one.expect_deliveries(&[expected])[..] else { panic!("one") };
            one.send(basic::ack(tag));
        }
    }),
    Row::ours(
        "what is given back blocks its group alone, and comes before the rest of it",
        |scene| {
            let name = grouped(scene, &[]);
            publish(scene, &name, &["a1", "a2", "a3", "b1"]);
            let a1 = scene.client.get(&name);
            assert_eq!(a1.text(), "a1");
            assert_eq!(scene.client.get(&name).text(), "b1", "the group of a1 is held");
            expect_nothing(scene, &name);
            scene.client.send(basic::nack(a1.delivery_tag).with(Flag::Requeue));
            let mut one = consumer(scene, &name, 0);
            one.expect_deliveries(&["a1", "a2", "a3"]);
        },
    ),
    Row::ours("what names no group goes to anyone", |scene| {
        let name = grouped(scene, &[]);
        let mut first = consumer(scene, &name, 1);
        let mut second = consumer(scene, &name, 1);
        for body in ["1", "2"] {
            scene.client.publish(&Message::to_queue(&name).body(body));
        }
        first.expect_deliveries(&["1"]);
        second.expect_deliveries(&["2"]);
    }),
    Row::ours("a channel that ends gives its groups free", |scene| {
        let name = grouped(scene, &[]);
        publish(scene, &name, &["a1", "a2", "b1"]);
        let mut first = consumer(scene, &name, 0);
        first.expect_deliveries(&["a1", "b1", "a2"]);
        let mut second = consumer(scene, &name, 0);
        second.expect_nothing_on(1);
        first.call(channel::close());
        let tags = second.expect_deliveries(&["a1", "b1", "a2"]);
        second.send(basic::ack(tags[2]).with(Flag::Multiple));
        scene.client.expect_count(&name, 0);
    }),
    Row::ours("without acknowledgements a group is free at once", |scene| {
        let name = grouped(scene, &[]);
        publish(scene, &name, &["a1", "a2", "b1", "a3"]);
        scene.client.call(basic::consume(&name, "c").with(Flag::NoAck));
        scene.client.expect_deliveries(&["a1", "b1", "a2", "a3"]);
    }),
    Row::ours("higher priorities of a group go first", |scene| {
        let name = grouped(scene, &[("x-max-priority", Value::Int(5))]);
        for (priority, body) in [(1, "low"), (5, "high"), (3, "middle")] {
            let properties = Properties { priority: Some(priority), ..Properties::default() };
            let message = Message::to_queue(&name).body(body).properties(properties);
            scene.client.publish(&message.header("group", "a"));
        }
        let mut one = consumer(scene, &name, 0);
        one.expect_deliveries(&["high", "middle", "low"]);
    }),
    Row::ours("a property can name the group", |scene| {
        let name = scene.name("by-id");
        let declare = queue::declare(&name).arg("x-message-group", "message_id");
        scene.client.call(declare);
        for (id, body) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
            let properties =
                Properties { message_id: Some(id.to_owned()), ..Properties::default() };
            scene.client.publish(&Message::to_queue(&name).body(body).properties(properties));
        }
        assert_eq!(scene.client.get(&name).text(), "a1");
        assert_eq!(scene.client.get(&name).text(), "b1");
        expect_nothing(scene, &name);
    }),
    Row::ours("dead letters leave their groups", |scene| {
        let target = scene.queue();
        let name = grouped(
            scene,
            &[
                ("x-dead-letter-exchange", "".into()),
                ("x-dead-letter-routing-key", target.as_str().into()),
            ],
        );
        publish(scene, &name, &["a1", "a2"]);
        let mut one = consumer(scene, &name, 1);
        let [a1] = one.expect_deliveries(&["a1"])[..] else { panic!("one") };
        one.send(basic::reject(a1));
        one.expect_deliveries(&["a2"]);
        scene.client.expect_count(&target, 1);
    }),
    Row::ours("a long queue keeps its groups through a restart", |_| {
        let mut broker = BrokerUnderTest::start_with("message_memory.queue = 64KiB\n");
        let mut client = broker.broker().connect();
        let declare = queue::declare("long").with(Flag::Durable).arg("x-message-group", "group");
        client.call(declare);
        client.select_confirms();
        let filler = "x".repeat(1000);
        for number in 0..1000 {
            let properties = Properties { delivery_mode: Some(2), ..Properties::default() };
            let message = Message::to_queue("long").body(format!("{number} {filler}"));
            client
                .publish(&message.properties(properties).header("group", Value::Int(number % 10)));
        }
        client.expect_confirmed_up_to(1, 1000);
        client.close();
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        for channel in 1..=3 {
            if channel > 1 {
                client.open_channel(channel);
            }
            client.call(basic::qos(7).on(channel));
            client.call(basic::consume("long", "c").on(channel));
        }
        let mut last = [None; 10];
        for _ in 0..1000 {
            let reply = client.expect(basic::DELIVER);
            let delivery = reply.delivery();
            let word = delivery.text().split(' ').next().map(str::to_owned);
            let number: usize = word.and_then(|word| word.parse().ok()).expect("a number");
            assert!(last[number % 10] < Some(number), "{number} comes late");
            last[number % 10] = Some(number);
            client.send(basic::ack(delivery.delivery_tag).on(reply.channel));
        }
        client.expect_count("long", 0);
        broker.assert_no_panic();
    }),
    Row::new("29", "a group is named by text", |scene| {
        scene.client.send(queue::declare(&scene.q()).arg("x-message-group", 5));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-message-group' for queue '{q}' in vhost '/': \
         {unacceptable_type,signedint}",
        queue::DECLARE,
    )
    .needs(Needs::Leveret),
    Row::new("29", "and by some", |scene| {
        scene.client.send(queue::declare(&scene.q()).arg("x-message-group", ""));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-message-group' for queue '{q}' in vhost '/': \
         invalid_message_group",
        queue::DECLARE,
    )
    .needs(Needs::Leveret),
];

fn grouped(scene: &mut Scene, arguments: &[(&str, Value)]) -> String {
    let name = scene.name("grouped");
    let mut declare = queue::declare(&name).with(Flag::Durable).arg("x-message-group", "group");
    for (argument, value) in arguments {
        declare = declare.arg(argument, value.clone());
    }
    scene.client.call(declare);
    name
}

fn expect_nothing(scene: &mut Scene, queue: &str) {
    assert_eq!(scene.client.call(basic::get(queue)).id, basic::GET_EMPTY);
}

/// Publishes messages whose groups are the first letters of their bodies.
fn publish(scene: &mut Scene, queue: &str, bodies: &[&str]) {
    for body in bodies {
        let group = &body[..1];
        scene.client.publish(&Message::to_queue(queue).body(*body).header("group", group));
    }
}

/// A consumer on a connection of its own, which may hold so many messages.
fn consumer(scene: &Scene, queue: &str, prefetch: u16) -> RawClient {
    let mut client = scene.connect();
    client.call(basic::qos(prefetch));
    client.consume(queue);
    client
}
