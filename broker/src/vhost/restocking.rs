//! Messages put into queues as they were elsewhere (by way of `injecting`): same exchange and routing key, no exchange asked.
//!
//! For management, which is above, and there for who moves from another broker. Stays true: what is put
//! together is on disk together or not at all, so whoever is interrupted can tell by one of the messages
//! whether the others are there.

use std::sync::Arc;

use super::Vhost;
use crate::definitions::store::Durable;
use crate::message::Message;
use crate::queue::Queue;

/// What became of messages that were put into queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restocked {
    /// Those that are in their queue.
    pub taken: usize,
    /// Which ones their queue did not take, because it is full; counted from 0.
    pub refused: Vec<usize>,
}

impl Vhost {
    /// Puts messages into queues. What became of them, and when what of it is to be stored is on disk.
    pub(crate) fn restock(
        self: &Arc<Self>,
        messages: Vec<(Arc<Queue>, Message)>,
    ) -> (Restocked, Durable) {
        let mut restocked = Restocked::default();
        let ways = messages.into_iter().map(|(queue, message)| (message, vec![queue])).collect();
        let durable = self.put_each(ways, None, |of, is_taken| match is_taken {
            true => restocked.taken += 1,
            false => restocked.refused.push(of),
        });
        restocked.refused.sort_unstable();
        (restocked, durable)
    }
}
