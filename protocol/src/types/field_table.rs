//! A table that has been built: an ordered list of named values. Declares,
//! binds, policies and headers work with it.

use serde::{Deserialize, Serialize};

use super::FieldValue;
use crate::wire::{put_short_string, short_text};

/// An ordered table of named values.
///
/// Small and searched in order. A table read from the wire keeps a name that
/// occurs twice; the first one counts, as in RabbitMQ.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldTable {
    entries: Vec<(String, FieldValue)>,
}

impl FieldTable {
    /// A table without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// The value called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        self.entries.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// Whether there is a value called `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets the value called `name`, in its place if there was one, else at
    /// the end; returns the one it replaces.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        value: impl Into<FieldValue>,
    ) -> Option<FieldValue> {
        let (name, value) = (name.into(), value.into());
        match self.entries.iter_mut().find(|(found, _)| *found == name) {
            Some((_, place)) => Some(std::mem::replace(place, value)),
            None => {
                self.entries.push((name, value));
                None
            }
        }
    }

    /// Appends without looking for the name.
    pub(super) fn push(&mut self, name: String, value: FieldValue) {
        self.entries.push((name, value));
    }

    /// Takes every value called `name` out; returns the first.
    pub fn remove(&mut self, name: &str) -> Option<FieldValue> {
        let mut removed = self.entries.extract_if(.., |(found, _)| found == name);
        let first = removed.next().map(|(_, value)| value);
        removed.for_each(drop);
        first
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &FieldValue)> + ExactSizeIterator {
        self.entries.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends the table with its 32-bit length before it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        with_length(out, |out| self.encode_entries(out));
    }

    /// Appends the entries alone: what a [`RawTable`](super::RawTable) holds.
    pub fn encode_entries(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.entries {
            put_short_string(out, short_text(name).as_bytes());
            value.encode(out);
        }
    }

    /// The entries as octets: what a [`RawTable`](super::RawTable) borrows.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_entries(&mut out);
        out
    }
}

/// Appends what `write` does, with its 32-bit length before it.
pub(super) fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

impl<N: Into<String>, V: Into<FieldValue>> FromIterator<(N, V)> for FieldTable {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut table = Self::new();
        for (name, value) in entries {
            table.insert(name, value);
        }
        table
    }
}

impl IntoIterator for FieldTable {
    type Item = (String, FieldValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
