//! The way into a queue: runs of messages, and single ones that it may refuse.
//!
//! Called by publishers' connections and by whoever publishes for the broker. Stays true: one lock a run;
//! what was taken is on its way to whoever can take it when the call returns.

use std::sync::Arc;

use super::command::{Command, Reply};
use super::hand_over::hand_over;
use super::{DISPATCH_STEP, Effects, Full, Queue};
use crate::message::Message;

impl Queue {
    /// Takes a run of messages, in order, and hands out what consumers can take. Returns the first
    /// one's sequence number; the others follow without gaps. One that the queue refuses, because it
    /// is full, is dropped: whoever has to know uses `offer`.
    /// A deleted queue drops them, `None`: for the publisher they are settled.
    pub(crate) fn publish(
        self: &Arc<Self>,
        messages: impl Iterator<Item = Message>,
        effects: &mut Effects,
    ) -> Option<u64> {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return None;
        }
        inner.state.begin(self.facts());
        inner.in_durable = self.is_stored();
        let first = inner.state.next_sequence();
        let mut moved = 0;
        for message in messages {
            inner.state.publish(message);
            if inner.state.under_way().len() >= DISPATCH_STEP {
                moved += hand_over(&mut inner, effects);
            }
        }
        self.pump(&mut inner, moved, effects);
        Some(first)
    }

    /// Takes a message from a publisher unless the queue is full or publishers are paused, and returns
    /// as `publish`.
    ///
    /// # Errors
    /// It does not take it.
    pub(crate) fn offer(
        self: &Arc<Self>,
        message: Message,
        effects: &mut Effects,
    ) -> Result<Option<u64>, Full> {
        if self.paused.refuses() {
            return Err(Full);
        }
        self.take(message, effects)
    }

    /// The same for a message of the broker's own: a dead letter, one that was delayed or is moved.
    ///
    /// # Errors
    /// The queue is full.
    pub(crate) fn take(
        self: &Arc<Self>,
        message: Message,
        effects: &mut Effects,
    ) -> Result<Option<u64>, Full> {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return Ok(None);
        }
        let reply = inner.state.apply(Command::Admit(message), self.facts());
        let Reply::Admitted(admitted) = reply else { return Ok(None) };
        inner.in_durable |= admitted.is_ok() && self.is_stored();
        self.pump(&mut inner, 0, effects);
        admitted.map(Some)
    }
}
