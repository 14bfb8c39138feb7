//! Definitions of a broker that runs: exported, compared with others, imported.
//!
//! For management and the command line. Everything here blocks, on locks and the disk: whoever calls it
//! from a task does so on a thread of its own. Stays true: what is imported is in effect and on disk when
//! it returns; what a document says and is not done is named. See RabbitMQ's page on definitions.

use std::sync::Arc;

use thiserror::Error;
use tracing::{info, warn};

use super::check::Known;
use super::difference::Difference;
use super::gather::{Unread, gather, stored};
use super::{apply, keep_as_there, prune};
use crate::broker::Broker;
use crate::broker::access::By;
use crate::definitions::document::written::Author;
use crate::definitions::document::{Document, DocumentError, Scope};
use crate::definitions::parameters::VHOST_LIMITS;

/// A document that is to be imported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Import<'a> {
    /// What it is about.
    pub scope: Scope<'a>,
    /// It, in JSON.
    pub text: &'a [u8],
    /// Whether what is not in it goes.
    pub prune: bool,
    /// Whether nothing is changed: it is only said what would be.
    pub dry_run: bool,
}

/// What was imported, or would be.
#[derive(Debug)]
pub(crate) struct Imported {
    /// What is there now and was not before, and the like.
    pub difference: Difference,
    /// What was passed over, a sentence each.
    pub notes: Vec<String>,
}

/// Why a document was not imported. One line.
#[derive(Debug, Error)]
pub(crate) enum NotImported {
    /// It cannot be used.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// What there is cannot be read.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// What it is about is not there.
    #[error("vhost '{0}' does not exist")]
    NoSuchVhost(String),
}

impl NotImported {
    /// What RabbitMQ's management answers; over several lines where it does so.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Document(error) => error.reason(),
            Self::NoSuchVhost(_) => "vhost_not_found".to_owned(),
            Self::Unread(error) => error.to_string(),
        }
    }
}

/// The definitions of the broker or of a vhost, in RabbitMQ's format.
///
/// # Errors
/// They cannot be read. Of a vhost that is not there the export has nothing.
pub(crate) fn export(
    broker: &Broker,
    scope: Scope<'_>,
    author: &Author,
) -> Result<Vec<u8>, Unread> {
    let document = gather(broker, scope, &stored(broker)?)?;
    Ok(document.written(scope, author))
}

/// Imports a document, or says what that would change. What exists and cannot become what the document
/// says stays as it is, as on RabbitMQ, and is named.
///
/// # Errors
/// The document cannot be used; then nothing was changed, save where a limit or a full disk was met on
/// the way.
pub(crate) fn import(
    broker: &Arc<Broker>,
    by: By<'_>,
    asked: &Import<'_>,
) -> Result<Imported, NotImported> {
    if let Scope::Vhost(name) = asked.scope
        && broker.vhost(name).is_none()
    {
        return Err(NotImported::NoSuchVhost(name.to_owned()));
    }
    let mut wanted = Document::read_of(asked.scope, asked.text, broker.logins().hashing())?;
    keep_as_there(&mut wanted, broker);
    let mut known = Known::default();
    known.give_types(&mut wanted, broker);
    known.check(&wanted, broker)?;
    let stored = stored(broker)?;
    let there = gather(broker, asked.scope, &stored)?;
    let difference = Difference::between(&there, &wanted, asked.prune);
    drop(there);
    let mut notes = notes(&mut wanted, &difference);
    if !asked.dry_run {
        apply::apply(wanted, broker, &stored, Some(by))?;
        notes.extend(prune::prune(&difference.gone, broker, by));
        broker.definitions().settled().wait().map_err(Unread::from)?;
        tell(by, asked.scope, &difference, &notes);
    }
    Ok(Imported { difference, notes })
}

/// What of a document is passed over, or has no effect.
fn notes(wanted: &mut Document, difference: &Difference) -> Vec<String> {
    let mut notes = std::mem::take(&mut wanted.notes);
    let mut components: Vec<_> = wanted.parameters.iter().map(|kept| &*kept.component).collect();
    components.sort_unstable();
    components.dedup();
    let idle = components.into_iter().filter(|component| *component != VHOST_LIMITS);
    let idle = idle.map(|name| format!("parameters of component '{name}' have no effect"));
    notes.extend(idle);
    notes.extend(difference.kept.iter().map(|step| format!("{step}: it stays as it is")));
    notes
}

fn tell(by: By<'_>, scope: Scope<'_>, difference: &Difference, notes: &[String]) {
    let vhost = match scope {
        Scope::Whole => None,
        Scope::Vhost(name) => Some(name),
    };
    for note in notes {
        warn!(event = "definitions.passed_over", vhost, "definitions: {note}");
    }
    let Difference { added, changed, removed, .. } = difference;
    let [added, changed, removed] = [added, changed, removed].map(Vec::len);
    let by = by.name();
    info!(
        event = "definitions.imported",
        by,
        vhost,
        "definitions were imported by '{by}': {added} added, {changed} changed, {removed} removed"
    );
}
