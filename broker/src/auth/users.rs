//! The registry of users and their permissions, in memory and in the metadata store.
//!
//! The handshake logs in against it; management changes it. A change counts at
//! once and is durable when the returned proposal resolves: whoever asked for it
//! is answered only then. Changes are proposed in the order they are made.

#![cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "changes of users are applied as at start; no operator gives them yet"
    )
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use leveret_storage::metadata::{Change, MetadataStore, Proposal};
use parking_lot::{RwLock, RwLockWriteGuard};

use super::password;
use super::permissions::{PatternError, Permission, Rules, UserPermissions};
use super::sasl::Identity;
use crate::definitions::records::{
    Definitions, HashingAlgorithm, PermissionRecord, Record, UserRecord,
};

/// Why a login is refused: for the log only, the client is never told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginRefused {
    /// No such user, or another password.
    #[error("user '{0}' - invalid credentials")]
    InvalidCredentials(String),
    /// The password is empty, which is never right.
    #[error("user '{0}' attempted to log in with a blank password")]
    BlankPassword(String),
    /// The user may log in from this machine only.
    #[error("user '{0}' can only connect via localhost")]
    NotLoopback(String),
    /// The user's password was hashed in a way that cannot be verified here.
    #[error("user '{0}' has a password hash that is not SHA-256: set the password anew")]
    UnknownHash(String),
}

/// A change that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// There is no such user.
    #[error("user '{0}' does not exist")]
    NoSuchUser(String),
    /// An expression cannot be compiled.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Users {
    store: Arc<dyn MetadataStore>,
    loopback_users: HashSet<String>,
    /// Guards all users and permissions together: a user goes with its
    /// permissions. Held while a change is proposed, which does not block.
    entries: RwLock<HashMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    user: Arc<UserRecord>,
    /// By vhost.
    permissions: BTreeMap<String, Granted>,
}

#[derive(Debug)]
struct Granted {
    record: PermissionRecord,
    rules: Arc<UserPermissions>,
}

impl Users {
    /// The users that were defined, of whom `loopback_users` may log in from this
    /// machine only.
    #[must_use]
    pub(crate) fn new(
        store: Arc<dyn MetadataStore>,
        definitions: &Definitions,
        loopback_users: &[String],
    ) -> Self {
        let mut entries: HashMap<String, Entry> = definitions
            .users
            .iter()
            .map(|user| (user.name.clone(), Entry::new(user.clone())))
            .collect();
        for record in &definitions.permissions {
            if let Some(entry) = entries.get_mut(&record.user) {
                entry.permissions.insert(record.vhost.clone(), Granted::restored(record));
            }
        }
        Self {
            store,
            loopback_users: loopback_users.iter().cloned().collect(),
            entries: RwLock::new(entries),
        }
    }

    /// Whether the client is who it says, from where it says it.
    ///
    /// # Errors
    /// The reason, for the log.
    pub(crate) fn authenticate(
        &self,
        identity: &Identity,
        peer: IpAddr,
    ) -> Result<Arc<UserRecord>, LoginRefused> {
        let name = identity.user.clone();
        let user = self.user(&name);
        let hash = user.as_ref().map_or("", |user| user.password_hash.as_str());
        // Before any refusal: an unknown user takes as long as a wrong password.
        let verified = password::verify(hash, &identity.password);
        let Some(user) = user else { return Err(LoginRefused::InvalidCredentials(name)) };
        if identity.password.is_empty() {
            return Err(LoginRefused::BlankPassword(name));
        }
        match user.hashing_algorithm {
            HashingAlgorithm::Sha256 => {}
            HashingAlgorithm::Sha512 | HashingAlgorithm::Md5 => {
                return Err(LoginRefused::UnknownHash(name));
            }
        }
        if !verified {
            return Err(LoginRefused::InvalidCredentials(name));
        }
        if self.loopback_users.contains(&name) && !peer.to_canonical().is_loopback() {
            return Err(LoginRefused::NotLoopback(name));
        }
        Ok(user)
    }

    /// What the user may do in the vhost; `None` if it may not even enter. The
    /// handle follows later changes.
    #[must_use]
    pub(crate) fn permissions(&self, user: &str, vhost: &str) -> Option<Arc<UserPermissions>> {
        let entries = self.entries.read();
        let granted = entries.get(user)?.permissions.get(vhost)?;
        Some(Arc::clone(&granted.rules))
    }

    /// Whether the user has the right to the resource in the vhost. For a single
    /// question; a connection keeps the handle of [`Users::permissions`].
    #[must_use]
    pub(crate) fn check(
        &self,
        user: &str,
        vhost: &str,
        permission: Permission,
        resource: &str,
    ) -> bool {
        self.permissions(user, vhost).is_some_and(|rules| rules.allows(permission, resource))
    }

    /// The user of that name.
    #[must_use]
    pub(crate) fn user(&self, name: &str) -> Option<Arc<UserRecord>> {
        self.entries.read().get(name).map(|entry| Arc::clone(&entry.user))
    }

    /// All users, by name.
    #[must_use]
    pub(crate) fn users(&self) -> Vec<Arc<UserRecord>> {
        let mut users: Vec<_> =
            self.entries.read().values().map(|entry| Arc::clone(&entry.user)).collect();
        users.sort_by(|left, right| left.name.cmp(&right.name));
        users
    }

    /// All permissions, by user and vhost.
    #[must_use]
    pub(crate) fn all_permissions(&self) -> Vec<PermissionRecord> {
        let entries = self.entries.read();
        let granted = entries.values().flat_map(|entry| entry.permissions.values());
        let mut records: Vec<_> = granted.map(|granted| granted.record.clone()).collect();
        records.sort_by(|left, right| (&left.user, &left.vhost).cmp(&(&right.user, &right.vhost)));
        records
    }

    /// Adds the user, or replaces password and tags of the one there.
    pub(crate) fn put_user(&self, user: UserRecord) -> Proposal {
        let mut entries = self.entries.write();
        let change = user.put();
        match entries.get_mut(&user.name) {
            Some(entry) => entry.user = Arc::new(user),
            None => drop(entries.insert(user.name.clone(), Entry::new(user))),
        }
        self.propose(entries, vec![change])
    }

    /// Removes the user with all its permissions.
    ///
    /// # Errors
    /// There is no such user.
    pub(crate) fn delete_user(&self, name: &str) -> Result<Proposal, AuthError> {
        let mut entries = self.entries.write();
        let entry = entries.remove(name).ok_or_else(|| AuthError::NoSuchUser(name.to_owned()))?;
        let mut changes = vec![entry.user.delete()];
        changes.extend(entry.permissions.values().map(Granted::revoke));
        Ok(self.propose(entries, changes))
    }

    /// Gives the user exactly these rights in the vhost.
    ///
    /// # Errors
    /// There is no such user, or an expression cannot be compiled.
    pub(crate) fn set_permissions(&self, record: PermissionRecord) -> Result<Proposal, AuthError> {
        let rules = Rules::compile(&record.configure, &record.write, &record.read)?;
        let mut entries = self.entries.write();
        let entry = entries
            .get_mut(&record.user)
            .ok_or_else(|| AuthError::NoSuchUser(record.user.clone()))?;
        let change = record.put();
        match entry.permissions.get_mut(&record.vhost) {
            Some(granted) => {
                granted.rules.replace(rules);
                granted.record = record;
            }
            None => {
                let rules = Arc::new(UserPermissions::new(rules));
                entry.permissions.insert(record.vhost.clone(), Granted { record, rules });
            }
        }
        Ok(self.propose(entries, vec![change]))
    }

    /// Takes every right in the vhost from the user. No error if there is none.
    ///
    /// # Errors
    /// There is no such user.
    pub(crate) fn clear_permissions(&self, user: &str, vhost: &str) -> Result<Proposal, AuthError> {
        let mut entries = self.entries.write();
        let entry = entries.get_mut(user).ok_or_else(|| AuthError::NoSuchUser(user.to_owned()))?;
        let changes = entry.permissions.remove(vhost).iter().map(Granted::revoke).collect();
        Ok(self.propose(entries, changes))
    }

    /// Takes every right in the vhost from everybody: it is being deleted.
    pub(crate) fn forget_vhost(&self, vhost: &str) -> Proposal {
        let mut entries = self.entries.write();
        let changes = entries
            .values_mut()
            .filter_map(|entry| entry.permissions.remove(vhost))
            .map(|granted| granted.revoke())
            .collect();
        self.propose(entries, changes)
    }

    /// Proposes before the lock is released, so that changes are stored in the
    /// order they were made.
    fn propose(
        &self,
        entries: RwLockWriteGuard<'_, HashMap<String, Entry>>,
        changes: Vec<Change>,
    ) -> Proposal {
        let proposal = self.store.propose(changes);
        drop(entries);
        proposal
    }
}

impl Entry {
    fn new(user: UserRecord) -> Self {
        Self { user: Arc::new(user), permissions: BTreeMap::new() }
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

    /// Ends the rights of connections that hold the handle.
    fn revoke(&self) -> Change {
        self.rules.replace(Rules::nothing());
        self.record.delete()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use leveret_storage::metadata::MemoryMetadata;

    use super::*;
    use crate::definitions::records;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn user(name: &str, password: &str) -> UserRecord {
        UserRecord {
            name: name.to_owned(),
            password_hash: password::hash(password.as_bytes()),
            hashing_algorithm: HashingAlgorithm::Sha256,
            tags: vec!["management".to_owned()],
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

    fn empty() -> Users {
        let store = Arc::new(MemoryMetadata::new());
        Users::new(store, &Definitions::default(), &["guest".to_owned()])
    }

    fn with_users() -> Users {
        let users = empty();
        users.put_user(user("guest", "guest")).wait().unwrap();
        users.put_user(user("bob", "secret")).wait().unwrap();
        users
    }

    /// The registry as the next start of the broker would build it.
    fn restarted(users: &Users) -> Users {
        let snapshot = users.store.read().unwrap();
        let definitions = records::load(&snapshot).unwrap();
        Users::new(Arc::clone(&users.store), &definitions, &["guest".to_owned()])
    }

    fn login(
        users: &Users,
        name: &str,
        password: &str,
        peer: IpAddr,
    ) -> Result<String, LoginRefused> {
        let identity = Identity { user: name.to_owned(), password: password.into() };
        users.authenticate(&identity, peer).map(|user| user.name.clone())
    }

    #[test]
    fn the_right_password_logs_in() {
        let users = with_users();
        let invalid = |name: &str| Err(LoginRefused::InvalidCredentials(name.to_owned()));
        assert_eq!(login(&users, "bob", "secret", ELSEWHERE), Ok("bob".to_owned()));
        assert_eq!(login(&users, "bob", "Secret", ELSEWHERE), invalid("bob"));
        assert_eq!(login(&users, "eve", "secret", ELSEWHERE), invalid("eve"));
        assert_eq!(login(&users, "", "", ELSEWHERE), invalid(""));
    }

    #[test]
    fn a_blank_password_is_never_right() {
        let users = empty();
        users.put_user(user("bob", "")).wait().unwrap();
        let without = UserRecord { password_hash: String::new(), ..user("eve", "x") };
        users.put_user(without).wait().unwrap();
        for name in ["bob", "eve"] {
            let refused = Err(LoginRefused::BlankPassword(name.to_owned()));
            assert_eq!(login(&users, name, "", HERE), refused);
        }
    }

    #[test]
    fn guest_logs_in_from_this_machine_only() {
        let users = with_users();
        let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        for peer in [HERE, mapped, IpAddr::V6(Ipv6Addr::LOCALHOST), [127, 8, 8, 8].into()] {
            assert_eq!(login(&users, "guest", "guest", peer), Ok("guest".to_owned()), "{peer}");
        }
        let refused = Err(LoginRefused::NotLoopback("guest".to_owned()));
        assert_eq!(login(&users, "guest", "guest", ELSEWHERE), refused);
        // A wrong password from elsewhere does not tell that the right one would be refused.
        let invalid = Err(LoginRefused::InvalidCredentials("guest".to_owned()));
        assert_eq!(login(&users, "guest", "wrong", ELSEWHERE), invalid);
    }

    #[test]
    fn hashes_of_other_kinds_are_refused_with_the_reason() {
        let users = empty();
        let hashing_algorithm = HashingAlgorithm::Sha512;
        users.put_user(UserRecord { hashing_algorithm, ..user("bob", "x") }).wait().unwrap();
        let refused = Err(LoginRefused::UnknownHash("bob".to_owned()));
        assert_eq!(login(&users, "bob", "x", HERE), refused);
    }

    #[test]
    fn rights_are_per_user_and_vhost() {
        let users = with_users();
        users.set_permissions(rights("bob", "v", "^b")).unwrap().wait().unwrap();
        assert!(users.check("bob", "v", Permission::Write, "b1"));
        assert!(!users.check("bob", "v", Permission::Write, "c1"));
        assert!(!users.check("bob", "w", Permission::Write, "b1"));
        assert!(!users.check("guest", "v", Permission::Write, "b1"));
        assert!(users.permissions("bob", "w").is_none());
    }

    #[test]
    fn a_held_handle_follows_every_change() {
        let users = with_users();
        users.set_permissions(rights("bob", "v", "^a")).unwrap().wait().unwrap();
        let held = users.permissions("bob", "v").unwrap();
        users.set_permissions(rights("bob", "v", "^b")).unwrap().wait().unwrap();
        assert!(held.allows(Permission::Read, "b") && !held.allows(Permission::Read, "a"));
        users.clear_permissions("bob", "v").unwrap().wait().unwrap();
        assert!(!held.allows(Permission::Read, "b"));
        for forget in [
            |users: &Users| users.forget_vhost("v"),
            |users: &Users| users.delete_user("bob").unwrap(),
        ] {
            users.put_user(user("bob", "secret")).wait().unwrap();
            users.set_permissions(rights("bob", "v", ".*")).unwrap().wait().unwrap();
            let held = users.permissions("bob", "v").unwrap();
            forget(&users).wait().unwrap();
            assert!(!held.allows(Permission::Read, "b"));
        }
    }

    #[test]
    fn changes_survive_a_restart() {
        let users = with_users();
        users.set_permissions(rights("bob", "v", "^b")).unwrap().wait().unwrap();
        users.set_permissions(rights("bob", "w", "")).unwrap().wait().unwrap();
        users.put_user(user("bob", "changed")).wait().unwrap();
        let again = restarted(&users);
        assert_eq!(login(&again, "bob", "changed", HERE), Ok("bob".to_owned()));
        assert_eq!(again.all_permissions(), users.all_permissions());
        assert_eq!(again.users(), users.users());
        again.delete_user("bob").unwrap().wait().unwrap();
        let last = restarted(&again);
        assert!(last.user("bob").is_none() && last.all_permissions().is_empty());
        assert!(last.user("guest").is_some_and(|guest| guest.has_tag("management")));
    }

    #[test]
    fn changes_that_cannot_be_made_change_nothing() {
        let users = with_users();
        let missing = AuthError::NoSuchUser("eve".to_owned());
        assert_eq!(users.delete_user("eve").unwrap_err(), missing);
        assert_eq!(users.clear_permissions("eve", "v").unwrap_err(), missing);
        assert_eq!(users.set_permissions(rights("eve", "v", "")).unwrap_err(), missing);
        let refused = users.set_permissions(rights("bob", "v", "(")).unwrap_err();
        assert!(matches!(refused, AuthError::Pattern(_)));
        assert!(users.permissions("bob", "v").is_none());
    }

    #[test]
    fn stored_rights_that_cannot_be_compiled_allow_nothing() {
        let definitions = Definitions {
            users: vec![user("bob", "x")],
            permissions: vec![rights("bob", "v", "a(?=b)")],
            ..Definitions::default()
        };
        let users = Users::new(Arc::new(MemoryMetadata::new()), &definitions, &[]);
        assert!(!users.check("bob", "v", Permission::Read, "ab"));
        assert!(users.permissions("bob", "v").is_some());
    }
}
