//! A queue as a pure state machine: commands in, deliveries out.
//!
//! Owned by `queue::Queue`, which holds it behind the queue's lock and carries out what it says.
//! Nothing here reads a clock, draws a random number, or touches a socket, a file or a lock: the
//! time, and how much memory there is, come with every command (`begin`), and what became of a
//! delivery is told by one (`conclude`). So the same commands always give the same deliveries, and
//! `command` writes them down. What the message stores have to be told is left in `StoreChanges`.
//! Stays true, and checked by the model test: every message is in exactly one of `ready` and
//! `unacked`, or gone; every way in ends in `enforce_limit` or is refused by `admit`.

mod deduplicating;
mod delaying;
mod dying;
mod grouping;
mod handing_out;
mod keeping;
mod looking;
mod reading;
mod retrying;
mod settling;
mod timeouts;
mod watching;

use leveret_storage::messages::RecoveredQueue;
use serde::{Deserialize, Serialize};
use slab::Slab;

use self::deduplicating::Deduplicating;
use self::delaying::Delayed;
use self::dying::Deaths;
use self::keeping::Keeping;
use self::looking::Lifted;
use self::retrying::Retrying;
pub(super) use self::timeouts::Lapse;
use self::timeouts::Timeouts;
use self::watching::Watching;
use super::arguments::LengthLimit;
use super::consumers::{Activity, ConsumerSettings, Consumers};
use super::deaths::Reason;
use super::held::{Held, QueuedMessage, Returns, Weight};
use super::paged::{NEVER, Shelf, Stub};
use super::ready::{Popped, Ready, Taken};
use super::retry::Retry;
use super::store_changes::StoreChanges;
use crate::keys::{ConsumerKey, DeliveryKey};
use crate::message::{Marks, Message, Note};

/// What a command needs to know of the world.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The time in milliseconds since the epoch.
    pub now_ms: u64,
    /// Memory that the queue's messages may take, in bytes; beyond it bodies are paged.
    pub room: usize,
}

/// A message on its way to a consumer, until `conclude` says what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    /// Who gets it.
    pub consumer: ConsumerKey,
    /// Which message of `unacked` it is.
    key: DeliveryKey,
    /// Whether the consumer settles what it gets.
    acknowledges: bool,
    redelivered: bool,
}

impl Delivery {
    /// What settles it; `DeliveryKey::NONE` for a consumer without acknowledgements.
    pub(super) fn key(&self) -> DeliveryKey {
        if self.acknowledges { self.key } else { DeliveryKey::NONE }
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Verdict {
    /// It is in the outgoing buffer.
    Accepted,
    /// It is there, and the consumer takes no more until it is served again.
    AcceptedAndFull,
    /// It goes back to its place, and the consumer takes no more until it is served again.
    Refused,
}

/// A queue did not take a message, because it has as many as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The answer to `basic.get`.
#[derive(Debug)]
pub(crate) struct Got {
    /// What settles it; `DeliveryKey::NONE` with `no_ack`.
    pub key: DeliveryKey,
    /// The message.
    pub message: Message,
    /// Who holds it, where that matters; `ConsumerKey::NONE`.
    pub holder: ConsumerKey,
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

#[derive(Clone, Debug)]
struct Unacked {
    message: QueuedMessage,
    consumer: ConsumerKey,
    /// When it was handed out, in milliseconds since the epoch.
    delivered_ms: u64,
}

/// What a delivery key stands for.
#[derive(Clone, Debug)]
enum Slot {
    /// A message that was handed out.
    Held(Unacked),
    /// Nothing any more: see `timeouts`.
    TakenBack,
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct QueueState {
    kind: QueueKind,
    facts: Facts,
    ready: Ready,
    /// What was handed out, and what is on its way.
    unacked: Slab<Slot>,
    under_way: Vec<Delivery>,
    unacked_bytes: usize,
    unacked_resident_bytes: usize,
    consumers: Consumers,
    next_sequence: u64,
    had_consumer: bool,
    /// While above zero nothing is handed out: somebody gives back messages in several steps.
    suspended: usize,
    /// Somebody has paused the consumers.
    is_paused: bool,
    /// More is ready than may be.
    is_over_limit: bool,
    changes: StoreChanges,
    deaths: Deaths,
    delayed: Delayed,
    retrying: Retrying,
    lifted: Lifted,
    timeouts: Timeouts,
    watching: Watching,
    /// What it remembers of what came, if it drops what comes twice.
    deduplicating: Option<Box<Deduplicating>>,
    keeping: Keeping,
}

/// What kind of queue a state machine is for.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct QueueKind {
    /// Messages have priorities from 0 to this.
    pub max_priority: u8,
    /// The priority of those that name none.
    pub default_priority: u8,
    /// Only one consumer at a time gets messages.
    pub activity: Activity,
    /// Persistent messages are stored durably.
    pub is_stored: bool,
    /// How much may be ready.
    pub limit: LengthLimit,
    /// A full queue takes nothing, instead of dropping its head.
    pub rejects: bool,
    /// It drops the first message of the lowest priority, not of the highest.
    pub drops_lowest: bool,
    /// How long messages may wait, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// Whose time is up goes wherever it stands.
    pub expires_anywhere: bool,
    /// How long the queue may be unused, in milliseconds.
    pub unused_ms: Option<u64>,
    /// How many attempts to handle a message may fail.
    pub delivery_limit: Option<u32>,
    /// How long what came back waits before it is handed out again.
    pub retry: Option<Retry>,
    /// Consumers are told how often a message came back.
    pub counts_deliveries: bool,
    /// What dies here is published elsewhere.
    pub has_dead_letters: bool,
    /// And so is what it refuses.
    pub buries_refused: bool,
    /// It has no consumers: every message leaves it when its time has come.
    pub delays: bool,
    /// How long a consumer may take for a delivery, in milliseconds, where it does not say.
    pub consumer_timeout_ms: Option<u64>,
}

/// Messages dropped for a limit in one step: a millisecond of work.
const DROPPED_A_STEP: usize = 2048;
impl QueueState {
    /// An empty queue.
    pub(super) fn new(kind: QueueKind) -> Self {
        let mut ready = Ready::new(kind.max_priority);
        ready.expire_anywhere(kind.expires_anywhere);
        Self {
            kind,
            facts: Facts { now_ms: 0, room: usize::MAX },
            ready,
            unacked: Slab::new(),
            under_way: Vec::new(),
            unacked_bytes: 0,
            unacked_resident_bytes: 0,
            consumers: Consumers::new(kind.activity),
            next_sequence: 0,
            had_consumer: false,
            suspended: 0,
            is_paused: false,
            is_over_limit: false,
            changes: StoreChanges::default(),
            deaths: Deaths::default(),
            delayed: Delayed::default(),
            retrying: Retrying::default(),
            lifted: Lifted::default(),
            timeouts: Timeouts::default(),
            watching: Watching::default(),
            deduplicating: None,
            keeping: Keeping::default(),
        }
    }

    /// How many attempts to have a message settled may fail.
    pub(super) fn delivery_limit(&self) -> Option<u32> {
        self.kind.delivery_limit
    }

    /// Begins a command: what is true for it.
    pub(super) fn begin(&mut self, facts: Facts) {
        self.facts = facts;
    }

    /// Takes back what was stored, all of it paged. What came before `doubted_before_ms`, in
    /// milliseconds since the epoch, may have been handed out: nobody knows.
    pub(super) fn restore(&mut self, recovered: RecoveredQueue, doubted_before_ms: u64) {
        self.next_sequence = self.next_sequence.max(recovered.next_sequence);
        for stored in recovered.messages {
            let note = Note::unpack(stored.note);
            let body_size = stored.size.saturating_sub(note.body_at);
            let arrived_ms = stored.arrived_ms;
            let stub = Stub::new(Shelf::Durable, stored.size, body_size, arrived_ms);
            if self.kind.delays {
                let due_ms = stored.until_ms.unwrap_or(arrived_ms);
                self.delayed.insert(due_ms, stored.sequence, Held::Paged(stub));
                continue;
            }
            let held = Held::Paged(stub);
            if self.restore_dead(stored.sequence, stored.delivery_count, held.clone()) {
                continue;
            }
            let by_queue = self.kind.ttl_ms.map_or(NEVER, |ttl| arrived_ms.saturating_add(ttl));
            let message = QueuedMessage {
                sequence: stored.sequence,
                level: self.ready.level_of(self.priority_noted(note)),
                redelivered: arrived_ms < doubted_before_ms
                    || stored.delivery_count > 0
                    || note.marks.has(Marks::DELIVERED),
                returns: Returns::from_stored(stored.delivery_count),
                expires_ms: by_queue.min(stored.until_ms.unwrap_or(NEVER)),
                held,
            };
            self.retry_restored(message);
        }
        self.enforce_limit();
    }

    /// What the stores have to be told since this was last emptied.
    pub(super) fn changes(&mut self) -> &mut StoreChanges {
        &mut self.changes
    }

    /// Content of what is handed out and not settled, in bytes.
    pub(super) fn unacked_bytes(&self) -> usize {
        self.unacked_bytes
    }

    /// Memory that its messages take, in bytes.
    pub(super) fn resident_bytes(&self) -> usize {
        let apart = self.apart().iter().map(|weight| weight.resident_bytes).sum::<usize>();
        self.ready.resident_bytes() + self.unacked_resident_bytes + apart
    }

    /// What messages come to that are neither ready nor handed out.
    fn apart(&self) -> [Weight; 4] {
        let Self { delayed, keeping, retrying, lifted, .. } = self;
        [delayed.weight(), keeping.weight(), retrying.weight(), lifted.weight()]
    }

    fn is_durable(&self, held: &Held) -> bool {
        held.is_durable(self.kind.is_stored)
    }

    /// A message is done with: no store needs it any more.
    #[inline]
    fn drop_message(&mut self, sequence: u64, held: &Held) {
        self.changes.forget(self.kind.is_stored, sequence, held);
    }

    /// Messages that wait for a consumer.
    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// Messages that were handed out and are not settled.
    pub(super) fn unacked_count(&self) -> usize {
        self.unacked.len() - self.timeouts.taken_back()
    }

    /// Content of all messages of the queue, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let apart = self.apart().iter().map(|weight| weight.bytes).sum::<usize>();
        self.ready.bytes() + self.unacked_bytes + apart
    }

    /// The consumers.
    pub(super) fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// Whether the queue ever had a consumer: an auto-delete queue goes only after one.
    pub(super) fn had_consumer(&self) -> bool {
        self.had_consumer
    }

    /// The sequence number of the message that comes next.
    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Takes a message that arrives, and returns its sequence number: the next one. It goes straight
    /// on its way when nothing waits before it and a consumer has credit. What came before and is not
    /// to come twice takes its place and is gone.
    ///
    /// # Errors
    /// The queue is full and refuses.
    pub(super) fn admit(&mut self, message: Message) -> Result<u64, Full> {
        if self.deduplicating.is_some()
            && let Some(sequence) = self.pass_over(&message)
        {
            return Ok(sequence);
        }
        if self.kind.rejects && self.would_overflow(&message) {
            self.bury_refused(message);
            return Err(Full);
        }
        if self.deduplicating.is_some() {
            self.remember(&message);
        }
        self.watching.traffic.published += 1;
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let level = self.ready.level_of(self.priority_of(&message));
        let message = message.arrived_at(self.facts.now_ms);
        if self.kind.delays {
            self.delay(sequence, message);
            return Ok(sequence);
        }
        let expires_ms = self.expires_ms(&message);
        let redelivered = message.was_delivered();
        let queued = |held| QueuedMessage {
            sequence,
            level,
            redelivered,
            returns: Returns::default(),
            expires_ms,
            held,
        };
        if self.ready.len() == 0
            && !self.holds_back()
            && !self.ready.is_grouped()
            && let Some((consumer, acknowledges)) = self.consumers.next()
        {
            self.send(consumer, acknowledges, queued(Held::Resident(message)));
            return Ok(sequence);
        }
        let held = if self.ready.keeps_resident(level, self.facts.room) {
            Held::Resident(message)
        } else {
            self.page(sequence, message)
        };
        self.ready.push(queued(held));
        self.enforce_limit();
        if expires_ms <= self.facts.now_ms {
            // It had no time to wait for a consumer.
            self.expire();
        }
        Ok(sequence)
    }

    /// Takes a message of a run, whose messages have consecutive numbers: one that is refused is
    /// dropped in its place.
    pub(super) fn publish(&mut self, message: Message) {
        let is_durable = self.kind.is_stored && message.is_persistent();
        if self.admit(message) == Err(Full) {
            if is_durable {
                self.changes.settle(self.next_sequence);
            }
            self.next_sequence += 1;
        }
    }

    /// Leaves a message's body to a store.
    fn page(&mut self, sequence: u64, message: Message) -> Held {
        let held = Held::Resident(message.clone());
        if self.is_durable(&held) {
            return without_body(&message, Shelf::Durable);
        }
        let stub = without_body(&message, Shelf::Scratch);
        self.changes.page_out(sequence, message);
        stub
    }

    /// Whether one more message would be too much: what consumers took is not counted, dead letters
    /// that stay are.
    fn would_overflow(&self, message: &Message) -> bool {
        let LengthLimit { messages, bytes } = self.kind.limit;
        let (kept, kept_bytes) = (self.keeping.len(), self.keeping.weight().body_bytes);
        let body_bytes = kept_bytes + message.body().len();
        messages.is_some_and(|most| self.limited_count() + kept + 1 > most)
            || bytes.is_some_and(|most| self.limited_bytes() + body_bytes > most)
    }

    fn limited_count(&self) -> usize {
        self.ready.len() + self.retrying.len()
    }

    fn limited_bytes(&self) -> usize {
        self.ready.body_bytes() + self.retrying.weight().body_bytes
    }

    /// Drops ready messages from the head until they keep the limit.
    fn enforce_limit(&mut self) {
        let LengthLimit { messages, bytes } = self.kind.limit;
        self.is_over_limit = false;
        if self.kind.rejects || self.suspended > 0 {
            return;
        }
        for _ in 0..DROPPED_A_STEP {
            let is_over = messages.is_some_and(|most| self.limited_count() > most)
                || bytes.is_some_and(|most| self.limited_bytes() > most);
            if !is_over {
                return;
            }
            let dropped =
                if self.kind.drops_lowest { self.ready.pop_lowest() } else { self.ready.pop_any() };
            let Some(dropped) = dropped else { return };
            self.bury(dropped, Reason::MaxLength);
        }
        // A limit that came late, or one large message for many small ones: the timer goes on.
        self.is_over_limit = true;
    }

    /// Takes the next message for `basic.get`.
    pub(super) fn get(&mut self, no_ack: bool) -> Fetched {
        self.deaths.used_ms = self.facts.now_ms;
        self.expire();
        if self.has_expired() {
            // More than one step: what waits behind them is not to be had yet.
            return Fetched::NotResident;
        }
        if self.is_paused {
            return Fetched::Empty;
        }
        let mut queued = match self.ready.pop() {
            Popped::Message(queued) => queued,
            Popped::NotResident => return Fetched::NotResident,
            Popped::Nothing => {
                self.watching.traffic.get_empty += 1;
                return Fetched::Empty;
            }
        };
        self.tell_returns(&mut queued);
        let Held::Resident(message) = &queued.held else { return Fetched::NotResident };
        self.watching.last_delivery_ms = Some(self.facts.now_ms);
        let (message, redelivered) = (message.clone(), queued.redelivered);
        self.watching.traffic.note_get(no_ack, redelivered);
        let (key, holder) = if no_ack {
            self.ready.settled(queued.sequence);
            self.drop_message(queued.sequence, &queued.held);
            (DeliveryKey::NONE, ConsumerKey::NONE)
        } else {
            self.hold_fetched(queued)
        };
        Fetched::Got(Got { key, message, holder, redelivered, remaining: self.ready.len() })
    }

    /// Nothing is handed out, and nothing dropped for a limit, until `unsuspend`: somebody gives
    /// back messages in several steps, and who comes next is to find them all.
    pub(super) fn suspend(&mut self) {
        self.suspended += 1;
    }

    /// Consumers are paused, and `basic.get`, or go on.
    pub(super) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// Whether nothing is handed out.
    fn holds_back(&self) -> bool {
        self.suspended > 0 || self.is_paused
    }

    /// Undoes one `suspend`.
    pub(super) fn unsuspend(&mut self) {
        self.suspended = self.suspended.saturating_sub(1);
        self.enforce_limit();
    }

    /// Takes out all ready messages; the stores are to be told of them (`StoreChanges::forget_all`).
    /// Unacknowledged ones stay.
    pub(super) fn purge(&mut self) -> Taken {
        self.purge_kept();
        self.end_all_waiting();
        self.ready.take()
    }

    /// Adds a consumer.
    pub(super) fn add_consumer(&mut self, settings: ConsumerSettings) -> ConsumerKey {
        self.had_consumer = true;
        self.deaths.used_ms = self.facts.now_ms;
        let key = self.consumers.add(settings);
        if !settings.no_ack {
            self.timeouts.begin(key, settings.timeout_ms.or(self.kind.consumer_timeout_ms));
        }
        key
    }

    /// Removes a consumer. What it holds unacknowledged stays with its channel.
    pub(super) fn remove_consumer(&mut self, key: ConsumerKey) -> bool {
        self.deaths.used_ms = self.facts.now_ms;
        self.timeouts.end(key);
        self.consumers.remove(key)
    }

    /// All that decides what it will do, as text.
    #[cfg(test)]
    pub(super) fn snapshot(&self) -> String {
        let mut copy = self.clone();
        copy.ready.forget_counted();
        let unacked: Vec<_> = copy.unacked.iter().collect();
        format!("{copy:?} {unacked:?} {:?}", copy.consumers.snapshot())
    }

    /// All messages of a queue that is gone, one by one, so that whoever drops them can stop
    /// between.
    pub(super) fn into_messages(mut self) -> impl Iterator<Item = QueuedMessage> {
        let unacked = self.unacked.into_iter().filter_map(|(_, slot)| match slot {
            Slot::Held(unacked) => Some(unacked.message),
            Slot::TakenBack => None,
        });
        let apart = self.retrying.into_messages().chain(self.keeping.into_messages());
        let apart = apart.chain(self.lifted.into_messages());
        self.ready.take().into_messages().chain(unacked).chain(apart)
    }
}

/// The same message, with its body left to a store.
fn without_body(message: &Message, shelf: Shelf) -> Held {
    let size = u32::try_from(message.size()).unwrap_or(u32::MAX);
    let body_size = u32::try_from(message.body().len()).unwrap_or(u32::MAX);
    Held::Paged(Stub::new(shelf, size, body_size, message.arrived_ms()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Outcome;
    use crate::message::tests::message;

    fn queue_of(kind: QueueKind, count: usize) -> QueueState {
        let mut queue = QueueState::new(kind);
        (0..count).for_each(|i| queue.publish(message("k", i.to_string().as_bytes())));
        queue
    }

    fn queue_with(count: usize) -> QueueState {
        queue_of(QueueKind::default(), count)
    }

    fn limited(messages: Option<usize>, bytes: Option<usize>, rejects: bool) -> QueueKind {
        QueueKind { limit: LengthLimit { messages, bytes }, rejects, ..QueueKind::default() }
    }

    fn got(queue: &mut QueueState, no_ack: bool) -> Option<Got> {
        match queue.get(no_ack) {
            Fetched::Got(got) => Some(got),
            Fetched::Empty => None,
            Fetched::NotResident => panic!("everything is in memory"),
        }
    }

    fn text(message: &Message) -> String {
        String::from_utf8_lossy(message.body()).into_owned()
    }

    fn rest(queue: &mut QueueState) -> Vec<String> {
        std::iter::from_fn(|| got(queue, true)).map(|got| text(&got.message)).collect()
    }

    fn under_way(queue: &QueueState) -> Vec<(u32, String)> {
        let sent = queue.under_way().iter();
        let body = |delivery| text(queue.parcel(delivery).expect("in memory").0);
        sent.map(|delivery| (delivery.consumer.slot, body(delivery))).collect()
    }

    /// Everything on its way arrives; returns it with what settles it.
    fn deliver(queue: &mut QueueState) -> Vec<DeliveryKey> {
        let keys: Vec<_> = queue.under_way().iter().map(Delivery::key).collect();
        queue.conclude(&vec![Verdict::Accepted; keys.len()]);
        keys
    }

    fn give_back(queue: &mut QueueState, key: DeliveryKey) {
        queue.settle([(key, Outcome::Requeue)].into_iter());
    }

    #[test]
    fn six_waiting_tasks_are_shared_three_and_three() {
        let mut queue = queue_with(6);
        queue.add_consumer(ConsumerSettings::default());
        queue.add_consumer(ConsumerSettings::default());
        assert_eq!(queue.dispatch(100), 6);
        let of = |slot| under_way(&queue).iter().filter(|sent| sent.0 == slot).count();
        assert_eq!((of(0), of(1)), (3, 3));
    }

    #[test]
    fn a_refused_delivery_leaves_no_trace_but_the_pause() {
        let mut queue = queue_with(2);
        let consumer = queue.add_consumer(ConsumerSettings::default());
        queue.dispatch(1);
        assert_eq!(queue.conclude(&[Verdict::Refused]), 0);
        assert_eq!((queue.ready_count(), queue.unacked_count()), (2, 0));
        assert_eq!(queue.dispatch(10), 0);
        assert!(!queue.serve(consumer, 10));
        assert_eq!(under_way(&queue), [(0, "0".into()), (0, "1".into())]);
        let again = queue.under_way().iter().any(|d| queue.parcel(d).expect("here").1);
        assert!(!again, "redelivered");
    }

    #[test]
    fn a_consumer_is_served_its_share_and_stays_held_back_while_there_is_more() {
        let mut queue = queue_with(5);
        let consumer = queue.add_consumer(ConsumerSettings::default());
        queue.dispatch(1);
        queue.conclude(&[Verdict::AcceptedAndFull]);
        assert!(queue.serve(consumer, 2));
        deliver(&mut queue);
        assert_eq!(queue.dispatch(10), 0, "others have their turn");
        assert!(!queue.serve(consumer, 3));
        deliver(&mut queue);
        queue.publish(message("k", b"new"));
        assert_eq!(under_way(&queue), [(0, "new".into())], "it takes its turns again");
    }

    #[test]
    fn a_message_for_a_waiting_consumer_does_not_wait() {
        let mut queue = queue_with(0);
        queue.add_consumer(ConsumerSettings { prefetch_count: 1, ..ConsumerSettings::default() });
        queue.publish(message("k", b"a"));
        queue.publish(message("k", b"b"));
        assert_eq!(under_way(&queue), [(0, "a".into())]);
        assert_eq!(queue.ready_count(), 1);
        let keys = deliver(&mut queue);
        queue.settle([(keys[0], Outcome::Ack)].into_iter());
        assert_eq!(queue.dispatch(9), 1);
        assert_eq!(under_way(&queue), [(0, "b".into())]);
    }

    #[test]
    fn requeued_messages_are_redelivered_in_their_old_place() {
        let mut queue = queue_with(3);
        let first = got(&mut queue, false).expect("a message");
        let second = got(&mut queue, false).expect("a message");
        give_back(&mut queue, second.key);
        give_back(&mut queue, first.key);
        let again: Vec<_> = std::iter::from_fn(|| got(&mut queue, true))
            .map(|got| (text(&got.message), got.redelivered))
            .collect();
        let expected = [("0", true), ("1", true), ("2", false)];
        assert_eq!(again, expected.map(|(body, again)| (body.to_owned(), again)));
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn while_messages_are_given_back_in_steps_nobody_is_served() {
        let mut queue = queue_of(limited(Some(3), None, false), 3);
        let first = got(&mut queue, false).expect("a message");
        let second = got(&mut queue, false).expect("a message");
        queue.publish(message("k", b"3"));
        queue.publish(message("k", b"4"));
        queue.suspend();
        queue.add_consumer(ConsumerSettings::default());
        give_back(&mut queue, second.key);
        assert_eq!(queue.dispatch(9), 0);
        give_back(&mut queue, first.key);
        assert_eq!(queue.ready_count(), 5, "what is dropped is known at the end");
        queue.unsuspend();
        assert_eq!(queue.dispatch(9), 3);
        let bodies: Vec<_> = under_way(&queue).into_iter().map(|(_, body)| body).collect();
        assert_eq!(bodies, ["2", "3", "4"]);
    }

    #[test]
    fn a_new_consumer_is_not_credited_for_what_an_old_one_held() {
        let mut queue = queue_with(4);
        let limited = ConsumerSettings { prefetch_count: 1, ..ConsumerSettings::default() };
        let old = queue.add_consumer(limited);
        queue.dispatch(10);
        let held = deliver(&mut queue);
        queue.remove_consumer(old);
        let new = queue.add_consumer(limited);
        assert_eq!(new.slot, old.slot, "the slot is used again");
        assert_eq!(queue.dispatch(10), 1);
        let its_own = deliver(&mut queue);
        queue.settle([(held[0], Outcome::Ack)].into_iter());
        assert_eq!(queue.dispatch(10), 0, "the new consumer still holds one");
        queue.settle([(its_own[0], Outcome::Ack)].into_iter());
        assert_eq!(queue.dispatch(10), 1);
    }

    #[test]
    fn a_length_limit_drops_from_the_head() {
        let mut queue = queue_of(limited(Some(2), None, false), 5);
        assert_eq!(rest(&mut queue), ["3", "4"]);
        let mut queue = queue_of(limited(None, Some(3), false), 5);
        assert_eq!(rest(&mut queue), ["2", "3", "4"]);
    }

    #[test]
    fn the_limit_holds_however_a_message_comes_in() {
        let mut queue = queue_of(limited(Some(2), None, false), 2);
        let held: Vec<_> = std::iter::from_fn(|| got(&mut queue, false)).collect();
        queue.publish(message("k", b"c"));
        queue.publish(message("k", b"d"));
        queue.settle(held.iter().map(|got| (got.key, Outcome::Requeue)));
        assert_eq!(queue.ready_count(), 2, "after a requeue");

        queue.add_consumer(ConsumerSettings::default());
        assert_eq!(queue.dispatch(9), 2);
        queue.publish(message("k", b"e"));
        assert_eq!(queue.conclude(&[Verdict::Refused; 3]), 0);
        assert_eq!(rest(&mut queue), ["d", "e"], "after refused deliveries");
    }

    #[test]
    fn a_queue_that_refuses_keeps_what_it_has_and_takes_what_fits() {
        let mut queue = queue_of(limited(Some(2), None, true), 2);
        assert_eq!(queue.admit(message("k", b"c")), Err(Full));
        assert_eq!(rest(&mut queue), ["0", "1"]);
        assert_eq!(queue.admit(message("k", b"c")), Ok(2));

        let mut queue = queue_of(limited(None, Some(10), true), 0);
        let taken = [8, 5, 2, 1, 0].map(|size| queue.admit(message("k", &vec![0; size])).is_ok());
        assert_eq!(taken, [true, false, true, false, true]);

        let mut queue = queue_of(limited(Some(0), None, true), 0);
        queue.add_consumer(ConsumerSettings::default());
        assert_eq!(queue.admit(message("k", b"")), Err(Full), "even with a consumer that waits");
    }

    #[test]
    fn purge_leaves_unacknowledged_messages() {
        let mut queue = queue_with(3);
        let got = got(&mut queue, false).expect("a message");
        assert_eq!(queue.purge().len(), 2);
        assert_eq!(queue.unacked_count(), 1);
        give_back(&mut queue, got.key);
        assert_eq!(queue.ready_count(), 1);
    }
}
