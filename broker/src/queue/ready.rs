//! The messages of a queue that wait for a consumer, in delivery order.
//!
//! Owned by `queue::state`. A plain queue is one deque ordered by sequence number; a priority queue
//! (`x-max-priority`) is one such deque per priority, highest first. Stays true: inside a priority
//! the sequence numbers ascend, so what is requeued returns to its original position.

use std::collections::VecDeque;

use crate::message::Message;

/// A message in its place in one queue.
#[derive(Clone, Debug)]
pub(super) struct QueuedMessage {
    /// Its place: ascending in the order of arrival, never used twice in a queue.
    pub sequence: u64,
    /// The message itself, shared with the other queues it was routed to.
    pub message: Message,
    /// Whether it was handed out before: the `redelivered` flag of its next delivery.
    pub redelivered: bool,
}

/// Waiting messages. See the module documentation for the order.
#[derive(Debug)]
pub(super) struct Ready {
    /// Indexed by priority, 0 first. Never empty.
    levels: Vec<VecDeque<QueuedMessage>>,
    count: usize,
    bytes: usize,
    body_bytes: usize,
}

/// A deque that shrank to a small part of its capacity gives the memory back: a backlog that was
/// drained must not cost for ever.
const SHRINK_ABOVE_CAPACITY: usize = 4096;

impl Ready {
    /// No messages; priorities above `max_priority` count as it.
    pub(super) fn new(max_priority: u8) -> Self {
        let levels = (0..=usize::from(max_priority)).map(|_| VecDeque::new()).collect();
        Self { levels, count: 0, bytes: 0, body_bytes: 0 }
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The content of the waiting messages in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bodies of the waiting messages in bytes: what `x-max-length-bytes` limits.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    fn count_in(&mut self, message: &Message) {
        self.count += 1;
        self.bytes += message.size();
        self.body_bytes += message.body().len();
    }

    /// Adds a newly arrived message behind all others of its priority.
    pub(super) fn push(&mut self, message: QueuedMessage) {
        self.count_in(&message.message);
        self.level(&message.message).push_back(message);
    }

    /// Puts a message back where it came from, by its sequence number.
    pub(super) fn requeue(&mut self, message: QueuedMessage) {
        self.count_in(&message.message);
        let level = self.level(&message.message);
        if level.front().is_none_or(|front| message.sequence < front.sequence) {
            level.push_front(message);
        } else {
            let place = level.partition_point(|other| other.sequence < message.sequence);
            level.insert(place, message);
        }
    }

    /// Takes the message that is to be delivered next.
    pub(super) fn pop(&mut self) -> Option<QueuedMessage> {
        if self.count == 0 {
            return None;
        }
        let level = self.levels.iter_mut().rev().find(|level| !level.is_empty())?;
        let message = level.pop_front()?;
        if level.capacity() > SHRINK_ABOVE_CAPACITY && level.len() < level.capacity() / 8 {
            level.shrink_to(level.capacity() / 4);
        }
        self.count -= 1;
        self.bytes -= message.message.size();
        self.body_bytes -= message.message.body().len();
        Some(message)
    }

    /// Drops everything and says how many messages that was.
    pub(super) fn clear(&mut self) -> usize {
        let count = self.count;
        for level in &mut self.levels {
            *level = VecDeque::new();
        }
        self.count = 0;
        self.bytes = 0;
        self.body_bytes = 0;
        count
    }

    #[expect(clippy::expect_used, reason = "`new` makes at least one level")]
    fn level(&mut self, message: &Message) -> &mut VecDeque<QueuedMessage> {
        let highest = self.levels.len() - 1;
        let priority = usize::from(message.priority()).min(highest);
        self.levels.get_mut(priority).expect("priority is cut to the highest level")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    fn queued(sequence: u64, priority: u8) -> QueuedMessage {
        let message = message("k", b"body").with_priority(priority);
        QueuedMessage { sequence, message, redelivered: false }
    }

    fn drain(ready: &mut Ready) -> Vec<u64> {
        std::iter::from_fn(|| ready.pop()).map(|message| message.sequence).collect()
    }

    #[test]
    fn requeued_messages_return_to_their_original_position() {
        let mut ready = Ready::new(0);
        for sequence in 0..6 {
            ready.push(queued(sequence, 0));
        }
        let taken: Vec<_> = (0..4).filter_map(|_| ready.pop()).collect();
        for message in [2, 0, 3, 1].iter().map(|&i: &usize| taken[i].clone()) {
            ready.requeue(message);
        }
        assert_eq!(drain(&mut ready), [0, 1, 2, 3, 4, 5]);
        assert_eq!(ready.bytes(), 0);
    }

    #[test]
    fn higher_priorities_go_first_and_too_high_ones_count_as_the_highest() {
        let mut ready = Ready::new(2);
        for (sequence, priority) in [(0, 0), (1, 2), (2, 1), (3, 9), (4, 0)] {
            ready.push(queued(sequence, priority));
        }
        assert_eq!(drain(&mut ready), [1, 3, 2, 0, 4]);
    }

    #[test]
    fn clear_forgets_counts_and_bytes() {
        let mut ready = Ready::new(0);
        ready.push(queued(0, 0));
        ready.push(queued(1, 0));
        assert_eq!(ready.clear(), 2);
        assert!(ready.is_empty());
        assert_eq!(ready.bytes(), 0);
    }
}
