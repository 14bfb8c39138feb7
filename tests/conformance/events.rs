//! What `amq.rabbitmq.event` tells of what happens in the broker, as RabbitMQ's plugin does.

use std::sync::OnceLock;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{Deadline, TO_RUN};
use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, channel, exchange, queue};
use leveret_tests::raw_client::reply::Delivery;
use leveret_tests::raw_client::{Flag, Handshake, Message, RawClient, Table, Value};
use tempfile::TempDir;

use crate::row::{Needs, Row};
use crate::scene::Scene;

const EVENTS: &str = "amq.rabbitmq.event";

pub(crate) const ROWS: &[Row] = &[
    row("exchanges, queues and bindings come and go", |scene| {
        let mut told = Listener::start(scene, &["exchange.*", "queue.*", "binding.*"]);
        let (x, q) = (scene.x(), scene.q());
        let declare = exchange::declare(&x, "topic").with(Flag::Durable);
        scene.client.call(declare.arg("alternate-exchange", "amq.fanout"));
        let declare = queue::declare(&q).with(Flag::Durable).arg("x-max-length", 5);
        scene.client.call(declare.arg("x-queue-type", "classic"));
        scene.client.call(queue::bind(&q, &x, "k.#").arg("a", 1));
        scene.client.call(queue::unbind(&q, &x, "k.#").arg("a", 1));
        scene.client.call(exchange::bind(&x, "amq.direct", "e"));
        scene.client.call(exchange::delete(&x));
        scene.client.call(queue::delete(&q));
        let field = |field: &str| Value::texts(&[field]);
        let created = Table::new()
            .with("arguments", field("{<<\"alternate-exchange\">>,longstr,<<\"amq.fanout\">>}"))
            .with("auto_delete", false)
            .with("durable", true)
            .with("internal", false)
            .with("name", &*x)
            .with("policy", "")
            .with("type", "topic");
        told.expect("exchange.created", "name", &x, created);
        let created = Table::new()
            .with(
                "arguments",
                Value::texts(&[
                    "{<<\"x-max-length\">>,signedint,5}",
                    "{<<\"x-queue-type\">>,longstr,<<\"classic\">>}",
                ]),
            )
            .with("auto_delete", false)
            .with("durable", true)
            .with("exclusive", false)
            .with("name", &*q)
            .with("owner_pid", "")
            .with("type", "rabbit_classic_queue");
        told.expect("queue.created", "name", &q, created);
        let bound = |arguments: Value| {
            Table::new()
                .with("arguments", arguments)
                .with("destination_kind", "queue")
                .with("destination_name", &*q)
                .with("routing_key", "k.#")
                .with("source_kind", "exchange")
                .with("source_name", &*x)
        };
        let arguments = field("{<<\"a\">>,signedint,1}");
        told.expect("binding.created", "destination_name", &q, bound(arguments.clone()));
        told.expect("binding.deleted", "destination_name", &q, bound(arguments));
        let bound = Table::new()
            .with("arguments", Value::Array(Vec::new()))
            .with("destination_kind", "exchange")
            .with("destination_name", &*x)
            .with("routing_key", "e")
            .with("source_kind", "exchange")
            .with("source_name", "amq.direct");
        told.expect("binding.created", "destination_name", &x, bound.clone());
        told.expect("binding.deleted", "destination_name", &x, bound);
        told.expect("exchange.deleted", "name", &x, Table::new().with("name", &*x));
        let deleted = Table::new().with("name", &*q).with("type", "rabbit_classic_queue");
        told.expect("queue.deleted", "name", &q, deleted);
    }),
    row("what is no news is not told", |scene| {
        assert_eq!(told_of_repetitions(scene), ["queue.created", "binding.created"]);
    })
    .on_3_10_instead(
        |scene| {
            let told = ["queue.created", "binding.created", "binding.created"];
            assert_eq!(told_of_repetitions(scene), told);
        },
        "RabbitMQ, 4.3 as well, tells of a binding each time it is asked for",
    ),
    row("an event has headers, a time, and no body", |scene| {
        let mut told = Listener::start(scene, &["exchange.created"]);
        let x = scene.exchange("fanout");
        let event = told.next(|event| has(event, "name", &x));
        assert_eq!((event.exchange.as_str(), event.routing_key.as_str()), (EVENTS, "exchange.created"));
        assert!(event.content.body.is_empty() && !event.redelivered);
        let headers = headers(&event);
        let Some(Value::Long(at_ms)) = headers.get("timestamp_in_ms") else { panic!("{headers:?}") };
        let expected = Properties {
            headers: Some(headers.clone()),
            delivery_mode: Some(2),
            timestamp: Some(at_ms.cast_unsigned() / 1000),
            ..Properties::default()
        };
        assert_eq!(event.content.properties, expected);
    }),
    row("whoever listens learns of the own binding", |scene| {
        let mut client = scene.connect();
        let name = scene.name("own");
        client.call(queue::declare(&name).with(Flag::Exclusive));
        client.call(queue::bind(&name, EVENTS, "binding.created"));
        client.call(basic::consume(&name, "").with(Flag::NoAck));
        let mut told = Listener { client };
        let event = told.next(|event| has(event, "destination_name", &name));
        assert!(has(&event, "source_name", EVENTS));
        assert!(has(&event, "user_who_performed_action", "guest"));
    }),
    row("a connection, its channel and its consumers come and go", |scene| {
        let mut told = Listener::start(scene, &["connection.*", "channel.*", "consumer.*"]);
        let (q, name) = (scene.queue(), scene.name("named"));
        let mut handshake = scene.broker.handshake();
        handshake.connection_name = Some(name.clone());
        let mut client = scene.broker.connect_as(&handshake);
        let created = told.next(|event| has(event, "user_provided_name", &name));
        assert_eq!(created.routing_key, "connection.created");
        let created = headers(&created);
        assert_eq!(
            names(&created),
            "auth_mechanism channel_max client_properties connected_at frame_max host name node \
             peer_cert_issuer peer_cert_serial_number peer_cert_subject peer_cert_validity \
             peer_host peer_port pid port protocol ssl ssl_cipher ssl_hash ssl_key_exchange \
             ssl_protocol timeout timestamp_in_ms type user user_provided_name \
             user_who_performed_action vhost"
        );
        assert_eq!(created.get("protocol"), Some(&"{0,9,1}".into()));
        assert_eq!(created.get("host"), Some(&"{127,0,0,1}".into()));
        let port = Value::Long(scene.broker.address.port().into());
        assert_eq!(created.get("port"), Some(&port));
        let Some(Value::Array(properties)) = created.get("client_properties") else {
            panic!("{created:?}")
        };
        let told_name = format!("{{<<\"connection_name\">>,longstr,<<\"{name}\">>}}");
        assert!(properties.contains(&(&*told_name).into()), "{properties:?}");
        let (pid, full_name) = (text(&created, "pid"), text(&created, "name"));

        let channel = told.next(|event| has(event, "connection", &pid));
        assert_eq!(channel.routing_key, "channel.created");
        let channel = headers(&channel);
        assert_eq!(channel.get("name"), Some(&(&*format!("{full_name} (1)")).into()));
        assert_eq!(channel.get("number"), Some(&Value::Long(1)));
        assert_eq!(channel.get("user"), Some(&"guest".into()));
        let channel_pid = text(&channel, "pid");

        client.call(basic::qos(7));
        client.call(basic::consume(&q, "tagged").arg("x-priority", 3));
        client.call(basic::cancel("tagged"));
        let consumer = Table::new().with("channel", &*channel_pid).with("consumer_tag", "tagged");
        let consumes = consumer.clone().with("queue", &*q);
        let created = Table::new()
            .with("ack_required", true)
            .with("arguments", Value::texts(&["{<<\"x-priority\">>,signedint,3}"]))
            .with("channel", &*channel_pid)
            .with("consumer_tag", "tagged")
            .with("exclusive", false)
            .with("prefetch_count", Value::Long(7))
            .with("queue", &*q);
        told.expect("consumer.created", "channel", &channel_pid, created);
        told.expect("consumer.deleted", "channel", &channel_pid, consumes);

        client.call(channel::close());
        let closed = told.next(|event| has(event, "pid", &channel_pid));
        assert_eq!(closed.routing_key, "channel.closed");
        assert_eq!(
            names(&headers(&closed)),
            "consumer_count pid timestamp_in_ms user_who_performed_action"
        );
        client.close();
        let closed = told.next(|event| has(event, "pid", &pid));
        assert_eq!(closed.routing_key, "connection.closed");
        assert_eq!(
            names(&headers(&closed)),
            "client_properties name node pid timestamp_in_ms user_provided_name"
        );
    }),
    row("a client that vanishes leaves nothing untold", |scene| {
        let keys = ["channel.created", "channel.closed", "connection.closed", "queue.deleted"];
        let mut told = Listener::start(scene, &keys);
        let (name, own) = (scene.name("named"), scene.name("own"));
        let mut handshake = scene.broker.handshake();
        handshake.connection_name = Some(name.clone());
        let mut client = scene.broker.connect_as(&handshake);
        client.call(queue::declare(&own).with(Flag::Exclusive));
        client.hang_up();
        let closed = told.next(|event| has(event, "user_provided_name", &name));
        assert_eq!(closed.routing_key, "connection.closed");
        let gone = Table::new().with("name", &*own).with("type", "rabbit_classic_queue");
        told.expect_by("rmq-internal", "queue.deleted", "name", &own, gone);
    }),
    row("logins are told, and those that fail", |scene| {
        let mut told = Listener::start(scene, &["user.authentication.*"]);
        let user = scene.name("nobody");
        let mut stranger = scene.broker.socket();
        stranger.greet();
        stranger.start_ok(&Handshake::plain(&user, "secret"));
        let event = told.next(|event| has(event, "name", &user));
        assert_eq!(event.routing_key, "user.authentication.failure");
        let headers = headers(&event);
        assert_eq!(
            names(&headers),
            "auth_mechanism connection_name connection_type error host name peer_host peer_port \
             protocol ssl timestamp_in_ms"
        );
        let reason = format!("user '{user}' - invalid credentials");
        let letters = reason.bytes().map(|letter| Value::Long(letter.into())).collect();
        assert_eq!(headers.get("error"), Some(&Value::Array(letters)));
        drop(scene.connect());
        let event = told.next(|event| has(event, "name", "guest"));
        assert_eq!(event.routing_key, "user.authentication.success");
    }),
    row("clients do not publish there", |scene| {
        let declare = exchange::declare(EVENTS, "topic").with(Flag::Durable).with(Flag::Internal);
        scene.client.call(declare);
        scene.client.publish(&Message::to(EVENTS, "queue.created"));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.event' in vhost '/'",
        basic::PUBLISH,
    ),
    row("nobody deletes it", |scene| scene.client.send(exchange::delete(EVENTS))).closes_channel(
        403,
        "ACCESS_REFUSED - deletion of system exchange 'amq.rabbitmq.event' in vhost '/' not allowed",
        exchange::DELETE,
    ),
    Row::new("", "another vhost has no such exchange", |_| {
        let (_directory, broker) = defined();
        let mut handshake = broker.broker().handshake();
        handshake.vhost = "other".to_owned();
        let mut client = broker.broker().connect_as(&handshake);
        client.send(exchange::declare(EVENTS, "topic").with(Flag::Passive));
        let text = "NOT_FOUND - no exchange 'amq.rabbitmq.event' in vhost 'other'";
        client.expect_channel_close(1, 404, text, exchange::DECLARE);
    })
    .needs(Needs::PrivateBroker),
    Row::new("", "an alarm is told", |_| {
        let mut broker = BrokerUnderTest::start_with("vm_memory_high_watermark.absolute = 1\n");
        broker.broker().connect().declare_bound_queue("told", EVENTS, "alarm.#");
        // It is raised within a second of each start.
        assert!(broker.terminate(TO_RUN).success());
        broker.start_again();
        let mut client = broker.broker().connect();
        client.call(basic::consume("told", "").with(Flag::NoAck));
        let event = client.expect_delivery();
        assert_eq!(event.routing_key, "alarm.set");
        assert_eq!(names(&headers(&event)), "node source timestamp_in_ms");
        assert!(has(&event, "source", "memory"));
    })
    .needs(Needs::PrivateBroker),
    Row::new("", "what a file defines is told", |_| {
        let (directory, mut broker) = defined();
        let mut client = broker.broker().connect();
        client.declare_bound_queue("told", EVENTS, "#");
        assert!(broker.terminate(TO_RUN).success());
        std::fs::write(path(&directory), definitions(FURTHER)).expect("a writable file");
        broker.start_again();
        let mut client = broker.broker().connect();
        client.call(basic::consume("told", "").with(Flag::NoAck));
        let mut told = Listener { client };
        let others = ["exchange.", "connection.", "channel.", "user.authentication."];
        let keys = told.keys_until(
            |event| event.routing_key == "binding.created" && has(event, "destination_name", "q"),
            |event| !others.iter().any(|other| event.routing_key.starts_with(other)),
        );
        assert_eq!(
            keys.join(" "),
            "binding.created user.created user.tags.set permission.created vhost.created \
             topic.permission.created parameter.set parameter.set vhost.limits.set policy.set \
             parameter.set policy.set queue.created binding.created"
        );
    })
    .needs(Needs::PrivateBroker),
];

const fn row(name: &'static str, script: fn(&mut Scene)) -> Row {
    Row::new("", name, script).needs(Needs::Events)
}

/// Whether a peer has the exchange.
pub(crate) fn peer_tells(peer: &Broker) -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        let mut client = peer.connect();
        client.send(exchange::declare(EVENTS, "topic").with(Flag::Passive));
        client.expect_any().id == exchange::DECLARE_OK
    })
}

/// What is told while a queue is declared and bound twice, and what is not there is undone.
fn told_of_repetitions(scene: &mut Scene) -> Vec<String> {
    let mut told = Listener::start(scene, &["queue.*", "binding.*"]);
    let (q, last) = (scene.q(), scene.name("last"));
    for _ in 0..2 {
        scene.client.declare_bound_queue(&q, "amq.topic", "k");
    }
    scene.client.call(queue::unbind(&q, "amq.topic", "other"));
    scene.client.call(queue::delete("t-there-is-none"));
    scene.client.declare_queue(&last);
    told.keys_until(
        |event| has(event, "name", &last),
        |event| has(event, "name", &q) || has(event, "destination_name", &q),
    )
}

/// Somebody who is told.
struct Listener {
    client: RawClient,
}

impl Listener {
    /// Of events with these keys; the broker is shared, so of others' doing, too.
    fn start(scene: &Scene, keys: &[&str]) -> Self {
        let name = scene.name("told");
        let mut client = scene.connect();
        client.call(queue::declare(&name).with(Flag::Exclusive));
        for key in keys {
            client.call(queue::bind(&name, EVENTS, key));
        }
        client.call(basic::consume(&name, "").with(Flag::NoAck));
        Self { client }
    }

    /// The next event that is of interest.
    fn next(&mut self, is_of_interest: impl Fn(&Delivery) -> bool) -> Delivery {
        let deadline = Deadline::of("an event is told");
        loop {
            deadline.check();
            let event = self.client.expect_delivery();
            if is_of_interest(&event) {
                return event;
            }
        }
    }

    /// The keys of what is of interest until the last event comes, which is counted.
    fn keys_until(
        &mut self,
        is_last: impl Fn(&Delivery) -> bool,
        is_of_interest: impl Fn(&Delivery) -> bool,
    ) -> Vec<String> {
        let mut keys = Vec::new();
        loop {
            let event = self.next(|event| is_of_interest(event) || is_last(event));
            if is_of_interest(&event) {
                keys.push(event.routing_key.clone());
            }
            if is_last(&event) {
                return keys;
            }
        }
    }

    /// The next event in which a field has this value says exactly this, of guest's doing.
    fn expect(&mut self, key: &str, field: &str, value: &str, says: Table) {
        self.expect_by("guest", key, field, value, says);
    }

    fn expect_by(&mut self, user: &str, key: &str, field: &str, value: &str, says: Table) {
        let event = self.next(|event| event.routing_key == key && has(event, field, value));
        let mut headers = headers(&event);
        // Of a node and a moment.
        headers
            .0
            .retain(|(name, _)| !matches!(name.as_str(), "timestamp_in_ms" | "leader" | "members"));
        let mut says = says.with("user_who_performed_action", user).with("vhost", "/");
        says.0.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(headers, says, "{key}");
    }
}

fn headers(event: &Delivery) -> Table {
    event.content.properties.headers.clone().expect("headers")
}

fn has(event: &Delivery, field: &str, value: &str) -> bool {
    headers(event).get(field) == Some(&value.into())
}

fn text(table: &Table, field: &str) -> String {
    match table.get(field) {
        Some(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{field} is {other:?}"),
    }
}

fn names(table: &Table) -> String {
    let names: Vec<&str> = table.0.iter().map(|(name, _)| name.as_str()).collect();
    names.join(" ")
}

/// A broker with the vhosts `/` and `other`, and its file.
fn defined() -> (TempDir, BrokerUnderTest) {
    let directory = TempDir::with_prefix("leveret-test-").expect("a temporary directory");
    std::fs::write(path(&directory), definitions("")).expect("a writable file");
    let config = format!("load_definitions = {}\n", path(&directory));
    (directory, BrokerUnderTest::start_with(&config))
}

fn path(directory: &TempDir) -> String {
    directory.path().join("definitions.json").display().to_string()
}

/// What a second file adds.
const FURTHER: &str = r#"
    "topic_permissions": [{"user": "bob", "vhost": "/", "exchange": "amq.topic", "write": "w",
                           "read": "r"}],
    "parameters": [
        {"vhost": "/", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 9}},
        {"vhost": "/", "component": "operator_policy", "name": "op",
         "value": {"pattern": "^q", "apply-to": "queues", "priority": 1,
                   "definition": {"max-length": 7}}}
    ],
    "global_parameters": [{"name": "n", "value": 5}],
    "policies": [{"vhost": "/", "name": "p", "pattern": "^q", "apply-to": "queues", "priority": 0,
                  "definition": {"max-length": 9}}],
    "queues": [{"vhost": "/", "name": "q", "durable": true, "auto_delete": false, "arguments": {}}],
    "bindings": [{"vhost": "/", "source": "amq.direct", "destination": "q",
                  "destination_type": "queue", "routing_key": "k", "arguments": {}}],
    "#;

fn definitions(further: &str) -> String {
    let hash = "xMHW4aXhn1pgEzVfcaTVn9oSCoFdwlO7uqpEDrTX7kVkia13";
    let algorithm = r#""hashing_algorithm": "rabbit_password_hashing_sha256""#;
    let (bob, vhost) = match further {
        "" => (String::new(), ""),
        _ => (
            format!(
                r#", {{"name": "bob", "password_hash": "", "tags": ["management"], {algorithm}}}"#
            ),
            r#", {"name": "new"}"#,
        ),
    };
    let rights = |user: &str, vhost: &str| {
        format!(
            r#"{{"user": "{user}", "vhost": "{vhost}", "configure": ".*", "write": ".*", "read": ".*"}}"#
        )
    };
    let bobs = if further.is_empty() { String::new() } else { format!(", {}", rights("bob", "/")) };
    format!(
        r#"{{{further}
            "users": [{{"name": "guest", "password_hash": "{hash}", "tags": [], {algorithm}}}{bob}],
            "vhosts": [{{"name": "/"}}, {{"name": "other"}}{vhost}],
            "permissions": [{}, {}{bobs}]}}"#,
        rights("guest", "/"),
        rights("guest", "other")
    )
}
