//! A queue as whoever administrates it sees it: looked through, without a change; and messages taken
//! out of it, for good or to be moved elsewhere.
//!
//! Called by `vhost::operations`, in steps. Stays true: a step holds the queue for a page; bodies that are
//! on disk are read without its lock.

use std::sync::Arc;

use super::command::{Command, Reply};
use super::cursor::{Glimpse, Holder, Place, Seen, Which};
use super::paged::NEVER;
use super::read_ahead::look_at;
use super::{Effects, Queue};
use crate::keys::ConsumerKey;
use crate::message::Message;

impl Queue {
    /// The first messages after a place: at most so many, with at most so many bytes, but one at least.
    /// Reads those that are not in memory: blocks.
    pub(crate) fn look(
        &self,
        which: Which,
        after: Option<Place>,
        most: (usize, usize),
    ) -> Vec<Seen> {
        let inner = self.inner.lock();
        let found = inner.state.look(which, after, most);
        let holder = |(holder, _): (ConsumerKey, u64)| {
            let sink = inner.sinks.get(holder.slot as usize)?.as_ref()?;
            inner.state.consumers().has(holder).then(|| Holder {
                consumer_tag: sink.consumer_tag.clone(),
                connection: sink.connection.id(),
                channel: sink.channel_number,
            })
        };
        let holders: Vec<_> = found.iter().map(|seen| seen.handed_out.and_then(holder)).collect();
        drop(inner);
        let mut all = look_at(self, found.iter().map(|seen| (seen.sequence, &seen.held)));
        let seen = found.into_iter().zip(holders).map(|(glimpse, holder)| {
            let message = all.remove(&glimpse.sequence);
            seen(&glimpse, holder, message)
        });
        seen.collect()
    }

    /// The sequence number of the message that comes next.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.inner.lock().state.next_sequence()
    }

    /// Messages go for good. Returns how many were still there.
    pub(crate) fn remove(
        self: &Arc<Self>,
        which: Which,
        places: Vec<Place>,
        effects: &mut Effects,
    ) -> usize {
        let Reply::Count(count) = self.command(Command::Remove(which, places), effects) else {
            return 0;
        };
        count
    }

    /// Messages are to be moved elsewhere: until `land` they are nobody's. Returns the numbers of those
    /// that were still there.
    pub(crate) fn lift(
        self: &Arc<Self>,
        which: Which,
        places: Vec<Place>,
        effects: &mut Effects,
    ) -> Vec<u64> {
        let Reply::Lifted(lifted) = self.command(Command::Lift(which, places), effects) else {
            return Vec::new();
        };
        lifted
    }

    /// What became of those: taken elsewhere, or back with these bodies.
    pub(crate) fn land(
        self: &Arc<Self>,
        fates: Vec<(u64, Option<Message>)>,
        effects: &mut Effects,
    ) {
        self.command(Command::Land(fates), effects);
    }

    fn command(self: &Arc<Self>, command: Command, effects: &mut Effects) -> Reply {
        let mut inner = self.inner.lock();
        if inner.deleted {
            return Reply::Done;
        }
        let reply = inner.state.apply(command, self.facts());
        self.pump(&mut inner, 0, effects);
        reply
    }
}

fn seen(glimpse: &Glimpse, holder: Option<Holder>, message: Option<Message>) -> Seen {
    Seen {
        place: glimpse.place,
        sequence: glimpse.sequence,
        priority: glimpse.priority,
        redelivered: glimpse.redelivered,
        failures: glimpse.returns.failures(),
        expires_ms: Some(glimpse.expires_ms).filter(|expires_ms| *expires_ms != NEVER),
        due_ms: glimpse.due_ms,
        holder,
        delivered_ms: glimpse.handed_out.map(|(_, delivered_ms)| delivered_ms),
        size: glimpse.held.size(),
        message,
    }
}
