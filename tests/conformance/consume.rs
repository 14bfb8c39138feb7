//! basic.consume, basic.deliver and basic.cancel: tags, exclusiveness, priorities, turns.

use leveret_tests::raw_client::method::{basic, channel, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("19 61", "consuming a missing queue", |scene| {
        let name = scene.q();
        scene.client.send(basic::consume(&name, ""));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", basic::CONSUME),
    Row::new("21", "the broker makes a tag where none is given", |scene| {
        let name = scene.queue();
        let tags = [scene.client.consume(&name), scene.client.consume(&name)];
        for tag in &tags {
            let random = tag.strip_prefix("amq.ctag-").expect("the prefix amq.ctag-");
            assert_eq!(random.len(), 22, "{tag}");
        }
        assert_ne!(tags[0], tags[1]);
    }),
    Row::new("59", "a tag that is taken", |scene| {
        let name = scene.queue();
        scene.client.call(basic::consume(&name, "c"));
        scene.client.send(basic::consume(&name, "c"));
    })
    .closes_connection(530, "NOT_ALLOWED - attempt to reuse consumer tag 'c'", basic::CONSUME),
    Row::new("59", "tags belong to a channel", |scene| {
        let name = scene.queue();
        scene.client.open_channel(2);
        for channel in [1, 2] {
            scene.client.call(basic::consume(&name, "c").on(channel));
        }
        assert_eq!(scene.client.queue_state(&name).consumer_count, 2);
    }),
    Row::new("59", "a cancelled tag is free again", |scene| {
        let name = scene.queue();
        for _ in 0..3 {
            scene.client.call(basic::consume(&name, "c"));
            assert_eq!(scene.client.call(basic::cancel("c")).consumer_tag(), "c");
        }
    }),
    Row::new("61", "cancelling what does not consume is no error", |scene| {
        assert_eq!(scene.client.call(basic::cancel("nobody")).consumer_tag(), "nobody");
    }),
    Row::new("60", "no second consumer beside an exclusive one", |scene| {
        let name = scene.queue();
        let mut first = scene.connect();
        first.call(basic::consume(&name, "").with(Flag::Exclusive));
        scene.keep(first);
        scene.client.send(basic::consume(&name, ""));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - queue '{q}' in vhost '/' in exclusive use",
        basic::CONSUME,
    ),
    Row::new("60", "no exclusive consumer beside another one", |scene| {
        let name = scene.queue();
        scene.client.consume(&name);
        scene.client.send(basic::consume(&name, "").with(Flag::Exclusive));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - queue '{q}' in vhost '/' in exclusive use",
        basic::CONSUME,
    ),
    Row::new("60", "an exclusive consumer makes room when it is cancelled", |scene| {
        let name = scene.queue();
        scene.client.call(basic::consume(&name, "c").with(Flag::Exclusive));
        scene.client.call(basic::cancel("c"));
        scene.client.call(basic::consume(&name, "d").with(Flag::Exclusive));
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        scene.client.call(basic::consume(&name, "e").with(Flag::Exclusive));
    }),
    Row::new("61", "consume-ok comes before the first delivery", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2"]);
        scene.client.send(basic::consume(&name, "c"));
        assert_eq!(scene.client.expect(basic::CONSUME_OK).consumer_tag(), "c");
        scene.client.expect_deliveries(&["1", "2"]);
    }),
    Row::new("61", "nothing is delivered after cancel-ok", |scene| {
        let name = scene.queue();
        let bodies: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        scene.client.fill(&name, &bodies.iter().map(String::as_str).collect::<Vec<_>>());
        scene.client.call(basic::qos(10));
        scene.client.call(basic::consume(&name, "c"));
        scene.client.send(basic::ack(5).with(Flag::Multiple));
        scene.client.send(basic::cancel("c"));
        scene.client.skip_to(basic::CANCEL_OK);
        scene.client.send(basic::ack(0).with(Flag::Multiple));
        scene.client.expect_nothing_pending(1, &name);
    }),
    Row::new("61", "what a cancelled consumer holds may still be settled", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2"]);
        scene.client.call(basic::consume(&name, "c"));
        let tags = scene.client.expect_deliveries(&["1", "2"]);
        scene.client.call(basic::cancel("c"));
        assert_eq!(scene.client.queue_state(&name).message_count, 0);
        scene.client.send(basic::ack(tags[0]));
        scene.client.send(basic::nack(tags[1]).with(Flag::Requeue));
        assert_eq!(scene.client.drain(&name), ["2"]);
    }),
    Row::new("62", "a delivery names its consumer, its exchange and its key", |scene| {
        let name = scene.queue();
        scene.client.call(basic::consume(&name, "c"));
        scene.client.call(queue::bind(&name, "amq.topic", &format!("{name}.*")));
        let key = format!("{name}.key");
        scene.client.publish(&Message::to("amq.topic", &key).body("body"));
        let delivery = scene.client.expect_delivery();
        assert_eq!((delivery.consumer_tag.as_str(), delivery.delivery_tag), ("c", 1));
        assert_eq!((delivery.exchange.as_str(), &delivery.routing_key), ("amq.topic", &key));
        assert!(!delivery.redelivered);
    }),
    Row::new("62", "get, consume and no-ack count delivery tags together", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2"]);
        assert_eq!(scene.client.get(&name).delivery_tag, 1);
        let second = scene.client.call(basic::get(&name).with(Flag::NoAck)).fetched();
        assert_eq!(second.delivery_tag, 2);
        scene.client.call(basic::consume(&name, "c").with(Flag::NoAck));
        scene.client.fill(&name, &["3", "4"]);
        assert_eq!(scene.client.expect_deliveries(&["3", "4"]), [3, 4]);
        scene.client.call(basic::cancel("c"));
        scene.client.fill(&name, &["5"]);
        assert_eq!(scene.client.get(&name).delivery_tag, 5);
    }),
    Row::new("62", "each channel counts delivery tags from 1", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2"]);
        scene.client.open_channel(2);
        for channel in [1, 2] {
            let fetched = scene.client.call(basic::get(&name).on(channel)).fetched();
            assert_eq!(fetched.delivery_tag, 1);
        }
    }),
    Row::new("69", "consumers of one priority take turns", |scene| {
        let name = scene.queue();
        let mut workers = [scene.connect(), scene.connect(), scene.connect()];
        for worker in &mut workers {
            worker.consume(&name);
        }
        for number in 0..9 {
            scene.client.publish(&Message::to_queue(&name).body(number.to_string()));
        }
        for (first, worker) in workers.iter_mut().enumerate() {
            let turns: Vec<String> = (0..3).map(|turn| (first + 3 * turn).to_string()).collect();
            worker.expect_deliveries(&turns.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }),
    Row::new("69", "consumers take turns within one burst", |scene| {
        let name = scene.queue();
        let mut workers = [scene.connect(), scene.connect()];
        for worker in &mut workers {
            worker.consume(&name);
        }
        burst(scene, &name);
        workers[0].expect_deliveries(&["0", "2", "4"]);
        workers[1].expect_deliveries(&["1", "3", "5"]);
    }),
    Row::new("69 58", "two idle workers share a burst of six tasks evenly", |scene| {
        let name = scene.queue();
        let mut workers = [scene.connect(), scene.connect()];
        for worker in &mut workers {
            worker.call(basic::qos(1));
            worker.consume(&name);
        }
        for _ in 0..5 {
            burst(scene, &name);
            for _ in 0..3 {
                let tasks = workers.each_mut().map(RawClient::expect_delivery);
                for (worker, task) in workers.iter_mut().zip(&tasks) {
                    worker.expect_nothing_pending(1, &name);
                    worker.send(basic::ack(task.delivery_tag));
                }
            }
        }
    }),
    Row::new("69", "a higher priority gets all it can take", |scene| {
        let name = scene.queue();
        let mut low = scene.connect();
        low.consume(&name);
        scene.client.call(basic::qos(2));
        scene.client.call(basic::consume(&name, "high").arg("x-priority", 10));
        let mut publisher = scene.connect();
        publisher.fill(&name, &["1", "2", "3", "4"]);
        let tags = scene.client.expect_deliveries(&["1", "2"]);
        low.expect_deliveries(&["3", "4"]);
        scene.client.send(basic::ack(tags[0]));
        // The round trip makes sure that the queue has heard of the credit.
        scene.client.queue_state(&name);
        publisher.fill(&name, &["5", "6"]);
        scene.client.expect_deliveries(&["5"]);
        low.expect_deliveries(&["6"]);
    }),
    Row::new("69", "a negative priority waits for all others", |scene| {
        let name = scene.queue();
        let mut last = scene.connect();
        last.call(basic::consume(&name, "").arg("x-priority", -1));
        scene.client.call(basic::qos(1));
        scene.client.consume(&name);
        let mut publisher = scene.connect();
        publisher.fill(&name, &["1", "2"]);
        scene.client.expect_deliveries(&["1"]);
        last.expect_deliveries(&["2"]);
    }),
    Row::new("69", "a consumer at its limit is passed over", |scene| {
        let name = scene.queue();
        let (mut slow, mut quick) = (scene.connect(), scene.connect());
        slow.call(basic::qos(1));
        slow.consume(&name);
        quick.consume(&name);
        scene.client.fill(&name, &["1", "2", "3", "4"]);
        let first = slow.expect_delivery().text();
        let rest: Vec<String> = (0..3).map(|_| quick.expect_delivery().text()).collect();
        assert!(!rest.contains(&first), "{first} went to both");
        slow.expect_nothing_pending(1, &name);
    }),
    Row::new("61", "no-local is ignored", |scene| {
        let name = scene.queue();
        scene.client.call(basic::consume(&name, "").with(Flag::NoLocal));
        scene.client.publish(&Message::to_queue(&name).body("own"));
        scene.client.expect_deliveries(&["own"]);
    }),
    Row::new("63", "a no-ack delivery cannot be settled", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1"]);
        scene.client.call(basic::consume(&name, "").with(Flag::NoAck));
        scene.client.expect_deliveries(&["1"]);
        scene.client.send(basic::ack(1));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 1", basic::ACK),
    Row::new("66", "messages reach one consumer in the order of their publishing", |scene| {
        let name = scene.queue();
        scene.client.consume(&name);
        let bodies: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let mut publisher = scene.connect();
        for body in &bodies {
            publisher.publish(&Message::to_queue(&name).body(body));
        }
        scene.client.expect_deliveries(&bodies.iter().map(String::as_str).collect::<Vec<_>>());
    }),
];

/// Publishes `0` to `5` in one write.
fn burst(scene: &mut Scene, queue: &str) {
    let frame_max = scene.client.frame_max();
    let tasks = (0..6).map(|number| Message::to_queue(queue).body(number.to_string()));
    let bytes: Vec<u8> = tasks.flat_map(|task| task.encode(frame_max)).collect();
    scene.client.send_bytes(&bytes);
}
