//! What is appended in one go: messages with their places in queues, and what became of others.
//!
//! Filled by the broker while it handles one read of a connection, taken by `MessageStore::append`.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Ticket;

/// A message's bytes, shared with whoever delivers it. On disk `head` and `tail` stand one after
/// the other; read back, they are cut at the same place.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Whatever the owner wants to know of the message without its bytes; given back by recovery.
    pub note: u64,
    /// When the message came, in milliseconds since 1970; given back by recovery.
    pub arrived_ms: u64,
    /// When it expires or is due, in milliseconds since 1970; given back by recovery.
    pub until_ms: Option<u64>,
    /// The first part.
    pub head: Arc<[u8]>,
    /// The second part, of a large message.
    pub tail: Option<Arc<Bytes>>,
}

impl Content {
    /// Bytes of both parts.
    #[must_use]
    pub fn size(&self) -> usize {
        self.head.len() + self.tail.as_ref().map_or(0, |tail| tail.len())
    }
}

/// A message's place in one queue. No place is ever used for two messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The queue's number.
    pub queue: u64,
    /// Ascending in the order of the queue.
    pub sequence: u64,
}

/// A message for one or more queues; it is stored once.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The message.
    pub content: Content,
    /// Where it is. Without any it is not stored.
    pub places: SmallVec<[Place; 1]>,
}

/// Consecutive places of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The queue's number.
    pub queue: u64,
    /// The first sequence number.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// An atomic batch, or a message, with more bytes than a store can write at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are more than the {max} that can be stored at once")]
pub struct TooLarge {
    /// Bytes that it has.
    pub bytes: u64,
    /// The most that can be.
    pub max: u64,
}

/// The most bytes of an atomic batch or of one message, places and settlements included: half as much
/// again as the largest message that a broker takes, and less than the log can write as one.
pub const BATCH_BYTES_MAX: u64 = 768 << 20;

/// At most so many bytes for a run of settled places.
pub const SETTLED_BYTES: u64 = 96;

/// At most so many bytes for a message beside its content and its places.
const MESSAGE_BYTES: u64 = 64;

/// Bytes for a place of a message.
const PLACE_BYTES: u64 = 16;

/// So many places may share what is written of a message.
const SHARED_BY: u64 = 65_535;

/// At most so many bytes for a delivery count or a deleted queue.
const ITEM_BYTES: u64 = 24;

/// At most so many bytes for a message with so many bytes of content and so many places.
#[must_use]
pub const fn message_bytes(content: usize, places: usize) -> u64 {
    let (content, places) = (content as u64, places as u64);
    let copies = places / SHARED_BY + 1;
    (content + MESSAGE_BYTES).saturating_mul(copies).saturating_add(places * PLACE_BYTES)
}

/// See the module documentation. Order inside a batch does not matter.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Comes back after a crash whole or not at all: a transaction.
    pub atomic: bool,
    /// Somebody waits for the ticket: sync soon. Otherwise a timer may do it.
    pub awaited: bool,
    /// Messages.
    pub publishes: Vec<Publish>,
    /// Places whose messages are done with. A place that holds no message is no error.
    pub settled: Vec<Settled>,
    /// Places that will never hold a stored message: transient messages in a queue with stored ones.
    pub absent: Vec<Settled>,
    /// How often messages were given back so far.
    pub delivery_counts: Vec<(Place, u32)>,
    /// Queues that are gone with all their messages.
    pub deleted_queues: Vec<u64>,
}

impl Batch {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.publishes.is_empty()
            && self.settled.is_empty()
            && self.absent.is_empty()
            && self.delivery_counts.is_empty()
            && self.deleted_queues.is_empty()
    }

    /// Whether a store can take it. What fails this is not stored, and its ticket never becomes
    /// durable: whoever may have collected too much asks first.
    ///
    /// # Errors
    /// All of it if it is atomic, or one of its messages, is too large.
    pub fn check(&self) -> Result<(), TooLarge> {
        let bytes = |publish: &Publish| message_bytes(publish.content.size(), publish.places.len());
        let publishes = self.publishes.iter().map(bytes);
        let bytes = match self.atomic {
            true => publishes.fold(self.other_bytes(), u64::saturating_add),
            false => publishes.max().unwrap_or(0),
        };
        let max = BATCH_BYTES_MAX;
        if bytes > max { Err(TooLarge { bytes, max }) } else { Ok(()) }
    }

    /// For stores: empties it if it fails [`Self::check`], and gives the ticket that tells nobody that
    /// it is stored.
    pub(super) fn refuse(&mut self) -> Option<Ticket> {
        let error = self.check().err()?;
        tracing::error!("{error}; it is not stored, and nobody is told that it was");
        self.clear();
        Some(Ticket::NEVER)
    }

    /// At most so many bytes for what is no message.
    fn other_bytes(&self) -> u64 {
        let items = self.delivery_counts.len() + self.deleted_queues.len();
        self.settled.len() as u64 * SETTLED_BYTES + items as u64 * ITEM_BYTES
    }

    /// Empties it; its memory stays.
    pub(super) fn clear(&mut self) {
        self.publishes.clear();
        self.settled.clear();
        self.absent.clear();
        self.delivery_counts.clear();
        self.deleted_queues.clear();
    }

    /// Adds a settled place, joining it to the one added last where they meet.
    pub fn settle(&mut self, place: Place) {
        add(&mut self.settled, place);
    }

    /// Adds a place that will never hold a stored message, joining it as `settle` does.
    pub fn leave_out(&mut self, place: Place) {
        add(&mut self.absent, place);
    }
}

fn add(runs: &mut Vec<Settled>, place: Place) {
    let Place { queue, sequence } = place;
    if let Some(last) = runs.last_mut()
        && last.queue == queue
    {
        if last.first + last.count == sequence {
            last.count += 1;
            return;
        }
        if sequence + 1 == last.first {
            last.first = sequence;
            last.count += 1;
            return;
        }
    }
    runs.push(Settled { queue, first: sequence, count: 1 });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker takes messages of 512 MiB; the last of them was silently not stored.
    #[test]
    fn the_largest_message_fits_and_nothing_beyond_the_end_does() {
        let body = Bytes::from(vec![0; 512 << 20]);
        let places = |count: u64| (0..count).map(|queue| Place { queue, sequence: 0 }).collect();
        let message = |tail: &Bytes, count| {
            let content = Content { tail: Some(Arc::new(tail.clone())), ..Content::default() };
            Publish { content, places: places(count) }
        };
        let batch = |publishes| Batch { publishes, ..Batch::default() };
        assert_eq!(batch(vec![message(&body, 60_000)]).check(), Ok(()));
        assert!(batch(vec![message(&body, 66_000)]).check().is_err(), "it would be written twice");
        let half = body.slice(..400 << 20);
        let mut both = batch(vec![message(&half, 1), message(&half, 1)]);
        assert_eq!(both.check(), Ok(()), "one after the other");
        both.atomic = true;
        let refused = both.check().unwrap_err();
        assert_eq!((refused.bytes, refused.max), (2 * message_bytes(400 << 20, 1), 768 << 20));
    }

    #[test]
    fn neighbours_are_settled_together_in_either_direction() {
        let mut batch = Batch::default();
        for (queue, sequence) in [(1, 5), (1, 6), (1, 4), (1, 9), (2, 10), (2, 9)] {
            batch.settle(Place { queue, sequence });
        }
        let expected = [(1, 4, 3), (1, 9, 1), (2, 9, 2)];
        assert_eq!(
            batch.settled,
            expected.map(|(queue, first, count)| Settled { queue, first, count })
        );
    }
}
