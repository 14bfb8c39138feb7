//! basic.publish: what is checked, in which order, and what reaches the queue.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::raw_client::content::{FRAME_BODY, Properties, content_header, frame};
use leveret_tests::raw_client::method::{basic, exchange, queue};
use leveret_tests::raw_client::{Flag, Message, Table, Value};

use crate::row::{Needs, Row};
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("48", "a missing exchange closes the channel", |scene| {
        let exchange = scene.x();
        scene.client.publish(&Message::to(&exchange, "k"));
    })
    .closes_channel(404, "NOT_FOUND - no exchange '{x}' in vhost '/'", basic::PUBLISH),
    Row::new("48", "what is published after that is dropped", |scene| {
        let (queue, exchange) = (scene.queue(), scene.x());
        scene.client.publish(&Message::to(&exchange, "k"));
        for _ in 0..3 {
            scene.client.publish(&Message::to_queue(&queue).body("dropped"));
        }
        let text = format!("NOT_FOUND - no exchange '{exchange}' in vhost '/'");
        scene.client.expect_channel_close(1, 404, &text, basic::PUBLISH);
        scene.client.open_channel(1);
        assert!(scene.client.drain(&queue).is_empty());
    }),
    Row::new("47", "immediate is not implemented", |scene| {
        let queue = scene.queue();
        scene.client.publish(&Message::to_queue(&queue).with(Flag::Immediate));
    })
    .closes_connection(540, "NOT_IMPLEMENTED - immediate=true", basic::PUBLISH),
    Row::new("47", "immediate is refused before the exchange is looked up", |scene| {
        let exchange = scene.x();
        scene.client.publish(&Message::to(&exchange, "k").with(Flag::Immediate));
    })
    .closes_connection(540, "NOT_IMPLEMENTED - immediate=true", basic::PUBLISH),
    Row::new("47", "the exchange is looked up before the expiration is read", |scene| {
        let exchange = scene.x();
        scene.client.publish(&expiring(&exchange, "abc"));
    })
    .closes_channel(404, "NOT_FOUND - no exchange '{x}' in vhost '/'", basic::PUBLISH),
    Row::new("47", "an internal exchange is refused before the expiration is read", |scene| {
        let exchange = scene.x();
        scene.client.call(exchange::declare(&exchange, "direct").with(Flag::Internal));
        scene.client.publish(&expiring(&exchange, "abc"));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - cannot publish to internal exchange '{x}' in vhost '/'",
        basic::PUBLISH,
    ),
    Row::new("47", "the expiration is read before CC", |scene| {
        scene.client.publish(&expiring("", "abc").header("CC", "text"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid expiration 'abc': no_integer",
        basic::PUBLISH,
    ),
    Row::new("49", "an expiration that is no number", |scene| {
        scene.client.publish(&expiring("", ""));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid expiration '': no_integer",
        basic::PUBLISH,
    ),
    Row::new("49", "an expiration with a unit", |scene| {
        scene.client.publish(&expiring("", "10ms"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid expiration '10ms': {leftover_string,\"ms\"}",
        basic::PUBLISH,
    ),
    Row::new("49", "a negative expiration", |scene| {
        scene.client.publish(&expiring("", "-1"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid expiration '-1': {value_negative,-1}",
        basic::PUBLISH,
    ),
    Row::new("49", "an expiration of more than ten years", |scene| {
        scene.client.publish(&expiring("", "315360000001"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid expiration '315360000001': {value_too_large,315360000001}",
        basic::PUBLISH,
    ),
    Row::new("49", "an expiration of ten years is kept as it was written", |scene| {
        let queue = scene.queue();
        let expiration = Some("315360000000".to_owned());
        let properties = Properties { expiration, ..Properties::default() };
        scene.client.publish(&Message::to_queue(&queue).properties(properties.clone()));
        assert_eq!(scene.client.get(&queue).content.properties, properties);
    }),
    Row::new("50", "another user's name", |scene| {
        let user_id = Some("somebody".to_owned());
        let properties = Properties { user_id, ..Properties::default() };
        scene.client.publish(&Message::to_queue("q").properties(properties));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was \
         'guest'",
        basic::PUBLISH,
    ),
    Row::new("50", "the user's own name", |scene| {
        let queue = scene.queue();
        let user_id = Some(scene.broker.user.clone());
        let properties = Properties { user_id, ..Properties::default() };
        scene.client.publish(&Message::to_queue(&queue).properties(properties.clone()));
        assert_eq!(scene.client.get(&queue).content.properties, properties);
    }),
    Row::new("51", "CC and BCC route as the key does, and BCC is not shown", |scene| {
        let words = ["key", "cc-one", "cc-two", "bcc"];
        let queues = words.map(|word| scene.name(word));
        for queue in &queues {
            scene.client.declare_queue(queue);
        }
        let [key, one, two, hidden] = &queues;
        let copies = Value::texts(&[one, two]);
        let message = Message::to_queue(key)
            .header("CC", copies.clone())
            .header("BCC", Value::texts(&[hidden]))
            .header("other", 1);
        scene.client.publish(&message);
        for queue in &queues {
            let fetched = scene.client.get(queue);
            let headers = fetched.content.properties.headers.expect("headers");
            assert_eq!(headers.get("CC"), Some(&copies), "{headers:?}");
            assert_eq!(headers.get("other"), Some(&Value::Int(1)), "{headers:?}");
            assert_eq!(headers.get("BCC"), None, "{headers:?}");
            assert_eq!(&fetched.routing_key, key);
        }
    }),
    Row::new("51 42", "a queue named by key and CC gets one copy", |scene| {
        let queue = scene.queue();
        let copies = Value::texts(&[&queue, &queue]);
        scene.client.publish(&Message::to_queue(&queue).header("CC", copies).body("once"));
        assert_eq!(scene.client.drain(&queue), ["once"]);
    }),
    Row::new("51", "a CC that is no list", |scene| {
        scene.client.publish(&Message::to_queue("q").header("CC", "q"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"CC\",longstr}",
        basic::PUBLISH,
    ),
    Row::new("51", "what is no text in a CC does not route", |scene| {
        let queue = scene.queue();
        let mixed = Value::Array(vec![Value::Int(1), queue.as_str().into(), Value::Void]);
        scene.client.publish(&Message::to("", &scene.x()).header("CC", mixed).body("copy"));
        assert_eq!(scene.client.drain(&queue), ["copy"]);
    }),
    Row::new("49 50", "a route that is known passes over no check of the properties", |scene| {
        let queue = scene.queue();
        scene.client.fill(&queue, &["known"]);
        let expiration = Some("soon".to_owned());
        let properties = Properties { expiration, ..Properties::default() };
        scene.client.publish(&Message::to_queue(&queue).properties(properties).header("a", "b"));
        let text = "PRECONDITION_FAILED - invalid expiration 'soon': no_integer";
        scene.client.expect_channel_close(1, 406, text, basic::PUBLISH);
        scene.client.open_channel(1);
        let user_id = Some("somebody".to_owned());
        let properties = Properties { user_id, ..Properties::default() };
        scene.client.publish(&Message::to_queue(&queue).properties(properties));
        let own = &scene.broker.user;
        let text = format!(
            "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was '{own}'"
        );
        scene.client.expect_channel_close(1, 406, &text, basic::PUBLISH);
        scene.client.open_channel(1);
        assert_eq!(scene.client.drain(&queue), ["known"]);
    }),
    Row::new("51", "CC and BCC are read on a route that is known", |scene| {
        let queue = scene.queue();
        let copies = scene.name("copies");
        scene.client.declare_queue(&copies);
        scene.client.fill(&queue, &["known"]);
        let header = |name| Message::to_queue(&queue).header(name, Value::texts(&[&copies]));
        scene.client.publish(&header("CC").body("cc"));
        scene.client.publish(&header("BCC").body("bcc"));
        scene.client.publish(&header("cc").body("only CC in capitals copies"));
        scene.client.expect_count(&copies, 2);
        assert_eq!(scene.client.drain(&copies), ["cc", "bcc"]);
    }),
    Row::new(
        "57 33",
        "whole publishes and frames of other channels between those of one",
        |scene| {
            let queue = scene.queue();
            scene.client.open_channel(2);
            let whole = |body: &str| Message::to_queue(&queue).body(body).encode(4096);
            let header = |channel, size| content_header(channel, size, &Properties::default());
            let mut bytes = whole("1");
            bytes.extend(basic::publish("", &queue).frame());
            bytes.extend(Message::to_queue(&queue).on(2).body("2").encode(4096));
            bytes.extend(header(1, 1));
            bytes.extend(Message::to_queue(&queue).on(2).body("3").encode(4096));
            bytes.extend(frame(FRAME_BODY, 1, b"4"));
            bytes.extend(whole(""));
            bytes.extend(whole(&"5".repeat(5000)));
            bytes.extend(whole("6"));
            scene.client.send_bytes(&bytes);
            let expected = ["1", "2", "3", "4", "", &"5".repeat(5000), "6"];
            scene.client.expect_count(&queue, 7);
            assert_eq!(scene.client.drain(&queue), expected);
        },
    ),
    Row::new("57", "an empty body has no body frame", |scene| {
        let queue = scene.queue();
        scene.client.publish(&Message::to_queue(&queue));
        assert_eq!(scene.client.drain(&queue), [""]);
    }),
    Row::new("57", "a body may come in pieces of any size, even of none", |scene| {
        let queue = scene.queue();
        let mut bytes = basic::publish("", &queue).frame();
        bytes.extend(content_header(1, 6, &Properties::default()));
        for piece in ["a", "", "bcd", "", "ef"] {
            bytes.extend(frame(FRAME_BODY, 1, piece.as_bytes()));
        }
        scene.client.send_bytes(&bytes);
        assert_eq!(scene.client.drain(&queue), ["abcdef"]);
    }),
    Row::new("57 12", "bodies of all sizes around frame_max come back whole", |scene| {
        let queue = scene.queue();
        let limit = scene.client.frame_max() - 8;
        for size in [1, limit - 1, limit, limit + 1, 2 * limit, 2 * limit + 1, 1_000_003] {
            let body: Vec<u8> = (0..size).map(|byte| (byte % 251).to_le_bytes()[0]).collect();
            scene.client.publish(&Message::to_queue(&queue).body(&body));
            assert!(scene.client.get(&queue).content.body == body, "{size} bytes");
        }
    }),
    Row::new("74", "every property comes back as it was sent", |scene| {
        let queue = scene.queue();
        for properties in [every_property(scene), Properties::default()] {
            scene.client.publish(&Message::to_queue(&queue).properties(properties.clone()));
            assert_eq!(scene.client.get(&queue).content.properties, properties);
        }
    }),
    Row::new("74", "each property alone comes back alone", |scene| {
        let queue = scene.queue();
        let all = every_property(scene);
        let one = Properties::default;
        for properties in [
            Properties { content_type: all.content_type, ..one() },
            Properties { content_encoding: all.content_encoding, ..one() },
            Properties { headers: all.headers, ..one() },
            Properties { headers: Some(Table::new()), ..one() },
            Properties { delivery_mode: all.delivery_mode, ..one() },
            Properties { priority: Some(0), ..one() },
            Properties { correlation_id: Some(String::new()), ..one() },
            Properties { reply_to: all.reply_to, ..one() },
            Properties { expiration: all.expiration, ..one() },
            Properties { message_id: all.message_id, ..one() },
            Properties { timestamp: Some(u64::MAX), ..one() },
            Properties { kind: all.kind, ..one() },
            Properties { app_id: all.app_id, ..one() },
            Properties { cluster_id: all.cluster_id, ..one() },
        ] {
            scene.client.publish(&Message::to_queue(&queue).properties(properties.clone()));
            assert_eq!(scene.client.get(&queue).content.properties, properties);
        }
    }),
    Row::new("16", "a message above max_message_size", |_| {
        let broker = BrokerUnderTest::start_with("max_message_size = 1000\n");
        let mut client = broker.broker().connect();
        client.call(queue::declare("limited").with(Flag::Durable));
        client.publish(&Message::to_queue("limited").body([0; 1000]));
        client.publish(&Message::to_queue("limited").body([0; 1001]));
        let text =
            "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000";
        client.expect_channel_close(1, 406, text, basic::PUBLISH);
        client.open_channel(1);
        client.expect_count("limited", 1);
    })
    .needs(Needs::PrivateBroker),
];

/// A message with this expiration for an exchange.
fn expiring(exchange: &str, expiration: &str) -> Message {
    let expiration = Some(expiration.to_owned());
    Message::to(exchange, "nowhere").properties(Properties { expiration, ..Properties::default() })
}

/// All fourteen properties, and headers of every type of field.
fn every_property(scene: &Scene) -> Properties {
    let text = |text: &str| Some(text.to_owned());
    let headers = Table::new()
        .with("bool", true)
        .with("byte", Value::Byte(-1))
        .with("unsigned byte", Value::UnsignedByte(255))
        .with("short", Value::Short(-2))
        .with("unsigned short", Value::UnsignedShort(65535))
        .with("int", Value::Int(-3))
        .with("unsigned int", Value::UnsignedInt(u32::MAX))
        .with("long", Value::Long(i64::MIN))
        .with("float", Value::Float(1.5))
        .with("double", Value::Double(-2.25))
        .with("decimal", Value::Decimal(2, 12345))
        .with("text", "täxt")
        .with("not utf-8", Value::Text(vec![0xFF, 0, 0xFE]))
        .with("array", Value::Array(vec![Value::Int(1), "two".into(), Value::Void]))
        .with("empty array", Value::Array(Vec::new()))
        .with("timestamp", Value::Timestamp(1_700_000_000))
        .with("table", Value::Table(Table::new().with("in", Value::Table(Table::new()))))
        .with("void", Value::Void)
        .with("binary", Value::Binary(vec![0, 1, 2]))
        .with("twice", 1)
        .with("twice", 2);
    Properties {
        content_type: text("text/plain"),
        content_encoding: text("gzip"),
        headers: Some(headers),
        delivery_mode: Some(2),
        priority: Some(9),
        correlation_id: text("correlation"),
        reply_to: text("reply"),
        expiration: text("3600000"),
        message_id: text("message"),
        timestamp: Some(1_700_000_000),
        kind: text("kind"),
        user_id: Some(scene.broker.user.clone()),
        app_id: text("application"),
        cluster_id: text("cluster"),
    }
}
