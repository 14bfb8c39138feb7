//! Messages that died in one queue of a vhost are published to others, and those whose time to be
//! routed has come.
//!
//! Behind `queue::exit::Exit`: called when effects are carried out, with no lock held. A few
//! messages with their bodies go at once, on the task of whoever let them die; many, and those whose
//! bodies have to be read, in steps on a task of their own. Stays true:
//! - what is published durably and that it is gone from its queue is one group of the log: a crash
//!   neither loses nor doubles it;
//! - the dead of one queue are published in the order in which they died, unless they are so many
//!   that others help: then steps of them may change places;
//! - a body that cannot be read leaves its message on the disk, with a line that says so.
//!
//! See RabbitMQ's page on dead letter exchanges.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use leveret_protocol::properties::BasicProperties;
use leveret_storage::messages::{Batch, Place, Publish};
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use tracing::error;

use super::Vhost;
use super::death_history::{Death, Letter};
use super::deduplicating::{Sight, Sighting};
use super::delayed;
use crate::clock;
use crate::message::Message;
use crate::queue::deaths::{Dead, DeadLetters, Reason, UNPLACED};
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
}

#[derive(Debug, Default)]
struct Waiting {
    letters: VecDeque<DeadLetters>,
    /// How many messages these are.
    count: usize,
    /// There is a task.
    is_at_work: bool,
}

impl Waiting {
    /// The first of what waits, a step of it.
    fn pop(&mut self) -> Option<DeadLetters> {
        let mut letters = self.letters.pop_front()?;
        if letters.dead.len() > STEP {
            let rest = letters.dead.split_off(STEP);
            let queue = Arc::clone(&letters.queue);
            self.letters.push_front(DeadLetters { queue, dead: rest });
        }
        self.count -= letters.dead.len();
        Some(letters)
    }
}

/// What goes to one queue: each message, and which of the stored ones it is.
pub(super) type Runs = IndexMap<u64, (Arc<Queue>, Vec<(Message, Option<usize>)>), FxBuildHasher>;

/// A message as it is published, the queues it goes to, and what exchanges made of it.
type Way = (Message, Vec<Arc<Queue>>, Option<Box<Sighting>>);

impl Exit for Vhost {
    fn publish_dead(&self, letters: DeadLetters, effects: &mut Effects) {
        let mut waiting = self.burial.waiting.lock();
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
        while let Some(mut letters) = self.next_letters() {
            let queue = Arc::clone(&letters.queue);
            let mut effects = Effects::default();
            let read = letters.missing();
            let mut retries = 0;
            while letters.missing() > 0 {
                let reading = tokio::task::spawn_blocking(move || letters.read());
                // Otherwise the runtime ends.
                let Ok(found) = reading.await else { return };
                letters = found;
                retries += 1;
                if letters.missing() > 0 && retries > RETRIES_MAX {
                    let (vhost, queue) = (queue.vhost(), queue.name());
                    error!(vhost, queue, "dead messages stay on the disk: they cannot be read");
                    break;
                }
                if letters.missing() > 0 {
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
            self.publish_letters(letters, &mut effects);
            queue.buried(read, &mut effects);
            effects.carry_out(&self.messages);
            tokio::task::yield_now().await;
        }
    }

    /// A step of what waits.
    fn next_letters(&self) -> Option<DeadLetters> {
        let mut waiting = self.burial.waiting.lock();
        let letters = waiting.pop();
        waiting.is_at_work = letters.is_some();
        letters
    }

    /// Whoever lets messages die faster than the vhost's task publishes them does some of its work:
    /// as many steps as it made, unless bodies are to be read first.
    fn help(&self, steps: usize, effects: &mut Effects) {
        for _ in 0..steps {
            let mut waiting = self.burial.waiting.lock();
            let is_ready = waiting.letters.front().is_some_and(DeadLetters::are_here);
            let Some(letters) = is_ready.then(|| waiting.pop()).flatten() else { return };
            drop(waiting);
            self.publish_letters(letters, effects);
        }
    }

    /// Publishes dead messages whose bodies are here, and forgets them where they were.
    fn publish_letters(&self, letters: DeadLetters, effects: &mut Effects) {
        let mut rest = letters.dead.as_slice();
        while !rest.is_empty() {
            let (some, more) = rest.split_at(as_one(rest));
            self.publish_as_one(&letters.queue, some, effects);
            rest = more;
        }
        effects.unpage(&letters);
    }

    /// The same for some, which are one group of the log.
    fn publish_as_one(&self, queue: &Arc<Queue>, some: &[Dead], effects: &mut Effects) {
        let now_ms = clock::unix_millis();
        let mut moved = Batch::default();
        let mut runs = Runs::default();
        for dead in some {
            let Some(message) = dead.message() else { continue };
            let death = Death { queue: queue.name(), reason: dead.reason, time: now_ms / 1000 };
            let way = match dead.reason {
                Reason::Due => self.way_of_due(message),
                Reason::Expired | Reason::Rejected | Reason::MaxLength | Reason::DeliveryLimit => {
                    self.way_of_dead(queue, message, &death)
                }
            };
            if let Some((message, targets, sighting)) = way {
                let message = message.arrived_at(now_ms);
                let taken = !targets.is_empty();
                let is_stored = note_way(message, targets, &mut moved.publishes, &mut runs);
                if let Some(sighting) = sighting {
                    sighting.conclude(taken, is_stored, &mut moved);
                }
            }
            if dead.sequence != UNPLACED && queue.is_stored() && message.is_persistent() {
                moved.settle(Place { queue: queue.id().0, sequence: dead.sequence });
            }
        }
        let keys = effects.keys();
        for (target, run) in runs.into_values() {
            deliver(&target, run, &mut moved, effects);
        }
        effects.take_keys(keys, &mut moved);
        effects.move_as_one(moved);
    }

    /// Where a dead message goes, and as what.
    fn way_of_dead(&self, queue: &Queue, message: &Message, death: &Death<'_>) -> Option<Way> {
        let to = queue.dead_letter_target()?;
        let exchange = self.exchange(&to.exchange)?;
        let letter = Letter::write(message, death, &to.exchange, to.routing_key.as_deref())?;
        if exchange.delays() {
            let properties = BasicProperties::parse(letter.message.properties()).ok()?;
            if let Some((place, marks)) = self.waiting_place(&exchange, &properties) {
                let sighting = self.sight(&exchange, &properties);
                let is_twice = sighting.as_ref().is_some_and(|sighting| sighting.is_twice());
                let targets = if is_twice { Vec::new() } else { vec![place] };
                return Some((letter.message.clone().marked(marks), targets, sighting));
            }
        }
        let keys: SmallVec<[&str; 2]> = letter.routing_keys.iter().map(String::as_str).collect();
        let route = self.route_made(&exchange, &letter.message, &keys, Sight::Now);
        let mut targets = route.queues;
        if death.reason != Reason::Rejected {
            targets.retain(|target| !letter.goes_round(target.name()));
        }
        Some((letter.message, targets, route.sighting))
    }

    /// Where a message goes that has waited for its time, and as what.
    fn way_of_due(&self, message: &Message) -> Option<Way> {
        let exchange = self.exchange(str::from_utf8(message.exchange()).ok()?)?;
        let message = delayed::after_delay(message)?;
        let mut keys = message.shown_keys();
        keys.extend(message.hidden_keys());
        let keys: SmallVec<[&str; 2]> = keys.iter().map(String::as_str).collect();
        let route = self.route_made(&exchange, &message, &keys, Sight::AfterFirst);
        Some((message, route.queues, route.sighting))
    }
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

/// Adds a message to what its targets get, and to what is stored if one of them stores it. Returns
/// whether one does.
pub(super) fn note_way(
    message: Message,
    targets: Vec<Arc<Queue>>,
    stored: &mut Vec<Publish>,
    runs: &mut Runs,
) -> bool {
    let is_stored = message.is_persistent() && targets.iter().any(|target| target.is_stored());
    let place = is_stored.then_some(stored.len());
    if is_stored {
        stored.push(Publish { content: message.content(), places: SmallVec::new() });
    }
    for target in targets {
        let run = runs.entry(target.id().0).or_insert_with(|| (target, Vec::new()));
        run.1.push((message.clone(), place));
    }
    is_stored
}

/// Gives a queue its messages, and notes where those are that are stored.
pub(super) fn deliver(
    target: &Arc<Queue>,
    run: Vec<(Message, Option<usize>)>,
    moved: &mut Batch,
    effects: &mut Effects,
) {
    let (messages, stored): (Vec<_>, Vec<_>) = run.into_iter().unzip();
    let mut note = |sequence, stored: Option<usize>, effects: &mut Effects| {
        let place = Place { queue: target.id().0, sequence };
        match stored.and_then(|stored| moved.publishes.get_mut(stored)) {
            Some(publish) if target.is_stored() => publish.places.push(place),
            None if target.is_stored() => effects.durable.leave_out(place),
            Some(_) | None => {}
        }
    };
    if target.rejects_publishes() {
        for (message, stored) in messages.into_iter().zip(stored) {
            // What is full drops the dead: nobody waits for them.
            if let Ok(Some(sequence)) = target.offer(message, effects) {
                note(sequence, stored, effects);
            }
        }
    } else if let Some(first) = target.publish(messages.into_iter(), effects) {
        for (sequence, stored) in (first..).zip(stored) {
            note(sequence, stored, effects);
        }
    }
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
