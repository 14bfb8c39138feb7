//! Users of a definitions document.
//!
//! A room of `definitions::document`. Rules and the names of hashing algorithms are RabbitMQ's.

use serde_json::Value;

use super::Fault;
use super::object::Object;
use crate::definitions::records::{UserLimits, UserRecord};
use crate::password::{self, HashingAlgorithm};
use crate::secret::Secret;

/// RabbitMQ: more tags than these are refused.
const TAGS_MAX: usize = 32;

/// Reads a user. `hashing` is how passwords are hashed here.
pub(super) fn user(
    user: &Object<'_>,
    version: Option<&str>,
    hashing: HashingAlgorithm,
) -> Result<UserRecord, Fault> {
    let (password_hash, hashing_algorithm) =
        match (user.find("password"), user.find("password_hash")) {
            (Some(_), Some(_)) => {
                let told = "both_password_and_password_hash_are_provided";
                return Err(Fault::told("it has both 'password' and 'password_hash'", told));
            }
            (Some(_), None) => {
                let password = user.text("password")?;
                (password::hash(hashing, password.as_bytes()), hashing)
            }
            (None, Some(_)) => {
                let made_by = hashing_algorithm(user, version, hashing)?;
                (hash(user, made_by)?, made_by)
            }
            (None, None) => (String::new(), hashing),
        };
    Ok(UserRecord {
        name: user.short("name")?,
        password_hash,
        hashing_algorithm,
        tags: tags(user)?,
        limits: limits(user)?,
    })
}

/// The name of a user of whose limits nothing is said.
pub(super) fn unlimited(user: &Object<'_>) -> Result<Option<String>, String> {
    let is_silent = user.find("limits").is_none();
    is_silent.then(|| user.short("name")).transpose()
}

/// The name and the password of a user that comes with one.
pub(super) fn password(user: &Object<'_>) -> Result<Option<(String, Secret)>, String> {
    let given = user.find("password").map(|_| user.text("password")).transpose()?;
    given.map(|given| Ok((user.short("name")?, Secret::new(given)))).transpose()
}

/// Below zero is no limit.
fn limits(user: &Object<'_>) -> Result<UserLimits, String> {
    let limits = user.object("limits")?;
    let limit = |name: &str| match limits.find(name) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(number) => Ok(u64::try_from(number).ok()),
            None => Err(format!("the limit '{name}' is no number")),
        },
    };
    let small = |number| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(UserLimits {
        max_connections: limit("max-connections")?.map(small),
        max_channels: limit("max-channels")?.map(small),
        max_publish_rate: limit("max-publish-rate")?,
        max_publish_byte_rate: limit("max-publish-byte-rate")?,
    })
}

fn hash(user: &Object<'_>, made_by: HashingAlgorithm) -> Result<String, Fault> {
    let hash = user.text("password_hash")?;
    match password::assert_hash(made_by, &hash) {
        Ok(()) => Ok(hash),
        Err(reason) => {
            let told = format!("{{not_base64,<<\"{hash}\">>}}");
            Err(Fault::told(format!("'password_hash' {reason}"), told))
        }
    }
}

/// Versions before 3.6 knew MD5 alone, and did not say so; others that say nothing mean the
/// algorithm that is configured.
fn hashing_algorithm(
    user: &Object<'_>,
    version: Option<&str>,
    hashing: HashingAlgorithm,
) -> Result<HashingAlgorithm, String> {
    let Some(named) = user.find("hashing_algorithm") else {
        let old = ["2.", "3.0.", "3.1.", "3.2.", "3.3.", "3.4.", "3.5."];
        let is_old = version.is_some_and(|version| old.iter().any(|old| version.starts_with(old)));
        return Ok(if is_old { HashingAlgorithm::Md5 } else { hashing });
    };
    serde_json::from_value(named.clone())
        .map_err(|_| format!("there is no 'hashing_algorithm' {named}"))
}

/// The tags have to be there, empty or not; in 2.x there was one flag instead.
fn tags(user: &Object<'_>) -> Result<Vec<String>, Fault> {
    let tags = match (user.find("tags"), user.find("administrator")) {
        (Some(_), _) => user.words("tags")?,
        (None, Some(Value::Bool(true))) => vec!["administrator".to_owned()],
        (None, Some(_)) => Vec::new(),
        (None, None) => return Err(Fault::told("'tags' is missing", "tags_not_present")),
    };
    if tags.len() > TAGS_MAX {
        return Err(format!("it has more than {TAGS_MAX} tags").into());
    }
    Ok(tags)
}
