//! Messages that died in one queue of a vhost are published to others, and those whose time to be
//! routed has come.
//!
//! Behind `queue::exit::Exit`: called when effects are carried out, with no lock held. A few
//! messages with their bodies go at once, on the task of whoever let them die; many, and those whose
//! bodies have to be read, in steps on a task of their own. Stays true:
//! - what is published durably and that it is gone from its queue is one group of the log: a crash
//!   neither loses nor doubles it;
//! - where dead letters are published at least once, one that not all its queues took, or that has
//!   no way, stays with its queue (`queue::state::keeping`) and is tried again;
//! - the dead of one queue are published in the order in which they died, whoever does it;
//! - a body that cannot be read leaves its message on the disk, with a line that says so.
//!
//! See RabbitMQ's page on dead letter exchanges.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use leveret_protocol::properties::BasicProperties;
use leveret_storage::messages::{Batch, Place};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tracing::{error, warn};

use super::Vhost;
use super::alike::Alike;
use super::death_history::{Death, Letter};
use super::deduplicating::{Sight, Sighting};
use super::delayed;
use super::destination::Exchange;
use super::runs::{Runs, deliver_all, note_way};
use crate::clock;
use crate::keys::QueueId;
use crate::message::Message;
use crate::queue::deaths::{Dead, DeadLetters, Fate, Reason, UNPLACED};
use crate::queue::exit::Exit;
use crate::queue::taps::Delivered;
use crate::queue::{Effects, Queue};

/// Messages published in one step, and one group of the log: a millisecond or two of work.
const STEP: usize = 256;
/// Dead messages that wait for the vhost's task. Beyond it whoever lets more die helps.
const WAITING_MAX: usize = 16 * 1024;
/// Bytes of messages in one group, unless it is a single one: small beside what the log can write.
const GROUP_BYTES: usize = 16 << 20;
/// How long to wait for a body that its publisher is about to store.
const RETRY_AFTER: Duration = Duration::from_millis(2);
/// After so many times it is given up.
const RETRIES_MAX: u32 = 5000;

/// What waits to be published by the vhost's own task.
#[derive(Debug, Default)]
pub(super) struct Burial {
    waiting: Mutex<Waiting>,
    /// Held by who takes a step of what waits until it is published: then the next follows it. Taken
    /// before `waiting`.
    turn: Mutex<()>,
    /// Queues with dead letters that nobody took.
    keepers: Mutex<FxHashMap<QueueId, Weak<Queue>>>,
}

#[derive(Debug, Default)]
struct Waiting {
    letters: VecDeque<DeadLetters>,
    /// How many messages these are.
    count: usize,
    /// There is a task.
    is_at_work: bool,
    /// It reads bodies, behind which nothing else is published.
    reads: bool,
}

impl Waiting {
    /// The first of what waits, a step of it.
    fn pop(&mut self) -> Option<DeadLetters> {
        let mut letters = self.letters.pop_front()?;
        if letters.dead.len() > STEP {
            let rest = letters.dead.split_off(STEP);
            let queue = Arc::clone(&letters.queue);
            self.letters.push_front(DeadLetters::new(queue, rest));
        }
        self.count -= letters.dead.len();
        Some(letters)
    }
}

/// What became of one of the dead.
#[derive(Debug, Default)]
struct Outcome {
    /// Somebody did not take it, or nobody was there to.
    stays: bool,
    /// Those that did.
    taken_by: Vec<QueueId>,
    /// It found a way.
    found: bool,
    /// It is to be stored somewhere.
    is_stored: bool,
    /// What exchanges made of it.
    sighting: Option<Box<Sighting>>,
}

/// A message as it is published, the queues it goes to, what exchanges made of it, and which exchanges
/// route it once it has waited.
type Way = (Message, Vec<Arc<Queue>>, Option<Box<Sighting>>, Vec<Arc<Exchange>>);

impl Exit for Vhost {
    fn publish_dead(&self, letters: DeadLetters, effects: &mut Effects) {
        let mut waiting = self.burial.waiting.lock();
        // Without the task nothing waits, and nobody has his turn.
        if !waiting.is_at_work && letters.dead.len() <= STEP && letters.are_here() {
            drop(waiting);
            return self.publish_letters(letters, effects);
        }
        let steps = letters.dead.len().div_ceil(STEP);
        waiting.count += letters.dead.len();
        waiting.letters.push_back(letters);
        let helps = waiting.count > WAITING_MAX;
        // Without a runtime the process ends, and finds them again when it starts.
        if !waiting.is_at_work
            && let (Ok(runtime), Some(vhost)) =
                (tokio::runtime::Handle::try_current(), self.this.upgrade())
        {
            waiting.is_at_work = true;
            runtime.spawn(vhost.bury());
        }
        drop(waiting);
        if helps {
            self.help(steps, effects);
        }
    }

    fn tell_firehose(&self, delivered: Delivered, effects: &mut Effects) {
        self.tell_of_delivered(&delivered, effects);
    }

    fn delete_unused(&self, queue: &Arc<Queue>) {
        self.delete_unused_queue(queue);
    }

    fn delete_abandoned(&self, queue: &Arc<Queue>) {
        // Nobody waits for it to be durable.
        drop(self.delete_if_abandoned(queue));
    }
}

impl Vhost {
    /// Publishes what waits until nothing does.
    async fn bury(self: Arc<Self>) {
        loop {
            let mut effects = Effects::default();
            match self.take_step(&mut effects) {
                Next::Nothing => return,
                Next::Published => {}
                Next::ToRead(letters) => {
                    let (queue, read) = (Arc::clone(&letters.queue), letters.missing());
                    // Otherwise the runtime ends.
                    let Some(letters) = read_bodies(letters).await else { return };
                    self.publish_read(letters, &mut effects);
                    queue.buried(read, &mut effects);
                }
            }
            effects.carry_out(&self.messages);
            self.messages.some_room().await;
            tokio::task::yield_now().await;
        }
    }

    /// The vhost's task publishes the first of what waits, unless it has to be read before.
    fn take_step(&self, effects: &mut Effects) -> Next {
        let _turn = self.burial.turn.lock();
        let mut waiting = self.burial.waiting.lock();
        let Some(letters) = waiting.pop() else {
            waiting.is_at_work = false;
            return Next::Nothing;
        };
        if letters.missing() > 0 {
            waiting.reads = true;
            return Next::ToRead(letters);
        }
        drop(waiting);
        self.publish_letters(letters, effects);
        Next::Published
    }

    fn publish_read(&self, letters: DeadLetters, effects: &mut Effects) {
        let _turn = self.burial.turn.lock();
        self.publish_letters(letters, effects);
        self.burial.waiting.lock().reads = false;
    }

    /// Whoever lets messages die faster than the vhost's task publishes them does some of its work:
    /// as many steps as it made, unless bodies are to be read first.
    fn help(&self, steps: usize, effects: &mut Effects) {
        for _ in 0..steps {
            let _turn = self.burial.turn.lock();
            let mut waiting = self.burial.waiting.lock();
            let is_ready =
                !waiting.reads && waiting.letters.front().is_some_and(DeadLetters::are_here);
            let Some(letters) = is_ready.then(|| waiting.pop()).flatten() else { return };
            drop(waiting);
            self.publish_letters(letters, effects);
        }
    }

    /// Publishes dead messages whose bodies are here, and forgets them where they were.
    fn publish_letters(&self, letters: DeadLetters, effects: &mut Effects) {
        let mut fates: Vec<_> = letters.lost.iter().copied().map(Fate::Gone).collect();
        let mut rest = letters.dead.as_slice();
        while !rest.is_empty() {
            let (some, more) = rest.split_at(as_one(rest));
            self.publish_as_one(&letters.queue, some, &mut fates, effects);
            rest = more;
        }
        effects.unpage(&letters, &fates);
        if !fates.is_empty() && letters.queue.learn(fates, effects) {
            let queue = &letters.queue;
            let known = self.burial.keepers.lock().insert(queue.id(), Arc::downgrade(queue));
            if known.is_none() {
                let (vhost, queue) = (queue.vhost(), queue.name());
                warn!(vhost, queue, "dead letters wait: they have no way, or somebody is full");
            }
        }
    }

    /// The same for some, which are one group of the log. Adds what their queue has to be told.
    fn publish_as_one(
        &self,
        queue: &Arc<Queue>,
        some: &[Dead],
        fates: &mut Vec<Fate>,
        effects: &mut Effects,
    ) {
        let keeps = queue.keeps_dead_letters();
        let mut moved = Batch::default();
        let mut runs = Runs::default();
        let mut outcomes = Vec::with_capacity(some.len());
        let mut alike = Alike::default();
        for dead in some {
            let way = dead.message().and_then(|message| self.way(queue, dead, message, &mut alike));
            outcomes.push(self.address(dead, way, outcomes.len(), &mut moved, &mut runs));
        }
        deliver_all(runs, &mut moved, effects, |of, target, taken| {
            match (outcomes.get_mut(of), taken) {
                (Some(outcome), true) => outcome.taken_by.push(target.id()),
                (Some(outcome), false) => outcome.stays = true,
                (None, _) => {}
            }
        });
        for (dead, outcome) in some.iter().zip(outcomes) {
            let stays = keeps && outcome.stays && dead.sequence != UNPLACED;
            let Some(message) = dead.message() else {
                // It cannot be read, and stays on the disk.
                fates.extend(dead.is_kept.then_some(Fate::Gone(dead.sequence)));
                continue;
            };
            if let Some(sighting) = outcome.sighting {
                sighting.conclude(outcome.found && !stays, outcome.is_stored, &mut moved);
            }
            if stays {
                fates.extend(dead.stays(outcome.taken_by));
                continue;
            }
            fates.extend(dead.is_kept.then_some(Fate::Gone(dead.sequence)));
            if dead.sequence != UNPLACED && queue.is_stored() && message.is_persistent() {
                moved.settle(Place { queue: queue.id().0, sequence: dead.sequence });
            }
        }
        effects.move_as_one(moved);
    }

    /// Adds one of the dead, which is number `of` and has this way, to what its targets get.
    fn address(
        &self,
        dead: &Dead,
        way: Option<Way>,
        of: usize,
        moved: &mut Batch,
        runs: &mut Runs,
    ) -> Outcome {
        let taken_by = dead.taken_by.clone();
        let Some((message, mut targets, sighting, later)) = way else {
            return Outcome { stays: taken_by.is_empty(), taken_by, ..Outcome::default() };
        };
        let found = !targets.is_empty() || !later.is_empty();
        // What came twice to an exchange is done with.
        let is_twice = sighting.as_ref().is_some_and(|sighting| sighting.is_twice());
        let stays = !found && !is_twice && taken_by.is_empty();
        targets.retain(|target| !taken_by.contains(&target.id()));
        let mut is_stored = note_way(of, &message, targets, &mut moved.publishes, runs);
        for exchange in later {
            let place = self.delayed_queue().filter(|place| !taken_by.contains(&place.id()));
            let copy = message.waiting_for(exchange.name());
            let place = Vec::from_iter(place);
            is_stored |= note_way(of, &copy, place, &mut moved.publishes, runs);
        }
        Outcome { stays, taken_by, found, is_stored, sighting }
    }

    /// There may be a way now for what nobody took.
    pub(super) fn try_dead_letters(&self) {
        let keepers = std::mem::take(&mut *self.burial.keepers.lock());
        for queue in keepers.values().filter_map(Weak::upgrade) {
            queue.try_dead_letters_soon();
        }
    }

    /// Where one goes, and as what.
    fn way(&self, queue: &Queue, dead: &Dead, message: &Message, alike: &mut Alike) -> Option<Way> {
        let now_ms = clock::unix_millis();
        let death = Death { queue: queue.name(), reason: dead.reason, time: now_ms / 1000 };
        let (message, targets, sighting, later) = match dead.reason {
            Reason::Due => self.way_of_due(message),
            Reason::Expired | Reason::Rejected | Reason::MaxLength | Reason::DeliveryLimit => {
                self.way_of_dead(queue, message, &death, alike)
            }
        }?;
        Some((message.arrived_at(now_ms), targets, sighting, later))
    }

    /// Where a dead message goes, and as what.
    fn way_of_dead(
        &self,
        queue: &Queue,
        message: &Message,
        death: &Death<'_>,
        alike: &mut Alike,
    ) -> Option<Way> {
        let to = queue.dead_letter_target()?;
        let exchange = self.exchange(&to.exchange)?;
        if !exchange.delays()
            && let Some(letter) =
                alike.letter(message, death, &to.exchange, to.routing_key.as_deref())
        {
            return self.way_of_first_death(queue, letter, death, &exchange, alike);
        }
        let letter = Letter::write(message, death, &to.exchange, to.routing_key.as_deref())?;
        if exchange.delays() {
            let properties = BasicProperties::parse(letter.message.properties()).ok()?;
            if let Some((place, marks)) = self.waiting_place(&exchange, &properties) {
                let sighting = self.sight(&exchange, &properties);
                let is_twice = sighting.as_ref().is_some_and(|sighting| sighting.is_twice());
                let targets = if is_twice { Vec::new() } else { vec![place] };
                return Some((letter.message.clone().marked(marks), targets, sighting, Vec::new()));
            }
        }
        let keys: SmallVec<[&str; 2]> = letter.routing_keys.iter().map(String::as_str).collect();
        let route = self.route_made(&exchange, &letter.message, &keys, Sight::Now);
        let mut targets = route.queues;
        if death.reason != Reason::Rejected {
            targets.retain(|target| !letter.goes_round(target.name()));
        }
        Some((letter.message, targets, route.sighting, route.later))
    }

    /// Where one goes that died for the first time.
    fn way_of_first_death(
        &self,
        queue: &Queue,
        letter: Message,
        death: &Death<'_>,
        exchange: &Arc<Exchange>,
        alike: &mut Alike,
    ) -> Option<Way> {
        let key = String::from_utf8_lossy(letter.routing_key());
        let find = || self.route_made(exchange, &letter, &[&key], Sight::Now);
        let mut route = alike.route(&letter, self.generation(), find);
        if death.reason != Reason::Rejected {
            // It would come to the queue again in which it died.
            route.queues.retain(|target| target.name() != queue.name());
        }
        drop(key);
        Some((letter, route.queues, route.sighting, route.later))
    }

    /// Where a message goes that has waited for its time, and as what.
    fn way_of_due(&self, message: &Message) -> Option<Way> {
        let exchange = self.exchange(&message.routed_by())?;
        let message = delayed::after_delay(message)?;
        let mut keys = message.shown_keys();
        keys.extend(message.hidden_keys());
        let keys: SmallVec<[&str; 2]> = keys.iter().map(String::as_str).collect();
        let route = self.route_made(&exchange, &message, &keys, Sight::AfterFirst);
        Some((message, route.queues, route.sighting, route.later))
    }
}

/// What the vhost's task did next.
#[derive(Debug)]
enum Next {
    Nothing,
    Published,
    /// The bodies of some of these come first.
    ToRead(DeadLetters),
}

/// Reads bodies until all are there, or are given up. `None` when there is no runtime any more.
async fn read_bodies(mut letters: DeadLetters) -> Option<DeadLetters> {
    for _ in 0..=RETRIES_MAX {
        letters = tokio::task::spawn_blocking(move || letters.read()).await.ok()?;
        if letters.missing() == 0 {
            return Some(letters);
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
    let (vhost, queue) = (letters.queue.vhost(), letters.queue.name());
    error!(vhost, queue, "dead messages stay on the disk: they cannot be read");
    Some(letters)
}

/// How many of the first go in one group of the log: one at least.
fn as_one(dead: &[Dead]) -> usize {
    let mut bytes = 0;
    let fit = dead.iter().take_while(|dead| {
        bytes += dead.message().map_or(0, Message::size);
        bytes <= GROUP_BYTES
    });
    fit.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    #[test]
    fn a_group_is_bounded_by_bytes_and_has_one_message_at_least() {
        let dead = |size: usize| Dead::for_test(message("k", &vec![0; size]));
        let of =
            |sizes: &[usize]| as_one(&sizes.iter().map(|size| dead(*size)).collect::<Vec<_>>());
        assert_eq!(of(&[10, 10, 10]), 3);
        assert_eq!(of(&[GROUP_BYTES * 2, 10]), 1);
        assert_eq!(of(&[10, GROUP_BYTES / 2, GROUP_BYTES / 2, 10]), 2);
    }
}
