//! A queue that somebody has paused: nothing is handed out, or nothing is taken from publishers.
//!
//! Set by `vhost::pausing`, which keeps it with the queue's definition. Stays true: while consumers are
//! paused no message is handed out, what is unacknowledged can be settled, and time goes on; while
//! publishers are paused what they publish is refused as if the queue were full, with a nack where
//! there are confirms, and the broker's own messages still come in: dead letters, what was delayed,
//! what is moved.

use std::sync::Arc;

use super::command::Command;
use super::{Effects, Queue};
use crate::pause::Pause;
use arc_swap::ArcSwap;

/// What of it counts for a queue.
#[derive(Debug, Default)]
pub(super) struct Paused {
    now: ArcSwap<Pause>,
}

impl Paused {
    /// Whether publishers are.
    pub(super) fn refuses(&self) -> bool {
        self.now.load().publishers.is_some()
    }
}

impl Queue {
    /// Who is paused, and why.
    pub(crate) fn paused(&self) -> Arc<Pause> {
        self.paused.now.load_full()
    }

    /// From now on these are paused, and no others.
    pub(crate) fn pause(self: &Arc<Self>, pause: Pause) {
        let mut effects = Effects::default();
        let mut inner = self.inner.lock();
        let holds = pause.consumers.is_some();
        self.paused.now.store(Arc::new(pause));
        self.note_refusing();
        if !inner.deleted {
            inner.state.apply(Command::Pause(holds), self.facts());
            self.pump(&mut inner, 0, &mut effects);
        }
        drop(inner);
        effects.carry_out(self.messages());
    }
}
