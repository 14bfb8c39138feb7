//! Passwords, and what becomes of those who guess at them.

use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::wait_until;
use leveret_tests::raw_client::method::{connection, queue};
use leveret_tests::raw_client::{Handshake, Table};

use crate::row::{Needs, Row};
use crate::scene::Scene;
use crate::users::LIMITED;

const REFUSED: &str = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For \
                       details see the broker logfile.";

pub(crate) const ROWS: &[Row] = &[
    Row::new("5", "a blank password is refused as a wrong one is", |scene| {
        greet_and_answer(scene, &Handshake::plain("guest", ""));
    })
    .closes_connection(403, REFUSED, (0, 0)),
    Row::new("5", "a user without a name is refused", |scene| {
        greet_and_answer(scene, &Handshake::plain("", "guest"));
    })
    .closes_connection(403, REFUSED, (0, 0)),
    Row::new("5", "of a refusal with AMQPLAIN the mechanism is told", |scene| {
        let response =
            Table::new().with("LOGIN", "guest").with("PASSWORD", "wrong").encode().split_off(4);
        let mechanism = "AMQPLAIN".to_owned();
        let handshake = Handshake { mechanism, response, ..Handshake::plain("guest", "wrong") };
        greet_and_answer(scene, &handshake);
    })
    .closes_connection(
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN. For details \
         see the broker logfile.",
        (0, 0),
    ),
    Row::new("5", "a field table without a password meets silence", |scene| {
        let response = Table::new().with("LOGIN", "guest").encode();
        let response = response[4..].to_vec();
        let mechanism = "AMQPLAIN".to_owned();
        let handshake = Handshake { mechanism, response, ..Handshake::plain("guest", "wrong") };
        greet_and_answer(scene, &handshake);
    })
    .drops_within(6),
    Row::new("5", "passwords may be hashed slowly", |_| {
        let private = BrokerUnderTest::start_with("password_hashing_module = argon2id\n");
        let broker = private.broker();
        for _ in 0..3 {
            drop(broker.connect());
        }
        assert!(!is_admitted(&broker, "guest", "wrong"));
    })
    .needs(Needs::PrivateBroker),
    Row::new("5", "who guesses waits longer and longer, and nobody else does", |_| {
        let private = crate::users::broker();
        let broker = private.broker();
        // Four cost nothing, then it is a quarter of a second, a half, one.
        let waits: Vec<Duration> =
            (0..6).map(|_| timed(&broker, "guest", "wrong", false)).collect();
        let half = Duration::from_millis(490);
        assert!(waits[5] >= half, "{waits:?}");
        let quick = Duration::from_millis(900);
        let (name, password) = (LIMITED.name, LIMITED.password());
        assert!(timed(&broker, name, password, true) < quick, "a neighbour");
        assert!(timed(&broker, "guest", "guest", true) >= quick, "the right one is no quicker");
        assert!(timed(&broker, "guest", "guest", true) < quick, "it was forgiven");
    })
    .needs(Needs::PrivateBroker),
    Row::new("43", "the log says which permission refused", |_| {
        let private = crate::users::broker();
        let mut client = private.broker().connect_as(&LIMITED.handshake());
        client.send(queue::declare("other"));
        client.expect_channel_close(
            1,
            403,
            "ACCESS_REFUSED - configure access to queue 'other' in vhost '/' refused for user \
             'conformance-limited'",
            queue::DECLARE,
        );
        let why = "(the configure permission 'conf' does not match the name 'other')";
        wait_until("the reason", || private.printed().contains(why));
    })
    .needs(Needs::Leveret),
];

fn greet_and_answer(scene: &mut Scene, handshake: &Handshake) {
    scene.client = scene.broker.socket();
    scene.client.greet();
    scene.client.start_ok(handshake);
}

/// How long the broker took for its answer.
fn timed(broker: &Broker, user: &str, password: &str, expected: bool) -> Duration {
    let start = leveret_tests::now();
    assert_eq!(is_admitted(broker, user, password), expected, "{user} {password}");
    start.elapsed()
}

fn is_admitted(broker: &Broker, user: &str, password: &str) -> bool {
    let mut client = broker.socket();
    client.greet();
    client.start_ok(&Handshake::plain(user, password));
    client.expect_any().id == connection::TUNE
}
