//! The naive queue that `model` holds the real one to: slow, and too simple to be wrong.
//!
//! One vector in which every message has exactly one place for ever; whatever it is asked it finds
//! out by looking at all of it.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::ConsumerSettings;
use super::arguments::LengthLimit;
use super::consumers::Activity;
use super::deaths::Reason;
use super::held::Returns;
use super::state::QueueKind;
use crate::keys::{ConsumerKey, DeliveryKey, Outcome};
use crate::message::Message;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Ready,
    /// It came back, and waits until then.
    Waiting(u64),
    Unacked(DeliveryKey, Option<ConsumerKey>),
    /// Dead, and nobody took it.
    Kept(Reason),
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct NaiveMessage {
    pub(super) priority: u8,
    pub(super) size: usize,
    pub(super) body_size: usize,
    /// It came back.
    pub(super) returned: bool,
    /// It may have been handed out before a crash.
    pub(super) in_doubt: bool,
    pub(super) failures: u32,
    pub(super) arrived_ms: u64,
    /// How long it may wait by its own word.
    pub(super) lives_ms: Option<u64>,
    pub(super) expires_ms: u64,
    pub(super) place: Place,
    /// Who was given it last, and when it has to be settled.
    pub(super) holder: Option<ConsumerKey>,
    pub(super) due_ms: u64,
    /// When it was handed out last: the moment.
    pub(super) handed_out: u64,
}

impl NaiveMessage {
    pub(super) fn is_redelivered(&self) -> bool {
        self.returned || self.in_doubt
    }
}

#[derive(Clone, Debug)]
pub(super) struct NaiveConsumer {
    pub(super) key: ConsumerKey,
    pub(super) settings: ConsumerSettings,
    /// How long it has for a delivery: what was so when it came.
    pub(super) timeout_ms: Option<u64>,
    pub(super) paused: bool,
    /// Since when it stands in line.
    pub(super) in_line_since: Option<u64>,
}

/// A message on its way, as both queues should see it: consumer, number of the message, whether it
/// needs settling, whether it was handed out before.
pub(super) type Seen = (ConsumerKey, usize, bool, bool);

/// The naive queue. A message's number is its index.
#[derive(Debug, Default)]
pub(super) struct Naive {
    pub(super) kind: QueueKind,
    pub(super) messages: Vec<NaiveMessage>,
    pub(super) consumers: Vec<NaiveConsumer>,
    /// The one that gets messages, of a queue where only one does.
    pub(super) active: Option<ConsumerKey>,
    pub(super) suspended: usize,
    pub(super) is_paused: bool,
    pub(super) moment: u64,
    pub(super) now_ms: u64,
    /// Those to be published elsewhere; `None` for one that never got in.
    pub(super) dead: Vec<(Option<usize>, Reason)>,
}

impl Naive {
    /// Whether nothing is handed out.
    pub(super) fn holds_back(&self) -> bool {
        self.suspended > 0 || self.is_paused
    }

    pub(super) fn ready(&self) -> usize {
        self.messages.iter().filter(|message| message.place == Place::Ready).count()
    }

    pub(super) fn unacked(&self) -> Vec<DeliveryKey> {
        let key = |message: &NaiveMessage| match message.place {
            Place::Unacked(key, _) => Some(key),
            Place::Ready | Place::Kept(_) | Place::Waiting(_) | Place::Gone => None,
        };
        self.messages.iter().filter_map(key).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        let here = |message: &&NaiveMessage| message.place != Place::Gone;
        self.messages.iter().filter(here).map(|message| message.size).sum()
    }

    pub(super) fn held_by(&self, consumer: ConsumerKey) -> usize {
        let held =
            |m: &&NaiveMessage| matches!(m.place, Place::Unacked(_, Some(of)) if of == consumer);
        self.messages.iter().filter(held).count()
    }

    /// Those that came back and wait.
    pub(super) fn waiting(&self) -> usize {
        self.messages.iter().filter(|message| matches!(message.place, Place::Waiting(_))).count()
    }

    pub(super) fn body_bytes(&self) -> usize {
        let counts = |place| matches!(place, Place::Ready | Place::Waiting(_));
        let ready = self.messages.iter().filter(|message| counts(message.place));
        ready.map(|message| message.body_size).sum()
    }

    pub(super) fn is_over(&self, more: usize, more_bytes: usize) -> bool {
        let LengthLimit { messages, bytes } = self.kind.limit;
        let kept = if self.kind.rejects { self.kept() } else { Vec::new() };
        let kept_bytes: usize =
            kept.iter().map(|&(number, _)| self.messages[number].body_size).sum();
        let apart = kept.len() + self.waiting();
        messages.is_some_and(|most| self.ready() + apart + more > most)
            || bytes.is_some_and(|most| self.body_bytes() + kept_bytes + more_bytes > most)
    }

    pub(super) fn enforce_limit(&mut self) {
        while !self.kind.rejects && self.suspended == 0 && self.is_over(0, 0) {
            let Some(first) = self.first_to_drop() else { break };
            self.die(first, Reason::MaxLength);
        }
    }

    fn first_to_drop(&self) -> Option<usize> {
        let ready = |number: &usize| self.messages[*number].place == Place::Ready;
        let numbers = (0..self.messages.len()).filter(ready);
        match self.kind.drops_lowest {
            true => numbers.min_by_key(|&number| (self.messages[number].priority, number)),
            false => self.first_ready(),
        }
    }

    /// The dead that nobody took.
    pub(super) fn kept(&self) -> Vec<(usize, Reason)> {
        let kept = |(number, message): (usize, &NaiveMessage)| match message.place {
            Place::Kept(reason) => Some((number, reason)),
            Place::Ready | Place::Waiting(_) | Place::Unacked(..) | Place::Gone => None,
        };
        self.messages.iter().enumerate().filter_map(kept).collect()
    }

    pub(super) fn die(&mut self, number: usize, reason: Reason) {
        self.messages[number].place = Place::Gone;
        if self.kind.has_dead_letters {
            self.dead.push((Some(number), reason));
        }
    }

    /// Lets go of what has no time left and is next, or wherever it stands.
    pub(super) fn expire(&mut self) {
        let mut have_ended = false;
        for message in &mut self.messages {
            if matches!(message.place, Place::Waiting(due_ms) if due_ms <= self.now_ms) {
                message.place = Place::Ready;
                have_ended = true;
            }
        }
        if have_ended {
            self.enforce_limit();
        }
        while let Some(first) = self.first_to_expire()
            && self.messages[first].expires_ms <= self.now_ms
        {
            self.die(first, Reason::Expired);
        }
    }

    fn first_to_expire(&self) -> Option<usize> {
        if !self.kind.expires_anywhere {
            return self.first_ready();
        }
        let ready = |number: &usize| self.messages[*number].place == Place::Ready;
        let numbers = (0..self.messages.len()).filter(ready);
        numbers.min_by_key(|&number| (self.messages[number].expires_ms, number))
    }

    pub(super) fn has_room(&self, consumer: &NaiveConsumer) -> bool {
        let limit = usize::from(consumer.settings.prefetch_count);
        let has_room = consumer.settings.no_ack || limit == 0 || self.held_by(consumer.key) < limit;
        has_room && self.is_active(consumer)
    }

    /// Whether it may get messages at all.
    fn is_active(&self, consumer: &NaiveConsumer) -> bool {
        let is_it = self.active == Some(consumer.key);
        match self.kind.activity {
            Activity::All => true,
            Activity::One => is_it,
            Activity::Highest => is_it && !self.has_higher(consumer),
        }
    }

    fn has_higher(&self, consumer: &NaiveConsumer) -> bool {
        let priority = consumer.settings.priority;
        self.consumers.iter().any(|other| other.settings.priority > priority)
    }

    /// Finds out who is the active consumer now.
    pub(super) fn choose_active(&mut self) {
        let active = self.active.and_then(|key| self.find_consumer(key));
        let stays = active.map(|at| &self.consumers[at]).is_some_and(|active| {
            self.kind.activity != Activity::Highest
                || !self.has_higher(active)
                || self.held_by(active.key) > 0
        });
        if !stays {
            let first = self.consumers.iter().min_by_key(|consumer| {
                (Reverse(consumer.settings.priority), consumer.key.generation)
            });
            self.active = first.map(|consumer| consumer.key);
        }
    }

    pub(super) fn has_credit(&self, consumer: &NaiveConsumer) -> bool {
        !consumer.paused && self.has_room(consumer)
    }

    pub(super) fn find_consumer(&self, key: ConsumerKey) -> Option<usize> {
        self.consumers.iter().position(|consumer| consumer.key == key)
    }

    pub(super) fn pause(&mut self, key: ConsumerKey, paused: bool) {
        if let Some(at) = self.find_consumer(key) {
            self.consumers[at].paused = paused;
            self.line_up(key);
        }
    }

    /// The ready message to go next.
    pub(super) fn first_ready(&self) -> Option<usize> {
        let ready = |&number: &usize| self.messages[number].place == Place::Ready;
        let numbers = (0..self.messages.len()).filter(ready);
        numbers.min_by_key(|&number| (u8::MAX - self.messages[number].priority, number))
    }

    /// Whose turn it is. Who is found in line without credit loses the place.
    pub(super) fn next_consumer(&mut self) -> Option<usize> {
        if self.kind.activity != Activity::All {
            let at = self.find_consumer(self.active?)?;
            return self.has_credit(&self.consumers[at]).then_some(at);
        }
        let mut line: Vec<usize> = (0..self.consumers.len()).collect();
        line.retain(|&at| self.consumers[at].in_line_since.is_some());
        line.sort_by_key(|&at| {
            let consumer = &self.consumers[at];
            (Reverse(consumer.settings.priority), consumer.in_line_since)
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
    pub(super) fn line_up(&mut self, key: ConsumerKey) {
        self.moment += 1;
        let at = self.find_consumer(key);
        if let Some(at) = at.filter(|&at| self.has_credit(&self.consumers[at])) {
            self.consumers[at].in_line_since.get_or_insert(self.moment);
        }
    }

    /// What the next delivery must be. `key` is the one the real queue gave it.
    pub(super) fn deliver(&mut self, key: DeliveryKey) -> Option<Seen> {
        let number = self.first_ready().filter(|_| !self.holds_back())?;
        let at = self.next_consumer()?;
        self.consumers[at].in_line_since = None;
        let seen = self.hand_out(number, at, key);
        self.line_up(seen.0);
        Some(seen)
    }

    /// What the next delivery to this consumer must be.
    pub(super) fn serve(&mut self, consumer: ConsumerKey, key: DeliveryKey) -> Option<Seen> {
        let number = self.first_ready().filter(|_| !self.holds_back())?;
        let at = self.find_consumer(consumer).filter(|&at| self.has_room(&self.consumers[at]))?;
        Some(self.hand_out(number, at, key))
    }

    pub(super) fn hand_out(&mut self, number: usize, at: usize, key: DeliveryKey) -> Seen {
        let NaiveConsumer { key: consumer, settings, timeout_ms, .. } = self.consumers[at].clone();
        let held = Place::Unacked(key, Some(consumer));
        self.messages[number].place = if settings.no_ack { Place::Gone } else { held };
        self.messages[number].holder = Some(consumer);
        self.messages[number].due_ms = self.due_ms(timeout_ms);
        self.moment += 1;
        self.messages[number].handed_out = self.moment;
        (consumer, number, !settings.no_ack, self.messages[number].is_redelivered())
    }

    /// Takes a message of a run. What must be delivered at once, if something must.
    pub(super) fn publish(&mut self, message: &Message, key: DeliveryKey) -> Option<Seen> {
        let refused = self.kind.rejects && self.is_over(1, message.body().len());
        let waits = self.ready() > 0;
        self.messages.push(NaiveMessage {
            priority: message.priority().min(self.kind.max_priority),
            size: message.size(),
            body_size: message.body().len(),
            returned: false,
            in_doubt: false,
            failures: 0,
            arrived_ms: self.now_ms,
            lives_ms: message.lives_ms(),
            expires_ms: self.expires_ms(message),
            place: if refused { Place::Gone } else { Place::Ready },
            holder: None,
            due_ms: u64::MAX,
            handed_out: 0,
        });
        if refused {
            self.refuse();
            return None;
        }
        let seen = if waits { None } else { self.deliver(key) };
        if seen.is_none() {
            self.enforce_limit();
            if self.messages.last().is_some_and(|new| new.expires_ms <= self.now_ms) {
                self.expire();
            }
        }
        seen
    }

    pub(super) fn refuse(&mut self) {
        if self.kind.has_dead_letters && self.kind.buries_refused {
            self.dead.push((None, Reason::MaxLength));
        }
    }

    fn expires_ms(&self, message: &Message) -> u64 {
        let lives = [self.kind.ttl_ms, message.lives_ms()].into_iter().flatten().min();
        lives.map_or(u64::MAX, |lives| self.now_ms + lives)
    }

    /// When a delivery of now has to be settled.
    pub(super) fn due_ms(&self, timeout_ms: Option<u64>) -> u64 {
        timeout_ms.map_or(u64::MAX, |timeout_ms| self.now_ms + timeout_ms)
    }

    /// Takes back all from whoever has one that was not settled in time. Returns who that is, and the
    /// keys of what they had.
    pub(super) fn lapse(&mut self) -> (BTreeSet<ConsumerKey>, Vec<DeliveryKey>) {
        let is_held = |m: &&NaiveMessage| matches!(m.place, Place::Unacked(..));
        let due = self.messages.iter().filter(is_held).filter(|m| m.due_ms <= self.now_ms);
        let lapsed: BTreeSet<_> = due.filter_map(|message| message.holder).collect();
        self.consumers.retain(|consumer| !lapsed.contains(&consumer.key));
        let mut keys = Vec::new();
        for (number, key) in self.held_by_any(&lapsed) {
            self.messages[number].place = self.place_of_return(number, Outcome::Requeue);
            self.messages[number].returned = true;
            keys.push(key);
            if self.has_failed_too_often(number) {
                self.die(number, Reason::DeliveryLimit);
            }
        }
        self.choose_active();
        self.enforce_limit();
        (lapsed, keys)
    }

    /// What these have, in the order of who they are and what they were given first.
    fn held_by_any(&self, holders: &BTreeSet<ConsumerKey>) -> Vec<(usize, DeliveryKey)> {
        let mut held = Vec::new();
        for (number, message) in self.messages.iter().enumerate() {
            if let Place::Unacked(key, _) = message.place
                && let Some(holder) = message.holder.filter(|holder| holders.contains(holder))
            {
                held.push((holder, message.handed_out, number, key));
            }
        }
        held.sort_unstable_by_key(|&(holder, handed_out, ..)| (holder, handed_out));
        held.into_iter().map(|(_, _, number, key)| (number, key)).collect()
    }

    /// Whether it may not come back once more: the limit may be lower than when it failed.
    pub(super) fn has_failed_too_often(&self, number: usize) -> bool {
        self.kind.delivery_limit.is_some_and(|limit| self.messages[number].failures > limit)
    }

    /// Where a message goes that came back.
    pub(super) fn place_of_return(&self, number: usize, outcome: Outcome) -> Place {
        let NaiveMessage { failures, expires_ms, .. } = self.messages[number];
        let returns = Returns::from_stored(failures << 16);
        let wait_ms =
            self.kind.retry.and_then(|retry| retry.wait_ms(outcome, returns, number as u64));
        wait_ms.map_or(Place::Ready, |ms| Place::Waiting((self.now_ms + ms).min(expires_ms)))
    }

    /// Moves the message with this key; its consumer has room for another.
    pub(super) fn take_back(&mut self, number: usize, place: Place) {
        let Place::Unacked(_, holder) = self.messages[number].place else { return };
        self.messages[number].place = place;
        self.choose_active();
        if let Some(consumer) = holder {
            self.line_up(consumer);
        }
    }

    /// When something has to happen though nobody asks.
    pub(super) fn next_due_ms(&self) -> u64 {
        let due = self.messages.iter().map(|message| match message.place {
            Place::Waiting(due_ms) => due_ms,
            Place::Unacked(..) => message.due_ms,
            Place::Ready | Place::Kept(_) | Place::Gone => u64::MAX,
        });
        let expiry = self.first_to_expire().map(|number| self.messages[number].expires_ms);
        due.chain(expiry).min().unwrap_or(u64::MAX)
    }

    /// Other limits and times count from now on. What its declaration alone says stays.
    pub(super) fn reconfigure(&mut self, kind: QueueKind) {
        let QueueKind { max_priority, activity, is_stored, .. } = self.kind;
        self.kind = QueueKind { max_priority, activity, is_stored, ..kind };
        self.enforce_limit();
    }

    /// It starts again with what was stored. After a crash nobody knows what was
    /// handed out, then or later.
    pub(super) fn restart(&mut self, is_stored: impl Fn(usize) -> bool, is_crash: bool) {
        self.consumers.clear();
        self.active = None;
        self.suspended = 0;
        for number in 0..self.messages.len() {
            let message = &mut self.messages[number];
            message.holder = None;
            message.due_ms = u64::MAX;
            if !is_stored(number) {
                message.place = Place::Gone;
            }
            if matches!(message.place, Place::Gone | Place::Kept(_)) {
                continue;
            }
            message.in_doubt |= is_crash;
            let lives = [self.kind.ttl_ms, message.lives_ms].into_iter().flatten().min();
            message.expires_ms = lives.map_or(u64::MAX, |ms| message.arrived_ms + ms);
            // Who failed waits anew.
            let failed = message.failures > 0;
            let place = failed.then(|| self.place_of_return(number, Outcome::Failed));
            self.messages[number].place = place.unwrap_or(Place::Ready);
        }
        self.enforce_limit();
    }

    pub(super) fn find(&self, wanted: DeliveryKey) -> usize {
        let holds = |m: &NaiveMessage| matches!(m.place, Place::Unacked(key, _) if key == wanted);
        self.messages.iter().position(holds).expect("it is unacknowledged")
    }
}
