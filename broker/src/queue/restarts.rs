//! What the models let the durable store remember: the other half of `QueueState::restore`.
//!
//! Used by `model`, `groups_model` and `delays_model`.

use std::collections::BTreeMap;

use leveret_storage::messages::{RecoveredMessage, RecoveredQueue};

use super::store_changes::StoreChanges;
use crate::message::Message;

/// What a queue told the stores.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Durable messages that are done with.
    pub(super) settled: Vec<u64>,
    /// How often those that live came back.
    pub(super) counted: BTreeMap<u64, u32>,
    /// Those whose bodies left memory.
    pub(super) paged_out: Vec<u64>,
    /// Those whose bodies are no longer out of the way.
    pub(super) unpaged: Vec<u64>,
}

impl Told {
    /// Takes what there is to be told.
    pub(super) fn hear(&mut self, changes: &mut StoreChanges) {
        self.settled.extend(changes.take_settled());
        self.paged_out.extend(changes.take_paged_out().iter().map(|(sequence, _)| *sequence));
        self.unpaged.extend(changes.take_unpaged());
        self.counted.extend(changes.take_counts());
    }

    /// What the durable store has of all these messages. A message's place is its index.
    pub(super) fn stored(&self, published: &[Message]) -> RecoveredQueue {
        let of = |(sequence, message): (u64, &Message)| {
            let content = message.content();
            RecoveredMessage {
                sequence,
                note: content.note,
                arrived_ms: content.arrived_ms,
                until_ms: content.until_ms,
                size: u32::try_from(content.size()).expect("small"),
                delivery_count: self.counted.get(&sequence).copied().unwrap_or_default(),
            }
        };
        let left = (0..).zip(published).filter(|(sequence, message)| {
            message.is_persistent() && !self.settled.contains(sequence)
        });
        RecoveredQueue { next_sequence: published.len() as u64, messages: left.map(of).collect() }
    }

    /// Nothing of the scratch store survives a restart.
    pub(super) fn forget_scratch(&mut self) {
        self.paged_out.clear();
        self.unpaged.clear();
    }

    /// All of these are gone, and the stores were told of each once.
    pub(super) fn assert_gone(&mut self, published: &[Message]) {
        self.settled.sort_unstable();
        let numbered = (0_u64..).zip(published);
        let durable = numbered.filter(|(_, message)| message.is_persistent());
        let expected: Vec<u64> = durable.map(|(number, _)| number).collect();
        assert_eq!(self.settled, expected, "each durable message is settled once");
        self.paged_out.sort_unstable();
        self.unpaged.sort_unstable();
        assert_eq!(self.paged_out, self.unpaged, "the scratch store keeps nothing");
    }
}

/// A sequence number as the number of a message.
pub(super) fn index(sequence: u64) -> usize {
    usize::try_from(sequence).expect("small")
}
