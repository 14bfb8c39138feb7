//! What is refused because a user, a vhost or the broker has as much as it may, and in which order it
//! is looked at.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::raw_client::handshake::PROTOCOL_HEADER;
use leveret_tests::raw_client::method::{channel, connection, queue};
use leveret_tests::raw_client::{Flag, Handshake};

use crate::row::{Needs, Row};
use crate::scene::Scene;
use crate::users::{CLOSED, NARROW, OUTSIDER, SHUT_OUT, SMALL};

const fn row(cites: &'static str, name: &'static str, script: fn(&mut Scene)) -> Row {
    Row::new(cites, name, script).needs(Needs::Users)
}

pub(crate) const ROWS: &[Row] = &[
    row("10", "a vhost that is not there is not found by who may enter none", |scene| {
        open(scene, &OUTSIDER.handshake(), "no-such-vhost");
    })
    .closes_connection(530, "NOT_ALLOWED - vhost no-such-vhost not found", connection::OPEN),
    row("10", "the connections of a vhost are limited", |scene| {
        let handshake = CLOSED.handshake(&scene.broker);
        open(scene, &handshake, CLOSED.name);
    })
    .closes_connection(
        530,
        "NOT_ALLOWED - access to vhost 'conformance-closed' refused for user 'guest': connection \
         limit (0) is reached",
        connection::OPEN,
    ),
    row("10", "the limit of a vhost is looked at before who may enter", |scene| {
        open(scene, &OUTSIDER.handshake(), CLOSED.name);
    })
    .closes_connection(
        530,
        "NOT_ALLOWED - access to vhost 'conformance-closed' refused for user \
         'conformance-outsider': connection limit (0) is reached",
        connection::OPEN,
    ),
    row("10", "the connections of a user are limited", |scene| {
        open(scene, &SHUT_OUT.handshake(), "/");
    })
    .closes_connection(
        530,
        "NOT_ALLOWED - connection refused for user 'conformance-shut-out': user connection limit \
         (0) is reached",
        connection::OPEN,
    ),
    row("10", "the limit of a user is looked at before what it may enter", |scene| {
        open(scene, &SHUT_OUT.handshake(), SMALL.name);
    })
    .closes_connection(
        530,
        "NOT_ALLOWED - connection refused for user 'conformance-shut-out': user connection limit \
         (0) is reached",
        connection::OPEN,
    ),
    row("10", "the limit of a vhost is looked at before that of a user", |scene| {
        open(scene, &SHUT_OUT.handshake(), CLOSED.name);
    })
    .closes_connection(
        530,
        "NOT_ALLOWED - access to vhost 'conformance-closed' refused for user \
         'conformance-shut-out': connection limit (0) is reached",
        connection::OPEN,
    ),
    row("13", "the channels of a user are limited", |scene| {
        scene.client = scene.broker.connect_as(&NARROW.handshake());
        scene.client.send(channel::open(2));
    })
    .closes_connection(
        530,
        "NOT_ALLOWED - number of channels opened for user 'conformance-narrow' has reached the \
         maximum allowed user limit of 1",
        (0, 0),
    ),
    row("32", "the queues of a vhost are limited", |scene| {
        scene.client = scene.broker.connect_as(&SMALL.handshake(&scene.broker));
        let owned = |name: &str| queue::declare(name).with(Flag::Exclusive);
        scene.client.call(owned("the-only-one"));
        scene.client.call(owned("the-only-one"));
        scene.client.send(owned("one-too-many"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - cannot declare queue 'one-too-many': queue limit in vhost \
         'conformance-small' (1) is reached",
        queue::DECLARE,
    ),
    Row::new(
        "10",
        "the connections of a broker are limited, before anything else is asked",
        |_| {
            let broker = BrokerUnderTest::start_with("max_connections = 1\n");
            let first = broker.broker().connect();
            let mut second = broker.broker().socket();
            second.authenticate(&broker.broker().handshake());
            second.send(connection::open("no-such-vhost"));
            let text = "NOT_ALLOWED - connection refused: node connection limit (1) is reached";
            second.expect_connection_close(530, text, connection::OPEN);
            first.close();
            broker.broker().connect().close();
        },
    )
    .needs(Needs::PrivateBroker),
    Row::new("13", "the channels of a broker are limited", |_| {
        let broker = BrokerUnderTest::start_with("channel_max_per_node = 2\n");
        let mut first = broker.broker().connect();
        let mut second = broker.broker().connect();
        second.send(channel::open(2));
        let close = second.expect(connection::CLOSE).close();
        let (before, after) = (
            "NOT_ALLOWED - number of channels opened on node '",
            "' has reached the maximum allowed limit of 2",
        );
        assert!(close.code == 530 && close.text.starts_with(before), "{close:?}");
        assert!(close.text.ends_with(after), "{close:?}");
        second.send(connection::close_ok());
        second.hang_up();
        first.open_channel(2);
    })
    .needs(Needs::PrivateBroker),
    Row::new("", "the connections of a listener are limited, and others wait", |_| {
        let broker = BrokerUnderTest::start_with("ranch_connection_max = 1\n");
        let first = broker.broker().connect();
        let mut second = broker.broker().socket();
        second.send_bytes(PROTOCOL_HEADER);
        second.expect_silence(Duration::from_millis(300));
        first.close();
        second.expect(connection::START);
    })
    .needs(Needs::PrivateBroker),
];

/// Leaves the scene's client waiting for the answer to its open.
fn open(scene: &mut Scene, handshake: &Handshake, vhost: &str) {
    scene.client = scene.broker.socket();
    scene.client.authenticate(handshake);
    scene.client.send(connection::open(vhost));
}
