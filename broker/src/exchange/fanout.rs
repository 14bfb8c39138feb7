//! The fanout exchange: a message goes to every bound destination, whatever its routing key.
//!
//! Called by [`super::Router`]. Cost of a route: one clone for each destination.

use super::destinations::Destinations;
use std::hash::Hash;

/// All destinations, each once.
#[derive(Clone, Debug)]
pub(super) struct FanoutTable<D> {
    destinations: Destinations<D>,
}

impl<D> Default for FanoutTable<D> {
    fn default() -> Self {
        Self { destinations: Destinations::default() }
    }
}

impl<D: Clone + Eq + Hash> FanoutTable<D> {
    pub(super) fn insert(&mut self, destination: &D) {
        self.destinations.add(destination);
    }

    pub(super) fn remove(&mut self, destination: &D) {
        self.destinations.remove(destination);
    }

    pub(super) fn route(&self, out: &mut Vec<D>) {
        self.destinations.append_to(out);
    }
}
