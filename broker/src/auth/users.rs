//! The registry of users and their permissions, in memory and among the definitions.
//!
//! The handshake logs in against it; `changes` is how it is changed. What connections hold of a user's
//! rights follows every change, also of rights that were taken and are given again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use super::permissions::{Rules, UserPermissions};
use super::topics::Topics;
use crate::definitions::parameters::TopicPermissionRecord;
use crate::definitions::records::{Definitions, PermissionRecord, UserLimits, UserRecord};
use crate::definitions::store::DefinitionStore;
use crate::events::Events;
use crate::publish_rate::PublishRates;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Users {
    pub(super) definitions: Arc<DefinitionStore>,
    loopback_users: HashSet<String>,
    /// Guards all users and permissions together: a user goes with its
    /// permissions. Held while a change is proposed, which does not block.
    pub(super) entries: RwLock<Entries>,
    /// Where changes are told.
    pub(super) events: Option<Arc<Events>>,
}

pub(super) type Entries = HashMap<String, Entry>;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) user: Arc<UserRecord>,
    /// By vhost.
    pub(super) permissions: BTreeMap<String, Granted>,
    /// Rules over routing keys, by vhost and exchange.
    pub(super) topics: BTreeMap<(String, String), TopicPermissionRecord>,
    /// By vhost: what connections hold of rights that were taken. If they are given again, they count
    /// there as well.
    taken: BTreeMap<String, Weak<UserPermissions>>,
    /// How fast all its connections may publish together.
    rates: Arc<PublishRates>,
}

#[derive(Debug)]
pub(super) struct Granted {
    pub(super) record: PermissionRecord,
    rules: Arc<UserPermissions>,
}

impl Users {
    /// The users that were defined, of whom `loopback_users` may log in from this
    /// machine only.
    #[must_use]
    pub(crate) fn new(
        definitions: Arc<DefinitionStore>,
        stored: &Definitions,
        topics: &[TopicPermissionRecord],
        loopback_users: &[String],
    ) -> Self {
        let mut entries: Entries =
            stored.users.iter().map(|user| (user.name.clone(), Entry::new(user.clone()))).collect();
        for record in &stored.permissions {
            if let Some(entry) = entries.get_mut(&record.user) {
                entry.permissions.insert(record.vhost.clone(), Granted::restored(record));
            }
        }
        for record in topics {
            if let Some(entry) = entries.get_mut(&record.user) {
                let of = (record.vhost.clone(), record.exchange.clone());
                entry.topics.insert(of, record.clone());
                entry.see_to_topics(&record.vhost);
            }
        }
        Self {
            definitions,
            loopback_users: loopback_users.iter().cloned().collect(),
            entries: RwLock::new(entries),
            events: None,
        }
    }

    /// From now on changes are told there.
    pub(crate) fn telling(self, events: Arc<Events>) -> Self {
        Self { events: Some(events), ..self }
    }

    /// Whether the user may log in from this machine only.
    pub(crate) fn is_loopback_only(&self, user: &str) -> bool {
        self.loopback_users.contains(user)
    }

    /// What the user may do in the vhost; `None` if it may not even enter. The
    /// handle follows later changes.
    #[must_use]
    pub(crate) fn permissions(&self, user: &str, vhost: &str) -> Option<Arc<UserPermissions>> {
        let entries = self.entries.read();
        let granted = entries.get(user)?.permissions.get(vhost)?;
        Some(Arc::clone(&granted.rules))
    }

    /// How much the user may have.
    pub(crate) fn limits(&self, user: &str) -> UserLimits {
        self.entries.read().get(user).map(|entry| entry.user.limits).unwrap_or_default()
    }

    /// How fast the connections of a user may publish together. Follows its limits.
    pub(crate) fn publish_rates(&self, user: &str) -> Arc<PublishRates> {
        let entries = self.entries.read();
        entries.get(user).map(|entry| Arc::clone(&entry.rates)).unwrap_or_default()
    }

    /// The user of that name.
    #[must_use]
    pub(crate) fn user(&self, name: &str) -> Option<Arc<UserRecord>> {
        self.entries.read().get(name).map(|entry| Arc::clone(&entry.user))
    }
}

impl Entry {
    pub(super) fn new(user: UserRecord) -> Self {
        let entry = Self {
            user: Arc::new(user),
            rates: Arc::default(),
            permissions: BTreeMap::new(),
            topics: BTreeMap::new(),
            taken: BTreeMap::new(),
        };
        entry.rates.set(entry.user.limits.publish());
        entry
    }

    /// The user is another from now on.
    pub(super) fn put(&mut self, user: UserRecord) {
        self.rates.set(user.limits.publish());
        self.user = user.into();
    }

    pub(super) fn grant(&mut self, record: PermissionRecord, rules: Rules) {
        let vhost = record.vhost.clone();
        self.grant_rules(record, rules);
        self.see_to_topics(&vhost);
    }

    /// Gives the rights in a vhost the rules over routing keys that there are now.
    pub(super) fn see_to_topics(&self, vhost: &str) {
        let Some(granted) = self.permissions.get(vhost) else { return };
        let of_vhost = self.topics.iter().filter(|((of, _), _)| of == vhost);
        granted.rules.replace_topics(Topics::new(of_vhost.map(|(_, record)| record)));
    }

    fn grant_rules(&mut self, record: PermissionRecord, rules: Rules) {
        match self.permissions.get_mut(&record.vhost) {
            Some(granted) => {
                granted.rules.replace(rules);
                granted.record = record;
            }
            None => {
                let held = self.taken.remove(&record.vhost).and_then(|held| held.upgrade());
                let rules = match held {
                    Some(held) => {
                        held.replace(rules);
                        held
                    }
                    None => Arc::new(UserPermissions::new(rules)),
                };
                self.permissions.insert(record.vhost.clone(), Granted { record, rules });
            }
        }
    }

    /// Ends the rights in a vhost, also of connections that hold the handle.
    pub(super) fn take(&mut self, vhost: &str) {
        let Some(Granted { rules, .. }) = self.permissions.remove(vhost) else { return };
        rules.replace(Rules::nothing());
        self.taken.retain(|_, held| held.strong_count() > 0);
        self.taken.insert(vhost.to_owned(), Arc::downgrade(&rules));
    }

    /// The user is deleted, whose rights were taken: what connections hold of them says so.
    pub(super) fn end(self) {
        self.taken.into_values().filter_map(|held| held.upgrade()).for_each(|held| held.end());
    }
}

impl Granted {
    fn restored(record: &PermissionRecord) -> Self {
        let rules = Rules::compile(&record.configure, &record.write, &record.read).unwrap_or_else(
            |error| {
                let (user, vhost) = (&record.user, &record.vhost);
                tracing::warn!("user '{user}' has no rights in vhost '{vhost}': {error}");
                Rules::nothing()
            },
        );
        Self { record: record.clone(), rules: Arc::new(UserPermissions::new(rules)) }
    }
}

#[cfg(test)]
mod tests {
    use leveret_storage::metadata::{MemoryMetadata, MetadataStore};

    use super::*;
    use crate::auth::AuthError;
    use crate::auth::rights::Permission;
    use crate::definitions::command::Access;
    use crate::definitions::parameters::{self, TopicPermissionKey};
    use crate::definitions::records::{self, PermissionKey, UserKey, VhostKey};
    use crate::password::{self, HashingAlgorithm};

    fn user(name: &str, password: &str) -> UserRecord {
        UserRecord {
            name: name.to_owned(),
            password_hash: password::hash(HashingAlgorithm::Sha256, password.as_bytes()),
            hashing_algorithm: HashingAlgorithm::Sha256,
            tags: vec!["management".to_owned()],
            limits: UserLimits::default(),
        }
    }

    fn rights(user: &str, vhost: &str, all: &str) -> PermissionRecord {
        PermissionRecord {
            user: user.to_owned(),
            vhost: vhost.to_owned(),
            configure: all.to_owned(),
            write: all.to_owned(),
            read: all.to_owned(),
        }
    }

    /// Users and where they are stored.
    struct Rig {
        store: Arc<MemoryMetadata>,
        users: Users,
    }

    impl Rig {
        fn start(store: Arc<MemoryMetadata>) -> Self {
            let stored = records::load(&store.read().unwrap()).unwrap();
            let definitions = DefinitionStore::new(Arc::clone(&store) as _, 1);
            let topics = parameters::topic_permissions(&store.read().unwrap()).unwrap();
            let loopback = ["guest".to_owned()];
            let users = Users::new(Arc::new(definitions), &stored, &topics, &loopback);
            Self { store, users }
        }

        /// The registry as the next start of the broker would build it.
        fn restarted(self) -> Self {
            Self::start(self.store)
        }

        fn change(&self, changes: Vec<Access>) {
            self.users.change(changes).unwrap().unwrap().wait().unwrap();
        }

        fn put(&self, user: UserRecord) {
            self.change(vec![Access::PutUser(user)]);
        }

        fn allow(&self, user: &str, vhost: &str, all: &str) {
            self.change(vec![Access::SetPermissions(rights(user, vhost, all))]);
        }

        fn check(&self, user: &str, vhost: &str, permission: Permission, resource: &str) -> bool {
            let rules = self.users.permissions(user, vhost);
            rules.is_some_and(|rules| rules.allows(permission, resource))
        }

        fn stored(&self) -> Definitions {
            records::load(&self.store.read().unwrap()).unwrap()
        }
    }

    #[test]
    fn every_change_is_told() {
        let mut rig = empty();
        let events = Events::new("/");
        rig.users = rig.users.telling(Arc::clone(&events));
        assert!(events.told().is_empty());
        rig.put(user("a", "1"));
        rig.put(user("a", "2"));
        let tags = ["user.created", "user.tags.set", "user.password.changed"];
        assert_eq!(events.told(), tags);
        let there = (*rig.users.user("a").unwrap()).clone();
        rig.put(UserRecord { tags: Vec::new(), ..there.clone() });
        rig.put(UserRecord { tags: Vec::new(), ..there });
        assert_eq!(events.told(), ["user.tags.set"]);
        let there = (*rig.users.user("a").unwrap()).clone();
        let limited = |max_connections, max_channels| UserRecord {
            limits: UserLimits { max_connections, max_channels, ..UserLimits::default() },
            ..there.clone()
        };
        rig.put(limited(Some(1), Some(2)));
        rig.put(limited(Some(1), None));
        rig.put(limited(Some(1), None));
        rig.put(limited(None, Some(1)));
        rig.put(UserRecord { password_hash: String::new(), ..limited(None, Some(1)) });
        let set = ["user.limits.set", "user.limits.cleared"];
        assert_eq!(events.told(), [&set[..], &set, &["user.password.cleared"]].concat());
        rig.allow("a", "/", ".*");
        rig.allow("a", "v", ".*");
        rig.change(vec![Access::DeleteVhost(VhostKey { name: "v".to_owned() })]);
        rig.change(vec![Access::DeleteUser(UserKey { name: "a".to_owned() })]);
        assert_eq!(
            events.told().join(" "),
            "permission.created permission.created permission.deleted vhost.deleted \
             permission.deleted user.deleted"
        );
        let unknown = vec![Access::DeleteUser(UserKey { name: "a".to_owned() })];
        assert!(rig.users.change(unknown).is_err());
        assert!(events.told().is_empty(), "nothing happened");
    }

    fn empty() -> Rig {
        Rig::start(Arc::new(MemoryMetadata::new()))
    }

    fn with_users() -> Rig {
        let rig = empty();
        rig.put(user("guest", "guest"));
        rig.put(user("bob", "secret"));
        rig
    }

    fn delete_user(name: &str) -> Access {
        Access::DeleteUser(UserKey { name: name.to_owned() })
    }

    fn clear(user: &str, vhost: &str) -> Access {
        let (user, vhost) = (user.to_owned(), vhost.to_owned());
        Access::ClearPermissions(PermissionKey { user, vhost })
    }

    #[test]
    fn rights_are_per_user_and_vhost() {
        let rig = with_users();
        rig.allow("bob", "v", "^b");
        assert!(rig.check("bob", "v", Permission::Write, "b1"));
        assert!(!rig.check("bob", "v", Permission::Write, "c1"));
        assert!(!rig.check("bob", "w", Permission::Write, "b1"));
        assert!(!rig.check("guest", "v", Permission::Write, "b1"));
        assert!(rig.users.permissions("bob", "w").is_none());
    }

    #[test]
    fn a_held_handle_follows_every_change() {
        let rig = with_users();
        rig.allow("bob", "v", "^a");
        let held = rig.users.permissions("bob", "v").unwrap();
        rig.allow("bob", "v", "^b");
        assert!(held.allows(Permission::Read, "b") && !held.allows(Permission::Read, "a"));
        rig.change(vec![clear("bob", "v")]);
        assert!(!held.allows(Permission::Read, "b"));
        let vhost = VhostKey { name: "v".to_owned() };
        rig.allow("bob", "v", "^c");
        assert!(held.allows(Permission::Read, "c"), "given again, it counts again");
        for (forget, is_over) in [(Access::DeleteVhost(vhost), false), (delete_user("bob"), true)] {
            rig.put(user("bob", "secret"));
            rig.allow("bob", "v", ".*");
            let held = rig.users.permissions("bob", "v").unwrap();
            rig.change(vec![forget]);
            assert!(!held.allows(Permission::Read, "b"));
            rig.put(user("bob", "secret"));
            rig.allow("bob", "w", ".*");
            assert_eq!(held.is_over(), is_over, "whoever comes by that name");
            rig.change(vec![clear("bob", "w")]);
            assert_eq!(rig.stored().permissions, [], "what goes with it is forgotten, too");
        }
    }

    #[test]
    fn changes_survive_a_restart() {
        let rig = with_users();
        rig.allow("bob", "v", "^b");
        rig.allow("bob", "w", "");
        rig.put(user("bob", "changed"));
        let rig = rig.restarted();
        let bob = rig.users.user("bob").unwrap();
        assert!(password::verify(bob.hashing_algorithm, &bob.password_hash, b"changed"));
        assert!(rig.check("bob", "v", Permission::Read, "b"));
        assert!(rig.users.permissions("bob", "w").is_some());
        rig.change(vec![delete_user("bob")]);
        let rig = rig.restarted();
        assert!(rig.users.user("bob").is_none() && rig.stored().permissions.is_empty());
        assert!(rig.users.user("guest").is_some_and(|guest| guest.has_tag("management")));
    }

    #[test]
    fn of_changes_that_cannot_be_made_none_is() {
        let rig = with_users();
        let missing = AuthError::NoSuchUser("eve".to_owned());
        let eves = Access::SetPermissions(rights("eve", "v", ""));
        for refused in [delete_user("eve"), clear("eve", "v"), eves.clone()] {
            let changes = vec![Access::PutUser(user("new", "x")), refused];
            assert_eq!(rig.users.change(changes).unwrap_err(), missing);
        }
        let bad = Access::SetPermissions(rights("bob", "v", "("));
        let refused = rig.users.change(vec![Access::PutUser(user("new", "x")), bad]).unwrap_err();
        assert!(matches!(refused, AuthError::Pattern(_)));
        assert!(rig.users.permissions("bob", "v").is_none() && rig.users.user("new").is_none());
        assert_eq!(rig.stored().users.len(), 2);
        rig.change(vec![Access::PutUser(user("eve", "x")), eves, delete_user("eve")]);
        assert_eq!(rig.stored().permissions, [], "within one batch, too");
    }

    fn topics(user: &str, exchange: &str, write: &str) -> TopicPermissionRecord {
        let text = str::to_owned;
        let (vhost, read) = (text("v"), text(".*"));
        TopicPermissionRecord {
            user: text(user),
            vhost,
            exchange: text(exchange),
            write: text(write),
            read,
        }
    }

    #[test]
    fn rules_over_routing_keys_count_at_once_and_after_a_restart() {
        let rig = empty();
        rig.put(user("bob", "x"));
        rig.allow("bob", "v", ".*");
        let handle = rig.users.permissions("bob", "v").unwrap();
        let may = |rules: &UserPermissions, key| rules.allows_topic(Permission::Write, "x", key);
        assert!(may(&handle, "theirs"));
        let seen = handle.changes();
        rig.change(vec![Access::SetTopicPermission(topics("bob", "x", "^{username}"))]);
        assert!(may(&handle, "bob.1") && !may(&handle, "theirs") && handle.changes() != seen);
        let rig = rig.restarted();
        let handle = rig.users.permissions("bob", "v").unwrap();
        assert!(may(&handle, "bob.1") && !may(&handle, "theirs"));
        rig.allow("bob", "v", ".*");
        assert!(!may(&handle, "theirs"), "other rights are others");
        let key = TopicPermissionKey::from(&topics("bob", "x", ""));
        rig.change(vec![Access::ClearTopicPermission(key)]);
        assert!(may(&handle, "theirs"));
        rig.change(vec![
            Access::SetTopicPermission(topics("bob", "x", "^a")),
            Access::DeleteUser(UserKey { name: "bob".to_owned() }),
        ]);
        assert_eq!(parameters::topic_permissions(&rig.store.read().unwrap()).unwrap(), []);
        let unknown = rig.users.change(vec![Access::SetTopicPermission(topics("bob", "x", "a"))]);
        assert!(matches!(unknown, Err(AuthError::NoSuchUser(_))));
    }

    #[test]
    fn stored_rights_that_cannot_be_compiled_allow_nothing() {
        let stored = Definitions {
            users: vec![user("bob", "x")],
            permissions: vec![rights("bob", "v", "a(?=b)")],
            ..Definitions::default()
        };
        let definitions = DefinitionStore::new(Arc::new(MemoryMetadata::new()), 1);
        let users = Users::new(Arc::new(definitions), &stored, &[], &[]);
        let rules = users.permissions("bob", "v").unwrap();
        assert!(!rules.allows(Permission::Read, "ab"));
    }
}
