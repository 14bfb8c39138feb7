//! How old what waits is, and how long consumers take.
//!
//! A room of `queue::state`, and as pure. Whoever settles a delivery finds with it when it was made: that
//! costs 8 bytes a delivery, and no look at a clock. Stays true: what was fetched by `basic.get` is in
//! nobody's times; who asks sees at most `STEP` deliveries at once.

use super::super::traffic::Traffic;
use super::super::truth::Consumed;
use super::{QueueState, Slot};
use crate::keys::ConsumerKey;

/// Deliveries that are looked at in one step: some ten microseconds of work.
const STEP: usize = 4096;

/// See the module documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Watching {
    pub consumed: Consumed,
    pub traffic: Traffic,
    pub last_delivery_ms: Option<u64>,
}

impl QueueState {
    /// A delivery that was made at this time is acknowledged.
    #[inline]
    pub(super) fn note_ack(&mut self, consumer: ConsumerKey, delivered_ms: u64) {
        self.watching.traffic.acknowledged += 1;
        if consumer.slot == ConsumerKey::NONE.slot {
            return;
        }
        let took_ms = self.facts.now_ms.saturating_sub(delivered_ms);
        self.watching.consumed.ack_times.add(took_ms);
        self.consumers.acked(consumer, took_ms);
    }

    /// When the oldest of what is ready came, in milliseconds since the epoch.
    pub(in crate::queue) fn oldest_ready_ms(&self) -> Option<u64> {
        self.ready.oldest_arrived_ms()
    }

    /// When something was last handed out, in milliseconds since the epoch.
    pub(in crate::queue) fn last_delivery_ms(&self) -> Option<u64> {
        self.watching.last_delivery_ms
    }

    /// What its consumers did.
    pub(in crate::queue) fn consumed(&self) -> &Consumed {
        &self.watching.consumed
    }

    /// What went through it.
    pub(in crate::queue) fn traffic(&self) -> &Traffic {
        &self.watching.traffic
    }

    /// Shows a step of the deliveries that are not settled, with their holders and when they were made.
    /// Returns where the next begins.
    pub(in crate::queue) fn see_deliveries(
        &self,
        from: usize,
        see: &mut impl FnMut(ConsumerKey, u64),
    ) -> Option<usize> {
        let all = self.unacked.capacity();
        let to = from.saturating_add(STEP).min(all);
        for slot in from..to {
            if let Some(Slot::Held(unacked)) = self.unacked.get(slot) {
                see(unacked.consumer, unacked.delivered_ms);
            }
        }
        (to < all).then_some(to)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ConsumerSettings;
    use super::super::super::command::{Command, Reply};
    use super::super::super::paged::Shelf;
    use super::super::{Facts, Fetched, QueueKind, QueuedMessage, Unacked, Verdict};
    use super::*;
    use crate::keys::{DeliveryKey, Outcome};
    use crate::message::tests::message;

    fn at(now_ms: u64) -> Facts {
        Facts { now_ms, room: usize::MAX }
    }

    fn publish(queue: &mut QueueState, now_ms: u64, count: usize) {
        let messages = vec![message("k", b""); count];
        queue.apply(Command::Publish(messages), at(now_ms));
    }

    fn consume(queue: &mut QueueState, no_ack: bool) -> ConsumerKey {
        let settings = ConsumerSettings { no_ack, ..ConsumerSettings::default() };
        let reply = queue.apply(Command::Consume(settings), at(0));
        let Reply::Consumer(key) = reply else { panic!("{reply:?}") };
        key
    }

    fn deliver(queue: &mut QueueState, now_ms: u64, limit: usize) -> Vec<DeliveryKey> {
        queue.apply(Command::Dispatch(limit), at(now_ms));
        let keys: Vec<_> = queue.under_way().iter().map(|delivery| delivery.key()).collect();
        queue.apply(Command::Conclude(vec![Verdict::Accepted; keys.len()]), at(now_ms));
        keys
    }

    fn oldest_unacked_ms(queue: &QueueState) -> Option<u64> {
        let (mut next, mut seen) = (Some(0), Vec::new());
        while let Some(from) = next {
            next = queue.see_deliveries(from, &mut |_, delivered_ms| seen.push(delivered_ms));
        }
        assert_eq!(seen.len(), queue.unacked_count());
        seen.into_iter().min()
    }

    #[test]
    fn the_oldest_is_the_oldest_whatever_is_settled_and_comes_back() {
        let mut queue = QueueState::new(QueueKind { max_priority: 1, ..QueueKind::default() });
        assert_eq!((queue.oldest_ready_ms(), oldest_unacked_ms(&queue)), (None, None));
        publish(&mut queue, 1000, 2);
        let urgent = message("k", b"").with_priority(1);
        queue.apply(Command::Publish(vec![urgent]), at(1100));
        assert_eq!(queue.oldest_ready_ms(), Some(1000), "though another one goes before it");
        consume(&mut queue, false);
        let first = deliver(&mut queue, 2000, 1);
        let second = deliver(&mut queue, 2100, 1);
        assert_eq!(oldest_unacked_ms(&queue), Some(2000));
        assert_eq!(queue.last_delivery_ms(), Some(2100));
        queue.apply(Command::Settle(vec![(first[0], Outcome::Ack)]), at(2200));
        assert_eq!(oldest_unacked_ms(&queue), Some(2100));
        queue.apply(Command::Settle(vec![(second[0], Outcome::Requeue)]), at(2300));
        assert_eq!((queue.oldest_ready_ms(), oldest_unacked_ms(&queue)), (Some(1000), None));
        deliver(&mut queue, 2400, 9);
        assert_eq!((queue.oldest_ready_ms(), oldest_unacked_ms(&queue)), (None, Some(2400)));
    }

    #[test]
    fn what_is_in_a_store_is_as_old_as_it_is() {
        let mut queue = QueueState::new(QueueKind::default());
        let facts = |now_ms| Facts { now_ms, room: 0 };
        queue.apply(Command::Publish(vec![message("k", b"")]), facts(1000));
        queue.apply(Command::Publish(vec![message("k", b"")]), facts(1500));
        assert_eq!(queue.oldest_ready_ms(), Some(1000));
        queue.apply(Command::TakeIn(Shelf::Scratch, 0, message("k", b"")), facts(1600));
        assert_eq!(queue.oldest_ready_ms(), Some(1000));
        assert!(matches!(queue.apply(Command::Get(true), facts(1700)), Reply::Fetched(_)));
        assert_eq!(queue.oldest_ready_ms(), Some(1500));
        assert_eq!(queue.last_delivery_ms(), Some(1700));
    }

    #[test]
    fn acknowledgements_are_timed_for_the_consumer_and_for_the_queue() {
        let mut queue = QueueState::new(QueueKind::default());
        let consumer = consume(&mut queue, false);
        publish(&mut queue, 1000, 5);
        queue.apply(Command::Conclude(vec![Verdict::Accepted; 5]), at(1000));
        let keys: Vec<_> = (0..5).map(DeliveryKey).collect();
        let settle = |outcome, at: usize| Command::Settle(vec![(keys[at], outcome)]);
        queue.apply(settle(Outcome::Ack, 0), at(1000));
        queue.apply(settle(Outcome::Discard, 1), at(1005));
        queue.apply(settle(Outcome::Ack, 2), at(1005));
        queue.apply(Command::Cancel(consumer), at(1006));
        queue.apply(settle(Outcome::Ack, 3), at(1100));
        // One that was fetched is in nobody's times.
        queue.apply(settle(Outcome::Requeue, 4), at(1100));
        let reply = queue.apply(Command::Get(false), at(1200));
        let Reply::Fetched(Fetched::Got(got)) = reply else { panic!("{reply:?}") };
        queue.apply(Command::Settle(vec![(got.key, Outcome::Ack)]), at(9000));
        let times = queue.consumed().ack_times;
        assert_eq!((times.total(), times.sum().as_millis()), (3, 105), "after it went, too");
        assert_eq!((times.counts()[0], times.counts()[3], times.counts()[7]), (1, 1, 1));
    }

    #[test]
    fn what_goes_through_is_counted_by_what_becomes_of_it() {
        let mut queue = QueueState::new(QueueKind { rejects: true, ..QueueKind::default() });
        queue.kind.limit.messages = Some(5);
        publish(&mut queue, 1000, 6);
        queue.apply(Command::Get(true), at(1000));
        queue.apply(Command::Get(false), at(1000));
        queue.apply(Command::Settle(vec![(DeliveryKey(0), Outcome::Requeue)]), at(1000));
        let slow = consume(&mut queue, false);
        deliver(&mut queue, 1000, 2);
        queue.apply(Command::Settle(vec![(DeliveryKey(0), Outcome::Ack)]), at(1000));
        queue.apply(Command::Settle(vec![(DeliveryKey(1), Outcome::Discard)]), at(1000));
        queue.apply(Command::Cancel(slow), at(1000));
        consume(&mut queue, true);
        deliver(&mut queue, 1000, 9);
        queue.apply(Command::Get(true), at(1000));
        let expected = Traffic {
            published: 5,
            delivered: 2,
            delivered_no_ack: 2,
            got: 1,
            got_no_ack: 1,
            get_empty: 1,
            redelivered: 1,
            acknowledged: 1,
        };
        assert_eq!(*queue.traffic(), expected);
    }

    #[test]
    fn a_consumer_knows_what_it_got() {
        let mut queue = QueueState::new(QueueKind::default());
        let slow = consume(&mut queue, false);
        let fast = consume(&mut queue, true);
        publish(&mut queue, 1000, 4);
        let verdicts =
            vec![Verdict::Accepted, Verdict::Accepted, Verdict::Accepted, Verdict::Refused];
        queue.apply(Command::Conclude(verdicts), at(1000));
        queue.apply(Command::Settle(vec![(DeliveryKey(0), Outcome::Ack)]), at(1050));
        let history = |key| {
            let mut all = queue.consumers().each();
            let (_, unacked, history) = all.find(|(of, ..)| *of == key).unwrap();
            (history.deliveries, unacked, history.ack_times.total(), history.last_delivery_ms)
        };
        assert_eq!(history(slow), (2, 1, 1, Some(1000)));
        assert_eq!(history(fast), (1, 0, 0, Some(1000)), "what was refused is none");
    }

    #[test]
    fn who_is_late_is_counted() {
        let kind = QueueKind { consumer_timeout_ms: Some(100), ..QueueKind::default() };
        let mut queue = QueueState::new(kind);
        consume(&mut queue, false);
        publish(&mut queue, 1000, 2);
        queue.apply(Command::Conclude(vec![Verdict::Accepted; 2]), at(1000));
        queue.apply(Command::Lapse, at(1099));
        assert_eq!(queue.consumed().timeouts, 0);
        queue.apply(Command::Lapse, at(1100));
        assert_eq!((queue.consumed().timeouts, queue.consumed().ack_times.total()), (1, 0));
    }

    #[test]
    fn a_delivery_costs_eight_bytes_for_its_time() {
        let message = size_of::<QueuedMessage>();
        assert_eq!(size_of::<Unacked>(), message + size_of::<ConsumerKey>() + 8);
        assert_eq!(size_of::<Slot>(), size_of::<Unacked>());
    }
}
