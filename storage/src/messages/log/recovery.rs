//! From the files of a log back to its messages, after whatever ended the process before.
//!
//! Called when a log is opened. It looks at everything first and refuses what it must refuse with
//! nothing changed; only then it cuts off what an interruption left behind, and syncs what the next
//! SYNCED frame will vouch for.
//!
//! Stays true: doing it twice is doing it once; nothing that was synced is dropped without
//! [`Options::salvage`](crate::messages::Options); the caller appends to a fresh segment.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::files::Files;
use super::frame::{Frame, FramePlace, LogPosition};
use super::holdings::Holdings;
use super::outline;
use super::rebuild::{Rebuild, Rebuilt};
use super::salvage;
use super::segment::{Step, Walk};
use super::segments::{Account, Segment};
use super::survey::{Bad, Listed, Listing, SyncedPoints, Verdict, Walked};
use crate::StorageError;
use crate::directory::StoreId;
use crate::messages::Recovered;

/// How many segments are read at once: one is checked while the disk fetches another.
const READERS: usize = 2;

/// What to recover.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// The log's directory.
    pub(crate) directory: &'a Path,
    /// Whose segments it must hold.
    pub(crate) store: &'a StoreId,
    /// The queues of the definitions.
    pub(crate) known_queues: &'a HashSet<u64>,
    /// See [`Options::salvage`](crate::messages::Options).
    pub(crate) salvage: bool,
    /// Where it all is.
    pub(crate) files: &'a dyn Files,
}

/// Every segment and every frame of a log, judged.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The files.
    pub(crate) listing: Listing,
    /// What to think of each segment of the listing.
    pub(crate) verdicts: Vec<Verdict>,
    /// How far the log was synced.
    pub(crate) synced: SyncedPoints,
    /// What all good frames come to.
    pub(crate) rebuilt: Rebuilt,
}

/// What to read, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// The log's directory.
    pub(crate) directory: &'a Path,
    /// Whose segments it must hold.
    pub(crate) store: &'a StoreId,
    /// The queues of the definitions; without them every queue is taken for known.
    pub(crate) known_queues: Option<&'a HashSet<u64>>,
    /// Reads outlines in place of old segments. Damage in these is found when they are read.
    pub(crate) believes_outlines: bool,
    /// Where it all is.
    pub(crate) files: &'a dyn Files,
}

/// Puts a log's state together and its directory in order.
///
/// # Errors
/// Something synced is damaged, a segment is of a later version or another store, or the system
/// refuses. Unless the system refused to change something, nothing was changed.
pub(crate) fn recover(request: &Request<'_>) -> Result<(Holdings, Recovered), StorageError> {
    let Request { directory, store, known_queues, salvage, files } = *request;
    files
        .create_directory(directory)
        .map_err(|error| StorageError::io("create", directory, error))?;
    let scope = Scope {
        directory,
        store,
        known_queues: Some(known_queues),
        believes_outlines: !salvage,
        files,
    };
    let mut notes = Vec::new();
    let mut found = scan(&scope)?;
    if salvage && found.damaged().next().is_some() {
        let cuts = salvage::cut_out(directory, store, &found, files)?;
        notes.extend(cuts.iter().map(ToString::to_string));
        found = scan(&scope)?;
    }
    if let Some(error) = found.damage(directory) {
        return Err(error);
    }
    repair(directory, &mut found, files, &mut notes)?;
    let Rebuilt { holdings, queues, quarantined, .. } = found.rebuilt;
    Ok((holdings, Recovered { queues, quarantined, notes }))
}

/// Reads everything and changes nothing.
///
/// # Errors
/// A segment is of a later version or another store, or the system refuses.
pub(crate) fn scan(scope: &Scope<'_>) -> Result<Scan, StorageError> {
    let Scope { directory, store, known_queues, believes_outlines, files } = *scope;
    let listing = Listing::read(directory, &store.bytes(), files)?;
    let holdings = accounts(directory, &listing, files)?;
    let mut synced = synced_points(&listing, files)?;
    let mut rebuild = Rebuild::new(holdings, known_queues);
    tell_newest_snapshot(&listing, synced.highest(), &mut rebuild, files)?;
    let rebuild = Mutex::new(rebuild);
    let (last, earlier): (Vec<_>, Vec<_>) = listing
        .segments
        .iter()
        .partition(|one| one.is_hot() && one.name.id >= synced.highest().segment);
    let outlined = if believes_outlines {
        listing.segments.len().saturating_sub(outline::READ_WHOLE)
    } else {
        0
    };
    let first_whole = listing.segments.get(outlined).map_or(u32::MAX, |segment| segment.name.id);
    let mut walked = walk_all(&earlier, first_whole, &rebuild, files)?;
    let mut rebuild = rebuild.into_inner();
    walked.extend(walk_last(&last, &synced, &mut rebuild, files)?);
    walked.sort_unstable_by_key(|(segment, _)| segment.name);
    walked.iter().for_each(|(_, walked)| synced.join(&walked.synced));
    let verdicts = judge_all(&walked, &synced);
    Ok(Scan { listing, verdicts, synced, rebuilt: rebuild.finish() })
}

impl Scan {
    /// The segments that are damaged, and where.
    pub(crate) fn damaged(&self) -> impl Iterator<Item = (&Listed, &Bad)> {
        self.segments().filter_map(|(segment, verdict)| match verdict {
            Verdict::Damaged(bad) => Some((segment, bad)),
            Verdict::Whole | Verdict::Torn(_) | Verdict::Unsynced(_) => None,
        })
    }

    /// Every segment with its verdict, ascending by id.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (&Listed, &Verdict)> {
        self.listing.segments.iter().zip(&self.verdicts)
    }

    /// What an operator is told of the damage.
    fn damage(&self, directory: &Path) -> Option<StorageError> {
        let (segment, bad) = self.damaged().next()?;
        let data = directory.parent().unwrap_or(directory).display();
        let others = match self.damaged().count() - 1 {
            0 => String::new(),
            others => format!(" ({others} more segments are damaged too)"),
        };
        let detail = format!(
            "at byte {}: {}{others}; it was synced, so confirmed messages may be lost with it: put \
             the file back from a backup, or run 'leveret verify --salvage {data}', which goes on \
             without it and says what is lost",
            bad.offset, bad.why
        );
        Some(StorageError::Damaged { path: segment.path.clone(), detail })
    }
}

/// An account for every segment.
fn accounts(
    directory: &Path,
    listing: &Listing,
    files: &dyn Files,
) -> Result<Holdings, StorageError> {
    let mut holdings = Rebuild::empty_holdings();
    holdings.segments_mut().raise_highest_id(listing.highest_id);
    for listed in &listing.segments {
        let segment = Segment::new(listed.name, directory, listed.open(files)?);
        holdings.segments_mut().insert(Account::sealed(segment, listed.size));
    }
    Ok(holdings)
}

/// How far the log was synced. It is told many times in a segment, and the later the higher, so the
/// newest segments that tell it at all have the highest.
fn synced_points(listing: &Listing, files: &dyn Files) -> Result<SyncedPoints, StorageError> {
    for segment in listing.segments.iter().rev().filter(|one| one.is_hot()) {
        let walked = segment.walk(files, |_, _| Ok(()))?;
        if walked.synced.highest() != LogPosition::default() {
            return Ok(walked.synced);
        }
    }
    Ok(SyncedPoints::default())
}

/// Tells the newest snapshot that surely counts before everything else, so that messages which it
/// says are settled never take memory.
fn tell_newest_snapshot(
    listing: &Listing,
    synced: LogPosition,
    rebuild: &mut Rebuild<'_>,
    files: &dyn Files,
) -> Result<(), StorageError> {
    let hot = listing.segments.iter().rev().filter(|one| one.is_hot() && one.header.is_ok());
    for segment in hot.filter(|one| one.name.id <= synced.segment) {
        let file = segment.open(files)?;
        let id = segment.name.id;
        let mut walk = Walk::new(&*file, id).map_err(|error| segment.unreadable(error))?;
        while let Step::Frame {
            place, frame: frame @ Frame::Snapshot { more_follows, .. }, ..
        } = walk.step().map_err(|error| segment.unreadable(error))?
        {
            let position = LogPosition { segment: id, offset: place.offset };
            if position >= synced || rebuild.frame(id, place, &frame).is_err() {
                break;
            }
            if !more_follows {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Walks through segments, several at a time, or through the outlines of those before `first_whole`.
fn walk_all<'s>(
    segments: &[&'s Listed],
    first_whole: u32,
    rebuild: &Mutex<Rebuild<'_>>,
    files: &dyn Files,
) -> Result<Vec<(&'s Listed, Walked)>, StorageError> {
    let next = AtomicUsize::new(0);
    let read = || {
        let mut all = Vec::new();
        while let Some(segment) = segments.get(next.fetch_add(1, Ordering::Relaxed)) {
            let id = segment.name.id;
            let tell =
                |place: FramePlace, frame: &Frame<'_>| rebuild.lock().frame(id, place, frame);
            let outline = if id < first_whole { segment.walk_outline(files, tell) } else { None };
            let walked = match outline {
                Some(walked) => walked,
                None => segment.walk(files, tell)?,
            };
            all.push((*segment, walked));
        }
        Ok(all)
    };
    let mut all = Vec::with_capacity(segments.len());
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        for reader in readers {
            match reader.join() {
                Ok(walked) => all.extend(walked?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

/// Walks through the segments from the synced point on, oldest first: what follows a torn one does
/// not count.
fn walk_last<'s>(
    segments: &[&'s Listed],
    synced: &SyncedPoints,
    rebuild: &mut Rebuild<'_>,
    files: &dyn Files,
) -> Result<Vec<(&'s Listed, Walked)>, StorageError> {
    let mut all = Vec::with_capacity(segments.len());
    let mut torn = None;
    for segment in segments {
        let walked = segment.walk(files, |place, frame| match torn {
            Some(_) => Ok(()),
            None => rebuild.frame(segment.name.id, place, frame),
        })?;
        if segment.judge(&walked, synced, torn).is_torn() {
            torn.get_or_insert(segment.name);
        }
        all.push((*segment, walked));
    }
    Ok(all)
}

fn judge_all(walked: &[(&Listed, Walked)], synced: &SyncedPoints) -> Vec<Verdict> {
    let mut torn = None;
    let judge = |(segment, walked): &(&Listed, Walked)| {
        let verdict = segment.judge(walked, synced, torn);
        if verdict.is_torn() {
            torn.get_or_insert(segment.name);
        }
        verdict
    };
    walked.iter().map(judge).collect()
}

/// Cuts off and removes what was never synced, and syncs the rest.
fn repair(
    directory: &Path,
    scan: &mut Scan,
    files: &dyn Files,
    notes: &mut Vec<String>,
) -> Result<(), StorageError> {
    let remove =
        |path: &Path| files.remove(path).map_err(|error| StorageError::io("remove", path, error));
    scan.listing.leftovers.iter().try_for_each(|path| remove(path))?;
    let segments = scan.rebuilt.holdings.segments_mut();
    for (listed, verdict) in scan.listing.segments.iter().zip(&scan.verdicts) {
        let Listed { name, path, size, .. } = listed;
        match verdict {
            Verdict::Torn(bad) => {
                cut(path, u64::from(bad.offset), files)?;
                segments.set_bytes(name.id, u64::from(bad.offset));
                notes.push(format!(
                    "{name}: cut off {} bytes that were being written when the broker ended (at \
                     byte {}: {})",
                    size.saturating_sub(u64::from(bad.offset)),
                    bad.offset,
                    bad.why
                ));
            }
            Verdict::Unsynced(why) => {
                segments.remove(name.id);
                remove(path)?;
                notes.push(format!(
                    "{name}: removed with {size} bytes that were being written when the broker \
                     ended ({why})"
                ));
            }
            Verdict::Whole | Verdict::Damaged(_) => {
                if listed.is_hot() && name.id >= scan.synced.highest().segment {
                    sync(path, files)?;
                }
            }
        }
    }
    files.sync_directory(directory).map_err(|error| StorageError::io("sync", directory, error))
}

fn cut(path: &Path, length: u64, files: &dyn Files) -> Result<(), StorageError> {
    files
        .open(path)
        .and_then(|file| {
            file.truncate(length)?;
            file.sync()
        })
        .map_err(|error| StorageError::io("truncate", path, error))
}

fn sync(path: &Path, files: &dyn Files) -> Result<(), StorageError> {
    files
        .open(path)
        .and_then(|file| file.sync())
        .map_err(|error| StorageError::io("sync", path, error))
}

#[cfg(test)]
mod tests;
