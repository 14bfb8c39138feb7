//! Exchanges and queues that drop what comes twice, with LavinMQ's names. RabbitMQ has none, and a
//! plugin with other rules, so these rows are for Leveret.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::let_pass;
use leveret_tests::raw_client::method::{exchange, queue, tx};
use leveret_tests::raw_client::{Flag, Message, RawClient, Value};

use crate::row::{Needs, Row, Script};
use crate::scene::Scene;

const ON: &str = "x-message-deduplication";
const KEY: &str = "x-deduplication-header";

const fn row(name: &'static str, script: Script) -> Row {
    Row::ours(name, script)
}

pub(crate) const ROWS: &[Row] = &[
    row("an exchange drops what comes twice, confirms it and returns it to nobody", |scene| {
        let (exchange, name) = once(scene, "direct", &[]);
        scene.client.select_confirms();
        for body in ["a", "b"] {
            scene.client.publish(&keyed(&exchange, "1", body).with(Flag::Mandatory));
            assert!(scene.client.expect_confirm().acked);
        }
        scene.client.publish(&keyed(&exchange, "2", "c"));
        assert!(scene.client.expect_confirm().acked);
        assert_eq!(scene.client.drain(&name), ["a", "c"]);
        scene.client.publish(&keyed(&exchange, "1", "d"));
        assert!(scene.client.expect_confirm().acked);
        assert_eq!(scene.client.drain(&name), [""; 0], "what was consumed counts as well");
    }),
    row("a queue drops what comes twice, and confirms it", |scene| {
        let name = queue_once(scene, &[]);
        scene.client.select_confirms();
        for (number, (key, body)) in (1..).zip([("1", "a"), ("1", "b"), ("2", "c"), ("2", "d")]) {
            scene.client.publish(&keyed_to(&name, key, body).persistent());
            scene.client.expect_confirmed_up_to(number, number);
        }
        scene.client.publish(&Message::to_queue(&name).body("e"));
        scene.client.publish(&Message::to_queue(&name).body("e"));
        scene.client.expect_confirmed_up_to(5, 6);
        assert_eq!(scene.client.drain(&name), ["a", "c", "e", "e"]);
    }),
    row("many at once are each seen once, by exchange and by queue", |scene| {
        let (exchange, first) = once(scene, "fanout", &[("x-cache-size", Value::Int(1000))]);
        let second = queue_once(scene, &[("x-cache-size", Value::Int(1000))]);
        scene.client.select_confirms();
        for number in 0..900 {
            let key = (number % 300).to_string();
            scene.client.publish(&keyed(&exchange, &key, &key));
            scene.client.publish(&keyed_to(&second, &key, &key).persistent());
        }
        scene.client.expect_confirmed_up_to(1, 1800);
        let expected: Vec<_> = (0..300).map(|number| number.to_string()).collect();
        assert_eq!(scene.client.drain(&first), expected);
        assert_eq!(scene.client.drain(&second), expected);
    }),
    row("keys are values of any type, numbers of any width one", |scene| {
        let (exchange, name) = once(scene, "fanout", &[]);
        let keys = [
            ("a", Value::Int(1)),
            ("twice", Value::Long(1)),
            ("b", "1".into()),
            ("c", Value::Bool(true)),
            ("d", Value::Void),
            ("e", Value::Void),
            ("twice", Value::Short(1)),
        ];
        for (body, key) in keys {
            scene.client.publish(&Message::to(&exchange, "").header(KEY, key).body(body));
        }
        assert_eq!(scene.client.drain(&name), ["a", "b", "c", "d", "e"]);
    }),
    row("the header is the one that is named", |scene| {
        let (exchange, name) = once(scene, "fanout", &[(KEY, "id".into())]);
        for (header, body) in [("id", "a"), (KEY, "b"), ("id", "c"), (KEY, "d")] {
            scene.client.publish(&Message::to(&exchange, "").header(header, "1").body(body));
        }
        assert_eq!(scene.client.drain(&name), ["a", "b", "d"]);
    }),
    row("the oldest key goes for the newest", |scene| {
        let (exchange, name) = once(scene, "fanout", &[("x-cache-size", Value::Int(2))]);
        for key in ["1", "2", "1", "3", "2", "1", "3"] {
            scene.client.publish(&keyed(&exchange, key, key));
        }
        assert_eq!(scene.client.drain(&name), ["1", "2", "3", "1"]);
    }),
    row("a key goes when its time is up, its message's own before the exchange's", |scene| {
        let (exchange, name) = once(scene, "fanout", &[("x-cache-ttl", Value::Int(400))]);
        for body in ["a", "twice"] {
            scene.client.publish(&keyed(&exchange, "1", body));
            scene.client.publish(&keyed(&exchange, "2", body).header("x-cache-ttl", 600_000));
        }
        assert_eq!(scene.client.drain(&name), ["a", "a"]);
        let_pass(Duration::from_millis(800));
        scene.client.publish(&keyed(&exchange, "1", "b"));
        scene.client.publish(&keyed(&exchange, "2", "twice"));
        assert_eq!(scene.client.drain(&name), ["b"]);
    }),
    row("what comes through a binding or as an alternative is seen, too", |scene| {
        let (exchange, name) = once(scene, "fanout", &[]);
        let (source, last) = (scene.name("source"), scene.name("last"));
        scene.client.declare_exchange(&source, "fanout");
        scene.client.call(exchange::bind(&exchange, &source, ""));
        let declare = exchange::declare(&last, "direct").with(Flag::Durable);
        scene.client.call(declare.arg("alternate-exchange", exchange.as_str()));
        let beside = scene.name("beside");
        scene.client.declare_bound_queue(&beside, &source, "");
        for (to, key) in [(&source, "1"), (&exchange, "1"), (&last, "1"), (&last, "2")] {
            scene.client.publish(&keyed(to, key, key));
        }
        scene.client.publish(&keyed(&source, "2", "2"));
        assert_eq!(scene.client.drain(&name), ["1", "2"]);
        assert_eq!(scene.client.drain(&beside), ["1", "2"], "the other way is open");
    }),
    row("so are dead letters, and what is dropped is gone where it died", |scene| {
        let (exchange, name) = once(scene, "fanout", &[]);
        let dying = scene.name("dying");
        let declare = queue::declare(&dying).with(Flag::Durable).arg("x-message-ttl", 0);
        scene.client.call(declare.arg("x-dead-letter-exchange", exchange.as_str()));
        for (key, body) in [("1", "a"), ("1", "b"), ("2", "c")] {
            scene.client.publish(&keyed_to(&dying, key, body).persistent());
        }
        scene.client.expect_count(&name, 2);
        scene.client.expect_count(&dying, 0);
        scene.client.publish(&keyed(&exchange, "1", "d"));
        assert_eq!(scene.client.drain(&name), ["a", "c"]);
    }),
    row("and what has waited, which is no repetition of itself", |scene| {
        let (exchange, name) = once(scene, "fanout", &[]);
        let (early, both) = (scene.name("early"), scene.name("both"));
        let declare = exchange::declare(&early, "x-delayed-message").with(Flag::Durable);
        scene.client.call(declare.arg("x-delayed-type", "fanout"));
        scene.client.call(exchange::bind(&exchange, &early, ""));
        let declare =
            exchange::declare(&both, "x-delayed-message").with(Flag::Durable).arg(ON, true);
        scene.client.call(declare.arg("x-delayed-type", "fanout"));
        scene.client.call(queue::bind(&name, &both, ""));
        scene.client.consume(&name);
        for body in ["a", "twice"] {
            scene.client.publish(&keyed(&both, "1", body).header("x-delay", 300));
        }
        scene.client.publish(&keyed(&both, "1", "twice"));
        scene.client.expect_deliveries(&["a"]);
        scene.client.publish(&keyed(&exchange, "2", "b"));
        scene.client.publish(&keyed(&early, "2", "twice").header("x-delay", 50));
        scene.client.publish(&keyed(&early, "3", "c").header("x-delay", 100));
        scene.client.expect_deliveries(&["b", "c"]);
    }),
    row("what went nowhere may come again", |scene| {
        let exchange = scene.x();
        let name = scene.queue();
        let declare = exchange::declare(&exchange, "direct").with(Flag::Durable).arg(ON, true);
        scene.client.call(declare);
        scene.client.publish(&keyed(&exchange, "1", "a").with(Flag::Mandatory));
        assert_eq!(scene.client.expect_return().code, 312);
        scene.client.call(queue::bind(&name, &exchange, "key"));
        scene.client.publish(&keyed(&exchange, "1", "b").with(Flag::Mandatory));
        scene.client.publish(&keyed(&exchange, "1", "c").with(Flag::Mandatory));
        assert_eq!(scene.client.drain(&name), ["b"]);
    }),
    row("and so may what a full queue refused", |scene| {
        let (exchange, _) = once(scene, "direct", &[]);
        let more = [("x-max-length", Value::Int(1)), ("x-overflow", "reject-publish".into())];
        let name = queue_once(scene, &more);
        scene.client.call(queue::bind(&name, &exchange, "other"));
        scene.client.select_confirms();
        let message = |key, body| keyed(&exchange, key, body).persistent();
        let other = |key, body| Message::to(&exchange, "other").header(KEY, key).body(body);
        scene.client.publish(&other("1", "a").persistent());
        assert!(scene.client.expect_confirm().acked);
        scene.client.publish(&other("2", "b").persistent());
        assert!(!scene.client.expect_confirm().acked);
        scene.client.publish(&other("1", "twice").persistent());
        assert!(scene.client.expect_confirm().acked);
        assert_eq!(scene.client.drain(&name), ["a"]);
        scene.client.publish(&other("2", "c").persistent());
        assert!(scene.client.expect_confirm().acked);
        assert_eq!(scene.client.drain(&name), ["c"]);
        scene.client.publish(&message("2", "twice"));
        assert!(scene.client.expect_confirm().acked);
        let first = scene.q();
        assert_eq!(scene.client.drain(&first), [""; 0]);
    }),
    row("in a transaction it is said at the commit, and never of what is rolled back", |scene| {
        let (exchange, name) = once(scene, "fanout", &[]);
        let second = queue_once(scene, &[]);
        scene.client.call(tx::select());
        scene.client.publish(&keyed(&exchange, "1", "rolled back").persistent());
        scene.client.publish(&keyed_to(&second, "1", "rolled back").persistent());
        scene.client.call(tx::rollback());
        for body in ["a", "twice"] {
            scene.client.publish(&keyed(&exchange, "1", body).persistent());
            scene.client.publish(&keyed_to(&second, "1", body).persistent());
        }
        let mut other = scene.connect();
        other.publish(&keyed(&exchange, "2", "b"));
        other.close();
        scene.client.publish(&keyed(&exchange, "2", "twice").with(Flag::Mandatory));
        scene.client.call(tx::commit());
        scene.client.publish(&keyed(&exchange, "1", "twice"));
        scene.client.call(tx::commit());
        assert_eq!(sorted(scene.client.drain(&name)), ["a", "b"]);
        assert_eq!(scene.client.drain(&second), ["a"]);
    }),
    row("an exchange with a history keeps what came once", |scene| {
        let (exchange, name) = once(scene, "x-recent-history", &[]);
        let late = scene.name("late");
        for (key, body) in [("1", "a"), ("1", "twice"), ("2", "b")] {
            scene.client.publish(&keyed(&exchange, key, body));
        }
        scene.client.declare_bound_queue(&late, &exchange, "");
        assert_eq!(scene.client.drain(&name), ["a", "b"]);
        assert_eq!(scene.client.drain(&late), ["a", "b"]);
    }),
    row("what was confirmed is known again after a crash", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut scene = Scene::new(broker.broker());
        let (exchange, name) = once(&mut scene, "fanout", &[("x-cache-size", Value::Int(3))]);
        let second = queue_once(&mut scene, &[("x-cache-ttl", Value::Int(600_000))]);
        scene.client.select_confirms();
        for key in ["1", "2", "3", "4"] {
            scene.client.publish(&keyed(&exchange, key, key).persistent());
            scene.client.publish(&keyed_to(&second, key, key).persistent());
        }
        scene.client.expect_confirmed_up_to(1, 8);
        for _ in 0..2 {
            broker.kill();
            broker.start_again();
            let mut client = broker.broker().connect();
            for key in ["2", "3", "4"] {
                client.publish(&keyed(&exchange, key, "twice").persistent());
                client.publish(&keyed_to(&second, key, "twice").persistent());
            }
            client.close();
        }
        let mut client = broker.broker().connect();
        client.select_confirms();
        client.publish(&keyed(&exchange, "1", "it was forgotten").persistent());
        client.publish(&keyed(&exchange, "2", "and now this").persistent());
        client.publish(&keyed_to(&second, "5", "5").persistent());
        client.expect_confirmed_up_to(1, 3);
        let kept = ["1", "2", "3", "4", "it was forgotten", "and now this"];
        assert_eq!(client.drain(&name), kept);
        assert_eq!(client.drain(&second), ["1", "2", "3", "4", "5"]);
        forgets_with_its_name(&mut client, &exchange, &name);
        broker.kill();
        broker.start_again();
        let printed = broker.printed();
        assert!(!printed.contains("which is not defined"), "{printed}");
        let mut client = broker.broker().connect();
        client.publish(&keyed(&exchange, "2", "twice").persistent());
        assert_eq!(client.drain(&name), ["anew"]);
        client.close();
    })
    .needs(Needs::PrivateBroker),
    row("what was forgotten for a message that is not stored stays so after a crash", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut scene = Scene::new(broker.broker());
        let (exchange, name) = once(&mut scene, "fanout", &[("x-cache-size", Value::Int(1))]);
        scene.client.select_confirms();
        scene.client.publish(&keyed(&exchange, "1", "a").persistent());
        scene.client.publish(&keyed(&exchange, "2", "in memory alone"));
        scene.client.publish(&keyed(&exchange, "3", "so is its key"));
        scene.client.publish(&Message::to(&exchange, "").body("b").persistent());
        scene.client.expect_confirmed_up_to(1, 4);
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        client.publish(&keyed(&exchange, "1", "c").persistent());
        assert_eq!(client.drain(&name), ["a", "b", "c"]);
        client.close();
    })
    .needs(Needs::PrivateBroker),
    row("a quorum queue does the same, of what has waited for its time, too", |scene| {
        let name = queue_once(scene, &[("x-queue-type", "quorum".into())]);
        scene.client.select_confirms();
        let soon = i64::MAX / 2;
        for (key, body) in [("1", "a"), ("1", "twice"), ("2", "b")] {
            scene.client.publish(&keyed_to(&name, key, body).persistent());
        }
        // Ten years at most, and not known here before.
        let later = keyed_to(&name, "3", "later").header("x-opt-delivery-time", soon);
        scene.client.publish(&later.persistent());
        scene.client.publish(&keyed_to(&name, "3", "c").persistent());
        scene.client.expect_confirmed_up_to(1, 5);
        assert_eq!(scene.client.drain(&name), ["a", "b", "c"]);
    }),
    row("an exchange takes no other switch than a boolean", |scene| {
        scene.client.send(exchange::declare(&scene.x(), "direct").arg(ON, "true"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-message-deduplication' for exchange '{x}' in vhost \
         '/': {unacceptable_type,longstr}",
        exchange::DECLARE,
    ),
    row("nor a size of nothing", |scene| {
        let declare = exchange::declare(&scene.x(), "direct").arg(ON, true);
        scene.client.send(declare.arg("x-cache-size", 0));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-cache-size' for exchange '{x}' in vhost '/': \
         {value_zero,0}",
        exchange::DECLARE,
    ),
    row("a queue takes no negative time", |scene| {
        let declare = queue::declare(&scene.q()).with(Flag::Durable).arg(ON, true);
        scene.client.send(declare.arg("x-cache-ttl", -1));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-cache-ttl' for queue '{q}' in vhost '/': \
         {value_negative,-1}",
        queue::DECLARE,
    ),
    row("without the switch the other arguments may be anything", |scene| {
        let declare = exchange::declare(&scene.x(), "direct").with(Flag::Durable);
        scene.client.call(declare.arg("x-cache-size", "many"));
        let declare = queue::declare(&scene.q()).with(Flag::Durable);
        scene.client.call(declare.arg("x-cache-ttl", "long"));
    }),
    row("a redeclaration says the same of it", |scene| {
        let (exchange, _) = once(scene, "direct", &[]);
        let declare = exchange::declare(&exchange, "direct").with(Flag::Durable);
        scene.client.call(declare.arg(ON, true));
        scene.client.send(exchange::declare(&exchange, "direct").with(Flag::Durable));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-message-deduplication' for exchange '{x}' in \
         vhost '/': received none but current is the value 'true' of type 'bool'",
        exchange::DECLARE,
    ),
];

/// An exchange that deduplicates, with these further arguments, and a queue bound to it.
fn once(scene: &mut Scene, kind: &str, more: &[(&str, Value)]) -> (String, String) {
    let (exchange, name) = (scene.x(), scene.q());
    let mut declare = exchange::declare(&exchange, kind).with(Flag::Durable).arg(ON, true);
    for (argument, value) in more {
        declare = declare.arg(argument, value.clone());
    }
    scene.client.call(declare);
    scene.client.declare_bound_queue(&name, &exchange, "key");
    (exchange, name)
}

/// A queue that deduplicates, with these further arguments.
fn queue_once(scene: &mut Scene, more: &[(&str, Value)]) -> String {
    let name = scene.name("once");
    let mut declare = queue::declare(&name).with(Flag::Durable).arg(ON, true);
    for (argument, value) in more {
        declare = declare.arg(argument, value.clone());
    }
    scene.client.call(declare);
    name
}

fn keyed(exchange: &str, key: &str, body: &str) -> Message {
    Message::to(exchange, "key").header(KEY, key).body(body)
}

fn keyed_to(queue: &str, key: &str, body: &str) -> Message {
    Message::to_queue(queue).header(KEY, key).body(body)
}

fn sorted(mut bodies: Vec<String>) -> Vec<String> {
    bodies.sort();
    bodies
}

/// Another exchange with the same name knows nothing of what the first had.
fn forgets_with_its_name(client: &mut RawClient, exchange: &str, queue: &str) {
    client.call(exchange::delete(exchange));
    let declare = exchange::declare(exchange, "fanout").with(Flag::Durable);
    client.call(declare.arg(ON, true));
    client.call(queue::bind(queue, exchange, ""));
    client.publish(&keyed(exchange, "2", "anew").persistent());
    client.expect_confirmed_up_to(4, 4);
}
