//! What a publisher hears: returned messages and confirms, and which comes first.

use std::collections::BTreeSet;

use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, channel, confirm, queue, tx};
use leveret_tests::raw_client::{Flag, Message};

use crate::row::Row;

pub(crate) const ROWS: &[Row] = &[
    Row::new("52", "an unroutable mandatory message comes back whole", |scene| {
        let exchange = scene.exchange("direct");
        let message_id = Some("returned".to_owned());
        let properties = Properties { message_id, ..Properties::default() };
        let message = Message::to(&exchange, "nowhere").properties(properties).header("a", 1);
        let message = message.body("back").with(Flag::Mandatory);
        scene.client.publish(&message);
        let returned = scene.client.expect_return();
        assert_eq!((returned.code, returned.text.as_str()), (312, "NO_ROUTE"));
        assert_eq!((returned.exchange, returned.routing_key.as_str()), (exchange, "nowhere"));
        assert_eq!(returned.content.body, b"back");
        assert_eq!(returned.content.properties, message.properties);
    }),
    Row::new("52 57", "a returned message may be empty", |scene| {
        scene.client.publish(&Message::to("", &scene.q()).with(Flag::Mandatory));
        assert!(scene.client.expect_return().content.body.is_empty());
    }),
    Row::new("52", "a routed mandatory message does not come back", |scene| {
        let queue = scene.queue();
        scene.client.publish(&Message::to_queue(&queue).with(Flag::Mandatory).body("kept"));
        assert_eq!(scene.client.drain(&queue), ["kept"]);
        scene.client.expect_nothing_pending(1, &queue);
    }),
    Row::new("52", "an unroutable message that is not mandatory is dropped", |scene| {
        scene.client.publish(&Message::to("", &scene.q()));
        scene.client.expect_nothing_on(1);
    }),
    Row::new("52", "the return comes before the confirm of its message", |scene| {
        let (queue, nowhere) = (scene.queue(), scene.name("nowhere"));
        scene.client.select_confirms();
        for number in 1..=20 {
            let key = if number % 2 == 0 { &nowhere } else { &queue };
            let body = number.to_string();
            scene.client.publish(&Message::to("", key).body(body).with(Flag::Mandatory));
        }
        let mut returned = Vec::new();
        let mut open: BTreeSet<u64> = (1..=20).collect();
        while !open.is_empty() {
            let reply = scene.client.expect_any();
            if reply.id == basic::RETURN {
                let body = String::from_utf8_lossy(&reply.returned().content.body).into_owned();
                returned.push(body.parse::<u64>().expect("a number"));
                continue;
            }
            for number in reply.confirm().settle(&mut open) {
                let in_order = number % 2 == 1 || returned.contains(&number);
                assert!(in_order, "{number} was confirmed before it was returned");
            }
        }
        assert_eq!(returned, (1..=10).map(|half| half * 2).collect::<Vec<u64>>());
    }),
    Row::new("52 53", "an unroutable message is confirmed", |scene| {
        scene.client.select_confirms();
        scene.client.publish(&Message::to("", &scene.q()));
        let confirm = scene.client.expect_confirm();
        assert!(confirm.acked);
        assert_eq!(confirm.delivery_tag, 1);
    }),
    Row::new("53", "confirms count from the select on", |scene| {
        let queue = scene.queue();
        scene.client.publish(&Message::to_queue(&queue));
        scene.client.publish(&Message::to_queue(&queue));
        scene.client.select_confirms();
        scene.client.publish(&Message::to_queue(&queue));
        assert_eq!(scene.client.expect_confirm().delivery_tag, 1);
        scene.client.expect_nothing_pending(1, &queue);
    }),
    Row::new("53", "a second select changes nothing", |scene| {
        let queue = scene.queue();
        scene.client.select_confirms();
        scene.client.publish(&Message::to_queue(&queue));
        assert_eq!(scene.client.expect_confirm().delivery_tag, 1);
        scene.client.call(confirm::select());
        scene.client.publish(&Message::to_queue(&queue));
        assert_eq!(scene.client.expect_confirm().delivery_tag, 2);
    }),
    Row::new("53", "each channel counts by itself", |scene| {
        let queue = scene.queue();
        scene.client.open_channel(2);
        scene.client.select_confirms();
        scene.client.call(confirm::select().on(2));
        for channel in [1, 2, 1, 2] {
            scene.client.publish(&Message::to_queue(&queue).on(channel));
        }
        for channel in [1, 2] {
            let mut last = 0;
            while last < 2 {
                let confirm = scene.client.expect_on(channel).confirm();
                assert!(confirm.acked && confirm.delivery_tag <= 2, "{confirm:?}");
                last = confirm.delivery_tag.max(last);
            }
        }
    }),
    Row::new("53 56", "a thousand publishes are all confirmed, each once", |scene| {
        let queue = scene.queue();
        scene.client.select_confirms();
        let mut burst = Vec::new();
        for number in 0..1000 {
            let message = Message::to_queue(&queue).body(number.to_string());
            let message = if number % 3 == 0 { message.persistent() } else { message };
            burst.extend(message.encode(scene.client.frame_max()));
        }
        scene.client.send_bytes(&burst);
        scene.client.expect_confirmed_up_to(1, 1000);
        scene.client.expect_count(&queue, 1000);
        scene.client.expect_nothing_pending(1, &queue);
    }),
    Row::new("56", "a persistent message in a durable queue is confirmed when stored", |scene| {
        let queue = scene.queue();
        scene.client.select_confirms();
        scene.client.publish(&Message::to_queue(&queue).persistent());
        scene.client.expect_confirmed_up_to(1, 1);
        scene.client.expect_count(&queue, 1);
    }),
    Row::new("56", "a message delivered at once is confirmed", |scene| {
        let queue = scene.queue();
        let mut consumer = scene.connect();
        consumer.consume(&queue);
        scene.client.select_confirms();
        scene.client.publish(&Message::to_queue(&queue).persistent().body("1"));
        let tags = consumer.expect_deliveries(&["1"]);
        consumer.send(basic::ack(tags[0]));
        scene.client.expect_confirmed_up_to(1, 1);
    }),
    Row::new("54", "a full queue that rejects publishes answers nack", |scene| {
        let (full, open) = (scene.q(), scene.name("open"));
        let declare = queue::declare(&full).with(Flag::Durable).arg("x-max-length", 1);
        scene.client.call(declare.arg("x-overflow", "reject-publish"));
        scene.client.declare_queue(&open);
        let exchange = scene.exchange("fanout");
        scene.client.call(queue::bind(&full, &exchange, ""));
        scene.client.call(queue::bind(&open, &exchange, ""));
        scene.client.select_confirms();
        for acked in [true, false] {
            scene.client.publish(&Message::to(&exchange, ""));
            assert_eq!(scene.client.expect_confirm().acked, acked);
        }
        // The queue that has room takes the message all the same.
        scene.client.expect_count(&full, 1);
        scene.client.expect_count(&open, 2);
    }),
    Row::new("54", "a queue deleted meanwhile does not hold a confirm back", |scene| {
        let queue = scene.queue();
        scene.client.select_confirms();
        for _ in 0..100 {
            scene.client.publish(&Message::to_queue(&queue).persistent());
        }
        scene.client.send(queue::delete(&queue).with(Flag::NoWait));
        scene.client.expect_confirmed_up_to(1, 100);
    }),
    Row::new("55", "a confirming channel cannot become transactional", |scene| {
        scene.client.select_confirms();
        scene.client.send(tx::select());
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - cannot switch from confirm to tx mode",
        tx::SELECT,
    ),
    Row::new("55", "a transactional channel cannot become confirming", |scene| {
        scene.client.call(tx::select());
        scene.client.send(confirm::select());
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - cannot switch from tx to confirm mode",
        confirm::SELECT,
    ),
    Row::new("53 17", "confirms still owed are not sent after close-ok", |scene| {
        let queue = scene.queue();
        scene.client.select_confirms();
        for _ in 0..50 {
            scene.client.publish(&Message::to_queue(&queue).persistent());
        }
        scene.client.send(channel::close());
        scene.client.skip_to(channel::CLOSE_OK);
        scene.client.open_channel(1);
        scene.client.expect_nothing_pending(1, &queue);
        scene.client.expect_count(&queue, 50);
    }),
];
