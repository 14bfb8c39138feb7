//! Brings the bodies of a long queue's next messages back from the stores.
//!
//! Started when effects are carried out and a queue asked for it, at most one reading per queue at a time.
//! Stays true: nothing is skipped. What a store does not have yet (its publisher is between the
//! queue and the store) is asked for again; what is damaged ends the process.

use std::sync::Arc;
use std::time::Duration;

use leveret_storage::StorageError;
use tracing::error;

use super::paged::Shelf;
use super::ready::ReadingPlan;
use super::{Effects, Queue};
use crate::message::Message;
use crate::stores::{Messages, end_process};

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

/// Messages with their bodies, and the store each was read from.
pub(super) type Found = Vec<(Shelf, u64, Message)>;

impl Effects {
    /// Carries everything out: what is to be stored, read and written. Whoever has to know when
    /// messages are durable calls `store` first.
    pub(crate) fn carry_out(&mut self, messages: &Messages) {
        self.store(messages);
        for (queue, plan) in self.readings.drain(..) {
            start(queue, plan);
        }
        self.flush();
    }
}

/// Reads what is planned and gives it to the queue, on a task of its own.
fn start(queue: Arc<Queue>, plan: ReadingPlan) {
    tokio::spawn(async move {
        let (mut plan, mut retries) = (plan, 0);
        loop {
            let (reader, planned) = (Arc::clone(&queue), plan.clone());
            let found = tokio::task::spawn_blocking(move || read(&reader, &planned)).await;
            let found = match found {
                Ok(Ok(found)) => found,
                Ok(Err(cause)) => end_process(&cause),
                // The runtime ends.
                Err(_) => return,
            };
            let mut effects = Effects::default();
            let next = queue.take_in(found, &mut effects);
            effects.carry_out(queue.messages());
            match next {
                Some(next) => plan = next,
                None => return,
            }
            retries += 1;
            if retries % RETRIES_TOLD == 0 {
                error!(queue = queue.name(), "messages are not in the store that should have them");
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    });
}

fn read(queue: &Queue, plan: &ReadingPlan) -> Result<Found, StorageError> {
    let mut found = Found::new();
    let messages = queue.messages();
    let shelves = [
        (Shelf::Durable, messages.durable(), &plan.durable),
        (Shelf::Scratch, messages.scratch(), &plan.scratch),
    ];
    for (shelf, store, sequences) in shelves {
        if sequences.is_empty() {
            continue;
        }
        for stored in store.read(queue.id().0, sequences)? {
            let sequence = stored.sequence;
            let message =
                Message::from_content(stored.content).ok_or_else(|| unreadable(queue, sequence))?;
            found.push((shelf, sequence, message));
        }
    }
    Ok(found)
}

fn unreadable(queue: &Queue, sequence: u64) -> StorageError {
    StorageError::Damaged {
        path: queue.vhost().into(),
        detail: format!("message {sequence} of queue '{}' is none of ours", queue.name()),
    }
}
