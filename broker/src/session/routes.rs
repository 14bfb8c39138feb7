//! What a connection remembers of routing, and the messages it has routed but not yet handed over.
//!
//! Owned by the connection's task. Publishes of one read are collected here per queue, so that each
//! queue is locked once per batch. Stays true:
//! - a cached route is used only while all that it depends on is as it was when it was found;
//! - messages for one queue are handed over in the order they were published;
//! - nothing stays here when the connection waits for its socket: `hand_over` runs first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use leveret_storage::messages::{Place, Publish};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::clock;
use crate::keys::QueueId;
use crate::message::Message;
use crate::meters::publishing::ExchangeMeter;
use crate::queue::{Effects, Full, Queue};
use crate::vhost::Vhost;
use crate::vhost::routing::Holds;

/// More routes than this are forgotten and found anew: routing keys may be unbounded in number.
const CACHED_MAX: usize = 4096;

/// After so many changes of the vhost, and as many as there are routes, all routes are forgotten:
/// queues that are gone are not kept by those that are not asked for any more.
const CHANGES_MAX: u64 = 256;

/// Queues of a route, as places in `Routes::queues`.
type Targets = SmallVec<[u32; 4]>;

/// A route, until the next `lookup`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteKey(u32);

#[derive(Debug)]
struct Pending {
    queue: Arc<Queue>,
    messages: Vec<Message>,
    /// For a queue with stored messages: each message's place in `Routes::stored`, or
    /// `NOT_STORED`.
    stored: Vec<u32>,
}

const NOT_STORED: u32 = u32::MAX;

/// What was published to an exchange and it has not been told.
#[derive(Debug)]
struct Tally {
    meter: Arc<ExchangeMeter>,
    published: u64,
    routed: u64,
}

/// More exchanges than this are forgotten, with all routes.
const TALLIES_MAX: usize = 256;
/// No place: what is not counted for an exchange.
const UNCOUNTED: u32 = u32::MAX;

/// A queue that was given more than it may be, and for how long nobody should give it more.
type Outpaced = (Duration, Arc<Queue>);

/// What is remembered of a route.
#[derive(Debug, Default)]
struct Known {
    targets: Targets,
    /// The place in `Routes::tallies` of the exchange it begins at, if that counts.
    tally: u32,
    /// `None`: it is found anew for every message.
    holds: Option<Holds>,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// The vhost's generation when all was forgotten last.
    generation: u64,
    /// By exchange and routing key, as they stand in a message's envelope.
    cached: HashMap<Box<[u8]>, RouteKey, RandomState>,
    /// The route found last: many publishers have only one, and need not be hashed.
    last: Option<(Box<[u8]>, RouteKey)>,
    /// By `RouteKey`. A route that is not cached gives its place to the next one.
    known: Vec<Known>,
    /// The place of a route that is not cached, or not any more.
    passing: Option<RouteKey>,
    queues: Vec<Pending>,
    places: FxHashMap<QueueId, u32>,
    /// Places in `queues` with messages.
    dirty: Vec<u32>,
    /// Messages to be stored, of those not yet handed over. Their places are known once they are.
    stored: Vec<Publish>,
    /// A publisher waits for one of them to be durable.
    awaited: bool,
    /// When the first of them came, in milliseconds since the epoch.
    arrived_ms: u64,
    /// What is counted for exchanges.
    tallies: Vec<Tally>,
    /// Places of those that have not been told something.
    untold: SmallVec<[u32; 4]>,
    /// Messages that wait in `queues`, once a queue.
    pending: usize,
    /// See [`Self::take_outpaced`].
    outpaced: Option<Outpaced>,
}

impl Routes {
    /// The cached route for an envelope, if it still counts.
    pub(crate) fn lookup(
        &mut self,
        vhost: &Vhost,
        envelope: &[u8],
        effects: &mut Effects,
    ) -> Option<RouteKey> {
        let generation = vhost.generation();
        let changes = generation.wrapping_sub(self.generation);
        if changes > CHANGES_MAX && changes > self.cached.len() as u64 {
            self.hand_over(effects);
            self.forget();
            self.generation = generation;
            return None;
        }
        let route = match &self.last {
            Some((known, route)) if **known == *envelope => *route,
            Some(_) | None => self.cached.get(envelope).copied()?,
        };
        let holds = self.known.get(route.0 as usize).and_then(|known| known.holds.as_ref());
        if holds.is_some_and(|holds| holds.on(generation)) {
            return Some(route);
        }
        self.cached.remove(envelope);
        self.last = None;
        self.passing = Some(route);
        None
    }

    /// Forgets every route, after what was routed was handed over.
    pub(crate) fn forget_all(&mut self, effects: &mut Effects) {
        self.hand_over(effects);
        self.forget();
    }

    fn forget(&mut self) {
        self.forget_routes();
        self.queues.clear();
        self.places.clear();
    }

    fn forget_routes(&mut self) {
        self.tell_exchanges();
        self.tallies.clear();
        self.cached.clear();
        self.last = None;
        self.known.clear();
        self.passing = None;
    }

    /// The route to these queues, for one message; what goes there counts for an exchange.
    pub(crate) fn route(
        &mut self,
        queues: Vec<Arc<Queue>>,
        exchange: Option<&Arc<ExchangeMeter>>,
    ) -> RouteKey {
        let targets: Targets = queues.into_iter().map(|queue| self.place(queue)).collect();
        let tally = exchange.map_or(UNCOUNTED, |meter| self.tally(meter));
        let found = Known { targets, tally, holds: None };
        if let Some(place) = self.passing
            && let Some(known) = self.known.get_mut(place.0 as usize)
        {
            *known = found;
            return place;
        }
        let place = RouteKey(u32::try_from(self.known.len()).unwrap_or(u32::MAX));
        self.known.push(found);
        self.passing = Some(place);
        place
    }

    /// The place where is counted what this exchange gets.
    fn tally(&mut self, meter: &Arc<ExchangeMeter>) -> u32 {
        let known = self.tallies.iter().position(|tally| Arc::ptr_eq(&tally.meter, meter));
        if known.is_none() && self.tallies.len() >= TALLIES_MAX {
            self.forget_routes();
        }
        let place = known.unwrap_or_else(|| {
            self.tallies.push(Tally { meter: Arc::clone(meter), published: 0, routed: 0 });
            self.tallies.len() - 1
        });
        u32::try_from(place).unwrap_or(UNCOUNTED)
    }

    /// Counts a message that takes this route. To how many queues it leads.
    #[inline]
    pub(crate) fn note_published(&mut self, route: RouteKey) -> usize {
        let Some(known) = self.known.get(route.0 as usize) else { return 0 };
        let routed = known.targets.len();
        if let Some(tally) = self.tallies.get_mut(known.tally as usize) {
            if tally.published == 0 {
                self.untold.push(known.tally);
            }
            tally.published += 1;
            tally.routed += routed as u64;
        }
        routed
    }

    /// Adds what was counted for exchanges to what they know: once a read.
    pub(crate) fn tell_exchanges(&mut self) {
        for place in self.untold.drain(..) {
            let Some(tally) = self.tallies.get_mut(place as usize) else { continue };
            let published = std::mem::take(&mut tally.published);
            tally.meter.add(published, std::mem::take(&mut tally.routed));
        }
    }

    fn place(&mut self, queue: Arc<Queue>) -> u32 {
        let next = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        *self.places.entry(queue.id()).or_insert_with(|| {
            self.queues.push(Pending { queue, messages: Vec::new(), stored: Vec::new() });
            next
        })
    }

    /// Remembers the route found last for messages with this envelope.
    pub(crate) fn remember(&mut self, envelope: &[u8], route: RouteKey, holds: Holds) -> RouteKey {
        let mut route = route;
        if let Some(&known) = self.cached.get(envelope)
            && known.0 != route.0
        {
            // Found again for a message that is not like the others: its place is for the next one.
            let found = self.known.get_mut(route.0 as usize).map(std::mem::take);
            let found = found.unwrap_or_default();
            if let Some(place) = self.known.get_mut(known.0 as usize) {
                *place = Known { holds: Some(holds), ..found };
            }
            return known;
        }
        if self.cached.len() >= CACHED_MAX {
            let known = self.known.get_mut(route.0 as usize).map(std::mem::take);
            let known = known.unwrap_or_default();
            let tally =
                self.tallies.get(known.tally as usize).map(|tally| Arc::clone(&tally.meter));
            self.forget_routes();
            let tally = tally.map_or(UNCOUNTED, |meter| self.tally(&meter));
            self.known.push(Known { tally, ..known });
            route = RouteKey(0);
        }
        if let Some(known) = self.known.get_mut(route.0 as usize) {
            known.holds = Some(holds);
        }
        self.passing = None;
        self.cached.insert(envelope.into(), route);
        self.last = Some((envelope.into(), route));
        route
    }

    /// Adds a message for all queues of a route. `awaited`: its publisher waits for a confirm.
    #[inline]
    pub(crate) fn push(&mut self, route: RouteKey, mut message: Message, awaited: bool) {
        let is_stored = self.is_stored(route, &message);
        let Self { known, queues, dirty, stored, .. } = self;
        let targets = known.get(route.0 as usize).map_or(&[][..], |known| known.targets.as_slice());
        let Some((&last, others)) = targets.split_last() else { return };
        let mut place_in_stored = NOT_STORED;
        if is_stored {
            self.awaited |= awaited;
            if stored.is_empty() {
                // Once for what a read brings in: it came at one time.
                self.arrived_ms = clock::unix_millis();
            }
            message = message.arrived_at(self.arrived_ms);
            place_in_stored = u32::try_from(stored.len()).unwrap_or(NOT_STORED);
            stored.push(Publish { content: message.content(), places: SmallVec::new() });
        }
        self.pending += targets.len();
        for &place in others {
            push_one(queues, dirty, place, message.clone(), place_in_stored);
        }
        push_one(queues, dirty, last, message, place_in_stored);
    }

    /// Whether a message is stored for any queue of a route.
    pub(crate) fn is_stored(&self, route: RouteKey, message: &Message) -> bool {
        message.is_persistent() && self.of_route(route).any(|queue| queue.is_stored())
    }

    /// Offers a message to the queues of a route that may refuse it, in their turn behind what was
    /// published before. False when any refused.
    pub(crate) fn offer(
        &mut self,
        route: RouteKey,
        message: &Message,
        awaited: bool,
        effects: &mut Effects,
    ) -> bool {
        let mut taken = true;
        let mut places = SmallVec::new();
        let mut outpaced = None;
        for queue in self.of_route(route) {
            if queue.publish_rates().is_limited() {
                outpaced = longer(outpaced, pace(queue, 1, message.body().len()));
            }
            match queue.offer(message.clone(), effects) {
                Err(Full) => taken = false,
                Ok(Some(sequence)) => effects.note_place(queue, sequence, message, &mut places),
                Ok(None) => {}
            }
        }
        effects.store_message(message, places, awaited);
        self.outpaced = longer(self.outpaced.take(), outpaced);
        taken
    }

    /// Whether a queue of a route may refuse messages.
    pub(crate) fn may_refuse(&self, route: RouteKey) -> bool {
        self.of_route(route).any(|queue| queue.rejects_publishes())
    }

    /// Whether a route leads nowhere.
    pub(crate) fn is_empty(&self, route: RouteKey) -> bool {
        self.known.get(route.0 as usize).is_none_or(|known| known.targets.is_empty())
    }

    /// The queues behind a route.
    pub(crate) fn queues(&self, route: RouteKey) -> Vec<Arc<Queue>> {
        self.of_route(route).map(Arc::clone).collect()
    }

    fn of_route(&self, route: RouteKey) -> impl Iterator<Item = &Arc<Queue>> {
        let targets = self.known.get(route.0 as usize).into_iter().flat_map(|known| &known.targets);
        targets.filter_map(|&place| self.queues.get(place as usize)).map(|pending| &pending.queue)
    }

    /// What is to be stored with the messages that wait to be handed over.
    pub(crate) fn stored(&mut self) -> &mut Vec<Publish> {
        &mut self.stored
    }

    /// How many messages wait to be handed over, each as often as it has queues.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// Whether messages wait to be handed over.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Gives every queue its messages, and leaves what is to be stored in the effects. Returns the
    /// queues whose publishers should wait, for a moment or until there is room.
    pub(crate) fn hand_over(&mut self, effects: &mut Effects) -> SmallVec<[Arc<Queue>; 1]> {
        let mut gated = SmallVec::new();
        self.pending = 0;
        for place in self.dirty.drain(..) {
            let Some(pending) = self.queues.get_mut(place as usize) else { continue };
            if pending.queue.publish_rates().is_limited() {
                let bytes = pending.messages.iter().map(|message| message.body().len()).sum();
                let messages = pending.messages.len();
                self.outpaced = longer(self.outpaced.take(), pace(&pending.queue, messages, bytes));
            }
            let first = pending.queue.publish(pending.messages.drain(..), effects);
            let queue = pending.queue.id().0;
            // A deleted queue has no places to give.
            for (sequence, stored) in
                first.into_iter().flat_map(|first| first..).zip(&pending.stored)
            {
                let place = Place { queue, sequence };
                match self.stored.get_mut(*stored as usize) {
                    Some(publish) => publish.places.push(place),
                    None => effects.durable.leave_out(place),
                }
            }
            pending.stored.clear();
            if pending.queue.gate().is_closed() || pending.queue.is_over_budget() {
                gated.push(Arc::clone(&pending.queue));
            }
        }
        effects.durable.publishes.append(&mut self.stored);
        effects.durable.awaited |= std::mem::take(&mut self.awaited);
        gated
    }

    /// The queue that was outpaced most since this was asked last.
    pub(crate) fn take_outpaced(&mut self) -> Option<Outpaced> {
        self.outpaced.take()
    }

    /// Gives back memory that an idle connection does not need.
    pub(crate) fn release_memory(&mut self) {
        if !self.is_dirty() {
            self.tell_exchanges();
            *self = Self::default();
        }
    }
}

/// So much is for this queue: takes it from its buckets.
fn pace(queue: &Arc<Queue>, messages: usize, bytes: usize) -> Option<Outpaced> {
    let now = clock::steady_nanos();
    let wait = queue.publish_rates().take(messages as u64, bytes as u64, now);
    (!wait.is_zero()).then(|| (wait, Arc::clone(queue)))
}

fn longer(one: Option<Outpaced>, other: Option<Outpaced>) -> Option<Outpaced> {
    [one, other].into_iter().flatten().max_by_key(|(wait, _)| *wait)
}

#[inline]
fn push_one(
    queues: &mut [Pending],
    dirty: &mut Vec<u32>,
    place: u32,
    message: Message,
    stored: u32,
) {
    let Some(pending) = queues.get_mut(place as usize) else { return };
    if pending.messages.is_empty() {
        dirty.push(place);
    }
    pending.messages.push(message);
    if pending.queue.is_stored() {
        pending.stored.push(stored);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueSettings;
    use crate::queue::exit::tests::alone;
    use crate::stores::tests::in_memory;

    /// Each took a place of its own, as long as the connection lived.
    #[test]
    fn messages_that_are_not_like_the_others_take_no_memory() {
        let (around, settings) = (alone(in_memory()), QueueSettings::plain(false));
        let queue = Queue::new(QueueId(1), "/".into(), "q", settings, around);
        let mut routes = Routes::default();
        let mut first = None;
        for _ in 0..100 {
            let found = routes.route(vec![Arc::clone(&queue)], None);
            let known = routes.remember(b"envelope", found, Holds::Queue(Arc::clone(&queue)));
            assert_eq!(first.get_or_insert(known).0, known.0);
            assert_eq!(routes.queues(known), [Arc::clone(&queue)]);
        }
        assert!(routes.known.len() <= 2, "{}", routes.known.len());
        let nowhere = routes.route(Vec::new(), None);
        assert!(routes.is_empty(nowhere));
    }
}
