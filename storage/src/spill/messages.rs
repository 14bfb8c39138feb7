//! A message store over spill files, for a caller that does not keep places itself.
//!
//! Opened by `Store`. Stays true: what is settled is settled for good, but places that nobody named
//! are not remembered: a place must not be settled by an earlier append than the one that brings its
//! message.

use std::collections::BTreeMap;
use std::ops::Range;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::{Spill, SpillPlace};
use crate::StorageError;
use crate::messages::{
    Batch, DamagedMessage, MessageStore, Progress, ReadBack, Statistics, StoredMessage, Ticket,
};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct SpillMessages {
    spill: Spill,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Ticket,
    queues: FxHashMap<u64, BTreeMap<u64, SpillPlace>>,
    /// What is in more than one queue, and in how many.
    shared: FxHashMap<SpillPlace, usize>,
}

impl SpillMessages {
    /// Over an empty spill.
    pub(crate) fn new(spill: Spill) -> Self {
        Self { spill, state: Mutex::default() }
    }

    fn release(&self, state: &mut State, place: SpillPlace) {
        if let Some(users) = state.shared.get_mut(&place) {
            *users -= 1;
            if *users > 0 {
                return;
            }
            state.shared.remove(&place);
        }
        self.spill.free(place);
    }

    fn release_range(&self, state: &mut State, queue: u64, sequences: Range<u64>) {
        let Some(places) = state.queues.get_mut(&queue) else { return };
        let mut released = Vec::new();
        while let Some((sequence, place)) = places.range(sequences.clone()).next() {
            let sequence = *sequence;
            released.push(*place);
            places.remove(&sequence);
        }
        if places.is_empty() {
            state.queues.remove(&queue);
        }
        released.into_iter().for_each(|place| self.release(state, place));
    }
}

impl MessageStore for SpillMessages {
    fn append(&self, batch: &mut Batch) -> Ticket {
        let mut state = self.state.lock();
        if batch.is_empty() {
            return state.last;
        }
        for publish in batch.publishes.drain(..) {
            if publish.places.is_empty() {
                continue;
            }
            let place = self.spill.put(publish.content);
            if publish.places.len() > 1 {
                state.shared.insert(place, publish.places.len());
            }
            for one in publish.places {
                let before = state.queues.entry(one.queue).or_default().insert(one.sequence, place);
                if let Some(before) = before {
                    self.release(&mut state, before);
                }
            }
        }
        for settled in batch.settled.drain(..).chain(batch.absent.drain(..)) {
            let sequences = settled.first..settled.first.saturating_add(settled.count);
            self.release_range(&mut state, settled.queue, sequences);
        }
        for queue in batch.deleted_queues.drain(..) {
            self.release_range(&mut state, queue, 0..u64::MAX);
        }
        batch.delivery_counts.clear();
        state.last.0 += 1;
        let last = state.last;
        drop(state);
        // Nothing is ever safer than it is now.
        self.spill.progress().set_durable(last);
        last
    }

    fn read(&self, queue: u64, sequences: &[Range<u64>]) -> Result<ReadBack, StorageError> {
        let state = self.state.lock();
        let places = state.queues.get(&queue);
        let found: BTreeMap<u64, SpillPlace> = sequences
            .iter()
            .filter(|range| !range.is_empty())
            .flat_map(|range| places.into_iter().flat_map(|places| places.range(range.clone())))
            .map(|(sequence, place)| (*sequence, *place))
            .collect();
        drop(state);
        let mut read = ReadBack::default();
        let places: Vec<SpillPlace> = found.values().copied().collect();
        for ((sequence, place), content) in found.into_iter().zip(self.spill.read_each(&places)) {
            match content {
                Ok(content) => read.messages.push(StoredMessage { sequence, content }),
                // It was settled meanwhile.
                Err(_) if !self.holds(queue, sequence, place) => {}
                Err(error @ StorageError::Damaged { .. }) => {
                    read.damaged.push(DamagedMessage { sequence, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn progress(&self) -> &Progress {
        self.spill.progress()
    }

    fn statistics(&self) -> Statistics {
        self.spill.statistics()
    }

    fn close(&self) -> Result<(), StorageError> {
        self.spill.close();
        Ok(())
    }
}

impl SpillMessages {
    fn holds(&self, queue: u64, sequence: u64, place: SpillPlace) -> bool {
        let state = self.state.lock();
        state.queues.get(&queue).and_then(|places| places.get(&sequence)) == Some(&place)
    }
}
