//! Brings the bodies of a long queue's next messages back from the stores.
//!
//! Started when effects are carried out and a queue asked for it, at most one reading per queue at a time.
//! Stays true: nothing is skipped in silence. What a store does not have yet (its publisher is
//! between the queue and the store) is asked for again; what cannot be read now is asked for again
//! after a pause; a message that is damaged is set aside, by itself, and the others go on.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use leveret_storage::StorageError;
use leveret_storage::messages::{MessageStore, ReadBack, StoredMessage};
use rustc_hash::FxHashMap;
use tracing::{error, warn};

use super::deaths::DeadLetters;
use super::held::Held;
use super::paged::{ReadingPlan, Shelf};
use super::{Effects, Queue};
use crate::message::Message;
use crate::stores::Messages;

/// Messages read at a time.
pub(super) const MESSAGES: usize = 2048;
/// Bytes read at a time, unless one message is larger.
pub(super) const BYTES: usize = 2 << 20;
/// With fewer messages than this in memory the next are read.
pub(super) const LOW_WATER: usize = 512;
/// How long to wait for a publisher that is about to store what was asked for.
const RETRY_AFTER: Duration = Duration::from_millis(1);
/// After this many retries in a row an operator should know.
const RETRIES_TOLD: u32 = 10_000;
/// How long to wait after the system refused to read; doubles with every time in a row.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// How often that doubles at most: to some seconds.
const DOUBLINGS_MAX: u32 = 8;
/// A message that the disk could not give so often in a row is taken for damaged.
const ATTEMPTS_MAX: u32 = 5;

/// What was read of one message.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it was read.
    pub shelf: Shelf,
    /// Its place in the queue.
    pub sequence: u64,
    /// The message, or why there is none.
    pub body: Result<Message, String>,
}

/// Why reading stopped before its end.
#[derive(Debug)]
struct Trouble {
    shelf: Shelf,
    sequence: u64,
    cause: StorageError,
}

impl Effects {
    /// Carries everything out: what is to be stored, read, written and handed out later. Whoever has
    /// to know when messages are durable calls `store` first.
    pub(crate) fn carry_out(&mut self, messages: &Messages) {
        self.store(messages);
        for (queue, plan) in self.readings.drain(..) {
            tokio::spawn(read_on(queue, plan));
        }
        self.flush();
        for queue in self.handing_out.drain(..) {
            tokio::spawn(hand_out_on(queue));
        }
    }
}

/// Hands out in steps what was too much for one.
async fn hand_out_on(queue: Arc<Queue>) {
    loop {
        tokio::task::yield_now().await;
        let mut effects = Effects::default();
        let has_more = queue.hand_out_more(&mut effects);
        // It would start another task for what this one does.
        effects.handing_out.clear();
        effects.carry_out(queue.messages());
        if !has_more {
            return;
        }
    }
}

/// Reads what is planned and gives it to the queue, until the queue has enough.
async fn read_on(queue: Arc<Queue>, mut plan: ReadingPlan) {
    let (mut retries, mut attempts) = (0_u32, Attempts::default());
    loop {
        let (reader, planned) = (Arc::clone(&queue), plan);
        let reading = tokio::task::spawn_blocking(move || read(&reader, &planned));
        // Otherwise the runtime ends.
        let Ok((mut found, trouble)) = reading.await else { return };
        let pause = match trouble {
            Some(trouble) => attempts.after(&queue, trouble, &mut found),
            None => {
                attempts = Attempts::default();
                None
            }
        };
        let mut effects = Effects::default();
        let next = queue.take_in(found, pause.is_some(), &mut effects);
        effects.carry_out(queue.messages());
        let Some(next) = next else { return };
        plan = next;
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
            continue;
        }
        retries += 1;
        if retries % RETRIES_TOLD == 0 {
            error!(
                vhost = queue.vhost(),
                queue = queue.name(),
                "messages are not in the store that should have them"
            );
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// How often in a row the same message could not be read.
#[derive(Debug, Default)]
struct Attempts {
    sequence: u64,
    count: u32,
}

impl Attempts {
    /// How long to wait after trouble. A message that the disk does not give is given up at last.
    fn after(
        &mut self,
        queue: &Queue,
        trouble: Trouble,
        found: &mut Vec<Found>,
    ) -> Option<Duration> {
        let Trouble { shelf, sequence, cause } = trouble;
        if self.sequence != sequence {
            *self = Self { sequence, count: 0 };
        }
        self.count += 1;
        if self.count >= ATTEMPTS_MAX && is_of_the_disk(&cause) {
            found.push(Found { shelf, sequence, body: Err(cause.to_string()) });
            return None;
        }
        if self.count.is_power_of_two() {
            let (vhost, queue, attempt) = (queue.vhost(), queue.name(), self.count);
            warn!(vhost, queue, sequence, attempt, "message cannot be read now: {cause}");
        }
        Some(PAUSE_MIN * (1 << (self.count - 1).min(DOUBLINGS_MAX)))
    }
}

/// Whether the disk, and not a want of descriptors or memory, is why something cannot be read.
fn is_of_the_disk(cause: &StorageError) -> bool {
    const EIO: i32 = 5;
    matches!(cause, StorageError::Io { source, .. } if source.raw_os_error() == Some(EIO))
}

impl DeadLetters {
    /// Reads the bodies that are not in memory, as far as they are to be had. One that is damaged
    /// leaves its message out. Blocks.
    pub(crate) fn read(mut self) -> Self {
        let Self { queue, dead, lost } = &mut self;
        let missing = dead.iter().filter_map(|dead| match &dead.held {
            Held::Paged(stub) => Some((dead.sequence, stub.shelf)),
            Held::Resident(_) => None,
        });
        let mut found = read_these(queue, missing);
        dead.retain_mut(|dead| match found.remove(&dead.sequence) {
            Some(Ok(message)) => {
                dead.read(message);
                true
            }
            Some(Err(())) => {
                lost.extend(dead.is_kept.then_some(dead.sequence));
                false
            }
            None => true,
        });
        self
    }
}

/// Reads these messages, as far as they are to be had now. A damaged one is told, and is an error.
fn read_these(
    queue: &Queue,
    these: impl Iterator<Item = (u64, Shelf)>,
) -> FxHashMap<u64, Result<Message, ()>> {
    let mut plan = ReadingPlan::default();
    these.for_each(|(sequence, shelf)| plan.add(sequence, shelf));
    let (found, trouble) = read(queue, &plan);
    let (vhost, name) = (queue.vhost(), queue.name());
    if let Some(Trouble { sequence, cause, .. }) = trouble {
        warn!(vhost, queue = name, sequence, "dead message cannot be read now: {cause}");
    }
    let told = found.into_iter().map(|Found { sequence, body, .. }| {
        let body = body.map_err(|reason| {
            error!(vhost, queue = name, sequence, "dead message stays on the disk: {reason}");
        });
        (sequence, body)
    });
    told.collect()
}

/// These messages by their sequence numbers, for somebody who only looks: those that are not in memory
/// are read as far as they are to be had now. Blocks.
pub(super) fn look_at<'a>(
    queue: &Queue,
    these: impl Iterator<Item = (u64, &'a Held)>,
) -> FxHashMap<u64, Message> {
    let mut all = FxHashMap::default();
    let mut paged = Vec::new();
    for (sequence, held) in these {
        match held {
            Held::Resident(message) => _ = all.insert(sequence, message.clone()),
            Held::Paged(stub) => paged.push((sequence, stub.shelf)),
        }
    }
    paged.sort_unstable_by_key(|(sequence, _)| *sequence);
    let mut plan = ReadingPlan::default();
    paged.into_iter().for_each(|(sequence, shelf)| plan.add(sequence, shelf));
    let (found, _) = read(queue, &plan);
    let read = found.into_iter();
    all.extend(read.filter_map(|Found { sequence, body, .. }| Some((sequence, body.ok()?))));
    all
}

/// Reads what is planned, ascending, as far as it goes.
fn read(queue: &Queue, plan: &ReadingPlan) -> (Vec<Found>, Option<Trouble>) {
    let messages = queue.messages();
    let mut found = Vec::new();
    let mut trouble = None;
    let shelves = [
        (Shelf::Durable, messages.durable(), &plan.durable),
        (Shelf::Scratch, messages.scratch(), &plan.scratch),
    ];
    for (shelf, store, sequences) in shelves {
        if !sequences.is_empty() {
            let stopped = read_shelf(&**store, shelf, queue.id().0, sequences, &mut found);
            trouble = stopped.or(trouble);
        }
    }
    found.sort_unstable_by_key(|found| found.sequence);
    (found, trouble)
}

/// Reads from one store: all at once, or one by one when one of them cannot be read.
fn read_shelf(
    store: &dyn MessageStore,
    shelf: Shelf,
    queue: u64,
    sequences: &[Range<u64>],
    found: &mut Vec<Found>,
) -> Option<Trouble> {
    if let Ok(read) = store.read(queue, sequences) {
        take_over(shelf, read, found);
        return None;
    }
    for sequence in sequences.iter().cloned().flatten() {
        match store.read(queue, std::slice::from_ref(&(sequence..sequence + 1))) {
            Ok(read) => take_over(shelf, read, found),
            Err(cause) => return Some(Trouble { shelf, sequence, cause }),
        }
    }
    None
}

fn take_over(shelf: Shelf, read: ReadBack, found: &mut Vec<Found>) {
    found.extend(read.messages.into_iter().map(|stored| unpack(shelf, stored)));
    found.extend(read.damaged.into_iter().map(|damaged| {
        let body = Err(damaged.error.to_string());
        Found { shelf, sequence: damaged.sequence, body }
    }));
}

fn unpack(shelf: Shelf, stored: StoredMessage) -> Found {
    let StoredMessage { sequence, content } = stored;
    let body = Message::from_content(content).ok_or_else(|| "it is none of ours".to_owned());
    Found { shelf, sequence, body }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};

    use leveret_storage::messages::{
        Batch, DamagedMessage, MemoryMessages, Progress, Statistics, Ticket,
    };
    use smallvec::SmallVec;
    use tokio::time::timeout;

    use super::super::exit::tests::alone;
    use super::super::{Fetched, QueueSettings};
    use super::*;
    use crate::keys::QueueId;
    use crate::message::tests::{message, persistent};
    use crate::stores::MemoryBudget;

    const IN_TIME: Duration = Duration::from_secs(20);
    const EIO: i32 = 5;
    const EMFILE: i32 = 24;

    /// A store of which some messages cannot be read.
    #[derive(Debug)]
    struct Unwell {
        store: Arc<MemoryMessages>,
        damaged: BTreeSet<u64>,
        /// What the disk does not give.
        unreadable: BTreeSet<u64>,
        /// So many reads fail for want of descriptors.
        short_of_files: AtomicU32,
        reads: AtomicU32,
    }

    impl Unwell {
        fn new() -> Self {
            Self {
                store: MemoryMessages::new(),
                damaged: BTreeSet::new(),
                unreadable: BTreeSet::new(),
                short_of_files: AtomicU32::new(0),
                reads: AtomicU32::new(0),
            }
        }
    }

    fn refused(errno: i32) -> StorageError {
        let source = Arc::new(io::Error::from_raw_os_error(errno));
        StorageError::Io { action: "read", path: "segment".into(), source }
    }

    impl MessageStore for Unwell {
        fn append(&self, batch: &mut Batch) -> Ticket {
            self.store.append(batch)
        }

        fn read(&self, queue: u64, sequences: &[Range<u64>]) -> Result<ReadBack, StorageError> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            let short = |left: u32| left.checked_sub(1);
            if self.short_of_files.fetch_update(Ordering::Relaxed, Ordering::Relaxed, short).is_ok()
            {
                return Err(refused(EMFILE));
            }
            if sequences.iter().cloned().flatten().any(|one| self.unreadable.contains(&one)) {
                return Err(refused(EIO));
            }
            let mut read = self.store.read(queue, sequences)?;
            for sequence in self.damaged.iter().copied() {
                let before = read.messages.len();
                read.messages.retain(|message| message.sequence != sequence);
                if read.messages.len() < before {
                    let detail = format!("message {sequence}");
                    let error = StorageError::Damaged { path: "segment".into(), detail };
                    read.damaged.push(DamagedMessage { sequence, error });
                }
            }
            Ok(read)
        }

        fn progress(&self) -> &Progress {
            self.store.progress()
        }

        fn statistics(&self) -> Statistics {
            self.store.statistics()
        }

        fn close(&self) -> Result<(), StorageError> {
            self.store.close()
        }
    }

    /// A queue that keeps no bodies in memory, with ten messages of so many bytes.
    fn long_queue(durable: Arc<dyn MessageStore>, size: usize) -> Arc<Queue> {
        let budget = MemoryBudget { total: 0, queue: 0 };
        let messages = Arc::new(Messages::new(durable, MemoryMessages::new(), budget));
        let settings = QueueSettings::plain(true);
        let queue = Queue::new(QueueId(1), "/".into(), "q", settings, alone(Arc::clone(&messages)));
        let mut effects = Effects::default();
        for number in 0..10 {
            let mut body = vec![number];
            body.resize(size, 0);
            let message = persistent(message("k", &body));
            let sequence = queue.publish(std::iter::once(message.clone()), &mut effects);
            let mut places = SmallVec::new();
            effects.note_place(&queue, sequence.expect("a place"), &message, &mut places);
            effects.store_message(&message, places, false);
        }
        effects.carry_out(&messages);
        queue
    }

    /// What a client gets that waits for what has to be read.
    async fn get(queue: &Arc<Queue>) -> Option<u8> {
        loop {
            let mut effects = Effects::default();
            let fetched = queue.get(true, |_| None, &mut effects);
            effects.carry_out(queue.messages());
            match fetched {
                Fetched::Got(got) => return got.message.body().first().copied(),
                Fetched::Empty => return None,
                Fetched::NotResident => queue.read().await,
            }
        }
    }

    async fn drain(queue: &Arc<Queue>) -> Vec<u8> {
        let mut numbers = Vec::new();
        while let Some(number) = timeout(IN_TIME, get(queue)).await.expect("in time") {
            numbers.push(number);
        }
        numbers
    }

    #[tokio::test]
    async fn what_is_damaged_is_set_aside_and_the_others_go_on() {
        let store = Unwell { damaged: [0, 3, 9].into(), ..Unwell::new() };
        let queue = long_queue(Arc::new(store), 10);
        assert_eq!(drain(&queue).await, [1, 2, 4, 5, 6, 7, 8]);
        assert_eq!(queue.counts().ready, 0);
    }

    #[tokio::test]
    async fn what_the_disk_does_not_give_is_set_aside_after_some_attempts() {
        let store = Arc::new(Unwell { unreadable: [4].into(), ..Unwell::new() });
        let queue = long_queue(Arc::clone(&store) as Arc<dyn MessageStore>, 10);
        assert_eq!(drain(&queue).await, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
        let reads = store.reads.load(Ordering::Relaxed);
        assert!(reads < 200, "it does not spin: {reads} reads");
    }

    #[tokio::test]
    async fn a_want_of_descriptors_passes_and_nothing_is_lost() {
        let store = Unwell { short_of_files: AtomicU32::new(12), ..Unwell::new() };
        let queue = long_queue(Arc::new(store), 10);
        assert_eq!(drain(&queue).await, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    /// One reading brings one of these, and wakes all who wait: who finds it taken has to ask for the
    /// next, or waits until somebody else does.
    #[tokio::test]
    async fn all_who_wait_for_large_messages_get_theirs() {
        let queue = long_queue(Arc::new(Unwell::new()), BYTES);
        let getters: Vec<_> = (0..10)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { timeout(IN_TIME, get(&queue)).await })
            })
            .collect();
        let mut numbers = Vec::new();
        for getter in getters {
            numbers.push(getter.await.expect("a task").expect("in time"));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).map(Some).collect::<Vec<_>>());
    }
}
