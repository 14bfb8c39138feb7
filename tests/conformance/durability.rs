//! What a restart leaves, after SIGTERM and after SIGKILL, and what clients hear of it. What it leaves
//! when it comes in the middle of work is for `tests/crash`.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::join;
use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, connection, exchange, queue, tx};
use leveret_tests::raw_client::{Flag, Message, RawClient, Table};

use crate::row::{Needs, Row};

/// RabbitMQ closes its connections and flushes in well under this.
const TO_TERMINATE: Duration = Duration::from_secs(10);

const fn private(
    cites: &'static str,
    name: &'static str,
    script: fn(&mut crate::scene::Scene),
) -> Row {
    Row::new(cites, name, script).needs(Needs::PrivateBroker)
}

pub(crate) const ROWS: &[Row] = &[
    private("56 26", "a restart keeps the durable topology", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        lay_out(&mut client);
        let status = broker.terminate(TO_TERMINATE);
        assert!(status.success(), "{status}");
        broker.start_again();
        look_around(&mut broker.broker().connect());
    }),
    private("56 26", "a crash keeps the durable topology", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        lay_out(&mut client);
        broker.kill();
        broker.start_again();
        look_around(&mut broker.broker().connect());
    }),
    private("56", "a deleted queue, exchange or binding stays deleted", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        client.declare_exchange("kept", "direct");
        client.declare_exchange("deleted", "direct");
        for name in ["kept", "deleted"] {
            client.declare_bound_queue(name, "kept", name);
        }
        client.call(queue::bind("kept", "kept", "unbound"));
        client.call(queue::unbind("kept", "kept", "unbound"));
        client.call(queue::delete("deleted"));
        client.call(exchange::delete("deleted"));
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        assert!(!client.queue_exists("deleted"));
        client.publish(&Message::to("kept", "unbound").body("lost"));
        client.publish(&Message::to("kept", "kept").body("routed"));
        assert_eq!(client.drain("kept"), ["routed"]);
        client.publish(&Message::to("deleted", ""));
        let text = "NOT_FOUND - no exchange 'deleted' in vhost '/'";
        client.expect_channel_close(1, 404, text, basic::PUBLISH);
    }),
    private("53 56", "a restart keeps persistent messages in durable queues, in order", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        lay_out_messages(&mut client);
        let status = broker.terminate(TO_TERMINATE);
        assert!(status.success(), "{status}");
        broker.start_again();
        look_at_messages(&mut broker.broker().connect());
    }),
    private("53 56", "a crash keeps persistent messages in durable queues, in order", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        lay_out_messages(&mut client);
        broker.kill();
        broker.start_again();
        look_at_messages(&mut broker.broker().connect());
    }),
    private("56", "what was delivered before a restart is marked redelivered after it", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        client.declare_queue("q");
        client.fill_persistent("q", &["held", "waiting"]);
        assert!(!client.get("q").redelivered);
        let status = broker.terminate(TO_TERMINATE);
        assert!(status.success(), "{status}");
        broker.start_again();
        let mut client = broker.broker().connect();
        let held = client.get("q");
        assert_eq!((held.text().as_str(), held.redelivered), ("held", true));
        // Whether what nobody had seen is marked too is the broker's to say.
        assert_eq!(client.get("q").text(), "waiting");
    }),
    private("53", "a confirm covers all queues that a message was routed to", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        client.declare_exchange("all", "fanout");
        for name in ["a", "b", "c"] {
            client.declare_bound_queue(name, "all", "");
        }
        client.select_confirms();
        client.publish(&Message::to("all", "").body("copied").persistent());
        client.expect_confirmed_up_to(1, 1);
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        for name in ["a", "b", "c"] {
            assert_eq!(client.drain(name), ["copied"], "{name}");
        }
    }),
    private("53", "tx.commit-ok covers what the transaction published", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        for name in ["a", "b"] {
            client.declare_queue(name);
        }
        client.call(tx::select());
        for body in ["1", "2"] {
            client.publish(&Message::to_queue("a").body(body).persistent());
            client.publish(&Message::to_queue("b").body(body).persistent());
        }
        client.call(tx::commit());
        client.publish(&Message::to_queue("a").body("uncommitted").persistent());
        client.queue_state("a");
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        assert_eq!(client.drain("a"), ["1", "2"]);
        assert_eq!(client.drain("b"), ["1", "2"]);
    }),
    private("56", "what was acked, rejected or fetched for good stays away", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        client.declare_queue("q");
        client.fill_persistent("q", &["acked", "rejected", "requeued", "no-ack", "left"]);
        client.get("q");
        let tags = [1, 2].map(|_| client.get("q").delivery_tag);
        client.call(basic::get("q").with(Flag::NoAck));
        client.send(basic::ack(1));
        client.send(basic::reject(tags[0]));
        client.send(basic::reject(tags[1]).with(Flag::Requeue));
        client.queue_state("q");
        let status = broker.terminate(TO_TERMINATE);
        assert!(status.success(), "{status}");
        broker.start_again();
        assert_eq!(broker.broker().connect().drain("q"), ["requeued", "left"]);
    }),
    private("56", "a purged queue stays empty, a deleted one comes back without messages", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        for name in ["purged", "deleted"] {
            client.declare_queue(name);
            client.fill_persistent(name, &["1", "2", "3"]);
        }
        assert_eq!(client.call(queue::purge("purged")).message_count(), 3);
        assert_eq!(client.call(queue::delete("deleted")).message_count(), 3);
        client.fill_persistent("purged", &["after the purge"]);
        let status = broker.terminate(TO_TERMINATE);
        assert!(status.success(), "{status}");
        broker.start_again();
        let mut client = broker.broker().connect();
        assert_eq!(client.drain("purged"), ["after the purge"]);
        assert!(!client.queue_exists("deleted"));
        assert_eq!(client.declare_queue("deleted").message_count, 0);
    }),
    private("56", "priorities are kept", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        let urgent = queue::declare("urgent").with(Flag::Durable).arg("x-max-priority", 5);
        client.call(urgent.clone());
        client.select_confirms();
        for (body, priority) in [("a1", 1), ("b5", 5), ("c3", 3), ("d9", 9), ("e1", 1)] {
            let properties = Properties { priority: Some(priority), ..Properties::default() };
            let message = Message::to_queue("urgent").body(body).properties(properties);
            client.publish(&message.persistent());
        }
        client.expect_confirmed_up_to(1, 5);
        let status = broker.terminate(TO_TERMINATE);
        assert!(status.success(), "{status}");
        broker.start_again();
        let mut client = broker.broker().connect();
        client.call(urgent);
        assert_eq!(client.drain("urgent"), ["b5", "d9", "c3", "a1", "e1"]);
    }),
    private("98", "SIGTERM tells clients before it ends", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        let waiting = std::thread::spawn(move || {
            let text =
                "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
            client.expect_connection_close(320, text, (0, 0));
        });
        assert!(broker.terminate(TO_TERMINATE).success());
        join("the client is told", waiting);
    }),
    private("98", "SIGTERM does not wait for clients that do not answer", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut silent = broker.broker().connect();
        let unfinished = broker.broker().socket();
        assert!(broker.terminate(TO_TERMINATE).success());
        assert_eq!(silent.expect(connection::CLOSE).close().code, 320);
        drop(unfinished);
    }),
];

/// Publishes messages that last and messages that do not.
fn lay_out_messages(client: &mut RawClient) {
    client.declare_queue("durable");
    client.call(queue::declare("transient"));
    client.select_confirms();
    let publish = |client: &mut RawClient, number: u64| {
        let body = format!("{number}").repeat(1000);
        let message = Message::to_queue("durable").body(body).header("number", 1);
        client.publish(&if number.is_multiple_of(3) { message } else { message.persistent() });
    };
    (1..=100).for_each(|number| publish(client, number));
    client.publish(&Message::to_queue("transient").body("lost").persistent());
    client.expect_confirmed_up_to(1, 101);
}

/// Asserts that those that last are there.
fn look_at_messages(client: &mut RawClient) {
    assert!(!client.queue_exists("transient"));
    let persistent = (1..=100_u64).filter(|number| !number.is_multiple_of(3));
    let wanted: Vec<String> = persistent.map(|number| format!("{number}").repeat(1000)).collect();
    assert_eq!(client.queue_state("durable").message_count, 67);
    let first = client.get("durable");
    let headers = Some(Table::new().with("number", 1));
    let Properties { delivery_mode, headers: kept, .. } = &first.content.properties;
    assert_eq!((delivery_mode, kept), (&Some(2), &headers));
    assert_eq!((first.exchange.as_str(), first.routing_key.as_str()), ("", "durable"));
    client.send(basic::reject(first.delivery_tag).with(Flag::Requeue));
    assert!(client.drain("durable") == wanted, "the messages are not what was published");
}

/// Declares something of every kind.
fn lay_out(client: &mut RawClient) {
    client.declare_exchange("durable", "topic");
    client.call(exchange::declare("transient", "topic"));
    let full = exchange::declare("full", "headers").with(Flag::Durable).with(Flag::AutoDelete);
    client.call(full.with(Flag::Internal).arg("alternate-exchange", "durable"));
    let durable = queue::declare("durable").with(Flag::Durable);
    client.call(durable.arg("x-max-length", 1000));
    client.call(queue::declare("exclusive").with(Flag::Exclusive));
    client.call(queue::declare("transient"));
    client.call(queue::bind("durable", "durable", "a.*").arg("note", "kept"));
    client.call(queue::bind("durable", "transient", "b.*"));
    client.call(exchange::bind("full", "durable", "to.full"));
    client.call(queue::bind("durable", "full", "").arg("a", 1));
}

/// Asserts what of it there must still be.
fn look_around(client: &mut RawClient) {
    let full = exchange::declare("full", "headers").with(Flag::Durable).with(Flag::AutoDelete);
    client.call(full.with(Flag::Internal).arg("alternate-exchange", "durable"));
    client.call(exchange::declare("durable", "topic").with(Flag::Durable));
    let durable = queue::declare("durable").with(Flag::Durable);
    client.call(durable.arg("x-max-length", 1000));
    for gone in ["transient", "exclusive"] {
        assert!(!client.queue_exists(gone), "{gone}");
    }
    client.publish(&Message::to("durable", "a.4").body("by the binding"));
    client.publish(&Message::to("durable", "b.4").body("lost"));
    let message = Message::to("durable", "to.full").header("a", 1);
    client.publish(&message.body("by the other exchange"));
    assert_eq!(client.drain("durable"), ["by the binding", "by the other exchange"]);
    client.send(exchange::declare("transient", "topic").with(Flag::Passive));
    let text = "NOT_FOUND - no exchange 'transient' in vhost '/'";
    client.expect_channel_close(1, 404, text, exchange::DECLARE);
}
