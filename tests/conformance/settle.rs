//! basic.ack, basic.nack and basic.reject; where requeued messages go.

use leveret_tests::raw_client::Flag;
use leveret_tests::raw_client::method::{basic, channel, queue};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("63", "a settled message is gone", |scene| {
        let name = three_unsettled(scene);
        for tag in [2, 1, 3] {
            scene.client.send(basic::ack(tag));
        }
        give_back(scene, &name, &[]);
    }),
    Row::new("63", "multiple settles all up to its tag", |scene| {
        let name = three_unsettled(scene);
        scene.client.send(basic::ack(2).with(Flag::Multiple));
        give_back(scene, &name, &["3"]);
    }),
    Row::new("63", "multiple with tag 0 settles everything", |scene| {
        let name = three_unsettled(scene);
        scene.client.send(basic::ack(0).with(Flag::Multiple));
        give_back(scene, &name, &[]);
    }),
    Row::new("63", "multiple with tag 0 is no error when there is nothing", |scene| {
        scene.client.send(basic::ack(0).with(Flag::Multiple));
        scene.client.send(basic::nack(0).with(Flag::Multiple));
        scene.client.expect_nothing_on(1);
    }),
    Row::new("63", "acknowledging tag 0", |scene| {
        three_unsettled(scene);
        scene.client.send(basic::ack(0));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 0", basic::ACK),
    Row::new("63", "acknowledging a tag that was never given", |scene| {
        three_unsettled(scene);
        scene.client.send(basic::ack(4));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 4", basic::ACK),
    Row::new("63", "acknowledging twice", |scene| {
        three_unsettled(scene);
        scene.client.send(basic::ack(1));
        scene.client.send(basic::ack(1));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 1", basic::ACK),
    Row::new("63", "multiple with a tag that was never given", |scene| {
        three_unsettled(scene);
        scene.client.send(basic::ack(9).with(Flag::Multiple));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 9", basic::ACK),
    Row::new("63", "multiple with a tag that is settled, above others that are not", |scene| {
        three_unsettled(scene);
        scene.client.send(basic::ack(2));
        scene.client.send(basic::ack(2).with(Flag::Multiple));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 2", basic::ACK),
    Row::new("63", "rejecting a tag that was never given", |scene| {
        scene.client.send(basic::reject(1).with(Flag::Requeue));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 1", basic::REJECT),
    Row::new("63", "nacking a tag that was never given", |scene| {
        scene.client.send(basic::nack(1).with(Flag::Requeue));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 1", basic::NACK),
    Row::new("64", "another channel's delivery", |scene| {
        three_unsettled(scene);
        scene.client.open_channel(2);
        scene.client.send(basic::ack(1).on(2));
        let text = "PRECONDITION_FAILED - unknown delivery tag 1";
        scene.client.expect_channel_close(2, 406, text, basic::ACK);
        scene.client.send(basic::ack(1));
        scene.client.expect_nothing_on(1);
    }),
    Row::new("65", "a rejected message goes", |scene| {
        let name = three_unsettled(scene);
        scene.client.send(basic::reject(1));
        scene.client.send(basic::nack(2));
        give_back(scene, &name, &["3"]);
    }),
    Row::new("65", "a requeued message comes back as redelivered", |scene| {
        let name = three_unsettled(scene);
        scene.client.send(basic::reject(1).with(Flag::Requeue));
        let again = scene.client.get(&name);
        assert_eq!((again.text().as_str(), again.redelivered), ("1", true));
        scene.client.send(basic::nack(again.delivery_tag).with(Flag::Requeue));
        let again = scene.client.get(&name);
        assert_eq!((again.text().as_str(), again.redelivered), ("1", true));
    }),
    Row::new("65", "requeued messages go back to where they were", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3", "4", "5", "6"]);
        for _ in 0..4 {
            scene.client.get(&name);
        }
        for tag in [3, 1, 4] {
            scene.client.send(basic::nack(tag).with(Flag::Requeue));
        }
        assert_eq!(scene.client.drain(&name), ["1", "3", "4", "5", "6"]);
    }),
    Row::new("65", "nack multiple requeues all up to its tag, in order", |scene| {
        let name = three_unsettled(scene);
        scene.client.fill(&name, &["4"]);
        scene.client.send(basic::nack(2).with(Flag::Multiple).with(Flag::Requeue));
        assert_eq!(scene.client.drain(&name), ["1", "2", "4"]);
        scene.client.send(basic::nack(0).with(Flag::Multiple).with(Flag::Requeue));
        assert_eq!(scene.client.drain(&name), ["3"]);
    }),
    Row::new("65", "a requeued message goes to a waiting consumer", |scene| {
        let name = scene.queue();
        let mut first = scene.connect();
        first.call(basic::qos(1));
        first.call(basic::consume(&name, "c"));
        scene.client.fill(&name, &["1"]);
        let tag = first.expect_deliveries(&["1"])[0];
        first.call(basic::cancel("c"));
        let mut second = scene.connect();
        second.consume(&name);
        first.send(basic::nack(tag).with(Flag::Requeue));
        let again = second.expect_delivery();
        assert_eq!((again.text().as_str(), again.redelivered), ("1", true));
    }),
    Row::new("66", "a closed channel gives everything back in order", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3", "4", "5"]);
        let mut other = scene.connect();
        other.call(basic::qos(3));
        other.consume(&name);
        let tags = other.expect_deliveries(&["1", "2", "3"]);
        other.send(basic::ack(tags[1]));
        // After the acknowledgement one more is delivered.
        other.expect_deliveries(&["4"]);
        other.call(channel::close());
        for (body, redelivered) in [("1", true), ("3", true), ("4", true), ("5", false)] {
            let fetched = scene.client.get(&name);
            assert_eq!((fetched.text().as_str(), fetched.redelivered), (body, redelivered));
        }
    }),
    Row::new("66", "a lost connection gives everything back in order", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3"]);
        let mut other = scene.connect();
        other.consume(&name);
        other.expect_deliveries(&["1", "2", "3"]);
        drop(other);
        scene.client.expect_count(&name, 3);
        for body in ["1", "2", "3"] {
            let fetched = scene.client.get(&name);
            assert_eq!((fetched.text().as_str(), fetched.redelivered), (body, true));
        }
    }),
    Row::new("63", "settling what a deleted queue delivered is no error", |scene| {
        let name = three_unsettled(scene);
        scene.client.call(queue::delete(&name));
        scene.client.send(basic::ack(1));
        scene.client.send(basic::nack(3).with(Flag::Multiple).with(Flag::Requeue));
        scene.client.expect_nothing_on(1);
    }),
];

/// Declares the scene's queue and gets `1`, `2` and `3` from it under those tags.
fn three_unsettled(scene: &mut Scene) -> String {
    let name = scene.queue();
    scene.client.fill(&name, &["1", "2", "3"]);
    for _ in 0..3 {
        scene.client.get(&name);
    }
    name
}

/// Closes the channel: what comes back to the queue is what was not settled.
fn give_back(scene: &mut Scene, queue: &str, unsettled: &[&str]) {
    scene.client.call(channel::close());
    scene.client.open_channel(1);
    assert_eq!(scene.client.drain(queue), unsettled);
}
