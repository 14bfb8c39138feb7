//! An ordered log on disk: groups of records that are appended, become durable in their order, and
//! count whole or not at all.
//!
//! Message queues stand on it; a replicated log and streams can. What records say is the business of
//! whoever appends them.
//!
//! # On disk
//! ```text
//! MANIFEST           which segments there must be, and how long the sealed ones are
//! hot-0000000007     sealed: | header | group | group | ... | footer |
//! cold-0000000009    made whole beside the order, by whoever compacts
//! hot-0000000010     open: the end of the log
//! hot-0000000011     next: empty, with room on disk
//! hot-0000000012     next: left as it is until it is known whether there is room for more
//! spare              a file to move into what is left in others, when there is no room for one
//! ```
//! `segment` and `group` draw every byte, `manifest` those of the manifest. A footer is what the
//! caller needs to know of a segment when it is opened again, so that it need not be read.
//!
//! # In the process
//! ```text
//! Appender::write ─► open segment ─► hand_over ─► sync thread ─► Listener::durable
//!        ▲                                             │ complete
//!        └──────── next ◄──────── keeper thread ◄──────┘
//! ```
//! # The contract
//! - A group that was handed over and synced is there after any end of the process or the machine;
//!   of the others a beginning may be.
//! - [`Appender::write`] waits for no fsync; [`Appender::roll`] only if no segment is ready.
//! - A full disk is [`Trouble::Full`], and [`Listener::room`] says when there is room again.
//! - After a failed fsync, or any failed write that is not for want of room, nothing is durable any
//!   more: [`Listener::failed`].
//! - Opening refuses what is damaged with the file's name and changes nothing then.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

mod settings;
mod bytes;
mod files;
mod trouble;
mod group;
mod segment;
mod walk;
mod manifest;
mod handles;
mod syncs;
mod open_file;
mod stock;
mod shared;
mod keeper;
mod stored;
mod appender;
mod side;
mod copying;
mod survey;
mod repair;
mod salvage;

#[cfg(fuzzing)]
mod fuzzed;
#[cfg(fuzzing)]
pub use self::fuzzed::segment as fuzzed_segment;

#[cfg(test)]
pub(crate) mod faults;
#[cfg(test)]
mod tests;

pub use self::appender::Appender;
pub(crate) use self::bytes::{Reader, put_variable, unzigzag, zigzag};
#[cfg(test)]
pub(crate) use self::files::Entry;
#[cfg(test)]
pub(crate) use self::files::LogFile;
pub(crate) use self::files::{Files, RealFiles, is_full, patiently};
pub use self::group::{
    Flaw, GROUP_BYTES_MAX, GROUP_HEADER, GroupBuffer, RECORD_HEADER, Record, RecordPlace, Spot,
    TooLong,
};
pub(crate) use self::handles::Handles;
use self::manifest::Entry as ManifestEntry;
use self::repair::Repaired;
pub use self::salvage::Piece;
pub use self::segment::{HEADER_SIZE, Segment, SegmentKind, SegmentName};
pub use self::settings::{FsyncPolicy, Listener, Settings};
use self::shared::Shared;
pub use self::side::SideSegment;
#[cfg(test)]
pub(crate) use self::stock::MAKING;
use self::stock::Stock;
use self::stored::{discard, hot_names, segment_of};
pub use self::survey::{Bad, Survey, Surveyed, Verdict, Visitor};
use self::survey::{Depth, Request};
use self::syncs::Syncs;
pub use self::syncs::{Handing, What};
pub use self::trouble::Trouble;
use self::walk::{Step, Walk};
use crate::StorageError;
use crate::threads::{self, Worker};

/// What there is when a log is opened.
#[derive(Debug)]
pub struct Found {
    /// Sealed segments with their bytes, ascending by id.
    pub segments: Vec<(Arc<Segment>, u32)>,
    /// What an operator should read: torn tails that were cut.
    pub notes: Vec<String>,
}

/// An open log; see the module documentation.
#[derive(Debug)]
pub struct Wal {
    shared: Arc<Shared>,
    threads: Mutex<Vec<Worker>>,
}

impl Wal {
    /// Opens the log in a directory, which is made if need be, and tells the visitor what is in it.
    /// Blocks. The appender has no segment yet.
    ///
    /// # Errors
    /// What was synced is damaged or missing, it is of another version or belongs to another store,
    /// or the system refuses.
    pub fn open(
        directory: &Path,
        settings: Settings,
        visitor: &mut dyn Visitor,
        listener: Arc<dyn Listener>,
    ) -> Result<(Self, Appender, Found), StorageError> {
        Self::open_with(directory, settings, Arc::new(RealFiles), visitor, listener)
    }

    pub(crate) fn open_with(
        directory: &Path,
        settings: Settings,
        files: Arc<dyn Files>,
        visitor: &mut dyn Visitor,
        listener: Arc<dyn Listener>,
    ) -> Result<(Self, Appender, Found), StorageError> {
        let created = files.create_directory(directory);
        created.map_err(|error| StorageError::io("create", directory, error))?;
        let (store, depth) = (&settings.store, Depth::Footers);
        let request = Request { directory, store, files: &*files, depth };
        let survey = survey::survey(&request, visitor)?;
        if let Some(error) = damage(&survey, directory) {
            return Err(error);
        }
        let repaired = repair::repair(directory, settings.store, &files, survey)?;
        let Repaired { manifest, segments, next, has_spare, highest_id, last, notes } = repaired;
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            settings,
            files,
            listener,
            manifest: Mutex::new(manifest),
            stock: Stock::new(next, has_spare, highest_id),
            syncs: Syncs::new(settings.fsync, last),
            handles: Handles::default(),
            written: 0.into(),
        });
        let threads = vec![
            threads::start(&shared, &shared.directory, "log-keep", |shared| {
                let outcome = shared.guard("keeper", || shared.stock.run(shared));
                shared.stock.end();
                outcome
            })?,
            threads::start(&shared, &shared.directory, "log-sync", |shared| {
                let outcome = shared.guard("sync", || {
                    shared.syncs.run(&*shared.listener, |sealing| shared.stock.seal(sealing))
                });
                shared.syncs.end();
                outcome
            })?,
        ];
        let appender = Appender::new(Arc::clone(&shared), last);
        Ok((Self { shared, threads: Mutex::new(threads) }, appender, Found { segments, notes }))
    }

    /// Looks at the headers of a directory, if there is one, and changes nothing.
    ///
    /// # Errors
    /// It is of another version or belongs to another store, something is in it that should not be,
    /// or the system refuses.
    pub fn check(directory: &Path, store: &[u8; 16]) -> Result<(), StorageError> {
        if !directory.exists() {
            return Ok(());
        }
        let depth = Depth::Footers;
        survey::check_version(&Request { directory, store, files: &RealFiles, depth })
    }

    /// Reads everything, tells the visitor, and changes nothing.
    ///
    /// # Errors
    /// As for [`Self::check`]. Damage is in the result.
    pub fn survey(
        directory: &Path,
        store: &[u8; 16],
        visitor: &mut dyn Visitor,
    ) -> Result<Survey, StorageError> {
        let depth = Depth::All;
        survey::survey(&Request { directory, store, files: &RealFiles, depth }, visitor)
    }

    /// Tells every part of a damaged segment in the order of the file.
    ///
    /// # Errors
    /// The system refuses to read it.
    pub fn pieces(
        one: &Surveyed,
        bad: &Bad,
        told: &mut dyn FnMut(&Piece<'_>),
    ) -> Result<(), StorageError> {
        let mut tell = |piece: Piece<'_>| {
            told(&piece);
            Ok(())
        };
        let outcome = salvage::pieces(one, &bad.why, &RealFiles, &mut tell);
        outcome.map_err(|error| StorageError::io("read", &one.segment.path, error))
    }

    /// Replaces the damaged segments of a survey by what is good of them; they stay as
    /// `<name>.damaged`. `told` sees every part, and says of a good record whether it is kept.
    ///
    /// # Errors
    /// The system refuses; no good record is lost by that.
    pub fn salvage(
        directory: &Path,
        store: &[u8; 16],
        survey: Survey,
        told: &mut dyn FnMut(&Segment, &Piece<'_>) -> bool,
    ) -> Result<(), StorageError> {
        let files: Arc<dyn Files> = Arc::new(RealFiles);
        salvage::salvage(directory, *store, &files, survey, told)
    }

    /// Reads some bytes of a segment; fewer if it ends before. Blocks.
    ///
    /// # Errors
    /// The system's, also if the segment was removed: see [`Segment::is_gone`].
    pub fn read_at(&self, segment: &Segment, bytes: &mut [u8], offset: u32) -> io::Result<usize> {
        let file = self.shared.handle(segment)?;
        file.read_full_at(bytes, u64::from(offset))
    }

    /// Reads the log in its order from a group on, and tells of each group its number and its
    /// records. Blocks. What was written is read, synced or not; what is appended meanwhile perhaps.
    ///
    /// # Errors
    /// The system's, or a group is damaged.
    pub fn read_from(
        &self,
        first: u64,
        told: &mut dyn FnMut(u64, &mut dyn Iterator<Item = Record<'_>>),
    ) -> Result<(), StorageError> {
        for name in hot_names(&self.shared) {
            let segment = segment_of(&self.shared, name)?;
            let unreadable = |error| StorageError::io("read", &segment.path, error);
            let file = self.shared.handle(&segment).map_err(unreadable)?;
            let sealed = self.shared.manifest.lock().contents().segments.get(&name).copied();
            let length = match sealed.flatten() {
                Some(sealed) if sealed.last < first => continue,
                Some(sealed) => u64::from(sealed.length),
                None => file.size().map_err(unreadable)?,
            };
            let mut walk = Walk::new(&*file, segment.salt, length);
            loop {
                match walk.step().map_err(unreadable)? {
                    Step::Group { header, mut records, .. }
                        if header.number >= first && !records.is_footer() =>
                    {
                        told(header.number, &mut records);
                    }
                    Step::Group { .. } => {}
                    Step::End => break,
                    // The end of the open segment while something is written to it.
                    Step::Bad { .. } if sealed.flatten().is_none() => break,
                    Step::Bad { offset, flaw, .. } => {
                        let detail = format!("at byte {offset}: {flaw}");
                        return Err(StorageError::Damaged { path: segment.path.clone(), detail });
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes sealed segments that have only groups before this one. Blocks.
    ///
    /// # Errors
    /// The system's.
    pub fn trim(&self, first: u64) -> Result<(), StorageError> {
        let manifest = self.shared.manifest.lock();
        let segments = manifest.contents().segments.iter();
        let old = segments.filter(|(name, sealed)| {
            name.is_hot() && sealed.is_some_and(|sealed| sealed.last < first)
        });
        let old: Vec<SegmentName> = old.map(|(name, _)| *name).collect();
        drop(manifest);
        let old = old.into_iter().map(|name| segment_of(&self.shared, name));
        match self.remove(&old.collect::<Result<Vec<_>, _>>()?) {
            // Another time.
            Ok(()) | Err(Trouble::Full) => Ok(()),
            Err(Trouble::Failed(error)) => Err(error),
        }
    }

    /// Removes sealed segments. Whoever reads one meanwhile fails and finds it gone. Blocks.
    ///
    /// # Errors
    /// There is no room to say so, or the system refuses.
    pub fn remove(&self, segments: &[Arc<Segment>]) -> Result<(), Trouble> {
        let entries: Vec<_> =
            segments.iter().map(|segment| ManifestEntry::Removed(segment.name)).collect();
        self.shared.manifest.lock().add(&entries)?;
        Ok(discard(&self.shared, segments)?)
    }

    /// Begins a segment beside the order; with the file that is kept for a full disk if `is_short`.
    ///
    /// # Errors
    /// There is no room, or the system refuses.
    pub fn begin_side(&self, is_short: bool) -> Result<SideSegment, Trouble> {
        SideSegment::begin(&self.shared, is_short)
    }

    /// Copies the log into an empty directory on the same file system while it goes on: what was
    /// written until now is in the copy. Blocks.
    ///
    /// # Errors
    /// The system's, also for want of a second name for a file.
    pub fn copy_into(&self, directory: &Path) -> Result<(), StorageError> {
        copying::copy(&self.shared, directory)
    }

    /// Makes the files that are ready for what comes next no longer than they need to be. For a log
    /// that is idle: long ones are faster. Blocks.
    ///
    /// # Errors
    /// The system's.
    pub fn shrink(&self) -> Result<(), StorageError> {
        self.shared.stock.shrink(&self.shared)
    }

    /// Every group up to this one is on disk.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.shared.syncs.synced()
    }

    /// Waits until what comes next is ready, or there is no room for it.
    pub fn wait_until_stocked(&self) {
        self.shared.stock.wait_until_stocked();
    }

    /// A next segment is needed though the disk is full: the file that is kept for that may become it.
    pub fn want_next(&self) {
        self.shared.stock.want_next();
    }

    /// Bytes of the file that is kept for a full disk.
    #[must_use]
    pub fn spare_bytes(&self) -> u64 {
        keeper::room(&self.shared)
    }

    /// Whether there was no room for segments when it was last tried.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.stock.is_full()
    }

    /// The highest segment id given out so far.
    #[must_use]
    pub fn highest_id(&self) -> u32 {
        self.shared.stock.highest_id()
    }

    /// Bytes written to segments since the log was opened.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Returns when everything is on disk that was handed over until now.
    ///
    /// # Errors
    /// The log has failed or ended.
    pub fn sync(&self) -> Result<(), StorageError> {
        self.shared.syncs.sync()
    }

    /// Nothing becomes durable any more.
    pub fn fail(&self, error: &StorageError) {
        self.shared.syncs.fail(error);
        self.shared.stock.end();
    }

    /// Makes everything durable that was handed over, and ends. Blocks. The appender must not be used
    /// any more.
    ///
    /// # Errors
    /// The log has failed.
    pub fn close(&self) -> Result<(), StorageError> {
        let mut threads = self.threads.lock();
        if threads.is_empty() {
            return Ok(());
        }
        let mut outcome = self.shared.syncs.close().map(Some);
        self.shared.stock.end();
        for thread in threads.drain(..) {
            let ended = thread.join().unwrap_or(Err(StorageError::Closed));
            outcome = outcome.and_then(|last| ended.map(|()| last));
        }
        let last = outcome?.unwrap_or_default();
        self.shared.manifest.lock().add_now(&[ManifestEntry::Ended(last)])
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!("{error}; what was appended last may not be on disk");
        }
    }
}

/// What an operator is told of the damage.
fn damage(survey: &Survey, directory: &Path) -> Option<StorageError> {
    let (one, bad) = survey.damaged().next()?;
    let data = directory.parent().unwrap_or(directory).display();
    let others = match survey.damaged().count() - 1 {
        0 => String::new(),
        others => format!(" ({others} more segments are damaged too)"),
    };
    let detail = format!(
        "at byte {}: {}{others}; it was synced, so confirmed messages may be lost with it: put the \
         file back from a backup, or run 'leveret verify --salvage {data}', which goes on without it \
         and says what is lost",
        bad.offset, bad.why
    );
    Some(StorageError::Damaged { path: one.segment.path.clone(), detail })
}
