//! Publisher confirms of one channel: which publishes the client has been told about.
//!
//! Counted by `channel::publish`, told by the dispatch once per batch, so that one
//! `basic.ack` with `multiple` covers everything a read brought in. Stays true: publishes are
//! confirmed in order, each after it is in its queues, after it is durable if it has to be, and
//! after its basic.return if it has one; one that any of its queues refused is nacked. See
//! RabbitMQ's publisher confirms page.

use std::collections::VecDeque;

use leveret_storage::messages::Ticket;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    published: u64,
    confirmed: u64,
    /// Publishes up to this are done.
    done: u64,
    /// Publishes up to the number are done once the ticket is durable. Both ascend.
    waiting: VecDeque<(Ticket, u64)>,
    /// Sequence numbers above `confirmed` that a queue refused, ascending.
    refused: VecDeque<u64>,
}

/// A `basic.ack` or `basic.nack` to be sent to the publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Confirm {
    /// The publish sequence number, from 1.
    pub delivery_tag: u64,
    /// Whether all earlier ones are meant too.
    pub multiple: bool,
    /// Whether the message was taken.
    pub taken: bool,
    /// The one that was told last before it.
    after: u64,
}

impl Confirm {
    /// How many messages it says were taken.
    pub(crate) fn count(&self) -> u64 {
        if self.taken { self.delivery_tag - self.after } else { 0 }
    }
}

impl Confirms {
    /// How many publishes wait for their confirm.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.published.saturating_sub(self.confirmed)
    }

    /// Counts a publish: its sequence number is the count.
    pub(crate) fn published(&mut self) {
        self.published += 1;
    }

    /// A queue refused the message published last.
    pub(crate) fn refused(&mut self) {
        self.refused.push_back(self.published);
    }

    /// Everything published so far is in its queues. `ticket`: when it is durable, if it has to be.
    pub(crate) fn handed_over(&mut self, ticket: Option<Ticket>) {
        match (ticket, self.waiting.back_mut()) {
            (Some(ticket), Some(last)) if last.0 == ticket => last.1 = self.published,
            (Some(ticket), _) => self.waiting.push_back((ticket, self.published)),
            // In order: they wait for those before them.
            (None, Some(last)) => last.1 = self.published,
            (None, None) => self.done = self.published,
        }
    }

    /// Everything up to this ticket is durable.
    pub(crate) fn durable(&mut self, ticket: Ticket) {
        while let Some(&(waits_for, number)) = self.waiting.front()
            && waits_for <= ticket
        {
            self.done = number;
            self.waiting.pop_front();
        }
    }

    /// Whether publishes wait to be durable.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next thing to tell the client.
    pub(crate) fn take_next(&mut self) -> Option<Confirm> {
        let refused = self.refused.front().copied().filter(|&first| first <= self.done);
        let last_taken = refused.map_or(self.done, |first| first - 1);
        let after = self.confirmed;
        let new = last_taken - after;
        if new > 0 {
            self.confirmed = last_taken;
            return Some(Confirm {
                delivery_tag: last_taken,
                multiple: new > 1,
                taken: true,
                after,
            });
        }
        let delivery_tag = refused?;
        self.refused.pop_front();
        self.confirmed = delivery_tag;
        Some(Confirm { delivery_tag, multiple: false, taken: false, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(confirms: &mut Confirms) -> Vec<(u64, bool, bool)> {
        let next = std::iter::from_fn(|| confirms.take_next());
        next.map(|c| (c.delivery_tag, c.multiple, c.taken)).collect()
    }

    #[test]
    fn one_confirm_covers_all_since_the_last() {
        let mut confirms = Confirms::default();
        assert_eq!(all(&mut confirms), []);
        confirms.published();
        confirms.handed_over(None);
        assert_eq!(all(&mut confirms), [(1, false, true)]);
        confirms.published();
        confirms.published();
        assert_eq!(all(&mut confirms), [], "not yet in their queues");
        confirms.handed_over(None);
        assert_eq!(all(&mut confirms), [(3, true, true)]);
        assert_eq!(all(&mut confirms), []);
    }

    #[test]
    fn refused_publishes_are_nacked_one_by_one_in_their_place() {
        let mut confirms = Confirms::default();
        for refused in [false, false, true, true, false] {
            confirms.published();
            if refused {
                confirms.refused();
            }
        }
        confirms.handed_over(None);
        let expected = [(2, true, true), (3, false, false), (4, false, false), (5, false, true)];
        assert_eq!(all(&mut confirms), expected);
    }

    #[test]
    fn what_has_to_be_durable_is_confirmed_when_it_is_and_in_order() {
        let mut confirms = Confirms::default();
        for ticket in [Some(Ticket(3)), None, Some(Ticket(5)), Some(Ticket(5))] {
            confirms.published();
            confirms.handed_over(ticket);
        }
        confirms.published();
        confirms.refused();
        confirms.handed_over(None);
        assert_eq!(all(&mut confirms), []);
        confirms.durable(Ticket(4));
        assert_eq!(all(&mut confirms), [(2, true, true)], "the transient one waited in its place");
        assert!(confirms.is_waiting());
        confirms.durable(Ticket(5));
        assert_eq!(all(&mut confirms), [(4, true, true), (5, false, false)]);
        assert!(!confirms.is_waiting());
    }
}
