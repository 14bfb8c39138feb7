//! Definitions in RabbitMQ's format, into a broker and out of it.
//!
//! At the start `startup` has loaded what the configuration names, which `files` finds; while the broker
//! runs, management exports and imports (`running`). `definitions::document` understands and writes the
//! format, `gather` says what a broker has, `check` holds a document against it, `difference` says what
//! it would change, `apply` makes it so and `prune` takes away what is not wanted. Stays true: nothing of
//! a document is applied that cannot be applied as a whole, as far as that can be known before; what is
//! loaded again changes nothing and writes nothing.

mod apply;
mod check;
mod files;
mod gather;
mod difference;
mod prune;
pub(crate) mod running;

use std::io;
use std::path::{Path, PathBuf};

use leveret_storage::StorageError;
use leveret_storage::metadata::Snapshot;
use thiserror::Error;
use tracing::{info, warn};

use self::check::Known;
use crate::broker::Broker;
use crate::config::LoadDefinitions;
use crate::definitions::command::{Command, Parameter};
use crate::definitions::document::{Document, DocumentError};
use crate::definitions::parameters::{self, ImportRecord, VHOST_LIMITS};
use crate::definitions::records::DefinitionError;
use crate::password;
use crate::secret::Secret;

/// Why definitions were not loaded. One line.
#[derive(Debug, Error)]
pub(crate) enum ImportError {
    /// A file or directory cannot be read.
    #[error("cannot load definitions from {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What is in a file cannot be used.
    #[error("cannot load definitions from {path}: {source}")]
    Document {
        /// Which.
        path: PathBuf,
        /// Which object in it, and why.
        source: DocumentError,
    },
    /// What was loaded last cannot be read.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// What was loaded could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Loads what the configuration names, if it names something. Blocks until it is durable.
///
/// # Errors
/// A file cannot be read, or used, or the store cannot be written. Files before it may have been
/// loaded.
pub(crate) fn load(
    config: &LoadDefinitions,
    broker: &Broker,
    stored: &Snapshot,
) -> Result<(), ImportError> {
    if config.paths.is_empty() {
        return Ok(());
    }
    let files = files::read(&config.paths)?;
    let import = ImportRecord { hash: files::hash(&files) };
    let is_last = parameters::last_import(stored)?.as_ref() == Some(&import);
    if is_last && config.skip_if_unchanged {
        info!("definitions are those that were loaded last, and are not loaded again");
        return Ok(());
    }
    let mut documents = Vec::new();
    let mut known = Known::default();
    for (path, text) in &files {
        let failed = |source| ImportError::Document { path: path.clone(), source };
        let mut document = Document::read(text, broker.logins().hashing()).map_err(failed)?;
        keep_as_there(&mut document, broker);
        known.give_types(&mut document, broker);
        known.check(&document, broker).map_err(failed)?;
        documents.push((path, document));
    }
    for (path, document) in documents {
        tell(path, &document);
        apply::apply(document, broker, stored, None)
            .map_err(|source| ImportError::Document { path: path.clone(), source })?;
    }
    if !is_last {
        broker.definitions().propose(&[Command::from(Parameter::Imported(import))]);
    }
    broker.definitions().settled().wait()?;
    Ok(())
}

/// Passwords that are right as they are keep their hashes, and users of whose limits nothing is said their
/// limits.
fn keep_as_there(document: &mut Document, broker: &Broker) {
    let Document { users, passwords, unlimited, .. } = document;
    for user in users {
        let Some(there) = broker.users().user(&user.name) else { continue };
        if unlimited.contains(&user.name) {
            user.limits = there.limits;
        }
        let given = passwords.iter().find(|(name, _)| *name == user.name);
        let is_right = |password: &Secret| {
            let password = password.expose().as_bytes();
            password::verify(there.hashing_algorithm, &there.password_hash, password)
        };
        if given.is_some_and(|(_, password)| is_right(password)) {
            user.password_hash.clone_from(&there.password_hash);
            user.hashing_algorithm = there.hashing_algorithm;
        }
    }
}

fn tell(path: &Path, document: &Document) {
    let path = path.display();
    for note in &document.notes {
        warn!("{path}: passed over: {note}");
    }
    let mut components: Vec<_> = document.parameters.iter().map(|kept| &*kept.component).collect();
    components.sort_unstable();
    components.dedup();
    for component in components.into_iter().filter(|component| *component != VHOST_LIMITS) {
        warn!("{path}: parameters of component '{component}' are kept and have no effect");
    }
    let Document { vhosts, users, permissions, policies, exchanges, queues, bindings, .. } =
        document;
    info!(
        "loading definitions from {path}: {} vhosts, {} users, {} permissions, {} policies, {} \
         exchanges, {} queues, {} bindings",
        vhosts.len(),
        users.len(),
        permissions.len(),
        policies.len(),
        exchanges.len(),
        queues.len(),
        bindings.len()
    );
}

#[cfg(test)]
mod tests;
