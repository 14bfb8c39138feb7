//! Opening, closing and reopening channels; how far an error reaches.

use leveret_tests::raw_client::method::{basic, channel, confirm, exchange, queue};
use leveret_tests::raw_client::{Flag, Handshake, Message};

use crate::row::{Expectation, Row};

pub(crate) const ROWS: &[Row] = &[
    Row::new("13", "a method on a channel that is not open", |scene| {
        scene.client.send(basic::qos(1).on(7));
    })
    .closes_connection(504, "CHANNEL_ERROR - expected 'channel.open'", basic::QOS),
    Row::new("13", "a second open of an open channel", |scene| {
        scene.client.send(channel::open(1));
    })
    .closes_connection(504, "CHANNEL_ERROR - second 'channel.open' seen", channel::OPEN),
    Row::new("13", "more channels than negotiated", |scene| {
        let handshake = Handshake { channel_max: Some(2), ..scene.broker.handshake() };
        scene.client = scene.broker.connect_as(&handshake);
        scene.client.open_channel(2);
        scene.client.send(channel::open(3));
    })
    .closes_connection(
        530,
        "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)",
        (0, 0),
    ),
    Row::new("13", "a closed channel makes room for another", |scene| {
        let handshake = Handshake { channel_max: Some(1), ..scene.broker.handshake() };
        scene.client = scene.broker.connect_as(&handshake);
        for _ in 0..3 {
            scene.client.call(channel::close());
            scene.client.open_channel(1);
        }
    }),
    Row::new("13", "the highest number is usable", |scene| {
        scene.client.open_channel(2047);
        scene.client.expect_nothing_on(2047);
    }),
    Row::new(
        "17",
        "close is answered once unsettled deliveries are back in their queue",
        |scene| {
            let queue = scene.queue();
            scene.client.fill(&queue, &["1", "2"]);
            let mut other = scene.connect();
            other.consume(&queue);
            other.expect_deliveries(&["1", "2"]);
            other.call(channel::close());
            assert_eq!(scene.client.queue_state(&queue).message_count, 2);
        },
    ),
    Row::new("17", "a closed channel's number opens a fresh channel", |scene| {
        let queue = scene.queue();
        scene.client.select_confirms();
        scene.client.publish(&Message::to_queue(&queue));
        assert_eq!(scene.client.expect_confirm().delivery_tag, 1);
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        // A fresh channel sends no confirms until asked, and then counts from 1 again.
        scene.client.publish(&Message::to_queue(&queue));
        scene.client.expect_nothing_pending(1, &queue);
        scene.client.select_confirms();
        scene.client.publish(&Message::to_queue(&queue));
        assert_eq!(scene.client.expect_confirm().delivery_tag, 1);
    }),
    Row::new("17", "an error on one channel leaves the others alone", |scene| {
        let queue = scene.queue();
        scene.client.open_channel(2);
        scene.client.send(queue::declare(&scene.name("missing")).with(Flag::Passive));
        let missing = scene.name("missing");
        let text = format!("NOT_FOUND - no queue '{missing}' in vhost '/'");
        scene.client.expect_channel_close(1, 404, &text, queue::DECLARE);
        scene.client.call(confirm::select().on(2));
        scene.client.publish(&Message::to_queue(&queue).body("still here").on(2));
        scene.client.expect_confirm();
        scene.client.open_channel(1);
        assert_eq!(scene.client.drain(&queue), ["still here"]);
    }),
    Row::new("17", "what follows an error on its channel is ignored until close-ok", |scene| {
        let queue = scene.queue();
        let missing = scene.name("missing");
        scene.client.send(basic::get(&missing));
        scene.client.send(queue::purge(&missing));
        scene.client.publish(&Message::to_queue(&queue).body("ignored"));
        scene.client.send(exchange::declare("amq.direct", "fanout"));
        let text = format!("NOT_FOUND - no queue '{missing}' in vhost '/'");
        scene.client.expect_channel_close(1, 404, &text, basic::GET);
        scene.client.open_channel(1);
        assert!(scene.client.drain(&queue).is_empty());
    }),
    Row::new("17", "a close that crosses the broker's close is answered", |scene| {
        let missing = scene.name("missing");
        scene.client.send(basic::get(&missing));
        let refusal = scene.client.expect(channel::CLOSE);
        assert_eq!(refusal.close().code, 404);
        scene.client.call(channel::close());
        scene.client.send(channel::close_ok());
        scene.client.open_channel(1);
    }),
    Row::new("17", "a channel may be closed before its open is answered", |scene| {
        for _ in 0..200 {
            scene.client.send(channel::open(2));
            scene.client.send(channel::close().on(2));
            scene.client.expect(channel::OPEN_OK);
            scene.client.expect(channel::CLOSE_OK);
        }
    }),
    Row::new("17", "work sent before a close is done", |scene| {
        let queue = scene.queue();
        scene.client.open_channel(2);
        scene.client.publish(&Message::to_queue(&queue).on(2));
        scene.client.call(channel::close().on(2));
        scene.client.expect_count(&queue, 1);
    }),
    Row::new("17", "a close of a channel that is not open", |scene| {
        scene.client.send(channel::close().on(9));
    })
    .closes_connection(504, "CHANNEL_ERROR - expected 'channel.open'", channel::CLOSE),
    Row::new("30 17", "methods sent with no-wait are not answered", |scene| {
        let (queue, exchange) = (scene.q(), scene.x());
        scene.client.send(queue::declare(&queue).with(Flag::Durable).with(Flag::NoWait));
        scene.client.send(exchange::declare(&exchange, "direct").with(Flag::NoWait));
        scene.client.send(queue::bind(&queue, &exchange, "k").with(Flag::NoWait));
        scene.client.send(confirm::select().with(Flag::NoWait));
        scene.client.send(basic::consume(&queue, "c").with(Flag::NoWait));
        scene.client.send(basic::cancel("c").with(Flag::NoWait));
        scene.client.send(queue::purge(&queue).with(Flag::NoWait));
        scene.client.send(exchange::delete(&exchange).with(Flag::NoWait));
        scene.client.send(queue::delete(&queue).with(Flag::NoWait));
        scene.client.expect_nothing_on(1);
        scene.client.send(queue::declare(&queue).with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", queue::DECLARE),
    Row::new("30", "an error of a method with no-wait is told", |scene| {
        let again = exchange::declare("amq.direct", "fanout").with(Flag::Durable);
        scene.client.send(again.with(Flag::NoWait));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': \
         received 'fanout' but current is 'direct'",
        exchange::DECLARE,
    ),
    Row::new("17", "a channel's close closes no more than the channel", |scene| {
        scene.client.open_channel(2);
        scene.client.send(basic::get("").on(2));
    })
    .expects(Expectation::ChannelClose {
        channel: 2,
        code: 404,
        text: "NOT_FOUND - no previously declared queue",
        cause: basic::GET,
    }),
];
