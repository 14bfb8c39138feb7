//! The first vhost and the first users, made when a broker starts on an empty data
//! directory: `default_vhost`, `default_user`, `default_users` and the keys beside them.

use leveret_storage::StorageError;
use regex::Regex;
use thiserror::Error;

use super::changes::AuthError;
use super::users::Users;
use crate::config::{Seed, SeedPermissions, SeedUser};
use crate::definitions::command::Access;
use crate::definitions::records::{
    Definitions, PermissionRecord, UserLimits, UserRecord, VhostRecord,
};
use crate::password::{self, HashingAlgorithm};
use crate::secret::Secret;

/// Why the first definitions were not made.
#[derive(Debug, Error)]
pub(crate) enum SeedError {
    /// The configured permissions make no sense.
    #[error("the default user or one of default_users: {0}")]
    Auth(#[from] AuthError),
    /// They could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Makes the first vhost and users, if what is stored has neither a vhost nor a user. Returns the
/// vhost if it did. Blocks until they are durable.
///
/// # Errors
/// The configured permissions cannot be compiled, or the store cannot be written.
pub(crate) fn seed_if_empty(
    users: &Users,
    stored: &Definitions,
    seed: &Seed,
) -> Result<Option<VhostRecord>, SeedError> {
    if !stored.vhosts.is_empty() || !stored.users.is_empty() {
        return Ok(None);
    }
    let vhost = VhostRecord {
        description: "Default virtual host".to_owned(),
        ..VhostRecord::plain(&seed.vhost)
    };
    let hashing = seed.password_hashing;
    let mut changes = vec![
        Access::PutVhost(vhost.clone()),
        user(&seed.user, Some(&seed.password), &seed.tags, hashing),
        permission(&seed.user, &seed.vhost, &seed.permissions),
    ];
    for further in &seed.further_users {
        if further.name == seed.user {
            let name = &further.name;
            tracing::warn!("default_users.{name} has no effect: '{name}' is the default user");
            continue;
        }
        changes.push(user(&further.name, further.password.as_ref(), &further.tags, hashing));
        if may_enter(further, &seed.vhost) {
            changes.push(permission(&further.name, &seed.vhost, &further.permissions));
        }
    }
    if let Some(proposal) = users.change(changes)? {
        proposal.wait()?;
    }
    Ok(Some(vhost))
}

/// A user without a password has a hash that no password matches.
fn user(
    name: &str,
    password: Option<&Secret>,
    tags: &[String],
    hashing_algorithm: HashingAlgorithm,
) -> Access {
    let hash = |password: &Secret| {
        // A blank password is never right, so there is no hash of one.
        let password = Some(password.expose()).filter(|password| !password.is_empty());
        password.map(|password| password::hash(hashing_algorithm, password.as_bytes()))
    };
    Access::PutUser(UserRecord {
        name: name.to_owned(),
        password_hash: password.and_then(hash).unwrap_or_default(),
        hashing_algorithm,
        tags: tags.to_vec(),
        limits: UserLimits::default(),
    })
}

fn permission(user: &str, vhost: &str, permissions: &SeedPermissions) -> Access {
    Access::SetPermissions(PermissionRecord {
        user: user.to_owned(),
        vhost: vhost.to_owned(),
        configure: permissions.configure.clone(),
        write: permissions.write.clone(),
        read: permissions.read.clone(),
    })
}

/// RabbitMQ makes such a user with the first vhost that matches. Here users are
/// seeded once, so it is made at once and kept out until it is given permissions.
fn may_enter(user: &SeedUser, vhost: &str) -> bool {
    Regex::new(&user.vhost_pattern).is_ok_and(|pattern| pattern.is_match(vhost))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use std::sync::Arc;

    use leveret_storage::metadata::{MemoryMetadata, MetadataStore, Snapshot};

    use super::*;
    use crate::config::Config;
    use crate::config::ServeOptions;
    use crate::definitions::records;
    use crate::definitions::store::DefinitionStore;

    fn seed(variables: &[(&str, &str)]) -> Seed {
        let options =
            ServeOptions { config: Some(PathBuf::from("/dev/null")), ..ServeOptions::default() };
        let lookup = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::load(&options, lookup).unwrap().seed
    }

    /// Whether the seed was sown.
    fn sow(store: &Arc<MemoryMetadata>, seed: &Seed) -> bool {
        let stored = records::load(&store.read().unwrap()).unwrap();
        let definitions = DefinitionStore::new(Arc::clone(store) as _, 1);
        let users = Users::new(Arc::new(definitions), &stored, &[], &[]);
        seed_if_empty(&users, &stored, seed).unwrap().is_some()
    }

    fn names(snapshot: &Snapshot) -> (Vec<String>, Vec<String>) {
        let loaded = records::load(snapshot).unwrap();
        let vhosts = loaded.vhosts.into_iter().map(|vhost| vhost.name).collect();
        (vhosts, loaded.users.into_iter().map(|user| user.name).collect())
    }

    #[test]
    fn an_empty_store_gets_guest_with_every_right() {
        let store = Arc::new(MemoryMetadata::new());
        assert!(sow(&store, &seed(&[])));
        let loaded = records::load(&store.read().unwrap()).unwrap();
        assert_eq!(loaded.vhosts[0].name, "/");
        assert!(loaded.users[0].has_tag("administrator"));
        assert!(password::verify(
            HashingAlgorithm::Sha256,
            &loaded.users[0].password_hash,
            b"guest"
        ));
        let [permission] = loaded.permissions.as_slice() else { panic!("{loaded:?}") };
        assert_eq!((permission.user.as_str(), permission.vhost.as_str()), ("guest", "/"));
        assert_eq!([&permission.configure, &permission.write, &permission.read], [".*"; 3]);
    }

    #[test]
    fn with_another_default_user_there_is_no_guest() {
        let store = Arc::new(MemoryMetadata::new());
        let variables = [("RABBITMQ_DEFAULT_USER", "bob"), ("RABBITMQ_DEFAULT_VHOST", "v")];
        assert!(sow(&store, &seed(&variables)));
        let expected = (vec!["v".to_owned()], vec!["bob".to_owned()]);
        assert_eq!(names(&store.read().unwrap()), expected);
        // Later starts do not look at the defaults any more.
        assert!(!sow(&store, &seed(&[])));
        assert_eq!(names(&store.read().unwrap()), expected);
    }

    fn further(name: &str, password: Option<&str>, vhost_pattern: &str) -> SeedUser {
        SeedUser {
            name: name.to_owned(),
            password: password.map(|password| Secret::new(password.to_owned())),
            tags: vec!["monitoring".to_owned()],
            vhost_pattern: vhost_pattern.to_owned(),
            permissions: SeedPermissions {
                configure: "^c".to_owned(),
                write: "^w".to_owned(),
                read: "^r".to_owned(),
            },
        }
    }

    #[test]
    fn further_users_enter_the_vhosts_that_match() {
        let store = Arc::new(MemoryMetadata::new());
        let mut seed = seed(&[]);
        seed.further_users =
            vec![further("bob", Some("secret"), ".*"), further("eve", None, "^other$")];
        assert!(sow(&store, &seed));
        let loaded = records::load(&store.read().unwrap()).unwrap();
        let [bob, eve, guest] = loaded.users.as_slice() else { panic!("{loaded:?}") };
        assert_eq!([&bob.name, &eve.name, &guest.name], ["bob", "eve", "guest"]);
        assert!(password::verify(HashingAlgorithm::Sha256, &bob.password_hash, b"secret"));
        assert!(!password::verify(HashingAlgorithm::Sha256, &eve.password_hash, b""));
        assert!(bob.has_tag("monitoring") && !bob.has_tag("administrator"));
        let [of_bob, of_guest] = loaded.permissions.as_slice() else { panic!("{loaded:?}") };
        assert_eq!([&of_bob.user, &of_guest.user], ["bob", "guest"]);
        assert_eq!([&of_bob.configure, &of_bob.write, &of_bob.read], ["^c", "^w", "^r"]);
        // Later starts make no users.
        seed.further_users.push(further("late", None, ".*"));
        assert!(!sow(&store, &seed));
        assert_eq!(names(&store.read().unwrap()).1, ["bob", "eve", "guest"]);
    }

    #[test]
    fn the_default_user_is_not_made_anew() {
        let store = Arc::new(MemoryMetadata::new());
        let mut seed = seed(&[]);
        seed.further_users = vec![further("guest", Some("other"), ".*")];
        assert!(sow(&store, &seed));
        let loaded = records::load(&store.read().unwrap()).unwrap();
        let [guest] = loaded.users.as_slice() else { panic!("{loaded:?}") };
        assert!(password::verify(HashingAlgorithm::Sha256, &guest.password_hash, b"guest"));
        assert_eq!(loaded.permissions[0].configure, ".*");
    }
}
