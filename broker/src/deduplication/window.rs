//! The keys that an exchange or a queue remembers, the newest ones, each for its time.
//!
//! Owned by the exchange or the queue, asked for every message that has a key. Pure: the time is told.
//! Stays true: no more keys than it may have; the one that came first goes first, and one whose time
//! is up is as good as gone; every key that was stored and is gone is told once, to be forgotten.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use leveret_storage::messages::RecoveredQueue;

use super::{Key, NEVER};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// Its place among all, in the order in which they came.
    turn: u64,
    /// In milliseconds since the epoch.
    until_ms: u64,
    /// Its place in the message store.
    stored: Option<u64>,
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    size: usize,
    entries: HashMap<Key, Entry, RandomState>,
    order: BTreeMap<u64, Key>,
    next_turn: u64,
    /// The place that a key gets that is stored next: none is used twice.
    next_place: u64,
    /// Places of keys that are gone, not told yet.
    outdated: Vec<u64>,
}

impl Window {
    /// Nothing is remembered, and never more keys than this will be.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            entries: HashMap::default(),
            order: BTreeMap::new(),
            next_turn: 0,
            next_place: 0,
            outdated: Vec::new(),
        }
    }

    /// Takes back what was stored.
    pub(crate) fn restore(&mut self, recovered: RecoveredQueue) {
        self.next_place = self.next_place.max(recovered.next_sequence);
        for stored in recovered.messages {
            self.add(Key(stored.note), stored.until_ms.unwrap_or(NEVER), Some(stored.sequence));
        }
    }

    /// Remembers a key from now on, until a time in milliseconds since the epoch. False when it is
    /// remembered already: then nothing changes.
    pub(crate) fn remember(&mut self, key: Key, now_ms: u64, until_ms: u64) -> bool {
        if self.remembers(key, now_ms) {
            return false;
        }
        while let Some((_, first)) = self.order.first_key_value().map(|(turn, key)| (*turn, *key))
            && self.entries.get(&first).is_some_and(|entry| entry.until_ms <= now_ms)
        {
            self.forget(first);
        }
        self.add(key, until_ms, None);
        true
    }

    /// Whether a key is remembered.
    pub(crate) fn remembers(&self, key: Key, now_ms: u64) -> bool {
        self.entries.get(&key).is_some_and(|entry| entry.until_ms > now_ms)
    }

    fn add(&mut self, key: Key, until_ms: u64, stored: Option<u64>) {
        self.forget(key);
        if self.entries.len() >= self.size
            && let Some(first) = self.order.first_key_value().map(|(_, key)| *key)
        {
            self.forget(first);
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        self.order.insert(turn, key);
        self.entries.insert(key, Entry { turn, until_ms, stored });
    }

    /// Forgets a key: what had it did not get where it was to go.
    pub(crate) fn forget(&mut self, key: Key) {
        if let Some(Entry { turn, stored, .. }) = self.entries.remove(&key) {
            self.order.remove(&turn);
            self.outdated.extend(stored);
        }
    }

    /// Gives a key that is remembered its place in the message store, and says until when it is kept
    /// there. `None` if it is gone again, or has one.
    pub(crate) fn store(&mut self, key: Key) -> Option<(u64, u64)> {
        let entry = self.entries.get_mut(&key).filter(|entry| entry.stored.is_none())?;
        let place = self.next_place;
        self.next_place += 1;
        entry.stored = Some(place);
        Some((place, entry.until_ms))
    }

    /// The places of keys that are gone, since this was asked last.
    pub(crate) fn take_outdated(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.outdated)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The same, slowly: all keys in a list, the oldest first.
    #[derive(Debug, Default)]
    struct Naive {
        keys: Vec<(u64, u64, Option<u64>)>,
        next_place: u64,
        outdated: BTreeSet<u64>,
    }

    impl Naive {
        fn remember(&mut self, size: usize, key: u64, now_ms: u64, until_ms: u64) -> bool {
            if self.keys.iter().any(|(known, until, _)| *known == key && *until > now_ms) {
                return false;
            }
            while self.keys.first().is_some_and(|(_, until, _)| *until <= now_ms) {
                self.drop_at(0);
            }
            self.forget(key);
            if self.keys.len() >= size {
                self.drop_at(0);
            }
            self.keys.push((key, until_ms, None));
            true
        }

        fn forget(&mut self, key: u64) {
            if let Some(at) = self.keys.iter().position(|(known, ..)| *known == key) {
                self.drop_at(at);
            }
        }

        fn drop_at(&mut self, at: usize) {
            let (.., stored) = self.keys.remove(at);
            self.outdated.extend(stored);
        }

        fn store(&mut self, key: u64) -> Option<(u64, u64)> {
            let place = self.next_place;
            let (_, until, stored) = self.keys.iter_mut().find(|(known, ..)| *known == key)?;
            stored.is_none().then(|| *stored = Some(place))?;
            self.next_place += 1;
            Some((place, *until))
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Remember(u64, Option<u64>),
        Store(u64),
        Forget(u64),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..12_u64, prop::option::of(0..20_u64)).prop_map(|(k, t)| Step::Remember(k, t)),
            3 => (0..12_u64).prop_map(Step::Store),
            1 => (0..12_u64).prop_map(Step::Forget),
            2 => (0..15_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn it_remembers_what_a_list_remembers(
            size in 1..8_usize,
            steps in prop::collection::vec(step(), 0..120),
        ) {
            let (mut window, mut naive) = (Window::new(size), Naive::default());
            let mut outdated = BTreeSet::new();
            let mut now_ms = 1000;
            for step in steps {
                match step {
                    Step::Remember(key, ttl) => {
                        let until = ttl.map_or(NEVER, |ttl| now_ms + ttl);
                        let new = window.remember(Key(key), now_ms, until);
                        prop_assert_eq!(new, naive.remember(size, key, now_ms, until));
                    }
                    Step::Store(key) => {
                        prop_assert_eq!(window.store(Key(key)), naive.store(key));
                    }
                    Step::Forget(key) => {
                        window.forget(Key(key));
                        naive.forget(key);
                    }
                    Step::Wait(ms) => now_ms += ms,
                }
                for place in window.take_outdated() {
                    prop_assert!(outdated.insert(place), "told twice");
                }
                prop_assert_eq!(&outdated, &naive.outdated);
                prop_assert_eq!(window.entries.len(), naive.keys.len());
                prop_assert_eq!(window.order.len(), naive.keys.len());
                prop_assert!(window.entries.len() <= size);
            }
        }
    }

    #[test]
    fn the_oldest_goes_for_the_newest() {
        let mut window = Window::new(2);
        assert!(window.remember(Key(1), 0, NEVER));
        assert!(window.remember(Key(2), 0, NEVER));
        assert!(!window.remember(Key(1), 0, NEVER), "it is not renewed");
        assert!(window.remember(Key(3), 0, NEVER));
        assert!(window.remember(Key(1), 0, NEVER));
    }
}
