//! A broker that is started with a file of definitions.

use std::path::PathBuf;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::TO_RUN;
use leveret_tests::raw_client::method::{basic, channel, connection, exchange, queue};
use leveret_tests::raw_client::{Flag, Handshake, Message, RawClient, Value};
use tempfile::TempDir;

/// A file of definitions and a broker whose configuration names it.
struct Rig {
    directory: TempDir,
    broker: BrokerUnderTest,
}

/// The user `bob`, whose password is `guest`, with every right in vhost `/`.
const ACCESS: &str = r#"
    "rabbitmq_version": "4.3.6", "rabbitmq_definition_format": "cluster", "unknown": {"a": 1},
    "users": [{
        "name": "bob", "password_hash": "xMHW4aXhn1pgEzVfcaTVn9oSCoFdwlO7uqpEDrTX7kVkia13",
        "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["administrator"],
        "limits": {}
    }],
    "vhosts": [{"name": "/", "limits": [], "metadata": {"description": "", "tags": []}}],
    "permissions": [
        {"user": "bob", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    ]"#;

/// An exchange that leads nowhere, and one with a queue for what it does not route.
const TOPOLOGY: &str = r#"
    "exchanges": [
        {"name": "lonely", "vhost": "/", "type": "fanout", "durable": true, "auto_delete": false,
         "internal": false, "arguments": {}},
        {"name": "rest", "vhost": "/", "type": "fanout", "durable": true, "auto_delete": false,
         "internal": false, "arguments": {}}
    ],
    "queues": [
        {"name": "rest", "vhost": "/", "durable": true, "auto_delete": false,
         "arguments": {"x-max-length": 1000, "x-queue-type": "classic"}},
        {"name": "passing", "vhost": "/", "durable": false, "auto_delete": false, "arguments": {}}
    ],
    "bindings": [
        {"source": "rest", "vhost": "/", "destination": "rest", "destination_type": "queue",
         "routing_key": "", "arguments": {}}
    ]"#;

/// What exchanges do not route goes to `rest`, for those whose names begin so.
const POLICY: &str = r#"
    "policies": [{
        "vhost": "/", "name": "alternate", "pattern": "^lonely", "apply-to": "exchanges",
        "definition": {"alternate-exchange": "rest"}, "priority": 0
    }]"#;

impl Rig {
    fn start(parts: &[&str], config: &str) -> Self {
        let mut rig = Self::stopped(parts, config);
        rig.broker.start_again();
        rig
    }

    fn stopped(parts: &[&str], config: &str) -> Self {
        let directory = TempDir::with_prefix("leveret-test-").expect("a temporary directory");
        let path = directory.path().join("definitions.json");
        let config = config.replace("FILE", &path.display().to_string());
        let rig = Self { directory, broker: BrokerUnderTest::stopped(&config, None) };
        rig.write(parts);
        rig
    }

    fn write(&self, parts: &[&str]) {
        let text = format!("{{{}}}", parts.join(","));
        std::fs::write(self.path(), text).expect("a writable file");
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("definitions.json")
    }

    fn restart(&mut self) {
        assert!(self.broker.terminate(TO_RUN).success());
        self.broker.start_again();
    }

    /// What bob is told who opens a vhost that does not let him in.
    fn refused(&self, vhost: &str) -> String {
        let mut client = self.broker.broker().socket();
        client.authenticate(&Handshake::plain("bob", "guest"));
        client.send(connection::open(vhost));
        let close = client.expect_any().close();
        assert_eq!(close.code, 530);
        close.text
    }

    fn connect(&self) -> RawClient {
        self.broker.broker().connect_as(&Handshake::plain("bob", "guest"))
    }
}

const LOAD: &str = "load_definitions = FILE\n";

#[test]
fn users_and_topology_are_those_of_the_file() {
    let mut rig = Rig::start(&[ACCESS, TOPOLOGY], LOAD);
    for _ in 0..2 {
        let mut client = rig.connect();
        client.publish(&Message::to("rest", "").body("routed"));
        assert_eq!(client.drain("rest"), ["routed"]);
        assert!(client.queue_exists("passing"), "a transient queue is made at every start");
        // It is there with the arguments of the file.
        let equal = queue::declare("rest").with(Flag::Durable).arg("x-max-length", 1000);
        client.call(equal);
        client.close();
        // The default user is not made beside them.
        let mut guest = rig.broker.broker().socket();
        guest.greet();
        guest.start_ok(&Handshake::plain("guest", "guest"));
        guest.expect_connection_close(
            403,
            "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details \
             see the broker logfile.",
            (0, 0),
        );
        rig.restart();
    }
    rig.broker.assert_no_panic();
}

#[test]
fn policies_reach_what_exists_and_what_comes() {
    let mut rig = Rig::start(&[ACCESS, TOPOLOGY], LOAD);
    let mut client = rig.connect();
    client.publish(&Message::to("lonely", "").with(Flag::Mandatory).body("nowhere"));
    assert_eq!(client.expect_return().content.body, b"nowhere");
    client.close();
    rig.write(&[ACCESS, TOPOLOGY, POLICY]);
    rig.restart();
    let declare = |client: &mut RawClient| {
        client.call(exchange::declare("lonely.new", "fanout").with(Flag::Durable));
    };
    for round in ["set", "stored"] {
        let mut client = rig.connect();
        declare(&mut client);
        for name in ["lonely", "lonely.new"] {
            client.publish(&Message::to(name, "").with(Flag::Mandatory).body(name));
        }
        assert_eq!(client.drain("rest"), ["lonely", "lonely.new"], "{round}");
        client.close();
        // What was loaded stays when the file does not say it any more.
        rig.write(&[ACCESS]);
        rig.restart();
    }
    rig.broker.assert_no_panic();
}

/// Also after a restart, when the policy comes from the store.
#[test]
fn a_policy_has_messages_wait() {
    let policy = r#""policies": [{
        "vhost": "/", "name": "later", "pattern": "^rest$", "apply-to": "exchanges",
        "definition": {"delayed-message": true}
    }]"#;
    let mut rig = Rig::start(&[ACCESS, TOPOLOGY, policy], LOAD);
    for _ in 0..2 {
        let mut client = rig.connect();
        client.consume("rest");
        for (delay, body) in [(150, "last"), (50, "first")] {
            client.publish(&Message::to("rest", "").header("x-delay", delay).body(body));
        }
        client.publish(&Message::to("rest", "").body("at once"));
        let tags = client.expect_deliveries(&["at once", "first", "last"]);
        client.send(basic::ack(tags[2]).with(Flag::Multiple));
        client.close();
        rig.write(&[ACCESS]);
        rig.restart();
    }
    rig.broker.assert_no_panic();
}

/// RabbitMQ 4.3: the vhost's type is that of queues that name none and stay, in files and by clients,
/// and it counts as named when a queue is declared again.
#[test]
fn queues_that_name_no_type_get_their_vhosts() {
    let vhost = ACCESS.replace(
        r#""description": "", "tags": []"#,
        r#""description": "", "tags": [], "default_queue_type": "quorum""#,
    );
    let mut rig = Rig::start(&[&vhost, TOPOLOGY], LOAD);
    for round in 0..2 {
        let mut client = rig.connect();
        let durable = |name: &str| queue::declare(name).with(Flag::Durable);
        for name in ["stays", "typed", "left"] {
            let declare = if name == "left" {
                durable(name).arg("x-queue-type", "undefined")
            } else {
                durable(name)
            };
            client.call(declare);
            client.call(durable(name).arg("x-queue-type", "quorum"));
        }
        client.call(durable("rest").arg("x-max-length", 1000).arg("x-queue-type", "classic"));
        client.call(queue::declare("passing").arg("x-queue-type", "classic"));
        client.call(durable("goes").with(Flag::AutoDelete));
        client.call(durable("goes").with(Flag::AutoDelete).arg("x-queue-type", "classic"));
        client.call(durable("own").with(Flag::Exclusive).arg("x-max-priority", 5));
        for (declare, text) in [
            (
                durable("rest").arg("x-max-length", 1000),
                "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'rest' in vhost \
                 '/': received 'quorum' but current is 'classic'",
            ),
            (
                durable("first").arg("x-max-priority", 5),
                "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'first' in vhost \
                 '/' of queue type rabbit_quorum_queue",
            ),
            (
                queue::declare("short").arg("x-queue-type", "undefined"),
                "PRECONDITION_FAILED - invalid property 'non-durable' for queue 'short' in vhost \
                 '/'",
            ),
        ] {
            client.send(declare);
            client.expect_channel_close(1, 406, text, queue::DECLARE);
            client.open_channel(1);
        }
        client.call(queue::delete("goes"));
        client.close();
        if round == 0 {
            // The vhost keeps its type, whatever is loaded beside it.
            rig.write(&[r#""queues": [{"name": "typed", "vhost": "/"}]"#]);
            rig.restart();
        }
    }
    // A vhost that is described anew has the type that is said then.
    rig.write(&[ACCESS]);
    rig.restart();
    let mut client = rig.connect();
    client.send(queue::declare("stays").with(Flag::Durable));
    client.expect_channel_close(
        1,
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'stays' in vhost '/': \
         received 'classic' but current is 'quorum'",
        queue::DECLARE,
    );
    client.open_channel(1);
    client.close();
    rig.broker.assert_no_panic();
}

#[test]
fn a_file_that_did_not_change_is_skipped_when_that_is_asked_for() {
    let config = "definitions.import_backend = local_filesystem\n\
                  definitions.local.path = FILE\n\
                  definitions.skip_if_unchanged = true\n";
    let mut rig = Rig::start(&[ACCESS, TOPOLOGY], config);
    let mut client = rig.connect();
    client.call(queue::delete("rest"));
    client.close();
    rig.restart();
    let mut client = rig.connect();
    client.expect_no_queue("rest");
    client.close();
    rig.write(&[ACCESS, TOPOLOGY, POLICY]);
    rig.restart();
    assert!(rig.connect().queue_exists("rest"));
    rig.broker.assert_no_panic();
}

#[test]
fn a_file_that_cannot_be_used_is_refused_in_one_line_and_changes_nothing() {
    let wrong = [
        (
            r#""queues": [{"name": "q", "vhost": "/", "arguments": {"x-max-length": -1}}]"#,
            "queue 'q' in vhost '/': invalid arg 'x-max-length' for queue 'q' in vhost '/': \
             {value_negative,-1}",
        ),
        (
            r#""policies": [{"vhost": "/", "name": "p", "pattern": "", "definition": {"no": 1}}]"#,
            "policies, entry 1 ('p' in vhost '/'): [{<<\"no\">>,1}] are not recognised policy \
             settings",
        ),
        (
            r#""bindings": [{"source": "x", "vhost": "/", "destination": "q",
                             "destination_type": "queue"}]"#,
            "binding from 'x' to 'q' in vhost '/': there is no exchange 'x'",
        ),
        ("no JSON", "the document: it is not JSON: "),
    ];
    let mut rig = Rig::stopped(&[ACCESS], LOAD);
    for (part, reason) in wrong {
        rig.write(&[ACCESS, part]);
        let refusal = rig.broker.expect_refusal();
        assert_eq!(refusal.code, Some(1));
        let path = rig.path();
        let line = format!("leveret: cannot load definitions from {}: {reason}", path.display());
        assert!(refusal.stderr.starts_with(&line), "{}", refusal.stderr);
        assert_eq!(refusal.stderr.trim_end().lines().count(), 1, "{}", refusal.stderr);
    }
    std::fs::remove_file(rig.path()).expect("it was written");
    assert!(rig.broker.expect_refusal().stderr.contains("definitions.json: No such file"));
    rig.write(&[ACCESS, TOPOLOGY]);
    rig.broker.start_again();
    assert!(rig.connect().queue_exists("rest"));
    rig.broker.assert_no_panic();
}

/// Rules over routing keys, for who binds and for who publishes.
#[test]
fn routing_keys_of_topic_exchanges_may_be_limited() {
    const TOPICS: &str = r#"
        "topic_permissions": [
            {"user": "bob", "vhost": "/", "exchange": "amq.topic", "write": "^{username}\\.",
             "read": "^open\\."}
        ]"#;
    let mut rig = Rig::start(&[ACCESS, TOPICS], "load_definitions = FILE\n");
    for _ in 0..2 {
        let mut client = rig.connect();
        client.declare_queue("q");
        let bind = |key: &str| queue::bind("q", "amq.topic", key);
        client.call(bind("open.#"));
        client.publish(&Message::to("amq.topic", "bob.1"));
        client.publish(&Message::to("amq.topic", "bob.2").header("CC", Value::texts(&["eve.1"])));
        assert_refused(&mut client, "write access to topic 'eve.1'");
        client.send(bind("secret.*"));
        assert_refused(&mut client, "read access to topic 'secret.*'");
        client.send(exchange::bind("amq.fanout", "amq.topic", "secret"));
        assert_refused(&mut client, "read access to topic 'secret'");
        client.close();
        rig.restart();
    }
}

fn assert_refused(client: &mut RawClient, what: &str) {
    let close = client.expect_any().close();
    let text = format!(
        "ACCESS_REFUSED - {what} in exchange 'amq.topic' in vhost '/' refused for user 'bob'"
    );
    assert_eq!((close.code, close.text), (403, text));
    client.send(channel::close_ok());
    client.open_channel(1);
}

/// The user `bob`, and how much there may be of everything.
const LIMITED: &str = r#"
    "users": [{
        "name": "bob", "password_hash": "xMHW4aXhn1pgEzVfcaTVn9oSCoFdwlO7uqpEDrTX7kVkia13",
        "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": [],
        "limits": {"max-connections": 2, "max-channels": 3}
    }],
    "vhosts": [
        {"name": "/"}, {"name": "closed", "limits": [{"name": "max-connections", "value": 0}]}
    ],
    "permissions": [
        {"user": "bob", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
        {"user": "bob", "vhost": "closed", "configure": ".*", "write": ".*", "read": ".*"}
    ],
    "parameters": [{
        "component": "vhost-limits", "name": "limits", "vhost": "/",
        "value": {"max-queues": 2, "max-connections": -1}
    }]"#;

#[test]
fn users_and_vhosts_have_their_limits() {
    let mut rig = Rig::start(&[LIMITED], LOAD);
    for _ in 0..2 {
        let mut first = rig.connect();
        let mut second = rig.connect();
        second.open_channel(2);
        first.send(channel::open(2));
        let refused = first.expect_any().close();
        let text = "NOT_ALLOWED - number of channels opened for user 'bob' has reached the maximum \
                    allowed user limit of 3";
        assert_eq!((refused.code, refused.text.as_str()), (530, text));
        first.send(connection::close_ok());
        first.expect_socket_closed(TO_RUN);
        let mut first = rig.connect();
        let reached = "NOT_ALLOWED - connection refused for user 'bob': user connection limit (2) is \
                       reached";
        assert_eq!(rig.refused("/"), reached);
        first.declare_queue("a");
        first.declare_queue("b");
        first.declare_queue("a");
        first.send(queue::declare("c"));
        let close = first.expect_any().close();
        let text = "PRECONDITION_FAILED - cannot declare queue 'c': queue limit in vhost '/' (2) is \
                    reached";
        assert_eq!((close.code, close.text.as_str()), (406, text));
        first.send(channel::close_ok());
        first.close();
        second.close();
        let closed = "NOT_ALLOWED - access to vhost 'closed' refused for user 'bob': connection limit \
                      (0) is reached";
        assert_eq!(rig.refused("closed"), closed);
        rig.restart();
    }
}
