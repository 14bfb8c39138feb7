//! What a message store found on disk when it was opened.

use std::collections::BTreeMap;

/// The messages of all known queues. Everything in it counts as handed out before: it is delivered
/// again with the redelivered flag.
#[derive(Debug, Default)]
pub struct Recovered {
    /// By queue number. A known queue without messages may be missing.
    pub queues: BTreeMap<u64, RecoveredQueue>,
    /// Messages of queues that nobody knows and nobody deleted. They stay on disk: lost definitions
    /// never delete messages.
    pub quarantined: Vec<Quarantined>,
    /// What an operator should read: torn tails that were cut, damage that was salvaged.
    pub notes: Vec<String>,
}

/// One queue's messages.
#[derive(Debug, Default)]
pub struct RecoveredQueue {
    /// The sequence number that the next message may have: above every one seen.
    pub next_sequence: u64,
    /// Messages that are not settled, ascending by sequence number.
    pub messages: Vec<RecoveredMessage>,
}

/// A message on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveredMessage {
    /// Its place in the queue.
    pub sequence: u64,
    /// The note it was appended with.
    pub note: u64,
    /// Bytes of its content.
    pub size: u32,
    /// How often it was given back.
    pub delivery_count: u32,
}

/// Messages of an unknown queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The queue's number.
    pub queue: u64,
    /// How many messages it has.
    pub messages: u64,
}
