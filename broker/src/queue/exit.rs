//! Where a queue sends what leaves it on its own: dead messages, and itself when nobody used it.
//!
//! The vhost is behind it (`vhost::dead_letters`), which is above queues and so unknown to them.
//! Called with no lock held, when effects are carried out, and by the timer.

use std::fmt;
use std::sync::Arc;

use leveret_storage::messages::Place;

use super::deaths::Dead;
use super::paged::Shelf;
use super::read_ahead;
use super::ready::Held;
use super::{Effects, Queue};

/// Messages that died in a queue, in the order in which they did.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    /// The queue they were in.
    pub queue: Arc<Queue>,
    /// The messages.
    pub dead: Vec<Dead>,
}

/// See the module documentation.
pub(crate) trait Exit: fmt::Debug + Send + Sync {
    /// Publishes dead messages where their queue says. What that leaves to be done is added to the
    /// effects.
    fn publish_dead(&self, letters: DeadLetters, effects: &mut Effects);

    /// Deletes a queue, unless it is used again.
    fn delete_unused(&self, queue: &Arc<Queue>);
}

impl DeadLetters {
    /// Whether all bodies are in memory.
    pub(crate) fn are_here(&self) -> bool {
        self.missing() == 0
    }

    /// How many bodies are not in memory.
    pub(crate) fn missing(&self) -> usize {
        self.dead.iter().filter(|dead| dead.message().is_none()).count()
    }

    /// Reads the bodies that are not in memory, as far as they are to be had. One that is damaged
    /// leaves its message out. Blocks.
    pub(crate) fn read(mut self) -> Self {
        let Self { queue, dead } = &mut self;
        let missing = dead.iter().filter_map(|dead| match &dead.held {
            Held::Paged(stub) => Some((dead.sequence, stub.shelf)),
            Held::Resident(_) => None,
        });
        let mut found = read_ahead::read_these(queue, missing);
        dead.retain_mut(|dead| match found.remove(&dead.sequence) {
            Some(Ok(message)) => {
                dead.read(message);
                true
            }
            Some(Err(())) => false,
            None => true,
        });
        self
    }

    /// The scratch store needs them no more.
    pub(crate) fn unpage(&self, effects: &mut Effects) {
        let queue = self.queue.id().0;
        for dead in self.dead.iter().filter(|dead| dead.shelf == Some(Shelf::Scratch)) {
            effects.scratch.settle(Place { queue, sequence: dead.sequence });
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Weak;

    use super::super::Surroundings;
    use super::*;
    use crate::stores::Messages;

    /// Of a queue without a vhost: nobody takes what leaves it.
    #[derive(Debug)]
    struct Nobody;

    impl Exit for Nobody {
        fn publish_dead(&self, letters: DeadLetters, _: &mut Effects) {
            panic!("nobody takes {letters:?}")
        }

        fn delete_unused(&self, queue: &Arc<Queue>) {
            panic!("nobody deletes {queue:?}")
        }
    }

    /// What a queue has around it that is in no vhost.
    pub(crate) fn alone(messages: Arc<Messages>) -> Surroundings {
        let exit: Weak<dyn Exit> = Weak::<Nobody>::new();
        Surroundings { messages, timer: Arc::default(), exit }
    }
}
