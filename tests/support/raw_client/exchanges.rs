//! Whole exchanges of methods that many tests need: declare, publish with a confirm, get, consume.

use std::collections::BTreeSet;

use super::RawClient;
use super::content::Message;
use super::method::{Flag, MethodId, basic, channel, confirm, connection, exchange, queue};
use super::reply::{Confirm, Declared, Delivery, Fetched, Reply, Returned, name_of};
use crate::deadline::{Deadline, TO_RUN, wait_until};

/// The channel [`RawClient::fill`] and [`RawClient::queue_exists`] open for themselves.
const SIDE_CHANNEL: u16 = 1999;

impl RawClient {
    /// Declares a durable queue.
    pub fn declare_queue(&mut self, name: &str) -> Declared {
        self.call(queue::declare(name).with(Flag::Durable)).declared()
    }

    /// Declares a durable exchange.
    pub fn declare_exchange(&mut self, name: &str, kind: &str) {
        self.call(exchange::declare(name, kind).with(Flag::Durable));
    }

    /// Declares a queue and binds it.
    pub fn declare_bound_queue(&mut self, name: &str, exchange: &str, binding_key: &str) {
        self.declare_queue(name);
        self.call(queue::bind(name, exchange, binding_key));
    }

    /// What a passive declare on channel 1 says of the queue.
    pub fn queue_state(&mut self, name: &str) -> Declared {
        self.queue_state_on(1, name)
    }

    /// What a passive declare says of the queue.
    pub fn queue_state_on(&mut self, channel: u16, name: &str) -> Declared {
        self.call(queue::declare(name).with(Flag::Passive).on(channel)).declared()
    }

    /// Whether the queue exists, be it another connection's own; asked on a channel of its own.
    pub fn queue_exists(&mut self, name: &str) -> bool {
        self.open_channel(SIDE_CHANNEL);
        self.send(queue::declare(name).with(Flag::Passive).on(SIDE_CHANNEL));
        let answer = self.expect_on(SIDE_CHANNEL);
        if answer.id == queue::DECLARE_OK {
            self.call(channel::close().on(SIDE_CHANNEL));
            return true;
        }
        self.send(channel::close_ok().on(SIDE_CHANNEL));
        let code = answer.close().code;
        assert!([404, 405].contains(&code), "neither there, nor gone, nor locked: {answer}");
        code == 405
    }

    /// Waits until the queue is gone.
    pub fn expect_no_queue(&mut self, name: &str) {
        wait_until(&format!("the end of the queue {name}"), || !self.queue_exists(name));
    }

    /// Turns confirms on for channel 1.
    pub fn select_confirms(&mut self) {
        self.call(confirm::select());
    }

    /// Publishes one message for each body on a channel of its own, which is closed again once the
    /// queue has them all. Confirms tell that: a RabbitMQ queue may answer a count before it has
    /// taken in what was published before the question.
    pub fn fill(&mut self, queue: &str, bodies: &[&str]) {
        self.fill_with(bodies.iter().map(|body| Message::to_queue(queue).body(body)));
    }

    /// As [`Self::fill`], with delivery mode 2: returns when the messages are stored.
    pub fn fill_persistent(&mut self, queue: &str, bodies: &[&str]) {
        let message = |body| Message::to_queue(queue).body(body).persistent();
        self.fill_with(bodies.iter().map(message));
    }

    fn fill_with(&mut self, messages: impl Iterator<Item = Message>) {
        self.open_channel(SIDE_CHANNEL);
        self.call(confirm::select().on(SIDE_CHANNEL));
        let mut open = BTreeSet::new();
        for (message, number) in messages.zip(1..) {
            self.publish(&message.on(SIDE_CHANNEL));
            open.insert(number);
        }
        let deadline = Deadline::within("the confirms of what was published", TO_RUN);
        while !open.is_empty() {
            deadline.check();
            let confirm = self.expect_on(SIDE_CHANNEL).confirm();
            assert!(confirm.acked, "the queue refused a message");
            confirm.settle(&mut open);
        }
        self.call(channel::close().on(SIDE_CHANNEL));
    }

    /// Waits until the queue has so many ready messages.
    pub fn expect_count(&mut self, queue: &str, count: u32) {
        let deadline = Deadline::of(&format!("{count} messages in {queue}"));
        loop {
            let state = self.queue_state(queue);
            if state.message_count == count {
                return;
            }
            assert!(!deadline.has_passed(), "{queue} should have {count} messages, has {state:?}");
        }
    }

    /// The next thing must be a delivery.
    pub fn expect_delivery(&mut self) -> Delivery {
        self.expect(basic::DELIVER).delivery()
    }

    /// The next things must be deliveries of these bodies in this order; their tags.
    pub fn expect_deliveries(&mut self, bodies: &[&str]) -> Vec<u64> {
        let mut tags = Vec::new();
        for body in bodies {
            let delivery = self.expect_delivery();
            assert_eq!(delivery.text(), *body, "body of the next delivery");
            tags.push(delivery.delivery_tag);
        }
        tags
    }

    /// The next thing must be a confirm.
    pub fn expect_confirm(&mut self) -> Confirm {
        self.expect_any().confirm()
    }

    /// Waits until every publish up to `last` is confirmed as stored.
    pub fn expect_confirmed_up_to(&mut self, first: u64, last: u64) {
        let mut open: BTreeSet<u64> = (first..=last).collect();
        let deadline = Deadline::within("the confirms of what was published", TO_RUN);
        while !open.is_empty() {
            deadline.check();
            let confirm = self.expect_confirm();
            assert!(confirm.acked, "a publish was refused: {confirm:?}");
            assert!(!confirm.settle(&mut open).is_empty(), "confirmed twice: {confirm:?}");
        }
    }

    /// The next thing must be a returned message.
    pub fn expect_return(&mut self) -> Returned {
        self.expect(basic::RETURN).returned()
    }

    /// Gets a message that must be there; it stays unsettled.
    pub fn get(&mut self, queue: &str) -> Fetched {
        self.call(basic::get(queue)).fetched()
    }

    /// Gets and settles everything there is; the bodies.
    pub fn drain(&mut self, queue: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        let deadline = Deadline::within(&format!("the last message of {queue}"), TO_RUN);
        loop {
            let reply = self.call(basic::get(queue).with(Flag::NoAck));
            if reply.id == basic::GET_EMPTY {
                return bodies;
            }
            bodies.push(reply.fetched().text());
            deadline.check();
        }
    }

    /// Sends a message through a queue of its own on channel 1, and gets it back.
    pub fn round_trip(&mut self, body: &[u8]) {
        let queue = self.call(queue::declare("").with(Flag::Exclusive)).declared().queue;
        self.publish(&Message::to_queue(&queue).body(body));
        let fetched = self.call(basic::get(&queue).with(Flag::NoAck)).fetched();
        assert!(fetched.content.body == body, "not the message that was sent");
        self.call(queue::delete(&queue));
    }

    /// Reads until this method comes, and drops what comes before it.
    pub fn skip_to(&mut self, id: MethodId) -> Reply {
        let deadline = Deadline::of(&name_of(id));
        loop {
            let reply = self.expect_any();
            if reply.id == id {
                return reply;
            }
            deadline.check();
        }
    }

    /// Starts a consumer on channel 1; its tag.
    pub fn consume(&mut self, queue: &str) -> String {
        self.call(basic::consume(queue, "")).consumer_tag()
    }

    /// Ends the connection in good order.
    pub fn close(mut self) {
        self.call(connection::close(200, "done", (0, 0)));
    }
}

impl Confirm {
    /// Takes out of `open` what this confirms; what it took.
    pub fn settle(self, open: &mut BTreeSet<u64>) -> BTreeSet<u64> {
        let confirms = |number: &u64| {
            *number == self.delivery_tag || self.multiple && *number < self.delivery_tag
        };
        let settled = open.iter().copied().filter(confirms).collect();
        open.retain(|number| !confirms(number));
        settled
    }
}

impl Delivery {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content.body).into_owned()
    }
}

impl Fetched {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content.body).into_owned()
    }
}
