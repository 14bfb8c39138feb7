//! Model test: random commands drive `QueueState` beside a deliberately naive queue, and every
//! delivery, count and byte must agree.
//!
//! The naive queue is one vector in which every message has exactly one place for ever; whatever it
//! is asked it finds out by looking at all of it, so there is nothing in it that could get out of
//! step. The room for bodies is small, so most are paged and read back; the naive queue does not
//! notice. Checked beyond agreement: the stores are told of every message that is gone, once; no consumer holds more than its prefetch, nobody with credit is
//! left without a message that waits, and equals take strict turns.

use proptest::collection::vec;
use proptest::prelude::*;

use super::ConsumerSettings;
use super::paged::Shelf;
use super::state::{Delivery, Fetched, QueueKind, QueueState};
use crate::keys::{ConsumerKey, DeliveryKey, Outcome};
use crate::message::Message;
use crate::message::tests::{message, persistent};

const HIGHEST_PRIORITY: u8 = 2;

#[derive(Clone, Debug)]
enum Step {
    /// A batch, by priority and body length.
    Publish(Vec<(u8, usize)>),
    Consume(ConsumerSettings),
    Cancel(usize),
    /// Up to so many deliveries, of which those with a `true` come back, latest first.
    Dispatch(usize, Vec<bool>),
    /// One of the unacknowledged messages.
    Settle(usize, Outcome),
    Get(bool),
    Pause(usize),
    Resume(usize),
    Purge,
}

fn settings() -> impl Strategy<Value = ConsumerSettings> {
    (-1_i64..=1, 0_u16..4, any::<bool>()).prop_map(|(priority, prefetch_count, no_ack)| {
        ConsumerSettings { priority, prefetch_count, no_ack, exclusive: false }
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Ack), Just(Outcome::Requeue), Just(Outcome::Discard)]
}

fn step() -> impl Strategy<Value = Step> {
    let refused = vec(prop::bool::weighted(0.2), 8);
    prop_oneof![
        6 => vec((0..=HIGHEST_PRIORITY + 1, 0_usize..40), 1..8).prop_map(Step::Publish),
        3 => settings().prop_map(Step::Consume),
        1 => any::<usize>().prop_map(Step::Cancel),
        8 => (0_usize..8, refused).prop_map(|(limit, refused)| Step::Dispatch(limit, refused)),
        8 => (any::<usize>(), outcome()).prop_map(|(which, how)| Step::Settle(which, how)),
        2 => any::<bool>().prop_map(Step::Get),
        1 => any::<usize>().prop_map(Step::Pause),
        2 => any::<usize>().prop_map(Step::Resume),
        1 => Just(Step::Purge),
    ]
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready,
    Unacked(DeliveryKey, Option<ConsumerKey>),
    Gone,
}

#[derive(Clone, Debug)]
struct NaiveMessage {
    priority: u8,
    size: usize,
    redelivered: bool,
    place: Place,
}

#[derive(Clone, Debug)]
struct NaiveConsumer {
    key: ConsumerKey,
    settings: ConsumerSettings,
    paused: bool,
    /// Since when it stands in line.
    in_line_since: Option<u64>,
}

/// A message on its way, as both queues should see it: consumer, number of the message, whether it
/// needs settling, whether it was handed out before.
type Seen = (ConsumerKey, usize, bool, bool);

/// The naive queue. A message's number is its index.
#[derive(Debug, Default)]
struct Naive {
    highest: u8,
    messages: Vec<NaiveMessage>,
    consumers: Vec<NaiveConsumer>,
    moment: u64,
}

impl Naive {
    fn ready(&self) -> usize {
        self.messages.iter().filter(|message| message.place == Place::Ready).count()
    }

    fn unacked(&self) -> Vec<DeliveryKey> {
        let key = |message: &NaiveMessage| match message.place {
            Place::Unacked(key, _) => Some(key),
            Place::Ready | Place::Gone => None,
        };
        self.messages.iter().filter_map(key).collect()
    }

    fn bytes(&self) -> usize {
        let here = |message: &&NaiveMessage| message.place != Place::Gone;
        self.messages.iter().filter(here).map(|message| message.size).sum()
    }

    fn held_by(&self, consumer: ConsumerKey) -> usize {
        let held =
            |m: &&NaiveMessage| matches!(m.place, Place::Unacked(_, Some(of)) if of == consumer);
        self.messages.iter().filter(held).count()
    }

    fn has_credit(&self, consumer: &NaiveConsumer) -> bool {
        let limit = usize::from(consumer.settings.prefetch_count);
        let unlimited = consumer.settings.no_ack || limit == 0;
        !consumer.paused && (unlimited || self.held_by(consumer.key) < limit)
    }

    /// The ready message to go next.
    fn first_ready(&self) -> Option<usize> {
        let ready = |&number: &usize| self.messages[number].place == Place::Ready;
        let numbers = (0..self.messages.len()).filter(ready);
        numbers.min_by_key(|&number| (u8::MAX - self.messages[number].priority, number))
    }

    /// Whose turn it is. Who is found in line without credit loses the place.
    fn next_consumer(&mut self) -> Option<usize> {
        let mut line: Vec<usize> = (0..self.consumers.len()).collect();
        line.retain(|&at| self.consumers[at].in_line_since.is_some());
        line.sort_by_key(|&at| {
            let consumer = &self.consumers[at];
            (std::cmp::Reverse(consumer.settings.priority), consumer.in_line_since)
        });
        for at in line {
            if self.has_credit(&self.consumers[at]) {
                return Some(at);
            }
            self.consumers[at].in_line_since = None;
        }
        None
    }

    /// Puts a consumer at the end of the line if it can take a message and is not there.
    fn line_up(&mut self, key: ConsumerKey) {
        self.moment += 1;
        let at = self.consumers.iter().position(|consumer| consumer.key == key);
        if let Some(at) = at.filter(|&at| self.has_credit(&self.consumers[at])) {
            self.consumers[at].in_line_since.get_or_insert(self.moment);
        }
    }

    /// What the next delivery must be. `key` is the one the real queue gave it.
    fn deliver(&mut self, key: DeliveryKey) -> Option<Seen> {
        let number = self.first_ready()?;
        let at = self.next_consumer()?;
        let NaiveConsumer { key: consumer, settings, .. } = self.consumers[at].clone();
        let held = Place::Unacked(key, Some(consumer));
        self.messages[number].place = if settings.no_ack { Place::Gone } else { held };
        self.consumers[at].in_line_since = None;
        self.line_up(consumer);
        Some((consumer, number, !settings.no_ack, self.messages[number].redelivered))
    }

    /// Moves the message with this key; its consumer has room for another.
    fn take_back(&mut self, number: usize, place: Place) {
        let Place::Unacked(_, holder) = self.messages[number].place else { return };
        self.messages[number].place = place;
        if let Some(consumer) = holder {
            self.line_up(consumer);
        }
    }

    fn find(&self, wanted: DeliveryKey) -> usize {
        let holds = |m: &NaiveMessage| matches!(m.place, Place::Unacked(key, _) if key == wanted);
        self.messages.iter().position(holds).expect("it is unacknowledged")
    }
}

/// A message that carries its number in its body.
fn numbered(number: usize, priority: u8, length: usize) -> Message {
    let body = format!("{number} {}", "x".repeat(length));
    let message = message("key", body.as_bytes()).with_priority(priority);
    if number.is_multiple_of(2) { persistent(message) } else { message }
}

fn number(message: &Message) -> usize {
    let body = String::from_utf8_lossy(message.body()).into_owned();
    body.split(' ').next().and_then(|word| word.parse().ok()).expect("a number")
}

struct Pair {
    real: QueueState,
    naive: Naive,
    /// By sequence number, which is the naive queue's number of the message, too.
    published: Vec<Message>,
    settled: Vec<u64>,
    paged_out: Vec<u64>,
    unpaged: Vec<u64>,
}

impl Pair {
    fn some_consumer(&self, which: usize) -> Option<ConsumerKey> {
        let consumers = &self.naive.consumers;
        consumers.get(which.checked_rem(consumers.len())?).map(|consumer| consumer.key)
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Publish(batch) => self.publish(batch),
            Step::Consume(settings) => self.consume(*settings),
            Step::Cancel(which) => self.cancel(*which),
            Step::Dispatch(limit, refused) => self.dispatch(*limit, refused),
            Step::Settle(which, outcome) => {
                let unacked = self.naive.unacked();
                if let Some(at) = which.checked_rem(unacked.len()) {
                    self.settle(unacked[at], *outcome);
                }
            }
            Step::Get(no_ack) => _ = self.get(*no_ack),
            Step::Pause(which) => self.pause(*which, true),
            Step::Resume(which) => self.pause(*which, false),
            Step::Purge => self.purge(),
        }
    }

    fn purge(&mut self) {
        assert_eq!(self.real.purge(), self.naive.ready());
        let all = self.naive.messages.iter_mut();
        all.filter(|m| m.place == Place::Ready).for_each(|m| m.place = Place::Gone);
    }

    fn publish(&mut self, batch: &[(u8, usize)]) {
        let mut messages = Vec::new();
        for &(priority, length) in batch {
            let message = numbered(self.naive.messages.len(), priority, length);
            self.published.push(message.clone());
            self.naive.messages.push(NaiveMessage {
                priority: priority.min(self.naive.highest),
                size: message.size(),
                redelivered: false,
                place: Place::Ready,
            });
            messages.push(message);
        }
        let first = self.published.len() - messages.len();
        assert_eq!(self.real.publish(messages.into_iter()), first as u64);
    }

    /// What the shell does: tells the stores, and reads what is needed next.
    fn serve_stores(&mut self) {
        let changes = self.real.changes();
        self.settled.extend(changes.take_settled());
        self.paged_out.extend(changes.take_paged_out().iter().map(|(sequence, _)| *sequence));
        self.unpaged.extend(changes.take_unpaged());
    }

    fn read(&mut self, messages: usize) {
        while !self.real.is_read_ahead(messages) {
            self.serve_stores();
            let plan = self.real.plan_reading(messages, 100);
            assert!(!plan.is_empty(), "something has to be read");
            for (shelf, ranges) in [(Shelf::Scratch, plan.scratch), (Shelf::Durable, plan.durable)]
            {
                for sequence in ranges.into_iter().flatten() {
                    let message = self.published[usize::try_from(sequence).expect("small")].clone();
                    let is_durable = shelf == Shelf::Durable;
                    assert_eq!(message.is_persistent(), is_durable);
                    assert!(is_durable || self.paged_out.contains(&sequence));
                    assert!(self.real.take_in(shelf, sequence, message));
                }
            }
        }
    }

    fn consume(&mut self, settings: ConsumerSettings) {
        let key = self.real.add_consumer(settings);
        assert!(self.naive.consumers.iter().all(|other| other.key != key), "{key:?} is taken");
        let new = NaiveConsumer { key, settings, paused: false, in_line_since: None };
        self.naive.consumers.push(new);
        self.naive.line_up(key);
    }

    fn cancel(&mut self, which: usize) {
        let Some(key) = self.some_consumer(which) else { return };
        assert!(self.real.remove_consumer(key) && !self.real.remove_consumer(key), "once");
        self.naive.consumers.retain(|consumer| consumer.key != key);
        for message in &mut self.naive.messages {
            if let Place::Unacked(_, holder) = &mut message.place {
                *holder = holder.filter(|&holder| holder != key);
            }
        }
    }

    fn pause(&mut self, which: usize, paused: bool) {
        let Some(key) = self.some_consumer(which) else { return };
        if paused {
            self.real.pause(key)
        } else {
            self.real.resume(key)
        }
        let consumers = self.naive.consumers.iter_mut();
        consumers.filter(|c| c.key == key).for_each(|c| c.paused = paused);
        self.naive.line_up(key);
    }

    fn dispatch(&mut self, limit: usize, refused: &[bool]) {
        let mut deliveries = Vec::new();
        self.read(limit);
        let count = self.real.dispatch(limit, &mut deliveries);
        assert_eq!(count, deliveries.len());
        for delivery in &deliveries {
            let Delivery { consumer, key, message, redelivered, .. } = delivery;
            let seen = (*consumer, number(message), *key != DeliveryKey::NONE, *redelivered);
            assert_eq!(self.naive.deliver(*key), Some(seen));
        }
        if count < limit {
            assert_eq!(self.naive.deliver(DeliveryKey::NONE), None);
            let idle = |consumer: &NaiveConsumer| self.naive.has_credit(consumer);
            let stuck = self.naive.ready() > 0 && self.naive.consumers.iter().any(idle);
            assert!(!stuck, "a message and a consumer with credit wait for each other");
        }
        for (delivery, refused) in deliveries.into_iter().zip(refused).rev() {
            if *refused {
                self.refuse(delivery);
            } else {
                self.real.accepted(delivery);
            }
        }
    }

    fn refuse(&mut self, delivery: Delivery) {
        let (consumer, number) = (delivery.consumer, number(&delivery.message));
        self.real.refuse(delivery);
        let consumers = self.naive.consumers.iter_mut();
        consumers.filter(|c| c.key == consumer).for_each(|c| c.paused = true);
        self.naive.messages[number].place = Place::Ready;
    }

    fn settle(&mut self, key: DeliveryKey, outcome: Outcome) {
        self.real.settle(key, outcome);
        let number = self.naive.find(key);
        let place = match outcome {
            Outcome::Ack | Outcome::Discard => Place::Gone,
            Outcome::Requeue => Place::Ready,
        };
        self.naive.messages[number].redelivered |= outcome == Outcome::Requeue;
        self.naive.take_back(number, place);
    }

    fn get(&mut self, no_ack: bool) -> bool {
        self.read(1);
        let got = self.real.get(no_ack);
        let Some(expected) = self.naive.first_ready() else {
            assert!(matches!(got, Fetched::Empty));
            return false;
        };
        let Fetched::Got(got) = got else { panic!("a message waits: {got:?}") };
        let message = &mut self.naive.messages[expected];
        assert_eq!((number(&got.message), got.redelivered), (expected, message.redelivered));
        assert_eq!(no_ack, got.key == DeliveryKey::NONE);
        message.place = if no_ack { Place::Gone } else { Place::Unacked(got.key, None) };
        assert_eq!(got.remaining, self.naive.ready());
        true
    }

    fn check(&self) {
        let Self { real, naive, .. } = self;
        let mut keys = naive.unacked();
        assert_eq!(real.ready_count(), naive.ready());
        assert_eq!(real.unacked_count(), keys.len());
        assert_eq!(real.bytes(), naive.bytes());
        assert_eq!(real.consumers().len(), naive.consumers.len());
        keys.sort_unstable_by_key(|key| key.0);
        keys.dedup();
        assert_eq!(keys.len(), real.unacked_count(), "a key stands for one message");
        for consumer in &naive.consumers {
            let ConsumerSettings { prefetch_count, no_ack, .. } = consumer.settings;
            let limit = if no_ack { 0 } else { usize::from(prefetch_count) };
            let unlimited = !no_ack && prefetch_count == 0;
            assert!(unlimited || naive.held_by(consumer.key) <= limit, "{consumer:?}");
        }
    }

    /// Everything that is not gone comes out once, in its original order.
    fn drain(&mut self) {
        for key in self.naive.unacked().into_iter().rev() {
            self.settle(key, Outcome::Requeue);
        }
        while self.get(true) {}
        self.check();
        assert_eq!((self.real.ready_count(), self.real.bytes()), (0, 0));
        assert_eq!(self.real.resident_bytes(), 0);
        self.serve_stores();
        self.settled.sort_unstable();
        let numbered = (0_u64..).zip(&self.published);
        let durable = numbered.filter(|(_, message)| message.is_persistent());
        let expected: Vec<u64> = durable.map(|(number, _)| number).collect();
        assert_eq!(self.settled, expected, "each durable message is settled once");
        self.paged_out.sort_unstable();
        self.unpaged.sort_unstable();
        assert_eq!(self.paged_out, self.unpaged, "the scratch store keeps nothing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_a_naive_queue_does(
        highest in 0..=HIGHEST_PRIORITY,
        room in prop_oneof![Just(0_usize), Just(1), Just(500), Just(usize::MAX)],
        steps in vec(step(), 1..120),
    ) {
        let naive = Naive { highest, ..Naive::default() };
        let kind = QueueKind { max_priority: highest, is_stored: true, ..QueueKind::default() };
        let (published, settled) = (Vec::new(), Vec::new());
        let (paged_out, unpaged) = (Vec::new(), Vec::new());
        let real = QueueState::new(kind);
        let mut pair = Pair { real, naive, published, settled, paged_out, unpaged };
        pair.real.set_room(room);
        for step in &steps {
            pair.run(step);
            pair.check();
        }
        pair.drain();
    }

    #[test]
    fn equals_take_strict_turns_however_the_deliveries_are_cut(
        consumers in 1_usize..6,
        runs in vec((1_usize..10, 1_usize..5), 1..30),
    ) {
        let mut queue = QueueState::new(QueueKind::default());
        let keys: Vec<_> =
            (0..consumers).map(|_| queue.add_consumer(ConsumerSettings::default())).collect();
        let mut deliveries = Vec::new();
        for (count, limit) in runs {
            queue.publish((0..count).map(|_| message("key", b"")));
            while queue.dispatch(limit, &mut deliveries) > 0 {}
        }
        for (delivery, turn) in deliveries.iter().zip(keys.iter().cycle()) {
            prop_assert_eq!(delivery.consumer, *turn);
        }
    }
}
