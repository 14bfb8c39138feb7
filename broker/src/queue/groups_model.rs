//! Model test of a queue that serves by groups: random commands, and after each of them what groups
//! promise is held against a list in which every message has one place.
//!
//! Who gets which group is left to the queue; checked are that a group is with one consumer at a time,
//! that its messages come in order, that nobody with credit is left without a group that could be had,
//! and that the stores are told of everything once. Most bodies are paged, as in `queue::model`.

use std::ops::Range;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue, RawTable};
use proptest::collection::vec;
use proptest::prelude::*;

use super::ConsumerSettings;
use super::command::{Command, Reply};
use super::group_by::GroupBy;
use super::paged::Shelf;
use super::state::{Facts, Fetched, QueueKind, QueueState, Verdict};
use crate::keys::{ConsumerKey, DeliveryKey, Outcome};
use crate::message::Message;
use crate::message::tests::{persistent, with_properties};

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<New>),
    Consume(ConsumerSettings),
    Cancel(usize),
    Dispatch(usize, Vec<Verdict>),
    Serve(usize, usize, Vec<Verdict>),
    Settle(usize, Outcome),
    Get(bool),
    Purge,
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
struct New {
    group: Option<u8>,
    priority: u8,
    lives_ms: Option<u64>,
}

fn new() -> impl Strategy<Value = New> {
    let group = prop::option::weighted(0.9, 0_u8..4);
    let lives_ms = prop::option::weighted(0.2, 0_u64..100);
    (group, 0_u8..3, lives_ms).prop_map(|(group, priority, lives_ms)| New {
        group,
        priority,
        lives_ms,
    })
}

fn settings() -> impl Strategy<Value = ConsumerSettings> {
    (-1_i64..=1, 0_u16..4, prop::bool::weighted(0.2)).prop_map(
        |(priority, prefetch_count, no_ack)| ConsumerSettings {
            priority,
            prefetch_count,
            no_ack,
            exclusive: false,
            timeout_ms: None,
        },
    )
}

fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
    let verdict = prop_oneof![
        8 => Just(Verdict::Accepted),
        1 => Just(Verdict::AcceptedAndFull),
        2 => Just(Verdict::Refused),
    ];
    vec(verdict, 8)
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Ack),
        1 => Just(Outcome::Requeue),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Discard)
    ];
    prop_oneof![
        6 => vec(new(), 1..8).prop_map(Step::Publish),
        3 => settings().prop_map(Step::Consume),
        1 => any::<usize>().prop_map(Step::Cancel),
        8 => (0_usize..8, verdicts()).prop_map(|(limit, verdicts)| Step::Dispatch(limit, verdicts)),
        4 => (any::<usize>(), 1_usize..4, verdicts())
            .prop_map(|(which, limit, verdicts)| Step::Serve(which, limit, verdicts)),
        10 => (any::<usize>(), outcome).prop_map(|(which, how)| Step::Settle(which, how)),
        2 => any::<bool>().prop_map(Step::Get),
        1 => Just(Step::Purge),
        1 => (1_u64..100).prop_map(Step::Wait),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready,
    Out(DeliveryKey, ConsumerKey),
    Gone,
}

#[derive(Debug)]
struct Known {
    new: New,
    place: Place,
}

#[derive(Debug)]
struct Consumer {
    key: ConsumerKey,
    settings: ConsumerSettings,
    paused: bool,
}

fn numbered(number: usize, new: New) -> Message {
    let mut headers = FieldTable::new();
    if let Some(group) = new.group {
        headers.insert("group", FieldValue::U8(group));
    }
    let headers = headers.to_bytes();
    let expiration = new.lives_ms.map(|lives| lives.to_string());
    let properties = BasicProperties {
        headers: Some(RawTable::new(&headers)),
        expiration: expiration.as_ref().map(|text| text.as_bytes()),
        ..BasicProperties::default()
    };
    let message = with_properties(&properties, number.to_string().as_bytes());
    let message = message.with_priority(new.priority);
    if number.is_multiple_of(2) { persistent(message) } else { message }
}

fn number(message: &Message) -> usize {
    str::from_utf8(message.body()).expect("text").parse().expect("a number")
}

fn index(sequence: u64) -> usize {
    usize::try_from(sequence).expect("small")
}

struct Pair {
    real: QueueState,
    max_priority: u8,
    facts: Facts,
    /// The commands so far, as they are written down.
    written: Vec<String>,
    known: Vec<Known>,
    published: Vec<Message>,
    consumers: Vec<Consumer>,
    settled: Vec<u64>,
    paged_out: Vec<u64>,
    unpaged: Vec<u64>,
}

fn queue(kind: QueueKind) -> QueueState {
    QueueState::new(kind).grouped_by(Some(GroupBy::Header("group".to_owned())))
}

impl Pair {
    fn new(kind: QueueKind, room: usize) -> Self {
        Self {
            real: queue(kind),
            max_priority: kind.max_priority,
            facts: Facts { now_ms: 1_000_000, room },
            written: Vec::new(),
            known: Vec::new(),
            published: Vec::new(),
            consumers: Vec::new(),
            settled: Vec::new(),
            paged_out: Vec::new(),
            unpaged: Vec::new(),
        }
    }

    fn command(&mut self, command: Command) -> Reply {
        self.written.push(serde_json::to_string(&(self.facts, &command)).expect("serialisable"));
        let reply = self.real.apply(command, self.facts);
        self.serve_stores();
        reply
    }

    fn serve_stores(&mut self) {
        let changes = self.real.changes();
        self.settled.extend(changes.take_settled());
        self.paged_out.extend(changes.take_paged_out().iter().map(|(sequence, _)| *sequence));
        self.unpaged.extend(changes.take_unpaged());
        changes.take_counts();
        for dead in self.real.take_dead() {
            self.known[index(dead.sequence)].place = Place::Gone;
            if dead.shelf == Some(Shelf::Scratch) {
                self.unpaged.push(dead.sequence);
            } else if self.published[index(dead.sequence)].is_persistent() {
                self.settled.push(dead.sequence);
            }
        }
    }

    fn run(&mut self, step: &Step) {
        self.facts.now_ms += 1;
        match step {
            Step::Publish(run) => {
                let first = self.published.len();
                let messages: Vec<_> =
                    (first..).zip(run).map(|(number, new)| numbered(number, *new)).collect();
                let cut = |new: &New| New { priority: new.priority.min(self.max_priority), ..*new };
                let known = run.iter().map(|new| Known { new: cut(new), place: Place::Ready });
                self.known.extend(known);
                self.published.extend(messages.iter().cloned());
                self.command(Command::Publish(messages));
                self.conclude(&[Verdict::Accepted]);
            }
            Step::Consume(settings) => {
                let reply = self.command(Command::Consume(*settings));
                let Reply::Consumer(key) = reply else { panic!("a consumer") };
                self.consumers.push(Consumer { key, settings: *settings, paused: false });
            }
            Step::Cancel(which) => {
                if let Some(at) = which.checked_rem(self.consumers.len()) {
                    let Consumer { key, .. } = self.consumers.swap_remove(at);
                    self.command(Command::Cancel(key));
                }
            }
            Step::Dispatch(limit, verdicts) => self.dispatch(*limit, verdicts),
            Step::Serve(which, limit, verdicts) => self.serve(*which, *limit, verdicts),
            Step::Settle(which, outcome) => self.settle(*which, *outcome),
            Step::Get(no_ack) => _ = self.get(*no_ack),
            Step::Purge => self.purge(),
            Step::Wait(ms) => self.facts.now_ms += ms,
        }
        self.check();
    }

    /// Reads what is needed.
    fn read(&mut self) {
        self.command(Command::Expire);
        while !self.real.is_read_ahead(1000, usize::MAX) {
            let plan = self.real.plan_reading(3, 100);
            assert!(!plan.is_empty(), "something has to be read");
            let all = |ranges: Vec<Range<u64>>| ranges.into_iter().flatten();
            let scratch = all(plan.scratch).map(|sequence| (sequence, Shelf::Scratch));
            let durable = all(plan.durable).map(|sequence| (sequence, Shelf::Durable));
            let mut found: Vec<_> = scratch.chain(durable).collect();
            found.sort_unstable_by_key(|(sequence, _)| *sequence);
            for (sequence, shelf) in found {
                let message = self.published[index(sequence)].clone();
                let reply = self.command(Command::TakeIn(shelf, sequence, message));
                assert!(matches!(reply, Reply::Is(true)));
            }
        }
    }

    fn is_same_group(&self, a: usize, b: usize) -> bool {
        a == b
            || (self.known[a].new.group.is_some()
                && self.known[a].new.group == self.known[b].new.group)
    }

    /// Who holds messages of a message's group.
    fn holders(&self, of: usize) -> impl Iterator<Item = ConsumerKey> + '_ {
        let same = (0..self.known.len()).filter(move |other| self.is_same_group(of, *other));
        same.filter_map(|other| match self.known[other].place {
            Place::Out(_, holder) => Some(holder),
            Place::Ready | Place::Gone => None,
        })
    }

    /// Takes note of a delivery, which has to be one that groups allow.
    fn delivered(&mut self, number: usize, key: DeliveryKey, consumer: ConsumerKey) {
        assert_eq!(self.known[number].place, Place::Ready);
        let order = |number: usize| (u8::MAX - self.known[number].new.priority, number);
        let before = (0..self.known.len()).find(|&other| {
            self.known[other].place == Place::Ready
                && self.is_same_group(number, other)
                && order(other) < order(number)
        });
        assert_eq!(before, None, "{number} overtakes");
        assert!(
            self.holders(number).all(|holder| holder == consumer && holder != ConsumerKey::NONE)
        );
        self.known[number].place = Place::Out(key, consumer);
    }

    /// Ends what is on its way with these verdicts.
    fn conclude(&mut self, verdicts: &[Verdict]) {
        let sent = self.real.under_way().to_vec();
        let verdicts: Vec<_> = verdicts.iter().copied().cycle().take(sent.len()).collect();
        let numbers: Vec<_> = sent
            .iter()
            .map(|delivery| number(self.real.parcel(delivery).expect("a body").0))
            .collect();
        for (delivery, number) in sent.iter().zip(&numbers) {
            self.delivered(*number, delivery.key(), delivery.consumer);
        }
        for ((delivery, number), verdict) in sent.iter().zip(&numbers).zip(&verdicts) {
            if *verdict == Verdict::Refused {
                self.known[*number].place = Place::Ready;
            } else if delivery.key() == DeliveryKey::NONE {
                self.known[*number].place = Place::Gone;
            }
            let consumer = self.consumers.iter_mut().find(|known| known.key == delivery.consumer);
            if *verdict != Verdict::Accepted {
                consumer.expect("it is there").paused = true;
            }
        }
        self.command(Command::Conclude(verdicts));
    }

    fn has_credit(&self, consumer: &Consumer) -> bool {
        let held = |known: &&Known| matches!(known.place, Place::Out(_, of) if of == consumer.key);
        let held = self.known.iter().filter(held).count();
        let ConsumerSettings { no_ack, prefetch_count, .. } = consumer.settings;
        let has_room = no_ack || prefetch_count == 0 || held < usize::from(prefetch_count);
        !consumer.paused && has_room
    }

    /// A message that this consumer could have.
    fn could_have(&self, consumer: ConsumerKey) -> Option<usize> {
        let ready = |number: &usize| self.known[*number].place == Place::Ready;
        let holds = |number: &usize| {
            self.holders(*number).all(|holder| holder == consumer && holder != ConsumerKey::NONE)
        };
        (0..self.known.len()).filter(ready).find(holds)
    }

    fn dispatch(&mut self, limit: usize, verdicts: &[Verdict]) {
        self.read();
        self.command(Command::Dispatch(limit));
        let sent = self.real.under_way().len();
        self.conclude(verdicts);
        // What has to be read is handed out when it was.
        let is_read = self.real.is_read_ahead(1000, usize::MAX);
        let is_accepted = verdicts.iter().all(|verdict| *verdict == Verdict::Accepted);
        if sent < limit && is_read && is_accepted {
            let idle = self.consumers.iter().filter(|consumer| self.has_credit(consumer));
            let idle: Vec<_> = idle.map(|consumer| consumer.key).collect();
            if self.consumers.iter().any(|consumer| consumer.settings.no_ack) {
                return;
            }
            for consumer in idle {
                let could = self.could_have(consumer);
                assert_eq!(could, None, "{consumer:?} waits for it, and it for a consumer");
            }
        }
    }

    fn serve(&mut self, which: usize, limit: usize, verdicts: &[Verdict]) {
        let Some(at) = which.checked_rem(self.consumers.len()) else { return };
        self.read();
        let key = self.consumers[at].key;
        let reply = self.command(Command::Serve(key, limit));
        let sent = self.real.under_way().to_vec();
        assert!(sent.iter().all(|delivery| delivery.consumer == key));
        let is_all = matches!(reply, Reply::Is(true));
        assert_eq!(is_all, sent.len() == limit);
        if !is_all {
            self.consumers[at].paused = false;
        }
        self.conclude(verdicts);
    }

    fn settle(&mut self, which: usize, outcome: Outcome) {
        let out = |(number, known): (usize, &Known)| match known.place {
            Place::Out(key, _) => Some((number, key)),
            Place::Ready | Place::Gone => None,
        };
        let out: Vec<_> = self.known.iter().enumerate().filter_map(out).collect();
        let Some(at) = which.checked_rem(out.len()) else { return };
        let (number, key) = out[at];
        self.known[number].place = if outcome.gives_back() { Place::Ready } else { Place::Gone };
        self.command(Command::Settle(vec![(key, outcome)]));
    }

    fn get(&mut self, no_ack: bool) -> bool {
        self.read();
        let Reply::Fetched(got) = self.command(Command::Get(no_ack)) else { panic!("an answer") };
        let Fetched::Got(got) = got else {
            assert!(matches!(got, Fetched::Empty));
            assert_eq!(self.could_have(ConsumerKey::NONE), None);
            return false;
        };
        let number = number(&got.message);
        self.delivered(number, got.key, ConsumerKey::NONE);
        if no_ack {
            self.known[number].place = Place::Gone;
        }
        true
    }

    fn purge(&mut self) {
        let Reply::Taken(taken) = self.command(Command::Purge) else { panic!("what was purged") };
        self.real.changes().forget_all(true, &taken);
        let ready = self.known.iter().filter(|known| known.place == Place::Ready);
        assert_eq!(taken.len(), ready.count());
        self.serve_stores();
        for known in &mut self.known {
            if known.place == Place::Ready {
                known.place = Place::Gone;
            }
        }
    }

    fn check(&self) {
        let count =
            |is: fn(&Place) -> bool| self.known.iter().filter(|known| is(&known.place)).count();
        assert_eq!(self.real.ready_count(), count(|place| *place == Place::Ready));
        assert_eq!(self.real.unacked_count(), count(|place| matches!(place, Place::Out(..))));
    }

    /// The commands that were written down make the same queue.
    fn replay(&self, again: QueueState) {
        let mut again = again;
        for line in &self.written {
            let (facts, command): (Facts, Command) =
                serde_json::from_str(line).expect("what was written");
            again.apply(command, facts);
            let changes = again.changes();
            changes.take_settled();
            changes.take_paged_out();
            changes.take_unpaged();
            changes.take_counts();
            again.take_dead();
        }
        assert_eq!(again.snapshot(), self.real.snapshot());
    }

    /// Everything that is not gone comes out once, and nothing is left anywhere.
    fn drain(&mut self) {
        while self.real.unacked_count() > 0 {
            self.settle(0, Outcome::Requeue);
        }
        while self.get(true) {}
        self.check();
        assert_eq!((self.real.ready_count(), self.real.bytes()), (0, 0));
        assert_eq!(self.real.resident_bytes(), 0);
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
    fn a_group_is_with_one_consumer_and_in_order(
        max_priority in 0_u8..=2,
        room in prop_oneof![Just(0_usize), Just(1), Just(500), Just(usize::MAX)],
        drops_lowest in any::<bool>(),
        messages in prop::option::weighted(0.3, 1_usize..10),
        steps in vec(step(), 1..150),
    ) {
        let kind = QueueKind {
            max_priority,
            is_stored: true,
            has_dead_letters: true,
            drops_lowest,
            limit: super::arguments::LengthLimit { messages, bytes: None },
            ..QueueKind::default()
        };
        let mut pair = Pair::new(kind, room);
        for step in &steps {
            pair.run(step);
        }
        pair.replay(queue(kind));
        pair.drain();
    }
}
