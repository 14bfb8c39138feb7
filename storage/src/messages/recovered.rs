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
    /// The highest number of a queue that the store has ever heard of, deleted or not; 0 if none. New
    /// queues must have higher ones: what is known of a number outlives the definitions.
    pub highest_queue: u64,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveredMessage {
    /// Its place in the queue.
    pub sequence: u64,
    /// The note it was appended with.
    pub note: u64,
    /// When it came, in milliseconds since 1970.
    pub arrived_ms: u64,
    /// When it expires or is due, in milliseconds since 1970.
    pub until_ms: Option<u64>,
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
