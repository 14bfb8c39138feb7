//! The broker ends, in order or by a crash, and the queue starts again with what was stored.

use leveret_storage::messages::{RecoveredMessage, RecoveredQueue};

use super::super::naive::Place;
use super::super::state::QueueState;
use super::super::steps::Restart;
use super::Pair;
use crate::keys::Outcome;

impl Pair {
    pub(super) fn restart(&mut self, how: Restart) {
        let (down_ms, crashed, buried) = match how {
            Restart::Orderly(down_ms) => {
                self.settle(self.naive.unacked(), Outcome::Requeue);
                (down_ms, false, true)
            }
            Restart::Crash(down_ms, buried) => (down_ms, true, buried),
        };
        if buried {
            self.replay();
        } else {
            self.tell_stores();
            self.forget_the_dead();
        }
        self.facts.now_ms += down_ms;
        self.naive.now_ms = self.facts.now_ms;
        let stored = self.stored();
        self.real = QueueState::new(self.naive.kind);
        self.real.begin(self.facts);
        let next_sequence = self.published.len() as u64;
        let messages = stored.into_iter().collect();
        self.real.restore(RecoveredQueue { next_sequence, messages }, crashed);
        self.naive.restart(|number| self.published[number].is_persistent(), crashed);
        self.started = self.real.clone();
        self.written.clear();
        self.late.clear();
        // Nothing of the scratch store survives.
        self.paged_out.clear();
        self.unpaged.clear();
    }

    /// Those that died are not dead: nobody had heard of it, nor of the attempt that failed last.
    fn forget_the_dead(&mut self) {
        self.real.take_dead();
        for (number, _) in std::mem::take(&mut self.naive.dead) {
            let Some(number) = number else { continue };
            let message = &mut self.naive.messages[number];
            if message.place == Place::Gone {
                let counted = self.counted.get(&(number as u64)).copied().unwrap_or_default();
                message.place = Place::Ready;
                message.returned = counted > 0;
                message.failures = counted >> 16;
            }
        }
    }

    /// What the durable store has: persistent messages that were not settled.
    fn stored(&self) -> Vec<RecoveredMessage> {
        let mut stored = Vec::new();
        for (sequence, message) in (0..).zip(&self.published) {
            if !message.is_persistent() || self.settled.contains(&sequence) {
                continue;
            }
            let number = usize::try_from(sequence).expect("small");
            assert_ne!(self.naive.messages[number].place, Place::Gone, "the store keeps {number}");
            let content = message.clone().arrived_at(self.naive.messages[number].arrived_ms).content();
            stored.push(RecoveredMessage {
                sequence,
                note: content.note,
                arrived_ms: content.arrived_ms,
                until_ms: content.until_ms,
                size: u32::try_from(content.size()).expect("small"),
                delivery_count: self.counted.get(&sequence).copied().unwrap_or_default(),
            });
        }
        let durable = self.naive.messages.iter().enumerate().filter(|(number, message)| {
            message.place != Place::Gone && self.published[*number].is_persistent()
        });
        assert_eq!(durable.count(), stored.len(), "what is stored");
        stored
    }
}
