//! The durable definitions as records: what the metadata store holds under which
//! key, and how it is read back at start.
//!
//! `definitions::command` carries them; the broker builds its registries from
//! [`load`]. Values are JSON; new fields get a default, so that an older store
//! can be read. Arguments are kept as AMQP encodes them, in base64: JSON cannot
//! carry every number a client may send.

use leveret_protocol::types::FieldTable;
use leveret_storage::metadata::{Change, Collection, Key, Snapshot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::exchange::ExchangeKind;
use crate::password::HashingAlgorithm;
use crate::pause::Pause;
use crate::publish_rate::PublishLimits;

/// What names a definition in the metadata store.
pub(crate) trait RecordKey {
    /// Where definitions of this kind are kept.
    const COLLECTION: Collection;

    /// What identifies the definition, most significant first.
    fn identity(&self) -> Vec<Vec<u8>>;

    /// The key it is kept under.
    fn key(&self) -> Key {
        let identity = self.identity();
        let parts: Vec<&[u8]> = identity.iter().map(Vec::as_slice).collect();
        Key::compound(Self::COLLECTION, &parts)
    }

    /// The change that removes it.
    fn delete(&self) -> Change {
        Change::Delete { key: self.key() }
    }
}

/// A definition with a place in the metadata store.
pub(crate) trait Record: RecordKey + Serialize + DeserializeOwned {
    /// The change that stores it.
    fn put(&self) -> Change {
        // Records are structs of strings, numbers and flags: serialising them into
        // memory has no way to fail.
        let value = serde_json::to_vec(self).unwrap_or_default();
        Change::Put { key: self.key(), value }
    }
}

impl<R: RecordKey + Serialize + DeserializeOwned> Record for R {}

/// A virtual host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VhostRecord {
    /// Its name.
    pub name: String,
    /// Free text for people.
    #[serde(default)]
    pub description: String,
    /// Free words for people.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether the firehose is told of its messages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tracing: bool,
    /// The type of queues that name none, unless it is classic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_queue_type: Option<String>,
    /// Whether it may not be deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected_from_deletion: bool,
    /// It is being deleted: what is left of it goes at the next start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_leaving: bool,
}

impl VhostRecord {
    /// Of a vhost of which there is nothing to say.
    pub(crate) fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The type that queues get which name none, unless it is classic. There are no streams here yet:
    /// a vhost whose default they are has classic queues, and says so when it is loaded.
    pub(crate) fn queue_type(&self) -> Option<&str> {
        self.default_queue_type.as_deref().filter(|name| *name == "quorum")
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    /// The login name.
    pub name: String,
    /// In base64, or in the PHC string format; empty for a user that cannot log in with a password.
    pub password_hash: String,
    /// How the hash was made.
    pub hashing_algorithm: HashingAlgorithm,
    /// What the user may administrate.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How much it may have.
    #[serde(default, skip_serializing_if = "UserLimits::is_none")]
    pub limits: UserLimits,
}

/// How much a user may have; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct UserLimits {
    /// Connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Channels of all its connections together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_channels: Option<u32>,
    /// Messages that all its connections publish in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_publish_rate: Option<u64>,
    /// Bytes of their bodies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_publish_byte_rate: Option<u64>,
}

impl UserLimits {
    /// Each by its name.
    pub(crate) fn each(self) -> [(&'static str, Option<u64>); 4] {
        [
            ("max-connections", self.max_connections.map(u64::from)),
            ("max-channels", self.max_channels.map(u64::from)),
            ("max-publish-rate", self.max_publish_rate),
            ("max-publish-byte-rate", self.max_publish_byte_rate),
        ]
    }

    /// How fast it may publish.
    pub(crate) fn publish(self) -> PublishLimits {
        PublishLimits { messages: self.max_publish_rate, bytes: self.max_publish_byte_rate }
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Those that are others than they were before, and whether some are no more.
    pub(crate) fn against(self, before: Self) -> (Self, bool) {
        fn other<T: Copy + PartialEq>(now: Option<T>, before: Option<T>) -> Option<T> {
            now.filter(|_| now != before)
        }
        let set = Self {
            max_connections: other(self.max_connections, before.max_connections),
            max_channels: other(self.max_channels, before.max_channels),
            max_publish_rate: other(self.max_publish_rate, before.max_publish_rate),
            max_publish_byte_rate: other(self.max_publish_byte_rate, before.max_publish_byte_rate),
        };
        let mut both = self.each().into_iter().zip(before.each());
        (set, both.any(|((_, now), (_, before))| now.is_none() && before.is_some()))
    }
}

impl UserRecord {
    /// Whether the user has the tag.
    #[must_use]
    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }
}

/// What a user may do in a vhost: regular expressions over names of exchanges and queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PermissionRecord {
    /// The user's name.
    pub user: String,
    /// The vhost's name.
    pub vhost: String,
    /// What may be declared and deleted.
    pub configure: String,
    /// What may be published and bound to.
    pub write: String,
    /// What may be consumed and bound from.
    pub read: String,
}

/// A durable exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExchangeRecord {
    /// The vhost's name.
    pub vhost: String,
    /// Its name within the vhost.
    pub name: String,
    /// Its type.
    pub kind: ExchangeKind,
    /// Always true for what is kept; part of the record so that it reads whole.
    pub durable: bool,
    /// Deleted with its last binding.
    pub auto_delete: bool,
    /// Not for clients to publish to.
    pub internal: bool,
    /// The arguments of its declaration.
    #[serde(with = "arguments")]
    pub arguments: FieldTable,
    /// The number of what it remembers in the message log, if it deduplicates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
}

/// A durable queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct QueueRecord {
    /// Its number, never reused: the message log knows the queue by it.
    pub id: u64,
    /// The vhost's name.
    pub vhost: String,
    /// Its name within the vhost.
    pub name: String,
    /// Always true for what is kept; part of the record so that it reads whole.
    pub durable: bool,
    /// Deleted with its last consumer.
    pub auto_delete: bool,
    /// The arguments of its declaration.
    #[serde(with = "arguments")]
    pub arguments: FieldTable,
    /// The number of what it remembers in the message log, if it deduplicates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// Who is paused in it.
    #[serde(default, skip_serializing_if = "Pause::is_none")]
    pub pause: Pause,
}

/// What a binding leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DestinationKind {
    /// A queue.
    Queue,
    /// An exchange.
    Exchange,
}

/// A binding between durable ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BindingRecord {
    /// The vhost's name.
    pub vhost: String,
    /// The exchange that messages come from.
    pub source: String,
    /// What kind of thing the destination is.
    pub destination_kind: DestinationKind,
    /// The destination's name.
    pub destination: String,
    /// The binding key.
    pub routing_key: String,
    /// The binding's arguments.
    #[serde(with = "arguments")]
    pub arguments: FieldTable,
}

/// Names a vhost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VhostKey {
    /// Its name.
    pub name: String,
}

/// Names a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserKey {
    /// Its name.
    pub name: String,
}

/// Names what a user may do in a vhost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct PermissionKey {
    /// The user's name.
    pub user: String,
    /// The vhost's name.
    pub vhost: String,
}

impl From<&PermissionRecord> for PermissionKey {
    fn from(record: &PermissionRecord) -> Self {
        Self { user: record.user.clone(), vhost: record.vhost.clone() }
    }
}

/// Names an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExchangeKey {
    /// The vhost's name.
    pub vhost: String,
    /// Its name within the vhost.
    pub name: String,
}

/// Names a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueKey {
    /// Its number.
    pub id: u64,
    /// The vhost's name.
    pub vhost: String,
    /// Its name within the vhost.
    pub name: String,
}

macro_rules! named_by {
    ($collection:ident, $record:ident, $($field:ident),+) => {
        impl RecordKey for $record {
            const COLLECTION: Collection = Collection::$collection;

            fn identity(&self) -> Vec<Vec<u8>> {
                vec![$(self.$field.clone().into()),+]
            }
        }
    };
}

named_by!(Vhost, VhostRecord, name);
named_by!(Vhost, VhostKey, name);
named_by!(User, UserRecord, name);
named_by!(User, UserKey, name);
named_by!(Permission, PermissionRecord, vhost, user);
named_by!(Permission, PermissionKey, vhost, user);
named_by!(Exchange, ExchangeRecord, vhost, name);
named_by!(Exchange, ExchangeKey, vhost, name);
named_by!(Queue, QueueRecord, vhost, name);
named_by!(Queue, QueueKey, vhost, name);

impl RecordKey for BindingRecord {
    const COLLECTION: Collection = Collection::Binding;

    fn identity(&self) -> Vec<Vec<u8>> {
        // Arguments are part of a binding's identity, their order is not.
        let mut fields: Vec<_> = self.arguments.iter().collect();
        fields.sort_by_key(|(name, _)| *name);
        let sorted: FieldTable =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        let kind: &[u8] = match self.destination_kind {
            DestinationKind::Queue => b"queue",
            DestinationKind::Exchange => b"exchange",
        };
        vec![
            self.vhost.clone().into(),
            self.source.clone().into(),
            kind.to_vec(),
            self.destination.clone().into(),
            self.routing_key.clone().into(),
            encoded(&sorted),
        ]
    }
}

/// Everything that was durable, in key order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Definitions {
    /// All vhosts.
    pub vhosts: Vec<VhostRecord>,
    /// All users.
    pub users: Vec<UserRecord>,
    /// All permissions.
    pub permissions: Vec<PermissionRecord>,
    /// All exchanges.
    pub exchanges: Vec<ExchangeRecord>,
    /// All queues.
    pub queues: Vec<QueueRecord>,
    /// All bindings.
    pub bindings: Vec<BindingRecord>,
}

/// An entry of the metadata store is not what this version writes.
#[derive(Debug, thiserror::Error)]
#[error("definition {key} cannot be read: {detail}")]
pub(crate) struct DefinitionError {
    key: String,
    detail: String,
}

/// Reads all definitions.
///
/// # Errors
/// An entry cannot be read. None is passed over: its messages would be lost with it.
pub(crate) fn load(snapshot: &Snapshot) -> Result<Definitions, DefinitionError> {
    Ok(Definitions {
        vhosts: records(snapshot)?,
        users: records(snapshot)?,
        permissions: records(snapshot)?,
        exchanges: records(snapshot)?,
        queues: records(snapshot)?,
        bindings: records(snapshot)?,
    })
}

fn records<R: Record>(snapshot: &Snapshot) -> Result<Vec<R>, DefinitionError> {
    snapshot.collection(R::COLLECTION).map(read).collect()
}

/// Reads one entry.
pub(super) fn read<R: Record>((key, value): (&Key, &[u8])) -> Result<R, DefinitionError> {
    serde_json::from_slice(value)
        .map_err(|error| DefinitionError { key: key.to_string(), detail: error.to_string() })
}

/// The table as AMQP encodes it, without its length.
fn encoded(table: &FieldTable) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    bytes.split_off(size_of::<u32>().min(bytes.len()))
}

mod arguments {
    //! A field table as a JSON string.

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use leveret_protocol::types::{FieldTable, RawTable};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::encoded;

    pub(super) fn serialize<S: Serializer>(
        table: &FieldTable,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(encoded(table)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<FieldTable, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        RawTable::new(&bytes).parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use leveret_protocol::types::FieldValue;
    use leveret_storage::metadata::{MemoryMetadata, MetadataStore};

    use super::*;

    fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn queue(name: &str, arguments: FieldTable) -> QueueRecord {
        QueueRecord {
            id: 7,
            vhost: "/".to_owned(),
            name: name.to_owned(),
            durable: true,
            auto_delete: false,
            arguments,
            window: None,
            pause: Pause::default(),
        }
    }

    fn binding(destination_kind: DestinationKind, arguments: FieldTable) -> BindingRecord {
        BindingRecord {
            vhost: "/".to_owned(),
            source: "x".to_owned(),
            destination_kind,
            destination: "q".to_owned(),
            routing_key: "k".to_owned(),
            arguments,
        }
    }

    fn stored(changes: Vec<Change>) -> Snapshot {
        let store = MemoryMetadata::new();
        store.propose(changes).wait().unwrap();
        store.read().unwrap()
    }

    #[test]
    fn every_record_reads_back() {
        let arguments = table(&[
            ("x-max-length", FieldValue::I32(5)),
            ("x-nothing", FieldValue::Void),
            ("x-list", FieldValue::Array(vec![FieldValue::Bool(true), "text".into()])),
            ("x-bytes", FieldValue::Bytes(vec![0, 255])),
        ]);
        let definitions = Definitions {
            vhosts: vec![VhostRecord {
                name: "/".to_owned(),
                description: "first".to_owned(),
                tags: vec!["t".to_owned()],
                tracing: true,
                default_queue_type: Some("quorum".to_owned()),
                protected_from_deletion: true,
                is_leaving: true,
            }],
            users: vec![UserRecord {
                name: "guest".to_owned(),
                password_hash: "aGFzaA==".to_owned(),
                hashing_algorithm: HashingAlgorithm::Sha256,
                tags: vec!["administrator".to_owned()],
                limits: UserLimits::default(),
            }],
            permissions: vec![PermissionRecord {
                user: "guest".to_owned(),
                vhost: "/".to_owned(),
                configure: ".*".to_owned(),
                write: String::new(),
                read: "^q".to_owned(),
            }],
            exchanges: vec![ExchangeRecord {
                vhost: "/".to_owned(),
                name: "x".to_owned(),
                kind: ExchangeKind::Topic,
                durable: true,
                auto_delete: true,
                internal: false,
                arguments: arguments.clone(),
                window: Some(8),
            }],
            queues: vec![queue("a", arguments.clone()), queue("b", FieldTable::new())],
            bindings: vec![binding(DestinationKind::Queue, arguments)],
        };
        let mut changes = vec![definitions.vhosts[0].put(), definitions.users[0].put()];
        changes.push(definitions.permissions[0].put());
        changes.push(definitions.exchanges[0].put());
        changes.extend(definitions.queues.iter().map(Record::put));
        changes.push(definitions.bindings[0].put());
        assert_eq!(load(&stored(changes)).unwrap(), definitions);
    }

    #[test]
    fn numbers_read_back_with_their_types() {
        let arguments = table(&[
            ("smallest", FieldValue::F64(f64::MIN_POSITIVE)),
            ("single", FieldValue::F32(0.1)),
            ("byte", FieldValue::I8(-1)),
            ("time", FieldValue::Timestamp(u64::MAX)),
        ]);
        let loaded = load(&stored(vec![queue("q", arguments.clone()).put()])).unwrap();
        assert_eq!(loaded.queues[0].arguments, arguments);
    }

    #[test]
    fn the_identity_of_a_binding_ignores_the_order_of_its_arguments() {
        let (a, b) = (("a", FieldValue::I32(1)), ("b", FieldValue::I32(2)));
        let one = binding(DestinationKind::Queue, table(&[a.clone(), b.clone()]));
        let other = binding(DestinationKind::Queue, table(&[b.clone(), a.clone()]));
        assert_eq!(one.key(), other.key());
        assert_ne!(one.key(), binding(DestinationKind::Queue, table(&[a])).key());
        assert_ne!(one.key(), binding(DestinationKind::Exchange, one.arguments.clone()).key());
    }

    #[test]
    fn deleting_a_record_removes_what_put_stored() {
        let record = queue("q", FieldTable::new());
        assert_eq!(stored(vec![record.put(), record.delete()]).len(), 0);
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_named() {
        let mut change = queue("q", FieldTable::new()).put();
        if let Change::Put { value, .. } = &mut change {
            value.truncate(10);
        }
        let error = load(&stored(vec![change])).unwrap_err().to_string();
        assert!(error.starts_with("definition Queue /\\x00\\x01q"), "{error}");
    }

    #[test]
    fn keys_name_what_records_store() {
        let (vhost, user, name) = ("/".to_owned(), "bob".to_owned(), "q".to_owned());
        let record = queue("q", FieldTable::new());
        let key = QueueKey { id: record.id, vhost: vhost.clone(), name };
        assert_eq!(stored(vec![record.put(), key.delete()]).len(), 0);
        let permission = PermissionRecord {
            user: user.clone(),
            vhost: vhost.clone(),
            configure: String::new(),
            write: String::new(),
            read: String::new(),
        };
        let key = PermissionKey { user, vhost };
        assert_eq!(stored(vec![permission.put(), key.delete()]).len(), 0);
    }

    #[test]
    fn fields_of_later_versions_have_defaults() {
        let key = Key::compound(Collection::Vhost, &[b"v"]);
        let value = br#"{"name":"v","unknown":1}"#.to_vec();
        let loaded = load(&stored(vec![Change::Put { key, value }])).unwrap();
        assert_eq!(loaded.vhosts[0].name, "v");
        assert!(loaded.vhosts[0].tags.is_empty());
    }
}
