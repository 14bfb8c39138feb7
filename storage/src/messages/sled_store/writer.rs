//! The writer thread: takes what waits, puts it into the tree, flushes, and says so.
//!
//! Started by `open`, ended by `close`. Stays true: a ticket is durable only after a flush that
//! followed everything appended up to it; after a failure nothing is written or durable any more.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::group::Group;
use super::holdings::Holdings;
use crate::StorageError;
use crate::clock;
use crate::messages::{Batch, Health, Progress, Ticket};

/// How long what nobody waits for may stay in memory alone.
const LAZY: Duration = Duration::from_millis(50);

/// Bytes that make a group urgent, that nobody waits for.
const GROUP_BYTES: usize = 4 << 20;

/// What the writer thread shares with the callers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) progress: Progress,
    pub(super) holdings: Mutex<Holdings>,
    /// Woken when there is something to do.
    pub(super) wake: Condvar,
}

/// Where groups go. After an error it is not called again.
pub(super) trait Engine: Send {
    /// Takes a group. It can be read then, and is not durable.
    fn apply(&mut self, group: &Group) -> io::Result<()>;

    /// Makes everything durable that was applied. Returns how many bytes it wrote to files.
    fn flush(&mut self) -> io::Result<u64>;
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Writer<E> {
    pub(super) shared: Arc<Shared>,
    pub(super) engine: E,
    pub(super) path: PathBuf,
}

impl Group {
    /// Whether it should be written without waiting for more.
    pub(super) fn is_urgent(&self) -> bool {
        self.awaited || self.bytes >= GROUP_BYTES
    }
}

impl Shared {
    /// With nothing appended.
    pub(super) fn new(holdings: Holdings, pending_max: usize) -> Arc<Self> {
        Arc::new(Self {
            progress: Progress::new(pending_max),
            holdings: Mutex::new(holdings),
            wake: Condvar::new(),
        })
    }

    /// See `MessageStore::append`.
    pub(super) fn append(&self, batch: &mut Batch) -> Ticket {
        if let Some(refused) = batch.refuse() {
            return refused;
        }
        let mut holdings = self.holdings.lock();
        let awaited = mem::take(&mut batch.awaited);
        if batch.is_empty() && !awaited {
            return holdings.last;
        }
        holdings.last.0 += u64::from(!batch.is_empty());
        let ticket = holdings.last;
        if holdings.is_closed {
            *batch = Batch::default();
            return ticket;
        }
        let was_idle = holdings.waiting.last.replace(ticket).is_none();
        let was_urgent = holdings.waiting.is_urgent();
        holdings.waiting.awaited |= awaited;
        let (added, removed) = holdings.append(batch);
        self.progress.add_pending(added);
        self.progress.remove_pending(removed);
        if was_idle || (!was_urgent && holdings.waiting.is_urgent()) {
            self.wake.notify_one();
        }
        ticket
    }

    /// Has the writer thread write what waits and end.
    pub(super) fn close(&self) {
        self.holdings.lock().is_closed = true;
        self.wake.notify_one();
    }

    /// The next group to write, when it is due; `None` at the end.
    fn take(&self) -> Option<Arc<Group>> {
        let mut holdings = self.holdings.lock();
        let mut due = None;
        loop {
            let now = clock::now();
            let waits = holdings.waiting.last.is_some();
            if waits && (holdings.waiting.is_urgent() || holdings.is_closed) {
                break;
            }
            if holdings.is_closed {
                return None;
            }
            match due {
                Some(due) if waits && now >= due => break,
                Some(due) if waits => drop(self.wake.wait_until(&mut holdings, due)),
                Some(_) | None if waits => due = Some(now + LAZY),
                Some(_) | None => self.wake.wait(&mut holdings),
            }
        }
        let group = Arc::new(mem::take(&mut holdings.waiting));
        holdings.writing = Some(Arc::clone(&group));
        Some(group)
    }
}

impl<E: Engine> Writer<E> {
    /// Runs until the store is closed or something fails.
    pub(super) fn run(mut self) -> Result<(), StorageError> {
        while let Some(group) = self.shared.take() {
            if let Err(error) = self.commit(&group) {
                return Err(self.fail(error));
            }
            self.shared.progress.remove_pending(group.bytes);
            if let Some(ticket) = group.last {
                self.shared.progress.set_durable(ticket);
            }
        }
        Ok(())
    }

    fn commit(&mut self, group: &Group) -> io::Result<()> {
        if group.is_empty() {
            self.shared.holdings.lock().writing = None;
            return Ok(());
        }
        self.engine.apply(group)?;
        self.shared.holdings.lock().writing = None;
        let before = clock::now();
        let flushed = self.engine.flush()?;
        let micros = u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut holdings = self.shared.holdings.lock();
        holdings.statistics.written_bytes += flushed;
        holdings.statistics.count_fsync(micros);
        Ok(())
    }

    fn fail(&self, error: io::Error) -> StorageError {
        let error = StorageError::io("write", &self.path, error);
        self.shared.holdings.lock().is_closed = true;
        self.shared.progress.set_health(Health::Failed(error.clone()));
        error
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::messages::{Content, Place, Publish};

    /// Fails at a flush.
    struct Failing {
        flushes_left: u32,
    }

    impl Engine for Failing {
        fn apply(&mut self, _group: &Group) -> io::Result<()> {
            Ok(())
        }

        fn flush(&mut self) -> io::Result<u64> {
            self.flushes_left = self.flushes_left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
            Ok(0)
        }
    }

    fn append(shared: &Shared, sequence: u64) -> Ticket {
        let content = Content { head: Arc::from(&b"bytes"[..]), ..Content::default() };
        let places = [Place { queue: 1, sequence }].into_iter().collect();
        let publishes = vec![Publish { content, places }];
        shared.append(&mut Batch { awaited: true, publishes, ..Batch::default() })
    }

    #[tokio::test]
    async fn after_a_failed_flush_nothing_is_durable_any_more() {
        let shared = Shared::new(Holdings::new(), 1000);
        let (engine, path) = (Failing { flushes_left: 1 }, PathBuf::from("a directory"));
        let writer = Writer { shared: Arc::clone(&shared), engine, path };
        let writer = thread::spawn(move || writer.run());
        let first = append(&shared, 0);
        shared.progress.reached(first).await.unwrap();
        let second = append(&shared, 1);
        shared.progress.reached(second).await.unwrap_err();
        assert!(matches!(shared.progress.health(), Health::Failed(StorageError::Io { .. })));
        let third = append(&shared, 2);
        shared.progress.reached(third).await.unwrap_err();
        assert_eq!(shared.progress.durable(), first);
        shared.close();
        assert!(writer.join().unwrap().is_err());
    }
}
