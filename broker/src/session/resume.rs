//! Whose turn it is when a channel or a connection has room for deliveries again.
//!
//! Used by a channel under a channel-wide limit and by the dispatch when the outgoing buffer was
//! full. Stays true: consumers take strict turns, and the next time begins behind whoever was served
//! last, so that none of them takes all the room.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::keys::ConsumerKey;
use crate::outgoing::ConnectionHandle;
use crate::queue::{Effects, Queue};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    served: usize,
}

impl Turn {
    /// Resumes these consumers of one connection, each for `share` messages at a time, until they
    /// have all they want or the outgoing buffer is full. Those who had no turn stay as they were.
    pub(crate) fn resume(
        &mut self,
        mut consumers: VecDeque<(Arc<Queue>, ConsumerKey)>,
        share: usize,
        connection: &ConnectionHandle,
        effects: &mut Effects,
    ) {
        let start = self.served.checked_rem(consumers.len()).unwrap_or(0);
        consumers.rotate_left(start);
        while let Some((queue, key)) = consumers.pop_front() {
            if queue.resume_for(key, share, effects) == 0 {
                continue;
            }
            self.served = self.served.wrapping_add(1);
            consumers.push_back((queue, key));
            if connection.outbox().is_congested() {
                return;
            }
        }
    }
}
