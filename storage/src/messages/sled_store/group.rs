//! What is to be written in one go: for every key the last word on it.
//!
//! Appends fill it, under the lock of the store; the writer thread takes it whole. Stays true: a
//! message that is settled while its group fills leaves no trace in it.

use std::collections::BTreeMap;

use crate::messages::{Content, Place, Ticket};
use crate::wal::Reader;

/// See the module documentation. `None` stands for a key to remove.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// New messages by id.
    pub(super) bodies: BTreeMap<u64, Content>,
    /// Messages that no place needs any more.
    pub(super) dead_bodies: Vec<u64>,
    /// Which message is where.
    pub(super) references: BTreeMap<Place, Option<Reference>>,
    /// How often messages were given back.
    pub(super) counts: BTreeMap<Place, Option<u32>>,
    /// The next sequence numbers.
    pub(super) queues: BTreeMap<u64, Option<u64>>,
    /// Everything up to this ticket is durable when the group is; `None` if nothing was appended.
    pub(super) last: Option<Ticket>,
    /// Somebody waits for a ticket.
    pub(super) awaited: bool,
    /// Bytes of the new messages.
    pub(super) bytes: usize,
}

impl Group {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.bodies.is_empty()
            && self.dead_bodies.is_empty()
            && self.references.is_empty()
            && self.counts.is_empty()
            && self.queues.is_empty()
    }

    /// Takes a message out of a place.
    pub(super) fn remove_reference(&mut self, place: Place) {
        let is_new = self.references.remove(&place).is_some();
        if !is_new {
            self.references.insert(place, None);
        }
    }

    /// Takes out a message that no place needs any more. Returns its bytes if it need not be
    /// written at all.
    pub(super) fn remove_body(&mut self, id: u64) -> Option<usize> {
        if let Some(content) = self.bodies.remove(&id) {
            self.bytes -= content.size();
            return Some(content.size());
        }
        self.dead_bodies.push(id);
        None
    }
}

/// A message in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Of the body.
    pub(super) id: u64,
    /// The message's note.
    pub(super) note: u64,
    /// When it came.
    pub(super) arrived_ms: u64,
    /// When it expires or is due.
    pub(super) until_ms: Option<u64>,
    /// Bytes of the message.
    pub(super) size: u32,
    /// Places that the message was written with.
    pub(super) places: u32,
}

const NO_UNTIL: u64 = u64::MAX;

impl Reference {
    /// As it is in the tree.
    pub(super) fn encode(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let until = self.until_ms.unwrap_or(NO_UNTIL);
        let numbers = [self.id, self.note, self.arrived_ms, until].map(u64::to_le_bytes);
        let rest = [self.size, self.places].map(u32::to_le_bytes);
        let values = numbers.as_flattened().iter().chain(rest.as_flattened());
        bytes.iter_mut().zip(values).for_each(|(byte, value)| *byte = *value);
        bytes
    }

    /// `None` unless it is as long as it should be.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader(bytes);
        let (id, note) = (fields.u64()?, fields.u64()?);
        let (arrived_ms, until) = (fields.u64()?, fields.u64()?);
        let (size, places) = (fields.u32()?, fields.u32()?);
        let until_ms = (until != NO_UNTIL).then_some(until);
        let reference = Self { id, note, arrived_ms, until_ms, size, places };
        fields.0.is_empty().then_some(reference)
    }
}
