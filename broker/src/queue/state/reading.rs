//! Bodies that come back from a store before their messages are delivered.
//!
//! A room of `queue::state`; `queue::read_ahead` does the reading. Stays true: a body is taken in for a
//! message that waits without one, and for no other.

use super::super::paged::{ReadingPlan, Shelf};
use super::super::ready::Filled;
use super::QueueState;
use crate::message::Message;

impl QueueState {
    /// Whether enough of the messages to be delivered next are in memory.
    pub(in crate::queue) fn is_read_ahead(&mut self, messages: usize, bytes: usize) -> bool {
        !self.has_expired() && self.ready.is_read_ahead(messages, bytes)
    }

    /// What to read from the stores next: at most this much. `take_in` brings it.
    pub(in crate::queue) fn plan_reading(&self, messages: usize, bytes: usize) -> ReadingPlan {
        self.ready.plan_reading(messages, bytes)
    }

    /// Gives a message its body back. False when it is not waited for.
    pub(in crate::queue) fn take_in(
        &mut self,
        shelf: Shelf,
        sequence: u64,
        message: Message,
    ) -> bool {
        let level = self.ready.level_of(self.priority_of(&message));
        let filled = self.ready.fill(level, sequence, message, self.facts.room);
        if filled == Filled::Kept && shelf == Shelf::Scratch {
            self.changes.unpage(sequence);
        }
        filled != Filled::Unwanted
    }

    /// Takes out a message whose body cannot be had, without a word to the durable store: it stays
    /// on the disk, for whoever can repair it. False when it does not wait here any more.
    pub(in crate::queue) fn set_aside(&mut self, shelf: Shelf, sequence: u64) -> bool {
        let is_here = self.ready.set_aside(sequence).is_some();
        if is_here && shelf == Shelf::Scratch {
            self.changes.unpage(sequence);
        }
        is_here
    }
}
