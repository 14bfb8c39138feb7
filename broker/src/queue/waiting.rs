//! Messages that wait for their time, as whoever administrates sees them: looked at, and taken back.
//!
//! Called by `vhost::waiting` for the queue of what is delayed. Stays true: what is taken back is gone
//! for good, and what is due meanwhile is not taken back.

use std::sync::Arc;

use super::command::{Command, Reply};
use super::read_ahead::look_at;
use super::{Effects, Queue};
use crate::keys::WaitingPlace;
use crate::message::Message;

/// A message that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// When it is due, and what it is known by.
    pub place: WaitingPlace,
    /// Bytes of its content.
    pub size: usize,
    /// The message; `None` if it cannot be read, or is due meanwhile.
    pub message: Option<Message>,
}

impl Queue {
    /// The first messages after a place, what is due first before all others: at most so many, with at
    /// most so many bytes, but one at least. Reads those that are not in memory: blocks.
    pub(crate) fn waiting_after(
        &self,
        after: Option<WaitingPlace>,
        most: (usize, usize),
    ) -> Vec<Waiting> {
        let found = self.inner.lock().state.waiting_after(after, most);
        let mut all = look_at(self, found.iter().map(|(place, held)| (place.sequence, held)));
        let waiting = found.iter().map(|(place, held)| Waiting {
            place: *place,
            size: held.size(),
            message: all.remove(&place.sequence),
        });
        waiting.collect()
    }

    /// Takes messages back, for good. Returns how many were still there.
    pub(crate) fn withdraw(
        self: &Arc<Self>,
        places: Vec<WaitingPlace>,
        effects: &mut Effects,
    ) -> usize {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return 0;
        }
        let reply = inner.state.apply(Command::Withdraw(places), self.facts());
        self.conclude(&mut inner, 0, effects);
        let Reply::Count(count) = reply else { return 0 };
        count
    }
}
