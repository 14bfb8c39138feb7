//! Model test of a queue that delays: random commands, and what leaves it when, held against a list in
//! which every message has one place.
//!
//! The room for bodies is small, so most are paged. Checked beyond agreement: nothing is woken too late,
//! the stores are told of everything once, what was stored comes back after a restart, and the
//! commands, written down and read again, make the same queue.

use std::collections::BTreeMap;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, RawTable};
use proptest::collection::vec;
use proptest::prelude::*;

use super::command::{Command, Reply};
use super::deaths::Reason;
use super::paged::Shelf;
use super::restarts::{Told, index};
use super::state::{Facts, QueueKind, QueueState};
use super::steps::{Restart, programs, restart};
use crate::keys::WaitingPlace;
use crate::message::tests::{persistent, with_properties};
use crate::message::{DELAY, Marks, Message};

#[derive(Clone, Debug)]
enum Step {
    /// A run, each with its delay, if it has one.
    Publish(Vec<Option<u32>>),
    Wait(u64),
    /// The timer wakes the queue.
    Expire,
    /// Some are taken back.
    Withdraw(Vec<usize>),
    Restart(Restart),
}

fn step() -> impl Strategy<Value = Step> {
    let run = vec(prop::option::weighted(0.9, 0_u32..200), 1..8);
    prop_oneof![
        6 => run.prop_map(Step::Publish),
        3 => (0_u64..80).prop_map(Step::Wait),
        4 => Just(Step::Expire),
        2 => vec(any::<usize>(), 1..4).prop_map(Step::Withdraw),
        1 => restart().prop_map(Step::Restart),
    ]
}

fn numbered(number: usize, delay_ms: Option<u32>) -> Message {
    let headers: FieldTable = delay_ms.map(|ms| (DELAY, i64::from(ms))).into_iter().collect();
    let entries = headers.to_bytes();
    let headers = Some(RawTable::new(&entries));
    let properties = BasicProperties { headers, ..BasicProperties::default() };
    let message = with_properties(&properties, number.to_string().as_bytes());
    let message = message.marked(Marks::DELAYED);
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
    published: Vec<Message>,
    /// When each that waits is due.
    waiting: BTreeMap<usize, u64>,
    told: Told,
}

impl Pair {
    fn new(room: usize) -> Self {
        let kind = QueueKind {
            delays: true,
            has_dead_letters: true,
            is_stored: true,
            ..QueueKind::default()
        };
        Self {
            real: QueueState::new(kind),
            kind,
            facts: Facts { now_ms: 1_000_000, room },
            started: QueueState::new(kind),
            written: Vec::new(),
            published: Vec::new(),
            waiting: BTreeMap::new(),
            told: Told::default(),
        }
    }

    fn command(&mut self, command: Command) -> Reply {
        self.written.push(serde_json::to_string(&(self.facts, &command)).expect("serialisable"));
        let reply = self.real.apply(command, self.facts);
        self.told.hear(self.real.changes());
        reply
    }

    fn run(&mut self, step: &Step) {
        self.facts.now_ms += 1;
        match step {
            Step::Publish(run) => self.publish(run),
            Step::Wait(ms) => self.facts.now_ms += ms,
            Step::Expire => self.expire(false),
            Step::Withdraw(which) => self.withdraw(which),
            Step::Restart(how) => self.restart(*how),
        }
        self.check();
    }

    fn publish(&mut self, run: &[Option<u32>]) {
        let now_ms = self.facts.now_ms;
        let mut messages = Vec::new();
        for delay_ms in run {
            let number = self.published.len();
            let message = numbered(number, *delay_ms);
            self.waiting.insert(number, now_ms + delay_ms.map_or(0, u64::from));
            self.published.push(message.clone().arrived_at(now_ms));
            messages.push(message);
        }
        self.command(Command::Publish(messages));
    }

    /// Those that wait, the first to leave first.
    fn in_order(&self) -> Vec<(u64, usize)> {
        let mut all: Vec<_> =
            self.waiting.iter().map(|(&number, &due_ms)| (due_ms, number)).collect();
        all.sort_unstable();
        all
    }

    /// What is due leaves. If that `is_lost`, the broker ends before anybody has it.
    fn expire(&mut self, is_lost: bool) {
        self.command(Command::Expire);
        let dead = self.real.take_dead();
        let due = self.in_order().into_iter().filter(|(due_ms, _)| *due_ms <= self.facts.now_ms);
        let due: Vec<_> = due.map(|(_, number)| number).collect();
        assert_eq!(dead.iter().map(|dead| index(dead.sequence)).collect::<Vec<_>>(), due);
        if is_lost {
            return;
        }
        for one in &dead {
            assert_eq!(one.reason, Reason::Due);
            let message = &self.published[index(one.sequence)];
            assert!(one.message().is_none_or(|body| number(body) == index(one.sequence)));
            assert_eq!(one.message().is_none(), one.shelf.is_some());
            if one.shelf == Some(Shelf::Scratch) {
                self.told.unpaged.push(one.sequence);
            } else if message.is_persistent() {
                self.told.settled.push(one.sequence);
            }
            self.waiting.remove(&index(one.sequence));
        }
        let unread = dead.iter().filter(|dead| dead.message().is_none()).count();
        self.command(Command::Buried(unread));
    }

    fn withdraw(&mut self, which: &[usize]) {
        let all = self.in_order();
        let some = which.iter().filter_map(|at| all.get(at.checked_rem(all.len())?));
        let place = |&(due_ms, number)| WaitingPlace { due_ms, sequence: number as u64 };
        let places: Vec<_> = some.map(place).collect();
        let before = self.waiting.len();
        for place in &places {
            self.waiting.remove(&index(place.sequence));
        }
        let reply = self.command(Command::Withdraw(places));
        let gone = before - self.waiting.len();
        assert!(matches!(reply, Reply::Count(count) if count == gone), "{reply:?}");
    }

    fn restart(&mut self, how: Restart) {
        let (down_ms, is_lost) = match how {
            Restart::Orderly(down_ms) => (down_ms, false),
            Restart::Crash(down_ms, buried) => (down_ms, !buried),
        };
        self.expire(is_lost);
        self.facts.now_ms += down_ms;
        let recovered = self.told.stored(&self.published);
        let published = &self.published;
        self.waiting.retain(|number, _| published[*number].is_persistent());
        let found = recovered.messages.iter().map(|message| index(message.sequence));
        assert!(found.eq(self.waiting.keys().copied()), "what is stored");
        self.real = QueueState::new(self.kind);
        self.real.begin(self.facts);
        self.real.restore(recovered, 0);
        self.started = self.real.clone();
        self.written.clear();
        self.told.forget_scratch();
    }

    fn check(&self) {
        let Self { real, .. } = self;
        assert_eq!((real.delayed_count(), real.ready_count()), (self.waiting.len(), 0));
        let size = |number: &usize| self.published[*number].size();
        assert_eq!(real.bytes(), self.waiting.keys().map(size).sum::<usize>());
        let all = self.in_order();
        assert!(real.next_due_ms() <= all.first().map_or(u64::MAX, |(due_ms, _)| *due_ms));
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = real.waiting_after(after, (3, 100));
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            seen.extend(page.iter().map(|(place, _)| (place.due_ms, index(place.sequence))));
        }
        assert_eq!(seen, all, "page by page");
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
        }
        assert_eq!(again.snapshot(), self.real.snapshot());
    }

    /// Everything leaves once.
    fn drain(&mut self) {
        self.facts.now_ms += 1000;
        self.expire(false);
        self.check();
        self.replay();
        assert_eq!((self.real.bytes(), self.real.resident_bytes()), (0, 0));
        self.told.assert_gone(&self.published);
    }
}

proptest! {
    #![proptest_config(programs())]

    #[test]
    fn what_is_delayed_leaves_when_it_is_due(
        room in prop_oneof![Just(0_usize), Just(1), Just(500), Just(usize::MAX)],
        steps in vec(step(), 1..100),
    ) {
        let mut pair = Pair::new(room);
        for step in &steps {
            pair.run(step);
        }
        pair.drain();
    }
}
