//! The direct exchange: a message goes where its routing key is the binding key, byte for byte.
//!
//! Called by [`super::Router`]. Cost of a route: one hash of the key.

use super::destinations::Destinations;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::Hash;

/// Binding key to destinations.
#[derive(Clone, Debug)]
pub(super) struct DirectTable<D> {
    keys: HashMap<Box<[u8]>, Destinations<D>, RandomState>,
}

impl<D> Default for DirectTable<D> {
    fn default() -> Self {
        Self { keys: HashMap::default() }
    }
}

impl<D: Clone + Eq + Hash> DirectTable<D> {
    pub(super) fn insert(&mut self, key: &[u8], destination: &D) {
        match self.keys.get_mut(key) {
            Some(destinations) => destinations.add(destination),
            None => self.keys.entry(key.into()).or_default().add(destination),
        }
    }

    pub(super) fn remove(&mut self, key: &[u8], destination: &D) {
        let Some(destinations) = self.keys.get_mut(key) else { return };
        destinations.remove(destination);
        if destinations.is_empty() {
            self.keys.remove(key);
        }
    }

    pub(super) fn route(&self, key: &[u8], out: &mut Vec<D>) {
        if let Some(destinations) = self.keys.get(key) {
            destinations.append_to(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_binding_of_a_key_frees_it() {
        let mut table = DirectTable::default();
        table.insert(b"a", &1);
        table.insert(b"a", &1);
        table.insert(b"a", &2);
        table.remove(b"a", &1);
        let mut out = Vec::new();
        table.route(b"a", &mut out);
        assert_eq!(out, [1, 2]);
        table.remove(b"a", &1);
        table.remove(b"a", &2);
        assert!(table.keys.is_empty());
    }

    #[test]
    fn keys_are_compared_by_bytes() {
        let mut table = DirectTable::default();
        table.insert(b"a.*", &1);
        table.insert(b"", &2);
        let mut out = Vec::new();
        for key in [&b"A.*"[..], b"a.b", b"a", b"a.*."] {
            table.route(key, &mut out);
        }
        assert!(out.is_empty());
        table.route(b"a.*", &mut out);
        table.route(b"", &mut out);
        assert_eq!(out, [1, 2]);
    }
}
