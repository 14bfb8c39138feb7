//! The exchange types beyond AMQP's own: consistent hash, random, modulus hash, recent history.
//!
//! In RabbitMQ 4.3 modulus hash is part of the broker, the others are plugins that come with it; the
//! rows of a type that a peer has not are skipped: `rabbitmq-plugins enable
//! rabbitmq_consistent_hash_exchange rabbitmq_random_exchange rabbitmq_recent_history_exchange`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::join;
use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, exchange, queue, tx};
use leveret_tests::raw_client::{Flag, Message, RawClient, Value};

use crate::row::{Needs, Row, Script};
use crate::scene::Scene;

const HASH: &str = "x-consistent-hash";
const RANDOM: &str = "x-random";
const MODULUS: &str = "x-modulus-hash";
const HISTORY: &str = "x-recent-history";

const fn row(cites: &'static str, kind: &'static str, name: &'static str, script: Script) -> Row {
    Row::new(cites, name, script).needs(Needs::ExchangeType(kind))
}

/// Whether the peer has exchanges of this type.
pub(crate) fn peer_knows(peer: &Broker, kind: &'static str) -> bool {
    static ASKED: Mutex<Vec<(&str, bool)>> = Mutex::new(Vec::new());
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = asked.iter().find(|(asked, _)| *asked == kind) {
        return *known;
    }
    let mut client = peer.connect();
    let name = format!("conformance-{kind}");
    client.send(exchange::declare(&name, kind).with(Flag::AutoDelete));
    let known = client.expect_any().id == exchange::DECLARE_OK;
    if known {
        client.call(exchange::delete(&name));
    }
    asked.push((kind, known));
    known
}

pub(crate) const ROWS: &[Row] = &[
    row("95", HASH, "a header and a property cannot both be hashed", |scene| {
        let declare = exchange::declare(&scene.x(), HASH).arg("hash-header", "id");
        scene.client.send(declare.arg("hash-property", "message_id"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive",
        exchange::DECLARE,
    ),
    row("95", HASH, "three properties can be hashed and no other", |scene| {
        for property in ["correlation_id", "message_id", "timestamp"] {
            let declare = exchange::declare(&scene.name(property), HASH);
            scene.client.call(declare.arg("hash-property", property));
        }
        let declare = exchange::declare(&scene.x(), HASH);
        scene.client.send(declare.arg("hash-property", "app_id"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - Unsupported property: app_id",
        exchange::DECLARE,
    ),
    row("95 27", HASH, "what is hashed is not compared when it is declared again", |scene| {
        let exchange = scene.exchange(HASH);
        let declare = exchange::declare(&exchange, HASH).with(Flag::Durable);
        scene.client.call(declare.arg("hash-property", "no such property"));
    }),
    row("95 27", HASH, "its type is compared, and shown as the Erlang atom it is", |scene| {
        let exchange = scene.exchange(HASH);
        scene.client.send(exchange::declare(&exchange, MODULUS).with(Flag::Durable));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '{x}' in vhost '/': received \
         ''x-modulus-hash'' but current is ''x-consistent-hash''",
        exchange::DECLARE,
    ),
    row("95", HASH, "a binding key is the weight, as Erlang reads integers", |scene| {
        let (exchange, queue) = (scene.exchange(HASH), scene.queue());
        for key in ["1", "+5", "0010", "10000"] {
            scene.client.call(queue::bind(&queue, &exchange, key));
            scene.client.call(queue::unbind(&queue, &exchange, key));
        }
        scene.client.send(queue::bind(&queue, &exchange, "1.5"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - The binding key must be an integer: <<\"1.5\">>",
        queue::BIND,
    ),
    row("95", HASH, "no binding key is no weight", |scene| {
        let (exchange, queue) = (scene.exchange(HASH), scene.queue());
        scene.client.send(queue::bind(&queue, &exchange, ""));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - The binding key must be an integer: <<>>",
        queue::BIND,
    ),
    row("95", HASH, "a weight is above nothing", |scene| {
        let (exchange, queue) = (scene.exchange(HASH), scene.queue());
        scene.client.send(queue::bind(&queue, &exchange, "0"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - The binding key must be greater than 0",
        queue::BIND,
    ),
    row("95", HASH, "a weight has a limit", |scene| {
        let (exchange, other) = (scene.exchange(HASH), scene.name("other"));
        scene.client.declare_exchange(&other, "fanout");
        scene.client.send(exchange::bind(&other, &exchange, "10001"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - The binding key must not exceed 10000",
        exchange::BIND,
    ),
    row("95", HASH, "a message goes to one queue, always the same for its key", |scene| {
        let exchange = scene.exchange(HASH);
        let queues = bound(scene, &exchange, &["1", "1", "1"]);
        let first = publish_keys(scene, &exchange, &queues, 100);
        assert!(first.iter().all(|bodies| !bodies.is_empty()), "{first:?}");
        assert_eq!(first.iter().map(Vec::len).sum::<usize>(), 100);
        assert_eq!(publish_keys(scene, &exchange, &queues, 100), first);
    }),
    row("95", HASH, "shares are as the weights", |scene| {
        let exchange = scene.exchange(HASH);
        let queues = bound(scene, &exchange, &["1", "3"]);
        let got = publish_keys(scene, &exchange, &queues, 1000);
        // A quarter, and seven standard deviations.
        assert!((150..350).contains(&got[0].len()), "{} of 1000", got[0].len());
        assert_eq!(got[0].len() + got[1].len(), 1000);
    }),
    row("95", HASH, "the queue bound last leaves the others what they had", |scene| {
        let exchange = scene.exchange(HASH);
        let queues = bound(scene, &exchange, &["1", "2", "1"]);
        let before = publish_keys(scene, &exchange, &queues, 200);
        scene.client.call(queue::unbind(&queues[2], &exchange, "1"));
        let after = publish_keys(scene, &exchange, &queues, 200);
        assert!(after[2].is_empty());
        assert_eq!(after.iter().map(Vec::len).sum::<usize>(), 200);
        for at in [0, 1] {
            assert!(before[at].iter().all(|key| after[at].contains(key)), "queue {at}");
        }
    }),
    row("95", HASH, "of several bindings of a queue the first one counts", |scene| {
        let exchange = scene.exchange(HASH);
        let queues = bound(scene, &exchange, &["1", "1"]);
        let before = publish_keys(scene, &exchange, &queues, 100);
        scene.client.call(queue::bind(&queues[0], &exchange, "9"));
        assert_eq!(publish_keys(scene, &exchange, &queues, 100), before);
    }),
    row("95 53", HASH, "CC adds no destination", |scene| {
        let exchange = scene.exchange(HASH);
        let queues = bound(scene, &exchange, &["1", "1", "1", "1"]);
        scene.client.publish(&Message::to(&exchange, "key").body("plain"));
        let others = Value::texts(&["a", "b", "c", "d", "e", "f"]);
        scene.client.publish(&Message::to(&exchange, "key").header("CC", others).body("more"));
        let got: Vec<_> = queues.iter().map(|queue| scene.client.drain(queue)).collect();
        assert!(got.contains(&vec!["plain".to_owned(), "more".to_owned()]), "{got:?}");
    }),
    row("95", HASH, "a header can be hashed", |scene| {
        let exchange = scene.x();
        scene.client.call(exchange::declare(&exchange, HASH).arg("hash-header", "id"));
        let message = |id: usize| {
            let id = Value::Int(i32::try_from(id).expect("few"));
            Message::to("", "").header("id", id)
        };
        hashes_what_it_should(scene, &exchange, message);
    }),
    row("95", HASH, "the message id can be hashed", |scene| {
        hashes_property(scene, "message_id", |id| Properties {
            message_id: Some(format!("id-{id}")),
            ..Properties::default()
        });
    }),
    row("95", HASH, "the correlation id can be hashed", |scene| {
        hashes_property(scene, "correlation_id", |id| Properties {
            correlation_id: Some(format!("id-{id}")),
            ..Properties::default()
        });
    }),
    row("95", HASH, "the timestamp can be hashed", |scene| {
        hashes_property(scene, "timestamp", |id| Properties {
            timestamp: Some(1_700_000_000 + id as u64),
            ..Properties::default()
        });
    }),
    row("95", HASH, "messages without what is hashed go to one queue", |scene| {
        let exchange = scene.x();
        scene.client.call(exchange::declare(&exchange, HASH).arg("hash-header", "id"));
        let queues = bound(scene, &exchange, &["1", "1", "1"]);
        let got = publish_keys(scene, &exchange, &queues, 50);
        assert!(got.iter().any(|bodies| bodies.len() == 50), "{got:?}");
    }),
    row("95 50", HASH, "without bindings a message has no route", |scene| {
        let exchange = scene.exchange(HASH);
        scene.client.publish(&Message::to(&exchange, "key").with(Flag::Mandatory));
        assert_eq!(scene.client.expect_return().code, 312);
    }),
    row("", RANDOM, "each message goes to one queue, whichever", |scene| {
        let exchange = scene.exchange(RANDOM);
        let queues = bound(scene, &exchange, &["a", ""]);
        for number in 0..100 {
            scene.client.publish(&Message::to(&exchange, "key").body(number.to_string()));
        }
        let got: Vec<_> = queues.iter().map(|queue| scene.client.drain(queue).len()).collect();
        assert_eq!(got.iter().sum::<usize>(), 100);
        // Less likely than one in ten million.
        assert!(got.iter().all(|count| (25..=75).contains(count)), "{got:?}");
    }),
    row("53", RANDOM, "CC makes no second copy of a message sent at random", |scene| {
        let exchange = scene.exchange(RANDOM);
        let queues = bound(scene, &exchange, &["a", "b"]);
        let message = Message::to(&exchange, "a").header("CC", Value::texts(&["b", "a"]));
        scene.client.publish(&message);
        let got: usize = queues.iter().map(|queue| scene.client.drain(queue).len()).sum();
        assert_eq!(got, 1);
    }),
    row("50", RANDOM, "with nothing to choose from a message has no route", |scene| {
        let exchange = scene.exchange(RANDOM);
        scene.client.publish(&Message::to(&exchange, "key").with(Flag::Mandatory));
        assert_eq!(scene.client.expect_return().code, 312);
    }),
    row("", MODULUS, "a key goes where its hash in Erlang sends it", |scene| {
        let exchange = scene.exchange(MODULUS);
        let queues = bound(scene, &exchange, &["", "", ""]);
        // Four places: the first queue has two of them.
        scene.client.call(queue::bind(&queues[0], &exchange, "once more"));
        let got = publish_keys(scene, &exchange, &queues, 20);
        assert_eq!(got[0], ["0", "5", "6", "8", "9", "11", "14", "17", "18"]);
        assert_eq!(got[1], ["1", "3", "4", "10", "12", "13", "15", "16"]);
        assert_eq!(got[2], ["2", "7", "19"]);
    }),
    row("", MODULUS, "destinations are counted exchanges first and by their names", |scene| {
        let exchange = scene.exchange(MODULUS);
        let names = [scene.name("z"), scene.name("b"), scene.name("a")];
        let behind = scene.name("behind");
        scene.client.declare_bound_queue(&names[1], &exchange, "");
        scene.client.declare_exchange(&names[0], "fanout");
        scene.client.call(exchange::bind(&names[0], &exchange, ""));
        scene.client.declare_bound_queue(&names[2], &exchange, "");
        scene.client.declare_bound_queue(&behind, &names[0], "");
        // Their hashes leave 0, 1 and 2 when they are divided by three.
        let places = [(&behind, "a"), (&names[2], "c"), (&names[1], "key-2")];
        for (_, key) in places {
            scene.client.publish(&Message::to(&exchange, key).body(key));
        }
        for (queue, key) in places {
            assert_eq!(scene.client.drain(queue), [key]);
        }
    }),
    row("53", MODULUS, "all keys of CC and BCC are hashed together", |scene| {
        let exchange = scene.exchange(MODULUS);
        let queues = bound(scene, &exchange, &["", "", ""]);
        scene.client.publish(&Message::to(&exchange, "a").body("one key"));
        for header in ["CC", "BCC"] {
            let message = Message::to(&exchange, "a").header(header, Value::texts(&["b"]));
            scene.client.publish(&message.body(header));
        }
        assert_eq!(scene.client.drain(&queues[0]), ["one key"]);
        assert_eq!(scene.client.drain(&queues[1]), ["CC", "BCC"]);
    }),
    row("", HISTORY, "a queue that is bound gets the last messages, the oldest first", |scene| {
        let exchange = scene.x();
        let declare = exchange::declare(&exchange, HISTORY).with(Flag::Durable);
        scene.client.call(declare.arg("x-recent-history-length", 3));
        publish_numbers(scene, &exchange, 1..=5);
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, "any"));
        publish_numbers(scene, &exchange, 6..=6);
        let first = scene.client.get(&queue);
        assert_eq!((first.text().as_str(), first.redelivered), ("3", false));
        assert_eq!((first.exchange, first.routing_key), (exchange, "number".to_owned()));
        assert_eq!(scene.client.drain(&queue), ["4", "5", "6"]);
    }),
    row("", HISTORY, "twenty messages are kept when nothing else is said", |scene| {
        let exchange = scene.exchange(HISTORY);
        publish_numbers(scene, &exchange, 1..=25);
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, ""));
        let expected: Vec<_> = (6..=25).map(|number: u32| number.to_string()).collect();
        assert_eq!(scene.client.drain(&queue), expected);
    }),
    row("", HISTORY, "what is published while a queue is bound comes to it", |scene| {
        const COUNT: u32 = 300;
        let (exchange, queue) = (scene.x(), scene.queue());
        let declare = exchange::declare(&exchange, HISTORY);
        scene.client.call(declare.arg("x-recent-history-length", 1000));
        let (mut publisher, source) = (scene.connect(), exchange.clone());
        let publishing = thread::spawn(move || {
            publisher.select_confirms();
            for number in 1..=COUNT {
                publisher.publish(&Message::to(&source, "k").body(number.to_string()));
            }
            publisher.expect_confirmed_up_to(1, COUNT.into());
        });
        scene.client.call(queue::bind(&queue, &exchange, ""));
        join("the publisher", publishing);
        let got: BTreeSet<u32> =
            scene.client.drain(&queue).iter().map(|body| body.parse().expect("a number")).collect();
        assert_eq!(got, (1..=COUNT).collect());
    }),
    row("", HISTORY, "every bound queue gets every message", |scene| {
        let exchange = scene.exchange(HISTORY);
        let queues = bound(scene, &exchange, &["a", "b"]);
        let message = Message::to(&exchange, "a").header("CC", Value::texts(&["b", "c"]));
        scene.client.publish(&message.body("once"));
        for queue in &queues {
            assert_eq!(scene.client.drain(queue), ["once"]);
        }
    }),
    row("", HISTORY, "messages may ask not to be kept", |scene| {
        let exchange = scene.exchange(HISTORY);
        for (body, asks) in
            [("true", Value::from(true)), ("false", false.into()), ("text", "true".into())]
        {
            let message = Message::to(&exchange, "k").header("x-recent-history-no-store", asks);
            scene.client.publish(&message.body(body));
        }
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, ""));
        assert_eq!(scene.client.drain(&queue), ["false", "text"]);
    }),
    row("", HISTORY, "a binding that is there already brings nothing, a new one all", |scene| {
        let (exchange, queue) = (scene.exchange(HISTORY), scene.queue());
        publish_numbers(scene, &exchange, 1..=2);
        for (key, expected) in [("a", &["1", "2"][..]), ("a", &[]), ("b", &["1", "2"])] {
            scene.client.call(queue::bind(&queue, &exchange, key));
            assert_eq!(scene.client.drain(&queue), expected, "{key}");
        }
    }),
    row("50", HISTORY, "what is returned is kept", |scene| {
        let exchange = scene.exchange(HISTORY);
        scene.client.publish(&Message::to(&exchange, "k").with(Flag::Mandatory).body("kept"));
        assert_eq!(scene.client.expect_return().code, 312);
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, ""));
        assert_eq!(scene.client.drain(&queue), ["kept"]);
    }),
    row("67", HISTORY, "what is rolled back has been kept", |scene| {
        let exchange = scene.exchange(HISTORY);
        scene.client.call(tx::select());
        publish_numbers(scene, &exchange, 1..=1);
        scene.client.call(tx::rollback());
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, ""));
        assert_eq!(scene.client.drain(&queue), ["1"]);
    }),
    row("96", HISTORY, "what comes from another exchange is kept, too", |scene| {
        let (exchange, source) = (scene.exchange(HISTORY), scene.name("source"));
        scene.client.declare_exchange(&source, "fanout");
        scene.client.call(exchange::bind(&exchange, &source, ""));
        publish_numbers(scene, &source, 1..=1);
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, ""));
        let fetched = scene.client.get(&queue);
        assert_eq!((fetched.text(), fetched.exchange), ("1".to_owned(), source));
    }),
    row("96", HISTORY, "the queues behind an exchange that is bound get what was kept", |scene| {
        let (exchange, middle) = (scene.exchange(HISTORY), scene.name("middle"));
        publish_numbers(scene, &exchange, 1..=1);
        scene.client.declare_exchange(&middle, "direct");
        let (queue, other) = (scene.queue(), scene.name("other"));
        scene.client.call(queue::bind(&queue, &middle, "number"));
        scene.client.declare_bound_queue(&other, &middle, "another");
        scene.client.call(exchange::bind(&middle, &exchange, ""));
        assert_eq!(scene.client.drain(&queue), ["1"]);
        assert!(scene.client.drain(&other).is_empty());
    }),
    row("", HISTORY, "dead letters are kept, too", |scene| {
        let (exchange, dying) = (scene.exchange(HISTORY), scene.name("dying"));
        let declare = queue::declare(&dying).with(Flag::Durable);
        scene.client.call(declare.arg("x-dead-letter-exchange", &*exchange));
        let early = bound(scene, &exchange, &[""]);
        scene.client.publish(&Message::to_queue(&dying).body("dead"));
        let tag = scene.client.get(&dying).delivery_tag;
        scene.client.send(basic::reject(tag));
        scene.client.expect_count(&early[0], 1);
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, ""));
        assert_eq!(scene.client.drain(&queue), ["dead"]);
    }),
    row("92", HISTORY, "what the alternate exchange gets is kept all the same", |scene| {
        let (exchange, rest) = (scene.x(), scene.name("rest"));
        scene.client.declare_exchange(&rest, "fanout");
        scene.client.call(exchange::declare(&exchange, HISTORY).arg("alternate-exchange", &*rest));
        let saved = scene.name("saved");
        scene.client.declare_bound_queue(&saved, &rest, "");
        publish_numbers(scene, &exchange, 1..=1);
        assert_eq!(scene.client.drain(&saved), ["1"]);
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, ""));
        assert_eq!(scene.client.drain(&queue), ["1"]);
    }),
    row("", HISTORY, "an exchange that is deleted takes along what it kept", |scene| {
        let exchange = scene.exchange(HISTORY);
        publish_numbers(scene, &exchange, 1..=1);
        scene.client.call(exchange::delete(&exchange));
        scene.client.declare_exchange(&exchange, HISTORY);
        let queue = scene.queue();
        scene.client.call(queue::bind(&queue, &exchange, ""));
        assert!(scene.client.drain(&queue).is_empty());
    }),
    row("", HISTORY, "nothing is no length", |scene| {
        let declare = exchange::declare(&scene.x(), HISTORY);
        scene.client.send(declare.arg("x-recent-history-length", 0));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - Invalid argument 0, 'x-recent-history-length' must be a positive \
         integer",
        exchange::DECLARE,
    ),
    row("", HISTORY, "a text is no length", |scene| {
        let declare = exchange::declare(&scene.x(), HISTORY);
        scene.client.send(declare.arg("x-recent-history-length", "20"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - Invalid argument <<\"20\">>, 'x-recent-history-length' must be a \
         positive integer",
        exchange::DECLARE,
    ),
    row("27", HISTORY, "the length is not compared when it is declared again", |scene| {
        let exchange = scene.exchange(HISTORY);
        let declare = exchange::declare(&exchange, HISTORY).with(Flag::Durable);
        scene.client.call(declare.arg("x-recent-history-length", "no length"));
    }),
    Row::new("95 56", "a key goes where it went before a restart; histories are gone", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        client.declare_exchange("hash", HASH);
        client.declare_exchange("history", HISTORY);
        client.publish(&Message::to("history", "").persistent().body("gone"));
        let queues: Vec<_> = (0..4).map(|number| format!("q-{number}")).collect();
        for queue in &queues {
            client.declare_bound_queue(queue, "hash", "1");
        }
        let before = keys_by_queue(&mut client, "hash", &queues, 50);
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        assert_eq!(keys_by_queue(&mut client, "hash", &queues, 50), before);
        client.call(queue::bind(&queues[0], "history", ""));
        assert!(client.drain(&queues[0]).is_empty());
    })
    .needs(Needs::PrivateBroker),
];

/// A queue for each of these binding keys.
fn bound(scene: &mut Scene, exchange: &str, keys: &[&str]) -> Vec<String> {
    let bind = |(number, key): (usize, &&str)| {
        let queue = scene.name(&format!("bound-{number}"));
        scene.client.declare_bound_queue(&queue, exchange, key);
        queue
    };
    keys.iter().enumerate().map(bind).collect()
}

/// Publishes with the keys `key-0` and so on; the numbers that each queue got.
fn publish_keys(
    scene: &mut Scene,
    exchange: &str,
    queues: &[String],
    count: usize,
) -> Vec<Vec<String>> {
    keys_by_queue(&mut scene.client, exchange, queues, count)
}

fn keys_by_queue(
    client: &mut RawClient,
    exchange: &str,
    queues: &[String],
    count: usize,
) -> Vec<Vec<String>> {
    for number in 0..count {
        let key = format!("key-{number}");
        client.publish(&Message::to(exchange, &key).body(number.to_string()));
    }
    queues.iter().map(|queue| client.drain(queue)).collect()
}

fn publish_numbers(scene: &mut Scene, exchange: &str, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        scene.client.publish(&Message::to(exchange, "number").body(number.to_string()));
    }
}

fn hashes_property(scene: &mut Scene, name: &str, properties: impl Fn(usize) -> Properties) {
    let exchange = scene.x();
    scene.client.call(exchange::declare(&exchange, HASH).arg("hash-property", name));
    hashes_what_it_should(scene, &exchange, |id| Message::to("", "").properties(properties(id)));
}

/// Messages that are the same in this go the same way whatever their routing keys, and others go
/// other ways.
fn hashes_what_it_should(scene: &mut Scene, exchange: &str, message: impl Fn(usize) -> Message) {
    let queues = bound(scene, exchange, &["1", "1", "1"]);
    for (round, id) in (0..2).flat_map(|round| (0..40).map(move |id| (round, id))) {
        let mut message = message(id).body(id.to_string());
        message.exchange = exchange.to_owned();
        message.routing_key = format!("key-{round}-{id}");
        scene.client.publish(&message);
    }
    let got: Vec<_> = queues.iter().map(|queue| scene.client.drain(queue)).collect();
    assert_eq!(got.iter().map(Vec::len).sum::<usize>(), 80);
    for bodies in got {
        let (first, second) = bodies.split_at(bodies.len() / 2);
        assert!(!first.is_empty(), "a queue got nothing");
        assert_eq!(first, second, "what went one way in the first round");
    }
}
