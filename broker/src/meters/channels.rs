//! What one channel did: RabbitMQ's `message_stats` of channels.
//!
//! The half that the channel's own task counts is [`ChannelMeter`]; the half that is delivered to it is
//! counted by its ledger, under the outgoing lock of the connection (`outgoing::ledger`).

use parking_lot::Mutex;

use super::Count;
use super::history::{DETAILED, History, Range, Sampled, Ticks};

/// Numbers that are sampled of a channel, in the order of [`ChannelCounts::numbers`].
pub(crate) const NUMBERS: usize = 11;

/// What a channel's own task counts.
#[derive(Debug, Default)]
pub(crate) struct ChannelMeter {
    /// Messages published, those of transactions when they are committed.
    pub published: Count,
    /// Of these: confirmed.
    pub confirmed: Count,
    /// Of these: returned, because nothing took them.
    pub returned: Count,
    /// Of these: dropped, because nothing took them.
    pub dropped: Count,
    /// `basic.get` of empty queues.
    pub get_empty: Count,
    /// Deliveries acknowledged.
    pub acknowledged: Count,
    history: Mutex<Option<Box<History<NUMBERS>>>>,
}

impl PartialEq for ChannelMeter {
    /// No two channels share one.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for ChannelMeter {}

/// What was delivered to a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// To consumers that settle what they get.
    pub delivered: u64,
    /// To those that do not.
    pub delivered_no_ack: u64,
    /// By `basic.get`, to be settled.
    pub got: u64,
    /// By `basic.get`, and done with.
    pub got_no_ack: u64,
    /// Of all these: not for the first time.
    pub redelivered: u64,
}

/// All of it at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelCounts {
    /// See [`ChannelMeter`].
    pub published: u64,
    /// See [`ChannelMeter`].
    pub confirmed: u64,
    /// See [`ChannelMeter`].
    pub returned: u64,
    /// See [`ChannelMeter`].
    pub dropped: u64,
    /// See [`ChannelMeter`].
    pub get_empty: u64,
    /// See [`ChannelMeter`].
    pub acknowledged: u64,
    /// What it got.
    pub delivered: Delivered,
}

impl ChannelMeter {
    /// What it is now, with what was delivered.
    pub(crate) fn counts(&self, delivered: Delivered) -> ChannelCounts {
        ChannelCounts {
            published: self.published.get(),
            confirmed: self.confirmed.get(),
            returned: self.returned.get(),
            dropped: self.dropped.get(),
            get_empty: self.get_empty.get(),
            acknowledged: self.acknowledged.get(),
            delivered,
        }
    }

    /// So it is at this tick.
    pub(crate) fn sample(&self, counts: &ChannelCounts, ticks: &Ticks) {
        let values = counts.numbers();
        let mut history = self.history.lock();
        if history.is_some() || values != [0; NUMBERS] {
            let history = history.get_or_insert_with(|| Box::new(History::new(DETAILED, ticks)));
            history.note(ticks.now, values);
        }
    }

    /// How fast it goes, and what it was.
    pub(crate) fn sampled(&self, range: Option<&Range>, ticks: &Ticks) -> Sampled<NUMBERS> {
        let history = self.history.lock();
        match &*history {
            Some(history) => history.sampled(range, ticks),
            None => Sampled::nothing(range),
        }
    }
}

impl ChannelCounts {
    fn numbers(&self) -> [u64; NUMBERS] {
        let Delivered { delivered, delivered_no_ack, got, got_no_ack, redelivered } =
            self.delivered;
        [
            self.published,
            self.confirmed,
            self.returned,
            self.dropped,
            self.get_empty,
            self.acknowledged,
            delivered,
            delivered_no_ack,
            got,
            got_no_ack,
            redelivered,
        ]
    }
}

impl Delivered {
    /// Handed out or fetched.
    pub(crate) fn all(&self) -> u64 {
        self.delivered + self.delivered_no_ack + self.got + self.got_no_ack
    }
}
