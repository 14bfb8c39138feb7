//! The broker ends, in order or by a crash, and the queue starts again with what was stored.

use super::super::command::Command;
use super::super::naive::Place;
use super::super::state::QueueState;
use super::super::steps::Restart;
use super::Pair;
use crate::keys::Outcome;

impl Pair {
    pub(super) fn restart(&mut self, how: Restart) {
        if matches!(how, Restart::Orderly(_)) {
            self.settle(self.naive.unacked(), Outcome::Requeue);
        }
        let (down_ms, is_crash) = match how {
            Restart::Orderly(down_ms) => {
                self.replay();
                (down_ms, false)
            }
            Restart::Crash(down_ms, true) => {
                self.replay();
                (down_ms, true)
            }
            Restart::Crash(down_ms, false) => {
                self.tell_stores();
                self.forget_the_dead();
                (down_ms, true)
            }
        };
        self.facts.now_ms += down_ms;
        self.naive.now_ms = self.facts.now_ms;
        let recovered = self.told.stored(&self.published);
        let found: Vec<_> = recovered.messages.iter().map(|message| message.sequence).collect();
        assert_eq!(found, self.to_be_stored());
        self.real = QueueState::new(self.naive.kind);
        self.real.begin(self.facts);
        let doubted_before_ms = if is_crash { u64::MAX } else { self.doubted_before_ms };
        self.real.restore(recovered, doubted_before_ms);
        if is_crash {
            self.doubted_before_ms = self.facts.now_ms;
        }
        self.naive.restart(|number| self.published[number].is_persistent(), is_crash);
        self.started = self.real.clone();
        self.written.clear();
        self.late.clear();
        if self.naive.is_paused {
            self.command(Command::Pause(true));
        }
        self.told.forget_scratch();
    }

    /// Those that died are not dead: nobody had heard of it, nor of the attempt that failed last.
    fn forget_the_dead(&mut self) {
        self.real.take_dead();
        for (number, _) in std::mem::take(&mut self.naive.dead) {
            let Some(number) = number else { continue };
            let message = &mut self.naive.messages[number];
            if message.place == Place::Gone {
                let counted = self.told.counted.get(&(number as u64)).copied().unwrap_or_default();
                message.place = Place::Ready;
                message.returned = counted > 0;
                message.failures = counted >> 16;
            }
        }
    }

    /// The persistent messages that are there.
    fn to_be_stored(&self) -> Vec<u64> {
        let here = self.naive.messages.iter().zip(&self.published).enumerate();
        let here = here
            .filter(|(_, (naive, message))| naive.place != Place::Gone && message.is_persistent());
        here.map(|(number, _)| number as u64).collect()
    }
}
