//! RabbitMQ's extensions beyond the core that Leveret has: limits, single active consumers, length
//! limits, priorities, direct reply-to.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::wait_for;
use leveret_tests::raw_client::method::{basic, connection, exchange, queue};
use leveret_tests::raw_client::{Flag, Message};

use crate::row::{Needs, Row};

const REPLY_TO: &str = "amq.rabbitmq.reply-to";

pub(crate) const ROWS: &[Row] = &[
    Row::new("32", "queues and exchanges beyond the limit are refused", |_| {
        let config = "cluster_queue_limit = 1\ncluster_exchange_limit = 1\n";
        let broker = BrokerUnderTest::start_with(config);
        let mut client = broker.broker().connect();
        client.declare_queue("one");
        client.declare_queue("one");
        client.send(queue::declare("two").with(Flag::Durable));
        let text = "PRECONDITION_FAILED - cannot declare queue 'two': queue limit in cluster (1) \
                    is reached";
        client.expect_channel_close(1, 406, text, queue::DECLARE);
        let mut client = broker.broker().connect();
        client.declare_exchange("one", "direct");
        client.send(exchange::declare("two", "direct"));
        let text = "PRECONDITION_FAILED - cannot declare exchange 'two' in vhost '/': exchange \
                    limit of 1 is reached";
        client.expect_channel_close(1, 406, text, exchange::DECLARE);
    })
    .needs(Needs::PrivateBroker),
    Row::new("97", "publishers are told of a memory alarm, consumers go on", |_| {
        let broker = BrokerUnderTest::start_with("vm_memory_high_watermark.absolute = 1\n");
        let mut consumer = broker.broker().connect();
        consumer.declare_queue("q");
        consumer.consume("q");
        let mut publisher = broker.broker().connect();
        // The alarm is raised within a second of the start.
        let reply = wait_for("connection.blocked", || {
            publisher.publish(&Message::to_queue("q").body("1"));
            assert_eq!(consumer.expect_delivery().text(), "1");
            publisher.send(queue::declare("q").with(Flag::Passive));
            let reply = publisher.expect_any();
            (reply.id == connection::BLOCKED).then_some(reply)
        });
        assert_eq!(reply.arguments, b"\x0dlow on memory");
        consumer.expect_nothing_pending(1, "q");
    })
    .needs(Needs::PrivateBroker),
    Row::new("71", "only one consumer is active, and the next follows it", |scene| {
        let name = scene.q();
        let single = queue::declare(&name).with(Flag::Durable);
        scene.client.call(single.arg("x-single-active-consumer", true));
        let mut second = scene.connect();
        let first_tag = scene.client.consume(&name);
        second.consume(&name);
        scene.connect().fill(&name, &["1", "2"]);
        scene.client.expect_deliveries(&["1", "2"]);
        second.expect_nothing_pending(1, &name);
        scene.client.call(basic::cancel(&first_tag));
        scene.connect().fill(&name, &["3"]);
        second.expect_deliveries(&["3"]);
    }),
    Row::new("71 60", "an exclusive consumer is refused where only one is active", |scene| {
        let name = scene.q();
        let single = queue::declare(&name).with(Flag::Durable);
        scene.client.call(single.arg("x-single-active-consumer", true));
        scene.client.send(basic::consume(&name, "").with(Flag::Exclusive));
        let text = format!("ACCESS_REFUSED - queue '{name}' in vhost '/' in exclusive use");
        scene.client.expect_channel_close(1, 403, &text, basic::CONSUME);
    })
    .on_3_10_instead(
        |scene| {
            let name = scene.q();
            let single = queue::declare(&name).with(Flag::Durable);
            scene.client.call(single.arg("x-single-active-consumer", true));
            scene.client.send(basic::consume(&name, "").with(Flag::Exclusive));
            assert_eq!(scene.client.expect_any().close().code, 403);
        },
        "the text of 3.10 names the single active consumer",
    ),
    Row::new("79", "a full queue drops its oldest message", |scene| {
        let name = scene.q();
        let limited = queue::declare(&name).with(Flag::Durable).arg("x-max-length", 2);
        scene.client.call(limited);
        scene.connect().fill(&name, &["1", "2", "3"]);
        assert_eq!(scene.client.drain(&name), ["2", "3"]);
    }),
    Row::new("79", "a queue full of bytes drops its oldest messages", |scene| {
        let name = scene.q();
        let limited = queue::declare(&name).with(Flag::Durable).arg("x-max-length-bytes", 10);
        scene.client.call(limited);
        scene.connect().fill(&name, &["12345", "67890", "abcde"]);
        assert_eq!(scene.client.drain(&name), ["67890", "abcde"]);
    }),
    Row::new("89 90", "an answer comes back to whoever asked", |scene| {
        let requests = scene.queue();
        scene.client.call(basic::consume(REPLY_TO, "").with(Flag::NoAck));
        let mut request = Message::to_queue(&requests).body("question");
        request.properties.reply_to = Some(REPLY_TO.to_owned());
        scene.client.publish(&request);
        let mut server = scene.connect();
        server.expect_count(&requests, 1);
        let fetched = server.get(&requests);
        let address = fetched.content.properties.reply_to.expect("a place to answer to");
        assert!(address.starts_with("amq.rabbitmq.reply-to."), "{address}");
        server.publish(&Message::to_queue(&address).body("answer"));
        assert_eq!(scene.client.expect_delivery().text(), "answer");
    }),
    Row::new("89", "a reply consumer cannot acknowledge", |scene| {
        scene.client.send(basic::consume(REPLY_TO, ""));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - reply consumer cannot acknowledge",
        basic::CONSUME,
    ),
    Row::new("89", "a channel has one reply consumer", |scene| {
        scene.client.call(basic::consume(REPLY_TO, "").with(Flag::NoAck));
        scene.client.send(basic::consume(REPLY_TO, "").with(Flag::NoAck));
    })
    .closes_channel(406, "PRECONDITION_FAILED - reply consumer already set", basic::CONSUME),
    Row::new("89", "a request without a reply consumer is refused", |scene| {
        let requests = scene.queue();
        let mut request = Message::to_queue(&requests);
        request.properties.reply_to = Some(REPLY_TO.to_owned());
        scene.client.publish(&request);
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - fast reply consumer does not exist",
        basic::PUBLISH,
    ),
];
