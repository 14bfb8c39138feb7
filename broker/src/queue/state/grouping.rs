//! Handing out by groups: whose turn it is depends on who holds what.
//!
//! A room of `queue::state`, and as pure; `queue::groups` knows which group goes to whom. Stays true: a
//! consumer with credit and a group that it may have do not wait for each other.

use super::super::group_by::GroupBy;
use super::super::held::QueuedMessage;
use super::QueueState;
use crate::keys::ConsumerKey;

impl QueueState {
    /// The same queue, serving by groups; before any message came.
    #[must_use]
    pub(in crate::queue) fn grouped_by(mut self, by: Option<GroupBy>) -> Self {
        if by.is_some() {
            self.ready.group_by(by);
        }
        self
    }

    /// Whether it serves by groups.
    pub(in crate::queue) fn is_grouped(&self) -> bool {
        self.ready.is_grouped()
    }

    /// `dispatch`, by groups: what anyone may have goes in turn, what its holder alone may have goes
    /// to that one.
    pub(super) fn dispatch_by_group(&mut self, limit: usize) -> usize {
        let mut count = 0;
        while count < limit
            && self.can_send()
            && let Some((consumer, acknowledges, message)) = self.next_by_group()
        {
            self.send(consumer, acknowledges, message);
            count += 1;
        }
        count
    }

    fn next_by_group(&mut self) -> Option<(ConsumerKey, bool, QueuedMessage)> {
        if self.ready.has_free() {
            let (consumer, acknowledges) = self.consumers.next()?;
            return Some((consumer, acknowledges, self.ready.take_for(consumer)?));
        }
        let mut left = self.ready.groups()?.asking();
        while left > 0
            && let Some(consumer) = self.ready.groups()?.next_asking()
        {
            left -= 1;
            if !self.ready.has_for(consumer) {
                // Something of a higher priority has to be read first.
                self.ask_for(consumer);
                continue;
            }
            // Who has no credit asks again when there is some.
            let Some(acknowledges) = self.consumers.charge_now(consumer) else { continue };
            let message = self.ready.take_for(consumer)?;
            self.ask_for(consumer);
            return Some((consumer, acknowledges, message));
        }
        None
    }

    /// A consumer takes its turns again.
    pub(super) fn resume(&mut self, consumer: ConsumerKey) {
        self.consumers.resume(consumer);
        self.ask_for(consumer);
    }

    /// A consumer may have credit for what only it may have.
    #[inline]
    pub(super) fn ask_for(&mut self, consumer: ConsumerKey) {
        if let Some(groups) = self.ready.groups() {
            groups.ask(consumer);
        }
    }
}
