//! Messages put into queues as they were elsewhere: same exchange and routing key, no exchange asked.
//!
//! For management, which is above, and there for who moves from another broker. Stays true: what is put
//! together is on disk together or not at all, so whoever is interrupted can tell by one of the messages
//! whether the others are there.

use std::sync::Arc;

use leveret_storage::messages::Batch;

use super::Vhost;
use super::runs::{Runs, deliver_all, note_way};
use crate::clock;
use crate::definitions::store::Durable;
use crate::message::Message;
use crate::queue::{Effects, Queue};

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
        let (mut effects, mut batch) = (Effects::default(), Batch::default());
        let (mut runs, mut restocked) = (Runs::default(), Restocked::default());
        let now_ms = clock::unix_millis();
        let queues: Vec<Arc<Queue>> = messages.iter().map(|(queue, _)| Arc::clone(queue)).collect();
        for (of, (queue, message)) in messages.into_iter().enumerate() {
            let message = message.arrived_at(now_ms);
            note_way(of, &message, vec![queue], &mut batch.publishes, &mut runs);
        }
        deliver_all(runs, &mut batch, &mut effects, |of, _, is_taken| match is_taken {
            true => restocked.taken += 1,
            false => restocked.refused.push(of),
        });
        restocked.refused.sort_unstable();
        let is_stored = !batch.publishes.is_empty();
        effects.move_as_one(batch);
        effects.carry_out(&self.messages);
        let stored = is_stored.then(|| self.messages.last());
        (restocked, self.defined(&queues).and_stored(&self.messages, stored))
    }
}
