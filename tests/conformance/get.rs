//! basic.get.

use leveret_tests::raw_client::Flag;
use leveret_tests::raw_client::method::{basic, channel};

use crate::row::Row;

pub(crate) const ROWS: &[Row] = &[
    Row::new("68", "an empty queue", |scene| {
        let name = scene.queue();
        let reply = scene.client.call(basic::get(&name));
        assert_eq!((reply.id, reply.arguments.as_slice()), (basic::GET_EMPTY, &[0][..]));
    }),
    Row::new("68", "what is left is told", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3"]);
        for left in [2, 1, 0] {
            let fetched = scene.client.get(&name);
            assert_eq!(fetched.message_count, left);
            assert!(!fetched.redelivered);
        }
        assert_eq!(scene.client.call(basic::get(&name)).id, basic::GET_EMPTY);
    }),
    Row::new("19 68", "a missing queue", |scene| {
        let name = scene.q();
        scene.client.send(basic::get(&name));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", basic::GET),
    Row::new("63", "with no-ack there is nothing to settle", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1"]);
        let fetched = scene.client.call(basic::get(&name).with(Flag::NoAck)).fetched();
        scene.client.send(basic::ack(fetched.delivery_tag));
    })
    .closes_channel(406, "PRECONDITION_FAILED - unknown delivery tag 1", basic::ACK),
    Row::new("66 68", "what was not settled comes back as redelivered", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2"]);
        scene.client.get(&name);
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        let again = scene.client.get(&name);
        assert_eq!((again.text().as_str(), again.redelivered), ("1", true));
        let fresh = scene.client.get(&name);
        assert_eq!((fresh.text().as_str(), fresh.redelivered), ("2", false));
    }),
    Row::new("68 62", "get does not heed prefetch", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3"]);
        scene.client.call(basic::qos(1));
        for left in [2, 1, 0] {
            assert_eq!(scene.client.get(&name).message_count, left);
        }
    }),
];
