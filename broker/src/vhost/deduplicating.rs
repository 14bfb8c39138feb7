//! Messages that come to an exchange twice.
//!
//! An exchange that deduplicates has a `Deduplicator`; `vhost::routing` asks it for every message that
//! reaches the exchange, from a client, through a binding, as a dead letter or after it has waited.
//! What comes of it goes with the message: whoever hands that over says whether it was taken, so that
//! its key is stored in the same batch, behind it, or forgotten. Stays true:
//! - a key is never durable before its message is, and a publisher is told of neither before both are;
//! - what went nowhere, or was refused, is not remembered: it may come again.

use std::sync::Arc;

use leveret_protocol::types::{FieldTable, RawTable};
use leveret_storage::messages::{Batch, Place, Publish, RecoveredQueue};
use parking_lot::Mutex;
use smallvec::smallvec;

use crate::clock;
use crate::deduplication::{Deduplication, Key, Window, record};

/// What an exchange remembers.
#[derive(Debug)]
pub(super) struct Deduplicator {
    asked: Deduplication,
    /// A leaf: nothing is locked under it.
    window: Mutex<Window>,
    /// The window's number in the message store, if keys are stored there.
    number: Option<u64>,
}

impl Deduplicator {
    /// Of an exchange with these arguments, which have been checked, if it deduplicates.
    pub(super) fn of(arguments: &FieldTable, number: Option<u64>) -> Option<Arc<Self>> {
        let asked = Deduplication::of(arguments)?;
        let window = Mutex::new(Window::new(asked.size()));
        Some(Arc::new(Self { asked, window, number }))
    }

    /// Takes back the keys that were stored.
    pub(super) fn restore(&self, recovered: RecoveredQueue) {
        self.window.lock().restore(recovered);
    }

    /// What had this key was taken, and stored, or not. What is not remembered any more for its sake
    /// goes from the store as well.
    fn conclude(&self, key: Key, (taken, is_stored): (bool, bool), batch: &mut Batch) {
        let mut window = self.window.lock();
        if !taken {
            window.forget(key);
        }
        let Some(queue) = self.number else { return };
        if taken
            && is_stored
            && let Some((sequence, until_ms)) = window.store(key)
        {
            let places = smallvec![Place { queue, sequence }];
            let content = record(key, clock::unix_millis(), until_ms);
            batch.publishes.push(Publish { content, places });
        }
        for sequence in window.take_outdated() {
            batch.settle(Place { queue, sequence });
        }
    }
}

/// How the exchanges on a message's way are to see it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight<'a> {
    /// Each says now whether it had the message, and remembers it.
    Now,
    /// The first has said so before, the others do now.
    AfterFirst,
    /// None remembers it; those with these numbers had it.
    As(&'a [u64]),
}

/// What the exchanges on a message's way made of it.
#[derive(Debug, Default)]
pub(crate) struct Sighting {
    /// The numbers of those that had it before.
    twice: Vec<u64>,
    /// The keys that it was not known by until now.
    first: Vec<(Arc<Deduplicator>, Key)>,
    /// Some of those that had it before store their keys.
    is_stored: bool,
    /// Some have not been asked.
    is_open: bool,
}

impl Sighting {
    /// What one exchange alone makes of a message that comes now, if it deduplicates.
    pub(super) fn by(
        id: u64,
        deduplicator: &Arc<Deduplicator>,
        headers: Option<RawTable<'_>>,
    ) -> Box<Self> {
        let mut sighting = Box::<Self>::default();
        sighting.is_new(id, deduplicator, headers);
        sighting
    }

    /// Whether an exchange lets the message pass.
    pub(super) fn passes(
        &mut self,
        (id, deduplicator): (u64, &Arc<Deduplicator>),
        headers: Option<RawTable<'_>>,
        sight: Sight<'_>,
        is_first: bool,
    ) -> bool {
        match sight {
            Sight::As(twice) => {
                self.is_open = true;
                !twice.contains(&id)
            }
            Sight::AfterFirst if is_first => true,
            Sight::Now | Sight::AfterFirst => self.is_new(id, deduplicator, headers),
        }
    }

    fn is_new(
        &mut self,
        id: u64,
        deduplicator: &Arc<Deduplicator>,
        headers: Option<RawTable<'_>>,
    ) -> bool {
        let Some(key) = deduplicator.asked.key(headers) else { return true };
        let now_ms = clock::unix_millis();
        let until_ms = deduplicator.asked.until_ms(headers, now_ms);
        let is_new = deduplicator.window.lock().remember(key, now_ms, until_ms);
        if is_new {
            self.first.push((Arc::clone(deduplicator), key));
        } else {
            self.twice.push(id);
            self.is_stored |= deduplicator.number.is_some();
        }
        is_new
    }

    /// Whether there is nothing to it.
    pub(super) fn is_plain(&self) -> bool {
        self.twice.is_empty() && self.first.is_empty() && !self.is_open
    }

    /// The numbers of the exchanges that had it before.
    pub(crate) fn twice(&self) -> &[u64] {
        &self.twice
    }

    /// Whether some exchange had it before.
    pub(crate) fn is_twice(&self) -> bool {
        !self.twice.is_empty()
    }

    /// Whether some exchange has not been asked yet.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether what had it before is to be on disk before the publisher is told that it was taken.
    pub(crate) fn is_stored(&self) -> bool {
        self.is_stored
    }

    /// The message was handed over: `taken` by all its queues, `is_stored` by some. Its keys are stored
    /// behind it in the same batch, or forgotten.
    pub(crate) fn conclude(&self, taken: bool, is_stored: bool, batch: &mut Batch) {
        self.first.iter().for_each(|(by, key)| by.conclude(*key, (taken, is_stored), batch));
    }

    /// The message went nowhere.
    pub(super) fn forget(&self) {
        self.first.iter().for_each(|(by, key)| by.window.lock().forget(*key));
    }
}
