//! tx.select, tx.commit and tx.rollback.

use leveret_tests::raw_client::method::{basic, channel, tx};
use leveret_tests::raw_client::{Flag, Message};

use crate::row::Row;

pub(crate) const ROWS: &[Row] = &[
    Row::new("91", "commit without select", |scene| scene.client.send(tx::commit()))
        .closes_channel(406, "PRECONDITION_FAILED - channel is not transactional", tx::COMMIT),
    Row::new("91", "rollback without select", |scene| scene.client.send(tx::rollback()))
        .closes_channel(406, "PRECONDITION_FAILED - channel is not transactional", tx::ROLLBACK),
    Row::new("91", "select may be repeated, commit and rollback may be empty", |scene| {
        scene.client.call(tx::select());
        scene.client.call(tx::select());
        scene.client.call(tx::commit());
        scene.client.call(tx::rollback());
        scene.client.call(tx::commit());
    }),
    Row::new("91", "publishes reach the queue with the commit", |scene| {
        let name = scene.queue();
        let mut other = scene.connect();
        scene.client.call(tx::select());
        for body in ["1", "2", "3"] {
            scene.client.publish(&Message::to_queue(&name).body(body).persistent());
        }
        scene.client.expect_nothing_on(1);
        assert!(other.drain(&name).is_empty());
        scene.client.call(tx::commit());
        assert_eq!(other.drain(&name), ["1", "2", "3"]);
    }),
    Row::new("91", "rolled-back publishes never happened", |scene| {
        let name = scene.queue();
        scene.client.call(tx::select());
        scene.client.publish(&Message::to_queue(&name).body("forgotten"));
        scene.client.call(tx::rollback());
        scene.client.publish(&Message::to_queue(&name).body("kept"));
        scene.client.call(tx::commit());
        assert_eq!(scene.client.drain(&name), ["kept"]);
    }),
    Row::new("91", "acknowledgements happen with the commit", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3"]);
        scene.client.call(tx::select());
        for _ in 0..3 {
            scene.client.get(&name);
        }
        scene.client.send(basic::ack(1));
        scene.client.call(tx::commit());
        scene.client.send(basic::ack(2));
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        assert_eq!(scene.client.drain(&name), ["2", "3"]);
    }),
    Row::new("91", "rolled-back acknowledgements may be made again", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2"]);
        scene.client.call(tx::select());
        scene.client.get(&name);
        scene.client.get(&name);
        scene.client.send(basic::ack(2).with(Flag::Multiple));
        scene.client.call(tx::rollback());
        scene.client.send(basic::ack(1));
        scene.client.call(tx::commit());
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        assert_eq!(scene.client.drain(&name), ["2"]);
    }),
    Row::new("91", "rejections wait for the commit too", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2"]);
        scene.client.call(tx::select());
        scene.client.get(&name);
        scene.client.get(&name);
        scene.client.send(basic::nack(1).with(Flag::Requeue));
        scene.client.send(basic::reject(2));
        scene.client.expect_nothing_on(1);
        let mut other = scene.connect();
        assert!(other.drain(&name).is_empty());
        scene.client.call(tx::commit());
        assert_eq!(other.drain(&name), ["1"]);
    }),
    Row::new("91", "an unknown delivery tag is refused at once", |scene| {
        scene.client.call(tx::select());
        scene.client.send(basic::ack(1));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 1", basic::ACK),
    Row::new("91", "returns come with the commit, before commit-ok", |scene| {
        scene.client.call(tx::select());
        scene.client.publish(&Message::to("", &scene.q()).with(Flag::Mandatory).body("back"));
        scene.client.expect_nothing_on(1);
        scene.client.send(tx::commit());
        assert_eq!(scene.client.expect_return().content.body, b"back");
        scene.client.expect(tx::COMMIT_OK);
    }),
    Row::new("91", "a rolled-back mandatory message is not returned", |scene| {
        scene.client.call(tx::select());
        scene.client.publish(&Message::to("", &scene.q()).with(Flag::Mandatory));
        scene.client.call(tx::rollback());
        scene.client.expect_nothing_on(1);
    }),
    Row::new("91 48", "a missing exchange is refused at once", |scene| {
        scene.client.call(tx::select());
        scene.client.publish(&Message::to(&scene.x(), "k"));
    })
    .closes_channel(404, "NOT_FOUND - no exchange '{x}' in vhost '/'", basic::PUBLISH),
    Row::new("91", "closing the channel is a rollback", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1"]);
        scene.client.call(tx::select());
        scene.client.get(&name);
        scene.client.send(basic::ack(1));
        scene.client.publish(&Message::to_queue(&name).body("forgotten"));
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        assert_eq!(scene.client.drain(&name), ["1"]);
    }),
    Row::new("91", "a committed persistent message is in every queue it matched", |scene| {
        let exchange = scene.exchange("fanout");
        let queues = ["one", "two", "three"].map(|word| scene.name(word));
        for queue in &queues {
            scene.client.declare_bound_queue(queue, &exchange, "");
        }
        scene.client.call(tx::select());
        scene.client.publish(&Message::to(&exchange, "").persistent().body("all"));
        scene.client.call(tx::commit());
        for queue in &queues {
            assert_eq!(scene.client.drain(queue), ["all"]);
        }
    }),
];
