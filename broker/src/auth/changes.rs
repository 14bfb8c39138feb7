//! Changes to users and their permissions.
//!
//! A room of `auth::users`. The first start, `import` and `broker::access` make them, with the commands
//! of `definitions::command`. Stays true: changes are checked, proposed and applied one batch at a time,
//! so the store has them in the order they took effect; whoever asked is answered once they are durable.
//! A user goes with its permissions, and a vhost's permissions with the vhost.

use leveret_storage::metadata::Proposal;

use super::foreseen::Foreseen;
use super::permissions::Rules;
use super::rights::PatternError;
use super::topics::assert_rules;
use super::users::{Entries, Entry, Users};
use crate::definitions::command::{Access, Command};
use crate::definitions::parameters::{TopicPermissionKey, TopicPermissionRecord};
use crate::definitions::records::{PermissionKey, PermissionRecord, UserRecord};
use crate::events::{Events, definitions};

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

impl Users {
    /// Makes these changes, all or none, in their order. They are durable when the proposal says so.
    ///
    /// # Errors
    /// A user that is named does not exist, or an expression cannot be compiled.
    pub(crate) fn change(&self, changes: Vec<Access>) -> Result<Option<Proposal>, AuthError> {
        let mut entries = self.entries.write();
        self.make(&mut entries, changes)
    }

    /// The same with changes that depend on what the user of this name is now.
    ///
    /// # Errors
    /// As `change`, and what `decide` finds.
    pub(crate) fn decide<E: From<AuthError>>(
        &self,
        name: &str,
        decide: impl FnOnce(Option<&UserRecord>) -> Result<Vec<Access>, E>,
    ) -> Result<Option<Proposal>, E> {
        let mut entries = self.entries.write();
        let changes = decide(entries.get(name).map(|entry| &*entry.user))?;
        Ok(self.make(&mut entries, changes)?)
    }

    /// Ends the rules of a user over the routing keys of all exchanges of a vhost.
    ///
    /// # Errors
    /// There is no such user.
    pub(crate) fn clear_topics(
        &self,
        user: &str,
        vhost: &str,
    ) -> Result<Option<Proposal>, AuthError> {
        let mut entries = self.entries.write();
        let unknown = || AuthError::NoSuchUser(user.to_owned());
        let topics = entries.get(user).ok_or_else(unknown)?.topics.values();
        let of_vhost = topics.filter(|record| record.vhost == vhost).map(TopicPermissionKey::from);
        let changes = of_vhost.map(Access::ClearTopicPermission).collect();
        self.make(&mut entries, changes)
    }

    /// Ends some rights in a vhost, whosever they are: at most so many and those of one user more.
    /// `None` when there are none left.
    pub(crate) fn clear_some_of_vhost(&self, vhost: &str, most: usize) -> Option<Proposal> {
        let mut entries = self.entries.write();
        let changes = Foreseen::new(&entries).some_of_vhost(vhost, most);
        // Nothing is refused: all of it is there.
        self.make(&mut entries, changes).ok().flatten()
    }

    fn make(
        &self,
        entries: &mut Entries,
        changes: Vec<Access>,
    ) -> Result<Option<Proposal>, AuthError> {
        let checked = check(entries, changes)?;
        let commands: Vec<_> = checked.iter().cloned().map(Command::from).collect();
        let proposal = self.definitions.propose(&commands);
        for change in checked {
            if let Some(events) = &self.events {
                tell(events, entries, &change);
            }
            apply(entries, change)?;
        }
        Ok(proposal)
    }
}

impl Users {
    /// All users, in the order of their names.
    pub(crate) fn all(&self) -> Vec<UserRecord> {
        let entries = self.entries.read();
        let mut all: Vec<_> =
            entries.values().map(|entry| UserRecord::clone(&entry.user)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Who may do what where: of each user by vhost, users in no order.
    pub(crate) fn all_permissions(&self) -> Vec<PermissionRecord> {
        let entries = self.entries.read();
        let granted = entries.values().flat_map(|entry| entry.permissions.values());
        granted.map(|granted| granted.record.clone()).collect()
    }

    /// Who may use which routing keys: of each user by vhost and exchange, users in no order.
    pub(crate) fn all_topic_permissions(&self) -> Vec<TopicPermissionRecord> {
        let entries = self.entries.read();
        entries.values().flat_map(|entry| entry.topics.values().cloned()).collect()
    }
}

/// Tells of a change to what is here now.
fn tell(events: &Events, entries: &Entries, change: &Access) {
    match change {
        Access::PutVhost(_) => {}
        Access::DeleteVhost(key) => events.tell(|| definitions::vhost_deleted(&key.name)),
        Access::PutUser(user) => tell_of_user(events, entries, user),
        Access::DeleteUser(key) => events.tell(|| definitions::user_deleted(&key.name)),
        Access::SetPermissions(given) => {
            events.tell(|| definitions::permission_created(given));
        }
        Access::ClearPermissions(key) => events.tell(|| definitions::permission_deleted(key)),
        Access::SetTopicPermission(given) => {
            events.tell(|| definitions::topic_permission_created(given));
        }
        Access::ClearTopicPermission(key) => {
            events.tell(|| definitions::topic_permission_deleted(key));
        }
    }
}

fn tell_of_user(events: &Events, entries: &Entries, user: &UserRecord) {
    let there = entries.get(&user.name).map(|entry| &*entry.user);
    match there {
        None => events.tell(|| definitions::user_created(&user.name)),
        Some(there) if there.password_hash == user.password_hash => {}
        Some(_) if user.password_hash.is_empty() => {
            events.tell(|| definitions::password_cleared(&user.name));
        }
        Some(_) => events.tell(|| definitions::password_changed(&user.name)),
    }
    if there.map_or(&[][..], |there| &there.tags) != user.tags {
        events.tell(|| definitions::tags_set(user));
    }
    let before = there.map(|there| there.limits).unwrap_or_default();
    let (set, cleared) = user.limits.against(before);
    if !set.is_none() {
        events.tell(|| definitions::user_limits_set(&user.name, set));
    }
    if cleared {
        events.tell(|| definitions::user_limits_cleared(&user.name));
    }
}

/// Everything that these changes mean: whatever goes with something else is named, too.
fn check(entries: &Entries, changes: Vec<Access>) -> Result<Vec<Access>, AuthError> {
    let mut foreseen = Foreseen::new(entries);
    let mut checked = Vec::new();
    for change in changes {
        match &change {
            Access::PutVhost(_) => {}
            Access::DeleteVhost(vhost) => {
                checked.extend(foreseen.some_of_vhost(&vhost.name, usize::MAX));
            }
            Access::PutUser(user) => foreseen.put(&user.name),
            Access::DeleteUser(user) => {
                assert_known(&foreseen, &user.name)?;
                checked.extend(foreseen.delete(&user.name));
            }
            Access::SetPermissions(record) => {
                assert_known(&foreseen, &record.user)?;
                Rules::compile(&record.configure, &record.write, &record.read)?;
                foreseen.grant(PermissionKey::from(record), true);
            }
            Access::ClearPermissions(key) => {
                assert_known(&foreseen, &key.user)?;
                foreseen.grant(key.clone(), false);
            }
            Access::SetTopicPermission(record) => {
                assert_known(&foreseen, &record.user)?;
                assert_rules(record)?;
                foreseen.grant_topic(TopicPermissionKey::from(record), true);
            }
            Access::ClearTopicPermission(key) => {
                assert_known(&foreseen, &key.user)?;
                foreseen.grant_topic(key.clone(), false);
            }
        }
        checked.push(change);
    }
    Ok(checked)
}

fn assert_known(foreseen: &Foreseen<'_>, user: &str) -> Result<(), AuthError> {
    let known = foreseen.is_known(user);
    if known { Ok(()) } else { Err(AuthError::NoSuchUser(user.to_owned())) }
}

fn apply(entries: &mut Entries, change: Access) -> Result<(), AuthError> {
    match change {
        Access::PutVhost(_) | Access::DeleteVhost(_) => {}
        Access::PutUser(user) => match entries.get_mut(&user.name) {
            Some(entry) => entry.put(user),
            None => drop(entries.insert(user.name.clone(), Entry::new(user))),
        },
        Access::DeleteUser(user) => {
            if let Some(entry) = entries.remove(&user.name) {
                entry.end();
            }
        }
        Access::SetPermissions(record) => {
            let rules = Rules::compile(&record.configure, &record.write, &record.read)?;
            if let Some(entry) = entries.get_mut(&record.user) {
                entry.grant(record, rules);
            }
        }
        Access::ClearPermissions(key) => {
            if let Some(entry) = entries.get_mut(&key.user) {
                entry.take(&key.vhost);
            }
        }
        Access::SetTopicPermission(record) => {
            if let Some(entry) = entries.get_mut(&record.user) {
                let vhost = record.vhost.clone();
                entry.topics.insert((record.vhost.clone(), record.exchange.clone()), record);
                entry.see_to_topics(&vhost);
            }
        }
        Access::ClearTopicPermission(key) => {
            if let Some(entry) = entries.get_mut(&key.user) {
                entry.topics.remove(&(key.vhost.clone(), key.exchange));
                entry.see_to_topics(&key.vhost);
            }
        }
    }
    Ok(())
}
