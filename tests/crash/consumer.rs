//! A client that consumes from one queue and settles in every way there is, until the broker ends.

use std::sync::atomic::AtomicBool;

use leveret_tests::broker_under_test::Broker;
use leveret_tests::deadline::{Deadline, TO_RUN};
use leveret_tests::now;
use leveret_tests::raw_client::method::{Method, basic, queue};
use leveret_tests::raw_client::reply::Delivery;
use leveret_tests::raw_client::{Flag, ReadEnd};
use rand::Rng;
use rand::rngs::StdRng;

use crate::layout::{QUEUES, QueueIndex};
use crate::link::Link;
use crate::record::{Fate, Stream, Taken};
use crate::stamp::Stamp;

/// Deliveries after which the broker is asked something, on the average.
const ASKS_EVERY: u32 = 30;

/// One consumer on a channel of its own connection.
pub(crate) struct Consumer<'a> {
    link: Link<'a>,
    queue: QueueIndex,
    random: StdRng,
    prefetch: usize,
    /// The position in this is the delivery tag less one.
    taken: Vec<Taken>,
    /// Positions that are not settled, ascending.
    held: Vec<usize>,
    /// Positions settled since the last question.
    settled: Vec<usize>,
    /// Positions settled before the question that is not answered yet.
    asked: Option<Vec<usize>>,
}

impl<'a> Consumer<'a> {
    /// Connects and starts to consume.
    pub(crate) fn connect(
        broker: &Broker,
        queue: QueueIndex,
        mut random: StdRng,
        is_ending: &'a AtomicBool,
    ) -> Self {
        let prefetch: u16 = random.random_range(5..=150);
        let mut client = broker.connect();
        client.call(basic::qos(prefetch));
        let mut link = Link::over(client, is_ending);
        link.ask(&basic::consume(QUEUES[queue].name, "").with(Flag::NoWait));
        Self {
            link,
            queue,
            random,
            prefetch: usize::from(prefetch),
            taken: Vec::new(),
            held: Vec::new(),
            settled: Vec::new(),
            asked: None,
        }
    }

    /// Consumes until the connection ends.
    pub(crate) fn consume(mut self) -> Stream {
        let deadline = Deadline::within("the end of the broker", TO_RUN);
        loop {
            deadline.check();
            let goes_on = match self.link.listen() {
                Ok(reply) if reply.id == basic::DELIVER => self.take(&reply.delivery()),
                Ok(reply) => {
                    assert_eq!(reply.id, queue::DECLARE_OK, "{reply}");
                    self.hear_answer();
                    true
                }
                Err(ReadEnd::TimedOut) => true,
                Err(ReadEnd::Closed) => false,
            };
            if !goes_on {
                return Stream { queue: self.queue, taken: self.taken };
            }
        }
    }

    fn take(&mut self, delivery: &Delivery) -> bool {
        let stamp = Stamp::of(&delivery.content);
        assert_eq!(delivery.delivery_tag, self.taken.len() as u64 + 1, "tags count up");
        self.held.push(self.taken.len());
        let redelivered = delivery.redelivered;
        self.taken.push(Taken { stamp, redelivered, at: now(), fate: Fate::Held });
        self.settle_some() && self.ask_now_and_then()
    }

    /// Settles one or more deliveries, or none. Never lets the prefetch fill up.
    fn settle_some(&mut self) -> bool {
        let is_nearly_full = self.held.len() * 2 > self.prefetch;
        let choice = if is_nearly_full { 0 } else { self.random.random_range(0..10) };
        match choice {
            0 => {
                let until = self.random.random_range(0..self.held.len());
                let tag = self.tag(until);
                let positions = self.held.drain(..=until).collect();
                self.settle(positions, &basic::ack(tag).with(Flag::Multiple))
            }
            1..=4 => {
                let (tag, position) = self.pick();
                self.settle(vec![position], &basic::ack(tag))
            }
            5 => {
                let (tag, position) = self.pick();
                self.settle(vec![position], &basic::reject(tag))
            }
            6 if self.random.random_ratio(1, 4) => {
                let (tag, position) = self.pick();
                self.taken[position].fate = Fate::Requeued;
                self.link.ask(&basic::nack(tag).with(Flag::Requeue))
            }
            _ => true,
        }
    }

    fn tag(&self, index: usize) -> u64 {
        self.held[index] as u64 + 1
    }

    /// Takes any one out of what is held: its tag and its position.
    fn pick(&mut self) -> (u64, usize) {
        let index = self.random.random_range(0..self.held.len());
        (self.tag(index), self.held.remove(index))
    }

    fn settle(&mut self, positions: Vec<usize>, method: &Method) -> bool {
        let at = now();
        for position in positions {
            self.taken[position].fate = Fate::Settled { at, answered_at: None };
            self.settled.push(position);
        }
        self.link.ask(method)
    }

    /// Asks for something whose answer says that all before it was heard.
    fn ask_now_and_then(&mut self) -> bool {
        if self.asked.is_some() || !self.random.random_ratio(1, ASKS_EVERY) {
            return true;
        }
        self.asked = Some(std::mem::take(&mut self.settled));
        self.link.ask(&queue::declare(QUEUES[self.queue].name).with(Flag::Passive))
    }

    fn hear_answer(&mut self) {
        let heard = Some(now());
        for position in self.asked.take().expect("an answer to a question") {
            if let Fate::Settled { answered_at, .. } = &mut self.taken[position].fate {
                *answered_at = heard;
            }
        }
    }
}
