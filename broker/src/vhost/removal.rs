//! The end of exchanges and queues: their bindings go, and with them the auto-delete exchanges that
//! had no others, and so on along the graph.
//!
//! Called by `vhost::topology` with the topology lock held. Whatever has to go stands in a work
//! list and goes in steps of a bounded size, each proposed as a batch of its own, so that the end
//! of something with many bindings keeps neither a lock nor a task for long, and a chain of any
//! length needs no stack. Stays true: while something is in the work list nothing else of the
//! topology changes; bindings are forgotten before the ends they have, so a crash in between leaves
//! less, never a binding without an end.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use leveret_storage::metadata::Proposal;
use rustc_hash::FxBuildHasher;

use super::Vhost;
use super::destination::{Destination, DestinationId, Exchange};
use super::records::{TopologyChanges, binding_record};
use crate::events::churn::Turn;
use crate::events::definitions::{binding_deleted, exchange_deleted, queue_deleted};
use crate::exchange::Binding;
use crate::queue::Queue;

/// Bindings and definitions removed in one step: some milliseconds of work.
const STEP: usize = 1024;

/// What changes of a vhost share.
#[derive(Debug, Default)]
pub(super) struct Topology {
    /// For every destination the exchanges, by their numbers, that have a binding to it: where to
    /// look when it goes.
    incoming: HashMap<DestinationId, Sources, RandomState>,
    /// What is no longer to be found by its name and still has bindings.
    leaving: VecDeque<Destination>,
}

type Sources = IndexMap<u64, Arc<Exchange>, FxBuildHasher>;

impl Topology {
    /// Notes a binding.
    pub(super) fn lead(&mut self, source: &Arc<Exchange>, destination: &Destination) {
        let sources = self.incoming.entry(destination.id()).or_default();
        sources.entry(source.id()).or_insert_with(|| Arc::clone(source));
    }

    /// Notes that a binding is gone, which may have been the last from this source.
    pub(super) fn forget(&mut self, source: &Exchange, destination: &Destination) {
        if source.router().bindings_of(destination).next().is_some() {
            return;
        }
        if let Some(sources) = self.incoming.get_mut(&destination.id()) {
            sources.swap_remove(&source.id());
            if sources.is_empty() {
                self.incoming.remove(&destination.id());
            }
        }
    }

    /// What cannot be found any more goes with its bindings.
    pub(super) fn dismiss(&mut self, gone: Destination) {
        self.leaving.push_back(gone);
    }

    /// Whether nothing is on its way out.
    pub(super) fn is_at_rest(&self) -> bool {
        self.leaving.is_empty()
    }
}

impl Vhost {
    /// An exchange is no longer to be found; its bindings and its definition go in steps.
    pub(super) fn begin_removal(&self, exchange: &Arc<Exchange>, topology: &mut Topology) {
        let this =
            self.exchanges.remove_if(exchange.name(), |_, known| Arc::ptr_eq(known, exchange));
        if this.is_some() {
            exchange.altered();
            if let Some(window) = exchange.settings().window {
                // Whoever is told waits for it.
                let _ = self.messages.delete_from_durable(window);
            }
            self.limits.exchanges.fetch_sub(1, Ordering::Relaxed);
            topology.dismiss(Destination::Exchange(Arc::clone(exchange)));
        }
    }

    /// A queue is deleted and no longer to be found; its bindings and its definition go in steps.
    pub(super) fn begin_queue_removal(&self, queue: &Arc<Queue>, topology: &mut Topology) {
        let this = self.queues.remove_if(queue.name(), |_, known| Arc::ptr_eq(known, queue));
        if this.is_some() {
            queue.leave();
            self.limits.queues.fetch_sub(1, Ordering::Relaxed);
            topology.dismiss(Destination::Queue(Arc::clone(queue)));
        }
    }

    /// One step of what is on its way out, proposed together with `changes`.
    pub(super) fn step(
        &self,
        topology: &mut Topology,
        mut changes: TopologyChanges,
    ) -> Option<Proposal> {
        if topology.is_at_rest() && changes.is_empty() {
            return None;
        }
        let mut left = STEP;
        while left > 0
            && let Some(leaving) = topology.leaving.front().cloned()
        {
            left -= 1;
            let removed = match &leaving {
                Destination::Exchange(exchange) if !exchange.router().is_empty() => {
                    self.remove_outgoing(exchange, left, topology, &mut changes)
                }
                Destination::Exchange(_) | Destination::Queue(_) => {
                    self.remove_incoming(&leaving, left, topology, &mut changes)
                }
            };
            match removed {
                Some(count) => left -= count.min(left),
                None => self.removed(topology, &mut changes),
            }
        }
        self.topology_changed();
        self.propose(changes)
    }

    /// All steps, letting others run in between.
    pub(super) async fn finish_removal_gently(&self) {
        while !self.step_aside() {
            tokio::task::yield_now().await;
        }
    }

    /// One step, unless nothing is on its way out; true when nothing is left.
    fn step_aside(&self) -> bool {
        let mut topology = self.topology.lock();
        if !topology.is_at_rest() {
            self.step(&mut topology, TopologyChanges::default());
        }
        topology.is_at_rest()
    }

    /// All steps, at once.
    pub(super) fn finish_removal(&self, topology: &mut Topology) -> Option<Proposal> {
        let mut last = None;
        while !topology.is_at_rest() {
            last = self.step(topology, TopologyChanges::default()).or(last);
        }
        last
    }

    /// Some of an exchange's own bindings go; returns how many.
    fn remove_outgoing(
        &self,
        exchange: &Arc<Exchange>,
        most: usize,
        topology: &mut Topology,
        changes: &mut TopologyChanges,
    ) -> Option<usize> {
        let some: Vec<_> = exchange.router().bindings().take(most).cloned().collect();
        for binding in &some {
            self.remove_binding(exchange, binding, changes);
            topology.forget(exchange, &binding.destination);
        }
        Some(some.len())
    }

    /// Some of the bindings to a destination go; returns how many, `None` when there were none.
    fn remove_incoming(
        &self,
        destination: &Destination,
        most: usize,
        topology: &mut Topology,
        changes: &mut TopologyChanges,
    ) -> Option<usize> {
        let (_, source) = topology.incoming.get(&destination.id())?.first()?;
        let source = Arc::clone(source);
        let some: Vec<_> = source.router().bindings_of(destination).take(most).cloned().collect();
        for binding in &some {
            self.remove_binding(&source, binding, changes);
        }
        topology.forget(&source, destination);
        self.drop_if_unused(&source, topology);
        Some(some.len())
    }

    /// The definition of what has no bindings left.
    fn removed(&self, topology: &mut Topology, changes: &mut TopologyChanges) {
        match topology.leaving.pop_front() {
            Some(Destination::Exchange(exchange)) => {
                self.events.tell(|| exchange_deleted(&self.name, exchange.name()));
                changes.exchange_deleted(&self.name, &exchange);
            }
            Some(Destination::Queue(queue)) => {
                let arguments = &queue.arguments();
                self.events.churn().note(Turn::QueueDeleted);
                self.events.tell(|| queue_deleted(&self.name, queue.name(), arguments));
                changes.queue_deleted(&queue);
            }
            None => {}
        }
    }

    fn remove_binding(
        &self,
        source: &Arc<Exchange>,
        binding: &Binding<Destination>,
        changes: &mut TopologyChanges,
    ) {
        let Binding { destination, routing_key, arguments } = binding;
        source.rebind(|router| router.unbind(destination, routing_key, arguments));
        self.events.tell(|| binding_deleted(&binding_record(&self.name, source, binding)));
        changes.unbound(&self.name, source, binding);
    }

    /// An auto-delete exchange goes with its last binding.
    pub(super) fn drop_if_unused(&self, exchange: &Arc<Exchange>, topology: &mut Topology) {
        if exchange.settings().auto_delete && exchange.router().is_empty() {
            self.begin_removal(exchange, topology);
        }
    }
}
