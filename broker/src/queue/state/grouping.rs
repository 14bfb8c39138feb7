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

#[cfg(test)]
mod tests {
    use leveret_protocol::properties::BasicProperties;
    use leveret_protocol::types::{FieldTable, RawTable};

    use super::super::super::command::Command;
    use super::super::super::consumers::ConsumerSettings;
    use super::super::super::retry::{Retry, RetryAfter};
    use super::super::{Facts, QueueKind, Verdict};
    use super::*;
    use crate::keys::{DeliveryKey, Outcome};
    use crate::message::Message;
    use crate::message::tests::with_properties;

    fn at(now_ms: u64) -> Facts {
        Facts { now_ms, room: usize::MAX }
    }

    fn of_group(group: &str) -> Message {
        let headers: FieldTable = [("group", group)].into_iter().collect();
        let headers = headers.to_bytes();
        let headers = Some(RawTable::new(&headers));
        with_properties(&BasicProperties { headers, ..BasicProperties::default() }, b"")
    }

    fn deliver(queue: &mut QueueState, now_ms: u64) -> Vec<(ConsumerKey, DeliveryKey)> {
        queue.apply(Command::Dispatch(9), at(now_ms));
        let sent: Vec<_> =
            queue.under_way().iter().map(|sent| (sent.consumer, sent.key())).collect();
        queue.apply(Command::Conclude(vec![Verdict::Accepted; sent.len()]), at(now_ms));
        sent
    }

    #[test]
    fn who_holds_others_of_its_group_gets_what_has_waited() {
        let (after, exponential) = (RetryAfter::Returned, false);
        let retry = Some(Retry { after, min_ms: 100, max_ms: 100, exponential });
        let mut queue = QueueState::new(QueueKind { retry, ..QueueKind::default() })
            .grouped_by(Some(GroupBy::Header("group".to_owned())));
        let first = queue.add_consumer(ConsumerSettings::default());
        let group = vec![of_group("a"), of_group("a"), of_group("a")];
        queue.apply(Command::Publish(group), at(1000));
        let held = deliver(&mut queue, 1000);
        assert_eq!(held.len(), 3);
        queue.add_consumer(ConsumerSettings::default());
        let both = held[..2].iter().map(|(_, key)| (*key, Outcome::Requeue)).collect();
        queue.apply(Command::Settle(both), at(1000));
        queue.apply(Command::Publish(vec![of_group("a")]), at(1050));
        assert_eq!(deliver(&mut queue, 1099), [], "something of the group waits");
        queue.apply(Command::Expire, at(1100));
        let again = deliver(&mut queue, 1100);
        assert!(again.iter().all(|(consumer, _)| *consumer == first), "{again:?}");
        assert_eq!(again.len(), 3, "all that came meanwhile, too");
    }
}
