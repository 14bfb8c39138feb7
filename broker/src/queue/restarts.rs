//! What the models let the durable store remember: the other half of `QueueState::restore`.
//!
//! Used by `model`, `groups_model` and `delays_model`.

use std::collections::BTreeMap;

use leveret_storage::messages::{RecoveredMessage, RecoveredQueue};

use crate::message::Message;

/// What a store has that was told of all these messages, which of them were `settled`, and how often
/// they came back. A message's place is its index.
pub(super) fn stored(
    published: &[Message],
    settled: &[u64],
    counted: &BTreeMap<u64, u32>,
) -> RecoveredQueue {
    let of = |(sequence, message): (u64, &Message)| {
        let content = message.content();
        RecoveredMessage {
            sequence,
            note: content.note,
            arrived_ms: content.arrived_ms,
            until_ms: content.until_ms,
            size: u32::try_from(content.size()).expect("small"),
            delivery_count: counted.get(&sequence).copied().unwrap_or_default(),
        }
    };
    let left = (0..)
        .zip(published)
        .filter(|(sequence, message)| message.is_persistent() && !settled.contains(sequence));
    RecoveredQueue { next_sequence: published.len() as u64, messages: left.map(of).collect() }
}
