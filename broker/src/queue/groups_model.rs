//! Model test of a queue that serves by groups: random commands, and after each of them what groups
//! promise is held against a list in which every message has one place.
//!
//! Who gets which group is left to the queue; checked are that a group is with one consumer at a time,
//! that its messages come in order, that nobody with credit is left without a group that could be had,
//! that nobody gets anything of a group of which something waits for a second attempt, and that the
//! stores are told of everything once. Most bodies are paged, as in `queue::model`, and what was stored
//! comes back after a restart.

mod restarting;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue, RawTable};
use proptest::collection::vec;
use proptest::prelude::*;

use self::steps::{New, Step, step};
use super::ConsumerSettings;
use super::command::{Command, Reply};
use super::cursor::Which;
use super::group_by::GroupBy;
use super::held::Returns;
use super::paged::Shelf;
use super::restarts::{Told, index};
use super::state::{Facts, Fetched, QueueKind, QueueState, Verdict};
use super::steps::{programs, retry};
use crate::keys::{ConsumerKey, DeliveryKey, Outcome};
use crate::message::Message;
use crate::message::tests::{persistent, with_properties};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready,
    Out(DeliveryKey, ConsumerKey),
    /// It came back, and waits until then.
    Waiting(u64),
    Gone,
}

#[derive(Debug)]
struct Known {
    new: New,
    place: Place,
    failures: u32,
    expires_ms: u64,
    /// Who had it last under a timeout, and when it has to be settled.
    due: Option<(ConsumerKey, u64)>,
}

#[derive(Debug)]
struct Consumer {
    key: ConsumerKey,
    settings: ConsumerSettings,
    timeout_ms: Option<u64>,
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

struct Pair {
    real: QueueState,
    kind: QueueKind,
    facts: Facts,
    /// The queue as it started,
    started: QueueState,
    /// and the commands since, as they are written down.
    written: Vec<String>,
    /// Keys of what was taken back, and not settled since.
    late: Vec<DeliveryKey>,
    known: Vec<Known>,
    published: Vec<Message>,
    consumers: Vec<Consumer>,
    told: Told,
}

fn queue(kind: QueueKind) -> QueueState {
    QueueState::new(kind).grouped_by(Some(GroupBy::Header("group".to_owned())))
}

impl Pair {
    fn new(kind: QueueKind, room: usize) -> Self {
        Self {
            real: queue(kind),
            kind,
            facts: Facts { now_ms: 1_000_000, room },
            started: queue(kind),
            written: Vec::new(),
            late: Vec::new(),
            known: Vec::new(),
            published: Vec::new(),
            consumers: Vec::new(),
            told: Told::default(),
        }
    }

    fn command(&mut self, command: Command) -> Reply {
        self.written.push(serde_json::to_string(&(self.facts, &command)).expect("serialisable"));
        let reply = self.real.apply(command, self.facts);
        self.serve_stores();
        reply
    }

    fn serve_stores(&mut self) {
        self.told.hear(self.real.changes());
        for dead in self.real.take_dead() {
            self.known[index(dead.sequence)].place = Place::Gone;
            if dead.shelf == Some(Shelf::Scratch) {
                self.told.unpaged.push(dead.sequence);
            } else if self.published[index(dead.sequence)].is_persistent() {
                self.told.settled.push(dead.sequence);
            }
        }
        self.see_who_waits();
    }

    /// Who waits for a second attempt, waits until then and not longer than asked.
    fn see_who_waits(&mut self) {
        let waiting = self.real.look(Which::Delayed, None, (usize::MAX, usize::MAX));
        let waiting: BTreeMap<usize, Option<u64>> =
            waiting.iter().map(|seen| (index(seen.sequence), seen.due_ms)).collect();
        for (number, known) in self.known.iter_mut().enumerate() {
            match (known.place, waiting.get(&number)) {
                (Place::Waiting(due_ms), Some(seen)) => assert_eq!(*seen, Some(due_ms)),
                (Place::Waiting(due_ms), None) => {
                    assert!(due_ms <= self.facts.now_ms, "{number} comes too soon");
                    known.place = Place::Ready;
                }
                (_, waits) => assert_eq!(waits, None, "{number}"),
            }
        }
    }

    /// Where a message goes that comes back now.
    fn place_of_return(&self, number: usize, outcome: Outcome) -> Place {
        let Known { failures, expires_ms, .. } = self.known[number];
        let returns = Returns::from_stored(failures << 16);
        let retry =
            self.kind.retry.and_then(|retry| retry.wait_ms(outcome, returns, number as u64));
        let due_ms = |wait_ms: u64| (self.facts.now_ms + wait_ms).min(expires_ms);
        retry.map_or(Place::Ready, |wait_ms| Place::Waiting(due_ms(wait_ms)))
    }

    fn known(&self, new: New) -> Known {
        let expires_ms = new.lives_ms.map_or(u64::MAX, |lives_ms| self.facts.now_ms + lives_ms);
        let new = New { priority: new.priority.min(self.kind.max_priority), ..new };
        Known { new, place: Place::Ready, failures: 0, expires_ms, due: None }
    }

    fn run(&mut self, step: &Step) {
        self.facts.now_ms += 1;
        match step {
            Step::Publish(run) => {
                let first = self.published.len();
                let messages: Vec<_> =
                    (first..).zip(run).map(|(number, new)| numbered(number, *new)).collect();
                let known: Vec<_> = run.iter().map(|new| self.known(*new)).collect();
                self.known.extend(known);
                let now_ms = self.facts.now_ms;
                self.published.extend(messages.iter().map(|one| one.clone().arrived_at(now_ms)));
                self.command(Command::Publish(messages));
                self.conclude(&[Verdict::Accepted]);
            }
            Step::Consume(settings) => {
                let reply = self.command(Command::Consume(*settings));
                let Reply::Consumer(key) = reply else { panic!("a consumer") };
                let timeout_ms = settings.timeout_ms.or(self.kind.consumer_timeout_ms);
                let (settings, paused) = (*settings, false);
                self.consumers.push(Consumer { key, settings, timeout_ms, paused });
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
            Step::Lapse => self.lapse(),
            Step::SettleLate(which, outcome) => self.settle_late(*which, *outcome),
            Step::Restart(how) => self.restart(*how),
        }
        self.check();
    }

    fn lapse(&mut self) {
        let is_out = |known: &&Known| matches!(known.place, Place::Out(..));
        let due = self.known.iter().filter(is_out).filter_map(|known| known.due);
        let due = due.filter(|(_, due_ms)| *due_ms <= self.facts.now_ms);
        let lapsed: BTreeSet<_> = due.map(|(holder, _)| holder).collect();
        self.consumers.retain(|consumer| !lapsed.contains(&consumer.key));
        for number in 0..self.known.len() {
            let Known { place, due, .. } = self.known[number];
            if let Place::Out(key, _) = place
                && due.is_some_and(|(holder, _)| lapsed.contains(&holder))
            {
                self.known[number].place = self.place_of_return(number, Outcome::Requeue);
                self.late.push(key);
            }
        }
        self.command(Command::Lapse);
        let told = self.real.take_lapsed().into_iter().map(|lapse| lapse.holder);
        assert!(told.eq(lapsed), "who lapsed");
    }

    /// It is nobody's any more: nothing happens.
    fn settle_late(&mut self, which: usize, outcome: Outcome) {
        if let Some(at) = which.checked_rem(self.late.len()) {
            let key = self.late.swap_remove(at);
            self.command(Command::Settle(vec![(key, outcome)]));
        }
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
            Place::Waiting(_) => Some(ConsumerKey::NONE),
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
            let consumer = self.consumers.iter().find(|known| known.key == delivery.consumer);
            let timeout_ms = consumer.expect("it is there").timeout_ms;
            let due = timeout_ms.map(|ms| (delivery.consumer, self.facts.now_ms + ms));
            self.known[*number].due = due.filter(|_| delivery.key() != DeliveryKey::NONE);
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
            Place::Ready | Place::Waiting(_) | Place::Gone => None,
        };
        let out: Vec<_> = self.known.iter().enumerate().filter_map(out).collect();
        let Some(at) = which.checked_rem(out.len()) else { return };
        let (number, key) = out[at];
        self.known[number].failures += u32::from(outcome == Outcome::Failed);
        self.known[number].place = match outcome.gives_back() {
            true => self.place_of_return(number, outcome),
            false => Place::Gone,
        };
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
        let due = self.kind.consumer_timeout_ms.map(|ms| (got.holder, self.facts.now_ms + ms));
        self.known[number].due = due.filter(|_| !no_ack);
        self.delivered(number, got.key, ConsumerKey::NONE);
        if no_ack {
            self.known[number].place = Place::Gone;
        }
        true
    }

    fn purge(&mut self) {
        for known in &mut self.known {
            if matches!(known.place, Place::Waiting(_)) {
                known.place = Place::Ready;
            }
        }
        let Reply::Taken(taken) = self.command(Command::Purge) else { panic!("what was purged") };
        self.real.changes().forget_all(true, &taken);
        let ready = self.known.iter().filter(|known| known.place == Place::Ready);
        assert_eq!(taken.len(), ready.count());
        for known in &mut self.known {
            if known.place == Place::Ready {
                known.place = Place::Gone;
            }
        }
        self.serve_stores();
    }

    fn check(&self) {
        let count =
            |is: fn(&Place) -> bool| self.known.iter().filter(|known| is(&known.place)).count();
        assert_eq!(self.real.ready_count(), count(|place| *place == Place::Ready));
        assert_eq!(self.real.unacked_count(), count(|place| matches!(place, Place::Out(..))));
        let waiting = count(|place| matches!(place, Place::Waiting(_)));
        assert_eq!(self.real.delayed_count(), waiting);
    }

    /// The commands that were written down make the same queue.
    fn replay(&self) {
        let mut again = self.started.clone();
        for line in &self.written {
            let (facts, command): (Facts, Command) =
                serde_json::from_str(line).expect("what was written");
            again.apply(command, facts);
            Told::default().hear(again.changes());
            again.take_dead();
            again.take_lapsed();
        }
        assert_eq!(again.snapshot(), self.real.snapshot());
    }

    /// Everything that is not gone comes out once, and nothing is left anywhere.
    fn drain(&mut self) {
        while !self.late.is_empty() {
            self.settle_late(0, Outcome::Ack);
        }
        while self.real.unacked_count() > 0 {
            self.settle(0, Outcome::Requeue);
        }
        self.facts.now_ms += 1000;
        while self.get(true) {}
        self.check();
        assert_eq!((self.real.ready_count(), self.real.bytes()), (0, 0));
        assert_eq!(self.real.resident_bytes(), 0);
        self.told.assert_gone(&self.published);
    }
}

proptest! {
    #![proptest_config(programs())]

    #[test]
    fn a_group_is_with_one_consumer_and_in_order(
        max_priority in 0_u8..=2,
        room in prop_oneof![Just(0_usize), Just(1), Just(500), Just(usize::MAX)],
        drops_lowest in any::<bool>(),
        messages in prop::option::weighted(0.3, 1_usize..10),
        retry in prop::option::weighted(0.4, retry()),
        consumer_timeout_ms in prop::option::weighted(0.3, 0_u64..100),
        steps in vec(step(), 1..150),
    ) {
        let kind = QueueKind {
            max_priority,
            is_stored: true,
            has_dead_letters: true,
            drops_lowest,
            limit: super::arguments::LengthLimit { messages, bytes: None },
            retry,
            consumer_timeout_ms,
            ..QueueKind::default()
        };
        let mut pair = Pair::new(kind, room);
        for step in &steps {
            pair.run(step);
        }
        pair.replay();
        pair.drain();
    }
}
