//! Where messages go that expired, were rejected, were too many, or failed too often.

use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, channel, queue};
use leveret_tests::raw_client::reply::Delivery;
use leveret_tests::raw_client::{Flag, Message, Table, Value};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("83 84", "an expired message tells of its death", |scene| {
        let (source, target) = queues(scene, &[("x-message-ttl", Value::Int(20))]);
        let sent = Message::to_queue(&source).body("a").properties(Properties {
            headers: Some(Table::new().with("CC", Value::texts(&["copy"]))),
            expiration: Some("10".to_owned()),
            priority: Some(3),
            ..Properties::default()
        });
        scene.client.consume(&target);
        scene.client.publish(&sent);
        let delivery = scene.client.expect_delivery();
        assert_eq!((delivery.exchange.as_str(), delivery.routing_key.as_str()), ("", &*target));
        assert!(!delivery.redelivered);
        let properties = &delivery.content.properties;
        assert_eq!((&properties.expiration, properties.priority), (&None, Some(3)));
        let names = names(properties.headers.as_ref().expect("headers"));
        let expected = "CC x-death x-first-death-exchange x-first-death-queue \
                        x-first-death-reason x-last-death-exchange x-last-death-queue \
                        x-last-death-reason";
        assert_eq!(names.join(" "), expected);
        let deaths = deaths(&delivery);
        let first = &deaths[0];
        let expected =
            "original-expiration count reason queue time exchange routing-keys".to_owned();
        assert_eq!(self::names(first).join(" "), expected);
        assert_eq!(first.get("original-expiration"), Some(&"10".into()));
        assert_eq!(first.get("count"), Some(&Value::Long(1)));
        assert_eq!(first.get("reason"), Some(&"expired".into()));
        assert_eq!(first.get("queue"), Some(&(&*source).into()));
        assert_eq!(first.get("exchange"), Some(&"".into()));
        assert_eq!(first.get("routing-keys"), Some(&Value::texts(&[&source, "copy"])));
    }),
    Row::new("83", "a rejected message goes, and an acknowledged one does not", |scene| {
        let (source, target) = queues(scene, &[]);
        scene.client.fill(&source, &["acked", "nacked", "rejected"]);
        for settle in [basic::ack, |tag| basic::nack(tag), |tag| basic::reject(tag)] {
            let tag = scene.client.get(&source).delivery_tag;
            scene.client.send(settle(tag));
        }
        scene.client.expect_count(&target, 2);
        scene.client.consume(&target);
        for body in ["nacked", "rejected"] {
            let delivery = scene.client.expect_delivery();
            assert_eq!(delivery.text(), body);
            assert_eq!(deaths(&delivery)[0].get("reason"), Some(&"rejected".into()));
        }
    }),
    Row::new("83 79", "what is too much goes, the oldest first", |scene| {
        let (source, target) = queues(scene, &[("x-max-length", Value::Int(1))]);
        scene.client.fill(&source, &["1", "2", "3"]);
        scene.client.expect_count(&target, 2);
        scene.client.consume(&target);
        for body in ["1", "2"] {
            let delivery = scene.client.expect_delivery();
            assert_eq!(delivery.text(), body);
            assert_eq!(deaths(&delivery)[0].get("reason"), Some(&"maxlen".into()));
        }
        assert_eq!(scene.client.drain(&source), ["3"]);
    }),
    Row::new("79", "what a full queue refuses goes, and its publisher is told", |scene| {
        let overflow = Value::from("reject-publish-dlx");
        let limit = [("x-max-length", Value::Int(1)), ("x-overflow", overflow)];
        let (source, target) = queues(scene, &limit);
        scene.client.select_confirms();
        for (body, taken) in [("1", true), ("2", false)] {
            scene.client.publish(&Message::to_queue(&source).body(body));
            assert_eq!(scene.client.expect_confirm().acked, taken);
        }
        scene.client.expect_count(&target, 1);
        assert_eq!(scene.client.drain(&target), ["2"]);
        assert_eq!(scene.client.drain(&source), ["1"]);
    }),
    Row::new("83", "without a key of its own a queue keeps those of the message", |scene| {
        let (exchange, target, copy) = (scene.x(), scene.name("target"), scene.name("copy"));
        scene.client.declare_exchange(&exchange, "direct");
        scene.client.declare_bound_queue(&target, &exchange, "key");
        scene.client.declare_bound_queue(&copy, &exchange, "copy");
        let source = scene.name("source");
        let declare = queue::declare(&source).with(Flag::Durable).arg("x-message-ttl", 0);
        scene.client.call(declare.arg("x-dead-letter-exchange", exchange.as_str()));
        scene.client.call(queue::bind(&source, "amq.fanout", ""));
        let message = Message::to("amq.fanout", "key").header("CC", Value::texts(&["copy"]));
        scene.client.publish(&message.body("a"));
        scene.client.expect_count(&target, 1);
        scene.client.expect_count(&copy, 1);
        scene.client.consume(&target);
        let delivery = scene.client.expect_delivery();
        assert_eq!((delivery.exchange, delivery.routing_key), (exchange, "key".to_owned()));
    }),
    Row::new("83 84 51", "its keys of BCC route it again, and are not told", |scene| {
        let (source, hidden) = (scene.name("source"), scene.name("hidden"));
        let exchange = scene.name("exchange");
        scene.client.declare_exchange(&exchange, "direct");
        scene.client.declare_queue(&hidden);
        scene.client.call(queue::bind(&hidden, &exchange, "hidden"));
        let declare = queue::declare(&source).with(Flag::Durable).arg("x-message-ttl", 0);
        scene.client.call(declare.arg("x-dead-letter-exchange", exchange.as_str()));
        let message = Message::to_queue(&source).header("CC", Value::texts(&["copy"]));
        scene.client.publish(&message.header("BCC", Value::texts(&["hidden"])).body("a"));
        scene.client.consume(&hidden);
        let delivery = scene.client.expect_delivery();
        assert_eq!((&delivery.exchange, &delivery.routing_key), (&exchange, &source));
        assert_eq!(delivery.text(), "a");
        assert_eq!(
            deaths(&delivery)[0].get("routing-keys"),
            Some(&Value::texts(&[&source, "copy"]))
        );
        assert!(
            !names(delivery.content.properties.headers.as_ref().expect("headers")).contains(&"BCC")
        );
    }),
    Row::new("83", "a key that its queue names is its only one from then on", |scene| {
        let (source, next, copy) = (scene.name("source"), scene.name("next"), scene.name("copy"));
        let (target, exchange) = (scene.name("target"), scene.name("exchange"));
        scene.client.declare_exchange(&exchange, "direct");
        for (name, key) in [(&target, next.as_str()), (&copy, "copy")] {
            scene.client.declare_queue(name);
            scene.client.call(queue::bind(name, &exchange, key));
        }
        let keeps_keys = queue::declare(&next).with(Flag::Durable).arg("x-message-ttl", 0);
        scene.client.call(keeps_keys.arg("x-dead-letter-exchange", exchange.as_str()));
        declare(scene, &source, &next, &[("x-message-ttl", Value::Int(0))]);
        let message = Message::to_queue(&source).header("CC", Value::texts(&["copy"]));
        scene.client.publish(&message.body("a"));
        scene.client.consume(&target);
        let delivery = scene.client.expect_delivery();
        assert_eq!(deaths(&delivery)[0].get("routing-keys"), Some(&Value::texts(&[&next])));
        scene.client.expect_count(&copy, 0);
    }),
    Row::new("84", "a message that dies of the same again is counted", |scene| {
        let (work, wait) = (scene.name("work"), scene.name("wait"));
        declare(scene, &work, &wait, &[]);
        declare(scene, &wait, &work, &[("x-message-ttl", Value::Int(10))]);
        scene.client.consume(&work);
        scene.client.publish(&Message::to_queue(&work).body("a"));
        for round in 0..3 {
            let delivery = scene.client.expect_delivery();
            if round > 0 {
                let told: Vec<_> = deaths(&delivery)
                    .iter()
                    .map(|death| (death.get("queue").cloned(), death.get("count").cloned()))
                    .collect();
                let of = |name: &String| (Some((&**name).into()), Some(Value::Long(round)));
                assert_eq!(told, [of(&wait), of(&work)]);
            }
            scene.client.send(basic::reject(delivery.delivery_tag));
        }
    }),
    Row::new("86", "a message that would go round without anyone rejecting it goes", |scene| {
        let (one, two) = (scene.name("one"), scene.name("two"));
        declare(scene, &one, &two, &[("x-message-ttl", Value::Int(10))]);
        declare(scene, &two, &one, &[("x-message-ttl", Value::Int(10))]);
        scene.client.fill(&one, &["a"]);
        scene.client.expect_count(&one, 0);
        scene.client.expect_count(&two, 0);
        let itself = scene.name("itself");
        declare(scene, &itself, &itself, &[("x-message-ttl", Value::Int(0))]);
        scene.client.fill(&itself, &["a"]);
        scene.client.expect_count(&itself, 0);
    }),
    Row::new("85", "a history that a client writes is none", |scene| {
        let (source, target) = queues(scene, &[("x-message-ttl", Value::Int(0))]);
        let message = Message::to_queue(&source).header("x-death", "mine");
        scene.client.consume(&target);
        scene.client.publish(&message.header("x-first-death-queue", "mine").body("a"));
        let delivery = scene.client.expect_delivery();
        assert_eq!(deaths(&delivery)[0].get("count"), Some(&Value::Long(1)));
        let headers = delivery.content.properties.headers.expect("headers");
        assert_eq!(headers.get("x-first-death-queue"), Some(&(&*source).into()));
    }),
    Row::new("83", "an exchange that does not exist drops the dead", |scene| {
        let source = scene.name("source");
        let declare = queue::declare(&source).with(Flag::Durable).arg("x-message-ttl", 0);
        scene.client.call(declare.arg("x-dead-letter-exchange", &*scene.name("nowhere")));
        scene.client.fill(&source, &["a"]);
        scene.client.expect_count(&source, 0);
    }),
    Row::new("36 78", "what is purged or goes with its queue is no dead letter", |scene| {
        let (source, target) = queues(scene, &[]);
        scene.client.fill(&source, &["purged"]);
        scene.client.call(queue::purge(&source));
        scene.client.fill(&source, &["deleted"]);
        scene.client.call(queue::delete(&source));
        assert_eq!(scene.client.queue_state(&target).message_count, 0);
    }),
    Row::new("83 91", "rejected in a transaction it goes when that is carried out", |scene| {
        use leveret_tests::raw_client::method::tx;
        let (source, target) = queues(scene, &[]);
        scene.client.fill(&source, &["a"]);
        let mut other = scene.connect();
        other.call(tx::select());
        let tag = other.get(&source).delivery_tag;
        other.send(basic::reject(tag));
        assert_eq!(other.queue_state(&target).message_count, 0);
        other.call(tx::commit());
        scene.client.expect_count(&target, 1);
    }),
    Row::new("83 68", "dead letters are persistent when the message was", |scene| {
        let (source, target) = queues(scene, &[]);
        scene.client.fill_persistent(&source, &["a"]);
        let tag = scene.client.get(&source).delivery_tag;
        scene.client.send(basic::reject(tag));
        scene.client.consume(&target);
        assert_eq!(scene.client.expect_delivery().content.properties.delivery_mode, Some(2));
    }),
    Row::new("88", "it goes at once, before what its channel says next", |scene| {
        let (source, target) = queues(scene, &[]);
        scene.client.fill(&source, &["a"]);
        let tag = scene.client.get(&source).delivery_tag;
        scene.client.send(basic::reject(tag));
        scene.client.expect_count(&target, 1);
        scene.client.expect_count(&source, 0);
    }),
    Row::new("83 66", "what a consumer had comes elsewhere as had before", |scene| {
        let (source, target) = queues(scene, &[]);
        scene.client.fill(&source, &["a"]);
        let tag = scene.client.get(&source).delivery_tag;
        scene.client.send(basic::reject(tag));
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        scene.client.consume(&target);
        assert!(scene.client.expect_delivery().redelivered);
    }),
];

/// A queue with dead letters, and the queue they go to.
fn queues(scene: &mut Scene, arguments: &[(&str, Value)]) -> (String, String) {
    let (source, target) = (scene.name("source"), scene.name("target"));
    declare(scene, &source, &target, arguments);
    scene.client.declare_queue(&target);
    (source, target)
}

fn declare(scene: &mut Scene, name: &str, target: &str, arguments: &[(&str, Value)]) {
    let mut declare = queue::declare(name).with(Flag::Durable).arg("x-dead-letter-exchange", "");
    declare = declare.arg("x-dead-letter-routing-key", target);
    for (argument, value) in arguments {
        declare = declare.arg(argument, value.clone());
    }
    scene.client.call(declare);
}

fn deaths(delivery: &Delivery) -> Vec<Table> {
    let headers = delivery.content.properties.headers.as_ref().expect("headers");
    let Some(Value::Array(deaths)) = headers.get("x-death") else { panic!("{headers:?}") };
    let table = |death: &Value| {
        let Value::Table(table) = death else { panic!("{death:?}") };
        table.clone()
    };
    deaths.iter().map(table).collect()
}

fn names(table: &Table) -> Vec<&str> {
    table.0.iter().map(|(name, _)| name.as_str()).collect()
}
