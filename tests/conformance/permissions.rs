//! What a user with few rights is refused, and in which words.

use leveret_tests::raw_client::method::{basic, exchange, queue};
use leveret_tests::raw_client::{Flag, Message, Value};

use crate::row::{Expectation, Needs, Row, channel_close};
use crate::scene::Scene;
use crate::users::{LIMITED, TOPICAL};

/// A method the limited user may not call: which right it lacks, on what, and what is told.
macro_rules! refused {
    ($cites:literal, $name:literal, $script:expr, $right:literal, $what:literal, $cause:expr,) => {
        Row::new($cites, $name, $script)
            .needs(Needs::Users)
            .closes_channel(
                403,
                concat!(
                    "ACCESS_REFUSED - ",
                    $right,
                    " access to ",
                    $what,
                    " in vhost '/' refused for user 'conformance-limited'"
                ),
                $cause,
            )
            .on_3_10(
                channel_close(
                    403,
                    concat!(
                        "ACCESS_REFUSED - access to ",
                        $what,
                        " in vhost '/' refused for user 'conformance-limited'"
                    ),
                    $cause,
                ),
                "3.10 does not say which right is lacking, 4.x does",
            )
    };
}

const fn allowed(cites: &'static str, name: &'static str, script: fn(&mut Scene)) -> Row {
    Row::new(cites, name, script).needs(Needs::Users)
}

pub(crate) const ROWS: &[Row] = &[
    refused!(
        "43 44",
        "queue.declare needs configure",
        |scene| {
            limit(scene);
            let name = scene.name("read-write");
            scene.client.send(queue::declare(&name));
        },
        "configure",
        "queue '{read-write}'",
        queue::DECLARE,
    ),
    refused!(
        "43 44",
        "queue.delete needs configure, even of a missing queue",
        |scene| {
            limit(scene);
            let name = scene.name("read-write");
            scene.client.send(queue::delete(&name));
        },
        "configure",
        "queue '{read-write}'",
        queue::DELETE,
    ),
    refused!(
        "43 44",
        "exchange.declare needs configure",
        |scene| {
            limit(scene);
            let name = scene.x();
            scene.client.send(exchange::declare(&name, "direct"));
        },
        "configure",
        "exchange '{x}'",
        exchange::DECLARE,
    ),
    refused!(
        "43 44",
        "basic.publish needs write on the exchange",
        |scene| {
            limit(scene);
            scene.client.publish(&Message::to("amq.direct", "k"));
        },
        "write",
        "exchange 'amq.direct'",
        basic::PUBLISH,
    ),
    refused!(
        "43 44",
        "publishing to a queue needs write on the default exchange",
        |scene| {
            limit(scene);
            scene.client.publish(&Message::to_queue("anything"));
        },
        "write",
        "exchange 'amq.default'",
        basic::PUBLISH,
    ),
    refused!(
        "43 44",
        "basic.get needs read",
        |scene| {
            let name = scene.name("conf-write");
            scene.client.declare_queue(&name);
            limit(scene);
            scene.client.send(basic::get(&name));
        },
        "read",
        "queue '{conf-write}'",
        basic::GET,
    ),
    refused!(
        "43 44",
        "basic.consume needs read",
        |scene| {
            limit(scene);
            let name = scene.name("conf-write");
            scene.client.send(basic::consume(&name, ""));
        },
        "read",
        "queue '{conf-write}'",
        basic::CONSUME,
    ),
    refused!(
        "43 44",
        "queue.purge needs read",
        |scene| {
            limit(scene);
            let name = scene.name("conf-write");
            scene.client.send(queue::purge(&name));
        },
        "read",
        "queue '{conf-write}'",
        queue::PURGE,
    ),
    refused!(
        "38 44",
        "queue.bind needs write on the queue before anything else",
        |scene| {
            limit(scene);
            let name = scene.name("conf-read");
            scene.client.send(queue::bind(&name, "amq.direct", "k"));
        },
        "write",
        "queue '{conf-read}'",
        queue::BIND,
    ),
    refused!(
        "38 44",
        "queue.bind needs read on the exchange",
        |scene| {
            limit(scene);
            let name = scene.name("write");
            scene.client.send(queue::bind(&name, "amq.direct", "k"));
        },
        "read",
        "exchange 'amq.direct'",
        queue::BIND,
    ),
    refused!(
        "44",
        "a dead-letter exchange needs read on the queue",
        |scene| {
            limit(scene);
            let name = scene.name("conf");
            scene.client.send(queue::declare(&name).arg("x-dead-letter-exchange", "any-write"));
        },
        "read",
        "queue '{conf}'",
        queue::DECLARE,
    ),
    refused!(
        "44",
        "a dead-letter exchange needs write on it",
        |scene| {
            limit(scene);
            let name = scene.name("conf-read");
            scene.client.send(queue::declare(&name).arg("x-dead-letter-exchange", "amq.direct"));
        },
        "write",
        "exchange 'amq.direct'",
        queue::DECLARE,
    ),
    refused!(
        "44",
        "an alternate exchange needs write on it",
        |scene| {
            limit(scene);
            let name = scene.name("conf-read");
            let declare = exchange::declare(&name, "direct");
            scene.client.send(declare.arg("alternate-exchange", "amq.direct"));
        },
        "write",
        "exchange 'amq.direct'",
        exchange::DECLARE,
    ),
    refused!(
        "47",
        "write access is checked before the exchange is looked up",
        |scene| {
            limit(scene);
            let name = scene.x();
            scene.client.publish(&Message::to(&name, "k"));
        },
        "write",
        "exchange '{x}'",
        basic::PUBLISH,
    ),
    refused!(
        "43 44",
        "exchange.delete needs configure, even of a missing exchange",
        |scene| {
            limit(scene);
            let name = scene.name("read-write");
            scene.client.send(exchange::delete(&name));
        },
        "configure",
        "exchange '{read-write}'",
        exchange::DELETE,
    ),
    refused!(
        "44",
        "an alternate exchange needs read on the exchange",
        |scene| {
            limit(scene);
            let name = scene.name("conf");
            let declare = exchange::declare(&name, "direct");
            scene.client.send(declare.arg("alternate-exchange", "any-write"));
        },
        "read",
        "exchange '{conf}'",
        exchange::DECLARE,
    ),
    refused!(
        "44",
        "configure is asked for before what a dead-letter exchange needs",
        |scene| {
            limit(scene);
            let name = scene.name("nothing");
            scene.client.send(queue::declare(&name).arg("x-dead-letter-exchange", "amq.direct"));
        },
        "configure",
        "queue '{nothing}'",
        queue::DECLARE,
    ),
    allowed("44", "what is there may be declared again without what its exchanges need", |scene| {
        let (queue, exchange) = (scene.name("conf-q"), scene.name("conf-x"));
        let dead = |name: &str| {
            let declare = queue::declare(name).with(Flag::Durable);
            declare.arg("x-dead-letter-exchange", "amq.direct")
        };
        let alternate = |name: &str| {
            exchange::declare(name, "direct").arg("alternate-exchange", "amq.direct")
        };
        scene.client.call(dead(&queue));
        scene.client.call(alternate(&exchange));
        limit(scene);
        scene.client.call(dead(&queue));
        scene.client.call(alternate(&exchange));
    }),
    refused!(
        "38 44",
        "queue.unbind needs write on the queue before anything else",
        |scene| {
            limit(scene);
            let name = scene.name("conf-read");
            scene.client.send(queue::unbind(&name, "amq.direct", "k"));
        },
        "write",
        "queue '{conf-read}'",
        queue::UNBIND,
    ),
    refused!(
        "38 44",
        "queue.unbind needs read on the exchange",
        |scene| {
            limit(scene);
            let name = scene.name("write");
            scene.client.send(queue::unbind(&name, "amq.direct", "k"));
        },
        "read",
        "exchange 'amq.direct'",
        queue::UNBIND,
    ),
    refused!(
        "38 44",
        "exchange.bind needs write on the destination before anything else",
        |scene| {
            limit(scene);
            let name = scene.name("conf-read");
            scene.client.send(exchange::bind(&name, "amq.direct", "k"));
        },
        "write",
        "exchange '{conf-read}'",
        exchange::BIND,
    ),
    refused!(
        "38 44",
        "exchange.bind needs read on the source",
        |scene| {
            limit(scene);
            let name = scene.name("write");
            scene.client.send(exchange::bind(&name, "amq.direct", "k"));
        },
        "read",
        "exchange 'amq.direct'",
        exchange::BIND,
    ),
    refused!(
        "38 44",
        "exchange.unbind needs write on the destination before anything else",
        |scene| {
            limit(scene);
            let name = scene.name("conf-read");
            scene.client.send(exchange::unbind(&name, "amq.direct", "k"));
        },
        "write",
        "exchange '{conf-read}'",
        exchange::UNBIND,
    ),
    refused!(
        "38 44",
        "exchange.unbind needs read on the source",
        |scene| {
            limit(scene);
            let name = scene.name("write");
            scene.client.send(exchange::unbind(&name, "amq.direct", "k"));
        },
        "read",
        "exchange 'amq.direct'",
        exchange::UNBIND,
    ),
    allowed("45 47", "publishing to a topic exchange needs write on the topic", |scene| {
        topical(scene);
        scene.client.publish(&Message::to("amq.topic", "mine.is.fine"));
        scene.client.publish(&Message::to("amq.direct", "theirs"));
        scene.client.publish(&Message::to("amq.topic", "theirs"));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - write access to topic 'theirs' in exchange 'amq.topic' in vhost '/' refused \
         for user 'conformance-topical'",
        basic::PUBLISH,
    )
    .on_3_10(
        channel_close(
            403,
            "ACCESS_REFUSED - access to topic 'theirs' in exchange 'amq.topic' in vhost '/' refused \
             for user 'conformance-topical'",
            basic::PUBLISH,
        ),
        "3.10 does not say which right is lacking, 4.x does",
    ),
    allowed("45 47", "each key that a message names needs write on its topic", |scene| {
        topical(scene);
        let copied = Message::to("amq.topic", "mine.1").header("CC", Value::texts(&["theirs"]));
        scene.client.publish(&copied);
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - write access to topic 'theirs' in exchange 'amq.topic' in vhost '/' refused \
         for user 'conformance-topical'",
        basic::PUBLISH,
    )
    .on_3_10(
        channel_close(
            403,
            "ACCESS_REFUSED - access to topic 'theirs' in exchange 'amq.topic' in vhost '/' refused \
             for user 'conformance-topical'",
            basic::PUBLISH,
        ),
        "3.10 does not say which right is lacking, 4.x does",
    ),
    allowed("38 45", "binding to a topic exchange needs read on the topic", |scene| {
        topical(scene);
        let name = scene.queue();
        scene.client.call(queue::bind(&name, "amq.topic", "conformance-topical.#"));
        scene.client.call(queue::bind(&name, "amq.direct", "theirs"));
        scene.client.send(queue::bind(&name, "amq.topic", "theirs"));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - read access to topic 'theirs' in exchange 'amq.topic' in vhost '/' refused \
         for user 'conformance-topical'",
        queue::BIND,
    )
    .on_3_10(
        channel_close(
            403,
            "ACCESS_REFUSED - access to topic 'theirs' in exchange 'amq.topic' in vhost '/' refused \
             for user 'conformance-topical'",
            queue::BIND,
        ),
        "3.10 does not say which right is lacking, 4.x does",
    ),
    allowed("38 45", "so does unbinding from it", |scene| {
        topical(scene);
        let name = scene.queue();
        scene.client.send(queue::unbind(&name, "amq.topic", "theirs"));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - read access to topic 'theirs' in exchange 'amq.topic' in vhost '/' refused \
         for user 'conformance-topical'",
        queue::UNBIND,
    )
    .on_3_10(
        channel_close(
            403,
            "ACCESS_REFUSED - access to topic 'theirs' in exchange 'amq.topic' in vhost '/' refused \
             for user 'conformance-topical'",
            queue::UNBIND,
        ),
        "3.10 does not say which right is lacking, 4.x does",
    ),
    allowed("44 46", "any of the three rights will do for a passive declare", |scene| {
        for right in ["conf", "write", "read"] {
            let name = scene.name(right);
            scene.client.declare_queue(&name);
            let mut limited = scene.broker.connect_as(&LIMITED.handshake());
            limited.call(queue::declare(&name).with(Flag::Passive));
            limited.send(exchange::declare(&name, "direct").with(Flag::Passive));
            assert_eq!(limited.expect_any().close().code, 404, "{right}");
        }
    }),
    allowed("44 46", "a passive declare needs one of the three rights", |scene| {
        limit(scene);
        scene.client.send(exchange::declare("amq.direct", "direct").with(Flag::Passive));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - configure access to exchange 'amq.direct' in vhost '/' refused for user \
         'conformance-limited'",
        exchange::DECLARE,
    )
    .on_3_10(Expectation::Holds, "3.10 lets anyone declare passively, 4.x asks for some right"),
    allowed("44 46", "a passive queue.declare needs one of the three rights", |scene| {
        limit(scene);
        scene.client.send(queue::declare("secret").with(Flag::Passive));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - configure access to queue 'secret' in vhost '/' refused for user \
         'conformance-limited'",
        queue::DECLARE,
    )
    .on_3_10_instead(
        |scene| {
            limit(scene);
            scene.client.send(queue::declare("secret").with(Flag::Passive));
            assert_eq!(scene.client.expect_any().close().code, 404);
        },
        "3.10 lets anyone declare passively, 4.x asks for some right",
    ),
    allowed("44 46", "what matches somewhere is allowed", |scene| {
        limit(scene);
        let (queue, exchange) = (scene.name("q-conf-write-read"), scene.name("x-conf-write-read"));
        scene.client.declare_queue(&queue);
        scene.client.declare_exchange(&exchange, "direct");
        scene.client.call(queue::bind(&queue, &exchange, "k"));
        scene.client.publish(&Message::to(&exchange, "k").body("allowed"));
        assert_eq!(scene.client.drain(&queue), ["allowed"]);
        scene.client.call(queue::purge(&queue));
        scene.client.call(queue::delete(&queue));
        scene.client.call(exchange::delete(&exchange));
    }),
];

/// Makes the scene's client one of the user with rules over topics.
fn topical(scene: &mut Scene) {
    scene.client = scene.broker.connect_as(&TOPICAL.handshake());
}

/// Makes the scene's client one of the limited user.
fn limit(scene: &mut Scene) {
    scene.client = scene.broker.connect_as(&LIMITED.handshake());
}
