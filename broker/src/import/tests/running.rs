//! Definitions of a broker that runs: what comes out is what went in, what would be changed is what is
//! changed, what cannot be is told in RabbitMQ's words.

use proptest::prelude::*;

use super::super::running::{Import, Imported, export, import};
use super::*;
use crate::broker::access::By;
use crate::definitions::document::Scope;
use crate::definitions::document::written::Author;
use crate::message::tests::message;
use crate::queue::Effects;

fn author() -> Author {
    let [product, version, cluster_name] = ["RabbitMQ", "4.3.6", "rabbit@here"].map(str::to_owned);
    Author { product, version, cluster_name }
}

const NOTHING: &str = "0 added, 0 changed, 0 removed";

const WHOLE: Import<'_> = Import { scope: Scope::Whole, text: b"", prune: false, dry_run: false };

impl Rig<MemoryMetadata> {
    fn import(&self, document: &Value) -> Result<Imported, String> {
        self.ask(WHOLE, document)
    }

    fn ask(&self, asked: Import<'_>, document: &Value) -> Result<Imported, String> {
        let text = document.to_string();
        let asked = Import { text: text.as_bytes(), ..asked };
        import(&self.broker, By::CommandLine, &asked).map_err(|error| {
            assert!(!error.to_string().contains('\n'), "{error}");
            error.reason()
        })
    }

    fn export(&self, scope: Scope<'_>) -> String {
        String::from_utf8(export(&self.broker, scope, &author()).unwrap()).unwrap()
    }

    fn exported(&self) -> Value {
        serde_json::from_str(&self.export(Scope::Whole)).unwrap()
    }
}

/// Something of everything.
fn rich() -> Value {
    let mut all = whole();
    all["vhosts"] = json!([
        {"name": "v", "metadata": {
            "description": "d", "tags": ["t"], "default_queue_type": "quorum",
            "protected_from_deletion": true
        }},
        {"name": "w"}
    ]);
    all["users"][0]["limits"] = json!({"max-channels": 5});
    all["topic_permissions"] = json!([
        {"user": "bob", "vhost": "v", "exchange": "x", "write": "^a", "read": ""}
    ]);
    all["global_parameters"] = json!([{"name": "cluster_name", "value": "mine"}]);
    all["parameters"] = json!([
        {"vhost": "v", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 9}},
        {"vhost": "v", "component": "operator_policy", "name": "o", "value": {
            "pattern": "^q", "definition": {"max-length": 100}, "priority": 1, "apply-to": "queues"
        }},
        {"vhost": "w", "component": "shovel", "name": "s", "value": {"a": [1, {"b": null}]}}
    ]);
    all["exchanges"] = json!([
        {"name": "x", "vhost": "v", "type": "topic", "internal": true, "auto_delete": true},
        {"name": "y", "vhost": "v", "type": "headers", "durable": false,
         "arguments": {"alternate-exchange": "amq.fanout"}}
    ]);
    all["bindings"].as_array_mut().unwrap().push(json!({
        "source": "y", "vhost": "v", "destination": "q", "destination_type": "queue",
        "routing_key": "", "arguments": {"x-match": "any", "n": 1, "list": ["a", {"b": true}]}
    }));
    all
}

#[test]
fn what_was_imported_is_exported_and_the_same_again_by_whoever_imports_that() {
    let (one, other) = (rig(), rig());
    let imported = one.import(&rich()).unwrap();
    assert_eq!(imported.difference.added.len(), 16, "{}", imported.difference);
    assert_eq!(imported.notes, ["parameters of component 'shovel' have no effect"]);
    let first = one.export(Scope::Whole);
    other.import(&serde_json::from_str(&first).unwrap()).unwrap();
    assert_eq!(other.export(Scope::Whole), first);
    let said = one.exported();
    assert_eq!(said["exchanges"][0]["internal"], json!(true));
    assert_eq!(said["exchanges"][1].get("internal"), None, "as RabbitMQ writes it");
    assert_eq!(said["vhosts"][0]["limits"], json!({"max-queues": 9}));
    let queue = json!({
        "arguments": {"x-max-length": 9, "x-queue-type": "quorum"}, "auto_delete": false,
        "durable": true, "name": "q", "type": "quorum", "vhost": "v"
    });
    assert_eq!(said["queues"], json!([queue]));
}

#[test]
fn what_is_imported_while_the_broker_runs_counts_at_once_and_after_a_restart() {
    let rig = rig();
    rig.import(&rich()).unwrap();
    let vhost = rig.broker.vhost("v").unwrap();
    let queue = vhost.queue("q").unwrap();
    assert_eq!(queue.effective_arguments().get("x-max-length"), Some(&FieldValue::I64(7)));
    assert_eq!(vhost.own_limits().max_queues, Some(9));
    assert_eq!(rig.broker.users().limits("bob").max_channels, Some(5));
    let changed = json!({
        "users": [{"name": "bob", "password": "other", "tags": ""}],
        "vhosts": [{"name": "v", "description": "new"}],
        "permissions": [{"user": "bob", "vhost": "v", "configure": "", "write": "a", "read": ""}],
        "policies": [{"vhost": "v", "name": "p", "pattern": "^q", "definition": {"max-length": 3}}],
        "parameters": [
            {"vhost": "v", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 2}}
        ]
    });
    let imported = rig.import(&changed).unwrap();
    assert_eq!(imported.difference.changed.len(), 5, "{}", imported.difference);
    assert_eq!(queue.effective_arguments().get("x-max-length"), Some(&FieldValue::I64(3)));
    assert_eq!(vhost.own_limits().max_queues, Some(2));
    let bob = rig.broker.users().user("bob").unwrap();
    assert!(password::verify(HashingAlgorithm::Sha256, &bob.password_hash, b"other"));
    assert_eq!(bob.limits.max_channels, Some(5), "of which nothing was said");
    let stored = rig.stored();
    assert_eq!(stored.users[0], *bob);
    assert_eq!(stored.permissions[0].write, "a");
    assert_eq!(stored.vhosts[0].description, "new");
}

#[test]
fn what_is_imported_again_changes_nothing() {
    let rig = rig();
    rig.import(&rich()).unwrap();
    let before = rig.stored();
    let again = rig.import(&rich()).unwrap();
    assert_eq!(again.difference.to_string(), NOTHING);
    assert_eq!(rig.stored(), before, "the password is right as it is");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let rig = rig();
    let dry = Import { dry_run: true, ..WHOLE };
    let would = rig.ask(dry, &rich()).unwrap();
    assert!(rig.broker.vhost("v").is_none() && rig.stored().users.is_empty());
    assert_eq!(rig.import(&rich()).unwrap().difference, would.difference);
    let mut wanted = rich();
    wanted["policies"][0]["definition"] = json!({"max-length": 8});
    wanted["queues"][0]["durable"] = json!(false);
    wanted["queues"][0]["arguments"] = json!({"x-queue-type": "classic"});
    let would = rig.ask(dry, &wanted).unwrap();
    let expected = "~ policy 'p' in vhost 'v': definition {\"max-length\":7} -> {\"max-length\":8}\n\
        = queue 'q' in vhost 'v': arguments {\"x-max-length\":9,\"x-queue-type\":\"quorum\"} -> \
        {\"x-queue-type\":\"classic\"}, durable true -> false, type \"quorum\" -> \"classic\"\n\
        0 added, 1 changed, 0 removed, 1 otherwise and kept";
    assert_eq!(would.difference.to_string(), expected);
    let said = serde_json::to_value(&would.difference).unwrap();
    let step = json!({
        "type": "policy", "vhost": "v", "object": {"name": "p"}, "differs": [
            {"property": "definition", "is": {"max-length": 7}, "wanted": {"max-length": 8}}
        ]
    });
    assert_eq!(said["changed"], json!([step]));
    let kept = rig.import(&wanted).unwrap();
    assert!(kept.notes.iter().any(|note| note.ends_with("it stays as it is")), "{:?}", kept.notes);
    assert!(rig.broker.vhost("v").unwrap().queue("q").unwrap().settings().durable);
}

#[tokio::test]
async fn what_is_not_wanted_goes_if_that_is_asked_for_and_no_message_with_it() {
    let rig = rig();
    rig.import(&rich()).unwrap();
    let vhost = rig.broker.vhost("v").unwrap();
    let bound = |source: &str| json!({"source": source, "vhost": "v", "destination": "q", "destination_type": "queue"});
    let more = json!({
        "queues": [
            {"name": "empty", "vhost": "v"}, {"name": "full", "vhost": "v"},
            {"name": "clients", "vhost": "v", "durable": false,
             "arguments": {"x-queue-type": "classic"}}
        ],
        "exchanges": [{"name": "z", "vhost": "v", "type": "fanout"}],
        "bindings": [bound("z"), bound("amq.fanout")]
    });
    rig.import(&more).unwrap();
    let full = vhost.queue("full").unwrap();
    let mut effects = Effects::default();
    full.publish(std::iter::once(message("full", b"m")), &mut effects);
    effects.carry_out(full.messages());
    let prune = Import { prune: true, ..WHOLE };
    let mut wanted = rich();
    for gone in ["bindings", "policies", "topic_permissions"] {
        wanted[gone] = json!([]);
    }
    wanted.as_object_mut().unwrap().remove("parameters");
    wanted["vhosts"].as_array_mut().unwrap().pop();
    let would = rig.ask(Import { dry_run: true, ..prune }, &wanted).unwrap();
    assert_eq!(would.difference.removed.len(), 8, "{}", would.difference);
    let done = rig.ask(prune, &wanted).unwrap();
    assert_eq!(done.difference, would.difference);
    assert_eq!(
        done.notes,
        ["queue 'full' in vhost 'v' stays: queue 'full' in vhost 'v' not empty"]
    );
    let mut left: Vec<_> = vhost.queues().iter().map(|queue| queue.name().to_owned()).collect();
    left.sort();
    assert_eq!(left, ["clients", "full", "q"]);
    let said = rig.exported();
    assert_eq!((&said["policies"], &said["topic_permissions"]), (&json!([]), &json!([])));
    // What is bound from or to what clients made for themselves is theirs.
    assert_eq!(said["bindings"].as_array().unwrap().len(), 3, "{}", said["bindings"]);
    assert_eq!(said["parameters"].as_array().unwrap().len(), 2, "of which nothing was said");
    assert!(rig.broker.vhost("w").is_none());
}

#[test]
fn a_vhosts_definitions_go_into_another_vhost() {
    let rig = rig();
    rig.import(&rich()).unwrap();
    let of_v = rig.export(Scope::Vhost("v"));
    let said: Value = serde_json::from_str(&of_v).unwrap();
    assert_eq!(said["original_vhost_name"], json!("v"));
    assert!(!of_v.contains("\"vhost\":"), "{of_v}");
    let into_w = Import { scope: Scope::Vhost("w"), ..WHOLE };
    let imported = rig.ask(into_w, &said).unwrap();
    assert_eq!(imported.difference.added.len(), 9, "{}", imported.difference);
    let of_w: Value = serde_json::from_str(&rig.export(Scope::Vhost("w"))).unwrap();
    for category in ["exchanges", "queues", "bindings", "policies"] {
        assert_eq!(of_w[category], said[category], "{category}");
    }
    let other = json!({"users": [{"name": "eve"}], "queues": [{"name": "new", "vhost": "v"}]});
    let imported = rig.ask(into_w, &other).unwrap();
    assert_eq!(imported.notes, ["users: only vhost 'w' is meant"]);
    assert!(rig.broker.vhost("w").unwrap().queue("new").is_some(), "as on RabbitMQ");
    let nowhere = rig.ask(Import { scope: Scope::Vhost("no"), ..WHOLE }, &json!({}));
    assert_eq!(nowhere.unwrap_err(), "vhost_not_found");
}

#[test]
fn what_nobody_could_import_is_not_exported() {
    let rig = rig();
    rig.import(&json!({"vhosts": [{"name": "v"}]})).unwrap();
    let vhost = rig.broker.vhost("v").unwrap();
    let mine = QueueSettings { owner: Some(ME), ..QueueSettings::plain(false) };
    for (name, settings) in [("mine", mine), ("amq.gen-1", QueueSettings::plain(true))] {
        assert!(vhost.declare_queue(name, settings, ME).is_ok());
        let ends = Ends { source: "amq.fanout", kind: DestinationKind::Queue, destination: name };
        assert!(vhost.bind(ends, "", FieldTable::new(), ME).is_ok());
    }
    let said = rig.exported();
    assert_eq!((&said["queues"], &said["bindings"]), (&json!([]), &json!([])));
}

/// What RabbitMQ 4.3.6 answers to what cannot be declared.
fn refused_topology() -> Vec<(Value, &'static str)> {
    let no_vhost = "Please create virtual host \"nope\" prior to importing definitions.";
    vec![
        (json!([]), "failed_to_parse_json"),
        (json!({"queues": [{"name": "q", "vhost": "nope"}]}), no_vhost),
        (json!({"exchanges": [{"name": "y", "vhost": "nope", "type": "direct"}]}), no_vhost),
        (
            json!({"exchanges": [{"name": "y", "vhost": "v", "type": "nonsense"}]}),
            "precondition_failed: unknown exchange type 'nonsense'",
        ),
        (
            json!({"queues": [{"name": "q", "vhost": "v", "arguments": {"x-message-ttl": "a"}}]}),
            "precondition_failed: invalid arg 'x-message-ttl' for queue 'q' in vhost 'v': \
             \"expected integer, got longstr\"",
        ),
        (
            json!({"bindings": [
                {"source": "no", "vhost": "v", "destination": "q", "destination_type": "queue"}
            ]}),
            "{resources_missing,[{not_found,{resource,<<\"v\">>,exchange,<<\"no\">>}},\n                    \
             {not_found,{resource,<<\"v\">>,queue,<<\"q\">>}}]}",
        ),
        (
            json!({"bindings": [
                {"source": "x", "vhost": "v", "destination": "q", "destination_type": "queue"}
            ]}),
            "{resources_missing,[{not_found,{resource,<<\"v\">>,queue,<<\"q\">>}}]}",
        ),
        (
            json!({
                "parameters": [{"name": "limits", "vhost": "v", "component": "vhost-limits",
                                "value": {"max-queues": 1}}],
                "queues": [{"name": "a", "vhost": "v"}, {"name": "b", "vhost": "v"}]
            }),
            "Adding 2 queue(s) to virtual host \"v\" would exceed the limit of 1 queue(s).\n\nThis \
             virtual host currently has 0 queue(s) defined.\n\nImport aborted!",
        ),
        // RabbitMQ breaks off with 500.
        (
            json!({"queues": [{"name": "q"}]}),
            "queues, entry 1 ('q'): 'vhost' is missing: definitions that were exported for a single \
             vhost are loaded into one",
        ),
    ]
}

/// The same of users, permissions, policies and parameters.
fn refused_access() -> Vec<(Value, &'static str)> {
    let no_vhost = "Please create virtual host \"nope\" prior to importing definitions.";
    vec![
        (
            json!({"users": [{"name": "u", "password_hash": "x", "tags": ""}]}),
            "{not_base64,<<\"x\">>}",
        ),
        (
            json!({"users": [{"name": "u", "password_hash": "", "password": "", "tags": ""}]}),
            "both_password_and_password_hash_are_provided",
        ),
        (json!({"users": [{"name": "u", "password": "x"}]}), "tags_not_present"),
        (
            json!({"vhosts": [{"name": "v", "metadata": {"default_queue_type": "foo"}}]}),
            "foo is not a valid queue type",
        ),
        (
            json!({"permissions": [
                {"user": "nobody", "vhost": "v", "configure": "", "write": "", "read": ""}
            ]}),
            "{no_such_user,<<\"nobody\">>}",
        ),
        (
            json!({"permissions": [
                {"user": "bob", "vhost": "nope", "configure": "", "write": "", "read": ""}
            ]}),
            no_vhost,
        ),
        (
            json!({"topic_permissions": [
                {"user": "bob", "vhost": "v", "exchange": "none", "write": "", "read": ""}
            ]}),
            "{no_such_exchange,<<\"none\">>}",
        ),
        (
            json!({"policies": [
                {"name": "p", "vhost": "v", "pattern": "q", "definition": {"max-length": "a"}}
            ]}),
            "Validation failed\n\n<<\"a\">> is not a valid maximum length\n (vhost: \"v\" key: \"p\")",
        ),
        (
            json!({"parameters": [
                {"name": "o", "vhost": "v", "component": "operator_policy",
                 "value": {"pattern": "q", "definition": {"max-length": 1}}}
            ]}),
            "Validation failed\n\nKey \"priority\" not found in o\n (vhost: \"v\" / component: \
             \"operator_policy\" / key: \"o\")",
        ),
        (
            json!({"parameters": [
                {"name": "limits", "vhost": "v", "component": "vhost-limits",
                 "value": {"max-queues": "a"}}
            ]}),
            "Validation failed\n\nmax-queues should be a number, actually was <<\"a\">>\n (vhost: \
             \"v\" / component: \"vhost-limits\" / key: \"limits\")",
        ),
        (
            json!({"parameters": [
                {"name": "p", "vhost": "v", "component": "policy", "value": {}}
            ]}),
            "policies may not be set using this method (vhost: \"v\" / component: \"policy\" / key: \
             \"p\")",
        ),
    ]
}

#[test]
fn what_cannot_be_imported_is_refused_in_rabbitmqs_words_and_nothing_is_changed() {
    let rig = rig();
    rig.import(&json!({
        "vhosts": [{"name": "v"}], "users": [{"name": "bob", "tags": ""}],
        "exchanges": [{"name": "x", "vhost": "v", "type": "fanout"}]
    }))
    .unwrap();
    let before = rig.export(Scope::Whole);
    for (document, expected) in refused_topology().into_iter().chain(refused_access()) {
        assert_eq!(rig.import(&document).unwrap_err(), expected, "{document}");
    }
    assert_eq!(rig.export(Scope::Whole), before);
    let broken = import(&rig.broker, By::CommandLine, &Import { text: b"{", ..WHOLE }).unwrap_err();
    assert_eq!(broken.reason(), "failed_to_parse_json");
}

/// Names with everything in them that somebody might forget about.
fn name() -> impl Strategy<Value = String> {
    "[a-c./ \"\\\\ü{}%]{1,3}".prop_filter("an exchange's own", |name| !name.starts_with("amq."))
}

fn arguments() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-zü\"\\n]{0,4}".prop_map(Value::from),
        (-1000_i32..1000).prop_map(|halves| json!(f64::from(halves) + 0.5)),
    ];
    let value = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-c]{1,2}", value, 0..3)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

prop_compose! {
    /// A vhost with queues and exchanges, of which some are bound.
    fn topology()(
        vhost in name(),
        queues in prop::collection::btree_map(name(), (any::<bool>(), any::<bool>(), arguments()), 0..4),
        exchanges in prop::collection::btree_map(
            name(), (0..4_usize, any::<bool>(), any::<bool>(), any::<bool>(), arguments()), 0..4
        ),
        bindings in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), name(), arguments()), 0..6),
    ) -> Value {
        let kinds = ["direct", "fanout", "topic", "headers"];
        let (mut bound, names) = (Vec::new(), exchanges.keys().cloned().collect::<Vec<_>>());
        for (from, to, routing_key, arguments) in bindings {
            if names.is_empty() {
                break;
            }
            let (destination, kind) = match queues.is_empty() {
                true => (to.get(&names).clone(), "exchange"),
                false => (queues.keys().nth(to.index(queues.len())).unwrap().clone(), "queue"),
            };
            bound.push(json!({
                "source": from.get(&names), "vhost": vhost, "destination": destination,
                "destination_type": kind, "routing_key": routing_key, "arguments": arguments
            }));
        }
        let queues = queues.into_iter().map(|(name, (durable, auto_delete, arguments))| json!({
            "name": name, "vhost": vhost, "durable": durable, "auto_delete": auto_delete,
            "arguments": arguments
        }));
        let exchanges = exchanges.into_iter().map(
            |(name, (kind, durable, auto_delete, internal, arguments))| json!({
                "name": name, "vhost": vhost, "type": kinds[kind], "durable": durable,
                "auto_delete": auto_delete, "internal": internal, "arguments": arguments
            })
        );
        json!({
            "vhosts": [{"name": vhost}], "queues": queues.collect::<Vec<_>>(),
            "exchanges": exchanges.collect::<Vec<_>>(), "bindings": bound
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_can_be_imported_is_exported_whole(document in topology()) {
        let (one, other) = (rig(), rig());
        let imported = one.import(&document).unwrap();
        let said = one.exported();
        let count = |category: &str| said[category].as_array().unwrap().len();
        prop_assert_eq!(count("queues"), document["queues"].as_array().unwrap().len());
        prop_assert_eq!(count("exchanges"), document["exchanges"].as_array().unwrap().len());
        let all = ["vhosts", "queues", "exchanges", "bindings"].map(count).iter().sum::<usize>();
        prop_assert_eq!(imported.difference.added.len(), all);
        prop_assert_eq!(one.import(&document).unwrap().difference.to_string(), NOTHING);
        other.import(&said).unwrap();
        prop_assert_eq!(other.export(Scope::Whole), one.export(Scope::Whole));
    }
}
