//! The definitions that RabbitMQ calls runtime parameters, as records: policies and operator
//! policies, parameters of a vhost and of the whole broker, and beside them the rights over topics
//! and what was loaded at the last start.
//!
//! Carried by `definitions::command`, read back by [`policies()`] and [`last_import`]. They share a
//! collection of the metadata store; the first part of a key says what an entry is, and what this
//! version does not know is left alone. Of the parameters
//! the limits of vhosts have an effect; others are kept for those who bring it.

use leveret_storage::metadata::{Collection, Key, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::{DefinitionError, RecordKey, read};
use crate::policy::{Policy, PolicyKind, limits};
use crate::publish_rate::PublishLimits;

/// Names a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyKey {
    /// Whose it is.
    pub kind: PolicyKind,
    /// The vhost's name.
    pub vhost: String,
    /// Its name: one of each kind has it.
    pub name: String,
}

impl From<&Policy> for PolicyKey {
    fn from(policy: &Policy) -> Self {
        let (vhost, name) = (policy.vhost.clone(), policy.name.clone());
        Self { kind: policy.kind, vhost, name }
    }
}

/// Something that a part of the broker goes by, in a vhost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ParameterRecord {
    /// The vhost's name.
    pub vhost: String,
    /// Which part.
    pub component: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: Value,
}

/// Names a parameter of a vhost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ParameterKey {
    /// The vhost's name.
    pub vhost: String,
    /// Which part goes by it.
    pub component: String,
    /// Its name.
    pub name: String,
}

impl ParameterRecord {
    /// The limits of a vhost, if it says them. What is no number, or below zero, is no limit.
    pub(crate) fn vhost_limits(&self) -> Option<VhostLimits> {
        let limit = |name| {
            let number = self.value.get(name).and_then(Value::as_i64);
            number.and_then(|number| u32::try_from(number).ok())
        };
        let large = |name| self.value.get(name).and_then(Value::as_u64);
        (self.component == VHOST_LIMITS).then(|| VhostLimits {
            max_connections: limit("max-connections"),
            max_queues: limit("max-queues"),
            max_held_bytes: large("max-held-bytes"),
            max_publish_rate: large("max-publish-rate"),
            max_publish_byte_rate: large("max-publish-byte-rate"),
        })
    }
}

/// How much there may be in a vhost; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct VhostLimits {
    /// Connections.
    pub max_connections: Option<u32>,
    /// Queues.
    pub max_queues: Option<u32>,
    /// Bytes of messages in all queues, beyond which publishers wait.
    pub max_held_bytes: Option<u64>,
    /// Messages that are published in a second.
    pub max_publish_rate: Option<u64>,
    /// Bytes of their bodies.
    pub max_publish_byte_rate: Option<u64>,
}

impl VhostLimits {
    /// How fast its clients may publish together.
    pub(crate) fn publish(self) -> PublishLimits {
        PublishLimits { messages: self.max_publish_rate, bytes: self.max_publish_byte_rate }
    }

    /// As the parameter says it.
    pub(crate) fn to_value(self) -> Value {
        let limits = [
            ("max-connections", self.max_connections.map(u64::from)),
            ("max-queues", self.max_queues.map(u64::from)),
            ("max-held-bytes", self.max_held_bytes),
            ("max-publish-rate", self.max_publish_rate),
            ("max-publish-byte-rate", self.max_publish_byte_rate),
        ];
        let limits = limits.into_iter().filter_map(|(name, limit)| Some((name, limit?)));
        Value::Object(limits.map(|(name, limit)| (name.to_owned(), limit.into())).collect())
    }
}

/// What may be limited of a vhost; the last three are ours.
pub(crate) const LIMITS: [&str; 5] = [
    "max-connections",
    "max-queues",
    "max-held-bytes",
    "max-publish-rate",
    "max-publish-byte-rate",
];

/// What is wrong with the limits of a vhost as a parameter says them. Some versions wrote pairs, or a
/// list of none.
pub(super) fn limit_faults(value: &Value) -> Vec<String> {
    value.as_object().map(|given| limits::faults("limits", &LIMITS, given)).unwrap_or_default()
}

/// The component whose parameter `limits` has the limits of its vhost.
pub(crate) const VHOST_LIMITS: &str = "vhost-limits";

/// The same for the whole broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GlobalParameterRecord {
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: Value,
}

/// The parameter that gives the cluster its name.
pub(crate) const CLUSTER_NAME: &str = "cluster_name";

impl GlobalParameterRecord {
    /// The name that it gives the cluster, if it gives one.
    pub(crate) fn cluster_name(&self) -> Option<String> {
        let name = self.value.as_str().filter(|_| self.name == CLUSTER_NAME);
        name.map(str::to_owned)
    }
}

/// Names a parameter of the whole broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GlobalParameterKey {
    /// Its name.
    pub name: String,
}

/// Which routing keys a user may use with an exchange: regular expressions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicPermissionRecord {
    /// The user's name.
    pub user: String,
    /// The vhost's name.
    pub vhost: String,
    /// The exchange's name.
    pub exchange: String,
    /// What may be published.
    pub write: String,
    /// What may be bound.
    pub read: String,
}

/// Names the rules of a user over an exchange's routing keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct TopicPermissionKey {
    /// The user's name.
    pub user: String,
    /// The vhost's name.
    pub vhost: String,
    /// The exchange's name.
    pub exchange: String,
}

impl From<&TopicPermissionRecord> for TopicPermissionKey {
    fn from(record: &TopicPermissionRecord) -> Self {
        let TopicPermissionRecord { user, vhost, exchange, .. } = record.clone();
        Self { user, vhost, exchange }
    }
}

/// What was loaded from files at the last start that loaded something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportRecord {
    /// SHA-256 of the files, in base 64.
    pub hash: String,
}

const PARAMETER: &str = "parameter";
const GLOBAL_PARAMETER: &str = "global_parameter";
const TOPIC_PERMISSION: &str = "topic_permission";
const IMPORT: &str = "import";

macro_rules! named_by {
    ($record:ident, |$this:ident| $what:expr, $($part:expr),*) => {
        impl RecordKey for $record {
            const COLLECTION: Collection = Collection::Parameter;

            fn identity(&self) -> Vec<Vec<u8>> {
                let $this = self;
                vec![$what.into(), $($part.clone().into()),*]
            }
        }
    };
}

named_by!(Policy, |this| this.kind.component(), this.vhost, this.name);
named_by!(PolicyKey, |this| this.kind.component(), this.vhost, this.name);
named_by!(ParameterRecord, |this| PARAMETER, this.vhost, this.component, this.name);
named_by!(ParameterKey, |this| PARAMETER, this.vhost, this.component, this.name);
named_by!(GlobalParameterRecord, |this| GLOBAL_PARAMETER, this.name);
named_by!(GlobalParameterKey, |this| GLOBAL_PARAMETER, this.name);
named_by!(TopicPermissionRecord, |this| TOPIC_PERMISSION, this.vhost, this.user, this.exchange);
named_by!(TopicPermissionKey, |this| TOPIC_PERMISSION, this.vhost, this.user, this.exchange);
named_by!(ImportRecord, |_this| IMPORT,);

/// Reads the policies of both kinds, in key order.
///
/// # Errors
/// One cannot be read.
pub(crate) fn policies(snapshot: &Snapshot) -> Result<Vec<Policy>, DefinitionError> {
    let kinds = [PolicyKind::Operator, PolicyKind::Policy].map(PolicyKind::component);
    let entries = snapshot.collection(Collection::Parameter);
    let of_kinds = entries.filter(|(key, _)| kinds.iter().any(|kind| is(key, kind)));
    of_kinds.map(read).collect()
}

/// Reads the rights over topics, in key order.
///
/// # Errors
/// One cannot be read.
pub(crate) fn topic_permissions(
    snapshot: &Snapshot,
) -> Result<Vec<TopicPermissionRecord>, DefinitionError> {
    let entries = snapshot.collection(Collection::Parameter);
    entries.filter(|(key, _)| is(key, TOPIC_PERMISSION)).map(read).collect()
}

/// Reads what parts of the broker go by in vhosts, without policies: in the order of vhosts, components
/// and names.
///
/// # Errors
/// One cannot be read.
pub(crate) fn of_vhosts(snapshot: &Snapshot) -> Result<Vec<ParameterRecord>, DefinitionError> {
    let entries = snapshot.collection(Collection::Parameter);
    let entries = entries.filter(|(key, _)| is(key, PARAMETER)).map(read::<ParameterRecord>);
    let mut all: Vec<_> = entries.collect::<Result<_, _>>()?;
    all.sort_by(|one, other| {
        let [one, other] = [one, other].map(|kept| (&kept.vhost, &kept.component, &kept.name));
        one.cmp(&other)
    });
    Ok(all)
}

/// Reads what they go by in the whole broker, in the order of the names.
///
/// # Errors
/// One cannot be read.
pub(crate) fn global(snapshot: &Snapshot) -> Result<Vec<GlobalParameterRecord>, DefinitionError> {
    let entries = snapshot.collection(Collection::Parameter);
    let entries = entries.filter(|(key, _)| is(key, GLOBAL_PARAMETER));
    let mut all: Vec<_> = entries.map(read::<GlobalParameterRecord>).collect::<Result<_, _>>()?;
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// Reads the limits of vhosts, with their names.
///
/// # Errors
/// One cannot be read.
pub(crate) fn vhost_limits(
    snapshot: &Snapshot,
) -> Result<Vec<(String, VhostLimits)>, DefinitionError> {
    let entries = snapshot.collection(Collection::Parameter);
    let parameters = entries.filter(|(key, _)| is(key, PARAMETER)).map(read::<ParameterRecord>);
    let limits = parameters.map(|parameter| {
        let parameter = parameter?;
        Ok(parameter.vhost_limits().map(|limits| (parameter.vhost, limits)))
    });
    limits.filter_map(Result::transpose).collect()
}

/// What names the entries of a vhost.
#[derive(Debug, Default)]
pub(super) struct OfVhost {
    pub(super) topics: Vec<TopicPermissionKey>,
    pub(super) policies: Vec<PolicyKey>,
    pub(super) others: Vec<ParameterKey>,
}

/// Reads what names the entries of a vhost.
///
/// # Errors
/// One cannot be read.
pub(super) fn keys_of_vhost(snapshot: &Snapshot, vhost: &str) -> Result<OfVhost, DefinitionError> {
    let kinds = [PolicyKind::Operator, PolicyKind::Policy].map(PolicyKind::component);
    let mut of_vhost = OfVhost::default();
    for entry in snapshot.collection(Collection::Parameter) {
        let Some(parts) = entry.0.parts() else { continue };
        let [what, of, ..] = &*parts else { continue };
        if of != vhost.as_bytes() {
            continue;
        }
        if what == PARAMETER.as_bytes() {
            let ParameterRecord { vhost, component, name, .. } = read(entry)?;
            of_vhost.others.push(ParameterKey { vhost, component, name });
        } else if what == TOPIC_PERMISSION.as_bytes() {
            let record: TopicPermissionRecord = read(entry)?;
            of_vhost.topics.push(TopicPermissionKey::from(&record));
        } else if kinds.iter().any(|kind| what == kind.as_bytes()) {
            of_vhost.policies.push(PolicyKey::from(&read::<Policy>(entry)?));
        }
    }
    Ok(of_vhost)
}

/// What was loaded at the last start that loaded something.
///
/// # Errors
/// It cannot be read.
pub(crate) fn last_import(snapshot: &Snapshot) -> Result<Option<ImportRecord>, DefinitionError> {
    let mut entries = snapshot.collection(Collection::Parameter);
    entries.find(|(key, _)| is(key, IMPORT)).map(read).transpose()
}

fn is(key: &Key, what: &str) -> bool {
    key.parts().is_some_and(|parts| parts.first().is_some_and(|part| part == what.as_bytes()))
}

#[cfg(test)]
mod tests {
    use leveret_storage::metadata::{Change, MemoryMetadata, MetadataStore};
    use serde_json::json;

    use super::super::records::Record;
    use super::*;
    use crate::policy::Draft;

    fn policy(kind: PolicyKind, name: &str) -> Policy {
        let (pattern, definition) = (json!("^a\\."), json!({"max-length": 1}));
        let draft =
            Draft { pattern: Some(&pattern), definition: Some(&definition), ..Draft::default() };
        Policy::new(kind, "v", name, draft).unwrap()
    }

    fn stored(changes: Vec<Change>) -> Snapshot {
        let store = MemoryMetadata::new();
        store.propose(changes).wait().unwrap();
        store.read().unwrap()
    }

    #[test]
    fn what_is_kept_of_different_kinds_has_places_of_its_own() {
        let (plain, operator) =
            (policy(PolicyKind::Policy, "p"), policy(PolicyKind::Operator, "p"));
        let parameter = ParameterRecord {
            vhost: "v".to_owned(),
            component: "policy".to_owned(),
            name: "p".to_owned(),
            value: json!({"a": [1, null]}),
        };
        let global = GlobalParameterRecord { name: "p".to_owned(), value: json!("x") };
        let topic = TopicPermissionRecord {
            user: "u".to_owned(),
            vhost: "v".to_owned(),
            exchange: "x".to_owned(),
            write: "^a".to_owned(),
            read: String::new(),
        };
        let import = ImportRecord { hash: "h".to_owned() };
        let changes = vec![
            plain.put(),
            operator.put(),
            parameter.put(),
            global.put(),
            topic.put(),
            import.put(),
        ];
        let snapshot = stored(changes);
        assert_eq!(snapshot.len(), 6);
        assert_eq!(policies(&snapshot).unwrap(), [operator, plain]);
        assert_eq!(last_import(&snapshot).unwrap(), Some(import));
        for (key, expected) in [
            (parameter.key(), serde_json::to_vec(&parameter).unwrap()),
            (global.key(), serde_json::to_vec(&global).unwrap()),
            (topic.key(), serde_json::to_vec(&topic).unwrap()),
        ] {
            assert_eq!(snapshot.get(&key), Some(&expected[..]));
        }
    }

    #[test]
    fn a_policy_goes_by_its_name() {
        let kept = policy(PolicyKind::Operator, "p");
        let key = PolicyKey {
            kind: PolicyKind::Operator,
            vhost: kept.vhost.clone(),
            name: kept.name.clone(),
        };
        assert_eq!(stored(vec![kept.put(), key.delete()]).len(), 0);
        let other = PolicyKey { kind: PolicyKind::Policy, ..key };
        assert_eq!(stored(vec![kept.put(), other.delete()]).len(), 1);
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_named() {
        let Change::Put { key, value } = policy(PolicyKind::Policy, "p").put() else {
            panic!("put puts")
        };
        let value = String::from_utf8(value).unwrap().replace("^a", "(").into_bytes();
        let error = policies(&stored(vec![Change::Put { key, value }])).unwrap_err().to_string();
        assert!(error.starts_with("definition Parameter policy"), "{error}");
    }
}
