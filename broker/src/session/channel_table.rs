//! The channels of one connection by number.
//!
//! Owned by the connection's task. Stays true: a channel the server closed is known as closing, and
//! deaf, until the client's close-ok or close.
//! Specification: AMQP 0-9-1 channel class.

use rustc_hash::FxHashMap;

use crate::error::ConnectionError;
use crate::session::channel::Channel;

#[derive(Debug)]
enum Slot {
    Open(Box<Channel>),
    /// The server sent channel.close and waits for channel.close-ok.
    Closing,
}

/// What a channel number stands for now.
#[derive(Debug)]
pub(crate) enum Lookup<'a> {
    /// An open channel.
    Open(&'a mut Channel),
    /// A channel that the server closed: what comes for it is ignored.
    Closing,
    /// Nothing.
    Unknown,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct ChannelTable {
    slots: FxHashMap<u16, Slot>,
    channel_max: u16,
}

impl ChannelTable {
    /// For a connection that negotiated `channel_max` channels; 0 is no limit.
    pub(crate) fn new(channel_max: u16) -> Self {
        Self { slots: FxHashMap::default(), channel_max }
    }

    /// What this number stands for.
    pub(crate) fn get(&mut self, number: u16) -> Lookup<'_> {
        match self.slots.get_mut(&number) {
            Some(Slot::Open(channel)) => Lookup::Open(channel),
            Some(Slot::Closing) => Lookup::Closing,
            None => Lookup::Unknown,
        }
    }

    /// The open channel with this number.
    pub(crate) fn open(&mut self, number: u16) -> Option<&mut Channel> {
        match self.get(number) {
            Lookup::Open(channel) => Some(channel),
            Lookup::Closing | Lookup::Unknown => None,
        }
    }

    /// Whether a channel with this number may be opened.
    pub(crate) fn assert_free(&self, number: u16) -> Result<(), ConnectionError> {
        if self.slots.contains_key(&number) {
            return Err(ConnectionError::Channel("second 'channel.open' seen".to_owned()));
        }
        let limit = usize::from(self.channel_max);
        // RabbitMQ: how many there are counts, not how they are numbered.
        if limit > 0 && self.slots.len() >= limit {
            return Err(ConnectionError::NotAllowed(format!(
                "number of channels opened ({}) has reached the negotiated channel_max ({limit})",
                self.slots.len()
            )));
        }
        Ok(())
    }

    /// Adds an opened channel.
    pub(crate) fn insert(&mut self, channel: Channel) {
        self.slots.insert(channel.number(), Slot::Open(Box::new(channel)));
    }

    /// Forgets a number: the channel is closed on both sides.
    pub(crate) fn remove(&mut self, number: u16) -> Option<Box<Channel>> {
        match self.slots.remove(&number) {
            Some(Slot::Open(channel)) => Some(channel),
            Some(Slot::Closing) | None => None,
        }
    }

    /// The server closes the channel: takes it out and leaves a deaf place.
    pub(crate) fn start_closing(&mut self, number: u16) -> Option<Box<Channel>> {
        match self.slots.insert(number, Slot::Closing) {
            Some(Slot::Open(channel)) => Some(channel),
            Some(Slot::Closing) | None => None,
        }
    }

    /// Takes all open channels: the connection ends.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Box<Channel>> {
        self.slots.drain().filter_map(|(_, slot)| match slot {
            Slot::Open(channel) => Some(channel),
            Slot::Closing => None,
        })
    }

    /// All open channels.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.slots.values().filter_map(|slot| match slot {
            Slot::Open(channel) => Some(&**channel),
            Slot::Closing => None,
        })
    }
}
