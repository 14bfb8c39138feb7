//! Looks at everything the queues hold after a start, through one consumer a queue, then settles
//! some of it and gives the rest back.

use leveret_tests::broker_under_test::Broker;
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, connection};
use leveret_tests::raw_client::reply::Delivery;
use leveret_tests::raw_client::{Flag, RawClient};
use rand::Rng;
use rand::rngs::StdRng;

use crate::layout::{QUEUES, QueueIndex};
use crate::record::{Fate, Stream, Taken};
use crate::stamp::Stamp;

/// A queue's content, all of it unsettled at one consumer.
pub(crate) struct Inventory {
    client: RawClient,
    consumer_tag: String,
    queue: QueueIndex,
    taken: Vec<Taken>,
}

/// Takes everything out of every queue.
pub(crate) fn take_all(broker: &Broker) -> Vec<Inventory> {
    (0..QUEUES.len()).map(|queue| Inventory::take(broker, queue)).collect()
}

impl Inventory {
    /// Takes as many messages as the broker says there are; then the queue must be empty.
    fn take(broker: &Broker, queue: QueueIndex) -> Self {
        let role = &QUEUES[queue];
        let mut client = broker.connect();
        let count = client.queue_state(role.name).message_count;
        let consumer_tag = client.consume(role.name);
        let deliveries: Vec<Delivery> = (0..count).map(|_| client.expect_delivery()).collect();
        client.expect_nothing_pending(1, role.name);
        assert_eq!(client.queue_state(role.name).message_count, 0, "left in {}", role.name);
        let priorities = deliveries.iter().map(|it| Stamp::of(&it.content).priority());
        let sinks = priorities.rev().is_sorted();
        assert!(sinks || !role.has_priorities, "{}: priorities come highest first", role.name);
        let taken = |delivery: &Delivery| Taken {
            stamp: Stamp::of(&delivery.content),
            redelivered: delivery.redelivered,
            at: now(),
            fate: Fate::Requeued,
        };
        Self { client, consumer_tag, queue, taken: deliveries.iter().map(taken).collect() }
    }

    /// What is there, in order of delivery.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        self.taken.iter().map(|taken| taken.stamp).collect()
    }

    /// Settles nothing, the first half, or everything, and gives back the rest in one way or other.
    pub(crate) fn settle_some(self, random: &mut StdRng) -> Stream {
        let count = self.taken.len() * random.random_range(0..3) / 2;
        self.settle(count, random.random())
    }

    /// Settles everything.
    pub(crate) fn settle_all(self) -> Stream {
        let count = self.taken.len();
        self.settle(count, true)
    }

    fn settle(mut self, count: usize, gives_back: bool) -> Stream {
        let (at, queue) = (now(), QUEUES[self.queue].name);
        if count > 0 {
            self.client.send(basic::ack(count as u64).with(Flag::Multiple));
        }
        if gives_back && count < self.taken.len() {
            let all = basic::nack(0).with(Flag::Multiple).with(Flag::Requeue);
            // Else it would be delivered to this consumer again.
            self.client.call(basic::cancel(&self.consumer_tag));
            self.client.send(all);
        }
        self.client.queue_state(queue);
        let answered_at = Some(now());
        self.client.call(connection::close(200, "done", (0, 0)));
        for taken in self.taken.iter_mut().take(count) {
            taken.fate = Fate::Settled { at, answered_at };
        }
        Stream { queue: self.queue, taken: self.taken }
    }
}
