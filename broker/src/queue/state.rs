//! A queue as a pure state machine: commands in, deliveries out.
//!
//! Owned by `queue::Queue`, which holds it behind the queue's lock and carries out what it says.
//! Nothing here reads a clock, draws a random number, or touches a socket, a file or a lock, so the
//! same commands always give the same deliveries. Stays true, and checked by the model test:
//! every message is in exactly one of `ready` and `unacked`, or gone.

use slab::Slab;

use super::arguments::LengthLimit;
use super::consumers::{ConsumerKey, ConsumerSettings, Consumers};
use super::ready::{QueuedMessage, Ready};
use crate::message::Message;

/// An unacknowledged message of this queue, until it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryKey(pub u32);

impl DeliveryKey {
    /// Stands for a delivery that needs no settling (`no_ack`).
    pub const NONE: Self = Self(u32::MAX);
}

/// A message on its way to a consumer.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Who gets it.
    pub consumer: ConsumerKey,
    /// What settles it; `DeliveryKey::NONE` for a consumer without acknowledgements.
    pub key: DeliveryKey,
    /// The message.
    pub message: Message,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// Its place in the queue, so that a refused delivery can go back there.
    sequence: u64,
}

/// The answer to `basic.get`.
#[derive(Debug)]
pub struct Got {
    /// What settles it; `DeliveryKey::NONE` with `no_ack`.
    pub key: DeliveryKey,
    /// The message.
    pub message: Message,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// Messages still ready.
    pub remaining: usize,
}

/// How an unacknowledged message is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done with: gone.
    Ack,
    /// Back to its original position, marked redelivered.
    Requeue,
    /// Refused for good: gone.
    Discard,
}

#[derive(Debug)]
struct Unacked {
    message: QueuedMessage,
    consumer: Option<ConsumerKey>,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct QueueState {
    ready: Ready,
    unacked: Slab<Unacked>,
    unacked_bytes: usize,
    consumers: Consumers,
    next_sequence: u64,
    had_consumer: bool,
}

impl QueueState {
    /// An empty queue whose messages have priorities 0 to `max_priority`, and which delivers to one
    /// consumer at a time with `single_active`.
    pub(super) fn new(max_priority: u8, single_active: bool) -> Self {
        Self {
            ready: Ready::new(max_priority),
            unacked: Slab::new(),
            unacked_bytes: 0,
            consumers: Consumers::new(single_active),
            next_sequence: 0,
            had_consumer: false,
        }
    }

    /// Messages that wait for a consumer.
    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// Messages that were handed out and are not settled.
    pub(super) fn unacked_count(&self) -> usize {
        self.unacked.len()
    }

    /// Content of all messages of the queue, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.ready.bytes() + self.unacked_bytes
    }

    /// The consumers.
    pub(super) fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// Whether the queue ever had a consumer: an auto-delete queue goes only after one.
    pub(super) fn had_consumer(&self) -> bool {
        self.had_consumer
    }

    /// Takes in messages in the order of arrival.
    pub(super) fn publish(&mut self, messages: impl Iterator<Item = Message>) {
        for message in messages {
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            self.ready.push(QueuedMessage { sequence, message, redelivered: false });
        }
    }

    /// Whether the ready messages reach a limit.
    pub(super) fn is_full(&self, limit: LengthLimit) -> bool {
        limit.messages.is_some_and(|most| self.ready.len() >= most)
            || limit.bytes.is_some_and(|most| self.ready.body_bytes() >= most)
    }

    /// Drops ready messages from the head until they keep a limit: what consumers took is not
    /// counted.
    pub(super) fn drop_overflow(&mut self, limit: LengthLimit) {
        while limit.messages.is_some_and(|most| self.ready.len() > most)
            || limit.bytes.is_some_and(|most| self.ready.body_bytes() > most)
        {
            self.ready.pop();
        }
    }

    /// Hands out at most `limit` ready messages to the consumers whose turn it is, appending to
    /// `out`. Returns how many; 0 when there is no message or no consumer with credit.
    pub(super) fn dispatch(&mut self, limit: usize, out: &mut Vec<Delivery>) -> usize {
        let mut count = 0;
        while count < limit && !self.ready.is_empty() {
            let Some((consumer, acknowledges)) = self.consumers.next() else { break };
            let Some(message) = self.ready.pop() else { break };
            out.push(self.hand_out(consumer, acknowledges, message));
            count += 1;
        }
        count
    }

    fn hand_out(
        &mut self,
        consumer: ConsumerKey,
        acknowledges: bool,
        queued: QueuedMessage,
    ) -> Delivery {
        let message = queued.message.clone();
        let QueuedMessage { sequence, redelivered, .. } = queued;
        let key = if acknowledges { self.hold(queued, Some(consumer)) } else { DeliveryKey::NONE };
        Delivery { consumer, key, message, redelivered, sequence }
    }

    fn hold(&mut self, message: QueuedMessage, consumer: Option<ConsumerKey>) -> DeliveryKey {
        self.unacked_bytes += message.message.size();
        let slot = self.unacked.insert(Unacked { message, consumer });
        DeliveryKey(u32::try_from(slot).unwrap_or(u32::MAX))
    }

    /// Takes back a delivery that its channel could not take, as if it had never been handed out,
    /// and pauses the consumer.
    pub(super) fn refuse(&mut self, delivery: Delivery) {
        let Delivery { consumer, key, message, redelivered, sequence } = delivery;
        self.consumers.pause(consumer);
        if key != DeliveryKey::NONE {
            self.take_unacked(key);
            self.consumers.release(consumer);
        }
        self.ready.requeue(QueuedMessage { sequence, message, redelivered });
    }

    /// Takes the next message for `basic.get`.
    pub(super) fn get(&mut self, no_ack: bool) -> Option<Got> {
        let queued = self.ready.pop()?;
        let message = queued.message.clone();
        let redelivered = queued.redelivered;
        let key = if no_ack { DeliveryKey::NONE } else { self.hold(queued, None) };
        Some(Got { key, message, redelivered, remaining: self.ready.len() })
    }

    /// Settles one unacknowledged message. A key that is not outstanding is no error: the queue may
    /// have been purged of it by deletion meanwhile.
    pub(super) fn settle(&mut self, key: DeliveryKey, outcome: Outcome) {
        let Some(Unacked { mut message, consumer }) = self.take_unacked(key) else { return };
        if let Some(consumer) = consumer {
            self.consumers.release(consumer);
        }
        match outcome {
            Outcome::Ack | Outcome::Discard => {}
            Outcome::Requeue => {
                message.redelivered = true;
                self.ready.requeue(message);
            }
        }
    }

    fn take_unacked(&mut self, key: DeliveryKey) -> Option<Unacked> {
        let unacked = self.unacked.try_remove(key.0 as usize)?;
        self.unacked_bytes -= unacked.message.message.size();
        Some(unacked)
    }

    /// Drops all ready messages and says how many there were. Unacknowledged ones stay.
    pub(super) fn purge(&mut self) -> usize {
        self.ready.clear()
    }

    /// Adds a consumer.
    pub(super) fn add_consumer(&mut self, settings: ConsumerSettings) -> ConsumerKey {
        self.had_consumer = true;
        self.consumers.add(settings)
    }

    /// Removes a consumer. What it holds unacknowledged stays with its channel.
    pub(super) fn remove_consumer(&mut self, key: ConsumerKey) -> bool {
        let removed = self.consumers.remove(key);
        if removed {
            // The slot may be given to another consumer, which must not be credited for these.
            for (_, unacked) in &mut self.unacked {
                if unacked.consumer == Some(key) {
                    unacked.consumer = None;
                }
            }
        }
        removed
    }

    /// Stops deliveries to a consumer.
    pub(super) fn pause(&mut self, key: ConsumerKey) {
        self.consumers.pause(key);
    }

    /// Allows deliveries to a consumer again.
    pub(super) fn resume(&mut self, key: ConsumerKey) {
        self.consumers.resume(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    fn queue_with(count: usize) -> QueueState {
        let mut queue = QueueState::new(0, false);
        queue.publish((0..count).map(|i| message("k", i.to_string().as_bytes())));
        queue
    }

    fn bodies(deliveries: &[Delivery]) -> Vec<(u32, String)> {
        let body = |d: &Delivery| String::from_utf8_lossy(d.message.body()).into_owned();
        deliveries.iter().map(|d| (d.consumer.0, body(d))).collect()
    }

    #[test]
    fn six_waiting_tasks_are_shared_three_and_three() {
        let mut queue = queue_with(6);
        queue.add_consumer(ConsumerSettings::default());
        queue.add_consumer(ConsumerSettings::default());
        let mut out = Vec::new();
        assert_eq!(queue.dispatch(100, &mut out), 6);
        let of = |key| out.iter().filter(|d| d.consumer == ConsumerKey(key)).count();
        assert_eq!((of(0), of(1)), (3, 3));
    }

    #[test]
    fn a_refused_delivery_leaves_no_trace_but_the_pause() {
        let mut queue = queue_with(2);
        let consumer = queue.add_consumer(ConsumerSettings::default());
        let mut out = Vec::new();
        queue.dispatch(1, &mut out);
        queue.refuse(out.remove(0));
        assert_eq!((queue.ready_count(), queue.unacked_count()), (2, 0));
        assert_eq!(queue.dispatch(10, &mut out), 0);
        queue.resume(consumer);
        assert_eq!(queue.dispatch(10, &mut out), 2);
        assert_eq!(bodies(&out), [(0, "0".into()), (0, "1".into())]);
        assert!(!out[0].redelivered);
    }

    #[test]
    fn requeued_messages_are_redelivered_in_their_old_place() {
        let mut queue = queue_with(3);
        let first = queue.get(false).expect("a message");
        let second = queue.get(false).expect("a message");
        queue.settle(second.key, Outcome::Requeue);
        queue.settle(first.key, Outcome::Requeue);
        let again: Vec<_> = std::iter::from_fn(|| queue.get(true))
            .map(|got| (got.message.body().to_vec(), got.redelivered))
            .collect();
        let expected = [("0", true), ("1", true), ("2", false)];
        assert_eq!(again, expected.map(|(body, again)| (body.as_bytes().to_vec(), again)));
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_new_consumer_is_not_credited_for_what_an_old_one_held() {
        let mut queue = queue_with(4);
        let limited = ConsumerSettings { prefetch_count: 1, ..ConsumerSettings::default() };
        let old = queue.add_consumer(limited);
        let mut out = Vec::new();
        queue.dispatch(10, &mut out);
        queue.remove_consumer(old);
        let new = queue.add_consumer(limited);
        assert_eq!(new, old, "the slot is used again");
        assert_eq!(queue.dispatch(10, &mut out), 1);
        queue.settle(out[0].key, Outcome::Ack);
        assert_eq!(queue.dispatch(10, &mut out), 0, "the new consumer still holds one");
        queue.settle(out[1].key, Outcome::Ack);
        assert_eq!(queue.dispatch(10, &mut out), 1);
    }

    #[test]
    fn a_length_limit_drops_from_the_head() {
        let mut queue = queue_with(5);
        let limit = LengthLimit { messages: Some(2), bytes: None };
        assert!(queue.is_full(limit));
        queue.drop_overflow(limit);
        let left: Vec<_> =
            std::iter::from_fn(|| queue.get(true)).map(|got| got.message.body().to_vec()).collect();
        assert_eq!(left, [b"3", b"4"]);
        assert!(!queue.is_full(limit));
    }

    #[test]
    fn purge_leaves_unacknowledged_messages() {
        let mut queue = queue_with(3);
        let got = queue.get(false).expect("a message");
        assert_eq!(queue.purge(), 2);
        assert_eq!(queue.unacked_count(), 1);
        queue.settle(got.key, Outcome::Requeue);
        assert_eq!(queue.ready_count(), 1);
    }
}
