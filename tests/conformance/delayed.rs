//! Exchanges that delay messages, as RabbitMQ's plugin has them: no release of RabbitMQ 4.3 can run
//! it, so these rows are for brokers that have the type.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{has_waited, let_pass};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, exchange, queue, tx};
use leveret_tests::raw_client::{Flag, Message, Table, Value};

use crate::row::{Needs, Row};
use crate::scene::Scene;

const KIND: &str = "x-delayed-message";

pub(crate) const ROWS: &[Row] = &[
    Row::new("", "messages come when their time has come, the first due first", |scene| {
        let (exchange, name) = delaying(scene, "direct", "key");
        scene.client.consume(&name);
        let begun = now();
        for (delay, body) in [(900, "last"), (500, "second"), (100, "first")] {
            scene.client.publish(&delayed(&exchange, "key", delay, body));
        }
        scene.client.publish(&Message::to(&exchange, "key").body("at once"));
        scene.client.expect_deliveries(&["at once", "first", "second", "last"]);
        assert!(has_waited(begun, Duration::from_millis(900)));
    })
    .needs(Needs::ExchangeType(KIND)),
    Row::new("", "what waited says how long, below zero", |scene| {
        let (exchange, name) = delaying(scene, "direct", "key");
        scene.client.consume(&name);
        scene.client.publish(&delayed(&exchange, "key", 20, "a"));
        let delivery = scene.client.expect_delivery();
        assert_eq!((&delivery.exchange, delivery.routing_key.as_str()), (&exchange, "key"));
        assert!(!delivery.redelivered);
        let headers = delivery.content.properties.headers.expect("headers");
        assert_eq!(headers, Table::new().with("x-delay", -20).with("mine", 1));
    })
    .needs(Needs::ExchangeType(KIND)),
    Row::new("", "a delay of any kind counts, below zero is none", |scene| {
        let (exchange, name) = delaying(scene, "fanout", "");
        scene.client.consume(&name);
        let none = [Value::Int(-5), Value::Int(0), "soon".into(), Value::Void];
        for (number, delay) in none.into_iter().enumerate() {
            let message = Message::to(&exchange, "").header("x-delay", delay);
            scene.client.publish(&message.body(format!("{number}")));
            scene.client.expect_deliveries(&[&format!("{number}")]);
        }
        let some = [Value::Short(60), Value::Long(60), "60".into(), Value::Double(60.9)];
        let begun = now();
        for delay in some {
            scene.client.publish(&Message::to(&exchange, "").header("x-delay", delay).body("a"));
        }
        scene.client.expect_deliveries(&["a"; 4]);
        assert!(has_waited(begun, Duration::from_millis(60)));
    })
    .needs(Needs::ExchangeType(KIND)),
    Row::new("", "it is routed as is bound when its time has come, as its type says", |scene| {
        let (exchange, name) = delaying(scene, "topic", "a.*");
        let later = scene.name("later");
        scene.client.declare_queue(&later);
        scene.client.publish(&delayed(&exchange, "a.b", 1000, "b"));
        scene.client.publish(&delayed(&exchange, "c", 1000, "c"));
        scene.client.call(queue::bind(&later, &exchange, "#"));
        scene.client.call(queue::unbind(&name, &exchange, "a.*"));
        scene.client.expect_count(&later, 2);
        assert_eq!(scene.client.drain(&later), ["b", "c"]);
        assert_eq!(scene.client.drain(&name), [""; 0]);
    })
    .needs(Needs::ExchangeType(KIND)),
    Row::new("52", "what could not be routed now is returned, and confirmed, and not kept", |scene| {
        let (exchange, name) = delaying(scene, "direct", "key");
        scene.client.select_confirms();
        let message = delayed(&exchange, "elsewhere", 50, "a").with(Flag::Mandatory);
        scene.client.publish(&message);
        assert_eq!(scene.client.expect_return().code, 312);
        assert!(scene.client.expect_confirm().acked);
        scene.client.publish(&delayed(&exchange, "key", 50, "b").with(Flag::Mandatory));
        assert!(scene.client.expect_confirm().acked);
        scene.client.call(queue::bind(&name, &exchange, "elsewhere"));
        scene.client.expect_count(&name, 1);
        assert_eq!(scene.client.drain(&name), ["b"]);
    })
    .needs(Needs::ExchangeType(KIND)),
    Row::new("56", "what waits comes back after a crash, and comes in time", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut scene = Scene::new(broker.broker());
        let (exchange, name) = delaying(&mut scene, "direct", "key");
        scene.client.select_confirms();
        for (delay, body) in [(1_500, "later"), (300, "soon"), (600_000, "not yet")] {
            scene.client.publish(&delayed(&exchange, "key", delay, body).persistent());
        }
        scene.client.expect_confirmed_up_to(1, 3);
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        client.expect_count(&name, 2);
        assert_eq!(client.drain(&name), ["soon", "later"]);
        client.close();
    })
    .needs(Needs::PrivateBroker),
    Row::new("", "the exchange goes, and what waits for it goes nowhere", |scene| {
        let (exchange, name) = delaying(scene, "direct", "key");
        scene.client.publish(&delayed(&exchange, "key", 60, "a"));
        scene.client.call(exchange::delete(&exchange));
        let_pass(Duration::from_millis(150));
        assert_eq!(scene.client.queue_state(&name).message_count, 0);
    })
    .needs(Needs::ExchangeType(KIND)),
    Row::new("28", "a type that is none is refused", |scene| {
        let declare = exchange::declare(&scene.x(), "x-delayed-message");
        scene.client.send(declare.arg("x-delayed-type", "no-such-type"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type",
        exchange::DECLARE,
    )
    .needs(Needs::ExchangeType(KIND)),
    Row::new("28", "no type is refused", |scene| {
        scene.client.send(exchange::declare(&scene.x(), "x-delayed-message"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type",
        exchange::DECLARE,
    )
    .needs(Needs::ExchangeType(KIND)),
    Row::new("22", "the queue of what waits is nobody's", |scene| {
        delaying(scene, "direct", "key");
        scene.client.send(basic::get("amq.leveret.delayed"));
    })
    .closes_channel(
        404,
        "NOT_FOUND - no queue 'amq.leveret.delayed' in vhost '/'",
        basic::GET,
    )
    .needs(Needs::ExchangeType(KIND)),
    Row::new("", "what comes through a binding waits there, and elsewhere comes at once", |scene| {
        let (exchange, name) = delaying(scene, "direct", "key");
        let (first, beside) = (scene.name("first"), scene.name("beside"));
        scene.client.declare_exchange(&first, "fanout");
        scene.client.call(exchange::bind(&exchange, &first, ""));
        scene.client.declare_bound_queue(&beside, &first, "");
        scene.client.select_confirms();
        let message = delayed(&first, "key", 1500, "a").header("BCC", Value::texts(&["other"]));
        scene.client.publish(&message.with(Flag::Mandatory).persistent());
        assert!(scene.client.expect_confirm().acked);
        scene.client.expect_count(&beside, 1);
        assert_eq!(scene.client.queue_state(&name).message_count, 0);
        scene.client.call(queue::bind(&name, &exchange, "other"));
        scene.client.consume(&name);
        let delivery = scene.client.expect_delivery();
        assert_eq!((&delivery.exchange, delivery.routing_key.as_str()), (&first, "key"));
        let headers = delivery.content.properties.headers.expect("headers");
        assert_eq!(headers, Table::new().with("x-delay", -1500).with("mine", 1));
        scene.client.send(basic::ack(delivery.delivery_tag));
        scene.client.call(queue::unbind(&beside, &first, ""));
        // Now it goes nowhere else.
        scene.client.publish(&delayed(&first, "key", 50, "b").with(Flag::Mandatory));
        assert!(scene.client.expect_confirm().acked);
        scene.client.expect_deliveries(&["b"]);
        scene.client.publish(&Message::to(&first, "key").body("at once"));
        scene.client.expect_deliveries(&["at once"]);
    })
    .needs(Needs::ExchangeType(KIND)),
    Row::new("", "so does what a queue lets go of, and what is an alternative, and a commit's", |scene| {
        let (exchange, name) = delaying(scene, "fanout", "");
        let (first, dying) = (scene.name("first"), scene.name("dying"));
        let declare = exchange::declare(&first, "direct").with(Flag::Durable);
        scene.client.call(declare.arg("alternate-exchange", exchange.as_str()));
        let declare = queue::declare(&dying).with(Flag::Durable).arg("x-message-ttl", 0);
        scene.client.call(declare.arg("x-dead-letter-exchange", first.as_str()));
        scene.client.consume(&name);
        let begun = now();
        scene.client.publish(&delayed("", &dying, 900, "c").persistent());
        scene.client.publish(&delayed(&first, "key", 600, "b"));
        scene.client.call(tx::select());
        scene.client.publish(&delayed(&first, "key", 300, "a").persistent());
        scene.client.call(tx::commit());
        scene.client.expect_deliveries(&["a", "b", "c"]);
        assert!(now() - begun >= Duration::from_millis(890));
    })
    .needs(Needs::ExchangeType(KIND)),
    Row::new("", "what waits behind another exchange comes back after a crash", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut scene = Scene::new(broker.broker());
        let (exchange, name) = delaying(&mut scene, "fanout", "");
        let second = scene.name("second");
        let declare = exchange::declare(&second, KIND).with(Flag::Durable);
        scene.client.call(declare.arg("x-delayed-type", "fanout"));
        scene.client.call(queue::bind(&name, &second, ""));
        let first = scene.name("first");
        scene.client.declare_exchange(&first, "fanout");
        scene.client.call(exchange::bind(&exchange, &first, ""));
        scene.client.call(exchange::bind(&second, &first, ""));
        scene.client.select_confirms();
        for (delay, body) in [(1_500, "a"), (600_000, "not yet")] {
            scene.client.publish(&delayed(&first, "key", delay, body).persistent());
        }
        scene.client.expect_confirmed_up_to(1, 2);
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        client.expect_count(&name, 2);
        assert_eq!(client.drain(&name), ["a", "a"]);
        client.close();
    })
    .needs(Needs::PrivateBroker),
    Row::ours("a message that names a time comes then, whatever its exchange", |scene| {
        let name = scene.queue();
        let exchange = scene.exchange_bound("topic", &name, "#");
        scene.client.consume(&name);
        let (begun, time) = (now(), millis_from_now(500));
        scene.client.publish(&at(&exchange, time, "last"));
        scene.client.publish(&Message::to_queue(&name).header(AT, time - 200).body("first"));
        scene.client.publish(&Message::to(&exchange, "key").body("at once"));
        scene.client.expect_deliveries(&["at once", "first"]);
        let delivery = scene.client.expect_delivery();
        assert!(now() - begun >= Duration::from_millis(490));
        assert_eq!((&*delivery.text(), &delivery.exchange), ("last", &exchange));
        let headers = delivery.content.properties.headers.expect("headers");
        assert_eq!(headers, Table::new().with(AT, Value::Long(time)));
    }),
    Row::ours("a time that is past, or none, is now", |scene| {
        let name = scene.queue();
        let exchange = scene.exchange_bound("fanout", &name, "");
        scene.client.consume(&name);
        let none = [Value::Long(1), Value::Long(-5), "soon".into(), Value::Void, Value::Bool(true)];
        for (number, time) in none.into_iter().enumerate() {
            let message = Message::to(&exchange, "").header(AT, time);
            scene.client.publish(&message.body(format!("{number}")));
        }
        scene.client.expect_deliveries(&["0", "1", "2", "3", "4"]);
    }),
    Row::ours("of a time and a delay the later counts, where delays do", |scene| {
        let (exchange, name) = delaying(scene, "fanout", "");
        let plain = scene.name("plain");
        scene.client.declare_exchange(&plain, "fanout");
        scene.client.call(queue::bind(&name, &plain, ""));
        scene.client.consume(&name);
        let time = millis_from_now(400);
        scene.client.publish(&at(&exchange, time + 400, "third").header("x-delay", 50));
        scene.client.publish(&at(&exchange, time - 300, "second").header("x-delay", 600));
        scene.client.publish(&at(&plain, time, "first").header("x-delay", 60_000));
        scene.client.expect_deliveries(&["first", "second", "third"]);
    }),
    Row::ours("what is mandatory and goes nowhere does not wait, nor in a transaction", |scene| {
        let exchange = scene.exchange("direct");
        let message = at(&exchange, millis_from_now(60_000), "a").with(Flag::Mandatory);
        scene.client.publish(&message);
        assert_eq!(scene.client.expect_return().code, 312);
        let name = scene.queue();
        scene.client.consume(&name);
        scene.client.call(tx::select());
        let begun = now();
        let message = Message::to_queue(&name).header(AT, millis_from_now(300)).body("b");
        scene.client.publish(&message.persistent());
        scene.client.call(tx::commit());
        scene.client.expect_deliveries(&["b"]);
        assert!(now() - begun >= Duration::from_millis(290));
    }),
    Row::new("", "what waits for its time comes back after a crash", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut scene = Scene::new(broker.broker());
        let name = scene.queue();
        scene.client.select_confirms();
        let message = |after, body| {
            let message = Message::to_queue(&name).header(AT, millis_from_now(after));
            message.body(body).persistent()
        };
        scene.client.publish(&message(600_000, "not yet"));
        scene.client.publish(&message(1_500, "a"));
        scene.client.expect_confirmed_up_to(1, 2);
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        client.expect_count(&name, 1);
        assert_eq!(client.drain(&name), ["a"]);
        client.close();
    })
    .needs(Needs::PrivateBroker),
];

/// The header that says when a message may come.
const AT: &str = "x-opt-delivery-time";

fn millis_from_now(ms: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("not so late") + ms
}

fn at(exchange: &str, time: i64, body: &str) -> Message {
    Message::to(exchange, "key").header(AT, time).body(body)
}

/// An exchange that delays and routes as `kind`, and a queue bound to it.
fn delaying(scene: &mut Scene, kind: &str, binding_key: &str) -> (String, String) {
    let (exchange, name) = (scene.x(), scene.q());
    let declare = exchange::declare(&exchange, "x-delayed-message").with(Flag::Durable);
    scene.client.call(declare.arg("x-delayed-type", kind));
    scene.client.declare_bound_queue(&name, &exchange, binding_key);
    (exchange, name)
}

fn delayed(exchange: &str, routing_key: &str, ms: i32, body: &str) -> Message {
    Message::to(exchange, routing_key).header("x-delay", ms).header("mine", 1).body(body)
}
