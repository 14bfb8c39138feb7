//! Users: made, changed, limited, deleted.
//!
//! Stays true: whoever is deleted has no connection left (320), also one that was just being let in;
//! other changes leave connections open. A new password and new tags count from the next login on, as
//! on RabbitMQ; limits count at once for what is opened from now on.

use super::{Broker, By, Refused, TAGS_MAX, assert_name, durable};
use crate::auth::AuthError;
use crate::definitions::command::Access;
use crate::definitions::records::{UserKey, UserLimits, UserRecord};
use crate::definitions::store::Durable;
use crate::password::{self, HashingAlgorithm};
use crate::policy::{Definition, limits};
use crate::secret::Secret;

/// How a user proves that it is itself.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// By this password.
    Password(Secret),
    /// By the password that this is the hash of.
    Hash(String, HashingAlgorithm),
    /// Not by a password.
    Nothing,
}

/// A user as it is to be. What is `None` stays as it is, and is nothing for a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserDraft {
    /// How it logs in.
    pub credential: Option<Credential>,
    /// What it may administrate.
    pub tags: Option<Vec<String>>,
    /// How much it may have.
    pub limits: Option<UserLimits>,
}

/// The tag of users that are not changed over the network.
const PROTECTED: &str = "protected";
/// What may be limited of a user.
const LIMITS: [&str; 4] =
    ["max-connections", "max-channels", "max-publish-rate", "max-publish-byte-rate"];

impl Broker {
    /// Makes a user, unless there is one of its name.
    ///
    /// # Errors
    /// There is one, or the draft cannot be.
    pub(crate) fn add_user(
        &self,
        by: By<'_>,
        name: &str,
        draft: UserDraft,
    ) -> Result<Durable, Refused> {
        self.change_user(by, name, |there| match there {
            Some(_) => Err(Refused::UserExists(name.to_owned())),
            None => drafted(self.logins().hashing(), name, None, draft),
        })
    }

    /// Makes a user, or changes the one of its name.
    ///
    /// # Errors
    /// The draft cannot be, or the user is protected.
    pub(crate) fn put_user(
        &self,
        by: By<'_>,
        name: &str,
        draft: UserDraft,
    ) -> Result<Durable, Refused> {
        self.change_user(by, name, |there| drafted(self.logins().hashing(), name, there, draft))
    }

    /// Changes a user that there is.
    ///
    /// # Errors
    /// There is none, the draft cannot be, or the user is protected.
    pub(crate) fn update_user(
        &self,
        by: By<'_>,
        name: &str,
        draft: UserDraft,
    ) -> Result<Durable, Refused> {
        self.change_user(by, name, |there| {
            drafted(self.logins().hashing(), name, Some(known(name, there)?), draft)
        })
    }

    fn change_user(
        &self,
        by: By<'_>,
        name: &str,
        change: impl FnOnce(Option<&UserRecord>) -> Result<UserRecord, Refused>,
    ) -> Result<Durable, Refused> {
        assert_name("user", name)?;
        self.assert_room()?;
        let _acting = self.events().acting(by.name(), "");
        let proposal = self.users().decide(name, |there| {
            there.map_or(Ok(()), |there| assert_open(by, there))?;
            Ok::<_, Refused>(vec![Access::PutUser(change(there)?)])
        })?;
        by.log("user.changed", Some(name), None, &format!("user '{name}' was set"));
        Ok(durable(proposal))
    }

    /// Deletes a user with its permissions, and ends its connections.
    ///
    /// # Errors
    /// There is none, or the user is protected.
    pub(crate) fn delete_user(&self, by: By<'_>, name: &str) -> Result<Durable, Refused> {
        let acting = self.events().acting(by.name(), "");
        let proposal = self.users().decide(name, |there| {
            assert_open(by, known(name, there)?)?;
            Ok::<_, Refused>(vec![Access::DeleteUser(UserKey { name: name.to_owned() })])
        })?;
        drop(acting);
        by.log("user.deleted", Some(name), None, &format!("user '{name}' was deleted"));
        let reason = format!("user '{name}' is deleted");
        self.close_those(&reason, |client| *client.user == *name);
        Ok(durable(proposal))
    }

    /// Limits a user, beside the limits that it has: an object with `max-connections`,
    /// `max-channels`, `max-publish-rate` or `max-publish-byte-rate`, of which what is below zero is no
    /// limit.
    ///
    /// # Errors
    /// There is no such user, or these are no limits.
    pub(crate) fn set_user_limits(
        &self,
        by: By<'_>,
        name: &str,
        given: &Definition,
    ) -> Result<Durable, Refused> {
        let faults = limits::faults("user-limits", &LIMITS, given);
        if !faults.is_empty() {
            return Err(Refused::Limits(faults.join("; ")));
        }
        self.limit_user(by, name, |there| {
            let limit = |name, before| limits::given_or(given, name, before, limits::limit);
            let large = |name, before| limits::given_or(given, name, before, limits::large);
            UserLimits {
                max_connections: limit("max-connections", there.max_connections),
                max_channels: limit("max-channels", there.max_channels),
                max_publish_rate: large("max-publish-rate", there.max_publish_rate),
                max_publish_byte_rate: large("max-publish-byte-rate", there.max_publish_byte_rate),
            }
        })
    }

    /// Ends one limit of a user, by its name, or `all`. Of others there is nothing to end.
    ///
    /// # Errors
    /// There is no such user.
    pub(crate) fn clear_user_limits(
        &self,
        by: By<'_>,
        name: &str,
        limit: &str,
    ) -> Result<Durable, Refused> {
        let is_cleared = |of: &str| limit == of || limit == "all";
        self.limit_user(by, name, |there| UserLimits {
            max_connections: there.max_connections.filter(|_| !is_cleared("max-connections")),
            max_channels: there.max_channels.filter(|_| !is_cleared("max-channels")),
            max_publish_rate: there.max_publish_rate.filter(|_| !is_cleared("max-publish-rate")),
            max_publish_byte_rate: there
                .max_publish_byte_rate
                .filter(|_| !is_cleared("max-publish-byte-rate")),
        })
    }

    /// Limits may be set of protected users, too, as on RabbitMQ.
    fn limit_user(
        &self,
        by: By<'_>,
        name: &str,
        limits: impl FnOnce(UserLimits) -> UserLimits,
    ) -> Result<Durable, Refused> {
        let _acting = self.events().acting(by.name(), "");
        let proposal = self.users().decide(name, |there| {
            let there = known(name, there)?;
            let limits = limits(there.limits);
            Ok::<_, Refused>(vec![Access::PutUser(UserRecord { limits, ..there.clone() })])
        })?;
        let line = format!("the limits of user '{name}' were set");
        by.log("limits.changed", Some(name), None, &line);
        Ok(durable(proposal))
    }
}

fn known<'a>(name: &str, there: Option<&'a UserRecord>) -> Result<&'a UserRecord, Refused> {
    there.ok_or_else(|| AuthError::NoSuchUser(name.to_owned()).into())
}

fn assert_open(by: By<'_>, user: &UserRecord) -> Result<(), Refused> {
    match by {
        By::User(_) if user.has_tag(PROTECTED) => Err(Refused::ProtectedUser),
        By::User(_) | By::CommandLine => Ok(()),
    }
}

fn drafted(
    hashing: HashingAlgorithm,
    name: &str,
    there: Option<&UserRecord>,
    draft: UserDraft,
) -> Result<UserRecord, Refused> {
    let mut user = there.cloned().unwrap_or_else(|| UserRecord {
        name: name.to_owned(),
        password_hash: String::new(),
        hashing_algorithm: hashing,
        tags: Vec::new(),
        limits: UserLimits::default(),
    });
    match draft.credential {
        None => {}
        Some(Credential::Password(password)) => {
            user.password_hash = password::hash(hashing, password.expose().as_bytes());
            user.hashing_algorithm = hashing;
        }
        Some(Credential::Hash(hash, algorithm)) => {
            password::assert_hash(algorithm, &hash).map_err(|_| Refused::NoHash)?;
            user.password_hash = hash;
            user.hashing_algorithm = algorithm;
        }
        Some(Credential::Nothing) => user.password_hash.clear(),
    }
    if let Some(tags) = draft.tags {
        if tags.len() > TAGS_MAX {
            return Err(Refused::TooManyTags(tags.len()));
        }
        user.tags = tags;
    }
    user.limits = draft.limits.unwrap_or(user.limits);
    Ok(user)
}
