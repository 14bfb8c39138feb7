//! A queue that hands out nothing while much comes back to it.
//!
//! A room of `queue`, called by `session::channel::settle`. Stays true: it hands out again once everybody who
//! suspended it has undone that.

use std::sync::Arc;

use super::command::Command;
use super::{Effects, Queue};

impl Queue {
    /// Nothing is handed out until `unsuspend`: a channel gives back messages in several steps, and
    /// whoever is served next is to find them all.
    pub(crate) fn suspend(&self) {
        self.inner.lock().state.apply(Command::Suspend, self.facts());
    }

    /// Undoes one `suspend`.
    pub(crate) fn unsuspend(self: &Arc<Self>, effects: &mut Effects) {
        let mut inner = self.inner.lock();
        if !inner.deleted {
            inner.state.apply(Command::Unsuspend, self.facts());
            self.pump(&mut inner, 0, effects);
        }
    }
}
