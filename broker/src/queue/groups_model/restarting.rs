//! The broker ends, in order or by a crash, and the queue starts again with what was stored: groups are
//! found anew, and nothing is handed out.

use super::super::steps::Restart;
use super::{Pair, Place, index, queue};
use crate::keys::Outcome;

impl Pair {
    pub(super) fn restart(&mut self, how: Restart) {
        let (down_ms, is_crash) = match how {
            Restart::Orderly(down_ms) => {
                while self.real.unacked_count() > 0 {
                    self.settle(0, Outcome::Requeue);
                }
                (down_ms, false)
            }
            Restart::Crash(down_ms, _) => (down_ms, true),
        };
        self.replay();
        self.facts.now_ms += down_ms;
        let recovered = self.told.stored(&self.published);
        for (known, message) in self.known.iter_mut().zip(&self.published) {
            if !message.is_persistent() {
                known.place = Place::Gone;
            } else if known.place != Place::Gone {
                // Those that had failed stay in order and do not wait again.
                known.place = Place::Ready;
            }
        }
        let found = recovered.messages.iter().map(|message| index(message.sequence));
        let here = self.known.iter().enumerate().filter(|(_, known)| known.place == Place::Ready);
        assert!(found.eq(here.map(|(number, _)| number)), "what is stored");
        self.real = queue(self.kind);
        self.real.begin(self.facts);
        self.real.restore(recovered, if is_crash { u64::MAX } else { 0 });
        self.consumers.clear();
        self.late.clear();
        self.told.forget_scratch();
        self.serve_stores();
        self.started = self.real.clone();
        self.written.clear();
    }
}
