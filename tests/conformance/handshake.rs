//! Protocol header, start, tune, open: what a client meets before it may do anything.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::raw_client::method::connection;
use leveret_tests::raw_client::wire::ArgumentWriter;
use leveret_tests::raw_client::{Handshake, Table, Value};

use crate::row::{Expectation, Needs, Row};
use crate::scene::Scene;
use crate::users::OUTSIDER;

const REFUSED_LOGIN: &str = "ACCESS_REFUSED - Login was refused using authentication mechanism \
                             PLAIN. For details see the broker logfile.";
const SILENT: Expectation = Expectation::Drop { within: Duration::from_secs(6) };
const UNSAID: &str = "3.10 hangs up without a word when it refuses a tune-ok, 4.x says why";

pub(crate) const ROWS: &[Row] = &[
    Row::new("1", "0-9-1 is answered with start", |scene| {
        let start = scene.broker.socket().greet();
        assert_eq!((start.version, start.locales.as_str()), ((0, 9), "en_US"));
        for mechanism in ["PLAIN", "AMQPLAIN"] {
            assert!(start.mechanisms.split(' ').any(|name| name == mechanism), "{start:?}");
        }
    }),
    Row::new("1", "0-9 is taken for 0-9-1", |scene| {
        scene.client = scene.broker.socket();
        scene.client.send_bytes(b"AMQP\x01\x01\x00\x09");
        assert_eq!(scene.client.expect(connection::START).start().version, (0, 9));
    }),
    Row::new("2", "a later 0-9 is answered with 0-9-1", |scene| {
        is_told_the_version(scene, b"AMQP\x00\x00\x09\x02");
    }),
    Row::new("2", "0-10 is answered with 0-9-1", |scene| {
        is_told_the_version(scene, b"AMQP\x00\x00\x0a\x00");
    }),
    Row::new("2", "0-8 is answered with 0-9-1", |scene| {
        is_told_the_version(scene, b"AMQP\x01\x01\x08\x00");
    })
    .on_3_10_instead(
        |scene| {
            scene.client = scene.broker.socket();
            scene.client.send_bytes(b"AMQP\x01\x01\x08\x00");
            assert_eq!(scene.client.expect(connection::START).start().version, (8, 0));
        },
        "3.10 still spoke 0-8, 4.x does not",
    ),
    Row::new("2", "1.0 is answered with 0-9-1", |scene| {
        is_told_the_version(scene, b"AMQP\x00\x01\x00\x00");
    }),
    Row::new("2", "an HTTP request is answered with 0-9-1", |scene| {
        is_told_the_version(scene, b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n");
    }),
    Row::new("2", "a TLS hello is answered with 0-9-1", |scene| {
        is_told_the_version(scene, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    }),
    Row::new("2", "eight bytes of anything are answered with 0-9-1", |scene| {
        is_told_the_version(scene, b"garbage!");
    }),
    Row::new("3", "server-properties name the broker and its capabilities", |scene| {
        let properties = scene.broker.socket().greet().server_properties;
        for name in ["cluster_name", "copyright", "information", "platform", "product", "version"] {
            assert!(matches!(properties.get(name), Some(Value::Text(_))), "{name}: {properties:?}");
        }
        let Some(Value::Table(capabilities)) = properties.get("capabilities") else {
            panic!("no table of capabilities: {properties:?}");
        };
        for name in CAPABILITIES {
            assert_eq!(capabilities.get(name), Some(&Value::Bool(true)), "{name}");
        }
    }),
    Row::new("3", "product and version are those that clients know", |scene| {
        let properties = scene.broker.socket().greet().server_properties;
        assert_eq!(properties.get("product"), Some(&Value::from("RabbitMQ")));
        let Some(Value::Text(version)) = properties.get("version") else {
            panic!("no version: {properties:?}");
        };
        let version = String::from_utf8_lossy(version).into_owned();
        let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
        assert!(numbers.len() == 3 && numbers >= vec![3, 10, 0], "{version}");
    }),
    Row::new("3", "product and version can be configured", |_| {
        let config = "server_properties.product = Hare\nserver_properties.version = 1.2.3\n";
        let broker = BrokerUnderTest::start_with(config);
        let properties = broker.broker().socket().greet().server_properties;
        assert_eq!(properties.get("product"), Some(&Value::from("Hare")));
        assert_eq!(properties.get("version"), Some(&Value::from("1.2.3")));
        assert!(properties.get("leveret_version").is_some(), "{properties:?}");
    })
    .needs(Needs::PrivateBroker),
    Row::new("4", "an unfinished handshake is dropped after ten seconds", |scene| {
        scene.client = scene.broker.socket();
        scene.client.greet();
        scene.client.expect_silence(Duration::from_secs(8));
    })
    .drops_within(6),
    Row::new("5", "a wrong password is answered at once when the client can hear it", |scene| {
        let wrong = Handshake::plain("guest", "wrong");
        greet_and_answer(scene, &wrong);
    })
    .closes_connection(403, REFUSED_LOGIN, (0, 0)),
    Row::new("5", "an unknown user is answered as a wrong password is", |scene| {
        let unknown = Handshake::plain("nobody", "guest");
        greet_and_answer(scene, &unknown);
    })
    .closes_connection(403, REFUSED_LOGIN, (0, 0)),
    Row::new("5", "a wrong password meets silence when the client cannot hear it", |scene| {
        let wrong = Handshake { capabilities: Table::new(), ..Handshake::plain("guest", "wrong") };
        greet_and_answer(scene, &wrong);
    })
    .drops_within(6),
    Row::new("6", "an unknown mechanism meets silence", |scene| {
        let handshake = Handshake { mechanism: "NONSENSE".to_owned(), ..scene.broker.handshake() };
        greet_and_answer(scene, &handshake);
    })
    .drops_within(6),
    Row::new("6", "a malformed PLAIN response meets silence", |scene| {
        let response = b"no zero bytes".to_vec();
        let handshake = Handshake { response, ..scene.broker.handshake() };
        greet_and_answer(scene, &handshake);
    })
    .drops_within(6),
    Row::new("1", "AMQPLAIN sends its credentials as a table", |scene| {
        let Scene { broker, .. } = scene;
        let login = Table::new()
            .with("LOGIN", broker.user.as_str())
            .with("PASSWORD", broker.password.as_str())
            .encode();
        let response = login[4..].to_vec();
        let mechanism = "AMQPLAIN".to_owned();
        drop(broker.connect_as(&Handshake { mechanism, response, ..broker.handshake() }));
    }),
    Row::new("7", "tune offers 2047 channels, frames of 128 KiB and a heartbeat", |scene| {
        let mut client = scene.broker.socket();
        let tune = client.authenticate(&scene.broker.handshake());
        assert_eq!((tune.channel_max, tune.frame_max, tune.heartbeat), (2047, 131_072, 60));
    }),
    Row::new("7", "the client may lower what tune offers", |scene| {
        let frame_max = Some(8192);
        let handshake = Handshake { channel_max: Some(5), frame_max, ..scene.broker.handshake() };
        scene.client = scene.broker.connect_as(&handshake);
        scene.client.open_channel(5);
    }),
    Row::new("7", "frames of 4096 bytes are accepted", |scene| {
        let handshake = Handshake { frame_max: Some(4096), ..scene.broker.handshake() };
        scene.client = scene.broker.connect_as(&handshake);
    }),
    Row::new("7", "frames below 4096 bytes are refused", |scene| tune(scene, None, Some(4095)))
        .closes_connection(
            530,
            "NOT_ALLOWED - negotiated frame_max = 4095 is lower than the minimum allowed value \
             (4096)",
            connection::TUNE_OK,
        )
        .on_3_10(SILENT, UNSAID),
    Row::new("7", "frames larger than offered are refused", |scene| {
        tune(scene, None, Some(131_073));
    })
    .closes_connection(
        530,
        "NOT_ALLOWED - negotiated frame_max = 131073 is higher than the maximum allowed value \
         (131072)",
        connection::TUNE_OK,
    )
    .on_3_10(SILENT, UNSAID),
    Row::new("7", "frames without limit are refused", |scene| tune(scene, None, Some(0)))
        .closes_connection(
            530,
            "NOT_ALLOWED - negotiated frame_max = 0 (no limit) is higher than the maximum allowed \
             value (131072)",
            connection::TUNE_OK,
        )
        .on_3_10(SILENT, UNSAID),
    Row::new("7", "more channels than offered are refused", |scene| tune(scene, Some(2048), None))
        .closes_connection(
            530,
            "NOT_ALLOWED - negotiated channel_max = 2048 is higher than the maximum allowed value \
             (2047)",
            connection::TUNE_OK,
        )
        .on_3_10(SILENT, UNSAID),
    Row::new("7", "channels without limit are refused", |scene| tune(scene, Some(0), None))
        .closes_connection(
            530,
            "NOT_ALLOWED - negotiated channel_max = 0 (no limit) is higher than the maximum \
             allowed value (2047)",
            connection::TUNE_OK,
        )
        .on_3_10(SILENT, UNSAID),
    Row::new("8", "before tuning a frame above 8192 bytes is refused unread", |scene| {
        scene.client = scene.broker.socket();
        scene.client.greet();
        let oversized = ArgumentWriter::default().octet(1).short(0).long(8200 + 1).into_bytes();
        scene.client.send_bytes(&oversized);
    })
    .drops_within(6),
    Row::new("8", "a start-ok of nearly 8192 bytes is read", |scene| {
        let capabilities = scene.broker.handshake().capabilities;
        let capabilities = capabilities.with("padding", "x".repeat(7500).as_str());
        let handshake = Handshake { capabilities, ..scene.broker.handshake() };
        scene.client = scene.broker.connect_as(&handshake);
    })
    .on_3_10_instead(
        |scene| {
            let capabilities = scene.broker.handshake().capabilities;
            let capabilities = capabilities.with("padding", "x".repeat(3500).as_str());
            drop(scene.broker.connect_as(&Handshake { capabilities, ..scene.broker.handshake() }));
        },
        "3.10 reads no more than 4096 bytes before tuning, 4.x reads 8192",
    ),
    Row::new("10", "a vhost that does not exist", |scene| {
        open(scene, "no-such-vhost");
    })
    .closes_connection(530, "NOT_ALLOWED - vhost no-such-vhost not found", connection::OPEN),
    Row::new("10", "a vhost the user has no permission for", |scene| {
        let handshake = OUTSIDER.handshake();
        scene.client = scene.broker.socket();
        scene.client.authenticate(&handshake);
        scene.client.send(connection::open("/"));
    })
    .needs(Needs::Users)
    .closes_connection(
        530,
        "NOT_ALLOWED - access to vhost '/' refused for user 'conformance-outsider'",
        connection::OPEN,
    ),
];

const CAPABILITIES: [&str; 9] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];

fn is_told_the_version(scene: &mut Scene, header: &[u8]) {
    scene.client = scene.broker.socket();
    scene.client.send_bytes(header);
    assert_eq!(scene.client.expect_bytes(8), b"AMQP\x00\x00\x09\x01");
    scene.client.expect_socket_closed(Duration::from_secs(5));
}

/// Leaves the scene's client waiting for the answer to its start-ok.
fn greet_and_answer(scene: &mut Scene, handshake: &Handshake) {
    scene.client = scene.broker.socket();
    scene.client.greet();
    scene.client.start_ok(handshake);
}

/// Leaves the scene's client waiting for the answer to its tune-ok.
fn tune(scene: &mut Scene, channel_max: Option<u16>, frame_max: Option<u32>) {
    let handshake = Handshake { channel_max, frame_max, ..scene.broker.handshake() };
    scene.client = scene.broker.socket();
    scene.client.authenticate(&handshake);
}

/// Leaves the scene's client waiting for the answer to its open.
fn open(scene: &mut Scene, vhost: &str) {
    scene.client = scene.broker.socket();
    scene.client.authenticate(&scene.broker.handshake());
    scene.client.send(connection::open(vhost));
}
