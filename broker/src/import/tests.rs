//! Files into a broker: what is there afterwards, what stays, and what is refused as a whole.

mod running;

use std::fs;
use std::sync::Arc;

use leveret_protocol::types::{FieldTable, FieldValue};
use leveret_storage::metadata::{MemoryMetadata, MetadataStore};
use serde_json::{Value, json};

use super::*;
use crate::auth::{Logins, Users};
use crate::config::{Config, ServeOptions};
use crate::definitions::held::HeldMetadata;
use crate::definitions::records::{self, DestinationKind};
use crate::definitions::store::DefinitionStore;
use crate::keys::ConnectionId;
use crate::password::{self, HashingAlgorithm};
use crate::queue::QueueSettings;
use crate::stores::tests::in_memory;
use crate::vhost::bindings::Ends;

const ME: ConnectionId = ConnectionId(1);

struct Rig<S> {
    store: Arc<S>,
    broker: Arc<Broker>,
    directory: tempfile::TempDir,
}

fn rig_on<S: MetadataStore + 'static>(store: Arc<S>) -> Rig<S> {
    rig_with("", store)
}

fn rig_with<S: MetadataStore + 'static>(lines: &str, store: Arc<S>) -> Rig<S> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("leveret.conf");
    fs::write(&file, lines).unwrap();
    let options = ServeOptions { config: Some(file), ..ServeOptions::default() };
    let config = Config::load(&options, |_| None).unwrap();
    let definitions = Arc::new(DefinitionStore::new(Arc::clone(&store) as _, 1));
    let stored = records::load(&store.read().unwrap()).unwrap();
    let users = Users::new(Arc::clone(&definitions), &stored, &[], &[]);
    let logins = Logins::new(&config.authentication).unwrap();
    let broker = Arc::new(Broker::new(&config, users, logins, definitions, in_memory()));
    Rig { store, broker, directory }
}

fn rig() -> Rig<MemoryMetadata> {
    rig_on(Arc::new(MemoryMetadata::new()))
}

impl Rig<MemoryMetadata> {
    fn write(&self, name: &str, document: &Value) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, document.to_string()).unwrap();
        path
    }

    fn load(&self, documents: &[&Value], skip_if_unchanged: bool) -> Result<(), String> {
        let numbered = documents.iter().enumerate();
        let paths = numbered.map(|(at, document)| self.write(&format!("{at}.json"), document));
        let config = LoadDefinitions { paths: paths.collect(), skip_if_unchanged };
        let stored = self.store.read().unwrap();
        load(&config, &self.broker, &stored).map_err(|error| {
            let text = error.to_string();
            assert!(!text.contains('\n'), "{text}");
            text
        })
    }

    fn stored(&self) -> records::Definitions {
        records::load(&self.store.read().unwrap()).unwrap()
    }
}

/// A vhost, a user, and a queue bound to an exchange of its own and to one that is there anyway.
fn whole() -> Value {
    json!({
        "vhosts": [{"name": "v"}],
        "users": [{"name": "bob", "password": "secret", "tags": "monitoring"}],
        "permissions": [
            {"user": "bob", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"}
        ],
        "policies": [
            {"vhost": "v", "name": "p", "pattern": "^q", "definition": {"max-length": 7}}
        ],
        "exchanges": [{"name": "x", "vhost": "v", "type": "fanout"}],
        "queues": [{"name": "q", "vhost": "v", "arguments": {"x-max-length": 9}}],
        "bindings": [
            {"source": "x", "vhost": "v", "destination": "q", "destination_type": "queue"},
            {"source": "amq.topic", "vhost": "v", "destination": "x", "destination_type": "exchange",
             "routing_key": "#"}
        ]
    })
}

#[test]
fn a_file_is_there_and_durable_once_it_is_loaded() {
    let rig = rig();
    rig.load(&[&whole()], false).unwrap();
    let vhost = rig.broker.vhost("v").unwrap();
    let queue = vhost.queue("q").unwrap();
    assert_eq!(queue.effective_arguments().get("x-max-length"), Some(&FieldValue::I64(7)));
    assert!(rig.broker.users().permissions("bob", "v").is_some());
    let stored = rig.stored();
    assert_eq!((stored.vhosts.len(), stored.users.len(), stored.permissions.len()), (1, 1, 1));
    assert_eq!((stored.exchanges.len(), stored.queues.len(), stored.bindings.len()), (1, 1, 2));
    assert_eq!(stored.queues[0].id, queue.id().0);
    assert!(password::verify(HashingAlgorithm::Sha256, &stored.users[0].password_hash, b"secret"));
    let policies = parameters::policies(&rig.store.read().unwrap()).unwrap();
    assert_eq!(policies[0].name, "p");
}

#[test]
fn several_files_may_speak_of_what_is_in_those_before() {
    let (mut one, mut other) = (whole(), json!({}));
    for category in ["queues", "bindings", "policies"] {
        other[category] = one[category].take();
    }
    let refused = rig().load(&[&other, &one], false).unwrap_err();
    assert!(
        refused.ends_with("0.json: policy 'p' in vhost 'v': there is no vhost 'v'"),
        "{refused}"
    );
    let rig = rig();
    rig.load(&[&one, &other], false).unwrap();
    assert_eq!(rig.stored().bindings.len(), 2);
}

#[test]
fn what_is_there_stays_and_users_become_as_they_are_in_the_file() {
    let rig = rig();
    rig.load(&[&whole()], false).unwrap();
    let mut changed = whole();
    changed["queues"][0]["arguments"] = json!({"x-queue-type": "nonsense"});
    changed["exchanges"][0]["type"] = json!("topic");
    changed["users"][0]["password"] = json!("other");
    changed["policies"][0]["definition"] = json!({"max-length": 8});
    rig.load(&[&changed], false).unwrap();
    let stored = rig.stored();
    assert_eq!(stored.queues[0].arguments.get("x-max-length"), Some(&FieldValue::I64(9)));
    assert_eq!(stored.exchanges[0].kind, crate::exchange::ExchangeKind::Fanout);
    assert!(password::verify(HashingAlgorithm::Sha256, &stored.users[0].password_hash, b"other"));
    let queue = rig.broker.vhost("v").unwrap().queue("q").unwrap();
    assert_eq!(queue.effective_arguments().get("x-max-length"), Some(&FieldValue::I64(8)));
}

/// With this object among the others of its category nothing is applied.
fn assert_refused(category: &str, object: Value, expected: &str) {
    let mut document = whole();
    document[category].as_array_mut().unwrap().push(object);
    let rig = rig();
    let error = rig.load(&[&document], false).unwrap_err();
    let told = error.split_once("0.json: ").map(|(_, told)| told);
    assert_eq!(told, Some(expected), "{error}");
    assert!(rig.store.read().unwrap().is_empty() && rig.broker.vhost("v").is_none());
}

#[test]
fn what_cannot_be_declared_is_refused_before_anything_is() {
    for (object, expected) in [
        (
            json!({"name": "r", "vhost": "v", "arguments": {"x-max-length": "a"}}),
            "queue 'r' in vhost 'v': invalid arg 'x-max-length' for queue 'r' in vhost 'v': \
             \"expected integer, got longstr\"",
        ),
        (
            json!({"name": "r", "vhost": "none"}),
            "queue 'r' in vhost 'none': there is no vhost 'none'",
        ),
        (
            json!({
                "name": "r", "vhost": "v", "durable": false, "arguments": {"x-queue-type": "quorum"}
            }),
            "queue 'r' in vhost 'v': invalid property 'non-durable'",
        ),
    ] {
        assert_refused("queues", object, expected);
    }
    let arguments = json!({"x-recent-history-length": "a"});
    assert_refused(
        "exchanges",
        json!({"name": "y", "vhost": "v", "type": "x-recent-history", "arguments": arguments}),
        "exchange 'y' in vhost 'v': Invalid argument <<\"a\">>, 'x-recent-history-length' must be a \
         positive integer",
    );
}

#[test]
fn what_cannot_be_bound_is_refused_before_anything_is() {
    for (source, destination, expected) in [
        (
            "amq.headers",
            "q",
            "binding from 'amq.headers' to 'q' in vhost 'v': Invalid x-match field value \
             <<\"some\">>; expected all, any, all-with-x, or any-with-x",
        ),
        ("no", "q", "binding from 'no' to 'q' in vhost 'v': there is no exchange 'no'"),
        ("x", "no", "binding from 'x' to 'no' in vhost 'v': there is no queue 'no'"),
    ] {
        let binding = json!({
            "source": source, "vhost": "v", "destination": destination, "destination_type": "queue",
            "arguments": {"x-match": "some"}
        });
        assert_refused("bindings", binding, expected);
    }
}

#[test]
fn rights_that_cannot_be_given_are_refused_before_anything_is() {
    for (user, configure, expected) in [
        ("eve", "", "permissions of 'eve' in vhost 'v': there is no user 'eve'"),
        (
            "bob",
            "(",
            "permissions of 'bob' in vhost 'v': '(' is not a regular expression: error: unclosed group",
        ),
    ] {
        let given =
            json!({"user": user, "vhost": "v", "configure": configure, "write": "", "read": ""});
        assert_refused("permissions", given, expected);
    }
}

#[test]
fn more_vhosts_than_there_may_be_are_refused_before_any_is_made() {
    let rig = rig_with("vhost_max = 2\n", Arc::new(MemoryMetadata::new()));
    let document = |names: &[&str]| {
        let vhosts: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        json!({ "vhosts": vhosts })
    };
    let refused = rig.load(&[&document(&["a", "b"]), &document(&["b", "c"])], false).unwrap_err();
    let expected = "vhosts: cannot create vhost 'c': vhost limit of 2 is reached";
    assert!(refused.ends_with(expected), "{refused}");
    assert!(rig.broker.vhost("a").is_none());
    rig.load(&[&document(&["a", "b"]), &document(&["b", "a"])], false).unwrap();
    assert_eq!(rig.broker.vhost_count(), 2);
}

#[test]
fn unchanged_files_are_skipped_when_that_is_asked_for() {
    let rig = rig();
    rig.load(&[&whole()], true).unwrap();
    let vhost = rig.broker.vhost("v").unwrap();
    let delete = || drop(vhost.delete_queue("q", (false, false), ME).unwrap());
    delete();
    rig.load(&[&whole()], true).unwrap();
    assert!(vhost.queue("q").is_none());
    rig.load(&[&whole()], false).unwrap();
    assert!(vhost.queue("q").is_some());
    delete();
    let mut changed = whole();
    changed["policies"] = json!([]);
    rig.load(&[&changed], true).unwrap();
    assert!(vhost.queue("q").is_some());
}

#[test]
fn a_document_that_is_there_already_is_not_written_again() {
    let mut document = whole();
    document["users"][0] = json!({"name": "bob", "password_hash": "", "tags": []});
    document["global_parameters"] = json!([{"name": "g", "value": {"b": 1, "a": 2}}]);
    document["parameters"] = json!([
        {"vhost": "v", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 5}}
    ]);
    document["topic_permissions"] = json!([
        {"user": "bob", "vhost": "v", "exchange": "x", "write": "^a", "read": ""}
    ]);
    let read =
        || Document::read(document.to_string().as_bytes(), HashingAlgorithm::Sha256).unwrap();
    let rig = rig_on(HeldMetadata::new());
    apply::apply(read(), &rig.broker, &rig.store.read().unwrap(), None).unwrap();
    assert_ne!(rig.store.sync(), 0);
    rig.store.set_full(true);
    apply::apply(read(), &rig.broker, &rig.store.read().unwrap(), None).unwrap();
    assert_eq!(rig.store.waiting(), [0; 0]);
    document["queues"][0]["name"] = json!("another");
    let read = Document::read(document.to_string().as_bytes(), HashingAlgorithm::Sha256).unwrap();
    let error = apply::apply(read, &rig.broker, &rig.store.read().unwrap(), None).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("queue 'another' in vhost 'v': ") && text.contains("disk is full"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let rig = rig();
    let paths = vec![rig.directory.path().join("none.json")];
    let config = LoadDefinitions { paths, skip_if_unchanged: false };
    let error = load(&config, &rig.broker, &rig.store.read().unwrap()).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot load definitions from ") && text.contains("No such file"));
}
