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
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::handle::Touched;
use crate::message::Message;
use crate::queue::{Queue, QueueId};
use crate::vhost::Vhost;

/// More routes than this are forgotten and found anew: routing keys may be unbounded in number.
const CACHED_MAX: usize = 4096;

/// Queues of a route, as places in `Routes::queues`.
pub type Targets = SmallVec<[u32; 4]>;

#[derive(Debug)]
struct Pending {
    queue: Arc<Queue>,
    messages: Vec<Message>,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Routes {
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
}

impl Routes {
    /// The cached route for an envelope. Forgets everything first if the topology changed.
    pub fn lookup(
        &mut self,
        vhost: &Vhost,
        envelope: &[u8],
        touched: &mut Touched,
    ) -> Option<Arc<Targets>> {
        let generation = vhost.generation();
        if generation != self.generation {
            self.hand_over(touched);
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
    pub fn targets(&mut self, queues: Vec<Arc<Queue>>) -> Arc<Targets> {
        Arc::new(queues.into_iter().map(|queue| self.place(queue)).collect())
    }

    fn place(&mut self, queue: Arc<Queue>) -> u32 {
        let next = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        self.rejecting |= queue.rejects_publishes();
        *self.places.entry(queue.id()).or_insert_with(|| {
            self.queues.push(Pending { queue, messages: Vec::new() });
            next
        })
    }

    /// Remembers a route.
    pub fn remember(&mut self, envelope: &[u8], targets: &Arc<Targets>) {
        if self.cached.len() >= CACHED_MAX {
            self.cached.clear();
        }
        self.cached.insert(envelope.into(), Arc::clone(targets));
        self.last = Some((envelope.into(), Arc::clone(targets)));
    }

    /// Adds a message for all queues of a route.
    pub fn push(&mut self, targets: &Targets, message: Message) {
        let Some((&last, others)) = targets.split_last() else { return };
        for &place in others {
            self.push_one(place, message.clone());
        }
        self.push_one(last, message);
    }

    /// Offers a message to the queues of a route that may refuse it, in their turn behind what was
    /// published before. False when any refused.
    pub fn offer(&mut self, targets: &Targets, message: &Message, touched: &mut Touched) -> bool {
        let mut taken = true;
        for queue in self.queues(targets) {
            taken &= queue.offer(message.clone(), touched);
        }
        taken
    }

    /// Whether a queue of a route may refuse messages.
    pub fn may_refuse(&self, targets: &Targets) -> bool {
        let pending = |&place: &u32| self.queues.get(place as usize);
        self.rejecting && targets.iter().filter_map(pending).any(|p| p.queue.rejects_publishes())
    }

    fn push_one(&mut self, place: u32, message: Message) {
        let Some(pending) = self.queues.get_mut(place as usize) else { return };
        if pending.messages.is_empty() {
            self.dirty.push(place);
        }
        pending.messages.push(message);
    }

    /// The queues behind a route.
    pub fn queues(&self, targets: &Targets) -> Vec<Arc<Queue>> {
        let queue = |&place: &u32| self.queues.get(place as usize).map(|p| Arc::clone(&p.queue));
        targets.iter().filter_map(queue).collect()
    }

    /// Whether messages wait to be handed over.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Gives every queue its messages. Returns the queues whose publishers should wait a moment.
    pub fn hand_over(&mut self, touched: &mut Touched) -> SmallVec<[Arc<Queue>; 1]> {
        let mut gated = SmallVec::new();
        for place in self.dirty.drain(..) {
            let Some(pending) = self.queues.get_mut(place as usize) else { continue };
            pending.queue.publish(pending.messages.drain(..), touched);
            if pending.queue.gate().is_closed() {
                gated.push(Arc::clone(&pending.queue));
            }
        }
        gated
    }

    /// Gives back memory that an idle connection does not need.
    pub fn release_memory(&mut self) {
        if !self.is_dirty() {
            *self = Self::default();
        }
    }
}
