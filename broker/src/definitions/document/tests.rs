//! What documents of several versions say, and what is said of documents that cannot be read.

use leveret_protocol::types::FieldValue;
use serde_json::json;

use super::written::Author;
use super::*;
use crate::password;

fn read(document: &Value) -> Document {
    Document::read(document.to_string().as_bytes(), HashingAlgorithm::Sha256)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn fault(document: &Value) -> String {
    let error = Document::read(document.to_string().as_bytes(), HashingAlgorithm::Sha256)
        .expect_err("it cannot be read");
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

const HASH: &str = "xMHW4aXhn1pgEzVfcaTVn9oSCoFdwlO7uqpEDrTX7kVkia13";

/// As RabbitMQ 4 exports it.
fn export() -> Value {
    json!({
        "rabbitmq_version": "4.3.6",
        "rabbitmq_definition_format": "cluster",
        "users": [{
            "name": "guest", "password_hash": HASH,
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": ["administrator"], "limits": {}
        }],
        "vhosts": [{
            "name": "v", "limits": [],
            "metadata": {"description": "of tests", "tags": ["t"], "default_queue_type": "classic"}
        }],
        "permissions": [
            {"user": "guest", "vhost": "v", "configure": ".*", "write": "", "read": "^q"}
        ],
        "topic_permissions": [
            {"user": "guest", "vhost": "v", "exchange": "x", "write": "^a", "read": ".*"}
        ],
        "parameters": [
            {"value": {"max-queues": 5}, "vhost": "v", "component": "vhost-limits", "name": "limits"},
            {
                "value": {
                    "pattern": "^q", "definition": {"expires": 1000}, "priority": 1,
                    "apply-to": "queues"
                },
                "vhost": "v", "component": "operator_policy", "name": "short"
            }
        ],
        "global_parameters": [{"name": "cluster_name", "value": "rabbit@host"}],
        "policies": [{
            "vhost": "v", "name": "p", "pattern": "^q", "apply-to": "classic_queues",
            "definition": {"max-length": 10}, "priority": 3
        }],
        "queues": [{
            "name": "q", "vhost": "v", "type": "quorum", "durable": true, "auto_delete": false,
            "arguments": {"x-queue-type": "quorum", "x-max-length": 5}
        }],
        "exchanges": [{
            "name": "x", "vhost": "v", "type": "topic", "durable": true, "auto_delete": true,
            "internal": true, "arguments": {}
        }],
        "bindings": [{
            "source": "x", "vhost": "v", "destination": "q", "destination_type": "queue",
            "routing_key": "#", "arguments": {}
        }]
    })
}

#[test]
fn an_export_is_read_whole() {
    let document = read(&export());
    let [user] = &*document.users else { panic!("{document:?}") };
    assert!(
        password::verify(HashingAlgorithm::Sha256, &user.password_hash, b"guest")
            && user.has_tag("administrator")
    );
    let vhost = VhostRecord {
        name: "v".to_owned(),
        description: "of tests".to_owned(),
        tags: vec!["t".to_owned()],
        ..VhostRecord::default()
    };
    assert_eq!(document.vhosts, [vhost]);
    assert_eq!(document.permissions[0].read, "^q");
    assert_eq!(document.topic_permissions[0].write, "^a");
    assert_eq!(document.parameters[0].component, "vhost-limits");
    assert_eq!(document.global_parameters[0].value, json!("rabbit@host"));
    let policies: Vec<_> =
        document.policies.iter().map(|policy| (policy.kind, policy.name.as_str())).collect();
    assert_eq!(policies, [(PolicyKind::Policy, "p"), (PolicyKind::Operator, "short")]);
    let queue = &document.queues[0];
    assert_eq!(queue.arguments.get("x-max-length"), Some(&FieldValue::I64(5)));
    assert!(queue.durable && !queue.auto_delete);
    let exchange = &document.exchanges[0];
    assert!(exchange.kind == ExchangeKind::Topic && exchange.internal && exchange.auto_delete);
    assert_eq!(document.bindings[0].destination_kind, DestinationKind::Queue);
    assert_eq!(document.notes, [""; 0]);
}

#[test]
fn what_old_versions_leave_out_has_its_default() {
    let document = read(&json!({
        "rabbit_version": "3.5.7",
        "users": [
            {"name": "a", "password_hash": HASH, "tags": "administrator, monitoring"},
            {"name": "b", "tags": ""},
            {"name": "c", "password": "secret", "administrator": true}
        ],
        "vhosts": [{"name": "v", "description": "old", "tags": "x,y"}],
        "policies": [{"vhost": "v", "name": "p", "pattern": "", "definition": {"expires": 1}}],
        "queues": [{"name": "q", "vhost": "v", "arguments": []}],
        "exchanges": [{"name": "x", "vhost": "v", "type": "fanout", "arguments": null}],
        "bindings": [
            {"source": "x", "vhost": "v", "destination": "q", "destination_type": "queue"}
        ]
    }));
    let [a, b, c] = &*document.users else { panic!("{document:?}") };
    assert_eq!(
        (a.hashing_algorithm, &*a.tags.join("+")),
        (HashingAlgorithm::Md5, "administrator+monitoring")
    );
    assert_eq!((b.password_hash.as_str(), b.tags.len()), ("", 0));
    assert!(
        password::verify(HashingAlgorithm::Sha256, &c.password_hash, b"secret")
            && c.has_tag("administrator")
    );
    assert_eq!((&*document.vhosts[0].description, document.vhosts[0].tags.len()), ("old", 2));
    assert_eq!(document.policies[0].priority, 0.into());
    assert!(document.queues[0].durable && document.exchanges[0].durable);
    assert_eq!(document.bindings[0].routing_key, "");
}

#[test]
fn what_is_the_brokers_own_or_of_the_past_is_passed_over_with_a_note() {
    let document = read(&json!({
        "exchanges": [
            {"name": "", "vhost": "v", "type": "direct"},
            {"name": "amq.direct", "vhost": "v", "type": "direct"}
        ],
        "queues": [{"name": "amq.gen-x", "vhost": "v"}],
        "bindings": [
            {"source": "", "vhost": "v", "destination": "q", "destination_type": "queue"}
        ],
        "policies": [
            {"vhost": "v", "name": "ha", "pattern": "", "definition": {"ha-mode": "all"}},
            {
                "vhost": "v", "name": "both", "pattern": "",
                "definition": {"ha-mode": "all", "ha-sync-mode": "automatic", "max-length": 1}
            }
        ]
    }));
    assert!(document.exchanges.is_empty() && document.queues.is_empty());
    assert!(document.bindings.is_empty());
    assert_eq!(document.policies.len(), 1);
    assert_eq!(document.policies[0].definition.len(), 1);
    assert_eq!(document.notes.len(), 6);
}

#[test]
fn the_type_of_queues_that_name_none_is_their_vhosts() {
    let of = |named: Value| {
        let vhost = json!({"name": "v", "metadata": {"default_queue_type": named}});
        Document::read(json!({"vhosts": [vhost]}).to_string().as_bytes(), HashingAlgorithm::Sha256)
            .map(|document| {
                let vhost = &document.vhosts[0];
                (vhost.queue_type().map(str::to_owned), document.notes.len())
            })
    };
    for classic in [json!("classic"), json!("undefined"), json!(""), json!(null)] {
        assert_eq!(of(classic), Ok((None, 0)));
    }
    assert_eq!(of(json!("quorum")), Ok((Some("quorum".to_owned()), 0)));
    assert_eq!(of(json!("stream")), Ok((None, 1)), "there are none, which is said");
    let refused = of(json!("bogus")).unwrap_err().to_string();
    assert_eq!(refused, "vhosts, entry 1 ('v'): bogus is not a valid queue type");
    assert!(of(json!(5)).is_err());
}

#[test]
fn nothing_and_a_mark_before_the_text_are_documents() {
    for text in ["", "{}", "\u{feff}{}", "\u{feff}", "{\"queues\": null}"] {
        let read = Document::read(text.as_bytes(), HashingAlgorithm::Sha256);
        assert_eq!(read, Ok(Document::default()), "{text:?}");
    }
}

#[test]
fn the_first_object_that_cannot_be_read_is_named() {
    for (document, expected) in [
        (json!([1]), "the document: it is not a JSON object"),
        (json!({"queues": 1}), "queues: it is not a list"),
        (json!({"queues": [1]}), "queues, entry 1: it is not an object"),
        (
            json!({"queues": [{"name": "q"}]}),
            "queues, entry 1 ('q'): 'vhost' is missing: definitions that were exported for a single \
             vhost are loaded into one",
        ),
        (
            json!({"queues": [{"name": "q".repeat(256), "vhost": ""}]}),
            &format!(
                "queues, entry 1 ('{}' in vhost ''): 'name' is longer than 255 \
                 bytes",
                "q".repeat(256)
            ),
        ),
        (json!({"queues": [{"vhost": "v"}]}), "queues, entry 1 (in vhost 'v'): 'name' is missing"),
        (
            json!({"queues": [{"name": "q\n\u{85}", "vhost": "v\r\u{1b}", "durable": 1}]}),
            "queues, entry 1 ('q\\n\\u{85}' in vhost 'v\\r\\u{1b}'): 'durable' is neither true nor false",
        ),
        (
            json!({"queues": [{"name": "", "vhost": "v"}]}),
            "queues, entry 1 ('' in vhost 'v'): 'name' is empty",
        ),
        (
            json!({"queues": [{"name": "q", "vhost": "v", "durable": "yes"}]}),
            "queues, entry 1 ('q' in vhost 'v'): 'durable' is neither true nor false",
        ),
        (
            json!({"queues": [{"name": "q", "vhost": "v", "arguments": {"x": null}}]}),
            "queues, entry 1 ('q' in vhost 'v'): argument 'x': null is no value",
        ),
        (
            json!({"exchanges": [{"name": "x", "vhost": "v", "type": "foo"}]}),
            "exchanges, entry 1 ('x' in vhost 'v'): invalid exchange type 'foo'",
        ),
        (
            json!({"bindings": [
                {"source": "x", "vhost": "v", "destination": "q", "destination_type": "topic"}
            ]}),
            "bindings, entry 1 (from 'x' to 'q' in vhost 'v'): 'destination_type' is queue or \
             exchange, not 'topic'",
        ),
    ] {
        assert_eq!(fault(&document), expected);
    }
    let broken =
        Document::read(b"{\"queues\":\n[}", HashingAlgorithm::Sha256).unwrap_err().to_string();
    assert_eq!(broken, "the document: it is not JSON: expected value at line 2 column 2");
}

#[test]
fn users_and_policies_are_refused_in_words_that_help() {
    for (document, expected) in [
        (json!({"users": [{"name": "u"}]}), "users, entry 1 ('u'): 'tags' is missing"),
        (
            json!({"users": [{"name": "u", "tags": "", "password_hash": "?"}]}),
            "users, entry 1 ('u'): 'password_hash' is not base64",
        ),
        (
            json!({"users": [{"name": "u", "tags": "", "password_hash": "", "password": ""}]}),
            "users, entry 1 ('u'): it has both 'password' and 'password_hash'",
        ),
        (
            json!({"users": [{
                "name": "u", "tags": "", "password_hash": "", "hashing_algorithm": "rot13"
            }]}),
            "users, entry 1 ('u'): there is no 'hashing_algorithm' \"rot13\"",
        ),
        (
            json!({"policies": [
                {"vhost": "v", "name": "p", "pattern": "", "definition": {"foo": 1}, "priority": ""}
            ]}),
            "policies, entry 1 ('p' in vhost 'v'): [{<<\"foo\">>,1}] are not recognised policy \
             settings; priority should be a number, actually was <<>>",
        ),
        (
            json!({"parameters": [
                {"vhost": "v", "component": "policy", "name": "p", "value": {}}
            ]}),
            "parameters, entry 1 ('policy' 'p' in vhost 'v'): policies may not be set using this \
             method",
        ),
    ] {
        assert_eq!(fault(&document), expected);
    }
}

/// The answer of RabbitMQ 4.3.6 to `GET /api/definitions/wdx`, octet for octet.
const OF_A_VHOST: &str = concat!(
    r#"{"description":"d","metadata":{"description":"d","tags":["a","b"],"default_queue_type":"quorum"},"#,
    r#""rabbitmq_version":"4.3.6","product_name":"RabbitMQ","product_version":"4.3.6","#,
    r#""rabbit_version":"4.3.6","exchanges":[{"arguments":{},"auto_delete":false,"durable":false,"#,
    r#""name":"x2","type":"headers"}],"parameters":[{"component":"operator_policy","name":"o1","value":"#,
    r#"{"apply-to":"queues","definition":{"max-length":5},"pattern":"^q","priority":3}},"#,
    r#"{"component":"vhost-limits","name":"limits","value":{"max-queues":50}}],"policies":["#,
    r#"{"apply-to":"queues","definition":{"max-length":5},"name":"p1","pattern":"^q","priority":3}],"#,
    r#""limits":{"max-queues":50},"explanation":"Definitions of virtual host 'wdx'","#,
    r#""original_vhost_name":"wdx","rabbitmq_definition_format":"single_virtual_host","queues":["#,
    r#"{"arguments":{"x-message-ttl":5,"x-queue-type":"quorum"},"auto_delete":false,"durable":true,"#,
    r#""name":"q1","type":"quorum"},{"arguments":{"x-queue-type":"classic"},"auto_delete":true,"#,
    r#""durable":false,"name":"qc","type":"classic"}],"bindings":[{"arguments":{},"destination":"qc","#,
    r#""destination_type":"queue","routing_key":"","source":"amq.fanout"},{"arguments":{},"#,
    r#""destination":"x2","destination_type":"exchange","routing_key":"rk","source":"x1"},"#,
    r#"{"arguments":{"a":1,"b":[1,2]},"destination":"q1","destination_type":"queue","#,
    r#""routing_key":"rk","source":"x1"}]}"#,
);

/// Parts of its answer to `GET /api/definitions`, in their order.
const OF_ALL: &str = concat!(
    r#"{"permissions":[{"configure":"a","read":"c","user":"wdu","vhost":"wdx","write":"b"}],"#,
    r#""rabbitmq_version":"4.3.6","product_name":"RabbitMQ","product_version":"4.3.6","#,
    r#""rabbit_version":"4.3.6","vhosts":[{"limits":{"max-queues":50},"metadata":{"description":"d","#,
    r#""tags":["a","b"],"default_queue_type":"quorum"},"name":"wdx"}],"users":["#,
    r#"{"hashing_algorithm":"rabbit_password_hashing_sha256","limits":{"max-channels":5},"#,
    r#""name":"wdu","password_hash":"m0rzlcF3CNzWX3X/f/N5on/1ml6URraYL4MeQ3K6Zj4vu8+d","#,
    r#""tags":["monitoring"]}],"exchanges":[],"global_parameters":[{"name":"cluster_tags","value":[]}],"#,
    r#""parameters":[{"component":"vhost-limits","name":"limits","value":{"max-queues":50},"#,
    r#""vhost":"wdx"}],"policies":[{"apply-to":"queues","definition":{"max-length":5},"name":"p1","#,
    r#""pattern":"^q","priority":3,"vhost":"wdx"}],"topic_permissions":[{"exchange":"amq.topic","#,
    r#""read":"c","user":"wdu","vhost":"wdx","write":"b"}],"#,
    r#""explanation":"Definitions of cluster 'peer5683@vm'","rabbitmq_definition_format":"cluster","#,
    r#""original_cluster_name":"peer5683@vm","queues":[],"bindings":[]}"#,
);

#[test]
fn what_rabbitmq_exports_is_written_as_it_writes_it() {
    let [product, version, cluster_name] = ["RabbitMQ", "4.3.6", "peer5683@vm"].map(str::to_owned);
    let author = Author { product, version, cluster_name };
    let hashing = HashingAlgorithm::Sha256;
    let whole = Document::read(OF_ALL.as_bytes(), hashing).unwrap();
    assert_eq!(String::from_utf8(whole.written(Scope::Whole, &author)).unwrap(), OF_ALL);
    let scope = Scope::Vhost("wdx");
    let mut of_vhost = Document::read_of(scope, OF_A_VHOST.as_bytes(), hashing).unwrap();
    of_vhost.vhosts = whole.vhosts;
    assert_eq!(String::from_utf8(of_vhost.written(scope, &author)).unwrap(), OF_A_VHOST);
}
