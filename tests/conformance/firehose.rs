//! What `amq.rabbitmq.trace` tells of messages in a vhost that is traced.

use std::sync::Once;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{Deadline, TO_RUN};
use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, exchange, queue, tx};
use leveret_tests::raw_client::reply::Delivery;
use leveret_tests::raw_client::{Flag, Message, RawClient, Table, Value};
use tempfile::TempDir;

use crate::row::{Needs, Row};
use crate::scene::Scene;
use crate::users::control;

const TRACE: &str = "amq.rabbitmq.trace";

pub(crate) const ROWS: &[Row] = &[
    row("a publish is told with all it carries", |scene| {
        let mut rig = Rig::new(scene);
        let (exchange, name) = (scene.x(), scene.q());
        rig.client.declare_exchange(&exchange, "direct");
        for key in ["k", "copy"] {
            rig.client.declare_bound_queue(&name, &exchange, key);
        }
        let mut told = rig.told(scene, &[&format!("publish.{exchange}")]);
        let carried = Table::new().with("CC", Value::texts(&["copy"])).with("n", 5);
        let hidden = carried.clone().with("BCC", Value::texts(&["hidden"]));
        let sent = Message::to(&exchange, "k").body("body").properties(everything(hidden));
        rig.client.publish(&sent);
        let delivery = told.expect_delivery();
        assert_eq!((delivery.exchange.as_str(), delivery.text().as_str()), (TRACE, "body"));
        assert!(!delivery.redelivered);
        let headers = delivery.content.properties.headers.clone().expect("headers");
        let bare = Properties { headers: None, ..delivery.content.properties };
        assert_eq!(bare, Properties::default(), "the copy has nothing but headers");
        assert_eq!(
            names(&headers),
            "channel connection exchange_name node properties routed_queues routing_keys user vhost"
        );
        assert_eq!(headers.get("channel"), Some(&Value::Int(1)));
        assert_eq!(headers.get("exchange_name"), Some(&(&*exchange).into()));
        assert_eq!(headers.get("routed_queues"), Some(&Value::texts(&[&name])));
        assert_eq!(headers.get("routing_keys"), Some(&Value::texts(&["k", "copy", "hidden"])));
        assert_eq!(headers.get("user"), Some(&"guest".into()));
        assert_eq!(headers.get("vhost"), Some(&"/".into()));
        assert_eq!(headers.get("properties"), Some(&Value::Table(as_table(carried))));
        let text = |name: &str| match headers.get(name) {
            Some(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            other => panic!("{name} is {other:?}"),
        };
        assert!(text("node").contains('@'), "{}", text("node"));
        let port = rig.broker.address.port();
        assert!(text("connection").ends_with(&format!(" -> 127.0.0.1:{port}")));
    }),
    row("deliveries and gets are told, and whether again", |scene| {
        let mut rig = Rig::new(scene);
        let name = scene.q();
        rig.client.declare_queue(&name);
        let mut told = rig.told(scene, &[&format!("deliver.{name}")]);
        rig.client.publish(&Message::to_queue(&name).persistent().body("1"));
        rig.client.expect_count(&name, 1);
        let got = rig.client.get(&name).delivery_tag;
        rig.client.send(basic::nack(got).with(Flag::Requeue));
        rig.client.consume(&name);
        rig.client.expect_deliveries(&["1"]);
        for again in [0, 1] {
            let delivery = told.expect_delivery();
            let headers = headers(&delivery);
            assert_eq!(
                names(&headers),
                "channel connection exchange_name node properties redelivered routing_keys user \
                 vhost"
            );
            assert_eq!(headers.get("redelivered"), Some(&Value::Int(again)));
            assert_eq!(headers.get("exchange_name"), Some(&"".into()));
            assert_eq!(headers.get("routing_keys"), Some(&Value::texts(&[&name])));
            let properties = Table::new().with("delivery_mode", 2);
            assert_eq!(headers.get("properties"), Some(&Value::Table(properties)));
            assert_eq!(delivery.text(), "1");
        }
    }),
    row("what leads nowhere is told, too", |scene| {
        let mut rig = Rig::new(scene);
        let exchange = scene.x();
        rig.client.declare_exchange(&exchange, "fanout");
        let mut told = rig.told(scene, &[&format!("publish.{exchange}")]);
        rig.client.publish(&Message::to(&exchange, "k").body("lost"));
        let delivery = told.expect_delivery();
        assert_eq!(headers(&delivery).get("routed_queues"), Some(&Value::Array(Vec::new())));
        assert_eq!(headers(&delivery).get("properties"), Some(&Value::Table(Table::new())));
    }),
    row("a large body is told as it is", |scene| {
        let mut rig = Rig::new(scene);
        let (exchange, name) = (scene.x(), scene.q());
        rig.client.declare_exchange(&exchange, "fanout");
        rig.client.declare_bound_queue(&name, &exchange, "");
        let keys = [format!("publish.{exchange}"), format!("deliver.{name}")];
        let mut told = rig.told(scene, &[&keys[0], &keys[1]]);
        rig.client.consume(&name);
        let body: Vec<u8> = (0..200_000_u32).map(|number| number.to_be_bytes()[3]).collect();
        rig.client.publish(&Message::to(&exchange, "").body(&body));
        for key in keys {
            let delivery = told.expect_delivery();
            assert_eq!(delivery.routing_key, key, "first it comes, then it goes");
            assert!(delivery.content.body == body);
        }
    }),
    row("a publish is told before its transaction commits", |scene| {
        let mut rig = Rig::new(scene);
        let exchange = scene.x();
        rig.client.declare_exchange(&exchange, "fanout");
        let mut told = rig.told(scene, &[&format!("publish.{exchange}")]);
        rig.client.call(tx::select());
        rig.client.publish(&Message::to(&exchange, "").body("perhaps"));
        assert_eq!(told.expect_delivery().text(), "perhaps");
        rig.client.call(tx::rollback());
    }),
    row("the death of a message is not told, its delivery afterwards is", |scene| {
        let mut rig = Rig::new(scene);
        let (exchange, name, source) = (scene.x(), scene.q(), scene.name("source"));
        rig.client.declare_exchange(&exchange, "fanout");
        rig.client.declare_bound_queue(&name, &exchange, "");
        let declare = queue::declare(&source).with(Flag::Durable).arg("x-message-ttl", 0);
        rig.client.call(declare.arg("x-dead-letter-exchange", &*exchange));
        let keys = [format!("publish.{exchange}"), format!("deliver.{name}")];
        let mut told = rig.told(scene, &[&keys[0], &keys[1]]);
        rig.client.publish(&Message::to_queue(&source).body("dead"));
        rig.client.consume(&name);
        rig.client.expect_deliveries(&["dead"]);
        let delivery = told.expect_delivery();
        assert_eq!(delivery.routing_key, keys[1]);
        assert_eq!(headers(&delivery).get("exchange_name"), Some(&(&*exchange).into()));
        let Some(Value::Table(properties)) = headers(&delivery).get("properties").cloned() else {
            panic!("no properties")
        };
        let Some(Value::Table(carried)) = properties.get("headers") else { panic!("no headers") };
        assert!(carried.get("x-death").is_some());
    }),
    row("the firehose does not tell of itself", |scene| {
        let mut rig = Rig::new(scene);
        let (exchange, name) = (scene.x(), scene.name("itself"));
        rig.client.declare_exchange(&exchange, "fanout");
        rig.client.declare_bound_queue(&name, TRACE, &format!("publish.{exchange}"));
        let mut about = rig.told(scene, &[&format!("deliver.{name}"), &format!("publish.{TRACE}")]);
        rig.client.publish(&Message::to(&exchange, "").body("a"));
        rig.client.publish(&Message::to(&exchange, "").body("b"));
        rig.client.expect_count(&name, 2);
        assert_eq!(rig.client.drain(&name), ["a", "b"]);
        about.expect_nothing_pending(1, &name);
    }),
    row("an answer by direct reply-to is told", |scene| {
        let mut rig = Rig::new(scene);
        let requests = scene.q();
        rig.client.declare_queue(&requests);
        let mut told = rig.told(scene, &["deliver.#"]);
        rig.client.call(basic::consume("amq.rabbitmq.reply-to", "").with(Flag::NoAck));
        let mut request = Message::to_queue(&requests).body("question");
        request.properties.reply_to = Some("amq.rabbitmq.reply-to".to_owned());
        rig.client.publish(&request);
        rig.client.expect_count(&requests, 1);
        let mut server = rig.broker.connect();
        let address = server.get(&requests).content.properties.reply_to.expect("an address");
        server.publish(&Message::to_queue(&address).body("answer"));
        assert_eq!(rig.client.expect_delivery().text(), "answer");
        // Others may be told of on a broker that is shared.
        let deadline = Deadline::of("the answer is told");
        loop {
            deadline.check();
            let delivery = told.expect_delivery();
            if delivery.routing_key == format!("deliver.{address}") {
                assert_eq!(delivery.text(), "answer");
                return;
            }
        }
    }),
    Row::new("", "nothing is told where nobody asked for it", |scene| {
        let (exchange, name) = (scene.x(), scene.name("told"));
        scene.client.declare_exchange(&exchange, "fanout");
        scene.client.declare_bound_queue(&name, TRACE, &format!("publish.{exchange}"));
        scene.client.select_confirms();
        scene.client.publish(&Message::to(&exchange, "").body("a"));
        scene.client.expect_confirm();
        assert_eq!(scene.client.queue_state(&name).message_count, 0);
    })
    .needs(Needs::PrivateBroker),
    Row::new("", "a file says whether a vhost is traced, and that holds", |_| {
        let (directory, mut broker) = traced(Some(true));
        assert!(is_traced(&broker));
        assert!(broker.terminate(TO_RUN).success());
        // A file that says nothing changes nothing.
        for (told, expected) in [(None, true), (Some(false), false), (None, false)] {
            std::fs::write(path(&directory), definitions(told)).expect("a writable file");
            broker.start_again();
            assert_eq!(is_traced(&broker), expected, "{told:?}");
            assert!(broker.terminate(TO_RUN).success());
        }
    })
    .needs(Needs::PrivateBroker),
    Row::new("", "who empties the firehose by its dead letters makes no flood", |_| {
        let (_directory, broker) = traced(Some(true));
        let mut client = broker.broker().connect();
        client.declare_queue("letters");
        client.consume("letters");
        let declare = queue::declare("full").with(Flag::Durable).arg("x-max-length", 0);
        let declare = declare.arg("x-dead-letter-exchange", "");
        client.call(declare.arg("x-dead-letter-routing-key", "letters"));
        client.call(queue::bind("full", TRACE, "#"));
        let mut other = broker.broker().connect();
        other.publish(&Message::to("amq.fanout", "").body("one"));
        assert_eq!(client.expect_delivery().text(), "one");
        client.expect_nothing_pending(1, "letters");
        assert_eq!(other.queue_state("full").message_count, 0);
    })
    .needs(Needs::PrivateBroker),
    Row::new("", "the exchange is the broker's own", |scene| {
        let declare = exchange::declare(TRACE, "topic").with(Flag::Durable).with(Flag::Internal);
        scene.client.call(declare);
        scene.client.send(exchange::delete(TRACE));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - deletion of system exchange 'amq.rabbitmq.trace' in vhost '/' not allowed",
        exchange::DELETE,
    ),
];

const fn row(name: &'static str, script: fn(&mut Scene)) -> Row {
    Row::new("", name, script).needs(Needs::Users)
}

/// A broker whose vhost `/` is traced, and a client of it.
struct Rig {
    client: RawClient,
    broker: Broker,
    _own: Option<(TempDir, BrokerUnderTest)>,
}

impl Rig {
    fn new(scene: &Scene) -> Self {
        static ON: Once = Once::new();
        if Broker::peer().is_some() {
            ON.call_once(|| control(&["trace_on"]).expect("the vhost can be traced"));
            let broker = scene.broker.clone();
            return Self { client: broker.connect(), broker, _own: None };
        }
        let own = traced(Some(true));
        let broker = own.1.broker();
        Self { client: broker.connect(), broker, _own: Some(own) }
    }

    /// A client that is told what the firehose has under these keys.
    fn told(&self, scene: &Scene, keys: &[&str]) -> RawClient {
        let name = scene.name("told");
        let mut client = self.broker.connect();
        client.call(queue::declare(&name).with(Flag::Exclusive));
        for key in keys {
            client.call(queue::bind(&name, TRACE, key));
        }
        client.call(basic::consume(&name, "").with(Flag::NoAck));
        client
    }
}

/// Ends what rows asked of a peer.
pub(crate) fn forget_at_peer() {
    control(&["trace_off"]).ok();
}

fn traced(told: Option<bool>) -> (TempDir, BrokerUnderTest) {
    let directory = TempDir::with_prefix("leveret-test-").expect("a temporary directory");
    std::fs::write(path(&directory), definitions(told)).expect("a writable file");
    let config = format!("load_definitions = {}\n", path(&directory));
    (directory, BrokerUnderTest::start_with(&config))
}

fn path(directory: &TempDir) -> String {
    directory.path().join("definitions.json").display().to_string()
}

/// A vhost of which is told so much, and guest with the password guest.
fn definitions(tracing: Option<bool>) -> String {
    let tracing = tracing.map(|it| format!(r#", "tracing": {it}"#)).unwrap_or_default();
    let hash = "xMHW4aXhn1pgEzVfcaTVn9oSCoFdwlO7uqpEDrTX7kVkia13";
    format!(
        r#"{{"users": [{{"name": "guest", "password_hash": "{hash}", "tags": [],
             "hashing_algorithm": "rabbit_password_hashing_sha256"}}],
            "vhosts": [{{"name": "/"{tracing}}}],
            "permissions": [{{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*",
                             "read": ".*"}}]}}"#
    )
}

fn is_traced(broker: &BrokerUnderTest) -> bool {
    let mut client = broker.broker().connect();
    client.call(queue::declare("told").with(Flag::Exclusive));
    client.call(queue::bind("told", TRACE, "publish.amq.fanout"));
    client.select_confirms();
    client.publish(&Message::to("amq.fanout", "").body("a"));
    client.expect_confirm();
    client.queue_state("told").message_count == 1
}

fn everything(headers: Table) -> Properties {
    let text = |text: &str| Some(text.to_owned());
    Properties {
        content_type: text("text/plain"),
        content_encoding: text("e"),
        headers: Some(headers),
        delivery_mode: Some(2),
        priority: Some(3),
        correlation_id: text("c"),
        reply_to: text("r"),
        expiration: text("60000"),
        message_id: text("m"),
        timestamp: Some(5_000_000_000),
        kind: text("t"),
        user_id: text("guest"),
        app_id: text("a"),
        cluster_id: text("cl"),
    }
}

/// The same as RabbitMQ writes it into a table.
fn as_table(headers: Table) -> Table {
    Table::new()
        .with("cluster_id", "cl")
        .with("app_id", "a")
        .with("user_id", "guest")
        .with("type", "t")
        .with("timestamp", 705_032_704)
        .with("message_id", "m")
        .with("expiration", "60000")
        .with("reply_to", "r")
        .with("correlation_id", "c")
        .with("priority", 3)
        .with("delivery_mode", 2)
        .with("headers", Value::Table(headers))
        .with("content_encoding", "e")
        .with("content_type", "text/plain")
}

fn headers(delivery: &Delivery) -> Table {
    delivery.content.properties.headers.clone().expect("headers")
}

fn names(table: &Table) -> String {
    let names: Vec<&str> = table.0.iter().map(|(name, _)| name.as_str()).collect();
    names.join(" ")
}
