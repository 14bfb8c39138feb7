//! The consumers of a queue and whose turn it is.
//!
//! Owned by `queue::state`, which asks `next` for a consumer per message. Rules (RabbitMQ's
//! consumer priorities and prefetch pages): strict turns, one message each, among the consumers of
//! the highest priority that have credit; lower priorities only when no higher one can take a
//! message. Stays true: a consumer is in its level's line exactly when `in_line` says so, and only
//! consumers with credit are kept there.

use std::collections::VecDeque;

use crate::keys::ConsumerKey;
use slab::Slab;

/// What `basic.consume` asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConsumerSettings {
    /// `x-priority`: higher first.
    pub priority: i64,
    /// Most unacknowledged messages at once; 0 is no limit. Ignored with `no_ack`.
    pub prefetch_count: u16,
    /// Messages count as settled when they are sent.
    pub no_ack: bool,
    /// No other consumer may be on the queue.
    pub exclusive: bool,
}

#[derive(Debug)]
struct Consumer {
    settings: ConsumerSettings,
    in_flight: u32,
    paused: bool,
    in_line: bool,
}

impl Consumer {
    fn has_credit(&self) -> bool {
        let limit = u32::from(self.settings.prefetch_count);
        !self.paused && (self.settings.no_ack || limit == 0 || self.in_flight < limit)
    }
}

#[derive(Debug)]
struct Level {
    priority: i64,
    line: VecDeque<ConsumerKey>,
}

/// All consumers of one queue.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    slots: Slab<Consumer>,
    /// Highest priority first. A level stays when its last consumer goes: there are few.
    levels: Vec<Level>,
    /// `x-single-active-consumer`: only one consumer gets messages.
    single_active: Option<SingleActive>,
}

/// Who gets the messages of a queue with a single active consumer.
#[derive(Debug, Default)]
struct SingleActive {
    active: Option<ConsumerKey>,
    /// All others in the order they came.
    waiting: Vec<ConsumerKey>,
}

impl Consumers {
    /// None yet; with `single_active` only one at a time will get messages.
    pub(super) fn new(single_active: bool) -> Self {
        Self { single_active: single_active.then(SingleActive::default), ..Self::default() }
    }

    /// Whether only one at a time gets messages.
    pub(super) fn is_single_active(&self) -> bool {
        self.single_active.is_some()
    }

    /// How many consumers there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether one of them is exclusive.
    pub(super) fn has_exclusive(&self) -> bool {
        self.slots.iter().any(|(_, consumer)| consumer.settings.exclusive)
    }

    /// Adds a consumer at the end of its priority's line.
    pub(super) fn add(&mut self, settings: ConsumerSettings) -> ConsumerKey {
        let consumer = Consumer { settings, in_flight: 0, paused: false, in_line: false };
        let slot = self.slots.insert(consumer);
        let key = ConsumerKey(u32::try_from(slot).unwrap_or(u32::MAX));
        if !self.levels.iter().any(|level| level.priority == settings.priority) {
            self.levels.push(Level { priority: settings.priority, line: VecDeque::new() });
            self.levels.sort_by_key(|level| std::cmp::Reverse(level.priority));
        }
        if let Some(single) = &mut self.single_active {
            if single.active.is_none() {
                single.active = Some(key);
            } else {
                single.waiting.push(key);
            }
        }
        self.enter_line(key);
        key
    }

    /// Removes a consumer; its unacknowledged messages are the caller's.
    pub(super) fn remove(&mut self, key: ConsumerKey) -> bool {
        if !self.slots.contains(key.0 as usize) {
            return false;
        }
        let priority = self.slots.remove(key.0 as usize).settings.priority;
        if let Some(level) = self.levels.iter_mut().find(|level| level.priority == priority) {
            level.line.retain(|&other| other != key);
        }
        self.pass_on(key);
        true
    }

    /// The active consumer went: the highest priority takes over, of equals the oldest.
    fn pass_on(&mut self, gone: ConsumerKey) {
        let Some(single) = &mut self.single_active else { return };
        single.waiting.retain(|&other| other != gone);
        if single.active != Some(gone) {
            return;
        }
        let slots = &self.slots;
        let priority = |key: &ConsumerKey| slots.get(key.0 as usize).map(|c| c.settings.priority);
        // `rev`: of equals `max_by_key` takes the last.
        single.active = single.waiting.iter().rev().copied().max_by_key(priority);
        single.waiting.retain(|&other| Some(other) != single.active);
        if let Some(next) = single.active {
            self.enter_line(next);
        }
    }

    /// The consumer that takes the next message, charged for it; `None` when none can.
    /// The flag says whether it acknowledges what it gets.
    pub(super) fn next(&mut self) -> Option<(ConsumerKey, bool)> {
        for level in &mut self.levels {
            while let Some(key) = level.line.pop_front() {
                let Some(consumer) = self.slots.get_mut(key.0 as usize) else { continue };
                consumer.in_line = false;
                if !consumer.has_credit() {
                    continue;
                }
                let acknowledges = !consumer.settings.no_ack;
                if acknowledges {
                    consumer.in_flight += 1;
                }
                if consumer.has_credit() {
                    consumer.in_line = true;
                    level.line.push_back(key);
                }
                return Some((key, acknowledges));
            }
        }
        None
    }

    /// One message of this consumer is settled or came back. A removed consumer is no error.
    pub(super) fn release(&mut self, key: ConsumerKey) {
        if let Some(consumer) = self.slots.get_mut(key.0 as usize) {
            consumer.in_flight = consumer.in_flight.saturating_sub(1);
            if !consumer.in_line && consumer.has_credit() {
                self.enter_line(key);
            }
        }
    }

    /// Stops deliveries to a consumer whose connection or channel cannot take more.
    pub(super) fn pause(&mut self, key: ConsumerKey) {
        if let Some(consumer) = self.slots.get_mut(key.0 as usize) {
            consumer.paused = true;
        }
    }

    /// Undoes `pause`.
    pub(super) fn resume(&mut self, key: ConsumerKey) {
        if let Some(consumer) = self.slots.get_mut(key.0 as usize) {
            consumer.paused = false;
            if !consumer.in_line {
                self.enter_line(key);
            }
        }
    }

    fn enter_line(&mut self, key: ConsumerKey) {
        let may_deliver = self.single_active.as_ref().is_none_or(|s| s.active == Some(key));
        let Some(consumer) = self.slots.get_mut(key.0 as usize) else { return };
        if !may_deliver || !consumer.has_credit() {
            return;
        }
        let priority = consumer.settings.priority;
        if let Some(level) = self.levels.iter_mut().find(|level| level.priority == priority) {
            consumer.in_line = true;
            level.line.push_back(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_prefetch(prefetch_count: u16) -> ConsumerSettings {
        ConsumerSettings { prefetch_count, ..ConsumerSettings::default() }
    }

    fn turns(consumers: &mut Consumers, count: usize) -> Vec<u32> {
        (0..count).map_while(|_| consumers.next()).map(|(key, _)| key.0).collect()
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
        let mut consumers = Consumers::new(true);
        let first = consumers.add(with_prefetch(0));
        consumers.add(with_prefetch(0));
        let high = consumers.add(ConsumerSettings { priority: 1, ..with_prefetch(0) });
        assert_eq!(turns(&mut consumers, 3), [0, 0, 0], "a later one does not displace it");
        consumers.remove(first);
        assert_eq!(turns(&mut consumers, 2), [2, 2]);
        consumers.remove(high);
        assert_eq!(turns(&mut consumers, 2), [1, 1]);
    }

    #[test]
    fn no_ack_consumers_ignore_prefetch() {
        let mut consumers = Consumers::default();
        consumers.add(ConsumerSettings { no_ack: true, ..with_prefetch(1) });
        assert_eq!(turns(&mut consumers, 3), [0, 0, 0]);
    }
}
