//! What a restart leaves, after SIGTERM and after SIGKILL, and what clients hear of it.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::raw_client::method::{basic, connection, exchange, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

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
    private("98", "SIGTERM tells clients before it ends", |_| {
        let mut broker = BrokerUnderTest::start();
        let mut client = broker.broker().connect();
        let waiting = std::thread::spawn(move || {
            let text =
                "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
            client.expect_connection_close(320, text, (0, 0));
        });
        assert!(broker.terminate(TO_TERMINATE).success());
        assert!(waiting.join().is_ok(), "the client was not told");
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
