//! What is written and not yet on disk, between whoever appends and the sync thread.
//!
//! The appender hands over what it wrote; the sync thread takes all of it at once, so that one fsync
//! serves everyone who waits, and while it lasts the next group is written.
//!
//! Stays true: what was handed over before it was taken is covered by the sync that follows, and
//! nothing else is; marks become durable in their order. After a failed fsync nothing becomes durable
//! any more and no fsync is tried again: the system may have dropped what it could not write, so a
//! second one proves nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::open_file::{OpenFile, Sealing};
use super::{FsyncPolicy, Listener};
use crate::{StorageError, clock};

/// How soon what nobody waits for is synced.
const UNAWAITED_DELAY: Duration = Duration::from_millis(50);

/// How much depends on what was written being on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// There was nothing to write.
    Nothing,
    /// It may take its time for ever: it says what is known anyway.
    Remark,
    /// No mark depends on it, but it is to be on disk some time.
    Trifle,
    /// The marks are not durable before it is on disk.
    Needed,
}

/// What an appender has written, as its caller sees it.
#[derive(Clone, Copy, Debug)]
pub struct Handing {
    /// A moment of the caller's, ascending: everything up to it is written.
    pub mark: u64,
    /// What was written since the last.
    pub what: What,
    /// Somebody waits for it: sync soon.
    pub is_awaited: bool,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Syncs {
    policy: FsyncPolicy,
    state: Mutex<State>,
    wake: Condvar,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    mark: u64,
    /// The last group handed over.
    group: u64,
    /// The last group on disk.
    synced: u64,
    /// Segments with something that is not on disk, oldest first.
    dirty: Vec<Arc<OpenFile>>,
    sealing: Vec<Sealing>,
    /// A mark depends on it.
    must: bool,
    is_urgent: bool,
    /// When the first of it came that is to be on disk some time.
    since: Option<Instant>,
    is_syncing: bool,
    /// Syncs asked for by number, and how far they were answered.
    asked: u64,
    answered: u64,
    is_closing: bool,
    has_ended: bool,
    failure: Option<StorageError>,
}

/// What one sync is to cover.
#[derive(Debug)]
pub(crate) struct Task {
    dirty: Vec<Arc<OpenFile>>,
    sealing: Vec<Sealing>,
    group: u64,
    /// There is more to it than remarks.
    is_news: bool,
    mark: u64,
    asked: u64,
}

impl Syncs {
    /// Everything up to a group is on disk.
    pub(crate) fn new(policy: FsyncPolicy, synced: u64) -> Self {
        let state = State { group: synced, synced, ..State::default() };
        Self { policy, state: Mutex::new(state), wake: Condvar::new(), finished: Condvar::new() }
    }

    /// Runs the sync thread until the log is closed or has failed; tells each segment that is
    /// complete and on disk.
    pub(crate) fn run(
        &self,
        listener: &dyn Listener,
        mut complete: impl FnMut(Sealing),
    ) -> Result<(), StorageError> {
        while let Some(mut task) = self.take() {
            for open in &task.dirty {
                let started = clock::now();
                let synced = open.file.sync();
                synced.map_err(|error| StorageError::io("sync", &open.segment.path, error))?;
                let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                listener.fsynced(micros);
            }
            let sealing = std::mem::take(&mut task.sealing);
            let segments: Vec<u32> = task.dirty.iter().map(|open| open.segment.name.id).collect();
            // Before anyone is told that something is durable who may then ask for more.
            listener.synced(&segments, task.is_news);
            self.done(&task, listener);
            sealing.into_iter().for_each(&mut complete);
        }
        Ok(())
    }

    /// Every group up to this one is on disk.
    pub(crate) fn synced(&self) -> u64 {
        self.state.lock().synced
    }

    /// Takes over what was written, and says at once what of it is durable already.
    pub(crate) fn hand_over(
        &self,
        handing: Handing,
        group: u64,
        file: Option<&Arc<OpenFile>>,
        listener: &dyn Listener,
    ) {
        let mut state = self.state.lock();
        let was_waiting_for = state.waits_for();
        state.mark = state.mark.max(handing.mark);
        state.group = state.group.max(group);
        if let Some(file) = file {
            state.note(handing.what, file);
        }
        let is_durable = match self.policy {
            FsyncPolicy::Group => !state.must && !state.is_syncing,
            FsyncPolicy::Interval(_) | FsyncPolicy::Os => true,
        };
        if is_durable && state.failure.is_none() {
            listener.durable(state.mark);
        }
        state.is_urgent |= handing.is_awaited && state.must;
        self.wake_if_more(&state, was_waiting_for);
    }

    /// Groups after this one are taken back.
    pub(crate) fn go_back(&self, last: u64) {
        let mut state = self.state.lock();
        state.group = last;
        state.synced = state.synced.min(last);
    }

    /// Takes over a segment that is complete.
    pub(crate) fn hand_over_sealed(&self, sealing: Sealing) {
        let mut state = self.state.lock();
        let was_waiting_for = state.waits_for();
        state.group = state.group.max(sealing.sealed.last);
        state.note(What::Trifle, &Arc::clone(&sealing.file));
        state.sealing.push(sealing);
        self.wake_if_more(&state, was_waiting_for);
    }

    fn wake_if_more(&self, state: &State, was_waiting_for: (bool, bool, bool)) {
        if !state.is_syncing && state.waits_for() != was_waiting_for {
            self.wake.notify_one();
        }
    }

    /// Waits until something is to be synced and takes all of it. `None` ends the thread.
    fn take(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            match self.due(&state) {
                Due::Now => break,
                Due::Never if state.is_closing || state.failure.is_some() => return None,
                Due::Never => self.wake.wait(&mut state),
                Due::At(at) => {
                    if self.wake.wait_until(&mut state, at).timed_out() {
                        break;
                    }
                }
            }
        }
        state.is_syncing = true;
        state.must = false;
        state.is_urgent = false;
        Some(Task {
            is_news: state.since.take().is_some(),
            dirty: std::mem::take(&mut state.dirty),
            sealing: std::mem::take(&mut state.sealing),
            group: state.group,
            mark: state.mark,
            asked: state.asked,
        })
    }

    fn due(&self, state: &State) -> Due {
        if state.failure.is_some() {
            return Due::Never;
        }
        if state.asked > state.answered || (state.is_closing && !state.dirty.is_empty()) {
            return Due::Now;
        }
        match (self.policy, state.since) {
            (FsyncPolicy::Group, Some(_)) if state.is_urgent => Due::Now,
            (FsyncPolicy::Group, Some(since)) => Due::At(since + UNAWAITED_DELAY),
            (FsyncPolicy::Interval(every), Some(since)) => Due::At(since + every),
            (FsyncPolicy::Os, Some(_)) if !state.sealing.is_empty() => Due::Now,
            (FsyncPolicy::Group | FsyncPolicy::Interval(_) | FsyncPolicy::Os, _) => Due::Never,
        }
    }

    /// The task is done: says what is durable now.
    fn done(&self, task: &Task, listener: &dyn Listener) {
        let mut state = self.state.lock();
        state.is_syncing = false;
        state.answered = task.asked;
        state.synced = state.synced.max(task.group);
        // What came since is durable as well if nothing of it depends on the disk.
        listener.durable(if state.must { task.mark } else { state.mark });
        drop(state);
        self.finished.notify_all();
    }

    /// Nothing is durable any more from now on.
    pub(crate) fn fail(&self, error: &StorageError) {
        let mut state = self.state.lock();
        state.failure.get_or_insert_with(|| error.clone());
        drop(state);
        self.wake.notify_all();
        self.finished.notify_all();
    }

    /// The thread has ended, for whatever reason.
    pub(crate) fn end(&self) {
        self.state.lock().has_ended = true;
        self.finished.notify_all();
    }

    /// Returns when everything is on disk that was handed over until now.
    ///
    /// # Errors
    /// The log has failed or ended.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        let mut state = self.state.lock();
        state.asked += 1;
        let this = state.asked;
        self.wake.notify_one();
        loop {
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            if state.answered >= this {
                return Ok(());
            }
            if state.has_ended {
                return Err(StorageError::Closed);
            }
            self.finished.wait(&mut state);
        }
    }

    /// Makes the thread sync everything and end, and waits for it. The last group is returned.
    ///
    /// # Errors
    /// The log has failed.
    pub(crate) fn close(&self) -> Result<u64, StorageError> {
        let mut state = self.state.lock();
        state.is_closing = true;
        self.wake.notify_one();
        while !state.has_ended {
            self.finished.wait(&mut state);
        }
        state.failure.clone().map_or(Ok(state.group), Err)
    }
}

enum Due {
    Now,
    At(Instant),
    Never,
}

impl State {
    fn waits_for(&self) -> (bool, bool, bool) {
        (self.since.is_some(), self.is_urgent, !self.sealing.is_empty())
    }

    fn note(&mut self, what: What, file: &Arc<OpenFile>) {
        if what == What::Nothing {
            return;
        }
        let is_last = self.dirty.last().is_some_and(|last| Arc::ptr_eq(last, file));
        if !is_last {
            self.dirty.push(Arc::clone(file));
        }
        if what == What::Remark {
            return;
        }
        self.must |= what == What::Needed;
        if self.since.is_none() {
            self.since = Some(clock::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::files::{Files, RealFiles};
    use super::super::manifest::Sealed;
    use super::super::segment::{Segment, SegmentName};
    use super::*;

    #[derive(Debug, Default)]
    struct Ear(AtomicU64);

    impl Listener for Ear {
        fn durable(&self, mark: u64) {
            self.0.fetch_max(mark, Ordering::Relaxed);
        }

        fn synced(&self, _segments: &[u32], _is_news: bool) {}

        fn sealed(&self, _segment: u32, _bytes: u32) {}

        fn room(&self, _is_there: bool) {}

        fn fsynced(&self, _micros: u64) {}

        fn failed(&self, _error: &StorageError) {}
    }

    struct Rig {
        syncs: Syncs,
        ear: Ear,
        files: Vec<Arc<OpenFile>>,
        _directory: tempfile::TempDir,
    }

    fn rig(policy: FsyncPolicy) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let open = |id| {
            let segment = Segment::new(SegmentName::hot(id), directory.path(), 1);
            let file = RealFiles.create_new(&segment.path).unwrap();
            Arc::new(OpenFile { segment, file })
        };
        let files = vec![open(1), open(2)];
        Rig { syncs: Syncs::new(policy, 0), ear: Ear::default(), files, _directory: directory }
    }

    impl Rig {
        fn write(&self, mark: u64, segment: usize, what: What, is_awaited: bool) {
            let handing = Handing { mark, what, is_awaited };
            let file = Some(&self.files[segment - 1]);
            self.syncs.hand_over(handing, mark, file, &self.ear);
        }

        fn durable(&self) -> u64 {
            self.ear.0.load(Ordering::Relaxed)
        }

        fn done(&self, task: &Task) {
            self.syncs.done(task, &self.ear);
        }
    }

    fn ids(task: &Task) -> Vec<u32> {
        task.dirty.iter().map(|open| open.segment.name.id).collect()
    }

    #[test]
    fn one_sync_serves_all_who_wait_and_what_comes_meanwhile_waits_for_the_next() {
        let rig = rig(FsyncPolicy::Group);
        rig.write(1, 1, What::Needed, true);
        rig.write(2, 1, What::Needed, true);
        let task = rig.syncs.take().unwrap();
        assert_eq!((ids(&task), task.group), (vec![1], 2));
        rig.write(3, 1, What::Needed, true);
        rig.write(4, 2, What::Needed, false);
        assert_eq!(rig.durable(), 0);
        rig.done(&task);
        assert_eq!((rig.durable(), rig.syncs.synced()), (2, 2));
        let task = rig.syncs.take().unwrap();
        assert_eq!(ids(&task), [1, 2], "oldest first");
        rig.done(&task);
        assert_eq!(rig.durable(), 4);
    }

    #[test]
    fn trifles_wait_for_nothing_but_their_turn() {
        let rig = rig(FsyncPolicy::Group);
        rig.write(1, 1, What::Trifle, true);
        assert_eq!(rig.durable(), 1);
        rig.write(2, 1, What::Needed, true);
        rig.write(3, 1, What::Trifle, true);
        assert_eq!(rig.durable(), 1);
        let task = rig.syncs.take().unwrap();
        rig.write(4, 1, What::Trifle, false);
        assert_eq!(rig.durable(), 1);
        rig.done(&task);
        assert_eq!((rig.durable(), rig.syncs.synced()), (4, 3));
    }

    #[test]
    fn what_nobody_waits_for_is_synced_soon_and_remarks_when_they_can_be() {
        let rig = rig(FsyncPolicy::Group);
        rig.write(0, 1, What::Remark, false);
        rig.write(1, 1, What::Needed, false);
        let started = clock::now();
        let task = rig.syncs.take().unwrap();
        assert!(started.elapsed() >= UNAWAITED_DELAY / 2);
        assert!(task.is_news);
        rig.done(&task);
        assert_eq!(rig.durable(), 1);
    }

    #[test]
    fn under_other_policies_written_is_durable_and_a_complete_segment_is_synced() {
        let rig = rig(FsyncPolicy::Interval(Duration::from_millis(1)));
        rig.write(1, 1, What::Needed, true);
        assert_eq!(rig.durable(), 1);
        assert_eq!(ids(&rig.syncs.take().unwrap()), [1]);
        let rig = self::rig(FsyncPolicy::Os);
        rig.write(7, 1, What::Needed, true);
        assert_eq!(rig.durable(), 7);
        let sealed = Sealed { length: 64, footer: None, last: 8 };
        rig.syncs.hand_over_sealed(Sealing { file: Arc::clone(&rig.files[0]), sealed });
        let task = rig.syncs.take().unwrap();
        assert_eq!((ids(&task), task.group, task.sealing.len()), (vec![1], 8, 1));
    }

    #[test]
    fn after_a_failure_nothing_becomes_durable() {
        let rig = rig(FsyncPolicy::Os);
        rig.syncs.fail(&StorageError::Closed);
        rig.write(1, 1, What::Needed, true);
        assert_eq!(rig.durable(), 0);
        assert!(rig.syncs.take().is_none());
        assert!(rig.syncs.sync().is_err());
        rig.syncs.end();
        assert!(rig.syncs.close().is_err());
    }

    #[test]
    fn a_sync_that_is_asked_for_covers_what_was_written_before() {
        let rig = rig(FsyncPolicy::Os);
        rig.write(1, 1, What::Needed, false);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| rig.syncs.sync());
            let task = rig.syncs.take().unwrap();
            assert_eq!(ids(&task), [1]);
            rig.done(&task);
            assert!(asked.join().unwrap().is_ok());
        });
        rig.write(2, 1, What::Trifle, false);
        std::thread::scope(|scope| {
            let closed = scope.spawn(|| rig.syncs.close());
            rig.done(&rig.syncs.take().unwrap());
            assert!(rig.syncs.take().is_none());
            rig.syncs.end();
            assert_eq!(closed.join().unwrap().unwrap(), 2);
        });
    }
}
