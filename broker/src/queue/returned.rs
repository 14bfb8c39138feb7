//! The messages of one priority that were handed out and came back, in their old order.
//!
//! Owned by `queue::level`. Stays true: whatever comes back, in whatever order, costs a look-up in an
//! ordered map; how many at the front are in memory is known without a walk, but for some steps a
//! message.

use std::collections::BTreeMap;

use super::held::QueuedMessage;

/// Messages in memory are counted from the front as far as this, and counted again when so many are
/// not known any more: in the mean a step or two a message.
const COUNTED_MAX: usize = 2048;

/// What came back.
#[derive(Clone, Debug, Default)]
pub(super) struct Returned {
    messages: BTreeMap<u64, QueuedMessage>,
    /// How many of them are without their bodies.
    paged: usize,
    /// At least so many at the front have theirs,
    counted: usize,
    /// the last of which is this one.
    counted_to: u64,
}

impl Returned {
    /// Adds a message.
    pub(super) fn insert(&mut self, message: QueuedMessage) {
        let is_paged = !message.held.is_resident();
        self.paged += usize::from(is_paged);
        if self.counted > 0 && message.sequence < self.counted_to {
            self.counted = if is_paged { 0 } else { self.counted + 1 };
        }
        self.messages.insert(message.sequence, message);
    }

    /// Takes the first message.
    pub(super) fn pop(&mut self) -> Option<QueuedMessage> {
        let (_, message) = self.messages.pop_first()?;
        self.counted = self.counted.saturating_sub(1);
        self.paged -= usize::from(!message.held.is_resident());
        Some(message)
    }

    /// Takes any message.
    pub(super) fn take(&mut self, sequence: u64) -> Option<QueuedMessage> {
        let message = self.messages.remove(&sequence)?;
        self.paged -= usize::from(!message.held.is_resident());
        if self.counted > 0 && sequence <= self.counted_to {
            self.counted -= 1;
        }
        Some(message)
    }

    /// Takes a message that is without its body.
    pub(super) fn take_paged(&mut self, sequence: u64) -> Option<QueuedMessage> {
        let is_paged = |message: &&QueuedMessage| !message.held.is_resident();
        self.messages.get(&sequence).filter(is_paged)?;
        self.paged -= 1;
        self.messages.remove(&sequence)
    }

    /// The first message.
    pub(super) fn front(&self) -> Option<&QueuedMessage> {
        self.messages.first_key_value().map(|(_, message)| message)
    }

    /// How many messages at the front have their bodies, if fewer than `wanted`.
    pub(super) fn resident(&mut self, wanted: usize) -> usize {
        if self.paged == 0 {
            return self.messages.len();
        }
        if self.counted < wanted {
            let resident = |message: &&QueuedMessage| message.held.is_resident();
            let front = self.messages.values().take(COUNTED_MAX).take_while(resident);
            self.counted = 0;
            for message in front {
                self.counted += 1;
                self.counted_to = message.sequence;
            }
        }
        self.counted
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether some are without their bodies.
    pub(super) fn has_paged(&self) -> bool {
        self.paged > 0
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &QueuedMessage> {
        self.messages.values()
    }

    /// Those from this number on, in order.
    pub(super) fn range(&self, from: u64) -> impl Iterator<Item = &QueuedMessage> {
        self.messages.range(from..).map(|(_, message)| message)
    }

    /// The messages themselves.
    pub(super) fn into_messages(self) -> impl Iterator<Item = QueuedMessage> {
        self.messages.into_values()
    }

    /// Forgets what was counted and can be counted again.
    #[cfg(test)]
    pub(super) fn forget_counted(&mut self) {
        self.counted = 0;
        self.counted_to = 0;
    }
}
