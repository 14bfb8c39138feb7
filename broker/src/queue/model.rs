//! Model test: random commands drive `QueueState` beside a deliberately naive queue, and every
//! delivery, count and byte must agree.
//!
//! The naive queue is one vector in which every message has exactly one place for ever; whatever it
//! is asked it finds out by looking at all of it, so there is nothing in it that could get out of
//! step. The room for bodies is small, so most are paged and read back; the naive queue does not
//! notice. Checked beyond agreement: the stores are told of every message that is gone, once; no
//! consumer holds more than its prefetch, nobody with credit is left without a message that waits,
//! equals take strict turns, no limit is exceeded; and the commands, written down and read again,
//! make the same queue, be runs of publishes one command or many.

mod changing;
mod looking;
mod restarting;

use leveret_protocol::properties::BasicProperties;
use proptest::collection::vec;
use proptest::prelude::*;

use super::ConsumerSettings;
use super::command::{Command, Reply};
use super::deaths::{Dead, Fate, Reason, UNPLACED};
use super::naive::{Naive, NaiveConsumer, Place, Seen};
use super::paged::Shelf;
use super::restarts::Told;
use super::state::{Delivery, Facts, Fetched, QueueKind, QueueState, Verdict};
use super::steps::{New, Step, kind, programs, step};
use crate::keys::{ConsumerKey, DeliveryKey, Outcome};
use crate::message::Message;
use crate::message::tests::{message, persistent, with_properties};

/// A message that carries its number in its body.
fn numbered(number: usize, new: New) -> Message {
    let body = format!("{number} {}", "x".repeat(new.length));
    let expiration = new.lives_ms.map(|lives| lives.to_string());
    let expiration = expiration.as_ref().map(|text| text.as_bytes());
    let properties = BasicProperties { expiration, ..BasicProperties::default() };
    let message = with_properties(&properties, body.as_bytes()).with_priority(new.priority);
    if number.is_multiple_of(2) { persistent(message) } else { message }
}

fn number(message: &Message) -> usize {
    let body = String::from_utf8_lossy(message.body()).into_owned();
    body.split(' ').next().and_then(|word| word.parse().ok()).expect("a number")
}

struct Pair {
    real: QueueState,
    naive: Naive,
    facts: Facts,
    /// The queue as it started,
    started: QueueState,
    /// and the commands since, as they are written down.
    written: Vec<String>,
    /// By sequence number, which is the naive queue's number of the message, too.
    published: Vec<Message>,
    /// Keys of what was taken back, and not settled since.
    late: Vec<DeliveryKey>,
    /// What came before this time may have been handed out before a crash.
    doubted_before_ms: u64,
    /// Some of the dead find nobody to take them,
    keeps_dead: bool,
    /// of so many so far.
    buried: usize,
    told: Told,
}

impl Pair {
    fn new(kind: QueueKind, room: usize) -> Self {
        Self {
            real: QueueState::new(kind),
            naive: Naive { kind, ..Naive::default() },
            facts: Facts { now_ms: 1_000_000, room },
            started: QueueState::new(kind),
            written: Vec::new(),
            published: Vec::new(),
            late: Vec::new(),
            doubted_before_ms: 0,
            keeps_dead: true,
            buried: 0,
            told: Told::default(),
        }
    }

    fn some_consumer(&self, which: usize) -> Option<ConsumerKey> {
        let consumers = &self.naive.consumers;
        consumers.get(which.checked_rem(consumers.len())?).map(|consumer| consumer.key)
    }

    fn command(&mut self, command: Command) -> Reply {
        self.written.push(serde_json::to_string(&(self.facts, &command)).expect("serialisable"));
        self.real.apply(command, self.facts)
    }

    fn run(&mut self, step: &Step) {
        self.facts.now_ms += 7;
        self.naive.now_ms = self.facts.now_ms;
        match step {
            Step::Publish(batch, verdicts) => self.publish(batch, verdicts),
            Step::Admit(new, verdicts) => self.admit(*new, verdicts),
            Step::Consume(settings) => self.consume(*settings),
            Step::Cancel(which) => self.cancel(*which),
            Step::Dispatch(limit, verdicts) => self.dispatch(*limit, verdicts),
            Step::Serve(which, limit, verdicts) => self.serve(*which, *limit, verdicts),
            Step::Settle(which, outcome) => {
                let mut unacked = self.naive.unacked();
                let mut some = Vec::new();
                for which in which {
                    if let Some(at) = which.checked_rem(unacked.len()) {
                        some.push(unacked.swap_remove(at));
                    }
                }
                self.settle(some, *outcome);
            }
            Step::Get(no_ack) => _ = self.get(*no_ack),
            Step::Suspend => {
                self.command(Command::Suspend);
                self.naive.suspended += 1;
            }
            Step::Unsuspend => self.unsuspend(),
            Step::Pause(is_paused) => {
                self.command(Command::Pause(*is_paused));
                self.naive.is_paused = *is_paused;
            }
            Step::Purge => self.purge(),
            Step::Remove(some, which) => self.remove(some, *which),
            Step::Move(some, which, taken) => self.move_elsewhere(some, *which, *taken),
            Step::Expire => {
                self.command(Command::Expire);
                self.naive.expire();
            }
            Step::Lapse => self.lapse(),
            Step::TryKept => self.try_kept(),
            Step::SettleLate(which, outcome) => self.settle_late(*which, *outcome),
            Step::Reconfigure(policy) => self.reconfigure(*policy),
            Step::Restart(how) => self.restart(*how),
        }
    }

    fn unsuspend(&mut self) {
        if self.naive.suspended > 0 {
            self.command(Command::Unsuspend);
            self.naive.suspended -= 1;
            self.naive.enforce_limit();
        }
    }

    fn purge(&mut self) {
        let Reply::Taken(taken) = self.command(Command::Purge) else { panic!("taken") };
        assert_eq!(taken.len(), self.naive.ready() + self.naive.waiting());
        self.real.changes().forget_all(true, &taken);
        let all = self.naive.messages.iter_mut();
        let leaves = |place| matches!(place, Place::Ready | Place::Kept(_) | Place::Waiting(_));
        all.filter(|message| leaves(message.place)).for_each(|message| message.place = Place::Gone);
    }

    /// A delivery on its way, as both queues should see it.
    fn seen(&self, delivery: &Delivery) -> Seen {
        let (message, redelivered) = self.real.parcel(delivery).expect("in memory");
        let acknowledges = delivery.key() != DeliveryKey::NONE;
        (delivery.consumer, number(message), acknowledges, redelivered)
    }

    fn publish(&mut self, batch: &[New], verdicts: &[Verdict]) {
        let first = self.published.len();
        assert_eq!(self.real.next_sequence(), first as u64);
        let numbered = |(at, &new)| numbered(first + at, new);
        let messages: Vec<_> = batch.iter().enumerate().map(numbered).collect();
        let now_ms = self.facts.now_ms;
        self.published.extend(messages.iter().map(|one| one.clone().arrived_at(now_ms)));
        self.command(Command::Publish(messages.clone()));
        let sent: Vec<_> = self.real.under_way().to_vec();
        let mut expected = sent.iter();
        for message in &messages {
            let next = expected.as_slice().first();
            let key = next.map_or(DeliveryKey::NONE, Delivery::key);
            if let Some(seen) = self.naive.publish(message, key) {
                assert_eq!(expected.next().map(|delivery| self.seen(delivery)), Some(seen));
            }
        }
        assert_eq!(expected.len(), 0, "nothing else was sent");
        self.conclude(verdicts);
    }

    fn admit(&mut self, new: New, verdicts: &[Verdict]) {
        let message = numbered(self.published.len(), new);
        let refused = self.naive.kind.rejects && self.naive.is_over(1, message.body().len());
        let Reply::Admitted(admitted) = self.command(Command::Admit(message.clone())) else {
            panic!("admitted or not")
        };
        assert_eq!(admitted.ok(), (!refused).then_some(self.published.len() as u64));
        if refused {
            self.naive.refuse();
        } else {
            let sent = self.real.under_way().first().copied();
            let key = sent.as_ref().map_or(DeliveryKey::NONE, Delivery::key);
            let seen = self.naive.publish(&message, key);
            assert_eq!(sent.map(|delivery| self.seen(&delivery)), seen);
            self.published.push(message.arrived_at(self.facts.now_ms));
            self.conclude(verdicts);
        }
    }

    /// Ends what is on its way with these verdicts.
    fn conclude(&mut self, verdicts: &[Verdict]) {
        let sent: Vec<_> = self.real.under_way().to_vec();
        let sent: Vec<_> = sent.iter().map(|delivery| self.seen(delivery)).collect();
        let verdicts: Vec<_> = verdicts.iter().copied().cycle().take(sent.len()).collect();
        self.command(Command::Conclude(verdicts.clone()));
        for ((consumer, number, ..), verdict) in sent.into_iter().zip(&verdicts) {
            if *verdict != Verdict::Accepted {
                self.naive.pause(consumer, true);
            }
            if *verdict == Verdict::Refused {
                self.naive.messages[number].place = Place::Ready;
            }
            self.naive.choose_active();
        }
        if verdicts.contains(&Verdict::Refused) {
            self.naive.enforce_limit();
        }
    }

    /// What the shell does: tells the stores, and reads what is needed next.
    fn serve_stores(&mut self) {
        self.bury();
        self.tell_stores();
    }

    fn tell_stores(&mut self) {
        self.told.hear(self.real.changes());
    }

    /// What the vhost does: publishes the dead elsewhere, and tells the stores.
    fn bury(&mut self) {
        let dead = self.real.take_dead();
        let mut unread = 0;
        let mut fates = Vec::new();
        for one in &dead {
            unread += usize::from(one.message().is_none());
            fates.extend(self.publish_dead(one));
        }
        let seen = dead.iter().map(|one| {
            let place = (one.sequence != UNPLACED).then_some(one.sequence);
            (place.map(|place| usize::try_from(place).expect("small")), one.reason)
        });
        assert_eq!(seen.collect::<Vec<_>>(), std::mem::take(&mut self.naive.dead));
        self.command(Command::Learn(fates));
        if unread > 0 {
            self.command(Command::Buried(unread));
        }
    }

    /// Publishes one, or every third one not.
    fn publish_dead(&mut self, one: &Dead) -> Option<Fate> {
        if one.sequence == UNPLACED {
            return None;
        }
        let number = usize::try_from(one.sequence).expect("small");
        let message = &self.published[number];
        self.buried += 1;
        if self.keeps_dead && self.buried.is_multiple_of(3) {
            let mut one = one.clone();
            one.read(message.clone());
            self.naive.messages[number].place = Place::Kept(one.reason);
            return one.stays(Vec::new());
        }
        self.naive.messages[number].place = Place::Gone;
        match (one.shelf, message.is_persistent()) {
            (Some(Shelf::Scratch), _) => self.told.unpaged.push(one.sequence),
            (_, true) => self.told.settled.push(one.sequence),
            (_, false) => {}
        }
        one.is_kept.then_some(Fate::Gone(one.sequence))
    }

    fn read(&mut self, messages: usize) {
        // Reading takes no time here: nothing expires before it is asked for.
        self.command(Command::Expire);
        self.naive.expire();
        while !self.real.is_read_ahead(messages, usize::MAX) {
            self.serve_stores();
            let plan = self.real.plan_reading(messages, 100);
            assert!(!plan.is_empty(), "something has to be read");
            let mut found: Vec<(u64, Shelf)> = Vec::new();
            let all = |ranges: Vec<std::ops::Range<u64>>| ranges.into_iter().flatten();
            found.extend(all(plan.scratch).map(|sequence| (sequence, Shelf::Scratch)));
            found.extend(all(plan.durable).map(|sequence| (sequence, Shelf::Durable)));
            found.sort_unstable_by_key(|(sequence, _)| *sequence);
            for (sequence, shelf) in found {
                let message = self.published[usize::try_from(sequence).expect("small")].clone();
                let is_durable = shelf == Shelf::Durable;
                assert_eq!(message.is_persistent(), is_durable);
                assert!(is_durable || self.told.paged_out.contains(&sequence));
                let reply = self.command(Command::TakeIn(shelf, sequence, message));
                assert!(matches!(reply, Reply::Is(true)));
            }
        }
    }

    fn consume(&mut self, settings: ConsumerSettings) {
        let Reply::Consumer(key) = self.command(Command::Consume(settings)) else {
            panic!("a consumer")
        };
        assert!(self.naive.consumers.iter().all(|other| other.key != key), "{key:?} is taken");
        let timeout_ms = settings.timeout_ms.or(self.naive.kind.consumer_timeout_ms);
        let new = NaiveConsumer { key, settings, timeout_ms, paused: false, in_line_since: None };
        self.naive.consumers.push(new);
        self.naive.choose_active();
        self.naive.line_up(key);
    }

    fn cancel(&mut self, which: usize) {
        let Some(key) = self.some_consumer(which) else { return };
        assert!(matches!(self.command(Command::Cancel(key)), Reply::Is(true)));
        assert!(matches!(self.command(Command::Cancel(key)), Reply::Is(false)), "once");
        self.naive.consumers.retain(|consumer| consumer.key != key);
        for message in &mut self.naive.messages {
            if let Place::Unacked(_, holder) = &mut message.place {
                *holder = holder.filter(|&holder| holder != key);
            }
        }
        self.naive.choose_active();
    }

    fn dispatch(&mut self, limit: usize, verdicts: &[Verdict]) {
        self.read(limit);
        self.command(Command::Dispatch(limit));
        let sent: Vec<_> = self.real.under_way().to_vec();
        for delivery in &sent {
            self.naive.expire();
            assert_eq!(self.naive.deliver(delivery.key()), Some(self.seen(delivery)));
        }
        if sent.len() < limit {
            self.naive.expire();
        }
        // What came behind messages whose time was up may have to be read first.
        if sent.len() < limit && self.real.is_read_ahead(1, usize::MAX) {
            assert_eq!(self.naive.deliver(DeliveryKey::NONE), None);
            let idle = |consumer: &NaiveConsumer| self.naive.has_credit(consumer);
            let may = !self.naive.holds_back();
            let stuck = may && self.naive.ready() > 0 && self.naive.consumers.iter().any(idle);
            assert!(!stuck, "a message and a consumer with credit wait for each other");
        }
        self.conclude(verdicts);
    }

    fn serve(&mut self, which: usize, limit: usize, verdicts: &[Verdict]) {
        let Some(consumer) = self.some_consumer(which) else { return };
        self.read(limit);
        let reply = self.command(Command::Serve(consumer, limit));
        let sent: Vec<_> = self.real.under_way().to_vec();
        for delivery in &sent {
            self.naive.expire();
            let expected = self.naive.serve(consumer, delivery.key());
            assert_eq!(expected, Some(self.seen(delivery)));
        }
        assert!(matches!(reply, Reply::Is(more) if more == (sent.len() == limit)));
        if sent.len() < limit {
            self.naive.expire();
            if self.real.is_read_ahead(1, usize::MAX) {
                assert_eq!(self.naive.serve(consumer, DeliveryKey::NONE), None);
            }
            self.naive.pause(consumer, false);
        }
        self.conclude(verdicts);
    }

    fn settle(&mut self, keys: Vec<DeliveryKey>, outcome: Outcome) {
        let deliveries = keys.iter().map(|&key| (key, outcome)).collect();
        self.command(Command::Settle(deliveries));
        for key in keys {
            let number = self.naive.find(key);
            let message = &mut self.naive.messages[number];
            message.returned |= outcome.gives_back();
            message.failures += u32::from(outcome == Outcome::Failed);
            let failed = outcome.gives_back() && self.naive.has_failed_too_often(number);
            let place = match outcome.gives_back() {
                true => self.naive.place_of_return(number, outcome),
                false => Place::Gone,
            };
            self.naive.take_back(number, place);
            if failed {
                self.naive.die(number, Reason::DeliveryLimit);
            } else if outcome == Outcome::Discard {
                self.naive.die(number, Reason::Rejected);
            }
        }
        if outcome.gives_back() {
            self.naive.enforce_limit();
        }
    }

    fn get(&mut self, no_ack: bool) -> bool {
        self.read(1);
        let Reply::Fetched(got) = self.command(Command::Get(no_ack)) else { panic!("an answer") };
        self.naive.expire();
        let may = !self.naive.is_paused;
        let Some(expected) = self.naive.first_ready().filter(|_| may) else {
            assert!(matches!(got, Fetched::Empty));
            return false;
        };
        let Fetched::Got(got) = got else { panic!("a message waits: {got:?}") };
        let due_ms = self.naive.due_ms(self.naive.kind.consumer_timeout_ms);
        let message = &mut self.naive.messages[expected];
        assert_eq!((number(&got.message), got.redelivered), (expected, message.is_redelivered()));
        assert_eq!(no_ack, got.key == DeliveryKey::NONE);
        message.place = if no_ack { Place::Gone } else { Place::Unacked(got.key, None) };
        message.holder = Some(got.holder).filter(|&holder| holder != ConsumerKey::NONE);
        message.due_ms = due_ms;
        assert_eq!(got.remaining, self.naive.ready());
        true
    }

    fn check(&self) {
        let Self { real, naive, .. } = self;
        // What waits for a second attempt counts, and is not dropped.
        let may_be_over = naive.suspended > 0 || naive.kind.rejects || naive.ready() == 0;
        assert!(may_be_over || !naive.is_over(0, 0), "the limit");
        let mut keys = naive.unacked();
        assert_eq!((real.ready_count(), real.delayed_count()), (naive.ready(), naive.waiting()));
        assert_eq!(real.unacked_count(), keys.len());
        self.check_cursor();
        assert_eq!(real.kept_count(), naive.kept().len());
        match naive.kind.counts_deliveries {
            // Messages grow by what consumers are told.
            true => assert!(real.bytes() >= naive.bytes()),
            false => assert_eq!(real.bytes(), naive.bytes()),
        }
        assert!(real.next_due_ms() <= naive.next_due_ms(), "it is woken in time");
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
        self.replay();
        self.run(&Step::Pause(false));
        while self.naive.suspended > 0 {
            self.unsuspend();
        }
        while !self.late.is_empty() {
            self.settle_late(0, Outcome::Discard);
        }
        for key in self.naive.unacked().into_iter().rev() {
            self.settle(vec![key], Outcome::Requeue);
        }
        self.facts.now_ms += 1000;
        self.naive.now_ms = self.facts.now_ms;
        while self.get(true) {}
        self.serve_stores();
        self.keeps_dead = false;
        while !self.naive.kept().is_empty() {
            self.try_kept();
        }
        self.check();
        assert_eq!((self.real.ready_count(), self.real.bytes()), (0, 0));
        assert_eq!(self.real.resident_bytes(), 0);
        self.serve_stores();
        self.replay();
        self.told.assert_gone(&self.published);
    }

    /// The commands that were written down make the same queue, and so do runs of publishes as
    /// single ones.
    fn replay(&mut self) {
        self.serve_stores();
        for singly in [false, true] {
            let mut again = self.started.clone();
            for line in &self.written {
                let (facts, command): (Facts, Command) =
                    serde_json::from_str(line).expect("what was written");
                if singly && let Command::Publish(messages) = command {
                    for one in messages {
                        again.apply(Command::Publish(vec![one]), facts);
                    }
                } else {
                    again.apply(command, facts);
                }
                // Nothing that was told to the stores is part of the queue.
                Told::default().hear(again.changes());
                again.take_dead();
                again.take_lapsed();
            }
            assert_eq!(again.snapshot(), self.real.snapshot());
        }
    }
}

proptest! {
    #![proptest_config(programs())]

    #[test]
    fn the_queue_does_what_a_naive_queue_does(
        kind in kind(),
        room in prop_oneof![Just(0_usize), Just(1), Just(500), Just(usize::MAX)],
        steps in vec(step(), 1..120),
    ) {
        let mut pair = Pair::new(kind, room);
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
        let mut turns = Vec::new();
        let mut arrive = |queue: &mut QueueState| {
            let sent = queue.under_way().len();
            turns.extend(queue.under_way().iter().map(|delivery| delivery.consumer));
            queue.conclude(&vec![Verdict::Accepted; sent]);
        };
        for (count, limit) in runs {
            for _ in 0..count {
                queue.publish(message("key", b""));
                if queue.under_way().len() == limit {
                    arrive(&mut queue);
                }
            }
            arrive(&mut queue);
            while queue.dispatch(limit) > 0 {
                arrive(&mut queue);
            }
        }
        for (consumer, turn) in turns.iter().zip(keys.iter().cycle()) {
            prop_assert_eq!(consumer, turn);
        }
    }
}
