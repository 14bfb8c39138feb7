//! What is written and not yet on disk, between the log thread and the sync thread.
//!
//! The log thread hands over what it wrote; the sync thread takes all of it at once, so that one
//! fsync serves everyone who waits, and while it lasts the next group is written.
//!
//! Stays true: what was handed over before it was taken is covered by the sync that follows, and
//! nothing else is; tickets become durable in their order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::frame::LogPosition;
use super::segments::Segment;
use crate::messages::{FsyncPolicy, Progress, Ticket};
use crate::{StorageError, clock};

/// How soon what nobody waits for is synced.
const UNAWAITED_DELAY: Duration = Duration::from_millis(50);

/// What the log thread has written.
#[derive(Debug)]
pub(super) struct Written<'a> {
    /// Everything up to it is written.
    pub(super) ticket: Ticket,
    /// Where the log ends now.
    pub(super) position: LogPosition,
    /// What was written to.
    pub(super) segment: &'a Arc<Segment>,
    /// What it is.
    pub(super) what: What,
    /// Somebody waits for it.
    pub(super) is_awaited: bool,
}

/// How much depends on what was written being on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// There was nothing to write.
    Nothing,
    /// It may take its time for ever: it says what is known anyway.
    Remark,
    /// No ticket depends on it, but it is to be on disk some time.
    Settlements,
    /// The tickets are not durable before it is on disk.
    Messages,
    /// A new segment with its snapshot, which may tell what no frame does. The one before it is
    /// complete.
    Segment,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Syncs {
    policy: FsyncPolicy,
    state: Mutex<State>,
    wake: Condvar,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ticket: Ticket,
    position: LogPosition,
    /// Segments with something that is not on disk, oldest first.
    dirty: Vec<Arc<Segment>>,
    created: bool,
    /// A ticket depends on it.
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
pub(super) struct Task {
    pub(super) dirty: Vec<Arc<Segment>>,
    pub(super) created: bool,
    pub(super) position: LogPosition,
    /// There is more to it than remarks.
    pub(super) is_news: bool,
    ticket: Ticket,
    asked: u64,
}

impl Syncs {
    pub(super) fn new(policy: FsyncPolicy) -> Self {
        let state = Mutex::new(State::default());
        Self { policy, state, wake: Condvar::new(), finished: Condvar::new() }
    }

    /// Takes over what was written, and says at once what of it is durable already.
    pub(super) fn hand_over(&self, written: &Written<'_>, progress: &Progress) {
        let mut state = self.state.lock();
        state.ticket = state.ticket.max(written.ticket);
        state.position = written.position;
        let was_waiting_for = (state.since.is_some(), state.is_urgent, state.created);
        state.note(written);
        let is_durable = match self.policy {
            FsyncPolicy::Group => !state.must && !state.is_syncing,
            FsyncPolicy::Interval(_) | FsyncPolicy::Os => true,
        };
        if is_durable && state.failure.is_none() {
            progress.set_durable(state.ticket);
        }
        state.is_urgent |= written.is_awaited && state.must;
        let waits_for = (state.since.is_some(), state.is_urgent, state.created);
        let is_worth_waking = !state.is_syncing && waits_for != was_waiting_for;
        drop(state);
        if is_worth_waking {
            self.wake.notify_one();
        }
    }

    /// Waits until something is to be synced and takes all of it. `None` ends the thread.
    pub(super) fn take(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            let due = self.due(&state);
            match due {
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
            created: std::mem::take(&mut state.created),
            position: state.position,
            ticket: state.ticket,
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
            (FsyncPolicy::Os, Some(_)) if state.created => Due::Now,
            (FsyncPolicy::Group | FsyncPolicy::Interval(_) | FsyncPolicy::Os, _) => Due::Never,
        }
    }

    /// The task is done: says what is durable now. `complete` is told the segments of the task that
    /// nothing was written to since.
    pub(super) fn done(
        &self,
        task: &Task,
        progress: &Progress,
        complete: impl FnOnce(&mut dyn Iterator<Item = u32>),
    ) {
        let mut state = self.state.lock();
        state.is_syncing = false;
        state.answered = task.asked;
        // Under the lock, or the log thread could write to one of them and seal it meanwhile.
        let still_dirty: Vec<u32> = state.dirty.iter().map(|segment| segment.name.id).collect();
        let ids = task.dirty.iter().map(|segment| segment.name.id);
        complete(&mut ids.filter(|id| !still_dirty.contains(id)));
        // What came since is durable as well if nothing of it depends on the disk.
        progress.set_durable(if state.must { task.ticket } else { state.ticket });
        drop(state);
        self.finished.notify_all();
    }

    /// Nothing is durable any more from now on.
    pub(super) fn fail(&self, error: &StorageError) {
        let mut state = self.state.lock();
        state.failure.get_or_insert_with(|| error.clone());
        drop(state);
        self.wake.notify_all();
        self.finished.notify_all();
    }

    /// The thread has ended, for whatever reason.
    pub(super) fn end(&self) {
        self.state.lock().has_ended = true;
        self.finished.notify_all();
    }

    /// Returns when everything is on disk that was handed over until now.
    ///
    /// # Errors
    /// The store has failed or ended.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
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

    /// Makes the thread sync everything and end, and waits for it. Where the log ends is returned.
    ///
    /// # Errors
    /// The store has failed.
    pub(super) fn close(&self) -> Result<LogPosition, StorageError> {
        let mut state = self.state.lock();
        state.is_closing = true;
        self.wake.notify_one();
        while !state.has_ended {
            self.finished.wait(&mut state);
        }
        state.failure.clone().map_or(Ok(state.position), Err)
    }
}

enum Due {
    Now,
    At(Instant),
    Never,
}

impl State {
    fn note(&mut self, written: &Written<'_>) {
        if written.what == What::Nothing {
            return;
        }
        let is_last = self.dirty.last().is_some_and(|last| Arc::ptr_eq(last, written.segment));
        if !is_last {
            self.dirty.push(Arc::clone(written.segment));
        }
        match written.what {
            What::Nothing | What::Remark => return,
            What::Settlements => {}
            What::Messages => self.must = true,
            What::Segment => {
                self.created = true;
                self.must = true;
            }
        }
        if self.since.is_none() {
            self.since = Some(clock::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::{Files, RealFiles};
    use super::super::segment::SegmentName;
    use super::*;

    struct Rig {
        syncs: Syncs,
        progress: Progress,
        segments: Vec<Arc<Segment>>,
        _directory: tempfile::TempDir,
    }

    fn rig(policy: FsyncPolicy) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let segment = |id| {
            let name = SegmentName::hot(id);
            let file = RealFiles.create_new(&name.path(directory.path())).unwrap();
            Segment::new(name, directory.path(), file)
        };
        let segments = vec![segment(1), segment(2)];
        let (syncs, progress) = (Syncs::new(policy), Progress::new(100));
        Rig { syncs, progress, segments, _directory: directory }
    }

    impl Rig {
        fn write(&self, ticket: u64, segment: u32, what: What, is_awaited: bool) {
            let written = Written {
                ticket: Ticket(ticket),
                position: LogPosition { segment, offset: u32::try_from(ticket).unwrap() },
                segment: &self.segments[segment as usize - 1],
                what,
                is_awaited,
            };
            self.syncs.hand_over(&written, &self.progress);
        }

        fn durable(&self) -> u64 {
            self.progress.durable().0
        }

        fn done(&self, task: &Task) -> Vec<u32> {
            let mut complete = Vec::new();
            self.syncs.done(task, &self.progress, |ids| complete.extend(ids));
            complete
        }
    }

    fn ids(task: &Task) -> Vec<u32> {
        task.dirty.iter().map(|segment| segment.name.id).collect()
    }

    #[test]
    fn one_sync_serves_all_who_wait_and_what_comes_meanwhile_waits_for_the_next() {
        let rig = rig(FsyncPolicy::Group);
        rig.write(1, 1, What::Messages, true);
        rig.write(2, 1, What::Messages, true);
        let task = rig.syncs.take().unwrap();
        assert_eq!((ids(&task), task.position.offset), (vec![1], 2));
        rig.write(3, 1, What::Messages, true);
        rig.write(4, 2, What::Segment, false);
        assert_eq!(rig.durable(), 0);
        assert_eq!(rig.done(&task), [0_u32; 0], "written to since");
        assert_eq!(rig.durable(), 2);
        let task = rig.syncs.take().unwrap();
        assert!(task.created);
        assert_eq!(ids(&task), [1, 2], "oldest first");
        assert_eq!(rig.done(&task), [1, 2]);
        assert_eq!(rig.durable(), 4);
    }

    #[test]
    fn settlements_alone_wait_for_nothing_but_their_turn() {
        let rig = rig(FsyncPolicy::Group);
        rig.write(1, 1, What::Settlements, true);
        assert_eq!(rig.durable(), 1);
        rig.write(2, 1, What::Messages, true);
        rig.write(3, 1, What::Settlements, true);
        assert_eq!(rig.durable(), 1);
        let task = rig.syncs.take().unwrap();
        rig.write(4, 1, What::Settlements, false);
        assert_eq!(rig.durable(), 1);
        rig.done(&task);
        assert_eq!(rig.durable(), 4);
    }

    #[test]
    fn what_nobody_waits_for_is_synced_soon_and_remarks_when_they_can_be() {
        let rig = rig(FsyncPolicy::Group);
        rig.write(0, 1, What::Remark, false);
        rig.write(1, 1, What::Messages, false);
        let started = clock::now();
        let task = rig.syncs.take().unwrap();
        assert!(started.elapsed() >= UNAWAITED_DELAY / 2);
        assert!(task.is_news);
        rig.done(&task);
        assert_eq!(rig.durable(), 1);
    }

    #[test]
    fn under_other_policies_written_is_durable() {
        let rig = rig(FsyncPolicy::Interval(Duration::from_millis(1)));
        rig.write(1, 1, What::Messages, true);
        assert_eq!(rig.durable(), 1);
        assert_eq!(ids(&rig.syncs.take().unwrap()), [1]);
        let rig = self::rig(FsyncPolicy::Os);
        rig.write(7, 1, What::Messages, true);
        assert_eq!(rig.durable(), 7);
        rig.write(7, 2, What::Segment, false);
        assert_eq!(ids(&rig.syncs.take().unwrap()), [1, 2], "a segment is complete");
    }

    #[test]
    fn after_a_failure_nothing_becomes_durable() {
        let rig = rig(FsyncPolicy::Os);
        rig.syncs.fail(&StorageError::Closed);
        rig.write(1, 1, What::Messages, true);
        assert_eq!(rig.durable(), 0);
        assert!(rig.syncs.take().is_none());
        assert!(rig.syncs.sync().is_err());
        rig.syncs.end();
        assert!(rig.syncs.close().is_err());
    }

    #[test]
    fn a_sync_that_is_asked_for_covers_what_was_written_before() {
        let rig = rig(FsyncPolicy::Os);
        rig.write(1, 1, What::Messages, false);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| rig.syncs.sync());
            let task = rig.syncs.take().unwrap();
            assert_eq!(ids(&task), [1]);
            rig.done(&task);
            assert!(asked.join().unwrap().is_ok());
        });
        rig.write(2, 1, What::Settlements, false);
        std::thread::scope(|scope| {
            let closed = scope.spawn(|| rig.syncs.close());
            rig.done(&rig.syncs.take().unwrap());
            assert!(rig.syncs.take().is_none());
            rig.syncs.end();
            assert_eq!(closed.join().unwrap().unwrap().offset, 2);
        });
    }
}
