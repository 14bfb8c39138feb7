//! Consumers that do not settle in time: what they hold goes back, and they are cancelled.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::let_pass;
use leveret_tests::raw_client::method::{MethodId, basic, queue, tx};
use leveret_tests::raw_client::{Flag, Message, RawClient, Value};

use crate::row::{Needs, Row, channel_close};
use crate::scene::Scene;

/// Long enough to do what has to be done in time, in milliseconds.
const TIMEOUT_MS: i32 = 700;
const TIMEOUT: Duration = Duration::from_millis(700);
/// What is no method's: the broker closes of its own accord.
const NO_METHOD: MethodId = (0, 0);
const ON_CLASSIC: &str = "classic queues of RabbitMQ 4.3 have no consumer timeout";
const REVIVES: &str =
    "a consumer of RabbitMQ gets messages again once it has settled what it was cancelled for";
const NO_TIME: &str = "channels of RabbitMQ 4.3 do not know the time";
const TIMED_OUT: &str = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. \
                         Timeout value used: 700 ms. This timeout value can be configured, see \
                         consumers doc guide to learn more";
const TIMED_OUT_THERE: &str = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed \
                               out. Timeout value used: -1 ms. This timeout value can be \
                               configured, see consumers doc guide to learn more";

pub(crate) const ROWS: &[Row] = &[
    Row::new("73 70 101", "what is not settled in time goes back, its consumer goes", |scene| {
        let name = timed(scene, "quorum", &[]);
        lapse(scene, &name, &["a"]);
        let told = scene.connect().get(&name);
        let headers = told.content.properties.headers.expect("headers");
        assert_eq!(headers.get("x-acquired-count"), Some(&Value::Long(1)));
        assert_eq!(headers.get("x-delivery-count"), None, "it has not failed");
    }),
    Row::new("73 65", "it goes back to its place, for others", |scene| {
        let name = timed(scene, "quorum", &[]);
        goes_back(scene, &name);
    }),
    Row::new("73 65", "a classic queue does the same", |scene| {
        let name = timed(scene, "classic", &[]);
        goes_back(scene, &name);
    })
    .on_3_10_instead(|_| {}, ON_CLASSIC),
    Row::new("73", "who settles in time, in whatever order, keeps the rest of its time", |scene| {
        let name = timed(scene, "quorum", &[]);
        scene.client.consume(&name);
        for _ in 0..3 {
            scene.client.fill(&name, &["a", "b", "c"]);
            let tags = scene.client.expect_deliveries(&["a", "b", "c"]);
            let_pass(TIMEOUT / 2);
            [1, 2, 0].iter().for_each(|&at: &usize| scene.client.send(basic::ack(tags[at])));
        }
        let_pass(TIMEOUT);
        scene.client.expect_nothing_pending(1, &name);
        scene.client.expect_count(&name, 0);
    }),
    Row::new("73", "a tag that lapsed can be settled once, to no effect", |scene| {
        let name = timed(scene, "quorum", &[]);
        let tags = lapse(scene, &name, &["a", "b"]);
        scene.client.send(basic::ack(tags[0]));
        scene.client.send(basic::nack(tags[1]));
        scene.client.expect_nothing_pending(1, &name);
        assert_eq!(scene.client.drain(&name), ["a", "b"]);
    })
    .on_3_10_instead(
        |scene| {
            let name = timed(scene, "quorum", &[]);
            let tags = lapse(scene, &name, &["a", "b"]);
            tags.iter().for_each(|&tag| scene.client.send(basic::ack(tag)));
            scene.client.expect_deliveries(&["a", "b"]);
        },
        REVIVES,
    ),
    Row::new("73 64", "a late tag settles no other message", |scene| {
        let name = timed(scene, "classic", &[]);
        let tags = lapse(scene, &name, &["a", "b"]);
        let mut other = scene.connect();
        other.call(basic::consume(&name, "other").arg("x-consumer-timeout", 600_000));
        other.expect_deliveries(&["a", "b"]);
        scene.client.send(basic::ack(tags[1]).with(Flag::Multiple));
        scene.client.expect_nothing_on(1);
        drop(other);
        scene.client.expect_count(&name, 2);
    })
    .on_3_10_instead(|_| {}, ON_CLASSIC),
    Row::new("73 64", "and is unknown the second time", |scene| {
        let name = timed(scene, "quorum", &[]);
        let tags = lapse(scene, &name, &["a"]);
        assert_eq!(scene.connect().drain(&name), ["a"]);
        scene.client.send(basic::ack(tags[0]));
        scene.client.send(basic::ack(tags[0]));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 1", basic::ACK),
    Row::new("73", "a client that cannot be told has its channel closed", |scene| {
        let name = timed(scene, "quorum", &[]);
        scene.client.fill(&name, &["a"]);
        scene.client = scene.broker.connect_bare();
        scene.client.consume(&name);
        scene.client.expect_deliveries(&["a"]);
    })
    .closes_channel(406, TIMED_OUT, NO_METHOD)
    .on_3_10(channel_close(406, TIMED_OUT_THERE, NO_METHOD), NO_TIME),
    Row::new("73", "so has who fetched and did not settle", |scene| {
        let name = timed(scene, "quorum", &[]);
        scene.client.fill(&name, &["a", "b"]);
        scene.client.expect_count(&name, 2);
        scene.client.get(&name);
    })
    .closes_channel(406, TIMED_OUT, NO_METHOD)
    .on_3_10(channel_close(406, TIMED_OUT_THERE, NO_METHOD), NO_TIME),
    Row::new("73", "and who cancelled its consumer and did not settle", |scene| {
        let name = timed(scene, "quorum", &[]);
        let tag = scene.client.consume(&name);
        scene.client.fill(&name, &["a"]);
        scene.client.expect_deliveries(&["a"]);
        scene.client.call(basic::cancel(&tag));
    })
    .closes_channel(406, TIMED_OUT, NO_METHOD)
    .on_3_10(channel_close(406, TIMED_OUT_THERE, NO_METHOD), NO_TIME),
    Row::new("73", "what was fetched and settled in time does not lapse", |scene| {
        let name = timed(scene, "quorum", &[]);
        scene.client.fill(&name, &["a", "b"]);
        scene.client.expect_count(&name, 2);
        let tags = [scene.client.get(&name).delivery_tag, scene.client.get(&name).delivery_tag];
        scene.client.send(basic::ack(tags[1]));
        scene.client.send(basic::nack(tags[0]).with(Flag::Requeue));
        let_pass(TIMEOUT * 2);
        scene.client.expect_count(&name, 1);
    }),
    Row::new("73", "a consumer's own time goes before its queue's", |scene| {
        let name = timed(scene, "quorum", &[]);
        let consume = basic::consume(&name, "c");
        scene.client.call(consume.arg("x-consumer-timeout", 600_000));
        scene.client.fill(&name, &["a"]);
        let tags = scene.client.expect_deliveries(&["a"]);
        scene.client.expect_silence(TIMEOUT * 2);
        scene.client.send(basic::ack(tags[0]));
        scene.client.expect_count(&name, 0);
    }),
    Row::new("73", "a consumer may have a time where its queue has none", |scene| {
        let name = scene.queue();
        let consume = basic::consume(&name, "c");
        scene.client.call(consume.arg("x-consumer-timeout", TIMEOUT_MS));
        scene.client.fill(&name, &["a"]);
        scene.client.expect_deliveries(&["a"]);
        assert_eq!(scene.client.expect(basic::CANCEL).consumer_tag(), "c");
    })
    .on_3_10_instead(|_| {}, ON_CLASSIC),
    Row::new("73", "without acknowledgements there is nothing to be late with", |scene| {
        let name = timed(scene, "quorum", &[]);
        scene.client.call(basic::consume(&name, "c").with(Flag::NoAck));
        scene.client.fill(&name, &["a"]);
        scene.client.expect_deliveries(&["a"]);
        scene.client.expect_silence(TIMEOUT * 2);
    }),
    Row::new("73", "a text is no time", |scene| {
        let name = timed(scene, "quorum", &[]);
        scene.client.send(basic::consume(&name, "").arg("x-consumer-timeout", "abc"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-consumer-timeout' for queue '{q}' in vhost '/': \
         \"expected integer, got longstr\"",
        basic::CONSUME,
    ),
    Row::new("73", "a negative time is refused", |scene| {
        let name = timed(scene, "quorum", &[]);
        scene.client.send(basic::consume(&name, "").arg("x-consumer-timeout", -1));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid arg 'x-consumer-timeout' for queue '{q}' in vhost '/': \
         {value_negative,-1}",
        basic::CONSUME,
    ),
    Row::new("73 71", "the next single active consumer gets all of it, in order", |scene| {
        single_active(scene, "quorum");
    }),
    Row::new("73 71", "on a classic queue, too", |scene| single_active(scene, "classic"))
        .on_3_10_instead(|_| {}, ON_CLASSIC),
    Row::new("73 62", "what lapsed makes room on the channel", |scene| {
        let name = timed(scene, "classic", &[]);
        let held_back = scene.name("held-back");
        scene.client.declare_queue(&held_back);
        scene.client.fill(&name, &["a"]);
        scene.client.fill(&held_back, &["b"]);
        scene.client.call(basic::qos(1).with(Flag::Global));
        scene.client.consume(&name);
        scene.client.expect_deliveries(&["a"]);
        scene.client.call(basic::consume(&held_back, "d"));
        scene.client.expect_nothing_on(1);
        let first = scene.client.expect_any();
        let second = scene.client.expect_any();
        assert_eq!([first.id, second.id], [basic::DELIVER, basic::CANCEL]);
    })
    .on_3_10_instead(|_| {}, ON_CLASSIC),
    Row::new("73 91", "an ack that waits for a commit is late as any other", |scene| {
        let name = timed(scene, "classic", &[]);
        scene.client.call(tx::select());
        scene.client.consume(&name);
        scene.connect().fill(&name, &["a", "b"]);
        let tags = scene.client.expect_deliveries(&["a", "b"]);
        scene.client.send(basic::ack(tags[0]));
        scene.client.expect(basic::CANCEL);
        scene.client.call(tx::commit());
        scene.client.send(basic::ack(tags[1]));
        scene.client.call(tx::rollback());
        scene.client.send(basic::ack(tags[1]));
        scene.client.call(tx::commit());
        assert_eq!(scene.client.drain(&name), ["a", "b"]);
    })
    .on_3_10_instead(|_| {}, ON_CLASSIC),
    Row::new("73 33", "an auto-delete queue goes with its last consumer", |scene| {
        let name = scene.q();
        let declare = queue::declare(&name).with(Flag::AutoDelete);
        scene.client.call(declare.arg("x-consumer-timeout", TIMEOUT_MS));
        scene.client.consume(&name);
        scene.client.publish(&Message::to_queue(&name).body("a"));
        scene.client.expect_deliveries(&["a"]);
        scene.client.expect(basic::CANCEL);
        scene.client.expect_no_queue(&name);
    })
    .on_3_10_instead(|_| {}, ON_CLASSIC),
    Row::new("73", "many deliveries go back in steps, and stay in order", |scene| {
        let name = timed(scene, "classic", &[]);
        let bodies: Vec<_> = (0..5_000).map(|number| number.to_string()).collect();
        let bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
        scene.client.fill(&name, &bodies);
        scene.client.consume(&name);
        scene.client.expect_deliveries(&bodies);
        let mut other = scene.connect();
        let consume = basic::consume(&name, "other").with(Flag::NoAck);
        other.call(consume);
        other.expect_deliveries(&bodies);
        scene.client.expect(basic::CANCEL);
    })
    .on_3_10_instead(|_| {}, ON_CLASSIC),
    Row::new("73", "the broker has a time for queues that do not say", |_| {
        let broker = BrokerUnderTest::start_with("consumer_timeout = 500\n");
        let mut client = broker.broker().connect();
        client.declare_queue("q");
        client.fill("q", &["a"]);
        client.consume("q");
        client.expect_deliveries(&["a"]);
        client.expect(basic::CANCEL);
        client.expect_count("q", 1);
    })
    .needs(Needs::PrivateBroker),
];

/// Declares the scene's queue with a timeout.
fn timed(scene: &mut Scene, kind: &str, arguments: &[(&str, Value)]) -> String {
    let name = scene.q();
    let mut declare = queue::declare(&name).with(Flag::Durable).arg("x-queue-type", kind);
    for (argument, value) in arguments {
        declare = declare.arg(argument, value.clone());
    }
    scene.client.call(declare.arg("x-consumer-timeout", TIMEOUT_MS));
    name
}

/// A consumer gets these and is too late with them. Returns their tags.
fn lapse(scene: &mut Scene, name: &str, bodies: &[&str]) -> Vec<u64> {
    scene.client.fill(name, bodies);
    let count = |client: &mut RawClient| {
        client.expect_count(name, u32::try_from(bodies.len()).expect("few"))
    };
    count(&mut scene.client);
    scene.client.call(basic::consume(name, "c"));
    let tags = scene.client.expect_deliveries(bodies);
    assert_eq!(scene.client.expect(basic::CANCEL).consumer_tag(), "c");
    count(&mut scene.client);
    tags
}

fn goes_back(scene: &mut Scene, name: &str) {
    lapse(scene, name, &["a", "b"]);
    for body in ["a", "b"] {
        let mut other = scene.connect();
        let fetched = other.get(name);
        assert_eq!((fetched.text().as_str(), fetched.redelivered), (body, true));
        other.send(basic::ack(fetched.delivery_tag));
        other.close();
    }
    scene.client.fill(name, &["c"]);
    scene.client.expect_nothing_pending(1, name);
    scene.client.expect_count(name, 1);
}

fn single_active(scene: &mut Scene, kind: &str) {
    let name = timed(scene, kind, &[("x-single-active-consumer", Value::Bool(true))]);
    let mut next = scene.connect();
    scene.client.call(basic::consume(&name, "active"));
    next.call(basic::consume(&name, "next").arg("x-consumer-timeout", 600_000));
    scene.client.fill(&name, &["a", "b", "c"]);
    scene.client.expect_deliveries(&["a", "b", "c"]);
    next.expect_deliveries(&["a", "b", "c"]);
    assert_eq!(scene.client.expect(basic::CANCEL).consumer_tag(), "active");
    scene.client.fill(&name, &["d"]);
    next.expect_deliveries(&["d"]);
}
