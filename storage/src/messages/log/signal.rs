//! A bell for a thread that works now and then: the compactor.
//!
//! Stays true: what is rung while the thread works is heard when it next listens; rung twice it is
//! heard once.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_rung: bool,
    is_ended: bool,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// There may be something to do.
    Ring,
    /// Nothing, for as long as was waited.
    Nothing,
    /// The thread is to end.
    End,
}

impl Signal {
    /// There may be something to do.
    pub(crate) fn ring(&self) {
        self.state.lock().is_rung = true;
        self.wake.notify_one();
    }

    /// The thread is to end.
    pub(crate) fn end(&self) {
        self.state.lock().is_ended = true;
        self.wake.notify_all();
    }

    /// Whether the thread is to end: asked between the pieces of long work.
    pub(crate) fn is_ended(&self) -> bool {
        self.state.lock().is_ended
    }

    /// Waits to be rung, for so long at most.
    pub(crate) fn wait(&self, longest: Duration) -> Heard {
        let mut state = self.state.lock();
        let is_silent = |state: &mut State| !state.is_rung && !state.is_ended;
        self.wake.wait_while_for(&mut state, is_silent, longest);
        if state.is_ended {
            return Heard::End;
        }
        if std::mem::take(&mut state.is_rung) { Heard::Ring } else { Heard::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_heard_once_and_an_end_for_ever() {
        let signal = Signal::default();
        signal.ring();
        signal.ring();
        assert_eq!(signal.wait(Duration::from_secs(60)), Heard::Ring);
        assert_eq!(signal.wait(Duration::ZERO), Heard::Nothing);
        assert!(!signal.is_ended());
        signal.end();
        signal.ring();
        assert_eq!(signal.wait(Duration::from_secs(60)), Heard::End);
        assert_eq!(signal.wait(Duration::from_secs(60)), Heard::End);
    }
}
