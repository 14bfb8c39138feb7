//! How many messages went through a queue, by what became of them: RabbitMQ's `message_stats`.
//!
//! Counted by `queue::state` where it happens, under the lock that it has anyway; read by whoever shows a
//! queue or a broker. Stays true: counts only rise; what went through a queue that is gone still counts
//! for its vhost (`truth::Gone`). See RabbitMQ's page on the HTTP API.

/// Messages that went through a queue since it was declared or the broker started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Taken in, by whatever way; what was refused is none.
    pub published: u64,
    /// Handed to consumers that settle what they get.
    pub delivered: u64,
    /// Handed to those that do not.
    pub delivered_no_ack: u64,
    /// Fetched by `basic.get`, to be settled.
    pub got: u64,
    /// Fetched, and done with.
    pub got_no_ack: u64,
    /// Asked for where there was nothing.
    pub get_empty: u64,
    /// Of those handed out or fetched: not for the first time.
    pub redelivered: u64,
    /// Acknowledged.
    pub acknowledged: u64,
}

impl Traffic {
    /// Handed out or fetched.
    pub(crate) fn handed_out(&self) -> u64 {
        self.delivered + self.delivered_no_ack + self.got + self.got_no_ack
    }

    /// All of another.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.published += other.published;
        self.delivered += other.delivered;
        self.delivered_no_ack += other.delivered_no_ack;
        self.got += other.got;
        self.got_no_ack += other.got_no_ack;
        self.get_empty += other.get_empty;
        self.redelivered += other.redelivered;
        self.acknowledged += other.acknowledged;
    }

    /// One was handed to a consumer.
    #[inline]
    pub(super) fn note_delivery(&mut self, acknowledges: bool, redelivered: bool) {
        match acknowledges {
            true => self.delivered += 1,
            false => self.delivered_no_ack += 1,
        }
        self.redelivered += u64::from(redelivered);
    }

    /// One was fetched.
    pub(super) fn note_get(&mut self, no_ack: bool, redelivered: bool) {
        match no_ack {
            false => self.got += 1,
            true => self.got_no_ack += 1,
        }
        self.redelivered += u64::from(redelivered);
    }
}

/// Traffic, apart for the two types of queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrafficByType {
    /// Of classic queues.
    pub classic: Traffic,
    /// Of quorum queues.
    pub quorum: Traffic,
}

impl TrafficByType {
    /// What went through a queue.
    pub(crate) fn add(&mut self, is_quorum: bool, traffic: &Traffic) {
        match is_quorum {
            false => self.classic.add_all(traffic),
            true => self.quorum.add_all(traffic),
        }
    }

    /// All of another.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.classic.add_all(&other.classic);
        self.quorum.add_all(&other.quorum);
    }

    /// Both types together.
    pub(crate) fn all(&self) -> Traffic {
        let mut all = self.classic;
        all.add_all(&self.quorum);
        all
    }
}
