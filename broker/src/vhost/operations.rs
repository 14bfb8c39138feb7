//! What is done to the messages of a queue by whoever administrates it: looked at, counted, deleted,
//! copied, moved, and dead letters brought back to where they came from.
//!
//! For management, which is above. Goes in steps, with others between; each step is whole in itself, so an
//! operation that is given up half way has done a part. Stays true: a message that is moved is in its
//! queue or in those it went to, on disk, never in both and never in none; what nobody takes stays where
//! it is; what comes while an operation goes on is left alone, so one ends that moves messages to where
//! they are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue};
use leveret_storage::StorageError;
use leveret_storage::messages::{Batch, Place as StoredPlace};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::Vhost;
use super::deduplicating::{Sight, Sighting};
use super::runs::{Runs, deliver_all, note_way};
use super::selection::Selection;
use super::walking::{Pick, STEP, Walk, page};
use crate::clock;
use crate::error::ResourceName;
use crate::message::{Marks, Message};
use crate::queue::cursor::{Place, Seen, Which};
use crate::queue::{Effects, Queue};

/// With a rate there are so many steps in a second at least.
const STEPS_A_SECOND: u32 = 10;

/// Why an operation was not begun, or not brought to its end.
#[derive(Debug)]
pub(crate) enum OperationError {
    /// There is no such queue or exchange.
    NotFound(ResourceName),
    /// What was done could not be stored.
    Storage(StorageError),
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(resource) => write!(f, "no {resource}"),
            Self::Storage(cause) => cause.fmt(f),
        }
    }
}

/// What to do it to.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Of which messages.
    pub which: Which,
    /// The ones that are meant.
    pub selection: Selection,
    /// Of these alone.
    pub picked: Option<Vec<Pick>>,
    /// The first so many of them.
    pub limit: Option<usize>,
    /// So many a second at most.
    pub per_second: Option<u32>,
    /// It is given up after so long, between two steps.
    pub within: Option<Duration>,
    /// Nothing is changed: it is only told what would be.
    pub dry_run: bool,
}

/// Where to.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// Into this queue, as they are.
    Queue(String),
    /// To this exchange, with this routing key or with their own.
    Exchange {
        /// Its name.
        name: String,
        /// The routing key.
        routing_key: Option<String>,
    },
    /// Dead letters into the queue in which they died first, as they were published.
    Origin,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Messages looked at.
    pub seen: usize,
    /// Those that were meant; of a dry run what would be done.
    pub meant: usize,
    /// Those it was done to.
    pub done: usize,
    /// Those without a way: no queue is there for them. They stay.
    pub without_way: usize,
    /// Those that nobody took, because the queues on their way are full. They stay.
    pub refused: usize,
    /// Those that could not be read. They stay.
    pub unreadable: usize,
    /// It was given up before it had gone over all.
    pub given_up: bool,
}

/// A message as it goes on, to whom, and what exchanges made of it.
type Way = (Message, Vec<Arc<Queue>>, Option<Box<Sighting>>);

/// What became of a message that was offered.
#[derive(Debug, Default)]
struct Offer {
    taken: bool,
    is_stored: bool,
    sighting: Option<Box<Sighting>>,
}

impl Vhost {
    /// A page of messages behind a place: at most so many, and as many as a step. The next page is behind
    /// the last of them; an empty one is the end.
    ///
    /// # Errors
    /// There is no such queue.
    pub(crate) async fn peek(
        &self,
        queue: &str,
        which: Which,
        after: Option<Place>,
        most: usize,
    ) -> Result<Vec<Seen>, OperationError> {
        let queue = self.existing(queue)?;
        Ok(page(&queue, which, after, most).await)
    }

    /// How many messages are meant.
    ///
    /// # Errors
    /// There is no such queue.
    pub(crate) async fn count(&self, queue: &str, job: Job) -> Result<Report, OperationError> {
        let queue = self.existing(queue)?;
        self.go_over(&queue, &Job { dry_run: true, ..job }, |_, _| {}).await
    }

    /// Deletes messages; what is handed out is left to who has it.
    ///
    /// # Errors
    /// There is no such queue, or it could not be stored.
    pub(crate) async fn delete_messages(
        &self,
        queue: &str,
        job: &Job,
    ) -> Result<Report, OperationError> {
        let queue = self.existing(queue)?;
        let delete = |some: &[Seen], report: &mut Report| {
            let mut effects = Effects::default();
            let places = some.iter().map(|seen| seen.place).collect();
            report.done += queue.remove(job.which, places, &mut effects);
            effects.carry_out(&self.messages);
        };
        self.go_over(&queue, job, delete).await
    }

    /// Publishes messages elsewhere as well.
    ///
    /// # Errors
    /// There is no such queue or exchange, or it could not be stored.
    pub(crate) async fn copy_messages(
        &self,
        queue: &str,
        job: &Job,
        to: &Destination,
    ) -> Result<Report, OperationError> {
        let queue = self.existing(queue)?;
        self.check(to)?;
        self.go_over(&queue, job, |some, report| self.copy_some(some, to, report)).await
    }

    /// Moves messages elsewhere; what is handed out is left to who has it.
    ///
    /// # Errors
    /// There is no such queue or exchange, or it could not be stored.
    pub(crate) async fn move_messages(
        &self,
        queue: &str,
        job: &Job,
        to: &Destination,
    ) -> Result<Report, OperationError> {
        let queue = self.existing(queue)?;
        self.check(to)?;
        self.go_over(&queue, job, |some, report| {
            self.move_some(&queue, job.which, some, to, report)
        })
        .await
    }

    fn existing(&self, queue: &str) -> Result<Arc<Queue>, OperationError> {
        let missing = || OperationError::NotFound(ResourceName::queue(self.name(), queue));
        self.queue(queue).ok_or_else(missing)
    }

    fn check(&self, to: &Destination) -> Result<(), OperationError> {
        match to {
            Destination::Queue(name) => self.existing(name).map(drop),
            Destination::Exchange { name, .. } if self.exchange(name).is_none() => {
                Err(OperationError::NotFound(ResourceName::exchange(self.name(), name)))
            }
            Destination::Exchange { .. } | Destination::Origin => Ok(()),
        }
    }

    /// Does something to those that are meant, step by step, and waits until that is on disk.
    async fn go_over(
        &self,
        queue: &Arc<Queue>,
        job: &Job,
        mut act: impl FnMut(&[Seen], &mut Report),
    ) -> Result<Report, OperationError> {
        let mut report = Report::default();
        let mut walk = Walk::new(job.which, job.picked.as_deref());
        let until = queue.next_sequence();
        let most = job.limit.unwrap_or(usize::MAX);
        let step = job.per_second.map_or(STEP, |rate| (rate / STEPS_A_SECOND).max(1) as usize);
        let end = job.within.map(|within| Instant::now() + within);
        let is_over = || end.is_some_and(|end| Instant::now() >= end);
        while report.meant < most && !report.given_up {
            let Some(page) = walk.next(queue).await else { break };
            let mut meant = choose(page, until, &job.selection, &mut report);
            meant.truncate(most - report.meant);
            report.given_up = is_over();
            if job.dry_run {
                report.meant += meant.len();
            }
            for some in meant.chunks(step).filter(|_| !job.dry_run) {
                if report.given_up || is_over() {
                    report.given_up = true;
                    break;
                }
                report.meant += some.len();
                act(some, &mut report);
                if let Some(rate) = job.per_second {
                    let lasts = Duration::from_secs(1) * u32::try_from(some.len()).unwrap_or(1);
                    tokio::time::sleep(lasts / rate.max(1)).await;
                }
            }
            tokio::task::yield_now().await;
        }
        if !job.dry_run {
            let all = self.messages.last();
            let stored = self.messages.progress().reached_settled(all).await;
            stored.map_err(OperationError::Storage)?;
        }
        Ok(report)
    }

    fn copy_some(&self, some: &[Seen], to: &Destination, report: &mut Report) {
        let mut effects = Effects::default();
        let ways = some.iter().filter_map(|seen| self.way_to(seen.message.as_ref()?, to));
        let ways: Vec<Way> = ways.collect();
        report.without_way += some.len() - ways.len();
        let mut copied = Batch::default();
        for offer in offer_all(ways, &mut copied, &mut effects) {
            report.done += usize::from(offer.taken);
            report.refused += usize::from(!offer.taken);
            conclude(offer, &mut copied);
        }
        effects.move_as_one(copied);
        effects.carry_out(&self.messages);
    }

    fn move_some(
        &self,
        queue: &Arc<Queue>,
        which: Which,
        some: &[Seen],
        to: &Destination,
        report: &mut Report,
    ) {
        let mut effects = Effects::default();
        let ways = some.iter().map(|seen| Some((seen, self.way_to(seen.message.as_ref()?, to)?)));
        let mut ways: Vec<(&Seen, Way)> = ways.flatten().collect();
        report.without_way += some.len() - ways.len();
        let places = ways.iter().map(|(seen, _)| seen.place).collect();
        // Some may have been delivered since they were looked at.
        let lifted = queue.lift(which, places, &mut effects);
        ways.retain(|(seen, _)| lifted.contains(&seen.sequence));
        let (seen, ways): (Vec<&Seen>, Vec<Way>) = ways.into_iter().unzip();
        let mut moved = Batch::default();
        let mut fates = Vec::new();
        for (seen, offer) in seen.into_iter().zip(offer_all(ways, &mut moved, &mut effects)) {
            let Some(message) = &seen.message else { continue };
            report.done += usize::from(offer.taken);
            report.refused += usize::from(!offer.taken);
            fates.push((seen.sequence, (!offer.taken).then(|| message.clone())));
            if offer.taken && queue.is_stored() && message.is_persistent() {
                moved.settle(StoredPlace { queue: queue.id().0, sequence: seen.sequence });
            }
            conclude(offer, &mut moved);
        }
        effects.move_as_one(moved);
        queue.land(fates, &mut effects);
        effects.carry_out(&self.messages);
    }

    /// How a message goes on; `None` if there is nowhere to.
    fn way_to(&self, message: &Message, to: &Destination) -> Option<Way> {
        let (message, queues, sighting) = match to {
            Destination::Queue(name) => (message.clone(), vec![self.queue(name)?], None),
            Destination::Exchange { name, routing_key } => {
                let exchange = self.exchange(name)?;
                let own = str::from_utf8(message.routing_key()).ok()?;
                let key = routing_key.as_deref().unwrap_or(own);
                let anew = readdressed(message, name, key)?;
                let keys = anew.shown_keys();
                let keys: SmallVec<[&str; 2]> = keys.iter().map(String::as_str).collect();
                let route = self.route_made(&exchange, &anew, &keys, Sight::Now);
                (anew, route.queues, route.sighting)
            }
            Destination::Origin => {
                let Origin { queue, exchange, routing_key } = origin(message)?;
                (readdressed(message, &exchange, &routing_key)?, vec![self.queue(&queue)?], None)
            }
        };
        let message = message.arrived_at(clock::unix_millis());
        (!queues.is_empty()).then_some((message, queues, sighting))
    }
}

/// Offers messages to whom they go. Of each: whether somebody took it.
fn offer_all(ways: Vec<Way>, batch: &mut Batch, effects: &mut Effects) -> Vec<Offer> {
    let mut runs = Runs::default();
    let mut offers = Vec::with_capacity(ways.len());
    for (message, targets, sighting) in ways {
        let of = offers.len();
        let is_stored = note_way(of, &message, targets, &mut batch.publishes, &mut runs);
        offers.push(Offer { taken: false, is_stored, sighting });
    }
    deliver_all(runs, batch, effects, |of, _, taken| {
        if let Some(offer) = offers.get_mut(of) {
            offer.taken |= taken;
        }
    });
    offers
}

fn conclude(offer: Offer, batch: &mut Batch) {
    if let Some(sighting) = offer.sighting {
        sighting.conclude(offer.taken, offer.is_stored, batch);
    }
}

/// Those of a page that are meant, and were there before.
fn choose(page: Vec<Seen>, until: u64, selection: &Selection, report: &mut Report) -> Vec<Seen> {
    let mut meant = Vec::new();
    for seen in page.into_iter().filter(|seen| seen.sequence < until) {
        report.seen += 1;
        match &seen.message {
            None => report.unreadable += 1,
            Some(message) if selection.means(message) => meant.push(seen),
            Some(_) => {}
        }
    }
    meant
}

/// The same message with another exchange and routing key; what is known of its deaths stays.
fn readdressed(message: &Message, exchange: &str, routing_key: &str) -> Option<Message> {
    let properties = BasicProperties::parse(message.properties()).ok()?;
    let anew = message.published_anew(exchange, routing_key, &properties)?;
    Some(if message.has_deaths() { anew.marked(Marks::DEATHS) } else { anew })
}

/// Where a dead letter died first, and how it had been published.
struct Origin {
    queue: String,
    exchange: String,
    routing_key: String,
}

/// See RabbitMQ's page on dead letter exchanges ("Effects on Messages").
fn origin(message: &Message) -> Option<Origin> {
    let headers = message.header_table();
    let text = |table: &FieldTable, key: &str| {
        table.get(key).and_then(FieldValue::as_str).map(str::to_owned)
    };
    // The newest stands first; of equals the oldest is the first death.
    let deaths = headers.get("x-death").and_then(FieldValue::as_array)?;
    let deaths: Vec<&FieldTable> = deaths.iter().filter_map(FieldValue::as_table).collect();
    let named = text(&headers, "x-first-death-queue");
    let is_first = |death: &&&FieldTable| named.is_some() && text(death, "queue") == named;
    let first = deaths.iter().rev().find(is_first).or_else(|| deaths.last())?;
    let keys = first.get("routing-keys").and_then(FieldValue::as_array).unwrap_or_default();
    Some(Origin {
        queue: text(first, "queue")?,
        exchange: text(first, "exchange").unwrap_or_default(),
        routing_key: keys.first().and_then(FieldValue::as_str).unwrap_or_default().to_owned(),
    })
}
