//! What one channel did: RabbitMQ's `message_stats` of channels.
//!
//! The half that the channel's own task counts is [`ChannelMeter`]; the half that is delivered to it is
//! counted by its ledger, under the outgoing lock of the connection (`outgoing::ledger`).

use super::Count;

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
}

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
}

impl Delivered {
    /// Handed out or fetched.
    pub(crate) fn all(&self) -> u64 {
        self.delivered + self.delivered_no_ack + self.got + self.got_no_ack
    }
}
