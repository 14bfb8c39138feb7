//! What commands to queues leave to be done once no lock is held: connections to flush, batches for
//! the message stores, bodies to read, more to be handed out.
//!
//! Collected by the connection's task (`session::context`) or by whoever else gives a queue a
//! command, and carried out before that task waits. Stays true: everything collected is carried out
//! once; the durable store is told before anyone is flushed.

use std::sync::Arc;

use leveret_storage::messages::{Batch, Content, Place, Publish, Ticket};
use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use super::Queue;
use super::deaths::{Dead, DeadLetters, Fate};
use super::paged::{ReadingPlan, Shelf};
use super::taps::Delivered;
use crate::clock;
use crate::message::Message;
use crate::outgoing::{ConnectionHandle, Touched};
use crate::stores::Messages;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    touched: Touched,
    pub(super) readings: Vec<(Arc<Queue>, ReadingPlan)>,
    /// Queues that can hand out more than they did at once.
    pub(super) handing_out: Vec<Arc<Queue>>,
    /// What died, to be published elsewhere.
    pub(super) dead: Vec<DeadLetters>,
    /// What the firehose is told.
    pub(super) delivered: Vec<Delivered>,
    /// For the store of persistent messages, each as one: what moves from queue to queue.
    moves: Vec<Batch>,
    /// For the store of persistent messages, behind those messages: the keys by which they are known
    /// again.
    pub(super) keys: Vec<Publish>,
    /// For the store of persistent messages.
    pub durable: Batch,
    /// For the store of bodies that are out of the way.
    pub(super) scratch: Batch,
    /// Whether it gave a store something to write, since that was last forgotten.
    has_filled: bool,
}

impl Effects {
    /// A connection's outgoing buffer got something.
    pub(crate) fn touch(&mut self, connection: &Arc<ConnectionHandle>) {
        self.touched.add(connection);
    }

    /// A message took its place in a queue: notes it in `places` if it is stored there. In a queue
    /// with stored messages a transient one leaves its place empty.
    pub(crate) fn note_place(
        &mut self,
        queue: &Queue,
        sequence: u64,
        message: &Message,
        places: &mut SmallVec<[Place; 1]>,
    ) {
        let place = Place { queue: queue.id().0, sequence };
        match (queue.is_stored(), message.is_persistent()) {
            (true, true) => places.push(place),
            (true, false) => self.durable.leave_out(place),
            (false, _) => {}
        }
    }

    /// A message is to be stored for these places, if there are any. `awaited`: its publisher waits
    /// for that.
    pub(crate) fn store_message(
        &mut self,
        message: &Message,
        places: SmallVec<[Place; 1]>,
        awaited: bool,
    ) {
        if !places.is_empty() {
            self.durable.awaited |= awaited;
            let content = message.clone().arrived_at(clock::unix_millis()).content();
            self.durable.publishes.push(Publish { content, places });
        }
    }

    /// Hands what is to be stored to the stores. Returns when the messages in it are durable;
    /// `None` when there were none.
    pub(crate) fn store(&mut self, messages: &Messages) -> Option<Ticket> {
        self.publish_dead();
        self.durable.publishes.append(&mut self.keys);
        let has_messages = !self.durable.publishes.is_empty();
        let ticket =
            (!self.durable.is_empty()).then(|| messages.durable().append(&mut self.durable));
        self.durable.awaited = false;
        self.has_filled |=
            has_messages || !self.moves.is_empty() || !self.scratch.publishes.is_empty();
        for mut moved in self.moves.drain(..) {
            moved.atomic = true;
            messages.durable().append(&mut moved);
        }
        if !self.scratch.is_empty() {
            messages.scratch().append(&mut self.scratch);
        }
        ticket.filter(|_| has_messages)
    }

    /// Whether what waits for the disk is there because of these effects, too.
    pub(crate) fn has_filled(&self) -> bool {
        self.has_filled
    }

    /// The stores have had room since.
    pub(crate) fn forget_filling(&mut self) {
        self.has_filled = false;
    }

    /// The firehose is told of this once no lock is held.
    pub(crate) fn tap(&mut self, delivered: Delivered) {
        self.delivered.push(delivered);
    }

    /// Publishes what the firehose is told, what died, and what dies of that. It ends: what died twice
    /// of the same in one queue does not go there again, and the firehose tells nothing of itself.
    fn publish_dead(&mut self) {
        while !self.dead.is_empty() || !self.delivered.is_empty() {
            for delivered in std::mem::take(&mut self.delivered) {
                if let Some(exit) = delivered.queue.exit() {
                    exit.tell_firehose(delivered, self);
                }
            }
            for letters in std::mem::take(&mut self.dead) {
                // Without its vhost a queue is on its way out with all it has.
                if let Some(exit) = letters.queue.exit() {
                    exit.publish_dead(letters, self);
                }
            }
        }
    }

    /// The scratch store needs these no more, but for those that stay with their queue.
    pub(crate) fn unpage(&mut self, letters: &DeadLetters, fates: &[Fate]) {
        let queue = letters.queue.id().0;
        let staying = fates.iter().filter_map(Fate::stays);
        let staying: FxHashSet<u64> = staying.collect();
        let is_done =
            |dead: &&Dead| dead.shelf == Some(Shelf::Scratch) && !staying.contains(&dead.sequence);
        for dead in letters.dead.iter().filter(is_done) {
            self.scratch.settle(Place { queue, sequence: dead.sequence });
        }
    }

    /// Messages move from a queue to others: all of it comes back after a crash, or nothing.
    pub(crate) fn move_as_one(&mut self, moved: Batch) {
        if !moved.is_empty() {
            self.moves.push(moved);
        }
    }

    /// Whoever publishes now is told once everything is on disk that came before.
    pub(crate) fn await_what_is_stored(&mut self) {
        let nowhere = Publish { content: Content::default(), places: SmallVec::new() };
        self.durable.publishes.push(nowhere);
        self.durable.awaited = true;
    }

    /// How many keys are to be stored.
    pub(crate) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Moves the keys that came after so many of them into a batch: they are stored with it.
    pub(crate) fn take_keys(&mut self, after: usize, moved: &mut Batch) {
        moved.publishes.extend(self.keys.drain(after..));
    }

    /// Stores everything as one: it comes back after a crash whole or not at all. Returns when that
    /// is durable; `None` when there was nothing.
    pub(crate) fn commit(&mut self, messages: &Messages) -> Option<Ticket> {
        self.durable.publishes.append(&mut self.keys);
        if self.durable.is_empty() {
            return None;
        }
        self.durable.atomic = true;
        self.durable.awaited = true;
        self.has_filled = true;
        let ticket = messages.durable().append(&mut self.durable);
        self.durable.atomic = false;
        self.durable.awaited = false;
        Some(ticket)
    }

    /// Lets the connections that got something write it.
    pub(super) fn flush(&mut self) {
        self.touched.flush();
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::message::tests::message;
    use crate::stores;

    #[test]
    fn only_who_gives_the_stores_something_to_write_fills_them() {
        let messages = stores::tests::in_memory();
        let mut effects = Effects::default();
        let place = Place { queue: 1, sequence: 1 };
        let body = message("a", b"body");
        effects.store_message(&body, SmallVec::new(), false);
        effects.durable.leave_out(place);
        effects.scratch.settle(place);
        effects.store(&messages);
        assert!(!effects.has_filled(), "nothing of that is a body");
        effects.store_message(&body, smallvec![place], false);
        assert!(!effects.has_filled(), "not yet");
        effects.store(&messages);
        assert!(effects.has_filled());
        effects.forget_filling();
        let publish = Publish { content: body.content(), places: smallvec![place] };
        effects.scratch.publishes.push(publish);
        effects.store(&messages);
        assert!(effects.has_filled(), "a transient body that is out of the way");
        effects.forget_filling();
        effects.store_message(&message("a", b"body"), smallvec![place], false);
        effects.commit(&messages);
        assert!(effects.has_filled(), "a transaction");
    }
}
