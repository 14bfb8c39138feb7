//! Messages that are looked at, taken out of the middle, or moved elsewhere by whoever administrates
//! the queue.
//!
//! A room of `queue::state`, and as pure. Stays true: looking changes nothing; what is moved is neither
//! ready nor gone until it is told whether somebody took it (`land`), and comes back to its old place
//! if nobody did.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use super::super::cursor::{Glimpse, Place, Which, page};
use super::super::held::{Held, QueuedMessage, Weight};
use super::super::paged::Shelf;
use super::{QueueState, Slot};
use crate::message::Message;

/// Messages that are being moved elsewhere, by sequence number.
#[derive(Clone, Debug, Default)]
pub(super) struct Lifted {
    messages: BTreeMap<u64, QueuedMessage>,
    weight: Weight,
}

impl Lifted {
    fn insert(&mut self, message: QueuedMessage) {
        self.weight.add(&message.held);
        self.messages.insert(message.sequence, message);
    }

    fn take(&mut self, sequence: u64) -> Option<QueuedMessage> {
        let message = self.messages.remove(&sequence)?;
        self.weight.remove(&message.held);
        Some(message)
    }

    /// What all of them come to.
    pub(super) fn weight(&self) -> Weight {
        self.weight
    }

    /// The messages themselves.
    pub(super) fn into_messages(self) -> impl Iterator<Item = QueuedMessage> {
        self.messages.into_values()
    }
}

/// What is seen of a message.
pub(super) fn glimpse(place: Place, message: QueuedMessage) -> Glimpse {
    let QueuedMessage { sequence, level, redelivered, returns, expires_ms, held } = message;
    let (due_ms, handed_out) = (None, None);
    Glimpse {
        place,
        sequence,
        priority: level,
        redelivered,
        returns,
        expires_ms,
        due_ms,
        handed_out,
        held,
    }
}

impl QueueState {
    /// The first messages after a place: at most so many, with at most so many bytes, one at least.
    pub(in crate::queue) fn look(
        &self,
        which: Which,
        after: Option<Place>,
        most: (usize, usize),
    ) -> Vec<Glimpse> {
        let all: Box<dyn Iterator<Item = Glimpse> + '_> = match which {
            Which::Ready => Box::new(
                self.ready
                    .walk(after.map(Place::level_and_sequence))
                    .map(|message| glimpse(Place::ready(message.level, message.sequence), message)),
            ),
            Which::Unacked => Box::new(self.walk_unacked(after)),
            Which::Delayed => Box::new(self.retrying.walk(after)),
        };
        page(all, most, |glimpse| glimpse.held.size())
    }

    fn walk_unacked(&self, after: Option<Place>) -> impl Iterator<Item = Glimpse> + '_ {
        let first = after.map_or(0, |Place(_, slot)| slot.saturating_add(1));
        let slots = first..self.unacked.capacity() as u64;
        slots.filter_map(|slot| {
            let Slot::Held(unacked) = self.unacked.get(usize::try_from(slot).ok()?)? else {
                return None;
            };
            let seen = glimpse(Place(0, slot), unacked.message.clone());
            let handed_out = Some((unacked.consumer, unacked.delivered_ms));
            Some(Glimpse { handed_out, ..seen })
        })
    }

    /// Messages go for good. Returns how many were still there.
    pub(in crate::queue) fn remove(&mut self, which: Which, places: &[Place]) -> usize {
        let mut count = 0;
        for place in places {
            if let Some(message) = self.take_out(which, *place) {
                self.ready.settled(message.sequence);
                self.drop_message(message.sequence, &message.held);
                count += 1;
            }
        }
        count
    }

    /// Messages are to be moved elsewhere. Returns the numbers of those that were still there.
    pub(in crate::queue) fn lift(&mut self, which: Which, places: &[Place]) -> Vec<u64> {
        let mut lifted = Vec::new();
        for place in places {
            if let Some(message) = self.take_out(which, *place) {
                lifted.push(message.sequence);
                self.lifted.insert(message);
            }
        }
        lifted
    }

    /// What is handed out is not taken from who has it.
    fn take_out(&mut self, which: Which, place: Place) -> Option<QueuedMessage> {
        match which {
            Which::Ready => {
                let (level, sequence) = place.level_and_sequence();
                self.ready.take_out(level, sequence)
            }
            Which::Unacked => None,
            Which::Delayed => self.retrying.take(place),
        }
    }

    /// What became of messages that were lifted: somebody took them, and the durable store was told of
    /// it; or nobody did, and they come back, with these bodies.
    pub(in crate::queue) fn land(&mut self, fates: Vec<(u64, Option<Message>)>) {
        for (sequence, returned) in fates {
            let Some(message) = self.lifted.take(sequence) else { continue };
            let arrived_ms = match &message.held {
                Held::Resident(body) => body.arrived_ms(),
                Held::Paged(stub) => stub.arrived_ms,
            };
            let is_in_scratch =
                matches!(&message.held, Held::Paged(stub) if stub.shelf == Shelf::Scratch);
            let leaves_the_store = match returned {
                Some(body) => self.ready.put_back(message, body.arrived_at(arrived_ms)),
                None => {
                    self.ready.settled(sequence);
                    true
                }
            };
            if is_in_scratch && leaves_the_store {
                self.changes.unpage(sequence);
            }
        }
        self.enforce_limit();
    }
}

/// Behind a place, if there is one.
pub(super) fn behind(after: Option<Place>) -> impl RangeBounds<(u64, u64)> {
    let from = after
        .map_or(Bound::Unbounded, |Place(due_ms, sequence)| Bound::Excluded((due_ms, sequence)));
    (from, Bound::Unbounded)
}
