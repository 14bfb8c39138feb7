//! What a message store found on disk when it was opened.
//!
//! Made by the stores, given to whoever opens one. A restart after an outage may find a hundred
//! million messages: they stand here at 8 bytes each, beside the 13 that a store needs to know where
//! each is.
//!
//! Stays true: a queue's messages are told ascending, in whatever order they were found.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::mem;

use smallvec::SmallVec;

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
    /// Messages that are not settled.
    pub messages: RecoveredMessages,
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

/// Messages of one queue by sequence number: 8 bytes for one that has neighbours like it. Those who
/// take them out one by one give their memory back as they go.
#[derive(Default)]
pub struct RecoveredMessages {
    /// What was added to last: mostly the next is added there, too.
    open: Option<(u64, Chunk)>,
    /// The others, by the number of the chunk. None is empty.
    chunks: BTreeMap<u64, Chunk>,
    /// Of those that were given back.
    delivery_counts: BTreeMap<u64, u32>,
    count: usize,
}

/// Sequence numbers in a chunk: as many as a byte can tell apart.
const CHUNK: u64 = 256;

/// Room for a message with each of them.
const CHUNK_ROOM: usize = 256;

/// From so many messages in a chunk on the next one is expected to be full.
const BUSY: usize = 128;

/// Messages whose sequence numbers are near each other.
#[derive(Default)]
struct Chunk {
    /// What several of them have in common; no more than there are messages.
    kinds: SmallVec<[Kind; 1]>,
    /// By position, ascending.
    entries: Vec<Entry>,
}

/// What messages may have in common.
#[derive(Clone, Copy)]
struct Kind {
    note: u64,
    /// When the first of them came that was found.
    since_ms: u64,
    /// How long after its arrival one expires or is due.
    lifetime_ms: Option<u64>,
}

/// What a message has for itself.
#[derive(Clone, Copy)]
struct Entry {
    size: u32,
    /// From its kind's `since_ms` to its arrival.
    after_ms: u16,
    /// Its sequence number in the chunk.
    position: u8,
    /// Which of the kinds.
    kind: u8,
}

impl RecoveredMessages {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = RecoveredMessage> {
        let number = self.open.as_ref().map_or(0, |(number, _)| *number);
        let open = self.open.as_ref().map(|(number, chunk)| (number, chunk));
        let before = self.chunks.range(..number);
        let chunks = before.chain(open).chain(self.chunks.range(number..));
        let messages = chunks.flat_map(|(number, chunk)| chunk.iter(*number));
        messages.map(|message| with_count(message, &self.delivery_counts))
    }

    /// Adds a message whose sequence number none of them has.
    pub(crate) fn push(&mut self, message: &RecoveredMessage) {
        let RecoveredMessage { sequence, delivery_count, .. } = *message;
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let position = (sequence % CHUNK) as u8;
        self.chunk(sequence / CHUNK).push(position, message);
        self.count += 1;
        if delivery_count > 0 {
            self.delivery_counts.insert(sequence, delivery_count);
        }
    }

    /// Says how often a message that is there was given back.
    pub(crate) fn set_delivery_count(&mut self, sequence: u64, count: u32) {
        self.delivery_counts.insert(sequence, count);
    }

    /// Leaves those out that are not to be kept. Nothing is added afterwards.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(u64) -> bool) {
        self.close();
        self.chunks.retain(|number, chunk| {
            chunk.entries.retain(|entry| keeps(entry.sequence(*number)));
            if chunk.entries.len() * 2 < chunk.entries.capacity() {
                chunk.entries.shrink_to_fit();
            }
            !chunk.entries.is_empty()
        });
        self.count = self.chunks.values().map(|chunk| chunk.entries.len()).sum();
    }

    fn chunk(&mut self, number: u64) -> &mut Chunk {
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            let is_busy = self.open.as_ref().is_some_and(|(_, open)| open.entries.len() >= BUSY);
            self.close();
            let known = self.chunks.remove(&number);
            let chunk = known.unwrap_or_else(|| Chunk::new(is_busy));
            return &mut self.open.insert((number, chunk)).1;
        }
        &mut self.open.get_or_insert_default().1
    }

    fn close(&mut self) {
        if let Some((number, chunk)) = self.open.take() {
            self.chunks.insert(number, chunk);
        }
    }
}

impl Chunk {
    fn new(is_busy: bool) -> Self {
        let room = if is_busy { CHUNK_ROOM } else { 0 };
        Self { kinds: SmallVec::new(), entries: Vec::with_capacity(room) }
    }

    fn push(&mut self, position: u8, message: &RecoveredMessage) {
        let mut known = self.kinds.iter().enumerate().rev();
        let found = known.find_map(|(at, kind)| Some((at, kind.after_ms(message)?)));
        let (kind, after_ms) = found.unwrap_or_else(|| {
            self.kinds.push(Kind::of(message));
            (self.kinds.len() - 1, 0)
        });
        // There are no more kinds than messages, and of these no more than places.
        let kind = u8::try_from(kind).unwrap_or(u8::MAX);
        let entry = Entry { size: message.size, after_ms, position, kind };
        match self.entries.last() {
            Some(last) if last.position >= position => {
                let at = self.entries.partition_point(|entry| entry.position < position);
                self.entries.insert(at, entry);
            }
            Some(_) | None => self.entries.push(entry),
        }
    }

    fn iter(&self, number: u64) -> impl Iterator<Item = RecoveredMessage> {
        self.entries.iter().filter_map(move |entry| self.message(number, *entry))
    }

    /// `None` never: an entry's kind is there.
    fn message(&self, number: u64, entry: Entry) -> Option<RecoveredMessage> {
        let kind = self.kinds.get(usize::from(entry.kind))?;
        let arrived_ms = kind.since_ms + u64::from(entry.after_ms);
        Some(RecoveredMessage {
            sequence: entry.sequence(number),
            note: kind.note,
            arrived_ms,
            until_ms: kind.lifetime_ms.map(|lifetime| arrived_ms.wrapping_add(lifetime)),
            size: entry.size,
            delivery_count: 0,
        })
    }
}

impl Kind {
    fn of(message: &RecoveredMessage) -> Self {
        let RecoveredMessage { note, arrived_ms, until_ms, .. } = *message;
        let lifetime_ms = until_ms.map(|until| until.wrapping_sub(arrived_ms));
        Self { note, since_ms: arrived_ms, lifetime_ms }
    }

    /// When after the first of this kind the message came; `None` if it is of another.
    fn after_ms(&self, message: &RecoveredMessage) -> Option<u16> {
        let other = Self::of(message);
        if (self.note, self.lifetime_ms) != (other.note, other.lifetime_ms) {
            return None;
        }
        u16::try_from(other.since_ms.checked_sub(self.since_ms)?).ok()
    }
}

impl Entry {
    fn sequence(self, number: u64) -> u64 {
        number * CHUNK + u64::from(self.position)
    }
}

fn with_count(message: RecoveredMessage, delivery_counts: &BTreeMap<u64, u32>) -> RecoveredMessage {
    if delivery_counts.is_empty() {
        return message;
    }
    let delivery_count = delivery_counts.get(&message.sequence).copied().unwrap_or_default();
    RecoveredMessage { delivery_count, ..message }
}

impl fmt::Debug for RecoveredMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<RecoveredMessage> for RecoveredMessages {
    fn from_iter<I: IntoIterator<Item = RecoveredMessage>>(all: I) -> Self {
        let mut messages = Self::default();
        all.into_iter().for_each(|message| messages.push(&message));
        messages
    }
}

impl IntoIterator for RecoveredMessages {
    type Item = RecoveredMessage;
    type IntoIter = IntoMessages;

    fn into_iter(mut self) -> IntoMessages {
        self.close();
        IntoMessages {
            chunks: self.chunks.into_iter(),
            chunk: (0, Chunk::default()),
            next: 0,
            delivery_counts: mem::take(&mut self.delivery_counts),
            left: self.count,
        }
    }
}

/// Takes messages out, ascending; see [`RecoveredMessages`].
pub struct IntoMessages {
    chunks: btree_map::IntoIter<u64, Chunk>,
    chunk: (u64, Chunk),
    /// Of the entries of the chunk.
    next: usize,
    delivery_counts: BTreeMap<u64, u32>,
    left: usize,
}

impl fmt::Debug for IntoMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoMessages").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Iterator for IntoMessages {
    type Item = RecoveredMessage;

    fn next(&mut self) -> Option<RecoveredMessage> {
        loop {
            let (number, chunk) = &self.chunk;
            if let Some(entry) = chunk.entries.get(self.next) {
                self.next += 1;
                self.left = self.left.saturating_sub(1);
                let message = chunk.message(*number, *entry)?;
                return Some(with_count(message, &self.delivery_counts));
            }
            self.chunk = self.chunks.next()?;
            self.next = 0;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages() -> impl Strategy<Value = Vec<RecoveredMessage>> {
        let sequence = prop_oneof![8 => 0..600_u64, 1 => any::<u64>()];
        let time = || prop_oneof![8 => 1000..200_000_u64, 1 => any::<u64>()];
        let note = prop_oneof![4 => 0..3_u64, 1 => any::<u64>()];
        let until = prop::option::of(time());
        let delivery_count = prop_oneof![8 => Just(0), 1 => any::<u32>()];
        let message = (sequence, note, time(), until, any::<u32>(), delivery_count);
        let message =
            message.prop_map(|(sequence, note, arrived_ms, until_ms, size, delivery_count)| {
                RecoveredMessage { sequence, note, arrived_ms, until_ms, size, delivery_count }
            });
        prop::collection::vec(message, 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_found_in_any_order_is_told_ascending(all in messages(), odd in any::<bool>()) {
            let mut expected = BTreeMap::new();
            let mut packed = RecoveredMessages::default();
            for message in all {
                if expected.insert(message.sequence, message).is_none() {
                    packed.push(&message);
                } else {
                    expected.insert(message.sequence, packed_now(&packed, message.sequence));
                }
            }
            let keeps = |sequence: u64| sequence % 2 == u64::from(odd);
            prop_assert_eq!(packed.len(), expected.len());
            prop_assert!(packed.iter().eq(expected.values().copied()));
            packed.retain(keeps);
            expected.retain(|sequence, _| keeps(*sequence));
            prop_assert_eq!(packed.is_empty(), expected.is_empty());
            prop_assert!(packed.iter().eq(expected.values().copied()));
            let taken = packed.into_iter();
            prop_assert_eq!(taken.size_hint(), (expected.len(), Some(expected.len())));
            prop_assert!(taken.eq(expected.into_values()));
        }
    }

    fn packed_now(packed: &RecoveredMessages, sequence: u64) -> RecoveredMessage {
        packed.iter().find(|message| message.sequence == sequence).unwrap()
    }

    #[test]
    fn messages_that_are_alike_take_eight_bytes_each() {
        let message = |sequence| RecoveredMessage {
            sequence,
            note: 7,
            arrived_ms: 1_700_000_000_000 + sequence / 100,
            until_ms: Some(1_700_000_060_000 + sequence / 100),
            size: u32::try_from(sequence % 1000).unwrap(),
            delivery_count: 0,
        };
        // As a log is read: what is newer comes first.
        let parts = [200_000..300_000, 100_000..200_000, 0..100_000];
        let packed: RecoveredMessages = parts.into_iter().flatten().map(message).collect();
        let chunks = packed.chunks.values().chain(packed.open.as_ref().map(|(_, chunk)| chunk));
        let (mut entries, mut kinds) = (0, 0);
        for chunk in chunks {
            entries += chunk.entries.capacity();
            kinds += chunk.kinds.len();
        }
        assert_eq!(size_of::<Entry>(), 8);
        assert!(entries < 301_000, "room for {entries}");
        assert!(kinds < 1200, "{kinds} kinds");
        assert!(packed.into_iter().eq((0..300_000).map(message)));
    }
}
