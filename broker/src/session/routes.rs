//! What a connection remembers of routing, and the messages it has routed but not yet handed over.
//!
//! Owned by the connection's task. Publishes of one read are collected here per queue, so that each
//! queue is locked once per batch. Stays true:
//! - a cached route is used only while the vhost's generation is the one it was found under;
//! - messages for one queue are handed over in the order they were published;
//! - nothing stays here when the connection waits for its socket: `hand_over` runs first.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use leveret_storage::messages::{Place, Publish};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::keys::QueueId;
use crate::message::Message;
use crate::queue::{Effects, Full, Queue};
use crate::vhost::Vhost;

/// More routes than this are forgotten and found anew: routing keys may be unbounded in number.
const CACHED_MAX: usize = 4096;

/// Queues of a route, as places in `Routes::queues`.
pub(crate) type Targets = SmallVec<[u32; 4]>;

#[derive(Debug)]
struct Pending {
    queue: Arc<Queue>,
    messages: Vec<Message>,
    /// For a queue with stored messages: each message's place in `Routes::stored`, or
    /// `NOT_STORED`.
    stored: Vec<u32>,
}

const NOT_STORED: u32 = u32::MAX;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    generation: u64,
    /// By exchange and routing key, as they stand in a message's envelope.
    cached: HashMap<Box<[u8]>, Arc<Targets>, RandomState>,
    /// The route found last: many publishers have only one, and need not be hashed.
    last: Option<(Box<[u8]>, Arc<Targets>)>,
    queues: Vec<Pending>,
    places: FxHashMap<QueueId, u32>,
    /// Places in `queues` with messages.
    dirty: Vec<u32>,
    /// Whether any of `queues` refuses messages when it is full.
    rejecting: bool,
    /// Messages to be stored, of those not yet handed over. Their places are known once they are.
    stored: Vec<Publish>,
    /// A publisher waits for one of them to be durable.
    awaited: bool,
    /// Messages that wait in `queues`, once a queue.
    pending: usize,
}

impl Routes {
    /// The cached route for an envelope. Forgets everything first if the topology changed.
    pub(crate) fn lookup(
        &mut self,
        vhost: &Vhost,
        envelope: &[u8],
        effects: &mut Effects,
    ) -> Option<Arc<Targets>> {
        let generation = vhost.generation();
        if generation != self.generation {
            self.hand_over(effects);
            self.forget();
            self.generation = generation;
            return None;
        }
        if let Some((known, targets)) = &self.last
            && **known == *envelope
        {
            return Some(Arc::clone(targets));
        }
        self.cached.get(envelope).map(Arc::clone)
    }

    fn forget(&mut self) {
        self.cached.clear();
        self.last = None;
        self.queues.clear();
        self.places.clear();
    }

    /// Places for these queues.
    pub(crate) fn targets(&mut self, queues: Vec<Arc<Queue>>) -> Arc<Targets> {
        Arc::new(queues.into_iter().map(|queue| self.place(queue)).collect())
    }

    fn place(&mut self, queue: Arc<Queue>) -> u32 {
        let next = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        self.rejecting |= queue.rejects_publishes();
        *self.places.entry(queue.id()).or_insert_with(|| {
            self.queues.push(Pending { queue, messages: Vec::new(), stored: Vec::new() });
            next
        })
    }

    /// Remembers a route.
    pub(crate) fn remember(&mut self, envelope: &[u8], targets: &Arc<Targets>) {
        if self.cached.len() >= CACHED_MAX {
            self.cached.clear();
        }
        self.cached.insert(envelope.into(), Arc::clone(targets));
        self.last = Some((envelope.into(), Arc::clone(targets)));
    }

    /// Adds a message for all queues of a route. `awaited`: its publisher waits for a confirm.
    pub(crate) fn push(&mut self, targets: &Targets, message: Message, awaited: bool) {
        let Some((&last, others)) = targets.split_last() else { return };
        let stored = if self.is_stored(targets, &message) {
            self.awaited |= awaited;
            self.stored.push(Publish { content: message.content(), places: SmallVec::new() });
            u32::try_from(self.stored.len() - 1).unwrap_or(NOT_STORED)
        } else {
            NOT_STORED
        };
        for &place in others {
            self.push_one(place, message.clone(), stored);
        }
        self.push_one(last, message, stored);
    }

    /// Whether a message is stored for any queue of a route.
    pub(crate) fn is_stored(&self, targets: &Targets, message: &Message) -> bool {
        let pending = |&place: &u32| self.queues.get(place as usize);
        message.is_persistent() && targets.iter().filter_map(pending).any(|p| p.queue.is_stored())
    }

    /// Offers a message to the queues of a route that may refuse it, in their turn behind what was
    /// published before. False when any refused.
    pub(crate) fn offer(
        &self,
        targets: &Targets,
        message: &Message,
        awaited: bool,
        effects: &mut Effects,
    ) -> bool {
        let mut taken = true;
        let mut places = SmallVec::new();
        for queue in self.queues(targets) {
            match queue.offer(message.clone(), effects) {
                Err(Full) => taken = false,
                Ok(Some(sequence)) => effects.note_place(&queue, sequence, message, &mut places),
                Ok(None) => {}
            }
        }
        effects.store_message(message, places, awaited);
        taken
    }

    /// Whether a queue of a route may refuse messages.
    pub(crate) fn may_refuse(&self, targets: &Targets) -> bool {
        let pending = |&place: &u32| self.queues.get(place as usize);
        self.rejecting && targets.iter().filter_map(pending).any(|p| p.queue.rejects_publishes())
    }

    fn push_one(&mut self, place: u32, message: Message, stored: u32) {
        let Some(pending) = self.queues.get_mut(place as usize) else { return };
        if pending.messages.is_empty() {
            self.dirty.push(place);
        }
        pending.messages.push(message);
        self.pending += 1;
        if pending.queue.is_stored() {
            pending.stored.push(stored);
        }
    }

    /// The queues behind a route.
    pub(crate) fn queues(&self, targets: &Targets) -> Vec<Arc<Queue>> {
        let queue = |&place: &u32| self.queues.get(place as usize).map(|p| Arc::clone(&p.queue));
        targets.iter().filter_map(queue).collect()
    }

    /// How many messages wait to be handed over, each as often as it has queues.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// Whether messages wait to be handed over.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Gives every queue its messages, and leaves what is to be stored in the effects. Returns the
    /// queues whose publishers should wait a moment.
    pub(crate) fn hand_over(&mut self, effects: &mut Effects) -> SmallVec<[Arc<Queue>; 1]> {
        let mut gated = SmallVec::new();
        self.pending = 0;
        for place in self.dirty.drain(..) {
            let Some(pending) = self.queues.get_mut(place as usize) else { continue };
            let first = pending.queue.publish(pending.messages.drain(..), effects);
            let queue = pending.queue.id().0;
            // A deleted queue has no places to give.
            for (sequence, stored) in
                first.into_iter().flat_map(|first| first..).zip(&pending.stored)
            {
                let place = Place { queue, sequence };
                match self.stored.get_mut(*stored as usize) {
                    Some(publish) => publish.places.push(place),
                    None => effects.durable.leave_out(place),
                }
            }
            pending.stored.clear();
            if pending.queue.gate().is_closed() {
                gated.push(Arc::clone(&pending.queue));
            }
        }
        effects.durable.publishes.append(&mut self.stored);
        effects.durable.awaited |= std::mem::take(&mut self.awaited);
        gated
    }

    /// Gives back memory that an idle connection does not need.
    pub(crate) fn release_memory(&mut self) {
        if !self.is_dirty() {
            *self = Self::default();
        }
    }
}
