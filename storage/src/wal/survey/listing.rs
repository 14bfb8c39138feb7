//! What is in the directory of a log, and what should not be.
//!
//! Stays true: nothing that has content is passed over because the manifest does not know it.

use std::path::Path;

use super::super::files::Files;
use super::super::manifest::{self, Contents};
use super::super::segment::{HeaderFlaw, SegmentHeader, SegmentName, VERSION};
use super::super::side::TEMPORARY;
use super::super::stock::{SPARE, USED};
use super::super::walk::{Step, Walk};
use super::{Request, Survey, open};
use crate::StorageError;

/// Lists the directory and refuses what does not belong there.
pub(super) fn list(
    request: &Request<'_>,
    contents: &Contents,
    has_manifest: bool,
) -> Result<Survey, StorageError> {
    let Request { directory, store, files, .. } = *request;
    let entries =
        files.list(directory).map_err(|error| StorageError::io("list", directory, error))?;
    let mut survey = Survey { highest_id: contents.highest_id, ..Survey::default() };
    let mut unknown = Vec::new();
    for entry in &entries {
        let path = directory.join(&entry.name);
        if entry.name.ends_with(TEMPORARY) || entry.name == USED {
            survey.leftovers.push(path);
        } else if entry.name == SPARE {
            survey.has_spare = true;
        } else if let Some(name) = SegmentName::parse(&entry.name) {
            check_header(&path, name, store, files)?;
            if contents.removed.contains(&name) {
                survey.leftovers.push(path);
            } else if !contents.segments.contains_key(&name) {
                unknown.push((name, path));
            }
        }
    }
    if !has_manifest && let Some((_, path)) = unknown.first() {
        let detail = format!(
            "there is no {} beside it, which says what must be here; put that back from a backup",
            manifest::NAME
        );
        return Err(StorageError::Damaged { path: path.clone(), detail });
    }
    for (name, path) in unknown {
        if name.is_hot() && has_groups(&path, files)? {
            let detail = format!(
                "{} does not know it; it was put here by mistake, take it out of the directory",
                manifest::NAME
            );
            return Err(StorageError::Damaged { path, detail });
        }
        // Made just before the process ended: nothing depends on it, and of what was copied into a
        // cold one the sources are there.
        survey.highest_id = survey.highest_id.max(name.id);
        survey.leftovers.push(path);
    }
    Ok(survey)
}

/// Refuses a segment of another version, another store, or another name.
fn check_header(
    path: &Path,
    name: SegmentName,
    store: &[u8; 16],
    files: &dyn Files,
) -> Result<(), StorageError> {
    let file = open(path, files)?;
    let header =
        SegmentHeader::read(&*file).map_err(|error| StorageError::io("read", path, error))?;
    let detail = match header {
        Err(HeaderFlaw::Version(found)) if found > VERSION => {
            let (path, known) = (path.to_owned(), u32::from(VERSION));
            return Err(StorageError::NewerFormat { path, found: u32::from(found), known });
        }
        Err(HeaderFlaw::Version(found)) => {
            return Err(StorageError::OlderFormat { path: path.to_owned(), found: found.into() });
        }
        Ok(header) if header.store != *store => {
            "it belongs to another data directory; take it out of this one"
        }
        // A file on its way from one segment to another has the header of the next.
        Ok(header) if header.name.id < name.id => {
            "its header has another name; give the file its own name back"
        }
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(StorageError::Damaged { path: path.to_owned(), detail: detail.to_owned() })
}

fn has_groups(path: &Path, files: &dyn Files) -> Result<bool, StorageError> {
    let unreadable = |error| StorageError::io("read", path, error);
    let file = open(path, files)?;
    let Ok(header) = SegmentHeader::read(&*file).map_err(unreadable)? else { return Ok(false) };
    let length = file.size().map_err(unreadable)?;
    let mut walk = Walk::new(&*file, header.salt, length);
    Ok(matches!(walk.step().map_err(unreadable)?, Step::Group { .. }))
}
