//! What an empty data directory is filled with: `default_*` and `default_users.*`.
//!
//! `auth` reads it once, when it finds neither a vhost nor a user and no definitions
//! are to be loaded; a later start does not look at it.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::keys;
use super::settings::Settings;
use crate::password::HashingAlgorithm;
use crate::secret::Secret;

/// `default_*`: applies only when the data directory is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// The first vhost.
    pub vhost: String,
    /// The first user.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its rights in the vhost: configure, write, read.
    pub permissions: SeedPermissions,
    /// How their passwords are hashed.
    pub password_hashing: HashingAlgorithm,
    /// The users beside the first one, by name.
    pub further_users: Vec<SeedUser>,
}

/// `default_users.<name>.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedUser {
    /// The user's name.
    pub name: String,
    /// A user without one cannot log in until it is given one.
    pub password: Option<Secret>,
    /// The tags.
    pub tags: Vec<String>,
    /// The vhosts the user may enter: a regular expression.
    pub vhost_pattern: String,
    /// The rights in these vhosts.
    pub permissions: SeedPermissions,
}

/// `default_permissions.*`, or those of a further user: regular expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedPermissions {
    /// What may be declared and deleted.
    pub configure: String,
    /// What may be published and bound to.
    pub write: String,
    /// What may be consumed and bound from.
    pub read: String,
}

impl Seed {
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let administrator =
            settings.get(&keys::DEFAULT_ADMINISTRATOR)?.then(|| "administrator".to_owned());
        let tags = settings.each(&keys::DEFAULT_TAG)?;
        let tags = tags.into_iter().filter_map(|(tag, wanted)| wanted.then_some(tag));
        Ok(Self {
            vhost: settings.get(&keys::DEFAULT_VHOST)?,
            user: settings.get(&keys::DEFAULT_USER)?,
            password: Secret::new(settings.get(&keys::DEFAULT_PASS)?),
            tags: administrator.into_iter().chain(tags).collect(),
            permissions: SeedPermissions {
                configure: settings.get(&keys::DEFAULT_CONFIGURE)?,
                write: settings.get(&keys::DEFAULT_WRITE)?,
                read: settings.get(&keys::DEFAULT_READ)?,
            },
            password_hashing: settings.get(&keys::PASSWORD_HASHING)?,
            further_users: further_users(settings)?,
        })
    }
}

impl SeedUser {
    /// RabbitMQ: everything in every vhost, unless it is set.
    fn new(name: &str) -> Self {
        let everything = || ".*".to_owned();
        Self {
            name: name.to_owned(),
            password: None,
            tags: Vec::new(),
            vhost_pattern: everything(),
            permissions: SeedPermissions {
                configure: everything(),
                write: everything(),
                read: everything(),
            },
        }
    }
}

/// One setting of a user is enough to have it made.
fn further_users(settings: &Settings) -> Result<Vec<SeedUser>, ConfigError> {
    let mut users = FurtherUsers::default();
    for (name, password) in settings.each(&keys::USER_PASSWORD)? {
        users.named(name).password = Some(Secret::new(password));
    }
    for (name, tags) in settings.each(&keys::USER_TAGS)? {
        users.named(name).tags = tags;
    }
    for (name, pattern) in settings.each(&keys::USER_VHOST_PATTERN)? {
        users.named(name).vhost_pattern = pattern;
    }
    for (name, pattern) in settings.each(&keys::USER_CONFIGURE)? {
        users.named(name).permissions.configure = pattern;
    }
    for (name, pattern) in settings.each(&keys::USER_WRITE)? {
        users.named(name).permissions.write = pattern;
    }
    for (name, pattern) in settings.each(&keys::USER_READ)? {
        users.named(name).permissions.read = pattern;
    }
    Ok(users.0.into_values().collect())
}

#[derive(Default)]
struct FurtherUsers(BTreeMap<String, SeedUser>);

impl FurtherUsers {
    fn named(&mut self, name: String) -> &mut SeedUser {
        self.0.entry(name).or_insert_with_key(|name| SeedUser::new(name))
    }
}
