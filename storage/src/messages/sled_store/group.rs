//! What is to be written in one go: for every key the last word on it.
//!
//! Appends fill it, under the lock of the store; the writer thread takes it whole. Stays true: a
//! message that is settled while its group fills leaves no trace in it.

use std::collections::BTreeMap;

use crate::messages::{Content, Place, Ticket};

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
    /// Bytes of the message.
    pub(super) size: u32,
    /// Places that the message was written with.
    pub(super) places: u32,
}

impl Reference {
    /// As it is in the tree.
    pub(super) fn encode(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let values = self.id.to_le_bytes().into_iter().chain(self.note.to_le_bytes());
        let rest = self.size.to_le_bytes().into_iter().chain(self.places.to_le_bytes());
        bytes.iter_mut().zip(values.chain(rest)).for_each(|(byte, value)| *byte = value);
        bytes
    }

    /// `None` unless it is as long as it should be.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (note, rest) = rest.split_first_chunk()?;
        let (size, places) = rest.split_first_chunk()?;
        Some(Self {
            id: u64::from_le_bytes(*id),
            note: u64::from_le_bytes(*note),
            size: u32::from_le_bytes(*size),
            places: u32::from_le_bytes(places.try_into().ok()?),
        })
    }
}
