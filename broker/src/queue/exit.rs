//! Where a queue sends what leaves it on its own: dead messages, and itself when nobody used it.
//!
//! The vhost is behind it (`vhost::dead_letters`), which is above queues and so unknown to them.
//! Called with no lock held, when effects are carried out, and by the timer.

use std::fmt;
use std::sync::Arc;

use super::deaths::DeadLetters;
use super::taps::Delivered;
use super::{Effects, Queue};

/// See the module documentation.
pub(crate) trait Exit: fmt::Debug + Send + Sync {
    /// Publishes dead messages where their queue says. What that leaves to be done is added to the
    /// effects.
    fn publish_dead(&self, letters: DeadLetters, effects: &mut Effects);

    /// Tells the firehose of deliveries.
    fn tell_firehose(&self, delivered: Delivered, effects: &mut Effects);

    /// Deletes a queue, unless it is used again.
    fn delete_unused(&self, queue: &Arc<Queue>);

    /// Deletes an auto-delete queue that lost its last consumer, unless there is another one.
    fn delete_abandoned(&self, queue: &Arc<Queue>);
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

        fn tell_firehose(&self, delivered: Delivered, _: &mut Effects) {
            panic!("nobody is told of {delivered:?}")
        }

        fn delete_unused(&self, queue: &Arc<Queue>) {
            panic!("nobody deletes {queue:?}")
        }

        fn delete_abandoned(&self, queue: &Arc<Queue>) {
            panic!("nobody deletes {queue:?}")
        }
    }

    /// What a queue has around it that is in no vhost.
    pub(crate) fn alone(messages: Arc<Messages>) -> Surroundings {
        let exit: Weak<dyn Exit> = Weak::<Nobody>::new();
        let (is_traced, deaths, gone) = (Arc::default(), Arc::default(), Arc::default());
        let budget = Arc::default();
        let (timer, samples) = (Arc::default(), Arc::default());
        Surroundings { messages, timer, is_traced, deaths, gone, budget, samples, exit }
    }
}
