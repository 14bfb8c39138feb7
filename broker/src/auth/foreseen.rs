//! Who there will be, with rights where, once some changes are made.
//!
//! Used by `auth::changes` to check a batch before any of it is made. Stays true: it costs by the batch
//! and by what goes with what it deletes, not by all users there are; only the end of a vhost looks at
//! each of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::users::Entries;
use crate::definitions::command::Access;
use crate::definitions::parameters::TopicPermissionKey;
use crate::definitions::records::PermissionKey;

/// See the module documentation. What is not in the maps is as it is now.
pub(super) struct Foreseen<'a> {
    entries: &'a Entries,
    users: HashMap<String, bool>,
    /// By user and vhost.
    granted: BTreeMap<(String, String), bool>,
    /// By user, vhost and exchange.
    topics: BTreeMap<(String, String, String), bool>,
}

impl<'a> Foreseen<'a> {
    /// No change yet.
    pub(super) fn new(entries: &'a Entries) -> Self {
        let (granted, topics) = (BTreeMap::new(), BTreeMap::new());
        Self { entries, users: HashMap::new(), granted, topics }
    }

    /// Whether there will be the user.
    pub(super) fn is_known(&self, user: &str) -> bool {
        self.users.get(user).copied().unwrap_or_else(|| self.entries.contains_key(user))
    }

    /// There will.
    pub(super) fn put(&mut self, user: &str) {
        self.users.insert(user.to_owned(), true);
    }

    /// The rights in a vhost will be there, or not.
    pub(super) fn grant(&mut self, key: PermissionKey, is_granted: bool) {
        self.granted.insert((key.user, key.vhost), is_granted);
    }

    /// The rules over the routing keys of an exchange will be there, or not.
    pub(super) fn grant_topic(&mut self, key: TopicPermissionKey, is_granted: bool) {
        self.topics.insert((key.user, key.vhost, key.exchange), is_granted);
    }

    /// There will be no such user: what goes with it.
    pub(super) fn delete(&mut self, user: &str) -> Vec<Access> {
        self.users.insert(user.to_owned(), false);
        self.take(|of, _| of == user, std::iter::once(user), usize::MAX)
    }

    /// What goes with a vhost, at most so much.
    pub(super) fn some_of_vhost(&mut self, vhost: &str, most: usize) -> Vec<Access> {
        let entries = self.entries;
        self.take(|_, of| of == vhost, entries.keys().map(String::as_str), most)
    }

    /// The end of those rights that there will be, of which the users and vhosts are these.
    fn take<'u>(
        &mut self,
        of: impl Fn(&str, &str) -> bool,
        users: impl Iterator<Item = &'u str>,
        most: usize,
    ) -> Vec<Access> {
        let (mut granted, mut topics) = (BTreeSet::new(), BTreeSet::new());
        for (user, entry) in users.filter_map(|user| Some((user, self.entries.get(user)?))) {
            if granted.len() + topics.len() >= most {
                break;
            }
            let vhosts = entry.permissions.keys().filter(|vhost| of(user, vhost));
            granted.extend(vhosts.map(|vhost| (user.to_owned(), vhost.clone())));
            let named = entry.topics.keys().filter(|(vhost, _)| of(user, vhost));
            topics.extend(
                named.map(|(vhost, exchange)| (user.to_owned(), vhost.clone(), exchange.clone())),
            );
        }
        for (key, is_granted) in self.granted.iter().filter(|((user, vhost), _)| of(user, vhost)) {
            note(&mut granted, key, *is_granted);
        }
        for (key, is_granted) in self.topics.iter().filter(|((user, vhost, _), _)| of(user, vhost))
        {
            note(&mut topics, key, *is_granted);
        }
        self.granted.extend(granted.iter().cloned().map(|key| (key, false)));
        self.topics.extend(topics.iter().cloned().map(|key| (key, false)));
        let granted = granted
            .into_iter()
            .map(|(user, vhost)| Access::ClearPermissions(PermissionKey { user, vhost }));
        let topics = topics.into_iter().map(|(user, vhost, exchange)| {
            Access::ClearTopicPermission(TopicPermissionKey { user, vhost, exchange })
        });
        granted.chain(topics).collect()
    }
}

fn note<K: Ord + Clone>(keys: &mut BTreeSet<K>, key: &K, is_there: bool) {
    if is_there {
        keys.insert(key.clone());
    } else {
        keys.remove(key);
    }
}
