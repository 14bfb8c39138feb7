//! Definitions from RabbitMQ's files into a broker.
//!
//! Called by `startup`, before anything listens. `files` finds and reads what the configuration
//! names, `definitions::document` understands it, `check` holds it against what there is, `apply`
//! makes it so. Stays true: nothing of a file is applied that cannot be applied as a whole, as far as
//! that can be known before; what is loaded again changes nothing and writes nothing.

mod apply;
mod check;
mod files;

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
        known.give_types(&mut document, broker);
        known.check(&document, broker).map_err(failed)?;
        documents.push((path, document));
    }
    for (path, document) in documents {
        tell(path, &document);
        apply::apply(document, broker, stored)
            .map_err(|source| ImportError::Document { path: path.clone(), source })?;
    }
    if !is_last {
        broker.definitions().propose(&[Command::from(Parameter::Imported(import))]);
    }
    broker.definitions().settled().wait()?;
    Ok(())
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
