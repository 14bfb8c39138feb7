//! Which bindings an exchange has: the list behind its matcher.
//!
//! Owned by [`super::Router`]. A binding is identified by destination, key and arguments; the
//! order of the arguments does not count (RabbitMQ sorts them). Grouped by destination, so that a
//! queue takes its bindings along at a cost of its own, not of the exchange's.

use super::Binding;
use super::value::fingerprint;
use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap, IndexSet};
use leveret_protocol::types::FieldTable;
use std::hash::{Hash, Hasher};

/// All bindings of one exchange.
#[derive(Clone, Debug)]
pub(super) struct Registry<D> {
    destinations: IndexMap<D, IndexSet<Entry<D>, RandomState>, RandomState>,
    len: usize,
}

/// A binding within its destination's set: known there by key and arguments.
#[derive(Clone, Debug)]
struct Entry<D> {
    binding: Binding<D>,
    arguments: Box<[u8]>,
}

/// What an [`Entry`] is looked up by.
struct Identity<'a> {
    routing_key: &'a str,
    arguments: Box<[u8]>,
}

impl<D> Default for Registry<D> {
    fn default() -> Self {
        Self { destinations: IndexMap::default(), len: 0 }
    }
}

impl<D: Clone + Eq + Hash> Registry<D> {
    /// Adds a binding and lends it back; none when it was there already.
    pub(super) fn insert(&mut self, binding: Binding<D>) -> Option<&Binding<D>> {
        let entry = Entry { arguments: fingerprint(&binding.arguments), binding };
        let entries = match self.destinations.get_index_of(&entry.binding.destination) {
            Some(at) => self.destinations.get_index_mut(at)?.1,
            None => self.destinations.entry(entry.binding.destination.clone()).or_default(),
        };
        let (at, new) = entries.insert_full(entry);
        if !new {
            return None;
        }
        self.len += 1;
        entries.get_index(at).map(|entry| &entry.binding)
    }

    pub(super) fn remove(
        &mut self,
        destination: &D,
        routing_key: &str,
        arguments: &FieldTable,
    ) -> Option<Binding<D>> {
        let entries = self.destinations.get_mut(destination)?;
        let identity = Identity { routing_key, arguments: fingerprint(arguments) };
        let entry = entries.swap_take(&identity)?;
        self.len -= 1;
        if entries.is_empty() {
            self.destinations.swap_remove(destination);
        }
        Some(entry.binding)
    }

    pub(super) fn contains(
        &self,
        destination: &D,
        routing_key: &str,
        arguments: &FieldTable,
    ) -> bool {
        let identity = || Identity { routing_key, arguments: fingerprint(arguments) };
        self.destinations.get(destination).is_some_and(|entries| entries.contains(&identity()))
    }

    pub(super) fn remove_destination(&mut self, destination: &D) -> Vec<Binding<D>> {
        let entries = self.destinations.swap_remove(destination).unwrap_or_default();
        self.len -= entries.len();
        entries.into_iter().map(|entry| entry.binding).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding<D>> {
        self.destinations.values().flatten().map(|entry| &entry.binding)
    }

    pub(super) fn of(&self, destination: &D) -> impl Iterator<Item = &Binding<D>> {
        self.destinations.get(destination).into_iter().flatten().map(|entry| &entry.binding)
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

impl<D> Hash for Entry<D> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.binding.routing_key.as_str(), &self.arguments).hash(state);
    }
}

impl<D> PartialEq for Entry<D> {
    fn eq(&self, other: &Self) -> bool {
        self.binding.routing_key == other.binding.routing_key && self.arguments == other.arguments
    }
}

impl<D> Eq for Entry<D> {}

impl Hash for Identity<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.routing_key, &self.arguments).hash(state);
    }
}

impl<D> Equivalent<Entry<D>> for Identity<'_> {
    fn equivalent(&self, entry: &Entry<D>) -> bool {
        self.routing_key == entry.binding.routing_key && self.arguments == entry.arguments
    }
}
