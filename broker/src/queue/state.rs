//! A queue as a pure state machine: commands in, deliveries out.
//!
//! Owned by `queue::Queue`, which holds it behind the queue's lock and carries out what it says.
//! Nothing here reads a clock, draws a random number, or touches a socket, a file or a lock, so the
//! same commands always give the same deliveries. What the message stores have to be told is left
//! in `StoreChanges`. Stays true, and checked by the model test: every message is in exactly one of
//! `ready` and `unacked`, or gone.

use leveret_storage::messages::RecoveredQueue;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::arguments::LengthLimit;
use super::consumers::{ConsumerSettings, Consumers};
use super::paged::{Shelf, Stub};
use super::ready::{Held, Popped, QueuedMessage, ReadingPlan, Ready, footprint};
use super::store_changes::StoreChanges;
use crate::keys::{ConsumerKey, DeliveryKey, Outcome};
use crate::message::{Message, Note};

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
pub(crate) struct Got {
    /// What settles it; `DeliveryKey::NONE` with `no_ack`.
    pub key: DeliveryKey,
    /// The message.
    pub message: Message,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// Messages still ready.
    pub remaining: usize,
}

/// What `basic.get` finds.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// A message.
    Got(Got),
    /// The next message has to be read from a store first.
    NotResident,
    /// Nothing.
    Empty,
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
    /// Whether its persistent messages are in the durable store.
    is_stored: bool,
    /// Memory that its messages may take, in bytes; beyond it bodies are paged.
    room: usize,
    unacked_resident_bytes: usize,
    /// How often durable messages were given back, of those that were.
    delivery_counts: FxHashMap<u64, u32>,
    changes: StoreChanges,
}

/// What kind of queue a state machine is for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueueKind {
    /// Messages have priorities from 0 to this.
    pub max_priority: u8,
    /// Only one consumer at a time gets messages.
    pub single_active: bool,
    /// Persistent messages are stored durably.
    pub is_stored: bool,
}

impl QueueState {
    /// An empty queue.
    pub(super) fn new(kind: QueueKind) -> Self {
        Self {
            ready: Ready::new(kind.max_priority),
            unacked: Slab::new(),
            unacked_bytes: 0,
            consumers: Consumers::new(kind.single_active),
            next_sequence: 0,
            had_consumer: false,
            is_stored: kind.is_stored,
            room: usize::MAX,
            unacked_resident_bytes: 0,
            delivery_counts: FxHashMap::default(),
            changes: StoreChanges::default(),
        }
    }

    /// Takes back what was stored, all of it paged. `all_redelivered` when nobody knows what was
    /// handed out before.
    pub(super) fn restore(&mut self, recovered: &RecoveredQueue, all_redelivered: bool) {
        self.next_sequence = self.next_sequence.max(recovered.next_sequence);
        for stored in &recovered.messages {
            let note = Note::unpack(stored.note);
            let body_size = stored.size.saturating_sub(note.body_at);
            let stub = Stub { shelf: Shelf::Durable, size: stored.size, body_size };
            if stored.delivery_count > 0 {
                self.delivery_counts.insert(stored.sequence, stored.delivery_count);
            }
            self.ready.push(QueuedMessage {
                sequence: stored.sequence,
                level: self.ready.level_of(note.priority),
                redelivered: all_redelivered || stored.delivery_count > 0,
                held: Held::Paged(stub),
            });
        }
    }

    /// What the stores have to be told since this was last emptied.
    pub(super) fn changes(&mut self) -> &mut StoreChanges {
        &mut self.changes
    }

    /// Sets the memory that its messages may take, in bytes.
    pub(super) fn set_room(&mut self, bytes: usize) {
        self.room = bytes;
    }

    /// Memory that its messages take, in bytes.
    pub(super) fn resident_bytes(&self) -> usize {
        self.ready.resident_bytes() + self.unacked_resident_bytes
    }

    fn is_durable(&self, held: &Held) -> bool {
        match held {
            Held::Resident(message) => self.is_stored && message.is_persistent(),
            Held::Paged(stub) => stub.shelf == Shelf::Durable,
        }
    }

    /// A message is done with: no store needs it any more.
    fn drop_message(&mut self, sequence: u64, held: &Held) {
        if self.is_durable(held) {
            self.changes.settle(sequence);
            if !self.delivery_counts.is_empty() {
                self.delivery_counts.remove(&sequence);
            }
        } else if matches!(held, Held::Paged(_)) {
            self.changes.unpage(sequence);
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

    /// Takes in messages in the order of arrival. Returns the first one's sequence number; the
    /// others follow without gaps.
    pub(super) fn publish(&mut self, messages: impl Iterator<Item = Message>) -> u64 {
        let first = self.next_sequence;
        for message in messages {
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            let level = self.ready.level_of(message.priority());
            let held = if self.ready.keeps_resident(level, self.room) {
                Held::Resident(message)
            } else {
                self.page(sequence, message)
            };
            self.ready.push(QueuedMessage { sequence, level, redelivered: false, held });
        }
        first
    }

    /// Leaves a message's body to a store.
    fn page(&mut self, sequence: u64, message: Message) -> Held {
        let held = Held::Resident(message.clone());
        if self.is_durable(&held) {
            return without_body(&held, Shelf::Durable);
        }
        self.changes.page_out(sequence, message);
        without_body(&held, Shelf::Scratch)
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
            let Some(dropped) = self.ready.pop_any() else { break };
            self.drop_message(dropped.sequence, &dropped.held);
        }
    }

    /// Hands out at most `limit` ready messages to the consumers whose turn it is, appending to
    /// `out`. Returns how many; 0 when there is no message in memory or no consumer with credit.
    pub(super) fn dispatch(&mut self, limit: usize, out: &mut Vec<Delivery>) -> usize {
        let mut count = 0;
        while count < limit && self.ready.is_resident() {
            let Some((consumer, acknowledges)) = self.consumers.next() else { break };
            let Popped::Message(queued, message) = self.ready.pop() else { break };
            out.push(self.hand_out(consumer, acknowledges, queued, message));
            count += 1;
        }
        count
    }

    fn hand_out(
        &mut self,
        consumer: ConsumerKey,
        acknowledges: bool,
        queued: QueuedMessage,
        message: Message,
    ) -> Delivery {
        let QueuedMessage { sequence, redelivered, .. } = queued;
        let key = if acknowledges { self.hold(queued, Some(consumer)) } else { DeliveryKey::NONE };
        Delivery { consumer, key, message, redelivered, sequence }
    }

    /// A delivery is on its way for good. What needs no settling is done with.
    pub(super) fn accepted(&mut self, delivery: Delivery) {
        if delivery.key == DeliveryKey::NONE {
            self.drop_message(delivery.sequence, &Held::Resident(delivery.message));
        }
    }

    fn hold(&mut self, mut queued: QueuedMessage, consumer: Option<ConsumerKey>) -> DeliveryKey {
        self.unacked_bytes += queued.held.size();
        if self.unacked_resident_bytes >= self.room && self.is_durable(&queued.held) {
            queued.held = without_body(&queued.held, Shelf::Durable);
        }
        self.unacked_resident_bytes += footprint(&queued.held);
        let slot = self.unacked.insert(Unacked { message: queued, consumer });
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
        let level = self.ready.level_of(message.priority());
        let held = Held::Resident(message);
        self.ready.requeue(QueuedMessage { sequence, level, redelivered, held });
    }

    /// Takes the next message for `basic.get`.
    pub(super) fn get(&mut self, no_ack: bool) -> Fetched {
        let (queued, message) = match self.ready.pop() {
            Popped::Message(queued, message) => (queued, message),
            Popped::NotResident => return Fetched::NotResident,
            Popped::Nothing => return Fetched::Empty,
        };
        let redelivered = queued.redelivered;
        let key = if no_ack {
            self.drop_message(queued.sequence, &queued.held);
            DeliveryKey::NONE
        } else {
            self.hold(queued, None)
        };
        Fetched::Got(Got { key, message, redelivered, remaining: self.ready.len() })
    }

    /// Settles one unacknowledged message. A key that is not outstanding is no error: the queue may
    /// have been purged of it by deletion meanwhile.
    pub(super) fn settle(&mut self, key: DeliveryKey, outcome: Outcome) {
        let Some(Unacked { mut message, consumer }) = self.take_unacked(key) else { return };
        if let Some(consumer) = consumer {
            self.consumers.release(consumer);
        }
        match outcome {
            Outcome::Ack | Outcome::Discard => self.drop_message(message.sequence, &message.held),
            Outcome::Requeue => {
                message.redelivered = true;
                self.count_delivery(&message);
                self.ready.requeue(message);
            }
        }
    }

    fn count_delivery(&mut self, message: &QueuedMessage) {
        if self.is_durable(&message.held) {
            let count = self.delivery_counts.entry(message.sequence).or_default();
            *count = count.saturating_add(1);
            self.changes.count_delivery(message.sequence, *count);
        }
    }

    fn take_unacked(&mut self, key: DeliveryKey) -> Option<Unacked> {
        let unacked = self.unacked.try_remove(key.0 as usize)?;
        self.unacked_bytes -= unacked.message.held.size();
        self.unacked_resident_bytes -= footprint(&unacked.message.held);
        Some(unacked)
    }

    /// Whether the messages to be delivered next are in memory, as far as `messages` go.
    pub(super) fn is_read_ahead(&self, messages: usize) -> bool {
        self.ready.is_read_ahead(messages)
    }

    /// What to read from the stores next: at most this much. `take_in` brings it.
    pub(super) fn plan_reading(&mut self, messages: usize, bytes: usize) -> ReadingPlan {
        self.ready.plan_reading(messages, bytes)
    }

    /// Gives a message its body back. False when it is not waited for.
    pub(super) fn take_in(&mut self, shelf: Shelf, sequence: u64, message: Message) -> bool {
        let is_wanted = self.ready.fill(sequence, message);
        if is_wanted && shelf == Shelf::Scratch {
            self.changes.unpage(sequence);
        }
        is_wanted
    }

    /// Drops all ready messages and says how many there were. Unacknowledged ones stay.
    pub(super) fn purge(&mut self) -> usize {
        let Self { ready, changes, delivery_counts, is_stored, .. } = self;
        let mut gone = Vec::new();
        let count = ready.clear(
            |sequence, held| gone.push((sequence, held)),
            |shelf, first, count| {
                match shelf {
                    Shelf::Durable => changes.settle_run(first, count),
                    Shelf::Scratch => changes.unpage_run(first, count),
                }
                if *is_stored {
                    delivery_counts
                        .retain(|sequence, _| !(first..first + count).contains(sequence));
                }
            },
        );
        for (sequence, held) in gone {
            self.drop_message(sequence, &held);
        }
        count
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

/// The same message, with its body left to a store.
fn without_body(held: &Held, shelf: Shelf) -> Held {
    Held::Paged(Stub {
        shelf,
        size: u32::try_from(held.size()).unwrap_or(u32::MAX),
        body_size: u32::try_from(held.body_size()).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    fn queue_with(count: usize) -> QueueState {
        let mut queue = QueueState::new(QueueKind::default());
        queue.publish((0..count).map(|i| message("k", i.to_string().as_bytes())));
        queue
    }

    fn got(queue: &mut QueueState, no_ack: bool) -> Option<Got> {
        match queue.get(no_ack) {
            Fetched::Got(got) => Some(got),
            Fetched::Empty => None,
            Fetched::NotResident => panic!("everything is in memory"),
        }
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
        let first = got(&mut queue, false).expect("a message");
        let second = got(&mut queue, false).expect("a message");
        queue.settle(second.key, Outcome::Requeue);
        queue.settle(first.key, Outcome::Requeue);
        let again: Vec<_> = std::iter::from_fn(|| got(&mut queue, true))
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
        let left: Vec<_> = std::iter::from_fn(|| got(&mut queue, true))
            .map(|got| got.message.body().to_vec())
            .collect();
        assert_eq!(left, [b"3", b"4"]);
        assert!(!queue.is_full(limit));
    }

    #[test]
    fn purge_leaves_unacknowledged_messages() {
        let mut queue = queue_with(3);
        let got = got(&mut queue, false).expect("a message");
        assert_eq!(queue.purge(), 2);
        assert_eq!(queue.unacked_count(), 1);
        queue.settle(got.key, Outcome::Requeue);
        assert_eq!(queue.ready_count(), 1);
    }
}
