//! Where a message would go, hop by hop, without one being published.
//!
//! Called by management. Walks as `routing` does, with the same look at each exchange, and remembers what
//! led where. Stays true: nothing is published, kept, remembered or counted; an exchange that draws is
//! asked once, and may draw otherwise next time.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::Vhost;
use super::destination::{Destination, Exchange};
use super::records::binding_record;
use super::routing::{Routed, Walk};
use crate::definitions::records::BindingRecord;
use crate::exchange::{Binding, ExchangeKind, Router};

/// Hops that are told of one message at most: rings are cut, chains may be long.
const HOPS_MAX: usize = 1000;
/// Bindings of one hop that are told at most.
const BINDINGS_MAX: usize = 1000;

/// How a message comes to an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// It is published there.
    Publish,
    /// By a binding of this hop.
    Binding(usize),
    /// Because this hop leads nowhere else.
    Alternate(usize),
}

/// An exchange on a message's way.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    /// The exchange.
    pub exchange: Arc<Exchange>,
    /// How the message comes there.
    pub via: Via,
    /// Whether it has to wait there before it goes on.
    pub waits: bool,
    /// The bindings that lead on.
    pub bindings: Vec<BindingRecord>,
    /// Queues it leads to: those of the bindings, or of the default exchange by their names.
    pub queues: Vec<String>,
    /// Where it goes as nothing else leads on.
    pub alternate: Option<String>,
}

/// Where a message would go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The exchanges, in the order in which they are asked.
    pub hops: Vec<Hop>,
    /// Each queue once.
    pub queues: Vec<String>,
    /// There are more hops than are told.
    pub is_cut: bool,
}

impl Hop {
    /// What of the message chooses one destination, where the exchange chooses.
    pub(crate) fn chooses_by(&self) -> Option<&'static str> {
        match self.exchange.kind() {
            ExchangeKind::ConsistentHash | ExchangeKind::ModulusHash => Some("hash"),
            ExchangeKind::Random => Some("chance"),
            ExchangeKind::Direct
            | ExchangeKind::Fanout
            | ExchangeKind::Topic
            | ExchangeKind::Headers
            | ExchangeKind::RecentHistory
            | ExchangeKind::Delayed => None,
        }
    }

    /// Whether the exchange may pass over a message that it had before.
    pub(crate) fn deduplicates(&self) -> bool {
        self.exchange.deduplicator().is_some()
    }
}

impl Vhost {
    /// Where a message published to this exchange would go.
    pub(crate) fn plan(&self, exchange: &Arc<Exchange>, message: &Routed<'_>) -> Plan {
        let mut walk = Walk::new(self, message);
        let mut ahead = vec![(Arc::clone(exchange), Via::Publish)];
        let mut seen = FxHashSet::default();
        seen.insert(exchange.id());
        let (mut plan, mut known) = (Plan::default(), FxHashSet::default());
        while let Some((exchange, via)) = ahead.get(plan.hops.len()).cloned() {
            if plan.hops.len() == HOPS_MAX {
                plan.is_cut = true;
                return plan;
            }
            let at = plan.hops.len();
            let mut found = Vec::new();
            walk.destinations(&exchange, &mut found);
            let bindings = self.leading(&exchange, &found, &walk);
            let next = if found.is_empty() { walk.alternate(&exchange) } else { None };
            let alternate = next.as_ref().map(|next| next.name().to_owned());
            let via_next = if alternate.is_some() { Via::Alternate(at) } else { Via::Binding(at) };
            let mut queues = Vec::new();
            for destination in found.into_iter().chain(next) {
                match destination {
                    Destination::Queue(queue) => {
                        queues.push(queue.name().to_owned());
                        if known.insert(queue.id()) {
                            plan.queues.push(queue.name().to_owned());
                        }
                    }
                    Destination::Exchange(next) => {
                        if seen.insert(next.id()) {
                            ahead.push((next, via_next));
                        }
                    }
                }
            }
            let waits = message.waits_at(&exchange);
            plan.hops.push(Hop { exchange, via, waits, bindings, queues, alternate });
        }
        plan
    }

    /// The bindings by which an exchange leads to what was found.
    fn leading(
        &self,
        exchange: &Exchange,
        found: &[Destination],
        walk: &Walk<'_>,
    ) -> Vec<BindingRecord> {
        let router = exchange.router();
        let all = found.iter().flat_map(|destination| router.bindings_of(destination));
        let those = all.filter(|binding| walk.leads(exchange.kind(), binding)).take(BINDINGS_MAX);
        those.map(|binding| binding_record(self.name(), exchange, binding)).collect()
    }
}

impl Walk<'_> {
    /// Whether one binding alone would take the message. Where one is chosen all of its destination count.
    fn leads(&self, kind: ExchangeKind, binding: &Binding<Destination>) -> bool {
        let mut alone = Router::new(kind);
        if alone.bind(binding.clone()).is_err() {
            return false;
        }
        let mut found = Vec::new();
        for key in self.routing_keys() {
            alone.route(key, self.headers(), &mut found);
        }
        !found.is_empty() || alone.choose(0).is_some()
    }
}
