//! Opening the definitions: the database if it is whole, else a new database
//! built from the newest valid export.
//!
//! A database is not whole if sled cannot read it, or if it is older than an
//! export: exports are saved only after the database was flushed.
//!
//! What is rebuilt may be older than what was lost. So that no number is given
//! twice, the boot epoch is moved ahead (see [`epoch`]), and the warning
//! says what to expect.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::epoch;
use super::export::{self, Export, Survey};
use super::published::Image;
use super::sled_engine::{OpenError, SledEngine};
use super::writer::Engine;
use super::{AppliedIndex, Change};
use crate::StorageError;
use crate::directory::{StoreId, sync_directory};

/// An open database with its content.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) engine: SledEngine,
    pub(crate) image: Image,
    /// Whether the content came from an export.
    pub(crate) rebuilt: bool,
}

/// Opens the database in `directory`, rebuilding it if need be.
pub(crate) fn open(
    directory: &Path,
    database: &Path,
    store: &StoreId,
) -> Result<Opened, StorageError> {
    let present =
        database.try_exists().map_err(|error| StorageError::io("look at", database, error))?;
    if !present && !export::survey(directory, store).any_file {
        // An export from the beginning: a crash while the database is being
        // created then leads to a rebuild instead of a refusal.
        export::save(directory, store, &Image::default())?;
    }
    let survey = export::survey(directory, store);
    let newest = survey.newest.as_ref().map_or(AppliedIndex(0), |export| export.image.index);
    if !present && newest > AppliedIndex(0) {
        return rebuild(directory, database, survey, "it is missing");
    }
    match SledEngine::open(database) {
        Ok((engine, image)) if image.index >= newest => {
            Ok(Opened { engine, image, rebuilt: false })
        }
        Ok((engine, image)) => {
            drop(engine);
            let reason = format!("it ends at change {}, an export at {newest}", image.index);
            rebuild(directory, database, survey, &reason)
        }
        Err(OpenError::Damaged(reason)) => rebuild(directory, database, survey, &reason),
        Err(OpenError::System(error)) => Err(StorageError::io("open", database, error)),
    }
}

fn rebuild(
    directory: &Path,
    database: &Path,
    survey: Survey,
    reason: &str,
) -> Result<Opened, StorageError> {
    let Some(export) = survey.newest else {
        return Err(StorageError::NoValidExport {
            database: database.to_owned(),
            reason: reason.to_owned(),
            export: export::path(directory),
            exports: survey.rejected.join("; "),
        });
    };
    let aside = set_aside(directory, database)?;
    warn(database, reason, aside.as_deref(), &export);
    let (mut engine, _) = SledEngine::open(database).map_err(|error| match error {
        OpenError::Damaged(detail) => StorageError::Damaged { path: database.to_owned(), detail },
        OpenError::System(error) => StorageError::io("create", database, error),
    })?;
    let mut image = export.image;
    let skip = epoch::skip_ahead(&image);
    image.apply(image.index.next(), std::slice::from_ref(&skip));
    let everything: Vec<Change> = image
        .entries
        .iter()
        .map(|(key, value)| Change::Put { key: key.clone(), value: value.to_vec() })
        .collect();
    engine
        .commit(&[&everything], image.index)
        .map_err(|error| StorageError::io("rebuild", database, error))?;
    Ok(Opened { engine, image, rebuilt: true })
}

/// Moves the broken database out of the way, keeping it for whoever wants to look.
fn set_aside(directory: &Path, database: &Path) -> Result<Option<PathBuf>, StorageError> {
    let present =
        database.try_exists().map_err(|error| StorageError::io("look at", database, error))?;
    if !present {
        return Ok(None);
    }
    let aside = (1_u32..)
        .map(|n| {
            let mut name = database.as_os_str().to_owned();
            name.push(format!(".broken-{n}"));
            PathBuf::from(name)
        })
        .find(|candidate| !candidate.exists())
        .unwrap_or_default();
    fs::rename(database, &aside).map_err(|error| StorageError::io("rename", database, error))?;
    sync_directory(directory)?;
    Ok(Some(aside))
}

fn warn(database: &Path, reason: &str, aside: Option<&Path>, export: &Export) {
    let written_at = export.written_at.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let kept = aside.map_or_else(
        || "There was nothing to keep.".to_owned(),
        |path| format!("The broken database is kept as {}.", path.display()),
    );
    tracing::warn!(
        "DEFINITIONS WERE REBUILT FROM AN EXPORT: {} cannot be used ({reason}). {} with {} entries, \
         saved at unix time {written_at}, was taken instead. Vhosts, users, permissions, exchanges, \
         queues and bindings that changed after that time are as they were then: what was created \
         later is missing (its messages stay in the message log), what was deleted later is back. \
         {kept}",
        database.display(),
        export.path.display(),
        export.image.entries.len(),
    );
}
