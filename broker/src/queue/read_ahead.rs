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
use leveret_storage::messages::{MessageStore, StoredMessage};
use tracing::{error, warn};

use super::paged::Shelf;
use super::ready::ReadingPlan;
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
    if let Ok(stored) = store.read(queue, sequences) {
        found.extend(stored.into_iter().map(|stored| unpack(shelf, stored)));
        return None;
    }
    for sequence in sequences.iter().cloned().flatten() {
        match store.read(queue, std::slice::from_ref(&(sequence..sequence + 1))) {
            Ok(stored) => found.extend(stored.into_iter().map(|stored| unpack(shelf, stored))),
            Err(cause @ StorageError::Damaged { .. }) => {
                found.push(Found { shelf, sequence, body: Err(cause.to_string()) });
            }
            Err(cause) => return Some(Trouble { shelf, sequence, cause }),
        }
    }
    None
}

fn unpack(shelf: Shelf, stored: StoredMessage) -> Found {
    let StoredMessage { sequence, content } = stored;
    let body = Message::from_content(content).ok_or_else(|| "it is none of ours".to_owned());
    Found { shelf, sequence, body }
}
