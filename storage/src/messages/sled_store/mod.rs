//! Messages in sled: for who prefers a database to our own log.
//!
//! Appends go to memory under one lock; one thread writes what has come together (`writer`) and
//! tells `Progress`. The contract of [`MessageStore`] holds, with these particulars:
//! - sled writes only together with an fsync. So every [`FsyncPolicy`] is kept by doing what
//!   [`FsyncPolicy::Group`] does: nothing that is durable is lost by the end of the process or a
//!   power failure, and the others are no faster.
//! - sled offers no way back from a failed write, so a full disk is final: [`Health::Failed`], never
//!   [`Health::Full`]. Nothing that was durable is lost; make room and start again.
//! - sled keeps in memory what was written since it was opened and is not settled.
//! - There is nothing to salvage: what sled cannot read it does not open.
//!
//! [`FsyncPolicy`]: super::FsyncPolicy
//! [`FsyncPolicy::Group`]: super::FsyncPolicy::Group
//! [`Health::Failed`]: super::Health::Failed
//! [`Health::Full`]: super::Health::Full

use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use super::{
    Batch, Content, DamagedMessage, MessageStore, Options, Place, Progress, Quarantined, ReadBack,
    Recovered, RecoveredMessage, Statistics, StoredMessage, Ticket,
};
use crate::StorageError;

mod database;
mod group;
mod holdings;
mod writer;

use database::{Bodies, Database};
use group::Reference;
use holdings::{Holdings, Source};
use writer::{Shared, Writer};

/// A [`MessageStore`] in sled. Dropping it closes it.
#[derive(Debug)]
pub struct SledMessages {
    shared: Arc<Shared>,
    bodies: Mutex<Bodies>,
    path: PathBuf,
    /// Taken by whoever closes first.
    writer: Mutex<Option<JoinHandle<Result<(), StorageError>>>>,
}

impl SledMessages {
    /// The database's name within the data directory.
    pub(crate) const DATABASE: &str = "messages.sled";

    /// Opens the messages in a data directory that the caller has locked, creating an empty
    /// database if there is none. Of the options only `pending_max` matters.
    ///
    /// # Errors
    /// The system refuses, the database is damaged, or a later version wrote it.
    pub fn open(
        directory: &Path,
        options: &Options,
        known_queues: &HashSet<u64>,
    ) -> Result<(Arc<Self>, Recovered), StorageError> {
        let path = directory.join(Self::DATABASE);
        let (database, mut bodies) = Database::open(&path)?;
        let mut holdings = Holdings::new();
        let recovered = match recover(&database, &mut holdings, known_queues) {
            Ok(recovered) => recovered,
            Err(error) => {
                bodies.close(true);
                mem::forget(database);
                return Err(error);
            }
        };
        let shared = Shared::new(holdings, options.pending_max);
        let writer = Writer { shared: Arc::clone(&shared), engine: database, path: path.clone() };
        let writer = thread::Builder::new()
            .name("messages".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| StorageError::io("start the writer of", &path, error))?;
        let (bodies, writer) = (Mutex::new(bodies), Mutex::new(Some(writer)));
        Ok((Arc::new(Self { shared, bodies, path, writer }), recovered))
    }

    /// Reads a message from the tree. `None` if it was settled meanwhile.
    fn fetch(&self, place: Place, id: u64) -> Result<Option<Content>, StorageError> {
        let content = self.bodies.lock().get(id)?;
        if content.is_none() && self.shared.holdings.lock().holds(place) {
            let Place { queue, sequence } = place;
            let detail = format!("body {id} of message {sequence} in queue {queue} is missing");
            return Err(StorageError::Damaged { path: self.path.clone(), detail });
        }
        Ok(content)
    }
}

/// Fills the holdings from the tree.
fn recover(
    database: &Database,
    holdings: &mut Holdings,
    known_queues: &HashSet<u64>,
) -> Result<Recovered, StorageError> {
    database.check_version()?;
    holdings.raise_id(database.highest_id()?);
    let mut recovered = Recovered::default();
    let mut unknown: BTreeMap<u64, u64> = BTreeMap::new();
    database.queues(|queue, next| {
        holdings.restore_next(queue, next);
        if known_queues.contains(&queue) {
            recovered.queues.entry(queue).or_default().next_sequence = next;
        }
    })?;
    database.references(|place, reference| {
        holdings.restore(place, reference);
        if !known_queues.contains(&place.queue) {
            *unknown.entry(place.queue).or_default() += 1;
            return;
        }
        let queue = recovered.queues.entry(place.queue).or_default();
        let Reference { note, arrived_ms, until_ms, size, .. } = reference;
        let sequence = place.sequence;
        let message =
            RecoveredMessage { sequence, note, arrived_ms, until_ms, size, delivery_count: 0 };
        queue.messages.push(&message);
        queue.next_sequence = queue.next_sequence.max(sequence.saturating_add(1));
    })?;
    database.counts(|place, count| {
        if holdings.restore_count(place, count)
            && let Some(queue) = recovered.queues.get_mut(&place.queue)
        {
            queue.messages.set_delivery_count(place.sequence, count);
        }
    })?;
    recovered.highest_queue = holdings.highest_queue();
    let quarantined = unknown.into_iter();
    recovered.quarantined =
        quarantined.map(|(queue, messages)| Quarantined { queue, messages }).collect();
    Ok(recovered)
}

impl MessageStore for SledMessages {
    fn append(&self, batch: &mut Batch) -> Ticket {
        self.shared.append(batch)
    }

    fn read(&self, queue: u64, sequences: &[Range<u64>]) -> Result<ReadBack, StorageError> {
        let found = self.shared.holdings.lock().find(queue, sequences);
        let mut read = ReadBack::default();
        for (sequence, source) in found {
            let content = match source {
                Source::Memory(content) => Ok(Some(content)),
                Source::Tree(id) => self.fetch(Place { queue, sequence }, id),
            };
            match content {
                Ok(Some(content)) => read.messages.push(StoredMessage { sequence, content }),
                Ok(None) => {}
                Err(error @ StorageError::Damaged { .. }) => {
                    read.damaged.push(DamagedMessage { sequence, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    fn statistics(&self) -> Statistics {
        let statistics = self.shared.holdings.lock().statistics.clone();
        let (segments, disk_bytes) = database::disk_usage(&self.path).unwrap_or_default();
        let pending_bytes = self.shared.progress.pending() as u64;
        Statistics { segments, disk_bytes, pending_bytes, ..statistics }
    }

    fn close(&self) -> Result<(), StorageError> {
        let Some(writer) = self.writer.lock().take() else { return Ok(()) };
        self.shared.close();
        let closed = writer.join().unwrap_or(Err(StorageError::Closed));
        self.bodies.lock().close(closed.is_err());
        closed
    }
}

impl Drop for SledMessages {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!("closing the messages: {error}");
        }
    }
}
