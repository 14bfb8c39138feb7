//! Which queue is behind each source of a channel's deliveries, and settlements sorted by queue.
//!
//! The outgoing ledger knows keys only; a channel keeps its `Sources` beside it, and the session one
//! `Settlements` for its memory. Stays true: a source is known here exactly while the ledger has it,
//! and settlements are carried out before the channel gets another source, whose key may be one
//! that was given up.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::keys::{ConsumerKey, DeliveryKey, Outcome, QueueId, SourceKey};
use crate::outgoing::ledger::Departed;
use crate::queue::Queue;

/// The queues behind a channel's sources.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// By `SourceKey`: the queue, and the consumer, which `basic.get` has none of.
    queues: Vec<Option<(Arc<Queue>, ConsumerKey)>>,
    /// The sources of `basic.get`, one a queue.
    of_gets: FxHashMap<QueueId, SourceKey>,
}

impl Sources {
    /// A consumer's source.
    pub(crate) fn add(&mut self, source: SourceKey, queue: Arc<Queue>, consumer: ConsumerKey) {
        let place = source.0 as usize;
        if self.queues.len() <= place {
            self.queues.resize_with(place + 1, || None);
        }
        if let Some(known) = self.queues.get_mut(place) {
            *known = Some((queue, consumer));
        }
    }

    /// The source for what `basic.get` fetches from a queue.
    pub(crate) fn add_for_get(&mut self, source: SourceKey, queue: Arc<Queue>) {
        self.of_gets.insert(queue.id(), source);
        self.add(source, queue, ConsumerKey::NONE);
    }

    /// The source for what `basic.get` fetches from a queue, if there is one.
    pub(crate) fn for_get(&self, queue: QueueId) -> Option<SourceKey> {
        self.of_gets.get(&queue).copied()
    }

    /// The source of a consumer of a queue.
    pub(crate) fn of_consumer(&self, queue: QueueId, consumer: ConsumerKey) -> Option<SourceKey> {
        let is = |known: &Option<(Arc<Queue>, ConsumerKey)>| {
            known.as_ref().is_some_and(|(of, key)| *key == consumer && of.id() == queue)
        };
        let place = self.queues.iter().position(is)?;
        u32::try_from(place).ok().map(SourceKey)
    }

    /// A source is gone.
    pub(crate) fn remove(&mut self, source: SourceKey) {
        let known = self.queues.get_mut(source.0 as usize).and_then(Option::take);
        let Some((queue, _)) = known else {
            return;
        };
        if self.of_gets.get(&queue.id()) == Some(&source) {
            self.of_gets.remove(&queue.id());
        }
    }

    fn queue(&self, source: SourceKey) -> Option<&Arc<Queue>> {
        self.queues.get(source.0 as usize)?.as_ref().map(|(queue, _)| queue)
    }

    /// The consumer of a source, and its queue.
    pub(crate) fn consumer(&self, source: SourceKey) -> Option<(Arc<Queue>, ConsumerKey)> {
        self.queues.get(source.0 as usize)?.clone()
    }

    /// All queues, some of them more than once.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.queues.iter().flatten().map(|(queue, _)| queue)
    }
}

/// What is to be settled in one queue, in the order in which the client settled it.
#[derive(Debug)]
struct Run {
    queue: Arc<Queue>,
    deliveries: Vec<(DeliveryKey, Outcome)>,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Settlements {
    /// Filled under the outbox's lock.
    pub departed: Departed,
    runs: Vec<Run>,
    run_of: FxHashMap<QueueId, usize>,
    /// Memory of earlier runs.
    spare: Vec<Vec<(DeliveryKey, Outcome)>>,
}

/// Memory of this many runs is kept.
const SPARE_MAX: usize = 16;
/// Entries for which memory is kept, of each.
const SPARE_ENTRIES_MAX: usize = 4096;

impl Settlements {
    /// Sorts what departed by queue, and forgets the sources that ended with it.
    pub(crate) fn resolve(&mut self, sources: &mut Sources) {
        let mut departed = std::mem::take(&mut self.departed);
        // Deliveries of one source come in runs: the queue found last is nearly always the one.
        let mut last: Option<(SourceKey, usize)> = None;
        for (source, key, outcome) in departed.entries.drain(..) {
            let place = match last {
                Some((known, place)) if known == source => place,
                Some(_) | None => {
                    let Some(queue) = sources.queue(source) else { continue };
                    self.run(queue)
                }
            };
            last = Some((source, place));
            if let Some(run) = self.runs.get_mut(place) {
                run.deliveries.push((key, outcome));
            }
        }
        departed.ended.drain(..).for_each(|source| sources.remove(source));
        self.departed = departed;
    }

    fn run(&mut self, queue: &Arc<Queue>) -> usize {
        let next = self.runs.len();
        let place = *self.run_of.entry(queue.id()).or_insert(next);
        if place == next {
            let deliveries = self.spare.pop().unwrap_or_default();
            self.runs.push(Run { queue: Arc::clone(queue), deliveries });
        }
        place
    }

    /// Each queue with what is to be settled in it.
    pub(crate) fn by_queue(
        &self,
    ) -> impl Iterator<Item = (&Arc<Queue>, &[(DeliveryKey, Outcome)])> {
        self.runs.iter().map(|run| (&run.queue, run.deliveries.as_slice()))
    }

    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self) {
        self.departed.entries.clear();
        self.departed.ended.clear();
        self.run_of.clear();
        for Run { mut deliveries, .. } in self.runs.drain(..) {
            deliveries.clear();
            if self.spare.len() < SPARE_MAX && deliveries.capacity() <= SPARE_ENTRIES_MAX {
                self.spare.push(deliveries);
            }
        }
    }
}
