//! What a queue's commands leave to be told to the message stores.
//!
//! Filled by `queue::state`, emptied by `queue::Queue` into the batches of whoever gave the command,
//! under the queue's lock. Stays true: every durable message that is gone is in `settled` once;
//! every paged message that is gone or back in memory is in `unpaged` once.

use leveret_storage::messages::{Batch, Content, Place, Publish, Settled};
use smallvec::smallvec;

use super::held::Held;
use super::paged::Shelf;
use super::ready::Taken;
use crate::keys::QueueId;
use crate::message::Message;

/// See the module documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct StoreChanges {
    settled: Vec<u64>,
    settled_runs: Vec<(u64, u64)>,
    delivery_counts: Vec<(u64, u32)>,
    paged_out: Vec<(u64, Message)>,
    unpaged_runs: Vec<(u64, u64)>,
    keys: Vec<(u64, Content)>,
    outdated_keys: Vec<u64>,
}

impl StoreChanges {
    /// A durable message is done with.
    pub(super) fn settle(&mut self, sequence: u64) {
        self.settled.push(sequence);
    }

    /// A message is done with: no store needs it any more.
    #[inline]
    pub(super) fn forget(&mut self, is_stored: bool, sequence: u64, held: &Held) {
        if held.is_durable(is_stored) {
            self.settle(sequence);
        } else if matches!(held, Held::Paged(_)) {
            self.unpage(sequence);
        }
    }

    /// The same for all messages of a queue that was emptied.
    pub(super) fn forget_all(&mut self, is_stored: bool, taken: &Taken) {
        for queued in taken.messages() {
            self.forget(is_stored, queued.sequence, &queued.held);
        }
        for (shelf, first, count) in taken.runs() {
            match shelf {
                Shelf::Durable => self.settled_runs.push((first, count)),
                Shelf::Scratch => self.unpaged_runs.push((first, count)),
            }
        }
    }

    /// A durable message was given back for the `count`th time.
    pub(super) fn count_delivery(&mut self, sequence: u64, count: u32) {
        self.delivery_counts.push((sequence, count));
    }

    /// A message's body leaves memory for the scratch store.
    pub(super) fn page_out(&mut self, sequence: u64, message: Message) {
        self.paged_out.push((sequence, message));
    }

    /// Whether something leaves memory for the scratch store.
    pub(super) fn pages_out(&self) -> bool {
        !self.paged_out.is_empty()
    }

    /// The scratch store needs a message no more.
    pub(super) fn unpage(&mut self, sequence: u64) {
        // Whoever is read ahead comes in a run: the store is told of it as of one.
        if let Some((first, count)) = self.unpaged_runs.last_mut()
            && *first + *count == sequence
        {
            *count += 1;
            return;
        }
        self.unpaged_runs.push((sequence, 1));
    }

    /// A key is remembered, in this place of the queue's window.
    pub(super) fn store_key(&mut self, place: u64, record: Content) {
        self.keys.push((place, record));
    }

    /// Keys are remembered no more.
    pub(super) fn forget_keys(&mut self, places: Vec<u64>) {
        self.outdated_keys.extend(places);
    }

    /// Moves what is to be stored of keys into `records`, and what is to be forgotten into the batch,
    /// for the window with this number.
    pub(super) fn drain_keys(
        &mut self,
        window: u64,
        records: &mut Vec<Publish>,
        durable: &mut Batch,
    ) {
        let place = |sequence| Place { queue: window, sequence };
        self.outdated_keys.drain(..).for_each(|sequence| durable.settle(place(sequence)));
        records.extend(
            self.keys
                .drain(..)
                .map(|(sequence, content)| Publish { content, places: smallvec![place(sequence)] }),
        );
    }

    /// Moves everything else into batches for the two stores.
    pub(super) fn drain_into(&mut self, queue: QueueId, durable: &mut Batch, scratch: &mut Batch) {
        let queue = queue.0;
        let place = |sequence| Place { queue, sequence };
        self.settled.drain(..).for_each(|sequence| durable.settle(place(sequence)));
        let run = |(first, count)| Settled { queue, first, count };
        durable.settled.extend(self.settled_runs.drain(..).map(run));
        let counts = self.delivery_counts.drain(..).map(|(sequence, n)| (place(sequence), n));
        durable.delivery_counts.extend(counts);
        scratch.settled.extend(self.unpaged_runs.drain(..).map(run));
        let paged = self.paged_out.drain(..);
        scratch.publishes.extend(paged.map(|(sequence, message)| Publish {
            content: message.content(),
            places: smallvec![place(sequence)],
        }));
    }

    #[cfg(test)]
    pub(super) fn take_keys(&mut self) -> (Vec<(u64, Content)>, Vec<u64>) {
        (std::mem::take(&mut self.keys), std::mem::take(&mut self.outdated_keys))
    }

    #[cfg(test)]
    pub(super) fn take_paged_out(&mut self) -> Vec<(u64, Message)> {
        std::mem::take(&mut self.paged_out)
    }

    #[cfg(test)]
    pub(super) fn take_counts(&mut self) -> Vec<(u64, u32)> {
        std::mem::take(&mut self.delivery_counts)
    }

    #[cfg(test)]
    pub(super) fn take_settled(&mut self) -> Vec<u64> {
        let runs = self.settled_runs.drain(..).flat_map(|(first, count)| first..first + count);
        self.settled.drain(..).chain(runs).collect()
    }

    #[cfg(test)]
    pub(super) fn take_unpaged(&mut self) -> Vec<u64> {
        self.unpaged_runs.drain(..).flat_map(|(first, count)| first..first + count).collect()
    }
}
