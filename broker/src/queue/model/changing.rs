//! What changes without publishers and consumers: policies, what is tried again, and who is late.

use super::super::command::Command;
use super::super::state::QueueKind;
use super::Pair;
use crate::keys::Outcome;

/// Letters that are tried at a time.
const ATTEMPT: usize = 256;

impl Pair {
    pub(super) fn reconfigure(&mut self, policy: QueueKind) {
        let counts_deliveries = self.naive.kind.counts_deliveries;
        let policy = QueueKind { counts_deliveries, ..policy };
        self.command(Command::Reconfigure(policy));
        self.naive.reconfigure(policy);
    }

    pub(super) fn try_kept(&mut self) {
        self.serve_stores();
        self.command(Command::TryKeptSoon);
        self.facts.now_ms += 1000;
        self.naive.now_ms += 1000;
        self.command(Command::TryKept);
        let kept = self.naive.kept().into_iter().take(ATTEMPT);
        let again: Vec<_> = kept.map(|(number, reason)| (Some(number), reason)).collect();
        self.naive.dead.extend(again);
        self.bury();
    }

    pub(super) fn lapse(&mut self) {
        self.command(Command::Lapse);
        let (lapsed, keys) = self.naive.lapse();
        let told = self.real.take_lapsed().into_iter().map(|lapse| lapse.holder);
        assert!(told.eq(lapsed), "who lapsed");
        self.late.extend(keys);
    }

    /// It is nobody's any more: nothing happens.
    pub(super) fn settle_late(&mut self, which: usize, outcome: Outcome) {
        if let Some(at) = which.checked_rem(self.late.len()) {
            let key = self.late.swap_remove(at);
            self.command(Command::Settle(vec![(key, outcome)]));
        }
    }
}
