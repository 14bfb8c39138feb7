//! The consumers of a queue and whose turn it is.
//!
//! Owned by `queue::state`, which asks `next` for a consumer per message. Rules (RabbitMQ's
//! consumer priorities and prefetch pages): strict turns, one message each, among the consumers of
//! the highest priority that have credit; lower priorities only when no higher one can take a
//! message. Stays true: a consumer is in its level's line exactly when `in_line` says so, and only
//! consumers with credit are put there. A key carries the generation of its slot, so what an earlier
//! consumer left behind (a place in line, a message it holds) never counts for a later one, and
//! nobody has to look for it when the consumer goes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use slab::Slab;

use super::truth::ConsumerHistory;
use crate::keys::ConsumerKey;

/// What `basic.consume` asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConsumerSettings {
    /// `x-priority`: higher first.
    pub priority: i64,
    /// Most unacknowledged messages at once; 0 is no limit. Ignored with `no_ack`.
    pub prefetch_count: u16,
    /// Messages count as settled when they are sent.
    pub no_ack: bool,
    /// No other consumer may be on the queue.
    pub exclusive: bool,
    /// `x-consumer-timeout`: how long it may take for a delivery, in milliseconds; `None` is as long
    /// as the queue says.
    pub timeout_ms: Option<u64>,
}

#[derive(Clone, Debug)]
struct Consumer {
    settings: ConsumerSettings,
    generation: u32,
    in_flight: u32,
    paused: bool,
    /// It gets nothing more: once all it has is settled another one is active.
    gives_way: bool,
    in_line: bool,
    history: ConsumerHistory,
}

impl Consumer {
    fn has_credit(&self) -> bool {
        !self.paused && self.has_room()
    }

    fn has_room(&self) -> bool {
        let limit = u32::from(self.settings.prefetch_count);
        !self.gives_way && (self.settings.no_ack || limit == 0 || self.in_flight < limit)
    }
}

#[derive(Clone, Debug)]
struct Level {
    priority: i64,
    /// May hold keys of consumers that are gone.
    line: VecDeque<ConsumerKey>,
    /// How many such keys it holds.
    stale: usize,
    /// Consumers of this priority, in line or not.
    consumers: usize,
}

/// Below this many keys of consumers that are gone a line is left alone.
const STALE_MAX: usize = 32;

/// All consumers of one queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Consumers {
    slots: Slab<Consumer>,
    /// Highest priority first, none without consumers.
    levels: Vec<Level>,
    /// The lines of all levels before this one are empty.
    first: usize,
    /// The generation of the next consumer.
    generation: u32,
    exclusive: usize,
    /// `x-single-active-consumer`: only one consumer gets messages.
    single_active: Option<SingleActive>,
}

/// Who gets the messages of a queue with a single active consumer.
#[derive(Clone, Debug, Default)]
struct SingleActive {
    active: Option<ConsumerKey>,
    /// The active one gives way to a higher priority.
    gives_way: bool,
    /// All others: the highest priority first, of equals the oldest.
    waiting: BTreeMap<(Reverse<i64>, u32), ConsumerKey>,
}

/// Whether only one consumer at a time gets messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Activity {
    /// All do.
    #[default]
    All,
    /// One, until it goes.
    One,
    /// One, until it goes or one of a higher priority comes, and all that it has is settled: quorum
    /// queues.
    Highest,
}

impl Consumers {
    /// None yet.
    pub(super) fn new(activity: Activity) -> Self {
        let gives_way = activity == Activity::Highest;
        let single_active = (activity != Activity::All)
            .then(|| SingleActive { gives_way, ..SingleActive::default() });
        Self { single_active, ..Self::default() }
    }

    /// Whether only one at a time gets messages.
    pub(super) fn is_single_active(&self) -> bool {
        self.single_active.is_some()
    }

    /// How many consumers there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether this one is among them.
    pub(super) fn has(&self, key: ConsumerKey) -> bool {
        let consumer = self.slots.get(key.slot as usize);
        consumer.is_some_and(|consumer| consumer.generation == key.generation)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether one of them is exclusive.
    pub(super) fn has_exclusive(&self) -> bool {
        self.exclusive > 0
    }

    /// Adds a consumer at the end of its priority's line.
    pub(super) fn add(&mut self, settings: ConsumerSettings) -> ConsumerKey {
        let generation = self.generation;
        self.generation = generation.wrapping_add(1);
        let consumer = Consumer {
            settings,
            generation,
            in_flight: 0,
            paused: false,
            gives_way: false,
            in_line: false,
            history: ConsumerHistory::default(),
        };
        let slot = u32::try_from(self.slots.insert(consumer)).unwrap_or(u32::MAX);
        let key = ConsumerKey { slot, generation };
        self.exclusive += usize::from(settings.exclusive);
        let place = match self.place(settings.priority) {
            Ok(place) => place,
            Err(place) => {
                let priority = settings.priority;
                let line = VecDeque::new();
                self.levels.insert(place, Level { priority, line, stale: 0, consumers: 0 });
                self.first = self.first.min(place);
                place
            }
        };
        if let Some(level) = self.levels.get_mut(place) {
            level.consumers += 1;
        }
        if let Some(single) = &mut self.single_active {
            if single.active.is_none() {
                single.active = Some(key);
            } else {
                single.waiting.insert((Reverse(settings.priority), generation), key);
            }
        }
        self.enter_line(key);
        self.give_way();
        key
    }

    /// The active consumer gives way to a higher priority, where that is so: at once if it has nothing,
    /// else when it has nothing any more. If the higher ones are gone it goes on.
    fn give_way(&mut self) {
        let Some(single) = self.single_active.as_mut().filter(|single| single.gives_way) else {
            return;
        };
        let first = single.waiting.first_key_value().map(|((Reverse(priority), _), _)| *priority);
        let Some(key) = single.active else { return };
        let Some(active) = current(&mut self.slots, key) else { return };
        let priority = active.settings.priority;
        active.gives_way = first.is_some_and(|first| first > priority);
        if active.gives_way && active.in_flight == 0 {
            active.gives_way = false;
            single.waiting.insert((Reverse(priority), key.generation), key);
            single.active = single.waiting.pop_first().map(|(_, next)| next);
            self.leave_line(key, priority);
        }
        if let Some(active) = self.single_active.as_ref().and_then(|single| single.active) {
            self.enter_line(active);
        }
    }

    /// Takes a consumer out of its priority's line. Only for queues where one consumer is active: a
    /// line has few others there.
    fn leave_line(&mut self, key: ConsumerKey, priority: i64) {
        if let Ok(place) = self.place(priority)
            && let Some(level) = self.levels.get_mut(place)
        {
            level.line.retain(|other| *other != key);
        }
        if let Some(consumer) = self.get_mut(key) {
            consumer.in_line = false;
        }
    }

    /// Where a priority's level is, or would be.
    fn place(&self, priority: i64) -> Result<usize, usize> {
        self.levels.binary_search_by(|level| priority.cmp(&level.priority))
    }

    fn get_mut(&mut self, key: ConsumerKey) -> Option<&mut Consumer> {
        current(&mut self.slots, key)
    }

    /// Removes a consumer; its unacknowledged messages are the caller's.
    pub(super) fn remove(&mut self, key: ConsumerKey) -> bool {
        if self.get_mut(key).is_none() {
            return false;
        }
        let Consumer { settings, in_line, .. } = self.slots.remove(key.slot as usize);
        self.exclusive -= usize::from(settings.exclusive);
        if let Ok(place) = self.place(settings.priority)
            && let Some(level) = self.levels.get_mut(place)
        {
            level.consumers -= 1;
            level.stale += usize::from(in_line);
            if level.consumers == 0 {
                self.levels.remove(place);
                self.first = if place < self.first { self.first - 1 } else { self.first };
            } else if level.stale > STALE_MAX && level.stale > level.line.len() / 2 {
                let slots = &mut self.slots;
                level.line.retain(|&key| current(slots, key).is_some());
                level.stale = 0;
            }
        }
        self.pass_on(key, settings.priority);
        true
    }

    /// The active consumer went: the highest priority takes over, of equals the oldest.
    fn pass_on(&mut self, gone: ConsumerKey, priority: i64) {
        let Some(single) = &mut self.single_active else { return };
        if single.active != Some(gone) {
            single.waiting.remove(&(Reverse(priority), gone.generation));
            return self.give_way();
        }
        single.active = single.waiting.pop_first().map(|(_, next)| next);
        if let Some(next) = single.active {
            self.enter_line(next);
        }
    }

    /// The consumer that takes the next message, charged for it; `None` when none can.
    /// The flag says whether it acknowledges what it gets.
    pub(super) fn next(&mut self) -> Option<(ConsumerKey, bool)> {
        while let Some(level) = self.levels.get_mut(self.first) {
            while let Some(key) = level.line.pop_front() {
                let Some(consumer) = current(&mut self.slots, key) else {
                    level.stale = level.stale.saturating_sub(1);
                    continue;
                };
                consumer.in_line = false;
                if !consumer.has_credit() {
                    continue;
                }
                let acknowledges = !consumer.settings.no_ack;
                consumer.in_flight += u32::from(acknowledges);
                if consumer.has_credit() {
                    consumer.in_line = true;
                    level.line.push_back(key);
                }
                return Some((key, acknowledges));
            }
            self.first += 1;
        }
        None
    }

    /// Charges this very consumer, paused or not, for a message. `None` when it may not have one.
    /// The flag says whether it acknowledges what it gets.
    pub(super) fn charge(&mut self, key: ConsumerKey) -> Option<bool> {
        if !self.may_deliver(key) {
            return None;
        }
        let consumer = self.get_mut(key).filter(|consumer| consumer.has_room())?;
        let acknowledges = !consumer.settings.no_ack;
        consumer.in_flight += u32::from(acknowledges);
        Some(acknowledges)
    }

    /// Charges this consumer, unless it is paused, for a message. `None` when it may not have one now.
    /// The flag says whether it acknowledges what it gets.
    pub(super) fn charge_now(&mut self, key: ConsumerKey) -> Option<bool> {
        self.get_mut(key).filter(|consumer| !consumer.paused)?;
        self.charge(key)
    }

    /// One message of this consumer is settled or came back. A removed consumer is no error.
    #[inline]
    pub(super) fn release(&mut self, key: ConsumerKey) {
        if let Some(consumer) = self.get_mut(key) {
            consumer.in_flight = consumer.in_flight.saturating_sub(1);
            if consumer.gives_way {
                self.give_way();
            } else if !consumer.in_line && consumer.has_credit() {
                self.enter_line(key);
            }
        }
    }

    /// This consumer was given a message at this time.
    #[inline]
    pub(super) fn delivered(&mut self, key: ConsumerKey, now_ms: u64) {
        if let Some(consumer) = self.get_mut(key) {
            consumer.history.deliveries += 1;
            consumer.history.last_delivery_ms = Some(now_ms);
        }
    }

    /// This consumer acknowledged a message, for which it took so long.
    #[inline]
    pub(super) fn acked(&mut self, key: ConsumerKey, took_ms: u64) {
        if let Some(consumer) = self.get_mut(key) {
            consumer.history.ack_times.add(took_ms);
        }
    }

    /// All of them, each with how many messages it has not settled.
    pub(super) fn each(&self) -> impl Iterator<Item = (ConsumerKey, u32, &ConsumerHistory)> {
        let slots = self.slots.iter();
        slots.map(|(slot, consumer)| {
            let slot = u32::try_from(slot).unwrap_or(u32::MAX);
            let key = ConsumerKey { slot, generation: consumer.generation };
            (key, consumer.in_flight, &consumer.history)
        })
    }

    /// What a consumer asked for, and whether it gets messages.
    pub(super) fn standing(&self, key: ConsumerKey) -> Option<(ConsumerSettings, bool)> {
        let consumer = self.slots.get(key.slot as usize)?;
        let is_active = self.single_active.as_ref().is_none_or(|single| single.active == Some(key));
        Some((consumer.settings, is_active))
    }

    /// Whether its connection or channel cannot take more.
    pub(super) fn is_paused(&self, key: ConsumerKey) -> bool {
        self.slots.get(key.slot as usize).is_some_and(|consumer| consumer.paused)
    }

    /// Stops deliveries to a consumer whose connection or channel cannot take more.
    pub(super) fn pause(&mut self, key: ConsumerKey) {
        if let Some(consumer) = self.get_mut(key) {
            consumer.paused = true;
        }
    }

    /// Undoes `pause`.
    pub(super) fn resume(&mut self, key: ConsumerKey) {
        if let Some(consumer) = self.get_mut(key) {
            consumer.paused = false;
            if !consumer.in_line {
                self.enter_line(key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn snapshot(&self) -> String {
        format!("{:?}", self.slots.iter().collect::<Vec<_>>())
    }

    fn may_deliver(&self, key: ConsumerKey) -> bool {
        self.single_active.as_ref().is_none_or(|single| single.active == Some(key))
    }

    fn enter_line(&mut self, key: ConsumerKey) {
        let may_deliver = self.may_deliver(key);
        let Some(consumer) = current(&mut self.slots, key) else { return };
        if !may_deliver || !consumer.has_credit() || consumer.in_line {
            return;
        }
        let priority = consumer.settings.priority;
        // Nearly every queue has one level.
        let place = match self.levels.as_slice() {
            [_] => 0,
            levels => match levels.binary_search_by(|level| priority.cmp(&level.priority)) {
                Ok(place) => place,
                Err(_) => return,
            },
        };
        if let Some(level) = self.levels.get_mut(place) {
            consumer.in_line = true;
            level.line.push_back(key);
            self.first = self.first.min(place);
        }
    }
}

fn current(slots: &mut Slab<Consumer>, key: ConsumerKey) -> Option<&mut Consumer> {
    slots.get_mut(key.slot as usize).filter(|consumer| consumer.generation == key.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_prefetch(prefetch_count: u16) -> ConsumerSettings {
        ConsumerSettings { prefetch_count, ..ConsumerSettings::default() }
    }

    fn turns(consumers: &mut Consumers, count: usize) -> Vec<u32> {
        (0..count).map_while(|_| consumers.next()).map(|(key, _)| key.slot).collect()
    }

    #[test]
    fn idle_consumers_take_strict_turns() {
        let mut consumers = Consumers::default();
        for _ in 0..3 {
            consumers.add(with_prefetch(0));
        }
        assert_eq!(turns(&mut consumers, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_consumer_at_its_limit_is_passed_over_until_it_settles() {
        let mut consumers = Consumers::default();
        let first = consumers.add(with_prefetch(1));
        consumers.add(with_prefetch(2));
        assert_eq!(turns(&mut consumers, 9), [0, 1, 1]);
        consumers.release(first);
        assert_eq!(turns(&mut consumers, 9), [0]);
    }

    #[test]
    fn lower_priorities_wait_until_all_higher_ones_are_full() {
        let mut consumers = Consumers::default();
        consumers.add(with_prefetch(0));
        let high = consumers.add(ConsumerSettings { priority: 5, ..with_prefetch(2) });
        assert_eq!(turns(&mut consumers, 3), [1, 1, 0]);
        consumers.release(high);
        assert_eq!(turns(&mut consumers, 2), [1, 0]);
    }

    #[test]
    fn a_paused_consumer_gets_nothing_and_returns_to_the_end_of_the_line() {
        let mut consumers = Consumers::default();
        let first = consumers.add(with_prefetch(0));
        consumers.add(with_prefetch(0));
        consumers.pause(first);
        assert_eq!(turns(&mut consumers, 2), [1, 1]);
        consumers.resume(first);
        assert_eq!(turns(&mut consumers, 3), [1, 0, 1]);
    }

    #[test]
    fn removal_takes_a_consumer_out_of_the_line() {
        let mut consumers = Consumers::default();
        let first = consumers.add(with_prefetch(0));
        consumers.add(with_prefetch(0));
        assert!(consumers.remove(first));
        assert!(!consumers.remove(first));
        assert_eq!(turns(&mut consumers, 2), [1, 1]);
        assert_eq!(consumers.len(), 1);
    }

    #[test]
    fn a_single_active_consumer_is_followed_by_the_highest_priority() {
        let mut consumers = Consumers::new(Activity::One);
        let first = consumers.add(with_prefetch(0));
        consumers.add(with_prefetch(0));
        let high = consumers.add(ConsumerSettings { priority: 1, ..with_prefetch(0) });
        assert_eq!(turns(&mut consumers, 3), [0, 0, 0], "a later one does not displace it");
        consumers.remove(first);
        assert_eq!(turns(&mut consumers, 2), [2, 2]);
        consumers.remove(high);
        assert_eq!(turns(&mut consumers, 2), [1, 1]);
    }

    fn of_priority(priority: i64) -> ConsumerSettings {
        ConsumerSettings { priority, ..with_prefetch(0) }
    }

    #[test]
    fn the_active_consumer_gives_way_once_all_it_has_is_settled() {
        let mut consumers = Consumers::new(Activity::Highest);
        let first = consumers.add(with_prefetch(0));
        assert_eq!(turns(&mut consumers, 2), [0, 0]);
        consumers.add(of_priority(1));
        consumers.add(of_priority(2));
        consumers.add(of_priority(2));
        assert_eq!(turns(&mut consumers, 1), [0_u32; 0]);
        assert_eq!(consumers.charge(first), None, "held back or not");
        consumers.release(first);
        assert_eq!(turns(&mut consumers, 1), [0_u32; 0], "it has another one");
        consumers.release(first);
        assert_eq!(turns(&mut consumers, 2), [2, 2], "the highest, of equals the oldest");
        assert_eq!(consumers.len(), 4);
    }

    #[test]
    fn an_idle_consumer_gives_way_at_once_and_to_a_higher_priority_only() {
        let mut consumers = Consumers::new(Activity::Highest);
        consumers.add(of_priority(1));
        consumers.add(of_priority(1));
        consumers.add(of_priority(0));
        assert_eq!(turns(&mut consumers, 1), [0]);
        let mut consumers = Consumers::new(Activity::Highest);
        let low = consumers.add(ConsumerSettings { no_ack: true, ..with_prefetch(0) });
        assert_eq!(turns(&mut consumers, 1), [0]);
        let high = consumers.add(of_priority(1));
        assert_eq!(turns(&mut consumers, 1), [1]);
        consumers.remove(high);
        assert_eq!(turns(&mut consumers, 1), [0], "it waited as all others");
        consumers.remove(low);
        assert_eq!(turns(&mut consumers, 1), [0_u32; 0]);
    }

    #[test]
    fn who_was_to_give_way_goes_on_when_nobody_is_higher() {
        let mut consumers = Consumers::new(Activity::Highest);
        let low = consumers.add(with_prefetch(2));
        assert_eq!(turns(&mut consumers, 1), [0]);
        let high = consumers.add(of_priority(1));
        assert_eq!(turns(&mut consumers, 1), [0_u32; 0]);
        consumers.remove(high);
        assert_eq!(turns(&mut consumers, 5), [0]);
        consumers.release(low);
        assert_eq!(turns(&mut consumers, 5), [0]);
        let high = consumers.add(of_priority(1));
        consumers.pause(high);
        consumers.remove(low);
        assert_eq!(turns(&mut consumers, 1), [0_u32; 0]);
        consumers.resume(high);
        assert_eq!(turns(&mut consumers, 1), [1]);
    }

    #[test]
    fn no_ack_consumers_ignore_prefetch() {
        let mut consumers = Consumers::default();
        consumers.add(ConsumerSettings { no_ack: true, ..with_prefetch(1) });
        assert_eq!(turns(&mut consumers, 3), [0, 0, 0]);
    }

    #[test]
    fn a_slot_that_is_used_again_does_not_inherit_its_place_in_line() {
        let mut consumers = Consumers::default();
        let old = consumers.add(with_prefetch(0));
        consumers.remove(old);
        let new = consumers.add(with_prefetch(2));
        assert_eq!((old.slot, old == new), (new.slot, false));
        assert_eq!(turns(&mut consumers, 9), [0, 0]);
        consumers.release(old);
        assert_eq!(turns(&mut consumers, 9), [0_u32; 0], "what the old one held is not its own");
    }

    #[test]
    fn consumers_that_come_and_go_leave_no_line_behind() {
        let mut consumers = Consumers::default();
        let stays = consumers.add(with_prefetch(0));
        for priority in 0..1000 {
            let key =
                consumers.add(ConsumerSettings { priority: priority % 2, ..with_prefetch(0) });
            consumers.remove(key);
        }
        let in_line: usize = consumers.levels.iter().map(|level| level.line.len()).sum();
        assert!(in_line <= 2 * STALE_MAX + 2, "{in_line}");
        assert_eq!(consumers.levels.len(), 1);
        assert_eq!(consumers.next().map(|(key, _)| key), Some(stays));
    }
}
