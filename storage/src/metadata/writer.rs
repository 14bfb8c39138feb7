//! The one thread that writes definitions: takes everything that waits, commits
//! it with one flush, publishes it, resolves it; and saves the export when due.
//!
//! [`SledMetadata`](super::SledMetadata) starts it and hands it commands. While
//! it flushes, the next group gathers, so groups grow with the disk's latency.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::proposal::Resolver;
use super::published::Published;
use super::room::Room;
use super::{AppliedIndex, Change, export};
use crate::directory::StoreId;
use crate::{StorageError, clock};

/// The most proposals in one flush; bounds the memory of one database batch.
const GROUP_PROPOSALS: usize = 4096;

/// How long after a change the export is saved at the latest...
const EXPORT_DELAY: Duration = Duration::from_secs(1);

/// ...unless saving takes so long that it would eat more than this share of time.
const EXPORT_TIME_SHARE: u32 = 10;

/// Makes batches durable.
pub(crate) trait Engine: Send {
    /// Applies the batches in order, all or none, and returns when they would
    /// survive a power failure. Not called again after an error.
    fn commit(&mut self, batches: &[&[Change]], last: AppliedIndex) -> io::Result<()>;
}

/// What the store asks of its writer.
pub(crate) enum Command {
    Propose(Vec<Change>, Resolver),
    Close,
}

/// Where the export of which store goes.
#[derive(Debug)]
pub(crate) struct ExportTarget {
    pub(crate) directory: PathBuf,
    pub(crate) store: StoreId,
}

/// The writer thread's state.
pub(crate) struct Writer<E> {
    pub(crate) engine: E,
    /// Names the store in errors.
    pub(crate) database: PathBuf,
    pub(crate) inbox: Receiver<Command>,
    pub(crate) published: Arc<Published>,
    pub(crate) export: ExportTarget,
    room: Room,
    pub(crate) export_due: Option<Instant>,
    pub(crate) export_delay: Duration,
    pub(crate) failure: Option<StorageError>,
}

enum Received {
    Group(Vec<(Vec<Change>, Resolver)>),
    ExportDue,
    Close,
}

impl<E: Engine> Writer<E> {
    pub(crate) fn new(
        engine: E,
        database: PathBuf,
        inbox: Receiver<Command>,
        published: Arc<Published>,
        export: ExportTarget,
    ) -> Self {
        Self {
            engine,
            database,
            inbox,
            published,
            room: Room::new(&export.directory),
            export,
            export_due: None,
            export_delay: EXPORT_DELAY,
            failure: None,
        }
    }

    /// Runs until told to close or until nobody can tell any more.
    pub(crate) fn run(mut self) -> Result<(), StorageError> {
        let mut closing = false;
        while !closing {
            match self.receive(&mut closing) {
                Received::Group(group) => self.commit(group),
                Received::ExportDue => self.save_export_or_try_later(),
                Received::Close => closing = true,
            }
        }
        self.published.end();
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        match self.export_due {
            Some(_) => export::save(
                &self.export.directory,
                &self.export.store,
                self.published.snapshot().image(),
            ),
            None => Ok(()),
        }
    }

    fn receive(&self, closing: &mut bool) -> Received {
        let first = match self.export_due {
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => self.inbox.recv_timeout(due.saturating_duration_since(clock::now())),
        };
        match first {
            Ok(Command::Propose(changes, resolver)) => {
                Received::Group(self.gather((changes, resolver), closing))
            }
            Ok(Command::Close) | Err(RecvTimeoutError::Disconnected) => Received::Close,
            Err(RecvTimeoutError::Timeout) => Received::ExportDue,
        }
    }

    fn gather(
        &self,
        first: (Vec<Change>, Resolver),
        closing: &mut bool,
    ) -> Vec<(Vec<Change>, Resolver)> {
        let mut group = vec![first];
        while group.len() < GROUP_PROPOSALS {
            match self.inbox.try_recv() {
                Ok(Command::Propose(changes, resolver)) => group.push((changes, resolver)),
                Ok(Command::Close) => {
                    *closing = true;
                    break;
                }
                Err(_) => break,
            }
        }
        group
    }

    fn commit(&mut self, group: Vec<(Vec<Change>, Resolver)>) {
        let (batches, resolvers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        if let Some(failure) = &self.failure {
            return refuse(resolvers, failure);
        }
        self.room.make();
        let slices: Vec<&[Change]> = batches.iter().map(Vec::as_slice).collect();
        let last = AppliedIndex(self.published.index().0 + slices.len() as u64);
        match self.engine.commit(&slices, last) {
            Ok(()) => {
                let indexes = self.published.publish(batches);
                for (resolver, index) in resolvers.into_iter().zip(indexes) {
                    resolver.resolve(Ok(index));
                }
                self.export_due.get_or_insert_with(|| clock::now() + self.export_delay);
            }
            Err(error) => refuse(resolvers, &self.fail(&error)),
        }
    }

    fn fail(&mut self, error: &io::Error) -> StorageError {
        let reason = Arc::from(error.to_string());
        let failure = StorageError::Failed { path: self.database.clone(), reason };
        tracing::error!("{failure}; restart the broker");
        self.published.end();
        self.failure = Some(failure.clone());
        failure
    }

    fn save_export_or_try_later(&mut self) {
        self.room.keep();
        let started = clock::now();
        let image = self.published.snapshot();
        let saved = export::save(&self.export.directory, &self.export.store, image.image());
        let ended = clock::now();
        self.export_delay = EXPORT_DELAY.max((ended - started) * EXPORT_TIME_SHARE);
        self.export_due = None;
        if let Err(error) = saved {
            // The database holds everything; only its safety net is old.
            tracing::warn!("the definitions export was not saved: {error}");
            self.export_due = Some(ended + self.export_delay);
        }
    }
}

fn refuse(resolvers: Vec<Resolver>, failure: &StorageError) {
    for resolver in resolvers {
        resolver.resolve(Err(failure.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Sender};
    use std::thread;

    use super::*;
    use crate::metadata::published::Image;
    use crate::metadata::{Collection, Key, Proposal};

    /// Commits when told to, and reports how many batches each commit had.
    struct Scripted {
        outcomes: Receiver<io::Result<()>>,
        commits: Sender<usize>,
    }

    impl Engine for Scripted {
        fn commit(&mut self, batches: &[&[Change]], _last: AppliedIndex) -> io::Result<()> {
            self.commits.send(batches.len()).unwrap();
            self.outcomes.recv().unwrap()
        }
    }

    struct Rig {
        inbox: Sender<Command>,
        outcomes: Sender<io::Result<()>>,
        commits: Receiver<usize>,
        published: Arc<Published>,
        writer: thread::JoinHandle<Result<(), StorageError>>,
        directory: tempfile::TempDir,
    }

    fn start() -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let (inbox, receiver) = mpsc::channel();
        let (outcomes, scripted) = mpsc::channel();
        let (committed, commits) = mpsc::channel();
        let published = Published::new(Image::default());
        let target =
            ExportTarget { directory: directory.path().to_owned(), store: StoreId::random() };
        let engine = Scripted { outcomes: scripted, commits: committed };
        let shared = Arc::clone(&published);
        let writer = Writer::new(engine, "database".into(), receiver, shared, target);
        let writer = thread::spawn(move || writer.run());
        Rig { inbox, outcomes, commits, published, writer, directory }
    }

    impl Rig {
        fn propose(&self) -> Proposal {
            let (resolver, proposal) = Proposal::pending();
            let change = Change::Delete { key: Key::new(Collection::Queue, "q") };
            self.inbox.send(Command::Propose(vec![change], resolver)).unwrap();
            proposal
        }
    }

    #[test]
    fn what_waits_during_a_flush_shares_the_next_one() {
        let rig = start();
        let first = rig.propose();
        assert_eq!(rig.commits.recv().unwrap(), 1);
        let waiting: Vec<_> = (0..10).map(|_| rig.propose()).collect();
        assert_eq!(rig.published.index(), AppliedIndex(0));
        rig.outcomes.send(Ok(())).unwrap();
        assert_eq!(first.wait().unwrap(), AppliedIndex(1));
        assert_eq!(rig.commits.recv().unwrap(), 10);
        rig.outcomes.send(Ok(())).unwrap();
        for (n, proposal) in waiting.into_iter().enumerate() {
            assert_eq!(proposal.wait().unwrap(), AppliedIndex(n as u64 + 2));
        }
    }

    #[test]
    fn after_a_failed_flush_nothing_is_tried_again() {
        let rig = start();
        let failed = rig.propose();
        rig.outcomes.send(Err(io::Error::other("no space"))).unwrap();
        let error = failed.wait().unwrap_err();
        assert!(error.is_fatal(), "{error}");
        assert_eq!(rig.commits.recv().unwrap(), 1);
        assert!(rig.propose().wait().unwrap_err().to_string().contains("no space"));
        assert_eq!(rig.published.index(), AppliedIndex(0));
        rig.inbox.send(Command::Close).unwrap();
        assert!(rig.writer.join().unwrap().unwrap_err().is_fatal());
        assert!(rig.commits.try_recv().is_err(), "committed again");
        assert!(!export::path(rig.directory.path()).exists(), "exported what may be lost");
    }

    #[test]
    fn closing_commits_what_was_proposed_before_and_saves_the_export() {
        let rig = start();
        let proposals: Vec<_> = (0..3).map(|_| rig.propose()).collect();
        rig.inbox.send(Command::Close).unwrap();
        for _ in 0..3 {
            rig.outcomes.send(Ok(())).unwrap();
        }
        for proposal in proposals {
            proposal.wait().unwrap();
        }
        rig.writer.join().unwrap().unwrap();
        assert!(export::path(rig.directory.path()).exists());
    }
}
